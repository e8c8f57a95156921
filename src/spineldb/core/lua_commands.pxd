"""The table `redis` of scripts: commands, replies, the log."""

from spineldb.core.lua_api cimport lua_State

# Push the library's table; its names of versions are those given. A library of functions that is
# loading finds register_function there as well.
cdef void push_commands(lua_State* L, const char* version, int version_number,
                        const char* server, bint registers) noexcept nogil
