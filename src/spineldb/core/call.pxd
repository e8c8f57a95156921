"""A call: what the body of a command may touch. The C half of engine/context.py."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from spineldb.core.effects cimport Effects
from spineldb.core.entry cimport KIND_MASK
from spineldb.core.keyspace cimport Database, Found, Keyspace
from spineldb.core.resp cimport Output, Request, Slice
from spineldb.core.session cimport Executor, Session

cdef enum:
    TOGETHER = 16                # keys of one request that are fetched at once

cdef class Call:
    cdef readonly Effects effects
    cdef readonly Keyspace keyspace
    cdef readonly Session client
    cdef readonly Database db
    cdef readonly object command             # dispatch.Command
    cdef Executor executor                   # dispatch.Dispatcher, for what runs commands itself
    cdef uint64_t[TOGETHER] hashes           # of the keys that were fetched ahead
    cdef public int64_t hits, misses         # keyspace_hits, keyspace_misses
    cdef Request* request                    # NULL when the arguments are not in an input buffer
    cdef Output* out
    cdef int protocol

    # Look a key up, burying what has expired; the first key's hash is known from the look-ahead.
    cdef uint8_t* first(self, Slice* key, Found* found) except? NULL
    cdef uint8_t* find(self, Slice* key, Found* found) except? NULL
    # Look up the `n`-th of many keys, which stands at `argv[i]`; `stop` and `step` tell where the
    # following ones are: their buckets and entries are fetched ahead, so that they come together.
    cdef uint8_t* nth(self, Slice* argv, int i, int stop, int step, int n,
                      Found* found) except? NULL
    cdef void fetch_ahead(self, Slice* argv, int start, int stop, int step) noexcept
    # The same for reading: records the access, counts hits and misses, publishes `keymiss`.
    cdef uint8_t* read_first(self, Slice* key, Found* found) except? NULL
    cdef uint8_t* read(self, Slice* key, Found* found) except? NULL
    # Count a look-up for reading that records no access (EXISTS, TTL ...); returns `entry`.
    cdef uint8_t* counted(self, Slice* key, uint8_t* entry) except? NULL
    cdef int changed(self, Slice* key, int event_class, const char* event, int64_t count) except -1
    # The same for a collection that was looked up: it is removed if it has become empty.
    cdef int changed_value(self, Slice* key, Found* found, int event_class, const char* event,
                           int64_t count) except -1
    # The same of a key that was given a whole value, see `Effects.stored`.
    cdef int stored(self, Slice* key, int before, int after, int event_class, const char* event,
                    int64_t count) except -1
    cdef int refuse(self, bytes text) except -1
    cdef uint8_t* accessed(self, Slice* key, uint8_t* entry) except? NULL

cdef inline int kind_there(const Found* found) noexcept nogil:
    """The kind of the value that was found, 0 if there is none."""
    return 0 if found.entry is NULL else found.entry[0] & KIND_MASK

cdef inline bint keyword(const Slice* word, const char* upper, size_t size) noexcept nogil:
    """Is the argument this option, in any case?"""
    cdef size_t i
    cdef char c
    if word.size != size:
        return False
    for i in range(size):
        c = word.data[i]
        if (c - 32 if 97 <= c <= 122 else c) != upper[i]:
            return False
    return True

cdef enum:
    UNANSWERED = -2              # by a body that has written nothing: the client may have to wait

# A compiled body: writes the whole reply to `call.out`. `argv[0]` is the name. One that is
# declared as `quick` may return UNANSWERED; the Python body then says what is waited for.
ctypedef int (*BodyFunction)(Call call, Slice* argv, int argc) except -1

cdef class Body:
    cdef BodyFunction function
    cdef readonly str name

cdef Body body(BodyFunction function, str name)

# A reply that does not come now: the engine's Wait and Outside derive from it.
cdef class Deferred:
    pass
