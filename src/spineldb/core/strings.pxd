"""Strings: how they are stored, and how they grow."""

from libc.stdint cimport int64_t, uint8_t

from spineldb.core.keyspace cimport Database, Found
from spineldb.core.slab cimport Block

# Store a string under the key that was looked up, whatever stood there before.
cdef int put_string(Database db, Found* found, const char* key, size_t key_size, const char* value,
                    size_t size, Block* block, int64_t deadline, uint8_t sticky) except -1
# Give the string under `key` a new length and return its bytes for writing.
cdef char* resize_string(Database db, Found* found, const char* key, size_t key_size, size_t size,
                         size_t* old_size) except NULL
