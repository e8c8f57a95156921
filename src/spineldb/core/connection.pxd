"""Connections without sockets, and what all connections of a server share."""

from libc.stdint cimport int64_t, uint64_t

from spineldb.core.resp cimport Limits, Parser, Request, Slices
from spineldb.core.session cimport Executor, Session

cdef enum:
    AHEAD = 16                   # requests parsed before the first of them is executed
    RECEIVE = 65536              # bytes received at once
    PREPEND = 16384              # up to this many kept bytes are copied before the received ones

cdef enum OutputClass:
    NORMAL_CLASS = 0
    REPLICA_CLASS = 1
    PUBSUB_CLASS = 2

cdef struct OutputLimit:         # client-output-buffer-limit of a class; 0 is no limit
    size_t hard                  # bytes: more than this closes the connection
    size_t soft                  # bytes: more than this ...
    int64_t soft_seconds         # ... for so long does

cdef class Connection(Session):
    cdef Network network
    cdef Parser parser
    cdef Slices partial          # arguments of the request of which only a part has arrived
    cdef bint ready              # `partial` is a whole request that waits to be executed
    cdef char* kept              # bytes received and not executed; NULL when there are none
    cdef size_t kept_start       # the first of them
    cdef size_t kept_size
    cdef size_t kept_capacity
    cdef bint queued             # in network.awake
    cdef bint ended              # the peer sends nothing more
    cdef bint admitted           # the executor counts it: it must leave
    cdef readonly bint closed
    cdef int64_t soft_since_ms   # since when the output is above its soft limit, or 0
    cdef int64_t closing_ms      # when a closing connection last made progress, or 0

    # Bytes have arrived: execute what is whole and keep the rest.
    cdef int received(self, const char* data, size_t size) except -1
    # The same for bytes of which the first `prefix` are a copy of the kept ones.
    cdef int received_behind(self, const char* data, size_t size, size_t prefix) except -1
    # Execute what was kept, after whatever stopped the session is over.
    cdef int process(self) except -1
    # Have the output sent, as far as it goes now. Here: nothing, it waits to be taken.
    cdef int flush(self) except -1
    # Cut the line. Called once, by Network.drop().
    cdef void hang_up(self) noexcept

    cdef void count_input(self, size_t size) noexcept
    cdef void wake_if_needed(self) noexcept
    cdef int execute(self, const char* data, size_t size) except -1
    cdef bint execute_batch(self, const char* data, size_t size) except -1
    cdef bint execute_ready(self, const char* data) except -1
    cdef int run(self, Request* requests, int count) except -1
    cdef int refuse(self, int status) except -1
    cdef int retain(self, const char* data, size_t size, size_t prefix) except -1
    cdef int keep(self, const char* data, size_t size) except -1
    cdef int reserve_input(self, size_t size) except -1
    cdef int check_input(self) except -1
    cdef int fill_block(self, const char** data, size_t* size) except -1
    cdef int filled_block(self, size_t size) except -1
    cdef void release_partial(self) noexcept
    cdef void forget_partial(self) noexcept
    cdef void forget_input(self) noexcept
    cdef bint over_output_limit(self) noexcept
    cdef void count_output(self, size_t size) noexcept

cdef class Network:
    cdef readonly Executor executor
    cdef readonly dict connections           # Connection by id
    cdef dict unauthenticated                # those of them that must still log in
    cdef list awake                          # connections with output, or with input to go on with
    cdef list delivering                     # those whose output leaves at the end of this turn
    cdef list postponed                      # those for whom there was no time in this turn
    cdef void* current                       # the connection whose requests are being executed
    cdef readonly bint turning               # a turn is going on: no need to ask for one
    cdef int64_t turn_ends_ns                # monotonic: where this turn should end
    cdef int64_t now_ms                      # wall clock at the beginning of the turn
    cdef int64_t last_id
    cdef list walk                           # connections that the cron still has to look at
    cdef Py_ssize_t walk_step

    cdef Limits limits
    cdef OutputLimit output_limits[3]
    cdef char* input                         # the shared receive buffer: PREPEND + RECEIVE bytes
    cdef char* scratch                       # for decoded inline requests
    cdef Request requests[AHEAD]
    cdef size_t starts[AHEAD]
    cdef Slices slices
    cdef bint running                        # `requests` are being executed

    cdef public size_t query_buffer_limit
    cdef public int64_t idle_timeout_s       # 0: never
    cdef public int64_t handshake_timeout_ms
    cdef public int64_t max_unauthenticated
    # INFO's stats, under INFO's names
    cdef public uint64_t total_connections_received
    cdef public uint64_t total_reads_processed
    cdef public uint64_t total_writes_processed
    cdef public uint64_t total_net_input_bytes
    cdef public uint64_t total_net_output_bytes
    cdef public uint64_t client_query_buffer_limit_disconnections
    cdef public uint64_t client_output_buffer_limit_disconnections

    # A new connection: gives it its id and asks the executor. False if it was refused: then its
    # output holds the error and it closes when that has left.
    cdef bint welcome(self, Connection connection) except -1
    cdef void wake(self, Connection connection) noexcept
    # Ask for a turn soon; the event loop's matter.
    cdef int request_turn(self) except -1
    cdef void begin_turn(self) noexcept
    # Let woken connections go on, settle the effects, send the replies.
    cdef int end_turn(self) except -1
    cdef int resume_awake(self) except -1
    # Send what waits and close if that is due.
    cdef int deliver(self, Connection connection) except -1
    cdef bint out_of_time(self) noexcept
    # Close now, whatever waits. Any number of times.
    cdef int drop(self, Connection connection) except -1
    cdef bint is_due(self, Connection connection) except -1
    cdef bint too_many_unauthenticated(self) except -1
    cdef int expire_unauthenticated(self) except -1
