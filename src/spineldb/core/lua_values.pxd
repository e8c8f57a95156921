"""Between the stack of Lua and the core's buffers, without a Python object."""

from spineldb.core.lua_api cimport lua_State
from spineldb.core.resp cimport Output, Slice

# Push what a reply of `protocol` is to a script. It is one whole reply of RESP.
cdef void push_reply(lua_State* L, const Output* reply) noexcept nogil
# Answer a client of `protocol` with the value on the top of the stack, which is popped.
cdef void write_value(lua_State* L, Output* out, int protocol, int seen_protocol) noexcept nogil
# The arguments of a C function as a request; NULL (and an error on the top) if one cannot be one.
# They are good until the function returns or the next request is made.
cdef Slice* read_arguments(lua_State* L, int count) noexcept nogil
# Push a table of some arguments.
cdef void push_arguments(lua_State* L, const Slice* items, int count) noexcept nogil
# A number as the argument of a command; writes at most CONVERTED bytes.
cdef int format_argument(double number, char* out) noexcept nogil
