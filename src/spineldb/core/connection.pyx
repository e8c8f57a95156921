"""Connections without sockets: bytes in, bytes out.

A `Connection` is fed bytes and offers bytes; who moves them is its *driver*'s business: the reactor
for plain sockets, an asyncio protocol for TLS (both in `reactor`), or a call (`Connection.feed`),
for tests and for programs that embed the server. A `Network` is what the connections of one server
share: limits, counters, and the *turn*.

**A turn** is the unit of work. Whatever was received is executed; then connections that were woken
meanwhile (unblocked, published to, resumed) go on; then the executor settles the effects of all of
it once; only then do replies leave, one write per connection. `wake()` may be called at any time;
outside of a turn it asks the event loop for one.

**Bytes** are parsed where they were received, in a buffer that all connections share. Only what is
left over is kept by the connection itself: a request cut in two, or requests behind one that
blocks. An idle connection owns no buffer at all.

**Requests** are parsed up to 16 ahead and offered to the executor as a batch, so that it can fetch
their entries before it needs them. If it executes fewer (the session blocked), the others are
parsed again when it goes on. A request that arrived in several pieces is a batch of its own; its
arguments stand in `partial`, together with the blocks of its big ones.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from spineldb.clock cimport monotonic_ns, wall_ms
from spineldb.core.resp cimport (
    BROKEN,
    COMPLETE,
    HOSTILE,
    INCOMPLETE,
    INLINE_LINE,
    NOTHING,
    Slice,
    iovec,
    out_clear,
    out_error,
    out_gather,
    out_sent,
    out_waiting,
    parse,
    parser_filled,
    parser_reset,
    parser_set_aside,
    parser_space,
    slices_release,
    slices_settle,
)
from spineldb.core.session cimport (
    AUTHENTICATED,
    BLOCKED,
    CLOSE_NOW,
    CLOSING,
    MONITOR,
    PRIMARY,
    PUBSUB,
    REPLICA,
    STOPPED,
)

from spineldb.observability.logging import get_log

log = get_log(__name__)

cdef int64_t NEVER = 9223372036854775807

cdef enum:
    UNAUTHENTICATED_INPUT = 1048576      # bytes a client may have waiting before it has logged in
    SPARE_SLICES = 65536         # a larger array is given back after the batch
    WALK_MINIMUM = 16            # connections that each call of the cron looks at
    LINGER_MS = 10000            # a closing connection that sends nothing for so long is cut
    WALK_ROUNDS = 10             # calls of the cron in which it sees every connection once


@cython.no_gc_clear              # deallocation needs the network, and so the allocator
cdef class Connection(Session):
    """A client: a session with an input buffer, and a driver that moves its bytes."""

    def __cinit__(self, Network network, *args, **kwargs):
        self.network = network
        self.out.slabs = network.executor.slabs
        parser_reset(&self.parser, NULL)

    def __dealloc__(self):
        self.forget_partial()
        out_clear(&self.out)     # before `network`, and with it the blocks' allocator, may go
        free(self.kept)

    # -- input

    cdef int received(self, const char* data, size_t size) except -1:
        self.count_input(size)
        if self.parser.block is not NULL:
            self.fill_block(&data, &size)
        if size == 0 or self.flags & (CLOSING | CLOSE_NOW):
            pass
        elif self.kept_size == 0 and not self.flags & STOPPED:
            self.execute(data, size)
            self.retain(data, size, 0)
        else:
            self.keep(data, size)
            self.process()
        self.wake_if_needed()
        return 0

    cdef int received_behind(self, const char* data, size_t size, size_t prefix) except -1:
        self.count_input(size - prefix)
        if not self.flags & STOPPED:
            self.execute(data, size)
            self.retain(data, size, prefix)
        elif not self.flags & (CLOSING | CLOSE_NOW):
            self.keep(data + prefix, size - prefix)
        self.wake_if_needed()
        return 0

    cdef inline void count_input(self, size_t size) noexcept:
        self.bytes_in += size
        self.network.total_net_input_bytes += size
        self.active_ms = self.network.now_ms

    cdef inline void wake_if_needed(self) noexcept:
        if self.out.used or self.flags & (CLOSING | CLOSE_NOW):
            self.network.wake(self)

    cdef int process(self) except -1:
        if self.flags & STOPPED or (self.kept_size == 0 and not self.ready):
            return 0
        self.execute(self.kept + self.kept_start, self.kept_size)
        self.retain(self.kept + self.kept_start, self.kept_size, self.kept_size)
        return 0

    cdef int execute(self, const char* data, size_t size) except -1:
        """Run the whole requests at the front of `data`; the parser says how far that was."""
        cdef Network network = self.network
        cdef int status
        if network.running:
            raise RuntimeError("a command must not feed a connection")
        network.running = True
        try:
            while not self.flags & STOPPED:
                if self.ready:
                    if not self.execute_ready(data):
                        break
                elif self.parser.remaining:
                    status = parse(
                        &self.parser, &self.partial, data, size, &network.limits,
                        self.flags & AUTHENTICATED != 0, self.out.slabs, network.scratch)
                    if status == INCOMPLETE:
                        break
                    if status != COMPLETE:
                        self.refuse(status)
                        break
                    self.ready = True
                elif not self.execute_batch(data, size):
                    break
                if (self.ready or self.parser.position < size) and network.out_of_time():
                    network.wake(self)           # what is left is executed in the next turn
                    break
        finally:
            network.running = False
        return 0

    cdef bint execute_batch(self, const char* data, size_t size) except -1:
        """Parse and run some requests; False if what is left is not a whole one."""
        cdef Network network = self.network
        cdef Parser* parser = &self.parser
        cdef Slices* slices = &network.slices
        cdef size_t first = 0, plain = 0
        cdef int count = 0, done
        cdef size_t again
        cdef int status = COMPLETE
        slices.count = 0
        while count < AHEAD:
            first = slices.count
            status = parse(parser, slices, data, size, &network.limits,
                           self.flags & AUTHENTICATED != 0, self.out.slabs, network.scratch)
            if status == COMPLETE:
                note_request(network, count, first, data, parser)
                count += 1
                if parser.decoded:               # the scratch buffer holds one
                    break
                plain = slices.count
            elif status != NOTHING:
                break
        if status == INCOMPLETE and parser_set_aside(parser, &self.partial, slices) < 0:
            raise MemoryError
        if count == 0:
            if status == BROKEN or status == HOSTILE:
                self.refuse(status)
            return status != INCOMPLETE
        slices_settle(slices.items, plain, data)
        if status == COMPLETE and parser.decoded:
            slices_settle(slices.items + first, slices.count - first, network.scratch)
        point_requests(network, count)
        done = self.run(network.requests, count)
        if done < count:
            self.forget_partial()
            parser.start = parser.position = network.starts[done]
            status = COMPLETE
        elif status == BROKEN or status == HOSTILE:
            # What was executed may have lifted the limit (AUTH): look at the request again.
            again = parser.start
            self.forget_partial()
            parser.start = parser.position = again
            status = COMPLETE
        if slices.capacity > SPARE_SLICES:
            free(slices.items)
            memset(slices, 0, sizeof(Slices))
        return status != INCOMPLETE

    cdef bint execute_ready(self, const char* data) except -1:
        """Run the request that stands in `partial`; False if it must wait."""
        cdef Parser* parser = &self.parser
        cdef Request request
        memset(&request, 0, sizeof(Request))
        slices_settle(self.partial.items, self.partial.count, data)
        request.argv = self.partial.items
        request.argc = <int>self.partial.count
        if parser.canonical:
            request.raw = data + parser.start
        request.raw_size = parser.position - parser.start + parser.blocks
        if self.run(&request, 1) == 0:
            slices_settle(self.partial.items, self.partial.count,
                          <const char*>(0 - <size_t>data))
            return False
        self.release_partial()
        parser.start = parser.position
        return True

    cdef int run(self, Request* requests, int count) except -1:
        """Offer requests to the executor. If it fails, which is a bug, the connection is closed."""
        cdef Network network = self.network
        cdef int done
        network.current = <void*>self
        try:
            done = network.executor.run(self, requests, count)
        except Exception:
            log.exception("a request failed", addr=self.address, client=self.id)
            self.flags |= CLOSE_NOW
            return count
        finally:
            network.current = NULL
        if self.out.used and self.over_output_limit():
            self.flags |= CLOSE_NOW
        if self.transaction is not None:
            self.check_input()               # what is queued has not been executed either
        if done < count and not self.flags & STOPPED:
            log.error("the executor left a request that may run", client=self.id)
            self.flags |= CLOSE_NOW
        return done

    cdef int refuse(self, int status) except -1:
        """Answer a protocol error and close; cut a browser off."""
        cdef bytes text
        if status == HOSTILE:
            log.warning(
                "possible SECURITY ATTACK: somebody sends POST or Host: lines, as a web page does "
                "that was made to attack this server; connection aborted", addr=self.address)
            self.flags |= CLOSE_NOW
            return 0
        text = self.parser.error
        text = text.replace(b"%", PyBytes_FromStringAndSize(&self.parser.unexpected, 1))
        log.verbose("protocol error", addr=self.address, client=self.id,
                    error=text.decode("latin-1"))
        out_error(&self.out, PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
        self.flags |= CLOSING
        return 0

    # -- input that is kept

    cdef int retain(self, const char* data, size_t size, size_t prefix) except -1:
        """Keep what execute() left of `data`, whose first `prefix` bytes are those kept already."""
        cdef Parser* parser = &self.parser
        cdef size_t start = parser.position
        cdef size_t end = size
        if self.flags & (CLOSING | CLOSE_NOW):
            self.forget_input()
            return 0
        if self.ready or parser.remaining:
            start = parser.start
            if not self.ready:
                end = parser.keep
        if prefix == size:                       # `data` are the kept bytes themselves
            self.kept_start += start
            self.kept_size = end - start
        elif start == 0 and prefix:
            if end > prefix:
                self.keep(data + prefix, end - prefix)
            else:
                self.kept_size = end
        else:
            self.kept_size = 0
            if end > start:
                self.keep(data + start, end - start)
        if self.kept_size == 0:
            free(self.kept)
            self.kept = NULL
            self.kept_start = self.kept_capacity = 0
        parser.position -= start
        parser.start = 0
        slices_settle(self.partial.items, self.partial.count, <const char*>(0 - start))
        return 0

    cdef int keep(self, const char* data, size_t size) except -1:
        """Append to the kept bytes."""
        self.reserve_input(size)
        memcpy(self.kept + self.kept_start + self.kept_size, data, size)
        self.kept_size += size
        self.check_input()
        return 0

    cdef int reserve_input(self, size_t size) except -1:
        """Make room for `size` bytes behind the kept ones."""
        cdef size_t needed = self.kept_size + size
        cdef size_t capacity
        cdef char* data
        if self.kept_capacity - self.kept_start >= needed:
            return 0
        if self.kept_start and self.kept_start >= self.kept_size and self.kept_capacity >= needed:
            memcpy(self.kept, self.kept + self.kept_start, self.kept_size)
            self.kept_start = 0
            return 0
        capacity = needed if self.kept_size == 0 else needed + needed // 2
        data = <char*>malloc(capacity)
        if data is NULL:
            raise MemoryError
        if self.kept_size:
            memcpy(data, self.kept + self.kept_start, self.kept_size)
        free(self.kept)
        self.kept = data
        self.kept_start = 0
        self.kept_capacity = capacity
        return 0

    cdef int check_input(self) except -1:
        """Close the connection if what it has sent and is not executed exceeds its limit."""
        cdef size_t size = self.input_size()
        if self.transaction is not None:
            size += self.transaction.bytes
        if size <= self.network.query_buffer_limit and (
            size <= UNAUTHENTICATED_INPUT or self.flags & AUTHENTICATED
        ):
            return 0
        if not self.flags & (CLOSE_NOW | PRIMARY):
            self.network.client_query_buffer_limit_disconnections += 1
            log.warning("client closed: it reached the limit of its query buffer",
                        addr=self.address, client=self.id, bytes=size)
            self.flags |= CLOSE_NOW
        return 0

    cdef int fill_block(self, const char** data, size_t* size) except -1:
        """Take the bytes of the big argument that is being received."""
        cdef size_t room = 0
        cdef char* space
        while self.parser.block is not NULL and size[0]:
            space = parser_space(&self.parser, self.out.slabs, &room)
            if space is NULL:
                raise MemoryError
            if room > size[0]:
                room = size[0]
            memcpy(space, data[0], room)
            self.filled_block(room)
            data[0] += room
            size[0] -= room
        return 0

    cdef int filled_block(self, size_t size) except -1:
        if parser_filled(&self.parser, &self.partial, size) < 0:
            raise MemoryError
        return self.check_input()

    cdef void release_partial(self) noexcept:
        slices_release(self.partial.items, self.partial.count, self.out.slabs)
        free(self.partial.items)
        memset(&self.partial, 0, sizeof(Slices))
        self.parser.blocks = 0
        self.ready = False

    cdef void forget_partial(self) noexcept:
        self.release_partial()
        parser_reset(&self.parser, self.out.slabs)

    cdef void forget_input(self) noexcept:
        self.forget_partial()
        free(self.kept)
        self.kept = NULL
        self.kept_start = self.kept_size = self.kept_capacity = 0

    cdef size_t input_size(self) noexcept:
        cdef size_t size = self.kept_size + self.parser.blocks
        return size if self.parser.block is NULL else size + self.parser.block.size

    cdef size_t input_capacity(self) noexcept:
        cdef size_t size = self.kept_capacity + self.parser.blocks
        return size if self.parser.block is NULL else size + self.parser.block.capacity

    # -- output

    cdef void wake(self) noexcept:
        if self.closed:
            return
        if self.out.used and self.over_output_limit():
            self.flags |= CLOSE_NOW
        if self.flags & CLOSE_NOW and self.network.current != <void*>self:
            out_clear(&self.out)                 # it may be sent more before the turn ends
        self.network.wake(self)

    cdef bint over_output_limit(self) noexcept:
        """Tell whether more output waits than the client's class may have; True once only."""
        cdef OutputLimit* limit = &self.network.output_limits[output_class(self.flags)]
        cdef size_t size = out_waiting(&self.out)
        cdef bint over = limit.hard != 0 and size > limit.hard
        if limit.soft == 0 or size <= limit.soft:
            self.soft_since_ms = 0
        elif self.soft_since_ms == 0:
            self.soft_since_ms = self.network.now_ms
        elif self.network.now_ms - self.soft_since_ms >= limit.soft_seconds * 1000:
            over = True
        if not over or self.flags & (CLOSE_NOW | PRIMARY):
            return False
        self.network.client_output_buffer_limit_disconnections += 1
        log.warning("client closed: it reached the limit of its output buffer",
                    addr=self.address, client=self.id, bytes=size)
        return True

    cdef int flush(self) except -1:
        return 0

    cdef void hang_up(self) noexcept:
        pass

    def take_output(self, limit: int = -1) -> bytes:
        """Take what waits to be sent, at most about `limit` bytes of it."""
        cdef iovec[16] vectors
        cdef list parts = []
        cdef size_t total = 0, wanted = <size_t>-1
        cdef size_t size
        cdef int count, i
        if limit >= 0:
            wanted = limit
        while total < wanted:
            count = out_gather(&self.out, vectors, 16, NULL)
            if count == 0:
                break
            for i in range(count):
                size = min(vectors[i].iov_len, wanted - total)
                parts.append(PyBytes_FromStringAndSize(<char*>vectors[i].iov_base, size))
                total += size
            size = 0
            for part in parts[-count:]:
                size += len(part)
            out_sent(&self.out, size)
        self.count_output(total)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    cdef inline void count_output(self, size_t size) noexcept:
        self.bytes_out += size
        self.closing_ms = 0
        self.network.total_net_output_bytes += size
        self.network.total_writes_processed += 1

    # -- the direct driver

    def feed(self, data: bytes = b"") -> bytes:
        """Execute what `data` completes and return the replies.

        The connection is `closed` afterwards if the server would have closed it. Replies that come
        later (a blocked command, a published message) are returned by the next call.
        """
        cdef Network network = self.network
        if self.closed:
            raise ConnectionResetError("the server closed the connection")
        network.begin_turn()
        network.total_reads_processed += 1
        try:
            self.received(PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
        except MemoryError:
            log.error("client closed: no memory for its requests", addr=self.address)
            self.flags |= CLOSE_NOW
        finally:
            network.end_turn()
        output = b"" if self.flags & CLOSE_NOW else self.take_output()
        network.deliver(self)
        return output

    def close(self) -> None:
        """Close the connection at the end of the turn, whatever waits to be sent."""
        self.flags |= CLOSE_NOW
        self.wake()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} {self.address}>"


cdef inline int output_class(uint32_t flags) noexcept nogil:
    if flags & REPLICA and not flags & MONITOR:
        return REPLICA_CLASS
    return PUBSUB_CLASS if flags & PUBSUB else NORMAL_CLASS


cdef inline void note_request(Network network, int index, size_t first, const char* data,
                              const Parser* parser) noexcept:
    """Note what was parsed, with its arguments' index in place of their address."""
    cdef Request* request = &network.requests[index]
    request.argv = <Slice*>first
    request.argc = <int>(network.slices.count - first)
    request.raw = data + parser.start if parser.canonical else NULL
    request.raw_size = parser.position - parser.start
    request.command = NULL
    request.hashed = False
    network.starts[index] = parser.start


cdef inline void point_requests(Network network, int count) noexcept:
    """Make addresses of the arguments' indexes, now that the array grows no more."""
    cdef int i
    for i in range(count):
        network.requests[i].argv = network.slices.items + <size_t>network.requests[i].argv


@cython.no_gc_clear
cdef class Network:
    """The connections of one server and what they share."""

    def __cinit__(self, Executor executor, *args, **kwargs):
        self.executor = executor
        self.connections = {}
        self.unauthenticated = {}
        self.awake = []
        self.postponed = []
        self.delivering = []
        self.walk = []
        self.limits.bulk = 512 << 20
        self.limits.multibulk = 2147483647
        self.limits.inline_line = INLINE_LINE
        self.limits.unauthenticated_bulk = 16384
        self.limits.unauthenticated_multibulk = 10
        self.query_buffer_limit = 1 << 30
        self.handshake_timeout_ms = 10000
        self.max_unauthenticated = 1000
        self.limit_output(REPLICA_CLASS, 256 << 20, 64 << 20, 60)
        self.limit_output(PUBSUB_CLASS, 32 << 20, 8 << 20, 60)
        self.turn_ends_ns = NEVER
        self.input = <char*>malloc(PREPEND + RECEIVE)
        self.scratch = <char*>malloc(INLINE_LINE)
        if self.input is NULL or self.scratch is NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.input)
        free(self.scratch)
        free(self.slices.items)

    # -- settings

    def limit_output(self, class_: int, hard: int, soft: int, soft_seconds: int) -> None:
        """Set how much output may wait for clients of a class: 0 normal, 1 replica, 2 pubsub."""
        if not 0 <= class_ <= PUBSUB_CLASS:
            raise ValueError(class_)
        self.output_limits[<int>class_] = OutputLimit(hard, soft, soft_seconds)

    @property
    def bulk_limit(self) -> int:
        """Bytes that one argument may have (proto-max-bulk-len)."""
        return self.limits.bulk

    @bulk_limit.setter
    def bulk_limit(self, limit: int) -> None:
        self.limits.bulk = limit

    # -- connections

    def connect(self, address: str = "embedded:0") -> Connection:
        """Return a connection that is driven by its `feed`; raise if the executor refuses it."""
        cdef Connection connection = Connection(self)
        connection.address = connection.local_address = address
        if not self.welcome(connection):
            raise ConnectionRefusedError(connection.take_output().decode())
        return connection

    cdef bint welcome(self, Connection connection) except -1:
        self.total_connections_received += 1
        self.last_id += 1
        connection.id = self.last_id
        connection.created_ms = connection.active_ms = wall_ms()
        try:
            if self.too_many_unauthenticated():
                refusal = "ERR max number of unauthenticated clients reached"
            else:
                refusal = self.executor.admit(connection)
        except Exception:
            log.exception("admission failed", addr=connection.address)
            refusal = "ERR internal error"
        if refusal is not None:
            self.last_id -= 1
            text = refusal if isinstance(refusal, bytes) else refusal.encode()
            text = text.removeprefix(b"-").rstrip(b"\r\n")
            out_error(&connection.out, PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
            connection.flags |= CLOSING
            return False
        connection.admitted = True
        self.connections[connection.id] = connection
        if not connection.flags & AUTHENTICATED:
            self.unauthenticated[connection.id] = connection
        return True

    cdef bint too_many_unauthenticated(self) except -1:
        """Tell whether no more clients may come that must log in first."""
        if len(self.unauthenticated) < self.max_unauthenticated:
            return False
        self.expire_unauthenticated()
        return len(self.unauthenticated) >= self.max_unauthenticated

    cdef int expire_unauthenticated(self) except -1:
        """Forget who has logged in, and close who took too long."""
        cdef Connection connection
        cdef int64_t oldest = wall_ms() - self.handshake_timeout_ms
        for connection in list(self.unauthenticated.values()):
            if connection.flags & AUTHENTICATED:
                del self.unauthenticated[connection.id]
            elif self.handshake_timeout_ms and connection.created_ms < oldest:
                log.verbose("client closed: it did not log in in time",
                            addr=connection.address, client=connection.id)
                self.drop(connection)
        return 0

    def reset_statistics(self) -> None:
        """Set INFO's counters to zero (CONFIG RESETSTAT)."""
        self.total_connections_received = 0
        self.total_reads_processed = self.total_writes_processed = 0
        self.total_net_input_bytes = self.total_net_output_bytes = 0
        self.client_query_buffer_limit_disconnections = 0
        self.client_output_buffer_limit_disconnections = 0

    def close(self, id_: int) -> bool:
        """Close a connection by its id at the end of the turn; False if there is none."""
        cdef Connection connection = self.connections.get(id_)
        if connection is None:
            return False
        connection.close()
        return True

    cdef int drop(self, Connection connection) except -1:
        if connection.closed:
            return 0
        connection.closed = True
        connection.flags |= CLOSE_NOW
        connection.hang_up()
        out_clear(&connection.out)
        connection.forget_input()
        if connection.admitted:
            self.connections.pop(connection.id, None)
            self.unauthenticated.pop(connection.id, None)
            self.executor.leave(connection)
        return 0

    # -- turns

    cdef void begin_turn(self) noexcept:
        self.turning = True
        self.now_ms = wall_ms()

    cdef bint out_of_time(self) noexcept:
        return monotonic_ns() >= self.turn_ends_ns

    cdef void wake(self, Connection connection) noexcept:
        if connection.queued or connection.closed:
            return
        connection.queued = True
        self.awake.append(connection)
        if not self.turning:
            self.request_turn()

    cdef int request_turn(self) except -1:
        return 0

    cdef int end_turn(self) except -1:
        cdef Connection connection
        cdef Py_ssize_t i
        self.resume_awake()
        try:
            self.executor.settle()
        except Exception:
            log.exception("effects could not be settled")
            log.critical("the replies of a turn are not sent: its effects could not be settled")
            for connection in self.delivering:
                connection.flags |= CLOSE_NOW
        for i in range(len(self.delivering)):
            connection = <Connection>self.delivering[i]
            try:
                self.deliver(connection)
            except Exception:
                log.exception("sending failed", addr=connection.address)
                self.drop(connection)
        self.delivering.clear()
        self.turning = False
        if self.postponed:
            self.awake.extend(self.postponed)
            self.postponed.clear()
        if self.awake:
            self.request_turn()
        return 0

    cdef int resume_awake(self) except -1:
        """Let woken connections execute what they kept; the list may grow meanwhile."""
        cdef Connection connection
        cdef Py_ssize_t i = 0
        while i < len(self.awake):
            connection = <Connection>self.awake[i]
            i += 1
            connection.queued = False
            self.delivering.append(connection)
            if connection.flags & STOPPED or (connection.kept_size == 0 and not connection.ready):
                continue
            if self.out_of_time():
                connection.queued = True
                self.postponed.append(connection)
                continue
            try:
                connection.process()
            except Exception:
                log.exception("a request failed", addr=connection.address)
                connection.flags |= CLOSE_NOW
        self.awake.clear()
        return 0

    cdef int deliver(self, Connection connection) except -1:
        """Send a connection's output and close it when that is due."""
        if connection.closed:
            return 0
        if connection.out.failed:
            log.error("client closed: no memory for its replies", addr=connection.address)
            connection.flags |= CLOSE_NOW
        if not connection.flags & CLOSE_NOW and connection.out.used:
            connection.flush()
        if connection.flags & CLOSE_NOW or not connection.admitted:
            self.drop(connection)
        elif connection.out.used == 0:
            if connection.flags & CLOSING or (connection.ended and not connection.queued):
                self.drop(connection)
        elif connection.flags & CLOSING and connection.closing_ms == 0:
            connection.closing_ms = self.now_ms
        return 0

    # -- housekeeping

    def cron(self) -> None:
        """Enforce time-outs and soft limits; called ten times a second, each time for a tenth."""
        cdef Connection connection
        cdef Py_ssize_t _i
        self.now_ms = wall_ms()
        self.expire_unauthenticated()
        if not self.walk:
            self.walk = list(self.connections.values())
            self.walk_step = max(len(self.walk) // WALK_ROUNDS + 1, WALK_MINIMUM)
        for _i in range(min(self.walk_step, len(self.walk))):
            connection = self.walk.pop()
            if not connection.closed and self.is_due(connection):
                self.drop(connection)

    cdef bint is_due(self, Connection connection) except -1:
        """Tell whether a connection has been idle, over its soft limit or closing for too long."""
        cdef int64_t idle_ms = self.now_ms - connection.active_ms
        if connection.closing_ms and self.now_ms - connection.closing_ms > LINGER_MS:
            return True
        if connection.over_output_limit():
            return True
        if self.idle_timeout_s == 0 or idle_ms <= self.idle_timeout_s * 1000:
            return False
        if connection.flags & (REPLICA | PRIMARY | MONITOR | BLOCKED | PUBSUB):
            return False
        log.verbose("client closed: idle", addr=connection.address, client=connection.id)
        return True
