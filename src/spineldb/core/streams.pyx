"""Streams: entries in packed nodes, consumer groups with what they have pending.

The header has the layout. Everything here that may run out of memory says so before it changes
anything; removing never needs memory. `root.bytes` is kept by looking at what the allocator has
handed out before and after (see `Change`).
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdio cimport snprintf
from libc.string cimport memcmp, memcpy, memmove

from spineldb.core.effects cimport EVENT_STREAM, Effects
from spineldb.core.entry cimport STREAM, entry_root, load32, store32
from spineldb.core.keyspace cimport Database, Found, View
from spineldb.core.pending cimport (
    drop_leaf,
    index_floor,
    index_free,
    index_insert,
    index_remove,
    index_room,
    leaves_bytes,
    move_leaves,
    pending_copy,
    pending_find,
    pending_free,
    pending_insert,
    pending_remove,
    slot_at,
)
from spineldb.core.resp cimport out_array, out_bulk, out_reserve
from spineldb.core.root cimport root_free, root_new, root_release, value_types
from spineldb.core.slab cimport (
    Block,
    at,
    block_data,
    block_new,
    block_release,
    block_resize,
    class_size,
    malloc_cost,
    slab_alloc,
    slab_free,
    slab_malloc,
    slab_malloc_free,
)

from spineldb import errors
from spineldb.core.entry import Kind

cdef uint64_t LAST = <uint64_t>0xffffffffffffffffu
cdef size_t NODE_HEADER = 8
cdef size_t NODE_FIRST = 128         # bytes of a node at first; it grows by doubling
cdef size_t NODE_LIMIT = <size_t>1 << 30
cdef uint32_t DEAD_MIN = 16          # deleted records that make a node worth compacting
cdef int64_t WHOLE = <int64_t>1 << 62


# -- variable integers: seven bits a byte, the lowest first ----------------------------------------

cdef inline size_t varint_size(uint64_t value) noexcept nogil:
    cdef size_t n = 1
    while value >= 128:
        value >>= 7
        n += 1
    return n


cdef inline uint8_t* put_varint(uint8_t* p, uint64_t value) noexcept nogil:
    while value >= 128:
        p[0] = <uint8_t>(value | 128)
        p += 1
        value >>= 7
    p[0] = <uint8_t>value
    return p + 1


cdef inline const uint8_t* get_varint(const uint8_t* p, uint64_t* value) noexcept nogil:
    cdef uint64_t v = p[0]
    cdef int shift = 7
    if v < 128:
        value[0] = v
        return p + 1
    v &= 127
    while True:
        p += 1
        v |= <uint64_t>(p[0] & 127) << shift
        shift += 7
        if p[0] < 128:
            break
    value[0] = v
    return p + 1


cdef inline uint8_t* put_back_varint(uint8_t* p, uint64_t value) noexcept nogil:
    """Write a varint that is read from its last byte on."""
    cdef size_t n = varint_size(value)
    cdef size_t i = n
    while i:
        i -= 1
        p[i] = <uint8_t>(value & 127) | (128 if i else 0)
        value >>= 7
    return p + n


cdef inline uint64_t get_back_varint(const uint8_t* end, size_t* size) noexcept nogil:
    """Read the varint that ends before `end`."""
    cdef uint64_t v = 0
    cdef int shift = 0
    cdef const uint8_t* p = end
    while True:
        p -= 1
        v |= <uint64_t>(p[0] & 127) << shift
        shift += 7
        if p[0] < 128:
            break
    size[0] = <size_t>(end - p)
    return v


# -- walking over entries --------------------------------------------------------------------------

cdef inline uint8_t* node_data(const Slot* slot) noexcept nogil:
    return <uint8_t*>block_data(<Block*>slot.data)


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

cdef StreamRoot* stream_of(const uint8_t* entry) noexcept nogil:
    return <StreamRoot*>entry_root(entry)


cdef StreamRoot* stream_new(Slabs* slabs) except NULL:
    cdef size_t used = slabs.used
    cdef StreamRoot* stream = <StreamRoot*>root_new(slabs, STREAM, sizeof(StreamRoot))
    if stream is NULL:
        raise MemoryError
    stream.root.bytes = slabs.used - used
    return stream


cdef void stream_delete(Slabs* slabs, StreamRoot* stream) noexcept:
    free_some(slabs, &stream.root, WHOLE)


cdef int stream_put(Database db, Found* found, const char* key, size_t size,
                    StreamRoot* stream) except -1:
    cdef char* value = db.place(found, key, size, STREAM, sizeof(Root*), -1)
    memcpy(value, &stream, sizeof(Root*))
    db.recount(found.entry, -1)
    return 0


cdef void stream_recount(Database db, const uint8_t* entry, int64_t before) noexcept:
    cdef int64_t now = entry_root(entry).count
    if before ^ now > before & now:      # the highest bits differ, and so the bins of Keysizes
        db.recount(entry, before)


cdef int stream_noted(Effects effects, Database db, const Slice* key, const char* event,
                      int64_t count) except -1:
    cdef bytes name
    effects.dirty += count
    if effects.awaited_keys | effects.event_mask & EVENT_STREAM:
        name = key.data[:key.size]
        if name in db.awaited:
            effects.ready.append((db, name, STREAM))
        if event[0]:
            effects.tell(db.index, EVENT_STREAM, event, name)
    return 0


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


cdef inline size_t record_size(size_t body) noexcept nogil:
    body += varint_size(body)
    return body + varint_size(body)


cdef Slot* new_node(Slabs* slabs, StreamRoot* stream, const ID* id, const Slice* pairs, int count,
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
    block = block_new(slabs, max(room, NODE_FIRST if stream.nodes.count == 0
                                 else min(limit, <size_t>4096)))
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
    if stream.nodes.count:
        slot = slot_at(&stream.nodes, stream.nodes.count - 1)
        same = same_fields(node_data(slot), pairs, count)
        body = body_size(id, &slot.first, pairs, count, same)
        needed = (<Block*>slot.data).size + record_size(body)
        if needed >= limit or (node_entries > 0 and slot.total >= node_entries):
            block = block_resize(slabs, <Block*>slot.data, (<Block*>slot.data).size)
            if block is not NULL:
                slot.data = block
            slot = NULL
    if slot is NULL:
        slot = new_node(slabs, stream, id, pairs, count, limit)
        if slot is NULL:
            stream.root.bytes += slabs.used - used
            return False
        same = True
        body = body_size(id, id, pairs, count, True)
        needed = (<Block*>slot.data).size + record_size(body)
    block = <Block*>slot.data
    if block.capacity < needed:
        block = block_resize(slabs, block, max(needed, min(block.capacity * 2, limit)))
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
    block = block_resize(slabs, block, writing)
    if block is not NULL:
        slot.data = block


cdef void drop_node(Slabs* slabs, StreamRoot* stream, int64_t position) noexcept nogil:
    block_release(slabs, <Block*>slot_at(&stream.nodes, position).data)
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


cdef int stream_remove_referenced(Slabs* slabs, StreamRoot* stream, const ID* id,
                                  int references) noexcept nogil:
    cdef size_t used = slabs.used
    if references == ACKED and is_referenced(stream, id):
        return 2                         # even if no entry has that id
    if references == DELREF:
        drop_references(slabs, stream, id)
        stream.root.bytes += slabs.used - used
    if not stream_remove(slabs, stream, id):
        return -1
    if compare_ids(id, &stream.max_deleted) > 0:
        stream.max_deleted = id[0]
    return 1


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


cdef int64_t stream_trim(Slabs* slabs, StreamRoot* stream, const Trim* how) noexcept nogil:
    """Remove entries from the front: whole nodes while that is right, then single ones."""
    cdef int64_t removed = 0
    cdef int64_t node = 0
    cdef int64_t in_node
    cdef size_t used = slabs.used
    cdef bint whole
    cdef Slot* slot
    cdef ID id
    if how.strategy == TRIM_NONE:
        return 0
    while node < stream.nodes.count:
        if how.strategy == TRIM_MAXLEN and stream.root.count <= how.maxlen:
            break
        slot = slot_at(&stream.nodes, node)
        if how.limit and removed + slot.live > how.limit:
            break
        if how.strategy == TRIM_MAXLEN:
            whole = stream.root.count - slot.live >= how.maxlen
        else:
            id = node_top(slot)
            whole = compare_ids(&id, &how.minid) < 0
        if whole and how.references == KEEPREF:
            removed += slot.live
            stream.root.count -= slot.live
            drop_node(slabs, stream, node)
            continue
        if how.about:
            break                    # whole nodes only, and none that groups have a say in
        in_node = trim_node(slabs, stream, node, how)
        removed += in_node
        if not tidy(slabs, stream, node):
            node += 1
        if not whole and how.references == KEEPREF:
            break
    stream.root.bytes += slabs.used - used
    return removed


cdef int64_t trim_node(Slabs* slabs, StreamRoot* stream, int64_t node,
                       const Trim* how) noexcept nogil:
    cdef Cursor cursor
    cdef int64_t removed = 0
    cursor.stream = stream
    cursor.start.ms = cursor.start.seq = 0
    cursor.end.ms = cursor.end.seq = LAST
    cursor.reverse = False
    cursor.node = node
    cursor_enter(&cursor)
    while cursor_next(&cursor) and cursor.node == node:
        if how.strategy == TRIM_MAXLEN:
            if stream.root.count <= how.maxlen:
                break
        elif compare_ids(&cursor.id, &how.minid) >= 0:
            break
        if how.references == ACKED and is_referenced(stream, &cursor.id):
            continue
        if how.references == DELREF:
            drop_references(slabs, stream, &cursor.id)
        mark_deleted(stream, &cursor)
        removed += 1
    return removed


# -- groups and consumers --------------------------------------------------------------------------

cdef bint names_seek(const Names* names, const char* name, size_t size,
                     uint32_t* position) noexcept nogil:
    """Where a name is, or would be; True if it is there."""
    cdef uint32_t low = 0
    cdef uint32_t high = names.count
    cdef uint32_t middle
    cdef Named* one
    cdef int order
    while low < high:
        middle = (low + high) >> 1
        one = names.items[middle]
        order = memcmp(name_of(one), name, min(one.name_size, size))
        if order == 0:
            if one.name_size == size:
                position[0] = middle
                return True
            order = -1 if one.name_size < size else 1
        if order < 0:
            low = middle + 1
        else:
            high = middle
    position[0] = low
    return False


cdef Named* names_add(Slabs* slabs, Names* names, const char* name, size_t size,
                      size_t fixed) noexcept nogil:
    """Add a name that is not there, with `fixed` zeroed bytes before it; NULL without memory."""
    cdef uint32_t position
    cdef uint32_t capacity
    cdef Named** items
    cdef Named* one
    cdef Ref ref
    names_seek(names, name, size, &position)
    if names.count == names.capacity:
        capacity = max(names.capacity * 2, <uint32_t>2)
        items = <Named**>slab_malloc(slabs, capacity * sizeof(Named*))
        if items is NULL:
            return NULL
        if names.items is not NULL:
            memcpy(items, names.items, names.count * sizeof(Named*))
            slab_malloc_free(slabs, names.items, names.capacity * sizeof(Named*))
        names.items = items
        names.capacity = capacity
    ref = slab_alloc(slabs, fixed + size)
    if ref == 0:
        if names.count == 0:
            names_free(slabs, names)         # it goes with the last name otherwise
        return NULL
    one = <Named*>at(slabs, ref)
    for i in range(fixed):
        (<char*>one)[i] = 0
    one.ref = ref
    one.size = fixed + size
    one.name_at = <uint32_t>fixed
    one.name_size = size
    memcpy(name_of(one), name, size)
    memmove(names.items + position + 1, names.items + position,
            (names.count - position) * sizeof(Named*))
    names.items[position] = one
    names.count += 1
    return one


cdef void names_remove(Slabs* slabs, Names* names, uint32_t position) noexcept nogil:
    """Take a name out, without freeing what has it."""
    names.count -= 1
    memmove(names.items + position, names.items + position + 1,
            (names.count - position) * sizeof(Named*))
    if names.count == 0:
        names_free(slabs, names)


cdef void names_free(Slabs* slabs, Names* names) noexcept nogil:
    slab_malloc_free(slabs, names.items, names.capacity * sizeof(Named*))
    names.items = NULL
    names.capacity = 0


cdef Group* find_group(const StreamRoot* stream, const char* name, size_t size) noexcept nogil:
    cdef uint32_t position
    if names_seek(&stream.groups, name, size, &position):
        return <Group*>stream.groups.items[position]
    return NULL


cdef Consumer* find_consumer(const Group* group, const char* name, size_t size) noexcept nogil:
    cdef uint32_t position
    if names_seek(&group.consumers, name, size, &position):
        return <Consumer*>group.consumers.items[position]
    return NULL


cdef Group* add_group(Slabs* slabs, StreamRoot* stream, const char* name,
                      size_t size) noexcept nogil:
    cdef size_t used = slabs.used
    cdef Group* group = <Group*>names_add(slabs, &stream.groups, name, size, sizeof(Group))
    if group is not NULL:
        group.pending.item = sizeof(Nack)
    stream.root.bytes += slabs.used - used
    return group


cdef Consumer* new_consumer(Slabs* slabs, Group* group, const char* name,
                            size_t size) noexcept nogil:
    cdef Consumer* consumer = <Consumer*>names_add(
        slabs, &group.consumers, name, size, sizeof(Consumer))
    if consumer is not NULL:
        consumer.pending.item = sizeof(ID)
        consumer.active_ms = -1
    return consumer


cdef Consumer* add_consumer(Slabs* slabs, StreamRoot* stream, Group* group, const char* name,
                            size_t size) noexcept nogil:
    cdef size_t used = slabs.used
    cdef Consumer* consumer = new_consumer(slabs, group, name, size)
    stream.root.bytes += slabs.used - used
    return consumer


cdef void pending_purge(Slabs* slabs, Pending* pending, const Consumer* consumer) noexcept nogil:
    """Remove all that one consumer has of what a group has pending, in one pass."""
    cdef int64_t position = pending.leaves.count
    cdef uint32_t i, kept
    cdef Slot* slot
    cdef Nack* nacks
    while position:
        position -= 1
        slot = slot_at(&pending.leaves, position)
        nacks = <Nack*>slot.data
        kept = 0
        for i in range(slot.live):
            if nacks[i].consumer is not consumer:
                nacks[kept] = nacks[i]
                kept += 1
        pending.count -= slot.live - kept
        slot.live = kept
        if kept == 0:
            drop_leaf(slabs, pending, position)
        else:
            slot.first = nacks[0].id


cdef void remove_consumer(Slabs* slabs, StreamRoot* stream, Group* group,
                          Consumer* consumer) noexcept nogil:
    """Remove a consumer; what it had pending is no longer pending in the group."""
    cdef size_t used = slabs.used
    cdef uint32_t position
    cdef uint32_t leaf = 0
    cdef uint32_t item = 0
    cdef int64_t left = WHOLE
    cdef ID* id
    if consumer.pending.count > group.pending.leaves.count:
        pending_purge(slabs, &group.pending, consumer)
    else:
        while True:
            id = <ID*>pending_at(&consumer.pending, &leaf, &item)
            if id is NULL:
                break
            pending_remove(slabs, &group.pending, id)
            item += 1
    pending_free(slabs, &consumer.pending, &left)
    names_seek(&group.consumers, name_of(&consumer.named), consumer.named.name_size, &position)
    names_remove(slabs, &group.consumers, position)
    slab_free(slabs, consumer.named.ref, consumer.named.size)
    stream.root.bytes += slabs.used - used


cdef Nack* find_nack(const Group* group, const ID* id) noexcept nogil:
    return <Nack*>pending_find(&group.pending, id)


cdef Nack* assign(Slabs* slabs, StreamRoot* stream, Group* group, Consumer* consumer,
                  const ID* id) noexcept nogil:
    cdef size_t used = slabs.used
    cdef Nack* nack = find_nack(group, id)
    if nack is NULL:
        if pending_insert(slabs, &consumer.pending, id) is not NULL:
            nack = <Nack*>pending_insert(slabs, &group.pending, id)
            if nack is NULL:
                pending_remove(slabs, &consumer.pending, id)
            else:
                nack.delivered_ms = 0
                nack.deliveries = 0
                nack.consumer = consumer
    elif nack.consumer is not consumer:
        if pending_insert(slabs, &consumer.pending, id) is NULL:
            nack = NULL
        else:
            pending_remove(slabs, &nack.consumer.pending, id)
            nack.consumer = consumer
    stream.root.bytes += slabs.used - used
    return nack


cdef bint acknowledge(Slabs* slabs, StreamRoot* stream, Group* group, const ID* id) noexcept nogil:
    """Take an id out of what is pending; False if it was not."""
    cdef size_t used = slabs.used
    cdef Nack* nack = find_nack(group, id)
    if nack is NULL:
        return False
    pending_remove(slabs, &nack.consumer.pending, id)
    pending_remove(slabs, &group.pending, id)
    stream.root.bytes += slabs.used - used
    return True


cdef bint is_referenced(const StreamRoot* stream, const ID* id) noexcept nogil:
    """Is an entry pending in a group, or still to be delivered to one?"""
    cdef uint32_t i
    cdef Group* group
    for i in range(stream.groups.count):
        group = <Group*>stream.groups.items[i]
        if compare_ids(id, &group.last) > 0 or find_nack(group, id) is not NULL:
            return True
    return False


cdef void drop_references(Slabs* slabs, StreamRoot* stream, const ID* id) noexcept nogil:
    """Take an id out of what is pending in any group. Keeps `bytes` to the caller's count."""
    cdef uint32_t i
    cdef Nack* nack
    cdef Group* group
    for i in range(stream.groups.count):
        group = <Group*>stream.groups.items[i]
        nack = find_nack(group, id)
        if nack is not NULL:
            pending_remove(slabs, &nack.consumer.pending, id)
            pending_remove(slabs, &group.pending, id)


cdef bint has_deleted_after(const StreamRoot* stream, const ID* id) noexcept nogil:
    """May an entry that is not older than `id` have been deleted?"""
    return (stream.root.count > 0 and not is_zero(&stream.max_deleted)
            and compare_ids(id, &stream.max_deleted) <= 0)


cdef int64_t read_up_to(const StreamRoot* stream, const ID* id) noexcept nogil:
    """How many entries were ever added up to `id`, where that can be known."""
    cdef int64_t added = <int64_t>stream.added
    cdef int order
    cdef ID first
    if added == 0:
        return 0
    if stream.root.count == 0 and compare_ids(id, &stream.last) <= 0:
        return added
    if not is_zero(id) and compare_ids(id, &stream.max_deleted) < 0:
        return NOT_KNOWN
    order = compare_ids(id, &stream.last)
    if order >= 0:
        return added if order == 0 else NOT_KNOWN
    first = stream_first(stream)
    if is_zero(&stream.max_deleted) or compare_ids(&stream.max_deleted, &first) < 0:
        order = compare_ids(id, &first)
        if order < 0:
            return added - stream.root.count
        if order == 0:
            return added - stream.root.count + 1
    return NOT_KNOWN


cdef void advance_group(const StreamRoot* stream, Group* group, const ID* id) noexcept nogil:
    """An entry behind the group's last one was delivered."""
    cdef ID first
    if compare_ids(id, &group.last) <= 0:
        return
    if group.entries_read != NOT_KNOWN:
        first = stream_first(stream)
        if compare_ids(&group.last, &first) >= 0 and not has_deleted_after(stream, &group.last):
            group.entries_read += 1
            group.last = id[0]
            return
    if stream.added:
        group.entries_read = read_up_to(stream, id)
    group.last = id[0]


cdef int64_t lag_of(const StreamRoot* stream, const Group* group) noexcept nogil:
    cdef int64_t read = group.entries_read
    cdef ID first
    if stream.root.count == 0:
        return 0
    first = stream_first(stream)
    if compare_ids(&group.last, &first) < 0 and compare_ids(&stream.max_deleted, &first) < 0:
        return stream.root.count
    if read == NOT_KNOWN or has_deleted_after(stream, &group.last):
        read = read_up_to(stream, &group.last)
    if read == NOT_KNOWN or read > <int64_t>stream.added:
        return NOT_KNOWN
    return <int64_t>stream.added - read


cdef size_t group_bytes(const Group* group) noexcept nogil:
    """What a group takes, its own allocation included."""
    cdef size_t total = class_size(group.named.size) + leaves_bytes(&group.pending)
    cdef Consumer* one
    cdef uint32_t i
    if group.consumers.items is not NULL:
        total += malloc_cost(group.consumers.capacity * sizeof(Named*))
    for i in range(group.consumers.count):
        one = <Consumer*>group.consumers.items[i]
        total += class_size(one.named.size) + leaves_bytes(&one.pending)
    return total


cdef bint remove_group(Slabs* slabs, StreamRoot* stream, const char* name, size_t size) except -1:
    cdef Group* group
    cdef StreamRoot* heap
    cdef uint32_t position
    cdef size_t used = slabs.used
    cdef int64_t all = WHOLE
    if not names_seek(&stream.groups, name, size, &position):
        return False
    group = <Group*>stream.groups.items[position]
    if group.pending.count <= LEAF_MAX:
        names_remove(slabs, &stream.groups, position)
        free_group(slabs, group, &all)
        stream.root.bytes += slabs.used - used
        return True
    # what is pending goes to a stream of its own that no key has
    heap = stream_new(slabs)
    heap.groups.items = <Named**>slab_malloc(slabs, sizeof(Named*))
    if heap.groups.items is NULL:
        root_free(slabs, &heap.root, sizeof(StreamRoot))
        raise MemoryError
    heap.groups.items[0] = &group.named
    heap.groups.count = heap.groups.capacity = 1
    heap.root.bytes = slabs.used - used
    used = slabs.used
    names_remove(slabs, &stream.groups, position)
    stream.root.bytes += slabs.used - used
    used = group_bytes(group)
    heap.root.bytes += used
    stream.root.bytes -= used
    heap.root.count = group.pending.count
    root_release(slabs, &heap.root)
    return True


# -- what the keyspace asks ------------------------------------------------------------------------

cdef bint free_group(Slabs* slabs, Group* group, int64_t* left) noexcept nogil:
    cdef Consumer* consumer
    if not pending_free(slabs, &group.pending, left):
        return False
    while group.consumers.count:
        consumer = <Consumer*>group.consumers.items[group.consumers.count - 1]
        if left[0] <= 0 or not pending_free(slabs, &consumer.pending, left):
            return False
        left[0] -= 1
        slab_free(slabs, consumer.named.ref, consumer.named.size)
        names_remove(slabs, &group.consumers, group.consumers.count - 1)
    slab_free(slabs, group.named.ref, group.named.size)
    return True


cdef bint free_some(Slabs* slabs, Root* root, int64_t limit) except -1:
    cdef StreamRoot* stream = <StreamRoot*>root
    cdef int64_t left = limit
    cdef int64_t last
    while stream.nodes.count:
        if left <= 0:
            return False
        last = stream.nodes.count - 1
        left -= slot_at(&stream.nodes, last).live
        drop_node(slabs, stream, last)
    while stream.groups.count:
        if left <= 0 or not free_group(
            slabs, <Group*>stream.groups.items[stream.groups.count - 1], &left
        ):
            return False
        names_remove(slabs, &stream.groups, stream.groups.count - 1)
    if stream.groups.items is not NULL:
        slab_malloc_free(slabs, stream.groups.items, stream.groups.capacity * sizeof(Named*))
    index_free(slabs, &stream.nodes)
    root_free(slabs, root, sizeof(StreamRoot))
    return True


cdef bint copy_group(Slabs* slabs, StreamRoot* target, const Group* source) noexcept nogil:
    """Copy a group; False without memory (what was copied stays, and can be freed)."""
    cdef uint32_t i, leaf, item
    cdef Consumer* one
    cdef Consumer* own
    cdef Nack* nack
    cdef Group* group = add_group(
        slabs, target, name_of(&source.named), source.named.name_size)
    if group is NULL:
        return False
    group.last = source.last
    group.entries_read = source.entries_read
    for i in range(source.consumers.count):
        one = <Consumer*>source.consumers.items[i]
        own = new_consumer(slabs, group, name_of(&one.named), one.named.name_size)
        if own is NULL or not pending_copy(slabs, &own.pending, &one.pending):
            return False
        own.seen_ms = one.seen_ms
        own.active_ms = one.active_ms
        one.position = i
    if not pending_copy(slabs, &group.pending, &source.pending):
        return False
    leaf = item = 0
    while True:
        nack = <Nack*>pending_at(&group.pending, &leaf, &item)
        if nack is NULL:
            return True
        nack.consumer = <Consumer*>group.consumers.items[nack.consumer.position]
        item += 1


cdef bint fill_copy(Slabs* slabs, StreamRoot* stream, const StreamRoot* source) noexcept nogil:
    cdef uint32_t i
    cdef Block* block
    cdef Block* own
    cdef Slot* slot
    for i in range(source.nodes.count):
        slot = slot_at(&source.nodes, i)
        block = <Block*>slot.data
        if not index_room(slabs, &stream.nodes):
            return False
        own = block_new(slabs, block.size)
        if own is NULL:
            return False
        memcpy(block_data(own), block_data(block), block.size)
        own.size = block.size
        index_insert(&stream.nodes, i)[0] = slot[0]
        slot_at(&stream.nodes, i).data = own
    for i in range(source.groups.count):
        if not copy_group(slabs, stream, <Group*>source.groups.items[i]):
            return False
    return True


cdef Root* copy_of(Slabs* slabs, const Root* root) except NULL:
    cdef const StreamRoot* source = <const StreamRoot*>root
    cdef size_t used = slabs.used
    cdef StreamRoot* stream = stream_new(slabs)
    stream.last = source.last
    stream.max_deleted = source.max_deleted
    stream.added = source.added
    stream.root.count = source.root.count
    if not fill_copy(slabs, stream, source):
        stream_delete(slabs, stream)
        raise MemoryError
    stream.root.bytes = slabs.used - used
    return &stream.root


cdef const char* encoding_of(const uint8_t* entry) noexcept:
    return b"stream"


cdef int defragment(Slabs* slabs, Root* root, uint64_t* position, int64_t limit,
                    int64_t* moved) except -1:
    """Move what is pending; nodes are blocks and stay. A step takes one group or consumer."""
    cdef StreamRoot* stream = <StreamRoot*>root
    cdef uint64_t n = position[0] >> 32
    cdef uint64_t k = position[0] & 0xffffffffu
    cdef Group* group
    if n >= stream.groups.count:
        return 1
    group = <Group*>stream.groups.items[n]
    if k == 0:
        moved[0] += move_leaves(slabs, &group.pending)
    elif k <= group.consumers.count:
        moved[0] += move_leaves(slabs, &(<Consumer*>group.consumers.items[k - 1]).pending)
    k += 1
    position[0] = (n << 32 | k) if k <= group.consumers.count else (n + 1) << 32
    return 0


value_types[<int>STREAM].free_some = free_some
value_types[<int>STREAM].copy = copy_of
value_types[<int>STREAM].encoding = encoding_of
value_types[<int>STREAM].defragment = defragment


# -- what Python sees ------------------------------------------------------------------------------

cdef bytes id_bytes(const ID* id):
    cdef char[ID_TEXT] text
    return PyBytes_FromStringAndSize(text, format_id(text, id))


cdef ID id_from(tuple pair):
    cdef ID id
    id.ms = pair[0]
    id.seq = pair[1]
    return id


def read_id(bytes text, bint last=False, bint strict=True) -> tuple:
    """Read a stream id as (ms, seq). One without a sequence gets 0, with `last` the greatest.

    Unless `strict`, `-` and `+` are the least and the greatest. Raises InvalidStreamId.
    """
    cdef ID id
    if not parse_id(PyBytes_AS_STRING(text), <size_t>PyBytes_GET_SIZE(text), &id,
                    LAST if last else 0, strict, NULL):
        raise errors.InvalidStreamId
    return id.ms, id.seq


def write_id(tuple pair) -> bytes:
    """Write an id as `ms-seq`."""
    cdef ID id = id_from(pair)
    return id_bytes(&id)


cdef class Stream(View):
    """A stream under a key. Ids are pairs (ms, seq)."""

    KIND = Kind.STREAM

    cdef StreamRoot* find(self, Found* found) except? NULL:
        cdef uint8_t* entry = self.entry(found)
        return NULL if entry is NULL else stream_of(entry)

    def create(self) -> None:
        """Create an empty stream, where there is none."""
        cdef Found found
        cdef StreamRoot* stream
        if self.find(&found) is not NULL:
            return
        stream = stream_new(self.db.slabs)
        try:
            stream_put(self.db, &found, PyBytes_AS_STRING(self.key),
                       <size_t>PyBytes_GET_SIZE(self.key), stream)
        except MemoryError:
            stream_delete(self.db.slabs, stream)
            raise

    def entries(self, tuple start=(0, 0), tuple end=(LAST, LAST), int64_t count=-1,
                bint reverse=False) -> list:
        """Return [(id, [field, value ...]) ...] of a range, at most `count`."""
        cdef Found found
        cdef StreamRoot* stream = self.find(&found)
        cdef Cursor cursor
        cdef ID first = id_from(start)
        cdef ID last = id_from(end)
        cdef list rows = []
        if stream is NULL:
            return rows
        cursor_begin(&cursor, stream, &first, &last, reverse)
        while count != 0 and cursor_next(&cursor):
            rows.append((id_bytes(&cursor.id), fields_of(&cursor)))
            count -= 1
        return rows

    def add(self, tuple name, *pairs: bytes) -> None:
        """Append an entry, whose id is greater than the last; the stream is created if missing."""
        cdef Found found
        cdef StreamRoot* stream
        cdef ID own = id_from(name)
        cdef Slice* slices
        cdef bytes one
        cdef Py_ssize_t i
        cdef int64_t before
        cdef bint done
        self.create()
        stream = self.find(&found)
        slices = <Slice*>slab_malloc(self.db.slabs, len(pairs) * sizeof(Slice))
        if slices is NULL:
            raise MemoryError
        for i in range(len(pairs)):
            one = pairs[i]
            slices[i].data = PyBytes_AS_STRING(one)
            slices[i].size = <size_t>PyBytes_GET_SIZE(one)
        before = stream.root.count
        done = stream_append(
            self.db.slabs, stream, &own, slices, <int>len(pairs) // 2,
            self.db.keyspace.stream_node_max_bytes, self.db.keyspace.stream_node_max_entries)
        slab_malloc_free(self.db.slabs, slices, len(pairs) * sizeof(Slice))
        if not done:
            raise MemoryError
        stream_recount(self.db, found.entry, before)

    def trim(self, maxlen: int | None, minid: tuple | None, bint about, int64_t limit,
             int references) -> int:
        """Remove entries from the front; return how many (see XTRIM)."""
        cdef Found found
        cdef StreamRoot* stream = self.find(&found)
        cdef Trim how
        cdef int64_t before, removed
        if stream is NULL:
            return 0
        how.strategy = TRIM_NONE
        how.about = about
        how.limit = limit
        how.references = references
        if maxlen is not None:
            how.strategy = TRIM_MAXLEN
            how.maxlen = maxlen
        elif minid is not None:
            how.strategy = TRIM_MINID
            how.minid = id_from(minid)
        before = stream.root.count
        removed = stream_trim(self.db.slabs, stream, &how)
        stream_recount(self.db, found.entry, before)
        return removed

    def delete(self, tuple name, int references) -> int:
        """Delete an entry: 1 deleted, -1 not there, 2 kept because it is referenced."""
        cdef Found found
        cdef StreamRoot* stream = self.find(&found)
        cdef ID own = id_from(name)
        cdef int64_t before
        cdef int result
        if stream is NULL:
            return -1
        before = stream.root.count
        result = stream_remove_referenced(self.db.slabs, stream, &own, references)
        stream_recount(self.db, found.entry, before)
        return result
