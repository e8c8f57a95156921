"""What is found by its name: consumer groups, consumers. An array in the order of names."""

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint32_t

from spineldb.core.slab cimport Ref, Slabs, array_cost

cdef struct Named:               # how groups and consumers begin
    Ref ref
    uint32_t name_at             # bytes from here to the name
    size_t size                  # of the allocation
    size_t name_size

cdef struct Names:               # in the order of their names
    Named** items
    uint32_t count
    uint32_t capacity

cdef inline char* name_of(const Named* named) noexcept nogil:
    return <char*>named + named.name_at

# Where a name is, or would be; True if it is there.
cdef bint names_seek(const Names* names, const char* name, size_t size,
                     uint32_t* position) noexcept nogil
# Add a name that is not there, with `fixed` zeroed bytes before it; NULL without memory.
cdef Named* names_add(Slabs* slabs, Names* names, const char* name, size_t size,
                      size_t fixed) noexcept nogil
# Give the array another capacity, keeping what is in it; False without memory.
cdef bint names_open(Slabs* slabs, Names* names, uint32_t capacity) noexcept nogil
# Take a name out, without freeing what has it. The array goes with the last one.
cdef void names_remove(Slabs* slabs, Names* names, uint32_t position) noexcept nogil
cdef void named_free(Slabs* slabs, Named* one) noexcept nogil
# Move the array, or what has a name, out of sparse slabs: where that is now.
cdef void names_settle(Slabs* slabs, Names* names, int64_t* moved) noexcept nogil
cdef Named* named_settle(Slabs* slabs, Names* names, uint32_t position,
                         int64_t* moved) noexcept nogil
cdef inline size_t names_bytes(const Names* names) noexcept nogil:
    """What the array takes."""
    return array_cost(names.capacity * sizeof(Named*)) if names.capacity else 0
