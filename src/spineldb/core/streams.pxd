"""Streams: entries in packed nodes (`stream_nodes`), consumer groups (`stream_groups`)."""

from libc.stdint cimport int64_t, uint8_t

from spineldb.core.effects cimport Effects
from spineldb.core.keyspace cimport Database, Found
# What users of a stream need of its parts: cimport it from here.
from spineldb.core.named cimport Named, Names, name_of
from spineldb.core.pending cimport (
    Index, LEAF_MAX, Pending, Slot, pending_at, pending_last, pending_seek,
)
from spineldb.core.resp cimport Slice
from spineldb.core.slab cimport Slabs
from spineldb.core.stream_groups cimport (
    NOT_KNOWN, Consumer, Group, Nack, acknowledge, add_consumer, add_group, advance_group, assign,
    find_consumer, find_group, find_nack, lag_of, remove_consumer,
)
from spineldb.core.stream_ids cimport (
    ID, ID_TEXT, compare_ids, decrement, format_id, increment, is_zero, out_id, parse_id,
)
from spineldb.core.stream_nodes cimport (
    Cursor, StreamRoot, cursor_begin, cursor_next, out_entry, out_header, out_replace, pairs_size,
    stream_append, stream_first, stream_has, stream_next_id, stream_remove, stream_top,
)

cdef enum Trimming:
    TRIM_NONE = 0
    TRIM_MAXLEN = 1
    TRIM_MINID = 2

cpdef enum References:           # what becomes of pending items whose entry is removed
    KEEPREF = 0
    DELREF = 1                   # they are removed as well
    ACKED = 2                    # entries that have any, or are still to be delivered, stay

cdef struct Trim:
    int strategy
    bint about                   # ~: whole nodes only
    int64_t maxlen
    ID minid
    int64_t limit                # entries to remove at most; 0: no limit
    int references

# The stream under a key that was looked up; the entry must be one.
cdef StreamRoot* stream_of(const uint8_t* entry) noexcept nogil
cdef StreamRoot* stream_new(Slabs* slabs) except NULL
# Give up a stream that no key has.
cdef void stream_delete(Slabs* slabs, StreamRoot* stream) noexcept
# Store a new stream under a key that is missing.
cdef int stream_put(Database db, Found* found, const char* key, size_t size,
                    StreamRoot* stream) except -1
# Tell the database that the number of entries was `before`.
cdef void stream_recount(Database db, const uint8_t* entry, int64_t before) noexcept
# Say that something about a stream changed that no client's WATCH is about: its groups, its ids.
cdef int stream_noted(Effects effects, Database db, const Slice* key, const char* event,
                      int64_t count) except -1

# The same for an entry that groups may refer to: 1 deleted, -1 not there, 2 kept (ACKED).
cdef int stream_remove_referenced(Slabs* slabs, StreamRoot* stream, const ID* id,
                                  int references) noexcept nogil
# Remove entries from the front; returns how many.
cdef int64_t stream_trim(Slabs* slabs, StreamRoot* stream, const Trim* how) noexcept nogil
# Remove a group; what it has pending is freed in slices. False if there is none of that name.
cdef bint remove_group(Slabs* slabs, StreamRoot* stream, const char* name, size_t size) except -1
