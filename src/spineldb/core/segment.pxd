"""Inside the table: buckets, segments, the directory (design: `table.pyx`).

Only the modules of the table itself cimport from here; everybody else from `table.pxd`.
"""

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp

from spineldb.core.hashing cimport HashKey, keyed_hash
from spineldb.core.slab cimport SLAB_BYTES, Ref, Slabs, at

# Where an entry's key lies: `key` of the entry at `entry`, its length in `size`.
ctypedef const char* (*KeyOf)(const uint8_t* entry, size_t* size) noexcept nogil

cdef extern from *:
    """
    #include <stdint.h>
    #if defined(__SSE2__)
    #include <emmintrin.h>
    #endif
    #define spinel_prefetch(p) __builtin_prefetch((p), 0, 3)
    #define spinel_lowest(mask) __builtin_ctz(mask)
    #define spinel_log2(n) (31 - __builtin_clz(n))
    #define spinel_likely(x) __builtin_expect(!!(x), 1)

    /* One bit for each of the 12 slots whose tag is this. */
    static inline unsigned spinel_match(const uint8_t* tags, uint8_t tag) {
    #if defined(__SSE2__)
        __m128i all = _mm_load_si128((const __m128i*)tags);
        return _mm_movemask_epi8(_mm_cmpeq_epi8(all, _mm_set1_epi8((char)tag))) & 0xfff;
    #else
        unsigned mask = 0;
        int i;
        for (i = 0; i < 12; i++) mask |= (unsigned)(tags[i] == tag) << i;
        return mask;
    #endif
    }
    /* One bit for each free slot. */
    static inline unsigned spinel_holes(const uint32_t* refs) {
    #if defined(__SSE2__)
        __m128i zero = _mm_setzero_si128();
        const __m128i* p = (const __m128i*)refs;
        unsigned mask = 0;
        int i;
        for (i = 0; i < 3; i++) {
            __m128i four = _mm_cmpeq_epi32(_mm_load_si128(p + i), zero);
            mask |= (unsigned)_mm_movemask_ps(_mm_castsi128_ps(four)) << (4 * i);
        }
        return mask;
    #else
        unsigned mask = 0;
        int i;
        for (i = 0; i < 12; i++) mask |= (unsigned)(refs[i] == 0) << i;
        return mask;
    #endif
    }
    """
    void prefetch "spinel_prefetch"(const void* p) noexcept nogil
    int lowest "spinel_lowest"(uint32_t mask) noexcept nogil
    int log2_of "spinel_log2"(uint32_t n) noexcept nogil
    bint likely "spinel_likely"(bint x) noexcept nogil
    uint32_t match "spinel_match"(const uint8_t* tags, uint8_t tag) noexcept nogil
    uint32_t holes "spinel_holes"(const uint32_t* refs) noexcept nogil

cdef enum:
    SLOTS = 12
    ALL_SLOTS = 0xfff
    COUNT = 0x0f                 # the fields of `meta`
    REACH = 0x30
    REACH_SHIFT = 4
    SPILLED = 0x40
    DISPLACEMENTS = 8            # shift of the first one
    REACH_MAX = 3
    HOP_MAX = 32
    PAGE_BUCKETS = 64
    PAGES_MIN = 2
    PAGES_MAX = 4
    BUCKETS_MIN = 128            # PAGES_MIN * PAGE_BUCKETS: below, a small table
    SEGMENT_BITS = 15
    AHEAD = 32                   # entries prefetched ahead of a split's hashing
    # Loads, in 1/128: grow above FULL, shrink when what remains would fill the smaller size to EASY
    FULL = 119
    EASY = 96
    SMALL_EASY = 80

cdef struct Bucket:
    uint8_t tags[SLOTS]
    uint32_t meta
    Ref refs[SLOTS]

cdef struct Item:
    uint32_t x
    Ref ref

cdef struct Spill:               # one allocation: what found no room
    uint32_t count
    uint32_t capacity
    # items follow: see spill_items()

cdef struct Segment:             # 40 bytes, in a dense array: random keys draw from it
    Bucket* base
    uint32_t count
    uint16_t buckets
    uint8_t depth                # bits of the hash that all its keys share
    uint8_t bits                 # of x
    uint32_t prefix              # those shared bits
    Ref memory
    Spill* spill

cdef struct Place:               # where an entry's reference is kept, or where it was looked for
    Bucket* bucket
    int slot
    uint64_t geometry            # valid while the table's counter still says this

cdef struct Table:
    uint64_t count               # entries
    uint64_t geometry            # grows whenever references change their places
    size_t bytes                 # the table's own memory, to the byte; it is in `slabs.used` too
    Slabs* slabs
    const HashKey* key
    KeyOf key_of
    void* state                  # State

cdef struct State:
    # A table of one segment is read from here, a larger one through the directory.
    uint64_t* directory          # NULL while there is one segment
    Segment* segments            # &only, or an array of `capacity`
    uint32_t segment_count
    uint32_t capacity
    uint8_t depth                # bits that index the directory
    uint32_t deepest             # segments of that depth: none left, and the directory halves
    uint32_t sizes[PAGES_MAX + 1]    # segments of so many pages
    uint32_t spilled             # entries in spill lists
    Segment only

# A directory entry: segment index 24 bits | slab 24 bits | depth 8 bits | pages 8 bits.

cdef struct Spot:                # where a hash is at home
    Bucket* base
    uint32_t buckets
    uint32_t home
    uint32_t x
    uint32_t index               # of the segment

cdef inline void locate(const Table* table, uint64_t hash, Spot* spot) noexcept nogil:
    cdef const State* state = <const State*>table.state
    cdef uint64_t entry
    cdef uint32_t pages
    if state.directory is NULL:
        spot.base = state.only.base
        spot.buckets = state.only.buckets
        spot.x = <uint32_t>(hash >> (64 - state.only.bits))
        spot.home = (spot.x * spot.buckets) >> state.only.bits
        spot.index = 0
        return
    entry = state.directory[hash >> (64 - state.depth)]
    pages = entry & 0xff
    spot.base = <Bucket*>(table.slabs.base + <size_t>((entry >> 16) & 0xffffff) * SLAB_BYTES)
    spot.buckets = pages * PAGE_BUCKETS
    spot.x = <uint32_t>((hash << ((entry >> 8) & 0xff)) >> (64 - SEGMENT_BITS))
    spot.home = (spot.x * pages) >> (SEGMENT_BITS - 6)
    spot.index = <uint32_t>(entry >> 40)

cdef inline Segment* segment_of(const Table* table, uint64_t hash) noexcept nogil:
    cdef const State* state = <const State*>table.state
    if state.directory is NULL:
        return &state.segments[0]
    return &state.segments[state.directory[hash >> (64 - state.depth)] >> 40]

cdef inline int known_bits(const Table* table, uint64_t hash) noexcept nogil:
    """So many upper bits of a hash say where in the table it is at home."""
    cdef const Segment* segment = segment_of(table, hash)
    return segment.depth + segment.bits

cdef inline uint32_t reach_of(const Bucket* bucket) noexcept nogil:
    return (bucket.meta & REACH) >> REACH_SHIFT

cdef inline uint32_t displacement(const Bucket* bucket, int slot) noexcept nogil:
    return (bucket.meta >> (DISPLACEMENTS + 2 * slot)) & 3

cdef inline uint32_t lowest_x(uint32_t home, uint32_t buckets, uint32_t bits) noexcept nogil:
    """The first x that is at home in a bucket: home * 2 ** bits / buckets, rounded up."""
    return ((home << bits) + buckets - 1) // buckets

cdef inline uint32_t x_of(uint32_t home, uint8_t tag, uint32_t first) noexcept nogil:
    """The one x with this tag among the at most 256 from `first` on."""
    return first + ((tag - first) & 0xff)

cdef inline Item* spill_items(Spill* spill) noexcept nogil:
    return <Item*>(spill + 1)

cdef inline size_t spill_bytes(uint32_t capacity) noexcept nogil:
    return sizeof(Spill) + capacity * sizeof(Item)

cdef inline bint full(const Bucket* bucket) noexcept nogil:
    return bucket.meta & COUNT == SLOTS

cdef inline uint64_t hash_of(const Table* table, Ref ref) noexcept nogil:
    cdef size_t size
    cdef const char* key = table.key_of(<const uint8_t*>at(table.slabs, ref), &size)
    return keyed_hash(table.key, key, size)
cdef inline bint same_key(const Table* table, Ref ref, const char* key, size_t size) noexcept nogil:
    cdef size_t own_size
    cdef const char* own = table.key_of(<const uint8_t*>at(table.slabs, ref), &own_size)
    return own_size == size and memcmp(own, key, size) == 0

# -- placing and removing (segment.pyx)
cdef bint place_entry(Bucket* base, uint32_t buckets, uint32_t home, uint32_t x, Ref ref,
                      uint64_t* geometry) noexcept nogil
# The place of a known entry: False if the table does not hold this very reference.
cdef bint table_find_ref(const Table* table, uint64_t hash, Ref ref, Place* place) noexcept nogil
# The same key in another allocation: no probing, no geometry change.
cdef void table_replace(Table* table, const Place* place, Ref ref) noexcept nogil
# Forgets the entry (which stays allocated: it is the caller's) and may shrink.
cdef void table_remove(Table* table, uint64_t hash, const Place* place) noexcept
# Clear a slot and bring its home's bookkeeping up to date, without shrinking.
cdef void forget(Table* table, Segment* segment, uint64_t hash, const Place* place) noexcept nogil
cdef bint spill_add(Table* table, Segment* segment, uint32_t x, Ref ref) noexcept nogil
cdef void spill_remove(Table* table, Segment* segment, uint32_t i) noexcept nogil
cdef void spill_free(Table* table, Spill* spill) noexcept nogil
# Find a spilled entry by its key, or (key NULL) by its reference.
cdef Ref find_spilled(const Table* table, const Spot* spot, const char* key, size_t size,
                      Ref wanted, Place* place) noexcept nogil

# -- growing and shrinking (segment.pyx)
cdef bint buckets_new(Table* table, Segment* segment, uint32_t buckets) noexcept nogil
cdef void buckets_free(Table* table, Segment* segment) noexcept nogil
# Make a segment larger by its step, or two of it. False, and unchanged, without memory. The array
# of segments may move.
cdef bint grow(Table* table, Segment* segment) noexcept nogil
# Lay an empty table out for so many entries, which then come without a split, if they are as many.
# False, and unchanged, without memory.
cdef bint table_reserve(Table* table, uint64_t count) noexcept nogil
# Back to a table of one segment (or to none, when the table is deleted).
cdef void collapse(Table* table) noexcept nogil
