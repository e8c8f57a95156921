"""The entries of a stream: in packed nodes, one after the other.

The header has the layout. Everything here that may run out of memory says so before it changes
anything; removing never needs memory. `root.bytes` is kept by looking at what the allocator has
handed out before and after.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdio cimport snprintf
from libc.string cimport memcmp, memcpy, memmove

from spineldb.core.entry cimport load32, store32
from spineldb.core.pending cimport index_floor, index_insert, index_remove, index_room, slot_at
from spineldb.core.resp cimport out_array, out_bulk, out_reserve
from spineldb.core.slab cimport (
    GRAIN,
    Ref,
    at,
    block_data,
    block_new,
    block_release,
    block_resize,
    ref_of,
    slab_alloc,
    slab_free,
)
from spineldb.core.stream_ids cimport compare_ids, increment, out_id
from spineldb.core.varints cimport (
    get_back_varint, get_varint, put_back_varint, put_varint, varint_size,
)

cdef uint64_t LAST = <uint64_t>0xffffffffffffffffu
cdef size_t NODE_FIRST = 128         # bytes of a node at first; it grows by doubling
cdef size_t NODE_LIMIT = <size_t>1 << 30
cdef uint32_t DEAD_MIN = 16          # deleted records that make a node worth compacting


# -- a node's memory -------------------------------------------------------------------------------

cdef inline size_t stepped(size_t size) noexcept nogil:
    """The size that a node is given: eight to a doubling, so that few slabs are needed for few."""
    cdef size_t step = GRAIN
    while step * 16 <= size:
        step *= 2
    return (size + step - 1) & ~(step - 1)


cdef Block* node_new(Slabs* slabs, size_t capacity) noexcept nogil:
    """Memory for a node of at least `capacity` bytes; NULL if there is none."""
    cdef size_t size = stepped(capacity + sizeof(Block))
    cdef Block* block
    cdef Ref ref
    if capacity > node_room():
        return block_new(slabs, capacity)
    ref = slab_alloc(slabs, size)
    if ref == 0:
        return NULL
    block = <Block*>at(slabs, ref)
    block.references = 1
    block.flags = IN_SLAB
    block.capacity = size - sizeof(Block)
    block.size = 0
    return block


cdef void node_free(Slabs* slabs, Block* block) noexcept nogil:
    if block.flags & IN_SLAB:
        slab_free(slabs, ref_of(slabs, block), block.capacity + sizeof(Block))
    else:
        block_release(slabs, block)


cdef Block* node_resize(Slabs* slabs, Block* block, size_t capacity) noexcept nogil:
    """Give a node another capacity, at least its size. NULL without memory: it is as it was."""
    cdef Block* new
    if block.flags & IN_SLAB:
        if stepped(capacity + sizeof(Block)) == block.capacity + sizeof(Block):
            return block
    elif capacity > node_room():
        return block_resize(slabs, block, capacity)
    new = node_new(slabs, capacity)
    if new is not NULL:
        memcpy(block_data(new), block_data(block), block.size)
        new.size = block.size
        node_free(slabs, block)
    return new


# -- walking over entries --------------------------------------------------------------------------

cdef void cursor_enter(Cursor* cursor) noexcept nogil:
    """Stand before the first record of the cursor's node (in reverse: behind the last)."""
    cdef Slot* slot = slot_at(&cursor.stream.nodes, cursor.node)
    cursor.data = node_data(slot)
    cursor.size = (<Block*>slot.data).size
    cursor.first = load32(cursor.data)
    cursor.next = cursor.size if cursor.reverse else cursor.first


cdef void cursor_begin(Cursor* cursor, const StreamRoot* stream, const ID* start, const ID* end,
                       bint reverse) noexcept nogil:
    cursor.stream = stream
    cursor.start = start[0]
    cursor.end = end[0]
    cursor.reverse = reverse
    cursor.node = index_floor(&stream.nodes, end if reverse else start)
    if not reverse and cursor.node < 0:
        cursor.node = 0
    if 0 <= cursor.node < stream.nodes.count:
        cursor_enter(cursor)
    else:
        cursor.node = -1


cdef bint cursor_next(Cursor* cursor) noexcept nogil:
    """Go to the next entry of the range; False at its end."""
    cdef const uint8_t* p
    cdef uint8_t* record
    cdef uint64_t size, delta
    cdef size_t width
    cdef const ID* base
    if cursor.node < 0:
        return False
    while True:
        if cursor.next == (cursor.first if cursor.reverse else cursor.size):
            cursor.node += -1 if cursor.reverse else 1
            if cursor.node < 0 or cursor.node >= cursor.stream.nodes.count:
                cursor.node = -1
                return False
            cursor_enter(cursor)
            continue
        if cursor.reverse:
            size = get_back_varint(cursor.data + cursor.next, &width)
            cursor.next -= size + width
            record = cursor.data + cursor.next
            p = get_varint(record, &size)
        else:
            record = cursor.data + cursor.next
            p = get_varint(record, &size)
            width = <size_t>(p - record)
            cursor.next += width + size + varint_size(width + size)
        cursor.flags = <uint8_t*>p
        if p[0] & RECORD_DELETED:
            continue
        base = &slot_at(&cursor.stream.nodes, cursor.node).first
        p = get_varint(p + 1, &delta)
        cursor.id.ms = base.ms + delta
        p = get_varint(p, &cursor.id.seq)
        if delta == 0:
            cursor.id.seq += base.seq
        if compare_ids(&cursor.id, &cursor.start) < 0:
            if cursor.reverse:
                cursor.node = -1
                return False
            continue
        if compare_ids(&cursor.id, &cursor.end) > 0:
            if not cursor.reverse:
                cursor.node = -1
                return False
            continue
        if cursor.flags[0] & SAME_FIELDS:
            cursor.names = get_varint(cursor.data + NODE_HEADER, &cursor.count)
            cursor.fields = p
        else:
            cursor.names = NULL
            cursor.fields = get_varint(p, &cursor.count)
        return True


cdef inline const uint8_t* out_text(Output* out, const uint8_t* p) noexcept nogil:
    cdef uint64_t size
    p = get_varint(p, &size)
    out_bulk(out, <const char*>p, size)
    return p + size


cdef void out_entry(Output* out, const Cursor* cursor) noexcept nogil:
    """Write [id, [field, value ...]]."""
    cdef const uint8_t* names = cursor.names
    cdef const uint8_t* p = cursor.fields
    out_array(out, 2)
    out_id(out, &cursor.id)
    out_array(out, <int64_t>cursor.count * 2)
    for _ in range(cursor.count):
        if names is NULL:
            p = out_text(out, p)
        else:
            names = out_text(out, names)
        p = out_text(out, p)


cdef void out_replace(Output* out, size_t start, size_t width, const char* text,
                      size_t size) noexcept nogil:
    if size > width and out_reserve(out, size - width) is NULL:
        return
    if out.data is NULL or out.used < start + width:
        return                               # there was no memory for the reply
    if size != width:
        memmove(out.data + start + size, out.data + start + width, out.used - start - width)
        out.used = out.used + size - width
    memcpy(out.data + start, text, size)


cdef void out_header(Output* out, size_t start, size_t width, char kind,
                     int64_t count) noexcept nogil:
    cdef char[24] text
    out_replace(out, start, width, text,
                <size_t>snprintf(text, 24, b"%c%lld\r\n", kind, <long long>count))


cdef list fields_of(const Cursor* cursor):
    """The entry's fields and values, alternating."""
    cdef const uint8_t* names = cursor.names
    cdef const uint8_t* p = cursor.fields
    cdef uint64_t i, size
    cdef list found = []
    for i in range(cursor.count * 2):
        if names is not NULL and i % 2 == 0:
            names = get_varint(names, &size)
            found.append(PyBytes_FromStringAndSize(<const char*>names, <Py_ssize_t>size))
            names += size
        else:
            p = get_varint(p, &size)
            found.append(PyBytes_FromStringAndSize(<const char*>p, <Py_ssize_t>size))
            p += size
    return found


# -- adding and removing entries -------------------------------------------------------------------

cdef bint stream_next_id(const StreamRoot* stream, int64_t now_ms, ID* id) noexcept nogil:
    id[0] = stream.last
    if now_ms > 0 and <uint64_t>now_ms > id.ms:
        id.ms = <uint64_t>now_ms
        id.seq = 0
        return True
    return increment(id)


cdef size_t pairs_size(const Slice* pairs, int count) noexcept nogil:
    """Bytes of all names and values."""
    cdef size_t total = 0
    cdef int i
    for i in range(count * 2):
        total += pairs[i].size
    return total


cdef bint same_fields(const uint8_t* data, const Slice* pairs, int count) noexcept nogil:
    """Are the names those of the node's first entry, in its order?"""
    cdef uint64_t n, size
    cdef int i
    cdef const uint8_t* p = get_varint(data + NODE_HEADER, &n)
    if n != <uint64_t>count:
        return False
    for i in range(count):
        p = get_varint(p, &size)
        if size != pairs[2 * i].size or memcmp(p, pairs[2 * i].data, size):
            return False
        p += size
    return True


cdef inline size_t text_size(const Slice* text) noexcept nogil:
    return varint_size(text.size) + text.size


cdef inline uint8_t* put_text(uint8_t* p, const Slice* text) noexcept nogil:
    p = put_varint(p, text.size)
    memcpy(p, text.data, text.size)
    return p + text.size


cdef size_t body_size(const ID* id, const ID* base, const Slice* pairs, int count,
                      bint same) noexcept nogil:
    cdef uint64_t delta = id.ms - base.ms
    cdef size_t size = 1 + varint_size(delta)
    cdef int i
    size += varint_size(id.seq if delta else id.seq - base.seq)
    if not same:
        size += varint_size(<uint64_t>count)
    for i in range(count * 2):
        if i & 1 or not same:
            size += text_size(&pairs[i])
    return size


cdef uint8_t* put_record(uint8_t* p, size_t body, const ID* id, const ID* base, const Slice* pairs,
                         int count, bint same) noexcept nogil:
    cdef uint64_t delta = id.ms - base.ms
    cdef int i
    cdef size_t width = varint_size(body)
    p = put_varint(p, body)
    p[0] = SAME_FIELDS if same else 0
    p = put_varint(p + 1, delta)
    p = put_varint(p, id.seq if delta else id.seq - base.seq)
    if not same:
        p = put_varint(p, <uint64_t>count)
    for i in range(count * 2):
        if i & 1 or not same:
            p = put_text(p, &pairs[i])
    return put_back_varint(p, width + body)


cdef Slot* open_node(Slabs* slabs, StreamRoot* stream, const ID* id, const Slice* pairs, int count,
                     size_t limit) noexcept nogil:
    """Open a node whose first entry will be this one; NULL without memory."""
    cdef size_t header = NODE_HEADER + varint_size(<uint64_t>count)
    cdef size_t room
    cdef int i
    cdef Block* block
    cdef Slot* slot
    cdef uint8_t* p
    for i in range(0, count * 2, 2):
        header += text_size(&pairs[i])
    room = header + record_size(body_size(id, id, pairs, count, True))
    if not index_room(slabs, &stream.nodes):
        return NULL
    # the first node may stay the only one; later ones will be filled
    block = node_new(slabs, max(room, NODE_FIRST if stream.nodes.count == 0
                                else min(limit, node_room())))
    if block is NULL:
        return NULL
    p = <uint8_t*>block_data(block)
    store32(p, <uint32_t>header)
    store32(p + 4, 0)
    p = put_varint(p + NODE_HEADER, <uint64_t>count)
    for i in range(0, count * 2, 2):
        p = put_text(p, &pairs[i])
    block.size = header
    slot = index_insert(&stream.nodes, stream.nodes.count)
    slot.first = id[0]
    slot.data = block
    slot.live = slot.total = 0
    return slot


cdef bint stream_append(Slabs* slabs, StreamRoot* stream, const ID* id, const Slice* pairs,
                        int count, int64_t node_bytes, int64_t node_entries) noexcept nogil:
    cdef size_t used = slabs.used
    cdef size_t limit = <size_t>node_bytes
    cdef Slot* slot = NULL
    cdef Block* block
    cdef bint same
    cdef size_t body, needed
    if node_bytes <= 0 or limit > NODE_LIMIT:
        limit = NODE_LIMIT
    limit -= min(limit, sizeof(Block))
    if stream.nodes.count:
        slot = slot_at(&stream.nodes, stream.nodes.count - 1)
        same = same_fields(node_data(slot), pairs, count)
        body = body_size(id, &slot.first, pairs, count, same)
        needed = (<Block*>slot.data).size + record_size(body)
        if needed >= limit or (node_entries > 0 and slot.total >= node_entries):
            block = node_resize(slabs, <Block*>slot.data, (<Block*>slot.data).size)
            if block is not NULL:
                slot.data = block
            slot = NULL
    if slot is NULL:
        slot = open_node(slabs, stream, id, pairs, count, limit)
        if slot is NULL:
            stream.root.bytes += slabs.used - used
            return False
        same = True
        body = body_size(id, id, pairs, count, True)
        needed = (<Block*>slot.data).size + record_size(body)
    block = <Block*>slot.data
    if block.capacity < needed:
        block = node_resize(slabs, block, max(needed, min(block.capacity * 2, limit)))
        if block is NULL:
            stream.root.bytes += slabs.used - used
            return False
        slot.data = block
    put_record(<uint8_t*>block_data(block) + block.size, body, id, &slot.first, pairs, count, same)
    block.size = needed
    slot.live += 1
    slot.total += 1
    stream.last = id[0]
    stream.added += 1
    stream.root.count += 1
    stream.root.bytes += slabs.used - used
    return True


cdef void compact(Slabs* slabs, Slot* slot) noexcept nogil:
    """Squeeze deleted records out of a node; its last one stays (see node_top)."""
    cdef Block* block = <Block*>slot.data
    cdef uint8_t* data = node_data(slot)
    cdef size_t reading = load32(data)
    cdef size_t writing = reading
    cdef size_t size
    cdef uint32_t dead = 0
    cdef uint64_t body
    cdef const uint8_t* p
    while reading < block.size:
        p = get_varint(data + reading, &body)
        size = record_size(body)
        if not p[0] & RECORD_DELETED or reading + size == block.size:
            dead = p[0] & RECORD_DELETED
            memmove(data + writing, data + reading, size)
            writing += size
        reading += size
    store32(data + 4, dead)
    block.size = writing
    block = node_resize(slabs, block, writing)
    if block is not NULL:
        slot.data = block


cdef void drop_node(Slabs* slabs, StreamRoot* stream, int64_t position) noexcept nogil:
    node_free(slabs, <Block*>slot_at(&stream.nodes, position).data)
    index_remove(slabs, &stream.nodes, position)


cdef void mark_deleted(StreamRoot* stream, Cursor* cursor) noexcept nogil:
    """Delete the cursor's entry, and leave the node as it is for now."""
    cursor.flags[0] |= RECORD_DELETED
    store32(cursor.data + 4, load32(cursor.data + 4) + 1)
    slot_at(&stream.nodes, cursor.node).live -= 1
    stream.root.count -= 1


cdef bint tidy(Slabs* slabs, StreamRoot* stream, int64_t position) noexcept nogil:
    """Give up a node that is empty, compact one that is mostly deleted; True if it is gone."""
    cdef Slot* slot = slot_at(&stream.nodes, position)
    cdef uint32_t dead = load32(node_data(slot) + 4)
    if slot.live == 0:
        drop_node(slabs, stream, position)
        return True
    if dead >= DEAD_MIN and dead > slot.live:
        compact(slabs, slot)
    return False


cdef bint seek_entry(Cursor* cursor, const StreamRoot* stream, const ID* id) noexcept nogil:
    cursor_begin(cursor, stream, id, id, False)
    return cursor_next(cursor)


cdef bint stream_has(const StreamRoot* stream, const ID* id) noexcept nogil:
    cdef Cursor cursor
    return seek_entry(&cursor, stream, id)


cdef bint stream_remove(Slabs* slabs, StreamRoot* stream, const ID* id) noexcept nogil:
    cdef Cursor cursor
    cdef size_t used = slabs.used
    if not seek_entry(&cursor, stream, id):
        return False
    mark_deleted(stream, &cursor)
    tidy(slabs, stream, cursor.node)
    stream.root.bytes += slabs.used - used
    return True


cdef ID edge(const StreamRoot* stream, bint reverse) noexcept nogil:
    cdef Cursor cursor
    cdef ID first, last
    first.ms = first.seq = 0
    last.ms = last.seq = LAST
    cursor_begin(&cursor, stream, &first, &last, reverse)
    return cursor.id if cursor_next(&cursor) else first


cdef ID stream_first(const StreamRoot* stream) noexcept nogil:
    return edge(stream, False)


cdef ID stream_top(const StreamRoot* stream) noexcept nogil:
    return edge(stream, True)


cdef ID node_top(const Slot* slot) noexcept nogil:
    """The id of a node's last entry, even if that was deleted."""
    cdef const uint8_t* end = node_data(slot) + (<Block*>slot.data).size
    cdef size_t width
    cdef uint64_t size, delta
    cdef const uint8_t* p
    cdef ID id
    size = get_back_varint(end, &width)
    p = get_varint(end - width - size, &size)
    p = get_varint(p + 1, &delta)
    get_varint(p, &id.seq)
    if delta == 0:
        id.seq += slot.first.seq
    id.ms = slot.first.ms + delta
    return id


cdef bint copy_node(Slabs* slabs, StreamRoot* stream, const Slot* source) noexcept nogil:
    cdef Block* block = <Block*>source.data
    cdef Block* own
    cdef Slot* slot
    if not index_room(slabs, &stream.nodes):
        return False
    own = node_new(slabs, block.size)
    if own is NULL:
        return False
    memcpy(block_data(own), block_data(block), block.size)
    own.size = block.size
    slot = index_insert(&stream.nodes, stream.nodes.count)
    slot[0] = source[0]
    slot.data = own
    return True
