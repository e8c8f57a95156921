"""Hashes: fields and their values, packed in the entry or in a table; fields that expire.

A small hash is packed in its entry: a count of 16 bits, a form, then the fields in the order in
which they came.

    name length 8 | value length 8 | (16 each, where a length is 255) | deadline 48 | name | value

The deadlines are there once a field has had one (TIMED); 0 is none. A packed hash is changed in a
buffer and stored when all changes fit, so that a request without memory changes nothing.

Above PACKED_FIELDS fields or INLINE_MAX bytes it becomes a table whose elements are

    flags 8 | name length 8 | value length 8 | (32 each, if LONG) | deadline 48 | name | value

A value above INLINE_MAX bytes is in a block, whose address stands in its place.

A request that changes several fields of a table keeps a list of its changes, each of which can be
taken back without memory: what was replaced is only freed when all has been done.

Fields that expire: a field whose time has passed is hidden at once. The key stands in its
database's timing wheel by its earliest field, and a hash with a table has a wheel of its own for
its fields, so that deleting them needs no look at the others. Whoever looks a hash up deletes some
of them, and never many: a million that are due at once go in slices.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcmp, memcpy, memmove

cimport spineldb.core.effects as effects_module
from spineldb.core.effects cimport EVENT_GENERIC, EVENT_HASH, Effects
from spineldb.core.entry cimport (
    HASH, INLINE_MAX, PACKED, PACKED_FORM, PACKED_HEADER, Kind, entry_deadline, entry_key,
    entry_root, entry_value, load16, load32, store16, store32, value_size_of,
)
from spineldb.core.keyspace cimport Database, Found, View
from spineldb.core.resp cimport Slice
from spineldb.core.root cimport Root, root_free, root_new, value_types
from spineldb.core.slab cimport (
    Block, Ref, Slabs, at, block_cost, block_data, block_new, block_release, block_retain,
    class_size, slab_alloc, slab_free, slab_resized,
)
from spineldb.core.table cimport (
    Place, Table, table_defragment, table_delete, table_drain, table_find, table_find_ref,
    table_hash, table_insert, table_new, table_remove, table_replace, table_visit_prefix,
    table_walk,
)
from spineldb.core.wheel cimport (
    TICK_MS, Wheel, wheel_advance, wheel_delete, wheel_is_stale, wheel_new, wheel_next_ms,
    wheel_push, wheel_renew, wheel_renewal, wheel_renewed,
)

cdef enum:
    PACKED_FIELDS = 128
    ALL = 1 << 30
    CURSOR_SHIFT = 16            # a cursor is the upper 48 bits of a position in hash order
    BATCH = 64                   # fields of a table that are deleted by one HDEL
    COUNTED = 1 << 18            # fields of a table that HLEN may look at
    RENEWED = 32                 # fields whose deadlines go to a new wheel with each that is set
    # forms
    TIMED = 1                    # there is room for deadlines: `listpackex`
    LARGE = 2                    # has been above a threshold: `hashtable`
    ASKED = 4                    # somebody wanted a field to expire: `listpackex`, too
    # flags of an element
    ELEMENT_TIMED = 1
    ELEMENT_LONG = 2
    ELEMENT_OUTSIDE = 4

cdef int64_t NEVER = <int64_t>0x7fffffffffffffff

cdef struct HashRoot:
    Root root
    Table* table
    Wheel* wheel                 # of the fields that have a deadline; NULL while there are none
    int64_t deadlines            # how many they are
    int64_t first                # none of them is earlier than this

cdef struct Change:              # of a field in a table, which can be taken back
    uint64_t hash
    Ref old                      # 0: there was none
    Ref new                      # `old` itself if only its deadline was written over
    int64_t deadline             # the one that `old` had


# -- one field -------------------------------------------------------------------------------------

cdef inline int64_t load_deadline(const uint8_t* p) noexcept nogil:
    cdef int64_t v = 0
    memcpy(&v, p, 6)
    return v if v else -1


cdef inline void store_deadline(uint8_t* p, int64_t deadline) noexcept nogil:
    cdef int64_t v = 0 if deadline < 0 else (deadline if deadline else 1)
    memcpy(p, &v, 6)


cdef inline const uint8_t* read_packed(const uint8_t* p, uint8_t form, Field* f) noexcept nogil:
    """Read the packed field at `p`; return where the next one is."""
    f.name_size = p[0]
    f.size = p[1]
    f.block = NULL
    f.deadline = -1
    p += 2
    if f.name_size == 255:
        f.name_size = load16(p)
        p += 2
    if f.size == 255:
        f.size = load16(p)
        p += 2
    if form & TIMED:
        f.deadline = load_deadline(p)
        p += 6
    f.name = <const char*>p
    f.value = f.name + f.name_size
    return p + f.name_size + f.size


cdef inline size_t packed_bytes(size_t name, size_t value, uint8_t form) noexcept nogil:
    return (2 + name + value + (2 if name >= 255 else 0) + (2 if value >= 255 else 0)
            + (6 if form & TIMED else 0))


cdef inline void write_packed(uint8_t* p, uint8_t form, const char* name, size_t name_size,
                              const char* value, size_t size, int64_t deadline) noexcept nogil:
    p[0] = <uint8_t>min(name_size, <size_t>255)
    p[1] = <uint8_t>min(size, <size_t>255)
    p += 2
    if name_size >= 255:
        store16(p, <uint16_t>name_size)
        p += 2
    if size >= 255:
        store16(p, <uint16_t>size)
        p += 2
    if form & TIMED:
        store_deadline(p, deadline)
        p += 6
    memcpy(p, name, name_size)
    memcpy(p + name_size, value, size)


cdef const char* element_name(const uint8_t* e, size_t* size) noexcept nogil:
    cdef size_t offset = 3 + ((e[0] & ELEMENT_LONG) << 2) + (e[0] & ELEMENT_TIMED) * 6
    size[0] = load32(e + 3) if e[0] & ELEMENT_LONG else e[1]
    return <const char*>(e + offset)


cdef void read_element(const uint8_t* e, Field* f) noexcept nogil:
    f.name = element_name(e, &f.name_size)
    f.value = f.name + f.name_size
    f.size = load32(e + 7) if e[0] & ELEMENT_LONG else e[2]
    f.deadline = load_deadline(<const uint8_t*>f.name - 6) if e[0] & ELEMENT_TIMED else -1
    f.block = NULL
    if e[0] & ELEMENT_OUTSIDE:
        memcpy(&f.block, f.value, sizeof(Block*))
        f.value = block_data(f.block)


cdef size_t element_size(const uint8_t* e) noexcept nogil:
    cdef size_t name_size
    cdef const char* name = element_name(e, &name_size)
    cdef size_t value = load32(e + 7) if e[0] & ELEMENT_LONG else e[2]
    if e[0] & ELEMENT_OUTSIDE:
        value = sizeof(Block*)
    return <size_t>(<const uint8_t*>name - e) + name_size + value


cdef inline uint8_t element_flags(size_t name_size, size_t size, int64_t deadline) noexcept nogil:
    cdef uint8_t flags = ELEMENT_TIMED if deadline >= 0 else 0
    if name_size > 255 or size > 255:
        flags |= ELEMENT_LONG
    if size > INLINE_MAX:
        flags |= ELEMENT_OUTSIDE
    return flags


cdef inline size_t element_bytes(uint8_t flags, size_t name_size, size_t size) noexcept nogil:
    return (3 + ((flags & ELEMENT_LONG) << 2) + (flags & ELEMENT_TIMED) * 6 + name_size
            + (sizeof(Block*) if flags & ELEMENT_OUTSIDE else size))


cdef void write_element(uint8_t* e, uint8_t flags, const char* name, size_t name_size,
                        const char* value, size_t size, Block* block,
                        int64_t deadline) noexcept nogil:
    cdef char* p
    cdef size_t ignored
    e[0] = flags
    e[1] = e[2] = 0
    if flags & ELEMENT_LONG:
        store32(e + 3, <uint32_t>name_size)
        store32(e + 7, <uint32_t>size)
    else:
        e[1] = <uint8_t>name_size
        e[2] = <uint8_t>size
    p = <char*>element_name(e, &ignored)
    if flags & ELEMENT_TIMED:
        store_deadline(<uint8_t*>p - 6, deadline)
    memcpy(p, name, name_size)
    if flags & ELEMENT_OUTSIDE:
        memcpy(p + name_size, &block, sizeof(Block*))
    else:
        memcpy(p + name_size, value, size)


# -- packed ----------------------------------------------------------------------------------------

cdef const uint8_t* find_packed(const uint8_t* p, int count, uint8_t form, const char* name,
                                size_t size, Field* field) noexcept nogil:
    """Where the field's element begins, or NULL."""
    cdef const uint8_t* following
    cdef int _i
    for _i in range(count):
        following = read_packed(p, form, field)
        if field.name_size == size and memcmp(field.name, name, size) == 0:
            return p
        p = following
    return NULL


cdef inline const uint8_t* elements(const uint8_t* entry, int* count, uint8_t* form) noexcept nogil:
    cdef size_t size
    cdef const uint8_t* value = <const uint8_t*>entry_value(entry, &size)
    count[0] = load16(value)
    form[0] = value[PACKED_FORM]
    return value + PACKED_HEADER


cdef void load(Packed* packed, const uint8_t* entry) noexcept nogil:
    cdef size_t size
    cdef const uint8_t* value = <const uint8_t*>entry_value(entry, &size)
    packed.count = load16(value)
    packed.form = value[PACKED_FORM]
    packed.size = size
    memcpy(packed.data, value + PACKED_HEADER, size - PACKED_HEADER)


cdef bint make_timed(Packed* packed) noexcept nogil:
    """Make room for deadlines; False if there is none."""
    cdef uint8_t[INLINE_MAX] old
    cdef const uint8_t* p = old
    cdef uint8_t* q = packed.data
    cdef Field field
    cdef int _i
    if packed.form & TIMED:
        return True
    if packed.size + 6 * <size_t>packed.count > INLINE_MAX:
        return False
    memcpy(old, packed.data, packed.size - PACKED_HEADER)
    for _i in range(packed.count):
        p = read_packed(p, packed.form, &field)
        write_packed(q, packed.form | TIMED, field.name, field.name_size, field.value, field.size,
                     -1)
        q += packed_bytes(field.name_size, field.size, packed.form | TIMED)
    packed.form |= TIMED
    packed.size += 6 * <size_t>packed.count
    return True


cdef int put_packed(Packed* packed, const Slice* name, const Slice* value,
                    int64_t deadline) noexcept nogil:
    """Store a field: 1 if it is new, 0 if not, -1 if it does not fit (then nothing changed)."""
    cdef Field field
    cdef uint8_t* p
    cdef size_t old = 0
    cdef size_t new
    cdef size_t used
    if value.size > INLINE_MAX or name.size > INLINE_MAX:
        return -1
    if deadline >= 0 and not make_timed(packed):
        return -1
    p = <uint8_t*>find_packed(packed.data, packed.count, packed.form, name.data, name.size, &field)
    if p is not NULL:
        old = packed_bytes(field.name_size, field.size, packed.form)
        if deadline == KEEP_DEADLINE:
            deadline = field.deadline
    elif packed.count == PACKED_FIELDS:
        return -1
    new = packed_bytes(name.size, value.size, packed.form)
    if packed.size - old + new > INLINE_MAX:
        return -1
    used = packed.size - PACKED_HEADER
    if p is NULL:
        p = packed.data + used
        packed.count += 1
    elif old != new:
        memmove(p + new, p + old, used - <size_t>(p - packed.data) - old)
    write_packed(p, packed.form, name.data, name.size, value.data, value.size, deadline)
    packed.size = packed.size - old + new
    return old == 0


cdef bint drop_packed(Packed* packed, const char* name, size_t size) noexcept nogil:
    cdef Field field
    cdef uint8_t* p = <uint8_t*>find_packed(
        packed.data, packed.count, packed.form, name, size, &field)
    cdef size_t old
    if p is NULL:
        return False
    old = packed_bytes(field.name_size, field.size, packed.form)
    memmove(p, p + old, packed.size - PACKED_HEADER - <size_t>(p - packed.data) - old)
    packed.size -= old
    packed.count -= 1
    return True


cdef int store(Database db, Found* found, const Slice* key, const Packed* packed) except -1:
    """Have the entry hold a packed hash. An empty one only gets its count: it is about to go."""
    cdef size_t size
    cdef char* value
    if found.entry is NULL:
        value = db.place(found, key.data, key.size, HASH | PACKED, packed.size, -1)
    elif packed.count == 0:
        store16(<uint8_t*>entry_value(found.entry, &size), 0)
        return 0
    else:
        value = db.resize(found, packed.size)
    store16(<uint8_t*>value, <uint16_t>packed.count)
    (<uint8_t*>value)[PACKED_FORM] = packed.form
    memcpy(value + PACKED_HEADER, packed.data, packed.size - PACKED_HEADER)
    return 0


# -- in a table ------------------------------------------------------------------------------------

cdef inline size_t apart(const Slabs* slabs) noexcept nogil:
    """What is used beside blocks, which are counted one by one."""
    return slabs.used - slabs.block_bytes


cdef HashRoot* rooted_new(Database db) except NULL:
    cdef size_t before = apart(db.slabs)
    cdef HashRoot* h = <HashRoot*>root_new(db.slabs, HASH, sizeof(HashRoot))
    if h is NULL:
        raise MemoryError
    try:
        h.table = table_new(db.slabs, &db.keyspace.hash_key, element_name)
    except MemoryError:
        root_free(db.slabs, &h.root, sizeof(HashRoot))
        raise
    h.root.bytes = apart(db.slabs) - before
    return h


cdef int note_deadline(HashRoot* h, Slabs* slabs, int64_t now_ms, uint64_t hash, int64_t old,
                       int64_t deadline) except -1:
    """A field gets a deadline: have the hash's own wheel know. First of all, as it may fail."""
    if h.wheel is NULL:
        h.wheel = wheel_new(slabs, now_ms)
    if old < 0 or deadline < old:
        wheel_push(h.wheel, deadline, <uint32_t>(hash >> 32))
        renew_some(h, slabs)
    if h.deadlines == 0 or deadline < h.first:
        h.first = deadline
    return 0


cdef int renew_some(HashRoot* h, Slabs* slabs) except -1:
    """Renew the wheel once most of it is stale, some fields with each deadline that is set.

    Who sets deadlines and deletes the fields long before would fill the memory otherwise.
    """
    cdef uint64_t* position
    cdef Renewing renewing
    if wheel_is_stale(h.wheel, <uint64_t>h.deadlines):
        wheel_renew(h.wheel)
    position = wheel_renewal(h.wheel)
    if position is NULL:
        return 0
    renewing.hash = h
    renewing.slabs = slabs
    if table_walk(h.table, position, RENEWED, push_element, &renewing):
        wheel_renewed(h.wheel)
    return 0


cdef struct Renewing:
    HashRoot* hash
    Slabs* slabs


cdef int push_element(void* context, uint64_t hash, Ref* ref) except -2:
    cdef Renewing* renewing = <Renewing*>context
    cdef Field field
    read_element(<uint8_t*>at(renewing.slabs, ref[0]), &field)
    if field.deadline >= 0:
        hash = table_hash(renewing.hash.table, field.name, field.name_size)
        wheel_push(renewing.hash.wheel, field.deadline, <uint32_t>(hash >> 32))
    return 0


cdef void count_deadline(HashRoot* h, int change) noexcept:
    h.deadlines += change
    if h.deadlines == 0 and h.wheel is not NULL:
        wheel_delete(h.wheel)
        h.wheel = NULL


cdef int put_rooted(HashRoot* h, Slabs* slabs, int64_t now_ms, const Slice* name,
                    const Slice* value, int64_t deadline) except -1:
    cdef size_t before = apart(slabs)
    try:
        return put_element(h, slabs, now_ms, name, value, deadline, NULL)
    finally:
        h.root.bytes += apart(slabs) - before


cdef int put_element(HashRoot* h, Slabs* slabs, int64_t now_ms, const Slice* name,
                     const Slice* value, int64_t deadline, Change* change) except -1:
    """Store a field: 1 if it is new. On MemoryError nothing has changed.

    With `change` it can be taken back until it is settled.
    """
    cdef uint64_t hash = table_hash(h.table, name.data, name.size)
    cdef Place place
    cdef Field field
    cdef Block* own = NULL
    cdef Ref old = table_find(h.table, hash, name.data, name.size, &place)
    cdef Ref ref
    cdef uint8_t flags
    cdef size_t size, old_size
    field.deadline = -1
    field.block = NULL
    old_size = 0
    if old:
        read_element(<uint8_t*>at(slabs, old), &field)
        old_size = element_size(<uint8_t*>at(slabs, old))
    if deadline == KEEP_DEADLINE:
        deadline = field.deadline
    if deadline >= 0:
        note_deadline(h, slabs, now_ms, hash, field.deadline, deadline)
    flags = element_flags(name.size, value.size, deadline)
    size = element_bytes(flags, name.size, value.size)
    if flags & ELEMENT_OUTSIDE:
        own = block_for(slabs, value)
    if old and change is NULL and class_size(old_size) == class_size(size):
        ref = old
        slab_resized(slabs, ref, old_size, size)
    else:
        ref = slab_alloc(slabs, size)
        if ref == 0:
            if own is not NULL:
                block_release(slabs, own)
            raise MemoryError
    write_element(<uint8_t*>at(slabs, ref), flags, name.data, name.size, value.data, value.size,
                  own, deadline)
    if old == 0:
        try:
            table_insert(h.table, hash, ref)
        except MemoryError:
            slab_free(slabs, ref, size)
            if own is not NULL:
                block_release(slabs, own)
            raise
        h.root.count += 1
    elif ref != old:
        table_replace(h.table, &place, ref)
        if change is NULL:
            slab_free(slabs, old, old_size)
    if change is not NULL:
        note_change(change, hash, old, ref, field.deadline)
        return old == 0
    if own is not NULL:
        h.root.bytes += block_cost(own)
    if field.block is not NULL:
        h.root.bytes -= block_cost(field.block)
        block_release(slabs, field.block)
    count_deadline(h, (deadline >= 0) - (field.deadline >= 0))
    return old == 0


cdef Block* block_for(Slabs* slabs, const Slice* value) except NULL:
    """The block of a big value: the one in which it was received, or a copy."""
    cdef Block* own
    if value.block is not NULL and value.block.size == value.size:
        return block_retain(value.block)
    own = block_new(slabs, value.size)
    if own is NULL:
        raise MemoryError
    memcpy(block_data(own), value.data, value.size)
    own.size = value.size
    return own


cdef int put_element_deadline(HashRoot* h, Slabs* slabs, int64_t now_ms, const Slice* name,
                              int64_t deadline, Change* change) except -1:
    """Give a field that exists a deadline (-1: none). The value is not looked at."""
    cdef uint64_t hash = table_hash(h.table, name.data, name.size)
    cdef Place place
    cdef Field field
    cdef Ref old = table_find(h.table, hash, name.data, name.size, &place)
    cdef Ref ref
    cdef uint8_t* e = <uint8_t*>at(slabs, old)
    cdef uint8_t flags = e[0]
    read_element(e, &field)
    if deadline >= 0:
        note_deadline(h, slabs, now_ms, hash, field.deadline, deadline)
    if flags & ELEMENT_TIMED or deadline < 0:
        note_change(change, hash, old, old, field.deadline)
        if flags & ELEMENT_TIMED:
            store_deadline(<uint8_t*>field.name - 6, deadline)
        return 0
    flags |= ELEMENT_TIMED
    ref = slab_alloc(slabs, element_bytes(flags, field.name_size, field.size))
    if ref == 0:
        raise MemoryError
    if field.block is not NULL:
        block_retain(field.block)
    write_element(<uint8_t*>at(slabs, ref), flags, field.name, field.name_size, field.value,
                  field.size, field.block, deadline)
    table_replace(h.table, &place, ref)
    note_change(change, hash, old, ref, field.deadline)
    return 0


# -- changes that can be taken back ----------------------------------------------------------------

cdef inline void note_change(Change* change, uint64_t hash, Ref old, Ref new,
                             int64_t deadline) noexcept nogil:
    change.hash = hash
    change.old = old
    change.new = new
    change.deadline = deadline


cdef void free_field(Slabs* slabs, Ref ref) noexcept:
    """Free an element, and let its block go."""
    cdef uint8_t* e = <uint8_t*>at(slabs, ref)
    cdef Field field
    read_element(e, &field)
    if field.block is not NULL:
        block_release(slabs, field.block)
    slab_free(slabs, ref, element_size(e))


cdef void keep(HashRoot* h, Slabs* slabs, const Change* changes, int count) noexcept:
    """All went well: free what was replaced, and count."""
    cdef const Change* change
    cdef Field field
    cdef int timed = 0
    cdef int i
    for i in range(count):               # in their order: a field may have been changed twice
        change = &changes[i]
        read_element(<uint8_t*>at(slabs, change.new), &field)
        timed += (field.deadline >= 0) - (change.deadline >= 0)
        if change.new == change.old:
            continue
        if field.block is not NULL:
            h.root.bytes += block_cost(field.block)
        if change.old:
            read_element(<uint8_t*>at(slabs, change.old), &field)
            if field.block is not NULL:
                h.root.bytes -= block_cost(field.block)
            free_field(slabs, change.old)
    count_deadline(h, timed)


cdef void take_back(HashRoot* h, Slabs* slabs, const Change* changes, int count) noexcept:
    """Memory ran out: have everything as it was."""
    cdef const Change* change
    cdef Place place
    while count:
        count -= 1
        change = &changes[count]
        if change.new == change.old:
            restore_deadline(<uint8_t*>at(slabs, change.old), change.deadline)
            continue
        table_find_ref(h.table, change.hash, change.new, &place)
        if change.old:
            table_replace(h.table, &place, change.old)
        else:
            table_remove(h.table, change.hash, &place)
            h.root.count -= 1
        free_field(slabs, change.new)
    count_deadline(h, 0)                 # the wheel may have been made for one of them


cdef inline void restore_deadline(uint8_t* e, int64_t deadline) noexcept nogil:
    cdef size_t ignored
    if e[0] & ELEMENT_TIMED:
        store_deadline(<uint8_t*>element_name(e, &ignored) - 6, deadline)


cdef int64_t put_all(HashRoot* h, Slabs* slabs, int64_t now_ms, const Slice* pairs, int count,
                     int64_t deadline) except -1:
    """Store fields: how many are new. On MemoryError nothing has changed."""
    cdef Change* changes
    cdef size_t before = apart(slabs)
    cdef int64_t added = 0
    cdef int done = 0
    if count == 1:
        return put_rooted(h, slabs, now_ms, pairs, pairs + 1, deadline)
    changes = <Change*>malloc(<size_t>count * sizeof(Change))
    if changes is NULL:
        raise MemoryError
    try:
        while done < count:
            added += put_element(h, slabs, now_ms, &pairs[2 * done], &pairs[2 * done + 1],
                                 deadline, &changes[done])
            done += 1
        keep(h, slabs, changes, count)
    except MemoryError:
        take_back(h, slabs, changes, done)
        raise
    finally:
        h.root.bytes += apart(slabs) - before
        free(changes)
    return added


cdef void remove_element(HashRoot* h, Slabs* slabs, uint64_t hash, Ref ref, Place* place) noexcept:
    cdef size_t before = apart(slabs)
    cdef Field field
    cdef uint8_t* e = <uint8_t*>at(slabs, ref)
    cdef size_t size = element_size(e)
    read_element(e, &field)
    table_remove(h.table, hash, place)
    slab_free(slabs, ref, size)
    h.root.count -= 1
    count_deadline(h, -(field.deadline >= 0))
    h.root.bytes -= before - apart(slabs)
    if field.block is not NULL:
        h.root.bytes -= block_cost(field.block)
        block_release(slabs, field.block)


cdef HashRoot* rooted(Database db, const Packed* packed) except NULL:
    """A hash with a table that has the fields of a packed one."""
    cdef HashRoot* h = rooted_new(db)
    cdef const uint8_t* p = <const uint8_t*>packed.data
    cdef Field field
    cdef Slice name, value
    cdef int _i
    h.root.form = packed.form
    value.block = NULL
    try:
        for _i in range(packed.count):
            p = read_packed(p, packed.form, &field)
            name.data, name.size = field.name, field.name_size
            value.data, value.size = field.value, field.size
            put_rooted(h, db.slabs, db.keyspace.now_ms, &name, &value, field.deadline)
    except MemoryError:
        free_all(db.slabs, h)
        raise
    return h


cdef int64_t promote(Database db, Found* found, const Slice* key, const Packed* packed,
                     const Slice* pairs, int count, int64_t deadline) except -1:
    """Make a packed hash one with a table, together with more fields; how many of these are new."""
    cdef HashRoot* h = rooted(db, packed)
    cdef Root* root = &h.root
    cdef int64_t added = 0
    cdef char* place
    cdef int i
    if deadline >= 0:
        h.root.form |= TIMED
    try:
        for i in range(count):
            added += put_rooted(h, db.slabs, db.keyspace.now_ms, &pairs[2 * i], &pairs[2 * i + 1],
                                deadline)
        if found.entry is NULL:
            place = db.place(found, key.data, key.size, HASH, sizeof(Root*), -1)
            memcpy(place, &root, sizeof(Root*))
        else:
            db.put_root(found, root)
    except MemoryError:
        free_all(db.slabs, h)
        raise
    return added


# -- what the other modules call -------------------------------------------------------------------

cdef inline bint hidden(Database db, int64_t deadline) noexcept nogil:
    return 0 <= deadline <= db.keyspace.horizon_ms


cdef bint hash_get(Database db, const uint8_t* entry, const char* name, size_t size,
                   Field* field) noexcept:
    cdef HashRoot* h = <HashRoot*>entry_root(entry)
    cdef const uint8_t* p
    cdef int count
    cdef uint8_t form
    if h is NULL:
        p = elements(entry, &count, &form)
        if find_packed(p, count, form, name, size, field) is NULL:
            return False
    elif not find_rooted(h, db.slabs, name, size, field):
        return False
    return not hidden(db, field.deadline)


cdef inline bint find_rooted(HashRoot* h, Slabs* slabs, const char* name, size_t size,
                             Field* field) noexcept:
    cdef Ref ref = table_find(h.table, table_hash(h.table, name, size), name, size, NULL)
    if ref:
        read_element(<uint8_t*>at(slabs, ref), field)
    return ref != 0


cdef bint is_large(Database db, const Slice* pairs, int count) noexcept:
    cdef int i
    if count > db.keyspace.hash_max_listpack_entries:
        return True
    for i in range(2 * count):
        if <int64_t>pairs[i].size > db.keyspace.hash_max_listpack_value:
            return True
    return False


cdef bint overwrite(uint8_t* entry, const Slice* pair, int64_t deadline) noexcept:
    """Replace a packed value by one of the same size where it lies; False if that cannot be."""
    cdef int count
    cdef uint8_t form
    cdef Field field
    cdef const uint8_t* p = elements(entry, &count, &form)
    if find_packed(p, count, form, pair[0].data, pair[0].size, &field) is NULL:
        return False
    if field.size != pair[1].size or (deadline != KEEP_DEADLINE and deadline != field.deadline):
        return False
    memcpy(<char*>field.value, pair[1].data, field.size)
    return True


cdef int64_t hash_set(Database db, Found* found, const Slice* key, const Slice* pairs, int count,
                      int64_t deadline) except -1:
    cdef uint8_t* entry = found.entry
    cdef HashRoot* h = NULL if entry is NULL else <HashRoot*>entry_root(entry)
    cdef int64_t before = -1 if entry is NULL else <int64_t>value_size_of(entry)
    cdef int64_t due = -1 if entry is NULL else next_deadline(entry)
    cdef bint large = is_large(db, pairs, count)
    cdef int64_t added = 0
    cdef Packed packed
    cdef uint8_t form
    cdef int i, one
    if deadline >= 0 and (due < 0 or deadline < due):
        db.push_deadline(found.hash, deadline)
    if h is not NULL:
        form = (LARGE if large else 0) | (TIMED if deadline >= 0 else 0)
        try:
            added = put_all(h, db.slabs, db.keyspace.now_ms, pairs, count, deadline)
            h.root.form |= form
        finally:
            settle(db, found, before, due)
        return added
    if entry is not NULL and count == 1 and not large and overwrite(entry, pairs, deadline):
        settle(db, found, before, due)
        return 0
    packed.count = packed.form = 0
    packed.size = PACKED_HEADER
    if entry is not NULL:
        load(&packed, entry)
    if large:
        packed.form |= LARGE
    for i in range(count):
        one = put_packed(&packed, &pairs[2 * i], &pairs[2 * i + 1], deadline)
        if one < 0:
            added += promote(db, found, key, &packed, pairs + 2 * i, count - i, deadline)
            break
        added += one
    else:
        store(db, found, key, &packed)
    settle(db, found, before, due)
    return added


cdef void settle(Database db, Found* found, int64_t before, int64_t due) noexcept:
    """Keep the sums after a change; remember that a threshold was passed."""
    cdef int64_t count = <int64_t>value_size_of(found.entry)
    if count > db.keyspace.hash_max_listpack_entries:
        add_form(found.entry, LARGE)
    if count != before:
        db.recount(found.entry, before)
    db.field_deadlines += (next_deadline(found.entry) >= 0) - (due >= 0)


cdef int64_t hash_delete(Database db, Found* found, const Slice* names, int count) except -1:
    cdef HashRoot* h = <HashRoot*>entry_root(found.entry)
    cdef int64_t before = <int64_t>value_size_of(found.entry)
    cdef int64_t due = next_deadline(found.entry)
    cdef int64_t removed = 0
    cdef Packed packed
    cdef Place place
    cdef uint64_t hash
    cdef Ref ref
    cdef int i
    if h is NULL:
        load(&packed, found.entry)
        for i in range(count):
            removed += drop_packed(&packed, names[i].data, names[i].size)
        if removed:
            store(db, found, NULL, &packed)
    else:
        for i in range(count):
            hash = table_hash(h.table, names[i].data, names[i].size)
            ref = table_find(h.table, hash, names[i].data, names[i].size, &place)
            if ref:
                remove_element(h, db.slabs, hash, ref, &place)
                removed += 1
    settle(db, found, before, due)
    return removed


# -- several fields of one request, one after the other --------------------------------------------

cdef void editing_begin(Editing* editing, Database db, Found* found) noexcept:
    editing.db = <void*>db
    editing.found = found
    editing.root = <void*>entry_root(found.entry)
    editing.is_new = editing.is_changed = False
    editing.before = <int64_t>value_size_of(found.entry)
    editing.due = next_deadline(found.entry)
    editing.pushed = editing.due
    editing.changes = NULL
    editing.count = editing.capacity = 0
    if editing.root is NULL:
        load(&editing.packed, found.entry)


cdef bint editing_find(Editing* editing, const Slice* name, Field* field) noexcept:
    cdef Database db = <Database>editing.db
    cdef HashRoot* h = <HashRoot*>editing.root
    cdef Packed* packed = &editing.packed
    if h is not NULL:
        return find_rooted(h, db.slabs, name.data, name.size, field) and not hidden(
            db, field.deadline)
    return find_packed(
        packed.data, packed.count, packed.form, name.data, name.size, field
    ) is not NULL and not hidden(db, field.deadline)


cdef Change* next_change(Editing* editing) except NULL:
    """Room for one more; it counts once it was made."""
    cdef int capacity
    cdef void* bigger
    if editing.count == editing.capacity:
        capacity = max(16, 2 * editing.capacity)
        bigger = realloc(editing.changes, <size_t>capacity * sizeof(Change))
        if bigger is NULL:
            raise MemoryError
        editing.changes = bigger
        editing.capacity = capacity
    return <Change*>editing.changes + editing.count


cdef int editing_deadline(Editing* editing, const Slice* name, int64_t deadline) except -1:
    try:
        return edit_deadline(editing, name, deadline)
    except MemoryError:
        editing_undo(editing)
        raise


cdef int edit_deadline(Editing* editing, const Slice* name, int64_t deadline) except -1:
    cdef Database db = <Database>editing.db
    cdef Packed* packed = &editing.packed
    cdef HashRoot* h
    cdef Field field
    cdef size_t before
    if deadline >= 0 and (editing.pushed < 0 or deadline < editing.pushed):
        db.push_deadline(editing.found.hash, deadline)
        editing.pushed = deadline
    if editing.root is NULL:
        if deadline < 0 or make_timed(packed):
            find_packed(packed.data, packed.count, packed.form, name.data, name.size, &field)
            if packed.form & TIMED:
                store_deadline(<uint8_t*>field.name - 6, deadline)
            editing.is_changed = True
            return 0
        editing.root = <void*>rooted(db, packed)
        editing.is_new = True
    h = <HashRoot*>editing.root
    before = apart(db.slabs)
    try:
        put_element_deadline(h, db.slabs, db.keyspace.now_ms, name, deadline, next_change(editing))
    finally:
        h.root.bytes += apart(db.slabs) - before
    editing.count += 1
    return 0


cdef void editing_delete(Editing* editing, const Slice* name) noexcept:
    cdef HashRoot* h = <HashRoot*>editing.root
    cdef uint64_t hash
    cdef Place place
    cdef Ref ref
    if h is NULL:
        drop_packed(&editing.packed, name.data, name.size)
        editing.is_changed = True
        return
    hash = table_hash(h.table, name.data, name.size)
    ref = table_find(h.table, hash, name.data, name.size, &place)
    remove_element(h, (<Database>editing.db).slabs, hash, ref, &place)


cdef int editing_end(Editing* editing) except -1:
    cdef Database db = <Database>editing.db
    cdef HashRoot* h = <HashRoot*>editing.root
    cdef size_t before
    try:
        if h is NULL:
            if editing.is_changed:
                store(db, editing.found, NULL, &editing.packed)
        elif editing.is_new:
            db.put_root(editing.found, &h.root)
    except MemoryError:
        editing_undo(editing)
        raise
    if h is not NULL and editing.count:
        before = apart(db.slabs)
        keep(h, db.slabs, <Change*>editing.changes, editing.count)
        h.root.bytes += apart(db.slabs) - before
        h.root.form |= TIMED
    free(editing.changes)
    settle(db, editing.found, editing.before, editing.due)
    return 0


cdef void editing_undo(Editing* editing) noexcept:
    cdef Slabs* slabs = (<Database>editing.db).slabs
    cdef HashRoot* h = <HashRoot*>editing.root
    cdef size_t before
    if h is not NULL:
        before = apart(slabs)
        take_back(h, slabs, <Change*>editing.changes, editing.count)
        h.root.bytes += apart(slabs) - before
        if editing.is_new:
            free_all(slabs, h)
    free(editing.changes)


cdef void hash_ask_deadlines(uint8_t* entry) noexcept:
    add_form(entry, ASKED)


cdef void hash_note_size(Database db, uint8_t* entry, const Slice* pairs, int count,
                         int new) noexcept:
    if is_large(db, pairs, count) or (
        <int64_t>value_size_of(entry) + new > db.keyspace.hash_max_listpack_entries
    ):
        add_form(entry, LARGE)


cdef void add_form(uint8_t* entry, uint8_t form) noexcept:
    cdef size_t size
    cdef Root* root = entry_root(entry)
    if root is not NULL:
        root.form |= form
    else:
        (<uint8_t*>entry_value(entry, &size))[PACKED_FORM] |= form


cdef struct Visiting:
    void* db
    void* context
    VisitField visit
    int64_t first                # earliest deadline of all


cdef int visit_element(void* context, uint64_t hash, Ref* ref) except -2:
    cdef Visiting* visiting = <Visiting*>context
    cdef Database db = <Database>visiting.db
    cdef Field field
    read_element(<uint8_t*>at(db.slabs, ref[0]), &field)
    if field.deadline >= 0:
        visiting.first = min(visiting.first, field.deadline)
        if hidden(db, field.deadline):
            return 0
    visiting.visit(visiting.context, &field)
    return 0


cdef int hash_walk(Database db, const uint8_t* entry, VisitField visit, void* context) except -1:
    cdef HashRoot* h = <HashRoot*>entry_root(entry)
    cdef const uint8_t* p
    cdef uint64_t position = 0
    cdef Visiting visiting
    cdef Field field
    cdef int count, _i
    cdef uint8_t form
    if h is NULL:
        p = elements(entry, &count, &form)
        for _i in range(count):
            p = read_packed(p, form, &field)
            if not hidden(db, field.deadline):
                visit(context, &field)
        return 0
    visiting.db = <void*>db
    visiting.context = context
    visiting.visit = visit
    visiting.first = NEVER
    while not table_walk(h.table, &position, ALL, visit_element, &visiting):
        pass
    h.first = visiting.first
    return 0


cdef int count_field(void* context, const Field* field) except -1:
    (<int64_t*>context)[0] += 1
    return 0


cdef int64_t hash_length(Database db, const uint8_t* entry) except -1:
    cdef int64_t count = 0
    if not hash_due(db, entry):
        return <int64_t>value_size_of(entry)
    hash_walk(db, entry, count_field, &count)
    return count


cdef int64_t hash_count(Database db, const uint8_t* entry) except -1:
    if entry_root(entry) is not NULL and value_size_of(entry) > COUNTED:
        return <int64_t>value_size_of(entry)
    return hash_length(db, entry)


cdef bint hash_due(Database db, const uint8_t* entry) noexcept:
    return hidden(db, next_deadline(entry))


cdef Table* hash_table(const uint8_t* entry) noexcept:
    cdef HashRoot* h = <HashRoot*>entry_root(entry)
    return NULL if h is NULL else h.table


cdef bint hash_read(Database db, Ref ref, Field* field) noexcept:
    read_element(<uint8_t*>at(db.slabs, ref), field)
    return not hidden(db, field.deadline)


cdef int hash_scan(Database db, const uint8_t* entry, uint64_t* cursor, int64_t count,
                   VisitField visit, void* context) except -1:
    cdef HashRoot* h = <HashRoot*>entry_root(entry)
    cdef uint64_t position = cursor[0] << CURSOR_SHIFT
    cdef Visiting visiting
    if h is NULL:                # all at once, wherever the cursor stands
        cursor[0] = 0
        return hash_walk(db, entry, visit, context)
    visiting.db = <void*>db
    visiting.context = context
    visiting.visit = visit
    visiting.first = NEVER
    table_walk(h.table, &position, count, visit_element, &visiting)
    cursor[0] = position >> CURSOR_SHIFT
    return 0


# -- fields whose time has passed ------------------------------------------------------------------

cdef struct Due:                 # fields that are to be deleted together
    int64_t now_ms
    Slabs* slabs
    int count
    Slice[BATCH] names
    Ref[BATCH] refs
    uint64_t[BATCH] hashes
    HashRoot* hash


cdef int collect_field(void* context, uint64_t hash, Ref* ref) except -2:
    cdef Due* due = <Due*>context
    cdef Field field
    read_element(<uint8_t*>at(due.slabs, ref[0]), &field)
    if field.deadline < 0:
        return 0
    if field.deadline > due.now_ms or due.count == BATCH:
        wheel_push(due.hash.wheel, field.deadline, <uint32_t>(hash >> 32))
        return 0
    note_due(due, hash, ref[0], &field)
    return 0


cdef void note_due(Due* due, uint64_t hash, Ref ref, const Field* field) noexcept:
    cdef int i
    for i in range(due.count):
        if due.refs[i] == ref:           # its prefix was in the wheel twice
            return
    due.names[due.count].data = field.name
    due.names[due.count].size = field.name_size
    due.refs[due.count] = ref
    due.hashes[due.count] = hash
    due.count += 1


cdef int fire_field(void* context, uint32_t prefix) except -2:
    cdef Due* due = <Due*>context
    table_visit_prefix(due.hash.table, prefix, 32, collect_field, due)
    return 0


cdef int bury_due(Effects effects, Database db, Found* found, Due* due) except -1:
    """Delete what was noted, and say so first."""
    cdef Place place
    cdef size_t size
    cdef const char* key = entry_key(found.entry, &size)
    cdef int i
    if due.count and effects.feeding:
        effects.tell_fields(db, key, size, due.names, due.count)
    for i in range(due.count):
        table_find_ref(due.hash.table, due.hashes[i], due.refs[i], &place)
        remove_element(due.hash, db.slabs, due.hashes[i], due.refs[i], &place)
    i = due.count
    due.count = 0
    return i


cdef void begin_due(Due* due, Database db, HashRoot* h) noexcept:
    due.slabs = db.slabs
    due.now_ms = db.keyspace.now_ms
    due.hash = h
    due.count = 0


cdef bint expire_rooted(Effects effects, Database db, Found* found, HashRoot* h, int64_t limit,
                        int64_t* removed) except -1:
    """Look at about `limit` fields that may be due; True if there are more."""
    cdef Due due
    cdef size_t before
    cdef int64_t coming
    cdef int64_t looked = 0
    cdef bint more = True
    begin_due(&due, db, h)
    while more and looked < limit and h.wheel is not NULL:
        before = apart(db.slabs)
        try:
            looked += wheel_advance(h.wheel, due.now_ms, BATCH // 2, fire_field, &due, &more)
        finally:
            h.root.bytes += apart(db.slabs) - before
        removed[0] += bury_due(effects, db, found, &due)
    if h.wheel is not NULL:
        coming = wheel_next_ms(h.wheel)
        # a slot comes up to a tick after its deadlines
        h.first = due.now_ms if more else coming - TICK_MS
    return more and h.wheel is not NULL


cdef int expire_packed(Effects effects, Database db, Found* found, int64_t* removed) except -1:
    cdef Slice[PACKED_FIELDS] names
    cdef Packed packed
    cdef Field field
    cdef int count, _i
    cdef uint8_t form
    cdef int gone = 0
    cdef size_t size
    cdef const char* key = entry_key(found.entry, &size)
    cdef const uint8_t* p = elements(found.entry, &count, &form)
    load(&packed, found.entry)
    for _i in range(count):
        p = read_packed(p, form, &field)
        if 0 <= field.deadline <= db.keyspace.now_ms:
            names[gone].data, names[gone].size = field.name, field.name_size
            gone += 1
            drop_packed(&packed, field.name, field.name_size)
    if gone == 0:
        return 0
    if effects.feeding:
        effects.tell_fields(db, key, size, names, gone)
    try:
        store(db, found, NULL, &packed)
    except MemoryError:
        return 0                 # they stay hidden, and are deleted another time
    removed[0] = gone
    return 0


cdef bint hash_bury(Effects effects, Database db, Found* found, int64_t limit) except -1:
    cdef HashRoot* h = <HashRoot*>entry_root(found.entry)
    cdef int64_t before = <int64_t>value_size_of(found.entry)
    cdef int64_t due = next_deadline(found.entry)
    cdef int64_t removed = 0
    cdef bint more = False
    try:
        if h is NULL:
            expire_packed(effects, db, found, &removed)
        else:
            more = expire_rooted(effects, db, found, h, limit, &removed)
    finally:
        settle(db, found, before, due)
    return announce_buried(effects, db, found, removed) and more


cdef int hash_bury_named(Effects effects, Database db, Found* found, const Slice* names, int step,
                         int count) except -1:
    cdef HashRoot* h = <HashRoot*>entry_root(found.entry)
    cdef int64_t before = <int64_t>value_size_of(found.entry)
    cdef int64_t first = next_deadline(found.entry)
    cdef int64_t removed = 0
    cdef uint64_t hash
    cdef Field field
    cdef Due due
    cdef Ref ref
    cdef int i
    if h is NULL:
        raise MemoryError        # it was for want of memory that any are left
    begin_due(&due, db, h)
    for i in range(0, step * count, step):
        hash = table_hash(h.table, names[i].data, names[i].size)
        ref = table_find(h.table, hash, names[i].data, names[i].size, NULL)
        if ref and not hash_read(db, ref, &field):
            note_due(&due, hash, ref, &field)
            if due.count == BATCH:
                removed += bury_due(effects, db, found, &due)
    removed += bury_due(effects, db, found, &due)
    settle(db, found, before, first)
    announce_buried(effects, db, found, removed)
    return 0


cdef bint announce_buried(Effects effects, Database db, Found* found, int64_t removed) except -1:
    """Say that fields are gone; a hash without fields goes, too. Is there still one?"""
    cdef size_t size
    cdef const char* key
    cdef bytes name
    if removed == 0:
        return True
    effects.expired_fields += removed
    key = entry_key(found.entry, &size)
    name = PyBytes_FromStringAndSize(key, <Py_ssize_t>size)
    effects.announce(db, name, EVENT_HASH, b"hexpired")
    if value_size_of(found.entry):
        return True
    db.find_hashed(PyBytes_AS_STRING(name), size, found.hash, found)
    db.remove(found)
    effects.announce(db, name, EVENT_GENERIC, b"del")
    return False


cdef bint expire_fields(Effects effects, Database db, Found* found, int64_t limit) except -1:
    """See effects.pxd."""
    cdef int64_t deadline, following
    if hash_bury(effects, db, found, limit):
        return True
    if found.entry is NULL:
        return False
    following = next_deadline(found.entry)
    deadline = entry_deadline(found.entry)
    if following >= 0:
        db.push_deadline(found.hash, following if deadline < 0 else min(following, deadline))
    elif deadline >= 0:
        db.push_deadline(found.hash, deadline)
    return False


# -- what the keyspace asks ------------------------------------------------------------------------

cdef int64_t next_deadline(const uint8_t* entry) noexcept:
    cdef HashRoot* h = <HashRoot*>entry_root(entry)
    cdef const uint8_t* p
    cdef Field field
    cdef int count, _i
    cdef uint8_t form
    cdef int64_t first = NEVER
    if h is not NULL:
        return h.first if h.deadlines else -1
    p = elements(entry, &count, &form)
    if not form & TIMED:
        return -1
    for _i in range(count):
        p = read_packed(p, form, &field)
        if 0 <= field.deadline < first:
            first = field.deadline
    return -1 if first == NEVER else first


cdef int free_element(void* context, uint64_t hash, Ref* ref) except -2:
    free_field(<Slabs*>context, ref[0])
    return 0


cdef void free_all(Slabs* slabs, HashRoot* h) noexcept:
    """Free a hash that no key has yet."""
    free_some(slabs, &h.root, ALL)


cdef bint free_some(Slabs* slabs, Root* root, int64_t limit) except -1:
    cdef HashRoot* h = <HashRoot*>root
    if h.table is not NULL:
        if not table_drain(h.table, limit, free_element, slabs):
            return False
        table_delete(h.table)
    if h.wheel is not NULL:
        wheel_delete(h.wheel)
    root_free(slabs, root, sizeof(HashRoot))
    return True


cdef struct Copying:
    HashRoot* target
    Slabs* slabs
    int64_t now_ms


cdef int copy_element(void* context, uint64_t hash, Ref* ref) except -2:
    cdef Copying* copying = <Copying*>context
    cdef Field field
    cdef Slice name, value
    read_element(<uint8_t*>at(copying.slabs, ref[0]), &field)
    name.data, name.size = field.name, field.name_size
    value.data, value.size = field.value, field.size
    value.block = NULL
    put_rooted(copying.target, copying.slabs, copying.now_ms, &name, &value, field.deadline)
    return 0


cdef Root* copy(Slabs* slabs, const Root* root) except NULL:
    cdef HashRoot* source = <HashRoot*>root
    cdef size_t before = apart(slabs)
    cdef HashRoot* h = <HashRoot*>root_new(slabs, HASH, sizeof(HashRoot))
    cdef Copying copying
    cdef uint64_t position = 0
    if h is NULL:
        raise MemoryError
    h.root.form = root.form
    try:
        h.table = table_new(slabs, source.table.key, element_name)
        h.root.bytes = apart(slabs) - before
        copying.target = h
        copying.slabs = slabs
        copying.now_ms = source.wheel.tick * TICK_MS if source.wheel is not NULL else 0
        while not table_walk(source.table, &position, ALL, copy_element, &copying):
            pass
    except MemoryError:
        free_all(slabs, h)
        raise
    return &h.root


cdef const char* encoding(const uint8_t* entry) noexcept:
    cdef Root* root = entry_root(entry)
    cdef size_t size
    cdef uint8_t form
    if root is not NULL:
        form = root.form
    else:
        form = (<uint8_t*>entry_value(entry, &size))[PACKED_FORM]
    if form & LARGE:
        return b"hashtable"
    return b"listpackex" if form & (TIMED | ASKED) else b"listpack"


cdef int defragment(Slabs* slabs, Root* root, uint64_t* position, int64_t limit,
                    int64_t* moved) except -1:
    return table_defragment((<HashRoot*>root).table, position, limit, element_size, moved)


value_types[<int>HASH].free_some = free_some
value_types[<int>HASH].copy = copy
value_types[<int>HASH].encoding = encoding
value_types[<int>HASH].defragment = defragment
value_types[<int>HASH].next_deadline = next_deadline
effects_module.expire_fields = expire_fields


# -- for Python ------------------------------------------------------------------------------------

cdef int list_field(void* context, const Field* field) except -1:
    (<list>context).append((field.name[:field.name_size], field.value[:field.size],
                            field.deadline))
    return 0


cdef class Hash(View):
    """A hash, for Python code."""

    KIND = Kind.HASH

    def fields(self) -> list:
        """List all fields: name, value, deadline in Unix milliseconds or -1."""
        cdef Found found
        cdef uint8_t* entry = self.entry(&found)
        cdef list listed = []
        if entry is not NULL:
            hash_walk(self.db, entry, list_field, <void*>listed)
        return listed
