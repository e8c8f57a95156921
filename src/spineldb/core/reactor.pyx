"""The reactor: plain sockets in batches, and the turns of the event loop.

Client sockets do not go through asyncio's transports, whose cost per event is several times that
of a command. The reactor has a poller of its own (epoll, kqueue) in which the listeners and all
client sockets are; that one descriptor is what the event loop watches. When it becomes readable, a
turn receives from every socket that is ready and executes, settles once, sends all replies, and
polls again at once while there is more to do. It ends after 5 ms, so that timers and tasks get
their share, and the next goes on behind the socket where it stopped.

A socket is polled for writing only after a short write, and for reading always: the end of a
connection must be noticed also while its client waits for something. Reading never stops because
replies pile up (a client that sends everything before it reads would wait for ever): the limits of
the output classes bound what may.

A `Stream` is a client whose bytes travel by an asyncio transport (TLS). It takes part in the same
turns.
"""

import os
import socket

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.errno cimport EAGAIN, ECONNABORTED, EINTR, EMFILE, ENFILE, errno
from libc.stdint cimport int64_t
from libc.string cimport memcpy

from spineldb.clock cimport monotonic_ns, wall_ms
from spineldb.core.connection cimport PREPEND, RECEIVE
from spineldb.core.poller cimport (
    ENDS,
    HANGUP,
    MSG_NOSIGNAL,
    READABLE,
    WRITABLE,
    accept_nonblocking,
    poller_add,
    poller_add_client,
    poller_change,
    poller_open,
    poller_remove,
    poller_tag,
    poller_wait,
    poller_what,
    sockaddr,
    socklen_t,
)
from spineldb.core.resp cimport iovec, out_gather, out_sent, parser_space
from spineldb.core.session cimport BLOCKED, CLOSE_NOW, CLOSING, POSTPONED, STOPPED, TLS, UNIX_SOCKET

from spineldb.observability.logging import get_log

cdef extern from * nogil:
    """
    #include <arpa/inet.h>
    #include <netinet/in.h>
    #include <netinet/tcp.h>
    #include <stdio.h>
    #include <string.h>
    #include <sys/socket.h>
    #include <sys/uio.h>
    #include <sys/un.h>
    #include <unistd.h>

    /* Write an address as "127.0.0.1:50012" or "[::1]:50012"; 0 if it is of another kind. */
    static int format_address(const struct sockaddr_storage *storage, char *text, int size) {
        char host[INET6_ADDRSTRLEN];
        if (storage->ss_family == AF_INET) {
            const struct sockaddr_in *v4 = (const struct sockaddr_in *)storage;
            inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host));
            return snprintf(text, size, "%s:%d", host, ntohs(v4->sin_port));
        }
        if (storage->ss_family == AF_INET6) {
            const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)storage;
            inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host));
            return snprintf(text, size, "[%s]:%d", host, ntohs(v6->sin6_port));
        }
        return 0;
    }

    static int is_local(const struct sockaddr_storage *storage) {
        if (storage->ss_family == AF_INET)
            return ntohl(((const struct sockaddr_in *)storage)->sin_addr.s_addr) >> 24 == 127;
        return storage->ss_family == AF_INET6
            && IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)storage)->sin6_addr);
    }

    #ifndef TCP_CONGESTION
    #define TCP_CONGESTION -1       /* setsockopt refuses it; nobody asks for it here */
    #endif
    """
    struct sockaddr_storage:
        pass
    enum:
        SHUT_RDWR
        IPPROTO_TCP
        TCP_CONGESTION
    int format_address(const sockaddr_storage* storage, char* text, int size)
    int is_local(const sockaddr_storage* storage)
    int setsockopt(int fd, int level, int option, const void* value, socklen_t size)
    int getsockname(int fd, sockaddr* address, socklen_t* size)
    int getpeername(int fd, sockaddr* address, socklen_t* size)
    int shutdown(int fd, int how)
    int c_close "close"(int fd)
    ssize_t c_recv "recv"(int fd, void* data, size_t size, int flags)
    ssize_t c_send "send"(int fd, const void* data, size_t size, int flags)
    ssize_t readv(int fd, const iovec* vectors, int count)
    ssize_t writev(int fd, const iovec* vectors, int count)

log = get_log(__name__)

cdef enum:
    ACCEPTS = 64                 # connections taken from a listener at once
    VECTORS = 64                 # parts of one writev
    ADDRESS_TEXT = 64            # bytes of an address written out
    COMPLAIN_MS = 10000          # the lack of descriptors is logged this often
    BLOCK_RECEIVE = 1048576      # bytes of a big argument received at once
    HEADER_RECEIVE = 4096        # bytes received at first from a client whose arguments are big
    DRAIN = 16                   # buffers of unread input thrown away before closing

cdef int64_t NEVER = 9223372036854775807
cdef Py_ssize_t LISTENER = 1     # the lowest bit of the tag of a listener


cdef class Socket(Connection):
    """A client on a plain TCP or unix socket."""

    def __cinit__(self, Network network, *args, **kwargs):
        self.fd = -1

    @property
    def descriptor(self) -> int:
        """The number of its socket, -1 if it is closed."""
        return self.fd

    cdef int adopt(self, int fd) except -1:
        """Take a connected descriptor and have it polled."""
        cdef Reactor reactor = <Reactor>self.network
        if poller_add_client(reactor.poller, fd, <void*>self) < 0:
            raise OSError(errno, os.strerror(errno))
        self.fd = fd
        self.polled = READABLE
        return 0

    cdef int read(self) except -1:
        """Receive what has come, up to a buffer full, and execute it."""
        cdef Network network = self.network
        cdef size_t kept = self.kept_size
        cdef size_t most = RECEIVE
        cdef ssize_t result
        if self.parser.block is not NULL:
            return self.read_block()
        if kept > PREPEND:
            self.reserve_input(RECEIVE)
            result = c_recv(self.fd, self.kept + self.kept_start + kept, RECEIVE, 0)
            if result > 0:
                self.unread = result == RECEIVE
                network.total_reads_processed += 1
                self.count_input(result)
                self.kept_size += result
                self.check_input()
                self.process()
                self.wake_if_needed()
                return 0
        else:
            # Received behind a copy of what was kept: most leftovers are gone at the next call.
            # What comes with the header of a big argument is copied: let it be little.
            if self.sends_blocks:
                most = HEADER_RECEIVE
                self.sends_blocks = False
            result = c_recv(self.fd, network.input + kept, most, 0)
            if result > 0:
                self.unread = <size_t>result == most
                network.total_reads_processed += 1
                if kept == 0:
                    return self.received(network.input, result)
                memcpy(network.input, self.kept + self.kept_start, kept)
                return self.received_behind(network.input, kept + result, kept)
        return self.read_failed(result)

    cdef int read_block(self) except -1:
        """Receive a big argument where it stays, and what follows it into the shared buffer."""
        cdef Network network = self.network
        cdef iovec[2] vectors
        cdef size_t room = 0
        cdef ssize_t result
        cdef char* space = parser_space(&self.parser, self.out.slabs, &room)
        if space is NULL:
            raise MemoryError
        if room > BLOCK_RECEIVE:
            room = BLOCK_RECEIVE
        vectors[0].iov_base = space
        vectors[0].iov_len = room
        vectors[1].iov_base = network.input
        vectors[1].iov_len = RECEIVE
        result = readv(self.fd, vectors, 2)
        if result <= 0:
            return self.read_failed(result)
        self.unread = <size_t>result == room + RECEIVE
        self.sends_blocks = True
        network.total_reads_processed += 1
        if <size_t>result <= room:
            self.count_input(result)
            self.filled_block(result)
        else:
            self.count_input(room)
            self.filled_block(room)
            self.received(network.input, <size_t>result - room)
        self.wake_if_needed()
        return 0

    cdef int read_failed(self, ssize_t result) except -1:
        self.unread = False
        if result < 0 and errno == EAGAIN:
            return 0
        if result < 0 and errno == EINTR:
            self.unread = True
            return 0
        if result < 0 or self.flags & (BLOCKED | POSTPONED | CLOSE_NOW) or self.out.used == 0:
            self.network.drop(self)
            return 0
        # The peer sends nothing more but may still read: it gets its replies.
        self.ended = True
        self.poll_for(self.polled & ~READABLE)
        self.network.wake(self)
        return 0

    cdef int flush(self) except -1:
        cdef iovec[VECTORS] vectors
        cdef size_t total = 0
        cdef ssize_t result
        cdef int count
        while self.out.used:
            count = out_gather(&self.out, vectors, VECTORS, &total)
            if count == 1:
                result = c_send(self.fd, vectors[0].iov_base, vectors[0].iov_len, MSG_NOSIGNAL)
            else:
                result = writev(self.fd, vectors, count)
            if result < 0:
                if errno == EINTR:
                    continue
                if errno != EAGAIN:
                    self.flags |= CLOSE_NOW
                    return 0
                self.poll_for(self.polled | WRITABLE)
                return 0
            self.count_output(result)
            out_sent(&self.out, result)
            if <size_t>result < total:
                self.poll_for(self.polled | WRITABLE)
                return 0
        if self.polled & WRITABLE:
            self.poll_for(self.polled & ~WRITABLE)
        return 0

    cdef int poll_for(self, int what) noexcept:
        if what != self.polled:
            poller_change((<Reactor>self.network).poller, self.fd, <void*>self, self.polled, what)
            self.polled = what
        return 0

    cdef void hang_up(self) noexcept:
        cdef Reactor reactor = <Reactor>self.network
        cdef int _i
        if self.fd < 0:
            return
        poller_remove(reactor.poller, self.fd)
        if self.flags & CLOSING and self.polled & READABLE:
            # Unread input would turn the end into a reset, and the peer might lose the last reply.
            for _i in range(DRAIN):
                if c_recv(self.fd, reactor.input, RECEIVE, 0) <= 0:
                    break
        # A snapshot's child holds a copy of the descriptor: only shutdown() ends the connection.
        shutdown(self.fd, SHUT_RDWR)
        c_close(self.fd)
        self.fd = -1
        reactor.graveyard.append(self)


cdef class Stream(Connection):
    """A client behind an asyncio transport, which must be told what its protocol is told."""

    def __init__(self, network: Network, transport: object, address: str, local: str) -> None:
        self.transport = transport
        self.address = address
        self.local_address = local
        self.flags |= TLS

    def data_received(self, data: bytes) -> None:
        """Execute what has come; replies leave at the end of the turn."""
        if self.closed:
            return
        if not self.network.turning:
            self.network.now_ms = wall_ms()
        self.network.total_reads_processed += 1
        try:
            self.received(PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
        except Exception:
            log.exception("a request failed", addr=self.address, client=self.id)
            self.flags |= CLOSE_NOW
        self.network.wake(self)

    def eof_received(self) -> None:
        """Note that the client sends nothing more."""
        self.ended = True
        if self.flags & STOPPED:
            self.flags |= CLOSE_NOW
        self.network.wake(self)

    def pause_writing(self) -> None:
        """Offer nothing more until `resume_writing`."""
        self.paused = True

    def resume_writing(self) -> None:
        """Go on with what waits."""
        self.paused = False
        self.network.wake(self)

    def connection_lost(self) -> None:
        """Leave: the transport is closed."""
        self.transport = None
        self.network.drop(self)

    cdef int flush(self) except -1:
        while self.out.used and not self.paused and self.transport is not None:
            self.transport.write(self.take_output(RECEIVE))
        return 0

    cdef void hang_up(self) noexcept:
        transport, self.transport = self.transport, None
        if transport is None:
            return
        try:
            if self.flags & CLOSING and self.out.used == 0:
                transport.close()
            else:
                transport.abort()
        except Exception:
            log.exception("closing a transport failed", addr=self.address)


cdef class Listener:
    """A listening socket in the reactor's poller."""

    def __init__(self, reactor: Reactor, sock: object, name: str, accepted: object = None,
                 remote_congestion: bytes | None = None) -> None:
        self.reactor = reactor
        self.socket = sock
        self.name = name
        self.accepted = accepted
        self.remote_congestion = remote_congestion
        self.fd = sock.fileno()
        self.is_unix = sock.family == socket.AF_UNIX
        self.last_local = f"{name}:0" if self.is_unix else name

    def __repr__(self) -> str:
        return f"<Listener {self.name}>"

    def close(self) -> None:
        """Stop accepting; connections that were accepted stay."""
        if self.reactor.listeners.pop(self.fd, None) is not None:
            poller_remove(self.reactor.poller, self.fd)
            self.reactor.graveyard.append(self)
            self.socket.close()

    cdef int accept_some(self) except -1:
        cdef int _i, fd
        for _i in range(ACCEPTS):
            fd = accept_nonblocking(self.fd, NULL, NULL)
            if fd >= 0:
                self.accept_one(fd)
            elif errno == EMFILE or errno == ENFILE:
                return self.out_of_descriptors()
            elif errno == EINTR or errno == ECONNABORTED:
                continue
            else:
                if errno != EAGAIN:
                    log.warning("accepting failed", listener=self.name, error=os.strerror(errno))
                return 0
        return 0

    cdef int accept_one(self, int fd) except -1:
        cdef Socket client
        if self.accepted is not None:
            self.accepted(fd)
            return 0
        client = Socket(self.reactor)
        try:
            if self.is_unix:
                client.flags |= UNIX_SOCKET
                client.address = client.local_address = self.last_local
            else:
                client.address = peer_address(fd, self.remote_congestion)
                local = local_address(fd)
                if local != self.last_local:
                    self.last_local = local
                client.local_address = self.last_local
            client.adopt(fd)
        except OSError as error:
            log.warning("a connection could not be taken", listener=self.name, error=str(error))
            c_close(fd)
            return 0
        self.reactor.welcome(client)
        if client.out.used or client.flags & (CLOSING | CLOSE_NOW):
            self.reactor.wake(client)
        return 0

    cdef int out_of_descriptors(self) except -1:
        """Take one connection with the descriptor kept for this, and end it.

        Otherwise it would stand in the queue, the poller would report it for ever, and its client
        would wait in vain.
        """
        cdef Reactor reactor = self.reactor
        cdef int64_t now = wall_ms()
        cdef int fd
        if now - reactor.complained_ms > COMPLAIN_MS:
            reactor.complained_ms = now
            log.error("no more file descriptors: connections are refused", listener=self.name)
        if reactor.reserve >= 0:
            c_close(reactor.reserve)
        fd = accept_nonblocking(self.fd, NULL, NULL)
        if fd >= 0:
            c_close(fd)
        reactor.reserve = open_reserve()
        return 0


cdef int open_reserve():
    try:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return -1


cdef str peer_address(int fd, bytes congestion):
    """Where a client comes from. One from elsewhere gets the congestion control given, if any."""
    cdef sockaddr_storage storage
    cdef socklen_t size = sizeof(storage)
    cdef char[ADDRESS_TEXT] text
    cdef int length = 0
    if getpeername(fd, <sockaddr*>&storage, &size) == 0:
        length = format_address(&storage, text, ADDRESS_TEXT)
        if congestion is not None and not is_local(&storage):
            setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, PyBytes_AS_STRING(congestion),
                       <socklen_t>PyBytes_GET_SIZE(congestion))
    return text[:length].decode("ascii") if length > 0 else "?:0"


cdef str local_address(int fd):
    cdef sockaddr_storage storage
    cdef socklen_t size = sizeof(storage)
    cdef char[ADDRESS_TEXT] text
    cdef int length = 0
    if getsockname(fd, <sockaddr*>&storage, &size) == 0:
        length = format_address(&storage, text, ADDRESS_TEXT)
    return text[:length].decode("ascii") if length > 0 else "?:0"


cdef class Reactor(Network):
    """All clients of a server, and the turns in which they are served."""

    def __cinit__(self, *args, **kwargs):
        self.poller = poller_open()
        if self.poller < 0:
            raise OSError(errno, os.strerror(errno))
        self.reserve = open_reserve()
        self.listeners = {}
        self.graveyard = []
        self.unread = []
        self.turn_budget_us = 5000
        self.turn_callback = self.turn

    def __dealloc__(self):
        self.close_descriptors()

    cdef void close_descriptors(self) noexcept:
        if self.poller >= 0:
            c_close(self.poller)
        if self.reserve >= 0:
            c_close(self.reserve)
        self.poller = self.reserve = -1

    # -- the event loop

    def attach(self, loop: object) -> None:
        """Serve from this event loop from now on."""
        self.loop = loop
        loop.add_reader(self.poller, self.turn_callback)
        if self.awake:
            self.request_turn()

    def detach(self) -> None:
        """Leave the event loop; nothing is served until `attach`."""
        if self.loop is not None:
            self.loop.remove_reader(self.poller)
            self.loop = None

    cdef int request_turn(self) except -1:
        if not self.scheduled and self.loop is not None:
            self.scheduled = True
            self.loop.call_soon(self.turn_callback)
        return 0

    def turn(self) -> None:
        """Serve whoever is ready: called by the event loop, and by tests."""
        self.scheduled = False
        if self.turning or self.poller < 0:
            return
        try:
            self.run_turn()
        except Exception:
            self.turning = False
            log.exception("a turn failed")

    cdef int run_turn(self) except -1:
        cdef int64_t begun = monotonic_ns()
        cdef int64_t ends = begun + self.turn_budget_us * 1000
        cdef int64_t now
        cdef int received
        while True:
            self.turns += 1
            self.turn_ends_ns = ends
            self.begin_turn()
            received = self.handle_events()
            self.end_turn()
            now = monotonic_ns()
            self.turns_ns += now - begun
            begun = now
            if received == 0 or now >= ends:
                break
        if self.unread or self.event_next < self.event_count:
            self.request_turn()          # nobody else will report these again
        self.turn_ends_ns = NEVER
        return 0

    cdef int handle_events(self) except -1:
        """Handle what the poller reports, or what the last turn had no time for."""
        cdef poller_event* event
        cdef Socket client
        cdef list unread
        cdef int handled = 0
        if self.unread:
            unread, self.unread = self.unread, []
            for client in unread:
                if self.out_of_time():
                    self.unread.append(client)
                else:
                    handled += 1
                    self.handle(<void*>client, READABLE)
            if self.out_of_time():
                return handled
        if self.event_next == self.event_count:
            self.graveyard.clear()       # no event names them any more
            self.event_next = 0
            self.event_count = poller_wait(self.poller, self.events, EVENTS)
            if self.event_count < 0:
                self.event_count = 0
                if errno != EINTR:
                    raise OSError(errno, os.strerror(errno))
        while self.event_next < self.event_count:
            event = &self.events[self.event_next]
            self.event_next += 1
            handled += 1
            self.handle(poller_tag(event), poller_what(event))
            if self.out_of_time():
                break
        return handled

    cdef int handle(self, void* tag, int what) except -1:
        cdef Socket client
        cdef Listener listener
        if <Py_ssize_t>tag & LISTENER:
            listener = <Listener><void*>(<Py_ssize_t>tag & ~LISTENER)
            if self.listeners.get(listener.fd) is listener:
                listener.accept_some()
            return 0
        client = <Socket>tag
        if client.closed:
            return 0
        try:
            if what & (READABLE | HANGUP):
                if client.polled & READABLE:
                    client.read()
                    if (client.unread or what & ENDS) and client.polled & READABLE and (
                        not client.closed
                    ):
                        self.unread.append(client)
                elif what & HANGUP:
                    self.drop(client)
            if what & WRITABLE and not client.closed:
                self.wake(client)
        except Exception:
            log.exception("a request failed", addr=client.address, client=client.id)
            client.flags |= CLOSE_NOW
            self.wake(client)
        return 0

    # -- listeners

    def listen(self, sock: object, name: str, accepted: object = None,
               remote_congestion: bytes | None = None) -> Listener:
        """Accept from a bound, listening socket.

        `accepted(descriptor)` gets each new connection; without it the reactor serves it itself.
        Options that clients inherit (TCP_NODELAY, keepalive) are set on the listening socket;
        `remote_congestion` is the congestion control that those from other machines do not inherit.
        """
        listener = Listener(self, sock, name, accepted, remote_congestion)
        sock.setblocking(False)
        if poller_add(self.poller, listener.fd,
                      <void*>(<Py_ssize_t><void*>listener | LISTENER)) < 0:
            raise OSError(errno, os.strerror(errno))
        self.listeners[listener.fd] = listener
        return listener

    def stop_accepting(self) -> None:
        """Close all listeners."""
        for listener in list(self.listeners.values()):
            listener.close()

    # -- clients

    def stream(self, transport: object, address: str, local: str) -> Stream:
        """Return the connection of a client whose bytes travel by an asyncio transport.

        It is `closed` at the end of the turn if the executor refused it.
        """
        client = Stream(self, transport, address, local)
        self.welcome(client)
        self.wake(client)
        return client

    @property
    def sending(self) -> int:
        """How many clients have not been sent all their replies."""
        return sum(1 for client in self.connections.values() if client.output_bytes)

    def stop(self) -> None:
        """Close listeners and clients, whatever waits, and leave the event loop."""
        self.stop_accepting()
        for client in list(self.connections.values()):
            self.drop(client)
        for client in self.awake:
            self.drop(client)
        self.awake.clear()
        self.graveyard.clear()
        self.unread.clear()
        self.detach()
        self.event_next = self.event_count = 0

    def release(self) -> None:
        """Stop for good, and give the descriptors back."""
        self.stop()
        self.close_descriptors()
