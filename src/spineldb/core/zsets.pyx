"""Sorted sets: members with scores, in order of both.

A small one is packed in the key's own entry, in order:

    count 16 | form 8 | length 8, width 8, score, member | length, width, score, member | ...

A whole score takes 0, 1, 2 or 4 bytes (`width`), any other the 8 of a double. Every change writes
the value anew from a copy, so that running out of memory leaves the old one; what became shorter
stays in the entry it has then, and says so in its form.

A large one is a `Zset`: each member has an entry of its own (score, length, bytes) that a table
finds by name and a counted tree keeps in order. Both hold 32-bit references of it; the
defragmenting walk corrects both.

Nothing goes back from the second form to the first. OBJECT ENCODING says `listpack` or `skiplist`
by Redis's thresholds, as they were when the set grew, not by the form.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.math cimport isnan
from libc.stdint cimport int8_t, int16_t, int32_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy, memmove

from spineldb.core.entry cimport (
    PACKED,
    PACKED_FORM,
    PACKED_HEADER,
    ZSET,
    Kind,
    entry_root,
    entry_value,
    load16,
    store16,
    value_size_of,
)
from spineldb.core.root cimport root_free, root_new, value_types
from spineldb.core.slab cimport at, slab_alloc, slab_free, slab_sparse
from spineldb.core.table cimport (
    Place,
    table_delete,
    table_drain,
    table_faults,
    table_find,
    table_hash,
    table_insert,
    table_new,
    table_remove,
    table_reserve,
    table_walk,
)
from spineldb.core.tree cimport (
    AFTER_SCORE,
    AT_ELEMENT,
    AT_SCORE,
    LENGTH_MAX,
    LONG,
    SCORE_BYTES,
    Spot,
    fetch,
    leaf_refs,
    leaf_scores,
    member_of,
    member_size,
    precedes,
    score_of,
    tree_at,
    tree_defragment,
    tree_drain,
    tree_faults,
    tree_insert,
    tree_rank,
    tree_remove,
    tree_remove_at,
    tree_replace,
    tree_rescore,
    tree_reset,
)

cdef enum:
    ELEMENT_HEADER = 2           # length and width
    ELEMENT_MAX = ELEMENT_HEADER + 8 + PACKED_MEMBER_MAX
    AHEAD = 8                    # members fetched ahead of a walk along leaves
    AT_ONCE = 64                 # changes of one command that need no memory to be remembered

cdef uint64_t NOWHERE = ~<uint64_t>0        # no table ever gets so old
cdef double EXACT = 2147483648.0             # whole scores within take 4 bytes at most


# -- packed: elements --------------------------------------------------------------------------

cdef inline size_t element_size(const uint8_t* p) noexcept nogil:
    return ELEMENT_HEADER + p[0] + p[1]


cdef inline double element_score(const uint8_t* p) noexcept nogil:
    cdef double score
    cdef int32_t four
    cdef int16_t two
    if p[1] == 8:
        memcpy(&score, p + ELEMENT_HEADER, 8)
        return score
    if p[1] == 1:
        return <double>(<const int8_t*>p)[ELEMENT_HEADER]
    if p[1] == 2:
        memcpy(&two, p + ELEMENT_HEADER, 2)
        return <double>two
    if p[1] == 4:
        memcpy(&four, p + ELEMENT_HEADER, 4)
        return <double>four
    return 0


cdef inline void element_item(const uint8_t* p, Item* item) noexcept nogil:
    item.score = element_score(p)
    item.member = <const char*>(p + ELEMENT_HEADER + p[1])
    item.size = p[0]


cdef size_t write_element(uint8_t* p, const Item* item) noexcept nogil:
    """Write an element, at most ELEMENT_MAX bytes; return how many."""
    cdef int32_t four
    cdef int16_t two
    cdef int8_t one
    cdef int width = 8
    p[0] = <uint8_t>item.size
    if -EXACT <= item.score < EXACT:
        four = <int32_t>item.score
        if <double>four == item.score and (four or not negative_zero(item.score)):
            if -128 <= four < 128:
                one = <int8_t>four
                width = 1 if four else 0
                memcpy(p + ELEMENT_HEADER, &one, 1)
            elif -32768 <= four < 32768:
                two = <int16_t>four
                width = 2
                memcpy(p + ELEMENT_HEADER, &two, 2)
            else:
                width = 4
                memcpy(p + ELEMENT_HEADER, &four, 4)
    if width == 8:
        memcpy(p + ELEMENT_HEADER, &item.score, 8)
    p[1] = <uint8_t>width
    memcpy(p + ELEMENT_HEADER + width, item.member, item.size)
    return ELEMENT_HEADER + width + item.size


cdef inline bint negative_zero(double score) noexcept nogil:
    cdef uint64_t bits
    memcpy(&bits, &score, 8)
    return bits == <uint64_t>1 << 63


cdef const uint8_t* packed_find(const uint8_t* base, const char* member,
                                size_t size) noexcept nogil:
    """The element of a member, or NULL."""
    cdef const uint8_t* p = base + PACKED_HEADER
    cdef int left = load16(base)
    while left:
        if p[0] == size and memcmp(p + ELEMENT_HEADER + p[1], member, size) == 0:
            return p
        p += element_size(p)
        left -= 1
    return NULL


cdef size_t packed_offset(const uint8_t* base, const Bound* bound, int64_t* rank) noexcept nogil:
    """Where an element goes that belongs at a bound."""
    cdef const uint8_t* p = base + PACKED_HEADER
    cdef int count = load16(base)
    cdef int i
    cdef Item item
    for i in range(count):
        element_item(p, &item)
        if not precedes(item.score, item.member, item.size, bound):
            count = i
            break
        p += element_size(p)
    rank[0] = count
    return <size_t>(p - base)


cdef inline const uint8_t* value_of(const uint8_t* entry, size_t* size) noexcept nogil:
    return <const uint8_t*>entry_value(entry, size)


# -- reading -----------------------------------------------------------------------------------

cdef void zset_open(const Slabs* slabs, const uint8_t* entry, Cursor* cursor) noexcept nogil:
    cdef size_t size
    cdef size_t offset = PACKED_HEADER
    cdef int i
    cursor.slabs = slabs
    cursor.zset = <const Zset*>entry_root(entry)
    cursor.base = NULL
    cursor.leaf = NULL
    if cursor.zset is not NULL:
        cursor.count = cursor.zset.root.count
        return
    cursor.base = value_of(entry, &size)
    cursor.count = load16(cursor.base)
    for i in range(<int>cursor.count):
        cursor.offsets[i] = <uint16_t>offset
        offset += element_size(cursor.base + offset)
    cursor.offsets[cursor.count] = <uint16_t>offset


cdef void cursor_seek(Cursor* cursor, int64_t rank) noexcept nogil:
    cdef Spot spot
    cdef int i
    cursor.rank = rank
    if cursor.zset is NULL:
        return
    if rank == 0:
        cursor.leaf = <const Leaf*>at(cursor.slabs, cursor.zset.tree.first)
        cursor.index = 0
    else:
        tree_at(&cursor.zset.tree, rank, &spot)
        cursor.leaf = spot.leaf
        cursor.index = spot.index
    for i in range(cursor.index, min(cursor.index + AHEAD, <int>cursor.leaf.count)):
        fetch(at(cursor.slabs, leaf_refs(cursor.leaf)[i]))


cdef inline void item_of(const Slabs* slabs, double score, Ref ref, Item* item) noexcept nogil:
    item.score = score
    item.member = member_of(<const uint8_t*>at(slabs, ref), &item.size)


cdef void cursor_get(const Cursor* cursor, Item* item) noexcept nogil:
    if cursor.zset is NULL:
        element_item(cursor.base + cursor.offsets[cursor.rank], item)
    else:
        item_of(cursor.slabs, leaf_scores(cursor.leaf)[cursor.index],
                leaf_refs(cursor.leaf)[cursor.index], item)


cdef void cursor_next(Cursor* cursor) noexcept nogil:
    cdef const Leaf* next
    cdef int ahead
    cursor.rank += 1
    if cursor.zset is NULL:
        return
    cursor.index += 1
    ahead = cursor.index + AHEAD
    if ahead < cursor.leaf.count:
        fetch(at(cursor.slabs, leaf_refs(cursor.leaf)[ahead]))
    elif cursor.leaf.next:
        next = <const Leaf*>at(cursor.slabs, cursor.leaf.next)
        ahead -= cursor.leaf.count
        if ahead < next.count:
            fetch(at(cursor.slabs, leaf_refs(next)[ahead]))
    if cursor.index == cursor.leaf.count and cursor.leaf.next:
        cursor.leaf = <const Leaf*>at(cursor.slabs, cursor.leaf.next)
        cursor.index = 0


cdef void cursor_previous(Cursor* cursor) noexcept nogil:
    cdef const Leaf* before
    cdef int ahead
    cursor.rank -= 1
    if cursor.zset is NULL:
        return
    ahead = cursor.index - 1 - AHEAD
    if ahead >= 0:
        fetch(at(cursor.slabs, leaf_refs(cursor.leaf)[ahead]))
    elif cursor.leaf.previous:
        before = <const Leaf*>at(cursor.slabs, cursor.leaf.previous)
        if before.count + ahead >= 0:
            fetch(at(cursor.slabs, leaf_refs(before)[before.count + ahead]))
    if cursor.index == 0 and cursor.leaf.previous:
        cursor.leaf = <const Leaf*>at(cursor.slabs, cursor.leaf.previous)
        cursor.index = cursor.leaf.count
    cursor.index -= 1


cdef inline bint packed_precedes(const Cursor* cursor, int64_t rank,
                                 const Bound* bound) noexcept nogil:
    cdef Item item
    element_item(cursor.base + cursor.offsets[rank], &item)
    return precedes(item.score, item.member, item.size, bound)


cdef int64_t zset_rank(Cursor* cursor, const Bound* bound) noexcept nogil:
    cdef int64_t low = 0
    cdef int64_t high = cursor.count
    cdef int64_t middle
    if cursor.zset is not NULL:
        return tree_rank(&cursor.zset.tree, bound, NULL)
    while low < high:
        middle = (low + high) >> 1
        if packed_precedes(cursor, middle, bound):
            low = middle + 1
        else:
            high = middle
    return low


cdef void zset_range(Cursor* cursor, const Bound* low, const Bound* high, bint reverse,
                     int64_t* first, int64_t* last) noexcept nogil:
    cdef int64_t start, stop
    if cursor.zset is not NULL or low.kind == AT_SCORE or low.kind == AFTER_SCORE:
        first[0] = zset_rank(cursor, low)
        last[0] = zset_rank(cursor, high)
        if last[0] < first[0]:
            last[0] = first[0]
        return
    first[0] = last[0] = 0
    if cursor.count == 0 or packed_precedes(cursor, cursor.count - 1, low):
        return
    if not packed_precedes(cursor, 0, high):
        return
    if not reverse:
        start = 0
        while packed_precedes(cursor, start, low):
            start += 1
        stop = start
        while stop < cursor.count and packed_precedes(cursor, stop, high):
            stop += 1
    else:
        stop = cursor.count
        while not packed_precedes(cursor, stop - 1, high):
            stop -= 1
        start = stop
        while start > 0 and not packed_precedes(cursor, start - 1, low):
            start -= 1
    first[0] = start
    last[0] = stop


cdef inline Ref member_find(const Zset* zset, const char* member, size_t size,
                            Place* place) noexcept nogil:
    return table_find(zset.table, table_hash(zset.table, member, size), member, size, place)


cdef bint zset_score(const Slabs* slabs, const uint8_t* entry, const char* member, size_t size,
                     double* score) noexcept nogil:
    cdef const Zset* zset = <const Zset*>entry_root(entry)
    cdef const uint8_t* p
    cdef size_t unused
    cdef Ref ref
    if zset is NULL:
        p = packed_find(value_of(entry, &unused), member, size)
        if p is NULL:
            return False
        score[0] = element_score(p)
        return True
    ref = member_find(zset, member, size, NULL)
    if ref == 0:
        return False
    score[0] = score_of(<const uint8_t*>at(slabs, ref))
    return True


cdef int64_t zset_rank_of(const Slabs* slabs, const uint8_t* entry, const char* member,
                          size_t size, double* score) noexcept nogil:
    cdef const Zset* zset = <const Zset*>entry_root(entry)
    cdef const uint8_t* base
    cdef const uint8_t* p
    cdef size_t unused
    cdef int64_t rank = 0
    cdef Bound bound
    if zset is NULL:
        base = value_of(entry, &unused)
        p = base + PACKED_HEADER
        for rank in range(load16(base)):
            if p[0] == size and memcmp(p + ELEMENT_HEADER + p[1], member, size) == 0:
                score[0] = element_score(p)
                return rank
            p += element_size(p)
        return -1
    if not zset_score(slabs, entry, member, size, score):
        return -1
    bound.kind = AT_ELEMENT
    bound.score = score[0]
    bound.member = member
    bound.size = size
    return tree_rank(&zset.tree, &bound, NULL)


# -- packed: changing --------------------------------------------------------------------------

cdef int packed_write(Database db, Found* found, size_t cut_at, size_t cut_size, int cut_count,
                      size_t put_at, const Item* item, int form) except -1:
    """Write a packed set anew: without the `cut_count` elements in the `cut_size` bytes from the
    offset `cut_at` on, with `item` (may be NULL) where the offset `put_at`, outside of them, is."""
    cdef uint8_t[INLINE_MAX + ELEMENT_MAX] text
    cdef uint8_t[ELEMENT_MAX] element
    cdef size_t size, n
    cdef size_t added = 0
    cdef const uint8_t* base = packed_of(found.entry, &size)
    cdef int count = load16(base) - cut_count
    if item is not NULL:
        added = write_element(element, item)
        count += 1
    if put_at <= cut_at:
        memcpy(text, base, put_at)
        memcpy(text + put_at, element, added)
        n = put_at + added
        memcpy(text + n, base + put_at, cut_at - put_at)
        n += cut_at - put_at
        memcpy(text + n, base + cut_at + cut_size, size - cut_at - cut_size)
    else:
        memcpy(text, base, cut_at)
        memcpy(text + cut_at, base + cut_at + cut_size, put_at - cut_at - cut_size)
        n = put_at - cut_size
        memcpy(text + n, element, added)
        memcpy(text + n + added, base + put_at, size - put_at)
    size = size - cut_size + added
    store16(text, <uint16_t>count)
    text[PACKED_FORM] = <uint8_t>form & SKIPLIST
    return packed_put(db, found, text, size)


cdef int packed_put(Database db, Found* found, uint8_t* text, size_t size) except -1:
    """Make this the value of an entry that has a packed set; only a longer one needs memory."""
    cdef size_t old
    cdef char* value = entry_value(found.entry, &old)
    try:
        value = db.resize(found, size)
    except MemoryError:
        if size > old:
            raise
        text[PACKED_FORM] |= ROOMY
    memcpy(value, text, size)
    return 0


cdef const uint8_t* packed_of(const uint8_t* entry, size_t* size) noexcept nogil:
    """The value of a packed set, and how much of it is used."""
    cdef const uint8_t* base = value_of(entry, size)
    cdef size_t offset = PACKED_HEADER
    if base[PACKED_FORM] & ROOMY:
        for _ in range(load16(base)):
            offset += element_size(base + offset)
        size[0] = offset
    return base


cdef inline int form_of(const uint8_t* entry) noexcept nogil:
    cdef Root* root = entry_root(entry)
    cdef size_t size
    if root is not NULL:
        return root.form
    return value_of(entry, &size)[PACKED_FORM] & SKIPLIST


cdef bint zset_called_skiplist(const uint8_t* entry) noexcept nogil:
    return form_of(entry) == SKIPLIST


cdef void zset_call_skiplist(uint8_t* entry) noexcept nogil:
    cdef Root* root = entry_root(entry)
    cdef size_t size
    if form_of(entry) == SKIPLIST:
        return                   # do not dirty a page that a snapshot child shares for nothing
    if root is not NULL:
        root.form |= SKIPLIST
    else:
        (<uint8_t*>entry_value(entry, &size))[PACKED_FORM] |= SKIPLIST


cdef inline void bound_of(Bound* bound, double score, const char* member,
                          size_t size) noexcept nogil:
    bound.kind = AT_ELEMENT
    bound.score = score
    bound.member = member
    bound.size = size


# -- large: members ----------------------------------------------------------------------------

cdef Zset* zset_new(Database db, int form) except NULL:
    cdef Zset* zset = <Zset*>root_new(db.slabs, ZSET, sizeof(Zset))
    if zset is NULL:
        raise MemoryError
    zset.root.form = <uint8_t>form
    zset.tree.slabs = db.slabs
    try:
        zset.table = table_new(db.slabs, &db.keyspace.hash_key, member_of)
    except MemoryError:
        root_free(db.slabs, &zset.root, sizeof(Zset))
        raise
    return zset


cdef Ref member_new(Slabs* slabs, double score, const char* member, size_t size) except 0:
    cdef Ref ref = slab_alloc(slabs, member_size(size))
    cdef uint8_t* entry
    cdef uint32_t length = <uint32_t>size
    if ref == 0:
        raise MemoryError
    entry = <uint8_t*>at(slabs, ref)
    memcpy(entry, &score, SCORE_BYTES)
    if size <= LENGTH_MAX:
        entry[SCORE_BYTES] = <uint8_t>size
        memcpy(entry + SCORE_BYTES + 1, member, size)
    else:
        entry[SCORE_BYTES] = LONG
        memcpy(entry + SCORE_BYTES + 1, &length, 4)
        memcpy(entry + SCORE_BYTES + 5, member, size)
    return ref


cdef inline void member_free(Slabs* slabs, Ref ref) noexcept nogil:
    cdef size_t size
    member_of(<const uint8_t*>at(slabs, ref), &size)
    slab_free(slabs, ref, member_size(size))


cdef Ref large_insert(Zset* zset, double score, const char* member, size_t size) except 0:
    """Add a member that is not there. Root.bytes is the caller's to correct, also if it fails."""
    cdef Slabs* slabs = zset.tree.slabs
    cdef uint64_t hash = table_hash(zset.table, member, size)
    cdef Ref ref = member_new(slabs, score, member, size)
    cdef Place place
    try:
        table_insert(zset.table, hash, ref)
    except MemoryError:
        member_free(slabs, ref)
        raise
    try:
        tree_insert(&zset.tree, score, ref)
    except MemoryError:
        table_find(zset.table, hash, member, size, &place)
        table_remove(zset.table, hash, &place)
        member_free(slabs, ref)
        raise
    zset.root.count += 1
    return ref


cdef void large_remove(Zset* zset, Ref ref, const Place* place, uint64_t hash) noexcept:
    tree_remove(&zset.tree, score_of(<const uint8_t*>at(zset.tree.slabs, ref)), ref)
    table_remove(zset.table, hash, place)
    member_free(zset.tree.slabs, ref)
    zset.root.count -= 1


cdef void large_remove_at(Zset* zset, int64_t rank) noexcept:
    cdef Ref ref = tree_remove_at(&zset.tree, rank)
    cdef size_t size
    cdef const char* member = member_of(<const uint8_t*>at(zset.tree.slabs, ref), &size)
    cdef uint64_t hash = table_hash(zset.table, member, size)
    cdef Place place
    table_find(zset.table, hash, member, size, &place)
    table_remove(zset.table, hash, &place)
    member_free(zset.tree.slabs, ref)
    zset.root.count -= 1


cdef int large_rescore(Zset* zset, Ref ref, double score) except -1:
    cdef uint8_t* entry = <uint8_t*>at(zset.tree.slabs, ref)
    cdef double old = score_of(entry)
    if not tree_rescore(&zset.tree, old, ref, score):
        tree_insert(&zset.tree, score, ref)
        tree_remove(&zset.tree, old, ref)
    memcpy(entry, &score, SCORE_BYTES)
    return 0


cdef int free_member(void* context, uint64_t hash, Ref* ref) except -2:
    member_free(<Slabs*>context, ref[0])
    return 0


cdef bint free_some(Slabs* slabs, Root* root, int64_t limit) except -1:
    cdef Zset* zset = <Zset*>root
    if zset.table is not NULL:
        if not table_drain(zset.table, limit, free_member, slabs):
            return False
        table_delete(zset.table)
        zset.table = NULL
    if not tree_drain(&zset.tree, limit):
        return False
    root_free(slabs, root, sizeof(Zset))
    return True


cdef void zset_free(Slabs* slabs, Zset* zset) noexcept:
    """Free a set of no key at once."""
    free_some(slabs, &zset.root, <int64_t>1 << 40)


cdef Root* copy(Slabs* slabs, const Root* root) except NULL:
    cdef const Zset* zset = <const Zset*>root
    cdef size_t used = slabs.used
    cdef Zset* own = <Zset*>root_new(slabs, ZSET, sizeof(Zset))
    cdef const Leaf* leaf
    cdef Ref ref = zset.tree.first
    cdef Item item
    cdef int i
    if own is NULL:
        raise MemoryError
    own.root.form = root.form
    own.tree.slabs = slabs
    try:
        own.table = table_new(slabs, zset.table.key, member_of)
        table_reserve(own.table, zset.table.count)
        while ref:
            leaf = <const Leaf*>at(slabs, ref)
            for i in range(leaf.count):
                item_of(slabs, leaf_scores(leaf)[i], leaf_refs(leaf)[i], &item)
                large_insert(own, item.score, item.member, item.size)
            ref = leaf.next
    except MemoryError:
        zset_free(slabs, own)
        raise
    own.root.bytes = slabs.used - used
    return &own.root


cdef const char* encoding(const uint8_t* entry) noexcept:
    return b"skiplist" if form_of(entry) == SKIPLIST else b"listpack"


cdef struct Moving:
    Zset* zset
    int64_t* moved


cdef int move_member(void* context, uint64_t hash, Ref* ref) except -2:
    """Move an entry out of a sparse slab and tell the tree; the walk tells the table."""
    cdef Moving* job = <Moving*>context
    cdef Slabs* slabs = job.zset.tree.slabs
    cdef const uint8_t* entry
    cdef size_t size
    cdef Ref new
    if not slab_sparse(slabs, ref[0]):
        return 0
    entry = <const uint8_t*>at(slabs, ref[0])
    member_of(entry, &size)
    # The tree compares by the member's bytes: a stand-in is there before the old entry goes.
    new = slab_alloc(slabs, member_size(size))
    if new == 0:
        return -1
    memcpy(at(slabs, new), entry, member_size(size))
    tree_replace(&job.zset.tree, score_of(entry), ref[0], new)
    slab_free(slabs, ref[0], member_size(size))
    ref[0] = new
    job.moved[0] += 1
    return 0


cdef int defragment(Slabs* slabs, Root* root, uint64_t* position, int64_t limit,
                    int64_t* moved) except -1:
    """First the members, by the table; then the leaves, by rank (odd positions)."""
    cdef Zset* zset = <Zset*>root
    cdef Moving job
    cdef int64_t rank
    job.zset = zset
    job.moved = moved
    if position[0] & 1 == 0:
        if table_walk(zset.table, position, limit, move_member, &job):
            position[0] = 1
        return 0
    rank = <int64_t>(position[0] >> 1)
    while limit > 0 and rank < root.count:
        limit -= 8
        rank += tree_defragment(&zset.tree, rank, moved)
    position[0] = <uint64_t>rank << 1 | 1
    return rank >= root.count


value_types[<int>ZSET].free_some = free_some
value_types[<int>ZSET].copy = copy
value_types[<int>ZSET].encoding = encoding
value_types[<int>ZSET].defragment = defragment


# -- changing ----------------------------------------------------------------------------------

cdef inline bint grown_large(Database db, int64_t count, size_t size) noexcept:
    """Does Redis call it a skip list from now on, that has `count` members, the new one so long?"""
    return (count > db.keyspace.zset_max_listpack_entries
            or <int64_t>size > db.keyspace.zset_max_listpack_value)


cdef int put_large(Database db, Found* found, const char* key, size_t key_size,
                   Zset* zset) except -1:
    """Make a whole structure the value of a key, over what is there."""
    cdef char* value
    try:
        value = db.place(found, key, key_size, ZSET, sizeof(Zset*), -1)
    except MemoryError:
        zset_free(db.slabs, zset)
        raise
    memcpy(value, &zset, sizeof(Zset*))
    return 0


cdef int create(Database db, Found* found, const char* key, size_t key_size, const Item* item,
                int form) except -1:
    cdef uint8_t[PACKED_HEADER + ELEMENT_MAX] text
    cdef size_t used = db.slabs.used
    cdef size_t size
    cdef Zset* zset
    cdef char* value
    if item.size <= PACKED_MEMBER_MAX:
        store16(text, 1)
        text[PACKED_FORM] = <uint8_t>form
        size = PACKED_HEADER + write_element(text + PACKED_HEADER, item)
        value = db.place(found, key, key_size, ZSET | PACKED, size, -1)
        memcpy(value, text, size)
    else:
        zset = zset_new(db, form)
        try:
            large_insert(zset, item.score, item.member, item.size)
        except MemoryError:
            zset_free(db.slabs, zset)
            raise
        zset.root.bytes = db.slabs.used - used
        put_large(db, found, key, key_size, zset)
    found.expired = False
    found.place.geometry = NOWHERE           # the place that was looked up is where nothing stood
    db.recount(found.entry, -1)
    return 0


cdef Zset* unpacked(Database db, const uint8_t* base, const uint8_t* without, const Item* item,
                    int form) except NULL:
    """A structure with the elements of a packed set: `without` one (may be NULL), with `item`."""
    cdef size_t used = db.slabs.used
    cdef const uint8_t* p = base + PACKED_HEADER
    cdef Zset* zset = zset_new(db, form)
    cdef Item old
    try:
        for _ in range(load16(base)):
            if p is not without:
                element_item(p, &old)
                large_insert(zset, old.score, old.member, old.size)
            p += element_size(p)
        large_insert(zset, item.score, item.member, item.size)
    except MemoryError:
        zset_free(db.slabs, zset)
        raise
    zset.root.bytes = db.slabs.used - used
    return zset


cdef int unpack(Database db, Found* found, const uint8_t* without, const Item* item,
                int form) except -1:
    """Give a packed set a structure: `without` an element (may be NULL), with `item`."""
    cdef size_t size
    cdef Zset* zset = unpacked(db, value_of(found.entry, &size), without, item, form)
    try:
        db.put_root(found, &zset.root)
    except MemoryError:
        zset_free(db.slabs, zset)
        raise
    return 0


cdef int judge(double old, int conditions, double* score) noexcept nogil:
    """What becomes of a member that has the score `old`: an Outcome."""
    if conditions & ONLY_NEW:
        return NOT_DONE
    if conditions & INCREMENT:
        score[0] += old
        if isnan(score[0]):
            return NOT_A_NUMBER
    if conditions & ONLY_LESS and score[0] >= old or conditions & ONLY_GREATER and score[0] <= old:
        return NOT_DONE
    return SAME if score[0] == old else MOVED


cdef int zset_add(Database db, Found* found, const char* key, size_t key_size, double score,
                  const char* member, size_t size, int conditions, int form,
                  double* result) except -1:
    cdef Item item
    cdef Zset* zset
    cdef int outcome
    if isnan(score):
        return NOT_A_NUMBER
    item.score = score
    item.member = member
    item.size = size
    if found.entry is NULL or found.expired:
        if conditions & ONLY_OLD:
            return NOT_DONE
        result[0] = score
        if grown_large(db, 1, size):
            form = SKIPLIST
        if form != SKIPLIST:
            item.score += 0.0                # a listpack knows no negative zero
        create(db, found, key, key_size, &item, form)
        return ADDED
    zset = <Zset*>entry_root(found.entry)
    if zset is NULL:
        return packed_add(db, found, &item, conditions, result)
    outcome = large_add(db, zset, &item, conditions, result)
    if outcome == ADDED:
        db.recount(found.entry, zset.root.count - 1)
    return outcome


cdef int packed_add(Database db, Found* found, Item* item, int conditions,
                    double* result) except -1:
    cdef size_t total
    cdef const uint8_t* base = packed_of(found.entry, &total)
    cdef const uint8_t* p = packed_find(base, item.member, item.size)
    cdef uint8_t[ELEMENT_MAX] element
    cdef int count = load16(base)
    cdef int form = base[PACKED_FORM] & SKIPLIST
    cdef int outcome = ADDED
    cdef size_t put_at
    cdef size_t cut_size = 0
    cdef int64_t rank
    cdef Bound bound
    if p is not NULL:
        outcome = judge(element_score(p), conditions, &item.score)
        if outcome == MOVED or outcome == SAME:
            result[0] = item.score
        if outcome != MOVED:
            return outcome
        cut_size = element_size(p)
    else:
        if conditions & ONLY_OLD:
            return NOT_DONE
        result[0] = item.score
        if grown_large(db, count + 1, item.size):
            form = SKIPLIST
    if form != SKIPLIST:
        item.score += 0.0
    if item.size > PACKED_MEMBER_MAX or count + (p is NULL) > PACKED_MEMBERS or (
        total - cut_size + write_element(element, item) > INLINE_MAX
    ):
        unpack(db, found, p, item, form)
    else:
        bound_of(&bound, item.score, item.member, item.size)
        put_at = packed_offset(base, &bound, &rank)
        packed_write(db, found, put_at if p is NULL else <size_t>(p - base), cut_size,
                     p is not NULL, put_at, item, form)
    if outcome == ADDED:
        db.recount(found.entry, count)
    return outcome


cdef int large_add(Database db, Zset* zset, Item* item, int conditions,
                   double* result) except -1:
    cdef size_t used = db.slabs.used
    cdef Ref ref = member_find(zset, item.member, item.size, NULL)
    cdef int outcome
    cdef int form = zset.root.form
    if ref:
        outcome = judge(
            score_of(<const uint8_t*>at(db.slabs, ref)), conditions, &item.score)
        if outcome == MOVED or outcome == SAME:
            result[0] = item.score
        if outcome != MOVED:
            return outcome
        if form != SKIPLIST:
            item.score += 0.0
        large_rescore(zset, ref, item.score)
    else:
        if conditions & ONLY_OLD:
            return NOT_DONE
        outcome = ADDED
        result[0] = item.score
        if grown_large(db, zset.root.count + 1, item.size):
            form = SKIPLIST
        if form != SKIPLIST:
            item.score += 0.0
        try:
            large_insert(zset, item.score, item.member, item.size)
        finally:                 # the table may have grown for nothing
            zset.root.bytes += db.slabs.used - used
        zset.root.form = <uint8_t>form
        return outcome
    zset.root.bytes += db.slabs.used - used
    return outcome


# -- many members --------------------------------------------------------------------------------

cdef struct Adding:              # what becomes of one member
    int conditions
    int64_t added
    int64_t moved


cdef int64_t unpacked_from(Database db, uint8_t* text, size_t* size, const Item* items,
                           int64_t count, Adding* adding, Zset** zset) except -1:
    """Add members to the packed set in `text`, until they are all in it or too many: how many.

    The one that was too many has been added as well then, to the structure that is answered.
    """
    cdef uint8_t[ELEMENT_MAX] element
    cdef const uint8_t* p
    cdef size_t put_at, cut_at, cut_size, n
    cdef int64_t i, rank
    cdef int held, form, outcome
    cdef Bound bound
    cdef Item item
    for i in range(count):
        item = items[i]
        held = load16(text)
        form = text[PACKED_FORM]
        p = packed_find(text, item.member, item.size)
        cut_size = 0
        if p is not NULL:
            outcome = judge(element_score(p), adding.conditions, &item.score)
            if outcome != MOVED:
                continue
            cut_size = element_size(p)
            adding.moved += 1
        elif adding.conditions & ONLY_OLD:
            continue
        else:
            adding.added += 1
            if grown_large(db, held + 1, item.size):
                form = SKIPLIST
        if form != SKIPLIST:
            item.score += 0.0                # a listpack knows no negative zero
        if item.size > PACKED_MEMBER_MAX or held + (p is NULL) > PACKED_MEMBERS or (
            size[0] - cut_size + write_element(element, &item) > INLINE_MAX
        ):
            zset[0] = unpacked(db, text, p, &item, form)
            return i + 1
        if p is not NULL:
            cut_at = <size_t>(p - text)
            memmove(text + cut_at, text + cut_at + cut_size, size[0] - cut_at - cut_size)
            size[0] -= cut_size
            held -= 1
            store16(text, <uint16_t>held)
        bound_of(&bound, item.score, item.member, item.size)
        put_at = packed_offset(text, &bound, &rank)
        n = write_element(element, &item)
        memmove(text + put_at + n, text + put_at, size[0] - put_at)
        memcpy(text + put_at, element, n)
        size[0] += n
        store16(text, <uint16_t>(held + 1))
        text[PACKED_FORM] = <uint8_t>form
    return count


cdef int add_to_packed(Database db, Found* found, const char* key, size_t key_size,
                       const Item* items, int64_t count, int form, Adding* adding) except -1:
    """Add members to a packed set or to none: aside, and then it is stored."""
    cdef uint8_t[INLINE_MAX + ELEMENT_MAX] text
    cdef size_t size = PACKED_HEADER
    cdef bint new = found.entry is NULL or found.expired
    cdef Zset* zset = NULL
    cdef const uint8_t* base
    cdef char* value
    cdef double result
    cdef Item item
    cdef int64_t before = -1
    cdef int64_t i
    cdef int outcome
    store16(text, 0)
    text[PACKED_FORM] = <uint8_t>form
    if not new:
        base = packed_of(found.entry, &size)
        memcpy(text, base, size)
        text[PACKED_FORM] &= SKIPLIST
        before = load16(base)
    i = unpacked_from(db, text, &size, items, count, adding, &zset)
    if zset is NULL:
        if adding.added + adding.moved == 0:
            return 0
        if not new:
            packed_put(db, found, text, size)
        else:
            value = db.place(found, key, key_size, ZSET | PACKED, size, -1)
            memcpy(value, text, size)
    else:
        try:
            while i < count:
                item = items[i]
                outcome = large_add(db, zset, &item, adding.conditions, &result)
                adding.added += outcome == ADDED
                adding.moved += outcome == MOVED
                i += 1
            if not new:
                db.put_root(found, &zset.root)
        except MemoryError:
            zset_free(db.slabs, zset)
            raise
        if new:
            put_large(db, found, key, key_size, zset)
    if new:
        found.expired = False
        found.place.geometry = NOWHERE       # the place that was looked up is where nothing stood
    db.recount(found.entry, before)
    return 0


cdef enum Change:
    INSERTED = 0                 # a member that was not there
    RESCORED = 1                 # it kept its place
    SHIFTED = 2                  # it is in the tree at its old place as well, until all is done

cdef struct Done:                # what was done with a member, to take it back
    double before                # its score
    Ref ref
    int change


cdef int change_large(Database db, Zset* zset, Item* item, int conditions, Done* done) except -1:
    """Add a member or change its score, so that it can be taken back: an Outcome."""
    cdef Ref ref = member_find(zset, item.member, item.size, NULL)
    cdef uint8_t* entry
    cdef int form = zset.root.form
    if ref == 0:
        if conditions & ONLY_OLD:
            return NOT_DONE
        if grown_large(db, zset.root.count + 1, item.size):
            form = SKIPLIST
        if form != SKIPLIST:
            item.score += 0.0
        done.ref = large_insert(zset, item.score, item.member, item.size)
        done.change = INSERTED
        zset.root.form = <uint8_t>form
        return ADDED
    entry = <uint8_t*>at(db.slabs, ref)
    done.before = score_of(entry)
    if judge(done.before, conditions, &item.score) != MOVED:
        return NOT_DONE
    if form != SKIPLIST:
        item.score += 0.0
    done.ref = ref
    done.change = RESCORED
    if not tree_rescore(&zset.tree, done.before, ref, item.score):
        tree_insert(&zset.tree, item.score, ref)
        done.change = SHIFTED
    memcpy(entry, &item.score, SCORE_BYTES)
    return MOVED


cdef void take_back(Zset* zset, const Done* done) noexcept:
    """Undo the latest change that was not undone. That needs no memory."""
    cdef uint8_t* entry = <uint8_t*>at(zset.tree.slabs, done.ref)
    cdef double score = score_of(entry)
    cdef const char* member
    cdef size_t size
    cdef uint64_t hash
    cdef Place place
    if done.change == INSERTED:
        member = member_of(entry, &size)
        hash = table_hash(zset.table, member, size)
        table_find(zset.table, hash, member, size, &place)
        large_remove(zset, done.ref, &place, hash)
        return
    if done.change == SHIFTED:
        tree_remove(&zset.tree, score, done.ref)
    else:
        tree_reset(&zset.tree, score, done.ref, done.before)
    memcpy(entry, &done.before, SCORE_BYTES)


cdef int add_to_large(Database db, Zset* zset, const Item* items, int64_t count,
                      Adding* adding) except -1:
    """Add members to a structure. A member that moves far leaves its old place when all is done."""
    cdef Done[AT_ONCE] few
    cdef Done* done = few
    cdef size_t used = db.slabs.used
    cdef uint8_t form = zset.root.form
    cdef int64_t changes = 0
    cdef int64_t i
    cdef int outcome
    cdef Item item
    if count > AT_ONCE:
        done = <Done*>malloc(<size_t>count * sizeof(Done))
        if done is NULL:
            raise MemoryError
    try:
        for i in range(count):
            item = items[i]
            outcome = change_large(db, zset, &item, adding.conditions, &done[changes])
            adding.added += outcome == ADDED
            adding.moved += outcome == MOVED
            changes += outcome != NOT_DONE
        for i in range(changes):
            if done[i].change == SHIFTED:
                tree_remove(&zset.tree, done[i].before, done[i].ref)
    except MemoryError:
        while changes:
            changes -= 1
            take_back(zset, &done[changes])
        zset.root.form = form
        raise
    finally:
        zset.root.bytes += db.slabs.used - used
        if done is not few:
            free(done)
    return 0


cdef int zset_add_all(Database db, Found* found, const char* key, size_t key_size,
                      const Item* items, int64_t count, int conditions, int form,
                      int64_t* added, int64_t* moved) except -1:
    cdef Zset* zset = NULL
    cdef Adding adding
    cdef int64_t before
    adding.conditions = conditions
    adding.added = adding.moved = 0
    if found.entry is not NULL and not found.expired:
        zset = <Zset*>entry_root(found.entry)
    if zset is NULL:
        add_to_packed(db, found, key, key_size, items, count, form, &adding)
    else:
        before = zset.root.count
        add_to_large(db, zset, items, count, &adding)
        db.recount(found.entry, before)
    added[0] = adding.added
    moved[0] = adding.moved
    return 0


cdef bint zset_remove(Database db, Found* found, const char* member, size_t size) except -1:
    cdef Zset* zset = <Zset*>entry_root(found.entry)
    cdef size_t used = db.slabs.used
    cdef size_t total
    cdef const uint8_t* base
    cdef const uint8_t* p
    cdef int64_t count
    cdef uint64_t hash
    cdef Place place
    cdef Ref ref
    if zset is NULL:
        base = value_of(found.entry, &total)
        count = load16(base)
        p = packed_find(base, member, size)
        if p is NULL:
            return False
        packed_write(db, found, <size_t>(p - base), element_size(p), 1, <size_t>(p - base), NULL,
                     base[PACKED_FORM])
    else:
        count = zset.root.count
        hash = table_hash(zset.table, member, size)
        ref = table_find(zset.table, hash, member, size, &place)
        if ref == 0:
            return False
        large_remove(zset, ref, &place, hash)
        zset.root.bytes += db.slabs.used - used
    db.recount(found.entry, count)
    return True


cdef int64_t zset_remove_range(Database db, Found* found, int64_t first, int64_t last) except -1:
    cdef Zset* zset = <Zset*>entry_root(found.entry)
    cdef size_t used = db.slabs.used
    cdef int64_t count = <int64_t>value_size_of(found.entry)
    cdef Cursor cursor
    if first >= last:
        return 0
    if zset is NULL:
        zset_open(db.slabs, found.entry, &cursor)
        packed_write(db, found, cursor.offsets[first],
                     cursor.offsets[last] - cursor.offsets[first], <int>(last - first),
                     cursor.offsets[first], NULL, cursor.base[PACKED_FORM])
    else:
        for _ in range(last - first):
            large_remove_at(zset, first)
        zset.root.bytes += db.slabs.used - used
    db.recount(found.entry, count)
    return last - first


cdef int zset_store(Database db, Found* found, const char* key, size_t key_size,
                    const Item* items, int64_t count) except -1:
    cdef uint8_t[INLINE_MAX + ELEMENT_MAX] text
    cdef size_t used = db.slabs.used
    cdef size_t size = PACKED_HEADER
    cdef size_t longest = 0
    cdef int form
    cdef int64_t i
    cdef bint fits
    cdef Zset* zset
    cdef Item item
    cdef char* value
    for i in range(count):
        longest = max(longest, items[i].size)
    form = SKIPLIST if grown_large(db, count, longest) else 0
    fits = count <= PACKED_MEMBERS and longest <= PACKED_MEMBER_MAX
    if fits:
        for i in range(count):
            item = items[i]
            if form != SKIPLIST:
                item.score += 0.0
            size += write_element(text + size, &item)
            if size > INLINE_MAX:
                fits = False
                break
    if fits:
        store16(text, <uint16_t>count)
        text[PACKED_FORM] = <uint8_t>form
        value = db.place(found, key, key_size, ZSET | PACKED, size, -1)
        memcpy(value, text, size)
    else:
        zset = zset_new(db, form)
        table_reserve(zset.table, <uint64_t>count)
        try:
            for i in range(count):
                large_insert(zset, items[i].score + 0.0 if form != SKIPLIST else items[i].score,
                             items[i].member, items[i].size)
        except MemoryError:
            zset_free(db.slabs, zset)
            raise
        zset.root.bytes = db.slabs.used - used
        put_large(db, found, key, key_size, zset)
    found.expired = False
    db.recount(found.entry, -1)
    return 0


# -- for Python --------------------------------------------------------------------------------

cdef class SortedSet(View):
    """Members with scores, in order of both."""

    KIND = Kind.ZSET

    def add(self, double score, bytes member) -> bool:
        """Add a member or change its score; tell whether it is new."""
        cdef Found found
        cdef double result
        self.entry(&found)
        return zset_add(
            self.db, &found, PyBytes_AS_STRING(self.key), <size_t>PyBytes_GET_SIZE(self.key),
            score, PyBytes_AS_STRING(member), <size_t>PyBytes_GET_SIZE(member), 0, 0, &result,
        ) == ADDED

    def remove(self, bytes member) -> bool:
        """Take a member out; tell whether it was there."""
        cdef Found found
        if self.entry(&found) is NULL:
            return False
        return zset_remove(
            self.db, &found, PyBytes_AS_STRING(member), <size_t>PyBytes_GET_SIZE(member))

    def score(self, bytes member) -> float | None:
        """Return the score of a member, or None."""
        cdef Found found
        cdef double score
        cdef uint8_t* entry = self.entry(&found)
        if entry is NULL or not zset_score(
            self.db.slabs, entry, PyBytes_AS_STRING(member), <size_t>PyBytes_GET_SIZE(member),
            &score,
        ):
            return None
        return score

    def rank(self, bytes member) -> int | None:
        """Return how many elements stand before a member, or None."""
        cdef Found found
        cdef double score
        cdef int64_t rank = -1
        cdef uint8_t* entry = self.entry(&found)
        if entry is not NULL:
            rank = zset_rank_of(
                self.db.slabs, entry, PyBytes_AS_STRING(member),
                <size_t>PyBytes_GET_SIZE(member), &score)
        return None if rank < 0 else rank

    def items(self, int64_t first=0, int64_t last=-1, bint reverse=False) -> list:
        """Return the (member, score) pairs of some ranks, `last` included; -1 is the last one.

        With `reverse` ranks count from the end, and the greatest comes first.
        """
        cdef Found found
        cdef Cursor cursor
        cdef uint8_t* entry = self.entry(&found)
        cdef int64_t count
        if entry is NULL:
            return []
        count = <int64_t>value_size_of(entry)
        first = max(first + count, 0) if first < 0 else first
        last = min(last + count if last < 0 else last, count - 1)
        if first > last:
            return []
        zset_open(self.db.slabs, entry, &cursor)
        return listed(&cursor, count - 1 - first if reverse else first, last - first + 1, reverse)

    def between(self, double low, double high, int64_t limit=-1) -> list:
        """Return the (member, score) pairs with scores from `low` to `high`, at most `limit`."""
        cdef Found found
        cdef Cursor cursor
        cdef Bound at_low
        cdef Bound at_high
        cdef int64_t first, last
        cdef uint8_t* entry = self.entry(&found)
        if entry is NULL:
            return []
        zset_open(self.db.slabs, entry, &cursor)
        at_low.kind = AT_SCORE
        at_low.score = low
        at_high.kind = AFTER_SCORE
        at_high.score = high
        zset_range(&cursor, &at_low, &at_high, False, &first, &last)
        if 0 <= limit < last - first:
            last = first + limit
        return listed(&cursor, first, last - first, False)

    def pop(self, int64_t count=1, bint greatest=False) -> list:
        """Take out the elements of the lowest or greatest scores; return (member, score) pairs."""
        cdef Found found
        cdef uint8_t* entry = self.entry(&found)
        cdef int64_t size
        if entry is NULL:
            return []
        size = <int64_t>value_size_of(entry)
        count = min(count, size)
        popped = self.items(0, count - 1, greatest) if count > 0 else []
        if greatest:
            zset_remove_range(self.db, &found, size - count, size)
        else:
            zset_remove_range(self.db, &found, 0, count)
        return popped

    def faults(self) -> list:
        """Return what contradicts the structure's invariants, in words: for tests."""
        cdef Found found
        cdef uint8_t* entry = self.entry(&found)
        cdef Zset* zset
        if entry is NULL:
            return []
        zset = <Zset*>entry_root(entry)
        if zset is not NULL:
            return table_faults(zset.table) + tree_faults(&zset.tree, zset.root.count)
        elements = [(score, member) for member, score in self.items()]
        return [] if elements == sorted(elements) else [f"out of order: {elements}"]

    def defragment(self) -> int:
        """Move what lies in sparse slabs; return how many allocations were moved."""
        cdef Found found
        cdef uint8_t* entry = self.entry(&found)
        cdef Root* root = NULL if entry is NULL else entry_root(entry)
        cdef uint64_t position = 0
        cdef int64_t moved = 0
        if root is not NULL:
            while not defragment(self.db.slabs, root, &position, 64, &moved):
                pass
        return moved


cdef list listed(Cursor* cursor, int64_t first, int64_t count, bint reverse):
    cdef list found = []
    cdef Item item
    if count <= 0:
        return found
    cursor_seek(cursor, first)
    while True:
        cursor_get(cursor, &item)
        found.append((PyBytes_FromStringAndSize(item.member, <Py_ssize_t>item.size), item.score))
        count -= 1
        if count == 0:
            return found
        if reverse:
            cursor_previous(cursor)
        else:
            cursor_next(cursor)
