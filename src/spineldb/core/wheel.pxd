"""A hierarchical timing wheel of key hashes: which keys may be due (design: `wheel.pyx`)."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from spineldb.core.slab cimport Ref, Slabs

cdef enum:
    TICK_MS = 16
    WHEEL_LEVELS = 8
    WHEEL_SLOTS = 64

# Called with the upper 32 bits of the hash of a key that may be due. It may push to the wheel.
# A negative result ends the step after this prefix.
ctypedef int (*Fire)(void* context, uint32_t prefix) except -2

cdef struct Wheel:
    uint64_t count               # prefixes in it
    size_t bytes                 # memory of the wheel, to the byte; it is in `slabs.used` too
    int64_t tick                 # everything up to here has been handed out or waits in `due`
    Ref due                      # prefixes taken from their slots and not yet handed out
    Slabs* slabs
    uint64_t occupied[WHEEL_LEVELS]          # one bit per slot that is not empty
    Ref slots[WHEEL_LEVELS][WHEEL_SLOTS]
    # what follows is the wheel's own (see wheel.pyx)

cdef Wheel* wheel_new(Slabs* slabs, int64_t now_ms) except NULL
cdef void wheel_delete(Wheel* wheel) noexcept

# Remember that a key with this hash prefix is to be looked at when `deadline_ms` comes, or before.
# Raises MemoryError and changes nothing when there is no memory.
cdef int wheel_push(Wheel* wheel, int64_t deadline_ms, uint32_t prefix) except -1
# Hand out at most `limit` prefixes that may be due at `now_ms`; answers how many. `*more` tells
# whether others are due already.
cdef int64_t wheel_advance(Wheel* wheel, int64_t now_ms, int64_t limit, Fire fire, void* context,
                           bint* more) except -1
# The earliest moment at which something may be due, in Unix milliseconds; -1 if nothing ever is.
cdef int64_t wheel_next_ms(const Wheel* wheel) noexcept nogil

# Prefixes of keys that are gone or were given later deadlines stay until their time. Are they so
# many that the wheel is worth renewing? `keys` have a deadline.
cdef bint wheel_is_stale(const Wheel* wheel, uint64_t keys) noexcept nogil
# Begin to renew: from now on the caller pushes the deadlines of all keys that it has, in slices.
# Meanwhile what was there is handed out as well. Raises MemoryError and changes nothing.
cdef int wheel_renew(Wheel* wheel) except -1
# How far the caller has come, by its own measure (0 to begin with); NULL if nothing is renewed.
cdef uint64_t* wheel_renewal(Wheel* wheel) noexcept nogil
# All have been pushed: forget what was there before.
cdef void wheel_renewed(Wheel* wheel) noexcept

cdef inline uint64_t wheel_count(const Wheel* wheel) noexcept nogil:
    return wheel.count

cdef inline size_t wheel_bytes(const Wheel* wheel) noexcept nogil:
    return wheel.bytes
