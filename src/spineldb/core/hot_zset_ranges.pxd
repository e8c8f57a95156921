"""What the sorted sets' algebra needs of the ranges."""

from libc.stdint cimport int64_t

from spineldb.core.call cimport Call
from spineldb.core.resp cimport Slice
from spineldb.core.zsets cimport Item

# Store elements that are in order under a key, and answer how many; none: the key is deleted.
cdef int store(Call call, Slice* key, const Item* items, int64_t count,
               const char* event) except -1
