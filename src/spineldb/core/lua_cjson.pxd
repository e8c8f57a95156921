"""`cjson` for scripts: JSON."""

from spineldb.core.lua_api cimport lua_State
from spineldb.core.lua_host cimport JsonOptions

# The options a script finds.
cdef void json_defaults(JsonOptions* options) noexcept nogil
# Push the library's table; its functions go by the options of the state's host.
cdef void push_cjson(lua_State* L) noexcept nogil
