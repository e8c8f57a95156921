"""The budgeted queue: whatever could take long is done in slices between requests."""

from libc.stdint cimport int64_t

cdef class Work:
    """A job in slices. Subclasses implement `step`."""
    # Do a little, until the monotonic clock passes `until_ns` at the latest. True when finished.
    cdef bint step(self, int64_t until_ns) except -1

cdef class WorkQueue:
    cdef list jobs
    cdef readonly int64_t done_count         # jobs finished since the start
    cdef void add(self, Work job)
    # Round robin over the jobs for at most `budget_us`; returns the jobs still queued. A job that
    # raises is dropped, and the exception goes on to the caller.
    cdef Py_ssize_t run(self, int64_t budget_us) except -1
