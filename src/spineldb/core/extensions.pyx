"""Extension types: kinds of values beside Redis's own, which share one kind of the keyspace.

Everything that the keyspace asks of a value is asked here of the row of its form, so an extension
touches neither the keyspace nor the commands for all keys: TYPE, SCAN, COPY, RENAME, DEL, MEMORY
USAGE and DEBUG DIGEST know it as soon as its row is filled in.
"""

from libc.string cimport memcpy, strlen

from spineldb.core.entry cimport (
    EXTENSION, KIND_MASK, entry_deadline, entry_root, entry_value, value_size_of,
)
from spineldb.core.root cimport root_release, value_types

from spineldb import errors
from spineldb.core.entry import Kind

cdef int FORM_SHIFT = 4


cdef bint is_extension(const uint8_t* entry, int form) noexcept nogil:
    return entry[0] & KIND_MASK == EXTENSION and entry_root(entry).form == form


cdef int exact_kind(const uint8_t* entry) noexcept nogil:
    cdef int kind = entry[0] & KIND_MASK
    return kind if kind != EXTENSION else kind | <int>entry_root(entry).form << FORM_SHIFT


cdef bint same_word(const Slice* word, const char* other) noexcept:
    """Are these equal but for upper and lower case?"""
    cdef size_t i
    cdef char a, b
    if strlen(other) != word.size:
        return False
    for i in range(word.size):
        a = word.data[i]
        b = other[i]
        if (a + 32 if c"A" <= a <= c"Z" else a) != (b + 32 if c"A" <= b <= c"Z" else b):
            return False
    return True


cdef int extension_named(const Slice* name) noexcept:
    cdef int form
    for form in range(EXTENSIONS):
        if extension_types[form].name is not NULL and (
            same_word(name, extension_types[form].name)
            or same_word(name, extension_types[form].alias)
        ):
            return EXTENSION | form << FORM_SHIFT
    return -1


cdef const char* extension_name(const uint8_t* entry, bint alias) noexcept:
    cdef ExtensionType* its = &extension_types[entry_root(entry).form]
    return its.alias if alias else its.name


cdef int put_extension(Database db, Found* found, const char* key, size_t key_size,
                       Root* root) except -1:
    cdef Root* old
    cdef int64_t before
    cdef size_t size
    cdef char* value
    if found.entry is not NULL and not found.expired and found.entry[0] & KIND_MASK == EXTENSION:
        old = entry_root(found.entry)
        before = <int64_t>value_size_of(found.entry)
        value = entry_value(found.entry, &size)
        memcpy(value, &root, sizeof(Root*))
        db.recount(found.entry, before)
        root_release(db.slabs, old)
        return 0
    value = db.place(
        found, key, key_size, EXTENSION, sizeof(Root*),
        -1 if found.entry is NULL or found.expired else entry_deadline(found.entry))
    memcpy(value, &root, sizeof(Root*))
    db.recount(found.entry, -1)
    return 0


cdef class ExtensionView(View):
    """An extension under a key, for Python code. Subclasses are the types; `FORM` says which."""

    KIND = Kind.EXTENSION

    cdef uint8_t* entry(self, Found* found) except? NULL:
        cdef uint8_t* entry = View.entry(self, found)
        if entry is not NULL and entry_root(entry).form != <int>self.FORM:
            raise errors.WrongType
        return entry

    cdef Root* root(self, Found* found) except? NULL:
        cdef uint8_t* entry = self.entry(found)
        return NULL if entry is NULL else entry_root(entry)


def pieces_of(Database db, bytes key) -> list[bytes]:
    """Return bytes that say all of an extension's value, for comparing two of them."""
    cdef Found found
    cdef list pieces = []
    cdef uint8_t* entry = db.named(key, &found)
    if entry is not NULL and entry[0] & KIND_MASK == EXTENSION:
        extension_types[entry_root(entry).form].pieces(entry_root(entry), pieces)
    return pieces


# -- what the keyspace asks of a value, asked of its form ------------------------------------------

cdef bint free_some(Slabs* slabs, Root* root, int64_t limit) except -1:
    return extension_types[root.form].free_some(slabs, root, limit)


cdef Root* copy(Slabs* slabs, const Root* root) except NULL:
    return extension_types[root.form].copy(slabs, root)


cdef const char* encoding(const uint8_t* entry) noexcept:
    return b"raw"


cdef int defragment(Slabs* slabs, Root* root, uint64_t* position, int64_t limit,
                    int64_t* moved) except -1:
    return extension_types[root.form].defragment(slabs, root, position, limit, moved)


value_types[<int>EXTENSION].free_some = free_some
value_types[<int>EXTENSION].copy = copy
value_types[<int>EXTENSION].encoding = encoding
value_types[<int>EXTENSION].defragment = defragment
