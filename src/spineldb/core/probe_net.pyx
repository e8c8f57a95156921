"""A tiny executor: the door by which tests and benchmarks drive connections without a dataset.

It knows PING, ECHO, SET and GET (one value, in a block if it came in one), AUTH and LOGOUT (any
password), BLOCK (parks the session until `Probe.release`), PAUSE (postpones itself and what
follows until then), BULK n (a reply of n bytes), FAIL (raises), QUIT. Other requests are answered
by the number of their arguments. With `recording` on, requests are kept as they were seen.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memcmp, memset

from spineldb.core.connection cimport Connection
from spineldb.core.resp cimport (
    Output,
    Request,
    Slice,
    out_bulk,
    out_bulk_block,
    out_int,
    out_null,
    out_simple,
    out_truncate,
    parse_int,
)
from spineldb.core.session cimport AUTHENTICATED, BLOCKED, CLOSING, POSTPONED, Executor, Session
from spineldb.core.slab cimport (
    Block,
    block_data,
    block_new,
    block_release,
    block_retain,
    slabs_delete,
    slabs_new,
)

cdef enum:
    ADDRESS_SPACE = 1 << 26      # bytes: the probe has no entries


cdef class Probe(Executor):
    """An executor that keeps one value and remembers what it was asked."""

    cdef public bint recording
    cdef public bint locked                  # clients must log in
    cdef public object refusal               # what admit() answers
    cdef readonly list requests              # (argv, raw) of each request seen, if recording
    cdef readonly list batches               # how many requests were offered at once
    cdef readonly list parked                # sessions that wait
    cdef readonly list left                  # ids of sessions that are gone
    cdef readonly int64_t settled            # turns
    cdef public bint settle_fails
    cdef bytes value
    cdef Block* block

    def __cinit__(self):
        self.slabs = slabs_new(ADDRESS_SPACE)
        self.requests, self.batches, self.parked, self.left = [], [], [], []

    def __dealloc__(self):
        if self.block is not NULL:
            block_release(self.slabs, self.block)
        slabs_delete(self.slabs)

    @property
    def block_bytes(self) -> int:
        """Bytes in blocks: none may be left behind."""
        return self.slabs.block_bytes

    def release(self) -> None:
        """Let the parked sessions go on."""
        parked, self.parked = self.parked, []
        for session in parked:
            session.mark(BLOCKED | POSTPONED, False)

    cdef int run(self, Session session, Request* requests, int count) except -1:
        cdef int i
        if self.recording:
            self.batches.append(count)
        for i in range(count):
            if session.flags & (BLOCKED | POSTPONED | CLOSING):
                return i
            if not self.answer(session, &requests[i]):
                return i
            if self.recording:
                self.requests.append(seen(&requests[i]))
            session.commands += 1
        return count

    cdef bint answer(self, Session session, Request* request) except -1:
        cdef Slice* name = &request.argv[0]
        cdef Output* out = &session.out
        if name.size == 3 and memcmp(name.data, b"SET", 3) == 0 and request.argc == 3:
            self.store(&request.argv[2])
            out_simple(out, b"OK", 2)
        elif name.size == 3 and memcmp(name.data, b"GET", 3) == 0 and request.argc == 2:
            if self.block is not NULL:
                out_bulk_block(out, self.block)
            elif self.value is None:
                out_null(out, session.protocol)
            else:
                out_bulk(out, self.value, len(self.value))
        elif name.size == 4 and memcmp(name.data, b"PING", 4) == 0 and request.argc == 1:
            out_simple(out, b"PONG", 4)
        elif name.size == 4 and memcmp(name.data, b"ECHO", 4) == 0 and request.argc == 2:
            out_bulk(out, request.argv[1].data, request.argv[1].size)
        else:
            return self.answer_rarely(session, request)
        return True

    cdef bint answer_rarely(self, Session session, Request* request) except -1:
        cdef bytes name = request.argv[0].data[:request.argv[0].size]
        cdef int64_t size = 0
        if name == b"BLOCK":
            session.flags |= BLOCKED
            self.parked.append(session)
            out_simple(&session.out, b"BLOCKING", 8)
        elif name == b"PAUSE" and len(self.parked) == 0:
            session.flags |= POSTPONED
            self.parked.append(session)
            return False
        elif name == b"BULK":
            parse_int(request.argv[1].data, request.argv[1].size, &size)
            data = b"x" * size
            out_bulk(&session.out, data, size)
        elif name == b"AUTH":
            session.flags |= AUTHENTICATED
            out_simple(&session.out, b"OK", 2)
        elif name == b"LOGOUT":
            session.flags &= ~<uint32_t>AUTHENTICATED
            out_simple(&session.out, b"OK", 2)
        elif name == b"FAIL":
            raise RuntimeError("asked to fail")
        elif name == b"QUIT":
            out_simple(&session.out, b"OK", 2)
            session.flags |= CLOSING
        else:
            out_int(&session.out, request.argc)
        return True

    cdef int store(self, Slice* value) except -1:
        if self.block is not NULL:
            block_release(self.slabs, self.block)
        self.block = NULL
        if value.block is not NULL:
            self.block = block_retain(value.block)
        elif value.size != 10 or self.value is None:
            self.value = value.data[:value.size]
        return 0

    cdef int settle(self) except -1:
        self.settled += 1
        if self.settle_fails:
            raise OSError("the log cannot be written")
        return 0

    cdef object admit(self, Session session):
        if not self.locked:
            session.flags |= AUTHENTICATED
        return self.refusal

    cdef void leave(self, Session session) noexcept:
        self.left.append(session.id)
        if session in self.parked:
            self.parked.remove(session)


cdef tuple seen(const Request* request):
    cdef int i
    argv = [PyBytes_FromStringAndSize(request.argv[i].data, request.argv[i].size)
            for i in range(request.argc)]
    raw = None if request.raw is NULL else request.raw[:request.raw_size]
    return argv, raw


def write_bulks(connection: Connection, sizes: list, undo: bool = False) -> None:
    """Append bulk strings of these sizes to the output, pinned where they are big.

    With `undo` they are taken back at once, as CLIENT REPLY OFF does.
    """
    cdef Connection client = connection
    cdef Block* block
    cdef size_t used = client.out.used
    cdef int pieces = client.out.piece_count
    for size in sizes:
        block = block_new(client.out.slabs, size)
        if block is NULL:
            raise MemoryError
        memset(block_data(block), 97 + size % 26, size)
        block.size = size
        out_bulk_block(&client.out, block)
        block_release(client.out.slabs, block)
    if undo:
        out_truncate(&client.out, used, pieces)
