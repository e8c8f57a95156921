"""A call: what the body of a command may touch.

Compiled bodies use the C functions; `engine.context.Context` adds what Python bodies use. There is
one call per dispatcher, refilled for each command: commands run to completion, one at a time.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE

from spineldb.core.effects cimport EVENT_GENERIC, EVENT_KEY_MISS
from spineldb.core.entry cimport value_size_of
from spineldb.core.resp cimport out_error
from spineldb.core.session cimport NO_TOUCH
from spineldb.core.table cimport table_hash, table_prefetch, table_prefetch_entries


cdef class Body:
    """A compiled body of a command (a function of C; see `BodyFunction`)."""

    def __repr__(self) -> str:
        return f"<compiled body {self.name}>"


cdef Body body(BodyFunction function, str name):
    cdef Body made = Body.__new__(Body)
    made.function = function
    made.name = name
    return made


cdef class Deferred:
    """A command's answer that is not a reply: the client is parked, or gets none at all."""


#: Returned by a command that answers nothing (CLIENT REPLY OFF).
NO_REPLY = Deferred()


cdef class Call:
    """What the body of a command may touch."""

    def __cinit__(self, Effects effects, *args, **kwargs):
        self.effects = effects
        self.keyspace = effects.keyspace

    cdef uint8_t* find(self, Slice* key, Found* found) except? NULL:
        return self.db.lookup(
            key.data, key.size, table_hash(self.db.table, key.data, key.size), found)

    cdef void fetch_ahead(self, Slice* argv, int start, int stop, int step) noexcept:
        cdef int i
        cdef int count = 0
        for i in range(start, stop, step):
            self.hashes[count] = table_hash(self.db.table, argv[i].data, argv[i].size)
            table_prefetch(self.db.table, self.hashes[count])
            count += 1
            if count == TOGETHER:
                break
        for i in range(count):
            table_prefetch_entries(self.db.table, self.hashes[i])

    cdef uint8_t* nth(self, Slice* argv, int i, int stop, int step, int n,
                      Found* found) except? NULL:
        if n % TOGETHER == 0:
            self.fetch_ahead(argv, i, stop, step)
        return self.db.lookup(argv[i].data, argv[i].size, self.hashes[n % TOGETHER], found)

    cdef uint8_t* first(self, Slice* key, Found* found) except? NULL:
        if self.request.hashed:
            return self.db.lookup(key.data, key.size, self.request.hash, found)
        return self.find(key, found)

    cdef uint8_t* accessed(self, Slice* key, uint8_t* entry) except? NULL:
        if entry is not NULL:
            self.hits += 1
            if not self.client.flags & NO_TOUCH:
                self.keyspace.touch(entry)
            return entry
        return self.counted(key, NULL)

    cdef uint8_t* counted(self, Slice* key, uint8_t* entry) except? NULL:
        if entry is not NULL:
            self.hits += 1
            return entry
        self.misses += 1
        if self.effects.event_mask & EVENT_KEY_MISS:
            self.effects.tell(self.db.index, EVENT_KEY_MISS, b"keymiss", key.data[:key.size])
        return NULL

    cdef uint8_t* read_first(self, Slice* key, Found* found) except? NULL:
        return self.accessed(key, self.first(key, found))

    cdef uint8_t* read(self, Slice* key, Found* found) except? NULL:
        return self.accessed(key, self.find(key, found))

    cdef int changed(self, Slice* key, int event_class, const char* event, int64_t count) except -1:
        return self.effects.changed(self.db, key.data, key.size, event_class, event, count)

    cdef int changed_value(self, Slice* key, Found* found, int event_class, const char* event,
                           int64_t count) except -1:
        self.changed(key, event_class, event, count)
        if value_size_of(found.entry) == 0:
            self.db.remove(found)
            self.changed(key, EVENT_GENERIC, b"del", 0)
        return 0

    cdef int stored(self, Slice* key, int before, int after, int event_class, const char* event,
                    int64_t count) except -1:
        return self.effects.stored(
            self.db, key.data, key.size, before, after, event_class, event, count)

    cdef int refuse(self, bytes text) except -1:
        """Answer an error; the body returns right after it and has changed nothing."""
        out_error(self.out, PyBytes_AS_STRING(text), <size_t>PyBytes_GET_SIZE(text))
        return 0

    @property
    def argv(self) -> list:
        """The request's arguments, the command's name first (copies)."""
        cdef int i
        return [
            PyBytes_FromStringAndSize(
                self.request.argv[i].data, <Py_ssize_t>self.request.argv[i].size)
            for i in range(self.request.argc)
        ]

    def looked_up(self, bytes key, bint hit) -> None:
        """Count one look-up for reading, and publish `keymiss` if nothing was found."""
        self.count_read(hit)
        if not hit and self.effects.event_mask & EVENT_KEY_MISS:
            self.effects.tell(self.db.index, EVENT_KEY_MISS, b"keymiss", key)

    def count_read(self, bint hit) -> None:
        """Count one look-up for reading (keyspace_hits, keyspace_misses)."""
        if hit:
            self.hits += 1
        else:
            self.misses += 1
