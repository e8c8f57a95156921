"""HyperLogLog: how many distinct elements there were, from 16384 registers. Redis's bytes."""

from libc.stdint cimport int64_t, uint8_t

cdef enum:
    HLL_HEADER = 16              # magic, encoding, three zeros, the cached count
    HLL_ENCODING = 4             # where the encoding stands
    HLL_CACHE = 8                # the last count, little-endian; the top bit set: it is stale
    HLL_REGISTERS = 16384
    HLL_DENSE = 0
    HLL_SPARSE = 1
    HLL_DENSE_SIZE = HLL_HEADER + HLL_REGISTERS * 6 // 8
    # The longest sparse value that can be valid: two bytes for each register.
    HLL_SPARSE_MOST = HLL_HEADER + 2 * HLL_REGISTERS
    HLL_ROOM = HLL_SPARSE_MOST + 8           # for one that is being changed

cdef enum Added:
    BROKEN = -1                  # it is no valid sparse value
    SAME = 0
    RAISED = 1
    TOO_LARGE = 2                # it must become dense first

# Is it one at all? Looks at the header, and at the length of a dense one.
cdef bint hll_valid(const uint8_t* data, size_t size) noexcept nogil
# Write an empty one, sparse; return its size.
cdef size_t hll_empty(uint8_t* data) noexcept nogil
# Which register an element belongs to, and what it shows there.
cdef int hll_locate(const char* element, size_t size, int* shown) noexcept nogil

cdef inline bint hll_stale(const uint8_t* data) noexcept nogil:
    return data[HLL_CACHE + 7] & 0x80 != 0

cdef inline void hll_spoil(uint8_t* data) noexcept nogil:
    """The count that is cached is stale from now on."""
    data[HLL_CACHE + 7] |= 0x80

# A dense one's registers, of 6 bits each.
cdef int dense_get(const uint8_t* data, int index) noexcept nogil
cdef void dense_set(uint8_t* data, int index, int value) noexcept nogil
# Raise a register of a sparse one, which may become longer (HLL_ROOM is enough) or shorter, but no
# longer than `limit` by this.
cdef Added sparse_raise(uint8_t* data, size_t* size, int64_t limit, int index,
                        int value) noexcept nogil
# Raise a register of either kind. A sparse one becomes dense where it must, by way of `other`,
# which has HLL_DENSE_SIZE bytes; never TOO_LARGE.
cdef Added hll_raise(uint8_t* data, size_t* size, uint8_t* other, int64_t limit, int index,
                     int value) noexcept nogil
# Write a sparse one as a dense one elsewhere; False if it is damaged.
cdef bint sparse_to_dense(const uint8_t* data, size_t size, uint8_t* dense) noexcept nogil
# Raise `registers`, a byte each, to those of a value; False if it is damaged.
cdef bint hll_merge(uint8_t* registers, const uint8_t* data, size_t size) noexcept nogil
# Write registers, a byte each, into a dense value.
cdef void dense_write(uint8_t* data, const uint8_t* registers) noexcept nogil
# Estimate how many distinct elements there were; -1 if the value is damaged.
cdef int64_t hll_count(const uint8_t* data, size_t size) noexcept nogil
cdef int64_t registers_count(const uint8_t* registers) noexcept nogil
