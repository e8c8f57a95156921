"""Geohashes of 52 bits, distances on the sphere, and the cells that cover a search. No keyspace."""

from libc.stdint cimport uint64_t

cdef enum:
    STEPS = 26                   # bits of each coordinate
    CELLS = 9
    GEOHASH_TEXT = 11

cdef struct Cell:                # a square of the grid of 2^steps by 2^steps
    uint64_t bits
    int steps                    # 0: left out

cdef enum ShapeKind:
    CIRCLE = 0
    BOX = 1
    POLYGON = 2

cdef struct Shape:
    int kind
    double longitude             # of the middle
    double latitude
    double radius                # metres
    double width
    double height
    double* corners              # longitude, latitude, longitude ...
    int corner_count

# The 52 bits of a position between these limits of the latitude.
cdef uint64_t geohash(double longitude, double latitude, int steps, double south,
                      double north) noexcept nogil
# The 52 bits of the score a position has in a sorted set.
cdef double geo_score(double longitude, double latitude) noexcept nogil
# Write the standard geohash of a score: GEOHASH_TEXT characters, of which the last tells nothing.
cdef void geohash_text(double score, char* text) noexcept nogil
# The middle of the cell that a score stands for.
cdef void position(double score, double* longitude, double* latitude) noexcept nogil
cdef double distance(double longitude1, double latitude1, double longitude2,
                     double latitude2) noexcept nogil
# Is a position in the shape, and how far from its middle?
cdef bint within(const Shape* shape, double longitude, double latitude,
                 double* metres) noexcept nogil
# Set the middle of a polygon.
cdef void find_middle(Shape* shape) noexcept nogil
# The cells Redis searches, in its order; returns whether they hold all of the shape.
cdef bint cover(const Shape* shape, Cell* cells) noexcept nogil

cdef inline void cell_range(const Cell* cell, double* low, double* high) noexcept nogil:
    """The scores of a cell: from `low` up to, and without, `high`."""
    low[0] = <double>(cell.bits << (52 - 2 * cell.steps))
    high[0] = <double>((cell.bits + 1) << (52 - 2 * cell.steps))
