"""The one hash table: keyspace, big hashes, sets, sorted-set members (design: `table.pyx`)."""

from libc.stddef cimport size_t
from libc.stdint cimport uint64_t

from spineldb.core.hashing cimport HashKey
# What users of a table need of its inside and of the walks: cimport it from here.
from spineldb.core.segment cimport (
    KeyOf, Place, Table, known_bits, table_find_ref, table_remove, table_replace, table_reserve,
)
from spineldb.core.slab cimport Ref, Slabs
from spineldb.core.walk cimport (
    SizeOf, Visit, table_defragment, table_drain, table_scan, table_visit_prefix, table_walk,
)

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
# The key must be absent. Raises MemoryError and changes nothing when there is no memory.
cdef int table_insert(Table* table, uint64_t hash, Ref ref) except -1
# A fair random entry (0 if the table is empty). `random` is 64 random bits, more are derived.
cdef Ref table_random(const Table* table, uint64_t random) noexcept nogil

# For tests and figures.
cdef list table_faults(const Table* table)
cdef dict table_shape(const Table* table)
