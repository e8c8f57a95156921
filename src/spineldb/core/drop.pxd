"""A table that was flushed: its entries are freed in slices, then the table."""

from spineldb.core.store cimport Store
from spineldb.core.table cimport Table
from spineldb.core.wheel cimport Wheel
from spineldb.core.work cimport Work

cdef class Drop(Work):
    cdef Store store
    cdef Table* table
    cdef Wheel* wheel

    # Takes over the table and the wheel.
    @staticmethod
    cdef Drop of(Store store, Table* table, Wheel* wheel)
