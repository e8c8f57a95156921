"""Chunks: how the elements of long lists are kept.

A chunk's run may leave room at both of its ends, so that a push at either side writes into what is
there. A first chunk is small and doubles, the others too: a list is never much larger than what is
in it. When a chunk is full the next one begins; in the middle of the list it is split. The ring is
an array of references and counts, eight bytes for 8 KB of elements, and its two ends cost the same
as well.

What an element would take in a listpack of Redis is added up beside, because what OBJECT ENCODING
answers depends on it.
"""

from libc.string cimport memcmp, memcpy, memmove, memset

from spineldb.core.resp cimport out_bulk, out_bulk_block, out_reserve, parse_int
from spineldb.core.slab cimport (
    block_cost,
    block_new,
    block_release,
    block_retain,
    class_size,
    malloc_cost,
    slab_alloc,
    slab_free,
    slab_malloc,
    slab_malloc_free,
    slab_move,
    slab_sparse,
)

cdef enum:
    RING_MIN = 4                 # slots of the first ring: a power of two
    LEAST_FREE = 4               # a full run is slid for a push if this part of its chunk is free
    HEADERS = 100                # sizes whose headers of bulk strings are at hand
    AHEAD = 16                   # bytes copied at once where there is room to read and to write

# `$10\r\n` and its like as one number, first byte lowest. Short sizes take 4 bytes, others 5.
cdef uint64_t[HEADERS] headers


cdef void make_headers() noexcept:
    cdef uint8_t[8] text
    cdef int size
    for size in range(HEADERS):
        memset(text, 0, 8)
        text[0] = c"$"
        if size < 10:
            text[1] = <uint8_t>(48 + size)
            text[2] = 13
            text[3] = 10
        else:
            text[1] = <uint8_t>(48 + size // 10)
            text[2] = <uint8_t>(48 + size % 10)
            text[3] = 13
            text[4] = 10
        memcpy(&headers[size], text, 8)


make_headers()


# -- elements --------------------------------------------------------------------------------------

cdef uint8_t* element_write(uint8_t* p, const Slice* value, Block* block) noexcept nogil:
    cdef uint32_t size
    if block is not NULL:
        p[0] = IN_BLOCK
        memcpy(p + 1, &block, sizeof(Block*))
        p[BLOCK_ELEMENT - 1] = IN_BLOCK
        return p + BLOCK_ELEMENT
    if value.size < WIDE_SIZE:
        p[0] = <uint8_t>value.size
        memcpy(p + 1, value.data, value.size)
        p[value.size + 1] = <uint8_t>value.size
        return p + value.size + 2
    size = <uint32_t>value.size
    p[0] = WIDE_SIZE
    memcpy(p + 1, &size, 4)
    memcpy(p + 5, value.data, size)
    memcpy(p + 5 + size, &size, 4)
    p[9 + size] = WIDE_SIZE
    return p + size + 10


cdef bint is_number(const Slice* value) noexcept nogil:
    cdef int64_t number
    cdef char first
    if value.size == 0 or value.size > 20:
        return False
    first = value.data[0]
    return (48 <= first <= 57 or first == c"-") and parse_int(value.data, value.size, &number)


cdef size_t packed_bytes(const Slice* value) noexcept nogil:
    """An element of a listpack: its head, its bytes, and the length of both for the way back."""
    cdef int64_t number
    cdef size_t size = value.size
    cdef char first
    if 0 < size <= 20:
        first = value.data[0]
        if (48 <= first <= 57 or first == c"-") and parse_int(value.data, size, &number):
            if 0 <= number <= 127:
                return 2
            if -4096 <= number <= 4095:
                return 3
            if -32768 <= number <= 32767:
                return 4
            if -8388608 <= number <= 8388607:
                return 5
            if -2147483648 <= number <= 2147483647:
                return 6
            return 10
    size += 1 if size < 64 else 2 if size < 4096 else 5
    return size + (
        1 if size <= 127 else 2 if size < 16383 else 3 if size < 2097151
        else 4 if size < 268435455 else 5)


cdef Block* block_of(Slabs* slabs, const Slice* value) noexcept nogil:
    cdef Block* block
    if value.block is not NULL and value.block.size == value.size:
        return block_retain(value.block)
    block = block_new(slabs, value.size)
    if block is not NULL:
        memcpy(block_data(block), value.data, value.size)
        block.size = value.size
    return block


# -- runs and cursors ------------------------------------------------------------------------------

cdef void cursor_run(Cursor* cursor, const uint8_t* start, size_t size) noexcept nogil:
    cursor.chain = NULL
    cursor.start = cursor.p = start
    cursor.end = start + size


cdef void enter(Cursor* cursor, uint32_t slot) noexcept nogil:
    """Go to a chunk; `p` is the caller's to set."""
    cdef Chunk* chunk = chunk_at(cursor.slabs, cursor.chain, slot)
    cursor.slot = slot
    cursor.start = chunk_data(chunk) + chunk.start
    cursor.end = chunk_data(chunk) + chunk.end


cdef bint next_run(Cursor* cursor) noexcept nogil:
    if cursor.chain is NULL:
        return False
    while cursor.slot + 1 < cursor.chain.length:
        enter(cursor, cursor.slot + 1)
        cursor.p = cursor.start
        if cursor.start != cursor.end:
            return True
    return False


cdef bint previous_run(Cursor* cursor) noexcept nogil:
    if cursor.chain is NULL:
        return False
    while cursor.slot > 0:
        enter(cursor, cursor.slot - 1)
        cursor.p = cursor.end
        if cursor.start != cursor.end:
            return True
    return False


cdef void cursor_skip(Cursor* cursor, int64_t index, int64_t count) noexcept nogil:
    """Go to the element of that index in a run of `count`, from its nearer end."""
    cdef int64_t _left
    if index <= count // 2:
        cursor.p = cursor.start
        for _left in range(index):
            cursor.p = element_after(cursor.p)
    else:
        cursor.p = cursor.end
        for _left in range(count - index):
            cursor.p = element_before(cursor.p)


cdef void cursor_seek(Cursor* cursor, const Slabs* slabs, Chain* chain,
                      int64_t index) noexcept nogil:
    cdef uint32_t slot
    cdef int64_t first
    cursor.slabs = slabs
    cursor.chain = chain
    if chain.length == 0:
        cursor.slot = 0
        cursor.start = cursor.end = cursor.p = NULL
        return
    if index <= chain.count // 2:
        slot = 0
        first = 0
        while slot + 1 < chain.length and first + slot_at(chain, slot).count <= index:
            first += slot_at(chain, slot).count
            slot += 1
    else:
        slot = chain.length - 1
        first = chain.count - slot_at(chain, slot).count
        while first > index:
            slot -= 1
            first -= slot_at(chain, slot).count
    enter(cursor, slot)
    cursor_skip(cursor, index - first, slot_at(chain, slot).count)


cdef inline char* out_element(Output* out, char* to, const char* limit, const uint8_t* p,
                              const uint8_t* end) noexcept nogil:
    """Write one short element as a bulk string; NULL if there is no room for it up to `limit`."""
    cdef size_t size = p[0]
    if <size_t>(limit - to) < size + AHEAD + 8:
        return NULL
    memcpy(to, &headers[size], 8)
    to += 4 if size < 10 else 5
    if size <= AHEAD and p + 1 + AHEAD <= end:
        memcpy(to, p + 1, AHEAD)             # of a fixed size: two moves, no call
    else:
        memcpy(to, p + 1, size)
    to += size
    to[0] = 13
    to[1] = 10
    return to + 2


cdef inline char* out_room(Output* out, size_t size) noexcept nogil:
    return out_reserve(out, size + AHEAD + 8)


cdef void out_slow(Output* out, const uint8_t* p) noexcept nogil:
    """Write an element of any size."""
    cdef Slice value
    element_read(p, &value)
    if value.block is not NULL:
        out_bulk_block(out, value.block)
    else:
        out_bulk(out, value.data, value.size)


cdef void out_elements(Output* out, Cursor* cursor, int64_t count) noexcept nogil:
    cdef const uint8_t* p
    cdef char* to = out_reserve(out, 64)
    cdef char* limit
    cdef char* following
    if to is NULL:
        return
    limit = out.data + out.capacity
    while count > 0:
        if cursor.p == cursor.end and not next_run(cursor):
            break
        p = cursor.p
        while count > 0 and p != cursor.end:
            following = NULL
            if p[0] < HEADERS:
                following = out_element(out, to, limit, p, cursor.end)
            if following is not NULL:
                to = following
                p += p[0] + 2
            else:
                # No room, or an element of another kind: go on in a buffer that has room again.
                out.used = <size_t>(to - out.data)
                if p[0] >= HEADERS:
                    out_slow(out, p)
                    p = element_after(p)
                    count -= 1
                to = out_room(out, HEADERS)
                if to is NULL:
                    return
                limit = out.data + out.capacity
                continue
            count -= 1
        cursor.p = p
    out.used = <size_t>(to - out.data)


cdef void out_elements_back(Output* out, Cursor* cursor, int64_t count) noexcept nogil:
    while count > 0:
        if cursor.p == cursor.start and not previous_run(cursor):
            return
        cursor.p = element_before(cursor.p)
        out_slow(out, cursor.p)
        count -= 1


# -- the ring --------------------------------------------------------------------------------------

cdef bint ring_grow(Chain* chain, Slabs* slabs) noexcept nogil:
    """Make room for one more slot."""
    cdef size_t old = 0 if chain.slots is NULL else <size_t>chain.mask + 1
    cdef size_t new = 2 * old if old else RING_MIN
    cdef Slot* slots
    cdef uint32_t i
    if chain.length < old:
        return True
    slots = <Slot*>slab_malloc(slabs, new * sizeof(Slot))
    if slots is NULL:
        return False
    for i in range(chain.length):
        slots[i] = slot_at(chain, i)[0]
    ring_free(chain, slabs)
    chain.slots = slots
    chain.mask = <uint32_t>(new - 1)
    chain.head = 0
    chain.bytes += malloc_cost(new * sizeof(Slot))
    return True


cdef void ring_free(Chain* chain, Slabs* slabs) noexcept nogil:
    cdef size_t size = (<size_t>chain.mask + 1) * sizeof(Slot)
    if chain.slots is not NULL:
        slab_malloc_free(slabs, chain.slots, size)
        chain.bytes -= malloc_cost(size)
        chain.slots = NULL


cdef void ring_open(Chain* chain, uint32_t index) noexcept nogil:
    """Make a slot before that index, in a ring that has room."""
    cdef uint32_t i
    chain.length += 1
    if index < chain.length // 2:
        chain.head = (chain.head - 1) & chain.mask
        for i in range(index):
            slot_at(chain, i)[0] = slot_at(chain, i + 1)[0]
    else:
        i = chain.length - 1
        while i > index:
            slot_at(chain, i)[0] = slot_at(chain, i - 1)[0]
            i -= 1


cdef Chunk* chunk_new(Chain* chain, Slabs* slabs, uint32_t index, size_t need) noexcept nogil:
    """Put an empty chunk with room for `need` bytes before that index of the ring."""
    cdef size_t total = CHUNK_MIN
    cdef Chunk* chunk
    cdef Ref ref
    while total < need + sizeof(Chunk):
        total *= 2
    if not ring_grow(chain, slabs):
        return NULL
    ref = slab_alloc(slabs, total)
    if ref == 0:
        return NULL
    ring_open(chain, index)
    slot_at(chain, index).ref = ref
    slot_at(chain, index).count = 0
    chunk = <Chunk*>at(slabs, ref)
    memset(chunk, 0, sizeof(Chunk))
    chunk.capacity = <uint16_t>(total - sizeof(Chunk))
    chain.bytes += class_size(total)
    return chunk


cdef void chunk_free(Chain* chain, Slabs* slabs, Ref ref) noexcept nogil:
    """Give back the memory of a chunk, whatever is in it."""
    cdef size_t total = (<Chunk*>at(slabs, ref)).capacity + sizeof(Chunk)
    slab_free(slabs, ref, total)
    chain.bytes -= class_size(total)


cdef void let_go(Chain* chain, Slabs* slabs, Block* block) noexcept nogil:
    chain.bytes -= block_cost(block)
    block_release(slabs, block)


cdef void chunk_empty(Chain* chain, Slabs* slabs, uint32_t index) noexcept nogil:
    """Take all elements of a chunk out of the sums, and let their blocks go."""
    cdef Chunk* chunk = chunk_at(slabs, chain, index)
    cdef const uint8_t* p = chunk_data(chunk) + chunk.start
    cdef Slice value
    while chunk.blocks:
        if p[0] == IN_BLOCK:
            chunk.blocks -= 1
            element_read(p, &value)
            let_go(chain, slabs, value.block)
        p = element_after(p)
    chain.count -= slot_at(chain, index).count
    chain.packed -= <int64_t>chunk.packed
    slot_at(chain, index).count = 0


# -- room in a chunk -------------------------------------------------------------------------------

cdef void shift(uint8_t* to, const uint8_t* run, size_t used, size_t offset,
                size_t need) noexcept nogil:
    """Move a run to `to`, with a gap of `need` bytes before its byte `offset`."""
    if to <= run:
        memmove(to, run, offset)
        memmove(to + offset + need, run + offset, used - offset)
    else:
        memmove(to + offset + need, run + offset, used - offset)
        memmove(to, run, offset)


cdef uint8_t* room(Chain* chain, Slabs* slabs, uint32_t index, size_t offset, size_t need,
                   bint tight) noexcept nogil:
    """Make a gap of `need` bytes at that offset of a chunk's run, which counts them already.

    NULL if there is no room (or memory); if not `tight`, also if so little is left that a chunk of
    its own is the better place.
    """
    cdef Chunk* chunk = chunk_at(slabs, chain, index)
    cdef uint8_t* data = chunk_data(chunk)
    cdef size_t used = chunk.end - chunk.start
    cdef size_t free = chunk.capacity - used
    cdef size_t start
    if offset == used and <size_t>(chunk.capacity - chunk.end) >= need:
        chunk.end += <uint16_t>need
        return data + chunk.end - need
    if offset == 0 and chunk.start >= need:
        chunk.start -= <uint16_t>need
        return data + chunk.start
    if free >= need and (tight or free * LEAST_FREE >= chunk.capacity):
        if offset == 0 or offset == used:
            start = (free - need) // 2       # room on both sides, lest pushes at both slide it
        elif <size_t>(chunk.capacity - chunk.end) >= need:
            start = chunk.start
        elif chunk.start >= need:
            start = chunk.start - need
        else:
            start = 0
        shift(data + start, data + chunk.start, used, offset, need)
    else:
        chunk = chunk_grown(chain, slabs, index, need)
        if chunk is NULL:
            return NULL
        start = 0 if offset else chunk.capacity - used - need
        data = chunk_data(chunk)
        shift(data + start, data + chunk.start, used, offset, need)
    chunk.start = <uint16_t>start
    chunk.end = <uint16_t>(start + used + need)
    return data + start + offset


cdef Chunk* chunk_grown(Chain* chain, Slabs* slabs, uint32_t index, size_t need) noexcept nogil:
    """A larger chunk in place of one, with room for `need` bytes more; NULL if there is none."""
    cdef Chunk* chunk = chunk_at(slabs, chain, index)
    cdef size_t total = chunk.capacity + sizeof(Chunk)
    cdef size_t used = chunk.end - chunk.start
    if total == CHUNK_MAX or sizeof(Chunk) + used + need > CHUNK_MAX:
        return NULL
    total *= 2
    while total < sizeof(Chunk) + used + need:
        total *= 2
    return chunk_resize(chain, slabs, index, total)


cdef Chunk* chunk_resize(Chain* chain, Slabs* slabs, uint32_t index, size_t total) noexcept nogil:
    """Move a chunk into one of another size, its run to the beginning; NULL without memory."""
    cdef Slot* slot = slot_at(chain, index)
    cdef Chunk* old = <Chunk*>at(slabs, slot.ref)
    cdef Ref ref = slab_alloc(slabs, total)
    cdef Chunk* chunk
    if ref == 0:
        return NULL
    chunk = <Chunk*>at(slabs, ref)
    chunk.capacity = <uint16_t>(total - sizeof(Chunk))
    chunk.start = 0
    chunk.end = old.end - old.start
    chunk.blocks = old.blocks
    chunk.packed = old.packed
    memcpy(chunk_data(chunk), chunk_data(old) + old.start, chunk.end)
    chunk_free(chain, slabs, slot.ref)
    slot.ref = ref
    chain.bytes += class_size(total)
    return chunk


cdef void shrink(Chain* chain, Slabs* slabs) noexcept nogil:
    """Give the only chunk of a chain a smaller place if most of it is empty."""
    cdef Chunk* chunk = chunk_at(slabs, chain, 0)
    cdef size_t total = chunk.capacity + sizeof(Chunk)
    if total > CHUNK_MIN and <size_t>(chunk.end - chunk.start) * 4 < chunk.capacity:
        chunk_resize(chain, slabs, 0, total // 2)


# -- chains ----------------------------------------------------------------------------------------

cdef bint chain_from_run(Chain* chain, Slabs* slabs, const uint8_t* run, size_t size,
                         uint32_t count) noexcept nogil:
    cdef Chunk* chunk
    cdef const uint8_t* p = run
    cdef Slice value
    memset(chain, 0, sizeof(Chain))
    if count == 0:
        return True
    chunk = chunk_new(chain, slabs, 0, size)
    if chunk is NULL:
        ring_free(chain, slabs)
        return False
    memcpy(chunk_data(chunk), run, size)
    chunk.end = <uint16_t>size
    while p < run + size:
        p = element_read(p, &value)
        chunk.packed += packed_bytes(&value)
    slot_at(chain, 0).count = count
    chain.count = count
    chain.packed = <int64_t>chunk.packed
    return True


cdef bint chunk_copy(Chain* copy, const Slot* slot, Slabs* slabs) noexcept nogil:
    """Append a copy of a chunk, blocks and all."""
    cdef Chunk* chunk = <Chunk*>at(slabs, slot.ref)
    cdef Chunk* own = chunk_new(copy, slabs, copy.length, chunk.end - chunk.start)
    cdef uint8_t* p
    cdef Slice value
    cdef Block* block
    if own is NULL:
        return False
    own.end = chunk.end - chunk.start
    memcpy(chunk_data(own), chunk_data(chunk) + chunk.start, own.end)
    p = chunk_data(own)
    while own.blocks < chunk.blocks:
        if p[0] == IN_BLOCK:
            element_read(p, &value)
            value.block = NULL
            block = block_of(slabs, &value)
            if block is NULL:
                return False                 # its count is 0: chain_free stops at `blocks`
            element_write(p, &value, block)
            copy.bytes += block_cost(block)
            own.blocks += 1
        p = <uint8_t*>element_after(p)
    own.packed = chunk.packed
    copy.packed += <int64_t>chunk.packed
    copy.count += slot.count
    slot_at(copy, copy.length - 1).count = slot.count
    return True


cdef bint chain_copy(Chain* copy, const Chain* chain, Slabs* slabs) noexcept nogil:
    cdef uint32_t i
    memset(copy, 0, sizeof(Chain))
    for i in range(chain.length):
        if not chunk_copy(copy, slot_at(chain, i), slabs):
            chain_free(copy, slabs, (<int64_t>1) << 62)
            return False
    return True


cdef bint chain_free(Chain* chain, Slabs* slabs, int64_t limit) noexcept nogil:
    while chain.length:
        if limit <= 0:
            return False
        limit -= 1 + slot_at(chain, chain.length - 1).count
        chunk_empty(chain, slabs, chain.length - 1)
        chunk_free(chain, slabs, slot_at(chain, chain.length - 1).ref)
        chain.length -= 1
    ring_free(chain, slabs)
    return True


cdef bint chain_push(Chain* chain, Slabs* slabs, const Slice* value, bint left) noexcept nogil:
    cdef size_t need = element_bytes(value.size)
    cdef uint32_t index = 0 if left or chain.length == 0 else chain.length - 1
    cdef uint8_t* p = NULL
    cdef Block* block = NULL
    cdef Chunk* chunk
    if value.size > ELEMENT_MAX:
        block = block_of(slabs, value)
        if block is NULL:
            return False
    if chain.length:
        chunk = chunk_at(slabs, chain, index)
        p = room(chain, slabs, index, 0 if left else chunk.end - chunk.start, need, False)
    if p is NULL:
        if not left:
            index = chain.length
        chunk = chunk_new(chain, slabs, index, need)
        if chunk is NULL:
            if block is not NULL:
                block_release(slabs, block)
            return False
        if left:
            chunk.start = chunk.end = chunk.capacity
        p = room(chain, slabs, index, 0, need, True)
    element_write(p, value, block)
    counted(chain, slabs, index, value, block)
    return True


cdef inline void counted(Chain* chain, Slabs* slabs, uint32_t index, const Slice* value,
                         Block* block) noexcept nogil:
    """Count an element that was written into a chunk."""
    cdef Chunk* chunk = chunk_at(slabs, chain, index)
    cdef size_t packed = packed_bytes(value)
    chunk.packed += packed
    chain.packed += <int64_t>packed
    chain.count += 1
    slot_at(chain, index).count += 1
    if block is not NULL:
        chunk.blocks += 1
        chain.bytes += block_cost(block)


cdef inline void uncounted(Chain* chain, Slabs* slabs, uint32_t index,
                           const uint8_t* p) noexcept nogil:
    """Take an element that goes out of the sums, and let its block go."""
    cdef Chunk* chunk = chunk_at(slabs, chain, index)
    cdef Slice value
    cdef size_t packed
    element_read(p, &value)
    packed = packed_bytes(&value)
    chunk.packed -= packed
    chain.packed -= <int64_t>packed
    chain.count -= 1
    slot_at(chain, index).count -= 1
    if value.block is not NULL:
        chunk.blocks -= 1
        let_go(chain, slabs, value.block)


cdef void chain_end(const Chain* chain, const Slabs* slabs, bint left, Slice* found) noexcept nogil:
    cdef Chunk* chunk = chunk_at(slabs, chain, 0 if left else chain.length - 1)
    if left:
        element_read(chunk_data(chunk) + chunk.start, found)
    else:
        element_read(element_before(chunk_data(chunk) + chunk.end), found)


cdef void chain_drop(Chain* chain, Slabs* slabs, bint left, int64_t count) noexcept nogil:
    cdef uint32_t index
    cdef Chunk* chunk
    cdef const uint8_t* p
    while count > 0:
        index = 0 if left else chain.length - 1
        if slot_at(chain, index).count <= count:
            count -= slot_at(chain, index).count
            chunk_empty(chain, slabs, index)
            chunk_free(chain, slabs, slot_at(chain, index).ref)
            chain.length -= 1
            if left:
                chain.head = (chain.head + 1) & chain.mask
            continue
        chunk = chunk_at(slabs, chain, index)
        while count > 0:
            count -= 1
            if left:
                p = chunk_data(chunk) + chunk.start
                uncounted(chain, slabs, index, p)
                chunk.start = <uint16_t>(element_after(p) - chunk_data(chunk))
            else:
                p = element_before(chunk_data(chunk) + chunk.end)
                uncounted(chain, slabs, index, p)
                chunk.end = <uint16_t>(p - chunk_data(chunk))
    if chain.length == 1:
        shrink(chain, slabs)


cdef uint8_t* gap_beside(Chain* chain, Slabs* slabs, uint32_t index, size_t offset, size_t need,
                         uint32_t* where) noexcept nogil:
    """Make a gap beside a chunk that is full: in its neighbour, in a new one, or by a split.

    `where` gets the index of the chunk the gap is in.
    """
    cdef Chunk* chunk = chunk_at(slabs, chain, index)
    cdef size_t used = chunk.end - chunk.start
    cdef size_t before
    cdef Chunk* other
    cdef uint8_t* p
    cdef const uint8_t* one
    cdef Slice value
    if offset == 0 and index > 0:
        other = chunk_at(slabs, chain, index - 1)
        p = room(chain, slabs, index - 1, other.end - other.start, need, True)
        where[0] = index - 1
        if p is not NULL:
            return p
    if offset == used and index + 1 < chain.length:
        p = room(chain, slabs, index + 1, 0, need, True)
        where[0] = index + 1
        if p is not NULL:
            return p
    where[0] = index if offset == 0 else index + 1
    if offset == 0 or offset == used:
        other = chunk_new(chain, slabs, where[0], need)
        return NULL if other is NULL else room(chain, slabs, where[0], 0, need, True)
    # The elements behind the gap go to a new chunk, and the gap before them if it fits there too.
    if sizeof(Chunk) + used - offset + need > CHUNK_MAX:
        where[0] = index
    before = need if where[0] > index else 0
    other = chunk_new(chain, slabs, index + 1, before + used - offset)
    if other is NULL:
        return NULL
    chunk = chunk_at(slabs, chain, index)
    memcpy(chunk_data(other) + before, chunk_data(chunk) + chunk.start + offset, used - offset)
    other.end = <uint16_t>(before + used - offset)
    chunk.end = <uint16_t>(chunk.start + offset)
    one = chunk_data(other) + before
    while one < chunk_data(other) + other.end:
        other.blocks += one[0] == IN_BLOCK
        one = element_read(one, &value)
        other.packed += packed_bytes(&value)
        slot_at(chain, index + 1).count += 1
    slot_at(chain, index).count -= slot_at(chain, index + 1).count
    chunk.blocks -= other.blocks
    chunk.packed -= other.packed
    return chunk_data(other) if before else room(chain, slabs, index, offset, need, True)


cdef bint chain_insert(Chain* chain, Slabs* slabs, Cursor* cursor,
                       const Slice* value) noexcept nogil:
    cdef size_t need = element_bytes(value.size)
    cdef size_t offset = <size_t>(cursor.p - cursor.start)
    cdef uint32_t index = cursor.slot
    cdef Block* block = NULL
    cdef uint8_t* p
    if value.size > ELEMENT_MAX:
        block = block_of(slabs, value)
        if block is NULL:
            return False
    p = room(chain, slabs, index, offset, need, True)
    if p is NULL:
        p = gap_beside(chain, slabs, cursor.slot, offset, need, &index)
    if p is NULL:
        if block is not NULL:
            block_release(slabs, block)
        return False
    element_write(p, value, block)
    counted(chain, slabs, index, value, block)
    return True


cdef bint chain_replace(Chain* chain, Slabs* slabs, int64_t index,
                        const Slice* value) noexcept nogil:
    cdef Cursor cursor
    cdef Slice old
    cdef Block* block = NULL
    cursor_seek(&cursor, slabs, chain, index)
    element_read(cursor.p, &old)
    if element_bytes(old.size) == element_bytes(value.size):
        if value.size > ELEMENT_MAX:
            block = block_of(slabs, value)
            if block is NULL:
                return False
        uncounted(chain, slabs, cursor.slot, cursor.p)
        element_write(<uint8_t*>cursor.p, value, block)
        counted(chain, slabs, cursor.slot, value, block)
        return True
    if not chain_insert(chain, slabs, &cursor, value):
        return False
    cursor_seek(&cursor, slabs, chain, index + 1)
    chain_remove(chain, slabs, &cursor)
    if slot_at(chain, cursor.slot).count == 0:
        chain_tidy(chain, slabs)
    return True


cdef void chain_remove(Chain* chain, Slabs* slabs, Cursor* cursor) noexcept nogil:
    cdef Chunk* chunk = chunk_at(slabs, chain, cursor.slot)
    cdef uint8_t* p = <uint8_t*>cursor.p
    cdef size_t size = <size_t>(element_after(p) - p)
    uncounted(chain, slabs, cursor.slot, p)
    if p - cursor.start < cursor.end - p:
        memmove(<uint8_t*>cursor.start + size, cursor.start, <size_t>(p - cursor.start))
        chunk.start += <uint16_t>size
        cursor.start += size
        cursor.p += size
    else:
        memmove(p, p + size, <size_t>(cursor.end - p) - size)
        chunk.end -= <uint16_t>size
        cursor.end -= size


cdef bint absorbed(Chain* chain, Slabs* slabs, uint32_t index, Slot* slot) noexcept nogil:
    """Append the elements of a chunk to another one if they fit as that is."""
    cdef Chunk* chunk = chunk_at(slabs, chain, index)
    cdef Chunk* other = <Chunk*>at(slabs, slot.ref)
    cdef size_t used = chunk.end - chunk.start
    cdef size_t more = other.end - other.start
    if used + more > chunk.capacity:
        return False
    memmove(chunk_data(chunk), chunk_data(chunk) + chunk.start, used)
    memcpy(chunk_data(chunk) + used, chunk_data(other) + other.start, more)
    chunk.start = 0
    chunk.end = <uint16_t>(used + more)
    chunk.blocks += other.blocks
    chunk.packed += other.packed
    slot_at(chain, index).count += slot.count
    return True


cdef void chain_tidy(Chain* chain, Slabs* slabs) noexcept nogil:
    """Free the chunks that are empty, and merge those that fit into one."""
    cdef uint32_t i
    cdef uint32_t kept = 0
    cdef Slot slot
    for i in range(chain.length):
        slot = slot_at(chain, i)[0]
        if slot.count == 0 or (kept and absorbed(chain, slabs, kept - 1, &slot)):
            chunk_free(chain, slabs, slot.ref)
        else:
            slot_at(chain, kept)[0] = slot
            kept += 1
    chain.length = kept
    if kept == 1:
        shrink(chain, slabs)


cdef inline bint equal(const Slice* one, const Slice* other) noexcept nogil:
    return one.size == other.size and memcmp(one.data, other.data, one.size) == 0


cdef int64_t strip_forwards(Chain* chain, Slabs* slabs, uint32_t index, const Slice* value,
                            int64_t limit) noexcept nogil:
    """Remove up to `limit` elements from the left of a chunk; what stays is moved once at most."""
    cdef Chunk* chunk = chunk_at(slabs, chain, index)
    cdef uint8_t* to = chunk_data(chunk) + chunk.start
    cdef const uint8_t* end = chunk_data(chunk) + chunk.end
    cdef const uint8_t* p = to
    cdef const uint8_t* kept = to            # from here to `p` all stays
    cdef const uint8_t* following
    cdef int64_t removed = 0
    cdef Slice one
    while p < end and removed < limit:
        following = element_read(p, &one)
        if equal(&one, value):
            uncounted(chain, slabs, index, p)
            removed += 1
            memmove(to, kept, <size_t>(p - kept))
            to += p - kept
            kept = following
        p = following
    memmove(to, kept, <size_t>(end - kept))
    chunk.end = <uint16_t>(to + (end - kept) - chunk_data(chunk))
    return removed


cdef int64_t strip_backwards(Chain* chain, Slabs* slabs, uint32_t index, const Slice* value,
                             int64_t limit) noexcept nogil:
    """The same from the right: what stays moves to the end."""
    cdef Chunk* chunk = chunk_at(slabs, chain, index)
    cdef const uint8_t* start = chunk_data(chunk) + chunk.start
    cdef uint8_t* to = chunk_data(chunk) + chunk.end
    cdef const uint8_t* p = to
    cdef const uint8_t* kept = to            # from `p` to here all stays
    cdef const uint8_t* one_at
    cdef int64_t removed = 0
    cdef Slice one
    while p > start and removed < limit:
        one_at = element_before(p)
        element_read(one_at, &one)
        if equal(&one, value):
            uncounted(chain, slabs, index, one_at)
            removed += 1
            to -= kept - p
            memmove(to, p, <size_t>(kept - p))
            kept = one_at
        p = one_at
    to -= kept - start
    memmove(to, start, <size_t>(kept - start))
    chunk.start = <uint16_t>(to - chunk_data(chunk))
    return removed


cdef int64_t chain_strip(Chain* chain, Slabs* slabs, const Slice* value, int64_t limit,
                         bint left) noexcept nogil:
    cdef int64_t removed = 0
    cdef uint32_t i
    for i in range(chain.length):
        if removed == limit:
            break
        if left:
            removed += strip_forwards(chain, slabs, i, value, limit - removed)
        else:
            removed += strip_backwards(
                chain, slabs, chain.length - 1 - i, value, limit - removed)
    if removed:
        chain_tidy(chain, slabs)
    return removed


cdef int chain_defragment(Chain* chain, Slabs* slabs, uint64_t* position, int64_t limit,
                          int64_t* moved) noexcept nogil:
    cdef Slot* slot
    cdef Ref ref
    while position[0] < chain.length:
        if limit <= 0:
            return 0
        limit -= 1
        slot = slot_at(chain, <uint32_t>position[0])
        position[0] += 1
        if slab_sparse(slabs, slot.ref):
            ref = slab_move(slabs, slot.ref,
                            (<Chunk*>at(slabs, slot.ref)).capacity + sizeof(Chunk))
            if ref:
                slot.ref = ref
                moved[0] += 1
    return 1
