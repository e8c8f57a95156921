"""The entries of a stream: in packed nodes, one after the other.

A stream is a `StreamRoot` from its first entry on, because it outlives its last one. Its entries
lie in *nodes*, blocks of about `stream-node-max-bytes` that are filled one after the other. A node
begins with the field names of its first entry; an entry with the same names stores its values only:

    uint32      where the first record begins
    uint32      records marked deleted
    varint      number of names, then each name (varint length, bytes)
    records     one after the other

    a record:   varint body length, body, its whole length so far as a varint written backwards
    its body:   flags, varint ms - the node's, varint seq (less the node's seq if ms is the same),
                then SAME_FIELDS: values; otherwise: varint count, names and values alternating

Nodes stand in an index by their first id. One of up to 4 KB, its header included, is in a slab, so
that it can be moved; a larger one is a block outside.
"""

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from spineldb.core.named cimport Names
from spineldb.core.pending cimport Index, Slot
from spineldb.core.resp cimport Output, Slice
from spineldb.core.root cimport Root
from spineldb.core.slab cimport FINE_MAX, Block, Slabs, block_data
from spineldb.core.stream_ids cimport ID
from spineldb.core.varints cimport varint_size

cdef enum:
    RECORD_DELETED = 1
    SAME_FIELDS = 2

    NODE_HEADER = 8              # bytes of a node before the number of its names
    IN_SLAB = 0x100              # a flag of a node's block, beside those of other blocks

cdef inline size_t node_room() noexcept nogil:
    """Bytes of a node that is in a slab."""
    return FINE_MAX - sizeof(Block)

cdef struct StreamRoot:
    Root root                    # `count` entries
    ID last                      # the greatest id it ever had
    ID max_deleted
    uint64_t added               # entries ever
    Index nodes
    Names groups

cdef struct Cursor:              # on one entry of a range
    const StreamRoot* stream
    ID start, end                # of the range, both included
    ID id
    bint reverse
    int64_t node                 # position in the index
    uint8_t* data                # of that node
    size_t size                  # of its data
    size_t first                 # where its first record begins
    size_t next                  # forward: where the next record begins; reverse: where it ends
    uint8_t* flags               # of the entry: its first byte
    const uint8_t* fields        # of the entry, behind its id (and count)
    const uint8_t* names         # of the node, or NULL when the entry has its own
    uint64_t count               # of fields

# The id that XADD gives next; False if there is none left.
cdef bint stream_next_id(const StreamRoot* stream, int64_t now_ms, ID* id) noexcept nogil
# Append an entry of `count` pairs, whose id is greater than the last. False without memory.
cdef bint stream_append(Slabs* slabs, StreamRoot* stream, const ID* id, const Slice* pairs,
                        int count, int64_t node_bytes, int64_t node_entries) noexcept nogil
cdef size_t pairs_size(const Slice* pairs, int count) noexcept nogil
cdef bint stream_remove(Slabs* slabs, StreamRoot* stream, const ID* id) noexcept nogil
cdef bint stream_has(const StreamRoot* stream, const ID* id) noexcept nogil
# The first and last entry; 0-0 if there is none.
cdef ID stream_first(const StreamRoot* stream) noexcept nogil
cdef ID stream_top(const StreamRoot* stream) noexcept nogil

# Delete the cursor's entry, and leave the node as it is for now.
cdef void mark_deleted(StreamRoot* stream, Cursor* cursor) noexcept nogil
# Give up a node that is empty, compact one that is mostly deleted; True if it is gone.
cdef bint tidy(Slabs* slabs, StreamRoot* stream, int64_t position) noexcept nogil
cdef void drop_node(Slabs* slabs, StreamRoot* stream, int64_t position) noexcept nogil
# The id of a node's last entry, even if that was deleted.
cdef ID node_top(const Slot* slot) noexcept nogil
# Append a copy of a node to another stream's; False without memory.
cdef bint copy_node(Slabs* slabs, StreamRoot* stream, const Slot* source) noexcept nogil
# Memory for a node of at least `capacity` bytes, with size 0; NULL if there is none.
cdef Block* node_new(Slabs* slabs, size_t capacity) noexcept nogil
cdef void node_free(Slabs* slabs, Block* block) noexcept nogil

cdef inline uint8_t* node_data(const Slot* slot) noexcept nogil:
    return <uint8_t*>block_data(<Block*>slot.data)

cdef inline size_t record_size(size_t body) noexcept nogil:
    """Bytes of a record whose body has so many."""
    body += varint_size(body)
    return body + varint_size(body)

cdef void cursor_begin(Cursor* cursor, const StreamRoot* stream, const ID* start, const ID* end,
                       bint reverse) noexcept nogil
# Stand before the first record of the cursor's node (in reverse: behind the last).
cdef void cursor_enter(Cursor* cursor) noexcept nogil
cdef bint cursor_next(Cursor* cursor) noexcept nogil
cdef void out_entry(Output* out, const Cursor* cursor) noexcept nogil

# Put other bytes in place of `width` ones of a reply that is being written.
cdef void out_replace(Output* out, size_t start, size_t width, const char* text,
                      size_t size) noexcept nogil
# Put the header of `count` elements where one of `width` bytes stands.
cdef void out_header(Output* out, size_t start, size_t width, char kind,
                     int64_t count) noexcept nogil

# The entry's fields and values, alternating.
cdef list fields_of(const Cursor* cursor)
