"""Bodies of the busy connection commands. What each does: commands/connection.py, client.py."""

from libc.stdint cimport int64_t

from spineldb.core.call cimport Call, body
from spineldb.core.replies cimport (
    NOT_INT32, NOT_INTEGER, NO_SUCH_DATABASE, reply_int, reply_ok, wrong_arity,
)
from spineldb.core.resp cimport (
    Slice,
    out_array,
    out_bulk,
    out_bulk_block,
    out_raw,
    parse_int,
)
from spineldb.core.session cimport PUBSUB


cdef int64_t INT32_MAX = 0x7fffffff


cdef inline int reply_argument(Call call, Slice* argument) noexcept:
    if argument.block is not NULL:
        out_bulk_block(call.out, argument.block)
    else:
        out_bulk(call.out, argument.data, argument.size)
    return 0


cdef int ping(Call call, Slice* argv, int argc) except -1:
    if argc > 2:
        return wrong_arity(call)
    if call.client.flags & PUBSUB and call.protocol == 2:
        out_array(call.out, 2)
        out_bulk(call.out, b"pong", 4)
        if argc == 1:
            out_bulk(call.out, b"", 0)
            return 0
    elif argc == 1:
        out_raw(call.out, b"+PONG\r\n", 7)
        return 0
    return reply_argument(call, &argv[1])


cdef int echo(Call call, Slice* argv, int argc) except -1:
    return reply_argument(call, &argv[1])


cdef int select(Call call, Slice* argv, int argc) except -1:
    cdef int64_t index
    if not parse_int(argv[1].data, argv[1].size, &index):
        return call.refuse(NOT_INTEGER)
    if not -INT32_MAX - 1 <= index <= INT32_MAX:
        return call.refuse(NOT_INT32)
    if not 0 <= index < len(call.keyspace.databases):
        return call.refuse(NO_SUCH_DATABASE)
    call.client.db = <int>index
    return reply_ok(call)


cdef int client_id(Call call, Slice* argv, int argc) except -1:
    return reply_int(call, call.client.id)


PING_BODY = body(ping, "ping")
ECHO_BODY = body(echo, "echo")
SELECT_BODY = body(select, "select")
CLIENT_ID_BODY = body(client_id, "client|id")
