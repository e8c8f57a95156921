"""Dispatch: look up, ask the gates, run, settle the effects."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from spineldb.core.call cimport Body, BodyFunction, Call
from spineldb.core.commandlog cimport CommandLog, Measured
from spineldb.core.effects cimport Effects
from spineldb.core.eviction cimport Evictor
from spineldb.core.keyspace cimport Keyspace
from spineldb.core.resp cimport Request, Slice
from spineldb.core.session cimport Executor, Session

cpdef enum Gate:                 # what may stand between a command and its execution (one bit each)
    GATE_AUTH = 1 << 0           # the session has not authenticated
    GATE_ACL = 1 << 1
    GATE_CLUSTER = 1 << 2
    GATE_EMERGENCY = 1 << 3      # emergency read-only mode
    GATE_MEMORY = 1 << 4         # used_memory is above maxmemory
    GATE_DISK = 1 << 5           # the last save or log write failed
    GATE_REPLICAS = 1 << 6       # not enough good replicas
    GATE_READONLY = 1 << 7       # a replica
    GATE_STALE = 1 << 8          # a replica without its primary
    GATE_LOADING = 1 << 9
    GATE_BUSY = 1 << 10          # a script runs too long
    GATE_PUBSUB = 1 << 11        # RESP2's restricted mode
    GATE_QUEUE = 1 << 12         # between MULTI and EXEC
    GATE_PAUSE = 1 << 13         # CLIENT PAUSE
    GATE_SAFETY = 1 << 14        # collection guards
    GATE_NO_MULTI = 1 << 15      # between MULTI and EXEC, for what may not be queued

cdef enum:
    # what is asked again when a command runs within EXEC or a script, whose own gates it passed
    GATES_WITHIN = GATE_ACL | GATE_EMERGENCY | GATE_SAFETY
    # what EXEC is asked for everything that was queued
    GATES_OF_QUEUE = GATE_CLUSTER | GATE_EMERGENCY | GATE_MEMORY | GATE_DISK | GATE_REPLICAS | (
        GATE_READONLY | GATE_STALE | GATE_LOADING | GATE_PAUSE)

cdef enum:
    NAME_MAX_BYTES = 32          # longest name the command index holds
    LATENCY_BINS = 160           # four to each power of two of nanoseconds

cdef class Command:
    cdef readonly str name                   # "get", "client|list"
    cdef const char* label                   # the same in UTF-8, as long as this object lives
    cdef readonly object declaration         # engine.command.Command
    cdef readonly int arity
    cdef uint32_t gates                      # Gate bits this command is asked at
    cdef readonly bint writes, skips_monitor, skips_slowlog
    cdef bint executes                       # EXEC: it runs what is queued, and answers for it
    cdef int words                           # of its name: 1, or 2 for a subcommand
    cdef BodyFunction compiled               # asked first; NULL when there is none
    cdef object function                     # asked when that is, or has left it UNANSWERED
    cdef readonly int first_key              # 0: none (or not where a range can say)
    cdef readonly dict subcommands           # lower-case bytes -> Command; None without any
    # statistics (INFO commandstats, latencystats; LATENCY HISTOGRAM)
    cdef public int64_t calls, spent_ns, rejected, failed
    cdef int64_t* latency                    # LATENCY_BINS counters, allocated at the first call

cdef struct Indexed:
    char[NAME_MAX_BYTES] name                # lower case
    uint8_t size
    void* command                            # borrowed: `commands` owns

cdef class Dispatcher(Executor):
    cdef readonly Keyspace keyspace
    cdef readonly Effects effects
    cdef readonly Evictor evictor
    cdef readonly dict commands              # lower-case bytes -> Command
    cdef Indexed* index
    cdef uint32_t index_mask
    cdef readonly Call context               # the one call, an engine.context.Context
    cdef public object hooks                 # engine.hooks.Hooks: see dispatch.pyx
    cdef public tuple gates                  # (Gate bit, question) in the order they are asked
    cdef uint32_t raised                     # Gate bits in force for every session
    cdef readonly int64_t memory_limit       # maxmemory; 0: none
    cdef size_t memory_mark                  # GATE_MEMORY is in force above it: the limit, or none
    cdef readonly CommandLog slow, large_requests, large_replies
    cdef int64_t watch_ns                    # commands that last this long are recorded
    cdef int64_t watch_bytes                 # and those with a request or a reply of this size
    cdef public int64_t late_ns              # those that last this long are told to the hooks
    cdef public bint monitored               # somebody runs MONITOR
    cdef public bint track_latency
    cdef public int64_t commands_processed
    cdef public int64_t internal_errors
    cdef public int64_t error_replies
    cdef public dict errors                  # code -> replies (INFO errorstats)
    cdef int64_t last_ns                     # monotonic clock at the end of the last command
    cdef int64_t settled_dirty               # `effects.dirty` at the end of the last turn
    cdef readonly int depth                  # 0; 1 within EXEC or a script
    cdef int64_t within_dirty                # `effects.dirty`, but for what the command did itself

    cdef Command find(self, Slice* argv, int argc)
    cdef int look_ahead(self, Session session, Request* requests, int count) except -1
    cdef bint execute(self, Session session, Request* request) except -1
    cdef int perform_watched(self, Session session, Request* request, Command command) except -1
    cdef int enqueue(self, Session session, Request* request, Command command) except -1
    # Run a command within the one that runs: EXEC, a script. It writes its reply to the output.
    cdef int run_within(self, Session session, Request* request, Command command) except -1
    # Run what the client has queued, one after the other.
    cdef int run_queued(self, Session session) except -1
    cdef bint is_full(self, Session session) except -1
    cdef bint ask(self, Session session, Request* request, Command command,
                  uint32_t gates) except -1
    cdef int perform(self, Session session, Request* request, Command command,
                     object body=*) except -1
    cdef int settle_effects(self, Request* request, bint changed) except -1
    cdef bint interpret(self, Call context, Command command, Request* request,
                        object body) except -1
    cdef int recover(self, Session session, Request* request, Command command, size_t start,
                     int pieces, bint changed, object error) except -1
    cdef int reject(self, Session session, Request* request, Command command,
                    object error) except -1
    cdef void silence(self, Session session, size_t start, int pieces) noexcept
    cdef int count_error(self, Session session, size_t start) except -1
    cdef int record(self, Session session, Command command, Measured what) except -1
    cdef int count(self, Session session, Command command, size_t start) except -1
    cdef int finish(self, Session session, Request* request, Command command, size_t start,
                    int pieces) except -1
