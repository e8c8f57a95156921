"""Sorted sets: packed in their entry, or a tree and a table (design: `zsets.pyx`)."""

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint16_t

from spineldb.core.entry cimport INLINE_MAX
from spineldb.core.keyspace cimport Database, Found, View
from spineldb.core.root cimport Root
from spineldb.core.slab cimport Ref, Slabs
from spineldb.core.table cimport Table
from spineldb.core.tree cimport Bound, Leaf, Tree

cdef enum:
    PACKED_MEMBERS = 128         # a packed sorted set has no more,
    PACKED_MEMBER_MAX = 255      # and no longer ones
    SKIPLIST = 1                 # form: OBJECT ENCODING says so, whatever the layout;
    ROOMY = 2                    # of a packed one whose entry is longer than it is

cdef struct Zset:
    Root root
    Table* table                 # member -> its entry (tree.pxd), which holds the score
    Tree tree                    # the same entries in order

cdef struct Item:                # an element; its bytes stay where they are until the next change
    double score
    const char* member
    size_t size

cdef struct Cursor:              # an element of a sorted set that does not change meanwhile
    const Slabs* slabs
    const Zset* zset             # NULL: packed, then
    const uint8_t* base          # where the value lies,
    uint16_t offsets[PACKED_MEMBERS + 1]    # its elements, and where they end
    int64_t count                # elements of the set
    int64_t rank                 # of the element (packed)
    const Leaf* leaf             # where it is (tree)
    int index

cdef enum Condition:             # of zset_add
    ONLY_NEW = 1                 # NX
    ONLY_OLD = 2                 # XX
    ONLY_GREATER = 4             # GT
    ONLY_LESS = 8                # LT
    INCREMENT = 16               # INCR

cdef enum Outcome:
    NOT_DONE = 0                 # a condition forbade it
    SAME = 1                     # it has that score already
    ADDED = 2
    MOVED = 3                    # it has another score now
    NOT_A_NUMBER = 4             # the sum is none: nothing was changed

# -- reading: the entry is a sorted set

cdef void zset_open(const Slabs* slabs, const uint8_t* entry, Cursor* cursor) noexcept nogil
# Go to the element of a rank, which must exist.
cdef void cursor_seek(Cursor* cursor, int64_t rank) noexcept nogil
cdef void cursor_get(const Cursor* cursor, Item* item) noexcept nogil
# Forwards, or backwards. Behind the last element nothing may be read.
cdef void cursor_next(Cursor* cursor) noexcept nogil
cdef void cursor_previous(Cursor* cursor) noexcept nogil
# How many elements lie before a bound.
cdef int64_t zset_rank(Cursor* cursor, const Bound* bound) noexcept nogil
# The ranks of all elements between two bounds: from `first` up to, and without, `last`. By name
# (AT_MEMBER ...) elements of different scores have no order: a packed set is walked as Redis
# walks a listpack, from the end that `reverse` says.
cdef void zset_range(Cursor* cursor, const Bound* low, const Bound* high, bint reverse,
                     int64_t* first, int64_t* last) noexcept nogil
cdef bint zset_score(const Slabs* slabs, const uint8_t* entry, const char* member, size_t size,
                     double* score) noexcept nogil
# Does OBJECT ENCODING say skiplist?
cdef bint zset_called_skiplist(const uint8_t* entry) noexcept nogil
# From now on it does.
cdef void zset_call_skiplist(uint8_t* entry) noexcept nogil
# The rank of a member, or -1; its score, too.
cdef int64_t zset_rank_of(const Slabs* slabs, const uint8_t* entry, const char* member,
                          size_t size, double* score) noexcept nogil

# -- changing. All raise MemoryError with everything as it was, and keep Keysizes. What only takes
#    elements out needs no memory.

# Add a member or change its score; creates the key. `form` is what a new set is called;
# `result` is the score the member has in the end.
cdef int zset_add(Database db, Found* found, const char* key, size_t key_size, double score,
                  const char* member, size_t size, int conditions, int form,
                  double* result) except -1
# Do that with many, scores from anywhere but NaN, one after the other: all, or without memory none.
cdef int zset_add_all(Database db, Found* found, const char* key, size_t key_size,
                      const Item* items, int64_t count, int conditions, int form,
                      int64_t* added, int64_t* moved) except -1
# Take a member out; False if it is not there. The set may be empty then: call.changed_value.
cdef bint zset_remove(Database db, Found* found, const char* member, size_t size) except -1
# Take the elements of some ranks out; returns how many.
cdef int64_t zset_remove_range(Database db, Found* found, int64_t first, int64_t last) except -1
# Store a set of `count` elements, in order and without doubles, over whatever the key holds. They
# may lie in the very values that are replaced.
cdef int zset_store(Database db, Found* found, const char* key, size_t key_size,
                    const Item* items, int64_t count) except -1

cdef class SortedSet(View):
    pass
