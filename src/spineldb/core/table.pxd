"""The one hash table: keyspace, big hashes, sets, sorted-set members (design: `table.pyx`)."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from spineldb.core.hashing cimport HashKey
from spineldb.core.slab cimport Ref, Slabs

# Where an entry's key lies: `key` of the entry at `entry`, its length in `size`.
ctypedef const char* (*KeyOf)(const uint8_t* entry, size_t* size) noexcept nogil
# Called for each entry by scans and walks; a negative result stops the walk. A walk's visitor may
# answer a different Ref through `ref` to have it stored (the entry moved); 0 removes the slot.
ctypedef int (*Visit)(void* context, uint64_t hash, Ref* ref) except -2

cdef struct Bucket               # 64 bytes: see table.pyx
cdef struct Segment

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
    # what follows is the table's own
    void* state

cdef Table* table_new(Slabs* slabs, const HashKey* key, KeyOf key_of) except NULL
# Frees segments and directory, not the entries.
cdef void table_delete(Table* table) noexcept

cdef uint64_t table_hash(const Table* table, const char* key, size_t size) noexcept nogil
# Two stages a few requests ahead of their execution: the bucket, then the entries it may name.
cdef void table_prefetch(const Table* table, uint64_t hash) noexcept nogil
cdef void table_prefetch_entries(const Table* table, uint64_t hash) noexcept nogil
# The entry, or 0. `place` (may be NULL) tells where, for table_replace and table_remove.
cdef Ref table_find(const Table* table, uint64_t hash, const char* key, size_t size,
                    Place* place) noexcept nogil
# The place of a known entry: False if the table does not hold this very reference.
cdef bint table_find_ref(const Table* table, uint64_t hash, Ref ref, Place* place) noexcept nogil
# The key must be absent. Raises MemoryError and changes nothing when there is no memory.
cdef int table_insert(Table* table, uint64_t hash, Ref ref) except -1
# The same key in another allocation: no probing, no geometry change.
cdef void table_replace(Table* table, const Place* place, Ref ref) noexcept nogil
# Forgets the entry (which stays allocated: it is the caller's) and may shrink.
cdef void table_remove(Table* table, uint64_t hash, const Place* place) noexcept
# Are there entries with this hash prefix (its upper `bits`)? Visits each of them, with its whole
# hash. The visitor may change the table as it likes; through `ref` it may replace or remove.
cdef int table_visit_prefix(Table* table, uint64_t prefix, int bits, Visit visit,
                            void* context) except -2

# SCAN: visits every entry homed in the cursor's bucket, with its whole hash, and returns the next
# cursor, 48 bits (0: the end). Every entry present from a scan's first call to its last is visited,
# whatever happens between. The visitor must not change the table; what it stores in `ref` is lost.
cdef uint64_t table_scan(Table* table, uint64_t cursor, Visit visit, void* context) except? 1
# A fair random entry (0 if the table is empty). `random` is 64 random bits, more are derived.
cdef Ref table_random(const Table* table, uint64_t random) noexcept nogil
# One budgeted step of a walk over all entries in memory order, for defragmenting and digests:
# visits about `limit` entries from `*position` on (0 to begin) and advances it; returns 1 at the
# end. It reads no entry, so `hash` is only as much as the table knows: the upper bits, then zeros.
# Like a scan it misses nothing that stays; within a step the visitor changes nothing but `ref`.
cdef int table_walk(Table* table, uint64_t* position, int64_t limit, Visit visit,
                    void* context) except -1
# One budgeted step of taking a table apart that nobody looks at any more: visits about `limit`
# entries, forgets them and frees their segments; returns 1 when the table is empty. From the first
# step on only table_drain and table_delete may be called.
cdef int table_drain(Table* table, int64_t limit, Visit visit, void* context) except -1
# The defragmenting step: table_walk which moves what lies in sparse slabs. `size_of` tells an
# entry's size, 0 if it may not move (pinned); adds the entries moved to `*moved`; 1 at the end.
ctypedef size_t (*SizeOf)(const uint8_t* entry) noexcept nogil
cdef int table_defragment(Table* table, uint64_t* position, int64_t limit, SizeOf size_of,
                          int64_t* moved) except -1

# For tests and figures.
cdef list table_faults(const Table* table)
cdef dict table_shape(const Table* table)
