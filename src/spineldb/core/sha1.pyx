"""SHA1 (FIPS 180-4), by which scripts are named; nothing depends on its being hard to forge."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset


cdef inline uint32_t rotated(uint32_t x, int n) noexcept nogil:
    return (x << n) | (x >> (32 - n))


cdef void add_block(uint32_t* h, const uint8_t* p) noexcept nogil:
    cdef uint32_t[80] w
    cdef uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4]
    cdef uint32_t f, k, t
    cdef int i
    for i in range(16):
        w[i] = (<uint32_t>p[4 * i] << 24 | <uint32_t>p[4 * i + 1] << 16
                | <uint32_t>p[4 * i + 2] << 8 | p[4 * i + 3])
    for i in range(16, 80):
        w[i] = rotated(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1)
    for i in range(80):
        if i < 20:
            f = (b & c) | (~b & d)
            k = 0x5A827999
        elif i < 40:
            f = b ^ c ^ d
            k = 0x6ED9EBA1
        elif i < 60:
            f = (b & c) | (b & d) | (c & d)
            k = 0x8F1BBCDC
        else:
            f = b ^ c ^ d
            k = 0xCA62C1D6
        t = rotated(a, 5) + f + e + k + w[i]
        e = d
        d = c
        c = rotated(b, 30)
        b = a
        a = t
    h[0] += a
    h[1] += b
    h[2] += c
    h[3] += d
    h[4] += e


cdef void sha1_hex(const char* data, size_t size, char* out) noexcept nogil:
    cdef uint32_t* h = [0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0]
    cdef uint8_t[128] tail
    cdef size_t whole = size // 64 * 64
    cdef size_t rest = size - whole
    cdef size_t ends = 64 if rest < 56 else 128
    cdef uint64_t bits = <uint64_t>size * 8
    cdef const char* digits = b"0123456789abcdef"
    cdef size_t i
    for i in range(0, whole, 64):
        add_block(h, <const uint8_t*>data + i)
    memset(tail, 0, 128)
    if rest:
        memcpy(tail, data + whole, rest)
    tail[rest] = 0x80
    for i in range(8):
        tail[ends - 1 - i] = <uint8_t>(bits >> (8 * i))
    add_block(h, tail)
    if ends == 128:
        add_block(h, tail + 64)
    for i in range(40):
        out[i] = digits[h[i // 8] >> (28 - 4 * (i % 8)) & 15]


def sha1(data: bytes) -> bytes:
    """Return the hash in 40 hexadecimal digits."""
    cdef char[40] text
    sha1_hex(data, len(data), text)
    return text[:40]
