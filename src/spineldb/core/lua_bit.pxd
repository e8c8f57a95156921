"""`bit` for scripts: operations on 32-bit integers."""

from spineldb.core.lua_api cimport lua_State

# Push the library's table.
cdef void push_bit(lua_State* L) noexcept nogil
