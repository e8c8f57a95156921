"""The slow log and its siblings: the last commands that took long, or were big."""

from libc.stdint cimport int64_t

from spineldb.core.resp cimport Request
from spineldb.core.session cimport Session

cdef class Measured:
    cdef readonly list argv      # shortened: see measured()
    cdef readonly int argc
    cdef readonly int64_t at     # Unix seconds
    cdef readonly int64_t ns, request_bytes, reply_bytes
    cdef readonly str address, client_name

cdef Measured measured(Session session, const Request* request, int64_t ns, int64_t reply_bytes)
# How big a request is: as received, or the sum of its arguments if it is not in one piece.
cdef int64_t request_bytes(const Request* request) noexcept nogil

cdef class CommandLog:
    cdef public int64_t threshold            # -1: off
    cdef object kept                         # a deque of (id, amount, Measured), newest first
    cdef int64_t next_id

    # Keep the command if its amount (microseconds or bytes) has reached the threshold.
    cdef int consider(self, int64_t amount, Measured command) except -1
