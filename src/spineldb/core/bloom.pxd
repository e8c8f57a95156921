"""Bloom filters: sets that answer "perhaps" or "certainly not", in a few bits an item.

A filter is a chain of *layers*, each a bit array for a number of items. When the last one is full
the next, larger one is begun, with half of its error, so that all together stay below the error
asked for (Almeida and others, "Scalable Bloom Filters", 2007).
"""

from libc.stdint cimport int8_t, int64_t, uint8_t, uint32_t, uint64_t

from spineldb.core.extensions cimport ExtensionView
from spineldb.core.keyspace cimport Database, Found
from spineldb.core.resp cimport Slice
from spineldb.core.root cimport Root
from spineldb.core.slab cimport Block, Slabs

cdef enum:
    LAYERS_MAX = 999             # Redis refuses a file in which a filter has more
    ALWAYS_ROOM = 65536          # bytes: the gate of maxmemory admits what is smaller, as any write

cdef enum Option:                # RedisBloom's, as SCANDUMP and files have them
    NO_ROUNDING = 1              # bits are not rounded to a power of two; always set
    HASH64 = 4                   # the hash has 64 bits; always set
    NON_SCALING = 8

cdef enum Outcome:               # of adding an item
    PRESENT = 0                  # it is there, or seems to be
    ADDED = 1
    FULL = -1                    # the filter may not grow
    NO_GROWTH = -2               # its next layer would be larger than a value may be
    NO_ROOM = -3                 # its next layer would not fit into maxmemory

cdef struct Layer:
    Block* block                 # the bits, least significant first
    uint64_t bits                # of them
    uint64_t capacity            # items
    uint64_t items
    double error                 # chance of a wrong "perhaps" when it is full
    double bpe                   # bits per item
    uint32_t hashes              # bits set for an item

cdef struct Filter:
    Root root                    # its count is that of layers
    uint64_t items
    uint32_t growth              # how much larger each layer is than the one before
    uint32_t options
    uint32_t count               # layers in use, the last of which takes items
    uint32_t ready               # layers with bits: more than `count` only inside filter_add
    uint32_t room                # of `layers`
    Layer* layers

cdef struct Bounds:              # of what may be allocated
    uint64_t layer_bytes         # the longest value
    uint64_t room_bytes          # what maxmemory leaves

cdef struct Plan:                # of a filter that does not exist yet
    double error
    uint64_t capacity
    uint32_t growth
    bint scaling

# Add items to a filter; if there is none under the key that was looked up, first make one by
# `plan`. `outcomes` gets one for each item up to the first that is negative, with which it ends;
# returns how many. On MemoryError nothing has changed. Raises BloomTooLarge, OutOfMemory when the
# first layer is out of bounds, and then nothing has changed either.
cdef int filter_insert(Database db, Found* found, const char* key, size_t key_size,
                       const Plan* plan, const Bounds* bounds, const Slice* items, int count,
                       int8_t* outcomes) except -1
# Could so many items make the filter grow? Otherwise nobody asks for `bounds`.
cdef bint filter_may_grow(const Filter* filter, int count) noexcept nogil
cdef bint filter_has(const Filter* filter, const char* item, size_t size) noexcept nogil

cdef class Bloom(ExtensionView):
    cdef Filter* filter(self, Found* found) except? NULL
    cdef Filter* existing(self, Found* found) except NULL
