"""Bodies of the commands on consumer groups and on what is pending. commands/streams.py tells what
each does.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdio cimport snprintf

from spineldb.core.call cimport Call, body, keyword
from spineldb.core.effects cimport EVENT_STREAM
from spineldb.core.keyspace cimport Found
from spineldb.core.resp cimport (
    Output, Slice, out_array, out_bulk, out_int, out_null, out_null_array, out_simple,
    parse_int,
)
from spineldb.core.stream_arguments cimport (
    bytes_of, edge_of, group_of, id_of, integer_of, named_group, out_name, typed,
)
from spineldb.core.streams cimport (
    ACKED, Consumer, Cursor, DELREF, Group, ID, ID_TEXT, KEEPREF, NOT_KNOWN, Nack, Pending,
    StreamRoot, acknowledge, add_consumer, add_group, assign, compare_ids, cursor_begin,
    cursor_next, find_consumer, find_group, find_nack, format_id, is_zero, out_entry,
    out_header, out_id, out_replace, parse_id, pending_at, pending_last, pending_seek,
    remove_consumer, remove_group, stream_delete, stream_new, stream_put, stream_recount,
    stream_noted, stream_remove_referenced, stream_top,
)

from spineldb import errors

cdef int64_t INT64_MAX = <int64_t>0x7fffffffffffffff
cdef int64_t ATTEMPTS = 10           # pending ids XAUTOCLAIM looks at for each it may claim
cdef int64_t COUNT_MOST = INT64_MAX // 16


cdef int64_t number_of(const Slice* text, str what, str command) except? -1:
    cdef int64_t value
    if not parse_int(text.data, text.size, &value):
        raise errors.InvalidClaimArgument(what, command)
    return value


cdef int put_id(Call call, const ID* id) except -1:
    cdef char[ID_TEXT] text
    return call.effects.argument(text, <size_t>format_id(text, id))


cdef int put_text(Call call, const Slice* text) except -1:
    return call.effects.argument(text.data, text.size)


# -- XDELEX, XACKDEL -------------------------------------------------------------------------------

cdef int referenced_ids(Slice* argv, int argc, int i, int* references, int* stop) except -1:
    """Read `[KEEPREF | DELREF | ACKED] IDS numids id ...`; return where the ids begin."""
    cdef bint chosen = False
    cdef int first = 0
    cdef int64_t count
    references[0] = KEEPREF
    while i < argc:
        if not chosen and keyword(&argv[i], b"KEEPREF", 7):
            chosen = True
        elif not chosen and keyword(&argv[i], b"DELREF", 6):
            references[0] = DELREF
            chosen = True
        elif not chosen and keyword(&argv[i], b"ACKED", 5):
            references[0] = ACKED
            chosen = True
        elif first == 0 and i + 1 < argc and keyword(&argv[i], b"IDS", 3):
            if not parse_int(argv[i + 1].data, argv[i + 1].size, &count) or count <= 0:
                raise errors.IdCountNotPositive
            if count > argc - i - 2:
                raise errors.IdCountMismatch
            first = i + 2
            stop[0] = first + <int>count
            i = stop[0]
            continue
        else:
            raise errors.Syntax
        i += 1
    if first == 0:
        raise errors.Syntax
    return first


cdef int xdelex(Call call, Slice* argv, int argc) except -1:
    return remove_referenced(call, argv, argc, False)


cdef int xackdel(Call call, Slice* argv, int argc) except -1:
    return remove_referenced(call, argv, argc, True)


cdef int remove_referenced(Call call, Slice* argv, int argc, bint acknowledging) except -1:
    cdef Found found
    cdef StreamRoot* stream = typed(
        call.read_first(&argv[1], &found) if acknowledging else call.first(&argv[1], &found))
    cdef Group* group = NULL
    cdef ID id
    cdef int references, i, result
    cdef int stop = 0
    cdef int64_t before
    cdef int64_t deleted = 0
    cdef int64_t changes = 0
    cdef int first = referenced_ids(argv, argc, 3 if acknowledging else 2, &references, &stop)
    if stream is not NULL and acknowledging:
        group = find_group(stream, argv[2].data, argv[2].size)
    if stream is NULL or (acknowledging and group is NULL):
        out_array(call.out, stop - first)
        for _ in range(first, stop):
            out_int(call.out, -1)
        return 0
    for i in range(first, stop):
        id_of(&argv[i], &id)
    out_array(call.out, stop - first)
    before = stream.root.count
    for i in range(first, stop):
        id_of(&argv[i], &id)
        result = -1
        if not acknowledging:
            result = stream_remove_referenced(call.db.slabs, stream, &id, references)
            deleted += result == 1
            changes += result == 1
        elif acknowledge(call.db.slabs, stream, group, &id):
            changes += 1
            result = stream_remove_referenced(call.db.slabs, stream, &id, references)
            deleted += result == 1
            if result == -1:
                result = 1                   # there was no entry any more
        out_int(call.out, result)
    if changes:
        stream_recount(call.db, found.entry, before)
        if deleted:
            call.changed(&argv[1], EVENT_STREAM, b"xdel", changes)
        else:
            call.changed(&argv[1], 0, b"", changes)
    return 0


# -- XPENDING --------------------------------------------------------------------------------------

cdef int xpending(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef StreamRoot* stream
    cdef Group* group
    cdef ID start, end
    cdef int i = 3
    cdef int64_t idle = 0
    cdef int64_t count = 0
    if argc != 3:
        if argc < 6 or argc > 9:
            raise errors.Syntax
        if keyword(&argv[3], b"IDLE", 4):
            idle = integer_of(&argv[4])
            if argc < 8:
                raise errors.Syntax
            i = 5
        count = max(integer_of(&argv[i + 2]), <int64_t>0)
        edge_of(&argv[i], False, &start)
        edge_of(&argv[i + 1], True, &end)
    stream = typed(call.read_first(&argv[1], &found))
    group = group_of(stream, &argv[1], &argv[2])
    if argc == 3:
        summary(call.out, group, call.protocol)
    else:
        rows(call, group, &start, &end, count, idle, &argv[i + 3] if i + 3 < argc else NULL)
    return 0


cdef int summary(Output* out, const Group* group, int protocol) except -1:
    cdef char[24] text
    cdef uint32_t i
    cdef Consumer* one
    cdef ID last
    cdef int64_t owners = 0
    out_array(out, 4)
    out_int(out, group.pending.count)
    if group.pending.count == 0:
        out_null(out, protocol)
        out_null(out, protocol)
        out_null_array(out, protocol)
        return 0
    last = pending_last(&group.pending)
    out_id(out, &group.pending.leaves.slots[group.pending.leaves.start].first)
    out_id(out, &last)
    for i in range(group.consumers.count):
        owners += (<Consumer*>group.consumers.items[i]).pending.count > 0
    out_array(out, owners)
    for i in range(group.consumers.count):
        one = <Consumer*>group.consumers.items[i]
        if one.pending.count:
            out_array(out, 2)
            out_name(out, one)
            out_bulk(out, text, <size_t>snprintf(text, 24, b"%lld", <long long>one.pending.count))
    return 0


cdef int rows(Call call, const Group* group, const ID* start, const ID* end, int64_t count,
              int64_t idle, const Slice* owner) except -1:
    cdef Output* out = call.out
    cdef size_t header = out.used
    cdef const Pending* pending = &group.pending
    cdef Consumer* consumer = NULL
    cdef int64_t now = call.keyspace.now_ms
    cdef int64_t done = 0
    cdef uint32_t leaf, item
    cdef ID* id
    cdef Nack* nack
    out_array(out, 0)
    if owner is not NULL:
        consumer = find_consumer(group, owner.data, owner.size)
        if consumer is NULL:
            return 0
        pending = &consumer.pending
    pending_seek(pending, start, &leaf, &item)
    while done != count:
        id = <ID*>pending_at(pending, &leaf, &item)
        if id is NULL or compare_ids(id, end) > 0:
            break
        item += 1
        nack = <Nack*>id if consumer is NULL else find_nack(group, id)
        if idle > 0 and now - nack.delivered_ms < idle:
            continue
        out_array(out, 4)
        out_id(out, id)
        out_name(out, nack.consumer)
        out_int(out, max(now - nack.delivered_ms, <int64_t>0))
        out_int(out, <int64_t>nack.deliveries)
        done += 1
    if done:
        out_header(out, header, 4, c"*", done)
    return 0


# -- XCLAIM, XAUTOCLAIM ----------------------------------------------------------------------------

cdef struct Claim:
    Slice* argv                  # key, group and consumer stand at 1, 2, 3
    StreamRoot* stream
    Group* group
    Consumer* consumer
    bint created                 # the consumer, and nobody has been told
    bint advanced                # the group, by LASTID
    bint force, just_id
    ID last                      # of LASTID
    ID last_before
    int64_t min_idle
    int64_t delivered_ms
    int64_t retries              # -1: not given
    int64_t changes


cdef int begin(Call call, Claim* claim) except -1:
    """Find or create the consumer, note that it tried; move the group on."""
    cdef Slice* name = &claim.argv[3]
    claim.consumer = find_consumer(claim.group, name.data, name.size)
    if claim.consumer is NULL:
        claim.consumer = add_consumer(call.db.slabs, claim.stream, claim.group, name.data,
                                      name.size)
        if claim.consumer is NULL:
            raise MemoryError
        claim.created = True
    claim.consumer.seen_ms = call.keyspace.now_ms
    claim.last_before = claim.group.last
    if compare_ids(&claim.last, &claim.group.last) > 0:
        claim.advanced = True
        claim.group.last = claim.last
    return 0


cdef int introduce(Call call, Claim* claim) except -1:
    """Tell of the consumer that was created, before anything else is told."""
    if not claim.created:
        return 0
    claim.created = False
    stream_noted(call.effects, call.db, &claim.argv[1], b"xgroup-createconsumer", 1)
    call.effects.replaced = True
    if call.effects.feeding:
        call.effects.command(5)
        call.effects.argument(b"XGROUP", 6)
        call.effects.argument(b"CREATECONSUMER", 14)
        put_text(call, &claim.argv[1])
        put_text(call, &claim.argv[2])
        put_text(call, &claim.argv[3])
    return 0


cdef void undo(Call call, Claim* claim) noexcept:
    """Leave all as it was: there was no memory for the first entry."""
    claim.group.last = claim.last_before
    if claim.created:
        remove_consumer(call.db.slabs, claim.stream, claim.group, claim.consumer)


cdef int drop(Call call, Claim* claim, const ID* id) except -1:
    """Forget a pending id whose entry was deleted."""
    acknowledge(call.db.slabs, claim.stream, claim.group, id)
    introduce(call, claim)
    claim.changes += 1
    call.effects.replaced = True
    if call.effects.feeding:
        call.effects.command(4)
        call.effects.argument(b"XACK", 4)
        put_text(call, &claim.argv[1])
        put_text(call, &claim.argv[2])
        put_id(call, id)
    return 0


cdef bint take(Call call, Claim* claim, const Cursor* entry, const Nack* old) except -1:
    """Make an entry pending with the consumer and answer it; False without memory for that."""
    cdef int64_t deliveries = <int64_t>old.deliveries if old is not NULL else 1
    cdef Nack* nack
    if claim.retries >= 0:
        deliveries = claim.retries
    elif not claim.just_id:
        deliveries += 1
    nack = assign(call.db.slabs, claim.stream, claim.group, claim.consumer, &entry.id)
    if nack is NULL:
        if claim.changes == 0:
            undo(call, claim)
            raise MemoryError
        return False
    nack.delivered_ms = claim.delivered_ms
    nack.deliveries = <uint64_t>deliveries
    claim.consumer.active_ms = call.keyspace.now_ms
    claim.changes += 1
    introduce(call, claim)
    call.effects.replaced = True
    if call.effects.feeding:
        tell(call, claim, nack)
    if claim.just_id:
        out_id(call.out, &entry.id)
    else:
        out_entry(call.out, entry)
    return True


cdef int tell(Call call, Claim* claim, const Nack* nack) except -1:
    call.effects.command(14)
    call.effects.argument(b"XCLAIM", 6)
    put_text(call, &claim.argv[1])
    put_text(call, &claim.argv[2])
    put_text(call, &claim.argv[3])
    call.effects.argument(b"0", 1)
    put_id(call, &nack.id)
    call.effects.argument(b"TIME", 4)
    call.effects.argument_int(nack.delivered_ms)
    call.effects.argument(b"RETRYCOUNT", 10)
    call.effects.argument_int(<int64_t>nack.deliveries)
    call.effects.argument(b"FORCE", 5)
    call.effects.argument(b"JUSTID", 6)
    call.effects.argument(b"LASTID", 6)
    return put_id(call, &claim.group.last)


cdef bint is_idle(Call call, const Claim* claim, const Nack* nack) noexcept:
    return claim.min_idle <= 0 or call.keyspace.now_ms - nack.delivered_ms >= claim.min_idle


cdef int finish(Call call, Claim* claim) except -1:
    introduce(call, claim)
    if claim.changes:
        stream_noted(call.effects, call.db, &claim.argv[1], b"", claim.changes)
    return 0


cdef int claim_options(Call call, Claim* claim, int i, int argc) except -1:
    cdef Slice* argv = claim.argv
    cdef int64_t now = call.keyspace.now_ms
    cdef int64_t delivered = -1
    cdef int64_t value
    claim.retries = -1
    while i < argc:
        if keyword(&argv[i], b"FORCE", 5):
            claim.force = True
        elif keyword(&argv[i], b"JUSTID", 6):
            claim.just_id = True
        elif i + 1 == argc:
            raise errors.UnknownClaimOption(bytes_of(&argv[i]))
        elif keyword(&argv[i], b"IDLE", 4):
            i += 1
            value = number_of(&argv[i], "IDLE option argument", "XCLAIM")
            delivered = now - value if 0 <= value <= now else -1
        elif keyword(&argv[i], b"TIME", 4):
            i += 1
            delivered = number_of(&argv[i], "TIME option argument", "XCLAIM")
        elif keyword(&argv[i], b"RETRYCOUNT", 10):
            i += 1
            claim.retries = number_of(&argv[i], "RETRYCOUNT option argument", "XCLAIM")
        elif keyword(&argv[i], b"LASTID", 6):
            i += 1
            id_of(&argv[i], &claim.last)
        else:
            raise errors.UnknownClaimOption(bytes_of(&argv[i]))
        i += 1
    claim.delivered_ms = delivered if 0 <= delivered <= now else now
    return 0


cdef int xclaim(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef Claim claim
    cdef Cursor cursor
    cdef Nack* nack
    cdef ID id
    cdef int i
    cdef int stop = 5
    cdef int64_t done = 0
    cdef size_t header = call.out.used
    claim.argv = argv
    claim.created = claim.advanced = claim.force = claim.just_id = False
    claim.last.ms = claim.last.seq = 0
    claim.changes = 0
    claim.stream = typed(call.read_first(&argv[1], &found))
    claim.group = group_of(claim.stream, &argv[1], &argv[2])
    claim.min_idle = number_of(&argv[4], "min-idle-time argument", "XCLAIM")
    while stop < argc and parse_id(argv[stop].data, argv[stop].size, &id, 0, True, NULL):
        stop += 1
    claim_options(call, &claim, stop, argc)
    begin(call, &claim)
    out_array(call.out, 1)
    for i in range(5, stop):
        id_of(&argv[i], &id)
        nack = find_nack(claim.group, &id)
        cursor_begin(&cursor, claim.stream, &id, &id, False)
        if not cursor_next(&cursor):
            if nack is not NULL:
                drop(call, &claim, &id)
        elif claim.force if nack is NULL else is_idle(call, &claim, nack):
            if not take(call, &claim, &cursor, nack):
                break
            done += 1
    if done != 1:
        out_header(call.out, header, 4, c"*", done)
    if claim.advanced and done == 0:
        introduce(call, &claim)
        claim.changes += 1
        tell_group(call, &argv[1], &argv[2], claim.group)
    return finish(call, &claim)


cdef int tell_group(Call call, Slice* key, Slice* name, const Group* group) except -1:
    call.effects.replaced = True
    if call.effects.feeding:
        call.effects.command(7)
        call.effects.argument(b"XGROUP", 6)
        call.effects.argument(b"SETID", 5)
        put_text(call, key)
        put_text(call, name)
        put_id(call, &group.last)
        call.effects.argument(b"ENTRIESREAD", 11)
        call.effects.argument_int(group.entries_read)
    return 0


cdef int64_t autoclaim_options(Claim* claim, int argc) except -1:
    """Read `[COUNT count] [JUSTID]`; return the count."""
    cdef int i = 6
    cdef int64_t count = 100
    while i < argc:
        if keyword(&claim.argv[i], b"JUSTID", 6):
            claim.just_id = True
        elif i + 1 < argc and keyword(&claim.argv[i], b"COUNT", 5):
            i += 1
            if not parse_int(claim.argv[i].data, claim.argv[i].size, &count) or not (
                1 <= count <= COUNT_MOST
            ):
                raise errors.CountOptionNotPositive
        else:
            raise errors.Syntax
        i += 1
    return count


cdef int xautoclaim(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef Claim claim
    cdef ID start
    cdef int64_t count
    cdef uint8_t* entry = call.read_first(&argv[1], &found)
    claim.argv = argv
    claim.created = claim.advanced = claim.force = claim.just_id = False
    claim.last.ms = claim.last.seq = 0
    claim.changes = 0
    claim.retries = -1
    claim.delivered_ms = call.keyspace.now_ms
    claim.min_idle = number_of(&argv[4], "min-idle-time argument", "XAUTOCLAIM")
    edge_of(&argv[5], False, &start)
    count = autoclaim_options(&claim, argc)
    claim.stream = typed(entry)
    claim.group = group_of(claim.stream, &argv[1], &argv[2])
    begin(call, &claim)
    sweep(call, &claim, &start, count)
    return finish(call, &claim)


cdef int sweep(Call call, Claim* claim, const ID* start, int64_t count) except -1:
    """Claim what is pending from an id on, and answer where it ended."""
    cdef Output* out = call.out
    cdef size_t place, header
    cdef Pending* pending = &claim.group.pending
    cdef int64_t attempts = count * ATTEMPTS
    cdef int64_t done = 0
    cdef uint32_t leaf, item
    cdef Nack* nack
    cdef Cursor cursor
    cdef ID id
    cdef list deleted = []
    cdef char[ID_TEXT] text
    cdef char[ID_TEXT + 8] bulk
    cdef int size
    cdef bytes name
    out_array(out, 3)
    place = out.used
    out_bulk(out, b"0-0", 3)
    header = out.used
    out_array(out, 0)
    pending_seek(pending, start, &leaf, &item)
    while attempts and count:
        nack = <Nack*>pending_at(pending, &leaf, &item)
        if nack is NULL:
            break
        attempts -= 1
        id = nack.id
        cursor_begin(&cursor, claim.stream, &id, &id, False)
        if not cursor_next(&cursor):
            drop(call, claim, &id)
            size = format_id(text, &id)
            deleted.append(text[:size])
            pending_seek(pending, &id, &leaf, &item)
            count -= 1
            continue
        if is_idle(call, claim, nack):
            if not take(call, claim, &cursor, nack):
                break
            done += 1
            count -= 1
        item += 1
    if done:
        out_header(out, header, 4, c"*", done)
    nack = <Nack*>pending_at(pending, &leaf, &item)
    if nack is not NULL:
        size = format_id(text, &nack.id)
        size = snprintf(bulk, ID_TEXT + 8, b"$%d\r\n%.*s\r\n", size, size, text)
        out_replace(out, place, 9, bulk, <size_t>size)
    out_array(out, len(deleted))
    for name in deleted:
        out_bulk(out, name, <size_t>len(name))
    return 0


# -- XGROUP, XSETID --------------------------------------------------------------------------------

cdef bint group_options(Slice* argv, int argc, bint creating, int64_t* entries_read) except -1:
    """Read `[MKSTREAM] [ENTRIESREAD n]`; return whether the stream is to be made."""
    cdef bint make = False
    cdef int i = 5
    entries_read[0] = NOT_KNOWN
    while i < argc:
        if creating and keyword(&argv[i], b"MKSTREAM", 8):
            make = True
        elif i + 1 < argc and keyword(&argv[i], b"ENTRIESREAD", 11):
            i += 1
            entries_read[0] = integer_of(&argv[i])
            if entries_read[0] < NOT_KNOWN:
                raise errors.EntriesReadNegative
        else:
            raise errors.UnknownSubcommandOrArity(bytes_of(&argv[1]), "xgroup")
        i += 1
    return make


cdef int group_id(const Slice* text, const StreamRoot* stream, bint strict, ID* id) except -1:
    if text.size == 1 and text.data[0] == c"$":
        id.ms = id.seq = 0
        if stream is not NULL:
            id[0] = stream.last
    elif not parse_id(text.data, text.size, id, 0, strict, NULL):
        raise errors.InvalidStreamId
    return 0


cdef int xgroup_create(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef StreamRoot* stream
    cdef Group* group
    cdef ID id
    cdef int64_t entries_read
    cdef bint make = group_options(argv, argc, True, &entries_read)
    cdef bint new
    stream = typed(call.first(&argv[2], &found))
    new = stream is NULL
    if new and not make:
        raise errors.XgroupNoKey
    group_id(&argv[4], stream, True, &id)
    if not new and find_group(stream, argv[3].data, argv[3].size) is not NULL:
        raise errors.GroupExists
    if new:
        stream = stream_new(call.db.slabs)
    try:
        group = add_group(call.db.slabs, stream, argv[3].data, argv[3].size)
        if group is NULL:
            raise MemoryError
        if new:
            stream_put(call.db, &found, argv[2].data, argv[2].size, stream)
    except MemoryError:
        if new:
            stream_delete(call.db.slabs, stream)
        raise
    group.last = id
    group.entries_read = min(entries_read, <int64_t>stream.added)
    if new:
        call.changed(&argv[2], EVENT_STREAM, b"xgroup-create", 1)
    else:
        stream_noted(call.effects, call.db, &argv[2], b"xgroup-create", 1)
    out_simple(call.out, b"OK", 2)
    return 0


cdef int xgroup_setid(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef StreamRoot* stream
    cdef Group* group
    cdef ID id
    cdef int64_t entries_read
    group_options(argv, argc, False, &entries_read)
    stream = typed(call.first(&argv[2], &found))
    group = named_group(stream, argv)
    group_id(&argv[4], stream, False, &id)
    group.last = id
    if not call.keyspace.applying_:      # what happened may have been set lower since (XSETID)
        entries_read = min(entries_read, <int64_t>stream.added)
    group.entries_read = entries_read
    stream_noted(call.effects, call.db, &argv[2], b"xgroup-setid", 1)
    out_simple(call.out, b"OK", 2)
    return 0


cdef int xgroup_destroy(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef StreamRoot* stream = typed(call.first(&argv[2], &found))
    cdef bint removed
    if stream is NULL:
        raise errors.XgroupNoKey
    removed = remove_group(call.db.slabs, stream, argv[3].data, argv[3].size)
    if removed:
        stream_noted(call.effects, call.db, &argv[2], b"xgroup-destroy", 1)
    out_int(call.out, removed)
    return 0


cdef int xgroup_createconsumer(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef StreamRoot* stream = typed(call.first(&argv[2], &found))
    cdef Group* group = named_group(stream, argv)
    cdef Consumer* consumer = find_consumer(group, argv[4].data, argv[4].size)
    if consumer is not NULL:
        out_int(call.out, 0)
        return 0
    consumer = add_consumer(call.db.slabs, stream, group, argv[4].data, argv[4].size)
    if consumer is NULL:
        raise MemoryError
    consumer.seen_ms = call.keyspace.now_ms
    stream_noted(call.effects, call.db, &argv[2], b"xgroup-createconsumer", 1)
    out_int(call.out, 1)
    return 0


cdef int xgroup_delconsumer(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef StreamRoot* stream = typed(call.first(&argv[2], &found))
    cdef Group* group = named_group(stream, argv)
    cdef Consumer* consumer = find_consumer(group, argv[4].data, argv[4].size)
    cdef int64_t pending = 0
    if consumer is not NULL:
        pending = consumer.pending.count
        remove_consumer(call.db.slabs, stream, group, consumer)
        stream_noted(call.effects, call.db, &argv[2], b"xgroup-delconsumer", 1)
    out_int(call.out, pending)
    return 0


cdef int past_of(Slice* argv, int argc, const ID* last, int64_t* added, ID* deleted) except -1:
    """Read `[ENTRIESADDED n] [MAXDELETEDID id]`."""
    cdef int i = 3
    added[0] = -1
    deleted.ms = deleted.seq = 0
    while i < argc:
        if i + 1 == argc:
            raise errors.Syntax
        if keyword(&argv[i], b"ENTRIESADDED", 12):
            added[0] = integer_of(&argv[i + 1])
            if added[0] < 0:
                raise errors.EntriesAddedNegative
        elif keyword(&argv[i], b"MAXDELETEDID", 12):
            id_of(&argv[i + 1], deleted)
            if compare_ids(last, deleted) < 0:
                raise errors.LastIdBelowGivenDeleted
        else:
            raise errors.Syntax
        i += 2
    return 0


cdef int xsetid(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef StreamRoot* stream
    cdef ID last, deleted, top
    cdef int64_t added
    id_of(&argv[2], &last)
    past_of(argv, argc, &last, &added, &deleted)
    stream = typed(call.first(&argv[1], &found))
    if stream is NULL:
        raise errors.NoSuchKey
    if compare_ids(&last, &stream.max_deleted) < 0:
        raise errors.LastIdBelowDeleted
    if stream.root.count:
        top = stream_top(stream)
        if compare_ids(&last, &top) < 0:
            raise errors.LastIdBelowTop
        if added != -1 and added < stream.root.count:
            raise errors.EntriesAddedBelowLength
    stream.last = last
    if added != -1:
        stream.added = <uint64_t>added
    if not is_zero(&deleted):
        stream.max_deleted = deleted
    stream_noted(call.effects, call.db, &argv[1], b"xsetid", 1)
    out_simple(call.out, b"OK", 2)
    return 0


XDELEX_BODY = body(xdelex, "xdelex")
XACKDEL_BODY = body(xackdel, "xackdel")
XPENDING_BODY = body(xpending, "xpending")
XCLAIM_BODY = body(xclaim, "xclaim")
XAUTOCLAIM_BODY = body(xautoclaim, "xautoclaim")
XGROUP_CREATE_BODY = body(xgroup_create, "xgroup_create")
XGROUP_SETID_BODY = body(xgroup_setid, "xgroup_setid")
XGROUP_DESTROY_BODY = body(xgroup_destroy, "xgroup_destroy")
XGROUP_CREATECONSUMER_BODY = body(xgroup_createconsumer, "xgroup_createconsumer")
XGROUP_DELCONSUMER_BODY = body(xgroup_delconsumer, "xgroup_delconsumer")
XSETID_BODY = body(xsetid, "xsetid")
