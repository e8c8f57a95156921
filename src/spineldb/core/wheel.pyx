"""A hierarchical timing wheel of key hashes: which keys may be due.

The problem: delete keys soon after their deadlines without looking at the others, for 4 bytes a
key, in slices. The idea: the deadline stands in the entry already, so the wheel only has to say
*whom to look at*, and may say it too early. After Varghese and Lauck, "Hashed and hierarchical
timing wheels" (1987), with one difference: where theirs moves timers to a finer wheel when a
coarse slot comes up, ours hands them out, and the caller, who reads the deadline, pushes again
what is not due. So nothing but a hash prefix is kept.

Eight levels of 64 slots; a slot of level n is 64 ** n ticks of 16 ms long. A deadline less than
64 ** (n + 1) ticks ahead goes to level n, into the slot that contains its tick, and that slot is
handed out when its first tick comes: never late, early by at most the slot's length. An entry a
day ahead is handed out four times.

The caller's part: every key with a deadline has an entry at or before it. Setting a deadline
pushes, unless the key had an earlier one (that entry will be handed out, and pushed again). A
key that goes away is not removed: its prefix finds nobody.

Deadlines are wall-clock, and the wall clock jumps. Forward: empty slots are skipped by a bit scan
per level, and what is due comes in slices as always. Back: the wheel's tick goes back too, and
every slot then comes up at its time or before, so nothing is late; what comes up early finds its
keys not due.

Keys that go away leave their prefixes. A cache at its limit, whose keys live a second of the day
that they were given, would fill its memory with them. So a wheel of which most is stale is
*renewed*: its slots are set aside as the former wheel, the caller pushes every deadline again by a
walk in slices, and then the former wheel is dropped. Until then both hand out.

Slots are lists of chunks, the newest first. The first chunk of a slot is small (14 prefixes) and
the next ones grow to 1022, so that a few timers cost little and many cost 4 bytes each.
"""

from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from spineldb.core.slab cimport (
    Ref, Slabs, at, class_size, malloc_cost, slab_alloc, slab_free, slab_malloc, slab_malloc_free,
)

cdef extern from *:
    """
    #define spinel_first_bit(bits) __builtin_ctzll(bits)
    """
    int first_bit "spinel_first_bit"(uint64_t bits) noexcept nogil

cdef enum:
    TICK_SHIFT = 4               # 1 << 4 = TICK_MS
    LEVEL_SHIFT = 6              # 1 << 6 = WHEEL_SLOTS
    CHUNK_MIN = 14               # prefixes: 64 bytes
    CHUNK_MAX = 1022             # prefixes: 4096 bytes

    STALE_LEAST = 2048           # prefixes beyond twice the keys: less is not worth a walk

cdef struct Renewable:           # a wheel as it is allocated
    Wheel wheel                  # its count and bytes are those of the former wheel, too
    Wheel* former                # being replaced; NULL if none is
    uint64_t position            # of the caller's walk
    uint64_t live                # prefixes after the last renewal

cdef struct Chunk:
    Ref next
    uint16_t count
    uint16_t capacity
    # prefixes follow: see prefixes()


cdef inline uint32_t* prefixes(Chunk* chunk) noexcept nogil:
    return <uint32_t*>(chunk + 1)


cdef inline size_t chunk_bytes(size_t capacity) noexcept nogil:
    return sizeof(Chunk) + capacity * sizeof(uint32_t)


cdef Wheel* wheel_new(Slabs* slabs, int64_t now_ms) except NULL:
    """An empty wheel that stands at `now_ms`."""
    cdef Wheel* wheel = <Wheel*>slab_malloc(slabs, sizeof(Renewable))
    if wheel is NULL:
        raise MemoryError("no memory for a timing wheel")
    memset(wheel, 0, sizeof(Renewable))
    wheel.slabs = slabs
    wheel.tick = now_ms >> TICK_SHIFT
    wheel.bytes = malloc_cost(sizeof(Renewable))
    return wheel


cdef void wheel_delete(Wheel* wheel) noexcept:
    if wheel is NULL:
        return
    wheel_renewed(wheel)
    free_lists(wheel, wheel)
    slab_malloc_free(wheel.slabs, wheel, sizeof(Renewable))


cdef void free_lists(Wheel* wheel, Wheel* account) noexcept:
    """Free all chunks of a wheel, or of the former one of `account`."""
    cdef int level, slot
    while wheel.due:
        chunk_free(account, &wheel.due)
    for level in range(WHEEL_LEVELS):
        for slot in range(WHEEL_SLOTS):
            while wheel.slots[level][slot]:
                chunk_free(account, &wheel.slots[level][slot])


# ---------------------------------------------------------------------- renewing

cdef inline Wheel* former_of(const Wheel* wheel) noexcept nogil:
    return (<Renewable*>wheel).former


cdef bint wheel_is_stale(const Wheel* wheel, uint64_t keys) noexcept nogil:
    # Beside keys, hashes with field deadlines have prefixes: those were left by the last renewal.
    cdef uint64_t needed = max(keys, (<Renewable*>wheel).live)
    return former_of(wheel) is NULL and wheel.count > 2 * needed + STALE_LEAST


cdef int wheel_renew(Wheel* wheel) except -1:
    cdef Wheel* former = <Wheel*>slab_malloc(wheel.slabs, sizeof(Wheel))
    if former is NULL:
        raise MemoryError("no memory to renew a timing wheel")
    memcpy(former, wheel, sizeof(Wheel))
    wheel.due = 0
    memset(wheel.occupied, 0, sizeof(wheel.occupied))
    memset(wheel.slots, 0, sizeof(wheel.slots))
    wheel.bytes += malloc_cost(sizeof(Wheel))
    (<Renewable*>wheel).former = former
    (<Renewable*>wheel).position = 0
    return 0


cdef uint64_t* wheel_renewal(Wheel* wheel) noexcept nogil:
    return NULL if former_of(wheel) is NULL else &(<Renewable*>wheel).position


cdef void wheel_renewed(Wheel* wheel) noexcept:
    cdef Wheel* former = former_of(wheel)
    if former is NULL:
        return
    free_lists(former, wheel)
    wheel.count -= former.count
    wheel.bytes -= malloc_cost(sizeof(Wheel))
    slab_malloc_free(wheel.slabs, former, sizeof(Wheel))
    (<Renewable*>wheel).former = NULL
    (<Renewable*>wheel).live = wheel.count


# ---------------------------------------------------------------------- chunks


cdef void chunk_free(Wheel* wheel, Ref* head) noexcept nogil:
    """Drop the first chunk of a list."""
    cdef Ref ref = head[0]
    cdef Chunk* chunk = <Chunk*>at(wheel.slabs, ref)
    cdef size_t size = chunk_bytes(chunk.capacity)
    head[0] = chunk.next
    wheel.bytes -= class_size(size)
    slab_free(wheel.slabs, ref, size)


cdef Chunk* chunk_new(Wheel* wheel, Ref* head) noexcept nogil:
    """A chunk at the front of a list, twice as large as the one before; NULL without memory."""
    cdef size_t capacity = CHUNK_MIN
    cdef Ref ref
    cdef Chunk* chunk
    if head[0]:
        # 14, 30, 62, ... 1022: each chunk is a power of two in bytes.
        capacity = min((<Chunk*>at(wheel.slabs, head[0])).capacity * 2 + 2, CHUNK_MAX)
    ref = slab_alloc(wheel.slabs, chunk_bytes(capacity))
    if ref == 0:
        return NULL
    chunk = <Chunk*>at(wheel.slabs, ref)
    chunk.next = head[0]
    chunk.count = 0
    chunk.capacity = <uint16_t>capacity
    head[0] = ref
    wheel.bytes += class_size(chunk_bytes(capacity))
    return chunk


cdef int wheel_push(Wheel* wheel, int64_t deadline_ms, uint32_t prefix) except -1:
    # Rounded up: a slot of level 0 comes when its deadlines have passed, not while they do.
    cdef int64_t tick = (deadline_ms >> TICK_SHIFT) + (deadline_ms & (TICK_MS - 1) != 0)
    cdef int64_t horizon = wheel.tick + (<int64_t>1 << (LEVEL_SHIFT * WHEEL_LEVELS)) - 1
    cdef int level = 0
    cdef int slot
    cdef Chunk* chunk = NULL
    tick = min(max(tick, wheel.tick + 1), horizon)
    while (tick - wheel.tick) >> (LEVEL_SHIFT * (level + 1)):
        level += 1
    slot = <int>((tick >> (LEVEL_SHIFT * level)) & (WHEEL_SLOTS - 1))
    if wheel.slots[level][slot]:
        chunk = <Chunk*>at(wheel.slabs, wheel.slots[level][slot])
    if chunk is NULL or chunk.count == chunk.capacity:
        chunk = chunk_new(wheel, &wheel.slots[level][slot])
        if chunk is NULL:
            raise MemoryError("no memory for a key's timer")
    prefixes(chunk)[chunk.count] = prefix
    chunk.count += 1
    wheel.occupied[level] |= <uint64_t>1 << slot
    wheel.count += 1
    return 0


cdef int64_t next_tick(const Wheel* wheel) noexcept nogil:
    """The first tick after the wheel's at which a slot comes up, or -1."""
    cdef int64_t earliest = -1
    cdef int64_t here, begin
    cdef uint64_t turned
    cdef int level, start
    for level in range(WHEEL_LEVELS):
        if wheel.occupied[level] == 0:
            continue
        here = wheel.tick >> (LEVEL_SHIFT * level)
        start = <int>((here + 1) & (WHEEL_SLOTS - 1))
        turned = wheel.occupied[level] >> start
        if start:
            turned |= wheel.occupied[level] << (WHEEL_SLOTS - start)
        begin = (here + 1 + first_bit(turned)) << (LEVEL_SHIFT * level)
        if earliest < 0 or begin < earliest:
            earliest = begin
    return earliest


cdef void take_slots(Wheel* wheel) noexcept nogil:
    """Move the slots that begin at the wheel's tick to `due`, which is empty."""
    cdef int level = 0
    cdef int slot
    cdef Ref last
    while level < WHEEL_LEVELS:
        slot = <int>((wheel.tick >> (LEVEL_SHIFT * level)) & (WHEEL_SLOTS - 1))
        if wheel.slots[level][slot]:
            last = wheel.slots[level][slot]
            while (<Chunk*>at(wheel.slabs, last)).next:
                last = (<Chunk*>at(wheel.slabs, last)).next
            (<Chunk*>at(wheel.slabs, last)).next = wheel.due
            wheel.due = wheel.slots[level][slot]
            wheel.slots[level][slot] = 0
            wheel.occupied[level] &= ~(<uint64_t>1 << slot)
        if slot:
            return               # the coarser slot began earlier
        level += 1


cdef int64_t wheel_advance(Wheel* wheel, int64_t now_ms, int64_t limit, Fire fire, void* context,
                           bint* more) except -1:
    cdef bint former_more = False
    cdef int64_t fired = 0
    if former_of(wheel) is not NULL:
        fired = advance(former_of(wheel), wheel, now_ms, limit, fire, context, &former_more)
    fired += advance(wheel, wheel, now_ms, limit - fired, fire, context, more)
    more[0] = more[0] or former_more
    return fired


cdef int64_t advance(Wheel* wheel, Wheel* account, int64_t now_ms, int64_t limit, Fire fire,
                     void* context, bint* more) except -1:
    """Hand out of a wheel, or of the former one of `account`."""
    cdef int64_t now = now_ms >> TICK_SHIFT
    cdef int64_t fired = 0
    cdef int64_t coming
    cdef Chunk* chunk
    cdef int result = 0
    if now < wheel.tick:
        wheel.tick = now
    while fired < limit and result >= 0:
        if wheel.due == 0:
            coming = next_tick(wheel)
            if coming < 0 or coming > now:
                wheel.tick = now
                break
            wheel.tick = coming
            take_slots(wheel)
            continue
        chunk = <Chunk*>at(wheel.slabs, wheel.due)
        if chunk.count == 0:
            chunk_free(account, &wheel.due)
            continue
        # If this raises, the prefix is still there.
        result = fire(context, prefixes(chunk)[chunk.count - 1])
        chunk = <Chunk*>at(wheel.slabs, wheel.due)
        chunk.count -= 1
        wheel.count -= 1
        if account is not wheel:
            account.count -= 1
        fired += 1
    coming = next_tick(wheel)
    more[0] = wheel.due != 0 or 0 <= coming <= now
    return fired


cdef int64_t wheel_next_ms(const Wheel* wheel) noexcept nogil:
    cdef int64_t own = lists_next_ms(wheel)
    cdef int64_t former = -1 if former_of(wheel) is NULL else lists_next_ms(former_of(wheel))
    if own < 0 or former < 0:
        return max(own, former)
    return min(own, former)


cdef int64_t lists_next_ms(const Wheel* wheel) noexcept nogil:
    cdef int64_t coming = next_tick(wheel)
    if wheel.due:
        return wheel.tick << TICK_SHIFT
    return coming if coming < 0 else coming << TICK_SHIFT
