"""Scripts on the dispatcher: what a script calls runs within the command that runs the script.

One session stands for all scripts: its commands run there, with the user and the database of the
client that runs the script, and its output is where their replies go. It is the dispatcher's
`run_within` that asks the gates, keeps the effects of all as one unit, and lets nobody wait.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint32_t
from libc.string cimport memset

from spineldb.core.call cimport Call, body as compiled
from spineldb.core.dispatch cimport (
    GATE_ACL, GATE_DISK, GATE_MEMORY, GATE_READONLY, GATE_REPLICAS, GATE_STALE,
)
from spineldb.core.lua_host cimport (
    CommandSeam, Host, LogSeam, MaySeam, TickSeam,
)
from spineldb.core.lua_state cimport Run
from spineldb.core.resp cimport Output, Request, out_error, out_truncate, parse_int
from spineldb.core.sha1 cimport sha1_hex
from spineldb.core.session cimport AUTHENTICATED, NO_TOUCH, PRIMARY

from spineldb import errors

cdef object UNKNOWN = errors.ScriptUnknownCommand()
cdef object ARITY = errors.ScriptWrongArity()
cdef object REFUSED = errors.ScriptRefusedCommand()
cdef object WRITES = errors.ScriptReadOnly()
cdef object NO_ROOM = errors.OutOfMemory()
cdef bytes NOT_INTEGER = errors.NotInteger().wire
cdef bytes TOO_FEW_KEYS = errors.TooFewKeys().wire
cdef bytes NEGATIVE_KEYS = errors.NegativeKeys().wire
cdef bytes NO_SCRIPT = errors.NoScript().wire
cdef bytes INTERNAL = errors.Internal().wire
cdef bytes TIMED_OUT = b"-" + errors.ScriptTimedOut().wire

cdef enum:
    # what a command is asked at when a script calls it, beside what all that run within are
    GATES_OF_CALLS = GATE_DISK | GATE_REPLICAS | GATE_READONLY | GATE_STALE
    FIRST_KEY = 3                # of EVAL: the name, the script and the number of keys before it
    NAME_SIZE = 40               # of a script: its SHA1 in hexadecimal digits


cdef class Script:
    """A script that is compiled."""

    def __init__(self, bytes body not None, int number, *, bint read_only=False,
                 bint allow_oom=False, bint stays=False):
        self.body = body
        self.number = number
        self.read_only = read_only
        self.allow_oom = allow_oom
        self.stays = stays


cdef class ScriptTable:
    """The scripts that are known, by name. `compile_new(body, name)` is asked for others."""

    def __cinit__(self, *args, **kwargs):
        self.known = {}


cdef class ScriptRunner:
    """Runs scripts for clients."""

    def __cinit__(self, Dispatcher dispatcher not None, Session client not None, *, str version,
                  bint functions=False):
        cdef Host* host
        self.dispatcher = dispatcher
        self.client = client
        self.state = LuaState(version=version, functions=functions)
        self.refused = set()
        self.client.out.slabs = dispatcher.slabs
        host = self.state.host
        host.reply.slabs = dispatcher.slabs
        host.seams.context = <void*>self
        host.seams.command = <CommandSeam>run_command
        host.seams.tick = <TickSeam>tick
        host.seams.log = <LogSeam>write_log
        host.seams.may = <MaySeam>may_run

    cdef int run(self, Call call, Script script, bytes name, int keys, bint read_only) except -1:
        """Run a script for the request of a call, which has so many keys; it writes the reply."""
        cdef Run run
        cdef Request* request = call.request
        cdef Session caller = call.client
        cdef Session client = self.client
        client.db = caller.db
        client.user = caller.user
        client.gates = caller.gates & <uint32_t>GATE_ACL
        client.flags = AUTHENTICATED | (caller.flags & <uint32_t>(PRIMARY | NO_TOUCH))
        self.read_only = read_only or script.read_only
        self.wrote = False
        self.full = not script.allow_oom and self.is_full(caller)
        memset(&run, 0, sizeof(Run))
        run.script = script.number
        run.name = name
        run.keys = request.argv + FIRST_KEY
        run.key_count = keys
        run.arguments = run.keys + keys
        run.argument_count = request.argc - FIRST_KEY - keys
        run.protocol = call.protocol
        run.started_ns = self.dispatcher.last_ns
        run.out = call.out
        self.running = True
        self.state.run(&run)
        self.running = False
        return 0

    def limit(self, int64_t timeout_ms, int64_t memory) -> None:
        """Set when a run that has written nothing ends, and how much it may take; 0: no limit."""
        self.timeout_ns = timeout_ms * 1_000_000
        self.state.host.seams.quiet_ns = self.timeout_ns
        self.state.memory_limit = memory

    cdef void call(self, Slice* argv, int argc, int protocol) except *:
        cdef Session client = self.client
        cdef Command command = self.dispatcher.find(argv, argc)
        cdef Request request
        cdef uint32_t gates
        cdef object error = self.refusal(command, argc)
        client.protocol = protocol
        memset(&request, 0, sizeof(Request))
        request.argv = argv
        request.argc = argc
        request.command = <void*>command
        if error is not None:
            self.dispatcher.reject(client, &request, command, error)
            return
        gates = command.gates & self.dispatcher.raised & <uint32_t>GATES_OF_CALLS
        if gates and not self.dispatcher.ask(client, &request, command, gates):
            return
        if command.writes:
            self.wrote = True
        self.dispatcher.run_within(client, &request, command)

    cdef object refusal(self, Command command, int argc):
        """Why a script may not call this; None if it may."""
        if command is None:
            return UNKNOWN
        if not (argc == command.arity if command.arity > 0 else argc >= -command.arity):
            return ARITY
        if command.subcommands is not None and argc > 1:
            return UNKNOWN
        if command in self.refused:
            return REFUSED
        if command.writes and self.read_only:
            return WRITES
        if command.gates & GATE_MEMORY and self.full and not self.wrote:
            return NO_ROOM
        return None

    cdef bint is_full(self, Session caller) except -1:
        """Is there no room for commands that may need some? Evicts first, where that may be."""
        cdef Dispatcher dispatcher = self.dispatcher
        cdef int64_t dirty = dispatcher.effects.dirty
        cdef bint full
        if dispatcher.slabs.used <= dispatcher.memory_mark:
            return False
        if dispatcher.depth:                 # within EXEC, whose unit has begun
            return True
        full = dispatcher.is_full(caller)
        dispatcher.effects.begin(caller.db)  # what was evicted were units of their own
        dispatcher.within_dirty += dispatcher.effects.dirty - dirty
        return full


cdef void run_command(void* context, Slice* argv, int argc, int protocol, Output* out) noexcept:
    """The seam: what is in `out`, which is empty, changes places with the client's output."""
    cdef ScriptRunner runner = <ScriptRunner>context
    cdef Session client = runner.client
    cdef Output kept
    try:
        runner.call(argv, argc, protocol)
    except BaseException as error:
        out_truncate(&client.out, 0, 0)
        runner.dispatcher.internal_errors += 1
        runner.dispatcher.hooks.failed(client, None, error)
        out_error(&client.out, PyBytes_AS_STRING(INTERNAL), <size_t>PyBytes_GET_SIZE(INTERNAL))
    kept = out[0]
    out[0] = client.out
    client.out = kept


cdef const char* tick(void* context, int64_t elapsed_ns) noexcept:
    cdef ScriptRunner runner = <ScriptRunner>context
    if runner.timeout_ns > 0 and elapsed_ns > runner.timeout_ns and not runner.wrote:
        return PyBytes_AS_STRING(TIMED_OUT)
    return NULL


cdef void write_log(void* context, int level, const char* text, size_t size) noexcept:
    cdef ScriptRunner runner = <ScriptRunner>context
    if runner.on_log is not None:
        try:
            runner.on_log(level, text[:size])
        except Exception as error:
            runner.dispatcher.hooks.failed(runner.client, None, error)


cdef int may_run(void* context, Slice* argv, int argc) noexcept:
    cdef ScriptRunner runner = <ScriptRunner>context
    cdef Command command = runner.dispatcher.find(argv, argc)
    cdef int i
    if command is None:
        return -1
    if runner.on_check is None:
        return True
    try:
        words = [PyBytes_FromStringAndSize(argv[i].data, <Py_ssize_t>argv[i].size)
                 for i in range(argc)]
        return bool(runner.on_check(runner.client, command, words))
    except Exception as error:
        runner.dispatcher.hooks.failed(runner.client, command, error)
        return False


# ---------------------------------------------------------------- EVAL and its relatives

cdef int count_keys(Call call, Slice* argv, int argc) except -2:
    """How many of the arguments are keys; -1 if the request was refused."""
    cdef int64_t keys = 0
    if not parse_int(argv[2].data, argv[2].size, &keys):
        call.refuse(NOT_INTEGER)
    elif keys > argc - FIRST_KEY:
        call.refuse(TOO_FEW_KEYS)
    elif keys < 0:
        call.refuse(NEGATIVE_KEYS)
    else:
        return <int>keys
    return -1


cdef int run_text(Call call, Slice* argv, int argc, bint read_only) except -1:
    """Run a script given as text."""
    cdef ScriptTable table = call.engine.scripts
    cdef int keys = count_keys(call, argv, argc)
    cdef char[NAME_SIZE] digits
    cdef bytes name
    cdef object script
    if keys < 0:
        return 0
    sha1_hex(argv[1].data, argv[1].size, digits)
    name = PyBytes_FromStringAndSize(digits, NAME_SIZE)
    script = table.known.get(name)
    if script is None:
        text = PyBytes_FromStringAndSize(argv[1].data, <Py_ssize_t>argv[1].size)
        script = table.compile_new(text, name)
    return table.runner.run(call, <Script?>script, name, keys, read_only)


cdef int run_known(Call call, Slice* argv, int argc, bint read_only) except -1:
    """Run a script given by its SHA1, in any case."""
    cdef ScriptTable table = call.engine.scripts
    cdef int keys = count_keys(call, argv, argc)
    cdef char[NAME_SIZE] digits
    cdef bytes name
    cdef object script
    cdef size_t i
    cdef char c
    if keys < 0:
        return 0
    if argv[1].size != NAME_SIZE:
        return call.refuse(NO_SCRIPT)
    for i in range(NAME_SIZE):
        c = argv[1].data[i]
        digits[i] = c + 32 if c"A" <= c <= c"Z" else c
    name = PyBytes_FromStringAndSize(digits, NAME_SIZE)
    script = table.known.get(name)
    if script is None:
        return call.refuse(NO_SCRIPT)
    return table.runner.run(call, <Script>script, name, keys, read_only)


cdef int eval_(Call call, Slice* argv, int argc) except -1:
    return run_text(call, argv, argc, False)


cdef int evalsha(Call call, Slice* argv, int argc) except -1:
    return run_known(call, argv, argc, False)


cdef int eval_ro(Call call, Slice* argv, int argc) except -1:
    return run_text(call, argv, argc, True)


cdef int evalsha_ro(Call call, Slice* argv, int argc) except -1:
    return run_known(call, argv, argc, True)


EVAL_BODY = compiled(&eval_, "eval")
EVALSHA_BODY = compiled(&evalsha, "evalsha")
EVAL_RO_BODY = compiled(&eval_ro, "eval_ro")
EVALSHA_RO_BODY = compiled(&evalsha_ro, "evalsha_ro")
