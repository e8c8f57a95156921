"""Geohashes of 52 bits, distances on the sphere, and the cells that cover a search. No keyspace.

A position is a cell of a grid of 2^26 by 2^26, longitude in the odd bits and latitude in the even
ones, so that cells of any coarser grid are ranges of scores. A search looks at the cell of its
middle and at the eight around it, on a grid coarse enough (Redis's own rule, since its order of the
results can be seen), and then at every member in the shape.

Near the poles, across the meridian of 180 degrees, and at the outermost edges of the grid those
nine cells may not hold all of the shape. `cover` finds out from the true bounds of the shape; the
search then goes through the other cells too.
"""

from libc.math cimport M_PI, asin, atan2, cos, fabs, sin, sqrt
from libc.stdint cimport uint32_t, uint64_t

cdef double EARTH_RADIUS = 6372797.560856
cdef double MERCATOR_MAX = 20037726.37
cdef double LATITUDE_MAX = 85.05112878
cdef double SLACK = 1e-7                     # degrees: more than rounding ever moves a bound
cdef uint64_t ODD = 0xaaaaaaaaaaaaaaaau
cdef uint64_t EVEN = 0x5555555555555555u


cdef inline double radians(double degrees) noexcept nogil:
    return degrees * (M_PI / 180.0)


cdef inline double degrees(double radians) noexcept nogil:
    return radians / (M_PI / 180.0)


cdef inline uint64_t spread(uint32_t value) noexcept nogil:
    """Put a zero before each bit."""
    cdef uint64_t x = value
    x = (x | x << 16) & 0x0000ffff0000ffffu
    x = (x | x << 8) & 0x00ff00ff00ff00ffu
    x = (x | x << 4) & 0x0f0f0f0f0f0f0f0fu
    x = (x | x << 2) & 0x3333333333333333u
    return (x | x << 1) & EVEN


cdef inline uint32_t gather(uint64_t x) noexcept nogil:
    """Take every second bit."""
    x &= EVEN
    x = (x | x >> 1) & 0x3333333333333333u
    x = (x | x >> 2) & 0x0f0f0f0f0f0f0f0fu
    x = (x | x >> 4) & 0x00ff00ff00ff00ffu
    x = (x | x >> 8) & 0x0000ffff0000ffffu
    return <uint32_t>(x | x >> 16)


cdef uint64_t geohash(double longitude, double latitude, int steps, double south,
                      double north) noexcept nogil:
    cdef double scale = <double>(<uint64_t>1 << steps)
    cdef double x = (longitude + 180.0) / 360.0 * scale
    cdef double y = (latitude - south) / (north - south) * scale
    return spread(<uint32_t>y) | spread(<uint32_t>x) << 1


cdef double geo_score(double longitude, double latitude) noexcept nogil:
    return <double>geohash(longitude, latitude, STEPS, -LATITUDE_MAX, LATITUDE_MAX)


cdef void geohash_text(double score, char* text) noexcept nogil:
    cdef const char* letters = b"0123456789bcdefghjkmnpqrstuvwxyz"
    cdef double longitude, latitude
    cdef uint64_t bits
    cdef int i
    position(score, &longitude, &latitude)
    bits = geohash(longitude, latitude, STEPS, -90, 90)
    for i in range(GEOHASH_TEXT - 1):
        text[i] = letters[bits >> (47 - 5 * i) & 31]
    text[GEOHASH_TEXT - 1] = c"0"


cdef inline double edge(uint32_t index, int steps, double low, double high) noexcept nogil:
    return low + (index * 1.0 / <double>(<uint64_t>1 << steps)) * (high - low)


cdef inline double west_of(const Cell* cell) noexcept nogil:
    return edge(gather(cell.bits >> 1), cell.steps, -180, 180)


cdef inline double east_of(const Cell* cell) noexcept nogil:
    return edge(gather(cell.bits >> 1) + 1, cell.steps, -180, 180)


cdef inline double south_of(const Cell* cell) noexcept nogil:
    return edge(gather(cell.bits), cell.steps, -LATITUDE_MAX, LATITUDE_MAX)


cdef inline double north_of(const Cell* cell) noexcept nogil:
    return edge(gather(cell.bits) + 1, cell.steps, -LATITUDE_MAX, LATITUDE_MAX)


cdef void position(double score, double* longitude, double* latitude) noexcept nogil:
    cdef Cell cell
    cell.bits = <uint64_t>score
    cell.steps = STEPS
    longitude[0] = min(max((west_of(&cell) + east_of(&cell)) / 2, -180), 180)
    latitude[0] = min(max((south_of(&cell) + north_of(&cell)) / 2, -LATITUDE_MAX), LATITUDE_MAX)


cdef inline double north_south(double latitude1, double latitude2) noexcept nogil:
    return EARTH_RADIUS * fabs(radians(latitude2) - radians(latitude1))


cdef double distance(double longitude1, double latitude1, double longitude2,
                     double latitude2) noexcept nogil:
    """Metres along a great circle, by the haversine formula."""
    cdef double v = sin((radians(longitude2) - radians(longitude1)) / 2)
    cdef double u
    if v == 0:
        return north_south(latitude1, latitude2)
    u = sin((radians(latitude2) - radians(latitude1)) / 2)
    return 2.0 * EARTH_RADIUS * asin(
        sqrt(u * u + cos(radians(latitude1)) * cos(radians(latitude2)) * v * v))


cdef bint within(const Shape* shape, double longitude, double latitude,
                 double* metres) noexcept nogil:
    if shape.kind == BOX:
        if north_south(latitude, shape.latitude) > shape.height / 2:
            return False
        if distance(longitude, latitude, shape.longitude, latitude) > shape.width / 2:
            return False
    elif shape.kind == POLYGON and not in_polygon(shape, longitude, latitude):
        return False
    metres[0] = distance(shape.longitude, shape.latitude, longitude, latitude)
    return shape.kind != CIRCLE or metres[0] <= shape.radius


cdef bint in_polygon(const Shape* shape, double x, double y) noexcept nogil:
    """Does a ray to the east cross an odd number of sides? (Franklin, PNPOLY)"""
    cdef bint inside = False
    cdef const double* one
    cdef const double* other = shape.corners + 2 * (shape.corner_count - 1)
    cdef int i
    for i in range(shape.corner_count):
        one = shape.corners + 2 * i
        if (one[1] > y) != (other[1] > y) and x < (
            (other[0] - one[0]) * (y - one[1]) / (other[1] - one[1]) + one[0]
        ):
            inside = not inside
        other = one
    return inside


cdef void find_middle(Shape* shape) noexcept nogil:
    """The mean of the corners, in space."""
    cdef double x = 0
    cdef double y = 0
    cdef double z = 0
    cdef double longitude, latitude
    cdef int i
    for i in range(shape.corner_count):
        longitude = radians(shape.corners[2 * i])
        latitude = radians(shape.corners[2 * i + 1])
        x += cos(latitude) * cos(longitude)
        y += cos(latitude) * sin(longitude)
        z += sin(latitude)
    shape.longitude = degrees(atan2(y, x))
    shape.latitude = degrees(atan2(z, sqrt(x * x + y * y)))


# -- cells -----------------------------------------------------------------------------------------

cdef Cell beside(const Cell* cell, int east, int north) noexcept nogil:
    """The next cell in a direction; the grid is closed in both."""
    cdef Cell found
    cdef int unused = 64 - 2 * cell.steps
    cdef uint64_t x = cell.bits & ODD
    cdef uint64_t y = cell.bits & EVEN
    cdef uint64_t gaps = EVEN >> unused
    if east > 0:
        x += gaps + 1
    elif east < 0:
        x = (x | gaps) - (gaps + 1)
    if east:
        x &= ODD >> unused
    gaps = ODD >> unused
    if north > 0:
        y += gaps + 1
    elif north < 0:
        y = (y | gaps) - (gaps + 1)
    if north:
        y &= EVEN >> unused
    found.bits = x | y
    found.steps = cell.steps
    return found


cdef int steps_for(double metres, double latitude) noexcept nogil:
    """The grid whose cells are about as large as the search, coarser near the poles."""
    cdef int steps = -1
    if metres == 0:
        return STEPS
    while metres < MERCATOR_MAX:
        metres *= 2
        steps += 1
    if fabs(latitude) > 66:
        steps -= 1
        if fabs(latitude) > 80:
            steps -= 1
    return min(max(steps, 1), STEPS)


cdef struct Bounds:
    double west
    double south
    double east
    double north


cdef void rough_bounds(const Shape* shape, Bounds* bounds) noexcept nogil:
    """The bounds by which Redis chooses cells."""
    cdef double high = shape.radius if shape.kind == CIRCLE else shape.height / 2
    cdef double wide = shape.radius if shape.kind == CIRCLE else shape.width / 2
    cdef double span = degrees(high / EARTH_RADIUS)
    cdef double turn
    cdef int i
    if shape.kind == POLYGON:
        bounds.west = 180
        bounds.east = -180
        bounds.south = LATITUDE_MAX
        bounds.north = -LATITUDE_MAX
        for i in range(shape.corner_count):
            bounds.west = min(bounds.west, shape.corners[2 * i])
            bounds.east = max(bounds.east, shape.corners[2 * i])
            bounds.south = min(bounds.south, shape.corners[2 * i + 1])
            bounds.north = max(bounds.north, shape.corners[2 * i + 1])
        return
    turn = span if shape.latitude >= 0 else -span
    turn = degrees(wide / EARTH_RADIUS / cos(radians(shape.latitude + turn)))
    bounds.west = shape.longitude - turn
    bounds.east = shape.longitude + turn
    bounds.south = shape.latitude - span
    bounds.north = shape.latitude + span


cdef void true_bounds(const Shape* shape, const Bounds* rough, Bounds* bounds) noexcept nogil:
    """Bounds outside of which nothing of the shape lies; the longitudes may go past 180."""
    cdef double span = 180
    cdef double nearest, sine
    bounds[0] = rough[0]
    if shape.kind != POLYGON:
        nearest = max(fabs(rough.south), fabs(rough.north))      # to a pole
        if nearest < 90:
            if shape.kind == CIRCLE:
                sine = sin(shape.radius / EARTH_RADIUS) / cos(radians(shape.latitude))
                span = degrees(asin(sine)) if sine < 1 else 180
            elif shape.width / 4 / EARTH_RADIUS < M_PI / 2:
                sine = sin(shape.width / 4 / EARTH_RADIUS) / cos(radians(nearest))
                span = 2 * degrees(asin(sine)) if sine < 1 else 180
        bounds.west = shape.longitude - span
        bounds.east = shape.longitude + span
    bounds.west -= SLACK
    bounds.east += SLACK
    bounds.south -= SLACK
    bounds.north += SLACK


cdef bint close_to(double one, double other) noexcept nogil:
    return fabs(one - other) < SLACK


cdef bint covered(const Shape* shape, const Bounds* rough, const Cell* middle, bint[2] wide,
                  bint[2] high) noexcept nogil:
    """Do the middle cell and its neighbours west, east, south, north hold all of the shape?"""
    cdef Bounds bounds
    cdef Cell cell
    cdef double west = west_of(middle)
    cdef double east = east_of(middle)
    cdef double south = south_of(middle)
    cdef double north = north_of(middle)
    true_bounds(shape, rough, &bounds)
    # What stands exactly on the outermost edges is outside of the grid's own cells.
    if bounds.east >= 180 or bounds.west <= -180 or bounds.north >= LATITUDE_MAX:
        return False
    if wide[0]:
        cell = beside(middle, -1, 0)
        if close_to(east_of(&cell), west):
            west = west_of(&cell)
    if wide[1]:
        cell = beside(middle, 1, 0)
        if close_to(west_of(&cell), east):
            east = east_of(&cell)
    if high[0]:
        cell = beside(middle, 0, -1)
        if close_to(north_of(&cell), south):
            south = south_of(&cell)
    if high[1]:
        cell = beside(middle, 0, 1)
        if close_to(south_of(&cell), north):
            north = north_of(&cell)
    return (
        west <= bounds.west and east >= bounds.east and north >= bounds.north
        and (south <= bounds.south or south <= -LATITUDE_MAX + SLACK)
    )


cdef bint cover(const Shape* shape, Cell* cells) noexcept nogil:
    cdef Bounds bounds
    cdef Cell middle, north, south, east, west
    cdef double reach = shape.radius
    cdef bint[2] wide
    cdef bint[2] high
    cdef int way, last
    rough_bounds(shape, &bounds)
    if shape.kind == BOX:
        reach = sqrt(shape.width / 2 * (shape.width / 2) + shape.height / 2 * (shape.height / 2))
    elif shape.kind == POLYGON:
        reach = max(
            max(distance(shape.longitude, shape.latitude, bounds.west, bounds.north),
                distance(shape.longitude, shape.latitude, bounds.east, bounds.north)),
            max(distance(shape.longitude, shape.latitude, bounds.west, bounds.south),
                distance(shape.longitude, shape.latitude, bounds.east, bounds.south)))
    middle.steps = steps_for(reach, shape.latitude)
    for way in range(2):
        middle.bits = geohash(
            shape.longitude, shape.latitude, middle.steps, -LATITUDE_MAX, LATITUDE_MAX)
        north = beside(&middle, 0, 1)
        south = beside(&middle, 0, -1)
        east = beside(&middle, 1, 0)
        west = beside(&middle, -1, 0)
        if way or middle.steps == 1 or not (
            north_of(&north) < bounds.north or south_of(&south) > bounds.south
            or east_of(&east) < bounds.east or west_of(&west) > bounds.west
        ):
            break
        middle.steps -= 1                    # a neighbour is too near to hold its side
    wide[0] = middle.steps < 2 or not west_of(&middle) < bounds.west
    wide[1] = middle.steps < 2 or not east_of(&middle) > bounds.east
    high[0] = middle.steps < 2 or not south_of(&middle) < bounds.south
    high[1] = middle.steps < 2 or not north_of(&middle) > bounds.north
    cells[0] = middle
    cells[1] = north
    cells[2] = south
    cells[3] = east
    cells[4] = west
    cells[5] = beside(&middle, 1, 1)
    cells[6] = beside(&middle, -1, 1)
    cells[7] = beside(&middle, 1, -1)
    cells[8] = beside(&middle, -1, -1)
    if not high[1]:
        cells[1].steps = cells[5].steps = cells[6].steps = 0
    if not high[0]:
        cells[2].steps = cells[7].steps = cells[8].steps = 0
    if not wide[1]:
        cells[3].steps = cells[5].steps = cells[7].steps = 0
    if not wide[0]:
        cells[4].steps = cells[6].steps = cells[8].steps = 0
    last = 0                                 # on a coarse grid both ways lead to the same cell
    for way in range(1, CELLS):
        if cells[way].steps == 0:
            continue
        if last and cells[way].bits == cells[last].bits:
            cells[way].steps = 0
        else:
            last = way
    return covered(shape, &bounds, &middle, wide, high)


# -- for Python ------------------------------------------------------------------------------------

def encode(double longitude, double latitude) -> float:
    """Return the score of a position."""
    return geo_score(longitude, latitude)


def decode(double score) -> tuple[float, float]:
    """Return longitude and latitude of a score."""
    cdef double longitude, latitude
    position(score, &longitude, &latitude)
    return longitude, latitude


def text(double score) -> bytes:
    """Return the standard geohash of a score: 11 characters, of which the last tells nothing."""
    cdef char[GEOHASH_TEXT] letters
    geohash_text(score, letters)
    return letters[:GEOHASH_TEXT]


def metres(double longitude1, double latitude1, double longitude2, double latitude2) -> float:
    """Return how far two positions are from each other."""
    return distance(longitude1, latitude1, longitude2, latitude2)
