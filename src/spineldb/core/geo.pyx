"""Geo searches: the members of a sorted set that lie in a shape."""

from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport free, malloc, qsort, realloc
from libc.string cimport memcpy

from spineldb.core.geohash cimport (
    CELLS,
    Cell,
    Shape,
    cell_range,
    cover,
    position,
    within,
)
from spineldb.core.slab cimport Slabs
from spineldb.core.tree cimport AT_SCORE, Bound
from spineldb.core.zsets cimport (
    Cursor,
    Item,
    cursor_get,
    cursor_next,
    cursor_seek,
    zset_open,
    zset_rank,
)

cdef double SCORES_END = 18014398509481984.0             # 2^54: what stands on the edges is below


cdef int nearer(const void* one, const void* other) noexcept nogil:
    cdef const Hit* a = <const Hit*>one
    cdef const Hit* b = <const Hit*>other
    if a.metres != b.metres:
        return -1 if a.metres < b.metres else 1
    return -1 if a.place < b.place else 1


cdef int farther(const void* one, const void* other) noexcept nogil:
    cdef const Hit* a = <const Hit*>one
    cdef const Hit* b = <const Hit*>other
    if a.metres != b.metres:
        return -1 if a.metres > b.metres else 1
    return -1 if a.place < b.place else 1


cdef class Hits:
    """What a search has found."""

    def __cinit__(self):
        self.items = self.few
        self.capacity = FEW_HITS

    def __dealloc__(self):
        if self.items is not self.few:
            free(self.items)

    cdef Hit* add(self) except NULL:
        cdef Hit* items
        if self.count == self.capacity:
            if self.items is self.few:
                items = <Hit*>malloc(2 * FEW_HITS * sizeof(Hit))
                if items is not NULL:
                    memcpy(items, self.few, FEW_HITS * sizeof(Hit))
            else:
                items = <Hit*>realloc(self.items, 2 * <size_t>self.capacity * sizeof(Hit))
            if items is NULL:
                raise MemoryError
            self.items = items
            self.capacity *= 2
        self.count += 1
        return &self.items[self.count - 1]

    cdef void sort(self, bint farthest_first) noexcept:
        qsort(self.items, <size_t>self.count, sizeof(Hit), &farther if farthest_first else &nearer)


cdef int take(const Shape* shape, Cursor* cursor, double low, double high, int64_t limit,
              Hits found) except -1:
    """Add the members with scores from `low` up to `high` that lie in the shape."""
    cdef Bound bound
    cdef Item item
    cdef Hit* hit
    cdef int64_t rank
    cdef double longitude, latitude, metres
    if low >= high:
        return 0
    bound.kind = AT_SCORE
    bound.score = low
    rank = zset_rank(cursor, &bound)
    if rank >= cursor.count:
        return 0
    cursor_seek(cursor, rank)
    while True:
        cursor_get(cursor, &item)
        if item.score >= high:
            return 0
        position(item.score, &longitude, &latitude)
        if within(shape, longitude, latitude, &metres):
            hit = found.add()
            hit.member = item.member
            hit.size = item.size
            hit.score = item.score
            hit.longitude = longitude
            hit.latitude = latitude
            hit.metres = metres
            hit.place = found.count
            if found.count == limit:
                return 0
        rank += 1
        if rank == cursor.count:
            return 0
        cursor_next(cursor)


cdef int take_others(const Shape* shape, Cursor* cursor, const Cell* cells, int64_t limit,
                     Hits found) except -1:
    """The same with all scores that no cell has."""
    cdef double[CELLS] lows
    cdef double[CELLS] highs
    cdef double low, high
    cdef double start = 0
    cdef int ranges = 0
    cdef int i, n
    for i in range(CELLS):
        if cells[i].steps:
            cell_range(&cells[i], &low, &high)
            n = ranges                       # they are sorted by insertion
            while n and lows[n - 1] > low:
                lows[n] = lows[n - 1]
                highs[n] = highs[n - 1]
                n -= 1
            lows[n] = low
            highs[n] = high
            ranges += 1
    for i in range(ranges + 1):
        if limit and found.count >= limit:
            break
        take(shape, cursor, start, lows[i] if i < ranges else SCORES_END, limit, found)
        if i < ranges:
            start = max(start, highs[i])
    return 0


cdef int search(const Slabs* slabs, const uint8_t* entry, const Shape* shape, int64_t limit,
                Hits found) except -1:
    cdef Cursor cursor
    cdef Cell[CELLS] cells
    cdef double low, high
    cdef bint whole
    cdef int i
    zset_open(slabs, entry, &cursor)
    whole = cover(shape, cells)
    for i in range(CELLS):
        if cells[i].steps:
            if limit and found.count >= limit:
                return 0
            cell_range(&cells[i], &low, &high)
            take(shape, &cursor, low, high, limit, found)
    if not whole and not (limit and found.count >= limit):
        take_others(shape, &cursor, cells, limit, found)
    return 0
