"""Dispatch: look up, ask the gates, run, settle the effects.

A connection offers a batch of parsed requests. Their commands are looked up and their first keys'
buckets and entries prefetched before any of them runs: at a million keys a command is mostly cache
misses. Then each runs to completion:

1. *Gates.* Each command has a mask of the questions that concern it; each session and the server
   have masks of the questions that are open. Where they do not meet, which is nearly always, no
   question costs anything. Otherwise the gates are asked in their order, which clients can observe.
2. *Body.* A function of C that writes its reply, or a Python function that returns it. A command
   that may have to wait can have both: the first does what can be done at once, and only where it
   leaves the request unanswered the second is called, which says what is waited for.
3. *Effects.* What changed goes to the sinks before the reply can leave.

A body that raises anything but a `CommandError` is our bug: `-ERR internal error`, or, if it had
changed data, emergency read-only mode.

EXEC and scripts run commands within their own (`run_within`): each is asked at fewer gates, answers
where the outer one's reply goes on, and adds its effects to the outer one's unit. Nobody waits
there, and nobody who waits is served before the outer command is over.
"""

cimport cython

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, memset

from spineldb.clock cimport monotonic_ns, wall_ms
from spineldb.core.call cimport UNANSWERED, Deferred
from spineldb.core.commandlog cimport CommandLog, Measured, measured, request_bytes
from spineldb.core.crash cimport running
from spineldb.core.eviction cimport EXHAUSTED, Evictor
from spineldb.core.keyspace cimport Database
from spineldb.core.resp cimport Output, out_error, out_simple, out_truncate, out_value
from spineldb.core.session cimport (
    CLOSE_NOW, CLOSING, DIRTY_WATCH, POSTPONED, PRIMARY, QUEUEING, REPLY_OFF, REPLY_SKIP,
    REPLY_SKIP_NEXT, STOPPED,
)
from spineldb.core.transaction cimport Queued, Transaction
from spineldb.core.table cimport table_hash, table_prefetch, table_prefetch_entries

from spineldb import errors
from spineldb.core.call import NO_REPLY
from spineldb.core.effects import NotSettled

cdef extern from *:
    int leading_zeros "__builtin_clzll"(uint64_t) noexcept nogil

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8(object text) except NULL
    object PyObject_Vectorcall(object function, PyObject** args, size_t count, PyObject* names)

cdef enum:
    STACK_ARGUMENTS = 16                 # a Python body with fewer gets them without a tuple
    DEBT_US = 1000                       # of freeing, in a turn that writes while much waits for it

cdef int64_t NEVER = <int64_t>1 << 62

#: Returned by a gate: the request waits, unexecuted, until its session is woken.
POSTPONE = object()


cdef class Command:
    """A command as the dispatcher runs it, with its statistics."""

    def __cinit__(self, str name, object declaration, int arity, uint32_t gates, object body,
                  int first_key=0, dict subcommands=None, Body quick=None):
        cdef Body compiled = body if isinstance(body, Body) else quick
        self.name = name
        self.label = PyUnicode_AsUTF8(name)
        self.declaration = declaration
        self.arity = arity
        self.gates = gates
        self.first_key = first_key
        self.subcommands = subcommands
        self.words = 2 if "|" in name else 1
        self.function = body
        if compiled is not None:
            self.compiled = compiled.function

    def __dealloc__(self):
        free(self.latency)

    def __repr__(self) -> str:
        return f"<command {self.name}>"

    @property
    def gate_bits(self) -> int:
        """The gates this command is asked at."""
        return self.gates

    def flag(self, *, writes: bool, skips_monitor: bool, skips_slowlog: bool) -> None:
        """Set what its flags say of propagation and of who is told of it."""
        self.writes = writes
        self.skips_monitor = skips_monitor
        self.skips_slowlog = skips_slowlog
        self.executes = self.name == "exec"

    def latency_histogram(self) -> dict[int, int]:
        """Return {upper bound in nanoseconds: calls below it and not below the one before}."""
        cdef int n
        if self.latency is NULL:
            return {}
        return {
            <int64_t>((n & 3) + 5) << (n >> 2): self.latency[n] for n in range(LATENCY_BINS)
            if self.latency[n]
        }

    def reset_statistics(self) -> None:
        """Forget calls, times and failures (CONFIG RESETSTAT)."""
        self.calls = self.spent_ns = self.rejected = self.failed = 0
        self.reset_latency()

    def reset_latency(self) -> None:
        """Forget the histogram of latencies."""
        if self.latency is not NULL:
            memset(self.latency, 0, LATENCY_BINS * sizeof(int64_t))


cdef inline void count_latency(Command command, int64_t ns) noexcept:
    # The bin: an exponent, and the two bits after the leading one.
    cdef int exponent = 61 - leading_zeros(<uint64_t>ns | 4)
    cdef int bin = exponent * 4 + <int>(ns >> exponent & 3)
    if command.latency is NULL:
        command.latency = <int64_t*>calloc(LATENCY_BINS, sizeof(int64_t))
        if command.latency is NULL:
            return
    command.latency[bin if bin < LATENCY_BINS else LATENCY_BINS - 1] += 1


cdef inline bint accepts(int arity, int argc) noexcept nogil:
    """Is this the right number of words? A negative arity is a least number."""
    return argc == arity if arity > 0 else argc >= -arity


cdef inline uint32_t name_hash(const char* lower, size_t size) noexcept nogil:
    cdef uint32_t h = 2166136261u
    cdef size_t i
    for i in range(size):
        h = (h ^ <uint8_t>lower[i]) * 16777619u
    return h ^ (h >> 15)


cdef inline size_t lowered(char* to, const char* data, size_t size) noexcept nogil:
    cdef size_t i
    cdef char c
    for i in range(size):
        c = data[i]
        to[i] = c + 32 if 65 <= c <= 90 else c
    return size


@cython.no_gc_clear                  # connections give their blocks back to the keyspace it holds
cdef class Dispatcher(Executor):
    """Runs the requests of all sessions, one at a time.

    `hooks` is called around commands: `admit(session)`, `leave(session)`, `deferred(context,
    value)` (tells whether the client is parked), `instead(context, value)` (the reply where nobody
    may be parked), `monitor(session, argv)`, `late(session, command, measured)`, `failed(session,
    command, exception)`, `emergency(session, command, argv, exception)`, `ready(effects)`.
    """

    def __init__(self, Effects effects, Call context, tuple gates=(), hooks=None):
        self.effects = effects
        self.evictor = Evictor(effects)
        self.keyspace = effects.keyspace
        self.slabs = self.keyspace.slabs
        self.context = context
        context.executor = self
        self.gates = gates
        self.hooks = hooks
        self.commands = {}
        self.errors = {}
        self.memory_mark = <size_t>-1
        self.late_ns = NEVER
        self.slow = CommandLog(10_000, 128)
        self.large_requests = CommandLog(1 << 20, 128)
        self.large_replies = CommandLog(1 << 20, 128)
        self.arm()
        self.track_latency = True

    def __dealloc__(self):
        free(self.index)

    # -- the table -------------------------------------------------------------------------------

    def install(self, commands: dict) -> None:
        """Set the commands that can be run: lower-case name (bytes) to `Command`."""
        cdef uint32_t size = 64
        cdef uint32_t at
        cdef Indexed* index
        cdef bytes name
        cdef Command command
        for name in commands:
            if len(name) > NAME_MAX_BYTES:
                raise ValueError(f"command name is too long: {name!r}")
        while size < 4 * len(commands):
            size *= 2
        index = <Indexed*>calloc(size, sizeof(Indexed))
        if index is NULL:
            raise MemoryError
        for name, command in commands.items():
            at = name_hash(name, len(name)) & (size - 1)
            while index[at].command is not NULL:
                at = (at + 1) & (size - 1)
            memcpy(index[at].name, PyBytes_AS_STRING(name), len(name))
            index[at].size = <uint8_t>len(name)
            index[at].command = <void*>command
        free(self.index)
        self.index = index
        self.index_mask = size - 1
        self.commands = dict(commands)

    cdef Command find(self, Slice* argv, int argc):
        """The command a request names, its subcommand where it has some; None if there is none."""
        cdef char[NAME_MAX_BYTES] name
        cdef size_t size = argv[0].size
        cdef uint32_t at
        cdef Indexed* one
        cdef Command command
        cdef object sub
        if size > NAME_MAX_BYTES or self.index is NULL:
            return None
        lowered(name, argv[0].data, size)
        at = name_hash(name, size) & self.index_mask
        while True:
            one = &self.index[at]
            if one.command is NULL:
                return None
            if one.size == size and memcmp(one.name, name, size) == 0:
                break
            at = (at + 1) & self.index_mask
        command = <Command>one.command
        if command.subcommands is None or argc < 2:
            return command
        if argv[1].size > NAME_MAX_BYTES:
            return command
        size = lowered(name, argv[1].data, argv[1].size)
        sub = command.subcommands.get(name[:size])
        return command if sub is None else <Command>sub

    def lookup(self, *words: bytes) -> Command | None:
        """Return the command of this name, or of this name and subcommand."""
        command = self.commands.get(words[0].lower())
        if command is None or len(words) == 1:
            return command
        return None if command.subcommands is None else command.subcommands.get(words[1].lower())

    def everything(self) -> list[Command]:
        """Return every command and subcommand."""
        return [
            one for command in self.commands.values()
            for one in (command, *(command.subcommands or {}).values())
        ]

    def reset_statistics(self) -> None:
        """Forget how many commands ran, failed and hit (CONFIG RESETSTAT)."""
        self.commands_processed = self.internal_errors = self.error_replies = 0
        self.errors = {}
        self.context.hits = self.context.misses = 0

    # -- the server's state ------------------------------------------------------------------------

    def raise_gate(self, uint32_t bits, bint up=True) -> None:
        """Put gates in force for every session, or lift them."""
        if up:
            self.raised |= bits
        else:
            self.raised &= ~bits

    def is_raised(self, uint32_t bits) -> bool:
        """Tell whether one of these gates is in force for every session."""
        return self.raised & bits != 0

    def limit_memory(self, int64_t bytes_) -> None:
        """Set maxmemory in bytes; 0 is no limit."""
        self.memory_limit = bytes_
        self.evictor.floor = <size_t>-1
        self.memory_mark = <size_t>bytes_ if bytes_ > 0 else <size_t>-1

    def open_gate(self, Session session, uint32_t bits, bint asked=True) -> None:
        """Have a session asked at these gates, or no longer."""
        if asked:
            session.gates |= bits
        else:
            session.gates &= ~bits

    # -- a batch -----------------------------------------------------------------------------------

    cdef int look_ahead(self, Session session, Request* requests, int count) except -1:
        """Find each request's command and bring its first key's bucket and entry into the cache."""
        cdef int i
        cdef Request* request
        cdef Command command
        cdef Slice* key
        cdef Database db = self.keyspace.database(session.db)
        for i in range(count):
            request = &requests[i]
            command = self.find(request.argv, request.argc)
            request.command = <void*>command
            request.hashed = False
            if command is not None and 0 < command.first_key < request.argc:
                key = &request.argv[command.first_key]
                request.hash = table_hash(db.table, key.data, key.size)
                request.hashed = True
                if count > 1:
                    table_prefetch(db.table, request.hash)
        if count > 1:
            for i in range(count):
                if requests[i].hashed:
                    table_prefetch_entries(db.table, requests[i].hash)
        return 0

    cdef int run(self, Session session, Request* requests, int count) except -1:
        cdef int done = 0
        cdef int64_t now_ms = wall_ms()
        self.keyspace.set_now(now_ms)
        session.active_ms = now_ms
        self.last_ns = monotonic_ns()
        self.look_ahead(session, requests, count)
        while done < count:
            if session.flags & STOPPED or not self.execute(session, &requests[done]):
                break
            done += 1
        return done

    cdef bint execute(self, Session session, Request* request) except -1:
        """Run one request; False if it was postponed and must be offered again."""
        cdef Command command
        cdef uint32_t asked, gates
        cdef bint full
        if <PyObject*>request.command == <PyObject*>None:
            self.reject(session, request, None, errors.UnknownCommand(*names(request)))
            return True
        command = <Command>request.command
        if not accepts(command.arity, request.argc):
            self.reject(session, request, command, errors.WrongArity(command.name))
            return True
        if command.subcommands is not None and request.argc > 1:
            self.reject(session, request, None, errors.UnknownSubcommand(
                slice_bytes(&request.argv[1]), command.name.upper()))
            return True
        asked = command.gates
        if session.flags & QUEUEING and command.executes:
            asked |= session.transaction.gates
        gates = asked & (session.gates | self.raised)
        if asked & GATE_MEMORY and self.slabs.used > self.memory_mark and (
            not gates & (GATE_AUTH | GATE_EMERGENCY)
        ):
            full = self.is_full(session)         # which may end in emergency mode
            self.last_ns = monotonic_ns()        # evicting is not this command's doing
            gates |= (asked & self.raised) | (GATE_MEMORY if full else 0)
        if gates:
            if gates & GATE_QUEUE:
                gates &= ~<uint32_t>GATE_SAFETY      # what it reads is known when it runs
            if gates & ~<uint32_t>GATE_QUEUE and not self.ask(session, request, command, gates):
                return session.flags & POSTPONED == 0
            if gates & GATE_QUEUE:
                self.enqueue(session, request, command)
                return True
        self.perform_watched(session, request, command)
        return True

    cdef int perform_watched(self, Session session, Request* request, Command command) except -1:
        """Perform a command, and show it to those who run MONITOR."""
        if self.monitored and not command.skips_monitor:
            argv = arguments(request)        # the command may take a big one away
            self.perform(session, request, command)
            self.hooks.monitor(session, argv)
        else:
            self.perform(session, request, command)
        return 0

    cdef int enqueue(self, Session session, Request* request, Command command) except -1:
        """Keep a request until EXEC, unless that will fail anyway."""
        cdef size_t start = session.out.used
        cdef Transaction transaction = session.transaction
        session.last_command = command
        if not transaction.broken and not session.flags & DIRTY_WATCH:
            try:
                transaction.push(
                    command, command.gates & GATES_OF_QUEUE, request.argv, request.argc)
            except MemoryError:
                self.reject(session, request, command, errors.NoMemory())
                return 0
        out_simple(&session.out, b"QUEUED", 6)
        if session.flags & (REPLY_OFF | REPLY_SKIP | REPLY_SKIP_NEXT):
            self.silence(session, start, session.out.piece_count)
        return 0

    cdef int run_queued(self, Session session) except -1:
        cdef Transaction transaction = session.transaction
        cdef Queued* one
        cdef Request request
        cdef size_t start
        cdef int i, pieces
        cdef bint closing
        memset(&request, 0, sizeof(Request))
        for i in range(transaction.count):
            one = transaction.queued[i]
            request.argv = one.argv
            request.argc = one.argc
            start = session.out.used
            pieces = session.out.piece_count
            closing = session.flags & (CLOSING | CLOSE_NOW) != 0
            self.run_within(session, &request, <Command>one.command)
            if closing:                          # it hears nothing more, though all of it runs
                out_truncate(&session.out, start, pieces)
        return 0

    cdef int run_within(self, Session session, Request* request, Command command) except -1:
        cdef Call context = self.context
        cdef Session client = context.client
        cdef Database db = context.db
        cdef Command outer = context.command
        cdef Request* outer_request = context.request
        cdef Output* out = context.out
        cdef int protocol = context.protocol
        cdef int64_t outer_ns = self.last_ns
        cdef uint32_t gates = command.gates & GATES_WITHIN & (session.gates | self.raised)
        self.last_ns = monotonic_ns()
        self.depth += 1
        try:
            if gates == 0 or self.ask(session, request, command, gates):
                self.perform_watched(session, request, command)
        finally:
            self.depth -= 1
            self.last_ns = outer_ns
            context.client = client
            context.db = db
            context.command = outer
            context.request = outer_request
            context.out = out
            context.protocol = protocol
            self.effects.begin_within(session.db)
        return 0

    cdef bint is_full(self, Session session) except -1:
        """Is more used than maxmemory, and no key may go for it? Evicts what may."""
        cdef bint full
        if session.flags & PRIMARY:          # a replica takes what it is sent
            return False
        try:
            full = self.evictor.make_room(self.memory_mark) == EXHAUSTED
        except NotSettled as error:
            self.hooks.emergency(None, None, [], error.__cause__)
            return False                     # that gate refuses the command
        except MemoryError:
            return True
        if self.effects.ready:
            self.hooks.ready(self.effects)
        return full

    cdef bint ask(self, Session session, Request* request, Command command,
                  uint32_t gates) except -1:
        """Ask the gates that concern the command; False if one answered for it or postponed it."""
        cdef list questions = [(command, arguments(request))]
        cdef Command one
        cdef list argv
        cdef object answer
        if command.executes and session.flags & QUEUEING:
            questions += session.transaction.requests
        for bit, gate in self.gates:
            if not gates & <uint32_t>bit:
                continue
            answer = None
            try:
                for one, argv in questions:
                    if one.gates & <uint32_t>bit and answer is None:
                        answer = gate(session, one, argv)
            except errors.CommandError as error:
                self.reject(session, request, command, error)
                return False
            if answer is POSTPONE:
                session.flags |= POSTPONED
                return False
            if answer is not None:
                out_value(&session.out, answer, session.protocol)
                return False
        return True

    cdef int reject(self, Session session, Request* request, Command command,
                    object error) except -1:
        """Answer an error for a request that was not run."""
        cdef bytes text
        cdef size_t start = session.out.used
        if self.depth == 0:
            session.last_command = command
            if session.flags & QUEUEING:
                session.transaction.broken = True
        if command is not None and command.executes:
            self.hooks.discard(session)
            error = errors.ExecAborted(error)
            if self.monitored:                   # where MULTI was shown, its end is
                self.hooks.monitor(session, arguments(request))
        text = error.wire
        if command is not None:
            command.rejected += 1
        out_error(&session.out, PyBytes_AS_STRING(text), <size_t>PyBytes_GET_SIZE(text))
        self.count_error(session, start)
        self.silence(session, start, session.out.piece_count)
        return 0

    cdef int perform(self, Session session, Request* request, Command command,
                     object body=None) except -1:
        """Run a command (or `body` in its place), settle its effects, count it."""
        cdef Call context = self.context
        cdef size_t start = session.out.used
        cdef int pieces = session.out.piece_count
        cdef int64_t dirty = self.effects.dirty
        cdef int64_t outer_dirty = self.within_dirty
        cdef bint settling = False
        cdef bint parked = False
        if context.client is not session:            # the same as a moment ago, nearly always
            context.client = session
        if context.db is None or context.db.index != session.db:
            context.db = self.keyspace.database(session.db)
        if self.depth:
            self.effects.begin_within(session.db)
        else:
            self.effects.begin(session.db)
            self.effects.channels.executing = <PyObject*>session
        self.within_dirty = dirty
        if context.command is not command:
            context.command = command
        context.request = request
        context.out = &session.out
        context.protocol = session.protocol
        if session.last_command is not command and self.depth == 0:
            session.last_command = command
        running.command = command.label      # for the report, should this fault
        running.client = session.id
        try:
            if body is not None:
                parked = self.interpret(context, command, request, body)
            elif command.compiled is not NULL:
                if command.compiled(context, request.argv, request.argc) == UNANSWERED:
                    parked = self.interpret(context, command, request, command.function)
            else:
                parked = self.interpret(context, command, request, command.function)
            if self.effects.dirty != self.within_dirty or self.effects.unit_commands or (
                self.effects.replaced
            ):
                settling = True
                self.settle_effects(request, self.effects.dirty != self.within_dirty)
        except BaseException as error:
            self.recover(session, request, command, start, pieces,
                         settling or self.effects.dirty != self.within_dirty, error)
        self.within_dirty = outer_dirty + (self.effects.dirty - dirty)
        if parked:
            self.last_ns = monotonic_ns()    # counted when it is answered
        else:
            self.finish(session, request, command, start, pieces)
        if self.depth == 0:
            self.effects.channels.executing = NULL
            if self.effects.channels.pushes:
                self.effects.channels.flush()
            if self.effects.ready:
                self.hooks.ready(self.effects)
        return 0

    cdef int settle_effects(self, Request* request, bint changed) except -1:
        """Hand the effects of a command on, or add them to those of the outer one."""
        if self.depth:
            return self.effects.settle_within(request, changed)
        return self.effects.settle(request, changed)

    cdef bint interpret(self, Call context, Command command, Request* request,
                        object body) except -1:
        """Call a Python body with the arguments as bytes and send what it returns.

        True if the client is parked, because the answer comes later.
        """
        cdef PyObject* stack[STACK_ARGUMENTS + 1]
        cdef object value, one
        cdef Slice* argv = request.argv + command.words
        cdef int count = request.argc - command.words
        cdef int i
        cdef int made = 0
        if count < STACK_ARGUMENTS:
            stack[0] = <PyObject*>context
            try:
                for i in range(count):
                    one = PyBytes_FromStringAndSize(argv[i].data, <Py_ssize_t>argv[i].size)
                    Py_INCREF(one)
                    stack[i + 1] = <PyObject*>one
                    made += 1
                value = PyObject_Vectorcall(body, stack, <size_t>count + 1, NULL)
            finally:
                for i in range(made):
                    Py_DECREF(<object>stack[i + 1])
        else:
            value = body(context, *[slice_bytes(&argv[i]) for i in range(count)])
        if isinstance(value, Deferred):
            if value is NO_REPLY:
                return False
            if self.depth == 0:
                return self.hooks.deferred(context, value)
            value = self.hooks.instead(context, value)
        out_value(context.out, value, context.client.protocol)
        return False

    cdef int recover(self, Session session, Request* request, Command command, size_t start,
                     int pieces, bint changed, object error) except -1:
        """Answer for a command that raised, after discarding what it had begun to answer.

        `changed`: data was changed, or the effects could not be handed on.
        """
        cdef bytes text
        if not changed and self.effects.burials:
            # keys that were found expired are gone whatever became of the command
            changed = self.effects.replaced      # but they cannot be told from what it meant to say
        if changed or self.effects.burials == 0:
            self.effects.drop()
        if self.depth == 0:
            # so are they that were told before, and what was done within this command stays done
            try:
                self.effects.settle(NULL, False)
            except Exception as failure:
                error, changed = failure, True
        out_truncate(&session.out, start, pieces)
        if not isinstance(error, errors.CommandError) and (
            changed or not isinstance(error, MemoryError)
        ):
            self.internal_errors += 1
            self.hooks.failed(session, command, error)
        if changed:
            self.hooks.emergency(session, command, arguments(request), error)
            text = errors.NotPropagated().wire
        elif isinstance(error, errors.CommandError):
            text = error.wire
        elif isinstance(error, MemoryError):
            text = errors.NoMemory().wire
        elif isinstance(error, Exception):
            text = errors.Internal().wire
        else:
            raise error
        out_error(&session.out, PyBytes_AS_STRING(text), <size_t>PyBytes_GET_SIZE(text))
        return 0

    cdef int finish(self, Session session, Request* request, Command command, size_t start,
                    int pieces) except -1:
        """Count a command that ran, and tell those who asked to hear of slow and big ones."""
        cdef int64_t now = monotonic_ns()
        cdef int64_t spent = now - self.last_ns
        cdef int64_t size
        self.last_ns = now
        command.spent_ns += spent
        if self.track_latency:
            count_latency(command, spent)
        self.count(session, command, start)
        size = <int64_t>(session.out.used - start) + (
            <int64_t>session.out.pinned if session.out.piece_count > pieces else 0)
        if spent >= self.watch_ns or size >= self.watch_bytes or (
            request_bytes(request) >= self.watch_bytes
        ):
            self.record(session, command, measured(session, request, spent, size))
        if session.flags & (REPLY_OFF | REPLY_SKIP | REPLY_SKIP_NEXT):
            if command.executes:                 # it has seen to its reply itself
                start, pieces = session.out.used, session.out.piece_count
            self.silence(session, start, pieces)
        return 0

    cdef int record(self, Session session, Command command, Measured what) except -1:
        """Keep a command that was slow or big, and tell of one that took very long."""
        if not command.skips_slowlog:
            self.slow.consider(what.ns // 1000, what)
            self.large_requests.consider(what.request_bytes, what)
            self.large_replies.consider(what.reply_bytes, what)
        if what.ns >= self.late_ns:
            self.hooks.late(session, command, what)
        return 0

    def arm(self) -> None:
        """Look up the smallest thresholds of all, after one of them was changed."""
        cdef CommandLog log
        self.watch_ns = self.late_ns
        if self.slow.threshold >= 0:
            self.watch_ns = min(self.watch_ns, self.slow.threshold * 1000)
        self.watch_bytes = NEVER
        for log in (self.large_requests, self.large_replies):
            if log.threshold >= 0:
                self.watch_bytes = min(self.watch_bytes, log.threshold)

    cdef int count(self, Session session, Command command, size_t start) except -1:
        """Count a call that is answered by what the output holds from `start`."""
        self.commands_processed += 1
        session.commands += 1
        command.calls += 1
        if session.out.used > start and session.out.data[start] == c"-":
            command.failed += 1
            self.count_error(session, start)
        return 0

    cdef void silence(self, Session session, size_t start, int pieces) noexcept:
        """Take the reply back if the client asked for none (CLIENT REPLY)."""
        if session.flags & (REPLY_OFF | REPLY_SKIP):
            out_truncate(&session.out, start, pieces)
        if self.depth and session is self.context.client:
            return                               # the request that is skipped is the outer one
        session.flags &= ~<uint32_t>REPLY_SKIP
        if session.flags & REPLY_SKIP_NEXT:
            session.flags = (session.flags & ~<uint32_t>REPLY_SKIP_NEXT) | REPLY_SKIP

    cdef int count_error(self, Session session, size_t start) except -1:
        """Count an error reply by its code, the first word (INFO errorstats)."""
        cdef const char* text = session.out.data + start + 1
        cdef size_t size = session.out.used - start - 1
        cdef size_t n = 0
        if session.out.failed:
            return 0
        while n < size and text[n] != c" " and text[n] != c"\r":
            n += 1
        code = text[:n].decode("utf-8", "replace")
        self.error_replies += 1
        if code in self.errors or len(self.errors) < ERROR_CODES_MAX:
            self.errors[code] = self.errors.get(code, 0) + 1
        return 0

    cdef int settle(self) except -1:
        """End a turn. One that wrote while much waits to be freed pays a slice of that debt."""
        self.evictor.spent_ns = 0
        if self.effects.dirty != self.settled_dirty:
            self.settled_dirty = self.effects.dirty
            if self.keyspace.in_debt():
                self.keyspace.run_work(DEBT_US)
        return 0

    cdef object admit(self, Session session):
        return None if self.hooks is None else self.hooks.admit(session)

    cdef void leave(self, Session session) noexcept:
        if self.hooks is not None:
            try:
                self.hooks.leave(session)
            except Exception as error:
                self.internal_errors += 1
                self.hooks.failed(session, None, error)

    # -- for the engine ----------------------------------------------------------------------------

    def execute_argv(self, Session session, list argv, int64_t now_ms=-1) -> bool:
        """Run a request given as bytes, as if `session` had sent it; False if it was postponed.

        `now_ms` is the time to run it at (Unix milliseconds), the clock's if negative.
        """
        cdef Request request
        cdef Slice* slices = slices_of(argv)
        try:
            memset(&request, 0, sizeof(Request))
            request.argv = slices
            request.argc = <int>len(argv)
            self.last_ns = monotonic_ns()
            self.keyspace.set_now(wall_ms() if now_ms < 0 else now_ms)
            self.look_ahead(session, &request, 1)
            return self.execute(session, &request)
        finally:
            free(slices)

    def perform_argv(self, Session session, Command command, list argv, body=None) -> None:
        """Run a command for a parked client, or `body` in its place: no gates, no monitor."""
        cdef Request request
        cdef Slice* slices = slices_of(argv)
        try:
            memset(&request, 0, sizeof(Request))
            request.argv = slices
            request.argc = <int>len(argv)
            self.last_ns = monotonic_ns()
            self.perform(session, &request, command, body)
        finally:
            free(slices)

    def continue_with(self, Session session, Command command, list argv, object body) -> None:
        """Run a Python body in place of the command's own: what follows on outside work."""
        self.perform_argv(session, command, argv, body)

    def answer(self, Session session, Command command, object value) -> None:
        """Answer a parked client's command without running it again: its time has passed."""
        cdef size_t start = session.out.used
        cdef int pieces = session.out.piece_count
        out_value(&session.out, value, session.protocol)
        self.count(session, command, start)
        if session.flags & (REPLY_OFF | REPLY_SKIP | REPLY_SKIP_NEXT):
            self.silence(session, start, pieces)
        session.wake()


cdef enum:
    ERROR_CODES_MAX = 128                # different codes that are counted; more would be a leak


cdef inline bytes slice_bytes(const Slice* slice):
    return PyBytes_FromStringAndSize(slice.data, <Py_ssize_t>slice.size)


cdef list arguments(const Request* request):
    """Copies of a request's arguments."""
    cdef int i
    return [slice_bytes(&request.argv[i]) for i in range(request.argc)]


cdef tuple names(const Request* request):
    """A request's first word and the rest of it."""
    argv = arguments(request)
    return argv[0], argv[1:]


cdef Slice* slices_of(list argv) except NULL:
    """Slices of bytes objects, which must outlive them. The caller frees."""
    cdef Slice* slices = <Slice*>calloc(max(len(argv), 1), sizeof(Slice))
    cdef bytes one
    cdef Py_ssize_t i
    if slices is NULL:
        raise MemoryError
    for i in range(len(argv)):
        one = argv[i]
        slices[i].data = PyBytes_AS_STRING(one)
        slices[i].size = <size_t>PyBytes_GET_SIZE(one)
    return slices
