"""The tests' door to lists: is a chain consistent?

Nothing in the server imports this module.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t

from spineldb.core.chunks cimport (
    Chunk,
    Slot,
    chunk_at,
    chunk_data,
    element_before,
    element_read,
    packed_bytes,
    slot_at,
)
from spineldb.core.entry cimport entry_root
from spineldb.core.keyspace cimport Found
from spineldb.core.lists cimport List, ListRoot
from spineldb.core.resp cimport Slice
from spineldb.core.slab cimport array_cost, block_cost, class_size


cdef ListRoot* root_of(List view) except? NULL:
    cdef Found found
    cdef uint8_t* entry = view.entry(&found)
    return NULL if entry is NULL else <ListRoot*>entry_root(entry)


def chunks(view: List) -> int:
    """Return how many chunks a list has; 0 if it is in its entry."""
    cdef ListRoot* root = root_of(view)
    return 0 if root is NULL else root.chain.length


def faults(view: List) -> list[str]:
    """Return what contradicts the sums that a list's chain keeps."""
    cdef ListRoot* root = root_of(view)
    cdef list found = []
    cdef const uint8_t* p
    cdef const uint8_t* following
    cdef const uint8_t* end
    cdef Chunk* chunk
    cdef Slice value
    cdef uint32_t i
    cdef int64_t count = 0
    cdef int64_t packed = 0
    cdef int64_t elements, blocks, listpack
    cdef size_t total
    if root is NULL:
        return found
    total = class_size(sizeof(ListRoot)) + array_cost((root.chain.mask + 1) * sizeof(Slot))
    for i in range(root.chain.length):
        chunk = chunk_at(view.db.slabs, &root.chain, i)
        p = chunk_data(chunk) + chunk.start
        end = chunk_data(chunk) + chunk.end
        elements = blocks = listpack = 0
        while p < end:
            following = element_read(p, &value)
            if element_before(following) != p:
                found.append(f"chunk {i}: an element is another one backwards")
            if value.block is not NULL:
                blocks += 1
                total += block_cost(value.block)
            elements += 1
            listpack += <int64_t>packed_bytes(&value)
            p = following
        if p != end or chunk.end > chunk.capacity or elements == 0:
            found.append(f"chunk {i}: {elements} elements end elsewhere")
        if elements != slot_at(&root.chain, i).count or blocks != chunk.blocks:
            found.append(f"chunk {i}: {elements} elements, {blocks} of them blocks")
        if listpack != <int64_t>chunk.packed:
            found.append(f"chunk {i}: a listpack of {listpack}, counted {chunk.packed}")
        count += elements
        packed += listpack
        total += class_size(chunk.capacity + sizeof(Chunk))
    if count != root.chain.count or count != root.root.count:
        found.append(f"{count} elements, counted {root.chain.count} and {root.root.count}")
    if packed != root.chain.packed:
        found.append(f"a listpack of {packed}, counted {root.chain.packed}")
    if total != root.root.bytes:
        found.append(f"{total} bytes, counted {root.root.bytes}")
    return found
