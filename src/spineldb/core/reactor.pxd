"""The reactor: plain sockets in batches, and the turns of the event loop."""

from libc.stdint cimport int64_t, uint64_t

from spineldb.core.connection cimport Connection, Network
from spineldb.core.poller cimport poller_event

cdef enum:
    EVENTS = 256                 # taken from the poller at once

cdef class Socket(Connection):
    """A client on a plain TCP or unix socket."""
    cdef int fd                  # -1 when it is closed
    cdef int polled              # what it is polled for: READABLE, WRITABLE
    cdef bint sends_blocks       # its last argument was received into a block: so may its next be
    cdef bint unread             # the last read filled its buffer: there may be more

    cdef int adopt(self, int fd) except -1
    cdef int read(self) except -1
    cdef int read_block(self) except -1
    cdef int read_failed(self, ssize_t result) except -1
    cdef int poll_for(self, int what) noexcept

cdef class Stream(Connection):
    """A client behind an asyncio transport (TLS)."""
    cdef object transport
    cdef bint paused             # the transport has more to send than it likes

cdef class Listener:
    cdef readonly Reactor reactor
    cdef readonly object socket  # the bound socket; the listener owns it
    cdef readonly str name       # "127.0.0.1:7878", "[::]:7878", "/run/spinel.sock"
    cdef object accepted         # who takes the descriptors, or None: the reactor itself
    cdef bytes remote_congestion  # of clients from other machines, or None: what they inherit
    cdef int fd
    cdef bint is_unix
    cdef str last_local          # the local address of the last client: usually everyone's

    cdef int accept_some(self) except -1
    cdef int accept_one(self, int fd) except -1
    cdef int out_of_descriptors(self) except -1

cdef class Reactor(Network):
    cdef readonly object loop
    cdef int poller
    cdef int reserve             # a descriptor to give up when there are no more
    cdef object turn_callback
    cdef bint scheduled          # a turn was asked of the loop
    cdef dict listeners          # Listener by descriptor
    cdef list unread             # sockets to read again, which the poller does not report
    cdef list graveyard          # closed sockets that `events` may still name
    cdef poller_event[EVENTS] events
    cdef int event_count
    cdef int event_next          # where the last turn stopped
    cdef int64_t complained_ms   # when the lack of descriptors was last logged
    cdef public int64_t turn_budget_us
    cdef public uint64_t turns               # of the event loop's, how many ...
    cdef public int64_t turns_ns             # ... and how long they took

    cdef void close_descriptors(self) noexcept
    cdef int run_turn(self) except -1
    cdef int handle_events(self) except -1
    cdef int handle(self, void* tag, int what) except -1
