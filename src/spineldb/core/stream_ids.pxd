"""The ids of streams: milliseconds and a sequence, written `ms-seq`."""

from libc.stdint cimport uint64_t

from spineldb.core.resp cimport Output

cdef enum:
    ID_TEXT = 44                 # bytes that format_id may write

cdef struct ID:
    uint64_t ms
    uint64_t seq

cdef inline int compare_ids(const ID* one, const ID* other) noexcept nogil:
    if one.ms != other.ms:
        return 1 if one.ms > other.ms else -1
    if one.seq != other.seq:
        return 1 if one.seq > other.seq else -1
    return 0

cdef inline bint is_zero(const ID* id) noexcept nogil:
    return id.ms == 0 and id.seq == 0

# The next and the previous id; False if there is none.
cdef bint increment(ID* id) noexcept nogil
cdef bint decrement(ID* id) noexcept nogil

# Read `ms-seq` or `ms`, whose sequence is then `missing`. With `auto`, `ms-*` is read as well and
# sets it; otherwise (NULL) it is refused. `strict` refuses `-` and `+`. False if it is none.
cdef bint parse_id(const char* text, size_t size, ID* id, uint64_t missing, bint strict,
                   bint* auto) noexcept nogil
cdef int format_id(char* text, const ID* id) noexcept nogil
cdef void out_id(Output* out, const ID* id) noexcept nogil
