"""Bodies of ZUNION, ZINTER, ZDIFF, their STORE forms, and ZINTERCARD.

The elements of the result point into the sources, which stay as they are until it is answered or
stored; only the members of sets of integers, which are no text there, are written down. A union is
gathered with a table of indices beside it; what a result has is put in order at the end, once.
"""

from libc.math cimport isnan
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, qsort
from libc.string cimport memcmp, memcpy, memset

from spineldb.core.call cimport Call, body, keyword
from spineldb.core.entry cimport KIND_MASK, SET, value_size_of
from spineldb.core.hashing cimport HashKey, keyed_hash
from spineldb.core.hot_zset_ranges cimport store
from spineldb.core.hot_zsets cimport is_zset, out_elements_head, out_item, read_score
from spineldb.core.keyspace cimport Found
from spineldb.core.replies cimport LIMIT_NEGATIVE, NOT_INTEGER, SYNTAX, WRONG_TYPE
from spineldb.core.resp cimport Slice, out_int, parse_int
from spineldb.core.sets cimport (
    BYTES, INT_TEXT, TABLED, SetValue, layout_of, set_contains, set_open, set_walk,
)
from spineldb.core.slab cimport Slabs
from spineldb.core.tree cimport compare_bytes
from spineldb.core.zsets cimport (
    Cursor, Item, cursor_get, cursor_next, cursor_seek, zset_open, zset_score,
)

from spineldb import errors

cdef bytes WEIGHT = errors.WeightNotFloat().wire

cdef enum Operation:
    UNION = 0
    INTER = 1
    DIFF = 2

cdef enum Aggregate:
    SUM = 0
    MIN = 1
    MAX = 2

cdef struct Source:              # a sorted set or a plain set, or nothing
    const uint8_t* entry         # NULL: there is no such key
    int64_t count
    double weight
    bint plain
    SetValue members             # of a plain one

cdef struct Job:
    Slabs* slabs
    const HashKey* hash_key
    int operation
    int aggregate
    bint scores                  # WITHSCORES
    int64_t limit                # of ZINTERCARD; 0: none
    Source* sources
    int count                    # of sources
    int current                  # the one whose elements are being taken
    bint fleeting                # its members must be written down
    char* texts                  # where they go
    char* text                   # the next one
    Item* items
    int64_t found
    uint32_t* slots              # of a union: index of an item and 1, by hash
    uint64_t mask


# -- gathering ---------------------------------------------------------------------------------

cdef inline void aggregate(const Job* job, double* score, double value) noexcept nogil:
    if job.aggregate == SUM:
        score[0] += value
        if isnan(score[0]):                  # inf and -inf
            score[0] = 0
    elif job.aggregate == MIN:
        if value < score[0]:
            score[0] = value
    elif value > score[0]:
        score[0] = value


cdef inline bint score_in(const Job* job, const Source* source, const char* member, size_t size,
                          double* score) noexcept nogil:
    if source.entry is NULL:
        return False
    if source.plain:
        score[0] = 1
        return set_contains(&source.members, member, size, NULL)
    return zset_score(job.slabs, source.entry, member, size, score)


cdef void keep(Job* job, const char* member, size_t size, double score) noexcept nogil:
    cdef Item* item = &job.items[job.found]
    if job.fleeting:
        memcpy(job.text, member, size)
        member = job.text
        job.text += size
    item.score = score
    item.member = member
    item.size = size
    job.found += 1


cdef void unite(Job* job, const char* member, size_t size, double score) noexcept nogil:
    """Add an element to a union, or its score to that of the one there is."""
    cdef uint64_t at = keyed_hash(job.hash_key, member, size) & job.mask
    cdef Item* item
    while job.slots[at]:
        item = &job.items[job.slots[at] - 1]
        if item.size == size and memcmp(item.member, member, size) == 0:
            aggregate(job, &item.score, score)
            return
        at = (at + 1) & job.mask
    keep(job, member, size, score)
    job.slots[at] = <uint32_t>job.found


cdef bint take(Job* job, const char* member, size_t size, double score) noexcept nogil:
    """Take one element of the current source into account; False once there are enough."""
    cdef double other = 0
    cdef int i
    if job.operation == DIFF:
        for i in range(1, job.count):
            if score_in(job, &job.sources[i], member, size, &other):
                return True
        keep(job, member, size, score)
        return True
    score *= job.sources[job.current].weight
    if isnan(score):                         # 0 and infinity
        score = 0
    if job.operation == UNION:
        unite(job, member, size, score)
        return True
    for i in range(1, job.count):
        if not score_in(job, &job.sources[i], member, size, &other):
            return True
        aggregate(job, &score, other * job.sources[i].weight)
    if job.limit >= 0:                       # only their number is wanted
        job.found += 1
        return job.found != job.limit
    keep(job, member, size, score)
    return True


cdef int take_plain(void* context, const char* member, size_t size) except -2:
    return 0 if take(<Job*>context, member, size, 1) else -1


cdef int take_all(Job* job, int index) except -1:
    """Go through the elements of a source."""
    cdef const Source* source = &job.sources[index]
    cdef Cursor cursor
    cdef Item item
    cdef int64_t left = source.count
    cdef int layout
    if left == 0:
        return 0
    job.current = index
    job.fleeting = False
    if source.plain:
        layout = layout_of(&source.members)
        job.fleeting = layout != BYTES and layout != TABLED
        set_walk(&source.members, take_plain, job)
        return 0
    zset_open(job.slabs, source.entry, &cursor)
    cursor_seek(&cursor, 0)
    while True:
        cursor_get(&cursor, &item)
        left -= 1
        if not take(job, item.member, item.size, item.score) or left == 0:
            return 0
        cursor_next(&cursor)


cdef int by_order(const void* one, const void* other) noexcept nogil:
    cdef const Item* a = <const Item*>one
    cdef const Item* b = <const Item*>other
    if a.score != b.score:
        return -1 if a.score < b.score else 1
    return compare_bytes(a.member, a.size, b.member, b.size)


cdef void put_in_order(Job* job) noexcept nogil:
    cdef int64_t i
    for i in range(1, job.found):
        if by_order(&job.items[i - 1], &job.items[i]) > 0:
            qsort(job.items, <size_t>job.found, sizeof(Item), by_order)
            return


cdef int perform(Job* job) except -1:
    """Compute the result: `job.items`, in order."""
    cdef int64_t most = 0
    cdef int64_t texts = 0
    cdef uint64_t slots = 16
    cdef Source source
    cdef int i, k
    if job.operation != DIFF:                # the smallest first, as Redis: sums depend on it
        for i in range(1, job.count):
            source = job.sources[i]
            k = i
            while k and job.sources[k - 1].count > source.count:
                job.sources[k] = job.sources[k - 1]
                k -= 1
            job.sources[k] = source
    for i in range(job.count if job.operation == UNION else 1):
        most += job.sources[i].count
        texts += job.sources[i].count if job.sources[i].plain else 0
    if most == 0:
        return 0
    if most >= 0xffffffff:
        raise MemoryError
    if job.limit < 0:
        job.items = <Item*>malloc(<size_t>most * sizeof(Item))
        job.texts = job.text = <char*>malloc(<size_t>texts * INT_TEXT + 1)
        if job.items is NULL or job.texts is NULL:
            raise MemoryError
    if job.operation != UNION:
        take_all(job, 0)
    else:
        while slots < <uint64_t>most * 2:
            slots *= 2
        job.slots = <uint32_t*>calloc(slots, sizeof(uint32_t))
        if job.slots is NULL:
            raise MemoryError
        job.mask = slots - 1
        for i in range(job.count):
            take_all(job, i)
    if job.limit < 0:
        put_in_order(job)
    return 0


# -- requests ----------------------------------------------------------------------------------

cdef bint read_sources(Call call, Job* job, Slice* argv) except -1:
    """Look the keys up; False after answering an error."""
    cdef Found found
    cdef const uint8_t* entry
    cdef Source* source
    cdef int i
    for i in range(job.count):
        entry = call.read(&argv[i], &found)
        source = &job.sources[i]
        source.entry = entry
        source.weight = 1
        if entry is NULL:
            continue
        source.count = <int64_t>value_size_of(entry)
        source.plain = entry[0] & KIND_MASK == SET
        if source.plain:
            set_open(call.db.slabs, entry, &source.members)
        elif not is_zset(entry):
            call.refuse(WRONG_TYPE)
            return False
    return True


cdef bint read_options(Call call, Job* job, Slice* argv, int argc, bint storing) except -1:
    cdef int i = 0
    cdef int k
    while i < argc:
        if job.limit >= 0:
            if not (keyword(&argv[i], b"LIMIT", 5) and i + 1 < argc):
                call.refuse(SYNTAX)
                return False
            i += 1
            if not parse_int(argv[i].data, argv[i].size, &job.limit) or job.limit < 0:
                call.refuse(LIMIT_NEGATIVE)
                return False
        elif job.operation != DIFF and keyword(&argv[i], b"WEIGHTS", 7) and (
            argc - i > job.count
        ):
            for k in range(job.count):
                i += 1
                if not read_score(argv[i].data, argv[i].size, &job.sources[k].weight):
                    call.refuse(WEIGHT)
                    return False
        elif job.operation != DIFF and keyword(&argv[i], b"AGGREGATE", 9) and i + 1 < argc:
            i += 1
            if keyword(&argv[i], b"SUM", 3):
                job.aggregate = SUM
            elif keyword(&argv[i], b"MIN", 3):
                job.aggregate = MIN
            elif keyword(&argv[i], b"MAX", 3):
                job.aggregate = MAX
            else:
                call.refuse(SYNTAX)
                return False
        elif not storing and keyword(&argv[i], b"WITHSCORES", 10):
            job.scores = True
        else:
            call.refuse(SYNTAX)
            return False
        i += 1
    return True


cdef int combine(Call call, Slice* argv, int argc, int operation, Slice* key, bint only_count,
                 const char* event) except -1:
    """`argv` begins with the number of keys; `key` is where the result goes, or NULL."""
    cdef Job job
    cdef int64_t count
    if not parse_int(argv[0].data, argv[0].size, &count):
        return call.refuse(NOT_INTEGER)
    if count < 1:
        return call.refuse(errors.NoInputKey(call.command.name).wire)
    if count > argc - 1:
        return call.refuse(SYNTAX)
    memset(&job, 0, sizeof(Job))
    job.slabs = call.db.slabs
    job.hash_key = &call.keyspace.hash_key
    job.operation = operation
    job.limit = 0 if only_count else -1
    job.count = <int>count
    try:
        job.sources = <Source*>calloc(<size_t>count, sizeof(Source))
        if job.sources is NULL:
            raise MemoryError
        if not read_sources(call, &job, argv + 1):
            return 0
        if not read_options(call, &job, argv + 1 + count, argc - 1 - <int>count, key is not NULL):
            return 0
        perform(&job)
        if only_count:
            out_int(call.out, job.found)
        elif key is not NULL:
            store(call, key, job.items, job.found, event)
        else:
            reply(call, &job)
    finally:
        free(job.sources)
        free(job.items)
        free(job.texts)
        free(job.slots)
    return 0


cdef void reply(Call call, const Job* job) noexcept:
    cdef bint nested = job.scores and call.protocol == 3
    cdef int64_t i
    out_elements_head(call, job.found, job.scores, nested)
    for i in range(job.found):
        out_item(call, &job.items[i], job.scores, nested)


cdef int zunion(Call call, Slice* argv, int argc) except -1:
    return combine(call, argv + 1, argc - 1, UNION, NULL, False, NULL)


cdef int zinter(Call call, Slice* argv, int argc) except -1:
    return combine(call, argv + 1, argc - 1, INTER, NULL, False, NULL)


cdef int zdiff(Call call, Slice* argv, int argc) except -1:
    return combine(call, argv + 1, argc - 1, DIFF, NULL, False, NULL)


cdef int zunionstore(Call call, Slice* argv, int argc) except -1:
    return combine(call, argv + 2, argc - 2, UNION, &argv[1], False, b"zunionstore")


cdef int zinterstore(Call call, Slice* argv, int argc) except -1:
    return combine(call, argv + 2, argc - 2, INTER, &argv[1], False, b"zinterstore")


cdef int zdiffstore(Call call, Slice* argv, int argc) except -1:
    return combine(call, argv + 2, argc - 2, DIFF, &argv[1], False, b"zdiffstore")


cdef int zintercard(Call call, Slice* argv, int argc) except -1:
    return combine(call, argv + 1, argc - 1, INTER, NULL, True, NULL)


ZUNION_BODY = body(zunion, "zunion")
ZINTER_BODY = body(zinter, "zinter")
ZDIFF_BODY = body(zdiff, "zdiff")
ZUNIONSTORE_BODY = body(zunionstore, "zunionstore")
ZINTERSTORE_BODY = body(zinterstore, "zinterstore")
ZDIFFSTORE_BODY = body(zdiffstore, "zdiffstore")
ZINTERCARD_BODY = body(zintercard, "zintercard")
