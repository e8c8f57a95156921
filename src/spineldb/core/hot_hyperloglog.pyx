"""Bodies of the HyperLogLog commands. commands/hyperloglog.py tells what each does.

A sparse value is changed in a copy on the stack and stored when all of the command has succeeded; a
dense one is changed in place, where nothing can fail any more.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcpy, memset

from spineldb.core.call cimport Call, body
from spineldb.core.effects cimport EVENT_STRING
from spineldb.core.entry cimport STICKY, entry_deadline, entry_value, is_string
from spineldb.core.hyperloglog cimport (
    BROKEN,
    HLL_CACHE,
    HLL_DENSE,
    HLL_DENSE_SIZE,
    HLL_ENCODING,
    HLL_HEADER,
    HLL_REGISTERS,
    HLL_ROOM,
    HLL_SPARSE_MOST,
    RAISED,
    Added,
    dense_get,
    dense_set,
    dense_write,
    hll_count,
    hll_empty,
    hll_locate,
    hll_merge,
    hll_raise,
    hll_spoil,
    hll_stale,
    hll_valid,
    registers_count,
)
from spineldb.core.keyspace cimport Found
from spineldb.core.replies cimport WRONG_TYPE, reply_int, reply_ok
from spineldb.core.resp cimport Slice
from spineldb.core.strings cimport put_string, resize_string

from spineldb import errors

cdef bytes NOT_HLL = errors.NotHyperLogLog().wire
cdef bytes CORRUPT = errors.CorruptHyperLogLog().wire


cdef uint8_t* value_of(Call call, uint8_t* entry, size_t* size) except? NULL:
    """The bytes of a HyperLogLog, or NULL after answering that it is none."""
    cdef uint8_t* data
    if not is_string(entry):
        call.refuse(WRONG_TYPE)
        return NULL
    data = <uint8_t*>entry_value(entry, size)
    if not hll_valid(data, size[0]):
        call.refuse(NOT_HLL)
        return NULL
    return data


cdef int store(Call call, Slice* key, Found* found, const uint8_t* value, size_t size) except -1:
    """Store a value that is not in the entry; the key's deadline stays."""
    cdef size_t before
    cdef char* data
    if found.entry is not NULL and size < HLL_DENSE_SIZE:
        data = resize_string(call.db, found, key.data, key.size, size, &before)
        memcpy(data, value, size)            # grows again and again, so with room to spare
        return 0
    return put_string(
        call.db, found, key.data, key.size, <const char*>value, size, NULL,
        -1 if found.entry is NULL else entry_deadline(found.entry), STICKY)


cdef uint8_t* writable(Call call, Slice* key, Found* found, size_t size) except NULL:
    """The bytes of the value, which no reply that is being sent holds as well."""
    cdef size_t before
    return <uint8_t*>resize_string(call.db, found, key.data, key.size, size, &before)


cdef int add_dense(Call call, Slice* argv, int argc, Found* found, uint8_t* data) except -1:
    """Add elements in place; return how many registers that raised."""
    cdef int changes = 0
    cdef int shown = 0
    cdef int i, index
    for i in range(2, argc):
        index = hll_locate(argv[i].data, argv[i].size, &shown)
        if dense_get(data, index) >= shown:
            continue
        if changes == 0:
            data = writable(call, &argv[1], found, HLL_DENSE_SIZE)
            hll_spoil(data)
        dense_set(data, index, shown)
        changes += 1
    return changes


cdef int add_sparse(Call call, Slice* argv, int argc, Found* found, const uint8_t* data,
                    size_t size) except -2:
    """Add elements to a copy and store it; return what that changed, -1 after an error."""
    cdef uint8_t[HLL_ROOM] work
    cdef uint8_t[HLL_DENSE_SIZE] other
    cdef Added outcome
    cdef int changes = 0
    cdef int shown = 0
    cdef int i, index
    if size > HLL_SPARSE_MOST:
        call.refuse(CORRUPT)
        return -1
    if data is NULL:
        size = hll_empty(work)
        hll_spoil(work)
        changes = 1
    else:
        memcpy(work, data, size)
    for i in range(2, argc):
        index = hll_locate(argv[i].data, argv[i].size, &shown)
        outcome = hll_raise(work, &size, other, call.keyspace.hll_sparse_max_bytes, index, shown)
        if outcome == BROKEN:
            call.refuse(CORRUPT)
            return -1
        changes += outcome == RAISED
    if changes:
        store(call, &argv[1], found, work, size)
    return changes


cdef int pfadd(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef size_t size = 0
    cdef uint8_t* data = NULL
    cdef uint8_t* entry = call.first(&argv[1], &found)
    cdef int changes
    if entry is not NULL:
        data = value_of(call, entry, &size)
        if data is NULL:
            return 0
        entry[0] |= STICKY                   # as in Redis, also where nothing changes
    if data is not NULL and data[HLL_ENCODING] == HLL_DENSE:
        changes = add_dense(call, argv, argc, &found, data)
    else:
        changes = add_sparse(call, argv, argc, &found, data, size)
        if changes < 0:
            return 0
    if changes:
        call.changed(&argv[1], EVENT_STRING, b"pfadd", changes)
    return reply_int(call, changes > 0)


cdef int count_union(Call call, Slice* argv, int argc) except -1:
    cdef uint8_t[HLL_REGISTERS] registers
    cdef Found found
    cdef size_t size
    cdef uint8_t* data
    cdef uint8_t* entry
    cdef int i
    memset(registers, 0, HLL_REGISTERS)
    for i in range(1, argc):
        entry = call.accessed(&argv[i], call.nth(argv, i, argc, 1, i - 1, &found))
        if entry is NULL:
            continue
        data = value_of(call, entry, &size)
        if data is NULL:
            return 0
        if not hll_merge(registers, data, size):
            return call.refuse(CORRUPT)
    return reply_int(call, registers_count(registers))


cdef int pfcount(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef size_t size
    cdef int64_t counted
    cdef uint8_t* data
    cdef uint8_t* entry
    if argc > 2:
        return count_union(call, argv, argc)
    entry = call.read_first(&argv[1], &found)
    if entry is NULL:
        return reply_int(call, 0)
    data = value_of(call, entry, &size)
    if data is NULL:
        return 0
    entry[0] |= STICKY                       # as in Redis: it may be written to
    if not hll_stale(data):
        memcpy(&counted, data + HLL_CACHE, 8)
        return reply_int(call, counted)
    counted = hll_count(data, size)
    if counted < 0:
        return call.refuse(CORRUPT)
    # A replica waits for its primary's, and nothing changes in emergency mode.
    if call.effects.may_bury or call.keyspace.applying_:
        data = writable(call, &argv[1], &found, size)
        memcpy(data + HLL_CACHE, &counted, 8)
        call.changed(&argv[1], 0, b"", 1)    # as Redis: watchers notice, there is no event
    return reply_int(call, counted)


cdef int pfmerge(Call call, Slice* argv, int argc) except -1:
    cdef uint8_t[HLL_REGISTERS] registers
    cdef Found found
    cdef size_t size
    cdef uint8_t* data
    cdef uint8_t* entry
    cdef bint dense = False
    cdef int i
    memset(registers, 0, HLL_REGISTERS)
    for i in range(1, argc):
        entry = call.accessed(&argv[i], call.nth(argv, i, argc, 1, i - 1, &found))
        if entry is NULL:
            continue
        data = value_of(call, entry, &size)
        if data is NULL:
            return 0
        dense = dense or data[HLL_ENCODING] == HLL_DENSE
        if not hll_merge(registers, data, size):
            return call.refuse(CORRUPT)
    call.first(&argv[1], &found)
    if dense:
        merge_dense(call, &argv[1], &found, registers)
    else:
        merge_sparse(call, &argv[1], &found, registers)
    call.changed(&argv[1], EVENT_STRING, b"pfadd", 1)
    return reply_ok(call)


cdef int merge_dense(Call call, Slice* key, Found* found, const uint8_t* registers) except -1:
    """Make the value under a key dense, with these registers."""
    cdef uint8_t[HLL_DENSE_SIZE] work
    cdef size_t size
    cdef uint8_t* data = work
    if found.entry is not NULL:
        data = <uint8_t*>entry_value(found.entry, &size)
        if data[HLL_ENCODING] == HLL_DENSE:
            data = writable(call, key, found, HLL_DENSE_SIZE)
            dense_write(data, registers)
            hll_spoil(data)
            return 0
        memcpy(work, data, HLL_HEADER)
    else:
        hll_empty(work)
    work[HLL_ENCODING] = HLL_DENSE
    dense_write(work, registers)
    hll_spoil(work)
    return store(call, key, found, work, HLL_DENSE_SIZE)


cdef int merge_sparse(Call call, Slice* key, Found* found, const uint8_t* registers) except -1:
    """Raise the sparse value under a key to these registers, one by one: that decides its bytes."""
    cdef uint8_t[HLL_ROOM] work
    cdef uint8_t[HLL_DENSE_SIZE] other
    cdef size_t size
    cdef uint64_t eight
    cdef uint8_t* data
    cdef int i, k
    if found.entry is NULL:
        size = hll_empty(work)
    else:
        data = <uint8_t*>entry_value(found.entry, &size)
        memcpy(work, data, size)
    for i in range(0, HLL_REGISTERS, 8):
        memcpy(&eight, registers + i, 8)
        if eight == 0:
            continue
        for k in range(i, i + 8):
            if registers[k]:
                # the value was found valid above: none of this can fail
                hll_raise(work, &size, other, call.keyspace.hll_sparse_max_bytes, k, registers[k])
    hll_spoil(work)
    return store(call, key, found, work, size)


PFADD_BODY = body(pfadd, "pfadd")
PFCOUNT_BODY = body(pfcount, "pfcount")
PFMERGE_BODY = body(pfmerge, "pfmerge")
