"""Bodies of the sorted sets' commands that know one key. commands/zsets.py tells what each does."""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdio cimport snprintf
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy

from spineldb.core.call cimport UNANSWERED, Call, body, keyword
from spineldb.core.effects cimport EVENT_ZSET
from spineldb.core.entry cimport entry_root, value_size_of
from spineldb.core.glob cimport glob_match
from spineldb.core.hot_keys cimport parse_cursor
from spineldb.core.keyspace cimport Found
from spineldb.core.numbers cimport DOUBLE_TEXT, format_double, parse_double, parse_timeout
from spineldb.core.resp cimport (
    Slice,
    out_array,
    out_bulk,
    out_int,
    out_null,
    out_null_array,
    out_raw,
    out_truncate,
    parse_int,
)
from spineldb.core.slab cimport Ref, at
from spineldb.core.table cimport table_walk
from spineldb.core.tree cimport member_of, score_of
from spineldb.core.zsets cimport (
    ADDED,
    INCREMENT,
    MOVED,
    NOT_A_NUMBER,
    NOT_DONE,
    ONLY_GREATER,
    ONLY_LESS,
    ONLY_NEW,
    ONLY_OLD,
    SKIPLIST,
    Item,
    Zset,
    cursor_get,
    cursor_next,
    cursor_previous,
    cursor_seek,
    zset_add,
    zset_add_all,
    zset_called_skiplist,
    zset_open,
    zset_rank_of,
    zset_remove,
    zset_remove_range,
    zset_score,
)

from spineldb import errors

cdef bytes WRONG_TYPE = errors.WrongType().wire
cdef bytes NOT_INTEGER = errors.NotInteger().wire
cdef bytes NOT_FLOAT = errors.NotFloat().wire
cdef bytes NOT_POSITIVE = errors.NotPositive().wire
cdef bytes SYNTAX = errors.Syntax().wire
cdef bytes SCORE_NAN = errors.ScoreNotNumber().wire
cdef bytes XX_AND_NX = errors.NewAndOld().wire
cdef bytes GT_LT_AND_NX = errors.GreaterLessAndNew().wire
cdef bytes ONE_INCREMENT = errors.OneIncrement().wire
cdef bytes NUMKEYS = errors.NumkeysNotPositive().wire
cdef bytes COUNT = errors.CountNotPositive().wire
cdef bytes OUT_OF_RANGE = errors.ValueOutOfRange().wire
cdef bytes INVALID_CURSOR = errors.InvalidCursor().wire
cdef bytes NOT_OF_HASHES = errors.NoValuesOption().wire
cdef bytes TOO_MUCH = errors.OutputLimit().wire

cdef int64_t INT64_MAX = <int64_t>0x7fffffffffffffff
cdef bytes RANDOM_RANGE = errors.OutsideRange(-INT64_MAX, INT64_MAX).wire
cdef enum:
    AT_ONCE = 64                 # scores of one ZADD that need no memory of their own
    CURSOR_SHIFT = 16            # a cursor is the upper 48 bits of a position in hash order
    ITEM_WITH_KEY = 3            # key, member and score: the reply of BZPOPMIN
    EXACT_DIGITS = 15            # so many decimal digits a double holds exactly

cdef double[16] TENS = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13,
                        1e14, 1e15]


# -- scores, in and out ------------------------------------------------------------------------

cdef bint read_score(const char* text, size_t size, double* score) noexcept nogil:
    """Reads short plain decimals by itself: exact, as both parts are (Clinger, 1990)."""
    cdef uint64_t value = 0
    cdef size_t i = 0
    cdef size_t point = 0
    cdef int digits = 0
    cdef bint minus = False
    cdef unsigned int digit
    if size and text[0] == c"-":
        minus = True
        i = 1
    while i < size:
        digit = <unsigned int>(<unsigned char>text[i]) - 48
        if digit <= 9:
            value = value * 10 + digit
            digits += 1
        elif text[i] == c"." and point == 0 and digits:
            point = i + 1
        else:
            return parse_double(text, size, score)
        i += 1
        if digits > EXACT_DIGITS:
            return parse_double(text, size, score)
    if digits == 0:
        return parse_double(text, size, score)
    score[0] = <double>value
    if point:
        score[0] /= TENS[size - point]
    if minus:
        score[0] = -score[0]
    return True


cdef void out_score(Call call, double score) noexcept:
    cdef char[DOUBLE_TEXT + 3] text
    cdef int size
    if call.protocol == 3:
        text[0] = c","
        size = format_double(score, text + 1)
        memcpy(text + 1 + size, b"\r\n", 2)
        out_raw(call.out, text, <size_t>size + 3)
    else:
        size = format_double(score, text)
        out_bulk(call.out, text, <size_t>size)


cdef void out_item(Call call, const Item* item, bint scores, bint nested) noexcept:
    if nested:
        out_array(call.out, 2)
    out_bulk(call.out, item.member, item.size)
    if scores:
        out_score(call, item.score)


cdef void out_elements_head(Call call, int64_t count, bint scores, bint nested) noexcept:
    out_array(call.out, count * 2 if scores and not nested else count)


cdef void out_elements(Call call, Cursor* cursor, int64_t first, int64_t count, bint reverse,
                       bint scores, bint nested) noexcept:
    cdef Item item
    out_elements_head(call, count, scores, nested)
    if count <= 0:
        return
    cursor_seek(cursor, first)
    while True:
        cursor_get(cursor, &item)
        out_item(call, &item, scores, nested)
        count -= 1
        if count == 0:
            return
        if reverse:
            cursor_previous(cursor)
        else:
            cursor_next(cursor)


# -- adding ------------------------------------------------------------------------------------

cdef int zadd(Call call, Slice* argv, int argc) except -1:
    cdef int conditions = 0
    cdef bint count_moved = False
    cdef int i = 2
    while i < argc:
        if keyword(&argv[i], b"NX", 2):
            conditions |= ONLY_NEW
        elif keyword(&argv[i], b"XX", 2):
            conditions |= ONLY_OLD
        elif keyword(&argv[i], b"GT", 2):
            conditions |= ONLY_GREATER
        elif keyword(&argv[i], b"LT", 2):
            conditions |= ONLY_LESS
        elif keyword(&argv[i], b"CH", 2):
            count_moved = True
        elif keyword(&argv[i], b"INCR", 4):
            conditions |= INCREMENT
        else:
            break
        i += 1
    if i == argc or (argc - i) % 2:
        return call.refuse(SYNTAX)
    if conditions & ONLY_NEW and conditions & ONLY_OLD:
        return call.refuse(XX_AND_NX)
    if (conditions & ONLY_NEW and conditions & (ONLY_GREATER | ONLY_LESS)
            or conditions & ONLY_GREATER and conditions & ONLY_LESS):
        return call.refuse(GT_LT_AND_NX)
    if conditions & INCREMENT and argc - i > 2:
        return call.refuse(ONE_INCREMENT)
    return add(call, argv, argv + i, (argc - i) // 2, conditions, count_moved)


cdef int add(Call call, Slice* argv, Slice* pairs, int count, int conditions,
             bint count_moved) except -1:
    """Add (score, member) pairs to the set at `argv[1]`, and answer."""
    cdef Item[AT_ONCE] few
    cdef Item* items = few
    cdef int i
    if count > AT_ONCE:
        items = <Item*>malloc(<size_t>count * sizeof(Item))
        if items is NULL:
            raise MemoryError
    try:
        for i in range(count):
            if not read_score(pairs[2 * i].data, pairs[2 * i].size, &items[i].score):
                return call.refuse(NOT_FLOAT)
            items[i].member = pairs[2 * i + 1].data
            items[i].size = pairs[2 * i + 1].size
        return add_items(call, &argv[1], items, count, conditions, count_moved)
    finally:
        if items is not few:
            free(items)


cdef int add_items(Call call, Slice* key, const Item* items, int count, int conditions,
                   bint count_moved) except -1:
    cdef Found found
    cdef uint8_t* entry = call.first(key, &found)
    cdef double result = 0
    cdef int64_t added = 0
    cdef int64_t moved = 0
    cdef int outcome = NOT_DONE
    cdef int form = 0
    if entry is not NULL and not is_zset(entry):
        return call.refuse(WRONG_TYPE)
    if count > call.keyspace.zset_max_listpack_entries:
        form = SKIPLIST
    if count > 1:
        zset_add_all(
            call.db, &found, key.data, key.size, items, count, conditions, form, &added, &moved)
    else:
        outcome = zset_add(
            call.db, &found, key.data, key.size, items.score, items.member, items.size,
            conditions, form, &result)
        if outcome == NOT_A_NUMBER:
            return call.refuse(SCORE_NAN)
        added = outcome == ADDED
        moved = outcome == MOVED
    if added + moved:
        call.changed(
            key, EVENT_ZSET, b"zincr" if conditions & INCREMENT else b"zadd", added + moved)
    if not conditions & INCREMENT:
        out_int(call.out, added + moved if count_moved else added)
    elif outcome == NOT_DONE:
        out_null(call.out, call.protocol)
    else:
        out_score(call, result)
    return 0


cdef int zincrby(Call call, Slice* argv, int argc) except -1:
    return add(call, argv, argv + 2, 1, INCREMENT, False)


# -- removing ----------------------------------------------------------------------------------

cdef int zrem(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef uint8_t* entry = call.first(&argv[1], &found)
    cdef int64_t removed = 0
    cdef int i
    if entry is NULL:
        out_int(call.out, 0)
        return 0
    if not is_zset(entry):
        return call.refuse(WRONG_TYPE)
    for i in range(2, argc):
        removed += zset_remove(call.db, &found, argv[i].data, argv[i].size)
    if removed:
        call.changed_value(&argv[1], &found, EVENT_ZSET, b"zrem", removed)
    out_int(call.out, removed)
    return 0


# -- one member, or none -----------------------------------------------------------------------

cdef int zscore(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef double score
    cdef uint8_t* entry = call.read_first(&argv[1], &found)
    if entry is not NULL and not is_zset(entry):
        return call.refuse(WRONG_TYPE)
    if entry is NULL or not zset_score(
        call.db.slabs, entry, argv[2].data, argv[2].size, &score
    ):
        out_null(call.out, call.protocol)
    else:
        out_score(call, score)
    return 0


cdef int zmscore(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef double score
    cdef uint8_t* entry = call.read_first(&argv[1], &found)
    cdef int i
    if entry is not NULL and not is_zset(entry):
        return call.refuse(WRONG_TYPE)
    out_array(call.out, argc - 2)
    for i in range(2, argc):
        if entry is NULL or not zset_score(
            call.db.slabs, entry, argv[i].data, argv[i].size, &score
        ):
            out_null(call.out, call.protocol)
        else:
            out_score(call, score)
    return 0


cdef int zcard(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef uint8_t* entry = call.read_first(&argv[1], &found)
    if entry is not NULL and not is_zset(entry):
        return call.refuse(WRONG_TYPE)
    out_int(call.out, 0 if entry is NULL else <int64_t>value_size_of(entry))
    return 0


cdef int rank_of(Call call, Slice* argv, int argc, bint reverse) except -1:
    cdef Found found
    cdef double score
    cdef int64_t rank
    cdef uint8_t* entry
    if argc > 4:
        return call.refuse(errors.WrongArity(call.command.name).wire)
    if argc == 4 and not keyword(&argv[3], b"WITHSCORE", 9):
        return call.refuse(SYNTAX)
    entry = call.read_first(&argv[1], &found)
    rank = -1
    if entry is not NULL:
        if not is_zset(entry):
            return call.refuse(WRONG_TYPE)
        rank = zset_rank_of(call.db.slabs, entry, argv[2].data, argv[2].size, &score)
    if rank < 0:
        if argc == 4:
            out_null_array(call.out, call.protocol)
        else:
            out_null(call.out, call.protocol)
        return 0
    if argc == 4:
        out_array(call.out, 2)
    out_int(call.out, <int64_t>value_size_of(entry) - 1 - rank if reverse else rank)
    if argc == 4:
        out_score(call, score)
    return 0


cdef int zrank(Call call, Slice* argv, int argc) except -1:
    return rank_of(call, argv, argc, False)


cdef int zrevrank(Call call, Slice* argv, int argc) except -1:
    return rank_of(call, argv, argc, True)


# -- popping -----------------------------------------------------------------------------------

cdef int pop_from(Call call, Slice* key, Found* found, int64_t count, bint greatest, int head,
                  bint nested) except -1:
    """Answer and take out the first or last elements of a set that was looked up.

    The answer begins with an array of `head` and the key where there is one, for several sets.
    """
    cdef Cursor cursor
    cdef Item item
    zset_open(call.db.slabs, found.entry, &cursor)
    count = min(count, cursor.count)
    if head:
        out_array(call.out, head)
        out_bulk(call.out, key.data, key.size)
    if head == ITEM_WITH_KEY:
        cursor_seek(&cursor, cursor.count - 1 if greatest else 0)
        cursor_get(&cursor, &item)
        out_item(call, &item, True, False)
    else:
        out_elements(
            call, &cursor, cursor.count - 1 if greatest else 0, count, greatest, True, nested)
    zset_remove_range(
        call.db, found, cursor.count - count if greatest else 0,
        cursor.count if greatest else count)
    if greatest:
        call.changed_value(key, found, EVENT_ZSET, b"zpopmax", count)
    else:
        call.changed_value(key, found, EVENT_ZSET, b"zpopmin", count)
    return 0


cdef int pop_first(Call call, Slice* argv, int argc, bint greatest) except -1:
    cdef Found found
    cdef uint8_t* entry
    cdef int64_t count = 1
    if argc > 3:
        return call.refuse(SYNTAX)
    if argc == 3 and (not parse_int(argv[2].data, argv[2].size, &count) or count < 0):
        return call.refuse(NOT_POSITIVE)
    entry = call.first(&argv[1], &found)
    if entry is not NULL and not is_zset(entry):
        return call.refuse(WRONG_TYPE)
    if entry is NULL or count == 0:
        out_array(call.out, 0)
        return 0
    return pop_from(
        call, &argv[1], &found, count, greatest, 0, call.protocol == 3 and argc == 3)


cdef int zpopmin(Call call, Slice* argv, int argc) except -1:
    return pop_first(call, argv, argc, False)


cdef int zpopmax(Call call, Slice* argv, int argc) except -1:
    return pop_first(call, argv, argc, True)


cdef int tell_pop(Call call, Slice* key, bint greatest, int64_t count) except -1:
    """Have a pop of one of several sets propagated; `count` 0: without one."""
    if call.effects.feeding:
        call.effects.command(3 if count else 2)
        call.effects.argument(b"ZPOPMAX" if greatest else b"ZPOPMIN", 7)
        call.effects.argument(key.data, key.size)
        if count:
            call.effects.argument_int(count)
    return 0


cdef struct Taking:              # what ZMPOP and BZMPOP ask for
    int first, stop              # where the keys stand
    bint greatest
    int64_t count


cdef bint read_taking(Call call, Slice* argv, int argc, int start, Taking* taking) except -1:
    """Read `numkeys key ... MIN|MAX [COUNT n]` from `start`; False after answering an error."""
    cdef int64_t keys
    cdef int where
    cdef bytes error = None
    if not parse_int(argv[start].data, argv[start].size, &keys) or keys < 1:
        call.refuse(NUMKEYS)
        return False
    if keys > argc - start - 2:
        call.refuse(SYNTAX)
        return False
    where = start + 1 + <int>keys
    taking.first = start + 1
    taking.stop = where
    taking.count = 1
    taking.greatest = keyword(&argv[where], b"MAX", 3)
    if not taking.greatest and not keyword(&argv[where], b"MIN", 3):
        error = SYNTAX
    elif argc != where + 1:
        if argc < where + 3 or not keyword(&argv[where + 1], b"COUNT", 5):
            error = SYNTAX
        elif not parse_int(argv[where + 2].data, argv[where + 2].size, &taking.count) or (
            taking.count < 1
        ):
            error = COUNT        # which comes before what stands behind it
        elif argc != where + 3:
            error = SYNTAX
    if error is not None:
        call.refuse(error)
        return False
    return True


cdef int take(Call call, Slice* argv, const Taking* taking) except -1:
    """Pop from the first set there is: answer key and members, or leave it unanswered."""
    cdef Found found
    cdef uint8_t* entry
    cdef int i
    for i in range(taking.first, taking.stop):
        entry = call.find(&argv[i], &found)
        if entry is NULL:
            continue
        if not is_zset(entry):
            return call.refuse(WRONG_TYPE)
        tell_pop(call, &argv[i], taking.greatest,
                 min(taking.count, <int64_t>value_size_of(entry)))
        return pop_from(call, &argv[i], &found, taking.count, taking.greatest, 2, True)
    return UNANSWERED


cdef int zmpop(Call call, Slice* argv, int argc) except -1:
    cdef Taking taking
    if read_taking(call, argv, argc, 1, &taking) and take(call, argv, &taking) == UNANSWERED:
        out_null_array(call.out, call.protocol)
    return 0


cdef int bzmpop(Call call, Slice* argv, int argc) except -1:
    cdef Taking taking
    cdef int64_t ms
    if not read_taking(call, argv, argc, 2, &taking):
        return 0
    if not parse_timeout(argv[1].data, argv[1].size, &ms):
        return UNANSWERED
    return take(call, argv, &taking)


cdef int pop_waiting(Call call, Slice* argv, int argc, bint greatest) except -1:
    """Pop one member of the first set there is, or leave the request unanswered."""
    cdef Found found
    cdef uint8_t* entry
    cdef int64_t ms
    cdef int i
    if not parse_timeout(argv[argc - 1].data, argv[argc - 1].size, &ms):
        return UNANSWERED
    for i in range(1, argc - 1):
        entry = call.first(&argv[1], &found) if i == 1 else call.find(&argv[i], &found)
        if entry is NULL:
            continue
        if not is_zset(entry):
            return call.refuse(WRONG_TYPE)
        tell_pop(call, &argv[i], greatest, 0)
        return pop_from(call, &argv[i], &found, 1, greatest, ITEM_WITH_KEY, False)
    return UNANSWERED


cdef int bzpopmin(Call call, Slice* argv, int argc) except -1:
    return pop_waiting(call, argv, argc, False)


cdef int bzpopmax(Call call, Slice* argv, int argc) except -1:
    return pop_waiting(call, argv, argc, True)


# -- random members ----------------------------------------------------------------------------

cdef inline int64_t random_below(Call call, int64_t limit) noexcept:
    """A number from 0 up to `limit`, as likely as any other but for one part in 2^32 or less."""
    return <int64_t>(call.keyspace.random() % <uint64_t>limit)


cdef void out_random(Call call, Cursor* cursor, bint scores, bint nested) noexcept:
    cdef Item item
    cursor_seek(cursor, random_below(call, cursor.count))
    cursor_get(cursor, &item)
    out_item(call, &item, scores, nested)


cdef int out_distinct(Call call, Cursor* cursor, int64_t count, bint scores,
                      bint nested) except -1:
    """Answer `count` different elements, in order: ranks are drawn, or those left out are."""
    cdef int64_t size = cursor.count
    cdef bint drop = count > size // 2
    cdef int64_t left = size - count if drop else count
    cdef int64_t rank
    cdef Item item
    cdef uint8_t* drawn = <uint8_t*>calloc(<size_t>(size + 7) // 8, 1)
    if drawn is NULL:
        raise MemoryError
    out_elements_head(call, count, scores, nested)
    while left:
        rank = random_below(call, size)
        if drawn[rank >> 3] >> (rank & 7) & 1:
            continue
        drawn[rank >> 3] |= 1 << (rank & 7)
        left -= 1
        if not drop:
            cursor_seek(cursor, rank)
            cursor_get(cursor, &item)
            out_item(call, &item, scores, nested)
    if drop:
        cursor_seek(cursor, 0)
        for rank in range(size):
            if not drawn[rank >> 3] >> (rank & 7) & 1:
                cursor_get(cursor, &item)
                out_item(call, &item, scores, nested)
            cursor_next(cursor)
    free(drawn)
    return 0


cdef int zrandmember(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef Cursor cursor
    cdef int64_t count = 0
    cdef bint scores = argc == 4
    cdef bint nested = scores and call.protocol == 3
    cdef size_t used = call.out.used
    cdef uint8_t* entry
    if argc > 2 and not parse_int(argv[2].data, argv[2].size, &count):
        return call.refuse(NOT_INTEGER)
    if count < -INT64_MAX:
        return call.refuse(RANDOM_RANGE)
    if argc > 4 or scores and not keyword(&argv[3], b"WITHSCORES", 10):
        return call.refuse(SYNTAX)
    if scores and not -(INT64_MAX // 2) <= count <= INT64_MAX // 2:
        return call.refuse(OUT_OF_RANGE)
    entry = call.read_first(&argv[1], &found)
    if entry is not NULL and not is_zset(entry):
        return call.refuse(WRONG_TYPE)
    if entry is NULL:
        if argc == 2:
            out_null(call.out, call.protocol)
        else:
            out_array(call.out, 0)
        return 0
    zset_open(call.db.slabs, entry, &cursor)
    if argc == 2:
        out_random(call, &cursor, False, False)
    elif count >= cursor.count:
        out_elements(call, &cursor, 0, cursor.count, False, scores, nested)
    elif count >= 0:
        out_distinct(call, &cursor, count, scores, nested)
    else:
        out_elements_head(call, -count, scores, nested)
        while count < 0 and not call.out.failed:
            out_random(call, &cursor, scores, nested)
            count += 1
            if <int64_t>(call.out.used - used) > call.keyspace.string_limit:
                out_truncate(call.out, used, call.out.piece_count)
                return call.refuse(TOO_MUCH)
    return 0


# -- ZSCAN -------------------------------------------------------------------------------------

cdef struct Gathered:            # what a step of a scan found
    Ref* refs
    size_t count
    size_t capacity


cdef int gather(void* context, uint64_t hash, Ref* ref) except -2:
    cdef Gathered* found = <Gathered*>context
    cdef Ref* bigger
    if found.count == found.capacity:
        bigger = <Ref*>realloc(found.refs, (found.capacity * 2 + 32) * sizeof(Ref))
        if bigger is NULL:
            raise MemoryError
        found.refs = bigger
        found.capacity = found.capacity * 2 + 32
    found.refs[found.count] = ref[0]
    found.count += 1
    return 0


cdef void out_scanned(Call call, const Item* item, bint scores, bint exactly) noexcept:
    """ZSCAN's scores are text in both protocols; Redis writes a skip list's with 17 digits."""
    cdef char[DOUBLE_TEXT] text
    cdef int size
    out_bulk(call.out, item.member, item.size)
    if not scores:
        return
    if exactly:
        size = snprintf(text, DOUBLE_TEXT, b"%.17g", item.score)
    else:
        size = format_double(item.score, text)
    out_bulk(call.out, text, <size_t>size)


cdef int zscan(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef Gathered gathered
    cdef uint64_t position
    cdef int64_t count = 10
    cdef Slice* pattern = NULL
    cdef bint scores = True
    cdef uint8_t* entry
    cdef int i = 3
    if not parse_cursor(&argv[2], &position):
        return call.refuse(INVALID_CURSOR)
    entry = call.read_first(&argv[1], &found)
    if entry is NULL:
        out_array(call.out, 2)
        out_bulk(call.out, b"0", 1)
        out_array(call.out, 0)
        return 0
    if not is_zset(entry):
        return call.refuse(WRONG_TYPE)
    while i < argc:
        if keyword(&argv[i], b"NOSCORES", 8):
            scores = False
            i += 1
            continue
        if i + 1 == argc:
            return call.refuse(NOT_OF_HASHES if keyword(&argv[i], b"NOVALUES", 8) else SYNTAX)
        if keyword(&argv[i], b"COUNT", 5):
            if not parse_int(argv[i + 1].data, argv[i + 1].size, &count):
                return call.refuse(NOT_INTEGER)
            if count < 1:
                return call.refuse(SYNTAX)
        elif keyword(&argv[i], b"MATCH", 5):
            pattern = &argv[i + 1]
        else:
            return call.refuse(NOT_OF_HASHES if keyword(&argv[i], b"NOVALUES", 8) else SYNTAX)
        i += 2
    gathered.refs = NULL
    gathered.count = gathered.capacity = 0
    if entry_root(entry) is NULL or not zset_called_skiplist(entry):
        return scan_whole(call, entry, pattern, scores)
    try:
        position <<= CURSOR_SHIFT
        table_walk((<Zset*>entry_root(entry)).table, &position, count, gather, &gathered)
        reply_scan(call, &gathered, position >> CURSOR_SHIFT, pattern, scores)
    finally:
        free(gathered.refs)
    return 0


cdef inline bint wanted(const Slice* pattern, const Item* item) noexcept nogil:
    return pattern is NULL or glob_match(
        pattern.data, pattern.size, item.member, item.size, False)


cdef int scan_whole(Call call, const uint8_t* entry, const Slice* pattern, bint scores) except -1:
    """A small set is answered at once."""
    cdef Cursor cursor
    cdef Item item
    cdef int64_t matches = 0
    zset_open(call.db.slabs, entry, &cursor)
    cursor_seek(&cursor, 0)
    for _ in range(cursor.count):
        cursor_get(&cursor, &item)
        matches += wanted(pattern, &item)
        cursor_next(&cursor)
    out_array(call.out, 2)
    out_bulk(call.out, b"0", 1)
    out_array(call.out, matches * (1 + scores))
    cursor_seek(&cursor, 0)
    for _ in range(cursor.count):
        cursor_get(&cursor, &item)
        if wanted(pattern, &item):
            out_scanned(call, &item, scores, zset_called_skiplist(entry))
        cursor_next(&cursor)
    return 0


cdef int reply_scan(Call call, Gathered* found, uint64_t cursor, const Slice* pattern,
                    bint scores) except -1:
    cdef char[24] text
    cdef size_t matches = 0
    cdef size_t i
    cdef Item item
    for i in range(found.count):
        item.member = member_of(
            <const uint8_t*>at(call.db.slabs, found.refs[i]), &item.size)
        if wanted(pattern, &item):
            found.refs[matches] = found.refs[i]
            matches += 1
    out_array(call.out, 2)
    out_bulk(call.out, text, <size_t>snprintf(text, 24, b"%llu", <unsigned long long>cursor))
    out_array(call.out, <int64_t>matches * (1 + scores))
    for i in range(matches):
        item.member = member_of(
            <const uint8_t*>at(call.db.slabs, found.refs[i]), &item.size)
        item.score = score_of(<const uint8_t*>at(call.db.slabs, found.refs[i]))
        out_scanned(call, &item, scores, True)
    return 0


ZADD_BODY = body(zadd, "zadd")
ZINCRBY_BODY = body(zincrby, "zincrby")
ZREM_BODY = body(zrem, "zrem")
ZSCORE_BODY = body(zscore, "zscore")
ZMSCORE_BODY = body(zmscore, "zmscore")
ZCARD_BODY = body(zcard, "zcard")
ZRANK_BODY = body(zrank, "zrank")
ZREVRANK_BODY = body(zrevrank, "zrevrank")
ZPOPMIN_BODY = body(zpopmin, "zpopmin")
ZPOPMAX_BODY = body(zpopmax, "zpopmax")
ZMPOP_BODY = body(zmpop, "zmpop")
BZPOPMIN_BODY = body(bzpopmin, "bzpopmin")
BZPOPMAX_BODY = body(bzpopmax, "bzpopmax")
BZMPOP_BODY = body(bzmpop, "bzmpop")
ZRANDMEMBER_BODY = body(zrandmember, "zrandmember")
ZSCAN_BODY = body(zscan, "zscan")
