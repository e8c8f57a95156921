"""LCS: the longest common subsequence of two strings.

The textbook fills a table: L(i, j) is the length for the first i bytes of `a` and the first j of
`b`. Neighbours in a row differ by 0 or 1, so a row is a string of bits, and the next row follows
from it 64 columns at a time (Hyyrö, "Bit-parallel LCS-length computation revisited", 2004):

    both = row & where(a[i]);  row = (row + both) | (row & ~both)

where bit j is *clear* if L grows at column j. The walk back from the last corner, which finds the
common bytes, goes up where L grows and left where it does not, as Redis does: of several
subsequences of the same length both find the same one. This needs 1/32 of the table's memory and
about 1/60 of its time; a request is still refused where Redis would refuse its table.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from spineldb.core.call cimport Call, body, keyword
from spineldb.core.entry cimport entry_value, is_string
from spineldb.core.keyspace cimport Found
from spineldb.core.resp cimport Slice, out_array, out_bulk, out_int, out_raw, parse_int

from spineldb import errors

cdef bytes NOT_STRINGS = errors.LcsNotStrings().wire
cdef bytes BOTH_FORMS = errors.LcsBothForms().wire
cdef bytes TOO_LONG = errors.LcsTooLong().wire
cdef bytes NO_MEMORY = errors.LcsNoMemory().wire
cdef bytes NOT_INTEGER = errors.NotInteger().wire
cdef bytes SYNTAX = errors.Syntax().wire

cdef int64_t LENGTH_MAX = 0xfffffffe                 # of each string
cdef int64_t CELL_BYTES = 4                          # of Redis's table, which decides

cdef extern from *:
    int count_bits "__builtin_popcountll"(unsigned long long word) noexcept nogil


cdef struct Options:
    bint length_only             # LEN
    bint ranges                  # IDX
    bint with_length             # WITHMATCHLEN
    int64_t least                # MINMATCHLEN

cdef struct Alignment:
    const uint8_t* a
    const uint8_t* b
    size_t a_size
    size_t b_size
    size_t words                 # of a row
    uint64_t* rows               # one per byte of `a`, or only the last one
    uint64_t* where              # per different byte of `a`: the columns where `b` has it
    int[256] which               # of `where`, by byte; -1: `a` has no such byte
    size_t length                # of the subsequence

cdef struct Run:                 # common bytes that stand together in both strings
    size_t a_start
    size_t b_start
    size_t size


cdef int align(Alignment* it, const Slice* a, const Slice* b, bint keep) except -1:
    """Compute the rows; `release` gives their memory back, also after an exception."""
    cdef size_t i, j
    cdef int kinds = 0
    memset(it, 0, sizeof(Alignment))
    it.a = <const uint8_t*>a.data
    it.b = <const uint8_t*>b.data
    it.a_size = a.size
    it.b_size = b.size
    it.words = (b.size + 63) // 64
    if a.size == 0 or b.size == 0:
        return 0
    memset(it.which, 0xff, sizeof(it.which))
    for i in range(a.size):
        if it.which[it.a[i]] < 0:
            it.which[it.a[i]] = kinds
            kinds += 1
    it.where = <uint64_t*>calloc(<size_t>kinds * it.words, sizeof(uint64_t))
    it.rows = <uint64_t*>malloc((a.size if keep else 1) * it.words * sizeof(uint64_t))
    if it.where is NULL or it.rows is NULL:
        raise MemoryError
    for j in range(b.size):
        if it.which[it.b[j]] >= 0:
            it.where[<size_t>it.which[it.b[j]] * it.words + j // 64] |= <uint64_t>1 << (j & 63)
    memset(it.rows, 0xff, it.words * sizeof(uint64_t))
    for i in range(a.size):
        next_row(it, i, keep)
    it.length = 64 * it.words
    for j in range(it.words):
        it.length -= count_bits(it.rows[(a.size - 1 if keep else 0) * it.words + j])
    return 0


cdef void next_row(Alignment* it, size_t i, bint keep) noexcept nogil:
    cdef uint64_t* row = it.rows + (i * it.words if keep else 0)
    cdef const uint64_t* before = row - it.words if keep and i > 0 else row
    cdef const uint64_t* where = it.where + <size_t>it.which[it.a[i]] * it.words
    cdef uint64_t carry = 0
    cdef uint64_t one, both, total
    cdef size_t w
    for w in range(it.words):
        one = before[w]
        both = one & where[w]
        total = one + carry
        carry = total < carry
        total += both
        carry |= total < both
        row[w] = total | (one & ~both)


cdef void release(Alignment* it) noexcept nogil:
    free(it.rows)
    free(it.where)


cdef bint next_run(const Alignment* it, size_t* i, size_t* j, Run* run) noexcept nogil:
    """Walk back from column j of row i to the next common bytes; False if there are no more."""
    while i[0] and j[0]:
        if it.a[i[0] - 1] == it.b[j[0] - 1]:
            run.size = 0
            while i[0] and j[0] and it.a[i[0] - 1] == it.b[j[0] - 1]:
                i[0] -= 1
                j[0] -= 1
                run.size += 1
            run.a_start = i[0]
            run.b_start = j[0]
            return True
        if it.rows[(i[0] - 1) * it.words + (j[0] - 1) // 64] >> ((j[0] - 1) & 63) & 1:
            j[0] -= 1
        else:
            i[0] -= 1
    return False


# -- the command -----------------------------------------------------------------------------------

cdef int reply_subsequence(Call call, const Alignment* it) except -1:
    cdef size_t i = it.a_size
    cdef size_t j = it.b_size
    cdef size_t left = it.length
    cdef Run run
    cdef char* found = <char*>malloc(it.length + 1)
    if found is NULL:
        raise MemoryError
    while next_run(it, &i, &j, &run):
        left -= run.size
        memcpy(found + left, it.a + run.a_start, run.size)
    out_bulk(call.out, found, it.length)
    free(found)
    return 0


cdef void reply_range(Call call, size_t start, size_t size) noexcept:
    out_array(call.out, 2)
    out_int(call.out, <int64_t>start)
    out_int(call.out, <int64_t>(start + size) - 1)


cdef int reply_ranges(Call call, const Alignment* it, const Options* options) except -1:
    cdef size_t i = it.a_size
    cdef size_t j = it.b_size
    cdef int64_t count = 0
    cdef Run run
    while next_run(it, &i, &j, &run):
        count += <int64_t>run.size >= options.least
    if call.protocol == 3:
        out_raw(call.out, b"%2\r\n", 4)
    else:
        out_array(call.out, 4)
    out_bulk(call.out, b"matches", 7)
    out_array(call.out, count)
    i = it.a_size
    j = it.b_size
    while next_run(it, &i, &j, &run):
        if <int64_t>run.size < options.least:
            continue
        out_array(call.out, 3 if options.with_length else 2)
        reply_range(call, run.a_start, run.size)
        reply_range(call, run.b_start, run.size)
        if options.with_length:
            out_int(call.out, <int64_t>run.size)
    out_bulk(call.out, b"len", 3)
    out_int(call.out, <int64_t>it.length)
    return 0


cdef bytes read_options(Options* options, Slice* argv, int argc):
    """Read LCS's options; return the error, or None."""
    cdef int i = 0
    memset(options, 0, sizeof(Options))
    while i < argc:
        if keyword(&argv[i], b"IDX", 3):
            options.ranges = True
        elif keyword(&argv[i], b"LEN", 3):
            options.length_only = True
        elif keyword(&argv[i], b"WITHMATCHLEN", 12):
            options.with_length = True
        elif keyword(&argv[i], b"MINMATCHLEN", 11) and i + 1 < argc:
            i += 1
            if not parse_int(argv[i].data, argv[i].size, &options.least):
                return NOT_INTEGER
        else:
            return SYNTAX
        i += 1
    return BOTH_FORMS if options.ranges and options.length_only else None


cdef bint read_string(Slice* value, const uint8_t* entry) noexcept nogil:
    """Where a string lies, a missing one being empty; False if it is none."""
    if entry is NULL:
        value.data = b""
        value.size = 0
        return True
    if not is_string(entry):
        return False
    value.data = entry_value(entry, &value.size)
    return True


cdef int lcs(Call call, Slice* argv, int argc) except -1:
    cdef Found found
    cdef Options options
    cdef Alignment alignment
    cdef Slice a, b
    cdef const uint8_t* first = call.read_first(&argv[1], &found)
    # The second look-up moves nothing: an expired key that is buried frees its own entry only.
    cdef const uint8_t* second = call.read(&argv[2], &found)
    if not (read_string(&a, first) and read_string(&b, second)):
        return call.refuse(NOT_STRINGS)
    error = read_options(&options, argv + 3, argc - 3)
    if error is not None:
        return call.refuse(error)
    if <int64_t>max(a.size, b.size) >= LENGTH_MAX:
        return call.refuse(TOO_LONG)
    if <int64_t>(a.size + 1) > call.keyspace.string_limit // CELL_BYTES // <int64_t>(b.size + 1):
        return call.refuse(NO_MEMORY)
    try:
        align(&alignment, &a, &b, not options.length_only)
        if options.length_only:
            out_int(call.out, <int64_t>alignment.length)
        elif options.ranges:
            reply_ranges(call, &alignment, &options)
        else:
            reply_subsequence(call, &alignment)
    finally:
        release(&alignment)
    return 0


LCS_BODY = body(lcs, "lcs")
