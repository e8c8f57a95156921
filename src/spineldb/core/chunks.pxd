"""Chunks: a sequence of byte strings in pieces of about 8 KB, with two ends that cost the same.

An *element* is written so that it is read from either side:

    size | bytes | size                  sizes below 254 take a byte,
    254 size | bytes | size 254          others four more;
    255 address 255                      a big one is a `Block`, whose address takes its place.

Elements stand one after another in a *run*: the value of a packed list, or the used part of a
chunk. A *chain* is a ring of chunks, each named beside the number of its elements, so that an index
is found by adding up counts that lie together, and only one chunk is read.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from spineldb.core.resp cimport Output, Slice
from spineldb.core.slab cimport Block, Ref, Slabs, at, block_data

cdef enum:
    WIDE_SIZE = 254              # the first byte of an element whose size takes four more
    IN_BLOCK = 255               # the first byte of an element that is a block
    BLOCK_ELEMENT = 10           # bytes that such an element takes in its run
    ELEMENT_MAX = 1984           # longest element that is written into a run
    CHUNK_MIN = 1024             # bytes of a chunk, with its header: a power of two
    CHUNK_MAX = 8192

cdef struct Chunk:
    uint16_t capacity            # bytes for elements
    uint16_t start               # the run: from here
    uint16_t end                 # to here
    uint16_t blocks              # elements that are blocks
    uint64_t packed              # bytes the elements would take in a listpack of Redis
    # the elements follow: see chunk_data()

cdef struct Slot:
    Ref ref                      # of a chunk
    uint32_t count               # its elements

cdef struct Chain:
    Slot* slots                  # a ring: of `mask` + 1 slots, `length` are used, from `head` on
    uint32_t mask
    uint32_t head
    uint32_t length
    int64_t count                # elements
    size_t bytes                 # all that the chain takes beside this struct
    int64_t packed               # the sum of the chunks'

cdef struct Cursor:              # an element of a run; good until the next change
    const Slabs* slabs
    Chain* chain                 # NULL: the run is all there is
    uint32_t slot                # of the run
    const uint8_t* start
    const uint8_t* end
    const uint8_t* p             # the element; `end` behind the last one of all

cdef inline uint8_t* chunk_data(Chunk* chunk) noexcept nogil:
    return <uint8_t*>chunk + sizeof(Chunk)

cdef inline Slot* slot_at(const Chain* chain, uint32_t index) noexcept nogil:
    return &chain.slots[(chain.head + index) & chain.mask]

cdef inline Chunk* chunk_at(const Slabs* slabs, const Chain* chain, uint32_t index) noexcept nogil:
    return <Chunk*>at(slabs, slot_at(chain, index).ref)

# -- elements --------------------------------------------------------------------------------------

cdef inline size_t element_bytes(size_t size) noexcept nogil:
    """What a string of `size` bytes takes in a run."""
    if size < WIDE_SIZE:
        return size + 2
    return size + 10 if size <= ELEMENT_MAX else BLOCK_ELEMENT

cdef inline const uint8_t* element_read(const uint8_t* p, Slice* found) noexcept nogil:
    """Read the element at `p`; return where the next one begins."""
    cdef uint32_t size
    found.block = NULL
    if p[0] < WIDE_SIZE:
        found.data = <const char*>p + 1
        found.size = p[0]
        return p + p[0] + 2
    if p[0] == WIDE_SIZE:
        memcpy(&size, p + 1, 4)
        found.data = <const char*>p + 5
        found.size = size
        return p + size + 10
    memcpy(&found.block, p + 1, sizeof(Block*))
    found.data = block_data(found.block)
    found.size = found.block.size
    return p + BLOCK_ELEMENT

cdef inline const uint8_t* element_after(const uint8_t* p) noexcept nogil:
    """Where the element behind the one at `p` begins."""
    cdef uint32_t size
    if p[0] < WIDE_SIZE:
        return p + p[0] + 2
    if p[0] == IN_BLOCK:
        return p + BLOCK_ELEMENT
    memcpy(&size, p + 1, 4)
    return p + size + 10

cdef inline const uint8_t* element_before(const uint8_t* end) noexcept nogil:
    """Where the element that ends at `end` begins."""
    cdef uint32_t size
    cdef uint8_t last = (end - 1)[0]
    if last < WIDE_SIZE:
        return end - last - 2
    if last == IN_BLOCK:
        return end - BLOCK_ELEMENT
    memcpy(&size, end - 5, 4)
    return end - size - 10

# Write an element, `block` in the place of one above ELEMENT_MAX; return where the next one goes.
cdef uint8_t* element_write(uint8_t* p, const Slice* value, Block* block) noexcept nogil
# What an element takes in a listpack of Redis: OBJECT ENCODING depends on the sum.
cdef size_t packed_bytes(const Slice* value) noexcept nogil
cdef bint is_number(const Slice* value) noexcept nogil   # would a listpack keep it as a number?
# The block of a value that is too long for a run, with a reference for the caller: the argument's
# own if it came in one, else a copy. NULL: no memory.
cdef Block* block_of(Slabs* slabs, const Slice* value) noexcept nogil

# -- runs and cursors ------------------------------------------------------------------------------

cdef void cursor_run(Cursor* cursor, const uint8_t* start, size_t size) noexcept nogil
# At the element of that index, which exists, or (index == count) behind the last one.
cdef void cursor_seek(Cursor* cursor, const Slabs* slabs, Chain* chain,
                      int64_t index) noexcept nogil
cdef void cursor_skip(Cursor* cursor, int64_t index, int64_t count) noexcept nogil
cdef bint next_run(Cursor* cursor) noexcept nogil       # False at the end of all
cdef bint previous_run(Cursor* cursor) noexcept nogil

cdef inline bint cursor_next(Cursor* cursor, Slice* found) noexcept nogil:
    """Read the element and go to the next one; False at the end."""
    if cursor.p == cursor.end and not next_run(cursor):
        return False
    cursor.p = element_read(cursor.p, found)
    return True

cdef inline bint cursor_previous(Cursor* cursor, Slice* found) noexcept nogil:
    """Go back by one element and read it; False at the beginning."""
    if cursor.p == cursor.start and not previous_run(cursor):
        return False
    cursor.p = element_before(cursor.p)
    element_read(cursor.p, found)
    return True

# Write `count` elements as bulk strings, from the cursor on (or from before it, backwards).
cdef void out_elements(Output* out, Cursor* cursor, int64_t count) noexcept nogil
cdef void out_elements_back(Output* out, Cursor* cursor, int64_t count) noexcept nogil

# -- chains ----------------------------------------------------------------------------------------
# What can fail returns False without memory, and has changed nothing then.

# A chain of the elements of a run.
cdef bint chain_from_run(Chain* chain, Slabs* slabs, const uint8_t* run, size_t size,
                         uint32_t count) noexcept nogil
cdef bint chain_copy(Chain* copy, const Chain* chain, Slabs* slabs) noexcept nogil
# Free chunks of about `limit` elements from the end; True once all are gone, and the ring.
cdef bint chain_free(Chain* chain, Slabs* slabs, int64_t limit) noexcept nogil
cdef bint chain_push(Chain* chain, Slabs* slabs, const Slice* value, bint left) noexcept nogil
# The element at an end of a chain that is not empty.
cdef void chain_end(const Chain* chain, const Slabs* slabs, bint left, Slice* found) noexcept nogil
# Remove `count` elements from an end.
cdef void chain_drop(Chain* chain, Slabs* slabs, bint left, int64_t count) noexcept nogil
# Put an element before the one at the cursor (which may be the end), or in place of another one.
cdef bint chain_insert(Chain* chain, Slabs* slabs, Cursor* cursor,
                       const Slice* value) noexcept nogil
cdef bint chain_replace(Chain* chain, Slabs* slabs, int64_t index,
                        const Slice* value) noexcept nogil
# Remove the element at the cursor, which is then at the next one. Chunks may be left sparse, or
# empty: chain_tidy, when all is removed.
cdef void chain_remove(Chain* chain, Slabs* slabs, Cursor* cursor) noexcept nogil
cdef void chain_tidy(Chain* chain, Slabs* slabs) noexcept nogil
# Remove up to `limit` elements equal to `value`, from the left or the right; returns how many.
cdef int64_t chain_strip(Chain* chain, Slabs* slabs, const Slice* value, int64_t limit,
                         bint left) noexcept nogil
# Move about `limit` chunks from `position` on out of sparse slabs; 1 at the end.
cdef int chain_defragment(Chain* chain, Slabs* slabs, uint64_t* position, int64_t limit,
                          int64_t* moved) noexcept nogil
