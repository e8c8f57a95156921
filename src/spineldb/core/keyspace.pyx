"""The keyspace: numbered databases of entries, their deadlines, who watches which key.

A database is a table of entries (entry.pxd) and a timing wheel of hash prefixes. Every function
that changes an entry keeps three sums with it: the allocator's bytes, the number of keys with a
deadline, and the histogram of sizes per type (INFO keysizes).

Nothing here knows about commands, events or logs: a look-up hides a key whose time has passed and
says so; burying it, which is an effect, is the caller's business (effects.pyx).

Pointers into an entry and `Found` are good until the next change of that database.
"""

cimport cython

from spineldb.clock cimport monotonic_ns

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memmove, memset

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
    set_access_clock,
    shape_of,
    usage_of,
    value_size_of,
    write_head,
)
from spineldb.core.hashing cimport hash_key_init
from spineldb.core.root cimport roots_drain, value_types
from spineldb.core.slab cimport (
    Block,
    at,
    block_data,
    block_new,
    class_size,
    slab_alloc,
    slab_committed,
    slab_drain,
    slab_free,
    slab_resized,
    slabs_delete,
    slabs_new,
)
from spineldb.core.session cimport DIRTY_WATCH, Session
from spineldb.core.table cimport (
    table_defragment,
    table_delete,
    table_drain,
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
    table_walk,
)
from spineldb.core.wheel cimport (
    wheel_bytes,
    wheel_count,
    wheel_delete,
    wheel_is_stale,
    wheel_new,
    wheel_push,
    wheel_renew,
    wheel_renewal,
    wheel_renewed,
)

import os

from spineldb import errors

cdef size_t RESERVE_BYTES = <size_t>32 << 30         # all that 32 bits can name, in units of 8
cdef int64_t ACCESS_CYCLE = 65535                    # access clocks are 1 to this; 0 is long ago
cdef int64_t WALK_SLICE = 64                         # entries walked between looks at the clock
cdef int TTL_SAMPLES = 64                            # keys looked at for INFO's avg_ttl
cdef int LFU_INITIAL = 5                             # a new key's counter: time to earn its keep
cdef size_t DRAIN_SLICE = <size_t>4 << 20            # mapped memory given back per slice of work
cdef size_t DEBT_BYTES = <size_t>64 << 20            # waiting to be freed: writers help above it,
cdef size_t DEBT_SHARE = 10                          # or above this share of what is used, but not
cdef size_t DEBT_MINIMUM = <size_t>16 << 20          # before this: released blocks serve new values

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

    def __cinit__(self, Keyspace keyspace, int index):
        self.keyspace = keyspace
        self.index = index
        self.slabs = keyspace.slabs
        self.table = table_new(keyspace.slabs, &keyspace.hash_key, entry_key)
        self.wheel = wheel_new(keyspace.slabs, keyspace.now_ms)
        self.sizes = <Sizes*>calloc(1, sizeof(Sizes))
        if self.sizes is NULL:
            raise MemoryError
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
        if found.expired and self.keyspace.undertaker.bury(self, found):
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


cdef class Keyspace:
    """All databases, their memory and their clock."""

    def __cinit__(self, int databases=16, bytes seed=None, size_t reserve=RESERVE_BYTES,
                  int64_t now_ms=0):
        cdef int index
        self.slabs = slabs_new(reserve)
        hash_key_init(&self.hash_key, os.urandom(16) if seed is None else seed)
        self.random_state = int.from_bytes(os.urandom(8) if seed is None else seed[:8], "little")
        self.lfu_log_factor = 10
        self.string_limit = 512 << 20
        self.lfu_decay_minutes = 1
        self.list_max_listpack_size = -2
        self.hash_max_listpack_entries = self.set_max_intset_entries = 512
        self.set_max_listpack_entries = self.zset_max_listpack_entries = 128
        self.hash_max_listpack_value = 64
        self.set_max_listpack_value = self.zset_max_listpack_value = 64
        self.hll_sparse_max_bytes = 3000
        self.stream_node_max_bytes = 4096
        self.stream_node_max_entries = 100
        self.access_origin_s = now_ms // 1000 - 1
        self.set_now(now_ms)
        self.undertaker = Undertaker()
        self.work = WorkQueue()
        self.databases = [Database(self, index) for index in range(databases)]

    def __dealloc__(self):
        if self.slabs is not NULL:
            slabs_delete(self.slabs)

    cdef Database database(self, int index):
        return <Database>self.databases[index]

    cdef void set_now(self, int64_t now_ms) noexcept:
        """Set the wall clock that deadlines and accesses are measured by."""
        cdef int64_t since
        self.now_ms = now_ms
        self.horizon_ms = -1 if self.applying_ else now_ms
        if self.lfu:
            self.access_now = <uint16_t>(LFU_INITIAL | (now_ms // 60000 & 0xff) << 8)
        else:
            since = (now_ms // 1000 - self.access_origin_s) % ACCESS_CYCLE
            if since < 0:                    # the wall clock went back
                since += ACCESS_CYCLE
            self.access_now = <uint16_t>(since + 1)

    @property
    def applying(self) -> bool:
        """Whether a stream of effects is being applied: then no deadline has passed by itself.

        What expired while the stream was written stands in it as a DEL, at the right place; a key
        that is found expired now was alive for the commands that follow in the stream.
        """
        return self.applying_

    @applying.setter
    def applying(self, bint on) -> None:
        self.applying_ = on
        self.set_now(self.now_ms)

    def advance(self, int64_t now_ms) -> None:
        """Set the wall clock that deadlines and accesses are measured by (Unix milliseconds)."""
        self.set_now(now_ms)

    cdef uint64_t random(self) noexcept:
        """64 random bits for sampling (splitmix64; Steele, Lea and Flood, 2014)."""
        cdef uint64_t z
        self.random_state += <uint64_t>0x9e3779b97f4a7c15u
        z = self.random_state
        z = (z ^ (z >> 30)) * <uint64_t>0xbf58476d1ce4e5b9u
        z = (z ^ (z >> 27)) * <uint64_t>0x94d049bb133111ebu
        return z ^ (z >> 31)

    cdef void touch(self, uint8_t* entry) noexcept:
        """Record that an entry was used."""
        cdef uint16_t clock
        cdef int counter
        if self.no_touch:
            return
        if not self.lfu:
            set_access_clock(entry, self.access_now)
            return
        counter = self.frequency_of(entry)
        if counter < 255 and (
            counter < LFU_INITIAL
            or self.random() % <uint64_t>((counter - LFU_INITIAL) * self.lfu_log_factor + 1) == 0
        ):
            counter += 1
        clock = <uint16_t>(counter | (self.now_ms // 60000 & 0xff) << 8)
        set_access_clock(entry, clock)

    cdef int frequency_of(self, const uint8_t* entry) noexcept:
        cdef uint16_t clock = access_clock(entry)
        cdef int64_t minutes = (self.now_ms // 60000 - (clock >> 8)) & 0xff
        cdef int64_t counter = clock & 0xff
        if self.lfu_decay_minutes > 0:
            counter -= minutes // self.lfu_decay_minutes
        return <int>max(counter, 0)

    cdef int64_t idle_of(self, const uint8_t* entry) noexcept:
        cdef int64_t clock = access_clock(entry)
        if clock == 0:
            return ACCESS_CYCLE
        return (self.access_now - clock + ACCESS_CYCLE) % ACCESS_CYCLE

    @property
    def used_memory(self) -> int:
        """Bytes that the dataset allocates: an exact sum, tables and wheels included."""
        return self.slabs.used

    @property
    def committed_memory(self) -> int:
        """Bytes of memory the entries' slabs hold from the system."""
        return slab_committed(self.slabs) + self.slabs.block_bytes

    @property
    def block_memory(self) -> int:
        """The part of `used_memory` that is in blocks of their own."""
        return self.slabs.block_bytes

    @property
    def moved_count(self) -> int:
        """Entries that the defragmenting walk has moved so far."""
        return self.moved_entries

    @property
    def owed_memory(self) -> int:
        """The part of `used_memory` that only waits to be freed; an estimate while tables do."""
        return self.owed()

    cdef size_t owed(self) noexcept:
        """What blocks released have is known; keys of flushed tables count as the mean of all."""
        cdef size_t queued = self.slabs.queued_bytes + self.slabs.orphan_bytes
        cdef size_t kept = queued            # and what is no key's
        cdef double keys = 0
        cdef Database db
        cdef int i
        if self.dropping_keys == 0:
            return queued
        for i in range(len(self.databases)):
            db = self.database(i)
            keys += db.table.count
            kept += db.table.bytes + wheel_bytes(db.wheel)
        return queued + <size_t>(
            (self.slabs.used - kept) * (self.dropping_keys / (self.dropping_keys + keys)))

    cdef bint in_debt(self) noexcept:
        cdef size_t owed
        if self.slabs.queued_bytes + self.slabs.orphan_bytes == 0 and self.dropping_keys == 0:
            return False
        owed = self.owed()
        return owed > DEBT_BYTES or (owed > DEBT_MINIMUM and owed > self.slabs.used // DEBT_SHARE)

    @property
    def waiting_values(self) -> int:
        """Values that no key has any more and that wait to be freed."""
        cdef Root* root = <Root*>self.slabs.orphans
        cdef int64_t count = 0
        while root is not NULL:
            count += 1
            root = root.next
        return count

    def defragment(self) -> None:
        """Queue a walk that moves entries out of sparsely used slabs."""
        if not self.defragmenting:
            self.defragmenting = True
            self.work.add(begun(Defragment(), self))

    def age(self) -> None:
        """Queue a walk that saturates the access clocks that would soon seem young again."""
        if not self.lfu:
            self.work.add(begun(Ageing(), self))

    def renew_wheels(self) -> None:
        """Queue a walk that renews timing wheels which mostly hold keys that are gone."""
        cdef Database db
        cdef bint begun = False
        for db in self.databases:
            if wheel_is_stale(db.wheel, <uint64_t>db.deadlines):
                wheel_renew(db.wheel)
            begun = begun or wheel_renewal(db.wheel) is not NULL
        if begun and not any(isinstance(job, Renewal) for job in self.work.jobs):
            self.work.add(Renewal.of(self))

    def run_work(self, int64_t budget_us) -> bool:
        """Do queued work for at most `budget_us`; tell whether some is left."""
        cdef int64_t until_ns = monotonic_ns() + budget_us * 1000
        while slab_drain(self.slabs, DRAIN_SLICE):
            if monotonic_ns() >= until_ns:
                return True
        while roots_drain(self.slabs, WALK_SLICE):
            if monotonic_ns() >= until_ns:
                return True
        left = self.work.run(max((until_ns - monotonic_ns()) // 1000, 1)) > 0
        # what that work let go waits as well
        return left or self.slabs.queued_bytes > 0 or self.slabs.orphans is not NULL


@cython.no_gc_clear                  # as Database
cdef class Drop(Work):
    """Free the entries of a table that was flushed, then the table."""

    cdef Keyspace keyspace
    cdef Table* table
    cdef Wheel* wheel

    @staticmethod
    cdef Drop of(Keyspace keyspace, Table* table, Wheel* wheel):
        cdef Drop job = Drop.__new__(Drop)
        job.keyspace = keyspace
        job.table = table
        job.wheel = wheel
        keyspace.dropping_keys += table.count
        return job

    def __dealloc__(self):
        if self.table is not NULL:
            table_delete(self.table)
        if self.wheel is not NULL:
            wheel_delete(self.wheel)

    cdef bint step(self, int64_t until_ns) except -1:
        cdef Keyspace keyspace = self.keyspace
        while not table_drain(self.table, WALK_SLICE, free_visited, <void*>keyspace):
            if monotonic_ns() >= until_ns:
                return False
        table_delete(self.table)
        wheel_delete(self.wheel)
        self.table = NULL
        self.wheel = NULL
        return True


cdef int free_visited(void* context, uint64_t hash, Ref* ref) except -2:
    cdef Keyspace keyspace = <Keyspace>context
    free_entry(keyspace.slabs, ref[0])
    keyspace.dropping_keys -= 1
    keyspace.dropped_keys += 1
    return 0


cdef class Renewal(Work):
    """Push the deadlines of all keys to the wheels that are being renewed.

    How far it has come is kept in the wheel, which goes with its table (SWAPDB, FLUSHDB).
    """

    cdef Keyspace keyspace

    @staticmethod
    cdef Renewal of(Keyspace keyspace):
        cdef Renewal job = Renewal.__new__(Renewal)
        job.keyspace = keyspace
        return job

    cdef bint step(self, int64_t until_ns) except -1:
        cdef Database db
        cdef uint64_t* position
        for db in self.keyspace.databases:
            while True:
                position = wheel_renewal(db.wheel)
                if position is NULL:
                    break
                if table_walk(db.table, position, WALK_SLICE, push_visited, <void*>db):
                    wheel_renewed(db.wheel)
                if monotonic_ns() >= until_ns:
                    return False
        return True


cdef int push_visited(void* context, uint64_t hash, Ref* ref) except -2:
    cdef Database db = <Database>context
    cdef uint8_t* entry = <uint8_t*>at(db.slabs, ref[0])
    cdef int64_t deadline = entry_deadline(entry)
    cdef int64_t due = -1
    cdef const char* key
    cdef size_t size
    if value_types[entry[0] & KIND_MASK].next_deadline is not NULL:
        due = value_types[entry[0] & KIND_MASK].next_deadline(entry)
    if due >= 0 and (deadline < 0 or due < deadline):
        deadline = due
    if deadline >= 0:
        key = entry_key(entry, &size)
        db.push_deadline(table_hash(db.table, key, size), deadline)
    return 0


cdef class Walk(Work):
    """Go through the tables of all databases, slice by slice. Subclasses say what for."""

    cdef Keyspace keyspace
    cdef int index
    cdef uint64_t position

    cdef bint walk(self, Table* table) except -1:
        """Take one slice of a table from `position` on; True at its end."""
        return True

    cdef int finish(self) except -1:
        """All tables have been walked."""
        return 0

    cdef bint step(self, int64_t until_ns) except -1:
        while self.index < len(self.keyspace.databases):
            if self.walk(self.keyspace.database(self.index).table):
                self.index += 1
                self.position = 0
            if monotonic_ns() >= until_ns:
                return False
        self.finish()
        return True


cdef Walk begun(Walk job, Keyspace keyspace):
    job.keyspace = keyspace
    return job


cdef class Defragment(Walk):
    """Move entries out of slabs that are mostly empty, so that these go back to the system."""

    cdef bint walk(self, Table* table) except -1:
        return table_defragment(table, &self.position, WALK_SLICE, entry_size,
                                &self.keyspace.moved_entries)

    cdef int finish(self) except -1:
        self.keyspace.defragmenting = False
        return 0


cdef class Ageing(Walk):
    """Write 0 (long ago) into access clocks older than half a cycle, before it comes round."""

    cdef bint walk(self, Table* table) except -1:
        return table_walk(table, &self.position, WALK_SLICE, age_visited, <void*>self.keyspace)


cdef int age_visited(void* context, uint64_t hash, Ref* ref) except -2:
    cdef Keyspace keyspace = <Keyspace>context
    cdef uint8_t* entry = <uint8_t*>at(keyspace.slabs, ref[0])
    if keyspace.idle_of(entry) > ACCESS_CYCLE // 2:
        set_access_clock(entry, 0)
    return 0
