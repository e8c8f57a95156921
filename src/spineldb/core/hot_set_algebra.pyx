"""Bodies of the algebra of sets, and of what stores its result. See commands/sets.py."""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdlib cimport free, malloc, qsort
from libc.string cimport memset

from spineldb.core.algebra cimport sift
from spineldb.core.call cimport Call, body, keyword, kind_there
from spineldb.core.effects cimport EVENT_GENERIC, EVENT_SET
from spineldb.core.entry cimport SET
from spineldb.core.hot_sets cimport reply_set, count_reply, reply_member, is_set
from spineldb.core.keyspace cimport Database, Found
from spineldb.core.replies cimport (
    LIMIT_NEGATIVE, NUMKEYS_NOT_POSITIVE, SYNTAX, WRONG_TYPE, reply_int,
)
from spineldb.core.resp cimport Output, Slice, out_bulk, parse_int
from spineldb.core.root cimport root_release
from spineldb.core.sets cimport (
    ENCODING, INTSET, LISTPACK, SetRoot, SetValue, set_add, set_append, set_new, set_open,
    set_open_root, set_remove, set_reserve, set_settle, set_store, set_walk,
)
from spineldb.core.tree cimport fetch

from spineldb import errors

cdef bytes TOO_FEW_KEYS = errors.TooFewKeys().wire

cdef enum:
    FEW = 16                     # sets of one command that need no memory of their own
    SIFTED_MAX = 4               # sets of a union up to which nothing is built to find doubles
    GATHER_FROM = 2000           # members: a result from more is gathered before it is stored
    AHEAD = 8                    # gathered members fetched ahead


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
    return reply_int(call, count)


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
        return call.refuse(NUMKEYS_NOT_POSITIVE)
    if count > argc - 2:
        return call.refuse(TOO_FEW_KEYS)
    counting.count = counting.limit = 0
    i = <int>count + 2
    while i < argc:
        if i + 1 == argc or not keyword(&argv[i], b"LIMIT", 5):
            return call.refuse(SYNTAX)
        if not parse_int(argv[i + 1].data, argv[i + 1].size, &counting.limit) or counting.limit < 0:
            return call.refuse(LIMIT_NEGATIVE)
        i += 2
    try:
        read_operands(call, argv, 2, <int>count + 2, &sets)
        if sets.refused:
            return 0
        if not sets.missing:
            qsort(sets.values, <size_t>sets.count, sizeof(SetValue), by_count)
            sift(sets.values, sets.values + 1, sets.count - 1, True, count_emitted, &counting)
        return reply_int(call, counting.count)
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


SINTER_BODY = body(sinter, "sinter")
SINTERSTORE_BODY = body(sinterstore, "sinterstore")
SINTERCARD_BODY = body(sintercard, "sintercard")
SUNION_BODY = body(sunion, "sunion")
SUNIONSTORE_BODY = body(sunionstore, "sunionstore")
SDIFF_BODY = body(sdiff, "sdiff")
SDIFFSTORE_BODY = body(sdiffstore, "sdiffstore")
