"""What commands on streams read: ids, ends of ranges, the stream of a key, one of its groups."""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint8_t, uint64_t

from spineldb.core.entry cimport KIND_MASK, STREAM
from spineldb.core.resp cimport Output, Slice, out_bulk, parse_int
from spineldb.core.streams cimport (
    Consumer, Group, ID, StreamRoot, decrement, find_group, increment, name_of, parse_id,
    stream_of,
)

from spineldb import errors

cdef uint64_t LAST = <uint64_t>0xffffffffffffffffu


cdef bytes bytes_of(const Slice* text):
    return PyBytes_FromStringAndSize(text.data, <Py_ssize_t>text.size)


cdef int64_t integer_of(const Slice* text) except? -1:
    cdef int64_t value
    if not parse_int(text.data, text.size, &value):
        raise errors.NotInteger
    return value


cdef int id_of(const Slice* text, ID* id) except -1:
    if not parse_id(text.data, text.size, id, 0, True, NULL):
        raise errors.InvalidStreamId
    return 0


cdef int edge_of(const Slice* text, bint end, ID* id) except -1:
    """Read one end of a range; a `(` before it leaves the id itself out."""
    cdef bint without = text.size > 1 and text.data[0] == c"("
    if not parse_id(text.data + without, text.size - without, id, LAST if end else 0, without,
                    NULL):
        raise errors.InvalidStreamId
    if without:
        if end:
            if not decrement(id):
                raise errors.IntervalEnd
        elif not increment(id):
            raise errors.IntervalStart
    return 0


cdef StreamRoot* typed(uint8_t* entry) except? NULL:
    """The stream that an entry is; NULL for none. Raises WrongType."""
    if entry is NULL:
        return NULL
    if entry[0] & KIND_MASK != STREAM:
        raise errors.WrongType
    return stream_of(entry)


cdef Group* group_of(StreamRoot* stream, const Slice* key, const Slice* name) except NULL:
    """The group of a stream that may be missing; raises NoSuchKeyOrGroup."""
    cdef Group* group = NULL
    if stream is not NULL:
        group = find_group(stream, name.data, name.size)
    if group is NULL:
        raise errors.NoSuchKeyOrGroup(bytes_of(key), bytes_of(name))
    return group


cdef Group* named_group(StreamRoot* stream, const Slice* argv) except NULL:
    """The group that a subcommand of XGROUP or XINFO names."""
    cdef Group* group
    if stream is NULL:
        raise errors.XgroupNoKey
    group = find_group(stream, argv[3].data, argv[3].size)
    if group is NULL:
        raise errors.NoSuchGroup(bytes_of(&argv[3]), bytes_of(&argv[2]))
    return group


cdef void out_name(Output* out, const Consumer* consumer) noexcept nogil:
    out_bulk(out, name_of(&consumer.named), consumer.named.name_size)
