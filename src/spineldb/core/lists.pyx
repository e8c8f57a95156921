"""Lists: small ones packed in their entry, longer ones a chain of chunks under a root.

A packed list grows with its entry up to PACKED_MAX bytes, then becomes a chain; a chain goes back
into the entry when REPACK_MAX bytes are left of it, so that a queue that was long once takes no
more than one that never was.

OBJECT ENCODING has names of its own for that, and its own limit: `list-max-listpack-size`. The name
is kept in the form and changes as Redis changes it: `quicklist` before a write that would exceed
the limit by its estimate, which adds up the new values as they are; `listpack` again after one that
leaves at most half of the limit.

Taking elements away needs no memory: where there is none for a smaller entry the list stays in the
one it has, and says so in its form.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint16_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, memmove

from spineldb.core.chunks cimport (
    ELEMENT_MAX,
    Chunk,
    chain_copy,
    chain_defragment,
    chain_drop,
    chain_end,
    chain_free,
    chain_from_run,
    chain_insert,
    chain_push,
    chain_replace,
    chain_strip,
    chunk_at,
    chunk_data,
    cursor_next,
    cursor_previous,
    cursor_run,
    cursor_seek,
    cursor_skip,
    element_after,
    element_before,
    element_bytes,
    element_read,
    element_write,
    is_number,
    packed_bytes,
)
from spineldb.core.entry cimport (
    LIST,
    PACKED,
    PACKED_FORM,
    PACKED_HEADER,
    Kind,
    entry_key,
    entry_root,
    entry_value,
    load16,
    store16,
    value_size_of,
)
from spineldb.core.root cimport root_free, root_new, value_types
from spineldb.core.slab cimport Slabs, block_release, block_retain, class_size

cdef enum:
    ROOMY = 2                    # the form of a packed list whose entry is longer than it is
    LISTPACK_HEADER = 7          # bytes of an empty listpack
    COUNTED_BYTES = 8192         # of a listpack whose limit is a number of elements
    NODE_ESTIMATE = 8            # what Redis adds to a value to guess whether a node has room


# -- how a list is stored --------------------------------------------------------------------------

cdef struct Run:                 # the elements of a packed list
    const uint8_t* start
    size_t size
    int64_t count


cdef inline bint is_there(const Found* found) noexcept:
    return found.entry is not NULL and not found.expired


cdef inline ListRoot* list_root(const uint8_t* entry) noexcept:
    return <ListRoot*>entry_root(entry)


cdef void run_of(const uint8_t* entry, Run* run) noexcept:
    cdef size_t size
    cdef const uint8_t* value = <const uint8_t*>entry_value(entry, &size)
    cdef const uint8_t* p
    run.count = load16(value)
    run.start = value + PACKED_HEADER
    run.size = size - PACKED_HEADER if run.count else 0      # an emptied one keeps its bytes
    if value[PACKED_FORM] & ROOMY:
        p = run.start
        for _ in range(run.count):
            p = element_after(p)
        run.size = <size_t>(p - run.start)


cdef void settle(ListRoot* root) noexcept:
    """Bring the root up to date with its chain."""
    root.root.count = root.chain.count
    root.root.bytes = class_size(sizeof(ListRoot)) + root.chain.bytes


cdef void discard(Slabs* slabs, ListRoot* root) noexcept:
    """Free a root that no entry has."""
    chain_free(&root.chain, slabs, (<int64_t>1) << 62)
    root_free(slabs, &root.root, sizeof(ListRoot))


cdef ListRoot* unpacked(Slabs* slabs, const Run* run) except NULL:
    """A root with a copy of the elements of a packed list."""
    cdef ListRoot* root = <ListRoot*>root_new(slabs, LIST, sizeof(ListRoot))
    if root is NULL:
        raise MemoryError
    if not chain_from_run(&root.chain, slabs, run.start, run.size, <uint32_t>run.count):
        root_free(slabs, &root.root, sizeof(ListRoot))
        raise MemoryError
    return root


cdef int install(Database db, Found* found, ListRoot* root) except -1:
    """Put a root in the place of a packed list."""
    settle(root)
    try:
        db.put_root(found, &root.root)
    except MemoryError:
        discard(db.slabs, root)
        raise
    return 0


cdef char* repack(Database db, Found* found, const uint8_t* run, size_t size,
                  int64_t count) except NULL:
    """Give a packed list other elements, which do not lie in the entry; needs memory for more."""
    cdef size_t old
    cdef char* value = entry_value(found.entry, &old)
    cdef char form = value[PACKED_FORM] & ~ROOMY
    try:
        value = db.resize(found, PACKED_HEADER + size)
    except MemoryError:
        if PACKED_HEADER + size > old:
            raise
        form |= ROOMY
    value[PACKED_FORM] = form
    memcpy(value + PACKED_HEADER, run, size)
    store16(<uint8_t*>value, <uint16_t>count)
    return value


cdef int pack_small(Database db, Found* found) except -1:
    """Put a chain of which little is left back into the entry, if there is memory for that."""
    cdef ListRoot* root = list_root(found.entry)
    cdef Chunk* chunk
    cdef char* value
    cdef size_t size
    if root.chain.length > 1:
        return 0
    chunk = chunk_at(db.slabs, &root.chain, 0)
    size = chunk.end - chunk.start
    if size > REPACK_MAX or chunk.blocks:
        return 0
    try:
        value = db.resize(found, PACKED_HEADER + size)
    except MemoryError:
        return 0
    found.entry[0] |= PACKED
    store16(<uint8_t*>value, <uint16_t>root.chain.count)
    value[PACKED_FORM] = <char>root.root.form
    memcpy(value + PACKED_HEADER, chunk_data(chunk) + chunk.start, size)
    discard(db.slabs, root)
    return 0


# -- the names of OBJECT ENCODING ------------------------------------------------------------------

cdef uint8_t* form_of(const uint8_t* entry) noexcept:
    cdef ListRoot* root = list_root(entry)
    cdef size_t size
    if root is not NULL:
        return &root.root.form
    return <uint8_t*>entry_value(entry, &size) + PACKED_FORM


cdef int64_t listpack_bytes(const uint8_t* entry) noexcept:
    """What the list would take in one listpack."""
    cdef ListRoot* root = list_root(entry)
    cdef int64_t total = LISTPACK_HEADER
    cdef const uint8_t* p
    cdef Slice value
    cdef Run run
    if root is not NULL:
        return total + root.chain.packed
    run_of(entry, &run)
    p = run.start
    while p < run.start + run.size:
        p = element_read(p, &value)
        total += <int64_t>packed_bytes(&value)
    return total


cdef inline int64_t byte_limit(int64_t fill) noexcept:
    return <int64_t>2048 << min(-fill, <int64_t>5)


cdef inline bint exceeds(int64_t fill, int64_t size, int64_t count) noexcept:
    if fill < 0:
        return size > byte_limit(fill)
    return size > COUNTED_BYTES or count > max(fill, <int64_t>1)


cdef bint becomes_quick(Database db, const uint8_t* entry, int64_t size, int64_t count) noexcept:
    """Would `count` more elements, of `size` bytes, make the list a quicklist?"""
    cdef int64_t fill = db.keyspace.list_max_listpack_size
    cdef int64_t had
    cdef Run run
    if form_of(entry)[0] & QUICK:
        return False
    had = <int64_t>value_size_of(entry)
    if list_root(entry) is NULL:
        run_of(entry, &run)
        # Its sum is at most this much above ours: seldom must it be added up.
        if not exceeds(fill, LISTPACK_HEADER + <int64_t>run.size + 2 * had + size, had + count):
            return False
    return exceeds(fill, listpack_bytes(entry) + size, had + count)


cdef void shrunk(Database db, const uint8_t* entry) noexcept:
    """Elements went: call a list that fits half of the limit a listpack again."""
    cdef int64_t fill = db.keyspace.list_max_listpack_size
    cdef uint8_t* form = form_of(entry)
    if not form[0] & QUICK:
        return
    if fill < 0:
        if listpack_bytes(entry) > byte_limit(fill) // 2:
            return
    elif <int64_t>value_size_of(entry) > max(fill, <int64_t>1) // 2 or (
        listpack_bytes(entry) > COUNTED_BYTES
    ):
        return
    form[0] &= ~QUICK


# -- looking ---------------------------------------------------------------------------------------

cdef int64_t list_count(const uint8_t* entry) noexcept:
    return <int64_t>value_size_of(entry)


cdef void list_seek(Database db, const uint8_t* entry, int64_t index, Cursor* cursor) noexcept:
    cdef ListRoot* root = list_root(entry)
    cdef Run run
    if root is not NULL:
        cursor_seek(cursor, db.slabs, &root.chain, index)
    else:
        run_of(entry, &run)
        cursor_run(cursor, run.start, run.size)
        cursor_skip(cursor, index, run.count)


cdef void list_end(Database db, const uint8_t* entry, bint left, Slice* value) noexcept:
    cdef ListRoot* root = list_root(entry)
    cdef Run run
    if root is not NULL:
        chain_end(&root.chain, db.slabs, left, value)
    else:
        run_of(entry, &run)
        element_read(run.start if left else element_before(run.start + run.size), value)


# -- adding ----------------------------------------------------------------------------------------

cdef struct Pushed:              # what is pushed, measured
    const Slice* values
    int64_t count
    bint left
    size_t size                  # bytes in a run
    int64_t raw                  # bytes of the values themselves
    bint big                     # one of them is too long for a run


cdef void measure(Pushed* pushed, const Slice* values, int64_t count, bint left) noexcept:
    cdef int64_t i
    pushed.values = values
    pushed.count = count
    pushed.left = left
    pushed.size = 0
    pushed.raw = 0
    pushed.big = False
    for i in range(count):
        pushed.size += element_bytes(values[i].size)
        pushed.raw += <int64_t>values[i].size
        pushed.big |= values[i].size > ELEMENT_MAX


cdef void write_values(uint8_t* p, const Pushed* pushed) noexcept:
    """Write the values in the order they have in the list."""
    cdef int64_t i
    for i in range(pushed.count):
        p = element_write(p, &pushed.values[pushed.count - 1 - i if pushed.left else i], NULL)


cdef bint push_all(Slabs* slabs, ListRoot* root, const Pushed* pushed) noexcept:
    cdef int64_t i
    for i in range(pushed.count):
        if not chain_push(&root.chain, slabs, &pushed.values[i], pushed.left):
            chain_drop(&root.chain, slabs, pushed.left, i)
            settle(root)                     # the ring may have grown
            return False
    settle(root)
    return True


cdef int push_unpacked(Database db, Found* found, const Run* run, const Pushed* pushed,
                       int form) except -1:
    """Make a packed list, or none, a chain, with what is pushed."""
    cdef ListRoot* root = unpacked(db.slabs, run)
    if not push_all(db.slabs, root, pushed):
        discard(db.slabs, root)
        raise MemoryError
    root.root.form = <uint8_t>(form & QUICK)
    return install(db, found, root)


cdef ListRoot* rooted(Slabs* slabs, const Pushed* pushed, bint quick) except NULL:
    """A root with nothing but what is pushed."""
    cdef ListRoot* root
    cdef Run none
    none.start = NULL
    none.size = 0
    none.count = 0
    root = unpacked(slabs, &none)
    if not push_all(slabs, root, pushed):
        discard(slabs, root)
        raise MemoryError
    root.root.form = QUICK if quick else 0
    return root


cdef int place_root(Database db, Found* found, const char* key, size_t key_size,
                    ListRoot* root) except -1:
    """Give a key a root as its value, or free it."""
    cdef char* value
    try:
        value = db.place(found, key, key_size, LIST, sizeof(Root*), -1)
    except MemoryError:
        discard(db.slabs, root)
        raise
    memcpy(value, &root, sizeof(Root*))
    return 0


cdef int push_first(Database db, Found* found, const char* key, size_t key_size,
                    const Pushed* pushed) except -1:
    """Make a list of what is pushed under a key that has no value."""
    cdef bint quick = exceeds(
        db.keyspace.list_max_listpack_size, LISTPACK_HEADER + pushed.raw, pushed.count)
    cdef char* value
    if pushed.size <= PACKED_MAX and not pushed.big:
        value = db.place(found, key, key_size, LIST | PACKED, PACKED_HEADER + pushed.size, -1)
        store16(<uint8_t*>value, <uint16_t>pushed.count)
        value[PACKED_FORM] = QUICK if quick else 0
        write_values(<uint8_t*>value + PACKED_HEADER, pushed)
    else:
        place_root(db, found, key, key_size, rooted(db.slabs, pushed, quick))
    db.recount(found.entry, -1)
    return 0


cdef int push(Database db, Found* found, const char* key, size_t key_size,
              const Pushed* pushed) except -1:
    cdef ListRoot* root
    cdef char* value
    cdef Run run
    cdef int64_t before
    cdef bint quick
    if not is_there(found):
        return push_first(db, found, key, key_size, pushed)
    before = list_count(found.entry)
    quick = becomes_quick(db, found.entry, pushed.raw, pushed.count)
    root = list_root(found.entry)
    if root is not NULL:
        if not push_all(db.slabs, root, pushed):
            raise MemoryError
    else:
        run_of(found.entry, &run)
        if run.size + pushed.size > PACKED_MAX or pushed.big:
            push_unpacked(db, found, &run, pushed, form_of(found.entry)[0])
        else:
            value = db.resize(found, PACKED_HEADER + run.size + pushed.size) + PACKED_HEADER
            form_of(found.entry)[0] &= ~ROOMY
            if pushed.left:
                memmove(value + pushed.size, value, run.size)
                write_values(<uint8_t*>value, pushed)
            else:
                write_values(<uint8_t*>value + run.size, pushed)
            store16(<uint8_t*>value - PACKED_HEADER, <uint16_t>(before + pushed.count))
    if quick:
        form_of(found.entry)[0] |= QUICK
    db.recount(found.entry, before)
    return 0


cdef int list_push(Database db, Found* found, const char* key, size_t key_size,
                   const Slice* values, int64_t count, bint left) except -1:
    cdef Pushed pushed
    measure(&pushed, values, count, left)
    return push(db, found, key, key_size, &pushed)


cdef bint fills_a_node(int64_t fill, const Slice* values, int64_t count) noexcept:
    """Would values, pushed one by one, fill more than a node of a quicklist?"""
    cdef int64_t limit = byte_limit(fill) if fill < 0 else COUNTED_BYTES
    cdef int64_t size = LISTPACK_HEADER
    cdef int64_t i
    if fill >= 0 and count > max(fill, <int64_t>1):
        return True
    for i in range(count):
        if <int64_t>values[i].size + (size + NODE_ESTIMATE if i else 0) > limit:
            return True
        size += <int64_t>packed_bytes(&values[i])
    return size > limit


cdef int list_store(Database db, Found* found, const char* key, size_t key_size,
                    const Slice* values, int64_t count) except -1:
    cdef bint quick = fills_a_node(db.keyspace.list_max_listpack_size, values, count)
    cdef uint8_t[PACKED_MAX] run
    cdef Pushed pushed
    cdef char* value
    measure(&pushed, values, count, False)
    if pushed.size <= PACKED_MAX and not pushed.big:
        write_values(run, &pushed)
        value = db.place(found, key, key_size, LIST | PACKED, PACKED_HEADER + pushed.size, -1)
        store16(<uint8_t*>value, <uint16_t>count)
        value[PACKED_FORM] = QUICK if quick else 0
        memcpy(value + PACKED_HEADER, run, pushed.size)
    else:
        place_root(db, found, key, key_size, rooted(db.slabs, &pushed, quick))
    found.expired = False
    db.recount(found.entry, -1)
    return 0


cdef int list_insert(Database db, Found* found, int64_t index, const Slice* value) except -1:
    cdef int64_t before = list_count(found.entry)
    cdef bint quick = becomes_quick(db, found.entry, <int64_t>value.size, 1)
    cdef ListRoot* root = list_root(found.entry)
    cdef size_t need = element_bytes(value.size)
    cdef size_t offset
    cdef bint inserted
    cdef uint8_t* bytes_
    cdef Cursor cursor
    cdef Run run
    list_seek(db, found.entry, index, &cursor)
    if root is not NULL:
        inserted = chain_insert(&root.chain, db.slabs, &cursor, value)
        settle(root)
        if not inserted:
            raise MemoryError
    else:
        run_of(found.entry, &run)
        if run.size + need > PACKED_MAX or value.size > ELEMENT_MAX:
            root = unpacked(db.slabs, &run)
            root.root.form = form_of(found.entry)[0] & QUICK
            cursor_seek(&cursor, db.slabs, &root.chain, index)
            if not chain_insert(&root.chain, db.slabs, &cursor, value):
                discard(db.slabs, root)
                raise MemoryError
            install(db, found, root)
        else:
            offset = <size_t>(cursor.p - run.start)
            bytes_ = <uint8_t*>db.resize(found, PACKED_HEADER + run.size + need) + PACKED_HEADER
            form_of(found.entry)[0] &= ~ROOMY
            memmove(bytes_ + offset + need, bytes_ + offset, run.size - offset)
            element_write(bytes_ + offset, value, NULL)
            store16(bytes_ - PACKED_HEADER, <uint16_t>(before + 1))
    if quick:
        form_of(found.entry)[0] |= QUICK
    db.recount(found.entry, before)
    return 0


cdef int set_packed(Database db, Found* found, int64_t index, const Slice* value) except -1:
    cdef uint8_t[PACKED_MAX] other
    cdef const uint8_t* old
    cdef const uint8_t* rest
    cdef ListRoot* root
    cdef uint8_t* p
    cdef size_t need = element_bytes(value.size)
    cdef size_t offset
    cdef Cursor cursor
    cdef Run run
    run_of(found.entry, &run)
    list_seek(db, found.entry, index, &cursor)
    old = cursor.p
    rest = element_after(old)
    if run.size - <size_t>(rest - old) + need > PACKED_MAX or value.size > ELEMENT_MAX:
        root = unpacked(db.slabs, &run)
        root.root.form = form_of(found.entry)[0] & QUICK
        if not chain_replace(&root.chain, db.slabs, index, value):
            discard(db.slabs, root)
            raise MemoryError
        return install(db, found, root)
    offset = <size_t>(old - run.start)
    memcpy(other, run.start, offset)
    p = element_write(other + offset, value, NULL)
    memcpy(p, rest, <size_t>(run.start + run.size - rest))
    repack(db, found, other, run.size - <size_t>(rest - old) + need, run.count)
    return 0


cdef int list_set(Database db, Found* found, int64_t index, const Slice* value) except -1:
    cdef bint quick = becomes_quick(db, found.entry, <int64_t>value.size, 1)
    cdef ListRoot* root = list_root(found.entry)
    cdef bint replaced
    if root is NULL:
        set_packed(db, found, index, value)
    else:
        replaced = chain_replace(&root.chain, db.slabs, index, value)
        settle(root)
        if not replaced:
            raise MemoryError
    if quick:
        form_of(found.entry)[0] |= QUICK
    shrunk(db, found.entry)
    return 0


# -- removing --------------------------------------------------------------------------------------

cdef void drop_all(const uint8_t* entry) noexcept:
    """Leave a list without elements: what they take is freed with the key, in slices."""
    cdef ListRoot* root = list_root(entry)
    cdef size_t size
    if root is NULL:
        store16(<uint8_t*>entry_value(entry, &size), 0)
    else:
        root.root.count = 0


cdef int trim_packed(Database db, Found* found, int64_t left, int64_t right) except -1:
    cdef uint8_t[PACKED_MAX] other
    cdef const uint8_t* start
    cdef size_t size
    cdef Cursor cursor
    cdef Run run
    run_of(found.entry, &run)
    list_seek(db, found.entry, left, &cursor)
    start = cursor.p
    list_seek(db, found.entry, run.count - right, &cursor)
    size = <size_t>(cursor.p - start)
    memcpy(other, start, size)
    repack(db, found, other, size, run.count - left - right)
    return 0


cdef int list_trim(Database db, Found* found, int64_t left, int64_t right) except -1:
    cdef int64_t before = list_count(found.entry)
    cdef ListRoot* root = list_root(found.entry)
    if left + right == 0:
        return 0
    if left + right == before:
        drop_all(found.entry)
    elif root is NULL:
        trim_packed(db, found, left, right)
        shrunk(db, found.entry)
    else:
        chain_drop(&root.chain, db.slabs, True, left)
        chain_drop(&root.chain, db.slabs, False, right)
        settle(root)
        shrunk(db, found.entry)
        pack_small(db, found)
    db.recount(found.entry, before)
    return 0


cdef int list_drop(Database db, Found* found, bint left, int64_t count) except -1:
    return list_trim(db, found, count if left else 0, 0 if left else count)


cdef inline bint equal(const Slice* one, const Slice* other) noexcept:
    return one.size == other.size and memcmp(one.data, other.data, one.size) == 0


cdef int64_t remove_packed(Database db, Found* found, const Slice* value, int64_t limit,
                           bint left) except -1:
    cdef uint8_t[PACKED_MAX] other
    cdef uint8_t* to = other
    cdef const uint8_t* p
    cdef const uint8_t* following
    cdef int64_t matches = 0
    cdef int64_t number = 0
    cdef int64_t first, removed
    cdef Slice one
    cdef Run run
    run_of(found.entry, &run)
    p = run.start
    while p < run.start + run.size:
        p = element_read(p, &one)
        matches += equal(&one, value)
    removed = min(matches, limit)
    if removed == 0:
        return 0
    first = 0 if left else matches - removed         # of the matches
    p = run.start
    while p < run.start + run.size:
        following = element_read(p, &one)
        if equal(&one, value):
            number += 1
            if first < number <= first + removed:
                p = following
                continue
        memcpy(to, p, <size_t>(following - p))
        to += following - p
        p = following
    if removed == run.count:
        drop_all(found.entry)
    else:
        repack(db, found, other, <size_t>(to - other), run.count - removed)
    return removed


cdef int64_t list_remove(Database db, Found* found, const Slice* value, int64_t limit,
                         bint left) except -1:
    cdef int64_t before = list_count(found.entry)
    cdef ListRoot* root = list_root(found.entry)
    cdef int64_t removed
    if root is NULL:
        removed = remove_packed(db, found, value, limit, left)
    else:
        removed = chain_strip(&root.chain, db.slabs, value, limit, left)
        settle(root)
    if removed:
        if removed < before:
            shrunk(db, found.entry)
            if root is not NULL:
                pack_small(db, found)
        db.recount(found.entry, before)
    return removed


# -- moving ----------------------------------------------------------------------------------------

cdef void rotate_packed(const uint8_t* entry, bint from_left) noexcept:
    """Take an element from one end of a packed list to the other."""
    cdef uint8_t[PACKED_MAX] one
    cdef uint8_t* start
    cdef uint8_t* p
    cdef size_t size
    cdef Run run
    run_of(entry, &run)
    start = <uint8_t*>run.start
    if from_left:
        size = <size_t>(element_after(start) - start)
        memcpy(one, start, size)
        memmove(start, start + size, run.size - size)
        memcpy(start + run.size - size, one, size)
    else:
        p = <uint8_t*>element_before(start + run.size)
        size = <size_t>(start + run.size - p)
        memcpy(one, p, size)
        memmove(start + size, start, run.size - size)
        memcpy(start, one, size)


cdef int rotate(Database db, Found* found, Slice* value, bint from_left) except -1:
    cdef ListRoot* root = list_root(found.entry)
    cdef bint pushed
    if root is NULL:
        rotate_packed(found.entry, from_left)
        return 0
    pushed = chain_push(&root.chain, db.slabs, value, not from_left)
    if pushed:
        chain_drop(&root.chain, db.slabs, from_left, 1)
    settle(root)
    if not pushed:
        raise MemoryError
    return 0


cdef int carry(Database db, Found* found, Found* place, const char* key, size_t key_size,
               const Slice* value, bint from_left, bint to_left) except -1:
    """Move a value that does not lie in the source from there to another list."""
    cdef size_t size
    cdef const char* name
    cdef Pushed pushed
    measure(&pushed, value, 1, to_left)
    if is_number(value):
        pushed.raw = 0                       # Redis hands it on as a number: its size is not known
    push(db, place, key, key_size, &pushed)
    name = entry_key(found.entry, &size)
    db.find_hashed(name, size, found.hash, found)
    return list_drop(db, found, from_left, 1)


cdef int list_move(Database db, Found* found, Found* place, const char* key, size_t key_size,
                   bint from_left, bint to_left) except -1:
    cdef uint8_t[ELEMENT_MAX] copy
    cdef Slice value
    list_end(db, found.entry, from_left, &value)
    if value.block is NULL:
        memcpy(copy, value.data, value.size)
        value.data = <const char*>copy
    else:
        block_retain(value.block)
    try:
        if place.entry is not found.entry:
            carry(db, found, place, key, key_size, &value, from_left, to_left)
        else:
            if from_left != to_left and list_count(found.entry) > 1:
                rotate(db, found, &value, from_left)
            shrunk(db, found.entry)
    finally:
        if value.block is not NULL:
            block_release(db.slabs, value.block)
    return 0


# -- for the keyspace ------------------------------------------------------------------------------

cdef bint free_some(Slabs* slabs, Root* root, int64_t limit) except -1:
    if not chain_free(&(<ListRoot*>root).chain, slabs, limit):
        return False
    root_free(slabs, root, sizeof(ListRoot))
    return True


cdef Root* copy_of(Slabs* slabs, const Root* root) except NULL:
    cdef ListRoot* own = <ListRoot*>root_new(slabs, LIST, sizeof(ListRoot))
    if own is NULL:
        raise MemoryError
    if not chain_copy(&own.chain, &(<const ListRoot*>root).chain, slabs):
        root_free(slabs, &own.root, sizeof(ListRoot))
        raise MemoryError
    own.root.form = root.form
    settle(own)
    return &own.root


cdef const char* encoding_of(const uint8_t* entry) noexcept:
    return b"quicklist" if form_of(entry)[0] & QUICK else b"listpack"


cdef int defragment(Slabs* slabs, Root* root, uint64_t* position, int64_t limit,
                    int64_t* moved) except -1:
    return chain_defragment(&(<ListRoot*>root).chain, slabs, position, limit, moved)


value_types[<int>LIST].free_some = free_some
value_types[<int>LIST].copy = copy_of
value_types[<int>LIST].encoding = encoding_of
value_types[<int>LIST].defragment = defragment


# -- for Python ------------------------------------------------------------------------------------

cdef inline bytes as_bytes(const Slice* value):
    return PyBytes_FromStringAndSize(value.data, <Py_ssize_t>value.size)


cdef class List(View):
    """A list under a key."""

    KIND = Kind.LIST

    def elements(self, int64_t first=0, int64_t last=-1) -> list:
        """Return the elements of a range of indexes, both included, negative ones from the end."""
        cdef Found found
        cdef uint8_t* entry = self.entry(&found)
        cdef int64_t count = 0 if entry is NULL else list_count(entry)
        cdef list values = []
        cdef Cursor cursor
        cdef Slice value
        first = max(first + count if first < 0 else first, <int64_t>0)
        last = min(last + count if last < 0 else last, count - 1)
        if first > last:
            return values
        list_seek(self.db, entry, first, &cursor)
        while first <= last and cursor_next(&cursor, &value):
            values.append(as_bytes(&value))
            first += 1
        return values

    def push(self, values: list[bytes], bint left=False) -> None:
        """Push values one after another; the first one creates the list."""
        cdef Slice* slices = <Slice*>calloc(max(len(values), 1), sizeof(Slice))
        cdef Found found
        cdef Py_ssize_t i
        cdef bytes value
        if slices is NULL:
            raise MemoryError
        try:
            for i, value in enumerate(values):
                slices[i].data = PyBytes_AS_STRING(value)
                slices[i].size = <size_t>PyBytes_GET_SIZE(value)
            self.entry(&found)
            if values:
                list_push(self.db, &found, PyBytes_AS_STRING(self.key),
                          <size_t>PyBytes_GET_SIZE(self.key), slices, len(values), left)
        finally:
            free(slices)

    def take(self, int64_t count, bint left=True) -> list:
        """Remove up to `count` elements from an end; return them in the order they went."""
        cdef Found found
        cdef uint8_t* entry = self.entry(&found)
        cdef list values = []
        cdef Cursor cursor
        cdef Slice value
        cdef int64_t _i
        if entry is NULL:
            return values
        count = min(count, list_count(entry))
        list_seek(self.db, entry, 0 if left else list_count(entry), &cursor)
        for _i in range(count):
            if cursor_next(&cursor, &value) if left else cursor_previous(&cursor, &value):
                values.append(as_bytes(&value))
        list_drop(self.db, &found, left, count)
        return values

    def move(self, List target, bint from_left, bint to_left) -> bytes:
        """Move an element of this list, which is not empty, to an end of `target`; return it."""
        cdef Found found, place
        cdef Slice value
        cdef bytes moved
        self.entry(&found)
        target.entry(&place)
        list_end(self.db, found.entry, from_left, &value)
        moved = as_bytes(&value)
        list_move(self.db, &found, &place, PyBytes_AS_STRING(target.key),
                  <size_t>PyBytes_GET_SIZE(target.key), from_left, to_left)
        return moved
