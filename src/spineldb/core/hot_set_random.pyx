"""Bodies of SPOP and SRANDMEMBER. What each does: commands/sets.py."""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdlib cimport calloc, free, malloc

from spineldb.core.call cimport Call, body
from spineldb.core.effects cimport EVENT_GENERIC, EVENT_SET
from spineldb.core.hot_sets cimport reply_set, reply_member, is_set, read_set
from spineldb.core.keyspace cimport Database, Found, Keyspace
from spineldb.core.replies cimport (
    NOT_INTEGER, NOT_POSITIVE, REPLY_TOO_LARGE, SYNTAX, WRONG_TYPE, reply_null,
)
from spineldb.core.resp cimport Slice, out_array, out_bulk, out_null, parse_int
from spineldb.core.sets cimport (
    Member, SetValue, flat_member, member_text, set_open, set_remove_numbers, set_remove_ref,
    set_walk,
)
from spineldb.core.slab cimport Ref, at
from spineldb.core.table cimport Table, table_random, table_walk

from spineldb import errors

cdef bytes COUNT_RANGE = errors.OutsideRange(-(2**63 - 1), 2**63 - 1).wire

cdef enum:
    BATCH = 1024                 # members in one propagated SREM, as in Redis
    LEAST_REPLY = 6              # bytes of a member in a reply: $0, two line ends


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
        return reply_null(call)
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


SRANDMEMBER_BODY = body(srandmember, "srandmember")
SPOP_BODY = body(spop, "spop")
