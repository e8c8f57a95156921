"""A session: one client as the dispatcher sees it. An executor: what runs a session's requests."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from spineldb.core.resp cimport Output, Request
from spineldb.core.slab cimport Slabs
from spineldb.core.transaction cimport Transaction

cpdef enum SessionFlag:
    CLOSING = 1 << 0             # execute nothing more; close when the output has left
    CLOSE_NOW = 1 << 1           # close without sending what waits
    BLOCKED = 1 << 2             # parked: a command waits for a key, a time or the outside
    POSTPONED = 1 << 3           # CLIENT PAUSE: its next request waits
    REPLY_OFF = 1 << 4           # CLIENT REPLY OFF
    REPLY_SKIP_NEXT = 1 << 5     # CLIENT REPLY SKIP: from the next request on
    REPLY_SKIP = 1 << 6          # this request is not answered
    MONITOR = 1 << 7
    PUBSUB = 1 << 8              # it is subscribed to something
    REPLICA = 1 << 9
    PRIMARY = 1 << 10            # the link to our primary: exempt from gates
    NO_EVICT = 1 << 11
    NO_TOUCH = 1 << 12
    UNIX_SOCKET = 1 << 13
    TLS = 1 << 14
    AUTHENTICATED = 1 << 15
    DIRTY_WATCH = 1 << 16        # a watched key was changed: EXEC must fail
    QUEUEING = 1 << 17           # between MULTI and EXEC

    # what makes the session stop executing the requests that were read
    STOPPED = CLOSING | CLOSE_NOW | BLOCKED | POSTPONED

cdef class Session:
    cdef readonly int64_t id
    cdef Output out
    cdef uint32_t flags          # SessionFlag
    cdef uint32_t gates          # which gates this session must be asked at (dispatch.pxd, Gate)
    cdef public int db           # index of the selected database
    cdef public int protocol     # 2 or 3
    cdef public int64_t created_ms, active_ms    # wall clock: connected at, last request at
    cdef public uint64_t bytes_in, bytes_out, commands
    cdef public object name, user, library_name, library_version    # str or None
    cdef public str address, local_address       # "127.0.0.1:50012", "[::1]:50012", "/path:0"
    cdef public object last_command              # dispatch.Command or None
    cdef public object waiting                   # engine: what a parked client waits for, or None
    cdef readonly Transaction transaction        # what it watches and has queued, or None
    cdef public object subscriptions             # channels.Subscriptions, or None

    # The session has output to send, or may go on executing what it has read (after a flag of
    # STOPPED was cleared). Does nothing here; a connection asks its driver for a turn.
    cdef void wake(self) noexcept
    # Bytes of input kept but not executed, and the buffer's capacity (CLIENT LIST qbuf, qbuf-free).
    cdef size_t input_size(self) noexcept
    cdef size_t input_capacity(self) noexcept

cdef class Executor:
    cdef Slabs* slabs            # where big arguments are received
    # Execute requests in order. Returns how many are done: fewer than `count` when the session
    # stopped (blocked, postponed, closing); the connection offers the rest again after wake().
    cdef int run(self, Session session, Request* requests, int count) except -1
    # A turn of the driver is over: settle the effects before any reply of it is sent.
    cdef int settle(self) except -1
    # May this address connect? None, or the error line to send before closing. Counts it.
    cdef object admit(self, Session session)
    # The session is gone: leave every registry. Its output is already cleared.
    cdef void leave(self, Session session) noexcept
