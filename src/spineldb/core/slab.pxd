"""The dataset's allocator: small entries in slabs, addressed by 32 bits; big values in blocks.

An *entry* is one allocation in the reserved address space, named by a `Ref`: its distance from
`base` in units of 8 bytes. A *block* is a counted buffer outside that space, for values above
`BLOCK_FROM`: a connection that is still sending it holds a reference, so overwriting or deleting
the key never copies it and never frees it under the writer. Everything handed out is counted, to
the byte, in `Slabs.used`.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

ctypedef uint32_t Ref            # 0 is no entry

cdef enum:
    GRAIN = 8                    # bytes: the unit of a Ref and the step between size classes
    BLOCK_FROM = 2048            # entries above this many bytes keep their value in a block

cdef struct Block:
    uint32_t references          # the entry's, and one for each reply still being sent
    uint32_t flags               # MAPPED: from mmap, grown by mremap, given back in slices
    size_t capacity              # bytes that `data` may hold
    size_t size                  # bytes in use
    # the data follow: see block_data()

cdef struct Slabs:
    char* base                   # start of the reserved address space
    size_t used                  # exact sum of what is allocated: class sizes and blocks
    size_t block_bytes           # the part of `used` that is in blocks
    # what follows is the allocator's own (see slab.pyx)
    void* state

cdef inline void* at(const Slabs* slabs, Ref ref) noexcept nogil:
    """Address of an entry. Valid until the next allocation moves or frees that entry."""
    return slabs.base + (<size_t>ref << 3)

cdef inline size_t class_size(size_t size) noexcept nogil:
    """Bytes that an entry of `size` really takes: entries may grow in place up to this."""
    return (size + GRAIN - 1) & ~<size_t>(GRAIN - 1)

cdef inline char* block_data(Block* block) noexcept nogil:
    return <char*>block + sizeof(Block)

cdef Slabs* slabs_new(size_t reserve) except NULL
cdef void slabs_delete(Slabs* slabs) noexcept

# `size` is given to both: the allocator keeps no header. 0 when there is no memory.
cdef Ref slab_alloc(Slabs* slabs, size_t size) noexcept nogil
cdef void slab_free(Slabs* slabs, Ref ref, size_t size) noexcept nogil
# Is the entry in a slab under 75 % used, so that moving it helps to give memory back?
cdef bint slab_sparse(const Slabs* slabs, Ref ref, size_t size) noexcept nogil
# Bytes of memory the slabs hold from the system, counted blocks apart (for INFO's allocator_*).
cdef size_t slab_committed(const Slabs* slabs) noexcept nogil

cdef Block* block_new(Slabs* slabs, size_t capacity) noexcept nogil           # NULL: no memory
cdef Block* block_resize(Slabs* slabs, Block* block, size_t capacity) noexcept nogil
cdef inline Block* block_retain(Block* block) noexcept nogil:
    block.references += 1
    return block
# Drops one reference; the last one frees. Mapped blocks are queued and unmapped in slices by
# slab_drain, because unmapping 512 MB at once would stop the server for 50 ms.
cdef void block_release(Slabs* slabs, Block* block) noexcept nogil
# Give back at most `limit` bytes of released mapped blocks; returns the bytes that still wait.
cdef size_t slab_drain(Slabs* slabs, size_t limit) noexcept nogil
cdef size_t block_cost(const Block* block) noexcept nogil                      # bytes counted
