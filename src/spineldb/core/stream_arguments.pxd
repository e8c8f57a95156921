"""What commands on streams read: ids, ends of ranges, the stream of a key, one of its groups."""

from libc.stdint cimport int64_t, uint8_t

from spineldb.core.resp cimport Output, Slice
from spineldb.core.streams cimport ID, Consumer, Group, StreamRoot

cdef bytes bytes_of(const Slice* text)
# These raise what the client is to be told.
cdef int64_t integer_of(const Slice* text) except? -1
cdef int id_of(const Slice* text, ID* id) except -1
# One end of a range; a `(` before it leaves the id itself out.
cdef int edge_of(const Slice* text, bint end, ID* id) except -1
# The stream that an entry is; NULL for none.
cdef StreamRoot* typed(uint8_t* entry) except? NULL
# The group of a stream that may be missing.
cdef Group* group_of(StreamRoot* stream, const Slice* key, const Slice* name) except NULL
# The group that XGROUP and XINFO name, of a stream that is there.
cdef Group* named_group(StreamRoot* stream, const Slice* argv) except NULL

cdef void out_name(Output* out, const Consumer* consumer) noexcept nogil
