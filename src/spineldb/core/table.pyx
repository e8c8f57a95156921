"""The one hash table: keyspace, big hashes, sets, sorted-set members.

The problem: 12 bytes a key for pointers and chains is a third of a small entry, and a table that
doubles stops the server and is half empty afterwards. The idea: keep references **in hash order**,
densely, and grow in small steps.

    hash     dddddd xxxxxxxxxxxxxxx ..........      d: directory, x: position in the segment
    home     x * buckets >> bits                    any number of buckets, not just powers of two
    tag      low 8 bits of x                        home and tag together give x back

The upper bits of the 64-bit keyed hash choose a *segment* through a directory, the next ones (x,
15 bits) a *bucket*. A segment has 128, 192 or 256 buckets (2 to 4 pages of one slab of 16 KB: pages
it does not use are never touched). A full one grows by a page; one of four pages splits in two.
One that empties gives a page back, then merges with its sibling. A table below 128 buckets is one
segment of 1, 2, 3, ... buckets that grows by a sixth; its x has 8 + log2(buckets) bits.

A bucket is a cache line: 12 tags, 4 bytes of bookkeeping, 12 references of 32 bits.

    tags[12]   meta: count 4 | reach 2 | spilled 1 | - | displacement 2 x 12    refs[12]

An entry lies in its home bucket or one of the next three (cyclic); its *displacement* says which,
and the *reach* of a home bucket is the greatest displacement of what is homed there, so a lookup
knows where to stop. When all four are full, a hole within 32 buckets is brought nearer by moving
others (Herlihy, Shavit, Tzafrir: Hopscotch hashing, 2008). Twelve tags are compared at once.

Why home and tag give x back: a bucket is the home of at most 256 consecutive values of x, because
buckets >= 2 ** (bits - 8). So growing, shrinking, merging and moving never read an entry. Only
splitting does, and a small table crossing a power of two: x gains a bit at its end. That is one
hash per key per doubling, prefetched.

What cannot be placed while the segment is under half full (many keys of one hash: not by chance)
is *spilled* to a list of the segment and the home bucket remembers it. Growing would not help.

A key's place in hash order never changes, so a scan's cursor is a position in that order, and a
scan misses nothing that stays, whatever the table does meanwhile.

Invariants
- every entry is in one bucket of home .. home + reach, with its true displacement, or spilled;
- a free slot has reference 0 (its tag and displacement are stale);
- directory entries of a segment of depth d are the 2 ** (depth - d) ones that share its prefix;
- memory is taken before anything moves: whoever runs out of memory has changed nothing.
"""

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from spineldb.core.hashing cimport HashKey, keyed_hash
from spineldb.core.segment cimport (
    BUCKETS_MIN, COUNT, FULL, PAGE_BUCKETS, PAGES_MAX, SLOTS, SPILLED, Bucket, Segment, Spot, State,
    buckets_free, buckets_new, collapse, displacement, find_spilled, grow, hash_of, locate,
    lowest, match, place_entry, prefetch, reach_of, same_key, segment_of, spill_add, spill_free,
    spill_items,
)
from spineldb.core.slab cimport (
    Ref, Slabs, at, class_size, ref_of, slab_alloc, slab_free, slab_settle,
)

cdef size_t TABLE_BYTES = sizeof(Table) + sizeof(State)

cdef Table* table_new(Slabs* slabs, const HashKey* key, KeyOf key_of) except NULL:
    """A table of one bucket."""
    cdef Ref ref = slab_alloc(slabs, TABLE_BYTES)
    cdef Table* table
    cdef State* state
    if ref == 0:
        raise MemoryError("no memory for a table")
    table = <Table*>at(slabs, ref)
    memset(table, 0, TABLE_BYTES)
    state = <State*>(table + 1)
    table.slabs = slabs
    table.key = key
    table.key_of = key_of
    table.state = state
    table.bytes = class_size(TABLE_BYTES)
    state.segments = &state.only
    state.segment_count = 1
    state.capacity = 1
    if not buckets_new(table, &state.only, 1):
        slab_free(slabs, ref, TABLE_BYTES)
        raise MemoryError("no memory for a table")
    return table


cdef void table_delete(Table* table) noexcept:
    cdef State* state
    cdef uint32_t i
    if table is NULL:
        return
    state = <State*>table.state
    for i in range(state.segment_count):
        spill_free(table, state.segments[i].spill)
        buckets_free(table, &state.segments[i])
    collapse(table)
    slab_free(table.slabs, ref_of(table.slabs, table), TABLE_BYTES)


cdef Table* table_settle(Table* table, int64_t* moved) noexcept nogil:
    cdef Slabs* slabs = table.slabs
    cdef State* state = <State*>table.state
    cdef Segment* only = &state.only
    cdef Ref ref = ref_of(slabs, table)
    if state.segments is not only or only.buckets >= BUCKETS_MIN:
        return table                 # beside its entries, the rest is nothing
    if slab_settle(slabs, &only.memory, only.buckets * sizeof(Bucket), moved):
        only.base = <Bucket*>at(slabs, only.memory)
        table.geometry += 1
    if slab_settle(slabs, &ref, TABLE_BYTES, moved):
        table = <Table*>at(slabs, ref)
        state = <State*>(table + 1)
        table.state = state
        state.segments = &state.only
    return table


# ---------------------------------------------------------------------- looking up

cdef uint64_t table_hash(const Table* table, const char* key, size_t size) noexcept nogil:
    return keyed_hash(table.key, key, size)


cdef void table_prefetch(const Table* table, uint64_t hash) noexcept nogil:
    cdef Spot spot
    locate(table, hash, &spot)
    prefetch(&spot.base[spot.home])


cdef void table_prefetch_entries(const Table* table, uint64_t hash) noexcept nogil:
    """Follows the displacement: the bucket next door is usually on its way already."""
    cdef Spot spot
    cdef Bucket* bucket
    cdef uint32_t mask, d, reach
    cdef int slot
    cdef const char* entry
    locate(table, hash, &spot)
    reach = reach_of(&spot.base[spot.home])
    for d in range(reach + 1):
        bucket = &spot.base[(spot.home + d) % spot.buckets if d else spot.home]
        mask = match(bucket.tags, <uint8_t>spot.x)
        while mask:
            slot = lowest(mask)
            mask &= mask - 1
            if displacement(bucket, slot) == d:
                entry = <const char*>at(table.slabs, bucket.refs[slot])
                prefetch(entry)
                prefetch(entry + 40)     # header and key may straddle a line


cdef Ref table_find(const Table* table, uint64_t hash, const char* key, size_t size,
                    Place* place) noexcept nogil:
    cdef Spot spot
    cdef Bucket* bucket
    cdef uint32_t mask, reach
    cdef uint32_t d = 0
    cdef uint32_t b
    cdef int slot
    cdef Ref ref
    locate(table, hash, &spot)
    b = spot.home
    reach = reach_of(&spot.base[b])
    while True:
        bucket = &spot.base[b]
        mask = match(bucket.tags, <uint8_t>spot.x)
        while mask:
            slot = lowest(mask)
            ref = bucket.refs[slot]
            if ref and displacement(bucket, slot) == d and same_key(table, ref, key, size):
                if place is not NULL:
                    place.bucket = bucket
                    place.slot = slot
                    place.geometry = table.geometry
                return ref
            mask &= mask - 1
        if d == reach:
            break
        d += 1
        b += 1
        if b == spot.buckets:
            b = 0
    if spot.base[spot.home].meta & SPILLED:
        return find_spilled(table, &spot, key, size, 0, place)
    if place is not NULL:
        place.bucket = &spot.base[spot.home]
        place.slot = -1
        place.geometry = table.geometry
    return 0


# ---------------------------------------------------------------------- inserting

cdef inline bint crowded(uint32_t count, uint32_t buckets) noexcept nogil:
    return count * 128 >= buckets * (SLOTS * FULL)


cdef int table_insert(Table* table, uint64_t hash, Ref ref) except -1:
    cdef State* state = <State*>table.state
    cdef Segment* segment = segment_of(table, hash)
    cdef Spot spot
    if crowded(segment.count, segment.buckets):
        # Growing early keeps probes short; without memory the entry may still find room.
        grow(table, segment)
    while True:
        locate(table, hash, &spot)
        if place_entry(spot.base, spot.buckets, spot.home, spot.x, ref, &table.geometry):
            break
        segment = &state.segments[spot.index]
        if segment.count * 2 < segment.buckets * SLOTS:
            if not spill_add(table, segment, spot.x, ref):
                raise MemoryError("no memory for a table's spilled entry")
            spot.base[spot.home].meta |= SPILLED
            break
        if not grow(table, segment):
            raise MemoryError("no memory for a table to grow")
    state.segments[spot.index].count += 1
    table.count += 1
    return 0


# ---------------------------------------------------------------------- random entries

cdef inline uint64_t mix(uint64_t* seed) noexcept nogil:
    """More random bits from some: splitmix64 (Steele, Lea, Flood, 2014)."""
    cdef uint64_t z
    seed[0] += 0x9e3779b97f4a7c15u
    z = seed[0]
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu
    return z ^ (z >> 31)


cdef Ref table_random(const Table* table, uint64_t random) noexcept nogil:
    """Draw a segment and a slot of the greatest segment until there is an entry: each is as likely.

    Spilled entries follow the slots.
    """
    cdef const State* state = <const State*>table.state
    cdef uint32_t slots
    cdef uint32_t longest = 0
    cdef uint32_t i
    cdef uint64_t draw
    cdef const Segment* segment
    cdef Ref ref
    if table.count == 0:
        return 0
    if state.directory is NULL:
        slots = state.only.buckets * SLOTS
    else:
        i = PAGES_MAX
        while state.sizes[i] == 0:
            i -= 1
        slots = i * (PAGE_BUCKETS * SLOTS)
    if state.spilled:
        for i in range(state.segment_count):
            if state.segments[i].spill is not NULL:
                longest = max(longest, state.segments[i].spill.count)
    while True:
        draw = mix(&random)
        segment = &state.segments[((draw >> 32) * state.segment_count) >> 32]
        i = <uint32_t>((<uint64_t><uint32_t>draw * (slots + longest)) >> 32)
        if i >= slots:
            if segment.spill is not NULL and i - slots < segment.spill.count:
                return spill_items(segment.spill)[i - slots].ref
        elif i < segment.buckets * SLOTS:
            ref = segment.base[i // SLOTS].refs[i % SLOTS]
            if ref:
                return ref


# ---------------------------------------------------------------------- for tests

cdef list table_faults(const Table* table):
    """What contradicts the invariants above, in words; empty when all is well."""
    cdef const State* state = <const State*>table.state
    cdef list faults = []
    cdef uint64_t count = 0
    cdef uint32_t spilled = 0
    cdef uint32_t i
    for i in range(state.segment_count):
        count += state.segments[i].count
        if state.segments[i].spill is not NULL:
            spilled += state.segments[i].spill.count
        segment_faults(table, i, faults)
    if count != table.count:
        faults.append(f"{count} entries in segments, {table.count} counted")
    if spilled != state.spilled:
        faults.append(f"{spilled} spilled, {state.spilled} counted")
    return faults


cdef int segment_faults(const Table* table, uint32_t index, list faults) except -1:
    cdef const Segment* segment = &(<const State*>table.state).segments[index]
    cdef const Bucket* bucket
    cdef Spot spot
    cdef uint32_t b, d
    cdef uint32_t count = 0
    cdef int slot, live
    for b in range(segment.buckets):
        bucket = &segment.base[b]
        live = 0
        for slot in range(SLOTS):
            if bucket.refs[slot] == 0:
                continue
            live += 1
            d = displacement(bucket, slot)
            locate(table, hash_of(table, bucket.refs[slot]), &spot)
            if spot.index != index or spot.base is not segment.base:
                faults.append(f"bucket {b} of segment {index}: an entry of another segment")
            elif (spot.home + d) % spot.buckets != b:
                faults.append(f"bucket {b}: displacement {d}, but home is {spot.home}")
            elif d > reach_of(&spot.base[spot.home]):
                faults.append(f"bucket {b}: displacement {d} beyond the reach of {spot.home}")
            if bucket.tags[slot] != <uint8_t>spot.x:
                faults.append(f"bucket {b}: wrong tag")
        if live != <int>(bucket.meta & COUNT):
            faults.append(f"bucket {b}: {live} entries, {bucket.meta & COUNT} counted")
        count += live
    if segment.spill is not NULL:
        count += segment.spill.count
    if count != segment.count:
        faults.append(f"segment {index}: {count} entries, {segment.count} counted")
    return 0


cdef dict table_shape(const Table* table):
    """Segments, buckets, directory bits and spilled entries, for tests and figures."""
    cdef const State* state = <const State*>table.state
    cdef uint64_t buckets = 0
    cdef uint32_t i
    for i in range(state.segment_count):
        buckets += state.segments[i].buckets
    return {
        "segments": state.segment_count,
        "buckets": buckets,
        "depth": state.depth,
        "spilled": state.spilled,
    }
