"""The keyspace: all databases with their memory, and the work that goes on between requests."""

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint64_t

# What most users of a keyspace need of its parts: cimport it from here.
from spineldb.core.database cimport (
    SIZE_BINS, SIZE_KINDS, Database, Found, Undertaker, View,
)
from spineldb.core.store cimport RESERVE_BYTES, Store

cdef class Keyspace(Store):
    cdef size_t owed(self) noexcept          # bytes of `slabs.used` that only wait to be freed
    cdef bint in_debt(self) noexcept         # they are so many that writers must help
    cdef Database database(self, int index)
