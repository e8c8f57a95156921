"""The tests' door to scripts: run one, with a Python function in the place of the commands.

Nothing in the server imports this module.
"""

from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from spineldb.clock cimport monotonic_ns
from spineldb.core.lua_host cimport (
    CommandSeam, LogSeam, MaySeam, ReplicateSeam, TickSeam,
)
from spineldb.core.lua_state cimport LuaState, Run
from spineldb.core.resp cimport Output, Slice, out_clear, out_error, out_raw, out_value


cdef class Scripts:
    """A state whose commands are answered by `command(argv, protocol)`: a value or raw bytes.

    `tick(elapsed_ns)` may return the line of the error that ends the run, `log(level, text)` and
    `may(argv)` are as the seams' (core/lua_host.pxd).
    """

    cdef readonly LuaState state
    cdef public object command, tick, log, may
    cdef readonly list replicated            # what redis.set_repl() was told
    cdef readonly int outcome                # of the last run
    cdef bytes stopping
    cdef Output out

    def __cinit__(self, *, command=None, tick=None, log=None, may=None, quiet_ms=0, limit=0,
                  functions=False, version="8.2.0"):
        self.state = LuaState(functions=functions, version=version)
        self.state.memory_limit = limit
        self.command = command
        self.tick = tick
        self.log = log
        self.may = may
        self.replicated = []
        self.state.host.seams.context = <void*>self
        self.state.host.seams.command = <CommandSeam>answer
        self.state.host.seams.tick = <TickSeam>ticked if tick is not None else NULL
        self.state.host.seams.log = <LogSeam>logged
        self.state.host.seams.may = <MaySeam>asked
        self.state.host.seams.replicate = <ReplicateSeam>told
        self.state.host.seams.quiet_ns = <int64_t>(quiet_ms * 1_000_000)

    def __dealloc__(self):
        out_clear(&self.out)

    def run(self, int script, keys=(), arguments=(), *, int protocol=2, bytes name=b"f") -> bytes:
        """Run a script that was compiled; return the reply as a client would read it."""
        cdef Run run
        cdef list held_keys = list(keys), held_arguments = list(arguments)
        cdef Slice* slices = slices_of(held_keys + held_arguments)
        memset(&run, 0, sizeof(Run))
        run.script = script
        run.name = name
        run.keys = slices
        run.key_count = <int>len(held_keys)
        run.arguments = slices + len(held_keys)
        run.argument_count = <int>len(held_arguments)
        run.protocol = protocol
        run.started_ns = monotonic_ns()
        run.out = &self.out
        self.out.used = 0
        self.outcome = self.state.run(&run)
        free(slices)
        return self.out.data[:self.out.used]

    def eval(self, body, *arguments, keys=(), int protocol=2) -> bytes:
        """Compile a script, run it and forget it."""
        number = self.state.compile_script(body if isinstance(body, bytes) else body.encode())
        try:
            return self.run(number, keys, arguments, protocol=protocol)
        finally:
            self.state.forget(number)

    def spend(self, int script, int count) -> int:
        """Run a script so many times; return how many nanoseconds that took."""
        cdef Run run
        cdef int _i
        cdef int64_t started = monotonic_ns()
        memset(&run, 0, sizeof(Run))
        run.script = script
        run.name = b"f"
        run.protocol = 2
        run.started_ns = started
        run.out = &self.out
        for _i in range(count):
            self.out.used = 0
            self.state.run(&run)
        return monotonic_ns() - started

    def answer_at_once(self) -> None:
        """Have every command answered with a short bulk, without Python: what a call costs."""
        self.state.host.seams.command = answer_fixed


cdef Slice* slices_of(list items) except NULL:
    cdef Slice* slices = <Slice*>calloc(max(len(items), 1), sizeof(Slice))
    cdef bytes one
    cdef Py_ssize_t i
    if slices is NULL:
        raise MemoryError
    for i in range(len(items)):
        one = items[i]
        slices[i].data = one
        slices[i].size = <size_t>len(one)
    return slices


cdef list argv_of(Slice* argv, int argc):
    cdef int i
    return [argv[i].data[:argv[i].size] for i in range(argc)]


cdef void answer(void* context, Slice* argv, int argc, int protocol, Output* out) noexcept:
    cdef Scripts scripts = <Scripts>context
    cdef bytes raw
    try:
        value = scripts.command(argv_of(argv, argc), protocol)
        if isinstance(value, bytearray):
            raw = bytes(value)
            out_raw(out, raw, len(raw))
        else:
            out_value(out, value, protocol)
    except Exception as error:
        raw = str(error).encode()
        out_error(out, raw, len(raw))


cdef void answer_fixed(void* context, Slice* argv, int argc, int protocol,
                       Output* out) noexcept nogil:
    out_raw(out, b"$5\r\nvalue\r\n", 11)


cdef const char* ticked(void* context, int64_t elapsed_ns) noexcept:
    cdef Scripts scripts = <Scripts>context
    try:
        scripts.stopping = scripts.tick(elapsed_ns)
    except Exception as error:
        scripts.stopping = repr(error).encode()
    return NULL if scripts.stopping is None else <const char*>scripts.stopping


cdef void logged(void* context, int level, const char* text, size_t size) noexcept:
    cdef Scripts scripts = <Scripts>context
    if scripts.log is not None:
        scripts.log(level, text[:size])


cdef int asked(void* context, Slice* argv, int argc) noexcept:
    cdef Scripts scripts = <Scripts>context
    return -1 if scripts.may is None else scripts.may(argv_of(argv, argc))


cdef void told(void* context, int bits) noexcept:
    (<Scripts>context).replicated.append(bits)
