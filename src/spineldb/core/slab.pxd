"""The dataset's allocator: small entries in slabs, addressed by 32 bits; big values in blocks.

An *entry* is one allocation in the reserved address space, named by a `Ref`: its distance from
`base` in units of 8 bytes. A *block* is a counted buffer outside that space, for values above
`BLOCK_FROM`: a connection that is still sending it holds a reference, so overwriting or deleting
the key never copies it and never frees it under the writer. Everything handed out is counted, to
the byte, in `Slabs.used`.
"""

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

ctypedef uint32_t Ref            # 0 is no entry

cdef enum:
    GRAIN = 8                    # bytes: the unit of a Ref and the step between size classes
    BLOCK_FROM = 2048            # entries above this many bytes keep their value in a block
    PAGE = 4096                  # bytes: what `used` counts runs in
    SLAB_BYTES = 16384
    FINE_MAX = 4096              # up to here classes are GRAIN apart,
    COARSE_MAX = 32768           # up to here COARSE apart; beyond, an entry is a run of whole pages
    COARSE = 512

cdef enum BlockFlag:
    MAPPED = 1                   # from mmap, grown by mremap, given back in slices

cdef struct Block:
    uint32_t references          # the entry's, and one for each reply still being sent
    uint32_t flags               # BlockFlag
    size_t capacity              # bytes that `data` may hold
    size_t size                  # bytes in use
    # the data follow: see block_data()

cdef struct Slabs:
    char* base                   # start of the reserved address space
    size_t used                  # exact sum of what is allocated: class sizes, blocks, tables' own
    size_t block_bytes           # the part of `used` that is in blocks
    size_t queued_bytes          # the part of `used` that only waits for slab_drain
    # Values that no key has any more and that are freed in slices (root.pxd): a list of Root, and
    # the part of `used` that is theirs.
    void* orphans
    size_t orphan_bytes
    # A snapshot child shares our pages: set by whoever forks, cleared when the child has ended.
    # Meanwhile tables neither shrink nor merge, and nobody defragments.
    bint shared
    # Tests only: the `fail_in`-th allocation from now fails, once; 0 is never. At -1 all fail,
    # below it every allocation brings that nearer.
    int64_t fail_in
    # what follows is the allocator's own (see slab.pyx)
    void* state

cdef extern from *:
    """
    #include <stddef.h>
    #ifdef SPINELDB_SANITIZE
    #include <sanitizer/asan_interface.h>
    #define spinel_poison(p, n) __asan_poison_memory_region((p), (n))
    #define spinel_unpoison(p, n) __asan_unpoison_memory_region((p), (n))
    #else
    #define spinel_poison(p, n) ((void)(p), (void)(n))
    #define spinel_unpoison(p, n) ((void)(p), (void)(n))
    #endif
    """
    void poison "spinel_poison"(void* p, size_t n) noexcept nogil
    void unpoison "spinel_unpoison"(void* p, size_t n) noexcept nogil

cdef inline void* at(const Slabs* slabs, Ref ref) noexcept nogil:
    """Address of an entry. Valid until the next allocation moves or frees that entry."""
    return slabs.base + (<size_t>ref << 3)

cdef inline size_t class_size(size_t size) noexcept nogil:
    """Bytes that an entry of `size` really takes: entries may grow in place up to this."""
    if size <= FINE_MAX:
        return (size + GRAIN - 1) & ~<size_t>(GRAIN - 1)
    if size <= COARSE_MAX:
        return (size + COARSE - 1) & ~<size_t>(COARSE - 1)
    return (size + PAGE - 1) & ~<size_t>(PAGE - 1)

cdef inline char* block_data(Block* block) noexcept nogil:
    return <char*>block + sizeof(Block)

cdef Slabs* slabs_new(size_t reserve) except NULL
cdef void slabs_delete(Slabs* slabs) noexcept

# `size` is given to both: the allocator keeps no header. 0 when there is no memory.
cdef Ref slab_alloc(Slabs* slabs, size_t size) noexcept nogil
cdef void slab_free(Slabs* slabs, Ref ref, size_t size) noexcept nogil
# Is the entry in a slab under 75 % used, so that moving it helps to give memory back?
cdef bint slab_sparse(const Slabs* slabs, Ref ref) noexcept nogil
# Bytes of memory the slabs hold from the system, counted blocks apart (for INFO's allocator_*).
cdef size_t slab_committed(const Slabs* slabs) noexcept nogil

cdef inline void slab_resized(Slabs* slabs, Ref ref, size_t old, size_t new) noexcept nogil:
    """Tell that an entry now uses `new` bytes of its class: for the sanitizer."""
    cdef char* p = <char*>at(slabs, ref)
    if new > old:
        unpoison(p, new)
    elif new < old:
        poison(p + new, class_size(old) - new)

# Move an entry to a fuller slab: the new Ref, or 0 if there is no memory. What pointed at the old
# one is the caller's to correct before anything else runs.
cdef Ref slab_move(Slabs* slabs, Ref ref, size_t size) noexcept nogil

# A run: one slab of which the first `pages` pages are used, counted by page. For tables' segments.
cdef Ref slab_run(Slabs* slabs, int pages) noexcept nogil
cdef void slab_run_resize(Slabs* slabs, Ref ref, int old_pages, int new_pages) noexcept nogil
cdef void slab_run_free(Slabs* slabs, Ref ref, int pages) noexcept nogil

cdef inline size_t malloc_cost(size_t size) noexcept nogil:
    """What the C library takes for `size` bytes: a header of 8, a multiple of 16 (as in glibc)."""
    return (size + 8 + 15) & ~<size_t>15

# Counted memory of the C library, for what is neither entry nor block (directories, for example).
cdef void* slab_malloc(Slabs* slabs, size_t size) noexcept nogil
cdef void slab_malloc_free(Slabs* slabs, void* p, size_t size) noexcept nogil

cdef Block* block_new(Slabs* slabs, size_t capacity) noexcept nogil           # NULL: no memory
# A big block that was released a moment ago, with at least this capacity; NULL if there is none.
cdef Block* block_reuse(Slabs* slabs, size_t capacity) noexcept nogil
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
