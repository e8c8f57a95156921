"""Bodies of the hash commands. commands/hashes.py tells what each does.

Those about deadlines of fields are in hot_field_deadlines, HSCAN and HRANDFIELD in hot_hash_walks.
"""

from libc.stdint cimport int64_t, uint8_t
from libc.stdio cimport snprintf

from spineldb.core.call cimport Call, body
from spineldb.core.effects cimport EVENT_HASH
from spineldb.core.entry cimport HASH, KIND_MASK
from spineldb.core.hashes cimport (
    KEEP_DEADLINE, NO_DEADLINE, Field, hash_bury, hash_bury_named, hash_count, hash_delete,
    hash_due, hash_get, hash_length, hash_set, hash_walk,
)
from spineldb.core.keyspace cimport Found
from spineldb.core.numbers cimport (
    LONG_DOUBLE_TEXT, SUM_DONE, SUM_NOT_FINITE, Sum, add_long_double,
)
from spineldb.core.resp cimport (
    Slice, out_array, out_bulk, out_bulk_block, out_int, out_null, out_raw, parse_int,
)

from spineldb import errors

cdef bytes WRONG_TYPE = errors.WrongType().wire
cdef bytes NOT_INTEGER = errors.NotInteger().wire
cdef bytes NOT_FLOAT = errors.NotFloat().wire
cdef bytes OVERFLOW = errors.Overflow().wire
cdef bytes NOT_FINITE = errors.NotFinite().wire
cdef bytes INCREMENT_NOT_FINITE = errors.IncrementNotFinite().wire
cdef bytes HASH_NOT_INTEGER = errors.HashNotInteger().wire
cdef bytes HASH_NOT_FLOAT = errors.HashNotFloat().wire

cdef int64_t INT64_MAX = <int64_t>0x7fffffffffffffff
cdef int64_t INT64_MIN = -INT64_MAX - 1
cdef int64_t A_FEW = 64                          # fields that a look-up may bury


cdef int look(Call call, Slice* key, Found* found, bint reading) except -2:
    cdef uint8_t* entry = call.first(key, found)
    if entry is not NULL and entry[0] & KIND_MASK == HASH and hash_due(call.db, entry):
        if call.effects.may_bury:
            hash_bury(call.effects, call.db, found, A_FEW)
            entry = found.entry
    if reading:
        call.accessed(key, entry)
    if entry is NULL:
        return 0
    if entry[0] & KIND_MASK != HASH:
        call.refuse(WRONG_TYPE)
        return -1
    return 1


cdef int read_hash(Call call, Slice* key, Found* found) except -2:
    return look(call, key, found, True)


cdef int find_hash(Call call, Slice* key, Found* found) except -2:
    return look(call, key, found, False)


cdef int hash_to_write(Call call, Slice* key, Found* found, const Slice* names, int step,
                       int count) except -2:
    cdef int there = look(call, key, found, False)
    if there == 1 and hash_due(call.db, found.entry) and call.effects.may_bury:
        hash_bury_named(call.effects, call.db, found, names, step, count)
        return found.entry is not NULL
    return there


cdef void reply_field(Call call, const Field* field) noexcept:
    if field.block is not NULL:
        out_bulk_block(call.out, field.block)
    else:
        out_bulk(call.out, field.value, field.size)


cdef void out_map(Call call, int64_t pairs) noexcept:
    cdef char[32] text
    if call.protocol < 3:
        out_array(call.out, 2 * pairs)
    else:
        out_raw(call.out, text, <size_t>snprintf(text, 32, b"%%%lld\r\n", <long long>pairs))


cdef int wrong_arity(Call call) except -1:
    return call.refuse(errors.WrongArity(call.command.name).wire)


cdef int64_t set_pairs(Call call, Slice* argv, int argc) except -2:
    """HSET and HMSET: how many fields are new, or -1 after an error."""
    cdef Found found
    cdef int64_t added
    cdef int count
    if argc % 2:
        wrong_arity(call)
        return -1
    count = (argc - 2) // 2
    if hash_to_write(call, &argv[1], &found, &argv[2], 2, count) < 0:
        return -1
    added = hash_set(call.db, &found, &argv[1], &argv[2], count, NO_DEADLINE)
    call.changed(&argv[1], EVENT_HASH, b"hset", count)
    return added


cdef int hset(Call call, Slice* argv, int argc) except -1:
    cdef int64_t added = set_pairs(call, argv, argc)
    if added >= 0:
        out_int(call.out, added)
    return 0


cdef int hmset(Call call, Slice* argv, int argc) except -1:
    if set_pairs(call, argv, argc) >= 0:
        out_raw(call.out, b"+OK\r\n", 5)
    return 0


cdef int hsetnx(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef Field field
    cdef int there = hash_to_write(call, &argv[1], &found, &argv[2], 1, 1)
    if there < 0:
        return 0
    if there and hash_get(call.db, found.entry, argv[2].data, argv[2].size, &field):
        out_int(call.out, 0)
        return 0
    hash_set(call.db, &found, &argv[1], &argv[2], 1, NO_DEADLINE)
    call.changed(&argv[1], EVENT_HASH, b"hset", 1)
    out_int(call.out, 1)
    return 0


cdef int hget(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef Field field
    cdef int there = read_hash(call, &argv[1], &found)
    if there < 0:
        return 0
    if there and hash_get(call.db, found.entry, argv[2].data, argv[2].size, &field):
        reply_field(call, &field)
    else:
        out_null(call.out, call.protocol)
    return 0


cdef int hmget(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef Field field
    cdef int i
    cdef int there = read_hash(call, &argv[1], &found)
    if there < 0:
        return 0
    out_array(call.out, argc - 2)
    for i in range(2, argc):
        if there and hash_get(call.db, found.entry, argv[i].data, argv[i].size, &field):
            reply_field(call, &field)
        else:
            out_null(call.out, call.protocol)
    return 0


cdef int hdel(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef int64_t removed = 0
    cdef int there = hash_to_write(call, &argv[1], &found, &argv[2], 1, argc - 2)
    if there < 0:
        return 0
    if there:
        removed = hash_delete(call.db, &found, argv + 2, argc - 2)
        if removed:
            call.changed_value(&argv[1], &found, EVENT_HASH, b"hdel", removed)
    out_int(call.out, removed)
    return 0


cdef int hexists(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef Field field
    cdef int there = read_hash(call, &argv[1], &found)
    if there >= 0:
        out_int(call.out, there and hash_get(
            call.db, found.entry, argv[2].data, argv[2].size, &field))
    return 0


cdef int hlen(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef int there = read_hash(call, &argv[1], &found)
    if there >= 0:
        out_int(call.out, hash_count(call.db, found.entry) if there else 0)
    return 0


cdef int hstrlen(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef Field field
    cdef int there = read_hash(call, &argv[1], &found)
    if there < 0:
        return 0
    if there and hash_get(call.db, found.entry, argv[2].data, argv[2].size, &field):
        out_int(call.out, <int64_t>field.size)
    else:
        out_int(call.out, 0)
    return 0


cdef int reply_pair(void* context, const Field* field) except -1:
    out_bulk((<Call>context).out, field.name, field.name_size)
    reply_field(<Call>context, field)
    return 0


cdef int reply_name(void* context, const Field* field) except -1:
    out_bulk((<Call>context).out, field.name, field.name_size)
    return 0


cdef int reply_value(void* context, const Field* field) except -1:
    reply_field(<Call>context, field)
    return 0


cdef int hgetall(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef int there = read_hash(call, &argv[1], &found)
    if there < 0:
        return 0
    out_map(call, hash_length(call.db, found.entry) if there else 0)
    if there:
        hash_walk(call.db, found.entry, reply_pair, <void*>call)
    return 0


cdef int hkeys(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef int there = read_hash(call, &argv[1], &found)
    if there < 0:
        return 0
    out_array(call.out, hash_length(call.db, found.entry) if there else 0)
    if there:
        hash_walk(call.db, found.entry, reply_name, <void*>call)
    return 0


cdef int hvals(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef int there = read_hash(call, &argv[1], &found)
    if there < 0:
        return 0
    out_array(call.out, hash_length(call.db, found.entry) if there else 0)
    if there:
        hash_walk(call.db, found.entry, reply_value, <void*>call)
    return 0


cdef int hincrby(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef Field field
    cdef char[24] text
    cdef Slice[2] pair
    cdef int64_t by
    cdef int64_t value = 0
    cdef int there
    if not parse_int(argv[3].data, argv[3].size, &by):
        return call.refuse(NOT_INTEGER)
    there = hash_to_write(call, &argv[1], &found, &argv[2], 1, 1)
    if there < 0:
        return 0
    if there and hash_get(call.db, found.entry, argv[2].data, argv[2].size, &field):
        if not parse_int(field.value, field.size, &value):
            return call.refuse(HASH_NOT_INTEGER)
    if (by < 0 and value < INT64_MIN - by) or (by > 0 and value > INT64_MAX - by):
        return call.refuse(OVERFLOW)
    value += by
    pair[0] = argv[2]
    pair[1].data = text
    pair[1].size = <size_t>snprintf(text, 24, b"%lld", <long long>value)
    pair[1].block = NULL
    hash_set(call.db, &found, &argv[1], pair, 1, KEEP_DEADLINE)
    call.changed(&argv[1], EVENT_HASH, b"hincrby", 1)
    out_int(call.out, value)
    return 0


cdef int hincrbyfloat(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef Field field
    cdef char[LONG_DOUBLE_TEXT] text
    cdef Slice[2] pair
    cdef bint held = False
    cdef int there
    cdef Sum sum_ = add_long_double(b"0", 1, argv[3].data, argv[3].size, text, &pair[1].size)
    if sum_ != SUM_DONE:
        return call.refuse(INCREMENT_NOT_FINITE if sum_ == SUM_NOT_FINITE else NOT_FLOAT)
    there = hash_to_write(call, &argv[1], &found, &argv[2], 1, 1)
    if there < 0:
        return 0
    field.deadline = -1
    if there:
        held = hash_get(call.db, found.entry, argv[2].data, argv[2].size, &field)
    if held:
        sum_ = add_long_double(
            field.value, field.size, argv[3].data, argv[3].size, text, &pair[1].size)
        if sum_ != SUM_DONE:
            return call.refuse(NOT_FINITE if sum_ == SUM_NOT_FINITE else HASH_NOT_FLOAT)
    pair[0] = argv[2]
    pair[1].data = text
    pair[1].block = NULL
    hash_set(call.db, &found, &argv[1], pair, 1, KEEP_DEADLINE)
    call.changed(&argv[1], EVENT_HASH, b"hincrbyfloat", 1)
    if call.effects.feeding:
        if held and field.deadline >= 0:
            call.effects.command(7)
            call.effects.argument(b"HSETEX", 6)
            call.effects.argument(argv[1].data, argv[1].size)
            call.effects.argument(b"KEEPTTL", 7)
            call.effects.argument(b"FIELDS", 6)
            call.effects.argument(b"1", 1)
        else:
            call.effects.command(4)
            call.effects.argument(b"HSET", 4)
            call.effects.argument(argv[1].data, argv[1].size)
        call.effects.argument(argv[2].data, argv[2].size)
        call.effects.argument(text, pair[1].size)
    out_bulk(call.out, text, pair[1].size)
    return 0


HSET_BODY = body(hset, "hset")
HMSET_BODY = body(hmset, "hmset")
HSETNX_BODY = body(hsetnx, "hsetnx")
HGET_BODY = body(hget, "hget")
HMGET_BODY = body(hmget, "hmget")
HDEL_BODY = body(hdel, "hdel")
HEXISTS_BODY = body(hexists, "hexists")
HLEN_BODY = body(hlen, "hlen")
HSTRLEN_BODY = body(hstrlen, "hstrlen")
HGETALL_BODY = body(hgetall, "hgetall")
HKEYS_BODY = body(hkeys, "hkeys")
HVALS_BODY = body(hvals, "hvals")
HINCRBY_BODY = body(hincrby, "hincrby")
HINCRBYFLOAT_BODY = body(hincrbyfloat, "hincrbyfloat")
