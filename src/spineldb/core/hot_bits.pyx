"""Bodies of the bitmap commands; commands/bitmaps.py tells what each does."""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdlib cimport free, malloc

from spineldb.core.bits cimport (
    AND,
    ANDOR,
    DIFF,
    DIFF1,
    NOT,
    ONE,
    OR,
    XOR,
    Operation,
    Source,
    combine,
    count_bits,
    find_bit,
    get_field,
    set_field,
)
from spineldb.core.call cimport Call, body, keyword, kind_there
from spineldb.core.effects cimport EVENT_GENERIC, EVENT_STRING
from spineldb.core.entry cimport INLINE_MAX, STICKY, STRING, entry_block, entry_value, is_string
from spineldb.core.keyspace cimport Found
from spineldb.core.replies cimport NOT_INTEGER, SYNTAX, WRONG_TYPE, reply_int
from spineldb.core.resp cimport Slice, out_array, out_int, out_null, parse_int
from spineldb.core.slab cimport Block, block_data, block_new, block_release
from spineldb.core.strings cimport put_string, resize_string

from spineldb import errors

cdef bytes BAD_OFFSET = errors.BitOffset().wire
cdef bytes BAD_BIT = errors.BitValue().wire
cdef bytes NOT_A_BIT = errors.BitposBit().wire
cdef bytes ONE_SOURCE = errors.BitopNot().wire
cdef bytes BAD_TYPE = errors.BitfieldType().wire
cdef bytes BAD_OVERFLOW = errors.BitfieldOverflow().wire
cdef bytes ONLY_GET = errors.BitfieldReadOnly().wire

cdef int64_t INT64_MAX = 0x7fffffffffffffff

cdef extern from *:
    ctypedef int64_t int128_t "__int128"


cdef bint read_offset(Call call, const Slice* word, int width, int64_t* offset) noexcept:
    """Read the position of a bit; with a `width`, `#n` is the n-th field of that many bits."""
    cdef bint counted = width > 0 and word.size > 0 and word.data[0] == c"#"
    cdef int64_t limit = call.keyspace.string_limit * 8
    if not parse_int(word.data + counted, word.size - counted, offset):
        return False
    if counted:
        if offset[0] >= limit:                       # before it could overflow
            return False
        offset[0] *= width
    return 0 <= offset[0] < limit


# -- one bit ---------------------------------------------------------------------------------------

cdef int setbit(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef int64_t offset, on
    cdef size_t at
    cdef size_t size = 0
    cdef uint8_t* data = NULL
    cdef uint8_t* entry
    cdef uint8_t mask
    cdef bint was
    if not read_offset(call, &argv[2], 0, &offset):
        return call.refuse(BAD_OFFSET)
    if not parse_int(argv[3].data, argv[3].size, &on) or on & ~1:
        return call.refuse(BAD_BIT)
    entry = call.first(&argv[1], &found)
    if entry is not NULL:
        if not is_string(entry):
            return call.refuse(WRONG_TYPE)
        data = <uint8_t*>entry_value(entry, &size)
    at = <size_t>(offset >> 3)
    mask = <uint8_t>(0x80 >> (offset & 7))
    was = at < size and data[at] & mask != 0
    if at >= size or was != on:
        data = <uint8_t*>resize_string(
            call.db, &found, argv[1].data, argv[1].size, max(size, at + 1), &size)
        if on:
            data[at] |= mask
        else:
            data[at] &= ~mask
        call.changed(&argv[1], EVENT_STRING, b"setbit", 1)
    else:
        entry[0] |= STICKY       # `raw` from now on, as everything that bits were written to
    return reply_int(call, was)


cdef int getbit(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef int64_t offset
    cdef size_t size
    cdef uint8_t* data
    cdef uint8_t* entry
    cdef bint on = False
    if not read_offset(call, &argv[2], 0, &offset):
        return call.refuse(BAD_OFFSET)
    entry = call.read_first(&argv[1], &found)
    if entry is not NULL:
        if not is_string(entry):
            return call.refuse(WRONG_TYPE)
        data = <uint8_t*>entry_value(entry, &size)
        on = <size_t>(offset >> 3) < size and data[offset >> 3] >> (7 - (offset & 7)) & 1
    return reply_int(call, on)


# -- counting and finding --------------------------------------------------------------------------

cdef bytes read_unit(const Slice* word, bint* in_bits):
    """Read BYTE or BIT; return the error, or None."""
    in_bits[0] = keyword(word, b"BIT", 3)
    return None if in_bits[0] or keyword(word, b"BYTE", 4) else SYNTAX


cdef bint clamp(int64_t* first, int64_t* last, int64_t length) noexcept nogil:
    """Resolve a range that may count from the end; False if nothing is left of it."""
    if first[0] < 0:
        first[0] = max(first[0] + length, 0)
    if last[0] < 0:
        last[0] = max(last[0] + length, 0)
    last[0] = min(last[0], length - 1)
    return first[0] <= last[0]


cdef int bitcount(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef int64_t first = 0
    cdef int64_t last = -1
    cdef size_t size = 0
    cdef uint8_t* data = NULL
    cdef uint8_t* entry
    cdef bint in_bits = False
    if argc == 3 or argc > 5:
        return call.refuse(SYNTAX)
    if argc > 3:
        if not parse_int(argv[2].data, argv[2].size, &first) or not parse_int(
            argv[3].data, argv[3].size, &last
        ):
            return call.refuse(NOT_INTEGER)
        if argc == 5 and read_unit(&argv[4], &in_bits) is not None:
            return call.refuse(SYNTAX)
    entry = call.read_first(&argv[1], &found)
    if entry is not NULL:
        if not is_string(entry):
            return call.refuse(WRONG_TYPE)
        data = <uint8_t*>entry_value(entry, &size)
    if first < 0 and last < 0 and first > last:
        return reply_int(call, 0)
    if not clamp(&first, &last, <int64_t>(8 * size if in_bits else size)):
        return reply_int(call, 0)
    if not in_bits:
        first *= 8
        last = 8 * last + 7
    return reply_int(call, count_bits(data, first, last))


cdef int bitpos(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef int64_t bit, position
    cdef int64_t first = 0
    cdef int64_t last = -1
    cdef size_t size
    cdef uint8_t* data
    cdef uint8_t* entry
    cdef bint in_bits = False
    if not parse_int(argv[2].data, argv[2].size, &bit):
        return call.refuse(NOT_INTEGER)
    if bit & ~1:
        return call.refuse(NOT_A_BIT)
    if argc > 6:
        return call.refuse(SYNTAX)
    if argc > 3 and not parse_int(argv[3].data, argv[3].size, &first):
        return call.refuse(NOT_INTEGER)
    if argc == 6 and read_unit(&argv[5], &in_bits) is not None:
        return call.refuse(SYNTAX)
    if argc > 4 and not parse_int(argv[4].data, argv[4].size, &last):
        return call.refuse(NOT_INTEGER)
    entry = call.read_first(&argv[1], &found)
    if entry is NULL:
        return reply_int(call, -1 if bit else 0)
    if not is_string(entry):
        return call.refuse(WRONG_TYPE)
    data = <uint8_t*>entry_value(entry, &size)
    if not clamp(&first, &last, <int64_t>(8 * size if in_bits else size)):
        return reply_int(call, -1)
    if not in_bits:
        first *= 8
        last = 8 * last + 7
    position = find_bit(data, bit, first, last)
    if position < 0 and not bit and argc < 5:
        position = 8 * <int64_t>size                 # without an end, zeros follow the string
    return reply_int(call, position)


# -- combining -------------------------------------------------------------------------------------

cdef int read_operation(const Slice* word) noexcept nogil:
    """Which operation of BITOP a word names, or -1."""
    if keyword(word, b"AND", 3):
        return AND
    if keyword(word, b"OR", 2):
        return OR
    if keyword(word, b"XOR", 3):
        return XOR
    if keyword(word, b"NOT", 3):
        return NOT
    if keyword(word, b"DIFF", 4):
        return DIFF
    if keyword(word, b"DIFF1", 5):
        return DIFF1
    if keyword(word, b"ANDOR", 5):
        return ANDOR
    return ONE if keyword(word, b"ONE", 3) else -1


cdef int bitop(Call call, Slice* argv, int argc) except -1:
    cdef int operation = read_operation(&argv[1])
    cdef Source* sources
    if operation < 0:
        return call.refuse(SYNTAX)
    if operation == NOT and argc != 4:
        return call.refuse(ONE_SOURCE)
    if argc < 5 and (operation == DIFF or operation == DIFF1 or operation == ANDOR):
        return call.refuse(errors.BitopTwoKeys(argv[1].data[:argv[1].size].upper()).wire)
    sources = <Source*>malloc(<size_t>(argc - 3) * sizeof(Source))
    if sources is NULL:
        raise MemoryError
    try:
        return store_combination(call, <Operation>operation, argv, argc, sources)
    finally:
        free(sources)


cdef bint fits(const uint8_t* entry, size_t size) noexcept nogil:
    """Has the entry a block of its own with room for so many bytes, and not for far too many?"""
    cdef Block* block = entry_block(entry)
    if block is NULL or not is_string(entry) or block.references > 1:
        return False
    return size <= block.capacity <= 2 * size


cdef int store_combination(Call call, Operation operation, Slice* argv, int argc,
                           Source* sources) except -1:
    cdef Found found
    cdef uint8_t[INLINE_MAX] small
    cdef size_t longest = 0
    cdef size_t size
    cdef uint8_t* entry
    cdef char* data
    cdef Block* block
    cdef int i, before
    # The sources are read where they lie. No look-up moves them: an expired key that is buried
    # frees its own entry only.
    for i in range(argc - 3):
        sources[i].data = small
        sources[i].size = 0
        entry = call.read(&argv[3 + i], &found)
        if entry is NULL:
            continue
        if not is_string(entry):
            return call.refuse(WRONG_TYPE)
        sources[i].data = <uint8_t*>entry_value(entry, &sources[i].size)
        longest = max(longest, sources[i].size)
    if 0 < call.keyspace.bitop_limit < <int64_t>longest:
        return call.refuse(errors.BitopTooLarge(longest, call.keyspace.bitop_limit).wire)
    entry = call.first(&argv[2], &found)
    before = kind_there(&found)
    if longest == 0:
        if entry is not NULL:
            call.db.remove(&found)
            call.changed(&argv[2], EVENT_GENERIC, b"del", 1)
        return reply_int(call, 0)
    if longest <= INLINE_MAX:
        combine(operation, sources, argc - 3, small, longest)
        put_string(
            call.db, &found, argv[2].data, argv[2].size, <char*>small, longest, NULL, -1, STICKY)
    elif entry is not NULL and fits(entry, longest):
        # In place: 1 MB takes 0.1 ms, and 2 more if the memory is new. Nothing can fail after the
        # deadline was taken away.
        call.db.set_deadline(&found, -1)
        data = resize_string(call.db, &found, argv[2].data, argv[2].size, longest, &size)
        combine(operation, sources, argc - 3, <uint8_t*>data, longest)
    else:
        block = block_new(call.keyspace.slabs, longest)
        if block is NULL:
            raise MemoryError
        try:
            block.size = longest
            combine(operation, sources, argc - 3, <uint8_t*>block_data(block), longest)
            put_string(
                call.db, &found, argv[2].data, argv[2].size, block_data(block), longest, block, -1,
                STICKY)
        finally:
            block_release(call.keyspace.slabs, block)
    call.stored(&argv[2], before, STRING, EVENT_STRING, b"set", 1)
    return reply_int(call, <int64_t>longest)


# -- fields ----------------------------------------------------------------------------------------

cdef enum Action:
    GET = 0
    SET = 1
    INCRBY = 2

cdef enum Overflow:
    WRAP = 0
    SAT = 1
    FAIL = 2

cdef struct Field:               # one operation of BITFIELD; `overflow` stands until it is changed
    Action action
    Overflow overflow
    bint is_signed
    int bits
    int64_t offset
    int64_t operand


cdef bint read_type(const Slice* word, Field* field) noexcept nogil:
    """Read `u8` or `i64`: unsigned integers have one bit less, so that a reply can hold them."""
    cdef int64_t bits
    if word.size < 2 or not (word.data[0] == c"i" or word.data[0] == c"u"):
        return False
    if not parse_int(word.data + 1, word.size - 1, &bits):
        return False
    field.is_signed = word.data[0] == c"i"
    field.bits = <int>bits if 0 < bits <= 64 else 0
    return 0 < field.bits <= (64 if field.is_signed else 63)


cdef bint read_overflow(const Slice* word, Field* field) noexcept nogil:
    if keyword(word, b"WRAP", 4):
        field.overflow = WRAP
    elif keyword(word, b"SAT", 3):
        field.overflow = SAT
    elif keyword(word, b"FAIL", 4):
        field.overflow = FAIL
    else:
        return False
    return True


cdef bint next_field(Call call, Slice* argv, int argc, int* at, Field* field) except -1:
    """Read the operation at `at` and step over it; False at the end or after answering an error."""
    cdef int i = at[0]
    cdef int words
    while i + 1 < argc and keyword(&argv[i], b"OVERFLOW", 8):
        if not read_overflow(&argv[i + 1], field):
            call.refuse(BAD_OVERFLOW)
            return False
        i += 2
    at[0] = i
    if i == argc:
        return False
    if keyword(&argv[i], b"GET", 3):
        field.action = GET
    elif keyword(&argv[i], b"SET", 3):
        field.action = SET
    elif keyword(&argv[i], b"INCRBY", 6):
        field.action = INCRBY
    else:
        call.refuse(SYNTAX)
        return False
    words = 3 if field.action == GET else 4
    if i + words > argc:
        call.refuse(SYNTAX)
    elif not read_type(&argv[i + 1], field):
        call.refuse(BAD_TYPE)
    elif not read_offset(call, &argv[i + 2], field.bits, &field.offset):
        call.refuse(BAD_OFFSET)
    elif field.action != GET and not parse_int(argv[i + 3].data, argv[i + 3].size, &field.operand):
        call.refuse(NOT_INTEGER)
    else:
        at[0] += words
        return True
    return False


cdef inline int64_t last_bit(const Field* field) noexcept nogil:
    return field.offset + field.bits - 1


cdef inline int64_t extended(const Field* field, uint64_t value) noexcept nogil:
    """The integer that a field's bits stand for."""
    cdef int shift = 64 - field.bits
    return <int64_t>(value << shift) >> shift if field.is_signed else <int64_t>value


cdef bint apply(const Field* field, int64_t old, int64_t* new) noexcept nogil:
    """Compute what the field will hold; False if that overflows and must fail."""
    cdef int128_t one = 1
    cdef int128_t least = -(one << (field.bits - 1)) if field.is_signed else 0
    cdef int128_t most = least + (one << field.bits) - 1
    cdef int128_t exact = field.operand
    if field.action == INCRBY:
        exact += old
    elif not field.is_signed:
        exact = <uint64_t>field.operand              # -1 is the greatest one, as in Redis
    if least <= exact <= most:
        new[0] = <int64_t>exact
    elif field.overflow == FAIL:
        return False
    elif field.overflow == WRAP:
        new[0] = extended(field, <uint64_t>exact & (~<uint64_t>0 >> (64 - field.bits)))
    elif exact > most or (field.action == SET and most - exact > INT64_MAX):
        # Redis takes the distance to the greatest in 64 bits, so what SET gives too far below for
        # that saturates at the greatest: a replica of either kind must hold the same.
        new[0] = <int64_t>most
    else:
        new[0] = <int64_t>least
    return True


cdef int run_fields(Call call, Slice* argv, int argc, bint reading) except -1:
    cdef Found found
    cdef Field field
    cdef uint8_t* data = NULL
    cdef uint8_t* entry
    cdef size_t size = 0
    cdef size_t needed = 0
    cdef int64_t count = 0
    cdef int64_t changes = 0
    cdef int64_t old
    cdef int64_t new
    cdef int at = 2
    cdef bint writes = False
    cdef bint grows, fits
    # Everything is read and checked before anything is done.
    field.overflow = WRAP
    while next_field(call, argv, argc, &at, &field):
        count += 1
        if field.action != GET:
            writes = True
            needed = max(needed, <size_t>(last_bit(&field) >> 3) + 1)
    if at < argc:
        return 0
    if writes and reading:
        return call.refuse(ONLY_GET)
    if <int64_t>needed > call.keyspace.string_limit:     # a field that begins below and ends above
        return call.refuse(BAD_OFFSET)
    entry = call.first(&argv[1], &found) if writes else call.read_first(&argv[1], &found)
    if entry is not NULL:
        if not is_string(entry):
            return call.refuse(WRONG_TYPE)
        data = <uint8_t*>entry_value(entry, &size)
    grows = needed > size
    out_array(call.out, count)
    field.overflow = WRAP
    at = 2
    while next_field(call, argv, argc, &at, &field):
        old = extended(&field, get_field(data, size, field.offset, field.bits))
        if field.action == GET:
            out_int(call.out, old)
            continue
        fits = apply(&field, old, &new)
        if not fits:
            out_null(call.out, call.protocol)
            continue
        if grows or new != old:
            # The first write makes room for all of them, so that one that fails changes nothing.
            if changes == 0:
                data = <uint8_t*>resize_string(
                    call.db, &found, argv[1].data, argv[1].size, max(size, needed), &size)
                size = max(size, needed)
            set_field(data, field.offset, field.bits, <uint64_t>new)
            changes += 1
        out_int(call.out, new if field.action == INCRBY else old)
    if changes:
        call.changed(&argv[1], EVENT_STRING, b"setbit", changes)
    elif writes and entry is not NULL:
        entry[0] |= STICKY
    return 0


cdef int bitfield(Call call, Slice* argv, int argc) except -1:
    return run_fields(call, argv, argc, False)


cdef int bitfield_ro(Call call, Slice* argv, int argc) except -1:
    return run_fields(call, argv, argc, True)


SETBIT_BODY = body(setbit, "setbit")
GETBIT_BODY = body(getbit, "getbit")
BITCOUNT_BODY = body(bitcount, "bitcount")
BITPOS_BODY = body(bitpos, "bitpos")
BITOP_BODY = body(bitop, "bitop")
BITFIELD_BODY = body(bitfield, "bitfield")
BITFIELD_RO_BODY = body(bitfield_ro, "bitfield_ro")
