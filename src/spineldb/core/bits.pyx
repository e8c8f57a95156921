"""Bits of a byte string: counting, finding, combining, and integers of any width.

Everything works on words of 64 bits, or on loops that the compiler turns into vectors. Strings are
never copied: sources of different lengths are combined in pieces that stay in the first cache,
where the end of a shorter one is a piece that is cut.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcpy, memset

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>

    static inline __attribute__((always_inline)) uint64_t
    count_each(const uint8_t *p, size_t words) {
        uint64_t sum = 0, word;
        for (size_t i = 0; i < words; i++) {
            memcpy(&word, p + 8 * i, 8);
            sum += (uint64_t)__builtin_popcountll(word);
        }
        return sum;
    }

    #if defined(__x86_64__)
    /* x86-64 in general has no instruction that counts bits, so the loop is compiled three times.
       1 MB: 213 us as it stands, 38 with popcnt, 11 with vectors of counts. */
    __attribute__((target("popcnt"))) static uint64_t
    count_scalar(const uint8_t *p, size_t words) {
        return count_each(p, words);
    }
    __attribute__((target("avx512f,avx512vl,avx512vpopcntdq"))) static uint64_t
    count_vector(const uint8_t *p, size_t words) {
        return count_each(p, words);
    }
    static uint64_t count_words(const uint8_t *p, size_t words) {
        if (words >= 64 && __builtin_cpu_supports("avx512vpopcntdq")
            && __builtin_cpu_supports("avx512vl"))
            return count_vector(p, words);
        return __builtin_cpu_supports("popcnt") ? count_scalar(p, words) : count_each(p, words);
    }
    #else
    #define count_words count_each
    #endif
    """
    uint64_t count_words(const uint8_t* p, size_t words) noexcept nogil
    int count_bits_of "__builtin_popcount"(unsigned int byte) noexcept nogil
    int leading_zeros "__builtin_clz"(unsigned int value) noexcept nogil
    ctypedef uint64_t uint128_t "unsigned __int128"

cdef enum:
    PIECE = 4096                 # bytes combined at a time: all of it fits the L1 cache


cdef inline uint64_t word_at(const uint8_t* p) noexcept nogil:
    cdef uint64_t word
    memcpy(&word, p, 8)
    return word


# -- counting and finding --------------------------------------------------------------------------

cdef int64_t count_bits(const uint8_t* data, int64_t first, int64_t last) noexcept nogil:
    cdef size_t start = <size_t>(first >> 3)
    cdef size_t end = <size_t>(last >> 3) + 1
    cdef size_t words = (end - start) >> 3
    cdef size_t i
    cdef int64_t total = <int64_t>count_words(data + start, words)
    for i in range(start + 8 * words, end):
        total += count_bits_of(data[i])
    # less what stands in the first byte before, and in the last byte behind
    total -= count_bits_of(data[start] >> (8 - (first & 7)))
    total -= count_bits_of(data[end - 1] & (<unsigned int>0x7f >> (last & 7)))
    return total


cdef int64_t find_bit(const uint8_t* data, bint value, int64_t first, int64_t last) noexcept nogil:
    cdef uint8_t other = 0 if value else 0xff            # a byte without such a bit
    cdef uint64_t others = 0 if value else ~<uint64_t>0
    cdef size_t at = <size_t>(first >> 3)
    cdef size_t end = <size_t>(last >> 3) + 1
    cdef unsigned int found = (data[at] ^ other) & (<unsigned int>0xff >> (first & 7))
    cdef int64_t position
    if found == 0:
        at += 1
        while at + 32 <= end and (
            (word_at(data + at) ^ others) | (word_at(data + at + 8) ^ others)
            | (word_at(data + at + 16) ^ others) | (word_at(data + at + 24) ^ others)
        ) == 0:
            at += 32
        while at + 8 <= end and word_at(data + at) == others:
            at += 8
        while at < end and data[at] == other:
            at += 1
        if at == end:
            return -1
        found = data[at] ^ other
    position = <int64_t>at * 8 + leading_zeros(found) - 24
    return position if position <= last else -1


# -- combining -------------------------------------------------------------------------------------

cdef inline const uint8_t* piece_of(const Source* source, size_t start, size_t size,
                                    size_t* have) noexcept nogil:
    """Where a source's bytes from `start` on lie, and how many of `size` it has."""
    if source.size <= start:
        have[0] = 0
        return source.data
    have[0] = min(size, source.size - start)
    return source.data + start


cdef inline void and_with(uint8_t* to, const uint8_t* p, size_t have, size_t size) noexcept nogil:
    cdef size_t i
    for i in range(have):
        to[i] &= p[i]
    memset(to + have, 0, size - have)


cdef inline void or_with(uint8_t* to, const uint8_t* p, size_t have) noexcept nogil:
    cdef size_t i
    for i in range(have):
        to[i] |= p[i]


cdef inline void xor_with(uint8_t* to, const uint8_t* p, size_t have) noexcept nogil:
    cdef size_t i
    for i in range(have):
        to[i] ^= p[i]


cdef inline void without(uint8_t* to, const uint8_t* p, size_t have) noexcept nogil:
    cdef size_t i
    for i in range(have):
        to[i] &= ~p[i]


cdef inline void only_in(uint8_t* to, const uint8_t* p, size_t have, size_t size) noexcept nogil:
    """What is in `p` and not in `to`."""
    cdef size_t i
    for i in range(have):
        to[i] = p[i] & ~to[i]
    memset(to + have, 0, size - have)


cdef inline void invert(uint8_t* to, const uint8_t* p, size_t size) noexcept nogil:
    cdef size_t i
    for i in range(size):
        to[i] = ~p[i]


cdef inline void toggle(uint8_t* to, uint8_t* twice, const uint8_t* p, size_t have) noexcept nogil:
    """Count to two: what is in `p` and was counted already is marked in `twice`."""
    cdef size_t i
    for i in range(have):
        twice[i] |= to[i] & p[i]
        to[i] ^= p[i]


cdef void combine_piece(Operation operation, const Source* sources, int count, uint8_t* to,
                        size_t start, size_t size) noexcept nogil:
    cdef uint8_t[PIECE] twice
    cdef size_t have
    cdef int begin = 1 if operation == DIFF or operation == DIFF1 or operation == ANDOR else 0
    cdef const uint8_t* p = piece_of(&sources[begin], start, size, &have)
    cdef int n
    memcpy(to, p, have)
    memset(to + have, 0, size - have)
    if operation == ONE:
        memset(twice, 0, size)
    for n in range(begin + 1, count):
        p = piece_of(&sources[n], start, size, &have)
        if operation == AND:
            and_with(to, p, have, size)
        elif operation == XOR:
            xor_with(to, p, have)
        elif operation == ONE:
            toggle(to, twice, p, have)
        else:
            or_with(to, p, have)
    p = piece_of(sources, start, size, &have)
    if operation == ONE:
        without(to, twice, size)
    elif operation == DIFF:
        only_in(to, p, have, size)
    elif operation == DIFF1:
        without(to, p, have)
    elif operation == ANDOR:
        and_with(to, p, have, size)


cdef void combine(Operation operation, const Source* sources, int count, uint8_t* to,
                  size_t size) noexcept nogil:
    cdef uint8_t[PIECE] piece
    cdef size_t start = 0
    cdef size_t n
    if operation == NOT:                             # of a source that is as long as the result
        invert(to, sources.data, size)
        return
    while start < size:
        n = min(size - start, <size_t>PIECE)
        combine_piece(operation, sources, count, piece, start, n)
        memcpy(to + start, piece, n)                 # only now: a source may lie there
        start += n


# -- fields ----------------------------------------------------------------------------------------

# A field touches nine bytes at most, so they are taken as one number of 128 bits.

cdef inline uint128_t bytes_of_field(const uint8_t* data, size_t size, int64_t offset,
                                     int bits) noexcept nogil:
    cdef size_t at = <size_t>(offset >> 3)
    cdef size_t end = <size_t>((offset + bits - 1) >> 3) + 1
    cdef uint128_t found = 0
    while at < end:
        found = found << 8 | (data[at] if at < size else 0)
        at += 1
    return found


cdef inline int bits_behind(int64_t offset, int bits) noexcept nogil:
    """How many bits of its last byte follow the field."""
    return 7 - <int>((offset + bits - 1) & 7)


cdef uint64_t get_field(const uint8_t* data, size_t size, int64_t offset, int bits) noexcept nogil:
    cdef uint128_t found = bytes_of_field(data, size, offset, bits)
    return <uint64_t>(found >> bits_behind(offset, bits)) & (~<uint64_t>0 >> (64 - bits))


cdef void set_field(uint8_t* data, int64_t offset, int bits, uint64_t value) noexcept nogil:
    cdef size_t at = <size_t>(offset >> 3)
    cdef size_t end = <size_t>((offset + bits - 1) >> 3) + 1
    cdef int behind = bits_behind(offset, bits)
    cdef uint128_t mask = ~<uint64_t>0 >> (64 - bits)
    cdef uint128_t found = bytes_of_field(data, end, offset, bits)
    found = (found & ~(mask << behind)) | (((<uint128_t>value) & mask) << behind)
    while end > at:
        end -= 1
        data[end] = <uint8_t>found
        found >>= 8
