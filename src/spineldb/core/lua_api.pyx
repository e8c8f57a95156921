"""The C API of Lua 5.1, as a table of functions found in a library when it is first needed.

No source of Lua is ours and none is linked: the wheel of `lupa` exports the whole API from its
`lua51` extension, which is loaded here as a plain library (its Python module is never
initialised). Where that is missing, the system's liblua5.1 does as well. LuaJIT does not, though
it has the same names: it refuses an allocator that is not its own.

Errors of Lua are long jumps. They pass over the frames of C functions between the place that
raises and the protected call, and nothing in those frames is released. So everything that may
raise runs below `lua_pcall`, and every function that is called by Lua or calls what may raise is
`noexcept nogil` with nothing but plain C in it: no Python object, no reference, no `try`, and no
memory that only its frame knows of. Where a script needs Python (the commands it calls), Lua
calls a function that is handed down, and that returns before Lua goes on.
"""

from pathlib import Path

import importlib.machinery
import importlib.util

cdef extern from "<dlfcn.h>" nogil:
    void* dlopen(const char* path, int mode)
    void* dlsym(void* library, const char* name)
    int dlclose(void* library)
    const char* dlerror()
    int RTLD_NOW
    int RTLD_LOCAL

NAMES = """
    newstate close atpanic newthread getallocf
    gettop settop pushvalue remove insert replace checkstack xmove
    isnumber iscfunction type typename rawequal
    tonumber tointeger toboolean tolstring objlen tocfunction touserdata topointer
    pushnil pushnumber pushlstring pushstring pushcclosure pushboolean pushlightuserdata
    rawget rawgeti createtable newuserdata getmetatable gettable
    rawset rawseti setmetatable setfenv
    call pcall cpcall load resume status gc error next concat sethook getstack getinfo
    L_checklstring L_checknumber L_checkinteger L_checktype L_checkany L_checkstack L_argerror
    L_where
    open_base open_string open_table open_math open_os
""".split()

#: Where distributions put the library, should lupa's be missing.
SYSTEM_LIBRARIES = (
    "liblua5.1.so.0", "liblua5.1.so", "liblua-5.1.so", "liblua5.1.dylib", "liblua.5.1.dylib",
)

#: The file the functions came from, or None.
library = None


class LuaMissing(RuntimeError):
    """There is no Lua 5.1 to be found."""


cdef str symbol(str name):
    if name.startswith("L_"):
        return "luaL_" + name[2:]
    if name.startswith("open_"):
        return "luaopen_" + name[5:]
    return "lua_" + name


def candidates() -> list[str]:
    """Return the files that may hold the API, the best first."""
    found = []
    spec = importlib.util.find_spec("lupa")      # does not import it
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        for suffix in importlib.machinery.EXTENSION_SUFFIXES:
            path = Path(folder, f"lua51{suffix}")
            if path.exists():
                found.append(str(path))
    return [*found, *SYSTEM_LIBRARIES]


cdef int resolve(str path, list faults) except -1:
    """Fill the table from a library; True if it is complete."""
    global lua
    cdef void* handle = dlopen(path.encode(), RTLD_NOW | RTLD_LOCAL)
    cdef void* found
    cdef LuaApi table
    cdef int n
    if handle is NULL:
        faults.append(dlerror().decode("utf-8", "replace"))
        return False
    if dlsym(handle, b"luaJIT_setmode") is not NULL:
        faults.append(f"{path}: LuaJIT")
        dlclose(handle)
        return False
    for n, name in enumerate(NAMES):
        found = dlsym(handle, symbol(name).encode())
        if found is NULL:
            faults.append(f"{path}: no {symbol(name)}")
            dlclose(handle)
            return False
        (<void**>&table)[n] = found
    lua = table
    return True


cdef int load() except -1:
    global library
    if library is None:
        library = find()
    return 0


def find(paths: list[str] | None = None) -> str:
    """Find the functions in the first of some files that has them; return its path."""
    faults = []
    if sizeof(LuaApi) != len(NAMES) * sizeof(void*):
        raise AssertionError("the table of functions and their names differ")
    for path in candidates() if paths is None else paths:
        if resolve(path, faults):
            return path
    raise LuaMissing("scripts need Lua 5.1: install lupa or liblua5.1 (" + "; ".join(faults) + ")")


cdef void raw_setfield(lua_State* L, int index, const char* name) noexcept nogil:
    lua.pushstring(L, name)
    lua.insert(L, -2)
    lua.rawset(L, index - 1 if LUA_REGISTRYINDEX < index < 0 else index)


cdef void raw_getfield(lua_State* L, int index, const char* name) noexcept nogil:
    lua.pushstring(L, name)
    lua.rawget(L, index - 1 if LUA_REGISTRYINDEX < index < 0 else index)


cdef int raise_text(lua_State* L, const char* text) noexcept nogil:
    lua.L_where(L, 1)
    lua.pushstring(L, text)
    lua.concat(L, 2)
    return lua.error(L)
