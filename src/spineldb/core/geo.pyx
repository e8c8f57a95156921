"""Geo searches: the members of a sorted set that lie in a shape."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport free, malloc

from spineldb.core.geohash cimport (
    BOX,
    CELLS,
    CIRCLE,
    POLYGON,
    Cell,
    Shape,
    cell_range,
    cover,
    find_middle,
    position,
    within,
)
from spineldb.core.keyspace cimport Database, Found
from spineldb.core.tree cimport AT_SCORE, Bound
from spineldb.core.zsets cimport (
    SKIPLIST,
    Cursor,
    Item,
    SortedSet,
    cursor_get,
    cursor_next,
    cursor_seek,
    zset_add_all,
    zset_open,
    zset_rank,
    zset_store,
)

cdef double SCORES_END = 18014398509481984.0             # 2^54: what stands on the edges is below


cdef class Area:
    """A shape to search in. A circle has a radius, a box width and height, in metres."""

    cdef Shape shape

    def __cinit__(self, double longitude=0, double latitude=0, double radius=-1, double width=0,
                  double height=0, list corners=None):
        cdef int i
        self.shape.longitude = longitude
        self.shape.latitude = latitude
        self.shape.radius = max(radius, 0)
        self.shape.width = width
        self.shape.height = height
        self.shape.kind = BOX if radius < 0 else CIRCLE
        if corners is not None:
            self.shape.kind = POLYGON
            self.shape.corner_count = <int>len(corners)
            self.shape.corners = <double*>malloc(2 * len(corners) * sizeof(double))
            if self.shape.corners is NULL:
                raise MemoryError
            for i in range(self.shape.corner_count):
                self.shape.corners[2 * i], self.shape.corners[2 * i + 1] = corners[i]
            find_middle(&self.shape)

    def __dealloc__(self):
        free(self.shape.corners)


cdef int take(const Shape* shape, Cursor* cursor, double low, double high, int64_t limit,
              list found) except -1:
    """Add the members with scores from `low` up to `high` that lie in the shape."""
    cdef Bound bound
    cdef Item item
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
            found.append((
                PyBytes_FromStringAndSize(item.member, <Py_ssize_t>item.size), metres, item.score,
                longitude, latitude))
            if len(found) == limit:
                return 0
        rank += 1
        if rank == cursor.count:
            return 0
        cursor_next(cursor)


cdef int take_others(const Shape* shape, Cursor* cursor, const Cell* cells, int64_t limit,
                     list found) except -1:
    """The same with all scores that no cell has."""
    cdef double low, high
    cdef double start = 0
    cdef int i
    cdef list ranges = []
    for i in range(CELLS):
        if cells[i].steps:
            cell_range(&cells[i], &low, &high)
            ranges.append((low, high))
    ranges.sort()
    for low, high in [*ranges, (SCORES_END, SCORES_END)]:
        if limit and len(found) >= limit:
            break
        take(shape, cursor, start, low, limit, found)
        start = max(start, high)
    return 0


def search(SortedSet zset, Area area, int64_t limit=0) -> list:
    """Return (member, metres, score, longitude, latitude) of the members in an area.

    They come in the order in which Redis finds them, then those that it misses; with a `limit` the
    first ones.
    """
    cdef Found looked_up
    cdef Cursor cursor
    cdef Cell[CELLS] cells
    cdef double low, high
    cdef bint whole
    cdef int i
    cdef list found = []
    cdef uint8_t* entry = zset.entry(&looked_up)
    if entry is NULL:
        return found
    zset_open(zset.db.slabs, entry, &cursor)
    whole = cover(&area.shape, cells)
    for i in range(CELLS):
        if cells[i].steps:
            if limit and len(found) >= limit:
                return found
            cell_range(&cells[i], &low, &high)
            take(&area.shape, &cursor, low, high, limit, found)
    if not whole and not (limit and len(found) >= limit):
        take_others(&area.shape, &cursor, cells, limit, found)
    return found


def add(Database db, bytes key, list pairs, int conditions, bint large) -> tuple:
    """Add members or move them, all or none; return how many are new and how many have moved.

    `pairs` are (score, member), the conditions those of ZADD; `large` says that a new set is called
    a skiplist.
    """
    cdef Found found
    cdef int64_t added = 0
    cdef int64_t moved = 0
    cdef Item* items = items_of(pairs)
    try:
        db.named(key, &found)
        zset_add_all(
            db, &found, PyBytes_AS_STRING(key), <size_t>PyBytes_GET_SIZE(key), items,
            <int64_t>len(pairs), conditions, SKIPLIST if large else 0, &added, &moved)
    finally:
        free(items)
    return added, moved


cdef Item* items_of(list pairs) except NULL:
    """(score, member) pairs as the core has them, for as long as the list lives."""
    cdef Item* items = <Item*>malloc(max(len(pairs), 1) * sizeof(Item))
    cdef bytes member
    cdef size_t i
    if items is NULL:
        raise MemoryError
    for i in range(<size_t>len(pairs)):
        items[i].score, member = pairs[i]
        items[i].member = PyBytes_AS_STRING(member)
        items[i].size = <size_t>PyBytes_GET_SIZE(member)
    return items


def store(Database db, bytes key, list pairs) -> None:
    """Store a sorted set of (score, member) pairs without doubles over whatever is there."""
    cdef Found found
    cdef Item* items
    pairs = sorted(pairs)
    items = items_of(pairs)
    try:
        db.named(key, &found)
        zset_store(db, &found, PyBytes_AS_STRING(key), <size_t>PyBytes_GET_SIZE(key), items,
                   <int64_t>len(pairs))
    finally:
        free(items)
