"""A state of Lua: scripts are compiled here and run.

Everything that may raise an error of Lua is done by C functions that Lua calls below `lua_pcall`;
this class only prepares their arguments and calls them. Between two runs the stack of the state is
empty, the globals are those of a new state (none can be set), and the options of cjson are the
defaults again. What a run leaves behind is garbage.

An error reaches a client as `-CODE text script: NAME, on @chunk:LINE.`, whose last part the handler
of errors finds out while the stack still shows where it happened.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdio cimport snprintf
from libc.string cimport strcmp, strlen

from spineldb.clock cimport monotonic_ns
from spineldb.core cimport lua_api
from spineldb.core.lua_api cimport (
    LUA_ERRMEM, LUA_GCCOLLECT, LUA_REGISTRYINDEX, LUA_TBOOLEAN, LUA_TFUNCTION, LUA_TNIL,
    LUA_TNUMBER, LUA_TSTRING, LUA_TTABLE, lua, lua_Debug, pop, push_function, raw_getfield,
    raw_setfield,
)
from spineldb.core.lua_cjson cimport json_defaults
from spineldb.core.lua_host cimport (
    allocate, arm, host as host_of, host_free, host_new, raise_error, text_put, text_trim,
)
from spineldb.core.lua_sandbox cimport (
    FIRST_SCRIPT, KEPT_ENTER, KEPT_FAILURE, KEPT_GLOBALS, KEPT_HANDLER, KEPT_LOADING,
    KEPT_LOADER, KEPT_REGISTERED, load_text, open_sandbox, push_real, use_globals,
)
from spineldb.core.lua_values cimport push_arguments, write_value
from spineldb.core.resp cimport out_error, out_truncate

cdef enum:
    SWEEP_SLACK = 1 << 20        # bytes of garbage that may stay


class LuaError(Exception):
    """Lua refused: a script that does not compile, a library that does not load. Its text."""


# ---------------------------------------------------------------- below lua_pcall

cdef struct Setup:
    bint for_functions
    const char* version
    int version_number
    const char* server


cdef int on_error(lua_State* L) noexcept nogil:
    """Make a table of any error, and note in it where that happened."""
    cdef lua_Debug where
    cdef bint known = lua.getstack(L, 1, &where) and lua.getinfo(L, b"Sl", &where)
    if known and where.what[0] == c"C" and where.what[1] == 0:
        known = lua.getstack(L, 2, &where) and lua.getinfo(L, b"Sl", &where)
    lua.settop(L, 1)
    if lua.type(L, 1) != LUA_TTABLE or push_real(L, 1):
        lua.settop(L, 1)
        lua.createtable(L, 0, 3)
        lua.pushstring(L, b"ERR ")
        push_text(L, 1)
        lua.concat(L, 2)
        raw_setfield(L, 2, b"err")
        lua.remove(L, 1)
    if known:
        lua.pushstring(L, where.source)
        raw_setfield(L, 1, b"source")
        lua.pushnumber(L, where.currentline)
        raw_setfield(L, 1, b"line")
    return 1


cdef void push_text(lua_State* L, int index) noexcept nogil:
    """Push a value as tostring() writes it, without its metamethods."""
    cdef int kind = lua.type(L, index)
    cdef char[64] text
    if kind == LUA_TSTRING or kind == LUA_TNUMBER:
        lua.pushvalue(L, index)
        return
    if kind == LUA_TNIL:
        lua.pushstring(L, b"nil")
    elif kind == LUA_TBOOLEAN:
        lua.pushstring(L, b"true" if lua.toboolean(L, index) else b"false")
    else:
        snprintf(text, sizeof(text), b"%s: %p", lua.typename(L, kind), lua.topointer(L, index))
        lua.pushstring(L, text)


cdef int enter(lua_State* L) noexcept nogil:
    """Run the script and write its reply."""
    cdef Run* run = <Run*>lua.touserdata(L, 1)
    lua.rawgeti(L, LUA_REGISTRYINDEX, KEPT_GLOBALS)
    push_arguments(L, run.keys, run.key_count)
    raw_setfield(L, -2, b"KEYS")
    push_arguments(L, run.arguments, run.argument_count)
    raw_setfield(L, -2, b"ARGV")
    lua.settop(L, 0)
    lua.rawgeti(L, LUA_REGISTRYINDEX, run.script)
    lua.call(L, 0, 1)
    write_value(L, run.out, run.protocol, host_of(L).protocol)
    return 0


cdef int enter_function(lua_State* L) noexcept nogil:
    """The same for a function of a library, which gets keys and arguments as its own."""
    cdef Run* run = <Run*>lua.touserdata(L, 1)
    lua.settop(L, 0)
    lua.rawgeti(L, LUA_REGISTRYINDEX, run.script)
    push_arguments(L, run.keys, run.key_count)
    push_arguments(L, run.arguments, run.argument_count)
    lua.call(L, 2, 1)
    write_value(L, run.out, run.protocol, host_of(L).protocol)
    return 0


cdef int write_failure(lua_State* L) noexcept nogil:
    """Answer with the error at index 2; its text without the place stays in the host as well."""
    cdef Run* run = <Run*>lua.touserdata(L, 1)
    cdef Host* host = host_of(L)
    host.text.used = 0
    if lua.type(L, 2) != LUA_TTABLE:         # an error in the handler of errors
        put_text(L, b"ERR Error running script ")
        put_text(L, run.name)
        put_text(L, b", ")
        put_value(L, 2, b"execution failure")
        if run.out is not NULL:
            out_error(run.out, host.text.data, host.text.used)
        return 0
    raw_getfield(L, 2, b"ignore_error_stats_update")
    run.counted = lua.toboolean(L, -1)
    raw_getfield(L, 2, b"err")
    put_value(L, -1, b"ERR unknown error")
    if run.out is NULL:
        return 0
    raw_getfield(L, 2, b"source")
    raw_getfield(L, 2, b"line")
    if lua.tolstring(L, -1, NULL) is not NULL and lua.tolstring(L, -2, NULL) is not NULL:
        put_text(L, b" script: ")
        put_text(L, run.name)
        put_text(L, b", on ")
        put_value(L, -2, b"")
        put_text(L, b":")
        put_value(L, -1, b"")
        put_text(L, b".")
    out_error(run.out, host.text.data, host.text.used)
    return 0


cdef inline void put_value(lua_State* L, int index, const char* otherwise) noexcept nogil:
    """Add the text of a value to the host's, up to a zero byte."""
    cdef const char* text = lua.tolstring(L, index, NULL)
    put_text(L, text if text is not NULL else otherwise)


cdef inline void put_text(lua_State* L, const char* text) noexcept nogil:
    text_put(L, &host_of(L).text, text, strlen(text))


cdef int set_up(lua_State* L) noexcept nogil:
    cdef Setup* setup = <Setup*>lua.touserdata(L, 1)
    open_sandbox(L, setup.for_functions, setup.version, setup.version_number, setup.server)
    push_function(L, on_error)
    lua.rawseti(L, LUA_REGISTRYINDEX, KEPT_HANDLER)
    push_function(L, enter_function if setup.for_functions else enter)
    lua.rawseti(L, LUA_REGISTRYINDEX, KEPT_ENTER)
    push_function(L, write_failure)
    lua.rawseti(L, LUA_REGISTRYINDEX, KEPT_FAILURE)
    push_function(L, load_library)
    lua.rawseti(L, LUA_REGISTRYINDEX, KEPT_LOADER)
    if setup.for_functions:
        lua.rawgeti(L, LUA_REGISTRYINDEX, KEPT_LOADING)
        raw_getfield(L, -1, b"redis")
        push_real(L, -1)
        push_function(L, register_function)
        raw_setfield(L, -2, b"register_function")
    return 0


cdef struct Chunk:
    const char* body
    size_t size
    const char* name
    int number


cdef int compile_chunk(lua_State* L) noexcept nogil:
    cdef Chunk* chunk = <Chunk*>lua.touserdata(L, 1)
    lua.pushstring(L, chunk.name)            # anchored: Lua's parser does not
    if load_text(L, chunk.body, chunk.size, chunk.name):
        return lua.error(L)
    lua.rawseti(L, LUA_REGISTRYINDEX, chunk.number)
    return 0


cdef int forget_chunk(lua_State* L) noexcept nogil:
    lua.pushnil(L)
    lua.rawseti(L, LUA_REGISTRYINDEX, (<Chunk*>lua.touserdata(L, 1)).number)
    return 0


# ---------------------------------------------------------------- libraries of functions

cdef enum:                       # places in what register_function keeps of a function
    NAME = 1
    CALLBACK = 2
    DESCRIPTION = 3
    FLAGS = 4


cdef int keep(lua_State* L, int name, int callback, int description, int flags) noexcept nogil:
    """Note a function: its parts are at these places of the stack (0: there is none)."""
    if lua.type(L, callback) != LUA_TFUNCTION:
        return raise_error(L, b"second argument to redis.register_function must be a function")
    lua.rawgeti(L, LUA_REGISTRYINDEX, KEPT_REGISTERED)
    lua.createtable(L, 4, 0)
    lua.pushvalue(L, name)
    lua.tolstring(L, -1, NULL)               # a number becomes its text
    lua.rawseti(L, -2, NAME)
    lua.pushvalue(L, callback)
    lua.rawseti(L, -2, CALLBACK)
    if description:
        lua.pushvalue(L, description)
        lua.tolstring(L, -1, NULL)
        lua.rawseti(L, -2, DESCRIPTION)
    if flags:
        lua.pushvalue(L, flags)
        lua.rawseti(L, -2, FLAGS)
    lua.rawseti(L, -2, <int>lua.objlen(L, -2) + 1)
    return 0


cdef bint is_text(lua_State* L, int index) noexcept nogil:
    return lua.type(L, index) == LUA_TSTRING or lua.type(L, index) == LUA_TNUMBER


cdef int named_place(const char* name) noexcept nogil:
    """Where on the stack a named argument of redis.register_function goes; 0: there is no such."""
    if strcmp(name, b"function_name") == 0:
        return 2
    if strcmp(name, b"callback") == 0:
        return 3
    if strcmp(name, b"description") == 0:
        return 4
    return 5 if strcmp(name, b"flags") == 0 else 0


cdef const char* wrong_type(lua_State* L, int place) noexcept nogil:
    """What is to be said of the value on the top as this argument; NULL: nothing."""
    cdef int kind = lua.type(L, -1)
    if place == 0:
        return b"unknown argument given to redis.register_function"
    if place == 2 and not is_text(L, -1):
        return b"function_name argument given to redis.register_function must be a string"
    if place == 3 and kind != LUA_TFUNCTION:
        return b"callback argument given to redis.register_function must be a function"
    if place == 4 and not is_text(L, -1):
        return b"description argument given to redis.register_function must be a string"
    if place == 5 and kind != LUA_TTABLE:
        return (b"flags argument to redis.register_function must be a table representing function "
                b"flags")
    return NULL


cdef int register_named(lua_State* L) noexcept nogil:
    """redis.register_function{function_name=, callback=, description=, flags=}."""
    cdef const char* complaint
    cdef int place
    lua.settop(L, 1)
    lua.settop(L, 5)                         # where the arguments go: see named_place
    lua.pushnil(L)
    while lua.next(L, 1):
        if lua.type(L, -2) != LUA_TSTRING:
            return raise_error(
                L, b"named argument key given to redis.register_function is not a string")
        place = named_place(lua.tolstring(L, -2, NULL))
        complaint = wrong_type(L, place)
        if complaint is not NULL:
            return raise_error(L, complaint)
        lua.replace(L, place)
    if lua.type(L, 2) == LUA_TNIL:
        return raise_error(L, b"redis.register_function must get a function name argument")
    if lua.type(L, 3) == LUA_TNIL:
        return raise_error(L, b"redis.register_function must get a callback argument")
    return keep(L, 2, 3, 4 if lua.type(L, 4) != LUA_TNIL else 0,
                5 if lua.type(L, 5) != LUA_TNIL else 0)


cdef int register_function(lua_State* L) noexcept nogil:
    cdef int count = lua.gettop(L)
    if not host_of(L).loading:
        return raise_error(
            L, b"redis.register_function can only be called on FUNCTION LOAD command")
    if count < 1 or count > 2:
        return raise_error(L, b"wrong number of arguments to redis.register_function")
    if count == 1:
        if lua.type(L, 1) != LUA_TTABLE:
            return raise_error(
                L, b"calling redis.register_function with a single argument is only applicable to "
                   b"Lua table (representing named arguments).")
        return register_named(L)
    if not is_text(L, 1):
        return raise_error(L, b"first argument to redis.register_function must be a string")
    return keep(L, 1, 2, 0, 0)


cdef int load_library(lua_State* L) noexcept nogil:
    """Run a library, whose functions register themselves."""
    cdef Chunk* chunk = <Chunk*>lua.touserdata(L, 1)
    lua.createtable(L, 0, 0)
    lua.rawseti(L, LUA_REGISTRYINDEX, KEPT_REGISTERED)
    use_globals(L, KEPT_LOADING)
    lua.rawgeti(L, LUA_REGISTRYINDEX, chunk.number)
    lua.call(L, 0, 0)
    return 0


cdef int end_library(lua_State* L) noexcept nogil:
    use_globals(L, KEPT_GLOBALS)
    return 0


cdef int take_function(lua_State* L) noexcept nogil:
    """Give the next registered function a script's number, and push its name and flags."""
    cdef Chunk* chunk = <Chunk*>lua.touserdata(L, 1)
    lua.rawgeti(L, LUA_REGISTRYINDEX, KEPT_REGISTERED)
    lua.rawgeti(L, -1, <int>chunk.size)
    lua.rawgeti(L, -1, CALLBACK)
    lua.rawseti(L, LUA_REGISTRYINDEX, chunk.number)
    return 1


# ---------------------------------------------------------------- the state

cdef class LuaState:
    """One state: for scripts, or (`functions`) for the functions of libraries."""

    def __cinit__(self, *, str version="8.2.0", str server="spineldb", bint functions=False):
        cdef Setup setup
        cdef int number = 0
        lua_api.load()
        self.version = version.encode()
        self.server = server.encode()
        for part in version.split("."):
            number = number << 8 | int(part)
        self.for_functions = functions
        self.next_number = FIRST_SCRIPT
        self.free_numbers = []
        self.host = host_new()
        self.L = lua.newstate(allocate, self.host)
        if self.L is NULL:
            raise MemoryError
        setup.for_functions = functions
        setup.version = self.version
        setup.version_number = number
        setup.server = self.server
        if lua.cpcall(self.L, set_up, &setup):
            raise LuaError(self.message())
        arm(self.L)
        self.host.swept = self.host.used

    def __dealloc__(self):
        if self.L is not NULL:
            self.host.limit = <size_t>-1
            lua.close(self.L)
        if self.host is not NULL:
            host_free(self.host)

    @property
    def used_bytes(self) -> int:
        """The memory that the state holds."""
        return self.host.used

    @property
    def peak_bytes(self) -> int:
        """The most it has held."""
        return self.host.peak

    cdef void limit_memory(self) noexcept:
        self.host.refused = False
        self.host.limit = <size_t>-1
        if self.memory_limit > 0:
            self.host.limit = self.host.used + <size_t>self.memory_limit

    cdef bytes message(self):
        """Take the error off the stack: what it says."""
        cdef size_t size = 0
        cdef const char* text = NULL
        if lua.gettop(self.L) and lua.type(self.L, -1) == LUA_TSTRING:
            text = lua.tolstring(self.L, -1, &size)
        said = PyBytes_FromStringAndSize(text, <Py_ssize_t>size) if text is not NULL else b"?"
        lua.settop(self.L, 0)
        return said

    cdef int number(self) except -1:
        if self.free_numbers:
            return self.free_numbers.pop()
        self.next_number += 1
        return self.next_number - 1

    cdef int compile(self, const char* body, size_t size, const char* name) except -1:
        cdef Chunk chunk
        cdef int status
        chunk.body = body
        chunk.size = size
        chunk.name = name
        chunk.number = self.number()
        self.limit_memory()
        status = lua.cpcall(self.L, compile_chunk, &chunk)
        self.host.limit = <size_t>-1
        if status:
            self.free_numbers.append(chunk.number)
            raise LuaError(self.message())
        self.scripts += 1
        return chunk.number

    def compile_script(self, bytes body, bytes name=b"@user_script") -> int:
        """Compile a script; return its number. Raises LuaError."""
        return self.compile(body, len(body), name)

    def forget(self, int number) -> None:
        """Forget a script: its number may become another's."""
        cdef Chunk chunk
        chunk.number = number
        if lua.cpcall(self.L, forget_chunk, &chunk):
            raise LuaError(self.message())
        self.free_numbers.append(number)
        self.scripts -= 1

    cdef void begin(self, int64_t started_ns) noexcept:
        cdef Host* host = self.host
        self.limit_memory()
        json_defaults(&host.json)
        host.protocol = 2
        host.stop = NULL
        host.stop_line = 0
        host.started_ns = started_ns
        host.tick_ns = started_ns + host.seams.quiet_ns
        host.running = True

    cdef void end(self) noexcept:
        """Leave the state as the next run wants to find it."""
        cdef Host* host = self.host
        lua.settop(self.L, 0)
        host.running = False
        host.limit = <size_t>-1
        if host.stop is not NULL:
            host.stop = NULL
            arm(self.L)
        text_trim(host)
        if host.used > 2 * host.swept + SWEEP_SLACK:
            lua.gc(self.L, LUA_GCCOLLECT, 0)
            host.swept = host.used

    cdef Outcome run(self, Run* run) noexcept:
        cdef Outcome outcome = RUN_DONE
        cdef size_t start = run.out.used
        cdef int pieces = run.out.piece_count
        cdef int status
        self.begin(run.started_ns)
        run.counted = False
        status = self.protected(KEPT_ENTER, run)
        if status:
            outcome = RUN_STOPPED if self.host.stop is not NULL else RUN_FAILED
            out_truncate(run.out, start, pieces)
            self.fail(run, status)
            if run.counted and outcome == RUN_FAILED:
                outcome = RUN_COUNTED
        self.end()
        return outcome

    cdef int protected(self, Kept function, void* argument) noexcept:
        """Call a function that is kept in the registry; an error of it stands at index 2."""
        lua.rawgeti(self.L, LUA_REGISTRYINDEX, KEPT_HANDLER)
        lua.rawgeti(self.L, LUA_REGISTRYINDEX, function)
        lua.pushlightuserdata(self.L, argument)
        return lua.pcall(self.L, 1, 0, 1)

    cdef void fail(self, Run* run, int status) noexcept:
        """Answer for a script that raised the error at index 2."""
        cdef const char* text = b"OOM script memory limit exceeded"
        cdef char[256] line
        self.host.limit = <size_t>-1
        if self.host.stop is not NULL:
            snprintf(line, sizeof(line), b"%s script: %s, on %s:%d.", self.host.stop + 1, run.name,
                     self.host.stop_source, self.host.stop_line)
            text = self.host.stop + 1 if run.out is NULL else line
        elif not (status == LUA_ERRMEM and self.host.refused):
            lua.rawgeti(self.L, LUA_REGISTRYINDEX, KEPT_FAILURE)
            lua.pushlightuserdata(self.L, run)
            lua.pushvalue(self.L, 2)
            if lua.pcall(self.L, 2, 0, 0) == 0:
                return
        if run.out is not NULL:
            out_error(run.out, text, strlen(text))
        else:
            self.said = text

    # -- libraries -------------------------------------------------------------------------------

    def load_library(self, bytes body) -> list[tuple[bytes, int, bytes | None, list[object]]]:
        """Run a library; return what it registered: name, number, description and flags of each.

        Raises LuaError with the text of FUNCTION LOAD's error.
        """
        cdef Chunk chunk
        cdef int status
        try:
            chunk.number = self.compile(body, len(body), b"@user_function")
        except LuaError as error:
            raise LuaError(b"Error compiling function: " + error.args[0]) from None
        self.begin(monotonic_ns())
        self.host.tick_ns = 0
        self.host.loading = True
        status = self.protected(KEPT_LOADER, &chunk)
        self.host.loading = False
        try:
            if status:
                raise LuaError(b"Error registering functions: " + self.failure(status))
            return self.registered()
        finally:
            self.end()
            if lua.cpcall(self.L, end_library, NULL):
                raise MemoryError
            self.forget(chunk.number)

    cdef bytes failure(self, int status):
        """What a library raised."""
        cdef Run run
        run.out = NULL
        run.name = b"library"
        self.said = None
        self.fail(&run, status)
        if self.said is not None:
            return self.said
        return self.host.text.data[:self.host.text.used]

    cdef list registered(self):
        """The functions that the library has registered, each with a number of its own."""
        cdef list found = []
        cdef Chunk chunk
        cdef int count, i
        lua.settop(self.L, 0)
        lua.rawgeti(self.L, LUA_REGISTRYINDEX, KEPT_REGISTERED)
        count = <int>lua.objlen(self.L, 1)
        for i in range(count):
            lua.settop(self.L, 1)
            lua.rawgeti(self.L, 1, i + 1)
            chunk.number = self.number()
            chunk.size = <size_t>(i + 1)
            if lua.cpcall(self.L, take_function, &chunk):
                raise MemoryError
            self.scripts += 1
            found.append((
                text_at(self.L, NAME), chunk.number, text_at(self.L, DESCRIPTION),
                flags_at(self.L),
            ))
        lua.settop(self.L, 0)
        lua.pushnil(self.L)
        lua.rawseti(self.L, LUA_REGISTRYINDEX, KEPT_REGISTERED)
        return found


cdef object text_at(lua_State* L, int place):
    """The text at a place of the registered function on the top; None if there is none."""
    cdef size_t size
    cdef const char* text
    lua.rawgeti(L, -1, place)
    text = lua.tolstring(L, -1, &size) if lua.type(L, -1) == LUA_TSTRING else NULL
    said = None if text is NULL else PyBytes_FromStringAndSize(text, <Py_ssize_t>size)
    pop(L, 1)
    return said


cdef list flags_at(lua_State* L):
    """Its flags, of which those that are no strings are None."""
    cdef list found = []
    cdef int i = 1
    lua.rawgeti(L, -1, FLAGS)
    if lua.type(L, -1) == LUA_TTABLE:
        while True:
            lua.rawgeti(L, -1, i)
            if lua.type(L, -1) == LUA_TNIL:
                pop(L, 1)
                break
            pop(L, 1)
            found.append(text_at(L, i))
            i += 1
    pop(L, 1)
    return found
