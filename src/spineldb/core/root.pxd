"""Values that are not in their entry: how each begins, and what the keyspace asks of its type.

A collection that has outgrown its entry is a structure of its own. The entry holds the address of
its `Root`, with which the structure begins: how many elements there are and what they take in
memory. Everything else is the type's matter; `value_types` says what each can do.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t

from spineldb.core.slab cimport Ref, Slabs

cdef enum:
    KINDS = 16                   # of values: four bits of an entry say which
    AT_ONCE = 64                 # elements: a value with more is freed in slices

cdef struct Root:                # the first field of every such structure
    Root* next                   # in Slabs.orphans, once no key has it
    size_t bytes                 # all that the value takes outside its entry, this included
    int64_t count                # elements
    Ref ref                      # of this structure itself
    uint8_t kind
    uint8_t form                 # of EXTENSION: which; of others: the type's own use

cdef struct ValueType:
    size_t size                  # of the structure
    # Free about `limit` elements of a value that no key has; True once all of it is gone.
    bint (*free_some)(Slabs* slabs, Root* root, int64_t limit) except -1
    # A copy in memory of its own; raises MemoryError and leaves nothing behind.
    Root* (*copy)(Slabs* slabs, const Root* root) except NULL
    # What OBJECT ENCODING answers for this entry, in whatever form its value is.
    const char* (*encoding)(const uint8_t* entry) noexcept
    # One step of moving what it consists of out of sparse slabs, about `limit` elements from
    # `position` on, which the step advances; 1 at the end. 0 is where to begin, and any other
    # position is a valid one: the value may have changed, or be another, since the last step.
    int (*defragment)(Slabs* slabs, Root* root, uint64_t* position, int64_t limit,
                      int64_t* moved) except -1
    # The time at which something in this value expires by itself (Unix ms), or -1. NULL: never.
    int64_t (*next_deadline)(const uint8_t* entry) noexcept

# By kind. A type's module fills in its own row when it is loaded.
cdef ValueType[KINDS] value_types

# `size` bytes from the slabs, zeroed but for the header; NULL if there is no memory. `size` is the
# structure's, the same for every value of the kind.
cdef Root* root_new(Slabs* slabs, int kind, size_t size) noexcept nogil
cdef void root_free(Slabs* slabs, Root* root, size_t size) noexcept nogil   # only the structure
# The structure, which the caller alone points to, out of a sparse slab: where it is now.
cdef Root* root_settle(Slabs* slabs, Root* root, int64_t* moved) noexcept nogil
# No key has it any more: freed at once if it is small, queued for roots_drain otherwise.
cdef void root_release(Slabs* slabs, Root* root) noexcept
# Free queued values, a slice of some elements at least; True if some are left.
cdef bint roots_drain(Slabs* slabs, int64_t limit) except -1
