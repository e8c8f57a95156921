"""Bodies of the generic commands. What each does is told beside its declaration (commands/keys.py).

KEYS and SCAN first gather the references of what they will answer (four bytes a key), because the
length of an array is sent before its elements; nothing can change the database in between.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdio cimport snprintf
from libc.stdlib cimport free, realloc
from libc.string cimport memcmp, strlen

from spineldb.core.call cimport Call, body, keyword
from spineldb.core.effects cimport EVENT_GENERIC, EVENT_NEW
from spineldb.core.entry cimport EXTENSION, KIND_MASK, entry_deadline, entry_key, usage_of
from spineldb.core.extensions cimport exact_kind, extension_name, extension_named
from spineldb.core.glob cimport glob_match
from spineldb.core.keyspace cimport Database, Found
from spineldb.core.replies cimport (
    INVALID_CURSOR, NOT_INT32, NOT_INTEGER, NOT_OF_HASHES, NO_SUCH_DATABASE, NO_SUCH_KEY,
    SYNTAX, reply_int, reply_null, reply_ok,
)
from spineldb.core.resp cimport (
    Slice,
    out_array,
    out_bulk,
    out_simple,
    parse_int,
)
from spineldb.core.slab cimport Ref, Slabs, at
from spineldb.core.table cimport table_hash, table_random, table_walk

from spineldb import errors
from spineldb.core.database import KIND_NAMES

cdef tuple NAMES = KIND_NAMES

cdef bytes SAME_OBJECT = errors.SameObject().wire
cdef bytes CONDITIONS_EXCLUDE = errors.ExpireConditions().wire
cdef bytes GT_EXCLUDES_LT = errors.ExpireGtLt().wire

cdef int64_t INT64_MAX = <int64_t>0x7fffffffffffffff
cdef int64_t INT32_MAX = 0x7fffffff
cdef uint64_t UINT64_MAX = <uint64_t>0xffffffffffffffff
cdef int64_t WALK_ALL = <int64_t>1 << 62
cdef int CURSOR_SHIFT = 16


# -- which keys there are --------------------------------------------------------------------------

cdef inline uint8_t* several(Call call, Slice* argv, int i, int argc, Found* found) except? NULL:
    """Look up the i-th argument, one of several keys, or the only one."""
    if argc == 2:
        return call.first(&argv[1], found)
    return call.nth(argv, i, argc, 1, i - 1, found)


cdef int del_(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef int64_t removed = 0
    cdef int i
    for i in range(1, argc):
        if several(call, argv, i, argc, &found) is not NULL:
            call.db.remove(&found)
            call.changed(&argv[i], EVENT_GENERIC, b"del", 1)
            removed += 1
    return reply_int(call, removed)


cdef int exists(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef uint8_t* entry
    cdef int64_t count = 0
    cdef int i
    for i in range(1, argc):
        entry = several(call, argv, i, argc, &found)
        count += call.counted(&argv[i], entry) is not NULL
    return reply_int(call, count)


cdef int touch(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef uint8_t* entry
    cdef int64_t count = 0
    cdef int i
    for i in range(1, argc):
        entry = several(call, argv, i, argc, &found)
        if call.counted(&argv[i], entry) is not NULL:
            call.keyspace.touch(entry)   # also for a client that asked for CLIENT NO-TOUCH
            count += 1
    return reply_int(call, count)


cdef int type_(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef uint8_t* entry = call.counted(&argv[1], call.first(&argv[1], &found))
    cdef int kind = 0 if entry is NULL else entry[0] & KIND_MASK
    cdef const char* name
    if kind == EXTENSION:
        name = extension_name(entry, (<object>call).settings.module_type_names == "spinel")
    else:
        name = <bytes>NAMES[kind]
    out_simple(call.out, name, strlen(name))
    return 0


cdef int randomkey(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef Database db = call.db
    cdef uint8_t* entry
    cdef const char* key
    cdef size_t size
    cdef Ref ref
    cdef int tries = 100             # at keys that have expired and may only be hidden
    while tries:
        ref = table_random(db.table, call.keyspace.random())
        if ref == 0:
            break
        entry = <uint8_t*>at(db.slabs, ref)
        key = entry_key(entry, &size)
        if not has_passed(call, entry):
            out_bulk(call.out, key, size)
            return 0
        db.lookup(key, size, table_hash(db.table, key, size), &found)
        tries -= found.expired
    return reply_null(call)


cdef inline bint has_passed(Call call, const uint8_t* entry) noexcept:
    cdef int64_t deadline = entry_deadline(entry)
    return 0 <= deadline <= call.keyspace.horizon_ms


# -- walking them ----------------------------------------------------------------------------------

cdef struct Filter:
    const Slabs* slabs
    int64_t horizon_ms           # deadlines up to here have passed
    const Slice* pattern         # NULL: any name
    int kind                     # as `exact_kind` has it; -1: any
    size_t count                 # of those wanted
    size_t capacity
    Ref* refs


cdef int gather(void* context, uint64_t hash, Ref* ref) except -2:
    cdef Filter* wanted = <Filter*>context
    cdef const uint8_t* entry = <const uint8_t*>at(wanted.slabs, ref[0])
    cdef const char* key
    cdef size_t size
    cdef Ref* larger
    if wanted.kind >= 0 and exact_kind(entry) != wanted.kind:
        return 0
    if 0 <= entry_deadline(entry) <= wanted.horizon_ms:
        return 0
    if wanted.pattern is not NULL:
        key = entry_key(entry, &size)
        if not glob_match(wanted.pattern.data, wanted.pattern.size, key, size, False):
            return 0
    if wanted.count == wanted.capacity:
        wanted.capacity = wanted.capacity * 2 + 64
        larger = <Ref*>realloc(wanted.refs, wanted.capacity * sizeof(Ref))
        if larger is NULL:
            raise MemoryError
        wanted.refs = larger
    wanted.refs[wanted.count] = ref[0]
    wanted.count += 1
    return 0


cdef void select_all(Call call, Filter* wanted) noexcept:
    wanted.slabs = call.db.slabs
    wanted.horizon_ms = call.keyspace.horizon_ms
    wanted.pattern = NULL
    wanted.kind = -1
    wanted.count = wanted.capacity = 0
    wanted.refs = NULL


cdef void reply_gathered(Call call, const Filter* wanted) noexcept:
    cdef const char* key
    cdef size_t i, size
    out_array(call.out, <int64_t>wanted.count)
    for i in range(wanted.count):
        key = entry_key(<const uint8_t*>at(wanted.slabs, wanted.refs[i]), &size)
        out_bulk(call.out, key, size)


cdef inline bint matches_all(const Slice* pattern) noexcept nogil:
    return pattern.size == 1 and pattern.data[0] == c"*"


cdef int keys(Call call, Slice* argv, int argc) except -1:
    cdef Filter wanted
    cdef uint64_t position = 0
    select_all(call, &wanted)
    if not matches_all(&argv[1]):
        wanted.pattern = &argv[1]
    try:
        while not table_walk(call.db.table, &position, WALK_ALL, gather, &wanted):
            pass
        reply_gathered(call, &wanted)
    finally:
        free(wanted.refs)
    return 0


cdef bint parse_cursor(const Slice* text, uint64_t* cursor) noexcept nogil:
    """Read a cursor as Redis does, that is, as C's strtoull does: blanks and a sign may stand
    in front, and what has a minus wraps around, unless it is written as a negative number is.
    """
    cdef size_t i = 0
    cdef uint64_t value = 0
    cdef unsigned int digit
    cdef bint minus = False
    while i < text.size and (text.data[i] == c" " or 9 <= text.data[i] <= 13):
        i += 1
    if i < text.size and (text.data[i] == c"+" or text.data[i] == c"-"):
        minus = text.data[i] == c"-"
        if minus and i == 0 and text.size > 1 and text.data[1] != c"0":
            return False
        i += 1
    if i == text.size:
        return False
    while i < text.size:
        digit = <unsigned int>(<unsigned char>text.data[i]) - 48
        if digit > 9 or value > (UINT64_MAX - digit) // 10:
            return False
        value = value * 10 + digit
        i += 1
    cursor[0] = 0 - value if minus else value
    return True


cdef int kind_named(const Slice* name) noexcept:
    """The exact kind that TYPE calls so, in any case; one that no key has if there is none."""
    cdef int kind
    cdef bytes one
    cdef size_t i
    cdef char c
    for kind in range(1, len(NAMES)):
        one = <bytes>NAMES[kind]
        if <size_t>len(one) != name.size:
            continue
        for i in range(name.size):
            c = name.data[i]
            if (c + 32 if c"A" <= c <= c"Z" else c) != (<const char*>one)[i]:
                break
        else:
            return kind
    kind = extension_named(name)
    return kind if kind >= 0 else KIND_MASK


cdef bint read_scan_options(Call call, Slice* argv, int argc, Filter* wanted,
                            int64_t* count) except -1:
    """Read MATCH, COUNT and TYPE; False after answering an error."""
    cdef int i = 0
    while i < argc:
        if keyword(&argv[i], b"NOVALUES", 8):
            call.refuse(NOT_OF_HASHES)
            return False
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
            wanted.pattern = NULL if matches_all(&argv[i + 1]) else &argv[i + 1]
        elif keyword(&argv[i], b"TYPE", 4):
            wanted.kind = kind_named(&argv[i + 1])
        else:
            call.refuse(SYNTAX)
            return False
        i += 2
    return True


cdef int scan(Call call, Slice* argv, int argc) except -1:
    cdef Filter wanted
    cdef uint64_t position
    cdef int64_t count = 10
    cdef char[24] text
    if not parse_cursor(&argv[1], &position):
        return call.refuse(INVALID_CURSOR)
    select_all(call, &wanted)
    if not read_scan_options(call, argv + 2, argc - 2, &wanted, &count):
        return 0
    # A cursor is the upper 48 bits of a position in hash order; the walk ends at a whole bucket. It
    # is table_scan without the hash of each key, which takes as long as all the rest.
    position <<= CURSOR_SHIFT
    try:
        table_walk(call.db.table, &position, count, gather, &wanted)
        out_array(call.out, 2)
        out_bulk(call.out, text, <size_t>snprintf(
            text, 24, b"%llu", <unsigned long long>(position >> CURSOR_SHIFT)))
        reply_gathered(call, &wanted)
    finally:
        free(wanted.refs)
    return 0


# -- deadlines -------------------------------------------------------------------------------------

cdef enum Condition:
    NX = 1
    XX = 2
    GT = 4
    LT = 8


cdef int read_conditions(Call call, Slice* argv, int argc) except -2:
    """Read NX, XX, GT and LT; -1 after answering an error."""
    cdef int conditions = 0
    cdef int i
    for i in range(argc):
        if keyword(&argv[i], b"NX", 2):
            conditions |= NX
        elif keyword(&argv[i], b"XX", 2):
            conditions |= XX
        elif keyword(&argv[i], b"GT", 2):
            conditions |= GT
        elif keyword(&argv[i], b"LT", 2):
            conditions |= LT
        else:
            call.refuse(errors.ExpireOption(argv[i].data[:argv[i].size]).wire)
            return -1
    if conditions & NX and conditions & (XX | GT | LT):
        call.refuse(CONDITIONS_EXCLUDE)
        return -1
    if conditions & GT and conditions & LT:
        call.refuse(GT_EXCLUDES_LT)
        return -1
    return conditions


cdef inline bint stands(int conditions, int64_t deadline, int64_t current) noexcept nogil:
    """May `deadline` replace the current one, if -1 (none) counts as never?"""
    if current < 0:
        return not conditions & (XX | GT)
    if conditions & NX:
        return False
    if conditions & GT:
        return deadline > current
    return deadline < current if conditions & LT else True


cdef int set_expiry(Call call, Slice* argv, int argc, int64_t unit, int64_t base) except -1:
    """Give a key a deadline of `base` and so many units, in milliseconds."""
    cdef Found found
    cdef int64_t deadline
    cdef uint8_t* entry
    cdef int conditions = 0
    if argc > 3:
        conditions = read_conditions(call, argv + 3, argc - 3)
        if conditions < 0:
            return 0
    if not parse_int(argv[2].data, argv[2].size, &deadline):
        return call.refuse(NOT_INTEGER)
    if unit > 1:
        if deadline > INT64_MAX // unit or deadline < -(INT64_MAX // unit):
            return invalid_expiry(call)
        deadline *= unit
    if deadline > INT64_MAX - base:
        return invalid_expiry(call)
    deadline += base
    entry = call.first(&argv[1], &found)
    if entry is NULL or (
        conditions and not stands(conditions, deadline, entry_deadline(entry))
    ):
        return reply_int(call, 0)
    if deadline <= call.keyspace.horizon_ms and call.effects.may_bury:
        call.db.remove(&found)
        call.changed(&argv[1], EVENT_GENERIC, b"del", 1)
        propagate_del(call, &argv[1])
    else:
        deadline = max(deadline, 0)
        call.db.set_deadline(&found, deadline)
        call.changed(&argv[1], EVENT_GENERIC, b"expire", 1)
        if unit > 1 or base or conditions:
            propagate_pexpireat(call, &argv[1], deadline)
    return reply_int(call, 1)


cdef int invalid_expiry(Call call) except -1:
    return call.refuse(errors.InvalidExpire(call.command.name).wire)


cdef int propagate_del(Call call, Slice* key) except -1:
    if call.effects.feeding:
        call.effects.command(2)
        call.effects.argument(b"DEL", 3)
        call.effects.argument(key.data, key.size)
    return 0


cdef int propagate_pexpireat(Call call, Slice* key, int64_t deadline) except -1:
    if call.effects.feeding:
        call.effects.command(3)
        call.effects.argument(b"PEXPIREAT", 9)
        call.effects.argument(key.data, key.size)
        call.effects.argument_int(deadline)
    return 0


cdef int expire(Call call, Slice* argv, int argc) except -1:
    return set_expiry(call, argv, argc, 1000, call.keyspace.now_ms)


cdef int pexpire(Call call, Slice* argv, int argc) except -1:
    return set_expiry(call, argv, argc, 1, call.keyspace.now_ms)


cdef int expireat(Call call, Slice* argv, int argc) except -1:
    return set_expiry(call, argv, argc, 1000, 0)


cdef int pexpireat(Call call, Slice* argv, int argc) except -1:
    return set_expiry(call, argv, argc, 1, 0)


cdef int persist(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef uint8_t* entry = call.first(&argv[1], &found)
    if entry is NULL or entry_deadline(entry) < 0:
        return reply_int(call, 0)
    call.db.set_deadline(&found, -1)
    call.changed(&argv[1], EVENT_GENERIC, b"persist", 1)
    return reply_int(call, 1)


cdef int tell_expiry(Call call, Slice* key, int64_t unit, int64_t base) except -1:
    """Answer a key's deadline less `base` in units, rounded; -1 without one, -2 without the key."""
    cdef Found found
    cdef int64_t value
    cdef uint8_t* entry = call.counted(key, call.first(key, &found))
    if entry is NULL:
        return reply_int(call, -2)
    value = entry_deadline(entry)
    if value < 0:
        return reply_int(call, -1)
    value = max(value - base, 0)
    if unit > 1:
        value = value // unit + (value % unit >= unit // 2)
    return reply_int(call, value)


cdef int ttl(Call call, Slice* argv, int argc) except -1:
    return tell_expiry(call, &argv[1], 1000, call.keyspace.now_ms)


cdef int pttl(Call call, Slice* argv, int argc) except -1:
    return tell_expiry(call, &argv[1], 1, call.keyspace.now_ms)


cdef int expiretime(Call call, Slice* argv, int argc) except -1:
    return tell_expiry(call, &argv[1], 1000, 0)


cdef int pexpiretime(Call call, Slice* argv, int argc) except -1:
    return tell_expiry(call, &argv[1], 1, 0)


# -- other names, other databases ------------------------------------------------------------------

cdef int place_at(Call call, Found* found, Database target, Found* place, Slice* key,
                  bint copy) except -1:
    """Give the value that was found another place, over whatever stands there; announce `new`."""
    call.db.rename(found, target, place, key.data, key.size, copy)
    if call.effects.event_mask & EVENT_NEW:
        call.effects.changed(target, key.data, key.size, EVENT_NEW, b"new", 0)
    return 0


cdef int tell_replaced(Call call, Database target, Slice* key, int before, int after) except -1:
    """Publish that a value was replaced, and whether by one of another kind."""
    if before and call.effects.event_mask:
        call.effects.replaced_value(target, key.data[:key.size], before, after)
    return 0


cdef inline uint8_t* find_in(Call call, Database db, Slice* key, Found* found) except? NULL:
    return db.lookup(key.data, key.size, table_hash(db.table, key.data, key.size), found)


cdef int rename_key(Call call, Slice* argv, bint only_new) except -1:
    """Rename a key: 1 if that was done (or the names are equal), 0 if not, after answering why."""
    cdef Found found, place
    cdef uint8_t* there
    cdef uint8_t* entry = call.first(&argv[1], &found)
    cdef int before = 0
    cdef int kind
    if entry is NULL:
        call.refuse(NO_SUCH_KEY)
        return 0
    if argv[1].size == argv[2].size and memcmp(argv[1].data, argv[2].data, argv[1].size) == 0:
        if only_new:
            reply_int(call, 0)
        return not only_new
    kind = exact_kind(entry)
    there = call.find(&argv[2], &place)
    if there is not NULL:
        if only_new:
            return reply_int(call, 0)
        before = exact_kind(there)
    place_at(call, &found, call.db, &place, &argv[2], False)
    call.changed(&argv[1], EVENT_GENERIC, b"rename_from", 0)
    call.changed(&argv[2], EVENT_GENERIC, b"rename_to", 1)
    tell_replaced(call, call.db, &argv[2], before, kind)
    return 1


cdef int rename(Call call, Slice* argv, int argc) except -1:
    if rename_key(call, argv, False):
        reply_ok(call)
    return 0


cdef int renamenx(Call call, Slice* argv, int argc) except -1:
    if rename_key(call, argv, True):
        reply_int(call, 1)
    return 0


cdef Database database_named(Call call, const Slice* text):
    """The database of this index, or None after answering an error."""
    cdef int64_t index
    if not parse_int(text.data, text.size, &index):
        call.refuse(NOT_INTEGER)
    elif index > INT32_MAX or index < -INT32_MAX - 1:
        call.refuse(NOT_INT32)
    elif not 0 <= index < len(call.keyspace.databases):
        call.refuse(NO_SUCH_DATABASE)
    else:
        return call.keyspace.database(<int>index)
    return None


cdef int copy(Call call, Slice* argv, int argc) except -1:
    cdef Found found, place
    cdef Database target = call.db
    cdef bint replace = False
    cdef int i = 3
    cdef int before, kind
    cdef uint8_t* entry
    cdef uint8_t* there
    while i < argc:
        if keyword(&argv[i], b"REPLACE", 7):
            replace = True
        elif keyword(&argv[i], b"DB", 2) and i + 1 < argc:
            i += 1
            target = database_named(call, &argv[i])
            if target is None:
                return 0
        else:
            return call.refuse(SYNTAX)
        i += 1
    if target is call.db and argv[1].size == argv[2].size and (
        memcmp(argv[1].data, argv[2].data, argv[1].size) == 0
    ):
        return call.refuse(SAME_OBJECT)
    entry = call.read_first(&argv[1], &found)
    if entry is NULL:
        return reply_int(call, 0)
    kind = exact_kind(entry)
    there = find_in(call, target, &argv[2], &place)
    before = 0 if there is NULL else exact_kind(there)
    if before and not replace:
        return reply_int(call, 0)
    place_at(call, &found, target, &place, &argv[2], True)
    call.effects.changed(target, argv[2].data, argv[2].size, EVENT_GENERIC, b"copy_to", 1)
    tell_replaced(call, target, &argv[2], before, kind)
    return reply_int(call, 1)


cdef int move(Call call, Slice* argv, int argc) except -1:
    cdef Found found, place
    cdef Database target = database_named(call, &argv[2])
    if target is None:
        return 0
    if target is call.db:
        return call.refuse(SAME_OBJECT)
    if call.first(&argv[1], &found) is NULL:
        return reply_int(call, 0)
    if find_in(call, target, &argv[1], &place) is not NULL:
        return reply_int(call, 0)
    place_at(call, &found, target, &place, &argv[1], False)
    call.changed(&argv[1], EVENT_GENERIC, b"move_from", 0)
    call.effects.changed(target, argv[1].data, argv[1].size, EVENT_GENERIC, b"move_to", 1)
    return reply_int(call, 1)


# -- what a key takes ------------------------------------------------------------------------------

cdef int memory_usage(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef int64_t samples
    cdef uint8_t* entry
    cdef int i
    for i in range(3, argc, 2):
        # An exact sum is answered, so the number of samples changes nothing.
        if not keyword(&argv[i], b"SAMPLES", 7) or i + 1 == argc:
            return call.refuse(SYNTAX)
        if not parse_int(argv[i + 1].data, argv[i + 1].size, &samples):
            return call.refuse(NOT_INTEGER)
        if samples < 0:
            return call.refuse(SYNTAX)
    entry = call.first(&argv[2], &found)
    if entry is NULL:
        return reply_null(call)
    return reply_int(call, <int64_t>usage_of(entry))


DEL_BODY = body(del_, "del")
EXISTS_BODY = body(exists, "exists")
TOUCH_BODY = body(touch, "touch")
TYPE_BODY = body(type_, "type")
RANDOMKEY_BODY = body(randomkey, "randomkey")
KEYS_BODY = body(keys, "keys")
SCAN_BODY = body(scan, "scan")
EXPIRE_BODY = body(expire, "expire")
PEXPIRE_BODY = body(pexpire, "pexpire")
EXPIREAT_BODY = body(expireat, "expireat")
PEXPIREAT_BODY = body(pexpireat, "pexpireat")
PERSIST_BODY = body(persist, "persist")
TTL_BODY = body(ttl, "ttl")
PTTL_BODY = body(pttl, "pttl")
EXPIRETIME_BODY = body(expiretime, "expiretime")
PEXPIRETIME_BODY = body(pexpiretime, "pexpiretime")
RENAME_BODY = body(rename, "rename")
RENAMENX_BODY = body(renamenx, "renamenx")
COPY_BODY = body(copy, "copy")
MOVE_BODY = body(move, "move")
MEMORY_USAGE_BODY = body(memory_usage, "memory|usage")
