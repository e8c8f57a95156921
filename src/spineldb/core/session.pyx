"""A session: one client as the dispatcher sees it.

A session has no socket. `connection.Connection` is the session with an input buffer; scripts and
the replication link have sessions of other kinds. The engine keeps what it needs of a client here,
in plain fields, because ten thousand idle clients must cost little.
"""

from spineldb.core.resp cimport out_clear, out_value


cdef class Session:
    """One client: its database, protocol, flags and waiting replies."""

    def __cinit__(self, *args, **kwargs):
        self.protocol = 2
        self.address = self.local_address = ""

    def __dealloc__(self):
        out_clear(&self.out)

    cdef void wake(self) noexcept:
        pass

    cdef size_t input_size(self) noexcept:
        return 0

    cdef size_t input_capacity(self) noexcept:
        return 0

    def send(self, value: object) -> None:
        """Append a reply or a push to the output and have it sent."""
        out_value(&self.out, value, self.protocol)
        self.wake()

    def has(self, flag: int) -> bool:
        """Tell whether one of the given flags is set."""
        return (self.flags & <uint32_t>flag) != 0

    def mark(self, flag: int, on: bool = True) -> None:
        """Set or clear flags; a session that stops being stopped is woken."""
        cdef uint32_t before = self.flags
        if on:
            self.flags |= <uint32_t>flag
        else:
            self.flags &= ~<uint32_t>flag
        if before != self.flags and (before | self.flags) & STOPPED:
            self.wake()

    @property
    def flag_bits(self) -> int:
        """The flags as one number (see `SessionFlag`)."""
        return self.flags

    @property
    def output_bytes(self) -> int:
        """Bytes of replies that wait to be sent, pinned blocks included."""
        return (self.out.used - self.out.sent) + self.out.pinned

    @property
    def output_capacity(self) -> int:
        """Bytes of memory that the output buffer takes."""
        return self.out.capacity

    @property
    def input_bytes(self) -> int:
        """Bytes received and not yet executed."""
        return self.input_size()

    @property
    def input_buffer(self) -> int:
        """Bytes of memory that the input buffer takes."""
        return self.input_capacity()


cdef class Executor:
    """Runs requests. `dispatch.Dispatcher` is the one of the server."""

    cdef int run(self, Session session, Request* requests, int count) except -1:
        return count

    cdef int settle(self) except -1:
        return 0

    cdef object admit(self, Session session):
        return None

    cdef void leave(self, Session session) noexcept:
        pass
