"""What scripts find: the globals, and tables that cannot be changed.

Lua 5.1 has no read-only tables. What scripts see of a library is an empty table whose metatable
reads from the real one and refuses writes; the few functions that by-pass metatables (next, rawget,
rawset, getmetatable, setmetatable, table.insert and foreach) are ours and know those tables by a
mark in their metatable that no script can forge: a light userdata. Nothing hands the real table,
or that metatable, to a script. So globals need not be made anew for every script: none can be set.

Also ours, because Lua's own could harm the server:

* load() and loadstring() take text only, since crafted bytecode breaks the interpreter;
* find, match, gmatch and gsub bound the recursion of a pattern;
* rep() knows before it begins whether there is memory, and never loops over nothing;
* unpack() cannot overflow; collectgarbage() cannot change how others' garbage is collected;
* pcall() gives the text of an error table, as Redis's does, and cannot outlive the end of a run;
* coroutines that are made look at the clock, since each counts its own instructions;
* chunk names are anchored while a chunk is parsed, which Lua forgets (CVE-2025-49844).
"""

from libc.math cimport floor
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memchr, strcmp

from spineldb.core.lua_api cimport (
    LUA_GCCOLLECT, LUA_GCCOUNT, LUA_GCCOUNTB, LUA_GCSTEP, LUA_GLOBALSINDEX, LUA_MULTRET,
    LUA_REGISTRYINDEX, LUA_TFUNCTION, LUA_TNIL, LUA_TNUMBER, LUA_TSTRING, LUA_TTABLE, lua,
    lua_CFunction, lua_State, pop, push_function, raise_text, raw_getfield, raw_setfield, upvalue,
)
from spineldb.core.lua_bit cimport push_bit
from spineldb.core.lua_cjson cimport push_cjson
from spineldb.core.lua_cmsgpack cimport push_cmsgpack
from spineldb.core.lua_commands cimport push_commands
from spineldb.core.lua_host cimport Host, check_time, host, raise_memory, stop
from spineldb.core.lua_struct cimport push_struct

cdef enum:
    PATTERN_DEPTH = 4000         # items of a pattern that may each need a level of the C stack
    STOCK_PAUSE = 200            # of Lua's collector
    RANDOM_MAX = 0x7FFFFFFF

cdef char MARK
cdef const char* READ_ONLY = b"Attempt to modify a readonly table"


# ---------------------------------------------------------------- tables that cannot be changed

cdef int refuse_write(lua_State* L) noexcept nogil:
    return raise_text(L, READ_ONLY)


cdef int refuse_raw(lua_State* L) noexcept nogil:
    lua.pushstring(L, READ_ONLY)
    return lua.error(L)


cdef void protect(lua_State* L) noexcept nogil:
    lua.createtable(L, 0, 0)
    lua.createtable(L, 1, 2)
    lua.pushlightuserdata(L, &MARK)
    lua.rawseti(L, -2, 1)
    lua.pushvalue(L, -3)
    raw_setfield(L, -2, b"__index")
    push_function(L, refuse_write)
    raw_setfield(L, -2, b"__newindex")
    lua.setmetatable(L, -2)
    lua.remove(L, -2)


cdef bint push_real(lua_State* L, int index) noexcept nogil:
    if lua.type(L, index) != LUA_TTABLE or not lua.getmetatable(L, index):
        return False
    lua.rawgeti(L, -1, 1)
    if lua.touserdata(L, -1) != <void*>&MARK:
        pop(L, 2)
        return False
    pop(L, 1)
    raw_getfield(L, -1, b"__index")
    lua.remove(L, -2)
    return True


cdef inline void see_through(lua_State* L, int argument) noexcept nogil:
    """Take the table behind a protected one as the argument."""
    if push_real(L, argument):
        lua.replace(L, argument)


cdef int base_next(lua_State* L) noexcept nogil:
    lua.L_checktype(L, 1, LUA_TTABLE)
    lua.settop(L, 2)
    see_through(L, 1)
    if lua.next(L, 1):
        return 2
    lua.pushnil(L)
    return 1


cdef int base_pairs(lua_State* L) noexcept nogil:
    lua.L_checktype(L, 1, LUA_TTABLE)
    lua.pushvalue(L, upvalue(1))             # next
    lua.pushvalue(L, 1)
    lua.pushnil(L)
    return 3


cdef int base_rawget(lua_State* L) noexcept nogil:
    lua.L_checktype(L, 1, LUA_TTABLE)
    lua.L_checkany(L, 2)
    lua.settop(L, 2)
    see_through(L, 1)
    lua.rawget(L, 1)
    return 1


cdef int base_rawset(lua_State* L) noexcept nogil:
    lua.L_checktype(L, 1, LUA_TTABLE)
    lua.L_checkany(L, 2)
    lua.L_checkany(L, 3)
    lua.settop(L, 3)
    if push_real(L, 1):
        return refuse_raw(L)
    lua.rawset(L, 1)
    return 1


cdef int base_getmetatable(lua_State* L) noexcept nogil:
    lua.L_checkany(L, 1)
    if lua.type(L, 1) == LUA_TSTRING:
        lua.rawgeti(L, LUA_REGISTRYINDEX, KEPT_STRING_META)
        return 1
    if push_real(L, 1):
        if not (lua.getmetatable(L, -1)):    # of the real table: only that of _G has one
            lua.pushnil(L)
            return 1
        protect(L)
        return 1
    return stock.getmetatable(L)


cdef int base_setmetatable(lua_State* L) noexcept nogil:
    if push_real(L, 1):
        return refuse_raw(L)
    return stock.setmetatable(L)


cdef int table_insert(lua_State* L) noexcept nogil:
    if push_real(L, 1):
        return refuse_raw(L)
    return stock.insert(L)


cdef int table_foreach(lua_State* L) noexcept nogil:
    lua.L_checktype(L, 1, LUA_TTABLE)
    see_through(L, 1)
    return stock.foreach(L)


# ---------------------------------------------------------------- chunks

cdef struct Piece:               # of a chunk, for the reader
    const char* data
    size_t size
    bint begun
    bint kept                    # a piece waits, behind the blank before it


cdef const char* read_text(lua_State* L, void* ud, size_t* size) noexcept nogil:
    cdef Piece* piece = <Piece*>ud
    if not piece.begun:
        piece.begun = True
        if piece.size and piece.data[0] == 27:   # a blank before it, and it is no bytecode
            size[0] = 1
            return b" "
    size[0] = piece.size
    piece.size = 0
    return piece.data if size[0] else NULL


cdef int load_text(lua_State* L, const char* text, size_t size, const char* name) noexcept nogil:
    cdef Piece piece
    piece.data = text
    piece.size = size
    piece.begun = False
    return lua.load(L, read_text, &piece, name)


cdef int loaded(lua_State* L, int status) noexcept nogil:
    if status == 0:
        return 1
    lua.pushnil(L)
    lua.insert(L, -2)
    return 2


cdef const char* name_of_chunk(lua_State* L, int argument, const char* otherwise) noexcept nogil:
    """The name in the argument, anchored on the stack as the string that Lua will make of it."""
    cdef const char* name = otherwise
    if lua.type(L, argument) > LUA_TNIL:
        name = lua.L_checklstring(L, argument, NULL)
    lua.pushstring(L, name)
    return lua.tolstring(L, -1, NULL)


cdef int base_loadstring(lua_State* L) noexcept nogil:
    cdef size_t size
    cdef const char* text = lua.L_checklstring(L, 1, &size)
    return loaded(L, load_text(L, text, size, name_of_chunk(L, 2, text)))


cdef const char* read_pieces(lua_State* L, void* ud, size_t* size) noexcept nogil:
    """Ask the function in argument 1; the piece is kept at index 3."""
    cdef Piece* piece = <Piece*>ud
    if piece.kept:
        piece.kept = False
        size[0] = piece.size
        return piece.data
    lua.L_checkstack(L, 2, b"too many nested functions")
    lua.pushvalue(L, 1)
    lua.call(L, 0, 1)
    if lua.type(L, -1) == LUA_TNIL:
        size[0] = 0
        return NULL
    if lua.type(L, -1) != LUA_TSTRING and lua.type(L, -1) != LUA_TNUMBER:
        raise_text(L, b"reader function must return a string")
    lua.replace(L, 3)
    piece.data = lua.tolstring(L, 3, &piece.size)
    if not piece.begun and piece.size:
        piece.begun = True
        if piece.data[0] == 27:
            piece.kept = True
            size[0] = 1
            return b" "
    size[0] = piece.size
    return piece.data


cdef int base_load(lua_State* L) noexcept nogil:
    cdef Piece piece
    cdef const char* name
    lua.L_checktype(L, 1, LUA_TFUNCTION)
    lua.settop(L, 3)
    name = name_of_chunk(L, 2, b"=(load)")
    piece.begun = piece.kept = False
    return loaded(L, lua.load(L, read_pieces, &piece, name))


# ---------------------------------------------------------------- base

cdef int base_pcall(lua_State* L) noexcept nogil:
    lua.L_checkany(L, 1)
    lua.pushboolean(L, True)
    lua.insert(L, 1)
    if lua.pcall(L, lua.gettop(L) - 2, LUA_MULTRET, 0) == 0:
        return lua.gettop(L)
    if host(L).stop is not NULL:
        stop(L)
    if lua.type(L, -1) == LUA_TTABLE:        # an error of redis.call(): its text
        raw_getfield(L, -1, b"err")
        if lua.type(L, -1) == LUA_TSTRING or lua.type(L, -1) == LUA_TNUMBER:
            lua.replace(L, -2)
        else:
            lua.remove(L, 1)                 # as in Redis, the nil goes along
            lua.pushboolean(L, False)
            lua.insert(L, 1)
            return lua.gettop(L)
    lua.pushboolean(L, False)
    lua.replace(L, 1)
    return lua.gettop(L)


cdef int base_unpack(lua_State* L) noexcept nogil:
    cdef int64_t first = 1, last, i
    lua.L_checktype(L, 1, LUA_TTABLE)
    if lua.type(L, 2) > LUA_TNIL:
        first = <int>lua.L_checkinteger(L, 2)
    last = <int64_t>lua.objlen(L, 1)
    if lua.type(L, 3) > LUA_TNIL:
        last = <int>lua.L_checkinteger(L, 3)
    if first > last:
        return 0
    if last - first >= 8000 or not lua.checkstack(L, <int>(last - first + 1)):
        return raise_text(L, b"too many results to unpack")
    for i in range(first, last + 1):
        lua.rawgeti(L, 1, <int>i)
    return <int>(last - first + 1)


cdef int base_collectgarbage(lua_State* L) noexcept nogil:
    """Collect and count; what would change how garbage is collected does nothing."""
    cdef const char* option = b"collect"
    cdef ptrdiff_t data = 0
    if lua.type(L, 1) > LUA_TNIL:
        option = lua.L_checklstring(L, 1, NULL)
    if lua.type(L, 2) > LUA_TNIL:
        data = lua.L_checkinteger(L, 2)
    if strcmp(option, b"collect") == 0:
        lua.pushnumber(L, lua.gc(L, LUA_GCCOLLECT, 0))
    elif strcmp(option, b"count") == 0:
        lua.pushnumber(L, lua.gc(L, LUA_GCCOUNT, 0) + lua.gc(L, LUA_GCCOUNTB, 0) / 1024.0)
    elif strcmp(option, b"step") == 0:
        lua.pushboolean(L, lua.gc(L, LUA_GCSTEP, <int>data & 0xFFFF))
    elif strcmp(option, b"stop") == 0 or strcmp(option, b"restart") == 0:
        lua.pushnumber(L, 0)
    elif strcmp(option, b"setpause") == 0 or strcmp(option, b"setstepmul") == 0:
        lua.pushnumber(L, STOCK_PAUSE)
    else:
        lua.pushstring(L, b"invalid option '")
        lua.pushvalue(L, 1)
        lua.pushstring(L, b"'")
        lua.concat(L, 3)
        return lua.L_argerror(L, 1, lua.tolstring(L, -1, NULL))
    return 1


cdef int missing_global(lua_State* L) noexcept nogil:
    lua.L_where(L, 1)
    lua.pushstring(L, b"Script attempted to access nonexistent global variable '")
    if lua.tolstring(L, 2, NULL) is NULL:
        lua.pushstring(L, b"(null)")
    else:
        lua.pushvalue(L, 2)
    lua.pushstring(L, b"'")
    lua.concat(L, 4)
    return lua.error(L)


# ---------------------------------------------------------------- strings and numbers

cdef void check_pattern(lua_State* L) noexcept nogil:
    """Refuse a pattern whose matching could need more of the C stack than there is."""
    cdef size_t size, i
    cdef const char* pattern = lua.tolstring(L, 2, &size)
    cdef int items = 0
    if pattern is NULL or size < PATTERN_DEPTH:
        return
    for i in range(size):
        if memchr(b"?*+-()", pattern[i], 6) is not NULL:
            items += 1
    if items > PATTERN_DEPTH:
        raise_text(L, b"pattern too complex")


cdef int string_find(lua_State* L) noexcept nogil:
    check_pattern(L)
    return stock.find(L)


cdef int string_match(lua_State* L) noexcept nogil:
    check_pattern(L)
    return stock.match(L)


cdef int string_gmatch(lua_State* L) noexcept nogil:
    check_pattern(L)
    return stock.gmatch(L)


cdef int string_gsub(lua_State* L) noexcept nogil:
    check_pattern(L)
    return stock.gsub(L)


cdef int string_rep(lua_State* L) noexcept nogil:
    cdef Host* host_ = host(L)
    cdef size_t size
    cdef ptrdiff_t count
    lua.L_checklstring(L, 1, &size)
    count = lua.L_checkinteger(L, 2)
    if size == 0 or count <= 0:
        lua.pushlstring(L, b"", 0)
        return 1
    if <size_t>count > ((<size_t>1 << 60) // size) or (
        host_.used > host_.limit or <size_t>count * size > host_.limit - host_.used
    ):
        host_.refused = True
        raise_memory(L)
    return stock.rep(L)


cdef uint32_t next_random(Host* host_) noexcept nogil:
    """31 bits of drand48's sequence (POSIX), which Redis's scripts are used to."""
    host_.random = (host_.random * <uint64_t>0x5DEECE66D + 0xB) & ((<uint64_t>1 << 48) - 1)
    return <uint32_t>(host_.random >> 17)


cdef int math_random(lua_State* L) noexcept nogil:
    cdef double r = <double>(next_random(host(L)) % RANDOM_MAX) / <double>RANDOM_MAX
    cdef int count = lua.gettop(L)
    cdef int64_t low = 1, high
    if count == 0:
        lua.pushnumber(L, r)
        return 1
    if count > 2:
        return raise_text(L, b"wrong number of arguments")
    high = <int>lua.L_checkinteger(L, count)
    if count == 2:
        low = <int>lua.L_checkinteger(L, 1)
    if low > high:
        return lua.L_argerror(L, count, b"interval is empty")
    lua.pushnumber(L, floor(r * <double>(high - low + 1)) + <double>low)
    return 1


cdef int math_randomseed(lua_State* L) noexcept nogil:
    cdef uint64_t seed = <uint64_t><uint32_t>lua.L_checkinteger(L, 1)
    host(L).random = seed << 16 | 0x330E
    return 0


# ---------------------------------------------------------------- coroutines

cdef int coroutine_create(lua_State* L) noexcept nogil:
    check_time(L)
    return stock.create(L)


cdef int coroutine_wrap(lua_State* L) noexcept nogil:
    check_time(L)
    return stock.wrap(L)


# ---------------------------------------------------------------- setting up

cdef struct Stock:               # functions of Lua that ours go on with
    lua_CFunction getmetatable
    lua_CFunction setmetatable
    lua_CFunction insert
    lua_CFunction foreach
    lua_CFunction find
    lua_CFunction match
    lua_CFunction gmatch
    lua_CFunction gsub
    lua_CFunction rep
    lua_CFunction create
    lua_CFunction wrap

cdef Stock stock


cdef void open_library(lua_State* L, lua_CFunction open, const char* name) noexcept nogil:
    push_function(L, open)
    lua.pushstring(L, name)
    lua.call(L, 1, 0)


cdef lua_CFunction swap(lua_State* L, const char* name, lua_CFunction ours) noexcept nogil:
    """Put our function into the table on the top; return the one it had."""
    cdef lua_CFunction theirs
    raw_getfield(L, -1, name)
    theirs = lua.tocfunction(L, -1)
    pop(L, 1)
    push_function(L, ours)
    raw_setfield(L, -2, name)
    return theirs


cdef void stock_table(lua_State* L, const char* name) noexcept nogil:
    lua.pushstring(L, name)
    lua.rawget(L, LUA_GLOBALSINDEX)


cdef void change_libraries(lua_State* L) noexcept nogil:
    """Put ours in the place of those functions of Lua's libraries that could do harm."""
    stock_table(L, b"string")
    stock.find = swap(L, b"find", string_find)
    stock.match = swap(L, b"match", string_match)
    stock.gmatch = swap(L, b"gmatch", string_gmatch)
    swap(L, b"gfind", string_gmatch)
    stock.gsub = swap(L, b"gsub", string_gsub)
    stock.rep = swap(L, b"rep", string_rep)
    pop(L, 1)
    stock_table(L, b"table")
    stock.insert = swap(L, b"insert", table_insert)
    stock.foreach = swap(L, b"foreach", table_foreach)
    pop(L, 1)
    stock_table(L, b"math")
    swap(L, b"random", math_random)
    swap(L, b"randomseed", math_randomseed)
    pop(L, 1)
    stock_table(L, b"coroutine")
    stock.create = swap(L, b"create", coroutine_create)
    stock.wrap = swap(L, b"wrap", coroutine_wrap)
    pop(L, 1)
    lua.pushvalue(L, LUA_GLOBALSINDEX)
    stock.getmetatable = swap(L, b"getmetatable", base_getmetatable)
    stock.setmetatable = swap(L, b"setmetatable", base_setmetatable)
    swap(L, b"next", base_next)
    swap(L, b"rawget", base_rawget)
    swap(L, b"rawset", base_rawset)
    swap(L, b"load", base_load)
    swap(L, b"loadstring", base_loadstring)
    swap(L, b"pcall", base_pcall)
    swap(L, b"unpack", base_unpack)
    swap(L, b"collectgarbage", base_collectgarbage)
    raw_getfield(L, -1, b"next")
    lua.pushcclosure(L, base_pairs, 1)
    raw_setfield(L, -2, b"pairs")
    pop(L, 1)


cdef void take_global(lua_State* L, const char* name) noexcept nogil:
    """Copy a global of Lua's into the table on the top; a library is protected."""
    stock_table(L, name)
    if lua.type(L, -1) == LUA_TTABLE:
        protect(L)
    raw_setfield(L, -2, name)


cdef void take_base(lua_State* L) noexcept nogil:
    take_global(L, b"_VERSION")
    take_global(L, b"assert")
    take_global(L, b"collectgarbage")
    take_global(L, b"error")
    take_global(L, b"gcinfo")
    take_global(L, b"getmetatable")
    take_global(L, b"ipairs")
    take_global(L, b"load")
    take_global(L, b"loadstring")
    take_global(L, b"next")
    take_global(L, b"pairs")
    take_global(L, b"pcall")
    take_global(L, b"rawequal")
    take_global(L, b"rawget")
    take_global(L, b"rawset")
    take_global(L, b"select")
    take_global(L, b"setmetatable")
    take_global(L, b"tonumber")
    take_global(L, b"tostring")
    take_global(L, b"type")
    take_global(L, b"unpack")
    take_global(L, b"xpcall")
    take_global(L, b"coroutine")
    take_global(L, b"math")
    take_global(L, b"string")
    take_global(L, b"table")


cdef void add_library(lua_State* L, const char* name) noexcept nogil:
    """Protect the library on the top, and put it into the table below it."""
    protect(L)
    raw_setfield(L, -2, name)


cdef void add_commands(lua_State* L, const char* name) noexcept nogil:
    """Put the protected table on the top into the table below it, under a name more."""
    lua.pushvalue(L, -1)
    raw_setfield(L, -3, name)


cdef void add_names(lua_State* L) noexcept nogil:
    add_commands(L, b"redis")
    add_commands(L, b"server")
    add_commands(L, b"spineldb")
    add_commands(L, b"spinel")
    pop(L, 1)


cdef void protect_strings(lua_State* L) noexcept nogil:
    """Keep a protected picture of the strings' metatable: their methods are the real library's."""
    lua.createtable(L, 0, 1)
    lua.rawgeti(L, LUA_REGISTRYINDEX, KEPT_GLOBALS)
    raw_getfield(L, -1, b"string")
    lua.remove(L, -2)
    raw_setfield(L, -2, b"__index")
    protect(L)
    lua.rawseti(L, LUA_REGISTRYINDEX, KEPT_STRING_META)


cdef void push_missing(lua_State* L) noexcept nogil:
    """Have the table on the top refuse to be asked for what it has not."""
    lua.createtable(L, 0, 1)
    push_function(L, missing_global)
    raw_setfield(L, -2, b"__index")
    lua.setmetatable(L, -2)


cdef void open_sandbox(lua_State* L, bint for_functions, const char* version, int version_number,
                       const char* server) noexcept nogil:
    open_library(L, lua.open_base, b"")
    open_library(L, lua.open_string, b"string")
    open_library(L, lua.open_table, b"table")
    open_library(L, lua.open_math, b"math")
    open_library(L, lua.open_os, b"os")
    change_libraries(L)

    lua.createtable(L, 0, 64)
    take_base(L)
    lua.createtable(L, 0, 1)
    stock_table(L, b"os")
    raw_getfield(L, -1, b"clock")
    lua.remove(L, -2)
    raw_setfield(L, -2, b"clock")
    add_library(L, b"os")
    push_bit(L)
    add_library(L, b"bit")
    push_struct(L)
    add_library(L, b"struct")
    push_cjson(L)
    add_library(L, b"cjson")
    push_cmsgpack(L)
    add_library(L, b"cmsgpack")
    push_commands(L, version, version_number, server, False)
    protect(L)
    add_names(L)
    push_missing(L)
    lua.pushvalue(L, -1)
    lua.rawseti(L, LUA_REGISTRYINDEX, KEPT_GLOBALS)
    protect(L)
    lua.getmetatable(L, -1)
    lua.rawseti(L, LUA_REGISTRYINDEX, KEPT_PROXY_META)
    lua.rawgeti(L, LUA_REGISTRYINDEX, KEPT_GLOBALS)
    lua.pushvalue(L, -2)
    raw_setfield(L, -2, b"_G")
    pop(L, 1)
    lua.pushvalue(L, -1)
    lua.rawseti(L, LUA_REGISTRYINDEX, KEPT_PROXY)
    protect_strings(L)

    lua.createtable(L, 0, 8)                 # what a library finds while it loads
    if for_functions:
        push_commands(L, version, version_number, server, True)
        push_missing(L)
        protect(L)
        add_names(L)
    push_missing(L)
    lua.rawseti(L, LUA_REGISTRYINDEX, KEPT_LOADING)
    lua.replace(L, LUA_GLOBALSINDEX)         # chunks see _G from here on, and Lua's own no more


cdef void use_globals(lua_State* L, Kept which) noexcept nogil:
    lua.rawgeti(L, LUA_REGISTRYINDEX, KEPT_PROXY_META)
    lua.rawgeti(L, LUA_REGISTRYINDEX, which)
    raw_setfield(L, -2, b"__index")
    pop(L, 1)
