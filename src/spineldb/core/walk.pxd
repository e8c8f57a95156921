"""Going through a table: scans, walks, prefixes, defragmenting, taking it apart."""

from libc.stdint cimport int64_t, uint8_t, uint64_t

from spineldb.core.segment cimport Table
from spineldb.core.slab cimport Ref

# Called for each entry by scans and walks; a negative result stops the walk. A walk's visitor may
# answer a different Ref through `ref` to have it stored (the entry moved); 0 removes the slot.
ctypedef int (*Visit)(void* context, uint64_t hash, Ref* ref) except -2

# Are there entries with this hash prefix (its upper `bits`)? Visits each of them, with its whole
# hash. The visitor may change the table as it likes; through `ref` it may replace or remove.
cdef int table_visit_prefix(Table* table, uint64_t prefix, int bits, Visit visit,
                            void* context) except -2

# SCAN: visits every entry homed in the cursor's bucket, with its whole hash, and returns the next
# cursor, 48 bits (0: the end). Every entry present from a scan's first call to its last is visited,
# whatever happens between. The visitor must not change the table; what it stores in `ref` is lost.
cdef uint64_t table_scan(Table* table, uint64_t cursor, Visit visit, void* context) except? 1
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
