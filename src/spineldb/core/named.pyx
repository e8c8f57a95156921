"""What is found by its name: consumer groups, consumers. An array in the order of names."""

from libc.string cimport memcmp, memcpy, memmove, memset

from spineldb.core.slab cimport (
    array_free, array_new, array_settle, at, slab_alloc, slab_free, slab_settle,
)

cdef bint names_seek(const Names* names, const char* name, size_t size,
                     uint32_t* position) noexcept nogil:
    """Where a name is, or would be; True if it is there."""
    cdef uint32_t low = 0
    cdef uint32_t high = names.count
    cdef uint32_t middle
    cdef Named* one
    cdef int order
    while low < high:
        middle = (low + high) >> 1
        one = names.items[middle]
        order = memcmp(name_of(one), name, min(one.name_size, size))
        if order == 0:
            if one.name_size == size:
                position[0] = middle
                return True
            order = -1 if one.name_size < size else 1
        if order < 0:
            low = middle + 1
        else:
            high = middle
    position[0] = low
    return False


cdef bint names_open(Slabs* slabs, Names* names, uint32_t capacity) noexcept nogil:
    """Give an array another capacity, keeping what is in it."""
    cdef Named** items = <Named**>array_new(slabs, capacity * sizeof(Named*))
    if items is NULL:
        return False
    if names.items is not NULL:
        memcpy(items, names.items, names.count * sizeof(Named*))
        array_free(slabs, names.items, names.capacity * sizeof(Named*))
    names.items = items
    names.capacity = capacity
    return True


cdef void names_close(Slabs* slabs, Names* names) noexcept nogil:
    """Give an empty array back."""
    array_free(slabs, names.items, names.capacity * sizeof(Named*))
    names.items = NULL
    names.capacity = 0


cdef Named* names_add(Slabs* slabs, Names* names, const char* name, size_t size,
                      size_t fixed) noexcept nogil:
    """Add a name that is not there, with `fixed` zeroed bytes before it; NULL without memory."""
    cdef uint32_t position
    cdef Named* one
    cdef Ref ref
    names_seek(names, name, size, &position)
    if names.count == names.capacity and not names_open(
        slabs, names, max(names.capacity * 2, <uint32_t>2)
    ):
        return NULL
    ref = slab_alloc(slabs, fixed + size)
    if ref == 0:
        if names.count == 0:
            names_close(slabs, names)        # it goes with the last name otherwise
        return NULL
    one = <Named*>at(slabs, ref)
    memset(one, 0, fixed)
    one.ref = ref
    one.size = fixed + size
    one.name_at = <uint32_t>fixed
    one.name_size = size
    memcpy(name_of(one), name, size)
    memmove(names.items + position + 1, names.items + position,
            (names.count - position) * sizeof(Named*))
    names.items[position] = one
    names.count += 1
    return one


cdef void names_remove(Slabs* slabs, Names* names, uint32_t position) noexcept nogil:
    """Take a name out, without freeing what has it."""
    names.count -= 1
    memmove(names.items + position, names.items + position + 1,
            (names.count - position) * sizeof(Named*))
    if names.count == 0:
        names_close(slabs, names)


cdef void named_free(Slabs* slabs, Named* one) noexcept nogil:
    slab_free(slabs, one.ref, one.size)


cdef void names_settle(Slabs* slabs, Names* names, int64_t* moved) noexcept nogil:
    names.items = <Named**>array_settle(
        slabs, names.items, names.capacity * sizeof(Named*), moved)


cdef Named* named_settle(Slabs* slabs, Names* names, uint32_t position,
                         int64_t* moved) noexcept nogil:
    cdef Named* one = names.items[position]
    cdef Ref ref = one.ref
    if slab_settle(slabs, &ref, one.size, moved):
        one = <Named*>at(slabs, ref)
        one.ref = ref
        names.items[position] = one
    return one
