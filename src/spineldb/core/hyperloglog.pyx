"""HyperLogLog: how many distinct elements there were, from 16384 registers. Redis's bytes.

The low 14 bits of an element's hash choose a register, which keeps the longest run of zeros seen in
the other bits: what is rare tells how much there was (Flajolet, Fusy, Gandouet and Meunier,
"HyperLogLog: the analysis of a near-optimal cardinality estimation algorithm", 2007). The count is
estimated from the histogram of the registers, without tables of corrections (Ertl, "New cardinality
estimation algorithms for HyperLogLog sketches", arXiv:1702.01284, 2017).

A value is a string, of which every byte is Redis's:

    HYLL, encoding, three zeros, eight bytes of cached count, registers

Dense registers have 6 bits each, the lowest first. Sparse ones are runs:

    00xxxxxx            x + 1 registers of 0
    01xxxxxx yyyyyyyy   xy + 1 registers of 0
    1vvvvvxx            x + 1 registers of v + 1, which is at most 32

Which runs stand there depends on the order in which elements came, because only neighbours of a
change are joined again. So the steps of `sparse_raise` are Redis's too.
"""

from libc.math cimport INFINITY, sqrt
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memmove, memset

from spineldb.core.hashing cimport murmur64

from spineldb import errors

cdef extern from "<math.h>" nogil:
    long long llroundl(long double value)

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>

    /* Eight registers of 6 bits become bytes, and back: in each step every piece splits in two. */
    static inline uint64_t spread(const uint8_t *p) {
        uint64_t x = 0;
        memcpy(&x, p, 6);
        x = (x & 0xffffff) | (x >> 24) << 32;
        x = (x & 0x00000fff00000fff) | (x & 0x00fff00000fff000) << 4;
        return (x & 0x003f003f003f003f) | (x & 0x0fc00fc00fc00fc0) << 2;
    }

    static inline void gather(uint8_t *p, uint64_t x) {
        x = (x & 0x003f003f003f003f) | (x & 0x3f003f003f003f00) >> 2;
        x = (x & 0x00000fff00000fff) | (x & 0x0fff00000fff0000) >> 4;
        x = (x & 0xffffff) | (x >> 32) << 24;
        memcpy(p, &x, 6);
    }

    static void raise_all(uint8_t *restrict registers, const uint8_t *restrict others, int count) {
        for (int i = 0; i < count; i++)
            registers[i] = registers[i] > others[i] ? registers[i] : others[i];
    }
    """
    uint64_t spread(const uint8_t* p) noexcept nogil
    void gather(uint8_t* p, uint64_t registers) noexcept nogil
    void raise_all(uint8_t* registers, const uint8_t* others, int count) noexcept nogil
    int trailing_zeros "__builtin_ctzll"(unsigned long long value) noexcept nogil

cdef enum:
    INDEX_BITS = 14
    RUN_BITS = 64 - INDEX_BITS   # of the hash, for the run of zeros
    VALUES = 64                  # that a register may have
    ZERO_MOST = 64               # registers in one opcode, of each kind
    VALUE_RUN_MOST = 4
    SPARSE_VALUE_MOST = 32
    JOINED = 5                   # opcodes looked at for joining, from the one before a change
    PIECE = 512                  # registers spread at a time: they stay in the first cache

cdef uint64_t SEED = 0xadc83b19u
cdef double ALPHA = 0.721347520444481703680  # for infinitely many registers: 1 / (2 ln 2)


cdef bint hll_valid(const uint8_t* data, size_t size) noexcept nogil:
    if size < HLL_HEADER or memcmp(data, b"HYLL", 4) != 0:
        return False
    if data[HLL_ENCODING] == HLL_DENSE:
        return size == HLL_DENSE_SIZE
    return data[HLL_ENCODING] == HLL_SPARSE


cdef size_t hll_empty(uint8_t* data) noexcept nogil:
    memset(data, 0, HLL_HEADER)
    memcpy(data, b"HYLL", 4)
    data[HLL_ENCODING] = HLL_SPARSE
    return HLL_HEADER + put_zeros(data + HLL_HEADER, HLL_REGISTERS)


cdef int hll_locate(const char* element, size_t size, int* shown) noexcept nogil:
    cdef uint64_t hash = murmur64(element, size, SEED)
    shown[0] = trailing_zeros(hash >> INDEX_BITS | <uint64_t>1 << RUN_BITS) + 1
    return hash & (HLL_REGISTERS - 1)


# -- dense -----------------------------------------------------------------------------------------

cdef int dense_get(const uint8_t* data, int index) noexcept nogil:
    cdef const uint8_t* p = data + HLL_HEADER + index * 6 // 8
    cdef int shift = index * 6 & 7
    cdef uint32_t bits = p[0]
    if shift > 2:                            # the last register ends with the last byte
        bits |= <uint32_t>p[1] << 8
    return bits >> shift & 63


cdef void dense_set(uint8_t* data, int index, int value) noexcept nogil:
    cdef uint8_t* p = data + HLL_HEADER + index * 6 // 8
    cdef int shift = index * 6 & 7
    p[0] = <uint8_t>(p[0] & ~(63 << shift) | value << shift)
    if shift > 2:
        p[1] = <uint8_t>(p[1] & ~(63 >> (8 - shift)) | value >> (8 - shift))


cdef void dense_write(uint8_t* data, const uint8_t* registers) noexcept nogil:
    cdef uint64_t eight
    cdef int i
    for i in range(HLL_REGISTERS // 8):
        memcpy(&eight, registers + 8 * i, 8)
        gather(data + HLL_HEADER + 6 * i, eight)


# -- sparse ----------------------------------------------------------------------------------------

cdef struct Opcode:
    int length                   # registers
    int value                    # of each
    int size                     # bytes; 0: the value ends within it


cdef inline Opcode opcode_at(const uint8_t* p, const uint8_t* end) noexcept nogil:
    cdef Opcode code
    cdef uint8_t byte = p[0]
    code.size = 1
    if byte & 0x80:
        code.value = (byte >> 2 & 0x1f) + 1
        code.length = (byte & 3) + 1
    elif byte & 0x40:
        code.value = 0
        code.size = 2 if p + 1 < end else 0
        code.length = ((byte & 0x3f) << 8 | p[1]) + 1 if code.size else 0
    else:
        code.value = 0
        code.length = byte + 1
    return code


cdef inline uint8_t value_run(int value, int length) noexcept nogil:
    return <uint8_t>(0x80 | (value - 1) << 2 | (length - 1))


cdef inline int put_zeros(uint8_t* p, int length) noexcept nogil:
    """Write a run of zeros; return how many bytes that took."""
    if length > ZERO_MOST:
        p[0] = <uint8_t>(0x40 | (length - 1) >> 8)
        p[1] = <uint8_t>((length - 1) & 0xff)
        return 2
    p[0] = <uint8_t>(length - 1)
    return 1


cdef inline int put_run(uint8_t* p, int value, int length) noexcept nogil:
    """Write a run of registers, none if it is empty; return how many bytes that took."""
    if length == 0:
        return 0
    if value == 0:
        return put_zeros(p, length)
    p[0] = value_run(value, length)
    return 1


cdef Added sparse_raise(uint8_t* data, size_t* size, int64_t limit, int index,
                        int value) noexcept nogil:
    cdef uint8_t* p = data + HLL_HEADER
    cdef uint8_t* end = data + size[0]
    cdef uint8_t* before = p
    cdef uint8_t[5] runs
    cdef Opcode code
    cdef int first = 0           # register of the opcode at `p`
    cdef int written
    if value > SPARSE_VALUE_MOST:
        return TOO_LARGE
    while True:
        if p >= end:
            return BROKEN
        code = opcode_at(p, end)
        if code.size == 0:
            return BROKEN
        if index < first + code.length:
            break
        before = p
        first += code.length
        p += code.size
    if code.value >= value:
        return SAME
    if code.length == 1 and code.size == 1:
        p[0] = value_run(value, 1)
    else:
        written = put_run(runs, code.value, index - first)
        runs[written] = value_run(value, 1)
        written += 1
        written += put_run(runs + written, code.value, first + code.length - 1 - index)
        if written > code.size and <int64_t>size[0] + written - code.size > limit:
            return TOO_LARGE
        memmove(p + written, p + code.size, <size_t>(end - p - code.size))
        memcpy(p, runs, <size_t>written)
        end += written - code.size
    end = join_runs(before, end)
    size[0] = <size_t>(end - data)
    hll_spoil(data)
    return RAISED


cdef uint8_t* join_runs(uint8_t* p, uint8_t* end) noexcept nogil:
    """Join neighbours of one value from `p` on, not far; return where the value ends now."""
    cdef int _left
    cdef int length
    for _left in range(JOINED):
        if p >= end:
            break
        if not p[0] & 0x80:
            p += 2 if p[0] & 0x40 else 1
            continue
        if p + 1 < end and p[1] & 0x80 and (p[0] ^ p[1]) & 0x7c == 0:
            length = (p[0] & 3) + (p[1] & 3) + 2
            if length <= VALUE_RUN_MOST:
                p[1] = <uint8_t>(p[0] & 0xfc | (length - 1))
                memmove(p, p + 1, <size_t>(end - p - 1))
                end -= 1
                continue                     # and with the next one, perhaps
        p += 1
    return end


cdef bint sparse_to_dense(const uint8_t* data, size_t size, uint8_t* dense) noexcept nogil:
    cdef const uint8_t* p = data + HLL_HEADER
    cdef const uint8_t* end = data + size
    cdef Opcode code
    cdef int index = 0
    cdef int i
    memset(dense, 0, HLL_DENSE_SIZE)
    memcpy(dense, data, HLL_HEADER)
    dense[HLL_ENCODING] = HLL_DENSE
    while p < end:
        code = opcode_at(p, end)
        if code.size == 0 or index + code.length > HLL_REGISTERS:
            return False
        if code.value:
            for i in range(index, index + code.length):
                dense_set(dense, i, code.value)
        index += code.length
        p += code.size
    return index == HLL_REGISTERS


cdef Added hll_raise(uint8_t* data, size_t* size, uint8_t* other, int64_t limit, int index,
                     int value) noexcept nogil:
    cdef Added outcome
    if data[HLL_ENCODING] == HLL_SPARSE:
        outcome = sparse_raise(data, size, limit, index, value)
        if outcome != TOO_LARGE:
            return outcome
        if not sparse_to_dense(data, size[0], other):
            return BROKEN
        memcpy(data, other, HLL_DENSE_SIZE)
        size[0] = HLL_DENSE_SIZE
    if dense_get(data, index) >= value:
        return SAME
    dense_set(data, index, value)
    hll_spoil(data)
    return RAISED


# -- all registers ---------------------------------------------------------------------------------

cdef bint hll_merge(uint8_t* registers, const uint8_t* data, size_t size) noexcept nogil:
    cdef const uint8_t* p = data + HLL_HEADER
    cdef const uint8_t* end = data + size
    cdef uint8_t[PIECE] piece
    cdef uint64_t eight
    cdef Opcode code
    cdef int index = 0
    cdef int i
    if data[HLL_ENCODING] == HLL_DENSE:
        while index < HLL_REGISTERS:
            for i in range(PIECE // 8):
                eight = spread(p + 6 * i)
                memcpy(piece + 8 * i, &eight, 8)
            raise_all(registers + index, piece, PIECE)
            index += PIECE
            p += PIECE * 6 // 8
        return True
    while p < end:
        code = opcode_at(p, end)
        if code.size == 0 or index + code.length > HLL_REGISTERS:
            return False
        if code.value:
            for i in range(index, index + code.length):
                if registers[i] < code.value:
                    registers[i] = <uint8_t>code.value
        index += code.length
        p += code.size
    return index == HLL_REGISTERS


cdef double sigma(double x) noexcept nogil:
    """What the registers that are still zero add (Ertl, algorithm 5)."""
    cdef double y = 1
    cdef double z = x
    cdef double last
    if x == 1:
        return INFINITY
    while True:
        x *= x
        last = z
        z += x * y
        y += y
        if z == last:
            return z


cdef double tau(double x) noexcept nogil:
    """What the registers that are full take away (Ertl, algorithm 6)."""
    cdef double y = 1
    cdef double z = 1 - x
    cdef double last
    if x == 0 or x == 1:
        return 0
    while True:
        x = sqrt(x)
        last = z
        y *= 0.5
        z -= (1 - x) * (1 - x) * y
        if z == last:
            return z / 3


cdef int64_t estimate(const int* histogram) noexcept nogil:
    """The count that a histogram of all registers stands for."""
    cdef double m = HLL_REGISTERS
    cdef double z = m * tau((m - histogram[RUN_BITS + 1]) / m)
    cdef int i
    for i in range(RUN_BITS, 0, -1):
        z += histogram[i]
        z *= 0.5
    z += m * sigma(histogram[0] / m)
    return <int64_t>llroundl(ALPHA * m * m / z)


cdef int64_t registers_count(const uint8_t* registers) noexcept nogil:
    # Two histograms, because adding to one place twice in a row waits for the first addition.
    cdef int[2][256] histograms
    cdef uint64_t eight
    cdef int i, k
    memset(histograms, 0, sizeof(histograms))
    for i in range(0, HLL_REGISTERS, 8):
        memcpy(&eight, registers + i, 8)
        if eight == 0:
            histograms[0][0] += 8
            continue
        for k in range(0, 8, 2):
            histograms[0][registers[i + k]] += 1
            histograms[1][registers[i + k + 1]] += 1
    for i in range(VALUES):
        histograms[0][i] += histograms[1][i]
    return estimate(histograms[0])


cdef int64_t hll_count(const uint8_t* data, size_t size) noexcept nogil:
    cdef const uint8_t* p = data + HLL_HEADER
    cdef const uint8_t* end = data + size
    cdef uint8_t[HLL_REGISTERS] registers
    cdef int[VALUES] histogram
    cdef uint64_t eight
    cdef Opcode code
    cdef int index = 0
    cdef int i
    if data[HLL_ENCODING] == HLL_DENSE:
        for i in range(HLL_REGISTERS // 8):
            eight = spread(p + 6 * i)
            memcpy(registers + 8 * i, &eight, 8)
        return registers_count(registers)
    memset(histogram, 0, sizeof(histogram))
    while p < end:
        code = opcode_at(p, end)
        if code.size == 0 or index + code.length > HLL_REGISTERS:
            return -1
        histogram[code.value] += code.length
        index += code.length
        p += code.size
    return estimate(histogram) if index == HLL_REGISTERS else -1


# -- for Python ------------------------------------------------------------------------------------

cdef const uint8_t* checked(bytes value) except NULL:
    cdef const uint8_t* data = value
    if not hll_valid(data, <size_t>len(value)):
        raise errors.NotHyperLogLog
    return data


def is_sparse(bytes value) -> bool:
    """Tell how a value is encoded. Raises `errors.NotHyperLogLog`."""
    return checked(value)[HLL_ENCODING] == HLL_SPARSE


def registers(bytes value) -> list[int]:
    """Return the 16384 registers of a value. Raises `errors.CorruptHyperLogLog`."""
    cdef uint8_t[HLL_REGISTERS] found
    cdef const uint8_t* data = checked(value)
    memset(found, 0, sizeof(found))
    if not hll_merge(found, data, <size_t>len(value)):
        raise errors.CorruptHyperLogLog
    return list((<const char*>found)[:HLL_REGISTERS])


def dense(bytes value) -> bytes:
    """Return a value in its dense form. Raises `errors.CorruptHyperLogLog`."""
    cdef uint8_t[HLL_DENSE_SIZE] made
    cdef const uint8_t* data = checked(value)
    if data[HLL_ENCODING] == HLL_DENSE:
        return value
    if not sparse_to_dense(data, <size_t>len(value), made):
        raise errors.CorruptHyperLogLog
    return (<const char*>made)[:HLL_DENSE_SIZE]


def runs(bytes value) -> list[tuple[int, int, int]]:
    """Return the runs of a sparse value: registers, what each has, bytes of the opcode.

    Raises `errors.CorruptHyperLogLog` if it ends within one.
    """
    cdef const uint8_t* p = checked(value) + HLL_HEADER
    cdef const uint8_t* end = p + len(value) - HLL_HEADER
    cdef Opcode code
    cdef list found = []
    while p < end:
        code = opcode_at(p, end)
        if code.size == 0:
            raise errors.CorruptHyperLogLog
        found.append((code.length, code.value, code.size))
        p += code.size
    return found


def count(bytes value) -> int:
    """Estimate how many distinct elements there were, whatever is cached."""
    cdef const uint8_t* data = checked(value)
    cdef int64_t estimated = hll_count(data, <size_t>len(value))
    if estimated < 0:
        raise errors.CorruptHyperLogLog
    return estimated


def added(bytes value, elements: list[bytes], int64_t sparse_limit) -> bytes:
    """Return a value with elements added; an empty string stands for none."""
    cdef uint8_t[HLL_ROOM] data
    cdef uint8_t[HLL_DENSE_SIZE] other
    cdef size_t size = <size_t>len(value)
    cdef bytes element
    cdef const char* text
    cdef int index
    cdef int shown = 0
    if size == 0:
        size = hll_empty(data)
    else:
        checked(value)
        if size > HLL_SPARSE_MOST:
            raise errors.CorruptHyperLogLog
        memcpy(data, <const char*>value, size)
    for element in elements:
        text = element
        index = hll_locate(text, <size_t>len(element), &shown)
        if hll_raise(data, &size, other, sparse_limit, index, shown) == BROKEN:
            raise errors.CorruptHyperLogLog
    return (<const char*>data)[:size]


def self_test(int elements=100_000) -> str | None:
    """Check this implementation; return what is wrong with it, or None.

    Every register keeps its own value in the dense form. A value that takes in elements is
    estimated within six standard errors (1.04 / sqrt of the registers each), and its sparse form
    shows the same count as its dense one for as long as there is one.
    """
    cdef uint8_t[HLL_ROOM] sparse
    cdef uint8_t[HLL_DENSE_SIZE] other
    cdef uint8_t[HLL_DENSE_SIZE] plain
    cdef uint8_t[HLL_REGISTERS] expected
    cdef size_t size = hll_empty(sparse)
    cdef int64_t counted
    cdef int64_t next_look = 1
    cdef int64_t element
    cdef int i, index
    cdef int shown = 0
    memset(plain, 0, HLL_DENSE_SIZE)
    for i in range(HLL_REGISTERS):
        expected[i] = <uint8_t>(i * 37 % VALUES)
        dense_set(plain, i, VALUES - 1)
        dense_set(plain, i, expected[i])
    memset(other, 0, HLL_DENSE_SIZE)
    dense_write(other, expected)
    if memcmp(plain + HLL_HEADER, other + HLL_HEADER, HLL_DENSE_SIZE - HLL_HEADER) != 0:
        return "the dense form is not written alike in two ways"
    for i in range(HLL_REGISTERS):
        if dense_get(plain, i) != expected[i]:
            return f"Register {i} should be {expected[i]} but is {dense_get(plain, i)}"
    memset(plain, 0, HLL_DENSE_SIZE)
    for element in range(1, elements + 1):
        index = hll_locate(<const char*>&element, 8, &shown)
        hll_raise(sparse, &size, other, 3000, index, shown)
        if dense_get(plain, index) < shown:
            dense_set(plain, index, shown)
        if element < next_look:
            continue
        next_look *= 2
        counted = hll_count(plain, HLL_DENSE_SIZE)
        if hll_count(sparse, size) != counted:
            return f"sparse and dense forms differ after {element} elements"
        if abs(counted - element) > max(6 * 1.04 / 128 * element, 2):
            return f"Too big error. card:{element} abserr:{abs(counted - element)}"
    return None
