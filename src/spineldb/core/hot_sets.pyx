"""Bodies of the set commands. commands/sets.py tells what each does."""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdio cimport snprintf
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memmove, memset

from spineldb.core.call cimport Call, body, keyword
from spineldb.core.effects cimport EVENT_SET
from spineldb.core.glob cimport glob_match
from spineldb.core.hot_keys cimport parse_cursor
from spineldb.core.keyspace cimport Database, Found
from spineldb.core.replies cimport (
    INVALID_CURSOR, NOT_INTEGER, NOT_OF_HASHES, SYNTAX, WRONG_TYPE, reply_int,
)
from spineldb.core.resp cimport Output, Slice, out_array, out_bulk, out_int, out_reserve, parse_int
from spineldb.core.sets cimport (
    BYTES, ENCODING, INTSET, Member, SetValue, first_encoding, flat_next, layout_of, member_text,
    set_add, set_contains, set_create, set_expect, set_open, set_remove, set_rename, set_walk,
)
from spineldb.core.slab cimport Ref, Slabs, at
from spineldb.core.table cimport table_walk

cdef enum:
    FLAGS = 512                  # members of one SADD that need none
    CURSOR_SHIFT = 16            # a cursor is the upper 48 bits of a position in hash order
    HEADER_BYTES = 24            # of a number with its marks
    FRONT_BYTES = 80             # of all that stands before what SSCAN found


# -- replies ---------------------------------------------------------------------------------------

cdef void mark_set(Call call, size_t position) noexcept:
    """Make a set, in RESP3, of the array that begins at a position of the output."""
    if call.protocol == 3 and not call.out.failed:
        call.out.data[position] = c"~"


cdef void reply_set(Call call, int64_t count) noexcept:
    """Begin a set of so many members."""
    cdef size_t position = call.out.used
    out_array(call.out, count)
    mark_set(call, position)


cdef void put_in_front(Output* out, size_t position, const char* text, size_t size) noexcept:
    """Insert what had to be known first before the replies from a position on."""
    cdef int i = out.piece_count
    if out_reserve(out, size) is NULL:
        return
    while i > 0 and out.pieces[i - 1].position >= position:      # blocks that are sent between
        i -= 1
        out.pieces[i].position += size
    memmove(out.data + position + size, out.data + position, out.used - position)
    memcpy(out.data + position, text, size)
    out.used += size


cdef int count_reply(Call call, size_t position, int64_t count) except -1:
    """Make a set of the members from a position on."""
    cdef char[HEADER_BYTES] text
    put_in_front(call.out, position, text, <size_t>snprintf(
        text, HEADER_BYTES, b"*%lld\r\n", <long long>count))
    mark_set(call, position)
    return 0


cdef int reply_member(void* context, const char* member, size_t size) except -2:
    out_bulk(<Output*>context, member, size)
    return 0


# -- look-ups --------------------------------------------------------------------------------------

cdef bint read_set(Call call, Slice* key, SetValue* value) except -1:
    """Look the first key up for reading. False: the command has answered, or there is none.

    Without a key `value.count` is 0, after an error -1.
    """
    cdef Found found
    cdef uint8_t* entry = call.read_first(key, &found)
    value.count = 0
    if entry is NULL:
        return False
    if not is_set(entry):
        value.count = -1
        call.refuse(WRONG_TYPE)
        return False
    set_open(call.db.slabs, entry, value)
    return True


# -- adding and removing ---------------------------------------------------------------------------

cdef void rename_back(SetValue* value, uint8_t form) noexcept nogil:
    """Call a set again what it was called when it had that form, unless it cannot be that now."""
    if layout_of(value) != BYTES or form & ENCODING != INTSET:
        set_rename(value, form & ENCODING)


cdef int64_t add_all(Call call, Found* found, SetValue* value, Slice* members, int count,
                     uint8_t form) except -1:
    """Add members, all or, without memory, none; answer how many were new.

    `form` is the set's before it was expected to grow.
    """
    cdef Database db = call.db
    cdef uint8_t[FLAGS] few
    cdef uint8_t* new = few
    cdef int64_t added = 0
    cdef int i = 0
    if count == 1:
        return set_add(db, found, value, members.data, members.size, NULL)
    if count > FLAGS:
        new = <uint8_t*>malloc(<size_t>count)
        if new is NULL:
            raise MemoryError
    try:
        while i < count:
            new[i] = set_add(db, found, value, members[i].data, members[i].size, NULL)
            added += new[i]
            i += 1
    except MemoryError:
        while i:
            i -= 1
            if new[i]:
                set_remove(db, found, value, members[i].data, members[i].size)
        rename_back(value, form)
        raise
    finally:
        if new is not few:
            free(new)
    return added


cdef int sadd(Call call, Slice* argv, int argc) except -1:
    cdef Database db = call.db
    cdef Found found
    cdef SetValue value
    cdef int64_t before
    cdef int64_t added
    cdef uint8_t form
    if call.first(&argv[1], &found) is NULL:
        added = create(call, &argv[1], &found, argv + 2, argc - 2)
    else:
        if not is_set(found.entry):
            return call.refuse(WRONG_TYPE)
        set_open(db.slabs, found.entry, &value)
        before = value.count
        form = value.form
        set_expect(db, &value, argc - 2)
        added = add_all(call, &found, &value, argv + 2, argc - 2, form)
        if added:
            db.recount(found.entry, before)
    if added:
        call.changed(&argv[1], EVENT_SET, b"sadd", added)
    return reply_int(call, added)


cdef int64_t create(Call call, Slice* key, Found* found, Slice* members, int count) except -1:
    """Create a set with members, or nothing at all; answer how many there are."""
    cdef Database db = call.db
    cdef SetValue value
    cdef int64_t added = 1
    set_create(
        db, found, key.data, key.size,
        first_encoding(db, members.data, members.size, count), members.data, members.size)
    if count > 1:
        set_open(db.slabs, found.entry, &value)
        try:
            added += add_all(call, found, &value, members + 1, count - 1, value.form)
        except MemoryError:
            db.recount(found.entry, -1)
            db.find_hashed(key.data, key.size, found.hash, found)
            db.remove(found)
            raise
    db.recount(found.entry, -1)
    return added


cdef int srem(Call call, Slice* argv, int argc) except -1:
    cdef Database db = call.db
    cdef Found found
    cdef SetValue value
    cdef int64_t before
    cdef int64_t removed = 0
    cdef int i
    if call.first(&argv[1], &found) is NULL:
        return reply_int(call, 0)
    if not is_set(found.entry):
        return call.refuse(WRONG_TYPE)
    set_open(db.slabs, found.entry, &value)
    before = value.count
    for i in range(2, argc):
        removed += set_remove(db, &found, &value, argv[i].data, argv[i].size)
        if value.count == 0:
            break
    if removed:
        db.recount(found.entry, before)
        call.changed_value(&argv[1], &found, EVENT_SET, b"srem", removed)
    return reply_int(call, removed)


cdef int smove(Call call, Slice* argv, int argc) except -1:
    cdef Database db = call.db
    cdef Slice* member = &argv[3]
    cdef Found source, target
    cdef SetValue value
    cdef int64_t before
    cdef bint new
    if call.first(&argv[1], &source) is NULL:
        return reply_int(call, 0)
    call.find(&argv[2], &target)
    if not is_set(source.entry) or (target.entry is not NULL and not is_set(target.entry)):
        return call.refuse(WRONG_TYPE)
    set_open(db.slabs, source.entry, &value)
    if not set_contains(&value, member.data, member.size, NULL):
        return reply_int(call, 0)
    if source.entry is target.entry:
        return reply_int(call, 1)
    if target.entry is NULL:
        new = create(call, &argv[2], &target, member, 1) != 0
    else:
        set_open(db.slabs, target.entry, &value)
        before = value.count
        new = set_add(db, &target, &value, member.data, member.size, NULL)
        db.recount(target.entry, before)
    call.find(&argv[1], &source)
    set_open(db.slabs, source.entry, &value)
    before = value.count
    set_remove(db, &source, &value, member.data, member.size)
    db.recount(source.entry, before)
    call.changed_value(&argv[1], &source, EVENT_SET, b"srem", 1)
    if new:
        call.changed(&argv[2], EVENT_SET, b"sadd", 1)
    return reply_int(call, 1)


# -- reading ---------------------------------------------------------------------------------------

cdef int sismember(Call call, Slice* argv, int argc) except -1:
    cdef SetValue value
    if read_set(call, &argv[1], &value):
        out_int(call.out, set_contains(&value, argv[2].data, argv[2].size, NULL))
    elif value.count == 0:
        out_int(call.out, 0)
    return 0


cdef int smismember(Call call, Slice* argv, int argc) except -1:
    cdef SetValue value
    cdef bint there = read_set(call, &argv[1], &value)
    cdef int i
    if value.count < 0:
        return 0
    out_array(call.out, argc - 2)
    for i in range(2, argc):
        out_int(call.out, there and set_contains(&value, argv[i].data, argv[i].size, NULL))
    return 0


cdef int scard(Call call, Slice* argv, int argc) except -1:
    cdef SetValue value
    read_set(call, &argv[1], &value)
    if value.count >= 0:
        out_int(call.out, value.count)
    return 0


cdef int smembers(Call call, Slice* argv, int argc) except -1:
    cdef SetValue value
    cdef Member member
    cdef size_t offset = 0
    cdef bint there = read_set(call, &argv[1], &value)
    if value.count < 0:
        return 0
    reply_set(call, value.count)
    if there and value.table is NULL:
        while flat_next(&value, &offset, &member):
            out_bulk(call.out, member.data, member.size)
    elif there:
        set_walk(&value, reply_member, call.out)
    return 0


# -- iteration -------------------------------------------------------------------------------------

cdef struct Scanning:
    const Slice* pattern         # NULL: any
    Output* out
    Slabs* slabs
    int64_t count                # of the members that match


cdef int scan_member(void* context, const char* member, size_t size) except -2:
    cdef Scanning* scanning = <Scanning*>context
    if scanning.pattern is NULL or glob_match(
        scanning.pattern.data, scanning.pattern.size, member, size, False
    ):
        out_bulk(scanning.out, member, size)
        scanning.count += 1
    return 0


cdef int scan_entry(void* context, uint64_t hash, Ref* ref) except -2:
    cdef size_t size
    cdef const char* member = member_text(
        <const uint8_t*>at((<Scanning*>context).slabs, ref[0]), &size)
    return scan_member(context, member, size)


cdef bint read_scan_options(Call call, Slice* argv, int argc, Scanning* scanning,
                            int64_t* count) except -1:
    """Read MATCH and COUNT; False after answering an error."""
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
            scanning.pattern = &argv[i + 1]
            if argv[i + 1].size == 1 and argv[i + 1].data[0] == c"*":
                scanning.pattern = NULL
        else:
            call.refuse(SYNTAX)
            return False
        i += 2
    return True


cdef int sscan(Call call, Slice* argv, int argc) except -1:
    cdef SetValue value
    cdef Scanning scanning
    cdef uint64_t position
    cdef int64_t count = 10
    cdef char[FRONT_BYTES] text
    cdef char[HEADER_BYTES] cursor
    cdef size_t start
    if not parse_cursor(&argv[2], &position):
        return call.refuse(INVALID_CURSOR)
    if not read_set(call, &argv[1], &value):
        if value.count == 0:
            out_array(call.out, 2)
            out_bulk(call.out, b"0", 1)
            out_array(call.out, 0)
        return 0
    memset(&scanning, 0, sizeof(Scanning))
    scanning.out = call.out
    scanning.slabs = call.db.slabs
    if not read_scan_options(call, argv + 3, argc - 3, &scanning, &count):
        return 0
    start = call.out.used
    position <<= CURSOR_SHIFT
    if value.table is NULL:      # all at once, wherever the cursor stands
        position = 0
        set_walk(&value, scan_member, &scanning)
    else:                        # as SCAN does: the walk ends at a whole bucket
        table_walk(value.table, &position, count, scan_entry, &scanning)
    put_in_front(call.out, start, text, <size_t>snprintf(
        text, FRONT_BYTES, b"*2\r\n$%d\r\n%s\r\n*%lld\r\n",
        snprintf(cursor, HEADER_BYTES, b"%llu", <unsigned long long>(position >> CURSOR_SHIFT)),
        cursor, <long long>scanning.count))
    return 0


SADD_BODY = body(sadd, "sadd")
SREM_BODY = body(srem, "srem")
SMOVE_BODY = body(smove, "smove")
SISMEMBER_BODY = body(sismember, "sismember")
SMISMEMBER_BODY = body(smismember, "smismember")
SCARD_BODY = body(scard, "scard")
SMEMBERS_BODY = body(smembers, "smembers")
SSCAN_BODY = body(sscan, "sscan")
