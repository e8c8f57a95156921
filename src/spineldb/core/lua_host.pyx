"""What stands behind a state of Lua: its memory, its time, and the functions handed down to it.

A state's allocator is given a `Host`, and from any of the state's threads the host is found
through it, so C functions need no global variable and several states may exist.

*Memory.* Every byte is counted, and a run may take so many more: then Lua raises its own "not
enough memory", which a script may even catch. Lua 5.1 has a fault that writes up to 250 slots past
the end of a stack (a function with many parameters and `...`, called with few arguments;
CVE-2014-5461), so blocks that may be a stack have that much room behind them.

*Time.* The hook is called every so many instructions, in coroutines too, because a new thread
takes over its maker's hook; but each counts its own, so making one looks at the clock as well. A
run that is to end fails at every instruction from then on: no pcall() outlives that. It fails as if
there were no memory, since that is the one error for which Lua calls no handler: a handler would
run without hooks, because the hook has not returned, and could loop for ever.
"""

from libc.stdio cimport snprintf
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memchr, memcpy, strlen

from spineldb.clock cimport monotonic_ns
from spineldb.core.lua_api cimport LUA_MASKCOUNT, raw_setfield
from spineldb.core.resp cimport out_clear

cdef enum:
    LEAST_STACK = 640            # bytes of the smallest stack of Lua
    BEHIND_STACK = 4096
    NEVER_BITS = 40              # blocks of that size nobody gets
    TICK_NS = 1_000_000
    LOADING_NS = 500_000_000     # that a library may take to load
    TEXT_KEPT = 65536            # bytes of a text that are kept for the next


cdef Host* host_new() except NULL:
    cdef Host* made = <Host*>calloc(1, sizeof(Host))
    if made is NULL:
        raise MemoryError
    made.limit = <size_t>-1
    made.random = <uint64_t>0x1234ABCD330E
    return made


cdef void host_free(Host* host) noexcept nogil:
    out_clear(&host.reply)
    free(host.argv)
    free(host.converted)
    free(host.text.data)
    free(host)


cdef void* allocate(void* ud, void* block, size_t old, size_t new) noexcept nogil:
    cdef Host* host = <Host*>ud
    cdef void* result
    if new == 0:
        host.used -= old
        free(block)
        return NULL
    if new > old and (new >> NEVER_BITS or host.used + (new - old) > host.limit):
        host.refused = True
        return NULL
    result = realloc(block, new + BEHIND_STACK if new >= LEAST_STACK else new)
    if result is NULL:
        if new <= old:
            return block         # Lua counts on it
        host.refused = True
        return NULL
    host.used += new - old
    if host.used > host.peak:
        host.peak = host.used
    return result


# ---------------------------------------------------------------- time

cdef void arm(lua_State* L) noexcept nogil:
    lua.sethook(L, on_count, LUA_MASKCOUNT, HOOK_EVERY)


cdef void stop(lua_State* L) noexcept nogil:
    cdef Host* host_ = host(L)
    cdef lua_Debug where
    cdef int level = 0
    lua.sethook(L, on_count, LUA_MASKCOUNT, 1)
    while host_.stop_line == 0 and lua.getstack(L, level, &where):
        lua.getinfo(L, b"Sl", &where)
        if where.currentline > 0:
            host_.stop_line = where.currentline
            snprintf(host_.stop_source, sizeof(host_.stop_source), b"%s", where.source)
        level += 1
    raise_memory(L)


cdef void on_count(lua_State* L, lua_Debug* ar) noexcept nogil:
    check_time(L)


cdef void check_time(lua_State* L) noexcept nogil:
    cdef Host* host_ = host(L)
    cdef int64_t now
    if host_.stop is not NULL:
        stop(L)
    if not host_.running or (host_.seams.tick is NULL and not host_.loading):
        return
    now = monotonic_ns()
    if now < host_.tick_ns:
        return
    host_.tick_ns = now + TICK_NS
    if host_.loading:
        if now - host_.started_ns > LOADING_NS:
            host_.stop = b"-ERR FUNCTION LOAD timeout"
            stop(L)
        return
    host_.stop = host_.seams.tick(host_.seams.context, now - host_.started_ns)
    if host_.stop is not NULL:
        stop(L)


# ---------------------------------------------------------------- errors

cdef void push_error(lua_State* L, const char* text, size_t size) noexcept nogil:
    cdef bint coded = size > 0 and text[0] == c"-"
    if coded:
        text += 1
        size -= 1
    while size and (text[size - 1] == c"\r" or text[size - 1] == c"\n"):
        size -= 1
    lua.createtable(L, 0, 1)
    if coded and memchr(text, c" ", size) is not NULL:
        lua.pushlstring(L, text, size)
    else:
        lua.pushlstring(L, b"ERR ", 4)
        lua.pushlstring(L, text, size)
        lua.concat(L, 2)
    raw_setfield(L, -2, b"err")


cdef int raise_memory(lua_State* L) noexcept nogil:
    lua.newuserdata(L, <size_t>1 << 60)      # which raises it
    return 0


cdef int raise_error(lua_State* L, const char* text) noexcept nogil:
    push_error(L, text, strlen(text))
    return lua.error(L)


# ---------------------------------------------------------------- texts

cdef char* text_grow(lua_State* L, Text* text, size_t size) noexcept nogil:
    cdef Host* host_ = host(L)
    cdef size_t capacity = text.capacity * 2
    cdef char* bigger = NULL
    if capacity < text.used + size:
        capacity = text.used + size
    if capacity < 1024:
        capacity = 1024
    if host_.used + (capacity - text.capacity) <= host_.limit:
        bigger = <char*>realloc(text.data, capacity)
    if bigger is NULL:
        host_.refused = True
        raise_memory(L)
        return NULL
    host_.used += capacity - text.capacity
    text.data = bigger
    text.capacity = capacity
    return bigger + text.used


cdef void text_put(lua_State* L, Text* text, const char* data, size_t size) noexcept nogil:
    if size:
        memcpy(text_room(L, text, size), data, size)
        text.used += size


cdef void text_trim(Host* host) noexcept nogil:
    host.text.used = 0
    if host.text.capacity > TEXT_KEPT:
        host.used -= host.text.capacity
        free(host.text.data)
        host.text.data = NULL
        host.text.capacity = 0
