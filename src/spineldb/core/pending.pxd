"""Ordered blocks: an array of slots by first id, and leaves of items under one.

A stream's nodes stand in an `Index`, so that a look-up is one binary search and a walk through one
node. What is pending is kept by id in leaves of at most `LEAF_MAX` items under an index of the same
kind. Taking from either end is cheap, and so is adding at the end.
"""

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint32_t

from spineldb.core.slab cimport Slabs
from spineldb.core.stream_ids cimport ID

cdef enum:
    LEAF_MAX = 64                # items of a leaf

cdef struct Slot:                # of a node, or of a leaf of pending items
    ID first                     # a node: of its first entry, deleted or not, for ever
    void* data                   # Block* of a node; address of a leaf
    uint32_t live                # entries that are not deleted; items
    uint32_t total               # entries ever added; items there is room for

cdef struct Index:
    Slot* slots                  # `count` of them from `start` on are in use
    uint32_t start
    uint32_t count
    uint32_t capacity

cdef struct Pending:             # items that begin with an ID, in its order
    Index leaves
    uint32_t item                # bytes of one
    int64_t count

# Pointers to slots and items are good until the next change.
cdef inline Slot* slot_at(const Index* index, int64_t position) noexcept nogil:
    return index.slots + index.start + position

cdef inline uint8_t* item_at(const Pending* pending, const Slot* slot,
                             uint32_t position) noexcept nogil:
    return <uint8_t*>slot.data + <size_t>position * pending.item

# Position of the last slot whose first id is not greater; -1 if there is none.
cdef int64_t index_floor(const Index* index, const ID* id) noexcept nogil
# Make room for one more slot, which index_insert then opens. False without memory.
cdef bint index_room(Slabs* slabs, Index* index) noexcept nogil
cdef Slot* index_insert(Index* index, int64_t position) noexcept nogil
cdef void index_remove(Slabs* slabs, Index* index, int64_t position) noexcept nogil
cdef void index_free(Slabs* slabs, Index* index) noexcept nogil
# Move the array, not what it points to, out of a sparse slab.
cdef void index_settle(Slabs* slabs, Index* index, int64_t* moved) noexcept nogil

# The position of the first pending item from an id on, and the item at a position (NULL: none).
cdef void pending_seek(const Pending* pending, const ID* id, uint32_t* leaf,
                       uint32_t* item) noexcept nogil
cdef void* pending_at(const Pending* pending, uint32_t* leaf, uint32_t* item) noexcept nogil
# The id of the last pending item; there must be one.
cdef ID pending_last(const Pending* pending) noexcept nogil
cdef void* pending_find(const Pending* pending, const ID* id) noexcept nogil
# Open a place for an id that is not there; NULL without memory.
cdef void* pending_insert(Slabs* slabs, Pending* pending, const ID* id) noexcept nogil
cdef void pending_remove(Slabs* slabs, Pending* pending, const ID* id) noexcept nogil
cdef void drop_leaf(Slabs* slabs, Pending* pending, int64_t position) noexcept nogil
# Free items until `left` is used up; True when all are gone.
cdef bint pending_free(Slabs* slabs, Pending* pending, int64_t* left) noexcept nogil
# Copy the items into an empty one; False without memory (what was copied stays).
cdef bint pending_copy(Slabs* slabs, Pending* target, const Pending* source) noexcept nogil
# Fill a leaf that is mostly empty from those behind it, and move it out of a sparse slab.
cdef void leaf_settle(Slabs* slabs, Pending* pending, int64_t position,
                      int64_t* moved) noexcept nogil
cdef size_t leaves_bytes(const Pending* pending) noexcept nogil
