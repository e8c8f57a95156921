"""A transaction: what a client watches, and what it has queued between MULTI and EXEC.

A client has one from its first WATCH or MULTI until EXEC, DISCARD, UNWATCH or its end. Each request
is one allocation of the C library, which counts as the client's memory and not as the dataset's.
"""

cimport cython

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy

from spineldb.core.slab cimport block_cost, block_release, block_retain


@cython.no_gc_clear                  # blocks go back to the slabs of the owner it holds
cdef class Transaction:
    """What a client watches, and what it has queued between MULTI and EXEC."""

    def __cinit__(self):
        self.watched = []

    def __dealloc__(self):
        cdef int i
        for i in range(self.count):
            release(self.slabs, self.queued[i])
        free(self.queued)

    cdef int push(self, object command, uint32_t gates, const Slice* argv, int argc) except -1:
        cdef size_t size = sizeof(Queued) + <size_t>argc * sizeof(Slice)
        cdef size_t pinned = 0
        cdef Queued** more
        cdef Queued* one
        cdef char* to
        cdef int i
        if self.count == self.capacity:
            more = <Queued**>realloc(
                self.queued, <size_t>(2 * self.capacity + 8) * sizeof(Queued*))
            if more is NULL:
                raise MemoryError
            self.queued = more
            self.capacity = 2 * self.capacity + 8
        for i in range(argc):
            if argv[i].block is NULL:
                size += argv[i].size
            else:
                pinned += block_cost(argv[i].block)
        one = <Queued*>malloc(size)
        if one is NULL:
            raise MemoryError
        one.command = <void*>command
        one.argc = argc
        one.argv = <Slice*>(one + 1)
        to = <char*>(one.argv + argc)
        for i in range(argc):
            one.argv[i] = argv[i]
            if argv[i].block is NULL:
                memcpy(to, argv[i].data, argv[i].size)
                one.argv[i].data = to
                to += argv[i].size
            else:
                block_retain(one.argv[i].block)
        self.queued[self.count] = one
        self.count += 1
        self.bytes += size + pinned
        self.gates |= gates
        return 0

    @property
    def requests(self) -> list:
        """The queued requests: each its command and its arguments (copies)."""
        cdef int i, n
        cdef Queued* one
        found = []
        for i in range(self.count):
            one = self.queued[i]
            found.append((<object>one.command, [
                PyBytes_FromStringAndSize(one.argv[n].data, <Py_ssize_t>one.argv[n].size)
                for n in range(one.argc)
            ]))
        return found


cdef void release(Slabs* slabs, Queued* one) noexcept:
    cdef int i
    for i in range(one.argc):
        if one.argv[i].block is not NULL:
            block_release(slabs, one.argv[i].block)
    free(one)
