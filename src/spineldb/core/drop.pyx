"""A table that was flushed: its entries are freed in slices, then the table."""

cimport cython

from libc.stdint cimport int64_t, uint64_t

from spineldb.clock cimport monotonic_ns

from spineldb.core.entry cimport free_entry
from spineldb.core.slab cimport Ref
from spineldb.core.table cimport table_delete, table_drain
from spineldb.core.wheel cimport wheel_delete

cdef int64_t SLICE = 64              # entries freed between looks at the clock


@cython.no_gc_clear                  # its memory is the store's, which must outlive it
cdef class Drop(Work):
    """Free the entries of a table that was flushed, then the table."""

    @staticmethod
    cdef Drop of(Store store, Table* table, Wheel* wheel):
        cdef Drop job = Drop.__new__(Drop)
        job.store = store
        job.table = table
        job.wheel = wheel
        store.dropping_keys += table.count
        return job

    def __dealloc__(self):
        if self.table is not NULL:
            table_delete(self.table)
        if self.wheel is not NULL:
            wheel_delete(self.wheel)

    cdef bint step(self, int64_t until_ns) except -1:
        cdef Store store = self.store
        while not table_drain(self.table, SLICE, free_visited, <void*>store):
            if monotonic_ns() >= until_ns:
                return False
        table_delete(self.table)
        wheel_delete(self.wheel)
        self.table = NULL
        self.wheel = NULL
        return True


cdef int free_visited(void* context, uint64_t hash, Ref* ref) except -2:
    cdef Store store = <Store>context
    free_entry(store.slabs, ref[0])
    store.dropping_keys -= 1
    store.dropped_keys += 1
    return 0
