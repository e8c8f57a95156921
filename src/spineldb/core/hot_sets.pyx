"""Bodies of the set commands. commands/sets.py tells what each does."""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdio cimport snprintf
from libc.stdlib cimport calloc, free, malloc, qsort
from libc.string cimport memcpy, memmove, memset

from spineldb.core.algebra cimport sift
from spineldb.core.call cimport Call, body, keyword, kind_there
from spineldb.core.effects cimport EVENT_GENERIC, EVENT_SET
from spineldb.core.entry cimport KIND_MASK, SET
from spineldb.core.glob cimport glob_match
from spineldb.core.hot_keys cimport parse_cursor
from spineldb.core.keyspace cimport Database, Found, Keyspace
from spineldb.core.resp cimport (
    Output, Slice, out_array, out_bulk, out_int, out_null, out_reserve, parse_int,
)
from spineldb.core.root cimport root_release
from spineldb.core.sets cimport (
    BYTES, ENCODING, INTSET, LISTPACK, Member, SetRoot, SetValue, first_encoding, flat_member,
    flat_next, layout_of, member_text, set_add, set_append, set_contains, set_create,
    set_expect, set_new, set_open, set_open_root, set_remove, set_remove_numbers,
    set_remove_ref, set_rename, set_reserve, set_settle, set_store, set_walk,
)
from spineldb.core.slab cimport Ref, Slabs, at
from spineldb.core.table cimport Table, table_random, table_walk
from spineldb.core.tree cimport fetch

from spineldb import errors

cdef bytes WRONG_TYPE = errors.WrongType().wire
cdef bytes NOT_INTEGER = errors.NotInteger().wire
cdef bytes SYNTAX = errors.Syntax().wire
cdef bytes NOT_POSITIVE = errors.NotPositive().wire
cdef bytes COUNT_RANGE = errors.OutsideRange(-(2**63 - 1), 2**63 - 1).wire
cdef bytes NUMKEYS = errors.NumkeysNotPositive().wire
cdef bytes TOO_FEW_KEYS = errors.TooFewKeys().wire
cdef bytes NEGATIVE_LIMIT = errors.LimitNegative().wire
cdef bytes INVALID_CURSOR = errors.InvalidCursor().wire
cdef bytes NOT_OF_HASHES = errors.NoValuesOption().wire
cdef bytes REPLY_TOO_LARGE = errors.OutputLimit().wire

cdef enum:
    FEW = 16                     # sets of one command that need no memory of their own
    FLAGS = 512                  # members of one SADD that need none
    BATCH = 1024                 # members in one propagated SREM, as in Redis
    SIFTED_MAX = 4               # sets of a union up to which nothing is built to find doubles
    GATHER_FROM = 2000           # members: a result from more is gathered before it is stored
    AHEAD = 8                    # gathered members fetched ahead
    CURSOR_SHIFT = 16            # a cursor is the upper 48 bits of a position in hash order
    HEADER_BYTES = 24            # of a number with its marks
    FRONT_BYTES = 80             # of all that stands before what SSCAN found
    LEAST_REPLY = 6              # bytes of a member in a reply: $0, two line ends


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

cdef inline bint is_set(const uint8_t* entry) noexcept nogil:
    return entry[0] & KIND_MASK == SET


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
    out_int(call.out, added)
    return 0


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
        out_int(call.out, 0)
        return 0
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
    out_int(call.out, removed)
    return 0


cdef int smove(Call call, Slice* argv, int argc) except -1:
    cdef Database db = call.db
    cdef Slice* member = &argv[3]
    cdef Found source, target
    cdef SetValue value
    cdef int64_t before
    cdef bint new
    if call.first(&argv[1], &source) is NULL:
        out_int(call.out, 0)
        return 0
    call.find(&argv[2], &target)
    if not is_set(source.entry) or (target.entry is not NULL and not is_set(target.entry)):
        return call.refuse(WRONG_TYPE)
    set_open(db.slabs, source.entry, &value)
    if not set_contains(&value, member.data, member.size, NULL):
        out_int(call.out, 0)
        return 0
    if source.entry is target.entry:
        out_int(call.out, 1)
        return 0
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
    out_int(call.out, 1)
    return 0


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


# -- random members --------------------------------------------------------------------------------

cdef int64_t below(Keyspace keyspace, int64_t limit) noexcept:
    """A random number from 0 to `limit` - 1 (Lemire's multiplication, limit below 2^32)."""
    return <int64_t>(((keyspace.random() >> 32) * <uint64_t>limit) >> 32)


cdef struct Picking:             # selection sampling: Knuth, volume 2, section 3.4.2, algorithm S
    void* keyspace
    int64_t wanted
    int64_t left                 # members that were not looked at
    Ref* refs
    int64_t count


cdef bint chosen(Picking* picking) noexcept:
    cdef bint taken = below(<Keyspace>picking.keyspace, picking.left) < picking.wanted
    picking.left -= 1
    picking.wanted -= taken
    return taken


cdef int pick_entry(void* context, uint64_t hash, Ref* ref) except -2:
    cdef Picking* picking = <Picking*>context
    if chosen(picking):
        picking.refs[picking.count] = ref[0]
        picking.count += 1
    return 0


cdef Ref* pick(Call call, const SetValue* value, int64_t count) except NULL:
    """Choose `count` different members fairly: entries of a table, else numbers in rising order.

    They are fewer than there are. Takes O(count). The caller frees the answer.
    """
    cdef Keyspace keyspace = call.keyspace
    cdef Ref* refs = <Ref*>malloc(<size_t>count * sizeof(Ref))
    cdef Picking picking
    cdef uint64_t position = 0
    cdef int64_t i
    if refs is NULL:
        raise MemoryError
    picking.keyspace = <void*>keyspace
    picking.wanted = count
    picking.left = value.count
    picking.refs = refs
    picking.count = 0
    if value.table is NULL:
        for i in range(value.count):
            if chosen(&picking):
                refs[picking.count] = <Ref>i
                picking.count += 1
    elif count > value.count // 4:
        while not table_walk(value.table, &position, 1 << 20, pick_entry, &picking):
            pass
    elif not draw(keyspace, value.table, count, refs):
        free(refs)
        raise MemoryError
    return refs


cdef bint draw(Keyspace keyspace, Table* table, int64_t count, Ref* refs) noexcept:
    """Draw entries until they are so many different ones. False without memory."""
    cdef size_t slots = 8
    cdef size_t i
    cdef int64_t n = 0
    cdef Ref* seen
    cdef Ref ref
    while slots < <size_t>count * 2:
        slots *= 2
    seen = <Ref*>calloc(slots, sizeof(Ref))
    if seen is NULL:
        return False
    while n < count:
        ref = table_random(table, keyspace.random())
        i = (<size_t>ref * 0x9e3779b1u) & (slots - 1)
        while seen[i] and seen[i] != ref:
            i = (i + 1) & (slots - 1)
        if seen[i] == 0:
            seen[i] = ref
            refs[n] = ref
            n += 1
    free(seen)
    return True


cdef void random_member(Call call, const SetValue* value, Member* member, Ref* ref,
                        int64_t* index) noexcept:
    """One member, chosen fairly: its entry in a table, else its number."""
    if value.table is not NULL:
        ref[0] = table_random(value.table, call.keyspace.random())
        member.data = member_text(<const uint8_t*>at(call.db.slabs, ref[0]), &member.size)
    else:
        index[0] = below(call.keyspace, value.count)
        flat_member(value, index[0], member)


cdef int picked(Call call, const SetValue* value, Ref one, Member* member) except -1:
    """The member that `pick` named so."""
    if value.table is not NULL:
        member.data = member_text(<const uint8_t*>at(call.db.slabs, one), &member.size)
    else:
        flat_member(value, one, member)
    return 0


cdef int srandmember(Call call, Slice* argv, int argc) except -1:
    cdef SetValue value
    cdef Member member
    cdef Ref ref
    cdef int64_t index
    if argc == 2:
        if read_set(call, &argv[1], &value):
            random_member(call, &value, &member, &ref, &index)
            out_bulk(call.out, member.data, member.size)
        elif value.count == 0:
            out_null(call.out, call.protocol)
        return 0
    if argc > 3:
        return call.refuse(SYNTAX)
    return random_members(call, argv)


cdef int random_members(Call call, Slice* argv) except -1:
    cdef SetValue value
    cdef Member member
    cdef Ref* refs
    cdef int64_t count, i
    if not parse_int(argv[2].data, argv[2].size, &count):
        return call.refuse(NOT_INTEGER)
    if count < -0x7fffffffffffffff:
        return call.refuse(COUNT_RANGE)
    if not read_set(call, &argv[1], &value):
        if value.count == 0:
            out_array(call.out, 0)
        return 0
    if count < 0:
        return repeated_members(call, &value, -count)
    if count >= value.count:
        out_array(call.out, value.count)
        set_walk(&value, reply_member, call.out)
        return 0
    if count == 0:
        out_array(call.out, 0)
        return 0
    refs = pick(call, &value, count)
    out_array(call.out, count)
    for i in range(count):
        picked(call, &value, refs[i], &member)
        out_bulk(call.out, member.data, member.size)
    free(refs)
    return 0


cdef int repeated_members(Call call, const SetValue* value, int64_t count) except -1:
    """Answer members drawn one by one, which may be the same. The reply is no longer than a value
    may be, since nobody can take one of any length that is asked for.
    """
    cdef size_t position = call.out.used
    cdef size_t limit = <size_t>call.keyspace.string_limit
    cdef Member member
    cdef Ref ref
    cdef int64_t number
    if <size_t>count > limit // LEAST_REPLY:
        return call.refuse(REPLY_TOO_LARGE)
    out_array(call.out, count)
    while count and not call.out.failed:
        count -= 1
        random_member(call, value, &member, &ref, &number)
        out_bulk(call.out, member.data, member.size)
        if call.out.used - position > limit:
            call.out.used = position
            return call.refuse(REPLY_TOO_LARGE)
    return 0


cdef int propagate_members(Call call, Slice* key, const SetValue* value, const Ref* refs,
                           int64_t count) except -1:
    """Propagate SREM of what was chosen, a batch at a time."""
    cdef Member member
    cdef int64_t i
    if not call.effects.feeding:
        return 0
    for i in range(count):
        if i % BATCH == 0:
            call.effects.command(2 + <int>min(count - i, <int64_t>BATCH))
            call.effects.argument(b"SREM", 4)
            call.effects.argument(key.data, key.size)
        picked(call, value, refs[i], &member)
        call.effects.argument(member.data, member.size)
    return 0


cdef int spop(Call call, Slice* argv, int argc) except -1:
    cdef Database db = call.db
    cdef Found found
    cdef SetValue value
    cdef Member member
    cdef Ref ref
    cdef int64_t index, before
    if argc > 2:
        return call.refuse(SYNTAX) if argc > 3 else pop_some(call, argv)
    if call.first(&argv[1], &found) is NULL:
        out_null(call.out, call.protocol)
        return 0
    if not is_set(found.entry):
        return call.refuse(WRONG_TYPE)
    set_open(db.slabs, found.entry, &value)
    before = value.count
    random_member(call, &value, &member, &ref, &index)
    out_bulk(call.out, member.data, member.size)
    if call.effects.feeding:
        call.effects.command(3)
        call.effects.argument(b"SREM", 4)
        call.effects.argument(argv[1].data, argv[1].size)
        call.effects.argument(member.data, member.size)
    if value.table is not NULL:
        set_remove_ref(db, &value, ref)
    else:
        ref = <Ref>index
        set_remove_numbers(db, &found, &value, &ref, 1)
    db.recount(found.entry, before)
    call.changed_value(&argv[1], &found, EVENT_SET, b"spop", 1)
    return 0


cdef int pop_some(Call call, Slice* argv) except -1:
    cdef Database db = call.db
    cdef Found found
    cdef SetValue value
    cdef Member member
    cdef Ref* refs
    cdef int64_t count, before, i
    if not parse_int(argv[2].data, argv[2].size, &count) or count < 0:
        return call.refuse(NOT_POSITIVE)
    if call.first(&argv[1], &found) is NULL:
        reply_set(call, 0)
        return 0
    if not is_set(found.entry):
        return call.refuse(WRONG_TYPE)
    if count == 0:
        reply_set(call, 0)
        return 0
    set_open(db.slabs, found.entry, &value)
    if count >= value.count:
        return pop_all(call, &argv[1], &found, &value)
    before = value.count
    refs = pick(call, &value, count)
    try:
        reply_set(call, count)
        for i in range(count):
            picked(call, &value, refs[i], &member)
            out_bulk(call.out, member.data, member.size)
        propagate_members(call, &argv[1], &value, refs, count)
        if value.table is NULL:
            set_remove_numbers(db, &found, &value, refs, count)
        else:
            for i in range(count):
                set_remove_ref(db, &value, refs[i])
    finally:
        free(refs)
    db.recount(found.entry, before)
    return call.changed(&argv[1], EVENT_SET, b"spop", count)


cdef int pop_all(Call call, Slice* key, Found* found, const SetValue* value) except -1:
    cdef int64_t count = value.count
    reply_set(call, count)
    set_walk(value, reply_member, call.out)
    if call.effects.feeding:
        call.effects.command(2)
        call.effects.argument(b"DEL", 3)
        call.effects.argument(key.data, key.size)
    call.db.remove(found)
    call.changed(key, EVENT_SET, b"spop", count)
    return call.changed(key, EVENT_GENERIC, b"del", 0)


# -- algebra ---------------------------------------------------------------------------------------

cdef struct Operands:            # the sets of one command
    SetValue* values
    SetValue[FEW] few
    int count                    # of those that are there
    bint first                   # the first key is there
    bint missing                 # some key is not
    bint same                    # the first set is among the others, too
    bint refused                 # a key has no set: the command has answered


cdef int read_operands(Call call, Slice* argv, int start, int stop, Operands* sets) except -1:
    cdef Found found
    cdef const uint8_t* entry
    cdef const uint8_t* first = NULL
    cdef int i
    memset(sets, 0, sizeof(Operands) - sizeof(sets.few))
    sets.count = 0
    sets.first = sets.missing = sets.same = sets.refused = False
    sets.values = sets.few
    if stop - start > FEW:
        sets.values = <SetValue*>malloc(<size_t>(stop - start) * sizeof(SetValue))
        if sets.values is NULL:
            raise MemoryError
    for i in range(start, stop):
        entry = call.accessed(&argv[i], call.nth(argv, i, stop, 1, i - start, &found))
        if entry is NULL:
            sets.missing = True
            continue
        if not is_set(entry):
            call.refuse(WRONG_TYPE)
            sets.refused = True
            return 0
        if i == start:
            first = entry
            sets.first = True
        elif entry is first:
            sets.same = True
        set_open(call.db.slabs, entry, &sets.values[sets.count])
        sets.count += 1
    return 0


cdef void forget_operands(Operands* sets) noexcept:
    if sets.values is not sets.few and sets.values is not NULL:
        free(sets.values)


cdef int by_count(const void* one, const void* other) noexcept nogil:
    cdef int64_t first = (<const SetValue*>one).count
    cdef int64_t second = (<const SetValue*>other).count
    return (first > second) - (first < second)


cdef int by_most(const void* one, const void* other) noexcept nogil:
    return by_count(other, one)


cdef int tables_by_most(const void* one, const void* other) noexcept nogil:
    cdef bint first = (<const SetValue*>one).table is not NULL
    cdef bint second = (<const SetValue*>other).table is not NULL
    return <int>second - <int>first if first != second else by_most(one, other)


cdef struct Building:            # a set that receives a result
    void* db
    SetValue value
    bint only_integers


cdef int build(void* context, const char* member, size_t size, const uint64_t* hash) except -2:
    cdef Building* building = <Building*>context
    cdef int64_t number
    if building.only_integers:
        building.only_integers = parse_int(member, size, &number)
    set_add(<Database>building.db, NULL, &building.value, member, size, hash)
    return 0


cdef int build_new(void* context, const char* member, size_t size,
                   const uint64_t* hash) except -2:
    """The same for members that are all different."""
    cdef Building* building = <Building*>context
    cdef int64_t number
    if building.only_integers:
        building.only_integers = parse_int(member, size, &number)
    set_append(<Database>building.db, &building.value, member, size, hash)
    return 0


cdef struct Gathered:
    const char* member           # in one of the sets
    size_t size

cdef struct Gathering:           # a result that will be stored when it is known how large it is
    Gathered* items
    int64_t count


cdef int gather(void* context, const char* member, size_t size, const uint64_t* hash) except -2:
    cdef Gathering* gathering = <Gathering*>context
    gathering.items[gathering.count].member = member
    gathering.items[gathering.count].size = size
    gathering.count += 1
    return 0


cdef int begin_gathering(Gathering* gathering, int64_t most) except -1:
    gathering.count = 0
    gathering.items = <Gathered*>malloc(<size_t>max(most, 1) * sizeof(Gathered))
    if gathering.items is NULL:
        raise MemoryError
    return 0


cdef int build_gathered(Building* building, const Gathering* gathering) except -1:
    cdef const Gathered* items = gathering.items
    cdef int64_t i
    set_reserve(<Database>building.db, &building.value, gathering.count)
    for i in range(gathering.count):
        if i + AHEAD < gathering.count:
            fetch(items[i + AHEAD].member)
        build_new(building, items[i].member, items[i].size, NULL)
    return 0


cdef int build_sifted(Building* building, const SetValue* source, const SetValue* others,
                      int count, bint inside) except -1:
    """Build the set of those members of `source` that are in all `others`, or in none of them."""
    cdef Gathering gathering
    if source.table is NULL or source.count < GATHER_FROM:
        sift(source, others, count, inside, build_new, building, &building.value)
        return 0
    begin_gathering(&gathering, source.count)
    try:
        sift(source, others, count, inside, gather, &gathering)
        build_gathered(building, &gathering)
    finally:
        free(gathering.items)
    return 0


cdef struct Replying:
    Output* out
    int64_t count


cdef int reply_emitted(void* context, const char* member, size_t size,
                       const uint64_t* hash) except -2:
    cdef Replying* replying = <Replying*>context
    out_bulk(replying.out, member, size)
    replying.count += 1
    return 0


cdef struct Counting:
    int64_t count
    int64_t limit                # 0: none


cdef int count_emitted(void* context, const char* member, size_t size,
                       const uint64_t* hash) except -2:
    cdef Counting* counting = <Counting*>context
    counting.count += 1
    return -1 if counting.count == counting.limit else 0


cdef int begin(Call call, Building* building, int encoding) except -1:
    building.db = <void*>call.db
    building.only_integers = True
    set_open_root(call.db.slabs, set_new(call.db.slabs, encoding), &building.value)
    return 0


cdef int store(Call call, Slice* key, SetRoot* root, const char* event) except -1:
    """Store a result under a key, or delete that key if nothing is in it, and answer its size."""
    cdef Database db = call.db
    cdef Found found
    cdef int64_t count = 0 if root is NULL else root.root.count
    cdef bint kept = False
    cdef int before
    try:
        call.find(key, &found)
        before = kind_there(&found)
        if count:
            set_store(db, &found, key.data, key.size, root)
            kept = True
    finally:
        if root is not NULL and not kept:
            root_release(db.slabs, &root.root)
    if count:
        call.stored(key, before, SET, EVENT_SET, event, 1)
    elif found.entry is not NULL:
        db.remove(&found)
        call.changed(key, EVENT_GENERIC, b"del", 1)
    out_int(call.out, count)
    return 0


cdef int sinter(Call call, Slice* argv, int argc) except -1:
    cdef Operands sets
    cdef Replying replying
    cdef size_t position
    try:
        read_operands(call, argv, 1, argc, &sets)
        if sets.refused:
            return 0
        if sets.missing:
            reply_set(call, 0)
            return 0
        qsort(sets.values, <size_t>sets.count, sizeof(SetValue), by_count)
        replying.out = call.out
        replying.count = 0
        position = call.out.used
        sift(sets.values, sets.values + 1, sets.count - 1, True, reply_emitted, &replying)
        return count_reply(call, position, replying.count)
    finally:
        forget_operands(&sets)


cdef int sinterstore(Call call, Slice* argv, int argc) except -1:
    cdef Operands sets
    cdef Building building
    cdef SetRoot* root = NULL
    try:
        read_operands(call, argv, 2, argc, &sets)
        if sets.refused:
            return 0
        if not sets.missing:
            qsort(sets.values, <size_t>sets.count, sizeof(SetValue), by_count)
            begin(call, &building,
                  INTSET if sets.values[0].form & ENCODING == INTSET else LISTPACK)
            root = building.value.root
            try:
                build_sifted(&building, sets.values, sets.values + 1, sets.count - 1, True)
                root = set_settle(call.db, root, building.only_integers)
            except MemoryError:
                root_release(call.db.slabs, &root.root)
                raise
        return store(call, &argv[1], root, b"sinterstore")
    finally:
        forget_operands(&sets)


cdef int sintercard(Call call, Slice* argv, int argc) except -1:
    cdef Operands sets
    cdef Counting counting
    cdef int64_t count
    cdef int i
    if not parse_int(argv[1].data, argv[1].size, &count) or count < 1:
        return call.refuse(NUMKEYS)
    if count > argc - 2:
        return call.refuse(TOO_FEW_KEYS)
    counting.count = counting.limit = 0
    i = <int>count + 2
    while i < argc:
        if i + 1 == argc or not keyword(&argv[i], b"LIMIT", 5):
            return call.refuse(SYNTAX)
        if not parse_int(argv[i + 1].data, argv[i + 1].size, &counting.limit) or counting.limit < 0:
            return call.refuse(NEGATIVE_LIMIT)
        i += 2
    try:
        read_operands(call, argv, 2, <int>count + 2, &sets)
        if sets.refused:
            return 0
        if not sets.missing:
            qsort(sets.values, <size_t>sets.count, sizeof(SetValue), by_count)
            sift(sets.values, sets.values + 1, sets.count - 1, True, count_emitted, &counting)
        out_int(call.out, counting.count)
        return 0
    finally:
        forget_operands(&sets)


cdef int unite(Operands* sets, Building* building) except -1:
    """Add the members of all sets to one. If they are few and large, those of the tables first."""
    cdef Gathering gathering
    cdef int64_t most = 0
    cdef int tables = 0
    cdef int i
    for i in range(sets.count):
        if sets.values[i].table is not NULL:
            most += sets.values[i].count
            tables += 1
    if most < GATHER_FROM or tables > SIFTED_MAX:
        tables = 0
    else:
        qsort(sets.values, <size_t>sets.count, sizeof(SetValue), tables_by_most)
        begin_gathering(&gathering, most)
        try:
            for i in range(tables):
                sift(&sets.values[i], sets.values, i, False, gather, &gathering)
            build_gathered(building, &gathering)
        finally:
            free(gathering.items)
    for i in range(tables, sets.count):
        sift(&sets.values[i], NULL, 0, False, build, building, &building.value)
    return 0


cdef bint only_intsets(const Operands* sets) noexcept:
    cdef int i
    for i in range(sets.count):
        if sets.values[i].form & ENCODING != INTSET:
            return False
    return True


cdef int sunion(Call call, Slice* argv, int argc) except -1:
    """Few sets need no set of the result: a member is new if no set before has it."""
    cdef Operands sets
    cdef Building building
    cdef Replying replying
    cdef size_t position
    cdef int i
    try:
        read_operands(call, argv, 1, argc, &sets)
        if sets.refused:
            return 0
        if sets.count > 1 and (sets.count > SIFTED_MAX or only_intsets(&sets)):
            begin(call, &building, INTSET)
            try:
                unite(&sets, &building)
                reply_set(call, building.value.count)
                set_walk(&building.value, reply_member, call.out)
            finally:
                root_release(call.db.slabs, &building.value.root.root)
            return 0
        replying.out = call.out
        replying.count = 0
        position = call.out.used
        for i in range(sets.count):
            sift(&sets.values[i], sets.values, i, False, reply_emitted, &replying)
        return count_reply(call, position, replying.count)
    finally:
        forget_operands(&sets)


cdef int sunionstore(Call call, Slice* argv, int argc) except -1:
    cdef Operands sets
    cdef Building building
    try:
        read_operands(call, argv, 2, argc, &sets)
        if sets.refused:
            return 0
        begin(call, &building, INTSET)
        try:
            unite(&sets, &building)
        except MemoryError:
            root_release(call.db.slabs, &building.value.root.root)
            raise
        return store(call, &argv[1], building.value.root, b"sunionstore")
    finally:
        forget_operands(&sets)


cdef int sdiff(Call call, Slice* argv, int argc) except -1:
    cdef Operands sets
    cdef Replying replying
    cdef size_t position
    try:
        read_operands(call, argv, 1, argc, &sets)
        if sets.refused:
            return 0
        replying.out = call.out
        replying.count = 0
        position = call.out.used
        if sets.first and not sets.same:
            qsort(sets.values + 1, <size_t>sets.count - 1, sizeof(SetValue), by_most)
            sift(sets.values, sets.values + 1, sets.count - 1, False, reply_emitted, &replying)
        return count_reply(call, position, replying.count)
    finally:
        forget_operands(&sets)


cdef bint subtracts(const Operands* sets) noexcept:
    """Does Redis copy the first set and take the others' members out of it? Then the result is
    called what the whole first set would be called.
    """
    cdef int64_t ask = 0
    cdef int64_t take = 0
    cdef int i
    for i in range(sets.count):
        ask += sets.values[0].count
        take += sets.values[i].count
    return ask // 2 > take


cdef int sdiffstore(Call call, Slice* argv, int argc) except -1:
    cdef Operands sets
    cdef Building building
    cdef SetRoot* root = NULL
    try:
        read_operands(call, argv, 2, argc, &sets)
        if sets.refused:
            return 0
        if sets.first and not sets.same:
            begin(call, &building, INTSET)
            root = building.value.root
            try:
                subtract(call, &sets, &building)
            except MemoryError:
                root_release(call.db.slabs, &root.root)
                raise
        return store(call, &argv[1], root, b"sdiffstore")
    finally:
        forget_operands(&sets)


cdef int subtract(Call call, Operands* sets, Building* building) except -1:
    cdef int i, n
    if subtracts(sets):
        build_sifted(building, sets.values, NULL, 0, False)
        for i in range(1, sets.count):
            set_walk(&sets.values[i], take_out, building)
        return 0
    n = sets.count - 1
    qsort(sets.values + 1, <size_t>n, sizeof(SetValue), by_most)
    return build_sifted(building, sets.values, sets.values + 1, n, False)


cdef int take_out(void* context, const char* member, size_t size) except -2:
    cdef Building* building = <Building*>context
    set_remove(<Database>building.db, NULL, &building.value, member, size)
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
SRANDMEMBER_BODY = body(srandmember, "srandmember")
SPOP_BODY = body(spop, "spop")
SINTER_BODY = body(sinter, "sinter")
SINTERSTORE_BODY = body(sinterstore, "sinterstore")
SINTERCARD_BODY = body(sintercard, "sintercard")
SUNION_BODY = body(sunion, "sunion")
SUNIONSTORE_BODY = body(sunionstore, "sunionstore")
SDIFF_BODY = body(sdiff, "sdiff")
SDIFFSTORE_BODY = body(sdiffstore, "sdiffstore")
SSCAN_BODY = body(sscan, "sscan")
