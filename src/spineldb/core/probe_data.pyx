"""The tests' door to a keyspace: is it consistent, and what if there is no memory?

Nothing in the server imports this module.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memset

from spineldb.core.entry cimport (
    HAS_DEADLINE, KIND_MASK, entry_block, entry_root, entry_size, value_size_of,
)
from spineldb.core.keyspace cimport SIZE_BINS, SIZE_KINDS, Database, Keyspace
from spineldb.core.slab cimport Block, Ref, Slabs, at, block_cost, class_size
from spineldb.core.table cimport table_faults, table_find, table_hash, table_walk
from spineldb.core.wheel cimport wheel_bytes, wheel_count


cdef struct Sums:                # what a walk over a database adds up
    Slabs* slabs
    size_t bytes
    int64_t entries
    int64_t deadlines
    int64_t sizes[SIZE_KINDS][SIZE_BINS]
    int64_t misread              # blocks that hold less than they say


cdef int bin_of(size_t size) noexcept:
    cdef int n = 0
    while size:
        n += 1
        size >>= 1
    return n


cdef int add_up(void* context, uint64_t hash, Ref* ref) except -2:
    cdef Sums* sums = <Sums*>context
    cdef uint8_t* entry = <uint8_t*>at(sums.slabs, ref[0])
    cdef Block* block = entry_block(entry)
    cdef size_t size = value_size_of(entry)
    sums.bytes += class_size(entry_size(entry))
    sums.entries += 1
    sums.deadlines += entry[0] & HAS_DEADLINE != 0
    sums.sizes[entry[0] & KIND_MASK][bin_of(size)] += 1
    if entry_root(entry) is not NULL:
        sums.bytes += entry_root(entry).bytes
    if block is not NULL:
        sums.bytes += block_cost(block)
        sums.misread += block.references == 0 or block.size > block.capacity
    return 0


def faults(keyspace: Keyspace, held: int = 0) -> list[str]:
    """Return what contradicts the invariants of a keyspace at rest: nothing queued, nothing sent.

    The table's own invariants; the keys, deadlines and sizes that are counted against those that
    are there; `used_memory` against the sum of all that uses memory, `held` bytes beside it.
    """
    cdef list found = []
    cdef Database db
    cdef Sums sums
    cdef size_t used = held
    cdef uint64_t position
    cdef int kind, size
    for db in keyspace.databases:
        found += [f"db{db.index}: {fault}" for fault in table_faults(db.table)]
        memset(&sums, 0, sizeof(Sums))
        sums.slabs = keyspace.slabs
        position = 0
        table_walk(db.table, &position, <int64_t>1 << 62, add_up, &sums)
        used += sums.bytes + db.table.bytes + wheel_bytes(db.wheel)
        if sums.entries != <int64_t>db.table.count:
            found.append(f"db{db.index}: {sums.entries} entries, counted {db.table.count}")
        if sums.deadlines != db.deadlines:
            found.append(f"db{db.index}: {sums.deadlines} deadlines, counted {db.deadlines}")
        if sums.deadlines > <int64_t>wheel_count(db.wheel):
            found.append(f"db{db.index}: deadlines that nobody will look at")
        if sums.misread:
            found.append(f"db{db.index}: {sums.misread} bad blocks")
        for kind in range(SIZE_KINDS):
            for size in range(SIZE_BINS):
                if sums.sizes[kind][size] != db.sizes.bins[kind][size]:
                    found.append(f"db{db.index}: sizes of kind {kind} in bin {size}: "
                                 f"{sums.sizes[kind][size]}, counted {db.sizes.bins[kind][size]}")
    if used != keyspace.slabs.used:
        found.append(f"{used} bytes used, counted {keyspace.slabs.used}")
    return found


def fail_allocation(keyspace: Keyspace, number: int, lasting: bool = False) -> None:
    """Have the `number`-th allocation of the dataset from now on fail; 0: none.

    Once, or `lasting`, with all that follow, until this is called again.
    """
    keyspace.slabs.fail_in = -number - 1 if lasting and number else number


def failure_pending(keyspace: Keyspace) -> bool:
    """Tell whether the allocation that is to fail has not been reached."""
    return keyspace.slabs.fail_in > 0 or keyspace.slabs.fail_in < -1


def read_past(keyspace: Keyspace, key: bytes, distance: int = 0) -> int:
    """Read the byte `distance` past a key's entry in database 0: what a sanitizer must see."""
    cdef Database db = keyspace.databases[0]
    cdef Ref ref = table_find(db.table, table_hash(db.table, key, len(key)), key, len(key), NULL)
    cdef volatile_byte* entry
    if ref == 0:
        raise KeyError(key)
    entry = <volatile_byte*>at(keyspace.slabs, ref)
    return entry[<int64_t>entry_size(<const uint8_t*>entry) + <int64_t>distance]


def read_freed(keyspace: Keyspace, key: bytes) -> int:
    """Delete a key of database 0 and read its entry's last byte: a sanitizer must see it, too."""
    cdef Database db = keyspace.databases[0]
    cdef Ref ref = table_find(db.table, table_hash(db.table, key, len(key)), key, len(key), NULL)
    cdef volatile_byte* entry
    cdef size_t size
    if ref == 0:
        raise KeyError(key)
    entry = <volatile_byte*>at(keyspace.slabs, ref)
    size = entry_size(<const uint8_t*>entry)
    db.delete(key)
    return entry[size - 1]


def overflow_integer(value: int) -> int:
    """Add 1 to an int64 without a check: what a sanitizer must see at its end."""
    cdef int64_t number = value
    return number + 1


cdef extern from *:
    """
    typedef volatile unsigned char spinel_volatile_byte;
    """
    ctypedef unsigned char volatile_byte "spinel_volatile_byte"
