"""Databases: tables of entries, their deadlines, who watches which key.

A database is a table of entries (entry.pxd) and a timing wheel of hash prefixes. Every function
that changes an entry keeps three sums with it: the allocator's bytes, the number of keys with a
deadline, and the histogram of sizes per type (INFO keysizes).

Nothing here knows about commands, events or logs: a look-up hides a key whose time has passed and
says so; burying it, which is an effect, is the caller's business (effects.pyx).

Pointers into an entry and `Found` are good until the next change of that database.
"""

cimport cython

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint16_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memmove, memset

from spineldb.core.drop cimport Drop
from spineldb.core.entry cimport (
    CLOCK,
    HASH,
    HAS_DEADLINE,
    HEADER,
    KIND_MASK,
    LIST,
    NARROW_MAX,
    PACKED,
    Shape,
    WIDE,
    access_clock,
    entry_block,
    entry_deadline,
    entry_key,
    entry_root,
    entry_size,
    entry_value,
    free_entry,
    is_narrow,
    key_offset,
    shape_of,
    usage_of,
    value_size_of,
    write_head,
)
from spineldb.core.root cimport value_types
from spineldb.core.slab cimport (
    Block,
    at,
    block_data,
    block_new,
    class_size,
    slab_alloc,
    slab_free,
    slab_resized,
)
from spineldb.core.session cimport DIRTY_WATCH, Session
from spineldb.core.table cimport (
    table_delete,
    table_find,
    table_find_ref,
    table_hash,
    table_insert,
    table_new,
    table_random,
    table_remove,
    table_replace,
    table_scan,
    table_shape,
)
from spineldb.core.wheel cimport (
    wheel_bytes,
    wheel_count,
    wheel_delete,
    wheel_new,
    wheel_push,
)

from spineldb import errors

cdef int TTL_SAMPLES = 64                            # keys looked at for INFO's avg_ttl

#: TYPE's names by kind, in the order of `Kind`. Extensions have names of their own.
KIND_NAMES = (b"none", b"string", b"list", b"set", b"zset", b"hash", b"stream")


cdef int size_bin(size_t size) noexcept nogil:
    cdef int n = 0
    while size:
        n += 1
        size >>= 1
    return n


cdef inline int64_t inner_deadline(const uint8_t* entry) noexcept:
    """When something in a value expires by itself, or -1."""
    if value_types[entry[0] & KIND_MASK].next_deadline is NULL:
        return -1
    return value_types[entry[0] & KIND_MASK].next_deadline(entry)


@cython.no_gc_clear                  # its memory is the keyspace's, which must outlive it
cdef class Database:
    """One numbered database."""

    def __cinit__(self, Store keyspace, int index):
        self.keyspace = keyspace
        self.index = index
        self.slabs = keyspace.slabs
        self.table = table_new(keyspace.slabs, &keyspace.hash_key, entry_key)
        self.wheel = wheel_new(keyspace.slabs, keyspace.now_ms)
        self.sizes = <Sizes*>calloc(1, sizeof(Sizes))
        if self.sizes is NULL:
            raise MemoryError
        self.undertaker = Undertaker()
        self.watched = {}
        self.awaited = {}

    def __dealloc__(self):
        # The entries go with the slabs: a keyspace outlives its databases.
        if self.table is not NULL:
            table_delete(self.table)
        if self.wheel is not NULL:
            wheel_delete(self.wheel)
        free(self.sizes)

    # -- look-up ---------------------------------------------------------------------------------

    cdef uint8_t* find_hashed(self, const char* key, size_t size, uint64_t hash,
                              Found* found) noexcept:
        """Look a key up. NULL when it is absent or its time has passed (`found.expired` tells)."""
        cdef uint8_t* entry
        found.hash = hash
        found.expired = False
        found.ref = table_find(self.table, hash, key, size, &found.place)
        if found.ref == 0:
            found.entry = NULL
            return NULL
        entry = <uint8_t*>at(self.slabs, found.ref)
        found.entry = entry
        if entry[0] & HAS_DEADLINE and entry_deadline(entry) <= self.keyspace.horizon_ms:
            found.expired = True
            return NULL
        return entry

    # -- changes ---------------------------------------------------------------------------------

    cdef void count_size(self, int kind, size_t size, int change) noexcept:
        if kind < SIZE_KINDS:
            self.sizes.bins[kind][size_bin(size)] += change

    cdef void uncount(self, const uint8_t* entry) noexcept:
        """Take an entry that goes out of the sums."""
        self.uncount_value(entry)
        self.deadlines -= entry[0] & HAS_DEADLINE != 0

    cdef void uncount_value(self, const uint8_t* entry) noexcept:
        """Take a value that goes, or is about to be replaced, out of the sums."""
        self.count_size(entry[0] & KIND_MASK, value_size_of(entry), -1)
        self.field_deadlines -= inner_deadline(entry) >= 0

    cdef int push_deadline(self, uint64_t hash, int64_t deadline) except -1:
        return wheel_push(self.wheel, deadline, <uint32_t>(hash >> 32))

    cdef void recount(self, const uint8_t* entry, int64_t before) noexcept:
        cdef int kind = entry[0] & KIND_MASK
        if before >= 0:
            self.count_size(kind, <size_t>before, -1)
        self.count_size(kind, value_size_of(entry), 1)

    cdef char* place(self, Found* found, const char* key, size_t key_size, int head, size_t size,
                     int64_t deadline) except NULL:
        """Store a value in place of whatever stood there. On MemoryError all is as it was.

        `head` is a kind and its flags, `size` at most INLINE_MAX, `deadline` Unix ms or -1.
        """
        cdef uint8_t* entry
        cdef uint16_t clock = self.keyspace.access_now
        cdef Shape shape
        cdef Ref ref
        shape_of(&shape, head, key_size, size, deadline, False)
        if deadline >= 0:
            self.push_deadline(found.hash, deadline)
        ref = slab_alloc(self.slabs, shape.size)
        if ref == 0:
            raise MemoryError
        entry = <uint8_t*>at(self.slabs, ref)
        write_head(entry, &shape, key_size, size, deadline, False)
        if found.entry is not NULL and self.keyspace.lfu:
            clock = access_clock(found.entry)
        memcpy(entry + CLOCK, &clock, 2)
        memcpy(entry + shape.key_at, key, key_size)
        if found.entry is NULL:
            try:
                table_insert(self.table, found.hash, ref)
            except MemoryError:
                slab_free(self.slabs, ref, shape.size)
                raise
            self.keyspace.born = found.hash
            table_find_ref(self.table, found.hash, ref, &found.place)    # for a `resize` to come
        else:
            self.uncount(found.entry)
            table_replace(self.table, &found.place, ref)
            free_entry(self.slabs, found.ref)
        self.deadlines += deadline >= 0
        found.ref = ref
        found.entry = entry
        return <char*>(entry + shape.value_at)

    cdef char* resize(self, Found* found, size_t size) except NULL:
        """Give the value in an entry a new length, at most INLINE_MAX. New bytes are undefined."""
        cdef uint8_t* old = found.entry
        cdef uint8_t* entry
        cdef int64_t deadline = entry_deadline(old)
        cdef size_t key_size, old_value
        cdef size_t old_size = entry_size(old)
        cdef char* value = entry_value(old, &old_value)
        cdef size_t kept = min(old_value, size)
        cdef Shape shape
        cdef Ref ref
        entry_key(old, &key_size)
        shape_of(&shape, old[0], key_size, size, deadline, False)
        if old[0] & WIDE == shape.head & WIDE and class_size(old_size) == class_size(shape.size):
            slab_resized(self.slabs, found.ref, old_size, shape.size)
            write_head(old, &shape, key_size, size, deadline, False)
            return value
        ref = slab_alloc(self.slabs, shape.size)
        if ref == 0:
            raise MemoryError
        entry = <uint8_t*>at(self.slabs, ref)
        write_head(entry, &shape, key_size, size, deadline, False)
        memcpy(entry + CLOCK, old + CLOCK, 2)
        memcpy(entry + shape.key_at, old + key_offset(old), key_size)
        memcpy(entry + shape.value_at, value, kept)
        if found.place.geometry != self.table.geometry:
            table_find_ref(self.table, found.hash, found.ref, &found.place)
        table_replace(self.table, &found.place, ref)
        slab_free(self.slabs, found.ref, old_size)
        found.ref = ref
        found.entry = entry
        return <char*>(entry + shape.value_at)

    cdef int put_root(self, Found* found, Root* root) except -1:
        """Make a packed value, all of which is in `root` by now, one of its own."""
        cdef char* value = self.resize(found, sizeof(Root*))
        memcpy(value, &root, sizeof(Root*))
        found.entry[0] &= ~PACKED
        return 0

    cdef void forget(self, Found* found) noexcept:
        """Remove the entry that was looked up; its block or structure belongs to another now."""
        cdef uint8_t* entry = <uint8_t*>at(self.slabs, found.ref)
        if found.place.geometry != self.table.geometry:
            table_find_ref(self.table, found.hash, found.ref, &found.place)
        self.uncount(entry)
        table_remove(self.table, found.hash, &found.place)
        slab_free(self.slabs, found.ref, entry_size(entry))
        found.entry = NULL
        found.ref = 0

    cdef int set_deadline(self, Found* found, int64_t deadline) except -1:
        """Set the deadline of a key that exists (Unix milliseconds; -1 removes it)."""
        cdef uint8_t* old = found.entry
        cdef uint8_t* entry
        cdef Block* block = entry_block(old)
        cdef int64_t old_deadline = entry_deadline(old)
        cdef size_t key_size, stored
        cdef size_t old_size = entry_size(old)
        cdef size_t old_at = key_offset(old)
        cdef bint wide = old[0] & WIDE != 0
        cdef Shape shape
        cdef Ref ref

        if deadline < 0 and old_deadline < 0:
            return 0
        if deadline >= 0 and (old_deadline < 0 or deadline < old_deadline):
            self.push_deadline(found.hash, deadline)
        if deadline >= 0 and old_deadline >= 0 and (wide or is_narrow(deadline)):
            memcpy(old + HEADER, &deadline, 8 if wide else 6)
            return 0
        entry_key(old, &key_size)
        stored = old_size - old_at - key_size
        shape_of(&shape, old[0], key_size, stored, deadline, block is not NULL)
        if block is not NULL and not shape.head & WIDE:
            # a value in a block always needs the wide form
            shape_of(&shape, old[0], key_size, NARROW_MAX + 1, deadline, True)
        if class_size(old_size) == class_size(shape.size):
            slab_resized(self.slabs, found.ref, old_size, max(old_size, shape.size))
            memmove(old + shape.key_at, old + old_at, key_size + stored)
            write_head(old, &shape, key_size, stored, deadline, block is not NULL)
            slab_resized(self.slabs, found.ref, max(old_size, shape.size), shape.size)
        else:
            ref = slab_alloc(self.slabs, shape.size)
            if ref == 0:
                raise MemoryError
            entry = <uint8_t*>at(self.slabs, ref)
            write_head(entry, &shape, key_size, stored, deadline, block is not NULL)
            memcpy(entry + CLOCK, old + CLOCK, 2)
            memcpy(entry + shape.key_at, old + old_at, key_size + stored)
            table_replace(self.table, &found.place, ref)
            slab_free(self.slabs, found.ref, old_size)
            found.ref = ref
            found.entry = entry
        self.deadlines += (deadline >= 0) - (old_deadline >= 0)
        return 0

    cdef int remove(self, Found* found) except -1:
        """Remove the entry that was looked up (also one whose time has passed) and free it."""
        self.uncount(<uint8_t*>at(self.slabs, found.ref))
        table_remove(self.table, found.hash, &found.place)
        free_entry(self.slabs, found.ref)
        found.entry = NULL
        found.ref = 0
        return 0

    cdef int rename(self, Found* found, Database target, Found* place, const char* key,
                    size_t key_size, bint copy) except -1:
        """Give a value, with its deadline, another key in `target`, whatever stood there before.

        `place` is the look-up of that key, made after that of the value. With `copy` the old entry
        stays, otherwise it is removed. A block or a structure is copied only with `copy`. On
        MemoryError nothing has changed.
        """
        cdef uint8_t* old = found.entry
        cdef uint8_t* entry
        cdef Block* block = entry_block(old)
        cdef Root* root = entry_root(old)
        cdef int64_t deadline = entry_deadline(old)
        cdef int64_t due
        cdef size_t value_size
        cdef char* value = entry_value(old, &value_size)
        cdef uint16_t clock = self.keyspace.access_now if copy else access_clock(old)
        cdef Shape shape
        cdef Ref ref

        shape_of(&shape, old[0], key_size, value_size, deadline, block is not NULL)
        if deadline >= 0:
            target.push_deadline(place.hash, deadline)
        due = inner_deadline(old)
        if due >= 0:
            target.push_deadline(place.hash, due)
        ref = slab_alloc(self.slabs, shape.size)
        if ref == 0:
            raise MemoryError
        entry = <uint8_t*>at(self.slabs, ref)
        write_head(entry, &shape, key_size, value_size, deadline, block is not NULL)
        memcpy(entry + CLOCK, &clock, 2)
        memcpy(entry + shape.key_at, key, key_size)
        try:
            if copy and block is not NULL:
                block = copy_of_block(self.slabs, block)
            if copy and root is not NULL:
                root = value_types[root.kind].copy(self.slabs, root)
        except MemoryError:
            slab_free(self.slabs, ref, shape.size)
            raise
        if block is not NULL:
            memcpy(entry + shape.value_at, &block, sizeof(Block*))
        elif root is not NULL:
            memcpy(entry + shape.value_at, &root, sizeof(Root*))
        else:
            memcpy(entry + shape.value_at, value, value_size)
        if place.entry is not NULL:
            target.uncount(place.entry)
            table_replace(target.table, &place.place, ref)
            free_entry(self.slabs, place.ref)
        else:
            try:
                table_insert(target.table, place.hash, ref)
            except MemoryError:
                if copy:
                    free_entry(self.slabs, ref)
                else:
                    slab_free(self.slabs, ref, shape.size)
                raise
        place.entry = entry
        place.ref = ref
        target.recount(entry, -1)
        target.deadlines += deadline >= 0
        target.field_deadlines += due >= 0
        if not copy:
            self.forget(found)
        return 0

    cdef int touch_watchers(self, bytes key) except -1:
        """Mark the clients that WATCH `key`: their EXEC must fail, whatever else they watch."""
        cdef dict sessions = self.watched.get(key)
        cdef Session session
        if sessions is not None:
            for session in list(sessions):
                session.flags |= DIRTY_WATCH
                unwatch_all(session)
        return 0

    cdef uint8_t* lookup(self, const char* key, size_t size, uint64_t hash,
                         Found* found) except? NULL:
        """Look a key up; bury it first if its time has passed and burying is allowed now."""
        cdef uint8_t* entry = self.find_hashed(key, size, hash, found)
        if found.expired and self.undertaker.bury(self, found):
            found.entry = NULL
            found.expired = False
        return entry

    # -- what Python sees --------------------------------------------------------------------------

    def find(self, bytes key, kind: type) -> View | None:
        """Return the value under `key`, of the kind that a subclass of `View` stands for, or None.

        Raises `errors.WrongType` if there is one of another kind.
        """
        cdef Found found
        if self.named(key, &found) is NULL:
            return None
        view = self.find_or_create(key, kind)
        self.keyspace.touch(found.entry)
        return view

    def find_or_create(self, bytes key, kind: type) -> View:
        """Return the value under `key`; if there is none, one that its first element creates.

        Raises `errors.WrongType` if there is a value of another kind.
        """
        cdef Found found
        cdef View view = kind(self, key)
        self.named(key, &found)
        view.entry(&found)
        return view

    def delete_empty(self, bytes key) -> bool:
        """Remove a list, set, hash or sorted set that has lost its last element; tell if it was."""
        cdef Found found
        cdef uint8_t* entry = self.named(key, &found)
        if entry is NULL or not LIST <= entry[0] & KIND_MASK <= HASH or value_size_of(entry):
            return False
        self.remove(&found)
        return True

    def length(self, bytes key) -> int:
        """Return the bytes of a string, the elements of another value; 0 without the key."""
        cdef Found found
        cdef uint8_t* entry = self.named(key, &found)
        return 0 if entry is NULL else <Py_ssize_t>value_size_of(entry)

    cdef uint8_t* named(self, bytes key, Found* found) except? NULL:
        cdef const char* data = PyBytes_AS_STRING(key)
        cdef size_t size = <size_t>PyBytes_GET_SIZE(key)
        return self.lookup(data, size, table_hash(self.table, data, size), found)

    def __len__(self) -> int:
        return <Py_ssize_t>self.table.count

    def __contains__(self, bytes key) -> bool:
        cdef Found found
        return self.named(key, &found) is not NULL

    @property
    def bytes(self) -> int:
        """Memory of the table's segments, its directory and the wheel, which are overhead."""
        return self.table.bytes + wheel_bytes(self.wheel)

    def sizes_of(self, int kind) -> dict:
        """Return how many keys of a kind have which size: {0, 1, 2, 4 ...: keys}."""
        cdef int n
        cdef int64_t* bins = self.sizes.bins[kind]
        return {(1 << n) >> 1: bins[n] for n in range(SIZE_BINS) if bins[n]}

    def kind(self, bytes key) -> int:
        """Return the kind of a key's value (a `Kind`), 0 if there is none."""
        cdef Found found
        cdef uint8_t* entry = self.named(key, &found)
        return 0 if entry is NULL else entry[0] & KIND_MASK

    def peek(self, bytes key) -> tuple:
        """Return a key's kind and size, (0, 0) without the key. Neither buries nor touches it."""
        cdef Found found
        cdef const char* data = PyBytes_AS_STRING(key)
        cdef size_t size = <size_t>PyBytes_GET_SIZE(key)
        cdef uint8_t* entry = self.find_hashed(
            data, size, table_hash(self.table, data, size), &found)
        if entry is NULL:
            return 0, 0
        return entry[0] & KIND_MASK, value_size_of(entry)

    def delete(self, bytes key) -> bool:
        """Remove a key; tell whether it was there."""
        cdef Found found
        if self.named(key, &found) is NULL:
            return False
        self.remove(&found)
        return True

    def deadline(self, bytes key) -> int | None:
        """Return a key's deadline in Unix milliseconds, -1 if it has none, None without the key."""
        cdef Found found
        cdef uint8_t* entry = self.named(key, &found)
        return None if entry is NULL else entry_deadline(entry)

    def expire_at(self, bytes key, int64_t deadline) -> bool:
        """Set a key's deadline (Unix milliseconds, -1: none); tell whether there is such a key."""
        cdef Found found
        if self.named(key, &found) is NULL:
            return False
        self.set_deadline(&found, deadline)
        return True

    def move(self, bytes key, Database target, bytes name, bint copy=False) -> bool:
        """Store the value of `key`, with its deadline, under `name` of `target`, over what is
        there.

        With `copy` the old key stays. False if there is no such key. It must not be the same key.
        """
        cdef Found found, place
        if self.named(key, &found) is NULL:
            return False
        target.named(name, &place)
        self.rename(&found, target, &place, PyBytes_AS_STRING(name),
                    <size_t>PyBytes_GET_SIZE(name), copy)
        return True

    def random_key(self) -> bytes | None:
        """Return a key chosen fairly among those that have not expired, or None."""
        cdef uint8_t* entry
        cdef const char* key
        cdef size_t size
        cdef Ref ref
        cdef int tries = 100
        while self.table.count:
            ref = table_random(self.table, self.keyspace.random())
            if ref == 0:
                return None
            entry = <uint8_t*>at(self.slabs, ref)
            tries -= 1
            if not entry[0] & HAS_DEADLINE or entry_deadline(entry) > self.keyspace.horizon_ms:
                break
            if tries == 0:
                return None
        else:
            return None
        key = entry_key(entry, &size)
        return PyBytes_FromStringAndSize(key, <Py_ssize_t>size)

    @property
    def mean_ttl_ms(self) -> int:
        """Milliseconds that keys with a deadline have left, on average over a few random ones."""
        cdef int64_t total = 0
        cdef int64_t seen = 0
        cdef int64_t deadline
        cdef Ref ref
        if self.deadlines == 0:
            return 0
        for _ in range(TTL_SAMPLES):
            ref = table_random(self.table, self.keyspace.random())
            if ref:
                deadline = entry_deadline(<uint8_t*>at(self.slabs, ref))
                if deadline > self.keyspace.now_ms:
                    total += deadline - self.keyspace.now_ms
                    seen += 1
        return total // seen if seen else 0

    def idle_seconds(self, bytes key) -> int | None:
        """Return the seconds since the key was last used, or None without the key."""
        cdef Found found
        cdef uint8_t* entry = self.named(key, &found)
        return None if entry is NULL else self.keyspace.idle_of(entry)

    def frequency(self, bytes key) -> int | None:
        """Return the key's LFU counter (0-255) after its decay, or None without the key."""
        cdef Found found
        cdef uint8_t* entry = self.named(key, &found)
        return None if entry is NULL else self.keyspace.frequency_of(entry)

    def encoding(self, bytes key) -> bytes | None:
        """Return OBJECT ENCODING's name for a key's value, or None without the key."""
        cdef Found found
        cdef uint8_t* entry = self.named(key, &found)
        return None if entry is NULL else value_types[entry[0] & KIND_MASK].encoding(entry)

    def usage(self, bytes key) -> int | None:
        """Return the bytes a key takes: entry, block, slot, and its place in the wheel."""
        cdef Found found
        cdef uint8_t* entry = self.named(key, &found)
        return None if entry is NULL else usage_of(entry)

    def address(self, bytes key) -> int | None:
        """Return where a key's entry lies in memory, or None without the key (DEBUG OBJECT)."""
        cdef Found found
        cdef uint8_t* entry = self.named(key, &found)
        return None if entry is NULL else <size_t>entry

    @property
    def wheel_bytes(self) -> int:
        """The part of `bytes` that is the timing wheel."""
        return wheel_bytes(self.wheel)

    @property
    def shape(self) -> dict[str, int]:
        """The table's segments, buckets, depth and spilled entries (DEBUG HTSTATS)."""
        return table_shape(self.table)

    def scan(self, uint64_t cursor) -> tuple:
        """Take one step of an iteration: (next cursor, [(key, kind, deadline) ...]).

        The cursor is opaque; 0 begins and ends. Every key that exists from the first step to the
        last is returned at least once. A step returns the keys of about one bucket.
        """
        cdef list found = []
        cdef Listing listing
        listing.slabs = self.slabs
        listing.found = <void*>found
        cdef uint64_t following = table_scan(self.table, cursor, list_entry, &listing)
        return following, found

    def flush(self) -> int:
        """Forget every key; the memory comes back in slices. Returns how many keys there were."""
        cdef Py_ssize_t count = len(self)
        cdef Table* table
        cdef Wheel* wheel
        if count or wheel_count(self.wheel):
            table = table_new(self.slabs, &self.keyspace.hash_key, entry_key)
            try:
                wheel = wheel_new(self.slabs, self.keyspace.now_ms)
            except MemoryError:
                table_delete(table)
                raise
            self.keyspace.work.add(Drop.of(self.keyspace, self.table, self.wheel))
            self.table = table
            self.wheel = wheel
            self.deadlines = self.field_deadlines = 0
            memset(self.sizes, 0, sizeof(Sizes))
        return count

    def swap(self, Database other) -> None:
        """Exchange the contents of two databases; who watches or awaits a key stays."""
        self.table, other.table = other.table, self.table
        self.wheel, other.wheel = other.wheel, self.wheel
        self.deadlines, other.deadlines = other.deadlines, self.deadlines
        self.field_deadlines, other.field_deadlines = other.field_deadlines, self.field_deadlines
        self.sizes, other.sizes = other.sizes, self.sizes

    def watch(self, bytes key, Session session) -> None:
        """Mark `session` when `key` changes, until `unwatch`."""
        cdef dict sessions = self.watched.setdefault(key, {})
        if session not in sessions:
            sessions[session] = None
            self.keyspace.watched_keys += 1

    def unwatch(self, bytes key, Session session) -> None:
        """Undo `watch`."""
        cdef dict sessions = self.watched.get(key)
        if sessions is not None and session in sessions:
            del sessions[session]
            self.keyspace.watched_keys -= 1
            if not sessions:
                del self.watched[key]


def unwatch_all(Session session not None) -> None:
    """Take a client out of the registries of what it watches."""
    cdef Database db
    if session.transaction is not None:
        for db, key, _ in session.transaction.watched:
            db.unwatch(key, session)
        session.transaction.watched = []


cdef struct Listing:
    const Slabs* slabs
    void* found                  # a list of Python's


cdef int list_entry(void* context, uint64_t hash, Ref* ref) except -2:
    cdef Listing* listing = <Listing*>context
    cdef uint8_t* entry = <uint8_t*>at(listing.slabs, ref[0])
    cdef size_t size
    cdef const char* key = entry_key(entry, &size)
    (<list>listing.found).append((
        PyBytes_FromStringAndSize(key, <Py_ssize_t>size), entry[0] & KIND_MASK,
        entry_deadline(entry),
    ))
    return 0


cdef Block* copy_of_block(Slabs* slabs, Block* block) except NULL:
    cdef Block* own = block_new(slabs, block.size)
    if own is NULL:
        raise MemoryError
    memcpy(block_data(own), block_data(block), block.size)
    own.size = block.size
    return own


cdef class View:
    """A value under a key, for Python code. Subclasses are the types; `KIND` says which."""

    def __cinit__(self, Database db, bytes key):
        self.db = db
        self.key = key
        self.hash = table_hash(db.table, PyBytes_AS_STRING(key), <size_t>PyBytes_GET_SIZE(key))

    cdef uint8_t* entry(self, Found* found) except? NULL:
        cdef uint8_t* entry = self.db.find_hashed(
            PyBytes_AS_STRING(self.key), <size_t>PyBytes_GET_SIZE(self.key), self.hash, found)
        if entry is not NULL and entry[0] & KIND_MASK != <int>self.KIND:
            raise errors.WrongType
        return entry

    def __len__(self) -> int:
        cdef Found found
        cdef uint8_t* entry = self.entry(&found)
        return 0 if entry is NULL else <Py_ssize_t>value_size_of(entry)


cdef class Undertaker:
    """Buries keys whose time has passed: `effects.Effects` is the one of the server."""

    cdef bint bury(self, Database db, Found* found) except -1:
        """Remove the entry and tell everybody; False if it must only be hidden."""
        db.remove(found)
        return True
