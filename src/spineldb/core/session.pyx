"""A session: one client as the dispatcher sees it.

A session has no socket. `connection.Connection` is the session with an input buffer; scripts and
the replication link have sessions of other kinds. The engine keeps what it needs of a client here,
in plain fields, because ten thousand idle clients must cost little.
"""

from cpython.object cimport Py_TYPE

from spineldb.core.resp cimport Piece, out_clear, out_value
from spineldb.core.slab cimport block_data


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

    @property
    def descriptor(self) -> int:
        """The number of its socket, -1 if it has none of its own."""
        return -1

    @property
    def output_pinned(self) -> int:
        """Bytes of replies that are sent straight from the dataset's blocks."""
        return self.out.pinned

    def send(self, value: object) -> None:
        """Append a reply or a push to the output and have it sent."""
        out_value(&self.out, value, self.protocol)
        self.wake()

    def take(self) -> bytes:
        """Return the replies that wait and forget them: for sessions without a connection."""
        cdef list parts = []
        cdef size_t done = 0
        cdef Piece* piece
        cdef int i
        for i in range(self.out.piece_count):
            piece = &self.out.pieces[i]
            parts.append(self.out.data[done:piece.position])
            parts.append(block_data(piece.block)[:piece.size])
            done = piece.position
        parts.append(self.out.data[done:self.out.used])
        out_clear(&self.out)
        return b"".join(parts)

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


cdef size_t taken_by(Session session) noexcept:
    """The bytes of a client's buffers, of what it has queued, and of the session itself."""
    cdef size_t taken = session.input_capacity() + session.out.capacity
    if session.transaction is not None:
        taken += session.transaction.bytes
    return <size_t>Py_TYPE(session).tp_basicsize + taken


def memory_of(Session session not None) -> int:
    """Return the bytes of memory that a client takes: its buffers and the session itself."""
    return taken_by(session)


def memory_of_clients(dict sessions not None) -> int:
    """Return what all clients take that count toward maxmemory-clients.

    `sessions` has them as its values. Links to other servers do not count, nor do clients that are
    being closed.
    """
    cdef Session session
    cdef size_t total = 0
    for session in sessions.values():
        if not session.flags & (REPLICA | PRIMARY | CLOSE_NOW):
            total += taken_by(session)
    return total


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
