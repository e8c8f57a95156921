"""Replies that many bodies give: small ones by inline functions, refusals by their bytes."""

from libc.stdint cimport int64_t

from spineldb.core.call cimport Call
from spineldb.core.resp cimport out_int, out_null, out_raw

# What errors.py says, as it is sent: for `call.refuse`.
cdef bytes WRONG_TYPE, SYNTAX
cdef bytes NOT_INTEGER, NOT_INT32, NOT_FLOAT, NOT_FINITE, NOT_POSITIVE, OVERFLOW
cdef bytes NO_SUCH_KEY, NO_SUCH_DATABASE
cdef bytes NUMKEYS_NOT_POSITIVE, COUNT_NOT_POSITIVE, LIMIT_NEGATIVE
cdef bytes INVALID_CURSOR, NOT_OF_HASHES, REPLY_TOO_LARGE

# These return 0, as a body that is done does.
cdef inline int reply_ok(Call call) noexcept:
    out_raw(call.out, b"+OK\r\n", 5)
    return 0

cdef inline int reply_int(Call call, int64_t value) noexcept:
    out_int(call.out, value)
    return 0

cdef inline int reply_null(Call call) noexcept:
    out_null(call.out, call.protocol)
    return 0

# Refuse a number of arguments that the declaration could not.
cdef int wrong_arity(Call call) except -1
