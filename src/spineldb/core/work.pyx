"""The budgeted queue: whatever could take long is done in slices between requests.

Freeing a set of a million members, expiring a cascade, defragmenting: each is a `Work` that does
a little and says whether it has finished. The queue gives each job its share of the turn's budget
and goes on with the next one in the following turn, so that one enormous job delays neither the
others nor a request by more than the budget.
"""

from libc.stdint cimport int64_t

from spineldb.clock cimport monotonic_ns

cdef enum:
    SLICE_US = 100               # of one job, before the next has its turn


cdef class Work:
    """A job in slices. Subclasses implement `step`."""

    cdef bint step(self, int64_t until_ns) except -1:
        raise NotImplementedError


cdef class CallWork(Work):
    """A job whose slices are calls of a Python function, which answers whether it has finished."""

    cdef object act

    def __init__(self, act: object):
        """Take a function of one argument: the monotonic nanoseconds at which to stop."""
        self.act = act

    cdef bint step(self, int64_t until_ns) except -1:
        return self.act(until_ns)


cdef class WorkQueue:
    """Jobs in the order in which they will have their turns."""

    def __cinit__(self):
        self.jobs = []

    def __len__(self):
        return len(self.jobs)

    cdef void add(self, Work job):
        self.jobs.append(job)

    cdef Py_ssize_t run(self, int64_t budget_us) except -1:
        cdef int64_t now, end
        cdef Work job
        if not self.jobs:
            return 0
        now = monotonic_ns()
        end = now + budget_us * 1000
        while self.jobs and now < end:
            job = <Work>self.jobs.pop(0)
            if job.step(min(end, now + SLICE_US * 1000)):
                self.done_count += 1
            else:
                self.jobs.append(job)
            now = monotonic_ns()
        return len(self.jobs)

    def submit(self, job: Work) -> None:
        """Queue a job."""
        self.add(job)

    def turn(self, budget_us: int) -> int:
        """Work for at most `budget_us` microseconds; return how many jobs are still queued."""
        return self.run(budget_us)
