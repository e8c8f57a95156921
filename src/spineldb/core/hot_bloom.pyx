"""Bodies of the busiest Bloom filter commands; commands/bloom.py tells what each does."""

from libc.stdint cimport int8_t, int64_t, uint8_t
from libc.stdlib cimport free, malloc

from spineldb.core.bloom cimport (
    ADDED,
    ALWAYS_ROOM,
    FULL,
    Bounds,
    Filter,
    NO_ROOM,
    Plan,
    filter_has,
    filter_insert,
    filter_may_grow,
)
from spineldb.core.call cimport Call, body
from spineldb.core.entry cimport entry_root
from spineldb.core.extensions cimport BLOOM, is_extension
from spineldb.core.keyspace cimport Found
from spineldb.core.replies cimport WRONG_TYPE
from spineldb.core.resp cimport Slice, out_array, out_int, out_raw

from spineldb import errors

cdef bytes FILTER_FULL = errors.BloomFull().wire
cdef bytes NOT_INSERTED = errors.BloomNotInserted().wire
cdef bytes OUT_OF_MEMORY = errors.OutOfMemory().wire

#: What a filter is like that an item creates: (error, capacity, growth, whether it scales).
DEFAULT_PLAN = (0.01, 100, 2, True)
cdef Plan default_plan
default_plan.error, default_plan.capacity, default_plan.growth, default_plan.scaling = DEFAULT_PLAN
cdef tuple DEFAULT_RESERVE = (b"BF.RESERVE", b"0.01", b"100", b"EXPANSION", b"2")

cdef enum:
    FEW = 64                     # outcomes that need no memory of their own


cdef inline void reply_bool(Call call, bint value) noexcept:
    if call.protocol == 3:
        out_raw(call.out, b"#t\r\n" if value else b"#f\r\n", 4)
    else:
        out_int(call.out, value)


cdef int reply_outcome(Call call, int outcome) except -1:
    if outcome >= 0:
        reply_bool(call, outcome)
        return 0
    return call.refuse(FILTER_FULL if outcome == FULL else
                       OUT_OF_MEMORY if outcome == NO_ROOM else NOT_INSERTED)


cdef int bounds_of(Call call, Bounds* bounds) except -1:
    """What may be allocated now. Asked only where a filter may grow."""
    bounds.layer_bytes, bounds.room_bytes = (<object>call).value_bounds()
    return 0


cdef int propagate_creation(Call call, Slice* argv, int argc) except -1:
    """Have the filter made with the parameters it has here, then the request as it came."""
    cdef bytes word
    cdef int i
    call.effects.command(6)
    for i in range(len(DEFAULT_RESERVE)):
        word = <bytes>DEFAULT_RESERVE[i]
        call.effects.argument(word, <size_t>len(word))
        if i == 0:
            call.effects.argument(argv[1].data, argv[1].size)
    call.effects.command(argc)
    for i in range(argc):
        call.effects.argument(argv[i].data, argv[i].size)
    return 0


cdef int insert(Call call, Slice* argv, int argc, int8_t* outcomes) except -1:
    """Add the items; how many outcomes there are, or 0 after answering an error."""
    cdef Found found
    cdef Bounds bounds
    cdef int count = argc - 2
    cdef int64_t added = 0
    cdef int i
    cdef uint8_t* entry = call.first(&argv[1], &found)
    if entry is not NULL and not is_extension(entry, BLOOM):
        call.refuse(WRONG_TYPE)
        return 0
    bounds.layer_bytes = ALWAYS_ROOM
    bounds.room_bytes = 0
    if count > <int>default_plan.capacity if entry is NULL else filter_may_grow(
        <Filter*>entry_root(entry), count
    ):
        bounds_of(call, &bounds)
    count = filter_insert(call.db, &found, argv[1].data, argv[1].size, &default_plan, &bounds,
                          argv + 2, count, outcomes)
    for i in range(count):
        added += outcomes[i] == ADDED
    if entry is NULL:
        propagate_creation(call, argv, argc)
    call.changed(&argv[1], 0, b"", added)    # who watches it is told even where nothing was added
    return count


cdef int add(Call call, Slice* argv, int argc) except -1:
    cdef int8_t outcome
    if insert(call, argv, argc, &outcome):
        reply_outcome(call, outcome)
    return 0


cdef int madd(Call call, Slice* argv, int argc) except -1:
    cdef int8_t[FEW] few
    cdef int8_t* outcomes = few
    cdef int count, i
    if argc > FEW:
        outcomes = <int8_t*>malloc(<size_t>argc)
        if outcomes is NULL:
            raise MemoryError
    try:
        count = insert(call, argv, argc, outcomes)
        if count:
            out_array(call.out, count)
        for i in range(count):
            reply_outcome(call, outcomes[i])
    finally:
        if outcomes is not few:
            free(outcomes)
    return 0


cdef int find(Call call, Slice* argv, const Filter** filter) except -1:
    """Look the filter up, NULL without the key; 0 after answering an error."""
    cdef Found found
    cdef uint8_t* entry = call.read_first(&argv[1], &found)
    filter[0] = NULL
    if entry is not NULL:
        if not is_extension(entry, BLOOM):
            call.refuse(WRONG_TYPE)
            return 0
        filter[0] = <const Filter*>entry_root(entry)
    return 1


cdef int exists(Call call, Slice* argv, int argc) except -1:
    cdef const Filter* filter
    if find(call, argv, &filter):
        reply_bool(
            call, filter is not NULL and filter_has(filter, argv[2].data, argv[2].size))
    return 0


cdef int mexists(Call call, Slice* argv, int argc) except -1:
    cdef const Filter* filter
    cdef int i
    if find(call, argv, &filter):
        out_array(call.out, argc - 2)
        for i in range(2, argc):
            reply_bool(
                call, filter is not NULL and filter_has(filter, argv[i].data, argv[i].size))
    return 0


ADD_BODY = body(add, "bf.add")
MADD_BODY = body(madd, "bf.madd")
EXISTS_BODY = body(exists, "bf.exists")
MEXISTS_BODY = body(mexists, "bf.mexists")
