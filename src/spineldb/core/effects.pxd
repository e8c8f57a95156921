"""Effects, the C half: what a command changed, told to everybody who must know."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from spineldb.core.channels cimport Channels
from spineldb.core.keyspace cimport Database, Found, Keyspace, Undertaker
from spineldb.core.resp cimport Request, Slice

cpdef enum EventClass:           # the bits of notify-keyspace-events, as in Redis
    EVENT_KEYSPACE = 1 << 0      # K
    EVENT_KEYEVENT = 1 << 1      # E
    EVENT_GENERIC = 1 << 2       # g
    EVENT_STRING = 1 << 3        # $
    EVENT_LIST = 1 << 4          # l
    EVENT_SET = 1 << 5           # s
    EVENT_HASH = 1 << 6          # h
    EVENT_ZSET = 1 << 7          # z
    EVENT_EXPIRED = 1 << 8       # x
    EVENT_EVICTED = 1 << 9       # e
    EVENT_STREAM = 1 << 10       # t
    EVENT_KEY_MISS = 1 << 11     # m
    EVENT_LOADED = 1 << 12
    EVENT_MODULE = 1 << 13       # d
    EVENT_NEW = 1 << 14          # n
    EVENT_OVERWRITTEN = 1 << 15  # o
    EVENT_TYPE_CHANGED = 1 << 16  # c

cdef class Sink:
    # Take a piece of the effect stream: whole requests, never a part of one. Raises if it cannot.
    cdef int append(self, const char* data, size_t size) except -1

cdef class Effects(Undertaker):
    cdef readonly Keyspace keyspace
    cdef public int64_t dirty                # changes since the last snapshot
    cdef readonly int64_t expired_keys
    cdef public int64_t expired_fields       # of hashes
    cdef readonly list sinks
    cdef bint feeding                        # there is a sink
    cdef int stream_db                       # the database the stream has selected; -1: none
    cdef readonly list ready                 # (database, key, kind it has by then) that are awaited
    cdef public int64_t awaited_keys         # entries of all `awaited` registries
    cdef readonly int event_mask             # EventClass bits somebody wants to hear of
    cdef readonly Channels channels          # where keyspace events and messages are published
    cdef public bint may_bury                # expired keys may be deleted (not on a replica)
    cdef public bint active_expiry           # DEBUG SET-ACTIVE-EXPIRE
    cdef public int fail_next                # fault injection: this many units cannot be prepared
    # the unit being built: commands propagated by the command that runs, and within it
    cdef char* unit
    cdef size_t unit_size
    cdef size_t unit_capacity
    cdef int unit_commands
    cdef int unit_first                      # the database in which the unit begins
    cdef int unit_db                         # the one it has selected by now
    # the part of the command that runs: from here on, where it runs within another
    cdef size_t base_size
    cdef int base_commands
    cdef int base_db
    cdef int home                            # its database
    cdef int burials                         # commands of its part for keys whose time had passed
    cdef bint replaced                       # propagate() was called: the request is not sent

    # Say that a key was changed: `count` changes, one event.
    cdef int changed(self, Database db, const char* key, size_t size, int event_class,
                     const char* event, int64_t count) except -1
    # The same of a key that was given a whole value: of kind `after`, in place of one of kind
    # `before` (0: there was none). Publishes what was replaced first.
    cdef int stored(self, Database db, const char* key, size_t size, int before, int after,
                    int event_class, const char* event, int64_t count) except -1
    # Publish that a value was replaced, and whether by one of another kind.
    cdef int replaced_value(self, Database db, bytes key, int before, int after) except -1
    cdef int announce(self, Database db, bytes key, int event_class, bytes event) except -1
    # Publish a keyspace event, where its class is asked for.
    cdef int tell(self, int db, int event_class, bytes event, bytes key) except -1
    # A command begins in this database: a unit of its own.
    cdef inline void begin(self, int db) noexcept:
        self.home = self.unit_first = self.unit_db = self.base_db = db

    # A command begins within the one that runs: a part of its unit.
    cdef void begin_within(self, int db) noexcept
    # Begin a command of the unit, of `argc` arguments that follow by `argument`.
    cdef int command(self, int argc) except -1
    cdef int argument(self, const char* data, size_t size) except -1
    cdef int argument_int(self, int64_t value) except -1
    # The command is over: hand its effects to the sinks.
    cdef int settle(self, Request* request, bint changed) except -1
    # The same of one that ran within another, which will hand them on.
    cdef int settle_within(self, Request* request, bint changed) except -1
    # Forget the part of the command that runs; the whole unit, where it is not within another.
    cdef void drop(self) noexcept
    cdef int fail_if_told(self, bint changed) except -1
    cdef int add_request(self, Request* request) except -1
    cdef int send_unit(self) except -1
    cdef void reset_unit(self) noexcept
    cdef int enter(self, int index) except -1
    cdef int opening(self, int argc) except -1
    cdef int tell_burial(self, Database db, bytes name) except -1
    # The same of fields of a hash: told before it is done.
    cdef int tell_fields(self, Database db, const char* key, size_t size, const Slice* fields,
                         int count) except -1
    cdef char* room(self, size_t size) except NULL
    cdef int feed(self, const char* data, size_t size) except -1
    cdef int expire_prefix(self, Database db, uint32_t prefix) except -1

# Look at about `limit` fields of the hash that was looked up, delete those whose time has passed
# and propagate that. True if more may be due: then the caller goes on, or pushes the key anew. Else
# what remains will be looked at when it is due. core/hashes, which stands on this module, puts its
# function here.
ctypedef bint (*ExpireFields)(Effects effects, Database db, Found* found, int64_t limit) except -1
cdef ExpireFields expire_fields
