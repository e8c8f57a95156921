"""Bodies of the stream commands. commands/streams.py tells what each does."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from spineldb.core.call cimport UNANSWERED, Call, body, keyword
from spineldb.core.effects cimport EVENT_KEY_MISS, EVENT_STREAM
from spineldb.core.entry cimport KIND_MASK, STREAM
from spineldb.core.keyspace cimport Found
from spineldb.core.replies cimport WRONG_TYPE
from spineldb.core.resp cimport (
    Output,
    Slice,
    out_array,
    out_bulk,
    out_int,
    out_null,
    out_null_array,
    parse_int,
)
from spineldb.core.stream_arguments cimport edge_of, id_of, integer_of
from spineldb.core.streams cimport (
    ACKED,
    Consumer,
    Cursor,
    DELREF,
    Group,
    ID,
    ID_TEXT,
    KEEPREF,
    Nack,
    StreamRoot,
    TRIM_MAXLEN,
    TRIM_MINID,
    TRIM_NONE,
    Trim,
    acknowledge,
    add_consumer,
    advance_group,
    assign,
    compare_ids,
    cursor_begin,
    cursor_next,
    decrement,
    find_consumer,
    find_group,
    find_nack,
    format_id,
    increment,
    is_zero,
    out_entry,
    out_header,
    out_id,
    pairs_size,
    parse_id,
    pending_at,
    pending_seek,
    remove_consumer,
    stream_append,
    stream_delete,
    stream_first,
    stream_new,
    stream_next_id,
    stream_noted,
    stream_of,
    stream_put,
    stream_recount,
    stream_remove_referenced,
    stream_top,
    stream_trim,
)

from spineldb import errors

cdef uint64_t LAST = <uint64_t>0xffffffffffffffffu
cdef size_t LARGEST = <size_t>1 << 30        # bytes of an entry
cdef int64_t LIMIT_MOST = 1000000            # entries removed by one trim with ~


cdef inline bint is_stream(const uint8_t* entry) noexcept nogil:
    return entry[0] & KIND_MASK == STREAM


cdef int argument_id(Call call, const ID* id) except -1:
    cdef char[ID_TEXT] text
    return call.effects.argument(text, <size_t>format_id(text, id))


# -- XADD ------------------------------------------------------------------------------------------

cdef struct Adding:              # the options of XADD and XTRIM
    Trim trim
    bint keep_missing            # NOMKSTREAM
    bint has_limit, has_references
    bint whole_id                # an id with its sequence was given
    bint some_id                 # an id was given
    ID id


cdef int read_options(Call call, Slice* argv, int argc, bint adding, Adding* o) except -1:
    """Read the options of XADD (`adding`) or XTRIM; return where XADD's id stands."""
    cdef int i = 2
    cdef int more
    cdef bint auto = False
    cdef Slice* word
    o.trim.strategy = TRIM_NONE
    o.trim.about = o.keep_missing = o.has_limit = o.has_references = o.whole_id = o.some_id = False
    o.trim.limit = 0
    o.trim.references = KEEPREF
    while i < argc:
        word = &argv[i]
        more = argc - 1 - i
        if adding and word.size == 1 and word.data[0] == c"*":
            break
        if more and (keyword(word, b"MAXLEN", 6) or keyword(word, b"MINID", 5)):
            if o.trim.strategy != TRIM_NONE:
                raise errors.TwoTrims
            o.trim.strategy = TRIM_MAXLEN if word.size == 6 else TRIM_MINID
            i += 1
            if more >= 2 and argv[i].size == 1 and (
                argv[i].data[0] == c"~" or argv[i].data[0] == c"="
            ):
                o.trim.about = argv[i].data[0] == c"~"
                i += 1
            if o.trim.strategy == TRIM_MAXLEN:
                o.trim.maxlen = integer_of(&argv[i])
                if o.trim.maxlen < 0:
                    raise errors.MaxlenNegative
            else:
                id_of(&argv[i], &o.trim.minid)
        elif more and keyword(word, b"LIMIT", 5):
            i += 1
            o.trim.limit = integer_of(&argv[i])
            if o.trim.limit < 0:
                raise errors.TrimLimitNegative
            o.has_limit = True
        elif adding and keyword(word, b"NOMKSTREAM", 10):
            o.keep_missing = True
        elif not o.has_references and keyword(word, b"KEEPREF", 7):
            o.trim.references = KEEPREF
            o.has_references = True
        elif not o.has_references and keyword(word, b"DELREF", 6):
            o.trim.references = DELREF
            o.has_references = True
        elif not o.has_references and keyword(word, b"ACKED", 5):
            o.trim.references = ACKED
            o.has_references = True
        elif adding:
            if not parse_id(word.data, word.size, &o.id, 0, True, &auto):
                raise errors.InvalidStreamId
            o.whole_id = not auto
            o.some_id = True
            break
        else:
            raise errors.Syntax
        i += 1
    check_options(call, adding, o)
    return i


cdef int check_options(Call call, bint adding, Adding* o) except -1:
    if o.trim.limit and o.trim.strategy == TRIM_NONE:
        raise errors.LimitWithoutTrim
    if not adding and o.trim.strategy == TRIM_NONE:
        raise errors.NoTrim
    if call.keyspace.applying_:
        o.trim.limit = 0                     # it has been written down what was removed
    elif o.has_limit:
        if not o.trim.about:
            raise errors.LimitExact
    elif o.trim.about:
        o.trim.limit = 100 * call.keyspace.stream_node_max_entries
        if o.trim.limit <= 0:
            o.trim.limit = 10000
        o.trim.limit = min(o.trim.limit, LIMIT_MOST)
    return 0


cdef bint choose_id(Call call, const StreamRoot* stream, Adding* o, ID* id) except -1:
    """Say which id the entry gets. Raises if there is none."""
    cdef ID last
    last.ms = last.seq = 0
    if stream is not NULL:
        last = stream.last
    if last.ms == LAST and last.seq == LAST:
        raise errors.NoStreamIdLeft
    if not o.some_id:
        if stream is not NULL:
            return stream_next_id(stream, call.keyspace.now_ms, id)
        id.ms = <uint64_t>max(call.keyspace.now_ms, 0)
        id.seq = id.ms == 0
        return True
    id[0] = o.id
    if not o.whole_id and last.ms == o.id.ms:
        if last.seq == LAST:
            raise errors.StreamIdNotGreater
        id.seq = last.seq + 1
    if compare_ids(id, &last) <= 0:
        raise errors.StreamIdNotGreater
    return True


cdef int append(Call call, Slice* key, Found* found, const ID* id, const Slice* pairs,
                int count) except -1:
    """Store an entry; if there is no memory for it, nothing has changed."""
    cdef bint new = found.entry is NULL
    cdef StreamRoot* stream = stream_new(call.db.slabs) if new else stream_of(found.entry)
    cdef int64_t before = stream.root.count
    try:
        if not stream_append(
            call.db.slabs, stream, id, pairs, count, call.keyspace.stream_node_max_bytes,
            call.keyspace.stream_node_max_entries
        ):
            raise MemoryError
        if new:
            stream_put(call.db, found, key.data, key.size, stream)
    except MemoryError:
        if new:
            stream_delete(call.db.slabs, stream)
        raise
    if not new:
        stream_recount(call.db, found.entry, before)
    return 0


cdef int propagate_threshold(Call call, const StreamRoot* stream, const Trim* trim) except -1:
    """Propagate a trim with ~ as the exact one that does the same: four arguments."""
    cdef ID first
    if trim.references == DELREF:
        call.effects.argument(b"DELREF", 6)
    elif trim.references == ACKED:
        call.effects.argument(b"ACKED", 5)
    else:
        call.effects.argument(b"KEEPREF", 7)
    if trim.strategy == TRIM_MAXLEN:
        call.effects.argument(b"MAXLEN", 6)
        call.effects.argument(b"=", 1)
        return call.effects.argument_int(stream.root.count)
    call.effects.argument(b"MINID", 5)
    call.effects.argument(b"=", 1)
    if stream.root.count:
        first = stream_first(stream)
    else:
        first.ms = first.seq = LAST
    return argument_id(call, &first)


cdef int propagate_xadd(Call call, Slice* argv, int argc, int at, const Adding* o, const ID* id,
                        const StreamRoot* stream) except -1:
    """Propagate XADD with the id it gave and what it trimmed."""
    cdef int i
    cdef bint trims = o.trim.about
    call.effects.command(argc - at + 2 + (4 if trims else at - 2))
    call.effects.argument(b"XADD", 4)
    call.effects.argument(argv[1].data, argv[1].size)
    if trims:
        propagate_threshold(call, stream, &o.trim)
    else:
        for i in range(2, at):
            call.effects.argument(argv[i].data, argv[i].size)
    argument_id(call, id)
    for i in range(at + 1, argc):
        call.effects.argument(argv[i].data, argv[i].size)
    return 0


cdef int xadd(Call call, Slice* argv, int argc) except -1:
    cdef Adding o
    cdef Found found
    cdef ID id
    cdef uint8_t* entry
    cdef StreamRoot* stream
    cdef int64_t before
    cdef int at = read_options(call, argv, argc, True, &o)
    cdef int rest = argc - at - 1
    if rest < 2 or rest % 2:
        raise errors.WrongArity(call.command.name)
    if o.whole_id and is_zero(&o.id):
        raise errors.StreamIdZero
    entry = call.first(&argv[1], &found)
    if entry is NULL:
        if o.keep_missing:
            out_null(call.out, call.protocol)
            return 0
    elif not is_stream(entry):
        return call.refuse(WRONG_TYPE)
    choose_id(call, NULL if entry is NULL else stream_of(entry), &o, &id)
    if pairs_size(&argv[at + 1], rest // 2) > LARGEST:
        raise errors.EntryTooLarge
    append(call, &argv[1], &found, &id, &argv[at + 1], rest // 2)
    call.changed(&argv[1], EVENT_STREAM, b"xadd", 1)
    stream = stream_of(found.entry)
    if o.trim.strategy != TRIM_NONE:
        before = stream.root.count
        if stream_trim(call.db.slabs, stream, &o.trim):
            stream_recount(call.db, found.entry, before)
            call.changed(&argv[1], EVENT_STREAM, b"xtrim", 0)
    if call.effects.feeding and (not o.whole_id or o.trim.about):
        propagate_xadd(call, argv, argc, at, &o, &id, stream)
    out_id(call.out, &id)
    return 0


cdef int xtrim(Call call, Slice* argv, int argc) except -1:
    cdef Adding o
    cdef Found found
    cdef uint8_t* entry
    cdef StreamRoot* stream
    cdef int64_t before
    cdef int64_t removed = 0
    read_options(call, argv, argc, False, &o)
    entry = call.first(&argv[1], &found)
    if entry is not NULL:
        if not is_stream(entry):
            return call.refuse(WRONG_TYPE)
        stream = stream_of(entry)
        before = stream.root.count
        removed = stream_trim(call.db.slabs, stream, &o.trim)
        if removed:
            stream_recount(call.db, entry, before)
            call.changed(&argv[1], EVENT_STREAM, b"xtrim", removed)
            if call.effects.feeding and o.trim.about:
                call.effects.command(6)
                call.effects.argument(b"XTRIM", 5)
                call.effects.argument(argv[1].data, argv[1].size)
                propagate_threshold(call, stream, &o.trim)
    out_int(call.out, removed)
    return 0


# -- XLEN, XRANGE, XDEL, XACK ----------------------------------------------------------------------

cdef int xlen(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef uint8_t* entry = call.read_first(&argv[1], &found)
    if entry is not NULL and not is_stream(entry):
        return call.refuse(WRONG_TYPE)
    out_int(call.out, 0 if entry is NULL else stream_of(entry).root.count)
    return 0


cdef int64_t out_range(Output* out, const StreamRoot* stream, const ID* start, const ID* end,
                       bint reverse, int64_t count) noexcept nogil:
    """Write the entries of a range, at most `count` if that is not negative."""
    cdef Cursor cursor
    cdef Cursor ahead
    cdef int64_t found = 0
    cursor_begin(&cursor, stream, start, end, reverse)
    ahead = cursor
    while found != count and cursor_next(&ahead):
        found += 1
    out_array(out, found)
    for _ in range(found):
        cursor_next(&cursor)
        out_entry(out, &cursor)
    return found


cdef int ranged(Call call, Slice* argv, int argc, bint reverse) except -1:
    cdef Found found
    cdef ID start, end
    cdef uint8_t* entry
    cdef int64_t count = -1
    cdef int i = 4
    edge_of(&argv[3 if reverse else 2], False, &start)
    edge_of(&argv[2 if reverse else 3], True, &end)
    while i < argc:
        if not keyword(&argv[i], b"COUNT", 5) or i + 1 == argc:
            raise errors.Syntax
        count = max(integer_of(&argv[i + 1]), <int64_t>0)
        i += 2
    entry = call.read_first(&argv[1], &found)
    if entry is NULL:
        out_array(call.out, 0)
    elif not is_stream(entry):
        call.refuse(WRONG_TYPE)
    elif count == 0:
        out_null_array(call.out, call.protocol)
    else:
        out_range(call.out, stream_of(entry), &start, &end, reverse, count)
    return 0


cdef int xrange_(Call call, Slice* argv, int argc) except -1:
    return ranged(call, argv, argc, False)


cdef int xrevrange(Call call, Slice* argv, int argc) except -1:
    return ranged(call, argv, argc, True)


cdef int xdel(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef ID id
    cdef int i
    cdef int64_t before
    cdef int64_t removed = 0
    cdef StreamRoot* stream
    cdef uint8_t* entry = call.first(&argv[1], &found)
    if entry is not NULL:
        if not is_stream(entry):
            return call.refuse(WRONG_TYPE)
        for i in range(2, argc):
            id_of(&argv[i], &id)
        stream = stream_of(entry)
        before = stream.root.count
        for i in range(2, argc):
            id_of(&argv[i], &id)
            if stream_remove_referenced(call.db.slabs, stream, &id, KEEPREF) == 1:
                removed += 1
        if removed:
            stream_recount(call.db, entry, before)
            call.changed(&argv[1], EVENT_STREAM, b"xdel", removed)
    out_int(call.out, removed)
    return 0


cdef int xack(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef ID id
    cdef int i
    cdef int64_t removed = 0
    cdef StreamRoot* stream
    cdef Group* group
    cdef uint8_t* entry = call.read_first(&argv[1], &found)
    if entry is not NULL:
        if not is_stream(entry):
            return call.refuse(WRONG_TYPE)
        stream = stream_of(entry)
        group = find_group(stream, argv[2].data, argv[2].size)
        if group is not NULL:
            for i in range(3, argc):
                id_of(&argv[i], &id)
            for i in range(3, argc):
                id_of(&argv[i], &id)
                removed += acknowledge(call.db.slabs, stream, group, &id)
            if removed:
                stream_noted(call.effects, call.db, &argv[1], b"", removed)
    out_int(call.out, removed)
    return 0


# -- XREAD, XREADGROUP -----------------------------------------------------------------------------

cdef enum:
    SOME_STREAMS = 2

cdef struct Reading:             # one of the streams that are read
    Slice key
    StreamRoot* stream           # NULL: missing
    Group* group
    Consumer* consumer
    bint created                 # the consumer
    bint new                     # `>`
    ID after


cdef class Reader:
    """One XREAD or XREADGROUP: its options, its streams, its reply."""

    cdef Call call
    cdef bint grouped, noack
    cdef Slice group, consumer
    cdef int64_t count                       # -1: no limit
    cdef int64_t block_ms                    # -1: the answer is null
    cdef Slice* keys
    cdef Slice* ids
    cdef int n
    cdef Reading* streams
    cdef Reading[SOME_STREAMS] some          # where they are if they are few

    def __dealloc__(self):
        if self.streams is not self.some:
            free(self.streams)

    cdef int options(self, Slice* argv, int argc) except -1:
        cdef int i = 1
        cdef int more
        cdef bint has_group = False
        self.count = self.block_ms = -1
        while i < argc:
            more = argc - i - 1
            if more and keyword(&argv[i], b"STREAMS", 7):
                break
            if more and keyword(&argv[i], b"BLOCK", 5):
                self.block_ms = milliseconds_of(&argv[i + 1])
                i += 1
            elif more and keyword(&argv[i], b"COUNT", 5):
                self.count = integer_of(&argv[i + 1])
                if self.count <= 0:
                    self.count = -1
                i += 1
            elif more >= 2 and keyword(&argv[i], b"GROUP", 5):
                if not self.grouped:
                    raise errors.GroupInXread
                self.group = argv[i + 1]
                self.consumer = argv[i + 2]
                has_group = True
                i += 2
            elif keyword(&argv[i], b"NOACK", 5):
                if not self.grouped:
                    raise errors.NoackInXread
                self.noack = True
            else:
                raise errors.Syntax
            i += 1
        if i == argc:
            raise errors.Syntax
        i += 1
        if (argc - i) % 2:
            raise errors.UnbalancedXreadgroup if self.grouped else errors.UnbalancedXread
        if self.grouped and not has_group:
            raise errors.NoGroupInXreadgroup
        self.n = (argc - i) // 2
        self.keys = argv + i
        self.ids = argv + i + self.n
        return 0

    cdef int resolve(self) except -1:
        """Look the streams up and say what is read of each. Nothing has changed yet."""
        cdef int i
        cdef Found found
        cdef uint8_t* entry
        cdef Reading* one
        if self.n <= SOME_STREAMS:
            self.streams = self.some
        else:
            self.streams = <Reading*>calloc(<size_t>self.n, sizeof(Reading))
            if self.streams is NULL:
                raise MemoryError
        for i in range(self.n):
            one = &self.streams[i]
            one.key = self.keys[i]
            entry = self.call.read(&one.key, &found)
            if entry is not NULL and not is_stream(entry):
                raise errors.WrongType
            one.stream = NULL if entry is NULL else stream_of(entry)
            if self.grouped:
                if one.stream is not NULL:
                    one.group = find_group(one.stream, self.group.data, self.group.size)
                if one.group is NULL:
                    raise errors.NoSuchGroupToRead(
                        one.key.data[:one.key.size], self.group.data[:self.group.size])
            self.resolve_id(&self.ids[i], one)
        if self.call.effects.event_mask & EVENT_KEY_MISS:
            self.tell_missing()
        return 0

    cdef int tell_missing(self) except -1:
        """Publish once more, as Redis does, which streams there are not: it looks them up again."""
        cdef int i
        cdef Slice* key
        for i in range(self.n):
            if self.streams[i].stream is NULL:
                key = &self.streams[i].key
                self.call.effects.tell(
                    self.call.db.index, EVENT_KEY_MISS, b"keymiss", key.data[:key.size])
        return 0

    cdef int resolve_id(self, const Slice* text, Reading* one) except -1:
        cdef char sign = text.data[0] if text.size == 1 else 0
        if sign == c"$":
            if self.grouped:
                raise errors.DollarInXreadgroup
            if one.stream is not NULL:
                one.after = one.stream.last
        elif sign == c"+":
            if self.grouped:
                raise errors.PlusInXreadgroup
            if one.stream is not NULL and one.stream.root.count:
                one.after = stream_top(one.stream)
                decrement(&one.after)
        elif sign == c">":
            if not self.grouped:
                raise errors.GreaterInXread
            one.new = True
        else:
            id_of(text, &one.after)
        return 0

    cdef int meet(self) except -1:
        """Find or create the consumers. Without memory for one of them, none is created."""
        cdef int i
        cdef Reading* one
        for i in range(self.n):
            one = &self.streams[i]
            one.consumer = find_consumer(one.group, self.consumer.data, self.consumer.size)
            if one.consumer is NULL:
                one.consumer = add_consumer(self.call.db.slabs, one.stream, one.group,
                                            self.consumer.data, self.consumer.size)
                if one.consumer is NULL:
                    self.dismiss(i)
                    raise MemoryError
                one.created = True
            one.consumer.seen_ms = self.call.keyspace.now_ms
        for i in range(self.n):
            if self.streams[i].created:
                self.introduce(&self.streams[i])
        return 0

    cdef void dismiss(self, int stop) noexcept:
        cdef int i
        cdef Reading* one
        for i in range(stop):
            one = &self.streams[i]
            if one.created:
                remove_consumer(self.call.db.slabs, one.stream, one.group, one.consumer)

    cdef int introduce(self, Reading* one) except -1:
        cdef Call call = self.call
        stream_noted(call.effects, call.db, &one.key, b"xgroup-createconsumer", 1)
        if call.effects.feeding:
            call.effects.command(5)
            call.effects.argument(b"XGROUP", 6)
            call.effects.argument(b"CREATECONSUMER", 14)
            call.effects.argument(one.key.data, one.key.size)
            call.effects.argument(self.group.data, self.group.size)
            call.effects.argument(self.consumer.data, self.consumer.size)
        else:
            call.effects.replaced = True
        return 0

    cdef bint answer(self) except -1:
        """Write what there is to read; False, and nothing, if there is nothing."""
        cdef Output* out = self.call.out
        cdef size_t start = out.used
        cdef int i
        cdef int answered = 0
        cdef Reading* one
        cdef ID top
        out_array(out, 1)
        for i in range(self.n):
            one = &self.streams[i]
            if one.stream is NULL:
                continue
            if self.grouped and not one.new:
                self.name(one)
                self.history(one)
            else:
                if one.stream.root.count == 0:
                    continue
                if one.new:
                    one.after = one.group.last
                top = stream_top(one.stream)
                if compare_ids(&top, &one.after) <= 0:
                    continue
                self.name(one)
                self.news(one)
            answered += 1
        if answered == 0:
            out.used = start
            return False
        if answered > 1 or self.call.protocol > 2:
            out_header(out, start, 4, c"*" if self.call.protocol == 2 else c"%", answered)
        return True

    cdef void name(self, Reading* one) noexcept:
        if self.call.protocol == 2:
            out_array(self.call.out, 2)
        out_bulk(self.call.out, one.key.data, one.key.size)

    cdef int news(self, Reading* one) except -1:
        """Write the entries after an id; a group delivers them."""
        cdef ID end, start
        end.ms = end.seq = LAST
        start = one.after
        increment(&start)
        if self.grouped:
            self.deliver(one, &start, &end)
        else:
            out_range(self.call.out, one.stream, &start, &end, False, self.count)
        return 0

    cdef int deliver(self, Reading* one, const ID* start, const ID* end) except -1:
        """Write entries and make them pending; as many as there is memory for, one at least."""
        cdef Call call = self.call
        cdef Output* out = call.out
        cdef size_t header = out.used
        cdef size_t width
        cdef Cursor cursor
        cdef Nack* nack
        cdef int64_t done = 0
        out_array(out, 10)
        width = out.used - header
        cursor_begin(&cursor, one.stream, start, end, False)
        while done != self.count and cursor_next(&cursor):
            if not self.noack:
                nack = assign(call.db.slabs, one.stream, one.group, one.consumer, &cursor.id)
                if nack is NULL:
                    if done == 0 and not call.effects.replaced:
                        raise MemoryError
                    break
                nack.delivered_ms = call.keyspace.now_ms
                nack.deliveries = 1
                one.consumer.active_ms = call.keyspace.now_ms
            advance_group(one.stream, one.group, &cursor.id)
            if call.effects.feeding and not self.noack:
                self.tell_claim(one, nack)
            out_entry(out, &cursor)
            done += 1
        if done != 10:
            out_header(out, header, width, c"*", done)
        if done:
            call.effects.replaced = True
            if call.effects.feeding:
                self.tell_group(one)
            stream_noted(call.effects, call.db, &one.key, b"", 1)
        return 0

    cdef int tell_claim(self, Reading* one, const Nack* nack) except -1:
        cdef Call call = self.call
        call.effects.command(14)
        call.effects.argument(b"XCLAIM", 6)
        call.effects.argument(one.key.data, one.key.size)
        call.effects.argument(self.group.data, self.group.size)
        call.effects.argument(self.consumer.data, self.consumer.size)
        call.effects.argument(b"0", 1)
        argument_id(call, &nack.id)
        call.effects.argument(b"TIME", 4)
        call.effects.argument_int(nack.delivered_ms)
        call.effects.argument(b"RETRYCOUNT", 10)
        call.effects.argument_int(<int64_t>nack.deliveries)
        call.effects.argument(b"FORCE", 5)
        call.effects.argument(b"JUSTID", 6)
        call.effects.argument(b"LASTID", 6)
        return argument_id(call, &one.group.last)

    cdef int tell_group(self, Reading* one) except -1:
        cdef Call call = self.call
        call.effects.command(7)
        call.effects.argument(b"XGROUP", 6)
        call.effects.argument(b"SETID", 5)
        call.effects.argument(one.key.data, one.key.size)
        call.effects.argument(self.group.data, self.group.size)
        argument_id(call, &one.group.last)
        call.effects.argument(b"ENTRIESREAD", 11)
        return call.effects.argument_int(one.group.entries_read)

    cdef int history(self, Reading* one) except -1:
        """Write what the consumer has pending after an id; entries count as delivered again."""
        cdef Output* out = self.call.out
        cdef size_t header = out.used
        cdef int64_t done = 0
        cdef uint32_t leaf, item
        cdef ID start = one.after
        cdef ID* id
        cdef Nack* nack
        cdef Cursor cursor
        out_array(out, 1)
        if increment(&start):
            pending_seek(&one.consumer.pending, &start, &leaf, &item)
            while done != self.count:
                id = <ID*>pending_at(&one.consumer.pending, &leaf, &item)
                if id is NULL:
                    break
                item += 1
                done += 1
                cursor_begin(&cursor, one.stream, id, id, False)
                if cursor_next(&cursor):
                    nack = find_nack(one.group, id)
                    nack.delivered_ms = self.call.keyspace.now_ms
                    nack.deliveries += 1
                    out_entry(out, &cursor)
                else:
                    out_array(out, 2)
                    out_id(out, id)
                    out_null_array(out, self.call.protocol)
        if done != 1:
            out_header(out, header, 4, c"*", done)
        return 0


cdef int64_t milliseconds_of(const Slice* text) except -1:
    cdef int64_t value
    if not parse_int(text.data, text.size, &value):
        raise errors.TimeoutNotInteger
    if value < 0:
        raise errors.TimeoutNegative
    return value


cdef int read(Call call, Slice* argv, int argc, bint grouped) except -1:
    cdef Reader reader = Reader.__new__(Reader)
    reader.call = call
    reader.grouped = grouped
    reader.options(argv, argc)
    reader.resolve()
    if grouped:
        reader.meet()
    if reader.answer():
        return 0
    if reader.block_ms >= 0:
        return UNANSWERED
    out_null_array(call.out, call.protocol)
    return 0


cdef int xread(Call call, Slice* argv, int argc) except -1:
    return read(call, argv, argc, False)


cdef int xreadgroup(Call call, Slice* argv, int argc) except -1:
    return read(call, argv, argc, True)


cdef bytes now_meant(Call call, Slice* key, const Slice* id):
    """The id after which the re-run reads: `$` is the last one of now."""
    cdef Found found
    cdef char[ID_TEXT] text
    cdef ID last
    cdef uint8_t* entry
    if id.size != 1 or id.data[0] != c"$":
        return id.data[:id.size]
    entry = call.find(key, &found)
    last.ms = last.seq = 0
    if entry is not NULL and is_stream(entry):
        last = stream_of(entry).last
    return text[:format_id(text, &last)]


def awaited(Call call, bint grouped) -> tuple:
    """Tell what an XREAD, or XREADGROUP if `grouped`, waits for that was left unanswered.

    Milliseconds, keys, and the ids to read again with.
    """
    cdef Reader reader = Reader.__new__(Reader)
    cdef int i
    reader.grouped = grouped
    reader.options(call.request.argv, call.request.argc)
    return (
        reader.block_ms,
        [reader.keys[i].data[:reader.keys[i].size] for i in range(reader.n)],
        [now_meant(call, &reader.keys[i], &reader.ids[i]) for i in range(reader.n)],
    )


XADD_BODY = body(xadd, "xadd")
XTRIM_BODY = body(xtrim, "xtrim")
XLEN_BODY = body(xlen, "xlen")
XRANGE_BODY = body(xrange_, "xrange")
XREVRANGE_BODY = body(xrevrange, "xrevrange")
XDEL_BODY = body(xdel, "xdel")
XACK_BODY = body(xack, "xack")
XREAD_BODY = body(xread, "xread")
XREADGROUP_BODY = body(xreadgroup, "xreadgroup")
