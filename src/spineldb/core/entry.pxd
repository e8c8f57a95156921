"""An entry: a key, its value and its deadline in one allocation.

    byte 0      kind (low 4 bits), flags (high 4)
    byte 1      key length      (0 and unused when WIDE)
    byte 2      value length    (0 and unused when WIDE)
    bytes 3-4   access clock: seconds of last use, or LFU counter and minutes
    6 bytes     deadline in Unix milliseconds, if HAS_DEADLINE
    8 bytes     key length, value length (32 bits each), if WIDE
    then the key, then the value

A wide entry whose value length is OUTSIDE keeps in place of the value the address of a `Block`.
Nothing is aligned: fields are read with memcpy, which compiles to one load.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from spineldb.core.slab cimport BLOCK_FROM, Block, block_data

cdef enum Kind:
    NONE = 0
    STRING = 1
    LIST = 2
    SET = 3
    ZSET = 4
    HASH = 5
    STREAM = 6
    EXTENSION = 7

cdef enum:
    KIND_MASK = 0x0f
    HAS_DEADLINE = 0x10
    WIDE = 0x20
    STICKY = 0x40                # a string: `raw` whatever its size; others: keeps its encoding
    PACKED = 0x80

    HEADER = 5
    DEADLINE_BYTES = 6
    WIDE_BYTES = 8

cdef uint32_t OUTSIDE = 0xffffffff

cdef inline uint32_t load32(const uint8_t* p) noexcept nogil:
    cdef uint32_t v
    memcpy(&v, p, 4)
    return v

cdef inline void store32(uint8_t* p, uint32_t v) noexcept nogil:
    memcpy(p, &v, 4)

cdef inline size_t key_offset(const uint8_t* e) noexcept nogil:
    return HEADER + (DEADLINE_BYTES if e[0] & HAS_DEADLINE else 0) + (WIDE_BYTES if e[0] & WIDE else 0)

cdef inline const char* entry_key(const uint8_t* e, size_t* size) noexcept nogil:
    cdef size_t offset = key_offset(e)
    size[0] = load32(e + offset - WIDE_BYTES) if e[0] & WIDE else e[1]
    return <const char*>(e + offset)

cdef inline int64_t entry_deadline(const uint8_t* e) noexcept nogil:
    """Unix milliseconds, or -1 if the key never expires."""
    cdef uint64_t v = 0
    if not e[0] & HAS_DEADLINE:
        return -1
    memcpy(&v, e + HEADER, DEADLINE_BYTES)
    return <int64_t>v

cdef inline void set_entry_deadline(uint8_t* e, int64_t at_ms) noexcept nogil:
    memcpy(e + HEADER, &at_ms, DEADLINE_BYTES)
