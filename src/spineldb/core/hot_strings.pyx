"""Bodies of the string commands. commands/strings.py tells what each does."""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcmp, memcpy

from spineldb.core.call cimport Call, body, keyword, kind_there
from spineldb.core.effects cimport EVENT_GENERIC, EVENT_STRING
from spineldb.core.entry cimport STRING, TEXT, entry_block, entry_deadline, entry_value, is_string
from spineldb.core.keyspace cimport Found
from spineldb.core.numbers cimport LONG_DOUBLE_TEXT, SUM_DONE, SUM_NOT_FINITE, Sum, add_long_double
from spineldb.core.replies cimport (
    NOT_FINITE, NOT_FLOAT, NOT_INTEGER, OVERFLOW, SYNTAX, WRONG_TYPE, reply_int, reply_null,
    reply_ok, wrong_arity,
)
from spineldb.core.resp cimport (
    Slice,
    out_array,
    out_bulk,
    out_bulk_block,
    parse_int,
)
from spineldb.core.slab cimport Block
from spineldb.core.strings cimport put_string, resize_string

from spineldb import errors

cdef bytes DECREMENT_OVERFLOW = errors.DecrementOverflow().wire
cdef bytes TOO_LONG = errors.StringTooLong().wire
cdef bytes BAD_OFFSET = errors.OffsetOutOfRange().wire
cdef bytes BAD_COUNT = errors.InvalidNumkeys().wire

cdef int64_t INT64_MAX = <int64_t>0x7fffffffffffffff
cdef int64_t INT64_MIN = -INT64_MAX - 1


cdef inline void reply_value(Call call, const uint8_t* entry) noexcept:
    cdef size_t size
    cdef char* data
    cdef Block* block = entry_block(entry)
    if block is not NULL:
        out_bulk_block(call.out, block)
    else:
        data = entry_value(entry, &size)
        out_bulk(call.out, data, size)


# -- options that say when a key expires -----------------------------------------------------------

cdef enum Expiry:
    EX = 1
    PX = 2
    EXAT = 4
    PXAT = 8
    KEEPTTL = 16
    PERSIST = 32
    NX = 64
    XX = 128
    GET = 256
    IFEQ = 512
    TIMES = EX | PX | EXAT | PXAT

cdef struct Options:
    int flags
    Slice* time                  # the argument of EX, PX, EXAT, PXAT
    Slice* expected              # the argument of IFEQ
    int64_t deadline             # Unix milliseconds, -1: none


cdef bint read_options(Options* options, Slice* argv, int argc, int allowed) noexcept nogil:
    """Read SET's options; False where they are a syntax error."""
    cdef int i = 0
    cdef int flags = 0
    cdef int one
    options.time = options.expected = NULL
    options.deadline = -1
    while i < argc:
        if keyword(&argv[i], b"NX", 2):
            one = NX
        elif keyword(&argv[i], b"XX", 2):
            one = XX
        elif keyword(&argv[i], b"GET", 3):
            one = GET
        elif keyword(&argv[i], b"KEEPTTL", 7):
            one = KEEPTTL
        elif keyword(&argv[i], b"PERSIST", 7):
            one = PERSIST
        elif keyword(&argv[i], b"EX", 2):
            one = EX
        elif keyword(&argv[i], b"PX", 2):
            one = PX
        elif keyword(&argv[i], b"EXAT", 4):
            one = EXAT
        elif keyword(&argv[i], b"PXAT", 4):
            one = PXAT
        elif keyword(&argv[i], b"IFEQ", 4):
            one = IFEQ
        else:
            return False
        if not one & allowed:
            return False
        if one & (NX | XX | IFEQ) and flags & (NX | XX | IFEQ) & ~one:
            return False
        if one == IFEQ and flags & IFEQ:
            return False
        if one & (TIMES | KEEPTTL | PERSIST):
            if flags & (TIMES | KEEPTTL | PERSIST) & ~one:
                return False
        if one & (TIMES | IFEQ):
            i += 1
            if i == argc:
                return False
            if one == IFEQ:
                options.expected = &argv[i]
            else:
                options.time = &argv[i]
        flags |= one
        i += 1
    options.flags = flags
    return True


cdef bint resolve_time(Call call, Slice* time, int unit, int64_t* deadline) except -1:
    """Turn an expiry argument into Unix milliseconds; False after answering its error."""
    cdef int64_t value
    if not parse_int(time.data, time.size, &value):
        call.refuse(NOT_INTEGER)
        return False
    if value <= 0:
        return bad_time(call)
    if unit & (EX | EXAT):
        if value > INT64_MAX // 1000:
            return bad_time(call)
        value *= 1000
    if unit & (EX | PX):
        if value > INT64_MAX - call.keyspace.now_ms:
            return bad_time(call)
        value += call.keyspace.now_ms
    deadline[0] = value
    return True


cdef bint bad_time(Call call) except -1:
    call.refuse(errors.InvalidExpire(call.command.name).wire)
    return False


cdef int put(Call call, Slice* key, Slice* value, Found* found, int64_t deadline) except -1:
    """Store a string and say so: events `set` and, with a deadline, `expire`."""
    cdef int before = kind_there(found)
    put_string(call.db, found, key.data, key.size, value.data, value.size, value.block, deadline, 0)
    call.stored(key, before, STRING, EVENT_STRING, b"set", 1)
    if deadline >= 0:
        call.changed(key, EVENT_GENERIC, b"expire", 0)
    return 0


cdef int propagate_set(Call call, Slice* key, Slice* value, int64_t deadline, bint keep) except -1:
    """Propagate SET with what happened: an absolute time, no condition, no GET."""
    if not call.effects.feeding:
        return 0
    call.effects.command(5 if deadline >= 0 and not keep else 4 if keep else 3)
    call.effects.argument(b"SET", 3)
    call.effects.argument(key.data, key.size)
    call.effects.argument(value.data, value.size)
    if keep:
        call.effects.argument(b"KEEPTTL", 7)
    elif deadline >= 0:
        call.effects.argument(b"PXAT", 4)
        call.effects.argument_int(deadline)
    return 0


cdef int propagate_key(Call call, const char* name, size_t size, Slice* key) except -1:
    if call.effects.feeding:
        call.effects.command(2)
        call.effects.argument(name, size)
        call.effects.argument(key.data, key.size)
    return 0


# -- reading and writing whole values --------------------------------------------------------------

cdef int get(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef uint8_t* entry = call.read_first(&argv[1], &found)
    if entry is NULL:
        reply_null(call)
    elif is_string(entry):
        reply_value(call, entry)
    else:
        call.refuse(WRONG_TYPE)
    return 0


cdef int set_(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef Options options
    cdef uint8_t* entry
    cdef size_t size
    cdef char* data
    cdef bint stands
    cdef int before
    if argc == 3:
        call.first(&argv[1], &found)
        put(call, &argv[1], &argv[2], &found, -1)
        return reply_ok(call)
    if not read_options(&options, argv + 3, argc - 3, TIMES | KEEPTTL | NX | XX | GET | IFEQ):
        return call.refuse(SYNTAX)
    if options.time is not NULL and not resolve_time(
        call, options.time, options.flags, &options.deadline
    ):
        return 0
    if options.flags & GET:
        entry = call.read_first(&argv[1], &found)
    else:
        entry = call.first(&argv[1], &found)
    if options.flags & (GET | IFEQ) and entry is not NULL and not is_string(entry):
        return call.refuse(WRONG_TYPE)
    stands = True
    if options.flags & NX:
        stands = entry is NULL
    elif options.flags & XX:
        stands = entry is not NULL
    elif options.flags & IFEQ:
        stands = entry is not NULL
        if stands:
            data = entry_value(entry, &size)
            stands = (size == options.expected.size
                      and memcmp(data, options.expected.data, size) == 0)
    if options.flags & GET:
        if entry is NULL:
            reply_null(call)
        else:
            reply_value(call, entry)
    elif not stands:
        reply_null(call)
    if not stands:
        return 0
    if options.flags & KEEPTTL and entry is not NULL:
        options.deadline = entry_deadline(entry)
    before = kind_there(&found)
    put_string(
        call.db, &found, argv[1].data, argv[1].size, argv[2].data, argv[2].size, argv[2].block,
        options.deadline, 0)
    call.stored(&argv[1], before, STRING, EVENT_STRING, b"set", 1)
    if options.time is not NULL:
        call.changed(&argv[1], EVENT_GENERIC, b"expire", 0)
    propagate_set(call, &argv[1], &argv[2], options.deadline, options.flags & KEEPTTL != 0)
    if not options.flags & GET:
        reply_ok(call)
    return 0


cdef int setnx(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    if call.first(&argv[1], &found) is not NULL:
        return reply_int(call, 0)
    put(call, &argv[1], &argv[2], &found, -1)
    return reply_int(call, 1)


cdef int set_with_time(Call call, Slice* argv, int unit) except -1:
    cdef Found found
    cdef int64_t deadline
    if not resolve_time(call, &argv[2], unit, &deadline):
        return 0
    call.first(&argv[1], &found)
    put(call, &argv[1], &argv[3], &found, deadline)
    propagate_set(call, &argv[1], &argv[3], deadline, False)
    return reply_ok(call)


cdef int setex(Call call, Slice* argv, int argc) except -1:
    return set_with_time(call, argv, EX)


cdef int psetex(Call call, Slice* argv, int argc) except -1:
    return set_with_time(call, argv, PX)


cdef int getset(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef uint8_t* entry = call.read_first(&argv[1], &found)
    if entry is NULL:
        reply_null(call)
    elif is_string(entry):
        reply_value(call, entry)
    else:
        return call.refuse(WRONG_TYPE)
    put(call, &argv[1], &argv[2], &found, -1)
    return propagate_set(call, &argv[1], &argv[2], -1, False)


cdef int delete_found(Call call, Slice* key, Found* found) except -1:
    call.db.remove(found)
    call.changed(key, EVENT_GENERIC, b"del", 1)
    return 0


cdef int getdel(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef uint8_t* entry = call.read_first(&argv[1], &found)
    if entry is NULL:
        return reply_null(call)
    if not is_string(entry):
        return call.refuse(WRONG_TYPE)
    reply_value(call, entry)
    delete_found(call, &argv[1], &found)
    return propagate_key(call, b"DEL", 3, &argv[1])


cdef int getex(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef Options options
    cdef uint8_t* entry
    if not read_options(&options, argv + 2, argc - 2, TIMES | PERSIST):
        return call.refuse(SYNTAX)
    entry = call.read_first(&argv[1], &found)
    if entry is NULL:
        return reply_null(call)
    if not is_string(entry):
        return call.refuse(WRONG_TYPE)
    if options.time is not NULL and not resolve_time(
        call, options.time, options.flags, &options.deadline
    ):
        return 0
    reply_value(call, entry)
    if options.flags & PERSIST:
        if entry_deadline(entry) >= 0:
            call.db.set_deadline(&found, -1)
            call.changed(&argv[1], EVENT_GENERIC, b"persist", 1)
            propagate_key(call, b"PERSIST", 7, &argv[1])
    elif options.time is not NULL:
        if options.deadline <= call.keyspace.now_ms and call.effects.may_bury:
            delete_found(call, &argv[1], &found)
            return propagate_key(call, b"DEL", 3, &argv[1])
        call.db.set_deadline(&found, options.deadline)
        call.changed(&argv[1], EVENT_GENERIC, b"expire", 1)
        if call.effects.feeding:
            call.effects.command(3)
            call.effects.argument(b"PEXPIREAT", 9)
            call.effects.argument(argv[1].data, argv[1].size)
            call.effects.argument_int(options.deadline)
    return 0


cdef int mget(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef uint8_t* entry
    cdef int i
    out_array(call.out, argc - 1)
    for i in range(1, argc):
        entry = call.accessed(&argv[i], call.nth(argv, i, argc, 1, i - 1, &found))
        if entry is NULL or not is_string(entry):
            reply_null(call)
        else:
            reply_value(call, entry)
    return 0


cdef int mset(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef int i
    if argc % 2 == 0:
        return wrong_arity(call)
    for i in range(1, argc, 2):
        call.nth(argv, i, argc, 2, i // 2, &found)
        put(call, &argv[i], &argv[i + 1], &found, -1)
    return reply_ok(call)


cdef int msetnx(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef int i
    if argc % 2 == 0:
        return wrong_arity(call)
    for i in range(1, argc, 2):
        if call.nth(argv, i, argc, 2, i // 2, &found) is not NULL:
            return reply_int(call, 0)
    for i in range(1, argc, 2):
        call.nth(argv, i, argc, 2, i // 2, &found)
        put(call, &argv[i], &argv[i + 1], &found, -1)
    return reply_int(call, 1)


cdef int msetex(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef Options options
    cdef uint8_t* entry
    cdef int64_t count, deadline
    cdef int i, last, before
    if not parse_int(argv[1].data, argv[1].size, &count) or count <= 0 or count > 0x3fffffff:
        return call.refuse(BAD_COUNT)
    if 2 + 2 * count > argc:
        return call.refuse(SYNTAX)
    last = 2 + 2 * <int>count
    if not read_options(&options, argv + last, argc - last, TIMES | KEEPTTL | NX | XX):
        return call.refuse(SYNTAX)
    if options.time is not NULL and not resolve_time(
        call, options.time, options.flags, &options.deadline
    ):
        return 0
    if options.flags & (NX | XX):
        for i in range(2, last, 2):
            entry = call.nth(argv, i, last, 2, i // 2 - 1, &found)
            if (entry is NULL) == (options.flags & XX != 0):
                return reply_int(call, 0)
    for i in range(2, last, 2):
        entry = call.nth(argv, i, last, 2, i // 2 - 1, &found)
        deadline = options.deadline
        if options.flags & KEEPTTL and entry is not NULL:
            deadline = entry_deadline(entry)
        before = kind_there(&found)
        put_string(
            call.db, &found, argv[i].data, argv[i].size, argv[i + 1].data, argv[i + 1].size,
            argv[i + 1].block, deadline, 0)
        call.stored(&argv[i], before, STRING, EVENT_STRING, b"set", 1)
        if options.time is not NULL:
            call.changed(&argv[i], EVENT_GENERIC, b"expire", 0)
    if options.time is not NULL and call.effects.feeding:
        call.effects.command(last + 2)
        for i in range(last):
            call.effects.argument(argv[i].data, argv[i].size)
        call.effects.argument(b"PXAT", 4)
        call.effects.argument_int(options.deadline)
    return reply_int(call, 1)


cdef int delifeq(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef size_t size
    cdef char* data
    cdef uint8_t* entry = call.first(&argv[1], &found)
    if entry is NULL:
        return reply_int(call, 0)
    if not is_string(entry):
        return call.refuse(WRONG_TYPE)
    data = entry_value(entry, &size)
    if size != argv[2].size or memcmp(data, argv[2].data, size) != 0:
        return reply_int(call, 0)
    delete_found(call, &argv[1], &found)
    propagate_key(call, b"DEL", 3, &argv[1])
    return reply_int(call, 1)


# -- numbers ---------------------------------------------------------------------------------------

cdef int add(Call call, Slice* key, int64_t by) except -1:
    cdef Found found
    cdef char[24] text
    cdef char* data
    cdef size_t size
    cdef int64_t value = 0
    cdef int64_t deadline = -1
    cdef uint8_t* entry = call.first(key, &found)
    if entry is not NULL:
        if not is_string(entry):
            return call.refuse(WRONG_TYPE)
        data = entry_value(entry, &size)
        if not parse_int(data, size, &value):
            return call.refuse(NOT_INTEGER)
        deadline = entry_deadline(entry)
    if (by < 0 and value < INT64_MIN - by) or (by > 0 and value > INT64_MAX - by):
        return call.refuse(OVERFLOW)
    value += by
    size = <size_t>write_int(text, value)
    put_string(call.db, &found, key.data, key.size, text, size, NULL, deadline, 0)
    call.changed(key, EVENT_STRING, b"incrby", 1)
    return reply_int(call, value)


cdef inline int write_int(char* text, int64_t value) noexcept nogil:
    """Write a number in decimal; return its length."""
    cdef char[24] reversed_
    cdef uint64_t rest = <uint64_t>0 - <uint64_t>value if value < 0 else <uint64_t>value
    cdef int n = 0
    cdef int i = 0
    while True:
        reversed_[n] = <char>(48 + rest % 10)
        rest //= 10
        n += 1
        if rest == 0:
            break
    if value < 0:
        text[0] = c"-"
        i = 1
    while n > 0:
        n -= 1
        text[i] = reversed_[n]
        i += 1
    return i


cdef int incr(Call call, Slice* argv, int argc) except -1:
    return add(call, &argv[1], 1)


cdef int decr(Call call, Slice* argv, int argc) except -1:
    return add(call, &argv[1], -1)


cdef int incrby(Call call, Slice* argv, int argc) except -1:
    cdef int64_t by
    if not parse_int(argv[2].data, argv[2].size, &by):
        return call.refuse(NOT_INTEGER)
    return add(call, &argv[1], by)


cdef int decrby(Call call, Slice* argv, int argc) except -1:
    cdef int64_t by
    if not parse_int(argv[2].data, argv[2].size, &by):
        return call.refuse(NOT_INTEGER)
    if by == INT64_MIN:
        return call.refuse(DECREMENT_OVERFLOW)
    return add(call, &argv[1], -by)


cdef int incrbyfloat(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef char[LONG_DOUBLE_TEXT] text
    cdef Slice result
    cdef const char* data = b"0"
    cdef size_t size = 1
    cdef int64_t deadline = -1
    cdef Sum sum_
    cdef uint8_t* entry = call.first(&argv[1], &found)
    if entry is not NULL:
        if not is_string(entry):
            return call.refuse(WRONG_TYPE)
        data = entry_value(entry, &size)
        deadline = entry_deadline(entry)
    sum_ = add_long_double(data, size, argv[2].data, argv[2].size, text, &result.size)
    if sum_ != SUM_DONE:
        return call.refuse(NOT_FINITE if sum_ == SUM_NOT_FINITE else NOT_FLOAT)
    result.data = text
    result.block = NULL
    put_string(call.db, &found, argv[1].data, argv[1].size, text, result.size, NULL, deadline, TEXT)
    call.changed(&argv[1], EVENT_STRING, b"incrbyfloat", 1)
    propagate_set(call, &argv[1], &result, -1, True)
    out_bulk(call.out, text, result.size)
    return 0


# -- parts of values -------------------------------------------------------------------------------

cdef int append(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef size_t size
    cdef char* data
    cdef uint8_t* entry = call.first(&argv[1], &found)
    if entry is NULL:
        put_string(
            call.db, &found, argv[1].data, argv[1].size, argv[2].data, argv[2].size, argv[2].block,
            -1, 0)
        size = argv[2].size
    else:
        if not is_string(entry):
            return call.refuse(WRONG_TYPE)
        entry_value(entry, &size)
        if <int64_t>(size + argv[2].size) > call.keyspace.string_limit:
            return call.refuse(TOO_LONG)
        data = resize_string(
            call.db, &found, argv[1].data, argv[1].size, size + argv[2].size, &size)
        memcpy(data + size, argv[2].data, argv[2].size)
        size += argv[2].size
    call.changed(&argv[1], EVENT_STRING, b"append", 1)
    return reply_int(call, <int64_t>size)


cdef int strlen_(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef size_t size = 0
    cdef uint8_t* entry = call.read_first(&argv[1], &found)
    if entry is not NULL:
        if not is_string(entry):
            return call.refuse(WRONG_TYPE)
        entry_value(entry, &size)
    return reply_int(call, <int64_t>size)


cdef int getrange(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef int64_t first, last, length
    cdef size_t size
    cdef char* data
    cdef uint8_t* entry
    if not parse_int(argv[2].data, argv[2].size, &first) or not parse_int(
        argv[3].data, argv[3].size, &last
    ):
        return call.refuse(NOT_INTEGER)
    entry = call.read_first(&argv[1], &found)
    if entry is NULL:
        out_bulk(call.out, b"", 0)
        return 0
    if not is_string(entry):
        return call.refuse(WRONG_TYPE)
    data = entry_value(entry, &size)
    length = <int64_t>size
    if first < 0 and last < 0 and first > last:
        length = 0
    if first < 0:
        first = max(first + length, 0)
    if last < 0:
        last = max(last + length, 0)
    last = min(last, length - 1)
    if first > last or length == 0:
        out_bulk(call.out, b"", 0)
    else:
        out_bulk(call.out, data + first, <size_t>(last - first + 1))
    return 0


cdef int setrange(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef int64_t offset
    cdef size_t size = 0
    cdef size_t after
    cdef char* data
    cdef uint8_t* entry
    if not parse_int(argv[2].data, argv[2].size, &offset):
        return call.refuse(NOT_INTEGER)
    if offset < 0:
        return call.refuse(BAD_OFFSET)
    entry = call.first(&argv[1], &found)
    if entry is not NULL:
        if not is_string(entry):
            return call.refuse(WRONG_TYPE)
        entry_value(entry, &size)
    if argv[3].size == 0:
        return reply_int(call, <int64_t>size)
    if offset > call.keyspace.string_limit - <int64_t>argv[3].size:
        return call.refuse(TOO_LONG)
    after = max(size, <size_t>offset + argv[3].size)
    data = resize_string(call.db, &found, argv[1].data, argv[1].size, after, &size)
    memcpy(data + offset, argv[3].data, argv[3].size)
    call.changed(&argv[1], EVENT_STRING, b"setrange", 1)
    return reply_int(call, <int64_t>after)


GET_BODY = body(get, "get")
SET_BODY = body(set_, "set")
SETNX_BODY = body(setnx, "setnx")
SETEX_BODY = body(setex, "setex")
PSETEX_BODY = body(psetex, "psetex")
GETSET_BODY = body(getset, "getset")
GETDEL_BODY = body(getdel, "getdel")
GETEX_BODY = body(getex, "getex")
MGET_BODY = body(mget, "mget")
MSET_BODY = body(mset, "mset")
MSETNX_BODY = body(msetnx, "msetnx")
MSETEX_BODY = body(msetex, "msetex")
DELIFEQ_BODY = body(delifeq, "delifeq")
INCR_BODY = body(incr, "incr")
DECR_BODY = body(decr, "decr")
INCRBY_BODY = body(incrby, "incrby")
DECRBY_BODY = body(decrby, "decrby")
INCRBYFLOAT_BODY = body(incrbyfloat, "incrbyfloat")
APPEND_BODY = body(append, "append")
STRLEN_BODY = body(strlen_, "strlen")
GETRANGE_BODY = body(getrange, "getrange")
SETRANGE_BODY = body(setrange, "setrange")
