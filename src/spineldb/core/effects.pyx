"""Effects: what a command changed, told to everybody who must know.

A command says `changed` for each key it changed. That counts toward the next snapshot, marks the
clients that WATCH the key, wakes those that wait for it and publishes the keyspace event. When the
command is over, `settle` appends its propagation form to every sink (the log, the replication
backlog): the request's own bytes, unless the command said otherwise by `propagate`. All of it
happens on one thread in one step with the change itself, so nothing can come between (EM-20).

The stream is RESP requests. A SELECT precedes whenever the database changes; several commands that
belong together stand between MULTI and EXEC. What EXEC or a script runs settles within it
(`settle_within`): each adds its part to the unit, and a command that fails takes back only its own.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdio cimport snprintf
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy

from spineldb.core.entry cimport KIND_MASK, entry_deadline, entry_key
from spineldb.core.root cimport ValueType, value_types
from spineldb.core.slab cimport Ref, at
from spineldb.core.table cimport table_hash, table_visit_prefix
from spineldb.clock cimport monotonic_ns
from spineldb.core.wheel cimport wheel_advance, wheel_next_ms, wheel_push

from spineldb import errors

cdef int PREFIX_BITS = 32                    # of the hash that the timing wheel keeps
cdef int64_t FIRE_SLICE = 64                 # prefixes fired between looks at the clock
cdef int64_t FIELD_SLICE = 256               # fields of one hash looked at between such looks

#: The class of each keyspace event that Python code announces.
EVENT_CLASSES = {
    name: event_class
    for event_class, names in {
        EVENT_GENERIC: "del rename_from rename_to move_from move_to copy_to expire persist restore "
                       "sortstore",
        EVENT_STRING: "set setrange append setbit incrby incrbyfloat pfadd",
        EVENT_LIST: "lpush rpush lpop rpop lrem linsert lset ltrim",
        EVENT_SET: "sadd srem spop sinterstore sunionstore sdiffstore",
        EVENT_HASH: "hset hincrby hincrbyfloat hdel hexpire hpersist hexpired",
        EVENT_ZSET: "zadd zincr zrem zremrangebyscore zremrangebyrank zremrangebylex zpopmin "
                    "zpopmax zunionstore zinterstore zdiffstore zrangestore geosearchstore "
                    "georadiusstore",
        EVENT_STREAM: "xadd xdel xtrim xsetid xgroup-create xgroup-setid xgroup-destroy "
                      "xgroup-createconsumer xgroup-delconsumer",
        EVENT_EXPIRED: "expired",
        EVENT_EVICTED: "evicted",
        EVENT_NEW: "new",
        EVENT_KEY_MISS: "keymiss",
        EVENT_OVERWRITTEN: "overwritten",
        EVENT_TYPE_CHANGED: "type_changed",
    }.items()
    for name in names.split()
}
EVENT_CLASSES[""] = 0                        # a change of which Redis publishes nothing


cdef class Sink:
    """Takes the effect stream. `RecordingSink` is the one of tests."""

    cdef int append(self, const char* data, size_t size) except -1:
        return 0


cdef class RecordingSink(Sink):
    """Keeps the effect stream in memory, so that a test can replay it into an empty server."""

    cdef bytearray stream
    cdef public bint refuses                 # fault injection: whatever it is given

    def __cinit__(self):
        self.stream = bytearray()

    cdef int append(self, const char* data, size_t size) except -1:
        if self.refuses:
            raise errors.InjectedFault
        self.stream += data[:size]
        return 0

    def take(self) -> bytes:
        """Return what was recorded since the last call."""
        taken = bytes(self.stream)
        self.stream.clear()
        return taken


class NotSettled(Exception):
    """A key was deleted because its time had passed, and nobody could be told: see `__cause__`."""


cdef class Effects(Undertaker):
    """Everybody who must know of a change, and the form in which they are told."""

    def __cinit__(self, Keyspace keyspace):
        self.keyspace = keyspace
        keyspace.undertaker = self
        self.channels = Channels()
        self.sinks = []
        self.ready = []
        self.stream_db = -1
        self.may_bury = True
        self.active_expiry = True

    def __dealloc__(self):
        free(self.unit)

    # -- what changed ------------------------------------------------------------------------------

    cdef int changed(self, Database db, const char* key, size_t size, int event_class,
                     const char* event, int64_t count) except -1:
        self.dirty += count
        if self.keyspace.watched_keys | self.awaited_keys | self.event_mask:
            self.announce(db, PyBytes_FromStringAndSize(key, <Py_ssize_t>size), event_class, event)
        return 0

    cdef int stored(self, Database db, const char* key, size_t size, int before, int after,
                    int event_class, const char* event, int64_t count) except -1:
        cdef bytes name
        self.dirty += count
        if self.keyspace.watched_keys | self.awaited_keys | self.event_mask:
            name = PyBytes_FromStringAndSize(key, <Py_ssize_t>size)
            self.replaced_value(db, name, before, after)
            self.announce(db, name, event_class, event)
        return 0

    cdef int replaced_value(self, Database db, bytes key, int before, int after) except -1:
        if before:
            self.tell(db.index, EVENT_OVERWRITTEN, b"overwritten", key)
            if before != after:
                self.tell(db.index, EVENT_TYPE_CHANGED, b"type_changed", key)
        return 0

    cdef int announce(self, Database db, bytes key, int event_class, bytes event) except -1:
        if self.event_mask & EVENT_NEW and self.keyspace.born and self.keyspace.born == table_hash(
            db.table, PyBytes_AS_STRING(key), <size_t>PyBytes_GET_SIZE(key)
        ):
            self.keyspace.born = 0
            self.tell(db.index, EVENT_NEW, b"new", key)
        if db.watched:
            db.touch_watchers(key)
        if db.awaited and key in db.awaited:
            kind, size = db.peek(key)
            self.ready.append((db, key, kind if size else 0))
        if self.event_mask & event_class:
            self.tell(db.index, event_class, event, key)
        return 0

    cdef int tell(self, int db, int event_class, bytes event, bytes key) except -1:
        if self.event_mask & event_class and (self.channels.channels or self.channels.patterns):
            if self.event_mask & EVENT_KEYSPACE:
                publish(self.channels, b"__keyspace@%d__:%b" % (db, key), event)
            if self.event_mask & EVENT_KEYEVENT:
                publish(self.channels, b"__keyevent@%d__:%b" % (db, event), key)
        return 0

    def note(self, Database db, bytes key, str event, int64_t count) -> None:
        """Say that `key` was changed; `event` is a keyspace event's name.

        A list, set, hash or sorted set that has become empty is removed.
        """
        cdef bint heard = self.keyspace.watched_keys | self.awaited_keys | self.event_mask
        self.dirty += count
        if heard:
            self.announce(db, key, EVENT_CLASSES[event], event.encode())
        if db.delete_empty(key) and heard:
            self.announce(db, key, EVENT_GENERIC, b"del")

    def listen(self, int mask) -> None:
        """Publish the keyspace events of these classes from now on (`EventClass` bits)."""
        self.event_mask = mask
        self.keyspace.born = 0               # by a change of which no event was published

    def touched(self, Database db, bytes key) -> None:
        """Mark those who watch or await `key`, without an event or a change to count."""
        self.announce(db, key, 0, b"")

    cdef bint bury(self, Database db, Found* found) except -1:
        """Delete a key whose time has passed, and propagate that; False where it is only hidden."""
        cdef size_t size
        cdef const char* key
        cdef bytes name
        if not self.may_bury:
            return False
        key = entry_key(found.entry, &size)
        name = PyBytes_FromStringAndSize(key, <Py_ssize_t>size)
        if self.feeding:
            self.tell_burial(db, name)
        db.remove(found)
        self.expired_keys += 1
        if self.keyspace.watched_keys | self.awaited_keys | self.event_mask:
            self.announce(db, name, EVENT_EXPIRED, b"expired")
        return True

    cdef int tell_burial(self, Database db, bytes name) except -1:
        """Have the unit delete a key. It is told before it is done: if that fails, nothing is."""
        cdef size_t size = self.unit_size
        cdef int commands = self.unit_commands
        cdef int selected = self.unit_db
        try:
            self.enter(db.index)
            self.opening(2)
            self.argument(b"DEL", 3)
            self.argument(PyBytes_AS_STRING(name), <size_t>PyBytes_GET_SIZE(name))
        except BaseException:
            self.unit_size = size
            self.unit_commands = commands
            self.unit_db = selected
            raise
        self.burials += 1
        return 0

    cdef int tell_fields(self, Database db, const char* key, size_t size, const Slice* fields,
                         int count) except -1:
        """Have the unit delete fields of a hash. As above, it is told before it is done."""
        cdef size_t unit_size = self.unit_size
        cdef int commands = self.unit_commands
        cdef int selected = self.unit_db
        cdef int i
        try:
            self.enter(db.index)
            self.opening(2 + count)
            self.argument(b"HDEL", 4)
            self.argument(key, size)
            for i in range(count):
                self.argument(fields[i].data, fields[i].size)
        except BaseException:
            self.unit_size = unit_size
            self.unit_commands = commands
            self.unit_db = selected
            raise
        self.burials += 1
        return 0

    def reset_statistics(self) -> None:
        """Forget how many keys and fields expired (CONFIG RESETSTAT)."""
        self.expired_keys = self.expired_fields = 0

    # -- the propagation form ----------------------------------------------------------------------

    cdef char* room(self, size_t size) except NULL:
        cdef char* bigger
        cdef size_t capacity
        if self.unit_capacity - self.unit_size < size:
            capacity = max(self.unit_capacity * 2, self.unit_size + size + 1024)
            bigger = <char*>realloc(self.unit, capacity)
            if bigger is NULL:
                raise MemoryError
            self.unit = bigger
            self.unit_capacity = capacity
        return self.unit + self.unit_size

    cdef int opening(self, int argc) except -1:
        """Begin a command in the database that the unit has selected."""
        cdef char* p = self.room(16)
        self.unit_size += <size_t>snprintf(p, 16, b"*%d\r\n", argc)
        self.unit_commands += 1
        return 0

    cdef int command(self, int argc) except -1:
        self.enter(self.home)
        self.opening(argc)
        self.replaced = True
        return 0

    cdef int enter(self, int index) except -1:
        """Have what follows in the unit run in this database. To select it is no effect."""
        if self.unit_size == 0:
            self.unit_first = self.unit_db = index
        elif index != self.unit_db:
            self.opening(2)
            self.argument(b"SELECT", 6)
            self.argument_int(index)
            self.unit_commands -= 1
            self.unit_db = index
        return 0

    cdef int argument(self, const char* data, size_t size) except -1:
        cdef char* p = self.room(size + 32)
        cdef int n = snprintf(p, 32, b"$%zu\r\n", size)
        memcpy(p + n, data, size)
        memcpy(p + n + size, b"\r\n", 2)
        self.unit_size += <size_t>n + size + 2
        return 0

    cdef int argument_int(self, int64_t value) except -1:
        cdef char[24] text
        return self.argument(text, <size_t>snprintf(text, 24, b"%lld", <long long>value))

    def propagate(self, *argv: bytes) -> None:
        """Say what is to be propagated instead of the request; several calls travel together.

        Without arguments nothing is propagated (unless other calls follow).
        """
        cdef bytes argument
        self.replaced = True
        if self.feeding and argv:
            self.command(<int>len(argv))
            for argument in argv:
                self.argument(PyBytes_AS_STRING(argument), <size_t>PyBytes_GET_SIZE(argument))

    cdef void begin_within(self, int db) noexcept:
        self.base_size = self.unit_size
        self.base_commands = self.unit_commands
        self.base_db = self.unit_db
        self.home = db
        self.burials = 0
        self.replaced = False

    cdef void drop(self) noexcept:
        self.unit_size = self.base_size
        self.unit_commands = self.base_commands
        self.unit_db = self.base_db
        self.burials = 0
        self.replaced = False

    cdef void reset_unit(self) noexcept:
        self.base_size = 0
        self.base_commands = 0
        self.drop()

    cdef int fail_if_told(self, bint changed) except -1:
        """Fail in the place of a sink, where a test asked for it."""
        if self.fail_next > 0 and (changed or self.unit_commands > self.base_commands):
            self.fail_next -= 1
            raise errors.InjectedFault
        return 0

    cdef int settle(self, Request* request, bint changed) except -1:
        """Hand the effects of the command that ran, and of all within it, to every sink."""
        try:
            self.fail_if_told(changed)
            if not self.feeding:
                return 0
            if changed and not self.replaced and request is not NULL:
                if request.raw is not NULL and self.unit_commands == 0 and (
                    self.stream_db == self.home
                ):
                    return self.feed(request.raw, request.raw_size)
                self.add_request(request)
            if self.unit_commands:
                self.send_unit()
        finally:
            self.reset_unit()
        return 0

    cdef int settle_within(self, Request* request, bint changed) except -1:
        """Add the effects of a command that ran within another to its unit."""
        self.fail_if_told(changed)
        if self.feeding and changed and not self.replaced:
            self.add_request(request)
        return 0

    cdef int add_request(self, Request* request) except -1:
        cdef int i
        self.command(request.argc)
        for i in range(request.argc):
            self.argument(request.argv[i].data, request.argv[i].size)
        return 0

    cdef int send_unit(self) except -1:
        cdef bytes select = b""
        if self.stream_db != self.unit_first:
            select = encoded(b"SELECT", b"%d" % self.unit_first)
        cdef bytes unit = self.unit[:self.unit_size]
        if self.unit_commands > 1:
            unit = b"*1\r\n$5\r\nMULTI\r\n" + unit + b"*1\r\n$4\r\nEXEC\r\n"
        unit = select + unit
        self.feed(PyBytes_AS_STRING(unit), <size_t>PyBytes_GET_SIZE(unit))
        self.stream_db = self.unit_db
        return 0

    cdef int feed(self, const char* data, size_t size) except -1:
        cdef Sink sink
        for sink in self.sinks:
            sink.append(data, size)
        return 0

    def add_sink(self, Sink sink) -> None:
        """Send the effect stream to one more sink; it begins with a SELECT."""
        self.sinks = [*self.sinks, sink]
        self.feeding = True
        self.stream_db = -1

    def remove_sink(self, Sink sink) -> None:
        """Stop sending the effect stream to a sink."""
        self.sinks = [one for one in self.sinks if one is not sink]
        self.feeding = bool(self.sinks)

    # -- time passes -------------------------------------------------------------------------------

    cdef int expire_prefix(self, Database db, uint32_t prefix) except -1:
        """Bury every key with this hash prefix whose time has passed; push the others anew.

        1 if there is a hash among them that has more fields to delete than were looked at.
        """
        cdef int unfinished = 0
        cdef Due due
        cdef Found found
        cdef size_t i, size
        cdef const char* key
        cdef uint8_t* entry
        self.begin(db.index)
        while True:
            due.now_ms = self.keyspace.now_ms
            due.count = 0
            due.full = False
            due.db = <void*>db
            table_visit_prefix(db.table, prefix, PREFIX_BITS, collect_due, &due)
            for i in range(due.count):
                entry = <uint8_t*>at(db.slabs, due.refs[i])
                key = entry_key(entry, &size)
                db.find_hashed(key, size, due.hashes[i], &found)
                if found.expired:
                    self.bury(db, &found)
                elif found.entry is not NULL and inner_deadline(found.entry) >= 0:
                    unfinished |= expire_fields(self, db, &found, FIELD_SLICE)
                else:
                    continue
                try:
                    self.settle(NULL, False)
                except Exception as error:
                    raise NotSettled from error
            if not due.full:
                return unfinished

    def expire(self, int64_t budget_us) -> bool:
        """Delete keys whose time has passed, for at most `budget_us`; tell whether more are due.

        Takes due slots of each database's timing wheel in order and leaves the rest to the next
        turn, so that a million keys due at once never stall anybody. Raises NotSettled.
        """
        cdef Database db
        cdef Firing firing
        cdef int64_t until_ns
        cdef bint more = False
        cdef bint left
        if not (self.may_bury and self.active_expiry):
            return False
        until_ns = monotonic_ns() + budget_us * 1000
        for db in self.keyspace.databases:
            firing.effects = <void*>self
            firing.until_ns = until_ns
            firing.db = <void*>db
            left = True
            while left:
                wheel_advance(db.wheel, self.keyspace.now_ms, FIRE_SLICE, fire, &firing, &left)
                if left and monotonic_ns() >= until_ns:
                    more = True
                    break
        return more

    def next_expiry_ms(self) -> int:
        """Return when a key may be due next, in Unix milliseconds; -1 if none ever is."""
        cdef Database db
        cdef int64_t one
        cdef int64_t first = -1
        for db in self.keyspace.databases:
            one = wheel_next_ms(db.wheel)
            if one >= 0 and (first < 0 or one < first):
                first = one
        return first


cdef inline int64_t inner_deadline(const uint8_t* entry) noexcept:
    """When a field of a hash expires, or -1."""
    cdef ValueType* kind = &value_types[entry[0] & KIND_MASK]
    return -1 if kind.next_deadline is NULL else kind.next_deadline(entry)


cdef enum:
    DUE_MAX = 64

cdef struct Due:
    int64_t now_ms
    size_t count
    bint full
    void* db
    Ref[DUE_MAX] refs
    uint64_t[DUE_MAX] hashes


cdef int collect_due(void* context, uint64_t hash, Ref* ref) except -2:
    cdef Due* due = <Due*>context
    cdef Database db = <Database>due.db
    cdef uint8_t* entry = <uint8_t*>at(db.slabs, ref[0])
    cdef int64_t deadline = entry_deadline(entry)
    cdef int64_t inner = inner_deadline(entry)
    if inner >= 0 and (deadline < 0 or inner < deadline):
        deadline = inner
    if deadline < 0:
        return 0
    if deadline > due.now_ms:
        db.push_deadline(hash, deadline)     # fired early: the deadline was moved since
        return 0
    if due.count == DUE_MAX:
        due.full = True
        return -1
    due.refs[due.count] = ref[0]
    due.hashes[due.count] = hash
    due.count += 1
    return 0


cdef struct Firing:
    void* effects
    void* db
    int64_t until_ns


cdef int fire(void* context, uint32_t prefix) except -2:
    """See to what has this prefix; to the fields of a large hash for as long as there is time."""
    cdef Firing* firing = <Firing*>context
    cdef Database db = <Database>firing.db
    while (<Effects>firing.effects).expire_prefix(db, prefix):
        if monotonic_ns() >= firing.until_ns:
            wheel_push(db.wheel, db.keyspace.now_ms, prefix)
            return -1
    return 0


cdef int publish(Channels channels, bytes channel, bytes message) except -1:
    cdef Slice to, what
    to.data = PyBytes_AS_STRING(channel)
    to.size = <size_t>PyBytes_GET_SIZE(channel)
    to.block = NULL
    what.data = PyBytes_AS_STRING(message)
    what.size = <size_t>PyBytes_GET_SIZE(message)
    what.block = NULL
    channels.publish(&to, &what)
    return 0


def encoded(*argv: bytes) -> bytes:
    """A request in RESP."""
    return b"*%d\r\n" % len(argv) + b"".join(b"$%d\r\n%s\r\n" % (len(a), a) for a in argv)
