"""Sets: how their members are stored, found, added and taken away.

A small set of integers is a sorted array of numbers of 2, 4 or 8 bytes. Another small set has its
members one behind the other, each after a byte with its length, in the order they came. Either
lies in the key's entry, or in an allocation of its own when it is too long for that. A larger set
is a table whose entries are a length and the member.

What OBJECT ENCODING answers follows Redis's thresholds and never goes back, so it is kept beside
the layout, which follows our own: under the default thresholds the two agree, and members come in
Redis's order wherever that has one.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memmove

from spineldb.core.entry cimport (
    INLINE_MAX, PACKED, PACKED_FORM, PACKED_HEADER, SET, Kind, entry_root, entry_value, load16,
    store16, store32,
)
from spineldb.core.keyspace cimport View
from spineldb.core.resp cimport parse_int
from spineldb.core.root cimport root_free, root_new, value_types
from spineldb.core.slab cimport (
    at, class_size, slab_alloc, slab_free, slab_move, slab_sparse,
)
from spineldb.core.table cimport (
    Place, table_defragment, table_delete, table_drain, table_find, table_hash, table_insert,
    table_find_ref, table_new, table_remove, table_reserve, table_walk,
)

cdef enum:
    WALK_ALL = 1 << 20           # entries per step of a walk that goes to the end


# -- members ---------------------------------------------------------------------------------------

cdef inline size_t member_bytes(size_t size) noexcept nogil:
    return size + 1 if size <= SHORT_MAX else size + 5


cdef inline void write_member(uint8_t* to, const char* data, size_t size) noexcept nogil:
    if size <= SHORT_MAX:
        to[0] = <uint8_t>size
        memcpy(to + 1, data, size)
    else:
        to[0] = LONG_MEMBER
        store32(to + 1, <uint32_t>size)
        memcpy(to + 5, data, size)


cdef size_t member_size(const uint8_t* entry) noexcept nogil:
    cdef size_t size
    member_text(entry, &size)
    return member_bytes(size)


cdef inline int64_t load_int(const uint8_t* p, int width) noexcept nogil:
    cdef int16_t two
    cdef int32_t four
    cdef int64_t eight
    if width == INT16:
        memcpy(&two, p, 2)
        return two
    if width == INT32:
        memcpy(&four, p, 4)
        return four
    memcpy(&eight, p, 8)
    return eight


cdef inline void store_int(uint8_t* p, int width, int64_t value) noexcept nogil:
    cdef int16_t two = <int16_t>value
    cdef int32_t four = <int32_t>value
    if width == INT16:
        memcpy(p, &two, 2)
    elif width == INT32:
        memcpy(p, &four, 4)
    else:
        memcpy(p, &value, 8)


cdef inline int width_of(int64_t value) noexcept nogil:
    if -32768 <= value <= 32767:
        return INT16
    if -2147483648 <= value <= 2147483647:
        return INT32
    return INT64


cdef void int_member(int64_t value, Member* member) noexcept nogil:
    """An integer's text, at the end of the room for it."""
    cdef uint64_t rest = <uint64_t>value if value >= 0 else 0 - <uint64_t>value
    cdef int i = INT_TEXT
    while True:
        i -= 1
        member.text[i] = <char>(48 + rest % 10)
        rest //= 10
        if rest == 0:
            break
    if value < 0:
        i -= 1
        member.text[i] = c"-"
    member.data = &member.text[i]
    member.size = INT_TEXT - i


# -- reading ---------------------------------------------------------------------------------------

cdef void set_open(Slabs* slabs, const uint8_t* entry, SetValue* value) noexcept nogil:
    cdef size_t size
    cdef uint8_t* data
    if not entry[0] & PACKED:
        set_open_root(slabs, <SetRoot*>entry_root(entry), value)
        return
    data = <uint8_t*>entry_value(entry, &size)
    value.count = load16(data)
    value.form = data[PACKED_FORM]
    value.data = data + PACKED_HEADER
    value.size = size - PACKED_HEADER
    value.table = NULL
    value.root = NULL
    trim(value)


cdef void set_open_root(Slabs* slabs, SetRoot* root, SetValue* value) noexcept nogil:
    value.count = root.root.count
    value.form = root.root.form
    value.data = <uint8_t*>at(slabs, root.data)
    value.size = root.size
    value.table = root.table
    value.root = root
    trim(value)


cdef inline void trim(SetValue* value) noexcept nogil:
    """Have the size follow the count: what a removal could not give back is no member."""
    if value.form & LAYOUT <= INT64 and value.form & LAYOUT != BYTES:
        value.size = <size_t>value.count * (value.form & LAYOUT)
    elif value.count == 0:
        value.size = 0


cdef bint find_int(const SetValue* value, int64_t number, int64_t* index) noexcept nogil:
    """Where a number is in a sorted array, or where it belongs."""
    cdef int width = layout_of(value)
    cdef int64_t low = 0
    cdef int64_t high = value.count
    cdef int64_t middle, one
    while low < high:
        middle = (low + high) >> 1
        one = load_int(value.data + middle * width, width)
        if one == number:
            index[0] = middle
            return True
        if one < number:
            low = middle + 1
        else:
            high = middle
    index[0] = low
    return False


cdef bint find_bytes(const SetValue* value, const char* member, size_t size,
                     size_t* offset) noexcept nogil:
    """Where a member is among those one behind the other, or where they end."""
    cdef const uint8_t* p = value.data
    for _ in range(value.count):
        if p[0] == size and memcmp(p + 1, member, size) == 0:
            offset[0] = <size_t>(p - value.data)
            return True
        p += p[0] + 1
    offset[0] = <size_t>(p - value.data)
    return False


cdef bint set_contains(const SetValue* value, const char* member, size_t size,
                       const uint64_t* hash) noexcept nogil:
    cdef int64_t number, index
    cdef size_t offset
    if value.table is not NULL:
        return table_find(
            value.table, hash[0] if hash is not NULL else table_hash(value.table, member, size),
            member, size, NULL) != 0
    if layout_of(value) == BYTES:
        return find_bytes(value, member, size, &offset)
    return parse_int(member, size, &number) and find_int(value, number, &index)


cdef bint flat_next(const SetValue* value, size_t* offset, Member* member) noexcept nogil:
    cdef int width = layout_of(value)
    if offset[0] >= value.size:
        return False
    if width == BYTES:
        if value.data[offset[0]] == LONG_MEMBER:
            return False
        member.data = <const char*>(value.data + offset[0] + 1)
        member.size = value.data[offset[0]]
        offset[0] += member.size + 1
    else:
        int_member(load_int(value.data + offset[0], width), member)
        offset[0] += width
    return True


cdef void flat_member(const SetValue* value, int64_t index, Member* member) noexcept nogil:
    cdef const uint8_t* p = value.data
    cdef int width = layout_of(value)
    if width != BYTES:
        int_member(load_int(p + index * width, width), member)
        return
    while index:
        p += p[0] + 1
        index -= 1
    member.data = <const char*>(p + 1)
    member.size = p[0]


cdef struct Walking:
    Slabs* slabs
    SetVisit visit
    void* context
    bint stopped


cdef int walk_table(void* context, uint64_t hash, Ref* ref) except -2:
    cdef Walking* walking = <Walking*>context
    cdef size_t size
    cdef const char* data = member_text(<const uint8_t*>at(walking.slabs, ref[0]), &size)
    if walking.stopped:
        return -1
    if walking.visit(walking.context, data, size) < 0:
        walking.stopped = True
        return -1
    return 0


cdef int set_walk(const SetValue* value, SetVisit visit, void* context) except -2:
    cdef Walking walking
    cdef Member member
    cdef size_t offset = 0
    cdef uint64_t position = 0
    if value.table is NULL:
        while flat_next(value, &offset, &member):
            if visit(context, member.data, member.size) < 0:
                return -1
        return 0
    walking.slabs = value.table.slabs
    walking.visit = visit
    walking.context = context
    walking.stopped = False
    while not table_walk(value.table, &position, WALK_ALL, walk_table, &walking):
        if walking.stopped:
            break
    return -1 if walking.stopped else 0


# -- encodings, as Redis names them ----------------------------------------------------------------

cdef void set_rename(SetValue* value, int encoding) noexcept nogil:
    value.form = <uint8_t>((value.form & LAYOUT) | encoding)
    keep_form(value)


cdef inline void keep_form(SetValue* value) noexcept nogil:
    if value.root is not NULL:
        value.root.root.form = value.form
    else:
        (value.data - PACKED_HEADER)[PACKED_FORM] = value.form


cdef int first_encoding(Database db, const char* member, size_t size, int64_t hint) noexcept:
    cdef int64_t number
    if hint <= db.keyspace.set_max_intset_entries and parse_int(member, size, &number):
        return INTSET
    return LISTPACK if hint <= db.keyspace.set_max_listpack_entries else HASHTABLE


cdef void set_expect(Database db, SetValue* value, int64_t hint) noexcept:
    cdef int encoding = value.form & ENCODING
    if (
        (encoding == LISTPACK and hint > db.keyspace.set_max_listpack_entries)
        or (encoding == INTSET and hint > db.keyspace.set_max_intset_entries)
    ):
        set_rename(value, HASHTABLE)


cdef size_t longest_int(const SetValue* value) noexcept nogil:
    """The bytes of the longest text of a sorted array's integers."""
    cdef Member first, last
    if value.table is not NULL:
        return 20
    if value.count == 0:
        return 0
    flat_member(value, 0, &first)
    flat_member(value, value.count - 1, &last)
    return max(first.size, last.size)


cdef int encoding_with(Database db, const SetValue* value, size_t size, bint is_int) noexcept:
    """What a set is called once it has one more member, of `size` bytes."""
    cdef int encoding = value.form & ENCODING
    cdef int64_t limit
    if encoding == HASHTABLE:
        return HASHTABLE
    if encoding == INTSET and is_int:
        limit = min(db.keyspace.set_max_intset_entries, <int64_t>1 << 30)
        return INTSET if value.count < limit else HASHTABLE
    limit = db.keyspace.set_max_listpack_value
    if value.count >= db.keyspace.set_max_listpack_entries or <int64_t>size > limit:
        return HASHTABLE
    if encoding == INTSET and <int64_t>longest_int(value) > limit:
        return HASHTABLE
    return LISTPACK


# -- flat sets: room for their members -------------------------------------------------------------

cdef void set_count(SetValue* value, int64_t count) noexcept nogil:
    value.count = count
    if value.root is not NULL:
        value.root.root.count = count
    else:
        store16(value.data - PACKED_HEADER, <uint16_t>count)
    trim(value)


cdef void count_flat(SetRoot* root) noexcept nogil:
    root.root.bytes = class_size(sizeof(SetRoot)) + (
        class_size(root.capacity) if root.data else 0)


cdef int flat_room(Slabs* slabs, SetRoot* root, size_t size, bint spare) except -1:
    """Give the members of a set without an entry `size` bytes; what is there stays."""
    cdef size_t capacity
    cdef Ref ref
    if root.data == 0 or size > root.capacity or size * 2 < root.capacity:
        capacity = max(class_size(size + (size >> 3 if spare else 0)), <size_t>8)
        ref = slab_alloc(slabs, capacity)
        if ref == 0:
            raise MemoryError
        if root.data:
            memcpy(at(slabs, ref), at(slabs, root.data), min(size, <size_t>root.size))
            slab_free(slabs, root.data, root.capacity)
        root.data = ref
        root.capacity = <uint32_t>capacity
        count_flat(root)
    root.size = <uint32_t>size
    return 0


cdef int flat_resize(Database db, Found* found, SetValue* value, size_t size) except -1:
    """Give the members of a flat set `size` bytes, moving them out of the entry if need be."""
    cdef SetRoot* root = value.root
    if root is NULL and size + PACKED_HEADER <= INLINE_MAX:
        value.data = <uint8_t*>db.resize(found, size + PACKED_HEADER) + PACKED_HEADER
        value.size = size
        return 0
    if root is NULL:
        root = set_new(db.slabs, 0)
        try:
            flat_room(db.slabs, root, size, True)
            memcpy(at(db.slabs, root.data), value.data, min(size, value.size))
            root.root.form = value.form
            root.root.count = value.count
            db.put_root(found, &root.root)
        except MemoryError:
            set_free(db.slabs, root)
            raise
    else:
        flat_room(db.slabs, root, size, True)
    set_open_root(db.slabs, root, value)
    value.size = size
    return 0


cdef int widen(Database db, Found* found, SetValue* value, int width) except -1:
    """Make room in every number of a sorted array for `width` bytes."""
    cdef int old = layout_of(value)
    cdef int64_t i = value.count
    flat_resize(db, found, value, <size_t>value.count * width)
    while i:
        i -= 1
        store_int(value.data + i * width, width, load_int(value.data + i * old, old))
    value.form = <uint8_t>((value.form & ENCODING) | width)
    keep_form(value)
    return 0


# -- other layouts ---------------------------------------------------------------------------------

cdef SetRoot* set_new(Slabs* slabs, int encoding) except NULL:
    cdef SetRoot* root = <SetRoot*>root_new(slabs, SET, sizeof(SetRoot))
    if root is NULL:
        raise MemoryError
    root.root.form = <uint8_t>(encoding | (BYTES if encoding == LISTPACK else INT16))
    count_flat(root)
    return root


cdef void set_free(Slabs* slabs, SetRoot* root) noexcept:
    """Free a set that is not large or not a table, at once."""
    free_some(slabs, &root.root, <int64_t>1 << 60)


cdef int insert_new(Slabs* slabs, Table* table, const char* member, size_t size,
                    const uint64_t* hash) except -1:
    """Add to a table what is not in it."""
    cdef Ref ref = slab_alloc(slabs, member_bytes(size))
    if ref == 0:
        raise MemoryError
    write_member(<uint8_t*>at(slabs, ref), member, size)
    try:
        table_insert(
            table, hash[0] if hash is not NULL else table_hash(table, member, size), ref)
    except MemoryError:
        slab_free(slabs, ref, member_bytes(size))
        raise
    return 0


cdef int to_table(Database db, Found* found, SetValue* value) except -1:
    """Make a table of a flat set."""
    cdef Slabs* slabs = db.slabs
    cdef size_t used
    cdef SetRoot* made = set_new(slabs, 0)
    cdef SetRoot* root = value.root
    cdef Member member
    cdef size_t offset = 0
    try:
        used = slabs.used
        made.table = table_new(slabs, db.table.key, member_text)
        while flat_next(value, &offset, &member):
            insert_new(slabs, made.table, member.data, member.size, NULL)
        made.root.bytes += slabs.used - used
        made.root.count = value.count
        made.root.form = <uint8_t>(TABLED | (value.form & ENCODING))
        if root is NULL:
            db.put_root(found, &made.root)
    except MemoryError:
        set_free(slabs, made)
        raise
    if root is not NULL:         # the set keeps its structure: a key may have its address
        if root.data:
            slab_free(slabs, root.data, root.capacity)
        root.table = made.table
        root.root.bytes = made.root.bytes
        root.root.form = made.root.form
        root.data = 0
        root.size = root.capacity = 0
        root_free(slabs, &made.root, sizeof(SetRoot))
        made = root
    set_open_root(slabs, made, value)
    return 0


cdef int set_reserve(Database db, SetValue* value, int64_t count) except -1:
    cdef size_t used
    if count <= max(INTS_MAX, min(db.keyspace.set_max_intset_entries, <int64_t>INTS_MOST)):
        return 0                 # it may stay flat
    to_table(db, NULL, value)
    used = db.slabs.used
    table_reserve(value.table, <uint64_t>count)          # without memory it grows by and by
    value.root.root.bytes += db.slabs.used - used
    return 0


# -- adding ----------------------------------------------------------------------------------------

cdef int set_create(Database db, Found* found, const char* key, size_t key_size, int encoding,
                    const char* member, size_t size) except -1:
    cdef uint8_t* value
    cdef SetRoot* root
    cdef SetValue opened
    cdef int64_t number
    cdef int width = BYTES
    if size > SHORT_MAX:
        root = set_new(db.slabs, encoding)
        try:
            set_open_root(db.slabs, root, &opened)
            set_add(db, NULL, &opened, member, size, NULL)
            value = <uint8_t*>db.place(found, key, key_size, SET, sizeof(Root*), -1)
        except MemoryError:
            set_free(db.slabs, root)
            raise
        memcpy(value, &root, sizeof(Root*))
        table_find_ref(db.table, found.hash, found.ref, &found.place)
        return 0
    if encoding == LISTPACK and (
        <int64_t>size > db.keyspace.set_max_listpack_value
        or db.keyspace.set_max_listpack_entries < 1
    ):
        encoding = HASHTABLE
    if encoding != LISTPACK and parse_int(member, size, &number):
        width = width_of(number)
        value = <uint8_t*>db.place(found, key, key_size, SET | PACKED, PACKED_HEADER + width, -1)
        store_int(value + PACKED_HEADER, width, number)
    else:
        value = <uint8_t*>db.place(
            found, key, key_size, SET | PACKED, PACKED_HEADER + size + 1, -1)
        write_member(value + PACKED_HEADER, member, size)
    store16(value, 1)
    value[PACKED_FORM] = <uint8_t>(width | encoding)
    table_find_ref(db.table, found.hash, found.ref, &found.place)
    return 0


cdef bint set_add(Database db, Found* found, SetValue* value, const char* member, size_t size,
                  const uint64_t* hash) except -1:
    cdef int64_t number
    cdef bint is_int
    if value.table is not NULL:
        return add_to_table(db, value, member, size, hash)
    if layout_of(value) == BYTES:
        return add_bytes(db, found, value, member, size, hash)
    is_int = parse_int(member, size, &number)
    if is_int:
        return add_int(db, found, value, number, member, size, hash)
    return add_to_ints(db, found, value, member, size, hash)


cdef bint add_to_table(Database db, SetValue* value, const char* member, size_t size,
                       const uint64_t* given) except -1:
    cdef uint64_t hash = (
        given[0] if given is not NULL else table_hash(value.table, member, size))
    if table_find(value.table, hash, member, size, NULL):
        return False
    append_to_table(db, value, member, size, hash)
    return True


cdef int append_to_table(Database db, SetValue* value, const char* member, size_t size,
                         uint64_t hash) except -1:
    cdef Slabs* slabs = db.slabs
    cdef size_t used = slabs.used
    cdef int64_t number
    cdef int encoding = value.form & ENCODING
    if encoding != HASHTABLE:
        encoding = encoding_with(db, value, size, parse_int(member, size, &number))
    try:
        insert_new(slabs, value.table, member, size, &hash)
    finally:                     # a table may have grown without the member finding room
        value.root.root.bytes += slabs.used - used
    set_count(value, value.count + 1)
    if encoding != value.form & ENCODING:
        set_rename(value, encoding)
    return 0


cdef int set_append(Database db, SetValue* value, const char* member, size_t size,
                    const uint64_t* hash) except -1:
    if value.table is NULL:
        set_add(db, NULL, value, member, size, hash)
    else:
        append_to_table(
            db, value, member, size,
            hash[0] if hash is not NULL else table_hash(value.table, member, size))
    return 0


cdef bint grow_table(Database db, Found* found, SetValue* value, int encoding, const char* member,
                     size_t size, const uint64_t* hash) except -1:
    """Add a member that a flat set has no room for."""
    to_table(db, found, value)
    add_to_table(db, value, member, size, hash)
    set_rename(value, encoding)
    return True


cdef bint add_bytes(Database db, Found* found, SetValue* value, const char* member, size_t size,
                    const uint64_t* hash) except -1:
    cdef size_t offset
    cdef int encoding
    if find_bytes(value, member, size, &offset):
        return False
    encoding = encoding_with(db, value, size, False)
    if value.count >= BYTES_MAX or size > SHORT_MAX or offset + size + 1 > FLAT_MAX:
        return grow_table(db, found, value, encoding, member, size, hash)
    flat_resize(db, found, value, offset + size + 1)
    write_member(value.data + offset, member, size)
    set_count(value, value.count + 1)
    if encoding != value.form & ENCODING:
        set_rename(value, encoding)
    return True


cdef bint add_int(Database db, Found* found, SetValue* value, int64_t number, const char* member,
                  size_t size, const uint64_t* hash) except -1:
    cdef int width = width_of(number)
    cdef int64_t index
    cdef int encoding
    if find_int(value, number, &index):
        return False
    encoding = encoding_with(db, value, size, True)
    if value.count >= INTS_MAX and (encoding != INTSET or value.count >= INTS_MOST):
        return grow_table(db, found, value, encoding, member, size, hash)
    if width > layout_of(value):
        widen(db, found, value, width)
    width = layout_of(value)
    flat_resize(db, found, value, <size_t>(value.count + 1) * width)
    memmove(value.data + (index + 1) * width, value.data + index * width,
            <size_t>(value.count - index) * width)
    store_int(value.data + index * width, width, number)
    set_count(value, value.count + 1)
    if encoding != value.form & ENCODING:
        set_rename(value, encoding)
    return True


cdef enum:
    INTS_TEXTS = BYTES_MAX * 21  # bytes of so many integers as members

cdef bint add_to_ints(Database db, Found* found, SetValue* value, const char* member, size_t size,
                      const uint64_t* hash) except -1:
    """Add the first member that is not an integer to a sorted array of them: all become text."""
    cdef uint8_t[INTS_TEXTS] texts
    cdef int encoding = encoding_with(db, value, size, False)
    cdef size_t used = 0
    cdef size_t offset = 0
    cdef Member one
    if value.count >= BYTES_MAX or size > SHORT_MAX:
        return grow_table(db, found, value, encoding, member, size, hash)
    while flat_next(value, &offset, &one):
        write_member(texts + used, one.data, one.size)
        used += one.size + 1
    flat_resize(db, found, value, used + size + 1)
    memcpy(value.data, texts, used)
    write_member(value.data + used, member, size)
    value.form = <uint8_t>(BYTES | encoding)
    value.size = used + size + 1
    keep_form(value)
    set_count(value, value.count + 1)
    return True


# -- removing --------------------------------------------------------------------------------------

cdef bint set_remove(Database db, Found* found, SetValue* value, const char* member,
                     size_t size) except -1:
    cdef int64_t number, index
    cdef size_t offset
    cdef uint64_t hash
    if value.table is not NULL:
        hash = table_hash(value.table, member, size)
        return remove_ref(db, value, hash, table_find(value.table, hash, member, size, NULL))
    if layout_of(value) == BYTES:
        if not find_bytes(value, member, size, &offset):
            return False
        cut(db, found, value, offset, size + 1)
        return True
    if not parse_int(member, size, &number) or not find_int(value, number, &index):
        return False
    cut(db, found, value, <size_t>index * layout_of(value), layout_of(value))
    return True


cdef int set_remove_numbers(Database db, Found* found, SetValue* value, const uint32_t* numbers,
                            int64_t count) except -1:
    cdef int width = layout_of(value)
    cdef uint8_t* p = value.data
    cdef uint8_t* kept = p
    cdef size_t size
    cdef int64_t i
    cdef int64_t gone = 0
    for i in range(value.count):
        size = p[0] + <size_t>1 if width == BYTES else <size_t>width
        if gone < count and numbers[gone] == i:
            gone += 1
        else:
            if kept is not p:
                memmove(kept, p, size)
            kept += size
        p += size
    shrink(db, found, value, <size_t>(kept - value.data), gone)
    return 0


cdef int set_remove_ref(Database db, SetValue* value, Ref ref) except -1:
    cdef size_t size
    cdef const char* member = member_text(<const uint8_t*>at(db.slabs, ref), &size)
    remove_ref(db, value, table_hash(value.table, member, size), ref)
    return 0


cdef bint remove_ref(Database db, SetValue* value, uint64_t hash, Ref ref) noexcept:
    cdef size_t used = db.slabs.used
    cdef Place place
    if ref == 0 or not table_find_ref(value.table, hash, ref, &place):
        return False
    table_remove(value.table, hash, &place)
    slab_free(db.slabs, ref, member_size(<const uint8_t*>at(db.slabs, ref)))
    value.root.root.bytes -= used - db.slabs.used
    set_count(value, value.count - 1)
    return True


cdef void cut(Database db, Found* found, SetValue* value, size_t offset, size_t size) noexcept:
    """Take one member out of a flat set."""
    cdef uint8_t* p = value.data + offset
    memmove(p, p + size, value.size - offset - size)
    shrink(db, found, value, value.size - size, 1)


cdef void shrink(Database db, Found* found, SetValue* value, size_t size, int64_t gone) noexcept:
    """Count `gone` members less in a flat set, whose others take `size` bytes now.

    Where there is no memory for a smaller allocation the old one stays, with a mark at its end.
    """
    if layout_of(value) == BYTES:
        value.data[size] = LONG_MEMBER
    set_count(value, value.count - gone)
    if value.count == 0:
        return                   # the key goes, and its entry as it is
    try:
        flat_resize(db, found, value, size)
    except MemoryError:
        trim(value)


# -- sets of no key --------------------------------------------------------------------------------

cdef int set_store(Database db, Found* found, const char* key, size_t key_size,
                   SetRoot* root) except -1:
    cdef uint8_t* value
    if root.table is NULL and root.size + PACKED_HEADER <= INLINE_MAX:
        value = <uint8_t*>db.place(
            found, key, key_size, SET | PACKED, PACKED_HEADER + root.size, -1)
        store16(value, <uint16_t>root.root.count)
        value[PACKED_FORM] = root.root.form
        memcpy(value + PACKED_HEADER, at(db.slabs, root.data), root.size)
        set_free(db.slabs, root)
    else:
        value = <uint8_t*>db.place(found, key, key_size, SET, sizeof(Root*), -1)
        memcpy(value, &root, sizeof(Root*))
    db.recount(found.entry, -1)
    return 0


cdef SetRoot* set_settle(Database db, SetRoot* root, bint only_integers) except NULL:
    cdef SetValue value, sorted_value
    cdef SetRoot* made
    cdef Member member
    cdef size_t offset = 0
    if not only_integers or root.root.count > db.keyspace.set_max_intset_entries:
        return root
    set_open_root(db.slabs, root, &value)
    if layout_of(&value) != BYTES:
        set_rename(&value, INTSET)
        return root
    made = set_new(db.slabs, INTSET)
    try:
        set_open_root(db.slabs, made, &sorted_value)
        while flat_next(&value, &offset, &member):
            set_add(db, NULL, &sorted_value, member.data, member.size, NULL)
    except MemoryError:
        set_free(db.slabs, made)
        raise
    set_free(db.slabs, root)
    return made


# -- what the keyspace asks ------------------------------------------------------------------------

cdef int free_member(void* context, uint64_t hash, Ref* ref) except -2:
    cdef Slabs* slabs = <Slabs*>context
    slab_free(slabs, ref[0], member_size(<const uint8_t*>at(slabs, ref[0])))
    return 0


cdef bint free_some(Slabs* slabs, Root* root, int64_t limit) except -1:
    cdef SetRoot* own = <SetRoot*>root
    if own.data:
        slab_free(slabs, own.data, own.capacity)
        own.data = 0
    if own.table is not NULL:
        if not table_drain(own.table, limit, free_member, slabs):
            return False
        table_delete(own.table)
        own.table = NULL
    root_free(slabs, root, sizeof(SetRoot))
    return True


cdef int copy_member(void* context, uint64_t hash, Ref* ref) except -2:
    cdef Table* table = <Table*>context
    cdef size_t size
    cdef const char* data = member_text(<const uint8_t*>at(table.slabs, ref[0]), &size)
    insert_new(table.slabs, table, data, size, NULL)
    return 0


cdef Root* copy(Slabs* slabs, const Root* root) except NULL:
    cdef const SetRoot* old = <const SetRoot*>root
    cdef SetRoot* made = set_new(slabs, 0)
    cdef size_t used = slabs.used
    cdef uint64_t position = 0
    try:
        if old.table is NULL:
            flat_room(slabs, made, old.size, False)
            memcpy(at(slabs, made.data), at(slabs, old.data), old.size)
        else:
            made.table = table_new(slabs, old.table.key, member_text)
            table_reserve(made.table, old.table.count)
            while not table_walk(old.table, &position, WALK_ALL, copy_member, made.table):
                pass
            made.root.bytes += slabs.used - used
    except MemoryError:
        set_free(slabs, made)
        raise
    made.root.count = root.count
    made.root.form = root.form
    return &made.root


cdef const char* encoding_of(const uint8_t* entry) noexcept:
    cdef int encoding
    cdef size_t size
    if entry[0] & PACKED:
        encoding = entry_value(entry, &size)[PACKED_FORM] & ENCODING
    else:
        encoding = entry_root(entry).form & ENCODING
    if encoding == INTSET:
        return b"intset"
    return b"listpack" if encoding == LISTPACK else b"hashtable"


cdef int defragment(Slabs* slabs, Root* root, uint64_t* position, int64_t limit,
                    int64_t* moved) except -1:
    cdef SetRoot* own = <SetRoot*>root
    cdef Ref ref
    if own.table is not NULL:
        return table_defragment(own.table, position, limit, member_size, moved)
    if own.data and slab_sparse(slabs, own.data):
        ref = slab_move(slabs, own.data, own.capacity)
        if ref:
            own.data = ref
            moved[0] += 1
    return 1


value_types[<int>SET].free_some = free_some
value_types[<int>SET].copy = copy
value_types[<int>SET].encoding = encoding_of
value_types[<int>SET].defragment = defragment


# -- what Python sees ------------------------------------------------------------------------------

cdef int list_member(void* context, const char* member, size_t size) except -2:
    (<list>context).append(PyBytes_FromStringAndSize(member, <Py_ssize_t>size))
    return 0


class Set(View):
    """A set under a key, for Python code."""

    KIND = Kind.SET

    def add(self, *members: bytes) -> int:
        """Add members, creating the set if it is missing; return how many were new."""
        return add_members(self, members)

    def remove(self, *members: bytes) -> int:
        """Take members away; return how many there were. The caller removes an emptied set."""
        return remove_members(self, members)

    def __contains__(self, member: bytes) -> bool:
        return has_member(self, member)

    def members(self) -> list:
        """Return all members, in the order SMEMBERS has them."""
        return members_of(self)


cdef int add_members(View view, tuple members) except -1:
    cdef Database db = view.db
    cdef Found found
    cdef SetValue value
    cdef uint8_t* entry = view.entry(&found)
    cdef bytes member
    cdef int64_t before = -1
    cdef int added = 0
    for member in members:
        if entry is NULL:
            set_create(
                db, &found, PyBytes_AS_STRING(view.key), <size_t>PyBytes_GET_SIZE(view.key),
                first_encoding(db, PyBytes_AS_STRING(member), <size_t>PyBytes_GET_SIZE(member),
                               len(members)),
                PyBytes_AS_STRING(member), <size_t>PyBytes_GET_SIZE(member))
            entry = found.entry
            db.recount(entry, -1)
            added += 1
            continue
        set_open(db.slabs, found.entry, &value)
        before = value.count
        added += set_add(
            db, &found, &value, PyBytes_AS_STRING(member), <size_t>PyBytes_GET_SIZE(member), NULL)
        db.recount(found.entry, before)
    return added


cdef int remove_members(View view, tuple members) except -1:
    cdef Database db = view.db
    cdef Found found
    cdef SetValue value
    cdef bytes member
    cdef int64_t before
    cdef int removed = 0
    if view.entry(&found) is NULL:
        return 0
    for member in members:
        set_open(db.slabs, found.entry, &value)
        before = value.count
        removed += set_remove(
            db, &found, &value, PyBytes_AS_STRING(member), <size_t>PyBytes_GET_SIZE(member))
        db.recount(found.entry, before)
    return removed


cdef bint has_member(View view, bytes member) except -1:
    cdef Found found
    cdef SetValue value
    if view.entry(&found) is NULL:
        return False
    set_open(view.db.slabs, found.entry, &value)
    return set_contains(
        &value, PyBytes_AS_STRING(member), <size_t>PyBytes_GET_SIZE(member), NULL)


cdef list members_of(View view):
    cdef Found found
    cdef SetValue value
    cdef list members = []
    if view.entry(&found) is not NULL:
        set_open(view.db.slabs, found.entry, &value)
        set_walk(&value, list_member, <void*>members)
    return members
