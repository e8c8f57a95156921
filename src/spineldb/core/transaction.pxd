"""A transaction: what a client watches, and what it has queued between MULTI and EXEC."""

from libc.stdint cimport uint32_t

from spineldb.core.resp cimport Slice
from spineldb.core.slab cimport Slabs

cdef struct Queued:              # one allocation: this, the slices, the bytes they point to
    void* command                # dispatch.Command, borrowed: the dispatcher's table owns it
    int argc
    Slice* argv                  # a big argument stays in its block, retained

cdef class Transaction:
    cdef Slabs* slabs            # whose blocks big arguments are
    cdef readonly object owner   # of the slabs: they must not go before the blocks
    cdef Queued** queued
    cdef int capacity
    cdef readonly int count      # of queued requests
    cdef readonly size_t bytes   # of memory that they take (multi-mem)
    cdef uint32_t gates          # which EXEC must pass, of everything queued (dispatch.pxd, Gate)
    cdef public bint broken      # a request was refused: EXEC must fail
    cdef public list watched     # (Database, key, whether it was expired then)

    # Keep a request. Its arguments are copied, as the input buffer will be overwritten.
    cdef int push(self, object command, uint32_t gates, const Slice* argv, int argc) except -1
