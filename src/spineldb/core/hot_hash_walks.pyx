"""Bodies of HSCAN and HRANDFIELD. commands/hashes.py tells what each does."""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdio cimport snprintf
from libc.stdlib cimport free, malloc

from spineldb.core.call cimport Call, body, keyword
from spineldb.core.glob cimport glob_match
from spineldb.core.hashes cimport (
    Field, hash_due, hash_length, hash_read, hash_scan, hash_table, hash_walk,
)
from spineldb.core.hot_hashes cimport read_hash, reply_field
from spineldb.core.hot_keys cimport parse_cursor
from spineldb.core.hot_sets cimport below, draw, put_in_front
from spineldb.core.keyspace cimport Found
from spineldb.core.resp cimport Slice, out_array, out_bulk, out_null, out_truncate, parse_int
from spineldb.core.slab cimport Ref
from spineldb.core.table cimport Table, table_random

from spineldb import errors

cdef bytes NOT_INTEGER = errors.NotInteger().wire
cdef bytes SYNTAX = errors.Syntax().wire
cdef bytes INVALID_CURSOR = errors.InvalidCursor().wire
cdef bytes COUNT_RANGE = errors.OutsideRange(-(2**63 - 1), 2**63 - 1).wire
cdef bytes OUT_OF_RANGE = errors.ValueOutOfRange().wire
cdef bytes REPLY_TOO_LARGE = errors.OutputLimit().wire

cdef int64_t INT64_MAX = <int64_t>0x7fffffffffffffff

cdef enum:
    CURSOR_BYTES = 24            # of a number and its end
    FRONT_BYTES = 80             # of all that stands before what HSCAN found
    LEAST_REPLY = 6              # bytes of a field in a reply: $0, two line ends
    TRIES = 100                  # draws that may hit a field whose time has passed


# -- iteration -------------------------------------------------------------------------------------

cdef struct Scanning:
    void* call
    const Slice* pattern         # NULL: any
    bint values
    int64_t count                # of the words in the reply


cdef int scan_field(void* context, const Field* field) except -1:
    cdef Scanning* scanning = <Scanning*>context
    cdef Call call = <Call>scanning.call
    if scanning.pattern is not NULL and not glob_match(
        scanning.pattern.data, scanning.pattern.size, field.name, field.name_size, False
    ):
        return 0
    out_bulk(call.out, field.name, field.name_size)
    scanning.count += 1
    if scanning.values:
        reply_field(call, field)
        scanning.count += 1
    return 0


cdef bint read_scan_options(Call call, Slice* argv, int argc, Scanning* scanning,
                            int64_t* count) except -1:
    """Read MATCH, COUNT and NOVALUES; False after answering an error."""
    cdef int i = 0
    while i < argc:
        if keyword(&argv[i], b"NOVALUES", 8):
            scanning.values = False
            i += 1
            continue
        if i + 1 == argc:
            call.refuse(SYNTAX)
            return False
        if keyword(&argv[i], b"COUNT", 5):
            if not parse_int(argv[i + 1].data, argv[i + 1].size, count):
                call.refuse(NOT_INTEGER)
                return False
            if count[0] < 1:
                call.refuse(SYNTAX)
                return False
        elif keyword(&argv[i], b"MATCH", 5):
            scanning.pattern = &argv[i + 1]
            if argv[i + 1].size == 1 and argv[i + 1].data[0] == c"*":
                scanning.pattern = NULL
        else:
            call.refuse(SYNTAX)
            return False
        i += 2
    return True


cdef int hscan(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef Scanning scanning
    cdef uint64_t cursor
    cdef int64_t count = 10
    cdef char[FRONT_BYTES] text
    cdef char[CURSOR_BYTES] shown
    cdef size_t start
    cdef int there
    if not parse_cursor(&argv[2], &cursor):
        return call.refuse(INVALID_CURSOR)
    there = read_hash(call, &argv[1], &found)
    if there < 0:
        return 0
    if there == 0:
        out_array(call.out, 2)
        out_bulk(call.out, b"0", 1)
        out_array(call.out, 0)
        return 0
    scanning.call = <void*>call
    scanning.pattern = NULL
    scanning.values = True
    scanning.count = 0
    if not read_scan_options(call, argv + 3, argc - 3, &scanning, &count):
        return 0
    start = call.out.used
    hash_scan(call.db, found.entry, &cursor, count, scan_field, &scanning)
    put_in_front(call.out, start, text, <size_t>snprintf(
        text, FRONT_BYTES, b"*2\r\n$%d\r\n%s\r\n*%lld\r\n",
        snprintf(shown, CURSOR_BYTES, b"%llu", <unsigned long long>cursor), shown,
        <long long>scanning.count))
    return 0


# -- random fields ---------------------------------------------------------------------------------

cdef struct Choosing:
    void* call
    bint values                  # reply with them, too
    int64_t left                 # fields that were not looked at
    int64_t wanted               # how many of them: 1 and `one`, or any number to reply with
    Field* one                   # where the field goes that is chosen; NULL: to the reply


cdef int choose_field(void* context, const Field* field) except -1:
    """Selection sampling: Knuth, volume 2, section 3.4.2, algorithm S."""
    cdef Choosing* choosing = <Choosing*>context
    cdef Call call = <Call>choosing.call
    if choosing.wanted == 0:
        return 0
    if below(call.keyspace, choosing.left) < choosing.wanted:
        choosing.wanted -= 1
        if choosing.one is NULL:
            reply_chosen(call, field, choosing.values)
        else:
            choosing.one[0] = field[0]
    choosing.left -= 1
    return 0


cdef void reply_chosen(Call call, const Field* field, bint values) noexcept:
    if values and call.protocol == 3:
        out_array(call.out, 2)
    out_bulk(call.out, field.name, field.name_size)
    if values:
        reply_field(call, field)


cdef bint random_field(Call call, const uint8_t* entry, int64_t length, Field* field) except -1:
    """One of the `length` fields that have not expired (-1: that was not counted), chosen fairly.

    False if there is none.
    """
    cdef Table* table = hash_table(entry)
    cdef Choosing choosing
    cdef int _i
    if table is not NULL:
        for _i in range(TRIES):
            if hash_read(call.db, table_random(table, call.keyspace.random()), field):
                return True
    choosing.call = <void*>call
    choosing.left = hash_length(call.db, entry) if length < 0 else length
    choosing.wanted = 1
    choosing.one = field
    hash_walk(call.db, entry, choose_field, &choosing)
    return choosing.wanted == 0


cdef int hrandfield(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef Field field
    cdef int there
    if argc > 2:
        return hrandfield_count(call, argv, argc)
    there = read_hash(call, &argv[1], &found)
    if there < 0:
        return 0
    if there and random_field(call, found.entry, -1, &field):
        out_bulk(call.out, field.name, field.name_size)
    else:
        out_null(call.out, call.protocol)
    return 0


cdef int hrandfield_count(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef int64_t count
    cdef bint values = argc > 3
    cdef int there
    if not parse_int(argv[2].data, argv[2].size, &count):
        return call.refuse(NOT_INTEGER)
    if count < -INT64_MAX:
        return call.refuse(COUNT_RANGE)
    if argc > 4 or (values and not keyword(&argv[3], b"WITHVALUES", 10)):
        return call.refuse(SYNTAX)
    if values and not -(INT64_MAX // 2) <= count <= INT64_MAX // 2:
        return call.refuse(OUT_OF_RANGE)
    there = read_hash(call, &argv[1], &found)
    if there < 0:
        return 0
    if there == 0 or count == 0:
        out_array(call.out, 0)
        return 0
    if count < 0:
        return repeated_fields(call, found.entry, -count, values)
    return different_fields(call, found.entry, count, values)


cdef int different_fields(Call call, const uint8_t* entry, int64_t count, bint values) except -1:
    """Answer at most `count` different fields. O(count) in a table where none has expired."""
    cdef Table* table = hash_table(entry)
    cdef int64_t length = hash_length(call.db, entry)
    cdef Choosing choosing
    cdef Field field
    cdef Ref* refs
    cdef int64_t i
    count = min(count, length)
    out_array(call.out, count if call.protocol == 3 or not values else 2 * count)
    if table is NULL or count > length // 4 or hash_due(call.db, entry):
        choosing.call = <void*>call
        choosing.values = values
        choosing.left = length
        choosing.wanted = count
        choosing.one = NULL
        hash_walk(call.db, entry, choose_field, &choosing)
        return 0
    refs = <Ref*>malloc(<size_t>count * sizeof(Ref))
    if refs is NULL:
        raise MemoryError
    try:
        if not draw(call.keyspace, table, count, refs):
            raise MemoryError
        for i in range(count):
            hash_read(call.db, refs[i], &field)
            reply_chosen(call, &field, values)
    finally:
        free(refs)
    return 0


cdef int repeated_fields(Call call, const uint8_t* entry, int64_t count, bint values) except -1:
    """Answer fields drawn one by one, which may be the same. The reply is no longer than a value
    may be, since nobody can take one of any length that is asked for.
    """
    cdef size_t start = call.out.used
    cdef size_t pinned = call.out.pinned
    cdef int pieces = call.out.piece_count
    cdef size_t limit = <size_t>call.keyspace.string_limit
    cdef int64_t length = hash_length(call.db, entry)
    cdef Field field
    if <size_t>count > limit // LEAST_REPLY:
        return call.refuse(REPLY_TOO_LARGE)
    if length == 0:
        count = 0
    out_array(call.out, count if call.protocol == 3 or not values else 2 * count)
    while count and not call.out.failed:
        count -= 1
        random_field(call, entry, length, &field)
        reply_chosen(call, &field, values)
        if call.out.used - start + call.out.pinned - pinned > limit:
            out_truncate(call.out, start, pieces)
            return call.refuse(REPLY_TOO_LARGE)
    return 0


HSCAN_BODY = body(hscan, "hscan")
HRANDFIELD_BODY = body(hrandfield, "hrandfield")
