"""What the bodies of other collections' commands take from the sets'."""

from libc.stdint cimport int64_t

from spineldb.core.keyspace cimport Keyspace
from spineldb.core.resp cimport Output
from spineldb.core.slab cimport Ref
from spineldb.core.table cimport Table

# A random number from 0 to `limit` - 1.
cdef int64_t below(Keyspace keyspace, int64_t limit) noexcept
# Draw entries until they are `count` different ones, fewer than there are. False without memory.
cdef bint draw(Keyspace keyspace, Table* table, int64_t count, Ref* refs) noexcept
# Insert what had to be known first before the replies from a position on.
cdef void put_in_front(Output* out, size_t position, const char* text, size_t size) noexcept
