"""Bodies of SORT and SORT_RO. commands/keys.py tells what they do.

What is sorted is gathered into a vector of *items* that point at their elements; nothing is copied.
That is safe because nothing moves before the result is written: looking a pattern's key up may bury
that key, or fields of that hash, but never what an earlier look-up has found, for the clock stands
still while a command runs. Only members that are stored as integers have no text to point at; it is
written into memory beside.

The order is total. Equal numbers are put in the order of their elements, as in Redis; what is equal
even so, or was sorted by equal strings, stays in the order in which it was gathered. So the result
does not depend on how it is sorted, and with LIMIT only the part that is asked for has to be.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memchr, memcpy

from spineldb.core.call cimport Call, body, keyword
from spineldb.core.chunks cimport Cursor, cursor_next, cursor_previous
from spineldb.core.effects cimport EVENT_GENERIC, EVENT_LIST
from spineldb.core.entry cimport (
    HASH, KIND_MASK, LIST, SET, STRING, ZSET, entry_block, entry_value, value_size_of,
)
from spineldb.core.hashes cimport Field, hash_due, hash_get
from spineldb.core.keyspace cimport Found
from spineldb.core.lists cimport list_seek, list_store
from spineldb.core.numbers cimport parse_weight
from spineldb.core.resp cimport (
    Slice, out_array, out_bulk, out_bulk_block, out_int, out_null, out_truncate, parse_int,
)
from spineldb.core.sets cimport (
    BYTES, INT_TEXT, Member, SetValue, flat_next, layout_of, set_open, set_walk,
)
from spineldb.core.tree cimport compare_bytes
from spineldb.core.zsets cimport (
    Cursor as ZsetCursor, Item as ZsetItem, cursor_get as zset_get, cursor_next as zset_next,
    cursor_previous as zset_previous, cursor_seek as zset_seek, zset_call_skiplist, zset_open,
)

cimport spineldb.core.effects as effects_module
from spineldb import errors

cdef bytes WRONG_TYPE = errors.WrongType().wire
cdef bytes NOT_INTEGER = errors.NotInteger().wire
cdef bytes SYNTAX = errors.Syntax().wire
cdef bytes NOT_SORTABLE = errors.NotSortable().wire
cdef bytes REPLY_TOO_LARGE = errors.OutputLimit().wire

cdef enum:
    FEW = 32                     # items that need no memory of their own,
    FEW_GETS = 4                 # patterns of GET,
    KEY_ROOM = 256               # and bytes of a key made from a pattern
    SMALL = 12                   # items that are sorted by insertion
    ALL_FIELDS = 1 << 30         # that a look-up buries
    LEAST_ELEMENT = 8            # bytes that an element of a result costs at least, with all

cdef int64_t RESULT_MAX = <int64_t>1 << 32       # elements: a list has no room for more

cdef struct Item:
    Slice element
    double weight                # what it is sorted by: a number,
    const char* text             # or with ALPHA bytes; NULL: there are none, which comes first
    size_t text_size
    int64_t position             # among those that were gathered

cdef struct Pattern:             # of BY or GET: a key's name, `*` standing for the element
    const char* head             # what stands before it
    size_t head_size
    const char* tail             # and behind it
    size_t tail_size
    Slice field                  # of a hash; empty: the key is a string's
    bint is_element              # `#`: no key, the element itself
    bint is_constant             # there is no `*`: no key is looked up

cdef struct Order:
    bint alpha
    bint descending
    bint by_element              # put what is equal in the order of the elements

cdef struct Sorting:             # a request, and the memory it needs
    bint unsorted                # BY a constant: as the elements come
    bint has_by
    Pattern by
    Order order
    int64_t offset, limit        # LIMIT
    Slice* destination           # STORE
    int get_count
    Pattern* gets
    Item* items
    int64_t count                # of items
    char* texts                  # of members that are integers
    Slice* result                # what is stored
    char* key
    size_t key_room
    Pattern[FEW_GETS] few_gets
    Item[FEW] few_items
    Slice[FEW] few_results
    char[FEW * INT_TEXT] few_texts
    char[KEY_ROOM] short_key


# -- the request -----------------------------------------------------------------------------------

cdef void read_pattern(const Slice* word, Pattern* pattern) noexcept:
    """Take a pattern apart as Redis does, for which what is looked for ends at a NUL."""
    cdef const char* nul = <const char*>memchr(word.data, 0, word.size)
    cdef const char* end = word.data + word.size
    cdef const char* visible = end if nul is NULL else nul
    cdef const char* star = <const char*>memchr(
        word.data, c"*", <size_t>(visible - word.data))
    cdef const char* arrow
    pattern.field.size = 0
    pattern.is_element = visible - word.data == 1 and word.data[0] == c"#"
    pattern.is_constant = star is NULL
    if star is NULL:
        return
    pattern.head = word.data
    pattern.head_size = <size_t>(star - word.data)
    pattern.tail = star + 1
    pattern.tail_size = <size_t>(end - pattern.tail)
    arrow = pattern.tail
    while arrow + 1 < visible and (arrow[0] != c"-" or arrow[1] != c">"):
        arrow += 1
    if arrow + 2 < visible:
        pattern.tail_size = <size_t>(arrow - pattern.tail)
        pattern.field.data = arrow + 2
        pattern.field.size = <size_t>(end - arrow) - 2


cdef bint read_options(Call call, Slice* argv, int argc, bint reading, Sorting* sorting) except -1:
    """Read all but the patterns of GET, which are counted; False after answering an error."""
    cdef int i = 2
    cdef int left
    while i < argc:
        left = argc - i - 1
        if keyword(&argv[i], b"ASC", 3):
            sorting.order.descending = False
        elif keyword(&argv[i], b"DESC", 4):
            sorting.order.descending = True
        elif keyword(&argv[i], b"ALPHA", 5):
            sorting.order.alpha = True
        elif left >= 2 and keyword(&argv[i], b"LIMIT", 5):
            if not (
                parse_int(argv[i + 1].data, argv[i + 1].size, &sorting.offset)
                and parse_int(argv[i + 2].data, argv[i + 2].size, &sorting.limit)
            ):
                call.refuse(NOT_INTEGER)
                return False
            i += 2
        elif left and not reading and keyword(&argv[i], b"STORE", 5):
            i += 1
            sorting.destination = &argv[i]
        elif left and keyword(&argv[i], b"BY", 2):
            i += 1
            read_pattern(&argv[i], &sorting.by)
            sorting.has_by = True
            sorting.unsorted |= sorting.by.is_constant
        elif left and keyword(&argv[i], b"GET", 3):
            i += 1
            sorting.get_count += 1
        else:
            call.refuse(SYNTAX)
            return False
        i += 1
    return True


cdef int read_gets(Slice* argv, int argc, Sorting* sorting) except -1:
    """Read the patterns of GET of a request that was found valid."""
    cdef int i = 2
    cdef int n = 0
    if sorting.get_count > FEW_GETS:
        sorting.gets = <Pattern*>room(<size_t>sorting.get_count * sizeof(Pattern))
    while n < sorting.get_count:
        if keyword(&argv[i], b"GET", 3):
            read_pattern(&argv[i + 1], &sorting.gets[n])
            n += 1
            i += 1
        elif keyword(&argv[i], b"BY", 2) or keyword(&argv[i], b"STORE", 5):
            i += 1
        elif keyword(&argv[i], b"LIMIT", 5):
            i += 2
        i += 1
    return 0


cdef void* room(size_t size) except NULL:
    cdef void* p = malloc(size)
    if p is NULL:
        raise MemoryError
    return p


cdef void begin(Sorting* sorting) noexcept:
    sorting.unsorted = sorting.has_by = False
    sorting.order.alpha = sorting.order.descending = False
    sorting.offset = 0
    sorting.limit = -1
    sorting.destination = NULL
    sorting.get_count = 0
    sorting.gets = sorting.few_gets
    sorting.items = sorting.few_items
    sorting.texts = sorting.few_texts
    sorting.result = sorting.few_results
    sorting.key = sorting.short_key
    sorting.key_room = KEY_ROOM


cdef void end(Sorting* sorting) noexcept:
    if sorting.gets is not sorting.few_gets:
        free(sorting.gets)
    if sorting.items is not sorting.few_items:
        free(sorting.items)
    if sorting.texts is not sorting.few_texts:
        free(sorting.texts)
    if sorting.result is not sorting.few_results:
        free(sorting.result)
    if sorting.key is not sorting.short_key:
        free(sorting.key)


cdef void part_of(const Sorting* sorting, int64_t total, int64_t* first, int64_t* stop) noexcept:
    """Which of `total` elements LIMIT asks for: from `first` up to, and without, `stop`."""
    cdef int64_t limit = total if sorting.limit < 0 else min(sorting.limit, total)
    first[0] = min(max(sorting.offset, <int64_t>0), total)
    stop[0] = min(first[0] + limit, total)


# -- gathering -------------------------------------------------------------------------------------

cdef inline Item* next_item(Sorting* sorting) noexcept:
    cdef Item* item = &sorting.items[sorting.count]
    item.element.block = NULL
    item.position = sorting.count
    sorting.count += 1
    return item


cdef void gather_list(Call call, const uint8_t* entry, int64_t start, int64_t count, bint back,
                      Sorting* sorting) noexcept:
    """Take elements from an index on, or those before it, backwards."""
    cdef Cursor cursor
    cdef Item* item
    list_seek(call.db, entry, start, &cursor)
    while count:
        count -= 1
        item = next_item(sorting)
        if back:
            cursor_previous(&cursor, &item.element)
        else:
            cursor_next(&cursor, &item.element)


cdef void gather_zset(Call call, const uint8_t* entry, int64_t start, int64_t count, bint back,
                      Sorting* sorting) noexcept:
    """Take elements from a rank on, or those before it, backwards."""
    cdef ZsetCursor cursor
    cdef ZsetItem member
    cdef Item* item
    if count == 0:
        return
    zset_open(call.db.slabs, entry, &cursor)
    zset_seek(&cursor, start - back)
    while True:
        zset_get(&cursor, &member)
        item = next_item(sorting)
        item.element.data = member.member
        item.element.size = member.size
        count -= 1
        if count == 0:
            return
        if back:
            zset_previous(&cursor)
        else:
            zset_next(&cursor)


cdef int gather_member(void* context, const char* member, size_t size) except -2:
    cdef Item* item = next_item(<Sorting*>context)
    item.element.data = member
    item.element.size = size
    return 0


cdef int gather_set(Call call, const uint8_t* entry, Sorting* sorting) except -1:
    cdef SetValue value
    cdef Member member
    cdef size_t offset = 0
    cdef char* text
    cdef Item* item
    set_open(call.db.slabs, entry, &value)
    if value.table is not NULL:
        set_walk(&value, gather_member, sorting)
        return 0
    if layout_of(&value) == BYTES:
        while flat_next(&value, &offset, &member):
            gather_member(sorting, member.data, member.size)
        return 0
    if value.count > FEW:
        sorting.texts = <char*>room(<size_t>value.count * INT_TEXT)
    text = sorting.texts
    while flat_next(&value, &offset, &member):
        memcpy(text, member.data, member.size)
        item = next_item(sorting)
        item.element.data = text
        item.element.size = member.size
        text += INT_TEXT
    return 0


cdef int gather(Call call, uint8_t* entry, int64_t first, int64_t stop, Sorting* sorting) except -1:
    """Gather all elements, or of what is in order and stays so only the part that is asked for."""
    cdef int kind = entry[0] & KIND_MASK
    cdef int64_t total = <int64_t>value_size_of(entry)
    cdef int64_t start = 0
    cdef int64_t count = total
    cdef bint back = False
    if sorting.unsorted and kind != SET:
        back = sorting.order.descending
        start = total - first if back else first
        count = stop - first
    if count > FEW:
        sorting.items = <Item*>room(<size_t>count * sizeof(Item))
    if kind == LIST:
        gather_list(call, entry, start, count, back, sorting)
    elif kind == ZSET:
        gather_zset(call, entry, start, count, back, sorting)
    else:
        gather_set(call, entry, sorting)
    return 0


# -- what patterns name ----------------------------------------------------------------------------

cdef int key_of(const Pattern* pattern, const Slice* element, Sorting* sorting,
                Slice* key) except -1:
    """Write the key that a pattern and an element make."""
    cdef char* p
    key.size = pattern.head_size + element.size + pattern.tail_size
    key.block = NULL
    if key.size > sorting.key_room:
        p = <char*>room(key.size * 2)
        if sorting.key is not sorting.short_key:
            free(sorting.key)
        sorting.key = p
        sorting.key_room = key.size * 2
    key.data = p = sorting.key
    memcpy(p, pattern.head, pattern.head_size)
    p += pattern.head_size
    memcpy(p, element.data, element.size)
    memcpy(p + element.size, pattern.tail, pattern.tail_size)
    return 0


cdef bint look_up(Call call, const Pattern* pattern, const Slice* element, Sorting* sorting,
                  Slice* value) except -1:
    """Find what a pattern means for an element; False if there is no such string or field."""
    cdef Found found
    cdef Slice key
    cdef Field field
    cdef uint8_t* entry
    if pattern.is_element:
        value[0] = element[0]
        return True
    if pattern.is_constant:
        return False
    key_of(pattern, element, sorting, &key)
    entry = call.find(&key, &found)
    if pattern.field.size == 0:
        call.accessed(&key, entry)
        if entry is NULL or entry[0] & KIND_MASK != STRING:
            return False
        value.data = entry_value(entry, &value.size)
        value.block = entry_block(entry)
        return True
    if entry is not NULL and entry[0] & KIND_MASK == HASH and hash_due(call.db, entry):
        if call.effects.may_bury:
            effects_module.expire_fields(call.effects, call.db, &found, ALL_FIELDS)
            entry = found.entry
    call.accessed(&key, entry)
    if entry is NULL or entry[0] & KIND_MASK != HASH:
        return False
    if not hash_get(call.db, entry, pattern.field.data, pattern.field.size, &field):
        return False
    value.data = field.value
    value.size = field.size
    value.block = field.block
    return True


cdef bint weigh(Call call, Sorting* sorting) except -1:
    """Find what each item is sorted by; False if one that must be a number is none."""
    cdef bint sortable = True
    cdef Slice value
    cdef Item* item
    cdef const char* nul
    cdef int64_t i, number
    for i in range(sorting.count):
        item = &sorting.items[i]
        item.weight = 0
        item.text = NULL
        if not sorting.has_by:
            value = item.element
        elif not look_up(call, &sorting.by, &item.element, sorting, &value):
            continue
        if not sorting.order.alpha:
            if parse_int(value.data, value.size, &number):
                item.weight = <double>number
            else:
                sortable &= parse_weight(value.data, value.size, &item.weight)
            continue
        item.text = value.data
        item.text_size = value.size
        if sorting.destination is NULL:      # compared by strcoll in Redis: it ends at a NUL
            nul = <const char*>memchr(value.data, 0, value.size)
            if nul is not NULL:
                item.text_size = <size_t>(nul - value.data)
    return sortable


# -- sorting ---------------------------------------------------------------------------------------

cdef inline int compare(const Item* a, const Item* b, const Order* order) noexcept nogil:
    """Less than, equal to or greater than 0, as strcmp; 0 only for an item and itself."""
    cdef int result
    if not order.alpha:
        result = (a.weight > b.weight) - (a.weight < b.weight)
    elif a.text is NULL or b.text is NULL:
        result = (a.text is not NULL) - (b.text is not NULL)
    else:
        result = compare_bytes(a.text, a.text_size, b.text, b.text_size)
    if result == 0 and order.by_element:
        result = compare_bytes(a.element.data, a.element.size, b.element.data, b.element.size)
    if result == 0:
        return (a.position > b.position) - (a.position < b.position)
    return -result if order.descending else result


cdef void sort_few(Item* items, int64_t count, const Order* order) noexcept nogil:
    cdef Item item
    cdef int64_t i, at
    for i in range(1, count):
        if compare(&items[i - 1], &items[i], order) <= 0:
            continue
        item = items[i]
        at = i
        while at and compare(&items[at - 1], &item, order) > 0:
            items[at] = items[at - 1]
            at -= 1
        items[at] = item


cdef inline uint64_t drawn(uint64_t* state) noexcept nogil:
    """A random number (Marsaglia's xorshift)."""
    state[0] ^= state[0] << 13
    state[0] ^= state[0] >> 7
    state[0] ^= state[0] << 17
    return state[0]


cdef int64_t divide(Item* items, int64_t count, const Order* order,
                    uint64_t* state) noexcept nogil:
    """Hoare's partition around a random item: how many come first, at least one and not all."""
    cdef int64_t low = -1
    cdef int64_t high = count
    cdef int64_t at = <int64_t>(drawn(state) % <uint64_t>count)
    cdef Item pivot = items[at]
    cdef Item item
    items[at] = items[0]
    items[0] = pivot
    while True:
        low += 1
        while compare(&items[low], &pivot, order) < 0:
            low += 1
        high -= 1
        while compare(&items[high], &pivot, order) > 0:
            high -= 1
        if low >= high:
            return high + 1
        item = items[low]
        items[low] = items[high]
        items[high] = item


cdef void sort_part(Item* items, int64_t count, int64_t first, int64_t stop, const Order* order,
                    uint64_t* state) noexcept nogil:
    """Quicksort, of which only what ends up from `first` up to `stop` has to be in order.

    Pivots are random and no two items are equal, so no input makes it slow.
    """
    cdef int64_t lower
    while count > SMALL:
        if stop <= 0 or first >= count:
            return
        lower = divide(items, count, order, state)
        if lower <= count - lower:           # the smaller half by recursion: the stack stays low
            sort_part(items, lower, first, stop, order, state)
            items += lower
            count -= lower
            first -= lower
            stop -= lower
        else:
            sort_part(items + lower, count - lower, first - lower, stop - lower, order, state)
            count = lower
    sort_few(items, count, order)


# -- the answer ------------------------------------------------------------------------------------

cdef inline void reply_value(Call call, const Slice* value) noexcept:
    if value.block is not NULL:
        out_bulk_block(call.out, value.block)
    else:
        out_bulk(call.out, value.data, value.size)


cdef inline bint is_too_much(Call call, const Sorting* sorting, size_t size) noexcept:
    """Do several patterns make a result larger than one value may be? Words could ask for any."""
    return sorting.get_count > 1 and size > <size_t>call.keyspace.string_limit


cdef int reply(Call call, Sorting* sorting, const Item* items, int64_t count) except -1:
    cdef size_t position = call.out.used
    cdef int pieces = call.out.piece_count
    cdef Slice value
    cdef int64_t i
    cdef int g
    out_array(call.out, count * max(sorting.get_count, 1))
    for i in range(count):
        if sorting.get_count == 0:
            reply_value(call, &items[i].element)
            continue
        for g in range(sorting.get_count):
            if look_up(call, &sorting.gets[g], &items[i].element, sorting, &value):
                reply_value(call, &value)
            else:
                out_null(call.out, call.protocol)
        if call.out.failed:
            break
        if is_too_much(call, sorting, call.out.used - position):
            out_truncate(call.out, position, pieces)
            return call.refuse(REPLY_TOO_LARGE)
    return 0


cdef int store(Call call, Sorting* sorting, const Item* items, int64_t count) except -1:
    """Store the result as a list; without any element delete the key."""
    cdef Slice* key = sorting.destination
    cdef int64_t total = count * max(sorting.get_count, 1)
    cdef int64_t n = 0
    cdef int64_t i
    cdef int g
    cdef int before = 0
    cdef size_t size = 0
    cdef bint bounded = not call.keyspace.applying_      # what a primary stored is stored
    cdef Found found
    cdef Slice* value
    if total > RESULT_MAX or (
        bounded and is_too_much(call, sorting, <size_t>total * LEAST_ELEMENT)
    ):
        raise MemoryError
    if total > FEW:
        sorting.result = <Slice*>room(<size_t>total * sizeof(Slice))
    for i in range(count):
        for g in range(max(sorting.get_count, 1)):
            value = &sorting.result[n]
            if sorting.get_count == 0:
                value[0] = items[i].element
            elif not look_up(call, &sorting.gets[g], &items[i].element, sorting, value):
                value.data = b""
                value.size = 0
            value.block = NULL               # the list has a copy of its own
            size += value.size
            n += 1
        if bounded and is_too_much(call, sorting, size):
            raise MemoryError
    if call.find(key, &found) is not NULL:
        before = found.entry[0] & KIND_MASK
    if total:
        list_store(call.db, &found, key.data, key.size, sorting.result, total)
        call.stored(key, before, LIST, EVENT_LIST, b"sortstore", total)
    elif found.entry is not NULL:
        call.db.remove(&found)
        call.changed(key, EVENT_GENERIC, b"del", 1)
    out_int(call.out, total)
    return 0


cdef int answer(Call call, Slice* key, Sorting* sorting) except -1:
    cdef Found found
    cdef uint8_t* entry = call.read_first(key, &found)
    cdef int kind = LIST if entry is NULL else entry[0] & KIND_MASK
    cdef int64_t first = 0
    cdef int64_t stop = 0
    cdef uint64_t state
    cdef Item* items
    if kind != LIST and kind != SET and kind != ZSET:
        return call.refuse(WRONG_TYPE)
    sorting.count = 0
    sorting.order.by_element = not sorting.order.alpha
    if kind == SET and sorting.destination is not NULL:
        # The order of its members is nobody else's: a replica must store the same list.
        sorting.order.by_element = True
        if sorting.unsorted:
            sorting.unsorted = sorting.has_by = False
            sorting.order.alpha = True
    if entry is not NULL:
        if kind == ZSET:
            zset_call_skiplist(entry)
        part_of(sorting, <int64_t>value_size_of(entry), &first, &stop)
        gather(call, entry, first, stop, sorting)
    items = sorting.items
    if not sorting.unsorted:
        if not weigh(call, sorting):
            return call.refuse(NOT_SORTABLE)
        state = call.keyspace.random() | 1
        sort_part(items, sorting.count, first, stop, &sorting.order, &state)
    if not sorting.unsorted or kind == SET:  # of others only the part was gathered
        items += first
    if sorting.destination is not NULL:
        return store(call, sorting, items, stop - first)
    return reply(call, sorting, items, stop - first)


cdef int sort_by(Call call, Slice* argv, int argc, bint reading) except -1:
    cdef Sorting sorting
    begin(&sorting)
    if not read_options(call, argv, argc, reading, &sorting):
        return 0
    try:
        read_gets(argv, argc, &sorting)
        return answer(call, &argv[1], &sorting)
    finally:
        end(&sorting)


cdef int sort(Call call, Slice* argv, int argc) except -1:
    return sort_by(call, argv, argc, False)


cdef int sort_ro(Call call, Slice* argv, int argc) except -1:
    return sort_by(call, argv, argc, True)


SORT_BODY = body(sort, "sort")
SORT_RO_BODY = body(sort_ro, "sort_ro")
