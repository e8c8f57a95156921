"""Replies that many bodies give: refusals by their bytes."""

from spineldb import errors

WRONG_TYPE = errors.WrongType().wire
SYNTAX = errors.Syntax().wire
NOT_INTEGER = errors.NotInteger().wire
NOT_INT32 = errors.OutsideRange(-(1 << 31), (1 << 31) - 1).wire
NOT_FLOAT = errors.NotFloat().wire
NOT_FINITE = errors.NotFinite().wire
NOT_POSITIVE = errors.NotPositive().wire
OVERFLOW = errors.Overflow().wire
NO_SUCH_KEY = errors.NoSuchKey().wire
NO_SUCH_DATABASE = errors.DatabaseOutOfRange().wire
NUMKEYS_NOT_POSITIVE = errors.NumkeysNotPositive().wire
COUNT_NOT_POSITIVE = errors.CountNotPositive().wire
LIMIT_NEGATIVE = errors.LimitNegative().wire
INVALID_CURSOR = errors.InvalidCursor().wire
NOT_OF_HASHES = errors.NoValuesOption().wire
REPLY_TOO_LARGE = errors.OutputLimit().wire


cdef int wrong_arity(Call call) except -1:
    return call.refuse(errors.WrongArity(call.command.name).wire)
