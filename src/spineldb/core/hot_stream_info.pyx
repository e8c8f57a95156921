"""Bodies of XINFO. commands/streams.py tells what each does."""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdio cimport snprintf

from spineldb.core.call cimport Call, body, keyword
from spineldb.core.keyspace cimport Found
from spineldb.core.resp cimport Output, Slice, out_array, out_bulk, out_int, out_null, out_raw
from spineldb.core.stream_arguments cimport bytes_of, integer_of, named_group, out_name, typed
from spineldb.core.streams cimport (
    Consumer, Cursor, Group, ID, NOT_KNOWN, Nack, Pending, StreamRoot, cursor_begin,
    cursor_next, find_nack, lag_of, name_of, out_entry, out_id, pending_at, stream_first,
)

from spineldb import errors

cdef uint64_t LAST = <uint64_t>0xffffffffffffffffu
cdef int64_t FULL_COUNT = 10         # of everything that XINFO STREAM FULL shows


cdef void out_map(Output* out, int count, int protocol) noexcept nogil:
    cdef char[24] text
    if protocol == 2:
        out_array(out, count * 2)
    else:
        out_raw(out, text, <size_t>snprintf(text, 24, b"%%%d\r\n", count))


cdef void out_known(Output* out, int64_t value, int protocol) noexcept nogil:
    if value == NOT_KNOWN:
        out_null(out, protocol)
    else:
        out_int(out, value)


cdef int xinfo_groups(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef StreamRoot* stream = typed(call.read_first(&argv[2], &found))
    cdef Output* out = call.out
    cdef Group* group
    cdef uint32_t i
    if stream is NULL:
        raise errors.NoSuchKey
    out_array(out, stream.groups.count)
    for i in range(stream.groups.count):
        group = <Group*>stream.groups.items[i]
        out_map(out, 6, call.protocol)
        out_bulk(out, b"name", 4)
        out_bulk(out, name_of(&group.named), group.named.name_size)
        out_bulk(out, b"consumers", 9)
        out_int(out, group.consumers.count)
        out_bulk(out, b"pending", 7)
        out_int(out, group.pending.count)
        out_bulk(out, b"last-delivered-id", 17)
        out_id(out, &group.last)
        out_bulk(out, b"entries-read", 12)
        out_known(out, group.entries_read, call.protocol)
        out_bulk(out, b"lag", 3)
        out_known(out, lag_of(stream, group), call.protocol)
    return 0


cdef int xinfo_consumers(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef StreamRoot* stream = typed(call.read_first(&argv[2], &found))
    cdef int64_t now = call.keyspace.now_ms
    cdef Output* out = call.out
    cdef Group* group
    cdef Consumer* one
    cdef uint32_t i
    if stream is NULL:
        raise errors.NoSuchKey
    group = named_group(stream, argv)
    out_array(out, group.consumers.count)
    for i in range(group.consumers.count):
        one = <Consumer*>group.consumers.items[i]
        out_map(out, 4, call.protocol)
        out_bulk(out, b"name", 4)
        out_name(out, one)
        out_bulk(out, b"pending", 7)
        out_int(out, one.pending.count)
        out_bulk(out, b"idle", 4)
        out_int(out, max(now - one.seen_ms, <int64_t>0))
        out_bulk(out, b"inactive", 8)
        out_int(out, max(now - one.active_ms, <int64_t>0) if one.active_ms >= 0 else -1)
    return 0


cdef int64_t full_count(Slice* argv, int argc) except? -2:
    """Read `FULL [COUNT n]`: how many of everything, -1 for all."""
    cdef int64_t count
    if argc not in (4, 6) or not keyword(&argv[3], b"FULL", 4):
        raise errors.UnknownSubcommandOrArity(bytes_of(&argv[1]), "xinfo")
    if argc == 4:
        return FULL_COUNT
    if not keyword(&argv[4], b"COUNT", 5):
        raise errors.UnknownSubcommandOrArity(bytes_of(&argv[1]), "xinfo")
    count = integer_of(&argv[5])
    return FULL_COUNT if count < 0 else -1 if count == 0 else count


cdef int xinfo_stream(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef StreamRoot* stream = typed(call.read_first(&argv[2], &found))
    cdef Output* out = call.out
    cdef int64_t count = 0
    cdef ID first
    cdef uint32_t i
    if stream is NULL:
        raise errors.NoSuchKey
    if argc > 3:
        count = full_count(argv, argc)
    first = stream_first(stream)
    out_map(out, 10 if argc == 3 else 9, call.protocol)
    out_bulk(out, b"length", 6)
    out_int(out, stream.root.count)
    out_bulk(out, b"radix-tree-keys", 15)
    out_int(out, stream.nodes.count)
    out_bulk(out, b"radix-tree-nodes", 16)
    out_int(out, stream.nodes.count + 1)
    out_bulk(out, b"last-generated-id", 17)
    out_id(out, &stream.last)
    out_bulk(out, b"max-deleted-entry-id", 20)
    out_id(out, &stream.max_deleted)
    out_bulk(out, b"entries-added", 13)
    out_int(out, <int64_t>stream.added)
    out_bulk(out, b"recorded-first-entry-id", 23)
    out_id(out, &first)
    if argc == 3:
        out_bulk(out, b"groups", 6)
        out_int(out, stream.groups.count)
        out_bulk(out, b"first-entry", 11)
        out_edge(out, stream, False, call.protocol)
        out_bulk(out, b"last-entry", 10)
        out_edge(out, stream, True, call.protocol)
        return 0
    out_bulk(out, b"entries", 7)
    out_entries(out, stream, count)
    out_bulk(out, b"groups", 6)
    out_array(out, stream.groups.count)
    for i in range(stream.groups.count):
        out_group(out, stream, <Group*>stream.groups.items[i], count, call.protocol)
    return 0


cdef void begin_all(Cursor* cursor, const StreamRoot* stream, bint reverse) noexcept nogil:
    cdef ID first, last
    first.ms = first.seq = 0
    last.ms = last.seq = LAST
    cursor_begin(cursor, stream, &first, &last, reverse)


cdef void out_edge(Output* out, const StreamRoot* stream, bint last, int protocol) noexcept nogil:
    """Write the first or the last entry."""
    cdef Cursor cursor
    begin_all(&cursor, stream, last)
    if cursor_next(&cursor):
        out_entry(out, &cursor)
    else:
        out_null(out, protocol)


cdef void out_entries(Output* out, const StreamRoot* stream, int64_t count) noexcept nogil:
    cdef Cursor cursor
    cdef int64_t left = stream.root.count if count < 0 else min(count, stream.root.count)
    begin_all(&cursor, stream, False)
    out_array(out, left)
    while left and cursor_next(&cursor):
        out_entry(out, &cursor)
        left -= 1


cdef void out_group(Output* out, const StreamRoot* stream, const Group* group, int64_t count,
                    int protocol) noexcept nogil:
    """Write all that is known of a group, at most `count` pending entries of each."""
    cdef Consumer* one
    cdef uint32_t i
    out_map(out, 7, protocol)
    out_bulk(out, b"name", 4)
    out_bulk(out, name_of(&group.named), group.named.name_size)
    out_bulk(out, b"last-delivered-id", 17)
    out_id(out, &group.last)
    out_bulk(out, b"entries-read", 12)
    out_known(out, group.entries_read, protocol)
    out_bulk(out, b"lag", 3)
    out_known(out, lag_of(stream, group), protocol)
    out_bulk(out, b"pel-count", 9)
    out_int(out, group.pending.count)
    out_bulk(out, b"pending", 7)
    out_pending(out, group, NULL, count)
    out_bulk(out, b"consumers", 9)
    out_array(out, group.consumers.count)
    for i in range(group.consumers.count):
        one = <Consumer*>group.consumers.items[i]
        out_map(out, 5, protocol)
        out_bulk(out, b"name", 4)
        out_name(out, one)
        out_bulk(out, b"seen-time", 9)
        out_int(out, one.seen_ms)
        out_bulk(out, b"active-time", 11)
        out_int(out, one.active_ms)
        out_bulk(out, b"pel-count", 9)
        out_int(out, one.pending.count)
        out_bulk(out, b"pending", 7)
        out_pending(out, group, one, count)


cdef void out_pending(Output* out, const Group* group, const Consumer* consumer,
                      int64_t count) noexcept nogil:
    """Write what a group, or one consumer of it, has pending."""
    cdef const Pending* pending = &group.pending if consumer is NULL else &consumer.pending
    cdef int64_t left = pending.count if count < 0 else min(count, pending.count)
    cdef uint32_t leaf = 0
    cdef uint32_t item = 0
    cdef ID* id
    cdef Nack* nack
    out_array(out, left)
    while left:
        id = <ID*>pending_at(pending, &leaf, &item)
        nack = <Nack*>id if consumer is NULL else find_nack(group, id)
        out_array(out, 4 if consumer is NULL else 3)
        out_id(out, id)
        if consumer is NULL:
            out_name(out, nack.consumer)
        out_int(out, nack.delivered_ms)
        out_int(out, <int64_t>nack.deliveries)
        item += 1
        left -= 1


XINFO_GROUPS_BODY = body(xinfo_groups, "xinfo_groups")
XINFO_CONSUMERS_BODY = body(xinfo_consumers, "xinfo_consumers")
XINFO_STREAM_BODY = body(xinfo_stream, "xinfo_stream")
