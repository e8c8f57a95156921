"""Bodies of the list commands. commands/lists.py tells what each does."""

from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcmp

from spineldb.core.call cimport UNANSWERED, Call, body, keyword
from spineldb.core.chunks cimport (
    Cursor,
    cursor_next,
    cursor_previous,
    out_elements,
    out_elements_back,
)
from spineldb.core.effects cimport EVENT_LIST
from spineldb.core.entry cimport KIND_MASK, LIST
from spineldb.core.keyspace cimport Found
from spineldb.core.lists cimport (
    list_count,
    list_drop,
    list_end,
    list_insert,
    list_move,
    list_push,
    list_remove,
    list_seek,
    list_set,
    list_trim,
)
from spineldb.core.numbers cimport parse_timeout
from spineldb.core.replies cimport (
    COUNT_NOT_POSITIVE, NOT_INTEGER, NOT_POSITIVE, NO_SUCH_KEY, NUMKEYS_NOT_POSITIVE, SYNTAX,
    WRONG_TYPE, reply_null, reply_ok, wrong_arity,
)
from spineldb.core.resp cimport (
    Slice,
    out_array,
    out_bulk,
    out_bulk_block,
    out_int,
    out_null_array,
    parse_int,
)
from spineldb.core.session cimport NO_TOUCH

from spineldb import errors

cdef int64_t INT64_MAX = <int64_t>0x7fffffffffffffff
cdef int64_t INT64_MIN = -INT64_MAX - 1

cdef bytes NOT_NEGATABLE = errors.OutsideRange(-INT64_MAX, INT64_MAX).wire
cdef bytes BAD_INDEX = errors.IndexOutOfRange().wire
cdef bytes RANK_ZERO = errors.RankZero().wire
cdef bytes COUNT_NEGATIVE = errors.PositionsNegative().wire
cdef bytes MAXLEN_NEGATIVE = errors.ComparisonsNegative().wire


cdef inline bint is_list(const uint8_t* entry) noexcept:
    return entry[0] & KIND_MASK == LIST


cdef inline void used(Call call, uint8_t* entry) noexcept:
    """Record the access of a write."""
    if not call.client.flags & NO_TOUCH:
        call.keyspace.touch(entry)


cdef inline void reply_element(Call call, const Slice* value) noexcept:
    if value.block is not NULL:
        out_bulk_block(call.out, value.block)
    else:
        out_bulk(call.out, value.data, value.size)


cdef inline const char* push_event(bint left) noexcept:
    return b"lpush" if left else b"rpush"


cdef inline const char* pop_event(bint left) noexcept:
    return b"lpop" if left else b"rpop"


cdef bint read_side(const Slice* word, bint* left) noexcept:
    """Read LEFT or RIGHT; False if it is neither."""
    left[0] = keyword(word, b"LEFT", 4)
    return left[0] or keyword(word, b"RIGHT", 5)


# -- the ends --------------------------------------------------------------------------------------

cdef int push(Call call, Slice* argv, int argc, bint left, bint create) except -1:
    cdef Found found
    cdef uint8_t* entry = call.first(&argv[1], &found)
    if entry is not NULL:
        if not is_list(entry):
            return call.refuse(WRONG_TYPE)
        used(call, entry)
    elif not create:
        out_int(call.out, 0)
        return 0
    list_push(call.db, &found, argv[1].data, argv[1].size, argv + 2, argc - 2, left)
    out_int(call.out, list_count(found.entry))
    return call.changed(&argv[1], EVENT_LIST, push_event(left), argc - 2)


cdef int lpush(Call call, Slice* argv, int argc) except -1:
    return push(call, argv, argc, True, True)


cdef int rpush(Call call, Slice* argv, int argc) except -1:
    return push(call, argv, argc, False, True)


cdef int lpushx(Call call, Slice* argv, int argc) except -1:
    return push(call, argv, argc, True, False)


cdef int rpushx(Call call, Slice* argv, int argc) except -1:
    return push(call, argv, argc, False, False)


cdef int pop_many(Call call, Slice* key, Found* found, bint left, int64_t count) except -1:
    """Pop elements, at most all, into an array."""
    cdef Cursor cursor
    out_array(call.out, count)
    if left:
        list_seek(call.db, found.entry, 0, &cursor)
        out_elements(call.out, &cursor, count)
    else:
        list_seek(call.db, found.entry, list_count(found.entry), &cursor)
        out_elements_back(call.out, &cursor, count)
    list_drop(call.db, found, left, count)
    return call.changed_value(key, found, EVENT_LIST, pop_event(left), count)


cdef int pop_one(Call call, Slice* key, Found* found, bint left) except -1:
    """Pop an element into a string."""
    cdef Slice value
    list_end(call.db, found.entry, left, &value)
    reply_element(call, &value)
    list_drop(call.db, found, left, 1)
    return call.changed_value(key, found, EVENT_LIST, pop_event(left), 1)


cdef int pop(Call call, Slice* argv, int argc, bint left) except -1:
    cdef Found found
    cdef uint8_t* entry
    cdef int64_t count = 1
    if argc > 3:
        return wrong_arity(call)
    if argc == 3 and (not parse_int(argv[2].data, argv[2].size, &count) or count < 0):
        return call.refuse(NOT_POSITIVE)
    entry = call.first(&argv[1], &found)
    if entry is NULL:
        if argc == 3:
            out_null_array(call.out, call.protocol)
        else:
            reply_null(call)
        return 0
    if not is_list(entry):
        return call.refuse(WRONG_TYPE)
    used(call, entry)
    if argc == 3:
        if count == 0:
            out_array(call.out, 0)
            return 0
        return pop_many(call, &argv[1], &found, left, min(count, list_count(entry)))
    return pop_one(call, &argv[1], &found, left)


cdef int lpop(Call call, Slice* argv, int argc) except -1:
    return pop(call, argv, argc, True)


cdef int rpop(Call call, Slice* argv, int argc) except -1:
    return pop(call, argv, argc, False)


cdef inline bint is_timeout(const Slice* text) noexcept:
    cdef int64_t ms
    return parse_timeout(text.data, text.size, &ms)


cdef struct Taking:              # what LMPOP and BLMPOP ask for
    int first, stop              # where the keys stand
    bint left
    int64_t count


cdef bint read_taking(Call call, Slice* argv, int argc, int at, Taking* taking) except -1:
    """Read `numkeys key ... LEFT|RIGHT [COUNT n]` from `at`; False after answering an error."""
    cdef int64_t keys
    cdef int where
    if not parse_int(argv[at].data, argv[at].size, &keys) or keys <= 0:
        call.refuse(NUMKEYS_NOT_POSITIVE)
        return False
    if keys > argc - at - 2:
        call.refuse(SYNTAX)
        return False
    where = at + 1 + <int>keys
    taking.first = at + 1
    taking.stop = where
    taking.count = 1
    if not read_side(&argv[where], &taking.left):
        call.refuse(SYNTAX)
        return False
    if argc != where + 1:
        if argc < where + 3 or not keyword(&argv[where + 1], b"COUNT", 5):
            call.refuse(SYNTAX)
            return False
        if not parse_int(argv[where + 2].data, argv[where + 2].size, &taking.count) or (
            taking.count <= 0
        ):
            call.refuse(COUNT_NOT_POSITIVE)
            return False
        if argc != where + 3:
            call.refuse(SYNTAX)
            return False
    return True


cdef int tell_pop(Call call, Slice* key, bint left, int64_t count) except -1:
    """Have a pop of one of several lists propagated, before it is done; `count` 0: without one."""
    if call.effects.feeding:
        call.effects.command(3 if count else 2)
        call.effects.argument(b"LPOP" if left else b"RPOP", 4)
        call.effects.argument(key.data, key.size)
        if count:
            call.effects.argument_int(count)
    return 0


cdef int take(Call call, Slice* argv, const Taking* taking) except -1:
    """Pop from the first list there is: answer key and elements, or leave it unanswered."""
    cdef Found found
    cdef uint8_t* entry
    cdef int64_t count
    cdef int i
    for i in range(taking.first, taking.stop):
        entry = call.find(&argv[i], &found)
        if entry is NULL:
            continue
        if not is_list(entry):
            return call.refuse(WRONG_TYPE)
        used(call, entry)
        count = min(taking.count, list_count(entry))
        tell_pop(call, &argv[i], taking.left, count)
        out_array(call.out, 2)
        out_bulk(call.out, argv[i].data, argv[i].size)
        return pop_many(call, &argv[i], &found, taking.left, count)
    return UNANSWERED


cdef int lmpop(Call call, Slice* argv, int argc) except -1:
    cdef Taking taking
    if read_taking(call, argv, argc, 1, &taking) and take(call, argv, &taking) == UNANSWERED:
        out_null_array(call.out, call.protocol)
    return 0


cdef int blmpop(Call call, Slice* argv, int argc) except -1:
    cdef Taking taking
    if not read_taking(call, argv, argc, 2, &taking):
        return 0
    if not is_timeout(&argv[1]):
        return UNANSWERED
    return take(call, argv, &taking)


cdef int pop_waiting(Call call, Slice* argv, int argc, bint left) except -1:
    """Pop one element from the first list there is, or leave the request unanswered."""
    cdef Found found
    cdef uint8_t* entry
    cdef int i
    if not is_timeout(&argv[argc - 1]):
        return UNANSWERED
    for i in range(1, argc - 1):
        entry = call.first(&argv[1], &found) if i == 1 else call.find(&argv[i], &found)
        if entry is NULL:
            continue
        if not is_list(entry):
            return call.refuse(WRONG_TYPE)
        used(call, entry)
        tell_pop(call, &argv[i], left, 0)
        out_array(call.out, 2)
        out_bulk(call.out, argv[i].data, argv[i].size)
        return pop_one(call, &argv[i], &found, left)
    return UNANSWERED


cdef int blpop(Call call, Slice* argv, int argc) except -1:
    return pop_waiting(call, argv, argc, True)


cdef int brpop(Call call, Slice* argv, int argc) except -1:
    return pop_waiting(call, argv, argc, False)


# -- from one list to another ----------------------------------------------------------------------

cdef int move(Call call, Slice* argv, bint from_left, bint to_left, const char* name=NULL,
              size_t size=0, int words=0) except -1:
    """Move an element and answer it, or leave it unanswered without a list.

    With a `name` that is what is propagated, with so many of the request's words behind it.
    """
    cdef Found found, place
    cdef uint8_t* target
    cdef uint8_t* entry = call.first(&argv[1], &found)
    cdef Slice value
    cdef int i
    if entry is NULL:
        return UNANSWERED
    if not is_list(entry):
        return call.refuse(WRONG_TYPE)
    target = call.find(&argv[2], &place)
    if target is not NULL and not is_list(target):
        return call.refuse(WRONG_TYPE)
    used(call, entry)
    if target is not NULL:
        used(call, target)
    if name is not NULL and call.effects.feeding:
        call.effects.command(1 + words)
        call.effects.argument(name, size)
        for i in range(1, 1 + words):
            call.effects.argument(argv[i].data, argv[i].size)
    list_end(call.db, entry, from_left, &value)
    reply_element(call, &value)
    list_move(
        call.db, &found, &place, argv[2].data, argv[2].size, from_left, to_left)
    call.changed(&argv[2], EVENT_LIST, push_event(to_left), 0)
    return call.changed_value(&argv[1], &found, EVENT_LIST, pop_event(from_left), 1)


cdef int lmove(Call call, Slice* argv, int argc) except -1:
    cdef bint from_left, to_left
    if not read_side(&argv[3], &from_left) or not read_side(&argv[4], &to_left):
        return call.refuse(SYNTAX)
    if move(call, argv, from_left, to_left) == UNANSWERED:
        reply_null(call)
    return 0


cdef int rpoplpush(Call call, Slice* argv, int argc) except -1:
    if move(call, argv, False, True) == UNANSWERED:
        reply_null(call)
    return 0


cdef int blmove(Call call, Slice* argv, int argc) except -1:
    cdef bint from_left, to_left
    if not read_side(&argv[3], &from_left) or not read_side(&argv[4], &to_left):
        return call.refuse(SYNTAX)
    if not is_timeout(&argv[5]):
        return UNANSWERED
    return move(call, argv, from_left, to_left, b"LMOVE", 5, 4)


cdef int brpoplpush(Call call, Slice* argv, int argc) except -1:
    if not is_timeout(&argv[3]):
        return UNANSWERED
    return move(call, argv, False, True, b"RPOPLPUSH", 9, 2)


# -- reading ---------------------------------------------------------------------------------------

cdef int llen(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef uint8_t* entry = call.read_first(&argv[1], &found)
    if entry is NULL:
        out_int(call.out, 0)
        return 0
    if not is_list(entry):
        return call.refuse(WRONG_TYPE)
    out_int(call.out, list_count(entry))
    return 0


cdef int lrange(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef Cursor cursor
    cdef int64_t first, last, count
    cdef uint8_t* entry
    if not parse_int(argv[2].data, argv[2].size, &first) or not parse_int(
        argv[3].data, argv[3].size, &last
    ):
        return call.refuse(NOT_INTEGER)
    entry = call.read_first(&argv[1], &found)
    if entry is NULL:
        out_array(call.out, 0)
        return 0
    if not is_list(entry):
        return call.refuse(WRONG_TYPE)
    count = list_count(entry)
    if first < 0:
        first = max(first + count, 0)
    last = min(last + count if last < 0 else last, count - 1)
    if first > last:
        out_array(call.out, 0)
        return 0
    out_array(call.out, last - first + 1)
    list_seek(call.db, entry, first, &cursor)
    out_elements(call.out, &cursor, last - first + 1)
    return 0


cdef int lindex(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef Cursor cursor
    cdef Slice value
    cdef int64_t index
    cdef uint8_t* entry = call.read_first(&argv[1], &found)
    if entry is NULL:
        return reply_null(call)
    if not is_list(entry):
        return call.refuse(WRONG_TYPE)
    if not parse_int(argv[2].data, argv[2].size, &index):
        return call.refuse(NOT_INTEGER)
    if index < 0:
        index += list_count(entry)
    if not 0 <= index < list_count(entry):
        return reply_null(call)
    list_seek(call.db, entry, index, &cursor)
    cursor_next(&cursor, &value)
    reply_element(call, &value)
    return 0


cdef struct Search:              # LPOS's options
    int64_t rank
    int64_t count                # -1: one answer, not an array; 0: all
    int64_t most                 # elements to compare; 0: all


cdef int read_search(Call call, Search* search, Slice* argv, int argc) except -1:
    """Read LPOS's options; False after answering an error."""
    cdef int i
    cdef Slice* value
    search.rank = 1
    search.count = -1
    search.most = 0
    for i in range(3, argc, 2):
        value = &argv[i + 1]
        if i + 1 == argc:
            call.refuse(SYNTAX)
            return False
        if keyword(&argv[i], b"RANK", 4):
            if not parse_int(value.data, value.size, &search.rank):
                call.refuse(NOT_INTEGER)
                return False
            if search.rank == INT64_MIN:
                call.refuse(NOT_NEGATABLE)
                return False
            if search.rank == 0:
                call.refuse(RANK_ZERO)
                return False
        elif keyword(&argv[i], b"COUNT", 5):
            if not parse_int(value.data, value.size, &search.count) or search.count < 0:
                call.refuse(COUNT_NEGATIVE)
                return False
        elif keyword(&argv[i], b"MAXLEN", 6):
            if not parse_int(value.data, value.size, &search.most) or search.most < 0:
                call.refuse(MAXLEN_NEGATIVE)
                return False
        else:
            call.refuse(SYNTAX)
            return False
    return True


cdef inline bint equal(const Slice* one, const Slice* other) noexcept:
    return one.size == other.size and memcmp(one.data, other.data, one.size) == 0


cdef class Positions:
    """What LPOS found, before it is known how many there are."""

    cdef int64_t* items
    cdef int64_t count, capacity

    def __dealloc__(self):
        free(self.items)

    cdef int append(self, int64_t position) except -1:
        cdef int64_t* items
        if self.count == self.capacity:
            items = <int64_t*>realloc(
                self.items, <size_t>(2 * self.capacity + 16) * sizeof(int64_t))
            if items is NULL:
                raise MemoryError
            self.items = items
            self.capacity = 2 * self.capacity + 16
        self.items[self.count] = position
        self.count += 1
        return 0


cdef int search_list(Call call, const uint8_t* entry, const Slice* wanted, const Search* search,
                     Positions positions) except -1:
    cdef int64_t length = list_count(entry)
    cdef int64_t most = min(search.most, length) if search.most else length
    cdef int64_t skip = abs(search.rank) - 1
    cdef int64_t limit = 1 if search.count < 0 else search.count
    cdef bint forward = search.rank > 0
    cdef int64_t i
    cdef Cursor cursor
    cdef Slice value
    list_seek(call.db, entry, 0 if forward else length, &cursor)
    for i in range(most):
        if forward:
            cursor_next(&cursor, &value)
        else:
            cursor_previous(&cursor, &value)
        if not equal(&value, wanted):
            continue
        if skip:
            skip -= 1
            continue
        positions.append(i if forward else length - 1 - i)
        if positions.count == limit:
            break
    return 0


cdef int lpos(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef Search search
    cdef Positions positions
    cdef uint8_t* entry
    cdef int64_t i
    if not read_search(call, &search, argv, argc):
        return 0
    entry = call.read_first(&argv[1], &found)
    if entry is not NULL and not is_list(entry):
        return call.refuse(WRONG_TYPE)
    positions = Positions.__new__(Positions)
    if entry is not NULL:
        search_list(call, entry, &argv[2], &search, positions)
    if search.count >= 0:
        out_array(call.out, positions.count)
    elif positions.count == 0:
        reply_null(call)
    for i in range(positions.count):
        out_int(call.out, positions.items[i])
    return 0


# -- in the middle ---------------------------------------------------------------------------------

cdef int lset(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef int64_t index
    cdef uint8_t* entry = call.first(&argv[1], &found)
    if entry is NULL:
        return call.refuse(NO_SUCH_KEY)
    if not is_list(entry):
        return call.refuse(WRONG_TYPE)
    if not parse_int(argv[2].data, argv[2].size, &index):
        return call.refuse(NOT_INTEGER)
    if index < 0:
        index += list_count(entry)
    if not 0 <= index < list_count(entry):
        return call.refuse(BAD_INDEX)
    used(call, entry)
    list_set(call.db, &found, index, &argv[3])
    reply_ok(call)
    return call.changed(&argv[1], EVENT_LIST, b"lset", 1)


cdef int linsert(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef Cursor cursor
    cdef Slice value
    cdef int64_t index = 0
    cdef bint after = keyword(&argv[2], b"AFTER", 5)
    cdef uint8_t* entry
    if not after and not keyword(&argv[2], b"BEFORE", 6):
        return call.refuse(SYNTAX)
    entry = call.first(&argv[1], &found)
    if entry is NULL:
        out_int(call.out, 0)
        return 0
    if not is_list(entry):
        return call.refuse(WRONG_TYPE)
    used(call, entry)
    list_seek(call.db, entry, 0, &cursor)
    while cursor_next(&cursor, &value):
        if equal(&value, &argv[3]):
            list_insert(call.db, &found, index + after, &argv[4])
            out_int(call.out, list_count(found.entry))
            return call.changed(&argv[1], EVENT_LIST, b"linsert", 1)
        index += 1
    out_int(call.out, -1)
    return 0


cdef int lrem(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef int64_t count, removed
    cdef uint8_t* entry
    if not parse_int(argv[2].data, argv[2].size, &count):
        return call.refuse(NOT_INTEGER)
    if count == INT64_MIN:
        return call.refuse(NOT_NEGATABLE)
    entry = call.first(&argv[1], &found)
    if entry is NULL:
        out_int(call.out, 0)
        return 0
    if not is_list(entry):
        return call.refuse(WRONG_TYPE)
    used(call, entry)
    removed = list_remove(
        call.db, &found, &argv[3], abs(count) if count else INT64_MAX, count >= 0)
    out_int(call.out, removed)
    if removed:
        call.changed_value(&argv[1], &found, EVENT_LIST, b"lrem", removed)
    return 0


cdef int ltrim(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef int64_t first, last, count, removed
    cdef uint8_t* entry
    if not parse_int(argv[2].data, argv[2].size, &first) or not parse_int(
        argv[3].data, argv[3].size, &last
    ):
        return call.refuse(NOT_INTEGER)
    entry = call.first(&argv[1], &found)
    if entry is not NULL and not is_list(entry):
        return call.refuse(WRONG_TYPE)
    reply_ok(call)
    if entry is NULL:
        return 0
    used(call, entry)
    count = list_count(entry)
    if first < 0:
        first = max(first + count, 0)
    last = min(last + count if last < 0 else last, count - 1)
    if first > last:
        first = count
        last = count - 1
    removed = first + count - 1 - last
    if removed:
        list_trim(call.db, &found, first, count - 1 - last)
        return call.changed_value(&argv[1], &found, EVENT_LIST, b"ltrim", removed)
    if call.effects.event_mask & EVENT_LIST:     # Redis tells it all the same; nobody's WATCH fails
        call.effects.tell(call.db.index, EVENT_LIST, b"ltrim", argv[1].data[:argv[1].size])
    return 0


LPUSH_BODY = body(lpush, "lpush")
RPUSH_BODY = body(rpush, "rpush")
LPUSHX_BODY = body(lpushx, "lpushx")
RPUSHX_BODY = body(rpushx, "rpushx")
LPOP_BODY = body(lpop, "lpop")
RPOP_BODY = body(rpop, "rpop")
LMPOP_BODY = body(lmpop, "lmpop")
LMOVE_BODY = body(lmove, "lmove")
RPOPLPUSH_BODY = body(rpoplpush, "rpoplpush")
BLPOP_BODY = body(blpop, "blpop")
BRPOP_BODY = body(brpop, "brpop")
BLMPOP_BODY = body(blmpop, "blmpop")
BLMOVE_BODY = body(blmove, "blmove")
BRPOPLPUSH_BODY = body(brpoplpush, "brpoplpush")
LLEN_BODY = body(llen, "llen")
LRANGE_BODY = body(lrange, "lrange")
LINDEX_BODY = body(lindex, "lindex")
LPOS_BODY = body(lpos, "lpos")
LSET_BODY = body(lset, "lset")
LINSERT_BODY = body(linsert, "linsert")
LREM_BODY = body(lrem, "lrem")
LTRIM_BODY = body(ltrim, "ltrim")
