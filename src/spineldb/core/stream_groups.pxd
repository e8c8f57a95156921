"""Consumer groups of a stream: their consumers, and what was delivered and not acknowledged.

What is pending is kept twice: for the group with everything known of it, for the consumer as bare
ids (pending.pxd).
"""

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint32_t, uint64_t

from spineldb.core.named cimport Named, Names
from spineldb.core.pending cimport Pending
from spineldb.core.slab cimport Slabs
from spineldb.core.stream_ids cimport ID
from spineldb.core.stream_nodes cimport StreamRoot

cdef enum:
    NOT_KNOWN = -1               # a group's `entries_read`

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
# How many entries a group has still to read; NOT_KNOWN if that cannot be told.
cdef int64_t lag_of(const StreamRoot* stream, const Group* group) noexcept nogil
cdef Nack* find_nack(const Group* group, const ID* id) noexcept nogil
cdef bint acknowledge(Slabs* slabs, StreamRoot* stream, Group* group, const ID* id) noexcept nogil
cdef void advance_group(const StreamRoot* stream, Group* group, const ID* id) noexcept nogil
# Is an entry pending in a group, or still to be delivered to one?
cdef bint is_referenced(const StreamRoot* stream, const ID* id) noexcept nogil
# Take an id out of what is pending in any group. Keeps `bytes` to the caller's count.
cdef void drop_references(Slabs* slabs, StreamRoot* stream, const ID* id) noexcept nogil

# What a group takes, its own allocation included.
cdef size_t group_bytes(const Group* group) noexcept nogil
# Free a group until `left` items are; True when it is gone.
cdef bint free_group(Slabs* slabs, Group* group, int64_t* left) noexcept nogil
# Add a copy of a group; False without memory (what was copied stays, and can be freed).
cdef bint copy_group(Slabs* slabs, StreamRoot* target, const Group* source) noexcept nogil
# One step of moving groups out of sparse slabs and filling leaves, from a `unit` on; True at the
# end.
cdef bint groups_settle(Slabs* slabs, Names* groups, uint64_t* unit, int64_t limit,
                        int64_t* moved) noexcept nogil
