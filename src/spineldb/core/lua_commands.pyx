"""The table `redis` (also `server`, `spineldb`, `spinel`) of scripts: commands, replies, the log.

A command leaves Lua as slices of its arguments and comes back as RESP in the host's buffer; the
seams of lua_host.pxd say who runs it.
"""

from libc.stddef cimport ptrdiff_t
from libc.string cimport strlen

from spineldb.core.lua_api cimport (
    LUA_TNUMBER, LUA_TSTRING, lua, lua_CFunction, lua_State, push_function, raw_setfield,
)
from spineldb.core.lua_host cimport Host, host, push_error, raise_error, text_put
from spineldb.core.lua_values cimport push_reply, read_arguments
from spineldb.core.resp cimport Slice, out_clear
from spineldb.core.sha1 cimport sha1_hex

cdef enum:
    REPLY_KEPT = 65536           # bytes of the buffer of replies that are kept for the next
    LOG_DEBUG = 0
    LOG_VERBOSE = 1
    LOG_NOTICE = 2
    LOG_WARNING = 3
    REPL_NONE = 0
    REPL_AOF = 1
    REPL_REPLICA = 2
    REPL_ALL = 3


cdef inline void forget_reply(Host* host_) noexcept nogil:
    if host_.reply.piece_count or host_.reply.capacity > REPLY_KEPT or host_.reply.failed:
        out_clear(&host_.reply)
        host_.reply.failed = False
    else:
        host_.reply.used = 0


cdef int no_arguments(lua_State* L) noexcept nogil:
    cdef const char* text = b"Please specify at least one argument for this redis lib call"
    push_error(L, text, strlen(text))
    return 1


cdef int run_command(lua_State* L) noexcept nogil:
    """Run the command in the arguments and push its reply; False if that is an error."""
    cdef Host* host_ = host(L)
    cdef Slice* argv
    cdef int count = lua.gettop(L)
    if count == 0:
        no_arguments(L)
        return False
    argv = read_arguments(L, count)
    if argv is NULL:
        return False
    if host_.seams.command is NULL or not host_.running:
        push_error(L, b"redis.call/pcall can only be called inside a script invocation", 62)
        return False
    forget_reply(host_)
    host_.seams.command(host_.seams.context, argv, count, host_.protocol, &host_.reply)
    if host_.reply.failed or host_.reply.used == 0:
        push_error(L, b"-OOM command not allowed: no memory for its reply", 49)
        return False
    push_reply(L, &host_.reply)
    return host_.reply.data[0] != c"-"


cdef int redis_call(lua_State* L) noexcept nogil:
    if not run_command(L):
        return lua.error(L)
    return 1


cdef int redis_pcall(lua_State* L) noexcept nogil:
    run_command(L)
    return 1


# ---------------------------------------------------------------- replies

cdef int error_reply(lua_State* L) noexcept nogil:
    cdef size_t size
    cdef const char* text
    if lua.gettop(L) != 1 or lua.type(L, 1) != LUA_TSTRING:
        push_error(L, b"wrong number or type of arguments", 33)
        return 1
    text = lua.tolstring(L, 1, &size)
    if size == 0 or text[0] != c"-":         # the rule for the code is that of a line with `-`
        lua.pushstring(L, b"-")
        lua.insert(L, 1)
        lua.concat(L, 2)
        text = lua.tolstring(L, 1, &size)
    push_error(L, text, size)
    return 1


cdef int status_reply(lua_State* L) noexcept nogil:
    if lua.gettop(L) != 1 or lua.type(L, 1) != LUA_TSTRING:
        push_error(L, b"wrong number or type of arguments", 33)
        return 1
    lua.createtable(L, 0, 1)
    lua.pushvalue(L, 1)
    raw_setfield(L, -2, b"ok")
    return 1


cdef int sha1hex(lua_State* L) noexcept nogil:
    cdef char[40] digits
    cdef size_t size
    cdef const char* data
    if lua.gettop(L) != 1:
        return raise_error(L, b"wrong number of arguments")
    data = lua.tolstring(L, 1, &size)
    if data is NULL:                         # as in Redis, whatever is no string is an empty one
        data = b""
        size = 0
    sha1_hex(data, size, digits)
    lua.pushlstring(L, digits, 40)
    return 1


cdef int setresp(lua_State* L) noexcept nogil:
    cdef ptrdiff_t version
    if lua.gettop(L) != 1:
        return raise_error(L, b"redis.setresp() requires one argument.")
    version = lua.tointeger(L, 1)
    if version != 2 and version != 3:
        return raise_error(L, b"RESP version must be 2 or 3.")
    host(L).protocol = <int>version
    return 0


# ---------------------------------------------------------------- the rest

cdef int redis_log(lua_State* L) noexcept nogil:
    cdef Host* host_ = host(L)
    cdef int count = lua.gettop(L), i
    cdef ptrdiff_t level
    cdef const char* text
    cdef size_t size
    if count < 2:
        return raise_error(L, b"redis.log() requires two arguments or more.")
    if lua.type(L, 1) != LUA_TNUMBER:
        return raise_error(L, b"First argument must be a number (log level).")
    level = lua.tointeger(L, 1)
    if not LOG_DEBUG <= level <= LOG_WARNING:
        return raise_error(L, b"Invalid log level.")
    host_.text.used = 0
    for i in range(2, count + 1):
        if lua.type(L, i) != LUA_TNUMBER and lua.type(L, i) != LUA_TSTRING:
            continue
        if i > 2:
            text_put(L, &host_.text, b" ", 1)
        text = lua.tolstring(L, i, &size)
        text_put(L, &host_.text, text, size)
    if host_.seams.log is not NULL:
        host_.seams.log(host_.seams.context, <int>level, host_.text.data, host_.text.used)
    return 0


cdef int set_repl(lua_State* L) noexcept nogil:
    cdef Host* host_ = host(L)
    cdef ptrdiff_t bits
    if lua.gettop(L) != 1:
        return raise_error(L, b"redis.set_repl() requires one argument.")
    bits = lua.tointeger(L, 1)
    if not REPL_NONE <= bits <= REPL_ALL:
        return raise_error(L, b"Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL "
                              b"or REPL_NONE.")
    if host_.seams.replicate is not NULL:
        host_.seams.replicate(host_.seams.context, <int>bits)
    return 0


cdef int replicate_commands(lua_State* L) noexcept nogil:
    lua.pushboolean(L, True)                 # effects are what is replicated, always
    return 1


cdef int breakpoint(lua_State* L) noexcept nogil:
    lua.pushboolean(L, False)                # there is no debugger
    return 1


cdef int debug(lua_State* L) noexcept nogil:
    return 0


cdef int acl_check_cmd(lua_State* L) noexcept nogil:
    cdef Host* host_ = host(L)
    cdef int count = lua.gettop(L)
    cdef int answer = -1
    cdef Slice* argv
    if count == 0:
        no_arguments(L)
        return lua.error(L)
    argv = read_arguments(L, count)
    if argv is NULL:
        return lua.error(L)
    if host_.seams.may is not NULL:
        answer = host_.seams.may(host_.seams.context, argv, count)
    if answer < 0:
        return raise_error(L, b"Invalid command passed to redis.acl_check_cmd()")
    lua.pushboolean(L, answer)
    return 1


cdef void add(lua_State* L, lua_CFunction function, const char* name) noexcept nogil:
    push_function(L, function)
    raw_setfield(L, -2, name)


cdef void add_number(lua_State* L, int number, const char* name) noexcept nogil:
    lua.pushnumber(L, number)
    raw_setfield(L, -2, name)


cdef void push_commands(lua_State* L, const char* version, int version_number,
                        const char* server, bint registers) noexcept nogil:
    lua.createtable(L, 0, 32)
    if not registers:
        add(L, redis_call, b"call")
        add(L, redis_pcall, b"pcall")
        add(L, sha1hex, b"sha1hex")
        add(L, setresp, b"setresp")
        add(L, set_repl, b"set_repl")
        add(L, replicate_commands, b"replicate_commands")
        add(L, breakpoint, b"breakpoint")
        add(L, debug, b"debug")
        add(L, acl_check_cmd, b"acl_check_cmd")
    add(L, error_reply, b"error_reply")
    add(L, status_reply, b"status_reply")
    add(L, redis_log, b"log")
    add_number(L, LOG_DEBUG, b"LOG_DEBUG")
    add_number(L, LOG_VERBOSE, b"LOG_VERBOSE")
    add_number(L, LOG_NOTICE, b"LOG_NOTICE")
    add_number(L, LOG_WARNING, b"LOG_WARNING")
    add_number(L, REPL_NONE, b"REPL_NONE")
    add_number(L, REPL_AOF, b"REPL_AOF")
    add_number(L, REPL_REPLICA, b"REPL_SLAVE")
    add_number(L, REPL_REPLICA, b"REPL_REPLICA")
    add_number(L, REPL_ALL, b"REPL_ALL")
    lua.pushstring(L, version)
    raw_setfield(L, -2, b"REDIS_VERSION")
    add_number(L, version_number, b"REDIS_VERSION_NUM")
    lua.pushstring(L, server)
    raw_setfield(L, -2, b"SERVER_NAME")
