"""Numbers and their text, in Redis's forms."""

from libc.stdint cimport int64_t

cdef enum:
    DOUBLE_TEXT = 32             # bytes that format_double may write
    LONG_DOUBLE_TEXT = 5120      # and add_long_double

cdef enum Sum:
    SUM_DONE = 0
    FIRST_NOT_FLOAT = 1
    SECOND_NOT_FLOAT = 2
    SUM_NOT_FINITE = 3

# Write the shortest digits that read back as `value`; return how many bytes.
cdef int format_double(double value, char* out) noexcept nogil

# Read the whole text as a double; False if it is none, is not a number or is out of range.
cdef bint parse_double(const char* text, size_t size, double* value) noexcept nogil
# Read what SORT sorts by: decimal only, it ends at a NUL, none at all is 0; what is out of range
# is infinite or 0.
cdef bint parse_weight(const char* text, size_t size, double* value) noexcept nogil

# Read a number of seconds to wait as milliseconds, rounded up; False if it is none, is negative or
# too large.
cdef bint parse_timeout(const char* text, size_t size, int64_t* ms) noexcept nogil

# Add two numbers as INCRBYFLOAT does, in an 80-bit long double; write the sum and its size.
cdef Sum add_long_double(
    const char* first, size_t first_size, const char* second, size_t second_size,
    char* out, size_t* out_size
) noexcept nogil
