"""Hashes: a keyed one for tables, CRC64 for files, CRC16 for cluster slots, Murmur for sketches."""

from libc.stdint cimport uint16_t, uint32_t, uint64_t

cdef struct HashKey:
    # Secrets of the keyed hash, drawn from the operating system once per dataset (16-byte seed in
    # tests), so that nobody outside can choose keys that collide.
    uint64_t secret[4]

cdef void hash_key_init(HashKey* key, bytes seed) except *
cdef uint64_t keyed_hash(const HashKey* key, const char* data, size_t size) noexcept nogil

cdef uint16_t crc16(const char* data, size_t size) noexcept nogil
cdef uint64_t crc64(uint64_t crc, const char* data, size_t size) noexcept nogil

# MurmurHash64A (HyperLogLog, Bloom filters) and MurmurHash2 (count-min): public formats.
cdef uint64_t murmur64(const char* data, size_t size, uint64_t seed) noexcept nogil
cdef uint32_t murmur32(const char* data, size_t size, uint32_t seed) noexcept nogil
