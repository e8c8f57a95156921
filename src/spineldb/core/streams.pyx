"""Streams: entries in packed nodes (`stream_nodes`), consumer groups (`stream_groups`).

Here stands what needs both: removing entries that groups refer to, trimming, what the keyspace asks
of a value, and what Python sees. `root.bytes` is kept by looking at what the allocator has handed
out before and after.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy

from spineldb.core.effects cimport EVENT_STREAM, Effects
from spineldb.core.entry cimport STREAM, entry_root
from spineldb.core.keyspace cimport View
from spineldb.core.named cimport names_open, names_remove, names_seek, names_settle
from spineldb.core.pending cimport index_free, index_settle, slot_at
from spineldb.core.resp cimport Slice
from spineldb.core.root cimport Root, root_free, root_new, root_release, value_types
from spineldb.core.slab cimport slab_malloc, slab_malloc_free
from spineldb.core.stream_gather cimport node_settle
from spineldb.core.stream_groups cimport (
    copy_group, drop_references, free_group, group_bytes, groups_settle, is_referenced,
)
from spineldb.core.stream_nodes cimport (
    copy_node, cursor_enter, drop_node, fields_of, mark_deleted, node_top, tidy,
)

from spineldb import errors
from spineldb.core.entry import Kind

cdef uint64_t LAST = <uint64_t>0xffffffffffffffffu
cdef int64_t WHOLE = <int64_t>1 << 62
cdef uint64_t GROUPS = <uint64_t>1 << 62     # of defragmenting: positions in groups, from here on


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


# -- removing what groups refer to -----------------------------------------------------------------

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
    if not names_open(slabs, &heap.groups, 1):
        root_free(slabs, &heap.root, sizeof(StreamRoot))
        raise MemoryError
    heap.groups.items[0] = &group.named
    heap.groups.count = 1
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
    index_free(slabs, &stream.nodes)
    root_free(slabs, root, sizeof(StreamRoot))
    return True


cdef bint fill_copy(Slabs* slabs, StreamRoot* stream, const StreamRoot* source) noexcept nogil:
    cdef uint32_t i
    for i in range(source.nodes.count):
        if not copy_node(slabs, stream, slot_at(&source.nodes, i)):
            return False
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
    """First the nodes, which are put together where they have become small; then the groups."""
    cdef StreamRoot* stream = <StreamRoot*>root
    cdef size_t used = slabs.used
    cdef uint64_t unit
    cdef bint ended
    if position[0] == 0:
        index_settle(slabs, &stream.nodes, moved)
        names_settle(slabs, &stream.groups, moved)
    if position[0] < GROUPS:
        while limit > 0 and position[0] < stream.nodes.count:
            limit -= node_settle(slabs, stream, <int64_t>position[0], moved)
            position[0] += 1
        if position[0] >= stream.nodes.count:
            position[0] = GROUPS
        ended = False
    else:
        unit = position[0] - GROUPS
        ended = groups_settle(slabs, &stream.groups, &unit, limit, moved)
        position[0] = GROUPS + unit
    root.bytes += slabs.used - used
    return ended


value_types[<int>STREAM].size = sizeof(StreamRoot)
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
