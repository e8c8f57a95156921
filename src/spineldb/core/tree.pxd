"""A counted blocked B+tree of (score, member), for sorted sets (design: `tree.pyx`)."""

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memcmp, memcpy

from spineldb.core.slab cimport Ref, Slabs, at

cdef extern from *:
    """
    #define spinel_fetch(p) __builtin_prefetch((p), 0, 3)
    """
    void fetch "spinel_fetch"(const void* p) noexcept nogil

cdef enum:
    LEAF_MAX = 122               # elements: eleven leaves of 1488 bytes fill a slab
    INNER_MAX = 204              # children: four nodes of 4096 bytes fill a slab
    LEVELS_MAX = 8               # inner levels: more than 32-bit references can fill

    SCORE_BYTES = 8              # of a member's entry: its score comes first,
    LENGTH_MAX = 254             # then its length in one byte, or LONG and four bytes
    LONG = 255

cdef struct Leaf:                # scores, then references, of `capacity` elements follow
    Ref previous
    Ref next
    uint16_t count
    uint16_t capacity
    uint32_t reserved

cdef struct Inner:               # scores, firsts, children, counts of `capacity` children follow
    uint16_t count
    uint16_t capacity
    uint32_t reserved

cdef struct Tree:
    Slabs* slabs
    Ref root                     # 0: the tree is empty
    Ref first                    # the outermost leaves
    Ref last
    int height                   # inner levels above the leaves

cdef struct Spot:                # an element's place, valid until the tree changes
    Leaf* leaf                   # NULL: there is none
    int index

cdef enum BoundKind:
    AT_SCORE = 0                 # before the first element of this score or a greater one
    AFTER_SCORE = 1              # behind the last element of this score
    AT_MEMBER = 2                # the same by name, whatever the score
    AFTER_MEMBER = 3
    AT_ELEMENT = 4               # before (score, member)
    AT_START = 5
    AT_END = 6

cdef struct Bound:               # a place between elements
    int kind
    double score
    const char* member
    size_t size

cdef inline double* leaf_scores(const Leaf* leaf) noexcept nogil:
    return <double*>(leaf + 1)

cdef inline Ref* leaf_refs(const Leaf* leaf) noexcept nogil:
    return <Ref*>(leaf_scores(leaf) + leaf.capacity)

# -- the entry of a member

cdef inline size_t member_size(size_t length) noexcept nogil:
    """Bytes of the entry for a member of that length."""
    return SCORE_BYTES + 1 + length + (0 if length <= LENGTH_MAX else 4)

cdef inline const char* member_of(const uint8_t* entry, size_t* size) noexcept nogil:
    cdef uint32_t length
    if entry[SCORE_BYTES] != LONG:
        size[0] = entry[SCORE_BYTES]
        return <const char*>(entry + SCORE_BYTES + 1)
    memcpy(&length, entry + SCORE_BYTES + 1, 4)
    size[0] = length
    return <const char*>(entry + SCORE_BYTES + 5)

cdef inline double score_of(const uint8_t* entry) noexcept nogil:
    cdef double score
    memcpy(&score, entry, SCORE_BYTES)
    return score

cdef inline int compare_bytes(const char* a, size_t a_size, const char* b,
                              size_t b_size) noexcept nogil:
    cdef int result = memcmp(a, b, a_size if a_size < b_size else b_size)
    if result:
        return result
    return (a_size > b_size) - (a_size < b_size)

cdef inline bint precedes(double score, const char* member, size_t size,
                          const Bound* bound) noexcept nogil:
    """Does an element lie before a bound?"""
    if bound.kind == AT_SCORE:
        return score < bound.score
    if bound.kind == AFTER_SCORE:
        return score <= bound.score
    if bound.kind == AT_ELEMENT:
        return score < bound.score or (
            score == bound.score
            and compare_bytes(member, size, bound.member, bound.size) < 0)
    if bound.kind == AT_MEMBER:
        return compare_bytes(member, size, bound.member, bound.size) < 0
    if bound.kind == AFTER_MEMBER:
        return compare_bytes(member, size, bound.member, bound.size) <= 0
    return bound.kind == AT_END

# Add the member at `ref`, which must not be in the tree. On MemoryError nothing has changed.
cdef int tree_insert(Tree* tree, double score, Ref ref) except -1
# Take the member at `ref` out, which must be in the tree with that score.
cdef void tree_remove(Tree* tree, double score, Ref ref) noexcept nogil
# Take the element of a rank out, which must exist; returns its reference.
cdef Ref tree_remove_at(Tree* tree, int64_t rank) noexcept nogil
# Give it another score if it keeps its place; False if it would not.
cdef bint tree_rescore(Tree* tree, double score, Ref ref, double new) noexcept nogil
# The same where the caller knows that it keeps its place.
cdef void tree_reset(Tree* tree, double score, Ref ref, double new) noexcept nogil
# Its entry has moved, but the old one can still be read.
cdef void tree_replace(Tree* tree, double score, Ref old, Ref new) noexcept nogil
# How many elements lie before a bound; `spot` (may be NULL) is the first that does not.
cdef int64_t tree_rank(const Tree* tree, const Bound* bound, Spot* spot) noexcept nogil
# The element of a rank, which must exist.
cdef void tree_at(const Tree* tree, int64_t rank, Spot* spot) noexcept nogil
# Free leaves, about `limit` of them, and in the end the inner nodes; True once all is gone.
cdef bint tree_drain(Tree* tree, int64_t limit) noexcept nogil
# Move the leaf of the element at `rank` if it lies in a sparse slab; how many elements it has.
cdef int tree_defragment(Tree* tree, int64_t rank, int64_t* moved) noexcept nogil
# What contradicts the invariants, in words.
cdef list tree_faults(const Tree* tree, int64_t count)
