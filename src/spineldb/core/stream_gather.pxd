"""Putting the nodes of a stream together that have lost most of their entries."""

from libc.stdint cimport int64_t

from spineldb.core.slab cimport Slabs
from spineldb.core.stream_nodes cimport StreamRoot

# Put what fits together into the node at `position`, and move it out of a sparse slab. Returns how
# many entries it looked at.
cdef int64_t node_settle(Slabs* slabs, StreamRoot* stream, int64_t position,
                         int64_t* moved) noexcept nogil
