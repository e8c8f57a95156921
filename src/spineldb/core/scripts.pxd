"""Scripts on the dispatcher: what a script calls runs within the command that runs the script."""

from libc.stdint cimport int64_t

from spineldb.core.dispatch cimport Command, Dispatcher
from spineldb.core.lua_state cimport LuaState
from spineldb.core.resp cimport Slice
from spineldb.core.session cimport Session

cdef class ScriptRunner:
    cdef readonly LuaState state
    cdef readonly Session client             # as which scripts run their commands
    cdef Dispatcher dispatcher
    cdef public set refused                  # commands that scripts may not call
    cdef public int64_t timeout_ms           # a run that has written nothing ends then; 0: never
    cdef public object on_log                # called (level, text): redis.log
    cdef public object on_check              # called (session, command, argv): may it? or None
    cdef readonly bint wrote                 # the run has called a command that writes
    cdef readonly bint running
    cdef bint read_only, needs_room, full
    cdef int64_t timeout_ns

    cdef void call(self, Slice* argv, int argc, int protocol) except *
    cdef object refusal(self, Command command, int argc)
    cdef bint is_full(self) except -1
