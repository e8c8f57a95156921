"""Housekeeping: walks over all entries, in slices between requests."""

from libc.stdint cimport int64_t, uint64_t

from spineldb.core.database cimport Database
from spineldb.core.store cimport Store
from spineldb.core.work cimport Work

cdef class Renewal(Work):
    cdef Store store

    @staticmethod
    cdef Renewal of(Store store)

cdef class Walk(Work):
    cdef Store store
    cdef int index                           # of the database
    cdef uint64_t position                   # in its table

    # Take one slice of a database from `position` on; True at its end.
    cdef bint walk(self, Database db) except -1
    # All databases have been walked.
    cdef int finish(self) except -1

cdef class Defragment(Walk):
    cdef list noted                          # keys whose values are to be gone through
    cdef uint64_t inner                      # position in the value of the last one
    cdef bint ended                          # the table; what is noted is left

    @staticmethod
    cdef Defragment of(Store store)
    # Take one slice of the value under the last key noted.
    cdef int enter(self, Database db) except -1

cdef class Ageing(Walk):
    @staticmethod
    cdef Ageing of(Store store)
