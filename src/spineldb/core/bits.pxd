"""Bits of a byte string: counting, finding, combining, and integers of any width.

Bit 0 is the highest bit of byte 0, as in Redis: positions grow the way the string is read.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t

cdef enum Operation:             # of BITOP
    AND = 0
    OR = 1
    XOR = 2
    NOT = 3                      # of one source
    DIFF = 4                     # in the first and in no other
    DIFF1 = 5                    # not in the first but in another
    ANDOR = 6                    # in the first and in another
    ONE = 7                      # in exactly one

cdef struct Source:              # a string to combine; zeros follow it. `data` is never NULL
    const uint8_t* data
    size_t size

# How many bits from `first` to `last`, both included and inside the string, are set.
cdef int64_t count_bits(const uint8_t* data, int64_t first, int64_t last) noexcept nogil
# The first bit of that value from `first` to `last`, or -1.
cdef int64_t find_bit(const uint8_t* data, bint value, int64_t first, int64_t last) noexcept nogil
# Write the first `size` bytes of the combination; `to` may be one of the sources.
cdef void combine(Operation operation, const Source* sources, int count, uint8_t* to,
                  size_t size) noexcept nogil
# An unsigned integer of 1 to 64 bits. Reading, zeros follow the string; writing, it must be there.
cdef uint64_t get_field(const uint8_t* data, size_t size, int64_t offset, int bits) noexcept nogil
cdef void set_field(uint8_t* data, int64_t offset, int bits, uint64_t value) noexcept nogil
