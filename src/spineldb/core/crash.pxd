"""What is said when the process faults: the command that ran last, for the report."""

from libc.stdint cimport int64_t

cdef struct Running:
    const char* command          # name of the command that runs or ran last; its Command owns it
    int64_t client               # id of the client that sent it, 0 for none

cdef Running running             # the dispatcher writes it before each command
