"""Extension types: kinds of values beside Redis's own, which share one kind of the keyspace.

Redis has such types from modules. Here they are built in, but a value's kind has four bits only, so
all of them are `EXTENSION`, and `Root.form` says which one a value is. They are never packed.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t

from spineldb.core.keyspace cimport Database, Found, View
from spineldb.core.resp cimport Slice
from spineldb.core.root cimport Root
from spineldb.core.slab cimport Slabs

cdef enum:
    EXTENSIONS = 16              # Root.form is below this

cdef enum Form:                  # 0 is no extension; add new ones at the end
    BLOOM = 1

cdef struct ExtensionType:
    const char* name             # what TYPE answers; NULL: there is no such type
    const char* alias            # what TYPE answers with `module_type_names = "spinel"`
    # As in ValueType, for values of this form.
    bint (*free_some)(Slabs* slabs, Root* root, int64_t limit) except -1
    Root* (*copy)(Slabs* slabs, const Root* root) except NULL
    int (*defragment)(Slabs* slabs, Root* root, uint64_t* position, int64_t limit,
                      int64_t* moved) except -1
    # Append bytes objects to a list that together say all of the value, and nothing of how it is
    # laid out: two values that answer the same to everything have the same ones (DEBUG DIGEST).
    int (*pieces)(const Root* root, list found) except -1

# By form. A type's module fills in its own row when it is loaded.
cdef ExtensionType[EXTENSIONS] extension_types

# Is the value an extension of this form?
cdef bint is_extension(const uint8_t* entry, int form) noexcept nogil
# The kind of a value, and for an extension which one: what SCAN's TYPE compares.
cdef int exact_kind(const uint8_t* entry) noexcept nogil
# The same for a name of TYPE's, or an alias, in any case; -1 if no extension is called so.
cdef int extension_named(const Slice* name) noexcept
cdef const char* extension_name(const uint8_t* entry, bint alias) noexcept
# Store a value under the key that was looked up, in place of what stood there. A value that was
# there keeps its deadline. On MemoryError nothing has changed, and `root` is still the caller's.
cdef int put_extension(Database db, Found* found, const char* key, size_t key_size,
                       Root* root) except -1

cdef class ExtensionView(View):
    # The value, or NULL if there is no such key. Raises WrongType.
    cdef Root* root(self, Found* found) except? NULL
