"""Hashes: fields and their values, packed in the entry or in a table; fields that expire."""

from libc.stdint cimport int64_t, uint8_t

from spineldb.core.effects cimport Effects
from spineldb.core.keyspace cimport Database, Found
from spineldb.core.resp cimport Slice
from spineldb.core.slab cimport Block

cdef enum:
    NO_DEADLINE = -1
    KEEP_DEADLINE = -2           # for hash_set: the field keeps the one it has

cdef struct Field:               # where a field lies; good until the next change
    const char* name
    size_t name_size
    const char* value
    size_t size
    Block* block                 # of the value, or NULL
    int64_t deadline             # Unix milliseconds, -1: none

ctypedef int (*VisitField)(void* context, const Field* field) except -1

# Look a field up; False if there is none or its time has passed.
cdef bint hash_get(Database db, const uint8_t* entry, const char* name, size_t size,
                   Field* field) noexcept
# Store `count` pairs of name and value; returns how many names are new, `*done` how many pairs are
# stored: fewer only if it raises MemoryError.
cdef int64_t hash_set(Database db, Found* found, const Slice* key, const Slice* pairs, int count,
                      int64_t deadline, int* done) except -1
# Remove fields; returns how many there were. The caller removes a hash that has become empty.
cdef int64_t hash_delete(Database db, Found* found, const Slice* names, int count) except -1
# Give a field that exists a deadline (-1: none).
cdef int hash_set_deadline(Database db, Found* found, const Slice* key, const Slice* name,
                           int64_t deadline) except -1
# Visit every field whose time has not passed, and count them.
cdef int hash_walk(Database db, const uint8_t* entry, VisitField visit, void* context) except -1
cdef int64_t hash_length(Database db, const uint8_t* entry) except -1
# Has the time of some field passed (or may it have)?
cdef bint hash_due(Database db, const uint8_t* entry) noexcept
