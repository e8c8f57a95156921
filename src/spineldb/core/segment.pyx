"""Inside the table: how entries find room in a segment, and how segments grow, split and merge.

`table.pyx` tells the design. This is the part that moves references: placing (with hopscotch),
removing, the spill lists, the memory of segments and directory, and the changes of size. Each
change of size keeps the old layout until the new one stands, so that running out of memory leaves
everything as it was.
"""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from spineldb.core.slab cimport (
    Ref, at, class_size, malloc_cost, slab_alloc, slab_free, slab_malloc, slab_malloc_free,
    slab_run, slab_run_free, slab_run_resize,
)

# ---------------------------------------------------------------------- placing and removing

cdef inline void put(Bucket* bucket, uint32_t tag, uint32_t d, Ref ref) noexcept nogil:
    """Fill a free slot; there must be one."""
    cdef int slot = lowest(holes(bucket.refs))
    cdef uint32_t shift = DISPLACEMENTS + 2 * slot
    bucket.tags[slot] = <uint8_t>tag
    bucket.refs[slot] = ref
    bucket.meta = ((bucket.meta & ~(<uint32_t>3 << shift)) | (d << shift)) + 1


cdef inline void stretch(Bucket* home, uint32_t d) noexcept nogil:
    """Something homed here lies `d` buckets on."""
    if reach_of(home) < d:
        home.meta = (home.meta & ~<uint32_t>REACH) | (d << REACH_SHIFT)


cdef bint place_entry(Bucket* base, uint32_t buckets, uint32_t home, uint32_t x, Ref ref,
                      uint64_t* geometry) noexcept nogil:
    """Put a reference into its home or near it. False if there is no way."""
    cdef uint32_t d = 0
    cdef uint32_t b = home
    if likely(not full(&base[home])):
        put(&base[home], x, 0, ref)
        return True
    for d in range(1, min(REACH_MAX + 1, buckets)):
        b = b + 1 if b + 1 < buckets else 0
        if not full(&base[b]):
            put(&base[b], x, d, ref)
            stretch(&base[home], d)
            return True
    return hop(base, buckets, home, x, ref, geometry)


cdef bint hop(Bucket* base, uint32_t buckets, uint32_t home, uint32_t x, Ref ref,
              uint64_t* geometry) noexcept nogil:
    """Bring a hole from further on to where this entry may lie, by moving others into it."""
    cdef uint32_t distance = REACH_MAX + 1
    cdef uint32_t limit = min(HOP_MAX, buckets - 1)
    cdef uint32_t step
    if buckets <= REACH_MAX + 1:
        return False
    while distance <= limit and full(&base[(home + distance) % buckets]):
        distance += 1
    if distance > limit:
        return False
    while distance > REACH_MAX:
        step = REACH_MAX
        while step and not pass_on(base, buckets, (home + distance) % buckets, step):
            step -= 1
        if step == 0:
            return False
        geometry[0] += 1
        distance -= step
    put(&base[(home + distance) % buckets], x, distance, ref)
    stretch(&base[home], distance)
    return True


cdef bint pass_on(Bucket* base, uint32_t buckets, uint32_t to, uint32_t step) noexcept nogil:
    """Move an entry `step` buckets on, to a bucket with a hole; the hole is then where it was."""
    cdef uint32_t b = (to + buckets - step) % buckets
    cdef Bucket* bucket = &base[b]
    cdef uint32_t d
    cdef int slot
    for slot in range(SLOTS):
        d = displacement(bucket, slot)
        if bucket.refs[slot] and d + step <= REACH_MAX:
            put(&base[to], bucket.tags[slot], d + step, bucket.refs[slot])
            stretch(&base[(b + buckets - d) % buckets], d + step)
            bucket.refs[slot] = 0
            bucket.meta -= 1
            return True
    return False


cdef Ref find_spilled(const Table* table, const Spot* spot, const char* key, size_t size,
                      Ref wanted, Place* place) noexcept nogil:
    """Look in the segment's list, for a key or (with key NULL) for a reference.

    The place of a spilled entry is its list, and SLOTS + its index there.
    """
    cdef Spill* spill = (<State*>table.state).segments[spot.index].spill
    cdef Item* items = spill_items(spill)
    cdef uint32_t i
    for i in range(spill.count):
        if items[i].x != spot.x:
            continue
        if items[i].ref == wanted if key is NULL else same_key(table, items[i].ref, key, size):
            if place is not NULL:
                place.bucket = <Bucket*>spill
                place.slot = SLOTS + i
                place.geometry = table.geometry
            return items[i].ref
    if place is not NULL:
        place.bucket = &spot.base[spot.home]
        place.slot = -1
        place.geometry = table.geometry
    return 0


cdef bint table_find_ref(const Table* table, uint64_t hash, Ref ref, Place* place) noexcept nogil:
    cdef Spot spot
    cdef Bucket* bucket
    cdef uint32_t d
    cdef int slot
    locate(table, hash, &spot)
    for d in range(reach_of(&spot.base[spot.home]) + 1):
        bucket = &spot.base[(spot.home + d) % spot.buckets]
        for slot in range(SLOTS):
            if bucket.refs[slot] == ref:
                place.bucket = bucket
                place.slot = slot
                place.geometry = table.geometry
                return True
    if spot.base[spot.home].meta & SPILLED:
        return find_spilled(table, &spot, NULL, 0, ref, place) != 0
    return False


cdef void table_replace(Table* table, const Place* place, Ref ref) noexcept nogil:
    if place.slot < SLOTS:
        place.bucket.refs[place.slot] = ref
    else:
        spill_items(<Spill*>place.bucket)[place.slot - SLOTS].ref = ref


cdef void table_remove(Table* table, uint64_t hash, const Place* place) noexcept:
    cdef Segment* segment = segment_of(table, hash)
    forget(table, segment, hash, place)
    if not table.slabs.shared:
        relax(table, segment)


cdef void forget(Table* table, Segment* segment, uint64_t hash, const Place* place) noexcept nogil:
    """Clear a slot and bring its home's bookkeeping up to date; the geometry stays."""
    cdef Spot spot
    cdef uint32_t d
    locate(table, hash, &spot)
    segment.count -= 1
    table.count -= 1
    if place.slot >= SLOTS:
        spill_remove(table, segment, place.slot - SLOTS)
        unspill(segment, spot.home)
        return
    d = displacement(place.bucket, place.slot)
    place.bucket.refs[place.slot] = 0
    place.bucket.meta -= 1
    if d and d == reach_of(&spot.base[spot.home]):
        while d and not reached(spot.base, spot.buckets, spot.home, d):
            d -= 1
        spot.base[spot.home].meta &= ~<uint32_t>REACH
        stretch(&spot.base[spot.home], d)


cdef bint reached(const Bucket* base, uint32_t buckets, uint32_t home, uint32_t d) noexcept nogil:
    """Does an entry homed in `home` lie `d` buckets on?"""
    cdef const Bucket* bucket = &base[(home + d) % buckets]
    cdef int slot
    for slot in range(SLOTS):
        if bucket.refs[slot] and displacement(bucket, slot) == d:
            return True
    return False


# ---------------------------------------------------------------------- spilled entries

cdef inline void* take(Table* table, size_t size) noexcept nogil:
    """Memory of the C library for the table itself, counted; NULL without memory."""
    cdef void* p = slab_malloc(table.slabs, size)
    if p is not NULL:
        table.bytes += malloc_cost(size)
    return p


cdef inline void give_back(Table* table, void* p, size_t size) noexcept nogil:
    table.bytes -= malloc_cost(size)
    slab_malloc_free(table.slabs, p, size)


cdef bint spill_add(Table* table, Segment* segment, uint32_t x, Ref ref) noexcept nogil:
    cdef Spill* spill = segment.spill
    cdef Spill* larger
    cdef uint32_t capacity = 4 if spill is NULL else spill.capacity
    cdef Item* item
    if spill is NULL or spill.count == capacity:
        if spill is not NULL:
            capacity *= 2
        larger = <Spill*>take(table, spill_bytes(capacity))
        if larger is NULL:
            return False
        larger.count = 0
        larger.capacity = capacity
        if spill is not NULL:
            larger.count = spill.count
            memcpy(spill_items(larger), spill_items(spill), spill.count * sizeof(Item))
            spill_free(table, spill)
        segment.spill = larger
        spill = larger
        table.geometry += 1
    item = &spill_items(spill)[spill.count]
    item.x = x
    item.ref = ref
    spill.count += 1
    (<State*>table.state).spilled += 1
    return True


cdef void spill_free(Table* table, Spill* spill) noexcept nogil:
    if spill is not NULL:
        give_back(table, spill, spill_bytes(spill.capacity))


cdef void spill_remove(Table* table, Segment* segment, uint32_t i) noexcept nogil:
    """The last one takes the hole."""
    cdef Spill* spill = segment.spill
    spill.count -= 1
    (<State*>table.state).spilled -= 1
    if i < spill.count:
        spill_items(spill)[i] = spill_items(spill)[spill.count]
        table.geometry += 1
    if spill.count == 0:
        spill_free(table, spill)
        segment.spill = NULL


cdef void unspill(Segment* segment, uint32_t home) noexcept nogil:
    """Clear a home's mark when nothing homed there is in the list any more."""
    cdef uint32_t i
    if segment.spill is not NULL:
        for i in range(segment.spill.count):
            if (spill_items(segment.spill)[i].x * segment.buckets) >> segment.bits == home:
                return
    segment.base[home].meta &= ~<uint32_t>SPILLED


# ---------------------------------------------------------------------- memory and the directory

cdef bint buckets_new(Table* table, Segment* segment, uint32_t buckets) noexcept nogil:
    """Give a segment memory for so many empty buckets. False, and unchanged, without memory."""
    cdef State* state = <State*>table.state
    cdef Ref memory
    cdef size_t size = <size_t>buckets * sizeof(Bucket)
    if buckets >= BUCKETS_MIN:
        memory = slab_run(table.slabs, buckets // PAGE_BUCKETS)
    else:
        memory = slab_alloc(table.slabs, size)
    if memory == 0:
        return False
    segment.memory = memory
    segment.base = <Bucket*>at(table.slabs, memory)
    segment.buckets = <uint16_t>buckets
    segment.bits = SEGMENT_BITS if buckets >= BUCKETS_MIN else <uint8_t>(8 + log2_of(buckets))
    memset(segment.base, 0, size)
    table.bytes += bucket_bytes(buckets)
    if buckets >= BUCKETS_MIN:
        state.sizes[buckets // PAGE_BUCKETS] += 1
    return True


cdef inline size_t bucket_bytes(uint32_t buckets) noexcept nogil:
    return class_size(<size_t>buckets * sizeof(Bucket))


cdef void buckets_free(Table* table, Segment* segment) noexcept nogil:
    cdef uint32_t buckets = segment.buckets
    table.bytes -= bucket_bytes(buckets)
    if buckets >= BUCKETS_MIN:
        (<State*>table.state).sizes[buckets // PAGE_BUCKETS] -= 1
        slab_run_free(table.slabs, segment.memory, buckets // PAGE_BUCKETS)
    else:
        slab_free(table.slabs, segment.memory, <size_t>buckets * sizeof(Bucket))


cdef bint segments_reserve(Table* table) noexcept nogil:
    """Make room for one more segment; the array may move."""
    cdef State* state = <State*>table.state
    cdef uint32_t capacity = max(state.capacity + state.capacity // 4, 8)
    cdef Segment* larger
    if state.segment_count < state.capacity:
        return True
    larger = <Segment*>take(table, capacity * sizeof(Segment))
    if larger is NULL:
        return False
    memcpy(larger, state.segments, state.segment_count * sizeof(Segment))
    segments_free(table)
    state.segments = larger
    state.capacity = capacity
    return True


cdef void segments_free(Table* table) noexcept nogil:
    cdef State* state = <State*>table.state
    if state.segments is not &state.only:
        give_back(table, state.segments, state.capacity * sizeof(Segment))


cdef void collapse(Table* table) noexcept nogil:
    """Back to a table of one segment (or to none, when the table is deleted)."""
    cdef State* state = <State*>table.state
    if state.directory is not NULL:
        give_back(table, state.directory, sizeof(uint64_t) << state.depth)
    if state.segments is not &state.only:
        state.only = state.segments[0]
        segments_free(table)
    state.directory = NULL
    state.segments = &state.only
    state.capacity = 1
    state.depth = 0


cdef bint directory_double(Table* table) noexcept nogil:
    cdef State* state = <State*>table.state
    cdef size_t n = <size_t>1 << state.depth
    cdef size_t i
    cdef uint64_t* larger
    if state.depth == 32:
        return False
    larger = <uint64_t*>take(table, 2 * n * sizeof(uint64_t))
    if larger is NULL:
        return False
    if state.directory is not NULL:
        for i in range(n):
            larger[2 * i] = state.directory[i]
            larger[2 * i + 1] = state.directory[i]
        give_back(table, state.directory, n * sizeof(uint64_t))
    state.directory = larger
    state.depth += 1
    state.deepest = 0
    return True


cdef void directory_halve(Table* table) noexcept nogil:
    """No segment needs the last bit. Without memory for the smaller one it stays as it is."""
    cdef State* state = <State*>table.state
    cdef size_t n = <size_t>1 << (state.depth - 1)
    cdef size_t i
    cdef uint64_t* smaller = <uint64_t*>take(table, n * sizeof(uint64_t))
    if smaller is NULL:
        return
    for i in range(n):
        smaller[i] = state.directory[2 * i]
    give_back(table, state.directory, 2 * n * sizeof(uint64_t))
    state.directory = smaller
    state.depth -= 1
    state.deepest = 0
    for i in range(state.segment_count):
        state.deepest += state.segments[i].depth == state.depth


cdef void directory_relax(Table* table) noexcept nogil:
    """Halve the directory while nothing needs its last bit; drop it when one segment is left."""
    cdef State* state = <State*>table.state
    cdef uint8_t depth
    while state.directory is not NULL and state.deepest == 0:
        if state.segment_count == 1:
            collapse(table)
            return
        depth = state.depth
        directory_halve(table)
        if state.depth == depth:
            return


cdef void enlist(Table* table, uint32_t index) noexcept nogil:
    """Write a segment into its part of the directory."""
    cdef State* state = <State*>table.state
    cdef Segment* segment = &state.segments[index]
    cdef uint32_t spare
    cdef size_t first, i
    cdef uint64_t entry
    if state.directory is NULL:
        return
    spare = state.depth - segment.depth
    first = <size_t>segment.prefix << spare
    entry = (<uint64_t>index << 40) | (<uint64_t>(segment.memory // 2048) << 16) \
        | (<uint64_t>segment.depth << 8) | (segment.buckets // PAGE_BUCKETS)
    for i in range(first, first + (<size_t>1 << spare)):
        state.directory[i] = entry


cdef void segment_drop(Table* table, uint32_t index) noexcept nogil:
    """Close the gap in the dense array: the last segment moves there."""
    cdef State* state = <State*>table.state
    state.segment_count -= 1
    if index != state.segment_count:
        state.segments[index] = state.segments[state.segment_count]
        enlist(table, index)


# ---------------------------------------------------------------------- growing and shrinking

cdef struct Source:              # a segment's content, kept until the new layout stands
    const Bucket* base
    uint32_t buckets
    uint32_t bits
    uint32_t depth
    const Spill* spill


cdef bint lay(Table* table, Segment* segment, Spill** spill, uint32_t x, Ref ref) noexcept nogil:
    """Place an entry in a segment under construction, whose spilled entries gather in `spill`."""
    cdef Spill* kept
    cdef bint done
    cdef uint32_t home = (x * segment.buckets) >> segment.bits
    if place_entry(segment.base, segment.buckets, home, x, ref, &table.geometry):
        return True
    kept = segment.spill
    segment.spill = spill[0]
    done = spill_add(table, segment, x, ref)
    spill[0] = segment.spill
    segment.spill = kept
    if done:
        segment.base[home].meta |= SPILLED
    return done


cdef void spill_drop(Table* table, Spill* spill) noexcept nogil:
    """Give up a list under construction, or one that another replaces."""
    if spill is not NULL:
        (<State*>table.state).spilled -= spill.count
        spill_free(table, spill)


cdef bint relay(Table* table, const Source* source, Segment* target, Spill** spill, uint32_t prefix,
                int dropped) noexcept nogil:
    """Lay a source's entries out in a segment without reading them.

    x keeps its upper bits, or (merging) loses `dropped` at its end and gains `prefix` before it.
    """
    cdef uint32_t b, d, home, x
    cdef const Bucket* bucket
    cdef const Item* item
    cdef int slot
    for b in range(source.buckets):
        bucket = &source.base[b]
        for slot in range(SLOTS):
            if bucket.refs[slot] == 0:
                continue
            d = displacement(bucket, slot)
            home = b - d if b >= d else b + source.buckets - d
            x = x_of(home, bucket.tags[slot], lowest_x(home, source.buckets, source.bits))
            x = (x >> dropped) | prefix
            if not lay(table, target, spill, x, bucket.refs[slot]):
                return False
    if source.spill is not NULL:
        for b in range(source.spill.count):
            item = &spill_items(<Spill*>source.spill)[b]
            if not lay(table, target, spill, (item.x >> dropped) | prefix, item.ref):
                return False
    return True


cdef uint32_t gather(const Source* source, Ref* refs) noexcept nogil:
    """All references of a source's buckets; returns how many."""
    cdef uint32_t b
    cdef uint32_t n = 0
    cdef int slot
    for b in range(source.buckets):
        for slot in range(SLOTS):
            refs[n] = source.base[b].refs[slot]
            n += refs[n] != 0
    return n


cdef bint rehash(Table* table, const Source* source, Segment* left, Spill** left_spill,
                 Segment* right, Spill** right_spill) noexcept nogil:
    """Lay a source's entries out by their whole hashes: in two segments, or (right NULL) in one."""
    cdef Ref refs[PAGES_MAX * PAGE_BUCKETS * SLOTS]
    cdef uint32_t spilled = 0 if source.spill is NULL else source.spill.count
    cdef uint32_t n = gather(source, refs)
    cdef uint32_t i
    cdef uint64_t hash
    cdef Ref ref
    for i in range(min(n, <uint32_t>AHEAD)):
        prefetch(at(table.slabs, refs[i]))
    for i in range(n + spilled):
        if i < n:
            ref = refs[i]
            if i + AHEAD < n:
                prefetch(at(table.slabs, refs[i + AHEAD]))
        else:
            ref = spill_items(<Spill*>source.spill)[i - n].ref
        hash = hash_of(table, ref) << source.depth
        if right is NULL:
            if not lay(table, left, left_spill, <uint32_t>(hash >> (64 - left.bits)), ref):
                return False
        elif hash >> 63:
            right.count += 1
            if not lay(table, right, right_spill, <uint32_t>((hash << 1) >> (64 - SEGMENT_BITS)),
                       ref):
                return False
        else:
            left.count += 1
            if not lay(table, left, left_spill, <uint32_t>((hash << 1) >> (64 - SEGMENT_BITS)),
                       ref):
                return False
    return True


cdef inline void source_of(Source* source, const Segment* segment) noexcept nogil:
    source.base = segment.base
    source.buckets = segment.buckets
    source.bits = segment.bits
    source.depth = segment.depth
    source.spill = segment.spill


cdef bint grow(Table* table, Segment* segment) noexcept nogil:
    """Make a segment larger by its step, or two of it. False, and unchanged, without memory.

    The array of segments may move.
    """
    if segment.buckets < BUCKETS_MIN:
        return resize_small(table, min(segment.buckets + max(1, segment.buckets // 6), BUCKETS_MIN))
    if segment.buckets < PAGES_MAX * PAGE_BUCKETS:
        return resize_pages(table, segment, segment.buckets // PAGE_BUCKETS + 1)
    return split(table, segment)


cdef bint resize_small(Table* table, uint32_t buckets) noexcept nogil:
    """Lay the only segment out anew with so many buckets, at least one of old and new is small."""
    cdef State* state = <State*>table.state
    cdef Segment* segment = &state.only
    cdef Segment new = segment[0]
    cdef Spill* spill = NULL
    cdef Source source
    cdef bint done
    if not buckets_new(table, &new, buckets):
        return False
    source_of(&source, segment)
    if new.bits > segment.bits:
        done = rehash(table, &source, &new, &spill, NULL, NULL)
    else:
        done = relay(table, &source, &new, &spill, 0, segment.bits - new.bits)
    if not done:
        spill_drop(table, spill)
        buckets_free(table, &new)
        return False
    spill_drop(table, segment.spill)
    buckets_free(table, segment)
    segment[0] = new
    segment.spill = spill
    table.geometry += 1
    return True


cdef bint resize_pages(Table* table, Segment* segment, uint32_t pages) noexcept nogil:
    """Give a segment another number of pages, in place. False, and unchanged, without memory."""
    cdef State* state = <State*>table.state
    cdef Bucket saved[PAGES_MAX * PAGE_BUCKETS]
    cdef uint32_t old = segment.buckets
    cdef uint32_t buckets = pages * PAGE_BUCKETS
    cdef Spill* spill = NULL
    cdef Source source
    memcpy(saved, segment.base, old * sizeof(Bucket))
    source_of(&source, segment)
    source.base = saved
    if buckets > old:
        slab_run_resize(table.slabs, segment.memory, old // PAGE_BUCKETS, pages)
    memset(segment.base, 0, buckets * sizeof(Bucket))
    segment.buckets = <uint16_t>buckets
    if not relay(table, &source, segment, &spill, 0, 0):
        spill_drop(table, spill)
        memcpy(segment.base, saved, old * sizeof(Bucket))
        segment.buckets = <uint16_t>old
        if buckets > old:
            slab_run_resize(table.slabs, segment.memory, pages, old // PAGE_BUCKETS)
        return False
    if buckets < old:
        slab_run_resize(table.slabs, segment.memory, old // PAGE_BUCKETS, pages)
    spill_drop(table, segment.spill)
    segment.spill = spill
    table.bytes = table.bytes + bucket_bytes(buckets) - bucket_bytes(old)
    state.sizes[old // PAGE_BUCKETS] -= 1
    state.sizes[pages] += 1
    enlist(table, <uint32_t>(segment - state.segments))
    table.geometry += 1
    return True


cdef inline uint32_t pages_for(uint32_t count) noexcept nogil:
    """The fewest pages that `count` entries do not fill at once."""
    cdef uint32_t pages = PAGES_MIN
    while pages < PAGES_MAX and count * 128 >= pages * (PAGE_BUCKETS * SLOTS * (FULL - 8)):
        pages += 1
    return pages


cdef bint table_reserve(Table* table, uint64_t count) noexcept nogil:
    """Entries in hash order find their buckets one behind the other, and fill them evenly."""
    cdef uint64_t room = PAGES_MAX * PAGE_BUCKETS * SLOTS * (FULL - 8)
    cdef uint8_t depth = 0
    while (count >> depth) * 128 >= room:
        depth += 1
    if depth:
        return reserve_many(table, depth, pages_for(<uint32_t>(count >> depth)) * PAGE_BUCKETS)
    if count * 128 < BUCKETS_MIN * SLOTS * (FULL - 8):
        return resize_small(
            table, max(<uint32_t>(count * 128 // (SLOTS * (FULL - 8))) + 1, <uint32_t>1))
    return resize_small(table, BUCKETS_MIN) and resize_pages(
        table, &(<State*>table.state).only, pages_for(<uint32_t>count))


cdef bint reserve_many(Table* table, uint8_t depth, uint32_t buckets) noexcept nogil:
    """Give an empty table all segments of a depth."""
    cdef State* state = <State*>table.state
    cdef uint32_t n = <uint32_t>1 << depth
    cdef uint32_t i
    cdef uint64_t* directory = <uint64_t*>take(table, n * sizeof(uint64_t))
    cdef Segment* segments = <Segment*>take(table, n * sizeof(Segment))
    cdef uint32_t made = 0
    if directory is not NULL and segments is not NULL:
        memset(segments, 0, n * sizeof(Segment))
        while made < n and buckets_new(table, &segments[made], buckets):
            segments[made].depth = depth
            segments[made].prefix = made
            made += 1
    if made < n:
        for i in range(made):
            buckets_free(table, &segments[i])
        if directory is not NULL:
            give_back(table, directory, n * sizeof(uint64_t))
        if segments is not NULL:
            give_back(table, segments, n * sizeof(Segment))
        return False
    buckets_free(table, &state.only)
    state.directory = directory
    state.segments = segments
    state.segment_count = state.capacity = state.deepest = n
    state.depth = depth
    for i in range(n):
        enlist(table, i)
    table.geometry += 1
    return True


cdef bint split(Table* table, Segment* segment) noexcept nogil:
    """Two segments in place of one of four pages: the next bit of the hash chooses."""
    cdef State* state = <State*>table.state
    cdef uint32_t index = <uint32_t>(segment - state.segments)
    cdef uint32_t pages = pages_for(segment.count // 2)
    cdef Segment left, right
    cdef Spill* left_spill = NULL
    cdef Spill* right_spill = NULL
    cdef Source source
    if not segments_reserve(table):
        return False
    segment = &state.segments[index]
    if segment.depth == state.depth and not directory_double(table):
        if state.directory is NULL:
            collapse(table)
        return False
    enlist(table, index)
    left = segment[0]
    left.depth += 1
    left.prefix <<= 1
    left.count = 0
    left.spill = NULL
    right = left
    right.prefix += 1
    if not buckets_new(table, &left, pages * PAGE_BUCKETS):
        directory_relax(table)
        return False
    if not buckets_new(table, &right, pages * PAGE_BUCKETS):
        buckets_free(table, &left)
        directory_relax(table)
        return False
    source_of(&source, segment)
    if not rehash(table, &source, &left, &left_spill, &right, &right_spill):
        spill_drop(table, left_spill)
        spill_drop(table, right_spill)
        buckets_free(table, &left)
        buckets_free(table, &right)
        directory_relax(table)
        return False
    spill_drop(table, segment.spill)
    buckets_free(table, segment)
    left.spill = left_spill
    right.spill = right_spill
    segment[0] = left
    state.segments[state.segment_count] = right
    state.segment_count += 1
    state.deepest += 2 * (left.depth == state.depth)
    enlist(table, index)
    enlist(table, state.segment_count - 1)
    table.geometry += 1
    return True


cdef void relax(Table* table, Segment* segment) noexcept nogil:
    """Shrink a segment that has emptied by its step, or merge it with its sibling."""
    cdef uint32_t smaller
    if segment.buckets < BUCKETS_MIN or (
        segment.buckets == BUCKETS_MIN and (<State*>table.state).directory is NULL
    ):
        smaller = segment.buckets - max(1, segment.buckets // 4)
        if segment.count * 128 < smaller * (SLOTS * SMALL_EASY):
            resize_small(table, smaller)
        return
    smaller = segment.buckets - PAGE_BUCKETS
    if smaller >= BUCKETS_MIN:
        if segment.count * 128 < smaller * (SLOTS * EASY):
            resize_pages(table, segment, smaller // PAGE_BUCKETS)
    elif segment.count * 128 < BUCKETS_MIN * (SLOTS * EASY):
        merge(table, segment)


cdef void merge(Table* table, Segment* segment) noexcept nogil:
    """One segment in place of two siblings, if they are small enough together."""
    cdef State* state = <State*>table.state
    cdef uint32_t spare = state.depth - segment.depth
    cdef Segment* left = &state.segments[
        state.directory[<size_t>(segment.prefix & ~<uint32_t>1) << spare] >> 40]
    cdef Segment* right = &state.segments[
        state.directory[<size_t>(segment.prefix | 1) << spare] >> 40]
    cdef uint32_t count = left.count + right.count
    cdef uint32_t depth = segment.depth
    cdef Segment new
    cdef Spill* spill = NULL
    cdef Source source
    if left.depth != right.depth or count * 128 >= 3 * PAGE_BUCKETS * SLOTS * EASY:
        return
    new = left[0]
    new.depth -= 1
    new.prefix >>= 1
    new.count = count
    if not buckets_new(table, &new, pages_for(count) * PAGE_BUCKETS):
        return
    source_of(&source, left)
    if relay(table, &source, &new, &spill, 0, 1):
        source_of(&source, right)
        if relay(table, &source, &new, &spill, 1 << (SEGMENT_BITS - 1), 1):
            spill_drop(table, left.spill)
            spill_drop(table, right.spill)
            buckets_free(table, left)
            buckets_free(table, right)
            new.spill = spill
            left[0] = new
            enlist(table, <uint32_t>(left - state.segments))
            state.deepest -= 2 * (depth == state.depth)
            state.deepest += new.depth == state.depth
            segment_drop(table, <uint32_t>(right - state.segments))
            directory_relax(table)
            table.geometry += 1
            return
    spill_drop(table, spill)
    buckets_free(table, &new)
