"""Geo searches: the members of a sorted set that lie in a shape."""

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t

from spineldb.core.geohash cimport Shape
from spineldb.core.slab cimport Slabs

cdef struct Hit:
    const char* member           # where it lies, until the next change
    size_t size
    double score
    double longitude
    double latitude
    double metres                # from the middle of the shape
    int64_t place                # in the order in which they were found

cdef enum:
    FEW_HITS = 16

cdef class Hits:                 # what a search has found
    cdef Hit* items
    cdef int64_t count, capacity
    cdef Hit[FEW_HITS] few       # where they are if they are few

    cdef Hit* add(self) except NULL
    # Put the nearest first, or the farthest; those that are as far stay in their order.
    cdef void sort(self, bint farthest_first) noexcept

# Find the members of a sorted set in a shape: in the order in which Redis finds them, then those
# that it misses; with a `limit` the first ones.
cdef int search(const Slabs* slabs, const uint8_t* entry, const Shape* shape, int64_t limit,
                Hits found) except -1
