"""Bodies of the geo commands. commands/geo.py tells what each does."""

from libc.math cimport llrint
from libc.stdint cimport int64_t, uint8_t
from libc.stdio cimport snprintf
from libc.stdlib cimport free, malloc, qsort
from libc.string cimport memcmp

from spineldb.core.call cimport Call, body, keyword
from spineldb.core.effects cimport EVENT_ZSET
from spineldb.core.geo cimport Hit, Hits, search
from spineldb.core.geohash cimport (
    BOX,
    CIRCLE,
    GEOHASH_TEXT,
    POLYGON,
    Shape,
    distance,
    find_middle,
    geo_score,
    geohash_text,
    position,
)
from spineldb.core.hot_zset_ranges cimport store
from spineldb.core.hot_zsets cimport is_zset, out_score
from spineldb.core.keyspace cimport Found
from spineldb.core.numbers cimport parse_double
from spineldb.core.resp cimport (
    Slice,
    out_array,
    out_bulk,
    out_int,
    out_null,
    out_null_array,
    parse_int,
)
from spineldb.core.zsets cimport (
    ONLY_NEW,
    ONLY_OLD,
    SKIPLIST,
    Item,
    zset_add_all,
    zset_score,
)

from spineldb import errors

cdef bytes WRONG_TYPE = errors.WrongType().wire
cdef bytes SYNTAX = errors.Syntax().wire

cdef enum:
    AT_ONCE = 64                 # positions of one GEOADD that need no memory of their own
    DISTANCE_TEXT = 40           # bytes of a distance, at most

cdef enum Shown:                 # what a search tells of a member beside its name
    WITH_DISTANCE = 1
    WITH_HASH = 2
    WITH_POSITION = 4

cdef enum Kind:                  # of searches: which options they know
    READING = 0                  # GEORADIUS_RO
    RADIUS = 1                   # GEORADIUS: STORE, STOREDIST
    SEARCH = 2                   # GEOSEARCH: where to look is among the options
    STORING = 3                  # GEOSEARCHSTORE, too; its STOREDIST names no key


# -- positions and distances, in and out -----------------------------------------------------------

cdef int read_position(const Slice* longitude, const Slice* latitude, double* x,
                       double* y) except -1:
    if not parse_double(longitude.data, longitude.size, x) or not parse_double(
        latitude.data, latitude.size, y
    ):
        raise errors.NotFloat
    if not (-180 <= x[0] <= 180 and -85.05112878 <= y[0] <= 85.05112878):
        raise errors.InvalidPosition(f"{x[0]:f}", f"{y[0]:f}")
    return 0


cdef double metres_in(const Slice* unit) except 0:
    if keyword(unit, b"M", 1):
        return 1
    if keyword(unit, b"KM", 2):
        return 1000
    if keyword(unit, b"FT", 2):
        return 0.3048
    if keyword(unit, b"MI", 2):
        return 1609.34
    raise errors.UnknownUnit


cdef int read_length(const Slice* text, str what, double* length) except -1:
    if not parse_double(text.data, text.size, length):
        raise errors.NeedNumeric(what)
    return 0


cdef void out_distance(Call call, double metres) noexcept:
    """With four decimals."""
    cdef char[DISTANCE_TEXT] text
    cdef int64_t scaled = llrint(metres * 10000)
    out_bulk(call.out, text, <size_t>snprintf(
        text, DISTANCE_TEXT, b"%lld.%04lld", <long long>(scaled // 10000),
        <long long>(scaled % 10000)))


cdef void out_position(Call call, double longitude, double latitude) noexcept:
    out_array(call.out, 2)
    out_score(call, longitude)
    out_score(call, latitude)


# -- GEOADD ----------------------------------------------------------------------------------------

cdef int geoadd(Call call, Slice* argv, int argc) except -1:
    cdef Item[AT_ONCE] few
    cdef Item* items = few
    cdef double x, y
    cdef Slice* place
    cdef int conditions = 0
    cdef bint count_moved = False
    cdef int first = 2
    cdef int count, i
    while first < argc:
        if keyword(&argv[first], b"NX", 2):
            conditions |= ONLY_NEW
        elif keyword(&argv[first], b"XX", 2):
            conditions |= ONLY_OLD
        elif keyword(&argv[first], b"CH", 2):
            count_moved = True
        else:
            break
        first += 1
    count = (argc - first) // 3
    if (argc - first) % 3 or count == 0 or (conditions & ONLY_NEW and conditions & ONLY_OLD):
        return call.refuse(SYNTAX)
    if count > AT_ONCE:
        items = <Item*>malloc(<size_t>count * sizeof(Item))
        if items is NULL:
            raise MemoryError
    try:
        for i in range(count):
            place = &argv[first + 3 * i]
            read_position(&place[0], &place[1], &x, &y)
            items[i].score = geo_score(x, y)
            items[i].member = place[2].data
            items[i].size = place[2].size
        return add(call, argv, first, items, count, conditions, count_moved)
    finally:
        if items is not few:
            free(items)


cdef int add(Call call, Slice* argv, int first, const Item* items, int count, int conditions,
             bint count_moved) except -1:
    """Add members to the set at `argv[1]`; before `argv[first]` stand the options."""
    cdef Found found
    cdef Slice* key = &argv[1]
    cdef uint8_t* entry = call.first(key, &found)
    cdef int64_t added = 0
    cdef int64_t moved = 0
    cdef int form = SKIPLIST if count > call.keyspace.zset_max_listpack_entries else 0
    if entry is not NULL and not is_zset(entry):
        return call.refuse(WRONG_TYPE)
    zset_add_all(
        call.db, &found, key.data, key.size, items, count, conditions, form, &added, &moved)
    tell(call, argv, first, items, count, added + moved)
    out_int(call.out, added + moved if count_moved else added)
    return 0


cdef int tell(Call call, Slice* argv, int first, const Item* items, int count,
              int64_t changes) except -1:
    """Say that members were added or moved: a ZADD with their scores is propagated."""
    cdef int i
    if changes == 0:
        return 0
    call.changed(&argv[1], EVENT_ZSET, b"zadd", changes)
    if not call.effects.feeding:
        return 0
    call.effects.command(first + 2 * count)
    call.effects.argument(b"ZADD", 4)
    for i in range(1, first):
        call.effects.argument(argv[i].data, argv[i].size)
    for i in range(count):
        call.effects.argument_int(<int64_t>items[i].score)
        call.effects.argument(items[i].member, items[i].size)
    return 0


# -- members ---------------------------------------------------------------------------------------

cdef int geopos(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef double score, x, y
    cdef int i
    cdef uint8_t* entry = call.read_first(&argv[1], &found)
    if entry is not NULL and not is_zset(entry):
        return call.refuse(WRONG_TYPE)
    out_array(call.out, argc - 2)
    for i in range(2, argc):
        if entry is not NULL and zset_score(
            call.db.slabs, entry, argv[i].data, argv[i].size, &score
        ):
            position(score, &x, &y)
            out_position(call, x, y)
        else:
            out_null_array(call.out, call.protocol)
    return 0


cdef int geohash(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef char[GEOHASH_TEXT] text
    cdef double score
    cdef int i
    cdef uint8_t* entry = call.read_first(&argv[1], &found)
    if entry is not NULL and not is_zset(entry):
        return call.refuse(WRONG_TYPE)
    out_array(call.out, argc - 2)
    for i in range(2, argc):
        if entry is not NULL and zset_score(
            call.db.slabs, entry, argv[i].data, argv[i].size, &score
        ):
            geohash_text(score, text)
            out_bulk(call.out, text, GEOHASH_TEXT)
        else:
            out_null(call.out, call.protocol)
    return 0


cdef int geodist(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef double unit = 1
    cdef double score, other, x, y, a, b
    cdef uint8_t* entry
    if argc > 5:
        return call.refuse(SYNTAX)
    if argc == 5:
        unit = metres_in(&argv[4])
    entry = call.read_first(&argv[1], &found)
    if entry is not NULL and not is_zset(entry):
        return call.refuse(WRONG_TYPE)
    if (
        entry is NULL
        or not zset_score(call.db.slabs, entry, argv[2].data, argv[2].size, &score)
        or not zset_score(call.db.slabs, entry, argv[3].data, argv[3].size, &other)
    ):
        out_null(call.out, call.protocol)
        return 0
    position(score, &x, &y)
    position(other, &a, &b)
    out_distance(call, distance(x, y, a, b) / unit)
    return 0


# -- searches --------------------------------------------------------------------------------------

cdef class Query:
    """What a search was asked for."""

    cdef Call call
    cdef int kind
    cdef uint8_t* entry                      # the sorted set; NULL: there is none
    cdef Shape shape
    cdef bint has_member, has_middle, has_circle, has_box, has_polygon
    cdef double unit                         # metres
    cdef int order                           # 1: nearest first, -1: farthest first, 0: as found
    cdef int64_t count                       # 0: all
    cdef bint any
    cdef int shown                           # bits of Shown
    cdef Slice* target                       # where to store; NULL: answer
    cdef bint stores_distance

    def __cinit__(self):
        self.unit = 1

    def __dealloc__(self):
        free(self.shape.corners)

    cdef bint open(self, Slice* key, bint first) except -1:
        """Look the set up; False after answering that it is none."""
        cdef Found found
        if first:
            self.entry = self.call.read_first(key, &found)
        else:
            self.entry = self.call.read(key, &found)
        if self.entry is not NULL and not is_zset(self.entry):
            self.call.refuse(WRONG_TYPE)
            return False
        return True

    cdef int read_middle(self, Slice* argv) except -1:
        read_position(&argv[0], &argv[1], &self.shape.longitude, &self.shape.latitude)
        self.has_middle = True
        return 0

    cdef int read_member(self, Slice* member) except -1:
        cdef double score
        self.has_member = True
        if self.entry is NULL:
            return 0
        if not zset_score(self.call.db.slabs, self.entry, member.data, member.size, &score):
            raise errors.NoSuchMember
        position(score, &self.shape.longitude, &self.shape.latitude)
        return 0

    cdef int read_circle(self, Slice* argv) except -1:
        read_length(&argv[0], "radius", &self.shape.radius)
        if self.shape.radius < 0:
            raise errors.NegativeRadius
        self.unit = metres_in(&argv[1])
        self.shape.radius *= self.unit
        self.shape.kind = CIRCLE
        self.has_circle = True
        return 0

    cdef int read_box(self, Slice* argv) except -1:
        read_length(&argv[0], "width", &self.shape.width)
        read_length(&argv[1], "height", &self.shape.height)
        if min(self.shape.width, self.shape.height) < 0:
            raise errors.NegativeBox
        self.unit = metres_in(&argv[2])
        self.shape.width *= self.unit
        self.shape.height *= self.unit
        self.shape.kind = BOX
        self.has_box = True
        return 0

    cdef int read_polygon(self, Slice* argv, int left) except -1:
        """Read the corners; return how many words they are, with their number."""
        cdef int64_t count
        cdef int i
        if not parse_int(argv[0].data, argv[0].size, &count):
            raise errors.InvalidCorners
        if count < 3 or count > (left - 1) // 2:
            raise errors.TooFewCorners
        free(self.shape.corners)
        self.shape.corners = <double*>malloc(2 * <size_t>count * sizeof(double))
        if self.shape.corners is NULL:
            raise MemoryError
        self.shape.corner_count = <int>count
        for i in range(self.shape.corner_count):
            read_position(&argv[2 * i + 1], &argv[2 * i + 2], &self.shape.corners[2 * i],
                          &self.shape.corners[2 * i + 1])
        find_middle(&self.shape)
        self.unit = 1
        self.shape.kind = POLYGON
        self.has_polygon = True
        return 2 * self.shape.corner_count + 1

    cdef int options(self, Slice* argv, int argc, int i) except -1:
        """Read what follows the key, or the circle."""
        cdef int used
        while i < argc:
            used = self.common_option(&argv[i], argc - i - 1)
            if used < 0 and self.kind >= SEARCH:
                used = self.search_option(&argv[i], argc - i - 1)
            if used < 0:
                raise errors.Syntax
            i += 1 + used
        return 0

    cdef int common_option(self, Slice* word, int left) except -2:
        """Read an option of all searches; return how many words follow it, -1 if it is none."""
        if keyword(word, b"WITHDIST", 8):
            self.shown |= WITH_DISTANCE
        elif keyword(word, b"WITHHASH", 8):
            self.shown |= WITH_HASH
        elif keyword(word, b"WITHCOORD", 9):
            self.shown |= WITH_POSITION
        elif keyword(word, b"ANY", 3):
            self.any = True
        elif keyword(word, b"ASC", 3):
            self.order = 1
        elif keyword(word, b"DESC", 4):
            self.order = -1
        elif left and keyword(word, b"COUNT", 5):
            if not parse_int(word[1].data, word[1].size, &self.count):
                raise errors.NotInteger
            if self.count <= 0:
                raise errors.CountOptionNotPositive
            return 1
        elif self.kind == RADIUS and left and (
            keyword(word, b"STORE", 5) or keyword(word, b"STOREDIST", 9)
        ):
            self.target = word + 1
            self.stores_distance = word.size == 9
            return 1
        elif self.kind == STORING and keyword(word, b"STOREDIST", 9):
            self.stores_distance = True
        else:
            return -1
        return 0

    cdef int search_option(self, Slice* word, int left) except -2:
        """Read where to look; return how many words follow the first, -1 if it is not that."""
        if keyword(word, b"FROMMEMBER", 10):
            if left and not self.has_middle and not self.has_polygon:
                self.read_member(word + 1)
                return 1
        elif keyword(word, b"FROMLONLAT", 10):
            if left > 1 and not self.has_member and not self.has_polygon:
                self.read_middle(word + 1)
                return 2
        elif keyword(word, b"BYRADIUS", 8):
            if left > 1 and not self.has_polygon and not self.has_box:
                self.read_circle(word + 1)
                return 2
        elif keyword(word, b"BYBOX", 5):
            if left > 2 and not self.has_polygon and not self.has_circle:
                self.read_box(word + 1)
                return 3
        elif keyword(word, b"BYPOLYGON", 9):
            if left > 1 and not (
                self.has_circle or self.has_box or self.has_member or self.has_middle
            ):
                return self.read_polygon(word + 1, left)
        return -1

    cdef int check(self, const Slice* name) except -1:
        """Refuse what does not go together; `name` is the command's as it was typed."""
        if self.target is not NULL and self.shown:
            raise errors.GeoStoreShows(
                "GEOSEARCHSTORE" if self.kind >= SEARCH else "STORE option in GEORADIUS")
        if self.kind >= SEARCH and not self.has_polygon:
            if not self.has_member and not self.has_middle:
                raise errors.GeoFrom(name.data[:name.size])
            if not self.has_circle and not self.has_box:
                raise errors.GeoBy(name.data[:name.size])
        if self.any and not self.count:
            raise errors.AnyWithoutCount
        return 0

    cdef int answer(self, const char* event) except -1:
        """Search, then answer or store what was found."""
        cdef Hits hits
        cdef int64_t i
        if self.entry is NULL and self.target is NULL:
            out_array(self.call.out, 0)
            return 0
        hits = Hits.__new__(Hits)
        if self.entry is not NULL:
            search(self.call.db.slabs, self.entry, &self.shape, self.count if self.any else 0, hits)
        if self.order or (self.count and not self.any):
            hits.sort(self.order < 0)
        if self.count:
            hits.count = min(hits.count, self.count)
        if self.target is not NULL:
            return self.store_hits(hits, event)
        out_array(self.call.out, hits.count)
        for i in range(hits.count):
            self.out_hit(&hits.items[i])
        return 0

    cdef void out_hit(self, const Hit* hit) noexcept:
        cdef int shown = self.shown
        if shown:
            out_array(self.call.out, 1 + (shown & 1) + (shown >> 1 & 1) + (shown >> 2))
        out_bulk(self.call.out, hit.member, hit.size)
        if shown & WITH_DISTANCE:
            out_distance(self.call, hit.metres / self.unit)
        if shown & WITH_HASH:
            out_int(self.call.out, <int64_t>hit.score)
        if shown & WITH_POSITION:
            out_position(self.call, hit.longitude, hit.latitude)

    cdef int store_hits(self, Hits hits, const char* event) except -1:
        cdef int64_t i
        cdef Hit* hit
        cdef Item[AT_ONCE] few
        cdef Item* items = few
        if hits.count > AT_ONCE:
            items = <Item*>malloc(<size_t>hits.count * sizeof(Item))
            if items is NULL:
                raise MemoryError
        try:
            for i in range(hits.count):
                hit = &hits.items[i]
                items[i].score = hit.metres / self.unit if self.stores_distance else hit.score
                items[i].member = hit.member
                items[i].size = hit.size
            qsort(items, <size_t>hits.count, sizeof(Item), &before)
            store(self.call, self.target, items, hits.count, event)
            if hits.count:
                self.call.effects.dirty += hits.count - 1    # each of them is a change
        finally:
            if items is not few:
                free(items)
        return 0


cdef int before(const void* one, const void* other) noexcept nogil:
    """The order of a sorted set: by score, then by name."""
    cdef const Item* a = <const Item*>one
    cdef const Item* b = <const Item*>other
    cdef int order
    if a.score != b.score:
        return -1 if a.score < b.score else 1
    order = memcmp(a.member, b.member, min(a.size, b.size))
    if order:
        return order
    return (a.size > b.size) - (a.size < b.size)


cdef Query query_of(Call call, int kind):
    cdef Query query = Query.__new__(Query)
    query.call = call
    query.kind = kind
    return query


cdef int geosearch(Call call, Slice* argv, int argc) except -1:
    cdef Query query = query_of(call, SEARCH)
    if query.open(&argv[1], True):
        query.options(argv, argc, 2)
        query.check(&argv[0])
        query.answer(b"")
    return 0


cdef int geosearchstore(Call call, Slice* argv, int argc) except -1:
    cdef Query query = query_of(call, STORING)
    query.target = &argv[1]
    if query.open(&argv[2], False):
        query.options(argv, argc, 3)
        query.check(&argv[0])
        query.answer(b"geosearchstore")
    return 0


cdef int around_position(Call call, Slice* argv, int argc, int kind) except -1:
    cdef Query query = query_of(call, kind)
    if query.open(&argv[1], True):
        query.read_middle(&argv[2])
        query.read_circle(&argv[4])
        query.options(argv, argc, 6)
        query.check(&argv[0])
        query.answer(b"georadiusstore")
    return 0


cdef int around_member(Call call, Slice* argv, int argc, int kind) except -1:
    cdef Query query = query_of(call, kind)
    if query.open(&argv[1], True):
        if query.entry is not NULL:          # as in Redis, nothing else is read without a set
            query.read_member(&argv[2])
            query.read_circle(&argv[3])
        query.options(argv, argc, 5)
        query.check(&argv[0])
        query.answer(b"georadiusstore")
    return 0


cdef int georadius(Call call, Slice* argv, int argc) except -1:
    return around_position(call, argv, argc, RADIUS)


cdef int georadius_ro(Call call, Slice* argv, int argc) except -1:
    return around_position(call, argv, argc, READING)


cdef int georadiusbymember(Call call, Slice* argv, int argc) except -1:
    return around_member(call, argv, argc, RADIUS)


cdef int georadiusbymember_ro(Call call, Slice* argv, int argc) except -1:
    return around_member(call, argv, argc, READING)


GEOADD_BODY = body(geoadd, "geoadd")
GEOPOS_BODY = body(geopos, "geopos")
GEOHASH_BODY = body(geohash, "geohash")
GEODIST_BODY = body(geodist, "geodist")
GEOSEARCH_BODY = body(geosearch, "geosearch")
GEOSEARCHSTORE_BODY = body(geosearchstore, "geosearchstore")
GEORADIUS_BODY = body(georadius, "georadius")
GEORADIUS_RO_BODY = body(georadius_ro, "georadius_ro")
GEORADIUSBYMEMBER_BODY = body(georadiusbymember, "georadiusbymember")
GEORADIUSBYMEMBER_RO_BODY = body(georadiusbymember_ro, "georadiusbymember_ro")
