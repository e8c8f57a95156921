"""What other families use of the bodies of key commands."""

from libc.stdint cimport uint64_t

from spineldb.core.resp cimport Slice

# Read the cursor of SCAN and its kin; False if it is none.
cdef bint parse_cursor(const Slice* text, uint64_t* cursor) noexcept nogil
