"""Hashes: a keyed one for tables, CRC64 for files, CRC16 for cluster slots, Murmur for sketches.

The keyed hash must be quick for keys of 8 to 32 bytes and must not let a client choose keys that
collide. It multiplies 64 by 64 bits and folds the 128-bit product, as wyhash does (Wang Yi and
others, "Modern non-cryptographic hash function and pseudorandom number generator", 2019); SipHash
costs about five times as much at these sizes. What is known against wyhash needs its published
constants: input equal to one makes a factor zero, and the product forgets the other factor. So
here every constant is secret, drawn from the seed by BLAKE2b, and a zero product is as likely as
guessing 64 bits. Hashes are never shown to clients, except as SCAN's cursor, which is a position
in hash order and belongs to a whole bucket.

CRC64 is the Jones polynomial, reflected, without a final complement, as RDB files end with it;
eight bytes at a time by eight tables (Kounavis and Berry, "A systematic approach to building high
performance, software-based, CRC generators", 2005). CRC16 is XMODEM's, from the cluster
specification. Murmur is Austin Appleby's, whose results are visible in HLL and sketch payloads.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from hashlib import blake2b

cdef extern from *:
    """
    #include <stdint.h>
    static inline uint64_t spinel_mum(uint64_t a, uint64_t b) {
    #ifdef __SIZEOF_INT128__
        unsigned __int128 product = (unsigned __int128)a * b;
        return (uint64_t)product ^ (uint64_t)(product >> 64);
    #else
        uint64_t al = (uint32_t)a, ah = a >> 32, bl = (uint32_t)b, bh = b >> 32;
        uint64_t ll = al * bl, lh = al * bh, hl = ah * bl, hh = ah * bh;
        uint64_t middle = (ll >> 32) + (uint32_t)lh + hl;
        return ((middle << 32) | (uint32_t)ll) ^ (hh + (lh >> 32) + (middle >> 32));
    #endif
    }
    """
    uint64_t mum "spinel_mum"(uint64_t a, uint64_t b) noexcept nogil

cdef uint16_t crc16_table[256]
cdef uint64_t crc64_table[8][256]


cdef void fill_tables() noexcept:
    cdef int byte, _bit, k
    cdef uint16_t small
    cdef uint64_t large
    for byte in range(256):
        small = <uint16_t>(byte << 8)
        large = byte
        for _bit in range(8):
            small = <uint16_t>((small << 1) ^ (0x1021 if small & 0x8000 else 0))
            large = (large >> 1) ^ (0x95ac9329ac4bc9b5u if large & 1 else 0)
        crc16_table[byte] = small
        crc64_table[0][byte] = large
    for k in range(1, 8):
        for byte in range(256):
            large = crc64_table[k - 1][byte]
            crc64_table[k][byte] = (large >> 8) ^ crc64_table[0][large & 0xff]


fill_tables()


cdef void hash_key_init(HashKey* key, bytes seed) except *:
    """Draw the four secrets from a seed of any length."""
    digest = blake2b(seed, digest_size=32, person=b"spineldb table").digest()
    cdef const char* data = digest
    memcpy(key.secret, data, 32)


cdef inline uint64_t read64(const char* p) noexcept nogil:
    cdef uint64_t v
    memcpy(&v, p, 8)
    return v


cdef inline uint64_t read32(const char* p) noexcept nogil:
    cdef uint32_t v
    memcpy(&v, p, 4)
    return v


cdef uint64_t keyed_hash(const HashKey* key, const char* data, size_t size) noexcept nogil:
    """Hash bytes under a key. Short inputs are read as two overlapping words: no loop, no tail."""
    cdef uint64_t a, b
    cdef uint64_t seed = key.secret[0]
    cdef uint64_t left, right
    cdef const char* p = data
    cdef size_t rest = size
    cdef size_t half
    if size <= 16:
        if size >= 8:
            a = read64(data)
            b = read64(data + size - 8)
        elif size >= 4:
            a = read32(data)
            b = read32(data + size - 4)
        elif size > 0:
            half = size >> 1
            a = (<uint64_t>(<uint8_t>data[0]) << 16) | (<uint64_t>(<uint8_t>data[half]) << 8) \
                | <uint8_t>data[size - 1]
            b = 0
        else:
            a = 0
            b = 0
    else:
        if rest > 48:
            left = seed
            right = seed
            while rest > 48:
                seed = mum(read64(p) ^ key.secret[1], read64(p + 8) ^ seed)
                left = mum(read64(p + 16) ^ key.secret[2], read64(p + 24) ^ left)
                right = mum(read64(p + 32) ^ key.secret[3], read64(p + 40) ^ right)
                p += 48
                rest -= 48
            seed ^= left ^ right
        while rest > 16:
            seed = mum(read64(p) ^ key.secret[1], read64(p + 8) ^ seed)
            p += 16
            rest -= 16
        a = read64(p + rest - 16)
        b = read64(p + rest - 8)
    return mum(key.secret[2] ^ size, mum(a ^ key.secret[1], b ^ seed) ^ key.secret[3])


cdef uint16_t crc16(const char* data, size_t size) noexcept nogil:
    cdef uint16_t crc = 0
    cdef size_t i
    for i in range(size):
        crc = <uint16_t>((crc << 8) ^ crc16_table[(crc >> 8) ^ <uint8_t>data[i]])
    return crc


cdef uint64_t crc64(uint64_t crc, const char* data, size_t size) noexcept nogil:
    """Continue a checksum, 0 to begin. (The words are read little-endian, as all our machines.)"""
    cdef const char* p = data
    cdef const char* end = data + size
    while end - p >= 8:
        crc ^= read64(p)
        crc = (
            crc64_table[7][crc & 0xff] ^ crc64_table[6][(crc >> 8) & 0xff]
            ^ crc64_table[5][(crc >> 16) & 0xff] ^ crc64_table[4][(crc >> 24) & 0xff]
            ^ crc64_table[3][(crc >> 32) & 0xff] ^ crc64_table[2][(crc >> 40) & 0xff]
            ^ crc64_table[1][(crc >> 48) & 0xff] ^ crc64_table[0][crc >> 56]
        )
        p += 8
    while p < end:
        crc = (crc >> 8) ^ crc64_table[0][(crc ^ <uint8_t>p[0]) & 0xff]
        p += 1
    return crc


cdef uint64_t murmur64(const char* data, size_t size, uint64_t seed) noexcept nogil:
    """MurmurHash64A, as HLL and Bloom filters of Redis use it."""
    cdef uint64_t m = 0xc6a4a7935bd1e995u
    cdef uint64_t h = seed ^ (size * m)
    cdef uint64_t k
    cdef const char* p = data
    cdef size_t rest = size
    while rest >= 8:
        k = read64(p) * m
        k = (k ^ (k >> 47)) * m
        h = (h ^ k) * m
        p += 8
        rest -= 8
    if rest:
        k = 0
        memcpy(&k, p, rest)
        h = (h ^ k) * m
    h = (h ^ (h >> 47)) * m
    return h ^ (h >> 47)


cdef uint32_t murmur32(const char* data, size_t size, uint32_t seed) noexcept nogil:
    """MurmurHash2, 32 bits, as count-min and cuckoo payloads of Redis use it."""
    cdef uint32_t m = 0x5bd1e995u
    cdef uint32_t h = seed ^ <uint32_t>size
    cdef uint32_t k
    cdef const char* p = data
    cdef size_t rest = size
    while rest >= 4:
        k = <uint32_t>read32(p) * m
        k = (k ^ (k >> 24)) * m
        h = (h * m) ^ k
        p += 4
        rest -= 4
    if rest:
        k = 0
        memcpy(&k, p, rest)
        h = (h ^ k) * m
    h = (h ^ (h >> 13)) * m
    return h ^ (h >> 15)


def slot_checksum(data: bytes) -> int:
    """Return the CRC16 (XMODEM) of `data`: a key's cluster slot is this modulo 16384."""
    cdef const char* p = data
    return crc16(p, len(data))


def file_checksum(data: bytes, crc: int = 0) -> int:
    """Return the CRC64 of `data`, continuing from `crc`."""
    cdef const char* p = data
    return crc64(crc, p, len(data))


def murmur64a(data: bytes, seed: int) -> int:
    """Return MurmurHash64A of `data`."""
    cdef const char* p = data
    return murmur64(p, len(data), seed)


def murmur2(data: bytes, seed: int) -> int:
    """Return the 32-bit MurmurHash2 of `data`."""
    cdef const char* p = data
    return murmur32(p, len(data), seed)
