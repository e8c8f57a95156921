"""Sets: how their members are stored, found, added and taken away.

For other types and for bodies of commands: `set_open` an entry of kind SET, then `set_contains`,
`set_walk`. A `SetValue` and every pointer in it are good until that set changes.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from spineldb.core.entry cimport load32
from spineldb.core.keyspace cimport Database, Found
from spineldb.core.root cimport Root
from spineldb.core.slab cimport Ref, Slabs
from spineldb.core.table cimport Table

cdef enum Form:                  # of a set: how it is laid out, and what OBJECT ENCODING says
    BYTES = 1                    # members one behind the other, in the order they came
    INT16 = 2                    # sorted integers of so many bytes
    INT32 = 4
    INT64 = 8
    TABLED = 15                  # one allocation each, in a table
    LAYOUT = 0x0f
    INTSET = 0x00
    LISTPACK = 0x10
    HASHTABLE = 0x20
    ENCODING = 0x30

cdef enum:
    INTS_MAX = 512               # integers kept sorted; as many as an intset may have, up to
    INTS_MOST = 65536            # this,
    BYTES_MAX = 128              # members kept one behind the other,
    SHORT_MAX = 254              # each of so many bytes,
    FLAT_MAX = 8448              # all of so many: as many as Redis keeps in order of insertion
    LONG_MEMBER = 255            # in place of a length: it follows, in 32 bits
    INT_TEXT = 24                # bytes for an integer's text

cdef struct SetRoot:             # a set that is not in its entry
    Root root
    Table* table                 # NULL: the members are in `data`
    Ref data
    uint32_t size                # bytes of `data` in use
    uint32_t capacity

cdef struct SetValue:            # a set that was looked up
    int64_t count
    uint8_t* data                # unless TABLED: the members
    size_t size
    Table* table
    SetRoot* root                # NULL: it is in its entry
    uint8_t form

cdef struct Member:              # `data` is in the set, or the text of an integer in `text`
    const char* data
    size_t size
    char text[INT_TEXT]

cdef inline const char* member_text(const uint8_t* e, size_t* size) noexcept nogil:
    """The bytes of a member, in a table or packed."""
    if e[0] != LONG_MEMBER:
        size[0] = e[0]
        return <const char*>(e + 1)
    size[0] = load32(e + 1)
    return <const char*>(e + 5)

cdef inline int layout_of(const SetValue* value) noexcept nogil:
    return value.form & LAYOUT

# -- reading

# What is in an entry of kind SET.
cdef void set_open(Slabs* slabs, const uint8_t* entry, SetValue* value) noexcept nogil
# The same for a set of `set_new`.
cdef void set_open_root(Slabs* slabs, SetRoot* root, SetValue* value) noexcept nogil
# Is this a member? `hash` is table_hash(value.table, ...) of it, which all tables of a keyspace
# share; NULL: it is computed when needed.
cdef bint set_contains(const SetValue* value, const char* member, size_t size,
                       const uint64_t* hash) noexcept nogil
# Call `visit` for each member: integers in ascending order, few others as they came, many in the
# order of their hashes. A negative answer ends the walk, which answers -1 then. The visitor must
# not change the set.
ctypedef int (*SetVisit)(void* context, const char* member, size_t size) except -2
cdef int set_walk(const SetValue* value, SetVisit visit, void* context) except -2
# The next member of a set that is not TABLED. Begin with `offset` 0; False at the end.
cdef bint flat_next(const SetValue* value, size_t* offset, Member* member) noexcept nogil
# Member number `index` of a set that is not TABLED.
cdef void flat_member(const SetValue* value, int64_t index, Member* member) noexcept nogil

# -- changing

# A set of no key, empty, with an encoding's name; free it by root_release, or give it to a key.
cdef SetRoot* set_new(Slabs* slabs, int encoding) except NULL
# An empty one for about so many members: if they are many, room is made for them at once.
cdef int set_reserve(Database db, SetValue* value, int64_t count) except -1
# Store it under the key that was looked up, whatever stood there; it is the key's now.
cdef int set_store(Database db, Found* found, const char* key, size_t key_size,
                   SetRoot* root) except -1
# The encoding Redis creates a set with that begins with this of `hint` members.
cdef int first_encoding(Database db, const char* member, size_t size, int64_t hint) noexcept
# Create the set under a key that was looked up and is missing, with one member. Counted in
# Keysizes only when the caller says so (`recount`).
cdef int set_create(Database db, Found* found, const char* key, size_t key_size, int encoding,
                    const char* member, size_t size) except -1
# Add a member, unless it is there: 1 if it was not. `found` NULL: a set of set_new. `value` is up
# to date afterwards. On MemoryError nothing has changed.
cdef bint set_add(Database db, Found* found, SetValue* value, const char* member, size_t size,
                  const uint64_t* hash) except -1
# Add to a set of set_new what is known not to be in it.
cdef int set_append(Database db, SetValue* value, const char* member, size_t size,
                    const uint64_t* hash) except -1
# Take a member away: 1 if it was there. That needs no memory. The caller removes an emptied set.
cdef bint set_remove(Database db, Found* found, SetValue* value, const char* member,
                     size_t size) except -1
# The same by their numbers, rising, in a set that is not TABLED, and by its entry in one that is.
cdef int set_remove_numbers(Database db, Found* found, SetValue* value, const uint32_t* numbers,
                            int64_t count) except -1
cdef int set_remove_ref(Database db, SetValue* value, Ref ref) except -1
# Call it what Redis calls it.
cdef void set_rename(SetValue* value, int encoding) noexcept nogil
# What Redis does before members are added to a set that is there: will so many fit its encoding?
cdef void set_expect(Database db, SetValue* value, int64_t hint) noexcept
# A set of `set_new` that has only integers becomes an intset, if it is small enough for that.
cdef SetRoot* set_settle(Database db, SetRoot* root, bint only_integers) except NULL
