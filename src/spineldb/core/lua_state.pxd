"""A state of Lua: scripts are compiled here and run.

To run a script another module needs this:

    state = LuaState(version="8.2.3")          # or functions=True, for libraries of functions
    state.memory_limit = 32 << 20
    state.host.seams.command = ...             # and what else of lua_host.Seams it serves
    number = state.compile_script(body)        # Python; or `compile` on bytes of C
    outcome = state.run(&run)                  # C; the whole reply is in run.out

`run` raises nothing and holds no reference: whatever goes wrong in the script is its reply. It is
not to be entered again from a seam (Redis allows no EVAL in a script either).
"""

from libc.stdint cimport int64_t

from spineldb.core.lua_api cimport lua_State
from spineldb.core.lua_host cimport Host
from spineldb.core.lua_sandbox cimport Kept
from spineldb.core.resp cimport Output, Slice

cdef enum Outcome:
    RUN_DONE = 0
    RUN_FAILED = 1               # the reply is an error of the script's own making
    RUN_COUNTED = 2              # it is the error of a command that has been counted already
    RUN_STOPPED = 3              # the tick ended it

cdef struct Run:
    int script                   # its number
    const char* name             # in errors: the SHA1 of a script, the name of a function
    const Slice* keys
    int key_count
    const Slice* arguments
    int argument_count
    int protocol                 # of the client
    int64_t started_ns           # monotonic
    Output* out                  # gets the reply, or the error
    bint counted                 # see RUN_COUNTED

cdef class LuaState:
    cdef lua_State* L
    cdef Host* host
    cdef public Py_ssize_t memory_limit      # bytes a run may take; 0: as many as there are
    cdef readonly bint for_functions
    cdef readonly int scripts                # that are compiled
    cdef int next_number
    cdef list free_numbers
    cdef bytes said                          # what a library failed with, unless the host's text
    cdef bytes version, server               # borrowed by the state while it is set up

    # Compile a text; return the script's number. Raises LuaError.
    cdef int compile(self, const char* body, size_t size, const char* name) except -1
    cdef Outcome run(self, Run* run) noexcept
    cdef void limit_memory(self) noexcept
    cdef bytes message(self)
    cdef int number(self) except -1
    cdef void begin(self, int64_t started_ns) noexcept
    cdef void end(self) noexcept
    cdef int protected(self, Kept function, void* argument) noexcept
    cdef void fail(self, Run* run, int status) noexcept
    cdef bytes failure(self, int status)
    cdef list registered(self)
