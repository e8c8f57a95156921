"""Strings: how they are stored, and how they grow.

A short string lies in its entry, one above INLINE_MAX bytes in a block of its own, which replies
that are being sent may hold as well. Strings that are appended to get room to spare, so that a
million appends stay linear.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t, uint16_t
from libc.string cimport memcpy, memset

from spineldb.core.entry cimport (
    CLOCK,
    INLINE_MAX,
    KIND_MASK,
    STICKY,
    STRING,
    Shape,
    TEXT,
    WIDE,
    access_clock,
    entry_block,
    entry_deadline,
    entry_root,
    entry_size,
    entry_value,
    free_entry,
    key_offset,
    shape_of,
    write_head,
)
from spineldb.core.resp cimport parse_int
from spineldb.core.root cimport Root, root_release, value_types
from spineldb.core.slab cimport (
    Ref,
    at,
    block_data,
    block_new,
    block_release,
    block_resize,
    block_retain,
    class_size,
    slab_alloc,
    slab_free,
    slab_resized,
)
from spineldb.core.table cimport table_insert, table_replace

from spineldb import errors

cdef size_t GROWTH_STEP = <size_t>8 << 20            # a block doubles, up to this step
cdef size_t EMBEDDED_MAX = 44                        # longest string that is called embstr


cdef size_t grown(size_t size) noexcept nogil:
    """Capacity for a block that grows to `size`: amortised, so that appending stays linear."""
    return size + (size if size < GROWTH_STEP else GROWTH_STEP)


cdef int put_string(Database db, Found* found, const char* key, size_t key_size, const char* value,
                    size_t size, Block* block, int64_t deadline, uint8_t sticky) except -1:
    """Store a string under the key that was looked up, whatever stood there before.

    `deadline` is Unix milliseconds or -1. `block`, if given, holds the value and is adopted
    (another reference is taken). `key` and `value` must not lie in the entry itself. On
    MemoryError nothing has changed.
    """
    cdef uint8_t* old = found.entry
    cdef uint8_t* entry
    cdef Block* old_block = NULL
    cdef Root* old_root = NULL
    cdef Block* own = NULL
    cdef bint outside = size > INLINE_MAX
    cdef uint16_t clock = db.keyspace.access_now
    cdef int64_t old_deadline = -1
    cdef int head = STRING | sticky
    cdef size_t old_size = 0
    cdef Ref ref
    cdef Shape shape

    shape_of(&shape, head, key_size, size, deadline, outside)
    if old is not NULL:
        old_size = entry_size(old)
        old_deadline = entry_deadline(old)
        old_root = entry_root(old)
        if db.keyspace.lfu:
            clock = access_clock(old)
    if deadline >= 0 and (old_deadline < 0 or deadline < old_deadline):
        db.push_deadline(found.hash, deadline)
    if outside:
        if block is not NULL and block.size == size:
            own = block_retain(block)
        else:
            own = block_new(db.slabs, size)
            if own is NULL:
                raise MemoryError
            memcpy(block_data(own), value, size)
            own.size = size
    if old is not NULL and class_size(old_size) == class_size(shape.size):
        db.uncount_value(old)
        old_block = entry_block(old)
        entry = old
        slab_resized(db.slabs, found.ref, old_size, shape.size)
    else:
        ref = slab_alloc(db.slabs, shape.size)
        if ref == 0:
            if own is not NULL:
                block_release(db.slabs, own)
            raise MemoryError
        entry = <uint8_t*>at(db.slabs, ref)
        if old is NULL:
            try:
                table_insert(db.table, found.hash, ref)
            except MemoryError:
                slab_free(db.slabs, ref, shape.size)
                if own is not NULL:
                    block_release(db.slabs, own)
                raise
            db.keyspace.born = found.hash
        else:
            db.uncount_value(old)
            old_block = entry_block(old)
            table_replace(db.table, &found.place, ref)
            slab_free(db.slabs, found.ref, old_size)
        found.ref = ref
        found.entry = entry
    write_head(entry, &shape, key_size, size, deadline, outside)
    memcpy(entry + CLOCK, &clock, 2)
    memcpy(entry + shape.key_at, key, key_size)
    if outside:
        memcpy(entry + shape.value_at, &own, sizeof(Block*))
    else:
        memcpy(entry + shape.value_at, value, size)
    if old_block is not NULL:
        block_release(db.slabs, old_block)
    if old_root is not NULL:
        root_release(db.slabs, old_root)
    db.deadlines += (deadline >= 0) - (old_deadline >= 0)
    db.count_size(STRING, size, 1)
    return 0


cdef char* resize_string(Database db, Found* found, const char* key, size_t key_size, size_t size,
                         size_t* old_size) except NULL:
    """Give the string under `key` a new length and return its bytes for writing.

    Creates the key if it is missing. Bytes that are kept stay, new ones are zero; the deadline
    stays; the string is `raw` from now on. Values in blocks grow with room to spare, and are
    copied when a reply that is being sent still holds the block.
    """
    cdef uint8_t* old = found.entry
    cdef uint8_t* entry
    cdef Block* block
    cdef Block* bigger
    cdef char* data
    cdef size_t kept
    cdef size_t before
    cdef int64_t deadline
    cdef bint outside = size > INLINE_MAX
    cdef Shape shape
    cdef Ref ref

    if old is NULL:
        old_size[0] = 0
        deadline = -1
        data = <char*>key                    # of which nothing is kept
        block = NULL
        kept = 0
    else:
        data = entry_value(old, old_size)
        deadline = entry_deadline(old)
        block = entry_block(old)
        kept = min(old_size[0], size)
    if block is not NULL and outside:
        if block.references > 1 or block.capacity < size:
            if block.references > 1:
                bigger = block_new(db.slabs, grown(size))
                if bigger is NULL:
                    raise MemoryError
                memcpy(block_data(bigger), data, kept)
                block_release(db.slabs, block)
            else:
                bigger = block_resize(db.slabs, block, grown(size))
                if bigger is NULL:
                    raise MemoryError
            block = bigger
            memcpy(old + key_offset(old) + key_size, &block, sizeof(Block*))
        db.count_size(STRING, old_size[0], -1)
        db.count_size(STRING, size, 1)
        block.size = size
        if size > kept:
            memset(block_data(block) + kept, 0, size - kept)
        old[0] |= STICKY
        return block_data(block)

    shape_of(&shape, STRING | STICKY, key_size, size, deadline, outside)
    bigger = NULL
    if outside:
        bigger = block_new(db.slabs, size if old is NULL else grown(size))
        if bigger is NULL:
            raise MemoryError
        bigger.size = size
    before = 0 if old is NULL else entry_size(old)
    if old is not NULL and not outside and block is NULL and (
        old[0] & WIDE == shape.head & WIDE and class_size(before) == class_size(shape.size)
    ):
        db.count_size(STRING, old_size[0], -1)
        db.count_size(STRING, size, 1)
        slab_resized(db.slabs, found.ref, before, shape.size)
        write_head(old, &shape, key_size, size, deadline, False)
        if size > kept:
            memset(old + shape.value_at + kept, 0, size - kept)
        return <char*>(old + shape.value_at)
    ref = slab_alloc(db.slabs, shape.size)
    if ref == 0:
        if bigger is not NULL:
            block_release(db.slabs, bigger)
        raise MemoryError
    entry = <uint8_t*>at(db.slabs, ref)
    if old is NULL:
        try:
            table_insert(db.table, found.hash, ref)
        except MemoryError:
            slab_free(db.slabs, ref, shape.size)
            if bigger is not NULL:
                block_release(db.slabs, bigger)
            raise
        db.keyspace.born = found.hash
    write_head(entry, &shape, key_size, size, deadline, outside)
    memcpy(entry + CLOCK, &db.keyspace.access_now, 2)
    memcpy(entry + shape.key_at, key, key_size)
    if outside:
        memcpy(entry + shape.value_at, &bigger, sizeof(Block*))
        memcpy(block_data(bigger), data, kept)
        memset(block_data(bigger) + kept, 0, size - kept)
    else:
        memcpy(entry + shape.value_at, data, kept)
        memset(entry + shape.value_at + kept, 0, size - kept)
    if old is not NULL:
        db.count_size(STRING, old_size[0], -1)
        table_replace(db.table, &found.place, ref)
        free_entry(db.slabs, found.ref)
    db.count_size(STRING, size, 1)
    found.ref = ref
    found.entry = entry
    return block_data(bigger) if outside else <char*>(entry + shape.value_at)


def get(Database db, bytes key) -> bytes | None:
    """Return a copy of the string under `key`, or None.

    Raises `errors.WrongType` if the value is of another kind.
    """
    cdef Found found
    cdef size_t size
    cdef char* data
    cdef uint8_t* entry = db.named(key, &found)
    if entry is NULL:
        return None
    if entry[0] & KIND_MASK != STRING:
        raise errors.WrongType
    db.keyspace.touch(entry)
    data = entry_value(entry, &size)
    return PyBytes_FromStringAndSize(data, <Py_ssize_t>size)


def put(Database db, bytes key, bytes value, int64_t deadline=-1, bint raw=False) -> None:
    """Store a string, whatever was there; `deadline` in Unix milliseconds, -1 for none."""
    cdef Found found
    db.named(key, &found)
    put_string(db, &found, PyBytes_AS_STRING(key), <size_t>PyBytes_GET_SIZE(key),
               PyBytes_AS_STRING(value), <size_t>PyBytes_GET_SIZE(value), NULL, deadline,
               STICKY if raw else 0)


cdef const char* encoding_of(const uint8_t* entry) noexcept:
    cdef size_t size
    cdef int64_t number
    cdef char* data = entry_value(entry, &size)
    if entry[0] & STICKY:
        return b"raw"
    if not entry[0] & TEXT and size <= 20 and parse_int(data, size, &number):
        return b"int"
    return b"embstr" if size <= EMBEDDED_MAX else b"raw"


value_types[<int>STRING].encoding = encoding_of
