"""What bodies of the set commands share: look-ups and replies."""

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t

from spineldb.core.call cimport Call
from spineldb.core.entry cimport KIND_MASK, SET
from spineldb.core.resp cimport Output, Slice
from spineldb.core.sets cimport SetValue

cdef inline bint is_set(const uint8_t* entry) noexcept nogil:
    return entry[0] & KIND_MASK == SET

# Look the first key up for reading. False: the command has answered, or there is none. Without a
# key `value.count` is 0, after an error -1.
cdef bint read_set(Call call, Slice* key, SetValue* value) except -1

# Make a set, in RESP3, of the array that begins at a position of the output.
cdef void mark_set(Call call, size_t position) noexcept
# Begin a set of so many members.
cdef void reply_set(Call call, int64_t count) noexcept
# Insert what had to be known first before the replies from a position on.
cdef void put_in_front(Output* out, size_t position, const char* text, size_t size) noexcept
# Make a set of the members from a position on.
cdef int count_reply(Call call, size_t position, int64_t count) except -1
# For set_walk: write a member to an Output.
cdef int reply_member(void* context, const char* member, size_t size) except -2
