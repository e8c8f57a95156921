"""An entry's layout: how it is shaped, written and freed. The header has the layout itself."""

from libc.string cimport memcpy

from spineldb.core.root cimport Root, root_release
from spineldb.core.slab cimport at, block_cost, block_release, class_size, slab_free

cdef size_t SLOT_BYTES = 5                           # a table's reference and tag


cdef void shape_of(Shape* shape, int head, size_t key_size, size_t value_size, int64_t deadline,
                   bint outside) noexcept nogil:
    cdef size_t offset = HEADER
    head &= ~(HAS_DEADLINE | WIDE)
    if key_size > NARROW_MAX or value_size > NARROW_MAX or not is_narrow(deadline):
        head |= WIDE
    if deadline >= 0:
        head |= HAS_DEADLINE
        offset += 8 if head & WIDE else 6
    if head & WIDE:
        offset += WIDE_BYTES
    shape.head = <uint8_t>head
    shape.key_at = offset
    shape.value_at = offset + key_size
    shape.size = shape.value_at + (sizeof(Block*) if outside else value_size)


cdef void write_head(uint8_t* entry, const Shape* shape, size_t key_size, size_t value_size,
                     int64_t deadline, bint outside) noexcept nogil:
    """Write all but the access clock, the key and the value."""
    entry[0] = shape.head
    if shape.head & WIDE:
        entry[1] = entry[2] = 0
        store32(entry + shape.key_at - 8, <uint32_t>key_size)
        store32(entry + shape.key_at - 4, <uint32_t>OUTSIDE if outside else <uint32_t>value_size)
    else:
        entry[1] = <uint8_t>key_size
        entry[2] = <uint8_t>value_size
    if shape.head & HAS_DEADLINE:
        memcpy(entry + HEADER, &deadline, 8 if shape.head & WIDE else 6)


cdef void free_entry(Slabs* slabs, Ref ref) noexcept:
    cdef uint8_t* entry = <uint8_t*>at(slabs, ref)
    cdef Block* block = entry_block(entry)
    cdef Root* root = entry_root(entry)
    if block is not NULL:
        block_release(slabs, block)
    if root is not NULL:
        root_release(slabs, root)
    slab_free(slabs, ref, entry_size(entry))


cdef size_t value_size_of(const uint8_t* entry) noexcept nogil:
    cdef Root* root = entry_root(entry)
    cdef size_t size
    cdef char* value
    if root is not NULL:
        return <size_t>root.count
    value = entry_value(entry, &size)
    return size if is_string(entry) else load16(<uint8_t*>value)


cdef size_t usage_of(const uint8_t* entry) noexcept nogil:
    cdef Block* block = entry_block(entry)
    cdef Root* root = entry_root(entry)
    cdef size_t total = class_size(entry_size(entry)) + SLOT_BYTES
    if block is not NULL:
        total += block_cost(block)
    if root is not NULL:
        total += root.bytes
    if entry[0] & HAS_DEADLINE:
        total += sizeof(uint32_t)
    return total
