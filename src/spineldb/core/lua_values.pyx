"""Between the stack of Lua and the core's buffers, without a Python object.

A command answers a script into a buffer, in RESP, as it would a client: so there is one encoder of
replies, and a script sees what a client of the protocol it chose would. Conversions as in Redis:

| reply | to a script | from a script |
| --- | --- | --- |
| status, error | `{ok=text}`, `{err=text}` | the same |
| integer | number | number, cut to an integer |
| bulk, null | string, false (RESP3: nil) | string; nil or false: null |
| array | table | table up to its first nil |
| map, set | `{map={k=v}}`, `{set={k=true}}` | the same |
| double, big number | `{double=n}`, `{big_number=text}` | the same |
| verbatim | `{verbatim_string={format=,string=}}` | the same |
| boolean | true, false (RESP3) | true: 1 or boolean; false: null, or boolean after setresp(3) |

Nesting is bounded by Lua's own stack on the way out, and by what commands answer on the way in.
"""

from libc.math cimport isnan, signbit
from libc.stdint cimport int64_t
from libc.stdio cimport snprintf
from libc.stdlib cimport realloc, strtod
from libc.string cimport memchr, memcpy, strlen

from spineldb.core.lua_api cimport (
    LUA_TBOOLEAN, LUA_TNIL, LUA_TNUMBER, LUA_TSTRING, LUA_TTABLE, lua, pop, raw_getfield,
    raw_setfield,
)
from spineldb.core.lua_host cimport CONVERTED, Host, host, push_error, text_put, text_trim
from spineldb.core.numbers cimport DOUBLE_TEXT, format_double
from spineldb.core.resp cimport (
    out_array, out_bulk, out_error, out_int, out_null, out_raw, parse_int,
)
from spineldb.core.slab cimport block_data

cdef extern from "<stdint.h>":
    int64_t INT64_MIN

cdef enum:
    REPLY_DEPTH = 512            # of replies to scripts; commands answer nothing like it
    SLOTS = 8                    # of the stack, for one level of nesting

cdef double LARGEST_EXACT = 9007199254740992.0     # 2 ** 53


# ---------------------------------------------------------------- replies to scripts

cdef struct Reader:
    const char* at
    const char* end
    int depth


cdef const char* next_line(Reader* reader, size_t* size) noexcept nogil:
    """The rest of the line, without CR LF; moves on behind it."""
    cdef const char* line = reader.at
    cdef const char* cr = <const char*>memchr(line, c"\r", reader.end - line)
    if cr is NULL:
        cr = reader.end
    size[0] = cr - line
    reader.at = cr + 2 if cr + 2 <= reader.end else reader.end
    return line


cdef void push_reply(lua_State* L, const Output* reply) noexcept nogil:
    cdef Host* host_ = host(L)
    cdef Reader reader
    cdef size_t done = 0
    cdef int i
    reader.depth = 0
    if reply.piece_count == 0:
        reader.at = reply.data
        reader.end = reply.data + reply.used
        push_one(L, &reader)
        return
    for i in range(reply.piece_count):       # big values wait in their blocks: make it one piece
        text_put(L, &host_.text, reply.data + done, reply.pieces[i].position - done)
        done = reply.pieces[i].position
        text_put(L, &host_.text, block_data(reply.pieces[i].block), reply.pieces[i].size)
    text_put(L, &host_.text, reply.data + done, reply.used - done)
    reader.at = host_.text.data
    reader.end = host_.text.data + host_.text.used
    push_one(L, &reader)
    text_trim(host_)


cdef void push_one(lua_State* L, Reader* reader) noexcept nogil:
    cdef char kind
    cdef size_t size
    cdef const char* line
    cdef int64_t n = 0
    if reader.at >= reader.end or reader.depth >= REPLY_DEPTH or not lua.checkstack(L, SLOTS):
        lua.pushnil(L)
        reader.at = reader.end
        return
    kind = reader.at[0]
    reader.at += 1
    line = next_line(reader, &size)
    if kind == c"+" or kind == c"-" or kind == c"(" or kind == c",":
        push_line(L, kind, line, size)
        return
    if kind == c"_":
        lua.pushnil(L)
        return
    if kind == c"#":
        lua.pushboolean(L, size > 0 and line[0] == c"t")
        return
    parse_int(line, size, &n)
    if kind == c":":
        lua.pushnumber(L, <double>n)
    elif n < 0:                              # null, in RESP2
        lua.pushboolean(L, False)
    elif kind == c"$" or kind == c"=":
        push_string(L, reader, kind, <size_t>n)
    else:
        reader.depth += 1
        push_many(L, reader, kind, n)
        reader.depth -= 1


cdef void push_line(lua_State* L, char kind, const char* line, size_t size) noexcept nogil:
    cdef char[64] digits
    if kind == c"-":
        push_error(L, line - 1, size + 1)
        lua.pushboolean(L, True)             # Redis has counted it already: it is not counted again
        raw_setfield(L, -2, b"ignore_error_stats_update")
        return
    lua.createtable(L, 0, 1)
    if kind == c",":
        if size > sizeof(digits) - 1:
            size = sizeof(digits) - 1
        memcpy(digits, line, size)
        digits[size] = 0
        lua.pushnumber(L, strtod(digits, NULL))
        raw_setfield(L, -2, b"double")
        return
    lua.pushlstring(L, line, size)
    raw_setfield(L, -2, b"ok" if kind == c"+" else b"big_number")


cdef void push_string(lua_State* L, Reader* reader, char kind, size_t size) noexcept nogil:
    cdef const char* data = reader.at
    if size > <size_t>(reader.end - data):
        size = <size_t>(reader.end - data)
    reader.at = data + size + 2 if data + size + 2 <= reader.end else reader.end
    if kind == c"$" or size < 4:
        lua.pushlstring(L, data, size)
        return
    lua.createtable(L, 0, 1)
    lua.createtable(L, 0, 2)
    lua.pushlstring(L, data, 3)
    raw_setfield(L, -2, b"format")
    lua.pushlstring(L, data + 4, size - 4)
    raw_setfield(L, -2, b"string")
    raw_setfield(L, -2, b"verbatim_string")


cdef void push_many(lua_State* L, Reader* reader, char kind, int64_t count) noexcept nogil:
    cdef int64_t n, _n
    cdef int room = <int>min(count, 1 << 20)
    if kind == c"%" or kind == c"~":
        lua.createtable(L, 0, 1)
        lua.createtable(L, 0, room)
        for _n in range(count):
            push_one(L, reader)
            if kind == c"%":
                push_one(L, reader)
            else:
                lua.pushboolean(L, True)
            if lua.type(L, -2) == LUA_TNIL:
                pop(L, 2)
            else:
                lua.rawset(L, -3)
        raw_setfield(L, -2, b"map" if kind == c"%" else b"set")
        return
    lua.createtable(L, room, 0)
    for n in range(count):
        push_one(L, reader)
        lua.rawseti(L, -2, <int>(n + 1))


# ---------------------------------------------------------------- what scripts return

cdef void write_value(lua_State* L, Output* out, int protocol, int seen_protocol) noexcept nogil:
    cdef int kind = lua.type(L, -1)
    cdef size_t size
    cdef const char* text
    if kind == LUA_TSTRING:
        text = lua.tolstring(L, -1, &size)
        out_bulk(out, text, size)
    elif kind == LUA_TNUMBER:
        out_int(out, cut(lua.tonumber(L, -1)))
    elif kind == LUA_TBOOLEAN:
        write_boolean(out, lua.toboolean(L, -1), protocol, seen_protocol)
    elif kind == LUA_TTABLE:
        write_table(L, out, protocol, seen_protocol)
    else:
        out_null(out, protocol)
    pop(L, 1)


cdef inline int64_t cut(double number) noexcept nogil:
    """Cut a number to an integer; like the machine, give the least one for what does not fit."""
    if -9223372036854775808.0 <= number < 9223372036854775808.0:
        return <int64_t>number
    return INT64_MIN


cdef void write_boolean(Output* out, bint value, int protocol, int seen_protocol) noexcept nogil:
    if seen_protocol >= 3:
        if protocol >= 3:
            out_raw(out, b"#t\r\n" if value else b"#f\r\n", 4)
        else:
            out_int(out, value)
    elif value:
        out_int(out, 1)
    else:
        out_null(out, protocol)


cdef bint field(lua_State* L, const char* name, int kind) noexcept nogil:
    """Push a field of the table on the top, if it is of this type; else push nothing."""
    raw_getfield(L, -1, name)
    if lua.type(L, -1) == kind:
        return True
    pop(L, 1)
    return False


cdef void write_table(lua_State* L, Output* out, int protocol, int seen) noexcept nogil:
    cdef const char* text
    cdef size_t size
    if not lua.checkstack(L, SLOTS):
        text = b"ERR reached lua stack limit"
        out_error(out, text, strlen(text))
        return
    if field(L, b"err", LUA_TSTRING):
        text = lua.tolstring(L, -1, NULL)
        out_error(out, text, strlen(text))
    elif field(L, b"ok", LUA_TSTRING):
        write_line(L, out, c"+")
    elif field(L, b"double", LUA_TNUMBER):
        write_double(out, lua.tonumber(L, -1), protocol)
    elif field(L, b"map", LUA_TTABLE):
        write_map(L, out, protocol, seen)
    elif field(L, b"set", LUA_TTABLE):
        write_set(L, out, protocol, seen)
    elif field(L, b"big_number", LUA_TSTRING):
        text = lua.tolstring(L, -1, &size)
        if protocol >= 3:
            write_line(L, out, c"(")
        else:
            write_bulk_line(out, text, size)
    elif field(L, b"verbatim_string", LUA_TTABLE):
        if not write_verbatim(L, out, protocol):
            pop(L, 1)
            write_array(L, out, protocol, seen)
            return
    else:
        write_array(L, out, protocol, seen)
        return
    pop(L, 1)


cdef void write_line(lua_State* L, Output* out, char kind) noexcept nogil:
    """Write the string on the top as one line: CR and LF become spaces."""
    cdef const char* text = lua.tolstring(L, -1, NULL)
    cdef size_t size = strlen(text)
    cdef size_t at = out.used
    out_error(out, text, size)
    if not out.failed:
        out.data[at] = kind


cdef void write_bulk_line(Output* out, const char* text, size_t size) noexcept nogil:
    cdef size_t i, start
    out_bulk(out, text, size)
    if out.failed:
        return
    start = out.used - size - 2
    for i in range(size):
        if out.data[start + i] == c"\r" or out.data[start + i] == c"\n":
            out.data[start + i] = c" "


cdef void write_double(Output* out, double number, int protocol) noexcept nogil:
    cdef char[DOUBLE_TEXT] text
    cdef int size
    if isnan(number):
        memcpy(text, b"nan", 3)
        size = 3
    else:
        size = format_double(number, text)
    if protocol >= 3:
        out_raw(out, b",", 1)
        out_raw(out, text, <size_t>size)
        out_raw(out, b"\r\n", 2)
    else:
        out_bulk(out, text, <size_t>size)


cdef int64_t count_fields(lua_State* L) noexcept nogil:
    cdef int64_t count = 0
    lua.pushnil(L)
    while lua.next(L, -2):
        pop(L, 1)
        count += 1
    return count


cdef void write_header(Output* out, char kind, int64_t count) noexcept nogil:
    cdef char[32] text
    out_raw(out, text, <size_t>snprintf(text, 32, b"%c%lld\r\n", kind, <long long>count))


cdef void write_map(lua_State* L, Output* out, int protocol, int seen) noexcept nogil:
    cdef int64_t count = count_fields(L)
    if protocol >= 3:
        write_header(out, c"%", count)
    else:
        out_array(out, 2 * count)
    lua.pushnil(L)
    while lua.next(L, -2):
        lua.pushvalue(L, -2)                 # writing pops: the key must stay for next()
        write_value(L, out, protocol, seen)
        write_value(L, out, protocol, seen)


cdef void write_set(lua_State* L, Output* out, int protocol, int seen) noexcept nogil:
    cdef int64_t count = count_fields(L)
    if protocol >= 3:
        write_header(out, c"~", count)
    else:
        out_array(out, count)
    lua.pushnil(L)
    while lua.next(L, -2):
        pop(L, 1)
        lua.pushvalue(L, -1)
        write_value(L, out, protocol, seen)


cdef bint write_verbatim(lua_State* L, Output* out, int protocol) noexcept nogil:
    """Write the table on the top as a verbatim string; False if it is none."""
    cdef const char* text
    cdef const char* format
    cdef const char* spaces = b"   :"
    cdef size_t size, format_size
    if not field(L, b"format", LUA_TSTRING):
        return False
    format = lua.tolstring(L, -1, &format_size)
    pop(L, 1)                                # it stays in the table
    if not field(L, b"string", LUA_TSTRING):
        return False
    text = lua.tolstring(L, -1, &size)
    pop(L, 1)
    if protocol < 3:
        out_bulk(out, text, size)
        return True
    write_header(out, c"=", <int64_t>size + 4)
    if format_size > 3:
        format_size = 3
    out_raw(out, format, format_size)
    out_raw(out, spaces + format_size, 4 - format_size)
    out_raw(out, text, size)
    out_raw(out, b"\r\n", 2)
    return True


cdef void write_array(lua_State* L, Output* out, int protocol, int seen) noexcept nogil:
    cdef int count = 0, i
    while True:
        lua.rawgeti(L, -1, count + 1)
        if lua.type(L, -1) == LUA_TNIL:
            pop(L, 1)
            break
        pop(L, 1)
        count += 1
    out_array(out, count)
    for i in range(count):
        lua.rawgeti(L, -1, i + 1)
        write_value(L, out, protocol, seen)


# ---------------------------------------------------------------- arguments

cdef int format_argument(double number, char* out) noexcept nogil:
    cdef const char* text
    if number == 0:
        out[0] = c"0"
        return 1
    if isnan(number):
        text = b"-nan" if signbit(number) else b"nan"
        memcpy(out, text, strlen(text))
        return <int>strlen(text)
    if -LARGEST_EXACT <= number <= LARGEST_EXACT and number == <double><int64_t>number:
        return snprintf(out, CONVERTED, b"%lld", <long long>number)
    return format_double(number, out)


cdef Slice* read_arguments(lua_State* L, int count) noexcept nogil:
    cdef Host* host_ = host(L)
    cdef int i, kind
    if count > host_.capacity and not more_arguments(host_, count):
        lua.pushlstring(L, b"not enough memory", 17)
        return NULL
    for i in range(count):
        kind = lua.type(L, i + 1)
        if kind == LUA_TSTRING:
            host_.argv[i].data = lua.tolstring(L, i + 1, &host_.argv[i].size)
        elif kind == LUA_TNUMBER:
            host_.argv[i].data = host_.converted + i * CONVERTED
            host_.argv[i].size = <size_t>format_argument(
                lua.tonumber(L, i + 1), host_.converted + i * CONVERTED)
        else:
            push_error(L, b"Lua redis lib command arguments must be strings or integers", 59)
            return NULL
        host_.argv[i].block = NULL
    return host_.argv


cdef bint more_arguments(Host* host_, int count) noexcept nogil:
    cdef size_t capacity = 16
    cdef Slice* argv
    cdef char* converted
    while capacity < <size_t>count:
        capacity *= 2
    argv = <Slice*>realloc(host_.argv, capacity * sizeof(Slice))
    if argv is NULL:
        return False
    host_.argv = argv
    converted = <char*>realloc(host_.converted, capacity * CONVERTED)
    if converted is NULL:
        return False
    host_.converted = converted
    host_.capacity = <int>capacity
    return True


cdef void push_arguments(lua_State* L, const Slice* items, int count) noexcept nogil:
    cdef int i
    lua.createtable(L, count, 0)
    for i in range(count):
        lua.pushlstring(L, items[i].data, items[i].size)
        lua.rawseti(L, -2, i + 1)
