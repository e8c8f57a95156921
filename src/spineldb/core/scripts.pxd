"""Scripts on the dispatcher: what a script calls runs within the command that runs the script."""

from libc.stdint cimport int64_t

from spineldb.core.call cimport Call
from spineldb.core.dispatch cimport Command, Dispatcher
from spineldb.core.lua_state cimport LuaState
from spineldb.core.resp cimport Slice
from spineldb.core.session cimport Session

cdef class Script:
    cdef readonly bytes body
    cdef readonly int number                 # in the runner's state
    cdef readonly bint read_only, allow_oom  # what its first line asks for
    cdef public bint stays                   # until SCRIPT FLUSH

cdef class ScriptTable:
    cdef public dict known                   # name -> Script
    cdef public ScriptRunner runner          # None before the first script

cdef class ScriptRunner:
    cdef readonly LuaState state
    cdef readonly Session client             # as which scripts run their commands
    cdef Dispatcher dispatcher
    cdef public set refused                  # commands that scripts may not call
    cdef public object on_log                # called (level, text): redis.log
    cdef public object on_check              # called (session, command, argv): may it? or None
    cdef readonly bint wrote                 # the run has called a command that writes
    cdef readonly bint running
    cdef bint read_only, full                # the script that runs: may not write; has no room
    cdef int64_t timeout_ns                  # a run that has written nothing ends then; 0: never

    cdef int run(self, Call call, Script script, bytes name, int keys, bint read_only) except -1
    cdef void call(self, Slice* argv, int argc, int protocol) except *
    cdef object refusal(self, Command command, int argc)
    cdef bint is_full(self, Session caller) except -1
