"""RESP: bytes to argument slices, values to bytes.

*Reading.* `parse` is a state machine that stops wherever the bytes end and goes on from there when
more arrive; nothing is looked at twice, however a request is cut. It copies nothing: an argument is
an offset and a length in the caller's buffer. The exceptions are inline requests with quotes, which
are decoded into a scratch buffer, and arguments above 32 KB that have not arrived whole, which are
received into a `Block` of their own that a command may keep as it is. A block grows with what
arrives (doubling, up to the announced length), so that announcing 512 MB costs nothing.

*Writing.* An `Output` is one growing buffer plus *pieces*: blocks that are sent without being
copied, each at its position between two bytes of the buffer. The first buffer of a client has 16 KB
and comes from a pool to which it returns when everything was sent, so idle clients own no memory.

Errors are worded as Redis 8.2 words them (networking.c, processMultibulkBuffer and
processInlineBuffer). One difference: a NUL byte is a byte like others here, where Redis stops
seeing the end of the line and waits.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.long cimport PyLong_AsLongLongAndOverflow
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memchr, memcpy, memmove, memset

from spineldb.core.numbers cimport DOUBLE_TEXT, format_double
from spineldb.core.slab cimport (
    Block,
    Slabs,
    block_data,
    block_new,
    block_release,
    block_resize,
    block_reuse,
    block_retain,
)


cdef enum:
    FIRST_BUFFER = 16384         # bytes: most batches of replies fit
    POOLED_BUFFERS = 64          # 1 MB of them are kept for the next turn

    FIRST_BLOCK = 65536          # bytes: what a big argument begins with, and grows from
    REUSE_FROM = 1000000         # from here on it may take a block that was just released, whole


# ---------------------------------------------------------------- output: memory

cdef char* pool[POOLED_BUFFERS]
cdef int pool_count = 0


cdef inline char* buffer_take() noexcept nogil:
    global pool_count
    if pool_count > 0:
        pool_count -= 1
        return pool[pool_count]
    return <char*>malloc(FIRST_BUFFER)


cdef inline void buffer_give(char* data, size_t capacity) noexcept nogil:
    global pool_count
    if capacity == FIRST_BUFFER and pool_count < POOLED_BUFFERS:
        pool[pool_count] = data
        pool_count += 1
    else:
        free(data)


cdef char* out_grow(Output* out, size_t size) noexcept nogil:
    cdef size_t needed = out.used + size
    cdef size_t capacity = 4 * FIRST_BUFFER if out.capacity < 4 * FIRST_BUFFER else out.capacity * 2
    cdef char* data
    if out.data is NULL and needed <= FIRST_BUFFER:
        capacity = FIRST_BUFFER
        data = buffer_take()
    else:
        if capacity < needed:
            capacity = needed
        if out.capacity == FIRST_BUFFER:
            data = <char*>malloc(capacity)
            if data is not NULL:
                memcpy(data, out.data, out.used)
                buffer_give(out.data, FIRST_BUFFER)
        else:
            data = <char*>realloc(out.data, capacity)
    if data is NULL:
        out.failed = True
        return NULL
    out.data = data
    out.capacity = capacity
    return data + out.used


cdef void out_clear(Output* out) noexcept nogil:
    out_truncate(out, out.sent, out.piece_sent)
    free(out.pieces)
    out.pieces = NULL
    out.piece_count = out.piece_capacity = out.piece_sent = 0
    out.piece_offset = 0
    out.pinned = 0
    if out.data is not NULL:
        buffer_give(out.data, out.capacity)
    out.data = NULL
    out.used = out.sent = out.capacity = 0


cdef void out_truncate(Output* out, size_t used, int pieces) noexcept nogil:
    cdef Piece* piece
    while out.piece_count > pieces:
        out.piece_count -= 1
        piece = &out.pieces[out.piece_count]
        out.pinned -= piece.size
        if out.piece_count == out.piece_sent:       # the one of which a part has left
            out.pinned += out.piece_offset
            out.piece_offset = 0
        block_release(out.slabs, piece.block)
    out.used = used


# ---------------------------------------------------------------- output: to the socket

cdef int out_gather(const Output* out, iovec* vectors, int limit, size_t* total) noexcept nogil:
    cdef int count = 0
    cdef int index = out.piece_sent
    cdef size_t position = out.sent
    cdef size_t end, skip = out.piece_offset
    cdef size_t bytes = 0
    cdef const Piece* piece
    while count < limit:
        piece = &out.pieces[index] if index < out.piece_count else NULL
        end = out.used if piece is NULL else piece.position
        if end > position:
            vectors[count].iov_base = out.data + position
            vectors[count].iov_len = end - position
            bytes += end - position
            count += 1
            position = end
        elif piece is not NULL:
            vectors[count].iov_base = block_data(piece.block) + skip
            vectors[count].iov_len = piece.size - skip
            bytes += piece.size - skip
            count += 1
            skip = 0
            index += 1
        else:
            break
    if total is not NULL:
        total[0] = bytes
    return count


cdef void out_sent(Output* out, size_t size) noexcept nogil:
    cdef Piece* piece
    cdef size_t part
    while size:
        piece = &out.pieces[out.piece_sent] if out.piece_sent < out.piece_count else NULL
        part = (out.used if piece is NULL else piece.position) - out.sent
        if part:
            part = size if size < part else part
            out.sent += part
        else:
            part = piece.size - out.piece_offset
            part = size if size < part else part
            out.piece_offset += part
            out.pinned -= part
            if out.piece_offset == piece.size:
                block_release(out.slabs, piece.block)
                out.piece_sent += 1
                out.piece_offset = 0
        size -= part
    if out.sent == out.used and out.piece_sent == out.piece_count:
        out.piece_count = out.piece_sent = 0
        out_clear(out)
    elif out.sent > FIRST_BUFFER and out.sent > out.used // 2:
        out_compact(out)


cdef void out_compact(Output* out) noexcept nogil:
    """Move what waits to the front of the buffer: each byte moves at most once per doubling."""
    cdef int i
    memmove(out.data, out.data + out.sent, out.used - out.sent)
    out.piece_count -= out.piece_sent
    for i in range(out.piece_count):
        out.pieces[i] = out.pieces[i + out.piece_sent]
        out.pieces[i].position -= out.sent
    out.piece_sent = 0
    out.used -= out.sent
    out.sent = 0


# ---------------------------------------------------------------- output: the types of RESP

cdef inline char* put_header(char* p, char mark, uint64_t value) noexcept nogil:
    """Write `mark`, a number and CR LF (at most 23 bytes); return the end."""
    cdef char digits[20]
    cdef int n = 0
    p[0] = mark
    p += 1
    if value < 10:
        p[0] = <char>(48 + value)
        p += 1
    elif value < 100:
        p[0] = <char>(48 + value // 10)
        p[1] = <char>(48 + value % 10)
        p += 2
    else:
        while value:
            digits[n] = <char>(48 + value % 10)
            value //= 10
            n += 1
        while n:
            n -= 1
            p[0] = digits[n]
            p += 1
    p[0] = c"\r"
    p[1] = c"\n"
    return p + 2


cdef void out_raw(Output* out, const char* data, size_t size) noexcept nogil:
    cdef char* p = out_reserve(out, size)
    if p is not NULL:
        memcpy(p, data, size)
        out.used += size


cdef void out_line(Output* out, char mark, const char* text, size_t size) noexcept nogil:
    """Write a line of text in which CR and LF become spaces, so that it stays one line."""
    cdef char* p = out_reserve(out, size + 3)
    cdef size_t i
    if p is NULL:
        return
    p[0] = mark
    for i in range(size):
        p[i + 1] = c" " if text[i] == c"\r" or text[i] == c"\n" else text[i]
    p[size + 1] = c"\r"
    p[size + 2] = c"\n"
    out.used += size + 3


cdef void out_simple(Output* out, const char* text, size_t size) noexcept nogil:
    out_line(out, c"+", text, size)


cdef void out_error(Output* out, const char* text, size_t size) noexcept nogil:
    out_line(out, c"-", text, size)


cdef void out_header(Output* out, char mark, uint64_t value) noexcept nogil:
    cdef char* p = out_reserve(out, 32)
    if p is not NULL:
        out.used = put_header(p, mark, value) - out.data


cdef void out_int(Output* out, int64_t value) noexcept nogil:
    cdef char* p = out_reserve(out, 32)
    if p is NULL:
        return
    if value >= 0:
        out.used = put_header(p, c":", <uint64_t>value) - out.data
    else:
        put_header(p + 1, c"-", 0 - <uint64_t>value)
        p[0] = c":"
        while p[0] != c"\n":
            p += 1
        out.used = p + 1 - out.data


cdef void out_bulk(Output* out, const char* data, size_t size) noexcept nogil:
    cdef char* p = out_reserve(out, size + 32)
    if p is NULL:
        return
    p = put_header(p, c"$", size)
    memcpy(p, data, size)
    p[size] = c"\r"
    p[size + 1] = c"\n"
    out.used = p + size + 2 - out.data


cdef void out_bulk_block(Output* out, Block* block) noexcept nogil:
    cdef Piece* pieces
    cdef int capacity
    if block.size < PIN_FROM:
        out_bulk(out, block_data(block), block.size)
        return
    if out.piece_count == out.piece_capacity:
        capacity = 4 if out.piece_capacity == 0 else out.piece_capacity * 2
        pieces = <Piece*>realloc(out.pieces, capacity * sizeof(Piece))
        if pieces is NULL:
            out.failed = True
            return
        out.pieces = pieces
        out.piece_capacity = capacity
    out_header(out, c"$", block.size)
    out.pieces[out.piece_count].position = out.used
    out.pieces[out.piece_count].block = block_retain(block)
    out.pieces[out.piece_count].size = block.size
    out.piece_count += 1
    out.pinned += block.size
    out_raw(out, b"\r\n", 2)


cdef void out_null(Output* out, int protocol) noexcept nogil:
    if protocol == 3:
        out_raw(out, b"_\r\n", 3)
    else:
        out_raw(out, b"$-1\r\n", 5)


cdef void out_null_array(Output* out, int protocol) noexcept nogil:
    if protocol == 3:
        out_raw(out, b"_\r\n", 3)
    else:
        out_raw(out, b"*-1\r\n", 5)


cdef void out_array(Output* out, int64_t count) noexcept nogil:
    out_header(out, c"*", <uint64_t>count)


# ---------------------------------------------------------------- output: Python values

cdef class Shaped:
    """A reply whose Python type alone does not say how it is written."""

    def __init__(self, items: object) -> None:
        self.items = items

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.items!r})"

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.items == (<Shaped>other).items

    __hash__ = None


cdef class Pairs(Shaped):
    """Pairs of values: flat in RESP2, an array of pairs in RESP3 (WITHSCORES)."""


cdef class Mapping(Shaped):
    """Pairs of values: an array of pairs in RESP2, a map in RESP3 (XREAD)."""


cdef class Members(Shaped):
    """The members of a set in the order given: an array in RESP2, a set in RESP3."""


cdef class Push(Shaped):
    """A message nobody asked for: an array in RESP2, a push in RESP3."""


cdef class Verbatim(Shaped):
    """Text for people: a bulk string in RESP2, a verbatim string in RESP3 (INFO)."""


cdef class Raw(Shaped):
    """Bytes that are RESP already: what no Python value stands for."""


cdef class NullArray:
    """The type of `NULL_ARRAY`."""

    def __repr__(self) -> str:
        return "NULL_ARRAY"


NULL_ARRAY = NullArray()


cdef int out_value(Output* out, object value, int protocol) except -1:
    """Append a reply, or nothing at all if the value is not one of the table."""
    cdef size_t used = out.used
    cdef int pieces = out.piece_count
    try:
        put(out, value, protocol)
    except BaseException:
        out_truncate(out, used, pieces)
        raise
    return 0


cdef int put(Output* out, object value, int protocol) except -1:
    cdef int overflow = 0
    cdef int64_t number
    if type(value) is bytes:
        out_bulk(out, PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value))
    elif type(value) is int:
        number = PyLong_AsLongLongAndOverflow(value, &overflow)
        if overflow:
            raise OverflowError(f"not a 64-bit integer: {value}")
        out_int(out, number)
    elif type(value) is str:
        put_text(out, c"+", value)
    elif value is None:
        out_null(out, protocol)
    elif type(value) is list or type(value) is tuple:
        put_items(out, c"*", value, protocol)
    elif type(value) is dict:
        put_pairs(out, value.items(), len(value), protocol == 3, True, protocol)
    elif type(value) is bool:
        if protocol == 3:
            out_raw(out, b"#t\r\n" if value else b"#f\r\n", 4)
        else:
            out_int(out, 1 if value else 0)
    elif type(value) is float:
        put_float(out, value, protocol)
    else:
        put_marked(out, value, protocol)
    return 0


cdef int put_marked(Output* out, object value, int protocol) except -1:
    """Append one of the reply classes, or an error."""
    if isinstance(value, Pairs):
        items = (<Pairs>value).items
        put_pairs(out, items, len(items), False, protocol == 2, protocol)
    elif isinstance(value, Mapping):
        items = (<Mapping>value).items
        put_pairs(out, items, len(items), protocol == 3, protocol == 3, protocol)
    elif isinstance(value, Members):
        put_items(out, c"~" if protocol == 3 else c"*", (<Members>value).items, protocol)
    elif isinstance(value, Push):
        put_items(out, c">" if protocol == 3 else c"*", (<Push>value).items, protocol)
    elif isinstance(value, Verbatim):
        put_verbatim(out, (<Verbatim>value).items, protocol)
    elif isinstance(value, Raw):
        raw = (<Raw>value).items
        out_raw(out, PyBytes_AS_STRING(raw), <size_t>PyBytes_GET_SIZE(raw))
    elif isinstance(value, NullArray):
        out_null_array(out, protocol)
    elif isinstance(value, Exception) and hasattr(value, "wire"):
        put_text(out, c"-", value.wire)
    elif isinstance(value, (int, str, bytearray, memoryview)):     # an enum, a view of a buffer
        put(out, int(value) if isinstance(value, int) else str(value) if isinstance(value, str)
            else bytes(value), protocol)
    else:
        raise TypeError(f"not a reply: {type(value).__name__}")
    return 0


cdef int put_items(Output* out, char mark, object items, int protocol) except -1:
    out_header(out, mark, <uint64_t>len(items))
    for item in items:
        put(out, item, protocol)
    return 0


cdef int put_pairs(Output* out, object pairs, Py_ssize_t count, bint as_map, bint flat,
                   int protocol) except -1:
    """Append pairs as a map (then flat), as one flat array, or as an array of arrays of two."""
    if flat and not as_map:
        count *= 2
    out_header(out, c"%" if as_map else c"*", <uint64_t>count)
    for key, item in pairs:
        if not flat:
            out_array(out, 2)
        put(out, key, protocol)
        put(out, item, protocol)
    return 0


cdef bytes encode_text(object text):
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")


cdef int put_text(Output* out, char mark, object text) except -1:
    cdef Py_ssize_t size
    cdef const char* data
    cdef bytes encoded
    if type(text) is str:
        try:
            data = PyUnicode_AsUTF8AndSize(text, &size)
        except UnicodeEncodeError:
            pass
        else:
            out_line(out, mark, data, size)
            return 0
    encoded = encode_text(text)
    out_line(out, mark, PyBytes_AS_STRING(encoded), PyBytes_GET_SIZE(encoded))
    return 0


cdef int put_verbatim(Output* out, object text, int protocol) except -1:
    cdef bytes encoded = encode_text(text)
    cdef size_t size = PyBytes_GET_SIZE(encoded)
    if protocol == 3:
        out_header(out, c"=", size + 4)
        out_raw(out, b"txt:", 4)
        out_raw(out, PyBytes_AS_STRING(encoded), size)
        out_raw(out, b"\r\n", 2)
    else:
        out_bulk(out, PyBytes_AS_STRING(encoded), size)
    return 0


cdef int put_float(Output* out, double value, int protocol) except -1:
    cdef char[DOUBLE_TEXT] text
    cdef int size = format_double(value, text)
    if protocol == 3:
        out_line(out, c",", text, size)
    else:
        out_bulk(out, text, size)
    return 0


def encode(value: object, protocol: int = 2) -> bytes:
    """Return a reply as the bytes that a client of that protocol receives."""
    cdef Output out
    memset(&out, 0, sizeof(Output))
    try:
        out_value(&out, value, protocol)
        if out.failed:
            raise MemoryError
        return PyBytes_FromStringAndSize(out.data, out.used)
    finally:
        out_clear(&out)


# ---------------------------------------------------------------- input: slices

cdef int slices_push(Slices* slices, const char* data, size_t size, Block* block) noexcept nogil:
    """Append an argument; -1 if there is no memory."""
    cdef size_t capacity
    cdef Slice* items
    if slices.count == slices.capacity:
        capacity = 8 if slices.capacity == 0 else slices.capacity * 2
        items = <Slice*>realloc(slices.items, capacity * sizeof(Slice))
        if items is NULL:
            return -1
        slices.items = items
        slices.capacity = capacity
    slices.items[slices.count].data = data
    slices.items[slices.count].size = size
    slices.items[slices.count].block = block
    slices.count += 1
    return 0


cdef int parser_set_aside(Parser* parser, Slices* target, Slices* source) noexcept nogil:
    cdef size_t i
    for i in range(parser.first, source.count):
        if slices_push(target, source.items[i].data, source.items[i].size,
                       source.items[i].block) < 0:
            return -1
        source.items[i].block = NULL
    source.count = parser.first
    parser.first = 0
    return 0


cdef void slices_settle(Slice* items, size_t count, const char* base) noexcept nogil:
    cdef size_t i
    for i in range(count):
        if items[i].block is NULL:
            # in integers: until it is settled, neither is the address of anything
            items[i].data = <const char*>(<size_t>base + <size_t>items[i].data)


cdef void slices_release(Slice* items, size_t count, Slabs* slabs) noexcept nogil:
    cdef size_t i
    for i in range(count):
        if items[i].block is not NULL:
            block_release(slabs, items[i].block)
            items[i].block = NULL


# ---------------------------------------------------------------- input: the parser

cdef void parser_reset(Parser* parser, Slabs* slabs) noexcept nogil:
    if parser.block is not NULL:
        block_release(slabs, parser.block)
        parser.block = NULL
    parser.start = parser.position = parser.scanned = parser.keep = parser.first = 0
    parser.remaining = 0
    parser.bulk = HEADER_NEXT
    parser.blocks = 0


cdef inline int broken(Parser* parser, const char* error) noexcept nogil:
    parser.error = error
    return BROKEN


cdef int parse(Parser* parser, Slices* slices, const char* data, size_t size, const Limits* limits,
               bint authenticated, Slabs* slabs, char* scratch) noexcept nogil:
    cdef int64_t value = 0
    cdef int status
    if parser.remaining == 0:
        parser.start = parser.position
        parser.first = slices.count
        parser.keep = size
        if parser.position >= size:
            return INCOMPLETE
        if data[parser.position] != c"*":
            return parse_inline(parser, slices, data, size, limits, scratch)
        parser.canonical = True
        parser.decoded = False
        parser.bulk = HEADER_NEXT
        parser.blocks = 0
        status = read_length(parser, data, size, limits, &value)
        if status == INCOMPLETE:
            return INCOMPLETE
        if status == NOTHING:
            return broken(parser, b"ERR Protocol error: too big mbulk count string")
        if status != COMPLETE or value > limits.multibulk:
            return broken(parser, b"ERR Protocol error: invalid multibulk length")
        if value > limits.unauthenticated_multibulk and not authenticated:
            return broken(parser, b"ERR Protocol error: unauthenticated multibulk length")
        if value <= 0:
            return NOTHING
        parser.remaining = value
    status = parse_arguments(parser, slices, data, size, limits, authenticated, slabs)
    if status == COMPLETE and is_http(&slices.items[parser.first], data):
        return HOSTILE
    return status


cdef inline int parse_arguments(Parser* parser, Slices* slices, const char* data, size_t size,
                                const Limits* limits, bint authenticated,
                                Slabs* slabs) noexcept nogil:
    cdef int64_t value = 0
    cdef int status
    cdef size_t rest
    if parser.block is not NULL:
        parser.keep = parser.position
        return INCOMPLETE
    while parser.remaining:
        if parser.bulk == TRAILER_NEXT:
            rest = size - parser.position
            if rest < <size_t>parser.trailer:
                parser.trailer -= <int>rest
                parser.position = size
                parser.keep = size
                return INCOMPLETE
            parser.position += parser.trailer
            parser.bulk = HEADER_NEXT
            parser.remaining -= 1
            continue
        if parser.bulk == HEADER_NEXT:
            status = read_length(parser, data, size, limits, &value)
            if status == INCOMPLETE:
                parser.keep = size
                return INCOMPLETE
            if status != COMPLETE or value < 0 or <size_t>value > limits.bulk:
                return bulk_error(parser, status)
            if value > <int64_t>limits.unauthenticated_bulk and not authenticated:
                return broken(parser, b"ERR Protocol error: unauthenticated bulk length")
            parser.bulk = value
        rest = size - parser.position
        if rest < <size_t>parser.bulk + 2:
            if parser.bulk >= BIG_ARGUMENT and slabs is not NULL:
                return begin_block(parser, slices, data, size, slabs)
            parser.keep = size
            return INCOMPLETE
        if slices_push(slices, <const char*>parser.position, parser.bulk, NULL) < 0:
            return broken(parser, b"ERR out of memory")
        parser.position += parser.bulk + 2
        if data[parser.position - 2] != c"\r" or data[parser.position - 1] != c"\n":
            parser.canonical = False
        parser.bulk = HEADER_NEXT
        parser.remaining -= 1
    return COMPLETE


cdef int bulk_error(Parser* parser, int status) noexcept nogil:
    if status == NOTHING:
        return broken(parser, b"ERR Protocol error: too big bulk count string")
    if status == HOSTILE:
        return broken(parser, b"ERR Protocol error: expected '$', got '%'")
    return broken(parser, b"ERR Protocol error: invalid bulk length")


cdef inline int read_length(Parser* parser, const char* data, size_t size, const Limits* limits,
                            int64_t* value) noexcept nogil:
    """Read a header: `*` at the beginning of a request, `$` before an argument.

    COMPLETE, INCOMPLETE, NOTHING (the line is too long), BROKEN (no number) or HOSTILE (no `$`).
    """
    cdef const char* p = data + parser.position
    cdef size_t rest = size - parser.position
    cdef unsigned int high, low
    # Nearly all lengths have one or two digits.
    if rest >= 5 and (p[0] == c"$" or parser.remaining == 0):
        high = <unsigned int>(<uint8_t>p[1]) - 48
        if high <= 9:
            if p[2] == c"\r" and p[3] == c"\n":
                value[0] = high
                parser.position += 4
                parser.scanned = 0
                return COMPLETE
            low = <unsigned int>(<uint8_t>p[2]) - 48
            if low <= 9 and high != 0 and p[3] == c"\r" and p[4] == c"\n":
                value[0] = high * 10 + low
                parser.position += 5
                parser.scanned = 0
                return COMPLETE
    return read_any_length(parser, p, rest, limits, value)


cdef int read_any_length(Parser* parser, const char* p, size_t rest, const Limits* limits,
                         int64_t* value) noexcept nogil:
    cdef const char* end = NULL
    cdef size_t length
    if rest > parser.scanned:
        end = <const char*>memchr(p + parser.scanned, c"\r", rest - parser.scanned)
    length = rest if end is NULL else end - p
    if length > limits.inline_line:
        return NOTHING
    if end is NULL or length + 2 > rest:
        parser.scanned = length
        return INCOMPLETE
    parser.scanned = 0
    if parser.remaining and p[0] != c"$":
        parser.unexpected = p[0]
        return HOSTILE
    if not parse_int(p + 1, length - 1, value):
        return BROKEN
    if p[length + 1] != c"\n":
        parser.canonical = False
    parser.position += length + 2
    return COMPLETE


# ---------------------------------------------------------------- input: big arguments

cdef int begin_block(Parser* parser, Slices* slices, const char* data, size_t size,
                     Slabs* slabs) noexcept nogil:
    """Start to receive an argument into a block: the bytes after its header leave the buffer."""
    cdef size_t length = <size_t>parser.bulk
    cdef size_t rest = size - parser.position
    cdef size_t part = length if length < rest else rest
    cdef size_t capacity = length if length < FIRST_BLOCK else FIRST_BLOCK
    cdef size_t header_end = parser.position
    cdef Block* block = NULL
    if length >= REUSE_FROM:
        block = block_reuse(slabs, length)
    if block is NULL:
        block = block_new(slabs, capacity if capacity > part else part)
    if block is NULL:
        return broken(parser, b"ERR out of memory")
    block.size = 0
    memcpy(block_data(block), data + header_end, part)
    parser.block = block
    parser.canonical = False
    parser.keep = header_end
    if parser_filled(parser, slices, part) < 0:
        return broken(parser, b"ERR out of memory")
    if parser.block is NULL:
        parser.trailer -= <int>(rest - part)
    return INCOMPLETE


cdef char* parser_space(Parser* parser, Slabs* slabs, size_t* room) noexcept nogil:
    cdef Block* block = parser.block
    cdef size_t capacity
    if block.size == block.capacity:
        capacity = block.capacity * (4 if block.capacity < REUSE_FROM else 2)
        if capacity > <size_t>parser.bulk:
            capacity = <size_t>parser.bulk
        block = block_resize(slabs, block, capacity)
        if block is NULL:
            return NULL
        parser.block = block
    capacity = block.capacity if block.capacity < <size_t>parser.bulk else <size_t>parser.bulk
    room[0] = capacity - block.size
    return block_data(block) + block.size


cdef int parser_filled(Parser* parser, Slices* slices, size_t size) noexcept nogil:
    cdef Block* block = parser.block
    block.size += size
    if block.size < <size_t>parser.bulk:
        return 0
    parser.bulk = TRAILER_NEXT
    parser.trailer = 2
    if slices_push(slices, block_data(block), block.size, block) < 0:
        return -1
    parser.blocks += block.size
    parser.block = NULL
    return 0


# ---------------------------------------------------------------- input: inline requests

cdef inline bint is_blank(char c) noexcept nogil:
    return c == c" " or 9 <= c <= 13


cdef int parse_inline(Parser* parser, Slices* slices, const char* data, size_t size,
                      const Limits* limits, char* scratch) noexcept nogil:
    """Read a request that is a line of words, as people and health checks type it."""
    cdef const char* line = data + parser.position
    cdef const char* base = scratch
    cdef size_t rest = size - parser.position
    cdef const char* end = NULL
    cdef size_t length
    if rest > parser.scanned:
        end = <const char*>memchr(line + parser.scanned, c"\n", rest - parser.scanned)
    length = rest if end is NULL else end - line
    if length > limits.inline_line:
        return broken(parser, b"ERR Protocol error: too big inline request")
    if end is NULL:
        parser.scanned = length
        return INCOMPLETE
    parser.scanned = 0
    if length and line[length - 1] == c"\r":
        length -= 1
    parser.canonical = False
    parser.decoded = False
    if memchr(line, c'"', length) is not NULL or memchr(line, c"'", length) is not NULL:
        parser.decoded = True
        if split_quoted(slices, line, length, scratch) < 0:
            return broken(parser, b"ERR Protocol error: unbalanced quotes in request")
    elif split_plain(slices, line, length, parser.position) < 0:
        return broken(parser, b"ERR out of memory")
    parser.position = end + 1 - data
    if slices.count == parser.first:
        return NOTHING
    if not parser.decoded:
        base = data
    if is_http(&slices.items[parser.first], base):
        return HOSTILE
    return COMPLETE


cdef int split_plain(Slices* slices, const char* line, size_t length,
                     size_t offset) noexcept nogil:
    cdef size_t i = 0, begin
    while i < length:
        if is_blank(line[i]):
            i += 1
            continue
        begin = i
        while i < length and not (line[i] == c" " or line[i] == c"\t" or line[i] == c"\r"):
            i += 1
        if slices_push(slices, <const char*>(offset + begin), i - begin, NULL) < 0:
            return -1
    return 0


cdef inline int hex_digit(char c) noexcept nogil:
    if c"0" <= c <= c"9":
        return c - c"0"
    if c"a" <= (c | 32) <= c"f":
        return (c | 32) - c"a" + 10
    return -1


cdef inline char unescape(char c) noexcept nogil:
    if c == c"n":
        return c"\n"
    if c == c"r":
        return c"\r"
    if c == c"t":
        return c"\t"
    if c == c"b":
        return 8
    if c == c"a":
        return 7
    return c


cdef int split_quoted(Slices* slices, const char* line, size_t length,
                      char* scratch) noexcept nogil:
    """Split a line into words as sdssplitargs does; -1 if its quotes are unbalanced.

    A decoded word is never longer than what it was written as, so `scratch` is large enough.
    """
    cdef size_t i = 0, begin, used = 0
    cdef char quote, c
    cdef int digit
    while True:
        while i < length and is_blank(line[i]):
            i += 1
        if i == length:
            return 0
        begin = used
        quote = 0
        while True:
            if i == length:
                if quote:
                    return -1
                break
            c = line[i]
            i += 1
            if quote == 0:
                if c == c" " or c == c"\t" or c == c"\r":
                    break
                if c == c'"' or c == c"'":
                    quote = c
                    continue
            elif c == quote:
                if i < length and not is_blank(line[i]):
                    return -1
                break
            elif c == c"\\" and i < length:
                if quote == c"'":
                    if line[i] == c"'":
                        c = line[i]
                        i += 1
                elif (line[i] == c"x" and i + 2 < length and hex_digit(line[i + 1]) >= 0
                        and hex_digit(line[i + 2]) >= 0):
                    digit = hex_digit(line[i + 1]) * 16 + hex_digit(line[i + 2])
                    c = <char>digit
                    i += 3
                else:
                    c = unescape(line[i])
                    i += 1
            scratch[used] = c
            used += 1
        if slices_push(slices, <const char*>begin, used - begin, NULL) < 0:
            return -1


cdef inline bint is_http(const Slice* word, const char* base) noexcept nogil:
    """Tell a browser's request by its first word: somebody's web page was sent here."""
    cdef const char* p = base + <size_t>word.data
    if word.size < 4 or word.size > 5:
        return False
    if word.size == 4:
        return (p[0] | 32) == c"p" and (p[1] | 32) == c"o" and (p[2] | 32) == c"s" \
            and (p[3] | 32) == c"t"
    return (p[0] | 32) == c"h" and (p[1] | 32) == c"o" and (p[2] | 32) == c"s" \
        and (p[3] | 32) == c"t" and p[4] == c":"
