"""The keyspace: numbered databases of entries, their deadlines, who watches which key."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from spineldb.core.entry cimport Kind
from spineldb.core.hashing cimport HashKey
from spineldb.core.root cimport Root
from spineldb.core.slab cimport Ref, Slabs
from spineldb.core.table cimport Place, Table
from spineldb.core.wheel cimport Wheel
from spineldb.core.work cimport Work, WorkQueue

cdef struct Found:               # the answer to a look-up, valid until the next change
    uint8_t* entry               # NULL if there is no such key
    Ref ref
    bint expired                 # there is an entry, but its time has passed: `entry` names it
    uint64_t hash
    Place place

cdef enum:
    SIZE_BINS = 64               # Keysizes: bin n has sizes from 2^(n-1) to 2^n, bin 0 empty ones
    SIZE_KINDS = 8

cdef struct Sizes:
    int64_t bins[SIZE_KINDS][SIZE_BINS]

cdef class Database:
    cdef readonly Keyspace keyspace
    cdef readonly int index
    cdef Slabs* slabs
    cdef Table* table
    cdef Wheel* wheel
    cdef readonly int64_t deadlines          # keys that have one
    cdef public int64_t field_deadlines      # hashes with a field that has one (core/hashes)
    cdef Sizes* sizes                        # of all keys, by kind: for INFO keysizes
    cdef readonly dict watched               # key -> the sessions that WATCH it (keys of a dict)
    cdef public dict awaited                 # key -> who is blocked on it (engine/blocking.py)

    # Look up, and bury first what has expired (see Undertaker).
    cdef uint8_t* lookup(self, const char* key, size_t size, uint64_t hash,
                         Found* found) except? NULL
    cdef uint8_t* named(self, bytes key, Found* found) except? NULL
    cdef uint8_t* find_hashed(self, const char* key, size_t size, uint64_t hash,
                              Found* found) noexcept
    # Values of any kind. `place` stores one of `size` bytes that the caller writes before anything
    # else, then counts by `recount(found.entry, -1)`. `resize` changes the length of the bytes in
    # an entry; those that stay are kept. Both return the bytes and may move the entry: `found` is
    # up to date. `recount` tells that a value had `before` elements (-1: was not there).
    cdef char* place(self, Found* found, const char* key, size_t key_size, int head, size_t size,
                     int64_t deadline) except NULL
    cdef char* resize(self, Found* found, size_t size) except NULL
    cdef int put_root(self, Found* found, Root* root) except -1
    cdef void recount(self, const uint8_t* entry, int64_t before) noexcept
    cdef void forget(self, Found* found) noexcept
    cdef int set_deadline(self, Found* found, int64_t deadline) except -1
    cdef int remove(self, Found* found) except -1
    cdef int rename(self, Found* found, Database target, Found* place, const char* key,
                    size_t key_size, bint copy) except -1
    cdef int push_deadline(self, uint64_t hash, int64_t deadline) except -1
    cdef void uncount(self, const uint8_t* entry) noexcept
    cdef void uncount_value(self, const uint8_t* entry) noexcept
    cdef void count_size(self, int kind, size_t size, int change) noexcept
    cdef int touch_watchers(self, bytes key) except -1

cdef class View:
    """A value under a key, for Python code, which looks the key up anew at every call."""
    cdef readonly Database db
    cdef readonly bytes key
    cdef uint64_t hash

    # The entry, or NULL if there is no such key (any more). Raises WrongType. Buries nothing.
    cdef uint8_t* entry(self, Found* found) except? NULL

cdef class Undertaker:
    cdef bint bury(self, Database db, Found* found) except -1

cdef class Keyspace:
    cdef Slabs* slabs
    cdef HashKey hash_key
    cdef readonly list databases
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
    cdef public Undertaker undertaker
    cdef readonly int64_t dropping_keys, dropped_keys   # keys that wait to be freed; freed so far
    cdef int64_t moved_entries                   # by the defragmenting walk
    cdef readonly bint defragmenting

    cdef size_t owed(self) noexcept          # bytes of `slabs.used` that only wait to be freed
    cdef bint in_debt(self) noexcept         # they are so many that writers must help
    cdef Database database(self, int index)
    cdef void set_now(self, int64_t now_ms) noexcept
    cdef void touch(self, uint8_t* entry) noexcept
    cdef uint64_t random(self) noexcept
    cdef int frequency_of(self, const uint8_t* entry) noexcept
    cdef int64_t idle_of(self, const uint8_t* entry) noexcept
