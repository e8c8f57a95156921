"""Bodies of the commands that take a range of a sorted set: by rank, by score, by name."""

from libc.math cimport isnan
from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport free, malloc
from libc.string cimport memchr

from spineldb.core.call cimport Call, body, keyword, kind_there
from spineldb.core.effects cimport EVENT_GENERIC, EVENT_ZSET
from spineldb.core.entry cimport ZSET
from spineldb.core.hot_zsets cimport is_zset, out_elements, read_score
from spineldb.core.keyspace cimport Found
from spineldb.core.replies cimport NOT_INTEGER, SYNTAX, WRONG_TYPE
from spineldb.core.resp cimport Slice, out_array, out_int, parse_int
from spineldb.core.tree cimport (
    AFTER_MEMBER, AFTER_SCORE, AT_END, AT_MEMBER, AT_SCORE, AT_START, Bound,
)
from spineldb.core.zsets cimport (
    Cursor,
    Item,
    cursor_get,
    cursor_next,
    cursor_seek,
    zset_open,
    zset_range,
    zset_remove_range,
    zset_store,
)

from spineldb import errors

cdef bytes SCORE_BOUNDS = errors.ScoreBounds().wire
cdef bytes NAME_BOUNDS = errors.NameBounds().wire
cdef bytes LIMIT_WITH_RANKS = errors.LimitWithRanks().wire
cdef bytes SCORES_WITH_NAMES = errors.ScoresWithNames().wire

cdef enum By:
    ANY = 0                      # as the options say
    RANK = 1
    SCORE = 2
    NAME = 3

cdef struct Wanted:              # which part of a set
    int by
    int reverse                  # -1: as the options say
    bint scores
    int64_t offset
    int64_t limit                # negative: no limit
    int64_t start                # ranks
    int64_t stop
    Bound low
    Bound high


# -- bounds ------------------------------------------------------------------------------------

cdef bint read_edge(const char* text, size_t size, double* score) except -1:
    """Read a number as Redis does for ranges: up to a zero byte; nothing is 0, nothing overflows,
    and there are no hexadecimals."""
    cdef const char* end = <const char*>memchr(text, 0, size)
    if end is not NULL:
        size = <size_t>(end - text)
    if size == 0:
        score[0] = 0
        return True
    if memchr(text, c"x", size) is not NULL or memchr(text, c"X", size) is not NULL:
        return False
    if read_score(text, size, score):
        return True
    word = text[:size]
    if word.strip(b"+-.0123456789eE"):
        return False
    try:
        score[0] = float(word)
    except ValueError:
        return False
    return not isnan(score[0])


cdef bint score_bound(const Slice* text, bint is_high, Bound* bound) except -1:
    cdef bint exclusive = text.size > 0 and text.data[0] == c"("
    bound.kind = AFTER_SCORE if exclusive != is_high else AT_SCORE
    return read_edge(text.data + exclusive, text.size - exclusive, &bound.score)


cdef bint name_bound(const Slice* text, bint is_high, Bound* bound) noexcept:
    bound.score = 0
    if text.size == 0:
        return False
    bound.member = text.data + 1
    bound.size = text.size - 1
    if text.data[0] == c"[":
        bound.kind = AFTER_MEMBER if is_high else AT_MEMBER
    elif text.data[0] == c"(":
        bound.kind = AT_MEMBER if is_high else AFTER_MEMBER
    elif text.size == 1 and text.data[0] == c"-":
        bound.kind = AT_START
    elif text.size == 1 and text.data[0] == c"+":
        bound.kind = AT_END
    else:
        return False
    return True


cdef bint read_bounds(Call call, Wanted* wanted, const Slice* low, const Slice* high) except -1:
    """Read both ends of a range; False after answering an error."""
    if wanted.by == RANK:
        if not parse_int(low.data, low.size, &wanted.start) or not parse_int(
            high.data, high.size, &wanted.stop
        ):
            call.refuse(NOT_INTEGER)
            return False
        return True
    if wanted.reverse > 0:
        low, high = high, low
    if wanted.by == SCORE:
        if not score_bound(low, False, &wanted.low) or not score_bound(high, True, &wanted.high):
            call.refuse(SCORE_BOUNDS)
            return False
        return True
    if not name_bound(low, False, &wanted.low) or not name_bound(high, True, &wanted.high):
        call.refuse(NAME_BOUNDS)
        return False
    return True


cdef bint read_options(Call call, Wanted* wanted, Slice* argv, int argc,
                       bint storing) except -1:
    """Read what stands behind the bounds; False after answering an error."""
    cdef int i = 0
    wanted.scores = False
    wanted.offset = 0
    wanted.limit = -1
    while i < argc:
        if not storing and keyword(&argv[i], b"WITHSCORES", 10):
            wanted.scores = True
        elif i + 2 < argc and keyword(&argv[i], b"LIMIT", 5):
            if not parse_int(argv[i + 1].data, argv[i + 1].size, &wanted.offset) or not parse_int(
                argv[i + 2].data, argv[i + 2].size, &wanted.limit
            ):
                call.refuse(NOT_INTEGER)
                return False
            i += 2
        elif wanted.reverse < 0 and keyword(&argv[i], b"REV", 3):
            wanted.reverse = 1
        elif wanted.by == ANY and keyword(&argv[i], b"BYLEX", 5):
            wanted.by = NAME
        elif wanted.by == ANY and keyword(&argv[i], b"BYSCORE", 7):
            wanted.by = SCORE
        else:
            call.refuse(SYNTAX)
            return False
        i += 1
    if wanted.by == ANY:
        wanted.by = RANK
    if wanted.limit != -1 and wanted.by == RANK:
        call.refuse(LIMIT_WITH_RANKS)
        return False
    if wanted.scores and wanted.by == NAME:
        call.refuse(SCORES_WITH_NAMES)
        return False
    return True


# -- which elements ----------------------------------------------------------------------------

cdef int64_t select(Wanted* wanted, Cursor* cursor, int64_t* first) noexcept:
    """How many elements a range has, and the rank of the one that is answered first."""
    cdef int64_t low, high
    cdef int64_t size = cursor.count
    cdef bint reverse = wanted.reverse > 0
    if wanted.by == RANK:
        low = wanted.start + size if wanted.start < 0 else wanted.start
        high = wanted.stop + size if wanted.stop < 0 else wanted.stop
        low = max(low, 0)
        high = min(high, size - 1)
        if low > high:
            return 0
        first[0] = size - 1 - low if reverse else low
        return high - low + 1
    zset_range(cursor, &wanted.low, &wanted.high, reverse, &low, &high)
    if wanted.offset < 0 or wanted.offset >= high - low:
        return 0
    if reverse:
        high -= wanted.offset
        first[0] = high - 1
    else:
        low += wanted.offset
        first[0] = low
    return min(wanted.limit, high - low) if wanted.limit >= 0 else high - low


cdef int answer(Call call, Slice* argv, int argc, int by, int reverse) except -1:
    cdef Wanted wanted
    cdef Found found
    cdef Cursor cursor
    cdef uint8_t* entry
    cdef int64_t count
    cdef int64_t first = 0
    wanted.by = by
    wanted.reverse = reverse
    if not read_options(call, &wanted, argv + 4, argc - 4, False):
        return 0
    if not read_bounds(call, &wanted, &argv[2], &argv[3]):
        return 0
    entry = call.read_first(&argv[1], &found)
    if entry is NULL:
        out_array(call.out, 0)
        return 0
    if not is_zset(entry):
        return call.refuse(WRONG_TYPE)
    zset_open(call.db.slabs, entry, &cursor)
    count = select(&wanted, &cursor, &first)
    out_elements(call, &cursor, first, count, wanted.reverse > 0, wanted.scores,
                 wanted.scores and call.protocol == 3)
    return 0


cdef int zrange(Call call, Slice* argv, int argc) except -1:
    return answer(call, argv, argc, ANY, -1)


cdef int zrevrange(Call call, Slice* argv, int argc) except -1:
    return answer(call, argv, argc, RANK, 1)


cdef int zrangebyscore(Call call, Slice* argv, int argc) except -1:
    return answer(call, argv, argc, SCORE, 0)


cdef int zrevrangebyscore(Call call, Slice* argv, int argc) except -1:
    return answer(call, argv, argc, SCORE, 1)


cdef int zrangebylex(Call call, Slice* argv, int argc) except -1:
    return answer(call, argv, argc, NAME, 0)


cdef int zrevrangebylex(Call call, Slice* argv, int argc) except -1:
    return answer(call, argv, argc, NAME, 1)


cdef int count_between(Call call, Slice* argv, int by) except -1:
    cdef Wanted wanted
    cdef Found found
    cdef Cursor cursor
    cdef uint8_t* entry
    cdef int64_t first, last
    wanted.by = by
    wanted.reverse = 0
    if not read_bounds(call, &wanted, &argv[2], &argv[3]):
        return 0
    entry = call.read_first(&argv[1], &found)
    if entry is NULL:
        out_int(call.out, 0)
        return 0
    if not is_zset(entry):
        return call.refuse(WRONG_TYPE)
    zset_open(call.db.slabs, entry, &cursor)
    zset_range(&cursor, &wanted.low, &wanted.high, False, &first, &last)
    out_int(call.out, last - first)
    return 0


cdef int zcount(Call call, Slice* argv, int argc) except -1:
    return count_between(call, argv, SCORE)


cdef int zlexcount(Call call, Slice* argv, int argc) except -1:
    return count_between(call, argv, NAME)


# -- removing ----------------------------------------------------------------------------------

cdef int remove(Call call, Slice* argv, int by, const char* event) except -1:
    cdef Wanted wanted
    cdef Found found
    cdef Cursor cursor
    cdef uint8_t* entry
    cdef int64_t count
    cdef int64_t first = 0
    wanted.by = by
    wanted.reverse = 0
    wanted.offset = 0
    wanted.limit = -1
    if not read_bounds(call, &wanted, &argv[2], &argv[3]):
        return 0
    entry = call.first(&argv[1], &found)
    if entry is NULL:
        out_int(call.out, 0)
        return 0
    if not is_zset(entry):
        return call.refuse(WRONG_TYPE)
    zset_open(call.db.slabs, entry, &cursor)
    count = select(&wanted, &cursor, &first)
    if count:
        zset_remove_range(call.db, &found, first, first + count)
        call.changed_value(&argv[1], &found, EVENT_ZSET, event, count)
    out_int(call.out, count)
    return 0


cdef int zremrangebyrank(Call call, Slice* argv, int argc) except -1:
    return remove(call, argv, RANK, b"zremrangebyrank")


cdef int zremrangebyscore(Call call, Slice* argv, int argc) except -1:
    return remove(call, argv, SCORE, b"zremrangebyscore")


cdef int zremrangebylex(Call call, Slice* argv, int argc) except -1:
    return remove(call, argv, NAME, b"zremrangebylex")


# -- storing -----------------------------------------------------------------------------------

cdef int zrangestore(Call call, Slice* argv, int argc) except -1:
    cdef Wanted wanted
    cdef Found found
    cdef Cursor cursor
    cdef uint8_t* entry
    cdef int64_t count = 0
    cdef int64_t first = 0
    cdef int64_t i
    cdef Item* items = NULL
    wanted.by = ANY
    wanted.reverse = -1
    if not read_options(call, &wanted, argv + 5, argc - 5, True):
        return 0
    if not read_bounds(call, &wanted, &argv[3], &argv[4]):
        return 0
    entry = call.read(&argv[2], &found)
    if entry is not NULL:
        if not is_zset(entry):
            return call.refuse(WRONG_TYPE)
        zset_open(call.db.slabs, entry, &cursor)
        count = select(&wanted, &cursor, &first)
    if count:
        items = <Item*>malloc(<size_t>count * sizeof(Item))
        if items is NULL:
            raise MemoryError
        if wanted.reverse > 0:
            first -= count - 1
        cursor_seek(&cursor, first)
        for i in range(count):
            cursor_get(&cursor, &items[i])
            cursor_next(&cursor)
    try:
        store(call, &argv[1], items, count, b"zrangestore")
    finally:
        free(items)
    return 0


cdef int store(Call call, Slice* key, const Item* items, int64_t count,
               const char* event) except -1:
    """Make these elements, which are in order, the value of a key, or delete it if there are none;
    answer how many there are."""
    cdef Found found
    cdef uint8_t* entry = call.find(key, &found)
    cdef int before = kind_there(&found)
    if count:
        zset_store(call.db, &found, key.data, key.size, items, count)
        call.stored(key, before, ZSET, EVENT_ZSET, event, 1)
    elif entry is not NULL:
        call.db.remove(&found)
        call.changed(key, EVENT_GENERIC, b"del", 1)
    out_int(call.out, count)
    return 0


ZRANGE_BODY = body(zrange, "zrange")
ZREVRANGE_BODY = body(zrevrange, "zrevrange")
ZRANGEBYSCORE_BODY = body(zrangebyscore, "zrangebyscore")
ZREVRANGEBYSCORE_BODY = body(zrevrangebyscore, "zrevrangebyscore")
ZRANGEBYLEX_BODY = body(zrangebylex, "zrangebylex")
ZREVRANGEBYLEX_BODY = body(zrevrangebylex, "zrevrangebylex")
ZRANGESTORE_BODY = body(zrangestore, "zrangestore")
ZCOUNT_BODY = body(zcount, "zcount")
ZLEXCOUNT_BODY = body(zlexcount, "zlexcount")
ZREMRANGEBYRANK_BODY = body(zremrangebyrank, "zremrangebyrank")
ZREMRANGEBYSCORE_BODY = body(zremrangebyscore, "zremrangebyscore")
ZREMRANGEBYLEX_BODY = body(zremrangebylex, "zremrangebylex")
