"""Hashes: fields and their values, packed in the entry or in a table; fields that expire."""

from libc.stdint cimport int64_t, uint8_t, uint64_t

from spineldb.core.effects cimport Effects
from spineldb.core.entry cimport INLINE_MAX
from spineldb.core.keyspace cimport Database, Found
from spineldb.core.resp cimport Slice
from spineldb.core.slab cimport Block, Ref
from spineldb.core.table cimport Table

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
# Store `count` pairs of name and value, with a deadline each; returns how many names are new. On
# MemoryError nothing has changed.
cdef int64_t hash_set(Database db, Found* found, const Slice* key, const Slice* pairs, int count,
                      int64_t deadline) except -1
# Remove fields; returns how many there were. The caller removes a hash that has become empty.
cdef int64_t hash_delete(Database db, Found* found, const Slice* names, int count) except -1

# Reading. Fields whose time has passed are not visited, and not counted by `hash_length`, which may
# have to look at all; `hash_count` never looks at many, and counts them in a very large hash.
cdef int hash_walk(Database db, const uint8_t* entry, VisitField visit, void* context) except -1
cdef int64_t hash_length(Database db, const uint8_t* entry) except -1
cdef int64_t hash_count(Database db, const uint8_t* entry) except -1
# Visit about `count` fields from a cursor on (0: from the first), and move it; 0 at the end.
cdef int hash_scan(Database db, const uint8_t* entry, uint64_t* cursor, int64_t count,
                   VisitField visit, void* context) except -1
# The table of a large hash, NULL of a packed one; one of its fields: False if its time has passed.
cdef Table* hash_table(const uint8_t* entry) noexcept
cdef bint hash_read(Database db, Ref ref, Field* field) noexcept

# Has the time of some field passed (or may it have)?
cdef bint hash_due(Database db, const uint8_t* entry) noexcept
# Delete fields whose time has passed, propagate that and announce it; about `limit` of a table are
# looked at. True if more may be due. The key goes with its last field: then found.entry is NULL.
cdef bint hash_bury(Effects effects, Database db, Found* found, int64_t limit) except -1
# Delete those among `count` names, which stand `step` apart. They are about to be written.
cdef int hash_bury_named(Effects effects, Database db, Found* found, const Slice* names, int step,
                         int count) except -1
# A field was asked to expire, if only in vain: OBJECT ENCODING tells.
cdef void hash_ask_deadlines(uint8_t* entry) noexcept
# Pairs were stored, `new` of them under new names, and deleted again: it also tells of that.
cdef void hash_note_size(Database db, uint8_t* entry, const Slice* pairs, int count,
                         int new) noexcept

cdef struct Packed:              # a packed hash while it is changed
    int count
    uint8_t form
    size_t size
    uint8_t data[INLINE_MAX]     # its elements; PACKED_HEADER of `size` are not here

# Changing fields of a hash one after the other, each of which sees what the ones before have done.
# Either deadlines or fields: on MemoryError all deadlines are as they were and the editing is over;
# fields of a table are gone at once. What `editing_find` finds is good until the next change.
cdef struct Editing:
    void* db
    Found* found
    void* root                   # of the hash, or of what it becomes; NULL: `packed` is changed
    bint is_new
    bint is_changed
    int64_t before, due, pushed
    Packed packed
    void* changes
    int count, capacity

cdef void editing_begin(Editing* editing, Database db, Found* found) noexcept
cdef bint editing_find(Editing* editing, const Slice* name, Field* field) noexcept
# The field must exist. -1: it has no deadline any more.
cdef int editing_deadline(Editing* editing, const Slice* name, int64_t deadline) except -1
cdef void editing_delete(Editing* editing, const Slice* name) noexcept
# The caller removes a hash that has become empty.
cdef int editing_end(Editing* editing) except -1
