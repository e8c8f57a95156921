"""Consumer groups of a stream: their consumers, and what was delivered and not acknowledged.

Everything here that may run out of memory says so before it changes anything; removing never needs
any.
"""

from spineldb.core.named cimport (
    name_of, named_free, named_settle, names_add, names_bytes, names_remove, names_seek,
    names_settle,
)
from spineldb.core.pending cimport (
    Slot,
    drop_leaf,
    leaf_settle,
    leaves_bytes,
    index_settle,
    pending_at,
    pending_copy,
    pending_find,
    pending_free,
    pending_insert,
    pending_remove,
    slot_at,
)
from spineldb.core.slab cimport class_size
from spineldb.core.stream_ids cimport compare_ids, is_zero
from spineldb.core.stream_nodes cimport stream_first

cdef int64_t WHOLE = <int64_t>1 << 62
cdef int64_t LIGHT = 1024            # pending ids of a consumer that is worth moving itself
cdef int64_t LEAF_COST = 8           # of a step's limit


cdef Group* find_group(const StreamRoot* stream, const char* name, size_t size) noexcept nogil:
    cdef uint32_t position
    if names_seek(&stream.groups, name, size, &position):
        return <Group*>stream.groups.items[position]
    return NULL


cdef Consumer* find_consumer(const Group* group, const char* name, size_t size) noexcept nogil:
    cdef uint32_t position
    if names_seek(&group.consumers, name, size, &position):
        return <Consumer*>group.consumers.items[position]
    return NULL


cdef Group* add_group(Slabs* slabs, StreamRoot* stream, const char* name,
                      size_t size) noexcept nogil:
    cdef size_t used = slabs.used
    cdef Group* group = <Group*>names_add(slabs, &stream.groups, name, size, sizeof(Group))
    if group is not NULL:
        group.pending.item = sizeof(Nack)
    stream.root.bytes += slabs.used - used
    return group


cdef Consumer* new_consumer(Slabs* slabs, Group* group, const char* name,
                            size_t size) noexcept nogil:
    cdef Consumer* consumer = <Consumer*>names_add(
        slabs, &group.consumers, name, size, sizeof(Consumer))
    if consumer is not NULL:
        consumer.pending.item = sizeof(ID)
        consumer.active_ms = -1
    return consumer


cdef Consumer* add_consumer(Slabs* slabs, StreamRoot* stream, Group* group, const char* name,
                            size_t size) noexcept nogil:
    cdef size_t used = slabs.used
    cdef Consumer* consumer = new_consumer(slabs, group, name, size)
    stream.root.bytes += slabs.used - used
    return consumer


cdef void pending_purge(Slabs* slabs, Pending* pending, const Consumer* consumer) noexcept nogil:
    """Remove all that one consumer has of what a group has pending, in one pass."""
    cdef int64_t position = pending.leaves.count
    cdef uint32_t i, kept
    cdef Slot* slot
    cdef Nack* nacks
    while position:
        position -= 1
        slot = slot_at(&pending.leaves, position)
        nacks = <Nack*>slot.data
        kept = 0
        for i in range(slot.live):
            if nacks[i].consumer is not consumer:
                nacks[kept] = nacks[i]
                kept += 1
        pending.count -= slot.live - kept
        slot.live = kept
        if kept == 0:
            drop_leaf(slabs, pending, position)
        else:
            slot.first = nacks[0].id


cdef void remove_consumer(Slabs* slabs, StreamRoot* stream, Group* group,
                          Consumer* consumer) noexcept nogil:
    """Remove a consumer; what it had pending is no longer pending in the group."""
    cdef size_t used = slabs.used
    cdef uint32_t position
    cdef uint32_t leaf = 0
    cdef uint32_t item = 0
    cdef int64_t left = WHOLE
    cdef ID* id
    if consumer.pending.count > group.pending.leaves.count:
        pending_purge(slabs, &group.pending, consumer)
    else:
        while True:
            id = <ID*>pending_at(&consumer.pending, &leaf, &item)
            if id is NULL:
                break
            pending_remove(slabs, &group.pending, id)
            item += 1
    pending_free(slabs, &consumer.pending, &left)
    names_seek(&group.consumers, name_of(&consumer.named), consumer.named.name_size, &position)
    names_remove(slabs, &group.consumers, position)
    named_free(slabs, &consumer.named)
    stream.root.bytes += slabs.used - used


cdef Nack* find_nack(const Group* group, const ID* id) noexcept nogil:
    return <Nack*>pending_find(&group.pending, id)


cdef Nack* assign(Slabs* slabs, StreamRoot* stream, Group* group, Consumer* consumer,
                  const ID* id) noexcept nogil:
    cdef size_t used = slabs.used
    cdef Nack* nack = find_nack(group, id)
    if nack is NULL:
        if pending_insert(slabs, &consumer.pending, id) is not NULL:
            nack = <Nack*>pending_insert(slabs, &group.pending, id)
            if nack is NULL:
                pending_remove(slabs, &consumer.pending, id)
            else:
                nack.delivered_ms = 0
                nack.deliveries = 0
                nack.consumer = consumer
    elif nack.consumer is not consumer:
        if pending_insert(slabs, &consumer.pending, id) is NULL:
            nack = NULL
        else:
            pending_remove(slabs, &nack.consumer.pending, id)
            nack.consumer = consumer
    stream.root.bytes += slabs.used - used
    return nack


cdef bint acknowledge(Slabs* slabs, StreamRoot* stream, Group* group, const ID* id) noexcept nogil:
    """Take an id out of what is pending; False if it was not."""
    cdef size_t used = slabs.used
    cdef Nack* nack = find_nack(group, id)
    if nack is NULL:
        return False
    pending_remove(slabs, &nack.consumer.pending, id)
    pending_remove(slabs, &group.pending, id)
    stream.root.bytes += slabs.used - used
    return True


cdef bint is_referenced(const StreamRoot* stream, const ID* id) noexcept nogil:
    """Is an entry pending in a group, or still to be delivered to one?"""
    cdef uint32_t i
    cdef Group* group
    for i in range(stream.groups.count):
        group = <Group*>stream.groups.items[i]
        if compare_ids(id, &group.last) > 0 or find_nack(group, id) is not NULL:
            return True
    return False


cdef void drop_references(Slabs* slabs, StreamRoot* stream, const ID* id) noexcept nogil:
    """Take an id out of what is pending in any group. Keeps `bytes` to the caller's count."""
    cdef uint32_t i
    cdef Nack* nack
    cdef Group* group
    for i in range(stream.groups.count):
        group = <Group*>stream.groups.items[i]
        nack = find_nack(group, id)
        if nack is not NULL:
            pending_remove(slabs, &nack.consumer.pending, id)
            pending_remove(slabs, &group.pending, id)


cdef bint has_deleted_after(const StreamRoot* stream, const ID* id) noexcept nogil:
    """May an entry that is not older than `id` have been deleted?"""
    return (stream.root.count > 0 and not is_zero(&stream.max_deleted)
            and compare_ids(id, &stream.max_deleted) <= 0)


cdef int64_t read_up_to(const StreamRoot* stream, const ID* id) noexcept nogil:
    """How many entries were ever added up to `id`, where that can be known."""
    cdef int64_t added = <int64_t>stream.added
    cdef int order
    cdef ID first
    if added == 0:
        return 0
    if stream.root.count == 0 and compare_ids(id, &stream.last) <= 0:
        return added
    if not is_zero(id) and compare_ids(id, &stream.max_deleted) < 0:
        return NOT_KNOWN
    order = compare_ids(id, &stream.last)
    if order >= 0:
        return added if order == 0 else NOT_KNOWN
    first = stream_first(stream)
    if is_zero(&stream.max_deleted) or compare_ids(&stream.max_deleted, &first) < 0:
        order = compare_ids(id, &first)
        if order < 0:
            return added - stream.root.count
        if order == 0:
            return added - stream.root.count + 1
    return NOT_KNOWN


cdef void advance_group(const StreamRoot* stream, Group* group, const ID* id) noexcept nogil:
    """An entry behind the group's last one was delivered."""
    cdef ID first
    if compare_ids(id, &group.last) <= 0:
        return
    if group.entries_read != NOT_KNOWN:
        first = stream_first(stream)
        if compare_ids(&group.last, &first) >= 0 and not has_deleted_after(stream, &group.last):
            group.entries_read += 1
            group.last = id[0]
            return
    if stream.added:
        group.entries_read = read_up_to(stream, id)
    group.last = id[0]


cdef int64_t lag_of(const StreamRoot* stream, const Group* group) noexcept nogil:
    cdef int64_t read = group.entries_read
    cdef ID first
    if stream.root.count == 0:
        return 0
    first = stream_first(stream)
    if compare_ids(&group.last, &first) < 0 and compare_ids(&stream.max_deleted, &first) < 0:
        return stream.root.count
    if read == NOT_KNOWN or has_deleted_after(stream, &group.last):
        read = read_up_to(stream, &group.last)
    if read == NOT_KNOWN or read > <int64_t>stream.added:
        return NOT_KNOWN
    return <int64_t>stream.added - read


cdef size_t group_bytes(const Group* group) noexcept nogil:
    """What a group takes, its own allocation included."""
    cdef size_t total = class_size(group.named.size) + leaves_bytes(&group.pending)
    cdef Consumer* one
    cdef uint32_t i
    total += names_bytes(&group.consumers)
    for i in range(group.consumers.count):
        one = <Consumer*>group.consumers.items[i]
        total += class_size(one.named.size) + leaves_bytes(&one.pending)
    return total


cdef bint free_group(Slabs* slabs, Group* group, int64_t* left) noexcept nogil:
    cdef Consumer* consumer
    if not pending_free(slabs, &group.pending, left):
        return False
    while group.consumers.count:
        consumer = <Consumer*>group.consumers.items[group.consumers.count - 1]
        if left[0] <= 0 or not pending_free(slabs, &consumer.pending, left):
            return False
        left[0] -= 1
        named_free(slabs, &consumer.named)
        names_remove(slabs, &group.consumers, group.consumers.count - 1)
    named_free(slabs, &group.named)
    return True


cdef bint copy_group(Slabs* slabs, StreamRoot* target, const Group* source) noexcept nogil:
    """Copy a group; False without memory (what was copied stays, and can be freed)."""
    cdef uint32_t i, leaf, item
    cdef Consumer* one
    cdef Consumer* own
    cdef Nack* nack
    cdef Group* group = add_group(
        slabs, target, name_of(&source.named), source.named.name_size)
    if group is NULL:
        return False
    group.last = source.last
    group.entries_read = source.entries_read
    for i in range(source.consumers.count):
        one = <Consumer*>source.consumers.items[i]
        own = new_consumer(slabs, group, name_of(&one.named), one.named.name_size)
        if own is NULL or not pending_copy(slabs, &own.pending, &one.pending):
            return False
        own.seen_ms = one.seen_ms
        own.active_ms = one.active_ms
        one.position = i
    if not pending_copy(slabs, &group.pending, &source.pending):
        return False
    leaf = item = 0
    while True:
        nack = <Nack*>pending_at(&group.pending, &leaf, &item)
        if nack is NULL:
            return True
        nack.consumer = <Consumer*>group.consumers.items[nack.consumer.position]
        item += 1


# -- moving ----------------------------------------------------------------------------------------

cdef void consumer_settle(Slabs* slabs, Group* group, uint32_t position,
                          int64_t* moved) noexcept nogil:
    """Move a consumer and tell what it has pending; one that has much is small beside that."""
    cdef Consumer* consumer = <Consumer*>group.consumers.items[position]
    cdef Consumer* before = consumer
    cdef uint32_t leaf = 0
    cdef uint32_t item = 0
    cdef ID* id
    index_settle(slabs, &consumer.pending.leaves, moved)
    if consumer.pending.count > LIGHT:
        return
    consumer = <Consumer*>named_settle(slabs, &group.consumers, position, moved)
    while consumer is not before:
        id = <ID*>pending_at(&consumer.pending, &leaf, &item)
        if id is NULL:
            return
        find_nack(group, id).consumer = consumer
        item += 1


cdef void pending_settle(Slabs* slabs, Pending* pending, uint64_t* unit, uint64_t* seen,
                         int64_t* limit, int64_t* moved) noexcept nogil:
    """Go through leaves, which are units from `seen` on; `seen` gets the one behind them."""
    while limit[0] > 0 and seen[0] <= unit[0] < seen[0] + pending.leaves.count:
        leaf_settle(slabs, pending, <int64_t>(unit[0] - seen[0]), moved)
        unit[0] += 1
        limit[0] -= LEAF_COST
    seen[0] += pending.leaves.count


cdef bint groups_settle(Slabs* slabs, Names* groups, uint64_t* unit, int64_t limit,
                        int64_t* moved) noexcept nogil:
    """Units are numbered through all groups: a group or a consumer, then its leaves."""
    cdef uint64_t seen = 0
    cdef uint32_t i, k
    cdef Group* group
    for i in range(groups.count):
        if unit[0] == seen:
            group = <Group*>named_settle(slabs, groups, i, moved)
            names_settle(slabs, &group.consumers, moved)
            index_settle(slabs, &group.pending.leaves, moved)
            unit[0] += 1
            limit -= 1
        group = <Group*>groups.items[i]
        seen += 1
        pending_settle(slabs, &group.pending, unit, &seen, &limit, moved)
        for k in range(group.consumers.count):
            if limit <= 0:
                return False
            if unit[0] == seen:
                limit -= 1 + (<Consumer*>group.consumers.items[k]).pending.count // LEAF_COST
                consumer_settle(slabs, group, k, moved)
                unit[0] += 1
            seen += 1
            pending_settle(slabs, &(<Consumer*>group.consumers.items[k]).pending, unit, &seen,
                           &limit, moved)
        if limit <= 0:
            return False
    return True
