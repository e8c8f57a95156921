"""What all databases share: their memory, their clock, what CONFIG SET decides about values."""

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint64_t

from spineldb.core.hashing cimport HashKey
from spineldb.core.slab cimport Slabs
from spineldb.core.work cimport WorkQueue

cdef enum:
    ACCESS_CYCLE = 65535         # access clocks are 1 to this; 0 is long ago

cdef size_t RESERVE_BYTES

cdef class Store:
    cdef Slabs* slabs
    cdef HashKey hash_key
    cdef readonly list databases             # filled by `Keyspace`
    cdef readonly WorkQueue work
    cdef public int64_t now_ms               # wall clock, as of the current request
    cdef int64_t horizon_ms                  # deadlines up to here have passed
    cdef bint applying_                      # see `applying`
    cdef uint16_t access_now                 # what an access writes into an entry
    cdef int64_t access_origin_s             # the second that access clock 1 stands for
    cdef public bint lfu                     # the access clock holds LFU counters
    cdef public int lfu_log_factor, lfu_decay_minutes
    cdef public int64_t string_limit         # longest string, in bytes (proto-max-bulk-len)
    cdef public int64_t bitop_limit          # longest source of BITOP, in bytes; 0: no limit
    # OBJECT ENCODING's thresholds, by their names in CONFIG
    cdef public int64_t list_max_listpack_size
    cdef public int64_t hash_max_listpack_entries, hash_max_listpack_value
    cdef public int64_t set_max_intset_entries
    cdef public int64_t set_max_listpack_entries, set_max_listpack_value
    cdef public int64_t zset_max_listpack_entries, zset_max_listpack_value
    cdef public int64_t hll_sparse_max_bytes
    cdef public int64_t stream_node_max_bytes, stream_node_max_entries
    cdef public bint no_touch                # do not record accesses (a child shares our memory)
    cdef readonly int64_t watched_keys       # entries of all `watched` registries
    cdef uint64_t born                       # hash of the key that was created last (see Effects)
    cdef uint64_t random_state
    cdef readonly int64_t dropping_keys, dropped_keys   # keys that wait to be freed; freed so far
    cdef int64_t moved_entries                   # by the defragmenting walk
    cdef readonly bint defragmenting

    cdef void set_now(self, int64_t now_ms) noexcept
    cdef void touch(self, uint8_t* entry) noexcept
    cdef uint64_t random(self) noexcept
    cdef int frequency_of(self, const uint8_t* entry) noexcept
    cdef int64_t idle_of(self, const uint8_t* entry) noexcept
