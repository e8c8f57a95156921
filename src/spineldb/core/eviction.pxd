"""Eviction: which keys go when memory is full (design: `eviction.pyx`)."""

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint64_t

from spineldb.core.effects cimport Effects
from spineldb.core.keyspace cimport Database, Found, Keyspace
from spineldb.core.slab cimport Ref

cpdef enum Choice:               # which of the sampled keys goes
    CHOOSE_NONE = 0              # nothing is evicted
    CHOOSE_LRU = 1               # the one that was used the longest time ago
    CHOOSE_LFU = 2               # the one that is used least
    CHOOSE_TTL = 3               # the one that expires soonest
    CHOOSE_RANDOM = 4            # any

cdef enum:
    POOL = 16                    # candidates remembered from one eviction to the next
    SAMPLES_MAX = 64             # keys sampled for each eviction, at most

cdef enum Outcome:
    ENOUGH = 0                   # no more is used than the limit
    MORE = 1                     # more is, and the time is over
    EXHAUSTED = 2                # more is, and there is no key that may go

cdef struct Candidate:
    int64_t score                # the greatest goes first
    uint64_t hash
    Ref ref
    int database

cdef class Evictor:
    cdef readonly Effects effects
    cdef readonly Keyspace keyspace
    cdef public bint suspended               # a replica: its primary evicts
    cdef public bint volatile_only           # only keys with a deadline may go
    cdef public int samples                  # maxmemory-samples
    cdef public int64_t turn_ns              # of eviction in one turn, then writes pay their way
    cdef int choice_                         # Choice
    cdef readonly int64_t evicted_keys
    cdef readonly int64_t looked_at          # keys sampled so far, for tests
    cdef int64_t spent_ns                    # in this turn, beside what writes had to pay
    cdef int64_t longest_ns                  # that a write had to evict, since that was asked for
    cdef size_t floor                        # the least used since the limit was exceeded
    cdef int64_t exceeded_ns                 # when it was, by the monotonic clock; 0: it is not
    cdef int64_t exceeded_total_ns           # how long it was in former times
    cdef Candidate[POOL] pool                # by score, the best last; no key twice
    cdef int pooled
    cdef int walked                          # where the walk is that looks for rare keys:
    cdef uint64_t position                   # this database, from this position on

    # Make room for a write, as far as a write has to: an Outcome.
    cdef int make_room(self, size_t limit) except -1
    # Evict until no more than `limit` is used or the monotonic clock passes `until_ns`.
    cdef int evict(self, size_t limit, int64_t until_ns) except -1
    cdef bint is_idle(self) noexcept
    cdef size_t net(self) noexcept
    cdef void note(self, int outcome) noexcept
    cdef uint64_t eligible(self, Database db) noexcept
    cdef uint64_t eligible_keys(self) noexcept
    cdef bint is_rare(self, Database db) noexcept
    cdef Database draw(self, uint64_t keys)
    cdef bint evict_one(self, uint64_t keys) except -1
    cdef int sample(self, uint64_t keys) except -1
    cdef int search(self) except -1
    cdef bint consider(self, Database db, Ref ref) noexcept
    cdef int64_t score(self, const uint8_t* entry) noexcept
    cdef void enter(self, const Candidate* candidate) noexcept
    cdef bint take(self, Found* found, int* database) except -1
    cdef int bury(self, Database db, Found* found) except -1
