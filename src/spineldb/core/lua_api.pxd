"""The C API of Lua 5.1, as a table of functions found in a library when it is first needed."""

from libc.stddef cimport ptrdiff_t

cdef extern from *:
    """
    typedef struct lua_State lua_State;
    typedef struct lua_Debug {   /* the public part of Lua 5.1's, and its size */
        int event;
        const char *name, *namewhat, *what, *source;
        int currentline, nups, linedefined, lastlinedefined;
        char short_src[60];
        int i_ci;
    } lua_Debug;
    """
    ctypedef struct lua_State:
        pass
    ctypedef struct lua_Debug:
        const char* what
        const char* source
        int currentline

ctypedef int (*lua_CFunction)(lua_State* L) noexcept nogil
ctypedef void* (*lua_Alloc)(void* ud, void* block, size_t old, size_t new) noexcept nogil
ctypedef const char* (*lua_Reader)(lua_State* L, void* ud, size_t* size) noexcept nogil
ctypedef void (*lua_Hook)(lua_State* L, lua_Debug* ar) noexcept nogil

cdef enum:
    LUA_REGISTRYINDEX = -10000
    LUA_ENVIRONINDEX = -10001
    LUA_GLOBALSINDEX = -10002
    LUA_MULTRET = -1

    LUA_YIELD = 1                # what lua_pcall and lua_resume return, 0 apart
    LUA_ERRRUN = 2
    LUA_ERRSYNTAX = 3
    LUA_ERRMEM = 4
    LUA_ERRERR = 5

    LUA_TNONE = -1
    LUA_TNIL = 0
    LUA_TBOOLEAN = 1
    LUA_TLIGHTUSERDATA = 2
    LUA_TNUMBER = 3
    LUA_TSTRING = 4
    LUA_TTABLE = 5
    LUA_TFUNCTION = 6
    LUA_TUSERDATA = 7
    LUA_TTHREAD = 8

    LUA_GCSTOP = 0
    LUA_GCRESTART = 1
    LUA_GCCOLLECT = 2
    LUA_GCCOUNT = 3
    LUA_GCCOUNTB = 4
    LUA_GCSTEP = 5
    LUA_GCSETPAUSE = 6
    LUA_GCSETSTEPMUL = 7

    LUA_MASKLINE = 4
    LUA_MASKCOUNT = 8

    STACK_SPARE = 20             # slots of the stack that a C function has without asking

# Each field is the function of that name in C: `lua_` before it, `luaL_` where it begins with an
# L, `luaopen_` for the libraries. The order is that of NAMES in lua_api.pyx.
cdef struct LuaApi:
    lua_State* (*newstate)(lua_Alloc allocate, void* ud) noexcept nogil
    void (*close)(lua_State* L) noexcept nogil
    lua_CFunction (*atpanic)(lua_State* L, lua_CFunction panic) noexcept nogil
    lua_State* (*newthread)(lua_State* L) noexcept nogil
    lua_Alloc (*getallocf)(lua_State* L, void** ud) noexcept nogil
    int (*gettop)(lua_State* L) noexcept nogil
    void (*settop)(lua_State* L, int index) noexcept nogil
    void (*pushvalue)(lua_State* L, int index) noexcept nogil
    void (*remove)(lua_State* L, int index) noexcept nogil
    void (*insert)(lua_State* L, int index) noexcept nogil
    void (*replace)(lua_State* L, int index) noexcept nogil
    int (*checkstack)(lua_State* L, int size) noexcept nogil
    void (*xmove)(lua_State* source, lua_State* target, int count) noexcept nogil
    int (*isnumber)(lua_State* L, int index) noexcept nogil
    int (*iscfunction)(lua_State* L, int index) noexcept nogil
    int (*type)(lua_State* L, int index) noexcept nogil
    const char* (*typename)(lua_State* L, int kind) noexcept nogil
    int (*rawequal)(lua_State* L, int index1, int index2) noexcept nogil
    double (*tonumber)(lua_State* L, int index) noexcept nogil
    ptrdiff_t (*tointeger)(lua_State* L, int index) noexcept nogil
    int (*toboolean)(lua_State* L, int index) noexcept nogil
    const char* (*tolstring)(lua_State* L, int index, size_t* size) noexcept nogil
    size_t (*objlen)(lua_State* L, int index) noexcept nogil
    lua_CFunction (*tocfunction)(lua_State* L, int index) noexcept nogil
    void* (*touserdata)(lua_State* L, int index) noexcept nogil
    const void* (*topointer)(lua_State* L, int index) noexcept nogil
    void (*pushnil)(lua_State* L) noexcept nogil
    void (*pushnumber)(lua_State* L, double number) noexcept nogil
    void (*pushlstring)(lua_State* L, const char* text, size_t size) noexcept nogil
    void (*pushstring)(lua_State* L, const char* text) noexcept nogil
    void (*pushcclosure)(lua_State* L, lua_CFunction function, int upvalues) noexcept nogil
    void (*pushboolean)(lua_State* L, int value) noexcept nogil
    void (*pushlightuserdata)(lua_State* L, void* pointer) noexcept nogil
    void (*rawget)(lua_State* L, int index) noexcept nogil
    void (*rawgeti)(lua_State* L, int index, int n) noexcept nogil
    void (*createtable)(lua_State* L, int array, int hash) noexcept nogil
    void* (*newuserdata)(lua_State* L, size_t size) noexcept nogil
    int (*getmetatable)(lua_State* L, int index) noexcept nogil
    void (*gettable)(lua_State* L, int index) noexcept nogil
    void (*rawset)(lua_State* L, int index) noexcept nogil
    void (*rawseti)(lua_State* L, int index, int n) noexcept nogil
    int (*setmetatable)(lua_State* L, int index) noexcept nogil
    int (*setfenv)(lua_State* L, int index) noexcept nogil
    void (*call)(lua_State* L, int arguments, int results) noexcept nogil
    int (*pcall)(lua_State* L, int arguments, int results, int handler) noexcept nogil
    int (*cpcall)(lua_State* L, lua_CFunction function, void* ud) noexcept nogil
    int (*load)(lua_State* L, lua_Reader reader, void* ud, const char* name) noexcept nogil
    int (*resume)(lua_State* L, int arguments) noexcept nogil
    int (*status)(lua_State* L) noexcept nogil
    int (*gc)(lua_State* L, int what, int data) noexcept nogil
    int (*error)(lua_State* L) noexcept nogil
    int (*next)(lua_State* L, int index) noexcept nogil
    void (*concat)(lua_State* L, int count) noexcept nogil
    int (*sethook)(lua_State* L, lua_Hook hook, int mask, int count) noexcept nogil
    int (*getstack)(lua_State* L, int level, lua_Debug* ar) noexcept nogil
    int (*getinfo)(lua_State* L, const char* what, lua_Debug* ar) noexcept nogil
    const char* (*L_checklstring)(lua_State* L, int argument, size_t* size) noexcept nogil
    double (*L_checknumber)(lua_State* L, int argument) noexcept nogil
    ptrdiff_t (*L_checkinteger)(lua_State* L, int argument) noexcept nogil
    void (*L_checktype)(lua_State* L, int argument, int kind) noexcept nogil
    void (*L_checkany)(lua_State* L, int argument) noexcept nogil
    void (*L_checkstack)(lua_State* L, int size, const char* message) noexcept nogil
    int (*L_argerror)(lua_State* L, int argument, const char* message) noexcept nogil
    void (*L_where)(lua_State* L, int level) noexcept nogil
    lua_CFunction open_base
    lua_CFunction open_string
    lua_CFunction open_table
    lua_CFunction open_math
    lua_CFunction open_os

cdef LuaApi lua                  # filled by load()

# Find the functions, once. Raises LuaMissing.
cdef int load() except -1

cdef inline void pop(lua_State* L, int count) noexcept nogil:
    lua.settop(L, -count - 1)

cdef inline int upvalue(int n) noexcept nogil:
    """The pseudo-index of a C function's `n`-th upvalue."""
    return LUA_GLOBALSINDEX - n

cdef inline void push_function(lua_State* L, lua_CFunction function) noexcept nogil:
    lua.pushcclosure(L, function, 0)

# Set a field of the table at `index`, by-passing metamethods; pops the value.
cdef void raw_setfield(lua_State* L, int index, const char* name) noexcept nogil
# Push a field of the table at `index`, by-passing metamethods.
cdef void raw_getfield(lua_State* L, int index, const char* name) noexcept nogil
# Raise an error that begins with the script's line. Never returns (its type is for `return`).
cdef int raise_text(lua_State* L, const char* text) noexcept nogil
