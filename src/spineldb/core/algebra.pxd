"""Set algebra: which members of one set are in others."""

from libc.stdint cimport uint64_t

from spineldb.core.sets cimport SetValue

# Receives a member of the result; `hash` is NULL or its hash, which is only told where members are
# stored at once (`into`). A negative answer ends the work.
ctypedef int (*Emit)(void* context, const char* member, size_t size,
                     const uint64_t* hash) except -2

# Emit the members of `source` that are in all `others` (`inside`), or in none of them. Answers -1
# if the receiver has ended it. `into`: the set that they go into, for which they come in another
# order than that of their hashes.
cdef int sift(const SetValue* source, const SetValue* others, int count, bint inside, Emit emit,
              void* context, const SetValue* into=*) except -2
