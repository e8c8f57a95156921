"""RESP: bytes to argument slices, values to bytes."""

from libc.stdint cimport int64_t, uint8_t, uint64_t

from spineldb.core.slab cimport Block, Slabs

cdef extern from "<sys/uio.h>" nogil:
    struct iovec:
        void* iov_base
        size_t iov_len

cdef struct Slice:
    const char* data             # into the input buffer, or into `block`
    size_t size
    Block* block                 # a big argument received straight into its block, else NULL

cdef struct Request:
    Slice* argv                  # argv[0] is the command's name
    int argc
    const char* raw              # the request as received; NULL when it is not one piece of RESP
    size_t raw_size
    # filled in by dispatch while it looks ahead
    void* command
    uint64_t hash                # of the first key
    bint hashed

cdef enum:
    PIN_FROM = 65536             # bytes: smaller blocks are cheaper to copy than to pin

cdef struct Piece:               # a pinned block that is sent without being copied
    size_t position              # it follows this many bytes of the buffer
    Block* block
    size_t size

cdef struct Output:
    char* data                   # replies waiting to be sent; NULL when there are none
    size_t used
    size_t sent                  # of `used`, bytes already given to the socket
    size_t capacity
    Piece* pieces
    int piece_count
    int piece_capacity
    int piece_sent               # whole pieces already sent
    size_t piece_offset          # bytes of the current piece already sent
    size_t pinned                # bytes in pieces that still wait
    bint failed                  # there was no memory for a reply: the connection must close
    Slabs* slabs                 # whose blocks the pieces are

# Make room for `size` more bytes and return where they go, or NULL (then `failed` is set).
# Buffers of the first size come from a pool and return to it, so idle connections hold none.
cdef char* out_grow(Output* out, size_t size) noexcept nogil

cdef inline char* out_reserve(Output* out, size_t size) noexcept nogil:
    if out.capacity - out.used >= size and out.data is not NULL:
        return out.data + out.used
    return out_grow(out, size)

cdef void out_raw(Output* out, const char* data, size_t size) noexcept nogil
cdef void out_simple(Output* out, const char* text, size_t size) noexcept nogil  # +text
# -text, with CR and LF as spaces: it stays one line whatever users put into it
cdef void out_error(Output* out, const char* text, size_t size) noexcept nogil
cdef void out_int(Output* out, int64_t value) noexcept nogil                       # :1
cdef void out_bulk(Output* out, const char* data, size_t size) noexcept nogil      # $n
cdef void out_bulk_block(Output* out, Block* block) noexcept nogil           # $n, pinned when big
cdef void out_null(Output* out, int protocol) noexcept nogil                       # $-1 or _
cdef void out_null_array(Output* out, int protocol) noexcept nogil                 # *-1 or _
cdef void out_array(Output* out, int64_t count) noexcept nogil                     # *n
# Any Python value that engine/reply.py lists.
cdef int out_value(Output* out, object value, int protocol) except -1
# Give everything back (a closing connection).
cdef void out_clear(Output* out) noexcept nogil
# Back to `used` bytes and `pieces` pieces: a reply that must not be sent (CLIENT REPLY).
cdef void out_truncate(Output* out, size_t used, int pieces) noexcept nogil

# Replies of a shape of their own (resp.pyx says how each is written); engine/reply.py has them too.
cdef class Shaped:
    cdef readonly object items

cdef class Pairs(Shaped):
    pass

cdef class Mapping(Shaped):
    pass

cdef class Members(Shaped):
    pass

cdef class Push(Shaped):
    pass

cdef class Verbatim(Shaped):
    pass

cdef class NullArray:
    pass

# What waits to be sent, as at most `limit` vectors; `total` (may be NULL) gets their bytes.
cdef int out_gather(const Output* out, iovec* vectors, int limit, size_t* total) noexcept nogil
# `size` bytes of what out_gather offered have left; buffers that are empty are given back.
cdef void out_sent(Output* out, size_t size) noexcept nogil

cdef inline size_t out_waiting(const Output* out) noexcept nogil:
    """Bytes that wait to be sent, pinned blocks included."""
    return out.used - out.sent + out.pinned

cdef enum Parsed:
    INCOMPLETE = 0               # more bytes are needed
    COMPLETE = 1                 # a request stands in `slices`
    NOTHING = 2                  # an empty line or an empty array was skipped
    BROKEN = -1                  # a protocol error: `error` says which; answer it and close
    HOSTILE = -2                 # an HTTP request: close without an answer

cdef enum:
    INLINE_LINE = 65536          # bytes in a header line or an inline request, its end apart
    BIG_ARGUMENT = 32768         # longer arguments are received into a block of their own

cdef struct Limits:
    size_t bulk                  # proto-max-bulk-len
    int64_t multibulk            # arguments in a request
    size_t inline_line           # INLINE_LINE: also for the header lines
    size_t unauthenticated_bulk  # the first two for clients that must still log in
    int64_t unauthenticated_multibulk

cdef struct Slices:              # a growing array
    Slice* items
    size_t count
    size_t capacity

cdef enum:                       # Parser.bulk when no argument is being read:
    HEADER_NEXT = -1             # the header of the next one follows
    TRAILER_NEXT = -2            # the CR LF behind one that went into a block follows

cdef struct Parser:              # one per connection: how far the request being received was read
    size_t start                 # where this request begins in the buffer
    size_t first                 # index of its name in the caller's slices
    size_t position              # where reading goes on
    size_t scanned               # bytes of an unfinished line that hold no line end
    size_t keep                  # after INCOMPLETE: the buffer is needed from `start` to here
    int64_t remaining            # arguments still to come; 0 between two requests
    int64_t bulk                 # length of the argument being read, or what comes next
    Block* block                 # a big argument that is being received
    size_t blocks                # bytes of this request's other arguments that are in blocks
    int trailer                  # of the CR LF after a block, bytes still to come
    bint canonical               # the request is one piece of well-formed RESP
    bint decoded                 # its arguments are in `scratch`: an inline request with quotes
    const char* error            # the whole error line after BROKEN, without `-` and CR LF
    char unexpected              # stands for the % in `error`

cdef void parser_reset(Parser* parser, Slabs* slabs) noexcept nogil
# Read one request from `data` on from parser.position. Arguments are appended to `slices` with
# *offsets* in place of pointers (from `data`, or from `scratch` if `decoded`), because the buffer
# may still move: slices_settle() makes pointers of them. Only arguments in blocks have pointers.
# `scratch` has room for limits.inline_line bytes. With `slabs` NULL nothing goes into blocks.
cdef int parse(Parser* parser, Slices* slices, const char* data, size_t size, const Limits* limits,
               bint authenticated, Slabs* slabs, char* scratch) noexcept nogil
# Where the next bytes of a big argument go, and how many at most. NULL: no memory.
cdef char* parser_space(Parser* parser, Slabs* slabs, size_t* room) noexcept nogil
# `size` bytes were put there. The last ones append the argument to `slices`.
cdef int parser_filled(Parser* parser, Slices* slices, size_t size) noexcept nogil
cdef int slices_push(Slices* slices, const char* data, size_t size, Block* block) noexcept nogil
# Move the arguments of the unfinished request to `target`, which is empty and goes with it from
# now on; -1 if there is no memory.
cdef int parser_set_aside(Parser* parser, Slices* target, Slices* source) noexcept nogil
# Offsets to pointers. (`base` negated: back again, or to offsets from elsewhere.)
cdef void slices_settle(Slice* items, size_t count, const char* base) noexcept nogil
# Release the blocks of some arguments.
cdef void slices_release(Slice* items, size_t count, Slabs* slabs) noexcept nogil

cdef inline bint parse_int(const char* p, size_t n, int64_t* value) noexcept nogil:
    """Read the canonical form of a 64-bit integer, `0` or `-?[1-9][0-9]*`; False if it is not."""
    cdef uint64_t v = 0
    cdef size_t i = 0
    cdef bint negative = False
    cdef unsigned int digit
    if n == 0 or n > 20:
        return False
    if p[0] == c'-':
        negative = True
        i = 1
        if n == 1:
            return False
    if p[i] == c'0':
        value[0] = 0
        return n == 1
    while i < n:
        digit = <unsigned int>(<unsigned char>p[i]) - 48
        if digit > 9:
            return False
        if v > 1844674407370955161u or (v == 1844674407370955161u and digit > 5):
            return False
        v = v * 10 + digit
        i += 1
    if negative:
        if v > 9223372036854775808u:
            return False
        value[0] = <int64_t>(0 - v)
    else:
        if v > 9223372036854775807u:
            return False
        value[0] = <int64_t>v
    return True
