"""`cmsgpack` for scripts: MessagePack."""

from spineldb.core.lua_api cimport lua_State

# Push the library's table.
cdef void push_cmsgpack(lua_State* L) noexcept nogil
