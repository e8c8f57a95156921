"""`struct` for scripts: binary records."""

from spineldb.core.lua_api cimport lua_State

# Push the library's table.
cdef void push_struct(lua_State* L) noexcept nogil
