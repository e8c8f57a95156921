"""Bodies of the commands about deadlines of hash fields. commands/hashes.py tells what each does.

What is propagated has been decided: the fields that a deadline was given to, and the moment itself;
fields whose deadline lies in the past are deleted.
"""

from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc

from spineldb.core.call cimport Call, body, keyword
from spineldb.core.effects cimport EVENT_GENERIC, EVENT_HASH, EVENT_NEW
from spineldb.core.hashes cimport (
    KEEP_DEADLINE, NO_DEADLINE, Editing, Field, editing_begin, editing_deadline, editing_delete,
    editing_end, editing_find, hash_ask_deadlines, hash_get, hash_note_size,
    hash_set,
)
from spineldb.core.hot_hashes cimport find_hash, hash_to_write, read_hash, reply_field
from spineldb.core.keyspace cimport Found
from spineldb.core.resp cimport Slice, out_array, out_int, out_null, parse_int

from spineldb import errors

cdef bytes NOT_INTEGER = errors.NotInteger().wire
cdef bytes SYNTAX = errors.Syntax().wire
cdef bytes NEGATIVE_EXPIRE = errors.NegativeExpire().wire
cdef bytes FIELDS_MISSING = errors.FieldsMissing().wire
cdef bytes FIELDS_MISMATCH = errors.FieldsMismatch().wire
cdef bytes FIELDS_ABOVE_ZERO = errors.FieldsAboveZero().wire
cdef bytes FIELDS_POSITIVE = errors.FieldsPositive().wire
cdef bytes FIELD_CONDITION = errors.FieldCondition().wire
cdef bytes FIELD_TIME = errors.FieldTime().wire
cdef bytes FIELD_NUMBER = errors.FieldNumber().wire

cdef enum:
    FEW = 16                     # fields of one command whose list needs no memory
    # conditions; those on the deadline are one by one, those on fields and key for all of them
    ALWAYS = 0
    IF_NONE = 1
    IF_ANY = 2
    IF_LATER = 3
    IF_EARLIER = 4

cdef int64_t LATEST_MS = (<int64_t>1 << 46) - 1  # the latest deadline of a field
cdef int64_t INT32_MAX = 0x7fffffff

cdef struct Unit:                # of a time
    int64_t scale                # milliseconds
    bint absolute                # from 1970 on, not from now


# -- reading the request ---------------------------------------------------------------------------

cdef bint read_deadline(Call call, const Slice* text, const Unit* unit,
                        int64_t* deadline) except -1:
    """Read a time as Unix milliseconds; False after answering an error."""
    cdef int64_t value
    if not parse_int(text.data, text.size, &value):
        call.refuse(NOT_INTEGER)
        return False
    if value < 0:
        call.refuse(NEGATIVE_EXPIRE)
        return False
    if value <= LATEST_MS // unit.scale:
        deadline[0] = value * unit.scale + (0 if unit.absolute else call.keyspace.now_ms)
        if deadline[0] <= LATEST_MS:
            return True
    call.refuse(errors.InvalidExpire(call.command.name).wire)
    return False


cdef bint is_time(const Slice* word, Unit* unit) noexcept:
    """Is it EX, PX, EXAT or PXAT?"""
    unit.scale = 1
    unit.absolute = word.size == 4
    if keyword(word, b"EX", 2) or keyword(word, b"EXAT", 4):
        unit.scale = 1000
        return True
    return keyword(word, b"PX", 2) or keyword(word, b"PXAT", 4)


cdef bint has_fields(Call call, const Slice* argv, int argc, int at, bytes wrong) except -1:
    """Do the fields follow `FIELDS numfields` at `at` + 2? False after answering an error."""
    cdef int64_t count
    if at + 1 >= argc or not keyword(&argv[at], b"FIELDS", 6):
        call.refuse(FIELDS_MISSING)
    elif not parse_int(argv[at + 1].data, argv[at + 1].size, &count) or count < 1:
        call.refuse(wrong)
    elif count != argc - at - 2:
        call.refuse(FIELDS_MISMATCH)
    else:
        return True
    return False


cdef bint has_passed(Call call, int64_t deadline) noexcept:
    """Does a field of this deadline go at once? Not while a stream is applied.

    The stream itself says when a field goes; until then its later commands may count on it.
    """
    return (0 <= deadline <= call.keyspace.now_ms and call.effects.may_bury
            and not call.keyspace.applying_)


# -- telling what was done -------------------------------------------------------------------------

cdef struct Touched:             # fields of a request that were changed
    const Slice** fields
    const Slice* few[FEW]
    int count


cdef int touch_none(Touched* touched, int most) except -1:
    touched.count = 0
    touched.fields = touched.few
    if most > FEW:
        touched.fields = <const Slice**>malloc(<size_t>most * sizeof(Slice*))
        if touched.fields is NULL:
            raise MemoryError
    return 0


cdef inline void touch(Touched* touched, const Slice* field) noexcept:
    touched.fields[touched.count] = field
    touched.count += 1


cdef inline void forget_touched(Touched* touched) noexcept:
    if touched.fields != touched.few:
        free(touched.fields)


cdef int tell_deleted(Call call, const Slice* key, const Touched* touched) except -1:
    """Propagate HDEL of what was touched."""
    if not call.effects.feeding:
        return 0
    call.effects.command(2 + touched.count)
    call.effects.argument(b"HDEL", 4)
    call.effects.argument(key.data, key.size)
    return tell_names(call, touched)


cdef int tell_deadlines(Call call, const Slice* key, const Touched* touched,
                        int64_t deadline) except -1:
    """Propagate HPEXPIREAT, or without a deadline HPERSIST, of what was touched."""
    if not call.effects.feeding:
        return 0
    if deadline < 0:
        call.effects.command(4 + touched.count)
        call.effects.argument(b"HPERSIST", 8)
        call.effects.argument(key.data, key.size)
    else:
        call.effects.command(5 + touched.count)
        call.effects.argument(b"HPEXPIREAT", 10)
        call.effects.argument(key.data, key.size)
        call.effects.argument_int(deadline)
    call.effects.argument(b"FIELDS", 6)
    call.effects.argument_int(touched.count)
    return tell_names(call, touched)


cdef int tell_names(Call call, const Touched* touched) except -1:
    cdef int i
    for i in range(touched.count):
        call.effects.argument(touched.fields[i].data, touched.fields[i].size)
    return 0


cdef int announce(Call call, Slice* key, Found* found, const Touched* touched, int64_t deadline,
                  bint passed) except -1:
    """Say what became of the fields that were touched: their event, and what is propagated."""
    if touched.count == 0:
        return 0
    if passed:
        call.changed_value(key, found, EVENT_HASH, b"hdel", touched.count)
        return tell_deleted(call, key, touched)
    call.changed(key, EVENT_HASH, b"hpersist" if deadline < 0 else b"hexpire", touched.count)
    return tell_deadlines(call, key, touched, deadline)


# -- HEXPIRE and its kin ---------------------------------------------------------------------------

cdef bint stands(int condition, int64_t deadline, int64_t current) noexcept:
    """May `deadline` replace the current one, if -1 (none) counts as never?"""
    if condition == IF_NONE:
        return current < 0
    if condition == IF_ANY:
        return current >= 0
    if condition == IF_LATER:
        return 0 <= current < deadline
    if condition == IF_EARLIER:
        return current < 0 or deadline < current
    return True


cdef int condition_of(const Slice* word) noexcept:
    if keyword(word, b"NX", 2):
        return IF_NONE
    if keyword(word, b"XX", 2):
        return IF_ANY
    if keyword(word, b"GT", 2):
        return IF_LATER
    if keyword(word, b"LT", 2):
        return IF_EARLIER
    return ALWAYS


cdef int expire(Call call, Slice* argv, int argc, int64_t scale, bint absolute) except -1:
    cdef Found found
    cdef Touched touched
    cdef Unit unit
    cdef int64_t deadline
    cdef int condition, at
    cdef int there = find_hash(call, &argv[1], &found)
    if there < 0:
        return 0
    unit.scale, unit.absolute = scale, absolute
    if not read_deadline(call, &argv[2], &unit, &deadline):
        return 0
    condition = condition_of(&argv[3])
    at = 3 if condition == ALWAYS else 4
    if not has_fields(call, argv, argc, at, FIELDS_ABOVE_ZERO):
        return 0
    at += 2
    out_array(call.out, argc - at)
    if there == 0:
        while at < argc:
            out_int(call.out, -2)
            at += 1
        return 0
    hash_ask_deadlines(found.entry)
    touch_none(&touched, argc - at)
    try:
        expire_each(call, &found, argv + at, argc - at, deadline, condition, &touched)
        announce(call, &argv[1], &found, &touched, deadline, has_passed(call, deadline))
    finally:
        forget_touched(&touched)
    return 0


cdef int expire_each(Call call, Found* found, const Slice* fields, int count, int64_t deadline,
                     int condition, Touched* touched) except -1:
    cdef bint passed = has_passed(call, deadline)
    cdef Editing editing
    cdef Field field
    cdef int i
    editing_begin(&editing, call.db, found)
    for i in range(count):
        if not editing_find(&editing, &fields[i], &field):
            out_int(call.out, -2)
            continue
        if not stands(condition, deadline, field.deadline):
            out_int(call.out, 0)
            continue
        if passed:
            editing_delete(&editing, &fields[i])
        else:
            editing_deadline(&editing, &fields[i], deadline)
        touch(touched, &fields[i])
        out_int(call.out, 2 if passed else 1)
    return editing_end(&editing)


cdef int hexpire(Call call, Slice* argv, int argc) except -1:
    return expire(call, argv, argc, 1000, False)


cdef int hpexpire(Call call, Slice* argv, int argc) except -1:
    return expire(call, argv, argc, 1, False)


cdef int hexpireat(Call call, Slice* argv, int argc) except -1:
    return expire(call, argv, argc, 1000, True)


cdef int hpexpireat(Call call, Slice* argv, int argc) except -1:
    return expire(call, argv, argc, 1, True)


cdef int hpersist(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef Touched touched
    cdef Editing editing
    cdef Field field
    cdef int there = find_hash(call, &argv[1], &found)
    cdef int i, _i
    if there < 0 or not has_fields(call, argv, argc, 2, FIELDS_POSITIVE):
        return 0
    out_array(call.out, argc - 4)
    if there == 0:
        for _i in range(4, argc):
            out_int(call.out, -2)
        return 0
    touch_none(&touched, argc - 4)
    try:
        editing_begin(&editing, call.db, &found)
        for i in range(4, argc):
            if not editing_find(&editing, &argv[i], &field):
                out_int(call.out, -2)
            elif field.deadline < 0:
                out_int(call.out, -1)
            else:
                editing_deadline(&editing, &argv[i], NO_DEADLINE)
                touch(&touched, &argv[i])
                out_int(call.out, 1)
        editing_end(&editing)
        if touched.count:
            call.changed(&argv[1], EVENT_HASH, b"hpersist", touched.count)
    finally:
        forget_touched(&touched)
    return 0


# -- HTTL and its kin ------------------------------------------------------------------------------

cdef int times(Call call, Slice* argv, int argc, int64_t scale, int64_t since) except -1:
    cdef Found found
    cdef Field field
    cdef int there = read_hash(call, &argv[1], &found)
    cdef int i
    if there < 0 or not has_fields(call, argv, argc, 2, FIELDS_POSITIVE):
        return 0
    out_array(call.out, argc - 4)
    for i in range(4, argc):
        if not there or not hash_get(call.db, found.entry, argv[i].data, argv[i].size, &field):
            out_int(call.out, -2)
        elif field.deadline < 0:
            out_int(call.out, -1)
        else:
            out_int(call.out, (field.deadline - since + scale - 1) // scale)
    return 0


cdef int httl(Call call, Slice* argv, int argc) except -1:
    return times(call, argv, argc, 1000, call.keyspace.now_ms)


cdef int hpttl(Call call, Slice* argv, int argc) except -1:
    return times(call, argv, argc, 1, call.keyspace.now_ms)


cdef int hexpiretime(Call call, Slice* argv, int argc) except -1:
    return times(call, argv, argc, 1000, 0)


cdef int hpexpiretime(Call call, Slice* argv, int argc) except -1:
    return times(call, argv, argc, 1, 0)


# -- HGETDEL, HGETEX -------------------------------------------------------------------------------

cdef inline void reply_missing(Call call, int count) noexcept:
    cdef int _i
    for _i in range(count):
        out_null(call.out, call.protocol)


cdef int hgetdel(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef Touched touched
    cdef Editing editing
    cdef Field field
    cdef int there = find_hash(call, &argv[1], &found)
    cdef int i
    if there < 0 or not has_fields(call, argv, argc, 2, FIELDS_POSITIVE):
        return 0
    out_array(call.out, argc - 4)
    if there == 0:
        reply_missing(call, argc - 4)
        return 0
    touch_none(&touched, argc - 4)
    try:
        editing_begin(&editing, call.db, &found)
        for i in range(4, argc):
            if not editing_find(&editing, &argv[i], &field):
                out_null(call.out, call.protocol)
                continue
            reply_field(call, &field)
            editing_delete(&editing, &argv[i])
            touch(&touched, &argv[i])
        editing_end(&editing)
        announce(call, &argv[1], &found, &touched, NO_DEADLINE, True)
    finally:
        forget_touched(&touched)
    return 0


cdef int hgetex(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef Touched touched
    cdef Field field
    cdef Unit unit
    cdef int64_t deadline = KEEP_DEADLINE
    cdef int there = find_hash(call, &argv[1], &found)
    cdef int at = 2
    cdef int i
    if there < 0:
        return 0
    if is_time(&argv[2], &unit):
        if not read_deadline(call, &argv[3], &unit, &deadline):
            return 0
        at = 4
    elif keyword(&argv[2], b"PERSIST", 7):
        deadline = NO_DEADLINE
        at = 3
    if at == argc - 1:
        return call.refuse(errors.WrongArity(call.command.name).wire)
    if not has_fields(call, argv, argc, at, FIELDS_POSITIVE):
        return 0
    at += 2
    out_array(call.out, argc - at)
    if there == 0:
        reply_missing(call, argc - at)
        return 0
    if deadline == KEEP_DEADLINE:
        for i in range(at, argc):
            if hash_get(call.db, found.entry, argv[i].data, argv[i].size, &field):
                reply_field(call, &field)
            else:
                out_null(call.out, call.protocol)
        return 0
    hash_ask_deadlines(found.entry)
    touch_none(&touched, argc - at)
    try:
        get_each(call, &found, argv + at, argc - at, deadline, &touched)
        announce(call, &argv[1], &found, &touched, deadline, has_passed(call, deadline))
    finally:
        forget_touched(&touched)
    return 0


cdef int get_each(Call call, Found* found, const Slice* fields, int count, int64_t deadline,
                  Touched* touched) except -1:
    """Reply with the values, and give those that exist a deadline, or take theirs away."""
    cdef bint passed = has_passed(call, deadline)
    cdef Editing editing
    cdef Field field
    cdef int i
    editing_begin(&editing, call.db, found)
    for i in range(count):
        if not editing_find(&editing, &fields[i], &field):
            out_null(call.out, call.protocol)
            continue
        reply_field(call, &field)
        if deadline < 0 and field.deadline < 0:
            continue
        if passed:
            editing_delete(&editing, &fields[i])
        else:
            editing_deadline(&editing, &fields[i], deadline)
        touch(touched, &fields[i])
    return editing_end(&editing)


# -- HSETEX ----------------------------------------------------------------------------------------

cdef struct Setting:             # what stands before the pairs
    int of_key                   # IF_NONE: NX, IF_ANY: XX
    int of_fields                # IF_NONE: FNX, IF_ANY: FXX
    bint timed                   # there is a word about time
    int64_t deadline
    int first                    # where the pairs begin
    int count


cdef bint read_setting(Call call, const Slice* argv, int argc, Setting* setting) except -1:
    """Read the options of HSETEX; False after answering an error."""
    cdef Unit unit
    cdef int at = 2
    cdef int condition
    setting.of_key = setting.of_fields = ALWAYS
    setting.timed = False
    setting.deadline = NO_DEADLINE
    while at < argc:
        if keyword(&argv[at], b"FIELDS", 6):
            return read_pairs(call, argv, argc, at, setting)
        condition = condition_of(&argv[at])
        if condition == IF_NONE or condition == IF_ANY:
            if setting.of_key not in (ALWAYS, condition):
                call.refuse(SYNTAX)
                return False
            setting.of_key = condition
        elif keyword(&argv[at], b"FNX", 3) or keyword(&argv[at], b"FXX", 3):
            if setting.of_fields:
                call.refuse(FIELD_CONDITION)
                return False
            setting.of_fields = IF_NONE if keyword(&argv[at], b"FNX", 3) else IF_ANY
        elif is_time(&argv[at], &unit) or keyword(&argv[at], b"KEEPTTL", 7):
            if setting.timed:
                call.refuse(FIELD_TIME)
                return False
            setting.timed = True
            if keyword(&argv[at], b"KEEPTTL", 7):
                setting.deadline = KEEP_DEADLINE
            elif at + 1 == argc:
                call.refuse(SYNTAX)
                return False
            elif not read_deadline(call, &argv[at + 1], &unit, &setting.deadline):
                return False
            else:
                at += 1
        else:
            call.refuse(errors.UnknownArgument(argv[at].data[:argv[at].size]).wire)
            return False
        at += 1
    call.refuse(errors.WrongArity(call.command.name).wire)
    return False


cdef bint read_pairs(Call call, const Slice* argv, int argc, int at, Setting* setting) except -1:
    """Read `FIELDS numfields field value ...`; False after answering an error."""
    cdef int64_t count = 0
    cdef int rest = argc - at - 2
    if rest > 1 and (
        not parse_int(argv[at + 1].data, argv[at + 1].size, &count)
        or not 1 <= count <= INT32_MAX
    ):
        call.refuse(FIELD_NUMBER)
        return False
    if rest <= 1 or rest % 2 or count != rest // 2:
        call.refuse(errors.WrongArity(call.command.name).wire)
        return False
    setting.first = at + 2
    setting.count = <int>count
    return True


cdef bint may_set(Call call, const Found* found, int there, const Slice* pairs,
                  const Setting* setting) noexcept:
    """Do the conditions hold?"""
    cdef int lacking
    if setting.of_key and there != (setting.of_key == IF_ANY):
        return False
    if setting.of_fields == ALWAYS:
        return True
    lacking = missing(call, found, pairs, setting.count) if there else setting.count
    return lacking == (0 if setting.of_fields == IF_ANY else setting.count)


cdef int hsetex(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef Setting setting
    cdef Slice* pairs
    cdef int there
    if not read_setting(call, argv, argc, &setting):
        return 0
    pairs = argv + setting.first
    there = hash_to_write(call, &argv[1], &found, pairs, 2, setting.count)
    if there < 0:
        return 0
    if not may_set(call, &found, there, pairs, &setting):
        out_int(call.out, 0)
        return 0
    if has_passed(call, setting.deadline):
        set_in_the_past(call, &argv[1], &found, there, pairs, setting.count)
    else:
        hash_set(call.db, &found, &argv[1], pairs, setting.count, setting.deadline)
        call.changed(&argv[1], EVENT_HASH, b"hset", setting.count)
        if setting.deadline >= 0:
            call.changed(&argv[1], EVENT_HASH, b"hexpire", 0)
        tell_setting(call, argv, &setting)
    out_int(call.out, 1)
    return 0


cdef int missing(Call call, const Found* found, const Slice* pairs, int count) noexcept:
    """How many of the fields are not there (one that is named twice counts twice)."""
    cdef Field field
    cdef int i
    cdef int held = 0
    for i in range(0, 2 * count, 2):
        held += hash_get(call.db, found.entry, pairs[i].data, pairs[i].size, &field)
    return count - held


cdef int set_in_the_past(Call call, Slice* key, Found* found, int there, const Slice* pairs,
                         int count) except -1:
    """The fields are not there afterwards, whoever listens hears of both."""
    cdef Touched touched
    cdef Editing editing
    cdef Field field
    cdef int i
    if not there:
        call.effects.tell(call.db.index, EVENT_NEW, b"new", key.data[:key.size])
        call.changed(key, EVENT_HASH, b"hset", 0)
        call.changed(key, EVENT_HASH, b"hdel", 0)
        return call.changed(key, EVENT_GENERIC, b"del", 0)
    touch_none(&touched, count)
    try:
        hash_ask_deadlines(found.entry)
        hash_note_size(call.db, found.entry, pairs, count, missing(call, found, pairs, count))
        editing_begin(&editing, call.db, found)
        for i in range(0, 2 * count, 2):
            if editing_find(&editing, &pairs[i], &field):
                editing_delete(&editing, &pairs[i])
                touch(&touched, &pairs[i])
        editing_end(&editing)
        call.changed(key, EVENT_HASH, b"hset", 0)
        if touched.count:
            return announce(call, key, found, &touched, NO_DEADLINE, True)
        return call.changed(key, EVENT_HASH, b"hdel", 0)
    finally:
        forget_touched(&touched)


cdef int tell_setting(Call call, const Slice* argv, const Setting* setting) except -1:
    """Propagate what was set, and until when; what has been decided is left out."""
    cdef const Slice* pairs = argv + setting.first
    cdef int i
    if not call.effects.feeding or (setting.deadline < 0 and not setting.of_key):
        return 0                 # as it was typed
    call.effects.command(4 + 2 * setting.count + (
        2 if setting.deadline >= 0 else 1 if setting.timed else 0))
    call.effects.argument(b"HSETEX", 6)
    call.effects.argument(argv[1].data, argv[1].size)
    if setting.deadline >= 0:
        call.effects.argument(b"PXAT", 4)
        call.effects.argument_int(setting.deadline)
    elif setting.timed:
        call.effects.argument(b"KEEPTTL", 7)
    call.effects.argument(b"FIELDS", 6)
    call.effects.argument_int(setting.count)
    for i in range(2 * setting.count):
        call.effects.argument(pairs[i].data, pairs[i].size)
    return 0


HEXPIRE_BODY = body(hexpire, "hexpire")
HPEXPIRE_BODY = body(hpexpire, "hpexpire")
HEXPIREAT_BODY = body(hexpireat, "hexpireat")
HPEXPIREAT_BODY = body(hpexpireat, "hpexpireat")
HTTL_BODY = body(httl, "httl")
HPTTL_BODY = body(hpttl, "hpttl")
HEXPIRETIME_BODY = body(hexpiretime, "hexpiretime")
HPEXPIRETIME_BODY = body(hpexpiretime, "hpexpiretime")
HPERSIST_BODY = body(hpersist, "hpersist")
HGETDEL_BODY = body(hgetdel, "hgetdel")
HGETEX_BODY = body(hgetex, "hgetex")
HSETEX_BODY = body(hsetex, "hsetex")
