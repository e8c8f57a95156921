"""Ordered blocks: an array of slots by first id, and leaves of items under one.

Everything that may run out of memory says so before it changes anything; removing never needs any.
"""

from libc.string cimport memcpy, memmove

from spineldb.core.slab cimport (
    Ref,
    at,
    class_size,
    malloc_cost,
    slab_alloc,
    slab_free,
    slab_malloc,
    slab_malloc_free,
    slab_move,
    slab_sparse,
)
from spineldb.core.stream_ids cimport compare_ids

cdef uint32_t LEAF_FIRST = 4         # items


# -- the index -------------------------------------------------------------------------------------

cdef int64_t index_floor(const Index* index, const ID* id) noexcept nogil:
    """Position of the last slot whose first id is not greater; -1 if there is none."""
    cdef int64_t low = 0
    cdef int64_t high = index.count
    cdef int64_t middle
    if high and compare_ids(&slot_at(index, high - 1).first, id) <= 0:
        return high - 1
    while low < high:
        middle = (low + high) >> 1
        if compare_ids(&slot_at(index, middle).first, id) <= 0:
            low = middle + 1
        else:
            high = middle
    return low - 1


cdef bint index_move(Slabs* slabs, Index* index, uint32_t capacity) noexcept nogil:
    cdef Slot* slots = <Slot*>slab_malloc(slabs, capacity * sizeof(Slot))
    if slots is NULL:
        return False
    if index.slots is not NULL:
        memcpy(slots, index.slots + index.start, index.count * sizeof(Slot))
        slab_malloc_free(slabs, index.slots, index.capacity * sizeof(Slot))
    index.slots = slots
    index.start = 0
    index.capacity = capacity
    return True


cdef bint index_room(Slabs* slabs, Index* index) noexcept nogil:
    """Make room for one more slot behind the last."""
    if index.start + index.count < index.capacity:
        return True
    if index.start > index.capacity // 4:
        memmove(index.slots, index.slots + index.start, index.count * sizeof(Slot))
        index.start = 0
        return True
    return index_move(slabs, index, index.capacity + max(index.capacity // 2, 1))


cdef Slot* index_insert(Index* index, int64_t position) noexcept nogil:
    """Open a slot; index_room was called."""
    cdef Slot* slot = slot_at(index, position)
    memmove(slot + 1, slot, <size_t>(index.count - position) * sizeof(Slot))
    index.count += 1
    return slot


cdef void index_remove(Slabs* slabs, Index* index, int64_t position) noexcept nogil:
    cdef Slot* slot = slot_at(index, position)
    if position < index.count // 2:
        memmove(slot_at(index, 1), slot_at(index, 0), <size_t>position * sizeof(Slot))
        index.start += 1
    else:
        memmove(slot, slot + 1, <size_t>(index.count - position - 1) * sizeof(Slot))
    index.count -= 1
    if index.count == 0:
        index_free(slabs, index)
    elif index.capacity > 16 and index.count < index.capacity // 4:
        index_move(slabs, index, index.capacity // 2)


cdef void index_free(Slabs* slabs, Index* index) noexcept nogil:
    if index.slots is not NULL:
        slab_malloc_free(slabs, index.slots, index.capacity * sizeof(Slot))
    index.slots = NULL
    index.start = index.count = index.capacity = 0


# -- items ---------------------------------------------------------------------------------------

cdef inline Ref ref_of(const Slabs* slabs, const void* p) noexcept nogil:
    return <Ref>((<const char*>p - slabs.base) >> 3)


cdef uint32_t leaf_floor(const Pending* pending, const Slot* slot, const ID* id) noexcept nogil:
    """Position of the first item of a leaf that is not less."""
    cdef uint32_t low = 0
    cdef uint32_t high = slot.live
    cdef uint32_t middle
    while low < high:
        middle = (low + high) >> 1
        if compare_ids(<ID*>item_at(pending, slot, middle), id) < 0:
            low = middle + 1
        else:
            high = middle
    return low


cdef void pending_seek(const Pending* pending, const ID* id, uint32_t* leaf,
                       uint32_t* item) noexcept nogil:
    cdef int64_t position = index_floor(&pending.leaves, id)
    leaf[0] = <uint32_t>max(position, 0)
    item[0] = 0
    if position >= 0:
        item[0] = leaf_floor(pending, slot_at(&pending.leaves, position), id)


cdef void* pending_at(const Pending* pending, uint32_t* leaf, uint32_t* item) noexcept nogil:
    """The item at a position, which goes on to the next leaf if this one ends; NULL at the end."""
    cdef Slot* slot
    while leaf[0] < pending.leaves.count:
        slot = slot_at(&pending.leaves, leaf[0])
        if item[0] < slot.live:
            return item_at(pending, slot, item[0])
        leaf[0] += 1
        item[0] = 0
    return NULL


cdef ID pending_last(const Pending* pending) noexcept nogil:
    cdef Slot* slot = slot_at(&pending.leaves, pending.leaves.count - 1)
    return (<ID*>item_at(pending, slot, slot.live - 1))[0]


cdef void* pending_find(const Pending* pending, const ID* id) noexcept nogil:
    cdef int64_t position = index_floor(&pending.leaves, id)
    cdef Slot* slot
    cdef uint32_t i
    if position < 0:
        return NULL
    slot = slot_at(&pending.leaves, position)
    i = leaf_floor(pending, slot, id)
    if i < slot.live and compare_ids(<ID*>item_at(pending, slot, i), id) == 0:
        return item_at(pending, slot, i)
    return NULL


cdef Slot* new_leaf(Slabs* slabs, Pending* pending, int64_t position,
                    uint32_t capacity) noexcept nogil:
    cdef Ref ref
    cdef Slot* slot
    if not index_room(slabs, &pending.leaves):
        return NULL
    ref = slab_alloc(slabs, <size_t>capacity * pending.item)
    if ref == 0:
        if pending.leaves.count == 0:
            index_free(slabs, &pending.leaves)   # it is freed with the last leaf otherwise
        return NULL
    slot = index_insert(&pending.leaves, position)
    slot.data = at(slabs, ref)
    slot.live = 0
    slot.total = capacity
    return slot


cdef bint grow_leaf(Slabs* slabs, Pending* pending, Slot* slot) noexcept nogil:
    cdef uint32_t capacity = min(slot.total * 2, <uint32_t>LEAF_MAX)
    cdef Ref ref = slab_alloc(slabs, <size_t>capacity * pending.item)
    if ref == 0:
        return False
    memcpy(at(slabs, ref), slot.data, <size_t>slot.live * pending.item)
    slab_free(slabs, ref_of(slabs, slot.data), <size_t>slot.total * pending.item)
    slot.data = at(slabs, ref)
    slot.total = capacity
    return True


cdef void* pending_insert(Slabs* slabs, Pending* pending, const ID* id) noexcept nogil:
    """Open a place for an id that is not there; NULL without memory."""
    cdef int64_t position = max(index_floor(&pending.leaves, id), <int64_t>0)
    cdef Slot* slot
    cdef Slot* upper
    cdef uint32_t i = 0
    cdef uint32_t half
    cdef uint8_t* item
    if pending.leaves.count == 0:
        slot = new_leaf(slabs, pending, 0, LEAF_FIRST)
        if slot is NULL:
            return NULL
    else:
        slot = slot_at(&pending.leaves, position)
        i = leaf_floor(pending, slot, id)
    if slot.live == slot.total:
        if slot.total < LEAF_MAX:
            if not grow_leaf(slabs, pending, slot):
                return NULL
        else:
            # ids mostly come in order: a full last leaf stays full, others are halved
            half = LEAF_MAX if (i == LEAF_MAX and position == pending.leaves.count - 1) else (
                LEAF_MAX // 2)
            upper = new_leaf(slabs, pending, position + 1, LEAF_MAX)
            if upper is NULL:
                return NULL
            slot = slot_at(&pending.leaves, position)
            upper.live = slot.live - half
            memcpy(upper.data, item_at(pending, slot, half), <size_t>upper.live * pending.item)
            slot.live = half
            if upper.live:
                upper.first = (<ID*>upper.data)[0]
            if i > half or half == LEAF_MAX:
                slot = upper
                i -= half
    item = item_at(pending, slot, i)
    memmove(item + pending.item, item, <size_t>(slot.live - i) * pending.item)
    (<ID*>item)[0] = id[0]
    slot.live += 1
    if i == 0:
        slot.first = id[0]
    pending.count += 1
    return item


cdef void drop_leaf(Slabs* slabs, Pending* pending, int64_t position) noexcept nogil:
    cdef Slot* slot = slot_at(&pending.leaves, position)
    slab_free(slabs, ref_of(slabs, slot.data), <size_t>slot.total * pending.item)
    index_remove(slabs, &pending.leaves, position)


cdef void pending_remove(Slabs* slabs, Pending* pending, const ID* id) noexcept nogil:
    """Remove an id that is there."""
    cdef int64_t position = index_floor(&pending.leaves, id)
    cdef Slot* slot = slot_at(&pending.leaves, position)
    cdef Slot* following
    cdef uint32_t i = leaf_floor(pending, slot, id)
    cdef uint8_t* item = item_at(pending, slot, i)
    slot.live -= 1
    pending.count -= 1
    memmove(item, item + pending.item, <size_t>(slot.live - i) * pending.item)
    if slot.live == 0:
        drop_leaf(slabs, pending, position)
        return
    if i == 0:
        slot.first = (<ID*>slot.data)[0]
    if slot.live <= LEAF_MAX // 4 and position + 1 < pending.leaves.count:
        following = slot + 1
        if following.live <= LEAF_MAX // 4 and slot.live + following.live <= slot.total:
            memcpy(item_at(pending, slot, slot.live), following.data,
                   <size_t>following.live * pending.item)
            slot.live += following.live
            drop_leaf(slabs, pending, position + 1)


cdef bint pending_free(Slabs* slabs, Pending* pending, int64_t* left) noexcept nogil:
    """Free items until `left` is used up; True when all are gone."""
    cdef int64_t last
    while pending.leaves.count:
        if left[0] <= 0:
            return False
        last = pending.leaves.count - 1
        left[0] -= slot_at(&pending.leaves, last).live
        drop_leaf(slabs, pending, last)
    pending.count = 0
    return True


cdef bint pending_copy(Slabs* slabs, Pending* target, const Pending* source) noexcept nogil:
    """Copy the items into an empty one; False without memory (what was copied stays)."""
    cdef uint32_t i
    cdef Slot* slot
    cdef Slot* own
    for i in range(source.leaves.count):
        slot = slot_at(&source.leaves, i)
        own = new_leaf(slabs, target, i, slot.total)
        if own is NULL:
            return False
        memcpy(own.data, slot.data, <size_t>slot.live * source.item)
        own.live = slot.live
        own.first = slot.first
        target.count += own.live
    return True


cdef int64_t move_leaves(Slabs* slabs, Pending* pending) noexcept nogil:
    """Move leaves out of sparse slabs; returns how many were moved."""
    cdef int64_t moved = 0
    cdef uint32_t i
    cdef Slot* slot
    cdef Ref ref
    for i in range(pending.leaves.count):
        slot = slot_at(&pending.leaves, i)
        if slab_sparse(slabs, ref_of(slabs, slot.data)):
            ref = slab_move(slabs, ref_of(slabs, slot.data), <size_t>slot.total * pending.item)
            if ref:
                slot.data = at(slabs, ref)
                moved += 1
    return moved


cdef size_t leaves_bytes(const Pending* pending) noexcept nogil:
    cdef size_t total = 0
    cdef uint32_t i
    if pending.leaves.slots is not NULL:
        total = malloc_cost(pending.leaves.capacity * sizeof(Slot))
    for i in range(pending.leaves.count):
        total += class_size(<size_t>slot_at(&pending.leaves, i).total * pending.item)
    return total
