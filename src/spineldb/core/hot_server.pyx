"""Bodies of the busy server commands. commands/databases.py and server.py tell what each does."""

from libc.stdint cimport int64_t
from libc.stdio cimport snprintf

from spineldb.clock cimport wall_us
from spineldb.core.call cimport Call, body
from spineldb.core.keyspace cimport Database
from spineldb.core.replies cimport NO_SUCH_DATABASE, reply_int, reply_ok
from spineldb.core.resp cimport Slice, out_array, out_bulk, parse_int

from spineldb import errors

cdef bytes BAD_FIRST = errors.SwapFirst().wire
cdef bytes BAD_SECOND = errors.SwapSecond().wire

cdef int64_t INT32_MAX = 0x7fffffff


cdef inline bint is_int32(const Slice* argument, int64_t* value) noexcept nogil:
    return (parse_int(argument.data, argument.size, value)
            and -INT32_MAX - 1 <= value[0] <= INT32_MAX)


cdef int dbsize(Call call, Slice* argv, int argc) except -1:
    return reply_int(call, <int64_t>call.db.table.count)


cdef list attended_keys(Database one, Database other):
    """The keys of either database that somebody watches or awaits in one of them."""
    return [
        (db, key)
        for db in (one, other)
        for key in {**db.watched, **db.awaited}
        if key in one or key in other
    ]


cdef int swapdb(Call call, Slice* argv, int argc) except -1:
    cdef int64_t first, second
    cdef Database one, other
    cdef int64_t count = len(call.keyspace.databases)
    cdef list attended = []
    if not is_int32(&argv[1], &first):
        return call.refuse(BAD_FIRST)
    if not is_int32(&argv[2], &second):
        return call.refuse(BAD_SECOND)
    if not 0 <= first < count or not 0 <= second < count:
        return call.refuse(NO_SUCH_DATABASE)
    if first != second:
        one = call.keyspace.database(<int>first)
        other = call.keyspace.database(<int>second)
        if call.keyspace.watched_keys | call.effects.awaited_keys:
            attended = attended_keys(one, other)
        one.swap(other)
        call.effects.dirty += 1
        # Who watches or awaits a key stays where it is: the key changed under them.
        for db, key in attended:
            call.effects.touched(db, key)
    return reply_ok(call)


cdef int time(Call call, Slice* argv, int argc) except -1:
    cdef char[24] text
    cdef int64_t now_us = wall_us()
    out_array(call.out, 2)
    out_bulk(call.out, text, <size_t>snprintf(text, 24, b"%lld", <long long>(now_us // 1000000)))
    out_bulk(call.out, text, <size_t>snprintf(text, 24, b"%lld", <long long>(now_us % 1000000)))
    return 0


DBSIZE_BODY = body(dbsize, "dbsize")
SWAPDB_BODY = body(swapdb, "swapdb")
TIME_BODY = body(time, "time")
