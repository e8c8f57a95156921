"""What the bodies of the hashes' commands share."""

from libc.stdint cimport int64_t

from spineldb.core.call cimport Call
from spineldb.core.hashes cimport Field
from spineldb.core.keyspace cimport Found
from spineldb.core.resp cimport Slice

# Look a hash up for reading, or for a change that only concerns fields which exist: 1 if there is
# one, 0 if not, -1 after answering that it is something else. Some fields whose time has passed
# are deleted, the others are hidden.
cdef int read_hash(Call call, Slice* key, Found* found) except -2
cdef int find_hash(Call call, Slice* key, Found* found) except -2
# The same before fields are written, whose names stand `step` apart: none of them is hidden then.
cdef int hash_to_write(Call call, Slice* key, Found* found, const Slice* names, int step,
                       int count) except -2
# Reply with a field's value.
cdef void reply_field(Call call, const Field* field) noexcept
