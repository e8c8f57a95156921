"""What all databases share: their memory, their clock, what CONFIG SET decides about values.

The access clock of an entry has 16 bits. Under LRU it counts seconds and comes round after 18
hours; a walk in `housekeeping` writes 0 (long ago) before that. Under LFU it is a logarithmic
counter and the minute of its last decay.
"""

from spineldb.core.entry cimport access_clock, set_access_clock
from spineldb.core.hashing cimport hash_key_init
from spineldb.core.slab cimport slab_committed, slabs_delete, slabs_new

import os

RESERVE_BYTES = <size_t>32 << 30                    # all that 32 bits can name, in units of 8
cdef int LFU_INITIAL = 5                             # a new key's counter: time to earn its keep


cdef class Store:
    """The memory and the clock of all databases."""

    def __cinit__(self, int databases=16, bytes seed=None, size_t reserve=RESERVE_BYTES,
                  int64_t now_ms=0):
        self.slabs = slabs_new(reserve)
        hash_key_init(&self.hash_key, os.urandom(16) if seed is None else seed)
        self.random_state = int.from_bytes(os.urandom(8) if seed is None else seed[:8], "little")
        self.lfu_log_factor = 10
        self.string_limit = 512 << 20
        self.lfu_decay_minutes = 1
        self.list_max_listpack_size = -2
        self.hash_max_listpack_entries = self.set_max_intset_entries = 512
        self.set_max_listpack_entries = self.zset_max_listpack_entries = 128
        self.hash_max_listpack_value = 64
        self.set_max_listpack_value = self.zset_max_listpack_value = 64
        self.hll_sparse_max_bytes = 3000
        self.stream_node_max_bytes = 4096
        self.stream_node_max_entries = 100
        self.access_origin_s = now_ms // 1000 - 1
        self.set_now(now_ms)
        self.work = WorkQueue()
        self.databases = []

    def __dealloc__(self):
        if self.slabs is not NULL:
            slabs_delete(self.slabs)

    cdef void set_now(self, int64_t now_ms) noexcept:
        """Set the wall clock that deadlines and accesses are measured by."""
        cdef int64_t since
        self.now_ms = now_ms
        self.horizon_ms = -1 if self.applying_ else now_ms
        if self.lfu:
            self.access_now = <uint16_t>(LFU_INITIAL | (now_ms // 60000 & 0xff) << 8)
        else:
            since = (now_ms // 1000 - self.access_origin_s) % ACCESS_CYCLE
            if since < 0:                    # the wall clock went back
                since += ACCESS_CYCLE
            self.access_now = <uint16_t>(since + 1)

    @property
    def applying(self) -> bool:
        """Whether a stream of effects is being applied: then no deadline has passed by itself.

        What expired while the stream was written stands in it as a DEL, at the right place; a key
        that is found expired now was alive for the commands that follow in the stream.
        """
        return self.applying_

    @applying.setter
    def applying(self, bint on) -> None:
        self.applying_ = on
        self.set_now(self.now_ms)

    def advance(self, int64_t now_ms) -> None:
        """Set the wall clock that deadlines and accesses are measured by (Unix milliseconds)."""
        self.set_now(now_ms)

    cdef uint64_t random(self) noexcept:
        """64 random bits for sampling (splitmix64; Steele, Lea and Flood, 2014)."""
        cdef uint64_t z
        self.random_state += <uint64_t>0x9e3779b97f4a7c15u
        z = self.random_state
        z = (z ^ (z >> 30)) * <uint64_t>0xbf58476d1ce4e5b9u
        z = (z ^ (z >> 27)) * <uint64_t>0x94d049bb133111ebu
        return z ^ (z >> 31)

    cdef void touch(self, uint8_t* entry) noexcept:
        """Record that an entry was used."""
        cdef uint16_t clock
        cdef int counter
        if self.no_touch:
            return
        if not self.lfu:
            set_access_clock(entry, self.access_now)
            return
        counter = self.frequency_of(entry)
        if counter < 255 and (
            counter < LFU_INITIAL
            or self.random() % <uint64_t>((counter - LFU_INITIAL) * self.lfu_log_factor + 1) == 0
        ):
            counter += 1
        clock = <uint16_t>(counter | (self.now_ms // 60000 & 0xff) << 8)
        set_access_clock(entry, clock)

    cdef int frequency_of(self, const uint8_t* entry) noexcept:
        cdef uint16_t clock = access_clock(entry)
        cdef int64_t minutes = (self.now_ms // 60000 - (clock >> 8)) & 0xff
        cdef int64_t counter = clock & 0xff
        if self.lfu_decay_minutes > 0:
            counter -= minutes // self.lfu_decay_minutes
        return <int>max(counter, 0)

    cdef int64_t idle_of(self, const uint8_t* entry) noexcept:
        cdef int64_t clock = access_clock(entry)
        if clock == 0:
            return ACCESS_CYCLE
        return (self.access_now - clock + ACCESS_CYCLE) % ACCESS_CYCLE

    @property
    def used_memory(self) -> int:
        """Bytes that the dataset allocates: an exact sum, tables and wheels included."""
        return self.slabs.used

    @property
    def committed_memory(self) -> int:
        """Bytes of memory the entries' slabs hold from the system."""
        return slab_committed(self.slabs) + self.slabs.block_bytes

    @property
    def block_memory(self) -> int:
        """The part of `used_memory` that is in blocks of their own."""
        return self.slabs.block_bytes

    @property
    def moved_count(self) -> int:
        """Entries that the defragmenting walk has moved so far."""
        return self.moved_entries
