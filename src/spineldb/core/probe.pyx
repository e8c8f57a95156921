"""The tests' door to the core's C functions: small Python classes around one table or allocator.

Nothing in the server imports this module. Property tests drive a table and a `dict` side by side
through it, and its `measure` prints what a table costs on the machine at hand.
"""

cimport cython
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from spineldb.clock cimport monotonic_ns
from spineldb.core.entry cimport HEADER, entry_key, key_offset, load32, store32
from spineldb.core.hashing cimport HashKey, hash_key_init
from spineldb.core.slab cimport (
    Block, Ref, Slabs, at, block_cost, block_data, block_new, block_release, block_resize,
    block_retain, class_size, slab_alloc, slab_committed, slab_drain, slab_free, slab_move,
    slab_resized, slab_sparse, slabs_delete, slabs_new,
)
from spineldb.core.table cimport (
    Place, Table, table_defragment, table_delete, table_drain, table_faults, table_find,
    table_hash, table_insert, table_new, table_prefetch, table_prefetch_entries, table_random,
    table_remove, table_replace, table_reserve, table_scan, table_shape, table_visit_prefix,
    table_walk,
)
from spineldb.core.wheel cimport (
    Wheel, wheel_advance, wheel_bytes, wheel_count, wheel_delete, wheel_new, wheel_next_ms,
    wheel_push,
)


cdef class SlabsProbe:
    """An allocator of its own, and the allocations made from it by number."""

    cdef Slabs* slabs
    cdef dict blocks
    cdef int64_t next_block

    def __cinit__(self, reserve: int = 1 << 30):
        self.blocks = {}
        self.slabs = slabs_new(reserve)

    def __dealloc__(self):
        slabs_delete(self.slabs)

    @property
    def used(self) -> int:
        """Bytes handed out, as counted."""
        return self.slabs.used

    @property
    def block_bytes(self) -> int:
        """The part of `used` in blocks."""
        return self.slabs.block_bytes

    @property
    def queued_bytes(self) -> int:
        """The part of `used` that waits for `drain`."""
        return self.slabs.queued_bytes

    @property
    def committed(self) -> int:
        """Bytes held from the system."""
        return slab_committed(self.slabs)

    @property
    def fail_in(self) -> int:
        """Allocations until one fails; 0 is never."""
        return self.slabs.fail_in

    @fail_in.setter
    def fail_in(self, value: int) -> None:
        self.slabs.fail_in = value

    @property
    def shared(self) -> bool:
        """Does a snapshot child share the pages?"""
        return bool(self.slabs.shared)

    @shared.setter
    def shared(self, value: bool) -> None:
        self.slabs.shared = value

    def alloc(self, size: int, fill: int = 0) -> int:
        """Allocate an entry, filled with a byte; 0 without memory."""
        cdef Ref ref = slab_alloc(self.slabs, size)
        if ref:
            memset(at(self.slabs, ref), fill, size)
        return ref

    def free(self, ref: int, size: int) -> None:
        """Free an entry."""
        slab_free(self.slabs, ref, size)

    def move(self, ref: int, size: int) -> int:
        """Move an entry; 0 without memory."""
        return slab_move(self.slabs, ref, size)

    def sparse(self, ref: int) -> bool:
        """Is the entry's slab under 75 % used?"""
        return bool(slab_sparse(self.slabs, ref))

    def resized(self, ref: int, old: int, new: int) -> None:
        """Tell that an entry grew or shrank within its class."""
        slab_resized(self.slabs, ref, old, new)

    def read(self, ref: int, size: int) -> bytes:
        """Return the bytes of an entry."""
        return (<const char*>at(self.slabs, ref))[:size]

    def address(self, ref: int) -> int:
        """Return where an entry lies."""
        return <size_t>at(self.slabs, ref)

    def class_size(self, size: int) -> int:
        """Return what an entry of `size` takes."""
        return class_size(size)

    cdef Block* block(self, int64_t number) except NULL:
        cdef size_t address = self.blocks[number]
        return <Block*>address

    def block_new(self, capacity: int) -> int:
        """Allocate a block and return its number; 0 without memory."""
        cdef Block* block = block_new(self.slabs, capacity)
        if block is NULL:
            return 0
        self.next_block += 1
        self.blocks[self.next_block] = <size_t>block
        return self.next_block

    def block_write(self, number: int, data: bytes) -> None:
        """Store bytes at the start of a block."""
        cdef Block* block = self.block(number)
        cdef const char* p = data
        assert len(data) <= <Py_ssize_t>block.capacity
        memcpy(block_data(block), p, len(data))
        block.size = len(data)

    def block_read(self, number: int) -> bytes:
        """Return the bytes of a block."""
        cdef Block* block = self.block(number)
        return block_data(block)[:block.size]

    def block_resize(self, number: int, capacity: int) -> bool:
        """Resize a block; False without memory."""
        cdef Block* block = block_resize(self.slabs, self.block(number), capacity)
        if block is NULL:
            return False
        self.blocks[number] = <size_t>block
        return True

    def block_capacity(self, number: int) -> int:
        """Return how many bytes a block may hold."""
        return self.block(number).capacity

    def block_cost(self, number: int) -> int:
        """Return what a block is counted as."""
        return block_cost(self.block(number))

    def block_retain(self, number: int) -> None:
        """Hold one more reference."""
        block_retain(self.block(number))

    def block_release(self, number: int) -> None:
        """Drop a reference."""
        block_release(self.slabs, self.block(number))

    def drain(self, limit: int) -> int:
        """Give released mapped blocks back, `limit` bytes at most; return what still waits."""
        return slab_drain(self.slabs, limit)


cdef size_t size_of_entry(const uint8_t* entry) noexcept nogil:
    """Entries here: the header, an 8-bit or wide key length, the key, then the value."""
    cdef size_t key_size
    cdef const char* key = entry_key(entry, &key_size)
    if entry[0] & 0x20:
        return key_offset(entry) + key_size + load32(entry + key_offset(entry) - 4)
    return (key - <const char*>entry) + key_size + entry[2]


cdef int collect(void* context, uint64_t hash, Ref* ref) except -2:
    (<list>context).append((hash, ref[0]))
    return 0


@cython.no_gc_clear              # the allocator must outlive the table
cdef class TableProbe:
    """A table of entries with byte strings for keys and values.

    `weak`: hash with secrets of zero, so that 16-byte keys beginning with 8 zero bytes collide.
    """

    cdef readonly SlabsProbe allocator
    cdef Slabs* slabs
    cdef Table* table
    cdef HashKey key
    cdef bint draining

    def __cinit__(self, allocator: SlabsProbe, seed: bytes = b"seed", weak: bool = False):
        self.allocator = allocator
        self.slabs = allocator.slabs
        hash_key_init(&self.key, seed)
        if weak:
            memset(&self.key, 0, sizeof(HashKey))
        self.table = table_new(self.slabs, &self.key, entry_key)

    def __dealloc__(self):
        if self.table is not NULL:
            while self.draining and not self.drain(1 << 30):
                pass
            if not self.draining:
                self.clear()
            table_delete(self.table)

    def clear(self) -> None:
        """Free every entry and forget it, keeping the table."""
        cdef uint64_t position = 0
        table_walk(self.table, &position, <int64_t>1 << 62, free_entry, <void*>self)

    def __len__(self):
        return self.table.count

    @property
    def own_bytes(self) -> int:
        """Memory of the table itself."""
        return self.table.bytes

    @property
    def geometry(self) -> int:
        """The counter of moves."""
        return self.table.geometry

    def shape(self) -> dict[str, int]:
        """Return segments, buckets, directory bits and spilled entries."""
        return table_shape(self.table)

    def faults(self) -> list[str]:
        """Return what contradicts the table's invariants."""
        return table_faults(self.table)

    def hash(self, key: bytes) -> int:
        """Return a key's hash."""
        return table_hash(self.table, key, len(key))

    cdef Ref entry_new(self, bytes key, bytes value) except? 0:
        cdef bint wide = len(key) > 255 or len(value) > 255
        cdef size_t offset = HEADER + (8 if wide else 0)
        cdef Ref ref = slab_alloc(self.slabs, offset + len(key) + len(value))
        cdef uint8_t* entry
        if ref == 0:
            raise MemoryError("no memory for an entry")
        entry = <uint8_t*>at(self.slabs, ref)
        memset(entry, 0, offset)
        entry[0] = 0x21 if wide else 1
        if wide:
            store32(entry + HEADER, len(key))
            store32(entry + HEADER + 4, len(value))
        else:
            entry[1] = <uint8_t>len(key)
            entry[2] = <uint8_t>len(value)
        memcpy(entry + offset, <const char*>key, len(key))
        memcpy(entry + offset + len(key), <const char*>value, len(value))
        return ref

    cdef void entry_free(self, Ref ref) noexcept:
        slab_free(self.slabs, ref, size_of_entry(<const uint8_t*>at(self.slabs, ref)))

    cdef bytes key_at(self, Ref ref):
        cdef size_t size
        cdef const char* key = entry_key(<const uint8_t*>at(self.slabs, ref), &size)
        return key[:size]

    cdef bytes value_at(self, Ref ref):
        cdef size_t size
        cdef const char* entry = <const char*>at(self.slabs, ref)
        cdef const char* key = entry_key(<const uint8_t*>entry, &size)
        return key[size:size_of_entry(<const uint8_t*>entry) - (key - entry)]

    def reserve(self, count: int) -> bool:
        """Lay the empty table out for so many entries; False without memory."""
        return table_reserve(self.table, count)

    def set(self, key: bytes, value: bytes) -> bool:
        """Insert or replace; return whether the key is new."""
        cdef Place place
        cdef uint64_t hash = table_hash(self.table, key, len(key))
        cdef Ref new = self.entry_new(key, value)
        cdef Ref old = table_find(self.table, hash, key, len(key), &place)
        if old:
            table_replace(self.table, &place, new)
            self.entry_free(old)
            return False
        try:
            table_insert(self.table, hash, new)
        except MemoryError:
            self.entry_free(new)
            raise
        return True

    def get(self, key: bytes) -> bytes | None:
        """Return a key's value."""
        cdef uint64_t hash = table_hash(self.table, key, len(key))
        cdef Ref ref
        table_prefetch(self.table, hash)
        table_prefetch_entries(self.table, hash)
        ref = table_find(self.table, hash, key, len(key), NULL)
        return self.value_at(ref) if ref else None

    def delete(self, key: bytes) -> bool:
        """Remove a key; return whether it was there."""
        cdef Place place
        cdef uint64_t hash = table_hash(self.table, key, len(key))
        cdef Ref ref = table_find(self.table, hash, key, len(key), &place)
        if ref == 0:
            return False
        table_remove(self.table, hash, &place)
        self.entry_free(ref)
        return True

    def scan(self, cursor: int) -> tuple[int, list[bytes]]:
        """Visit one bucket: the next cursor and its keys. Checks the hashes given."""
        cdef list seen = []
        cdef uint64_t following = table_scan(self.table, cursor, collect, <void*>seen)
        keys = [self.key_at(ref) for _, ref in seen]
        assert [self.hash(key) for key in keys] == [hash for hash, _ in seen]
        return following, keys

    def random(self, bits: int) -> bytes | None:
        """Return a random key."""
        cdef Ref ref = table_random(self.table, bits)
        return self.key_at(ref) if ref else None

    def walk(self, position: int, limit: int) -> tuple[int, bool, list[bytes]]:
        """Take one step of a walk: the next position, whether it was the last, its keys."""
        cdef list seen = []
        cdef uint64_t at_position = position
        cdef int end = table_walk(self.table, &at_position, limit, collect, <void*>seen)
        return at_position, bool(end), [self.key_at(ref) for _, ref in seen]

    def visit_prefix(self, prefix: int, bits: int) -> list[bytes]:
        """Return the keys whose hashes have this prefix."""
        cdef list seen = []
        table_visit_prefix(self.table, prefix, bits, collect, <void*>seen)
        return [self.key_at(ref) for _, ref in seen]

    def remove_prefix(self, prefix: int, bits: int) -> int:
        """Remove the keys whose hashes have this prefix, through the visitor's answer."""
        return table_visit_prefix(self.table, prefix, bits, free_entry, <void*>self)

    def delete_by_visit(self, prefix: int, bits: int, keys: list[bytes]) -> int:
        """Delete `keys` at the first visit of a prefix, from inside it; return the visits."""
        context = (self, keys)
        return table_visit_prefix(self.table, prefix, bits, delete_others, <void*>context)

    def drain(self, limit: int) -> bool:
        """Free some entries of a table that is being dropped; True when it is empty."""
        self.draining = True
        return bool(table_drain(self.table, limit, free_entry, <void*>self))

    def defragment(self, position: int, limit: int) -> tuple[int, bool, int]:
        """Take one defragmenting step: the next position, whether it was the last, moved."""
        cdef uint64_t at_position = position
        cdef int64_t moved = 0
        cdef int end = table_defragment(self.table, &at_position, limit, size_of_entry, &moved)
        return at_position, bool(end), moved


cdef int free_entry(void* context, uint64_t hash, Ref* ref) except -2:
    (<TableProbe>context).entry_free(ref[0])
    ref[0] = 0
    return 0


cdef int delete_others(void* context, uint64_t hash, Ref* ref) except -2:
    probe, keys = <tuple>context
    while keys:
        probe.delete(keys.pop())
    return 0


@cython.no_gc_clear
cdef class WheelProbe:
    """A timing wheel; `advance` calls back with each prefix it hands out."""

    cdef SlabsProbe allocator
    cdef Wheel* wheel

    def __cinit__(self, allocator: SlabsProbe, now_ms: int = 0):
        self.allocator = allocator
        self.wheel = wheel_new(allocator.slabs, now_ms)

    def __dealloc__(self):
        wheel_delete(self.wheel)

    def __len__(self):
        return wheel_count(self.wheel)

    @property
    def own_bytes(self) -> int:
        """Memory of the wheel."""
        return wheel_bytes(self.wheel)

    @property
    def next_ms(self) -> int:
        """The earliest moment at which something may be due, or -1."""
        return wheel_next_ms(self.wheel)

    def push(self, deadline_ms: int, prefix: int) -> None:
        """Remember a prefix."""
        wheel_push(self.wheel, deadline_ms, prefix)

    def advance(self, now_ms: int, limit: int, fire: object) -> tuple[int, bool]:
        """Hand out due prefixes: how many, and whether more are due."""
        cdef bint more = False
        cdef int64_t fired
        fired = wheel_advance(self.wheel, now_ms, limit, call_fire, <void*>fire, &more)
        return fired, bool(more)


cdef int call_fire(void* context, uint32_t prefix) except -2:
    return -1 if (<object>context)(prefix) is False else 0


# ---------------------------------------------------------------------- measuring

cdef size_t write_key(char* key, uint64_t number) noexcept nogil:
    """`key:0000001234`: 14 bytes, in an order that has nothing to do with the number."""
    cdef int i
    memcpy(key, "key:", 4)
    for i in range(10):
        key[13 - i] = <char>(48 + number % 10)
        number //= 10
    return 14


def measure(count: int, value_size: int = 10) -> dict[str, float]:
    """Fill a table and return nanoseconds per operation and bytes per key."""
    cdef Slabs* slabs = slabs_new(<size_t>1 << 35)
    cdef HashKey key
    hash_key_init(&key, b"measure")
    cdef Table* table = table_new(slabs, &key, entry_key)
    try:
        return measure_table(slabs, table, count, value_size)
    finally:
        table_delete(table)
        slabs_delete(slabs)


cdef dict measure_table(Slabs* slabs, Table* table, uint64_t count, size_t value_size):
    cdef uint64_t i, hash
    cdef uint64_t state = 1
    cdef int64_t begin, before
    cdef int64_t worst = 0
    cdef uint64_t sum = 0
    cdef uint64_t samples = min(count, <uint64_t>1000000)
    cdef uint64_t ahead[32]
    cdef char names[32][16]
    cdef char name[16]
    cdef Ref ref
    cdef Place place
    cdef uint8_t* entry
    cdef dict figures = {}
    cdef uint64_t* order = <uint64_t*>malloc(samples * sizeof(uint64_t))
    begin = monotonic_ns()
    for i in range(count):
        write_key(name, i)
        hash = table_hash(table, name, 14)
        if table_find(table, hash, name, 14, NULL):
            continue
        ref = slab_alloc(slabs, HEADER + 14 + value_size)
        entry = <uint8_t*>at(slabs, ref)
        memset(entry, 0, HEADER + 14 + value_size)
        entry[1] = 14
        entry[2] = <uint8_t>value_size
        memcpy(entry + HEADER, name, 14)
        before = monotonic_ns() if i & 15 == 0 else 0
        table_insert(table, hash, ref)
        if before:
            worst = max(worst, monotonic_ns() - before)
    figures["insert"] = <double>(monotonic_ns() - begin) / count
    figures["worst insert"] = worst
    figures["bytes per key"] = <double>slabs.used / count
    for i in range(samples):
        state = state * 6364136223846793005u + 1442695040888963407u
        order[i] = (state >> 20) % count
    begin = monotonic_ns()
    for i in range(samples):
        # Dependent: the next key is not known before this one is found.
        write_key(name, order[(i + (sum & 1)) % samples])
        ref = table_find(table, table_hash(table, name, 14), name, 14, NULL)
        sum += (<uint8_t*>at(slabs, ref))[1] & 2
    figures["get"] = <double>(monotonic_ns() - begin) / samples
    begin = monotonic_ns()
    for i in range(samples + 16):
        if i < samples:
            write_key(names[i & 31], order[i])
            ahead[i & 31] = table_hash(table, names[i & 31], 14)
            table_prefetch(table, ahead[i & 31])
        if 8 <= i < samples + 8:
            table_prefetch_entries(table, ahead[(i - 8) & 31])
        if i >= 16:
            ref = table_find(table, ahead[(i - 16) & 31], names[(i - 16) & 31], 14, NULL)
            sum += (<uint8_t*>at(slabs, ref))[1]
    figures["get prefetched"] = <double>(monotonic_ns() - begin) / samples
    begin = monotonic_ns()
    for i in range(samples + 16):
        if i < samples:
            write_key(names[i & 31], order[i])
            names[i & 31][0] = c'x'
            ahead[i & 31] = table_hash(table, names[i & 31], 14)
            table_prefetch(table, ahead[i & 31])
        if i >= 16:
            sum += table_find(table, ahead[(i - 16) & 31], names[(i - 16) & 31], 14, NULL)
    figures["miss prefetched"] = <double>(monotonic_ns() - begin) / samples
    begin = monotonic_ns()
    for i in range(samples):
        write_key(name, order[i])
        hash = table_hash(table, name, 14)
        ref = table_find(table, hash, name, 14, &place)
        if ref:
            table_remove(table, hash, &place)
            slab_free(slabs, ref, HEADER + 14 + value_size)
    figures["remove"] = <double>(monotonic_ns() - begin) / samples
    figures["sum"] = sum
    figures.update(table_shape(table))
    free(order)
    return figures
