"""Bloom filters: sets that answer "perhaps" or "certainly not", in a few bits an item.

Every bit is where RedisBloom has it, so that filters can be exchanged with it (SCANDUMP, files): an
item's two hashes are MurmurHash64A with a fixed seed, and again seeded by the first; bit number i
is `a + i * b` modulo the bits (Kirsch and Mitzenmacher, "Less Hashing, Same Performance", 2006).
Which bits are set depends on nothing else, so a replica and a replayed log have the same ones.

The bits of a layer are in a block of their own. One that is large is mapped memory that nobody has
touched: a filter of hundreds of MB costs neither time nor pages before items come, and goes back to
the system in slices. Layers that a request may need are made before its first item is added;
without memory nothing has happened.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.math cimport ceil, isfinite, log
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from spineldb.core.extensions cimport BLOOM, ExtensionType, extension_types, put_extension
from spineldb.core.entry cimport EXTENSION, entry_root
from spineldb.core.hashing cimport murmur64
from spineldb.core.root cimport root_free, root_new
from spineldb.core.slab cimport (
    block_cost,
    block_data,
    block_new,
    block_release,
    block_resize,
    class_size,
    malloc_cost,
    slab_malloc,
    slab_malloc_free,
)

import struct

from spineldb import errors

cdef uint64_t SEED = <uint64_t>0xc6a4a7935bd1e995u
cdef double LN2_SQUARED = 0.480453013918201
cdef double LN2 = 0.693147180559945
cdef double TIGHTENING = 0.5                         # of the error, from a layer to the next
cdef uint32_t DEFAULT_GROWTH = 2
cdef uint64_t BYTES_MAX = <uint64_t>1 << 40          # of a layer, whatever the bounds
cdef size_t MAPPED_FROM = 1 << 20                    # from here on a block is mapped memory
cdef size_t CHUNK_MAX = 16 << 20                     # bytes that SCANDUMP returns at once
cdef uint32_t HASHES_MAX = 1100                      # the least error a double can hold needs 1075

#: What SCANDUMP says of a filter: items, layers, options, growth.
HEADER = struct.Struct("<QIII")
#: And of each layer: bytes, bits, items, error, bits per item, hashes, capacity, 0.
LAYER = struct.Struct("<QQQddIQB")


# -- a layer ---------------------------------------------------------------------------------------

cdef inline uint64_t bytes_of(uint64_t bits) noexcept nogil:
    return (bits + 63) // 64 * 8


cdef bint shape_layer(Layer* layer, uint64_t capacity, double error) noexcept nogil:
    """Compute how many bits a layer has; False if none can be made so."""
    cdef double bits
    if not 0 < error < 1 or capacity == 0:
        return False
    layer.block = NULL
    layer.items = 0
    layer.capacity = capacity
    layer.error = error
    layer.bpe = -(log(error) / LN2_SQUARED)
    bits = <double>capacity * layer.bpe
    if bits >= <double>(BYTES_MAX * 8):
        return False
    layer.bits = bytes_of(<uint64_t>bits if bits >= 1 else 1) * 8
    layer.hashes = <uint32_t>ceil(LN2 * layer.bpe)
    return True


cdef Block* block_zeroed(Slabs* slabs, size_t size) noexcept nogil:
    """A block of zeros; NULL without memory.

    Only its first megabyte is written: what a mapped block gains when it is resized is new, while
    `block_new` alone may answer one that was used before.
    """
    cdef Block* block = block_new(slabs, min(size, MAPPED_FROM))
    cdef Block* grown
    if block is NULL:
        return NULL
    memset(block_data(block), 0, block.capacity)
    if size > block.capacity:
        grown = block_resize(slabs, block, size)
        if grown is NULL:
            block_release(slabs, block)
            return NULL
        block = grown
    block.size = size
    return block


cdef inline bint layer_has(const Layer* layer, uint64_t a, uint64_t b) noexcept nogil:
    cdef const uint8_t* data = <const uint8_t*>block_data(layer.block)
    cdef uint64_t bit
    cdef uint32_t i
    for i in range(layer.hashes):
        bit = (a + i * b) % layer.bits
        if not data[bit >> 3] >> (bit & 7) & 1:
            return False
    return True


cdef inline void layer_set(Layer* layer, uint64_t a, uint64_t b) noexcept nogil:
    cdef uint8_t* data = <uint8_t*>block_data(layer.block)
    cdef uint64_t bit
    cdef uint32_t i
    for i in range(layer.hashes):
        bit = (a + i * b) % layer.bits
        data[bit >> 3] |= <uint8_t>(1 << (bit & 7))


# -- a filter --------------------------------------------------------------------------------------

cdef Filter* filter_new(Slabs* slabs, uint32_t growth, uint32_t options) except NULL:
    """A filter without layers."""
    cdef Filter* filter = <Filter*>root_new(slabs, EXTENSION, sizeof(Filter))
    if filter is NULL:
        raise MemoryError
    filter.root.form = BLOOM
    filter.root.bytes = class_size(sizeof(Filter))
    filter.growth = growth
    filter.options = options | NO_ROUNDING | HASH64
    return filter


cdef void filter_free(Slabs* slabs, Filter* filter) noexcept nogil:
    drop_layers(slabs, filter, 0)
    slab_malloc_free(slabs, filter.layers, filter.room * sizeof(Layer))
    root_free(slabs, &filter.root, sizeof(Filter))


cdef void drop_layers(Slabs* slabs, Filter* filter, uint32_t kept) noexcept nogil:
    """Free all layers behind the first `kept`."""
    while filter.ready > kept:
        filter.ready -= 1
        filter.root.bytes -= block_cost(filter.layers[filter.ready].block)
        block_release(slabs, filter.layers[filter.ready].block)
    if filter.count > kept:
        filter.count = kept
    filter.root.count = filter.count


cdef int append_layer(Slabs* slabs, Filter* filter, const Layer* shape) except -1:
    """Get a layer ready. On MemoryError the filter is as it was."""
    cdef Layer* layers
    cdef uint32_t room
    cdef Block* block
    if filter.ready == filter.room:
        room = filter.room + filter.room // 4 + 1
        layers = <Layer*>slab_malloc(slabs, room * sizeof(Layer))
        if layers is NULL:
            raise MemoryError
        if filter.room:
            memcpy(layers, filter.layers, filter.ready * sizeof(Layer))
            filter.root.bytes -= malloc_cost(filter.room * sizeof(Layer))
            slab_malloc_free(slabs, filter.layers, filter.room * sizeof(Layer))
        filter.layers = layers
        filter.room = room
        filter.root.bytes += malloc_cost(room * sizeof(Layer))
    block = block_zeroed(slabs, bytes_of(shape.bits))
    if block is NULL:
        raise MemoryError
    filter.layers[filter.ready] = shape[0]
    filter.layers[filter.ready].block = block
    filter.ready += 1
    filter.root.bytes += block_cost(block)
    return 0


cdef inline uint64_t spare(const Layer* layer) noexcept nogil:
    """How many more items a layer takes."""
    return layer.capacity - layer.items if layer.capacity > layer.items else 0


cdef bint filter_may_grow(const Filter* filter, int count) noexcept nogil:
    return <uint64_t>count > spare(&filter.layers[filter.count - 1])


cdef bint within(const Bounds* bounds, const Layer* layer, uint64_t taken, int* why) noexcept nogil:
    """May a layer be allocated, when `taken` bytes were by the same request?"""
    cdef uint64_t size = bytes_of(layer.bits)
    if size > bounds.layer_bytes:
        why[0] = NO_GROWTH
        return False
    if size + taken > bounds.room_bytes and size + taken > ALWAYS_ROOM:
        why[0] = NO_ROOM
        return False
    return True


cdef int make_ready(Slabs* slabs, Filter* filter, int count, const Bounds* bounds) except 1:
    """Get the layers ready that `count` new items may need; answers why there are no more.

    On MemoryError the filter is as it was.
    """
    cdef Layer* last = &filter.layers[filter.ready - 1]
    cdef Layer following
    cdef uint64_t wanted = <uint64_t>count
    cdef uint64_t taken = 0
    cdef uint64_t capacity
    cdef int why = FULL
    if filter.options & NON_SCALING:
        return FULL
    while spare(last) < wanted:
        wanted -= spare(last)
        capacity = last.capacity * filter.growth
        if filter.ready >= LAYERS_MAX or capacity // filter.growth != last.capacity or (
            not shape_layer(&following, capacity, last.error * TIGHTENING)
        ):
            return NO_GROWTH
        if not within(bounds, &following, taken, &why):
            return why
        try:
            append_layer(slabs, filter, &following)
        except MemoryError:
            drop_layers(slabs, filter, filter.count)
            raise
        taken += bytes_of(following.bits)
        last = &filter.layers[filter.ready - 1]
    return FULL                                      # never the answer: there is enough


cdef inline int filter_add(Filter* filter, const char* item, size_t size, int full) noexcept nogil:
    """Add an item; `full` is the outcome if no layer is left for it."""
    cdef uint64_t a = murmur64(item, size, SEED)
    cdef uint64_t b = murmur64(item, size, a)
    cdef uint32_t i = filter.count
    cdef Layer* layer
    while i > 0:
        i -= 1
        if layer_has(&filter.layers[i], a, b):
            return PRESENT
    layer = &filter.layers[filter.count - 1]
    if layer.items >= layer.capacity:
        if filter.ready == filter.count:
            return full
        layer += 1
        filter.count += 1
        filter.root.count = filter.count
    layer_set(layer, a, b)
    layer.items += 1
    filter.items += 1
    return ADDED


cdef bint filter_has(const Filter* filter, const char* item, size_t size) noexcept nogil:
    cdef uint64_t a = murmur64(item, size, SEED)
    cdef uint64_t b = murmur64(item, size, a)
    cdef uint32_t i = filter.count
    while i > 0:
        i -= 1
        if layer_has(&filter.layers[i], a, b):
            return True
    return False


cdef Filter* filter_planned(Slabs* slabs, const Plan* plan, const Bounds* bounds) except NULL:
    """An empty filter; raises BloomTooLarge, BloomNotCreated, OutOfMemory or MemoryError."""
    cdef Layer first
    cdef Filter* filter
    cdef int why = NO_GROWTH
    if not plan.error * (TIGHTENING if plan.scaling else 1) > 0:
        raise errors.BloomNotCreated
    if not shape_layer(&first, plan.capacity, plan.error * (TIGHTENING if plan.scaling else 1)):
        raise errors.BloomTooLarge
    if not within(bounds, &first, 0, &why):
        raise errors.OutOfMemory if why == NO_ROOM else errors.BloomTooLarge
    filter = filter_new(slabs, plan.growth, 0 if plan.scaling else NON_SCALING)
    try:
        append_layer(slabs, filter, &first)
    except MemoryError:
        filter_free(slabs, filter)
        raise
    filter.count = 1
    filter.root.count = 1
    return filter


cdef int filter_insert(Database db, Found* found, const char* key, size_t key_size,
                       const Plan* plan, const Bounds* bounds, const Slice* items, int count,
                       int8_t* outcomes) except -1:
    cdef Slabs* slabs = db.slabs
    cdef bint is_new = found.entry is NULL or found.expired
    cdef Filter* filter
    cdef int64_t before = 0
    cdef int full = FULL
    cdef int i
    if is_new:
        filter = filter_planned(slabs, plan, bounds)
    else:
        filter = <Filter*>entry_root(found.entry)
        before = filter.root.count
    try:
        if filter_may_grow(filter, count) and not (
            count == 1 and filter_has(filter, items[0].data, items[0].size)
        ):
            full = make_ready(slabs, filter, count, bounds)
        for i in range(count):
            outcomes[i] = <int8_t>filter_add(filter, items[i].data, items[i].size, full)
            if outcomes[i] < 0:
                count = i + 1
                break
        drop_layers(slabs, filter, filter.count)
        if is_new:
            put_extension(db, found, key, key_size, &filter.root)
        elif filter.root.count != before:
            db.recount(found.entry, before)
    except MemoryError:
        if is_new:
            filter_free(slabs, filter)
        raise
    return count


# -- what Python sees ------------------------------------------------------------------------------

cdef class Bloom(ExtensionView):
    """A Bloom filter under a key."""

    FORM = BLOOM

    cdef Filter* filter(self, Found* found) except? NULL:
        return <Filter*>self.root(found)

    cdef Filter* existing(self, Found* found) except NULL:
        cdef Filter* filter = self.filter(found)
        if filter is NULL:
            raise KeyError(self.key)
        return filter

    def insert(self, list items, tuple plan, uint64_t layer_bytes,
               uint64_t room_bytes) -> list[int]:
        """Add items; make the filter first if there is none, by `plan`.

        That is (error, capacity, growth, whether it scales). Returns what became of each item: 1
        added, 0 there already, -1 the filter may not grow, -2 it would grow too much, -3 maxmemory
        leaves no room; a negative one is the last.
        """
        cdef Found found
        cdef Plan its
        cdef Bounds bounds
        cdef Py_ssize_t count = len(items)
        cdef Slice* slices = <Slice*>malloc((count + 1) * (sizeof(Slice) + 1))
        cdef int8_t* outcomes = <int8_t*>(slices + count + 1)
        cdef Py_ssize_t i
        if slices is NULL:
            raise MemoryError
        its.error, its.capacity, its.growth, its.scaling = plan
        bounds.layer_bytes = layer_bytes
        bounds.room_bytes = room_bytes
        try:
            for i in range(count):
                slices[i].data = PyBytes_AS_STRING(items[i])
                slices[i].size = <size_t>PyBytes_GET_SIZE(items[i])
            self.db.named(self.key, &found)
            self.entry(&found)
            count = filter_insert(
                self.db, &found, PyBytes_AS_STRING(self.key), <size_t>PyBytes_GET_SIZE(self.key),
                &its, &bounds, slices, <int>count, outcomes)
            return [outcomes[i] for i in range(count)]
        finally:
            free(slices)

    def has(self, bytes item) -> bool:
        """Tell whether an item was perhaps added; if not, it certainly was not."""
        cdef Found found
        cdef Filter* filter = self.filter(&found)
        return filter is not NULL and filter_has(
            filter, PyBytes_AS_STRING(item), <size_t>PyBytes_GET_SIZE(item))

    @property
    def items(self) -> int:
        """How many items were added that were not there."""
        cdef Found found
        cdef Filter* filter = self.filter(&found)
        return 0 if filter is NULL else filter.items

    @property
    def growth(self) -> int | None:
        """How much larger each layer is than the one before; None if the filter does not grow."""
        cdef Found found
        cdef Filter* filter = self.existing(&found)
        return None if filter.options & NON_SCALING else filter.growth

    @property
    def layers(self) -> list[tuple[int, int, int, int, int, float]]:
        """Return (bytes, bits, hashes, capacity, items, error) of each layer, the oldest first."""
        cdef Found found
        cdef Filter* filter = self.existing(&found)
        return [layer_facts(&filter.layers[i]) for i in range(filter.count)]

    def header(self) -> bytes:
        """Return what SCANDUMP sends first: the shape of the filter and of its layers."""
        cdef Found found
        return header_of(self.existing(&found))

    def chunk(self, int64_t iterator) -> tuple[int, bytes]:
        """Return bits of one layer from `iterator` on, 1 for the first, and the next iterator.

        That is 0 at the end.
        """
        cdef Found found
        cdef Filter* filter = self.existing(&found)
        cdef uint64_t offset
        cdef Layer* layer = layer_at(filter, iterator, &offset)
        cdef uint64_t size
        if layer is NULL:
            return 0, b""
        size = min(bytes_of(layer.bits) - offset, CHUNK_MAX)
        return iterator + size, PyBytes_FromStringAndSize(
            block_data(layer.block) + offset, <Py_ssize_t>size)

    def load_header(self, bytes header, uint64_t layer_bytes, uint64_t room_bytes) -> None:
        """Make an empty filter of a shape that `header` returned, or replace the one there is.

        Raises `errors.BloomBadData` unless all of it fits together.
        """
        cdef Found found
        cdef Bounds bounds
        cdef Filter* filter
        bounds.layer_bytes = layer_bytes
        bounds.room_bytes = room_bytes
        self.db.named(self.key, &found)
        self.entry(&found)
        filter = filter_described(self.db.slabs, header, &bounds)
        try:
            put_extension(self.db, &found, PyBytes_AS_STRING(self.key),
                          <size_t>PyBytes_GET_SIZE(self.key), &filter.root)
        except MemoryError:
            filter_free(self.db.slabs, filter)
            raise

    def load_chunk(self, int64_t iterator, bytes data) -> None:
        """Store bits that `chunk` returned, with the iterator it returned with them."""
        cdef Found found
        cdef Filter* filter = self.existing(&found)
        cdef int64_t size = PyBytes_GET_SIZE(data)
        cdef uint64_t offset
        cdef Layer* layer
        if iterator <= 0 or iterator < size:
            raise errors.BloomBadData
        layer = layer_at(filter, iterator - size, &offset)
        if layer is NULL:
            raise errors.BloomBadOffset
        if <uint64_t>size > bytes_of(layer.bits) - offset:
            raise errors.BloomBadChunk
        memcpy(block_data(layer.block) + offset, PyBytes_AS_STRING(data), <size_t>size)


cdef tuple layer_facts(const Layer* layer):
    return (bytes_of(layer.bits), layer.bits, layer.hashes, layer.capacity, layer.items,
            layer.error)


cdef Layer* layer_at(Filter* filter, int64_t iterator, uint64_t* offset) noexcept:
    """The layer in which the bits of an iterator begin, and where; NULL if there is none."""
    cdef uint64_t position = <uint64_t>(iterator - 1)
    cdef uint32_t i
    if iterator < 1:
        return NULL
    for i in range(filter.count):
        if position < bytes_of(filter.layers[i].bits):
            offset[0] = position
            return &filter.layers[i]
        position -= bytes_of(filter.layers[i].bits)
    return NULL


cdef bytes header_of(const Filter* filter):
    cdef const Layer* layer
    cdef uint32_t i
    cdef list parts = [
        HEADER.pack(filter.items, filter.count, filter.options, filter.growth)]
    for i in range(filter.count):
        layer = &filter.layers[i]
        parts.append(LAYER.pack(
            bytes_of(layer.bits), layer.bits, layer.items, layer.error, layer.bpe, layer.hashes,
            layer.capacity, 0))
    return b"".join(parts)


cdef bint read_layer(tuple fields, Layer* layer) except -1:
    """Read a layer of a header; False unless its fields fit together."""
    size, layer.bits, layer.items, layer.error, layer.bpe, layer.hashes, layer.capacity, n2 = fields
    layer.block = NULL
    return (
        n2 == 0 and 0 < layer.bits <= BYTES_MAX * 8 and size == bytes_of(layer.bits)
        and layer.bits == size * 8 and 0 < layer.error < 1 and isfinite(layer.bpe)
        and layer.bpe > 0 and 0 < layer.hashes <= HASHES_MAX and layer.capacity > 0
        and layer.items <= layer.capacity
    )


cdef Filter* filter_described(Slabs* slabs, bytes header, const Bounds* bounds) except NULL:
    """The filter that a header tells of, its bits all clear. Everything is read before anything is
    allocated.
    """
    cdef list layers
    cdef Layer layer
    cdef uint64_t taken = 0
    cdef uint64_t total = 0
    cdef int why = NO_GROWTH
    cdef Filter* filter
    if len(header) < HEADER.size or (len(header) - HEADER.size) % LAYER.size:
        raise errors.BloomBadData
    items, count, options, growth = HEADER.unpack_from(header)
    layers = list(LAYER.iter_unpack(header[HEADER.size:]))
    if count != len(layers) or not 0 < count <= LAYERS_MAX or growth == 0 or (
        options & ~<uint32_t>NON_SCALING != NO_ROUNDING | HASH64
    ) or (options & NON_SCALING and count > 1):
        raise errors.BloomBadData
    for fields in layers:
        if not read_layer(fields, &layer):
            raise errors.BloomBadData
        if not within(bounds, &layer, taken, &why):
            raise errors.OutOfMemory if why == NO_ROOM else errors.BloomTooLarge
        taken += bytes_of(layer.bits)
        total += layer.items
    if total != items:
        raise errors.BloomBadData
    filter = filter_new(slabs, growth, options)
    try:
        for fields in layers:
            read_layer(fields, &layer)
            append_layer(slabs, filter, &layer)
    except MemoryError:
        filter_free(slabs, filter)
        raise
    filter.items = items
    filter.count = filter.ready
    filter.root.count = filter.ready
    return filter


# -- what the keyspace asks of a filter ------------------------------------------------------------

cdef bint free_some(Slabs* slabs, Root* root, int64_t limit) except -1:
    """Free some layers. Mapped bits are only queued: giving them back is slab_drain's business."""
    cdef Filter* filter = <Filter*>root
    if <int64_t>filter.ready > limit:
        drop_layers(slabs, filter, filter.ready - <uint32_t>limit)
        return False
    filter_free(slabs, filter)
    return True


cdef Root* copy(Slabs* slabs, const Root* root) except NULL:
    cdef const Filter* old = <const Filter*>root
    cdef Filter* new = filter_new(slabs, old.growth, old.options)
    cdef uint32_t i
    try:
        for i in range(old.count):
            append_layer(slabs, new, &old.layers[i])
            memcpy(block_data(new.layers[i].block), block_data(old.layers[i].block),
                   bytes_of(old.layers[i].bits))
    except MemoryError:
        filter_free(slabs, new)
        raise
    new.items = old.items
    new.count = new.ready
    new.root.count = new.ready
    return &new.root


cdef int defragment(Slabs* slabs, Root* root, uint64_t* position, int64_t limit,
                    int64_t* moved) except -1:
    """Nothing of a filter that could be moved is in slabs."""
    return 1


cdef int pieces(const Root* root, list found) except -1:
    cdef const Filter* filter = <const Filter*>root
    cdef uint32_t i
    found.append(header_of(filter))
    for i in range(filter.count):
        found.append(PyBytes_FromStringAndSize(
            block_data(filter.layers[i].block), <Py_ssize_t>bytes_of(filter.layers[i].bits)))
    return 0


cdef ExtensionType* its = &extension_types[<int>BLOOM]
its.name = b"MBbloom--"
its.alias = b"bloomfilter"
its.free_some = free_some
its.copy = copy
its.defragment = defragment
its.pieces = pieces
