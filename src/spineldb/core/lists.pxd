"""Lists: in their entry while they are small, then a chain of chunks.

The functions take a key that was looked up and keep `found` up to date. On MemoryError nothing has
changed. Saying what changed is the caller's business.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t

from spineldb.core.chunks cimport Chain, Cursor
from spineldb.core.keyspace cimport Database, Found, View
from spineldb.core.resp cimport Output, Slice
from spineldb.core.root cimport Root

cdef enum:
    QUICK = 1                    # the form of a list that is called `quicklist`
    PACKED_MAX = 1024            # bytes of elements that are kept in the entry
    REPACK_MAX = 256             # bytes that go back into it

cdef struct ListRoot:
    Root root
    Chain chain

cdef class List(View):
    pass

cdef int64_t list_count(const uint8_t* entry) noexcept
# At the element of that index, which must exist, or behind the last one.
cdef void list_seek(Database db, const uint8_t* entry, int64_t index, Cursor* cursor) noexcept
# The element at an end of a list that has one.
cdef void list_end(Database db, const uint8_t* entry, bint left, Slice* value) noexcept
# Push values one after another; creates the list.
cdef int list_push(Database db, Found* found, const char* key, size_t key_size,
                   const Slice* values, int64_t count, bint left) except -1
# Store a list of values over whatever the key holds; they may lie in what is replaced.
cdef int list_store(Database db, Found* found, const char* key, size_t key_size,
                    const Slice* values, int64_t count) except -1
# Remove elements from the ends, at most all. An empty list stays: the caller removes it.
cdef int list_trim(Database db, Found* found, int64_t left, int64_t right) except -1
cdef int list_drop(Database db, Found* found, bint left, int64_t count) except -1
cdef int list_insert(Database db, Found* found, int64_t index, const Slice* value) except -1
cdef int list_set(Database db, Found* found, int64_t index, const Slice* value) except -1
# Remove up to `limit` elements equal to `value`, from the left or right; returns how many.
cdef int64_t list_remove(Database db, Found* found, const Slice* value, int64_t limit,
                         bint left) except -1
# Move an element from an end of one list to an end of another, or of the same. Both were looked up;
# `place` was not found perhaps. Afterwards `found` is looked up anew. The source may be empty.
cdef int list_move(Database db, Found* found, Found* place, const char* key, size_t key_size,
                   bint from_left, bint to_left) except -1
