"""The slow log and its siblings: the last commands that took long, or were big.

A log keeps a bounded number of entries, newest first. It keeps of a command what SLOWLOG shows: at
most 32 arguments of at most 128 bytes. Every GET of a megabyte is recorded, which in Python took
5 % of its time. What must not be shown is taken out by who shows it.
"""

from collections import deque
from itertools import islice

from cpython.bytes cimport PyBytes_FromStringAndSize

from spineldb.clock cimport wall_ms
from spineldb.core.resp cimport Slice

cdef enum:
    SHOWN_ARGUMENTS = 32
    SHOWN_BYTES = 128            # of an argument


cdef int64_t request_bytes(const Request* request) noexcept nogil:
    cdef int64_t total = <int64_t>request.raw_size
    cdef int i
    if request.raw is NULL:
        total = 0
        for i in range(request.argc):
            total += <int64_t>request.argv[i].size
    return total


cdef class Measured:
    """What a command took, and its arguments as logs keep them: few, short, the rest counted."""

    def __repr__(self) -> str:
        return f"<measured {self.argv} {self.ns} ns>"


cdef Measured measured(Session session, const Request* request, int64_t ns, int64_t reply_bytes):
    cdef Measured made = Measured.__new__(Measured)
    cdef int shown = request.argc if request.argc <= SHOWN_ARGUMENTS else SHOWN_ARGUMENTS - 1
    cdef int i
    made.argv = [glimpse(&request.argv[i]) for i in range(shown)]
    if shown < request.argc:
        made.argv.append(b"... (%d more arguments)" % (request.argc - shown))
    made.argc = request.argc
    made.at = wall_ms() // 1000
    made.ns = ns
    made.request_bytes = request_bytes(request)
    made.reply_bytes = reply_bytes
    made.address = session.address
    made.client_name = session.name or ""
    return made


cdef bytes glimpse(const Slice* slice):
    """The beginning of an argument; a big one is not copied to be logged."""
    if slice.size <= SHOWN_BYTES:
        return PyBytes_FromStringAndSize(slice.data, <Py_ssize_t>slice.size)
    return slice.data[:<size_t>SHOWN_BYTES] + b"... (%d more bytes)" % (slice.size - SHOWN_BYTES)


cdef class CommandLog:
    """The commands whose amount (microseconds or bytes) reached a threshold."""

    def __init__(self, threshold: int, length: int) -> None:
        self.threshold = threshold
        self.kept = deque(maxlen=length)

    def __len__(self) -> int:
        return len(self.kept)

    cdef int consider(self, int64_t amount, Measured command) except -1:
        if 0 <= self.threshold <= amount:
            self.kept.appendleft((self.next_id, amount, command))
            self.next_id += 1
        return 0

    def resize(self, length: int) -> None:
        """Keep at most `length` entries, the newest ones."""
        self.kept = deque(islice(self.kept, length), maxlen=length)

    def newest(self, count: int) -> list:
        """Return the newest `count` entries (-1: all), each (id, amount, `Measured`)."""
        return list(self.kept if count < 0 else islice(self.kept, count))

    def clear(self) -> None:
        """Forget every entry; numbering goes on."""
        self.kept.clear()
