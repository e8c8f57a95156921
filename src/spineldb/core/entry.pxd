"""An entry: a key, its value and its deadline in one allocation.

    byte 0      kind (low 4 bits), flags (high 4)
    byte 1      key length      (0 and unused when WIDE)
    byte 2      value length    (0 and unused when WIDE)
    bytes 3-4   access clock: seconds of last use, or LFU counter and minutes
    6 bytes     deadline in Unix milliseconds, if HAS_DEADLINE (8 bytes when WIDE)
    8 bytes     key length, value length (32 bits each), if WIDE
    then the key, then the value

A collection that is PACKED has a value that begins with a count of 16 bits and its form; another
one is the address of its `Root`.

An entry is wide when its key or value is longer than NARROW_MAX or its deadline needs more than
48 bits. A wide entry whose value length is OUTSIDE keeps the address of a `Block` in place of the
value.
Nothing is aligned: fields are read with memcpy, which compiles to one load.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from spineldb.core.root cimport Root
from spineldb.core.slab cimport Block, Ref, Slabs, block_data

cpdef enum Kind:
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
    PACKED = 0x80                # a collection: it is in the entry
    TEXT = 0x80                  # a string: never called `int`, whatever its digits (INCRBYFLOAT's)

    HEADER = 5
    CLOCK = 3                    # where the access clock stands
    WIDE_BYTES = 8
    NARROW_MAX = 255             # longest key and value of an entry that is not wide
    INLINE_MAX = 1984            # longest value kept in the entry itself
    PACKED_HEADER = 3            # bytes of a packed collection before its first element
    PACKED_FORM = 2              # where its form stands, which is the type's own business

cdef enum:
    # A longer value is in a block: this length is written in place of its own.
    OUTSIDE = 0xffffffff

cdef inline uint32_t load32(const uint8_t* p) noexcept nogil:
    cdef uint32_t v
    memcpy(&v, p, 4)
    return v

cdef inline void store32(uint8_t* p, uint32_t v) noexcept nogil:
    memcpy(p, &v, 4)

cdef inline uint16_t load16(const uint8_t* p) noexcept nogil:
    cdef uint16_t v
    memcpy(&v, p, 2)
    return v

cdef inline void store16(uint8_t* p, uint16_t v) noexcept nogil:
    memcpy(p, &v, 2)

cdef inline bint is_string(const uint8_t* e) noexcept nogil:
    return e[0] & KIND_MASK == STRING

cdef inline bint is_narrow(int64_t deadline) noexcept nogil:
    """Do six bytes hold this deadline? A later one makes the entry wide."""
    return deadline < <int64_t>1 << 48

cdef inline size_t deadline_bytes(uint8_t flags) noexcept nogil:
    """6, or 8 in a wide entry, or 0 without a deadline."""
    return (6 + ((flags & WIDE) >> 4)) if flags & HAS_DEADLINE else 0

cdef inline size_t key_offset(const uint8_t* e) noexcept nogil:
    return HEADER + deadline_bytes(e[0]) + ((e[0] & WIDE) >> 2)

cdef inline const char* entry_key(const uint8_t* e, size_t* size) noexcept nogil:
    cdef size_t offset = key_offset(e)
    size[0] = load32(e + offset - WIDE_BYTES) if e[0] & WIDE else e[1]
    return <const char*>(e + offset)

cdef inline int64_t entry_deadline(const uint8_t* e) noexcept nogil:
    """Unix milliseconds, or -1 if the key never expires."""
    cdef int64_t v = 0
    if not e[0] & HAS_DEADLINE:
        return -1
    memcpy(&v, e + HEADER, deadline_bytes(e[0]))
    return v

cdef inline void store_deadline(uint8_t* e, int64_t at_ms) noexcept nogil:
    memcpy(e + HEADER, &at_ms, deadline_bytes(e[0]))

cdef inline Block* entry_block(const uint8_t* e) noexcept nogil:
    """The block that holds the value, or NULL when it is in the entry."""
    cdef size_t offset
    cdef Block* block
    if not e[0] & WIDE:
        return NULL
    offset = key_offset(e)
    if load32(e + offset - 4) != <uint32_t>OUTSIDE:
        return NULL
    memcpy(&block, e + offset + load32(e + offset - WIDE_BYTES), sizeof(Block*))
    return block

cdef inline char* entry_value(const uint8_t* e, size_t* size) noexcept nogil:
    """Where the value lies and how long it is, in the entry or in its block."""
    cdef size_t offset = key_offset(e)
    cdef uint32_t key_size
    cdef uint32_t value_size
    cdef Block* block
    if not e[0] & WIDE:
        size[0] = e[2]
        return <char*>(e + offset + e[1])
    key_size = load32(e + offset - WIDE_BYTES)
    value_size = load32(e + offset - 4)
    if value_size == <uint32_t>OUTSIDE:
        memcpy(&block, e + offset + key_size, sizeof(Block*))
        size[0] = block.size
        return block_data(block)
    size[0] = value_size
    return <char*>(e + offset + key_size)

cdef inline size_t entry_size(const uint8_t* e) noexcept nogil:
    """Bytes that the entry needs (its class size is what it takes)."""
    cdef size_t offset = key_offset(e)
    cdef uint32_t value_size
    if not e[0] & WIDE:
        return offset + e[1] + e[2]
    value_size = load32(e + offset - 4)
    return offset + load32(e + offset - WIDE_BYTES) + (
        sizeof(Block*) if value_size == <uint32_t>OUTSIDE else value_size)

cdef inline uint16_t access_clock(const uint8_t* e) noexcept nogil:
    cdef uint16_t v
    memcpy(&v, e + CLOCK, 2)
    return v

cdef inline void set_access_clock(uint8_t* e, uint16_t v) noexcept nogil:
    if access_clock(e) != v:     # do not dirty a page that a snapshot child shares for nothing
        memcpy(e + CLOCK, &v, 2)

cdef struct Shape:               # how an entry is laid out before it is written
    uint8_t head
    size_t size
    size_t key_at
    size_t value_at

# Lay out an entry of a kind and its flags. `deadline` is -1 for none; with `outside` the value is
# in a block, and `value_size` only decides whether the entry is wide.
cdef void shape_of(Shape* shape, int head, size_t key_size, size_t value_size, int64_t deadline,
                   bint outside) noexcept nogil
# Write all but the access clock, the key and the value.
cdef void write_head(uint8_t* entry, const Shape* shape, size_t key_size, size_t value_size,
                     int64_t deadline, bint outside) noexcept nogil
cdef inline Root* entry_root(const uint8_t* e) noexcept nogil:
    """The structure that is the value, or NULL when the value is in the entry or in a block."""
    cdef Root* root
    if e[0] & KIND_MASK == STRING or e[0] & PACKED:
        return NULL
    memcpy(&root, e + key_offset(e) + (load32(e + key_offset(e) - WIDE_BYTES) if e[0] & WIDE
                                       else e[1]), sizeof(Root*))
    return root

# Free an entry that no table holds any more, and let its block or its structure go.
cdef void free_entry(Slabs* slabs, Ref ref) noexcept
# The bytes of a string, the elements of a collection: what Keysizes counts.
cdef size_t value_size_of(const uint8_t* entry) noexcept nogil
# The bytes a key takes: entry, block or structure, its slot, and its place in the wheel.
cdef size_t usage_of(const uint8_t* entry) noexcept nogil
