"""Variable integers: seven bits a byte, the lowest first; all but the last have the eighth set."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint64_t

cdef inline size_t varint_size(uint64_t value) noexcept nogil:
    cdef size_t n = 1
    while value >= 128:
        value >>= 7
        n += 1
    return n

cdef inline uint8_t* put_varint(uint8_t* p, uint64_t value) noexcept nogil:
    while value >= 128:
        p[0] = <uint8_t>(value | 128)
        p += 1
        value >>= 7
    p[0] = <uint8_t>value
    return p + 1

cdef inline const uint8_t* get_varint(const uint8_t* p, uint64_t* value) noexcept nogil:
    cdef uint64_t v = p[0]
    cdef int shift = 7
    if v < 128:
        value[0] = v
        return p + 1
    v &= 127
    while True:
        p += 1
        v |= <uint64_t>(p[0] & 127) << shift
        shift += 7
        if p[0] < 128:
            break
    value[0] = v
    return p + 1

cdef inline uint8_t* put_back_varint(uint8_t* p, uint64_t value) noexcept nogil:
    """Write a varint that is read from its last byte on."""
    cdef size_t n = varint_size(value)
    cdef size_t i = n
    while i:
        i -= 1
        p[i] = <uint8_t>(value & 127) | (128 if i else 0)
        value >>= 7
    return p + n

cdef inline uint64_t get_back_varint(const uint8_t* end, size_t* size) noexcept nogil:
    """Read the varint that ends before `end`."""
    cdef uint64_t v = 0
    cdef int shift = 0
    cdef const uint8_t* p = end
    while True:
        p -= 1
        v |= <uint64_t>(p[0] & 127) << shift
        shift += 7
        if p[0] < 128:
            break
    size[0] = <size_t>(end - p)
    return v
