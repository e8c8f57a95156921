"""Set algebra: which members of one set are in others.

Every operation walks one set and asks others for its members; none is copied. Members are taken in
groups: while a group is gathered the buckets they would be in are on their way from memory, then
the entries, and then they are compared.

All tables of a keyspace hash alike, and each is in hash order: two that are walked together are
read from one end to the other. As a table tells so many bits of its entries' hashes as say where
they would be in a table of no more segments, those are not even read before they are compared.

Filling a table in hash order has each of its segments split again and again while the rest of it is
empty (270 ns a member instead of 120). So a result is best gathered first and then stored in a set
that has room for it (`set_reserve`); where that is not possible the walk takes a few members here
and a few there.
"""

from libc.stdint cimport uint8_t

from spineldb.core.sets cimport Member, flat_next, member_text, set_contains
from spineldb.core.slab cimport Ref, Slabs, at
from spineldb.core.table cimport (
    Table, known_bits, table_hash, table_prefetch, table_prefetch_entries, table_walk,
)

cdef enum:
    GROUP = 32                   # members looked for together
    WALK_ALL = 1 << 20
    STEP = 128                   # members of a part at a time: fewer are not fetched ahead
    SLICES = 64                  # parts of hash order that a scattered walk goes through in turn
    SLICE_SHIFT = 58             # of a hash: which of them
    SCATTER_FROM = 2000          # members: fewer fit a segment or two

cdef size_t UNREAD = ~<size_t>0  # the size of a member of which only the entry is known

cdef struct Sieve:
    const SetValue* others
    int count
    bint inside
    Emit emit
    void* context
    const SetValue* into         # NULL: they are not stored
    Slabs* slabs
    const Table* source          # what is walked, if that is a table
    const Table* first           # the first table among the others, or one that hashes as they do
    bint stopped
    int slice                    # take only what is in this part of hash order; -1: all
    int waiting
    Member[GROUP] members
    uint64_t[GROUP] hashes


cdef inline void added(Sieve* sieve) noexcept nogil:
    """One more member was written to the group: hash it, and have its bucket fetched."""
    cdef Member* member = &sieve.members[sieve.waiting]
    if sieve.first is not NULL:
        sieve.hashes[sieve.waiting] = table_hash(sieve.first, member.data, member.size)
        table_prefetch(sieve.first, sieve.hashes[sieve.waiting])
    sieve.waiting += 1


cdef int settle(Sieve* sieve) except -2:
    """Look for the members of the group, and emit those that pass."""
    cdef int[GROUP] passing
    cdef int n = sieve.waiting
    cdef int i, o, kept
    cdef const SetValue* other
    cdef Member* member
    sieve.waiting = 0
    for i in range(n):
        passing[i] = i
    for o in range(sieve.count):
        other = &sieve.others[o]
        if other.table is not NULL:
            if other.table is not sieve.first:
                for i in range(n):
                    table_prefetch(other.table, sieve.hashes[passing[i]])
            for i in range(n):
                table_prefetch_entries(other.table, sieve.hashes[passing[i]])
        kept = 0
        for i in range(n):
            member = &sieve.members[passing[i]]
            if member.size == UNREAD:
                member.data = member_text(<const uint8_t*>member.data, &member.size)
            if sieve.inside == set_contains(
                other, member.data, member.size, &sieve.hashes[passing[i]]
            ):
                passing[kept] = passing[i]
                kept += 1
        n = kept
    if sieve.into is not NULL and sieve.into.table is not NULL and sieve.first is not NULL:
        for i in range(n):
            table_prefetch(sieve.into.table, sieve.hashes[passing[i]])
        if sieve.count == 0:     # a union: they may be there already
            for i in range(n):
                table_prefetch_entries(sieve.into.table, sieve.hashes[passing[i]])
    for i in range(n):
        member = &sieve.members[passing[i]]
        if sieve.emit(
            sieve.context, member.data, member.size,
            &sieve.hashes[passing[i]] if sieve.into is not NULL and sieve.first is not NULL
            else NULL,
        ) < 0:
            sieve.stopped = True
            return -1
    return 0


cdef inline bint suffices(const Sieve* sieve, uint64_t hash) noexcept nogil:
    """Does what the walk knows of a hash say where the member would be in all other sets?"""
    cdef int known, o
    if sieve.into is not NULL or sieve.first is NULL:
        return False
    known = known_bits(sieve.source, hash)
    for o in range(sieve.count):
        if sieve.others[o].table is not NULL and known_bits(sieve.others[o].table, hash) > known:
            return False
    return True


cdef int take(void* context, uint64_t hash, Ref* ref) except -2:
    cdef Sieve* sieve = <Sieve*>context
    cdef Member* member = &sieve.members[sieve.waiting]
    if sieve.slice >= 0 and <int>(hash >> SLICE_SHIFT) != sieve.slice:
        return 0                 # a bucket may belong to two parts, and is visited in both
    if suffices(sieve, hash):
        member.data = <const char*>at(sieve.slabs, ref[0])
        member.size = UNREAD
        sieve.hashes[sieve.waiting] = hash
        table_prefetch(sieve.first, hash)
        sieve.waiting += 1
    else:
        member.data = member_text(<const uint8_t*>at(sieve.slabs, ref[0]), &member.size)
        added(sieve)
    return settle(sieve) if sieve.waiting == GROUP else 0


cdef int walk_scattered(Table* table, Sieve* sieve) except -1:
    """Go through all parts of a table at once, some members from each in turn."""
    cdef uint64_t[SLICES] positions
    cdef bint[SLICES] walked
    cdef int left = SLICES
    cdef int i
    for i in range(SLICES):
        positions[i] = <uint64_t>i << SLICE_SHIFT
        walked[i] = False
    while left:
        for i in range(SLICES):
            if walked[i]:
                continue
            sieve.slice = i
            if (
                table_walk(table, &positions[i], STEP, take, sieve)
                or <int>(positions[i] >> SLICE_SHIFT) != i
            ):
                walked[i] = True
                left -= 1
            if sieve.stopped:
                return 0
    return 0


cdef int sift(const SetValue* source, const SetValue* others, int count, bint inside, Emit emit,
              void* context, const SetValue* into=NULL) except -2:
    cdef Sieve sieve
    cdef size_t offset = 0
    cdef uint64_t position = 0
    cdef int o
    sieve.others = others
    sieve.count = count
    sieve.inside = inside
    sieve.emit = emit
    sieve.context = context
    sieve.first = NULL
    sieve.source = source.table
    sieve.stopped = False
    sieve.into = into
    sieve.slice = -1
    sieve.waiting = 0
    for o in range(count - 1, -1, -1):
        if others[o].table is not NULL:
            sieve.first = others[o].table
    if into is not NULL and sieve.first is NULL:
        sieve.first = source.table
    if source.table is not NULL:
        sieve.slabs = source.table.slabs
        if into is not NULL and source.count >= SCATTER_FROM:
            walk_scattered(source.table, &sieve)
        else:
            while not table_walk(source.table, &position, WALK_ALL, take, &sieve):
                if sieve.stopped:
                    break
        if sieve.stopped:
            return -1
    else:
        while flat_next(source, &offset, &sieve.members[sieve.waiting]):
            added(&sieve)
            if sieve.waiting == GROUP and settle(&sieve) < 0:
                return -1
    return settle(&sieve)
