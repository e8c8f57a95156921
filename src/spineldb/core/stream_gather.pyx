"""Putting the nodes of a stream together that have lost most of their entries.

Deleting leaves records that are marked, then nodes with few of them. When memory is tidied, the
entries of neighbours are written anew into one node: their ids relative to its first id, their
names left out where they are the node's.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from spineldb.core.entry cimport load32, store32
from spineldb.core.pending cimport Slot, slot_at
from spineldb.core.slab cimport Block, Ref, at, block_data, ref_of, slab_settle
from spineldb.core.stream_ids cimport ID
from spineldb.core.stream_nodes cimport (
    IN_SLAB, NODE_HEADER, RECORD_DELETED, SAME_FIELDS, drop_node, node_data, node_free, node_new,
    node_room, record_size,
)
from spineldb.core.varints cimport get_varint, put_back_varint, put_varint, varint_size

cdef uint32_t DEAD_SHARE = 4         # one deleted record to so many others makes it worthwhile


cdef struct Record:              # that is not deleted
    ID id
    uint8_t flags
    const uint8_t* rest          # behind its id
    size_t size                  # of the rest


cdef bint read_live(const Slot* slot, size_t* reading, Record* record) noexcept nogil:
    """Read the next record of a node that is not deleted, from a byte on; False at the end."""
    cdef const uint8_t* data = node_data(slot)
    cdef const uint8_t* body
    cdef const uint8_t* p
    cdef uint64_t size, delta
    while reading[0] < (<Block*>slot.data).size:
        body = get_varint(data + reading[0], &size)
        reading[0] += record_size(size)
        if body[0] & RECORD_DELETED:
            continue
        record.flags = body[0]
        p = get_varint(body + 1, &delta)
        record.id.ms = slot.first.ms + delta
        p = get_varint(p, &record.id.seq)
        if delta == 0:
            record.id.seq += slot.first.seq
        record.rest = p
        record.size = size - <size_t>(p - body)
        return True
    return False


cdef inline size_t names_size(const uint8_t* data) noexcept nogil:
    """Bytes of a node's names and their number."""
    return load32(data) - NODE_HEADER


cdef inline bint same_names(const uint8_t* a, const uint8_t* b) noexcept nogil:
    return names_size(a) == names_size(b) and memcmp(
        a + NODE_HEADER, b + NODE_HEADER, names_size(a)) == 0


cdef inline size_t moved_body(const Record* record, const ID* base, size_t names) noexcept nogil:
    """Bytes of a record's body in a node with that first id; `names` of them are added to it."""
    cdef uint64_t delta = record.id.ms - base.ms
    return (1 + varint_size(delta) + varint_size(record.id.seq if delta
                                                 else record.id.seq - base.seq)
            + record.size + (names if record.flags & SAME_FIELDS else 0))


cdef uint8_t* put_moved(uint8_t* p, const Record* record, const ID* base, const uint8_t* source,
                        size_t names) noexcept nogil:
    """Write a record to a node with that first id; its names too, if they are another's there."""
    cdef size_t body = moved_body(record, base, names)
    cdef size_t width = varint_size(body)
    cdef uint64_t delta = record.id.ms - base.ms
    cdef uint64_t count
    cdef const uint8_t* rest = record.rest
    p = put_varint(p, body)
    p[0] = 0 if names else record.flags
    p = put_varint(p + 1, delta)
    p = put_varint(p, record.id.seq if delta else record.id.seq - base.seq)
    if names and record.flags & SAME_FIELDS:
        source = get_varint(source + NODE_HEADER, &count)
        p = put_varint(p, count)
        for _ in range(count):
            p = take_text(p, &source)
            p = take_text(p, &rest)
    else:
        memcpy(p, rest, record.size)
        p += record.size
    return put_back_varint(p, width + body)


cdef inline uint8_t* take_text(uint8_t* p, const uint8_t** source) noexcept nogil:
    """Copy one text with its length, and go behind it in both."""
    cdef uint64_t length
    cdef const uint8_t* text = get_varint(source[0], &length)
    cdef size_t size = <size_t>(text - source[0]) + length
    memcpy(p, source[0], size)
    source[0] += size
    return p + size


cdef size_t moved_size(const Slot* slot, const Slot* target) noexcept nogil:
    """Bytes that the entries of a node take in another."""
    cdef const uint8_t* data = node_data(slot)
    cdef size_t names = 0 if same_names(data, node_data(target)) else names_size(data)
    cdef size_t reading = load32(data)
    cdef size_t total = 0
    cdef Record record
    while read_live(slot, &reading, &record):
        total += record_size(moved_body(&record, &target.first, names))
    return total


cdef int64_t gathered(const StreamRoot* stream, int64_t position, Slot* sum) noexcept nogil:
    """How many nodes from one on fit into one; `sum` gets that one's numbers, its bytes in `data`.

    No more entries than one of them has had: so `stream-node-max-entries` is kept.
    """
    cdef Slot* first = slot_at(&stream.nodes, position)
    cdef Slot* slot
    cdef size_t size = load32(node_data(first)) + moved_size(first, first)
    cdef size_t more
    cdef uint32_t total
    cdef int64_t count = 1
    sum[0] = first[0]
    while position + count < stream.nodes.count:
        slot = slot_at(&stream.nodes, position + count)
        total = max(sum.total, slot.total)
        if sum.live + slot.live > total:
            break
        more = moved_size(slot, first)
        if size + more > node_room():
            break
        size += more
        sum.live += slot.live
        sum.total = total
        count += 1
    sum.data = <void*>size
    return count


cdef void gather(Slabs* slabs, StreamRoot* stream, int64_t position) noexcept nogil:
    """Put the entries of a node, and of those behind it that fit, into one without gaps."""
    cdef Slot sum
    cdef int64_t count = gathered(stream, position, &sum)
    cdef Slot* slot = slot_at(&stream.nodes, position)
    cdef const uint8_t* data = node_data(slot)
    cdef size_t header = load32(data)
    cdef size_t names, reading
    cdef Block* block
    cdef uint8_t* p
    cdef Record record
    cdef int64_t i
    if count == 1 and load32(data + 4) == 0:
        return
    block = node_new(slabs, <size_t>sum.data)
    if block is NULL:
        return
    p = <uint8_t*>block_data(block)
    memcpy(p, data, header)
    store32(p + 4, 0)
    p += header
    for i in range(count):
        slot = slot_at(&stream.nodes, position + i)
        data = node_data(slot)
        names = 0 if same_names(data, <uint8_t*>block_data(block)) else names_size(data)
        reading = load32(data)
        while read_live(slot, &reading, &record):
            p = put_moved(p, &record, &sum.first, data, names)
    block.size = <size_t>sum.data
    while count > 1:
        count -= 1
        drop_node(slabs, stream, position + count)
    slot = slot_at(&stream.nodes, position)
    node_free(slabs, <Block*>slot.data)
    slot[0] = sum
    slot.data = block


cdef int64_t node_settle(Slabs* slabs, StreamRoot* stream, int64_t position,
                         int64_t* moved) noexcept nogil:
    cdef Slot* slot = slot_at(&stream.nodes, position)
    cdef uint32_t dead = load32(node_data(slot) + 4)
    cdef int64_t seen = 1
    cdef Block* block
    cdef Ref ref
    if dead * DEAD_SHARE > slot.live or (
        position + 1 < stream.nodes.count
        and slot.live + (slot + 1).live <= max(slot.total, (slot + 1).total)
    ):
        seen = slot.total
        gather(slabs, stream, position)
        slot = slot_at(&stream.nodes, position)
    block = <Block*>slot.data
    if block.flags & IN_SLAB:
        ref = ref_of(slabs, block)
        slab_settle(slabs, &ref, block.capacity + sizeof(Block), moved)
        slot.data = at(slabs, ref)
    return seen
