"""Channels: who hears what is published.

A message is encoded once for each channel or pattern that it goes to, and copied into the output of
each client that hears it; the two protocols differ in the first byte. A big message travels in its
block, which every output refers to. Order is kept per publisher because there is one writer; a
client that reads too slowly is closed at the limit of its output, and never skipped.

A push to the client whose command runs follows the reply of that command.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_Next
from libc.string cimport memset

from spineldb.core.glob cimport glob_match
from spineldb.core.resp cimport (
    PIN_FROM, out_array, out_bulk, out_bulk_block, out_clear, out_raw, out_value,
)
from spineldb.core.session cimport Session


cdef class Subscriptions:
    """What one client is subscribed to."""

    def __cinit__(self):
        self.channels = {}
        self.patterns = {}
        self.shard_channels = {}

    cdef dict of(self, int kind):
        return self.channels if kind == CHANNEL else (
            self.patterns if kind == PATTERN else self.shard_channels)

    def names(self, kind: int) -> list[bytes]:
        """Return the names of one kind."""
        return list(self.of(kind))

    def count(self, kind: int) -> int:
        """Return how many subscriptions a confirmation tells: shard channels are counted apart."""
        if kind == SHARD:
            return len(self.shard_channels)
        return len(self.channels) + len(self.patterns)

    def __len__(self) -> int:
        return len(self.channels) + len(self.patterns) + len(self.shard_channels)


cdef class Channels:
    """Who is subscribed to what."""

    def __cinit__(self):
        self.channels = {}
        self.patterns = {}
        self.shard_channels = {}
        self.pushes = []

    cdef dict of(self, int kind):
        return self.channels if kind == CHANNEL else (
            self.patterns if kind == PATTERN else self.shard_channels)

    def subscribe(self, Session session not None, int kind, bytes name) -> None:
        """Have a client hear what is published to a channel, or to those of a pattern."""
        cdef Subscriptions subscriptions = session.subscriptions
        if subscriptions is None:
            session.subscriptions = subscriptions = Subscriptions()
        subscriptions.of(kind)[name] = None
        self.of(kind).setdefault(name, {})[session] = None

    def unsubscribe(self, Session session not None, int kind, bytes name) -> None:
        """Undo `subscribe`; nothing happens if there was none."""
        cdef Subscriptions subscriptions = session.subscriptions
        if subscriptions is None or name not in subscriptions.of(kind):
            return
        del subscriptions.of(kind)[name]
        registry = self.of(kind)
        del registry[name][session]
        if not registry[name]:
            del registry[name]
        if not len(subscriptions):
            session.subscriptions = None

    def push(self, Session session not None, object value) -> None:
        """Send a client a push: after the reply, if its command is the one that runs."""
        cdef Output frame
        if <PyObject*>session != self.executing:
            out_value(&session.out, value, session.protocol)
            session.wake()
            return
        memset(&frame, 0, sizeof(Output))
        try:
            out_value(&frame, value, session.protocol)
            self.pushes.append((session, framed(&frame, NULL)))
        finally:
            out_clear(&frame)

    cdef int flush(self) except -1:
        cdef Session session
        cdef bytes frame
        cdef list pushes = self.pushes
        self.pushes = []
        for session, frame in pushes:
            out_raw(&session.out, PyBytes_AS_STRING(frame), <size_t>PyBytes_GET_SIZE(frame))
            session.wake()
        return 0

    # -- publishing --------------------------------------------------------------------------------

    cdef int64_t publish(self, Slice* channel, Slice* message) except -1:
        cdef int64_t heard = 0
        cdef Py_ssize_t at = 0
        cdef PyObject* name
        cdef PyObject* subscribers
        cdef Output head
        if self.channels:
            found = self.channels.get(channel.data[:channel.size])
            if found is not None:
                begin(&head, b"message", 3, NULL, channel)
                heard += self.deliver(<dict>found, &head, message)
        while PyDict_Next(self.patterns, &at, &name, &subscribers):
            if glob_match(PyBytes_AS_STRING(<object>name),
                          <size_t>PyBytes_GET_SIZE(<object>name),
                          channel.data, channel.size, False):
                begin(&head, b"pmessage", 4, name, channel)
                heard += self.deliver(<dict>subscribers, &head, message)
        return heard

    cdef int64_t publish_shard(self, Slice* channel, Slice* message) except -1:
        cdef Output head
        found = self.shard_channels.get(channel.data[:channel.size])
        if found is None:
            return 0
        begin(&head, b"smessage", 3, NULL, channel)
        return self.deliver(<dict>found, &head, message)

    cdef int deliver(self, dict subscribers, Output* head, Slice* message) except -1:
        """Send a message to all of these; `head` is what stands before it, and is taken."""
        cdef Py_ssize_t at = 0
        cdef PyObject* one
        cdef Session session
        cdef bint whole = message.block is NULL or message.size < PIN_FROM
        try:
            if whole:
                out_bulk(head, message.data, message.size)
            if head.failed:
                raise MemoryError
            while PyDict_Next(subscribers, &at, &one, NULL):
                session = <Session>one
                head.data[0] = c">" if session.protocol == 3 else c"*"
                if one == self.executing:
                    self.pushes.append((session, framed(head, NULL if whole else message)))
                    continue
                out_raw(&session.out, head.data, head.used)
                if not whole:
                    out_bulk_block(&session.out, message.block)
                session.wake()
        finally:
            out_clear(head)
        return <int>len(subscribers)


cdef void begin(Output* head, const char* word, int count, PyObject* pattern,
                Slice* channel) noexcept:
    """Begin a message: its kind, the pattern, the channel."""
    cdef size_t size = 7 if count == 3 and word[0] == c"m" else 8
    memset(head, 0, sizeof(Output))
    out_array(head, count)
    out_bulk(head, word, size)
    if pattern is not NULL:
        out_bulk(head, PyBytes_AS_STRING(<object>pattern),
                 <size_t>PyBytes_GET_SIZE(<object>pattern))
    out_bulk(head, channel.data, channel.size)


cdef bytes framed(Output* head, Slice* message):
    """A message as bytes."""
    cdef bytes frame = PyBytes_FromStringAndSize(head.data, <Py_ssize_t>head.used)
    if message is not NULL:
        frame += b"$%d\r\n%b\r\n" % (message.size, message.data[:message.size])
    return frame
