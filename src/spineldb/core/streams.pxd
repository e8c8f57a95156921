"""Streams: entries in packed nodes, consumer groups with what they have pending.

A stream is a `StreamRoot` from its first entry on, because it outlives its last one. Its entries
lie in *nodes*, blocks of about `stream-node-max-bytes` that are filled one after the other. A node
begins with the field names of its first entry; an entry with the same names stores its values only:

    uint32      where the first record begins
    uint32      records marked deleted
    varint      number of names, then each name (varint length, bytes)
    records     one after the other

    a record:   varint body length, body, its whole length so far as a varint written backwards
    its body:   flags, varint ms - the node's, varint seq (less the node's seq if ms is the same),
                then SAME_FIELDS: values; otherwise: varint count, names and values alternating

Nodes stand in an index by their first id. What is pending is kept twice: for the group with
everything known of it, for the consumer as bare ids (pending.pxd).
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from spineldb.core.effects cimport Effects
from spineldb.core.keyspace cimport Database, Found
# What users of a stream need of its parts: cimport it from here.
from spineldb.core.pending cimport (
    Index, LEAF_MAX, Pending, Slot, pending_at, pending_last, pending_seek,
)
from spineldb.core.resp cimport Output, Slice
from spineldb.core.root cimport Root
from spineldb.core.slab cimport Ref, Slabs
from spineldb.core.stream_ids cimport (
    ID, ID_TEXT, compare_ids, decrement, format_id, increment, is_zero, out_id, parse_id,
)

cdef enum:
    RECORD_DELETED = 1
    SAME_FIELDS = 2
    NOT_KNOWN = -1               # a group's `entries_read`

cdef struct Named:               # how groups and consumers begin
    Ref ref
    uint32_t name_at             # bytes from here to the name
    size_t size                  # of the allocation
    size_t name_size

cdef struct Names:               # in the order of their names
    Named** items
    uint32_t count
    uint32_t capacity

cdef struct Consumer:
    Named named
    int64_t seen_ms              # last attempt to read or claim
    int64_t active_ms            # last successful one; -1: never
    Pending pending              # ids
    uint32_t position            # among the consumers, while a copy is made

cdef struct Nack:                # one entry that was delivered and not acknowledged
    ID id
    int64_t delivered_ms
    uint64_t deliveries
    Consumer* consumer

cdef struct Group:
    Named named
    ID last                      # delivered
    int64_t entries_read         # NOT_KNOWN when it is not
    Pending pending              # Nacks
    Names consumers

cdef struct StreamRoot:
    Root root                    # `count` entries
    ID last                      # the greatest id it ever had
    ID max_deleted
    uint64_t added               # entries ever
    Index nodes
    Names groups

cdef struct Cursor:              # on one entry of a range
    const StreamRoot* stream
    ID start, end                # of the range, both included
    ID id
    bint reverse
    int64_t node                 # position in the index
    uint8_t* data                # of that node
    size_t size                  # of its data
    size_t first                 # where its first record begins
    size_t next                  # forward: where the next record begins; reverse: where it ends
    uint8_t* flags               # of the entry: its first byte
    const uint8_t* fields        # of the entry, behind its id (and count)
    const uint8_t* names         # of the node, or NULL when the entry has its own
    uint64_t count               # of fields

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

# The id that XADD gives next; False if there is none left.
cdef bint stream_next_id(const StreamRoot* stream, int64_t now_ms, ID* id) noexcept nogil
# Append an entry of `count` pairs, whose id is greater than the last. False without memory.
cdef bint stream_append(Slabs* slabs, StreamRoot* stream, const ID* id, const Slice* pairs,
                        int count, int64_t node_bytes, int64_t node_entries) noexcept nogil
cdef size_t pairs_size(const Slice* pairs, int count) noexcept nogil
cdef bint stream_remove(Slabs* slabs, StreamRoot* stream, const ID* id) noexcept nogil
# The same for an entry that groups may refer to: 1 deleted, -1 not there, 2 kept (ACKED).
cdef int stream_remove_referenced(Slabs* slabs, StreamRoot* stream, const ID* id,
                                  int references) noexcept nogil
cdef bint stream_has(const StreamRoot* stream, const ID* id) noexcept nogil
# Remove entries from the front; returns how many.
cdef int64_t stream_trim(Slabs* slabs, StreamRoot* stream, const Trim* how) noexcept nogil
# The first and last entry; 0-0 if there is none.
cdef ID stream_first(const StreamRoot* stream) noexcept nogil
cdef ID stream_top(const StreamRoot* stream) noexcept nogil

cdef void cursor_begin(Cursor* cursor, const StreamRoot* stream, const ID* start, const ID* end,
                       bint reverse) noexcept nogil
cdef bint cursor_next(Cursor* cursor) noexcept nogil
cdef void out_entry(Output* out, const Cursor* cursor) noexcept nogil

# Put other bytes in place of `width` ones of a reply that is being written.
cdef void out_replace(Output* out, size_t start, size_t width, const char* text,
                      size_t size) noexcept nogil
# Put the header of `count` elements where one of `width` bytes stands.
cdef void out_header(Output* out, size_t start, size_t width, char kind,
                     int64_t count) noexcept nogil

cdef inline char* name_of(const Named* named) noexcept nogil:
    return <char*>named + named.name_at

cdef Group* find_group(const StreamRoot* stream, const char* name, size_t size) noexcept nogil
cdef Consumer* find_consumer(const Group* group, const char* name, size_t size) noexcept nogil
# NULL without memory. The name must be new.
cdef Consumer* add_consumer(Slabs* slabs, StreamRoot* stream, Group* group, const char* name,
                            size_t size) noexcept nogil
cdef void remove_consumer(Slabs* slabs, StreamRoot* stream, Group* group,
                          Consumer* consumer) noexcept nogil
# Make an id pending with a consumer, whoever had it. NULL without memory: nothing has changed. A
# new one has no times and no deliveries.
cdef Nack* assign(Slabs* slabs, StreamRoot* stream, Group* group, Consumer* consumer,
                  const ID* id) noexcept nogil
# NULL without memory. The name must be new.
cdef Group* add_group(Slabs* slabs, StreamRoot* stream, const char* name,
                      size_t size) noexcept nogil
# Remove a group; what it has pending is freed in slices. False if there is none of that name.
cdef bint remove_group(Slabs* slabs, StreamRoot* stream, const char* name, size_t size) except -1
# How many entries a group has still to read; NOT_KNOWN if that cannot be told.
cdef int64_t lag_of(const StreamRoot* stream, const Group* group) noexcept nogil
cdef Nack* find_nack(const Group* group, const ID* id) noexcept nogil
cdef bint acknowledge(Slabs* slabs, StreamRoot* stream, Group* group, const ID* id) noexcept nogil
cdef void advance_group(const StreamRoot* stream, Group* group, const ID* id) noexcept nogil
