"""Hashes: fields and their values under one key; a field may expire by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Sized
from typing import TYPE_CHECKING

from spineldb import errors
from spineldb.core import hot_hashes
from spineldb.core.hashes import Hash
from spineldb.engine import arguments
from spineldb.engine.command import (
    ACCESS,
    DELETE,
    DENYOOM,
    FAST,
    INSERT,
    READONLY,
    RO,
    UPDATE,
    WRITE,
    Deprecation,
    Family,
)

if TYPE_CHECKING:
    from spineldb.engine.context import Context

family = Family("hash")

LATEST_MS = 2**46 - 1  # the latest deadline of a field

ANY_ORDER = ("nondeterministic_output_order",)


@family.compiled(
    "HSET key field value [field value ...]",
    WRITE | DENYOOM | FAST,
    hot_hashes.HSET_BODY,
    since="2.0.0",
    key=UPDATE,
    history=(("4.0.0", "Several fields may be given."),),
)
def hset(key: bytes, *pairs: bytes) -> int:
    """Set fields of a hash, creating the hash if it is missing.

    A field that is set loses its deadline. Returns how many fields are new. O(N) in
    the fields given.
    """


@family.compiled(
    "HMSET key field value [field value ...]",
    WRITE | DENYOOM | FAST,
    hot_hashes.HMSET_BODY,
    since="2.0.0",
    key=UPDATE,
    deprecated=Deprecation("4.0.0", "`HSET` with multiple field-value pairs"),
)
def hmset(key: bytes, *pairs: bytes) -> str:
    """Set fields of a hash. O(N) in the fields given."""


@family.compiled(
    "HSETNX key field value",
    WRITE | DENYOOM | FAST,
    hot_hashes.HSETNX_BODY,
    since="2.0.0",
    key=INSERT,
)
def hsetnx(key: bytes, field: bytes, value: bytes) -> int:
    """Set a field of a hash if it is missing.

    Returns 1 if it was set, else 0. O(1).
    """


@family.compiled(
    "HGET key field",
    READONLY | FAST,
    hot_hashes.HGET_BODY,
    since="2.0.0",
)
def hget(key: bytes, field: bytes) -> bytes | None:
    """Return the value of a field, or null if there is none. O(1)."""


@family.compiled(
    "HMGET key field [field ...]",
    READONLY | FAST,
    hot_hashes.HMGET_BODY,
    since="2.0.0",
)
def hmget(key: bytes, *fields: bytes) -> list[bytes | None]:
    """Return the values of fields, null for those that are missing. O(N) in the fields given."""


@family.compiled(
    "HDEL key field [field ...]",
    WRITE | FAST,
    hot_hashes.HDEL_BODY,
    since="2.0.0",
    key=DELETE,
    history=(("2.4.0", "Several fields may be given."),),
)
def hdel(key: bytes, *fields: bytes) -> int:
    """Delete fields; the last one takes the key with it.

    Returns how many there were. O(N) in the fields given.
    """


@family.compiled(
    "HEXISTS key field",
    READONLY | FAST,
    hot_hashes.HEXISTS_BODY,
    since="2.0.0",
    key=RO,
)
def hexists(key: bytes, field: bytes) -> int:
    """Tell whether a hash has a field. O(1)."""


@family.compiled(
    "HLEN key",
    READONLY | FAST,
    hot_hashes.HLEN_BODY,
    since="2.0.0",
    key=RO,
)
def hlen(key: bytes) -> int:
    """Count the fields of a hash. O(1)."""


@family.compiled(
    "HSTRLEN key field",
    READONLY | FAST,
    hot_hashes.HSTRLEN_BODY,
    since="3.2.0",
    key=RO,
)
def hstrlen(key: bytes, field: bytes) -> int:
    """Return how many bytes a field's value has, 0 without the field. O(1)."""


@family.compiled(
    "HGETALL key",
    READONLY,
    hot_hashes.HGETALL_BODY,
    since="2.0.0",
    tips=ANY_ORDER,
)
def hgetall(key: bytes) -> dict[bytes, bytes]:
    """Return all fields and their values. O(N) in the fields."""


@family.compiled(
    "HKEYS key",
    READONLY,
    hot_hashes.HKEYS_BODY,
    since="2.0.0",
    tips=ANY_ORDER,
)
def hkeys(key: bytes) -> list[bytes]:
    """List the names of all fields. O(N) in the fields."""


@family.compiled(
    "HVALS key",
    READONLY,
    hot_hashes.HVALS_BODY,
    since="2.0.0",
    tips=ANY_ORDER,
)
def hvals(key: bytes) -> list[bytes]:
    """List the values of all fields. O(N) in the fields."""


@family.compiled(
    "HINCRBY key field increment:integer",
    WRITE | DENYOOM | FAST,
    hot_hashes.HINCRBY_BODY,
    since="2.0.0",
    key=ACCESS | UPDATE,
)
def hincrby(key: bytes, field: bytes, increment: bytes) -> int:
    """Add an integer to a field, which counts as 0 if it is missing, and return the sum.

    The field keeps its deadline. O(1).
    """


@family.compiled(
    "HINCRBYFLOAT key field increment:double",
    WRITE | DENYOOM | FAST,
    hot_hashes.HINCRBYFLOAT_BODY,
    since="2.6.0",
    key=ACCESS | UPDATE,
)
def hincrbyfloat(key: bytes, field: bytes, increment: bytes) -> bytes:
    """Add a float to a field, which counts as 0 if it is missing, and return the sum.

    What is propagated is the sum. The field keeps its deadline. O(1).
    """


@family.command(
    "HSCAN key cursor:integer [MATCH pattern] [COUNT count:integer] [NOVALUES]",
    READONLY,
    since="2.8.0",
    tips=("nondeterministic_output",),
)
def hscan(ctx: Context, key: bytes, position: bytes, *options: bytes) -> list[object]:
    """Return some fields of a hash, and the cursor with which to ask for more.

    A small hash is returned whole. O(1) for a call, O(N) for all.
    """
    cursor = arguments.cursor(position)
    found = ctx.read(key, Hash)
    if found is None:
        return [b"0", []]
    pattern, count, values = b"*", 10, True
    cursor_of = arguments.Options(options)
    while cursor_of:
        match cursor_of.keyword():
            case b"MATCH":
                pattern = cursor_of.word()
            case b"COUNT":
                count = cursor_of.integer()
                if count < 1:
                    raise errors.Syntax
            case b"NOVALUES":
                values = False
            case _:
                raise errors.Syntax
    following, fields = found.scan(cursor, count)
    listed: list[bytes] = []
    for name, value, _ in fields:
        if pattern == b"*" or arguments.glob(pattern, name):
            listed += (name, value) if values else (name,)
    return [b"%d" % following, listed]


# Deadlines of fields.


def _fields(words: Sequence[bytes], wrong: type[errors.CommandError]) -> Sequence[bytes]:
    """Read `FIELDS numfields field ...`."""
    if len(words) < 2 or words[0].upper() != b"FIELDS":
        raise errors.FieldsMissing
    try:
        count = arguments.ranged(words[1], 1)
    except errors.CommandError:
        raise wrong from None
    if count != len(words) - 2:
        raise errors.FieldsMismatch
    return words[2:]


def _stands(condition: bytes, deadline: int, current: int) -> bool:
    """May `deadline` replace the current one, if -1 (none) counts as never?"""
    match condition:
        case b"NX":
            return current < 0
        case b"XX":
            return current >= 0
        case b"GT":
            return 0 <= current < deadline
        case b"LT":
            return current < 0 or deadline < current
        case _:
            return True


def _has_passed(ctx: Context, deadline: int) -> bool:
    """Tell whether a field of this deadline goes at once: not while a stream is applied.

    The stream itself says when a field goes; until then its later commands may count on it.
    """
    passed = 0 <= deadline <= ctx.keyspace.now_ms
    return passed and ctx.effects.may_bury and not ctx.keyspace.applying


def _deadline(raw: bytes, unit: tuple[str, int, bool], now_ms: int) -> int:
    """Read the time of HEXPIRE and its kin as Unix milliseconds."""
    name, scale, absolute = unit
    value = arguments.integer(raw)
    if value < 0:
        raise errors.NegativeExpire
    deadline = value * scale + (0 if absolute else now_ms)
    if deadline > LATEST_MS:
        raise errors.InvalidExpire(name)
    return deadline


class _Telling:
    """Says what was changed when memory ran out half way: the write is then not propagated."""

    def __init__(self, ctx: Context, key: bytes, event: str, done: Sized) -> None:
        self._ctx, self._key, self._event, self._done = ctx, key, event, done

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is MemoryError and len(self._done):
            self._ctx.changed(self._key, self._event, len(self._done))


def _expire(
    ctx: Context, key: bytes, raw: bytes, words: Sequence[bytes], unit: tuple[str, int, bool]
) -> list[int]:
    found = ctx.db.find(key, Hash)
    if found is not None:
        found.bury(ctx.effects)
    deadline = _deadline(raw, unit, ctx.keyspace.now_ms)
    condition = words[0].upper()
    if condition in {b"NX", b"XX", b"GT", b"LT"}:
        words = words[1:]
    else:
        condition = b""
    fields = _fields(words, errors.FieldsAboveZero)
    past = _has_passed(ctx, deadline)
    answers: list[int] = []
    touched: list[bytes] = []
    for field in fields:
        current = None if found is None else found.deadline(field)
        if found is None or current is None:
            answers.append(-2)
        elif not _stands(condition, deadline, current):
            answers.append(0)
        else:
            answers.append(2 if past else 1)
            with _Telling(ctx, key, "hexpire", touched):
                _change(found, field, deadline, past)
            touched.append(field)
    if touched and past:
        ctx.changed(key, "hdel", len(touched))
        ctx.propagate(b"HDEL", key, *touched)
    elif touched:
        ctx.changed(key, "hexpire", len(touched))
        count = b"%d" % len(touched)
        ctx.propagate(b"HPEXPIREAT", key, b"%d" % deadline, b"FIELDS", count, *touched)
    return answers


def _times(
    ctx: Context, key: bytes, words: Sequence[bytes], shown: Callable[[int], int]
) -> list[int]:
    found = ctx.read(key, Hash)
    fields = _fields(words, errors.FieldsPositive)
    answers: list[int] = []
    for field in fields:
        deadline = None if found is None else found.deadline(field)
        answers.append(-2 if deadline is None else -1 if deadline < 0 else shown(deadline))
    return answers


@family.command(
    "HEXPIRE key seconds:integer [condition: NX | XX | GT | LT] FIELDS "
    "<fields: numfields:integer field [field ...]>",
    WRITE | FAST,
    since="7.4.0",
    key=UPDATE,
)
def hexpire(ctx: Context, key: bytes, time: bytes, *words: bytes) -> list[int]:
    """Have fields of a hash expire in so many seconds. O(N) in the fields given."""
    return _expire(ctx, key, time, words, ("hexpire", 1000, False))


@family.command(
    "HPEXPIRE key milliseconds:integer [condition: NX | XX | GT | LT] FIELDS "
    "<fields: numfields:integer field [field ...]>",
    WRITE | FAST,
    since="7.4.0",
    key=UPDATE,
)
def hpexpire(ctx: Context, key: bytes, time: bytes, *words: bytes) -> list[int]:
    """Have fields of a hash expire in so many milliseconds. O(N) in the fields given."""
    return _expire(ctx, key, time, words, ("hpexpire", 1, False))


@family.command(
    "HEXPIREAT key unix-time-seconds:unix-time [condition: NX | XX | GT | LT] FIELDS "
    "<fields: numfields:integer field [field ...]>",
    WRITE | FAST,
    since="7.4.0",
    key=UPDATE,
)
def hexpireat(ctx: Context, key: bytes, time: bytes, *words: bytes) -> list[int]:
    """Have fields of a hash expire at a Unix time in seconds. O(N) in the fields given."""
    return _expire(ctx, key, time, words, ("hexpireat", 1000, True))


@family.command(
    "HPEXPIREAT key unix-time-milliseconds:unix-time [condition: NX | XX | GT | LT] FIELDS "
    "<fields: numfields:integer field [field ...]>",
    WRITE | FAST,
    since="7.4.0",
    key=UPDATE,
)
def hpexpireat(ctx: Context, key: bytes, time: bytes, *words: bytes) -> list[int]:
    """Have fields of a hash expire at a Unix time in milliseconds. O(N) in the fields given."""
    return _expire(ctx, key, time, words, ("hpexpireat", 1, True))


@family.command(
    "HTTL key FIELDS <fields: numfields:integer field [field ...]>",
    READONLY | FAST,
    since="7.4.0",
    tips=("nondeterministic_output",),
)
def httl(ctx: Context, key: bytes, *words: bytes) -> list[int]:
    """Tell in how many seconds fields expire.

    -1 if never, -2 without the field. O(N) in the fields given.
    """
    return _times(ctx, key, words, lambda at: (at - ctx.keyspace.now_ms + 999) // 1000)


@family.command(
    "HPTTL key FIELDS <fields: numfields:integer field [field ...]>",
    READONLY | FAST,
    since="7.4.0",
    tips=("nondeterministic_output",),
)
def hpttl(ctx: Context, key: bytes, *words: bytes) -> list[int]:
    """Tell in how many milliseconds fields expire.

    -1 if never, -2 without the field. O(N) in the fields given.
    """
    return _times(ctx, key, words, lambda at: at - ctx.keyspace.now_ms)


@family.command(
    "HEXPIRETIME key FIELDS <fields: numfields:integer field [field ...]>",
    READONLY | FAST,
    since="7.4.0",
)
def hexpiretime(ctx: Context, key: bytes, *words: bytes) -> list[int]:
    """Tell when fields expire, in Unix seconds.

    -1 if never, -2 without the field. O(N) in the fields given.
    """
    return _times(ctx, key, words, lambda at: (at + 999) // 1000)


@family.command(
    "HPEXPIRETIME key FIELDS <fields: numfields:integer field [field ...]>",
    READONLY | FAST,
    since="7.4.0",
)
def hpexpiretime(ctx: Context, key: bytes, *words: bytes) -> list[int]:
    """Tell when fields expire, in Unix milliseconds.

    -1 if never, -2 without the field. O(N) in the fields given.
    """
    return _times(ctx, key, words, lambda at: at)


@family.command(
    "HPERSIST key FIELDS <fields: numfields:integer field [field ...]>",
    WRITE | FAST,
    since="7.4.0",
    key=UPDATE,
)
def hpersist(ctx: Context, key: bytes, *words: bytes) -> list[int]:
    """Take the deadlines of fields away. O(N) in the fields given."""
    found = ctx.db.find(key, Hash)
    fields = _fields(words, errors.FieldsPositive)
    answers: list[int] = []
    for field in fields:
        deadline = None if found is None else found.deadline(field)
        answers.append(-2 if deadline is None else -1 if deadline < 0 else 1)
        if found is not None and answers[-1] == 1:
            found.expire_at(field, -1)
    if 1 in answers:
        ctx.changed(key, "hpersist", answers.count(1))
    return answers


@family.command(
    "HGETDEL key FIELDS <fields: numfields:integer field [field ...]>",
    WRITE | FAST,
    since="8.0.0",
    key=ACCESS | DELETE,
)
def hgetdel(ctx: Context, key: bytes, *words: bytes) -> list[bytes | None]:
    """Return the values of fields and delete these. O(N) in the fields given."""
    found = ctx.db.find(key, Hash)
    fields = _fields(words, errors.FieldsPositive)
    values: list[bytes | None] = []
    gone: list[bytes] = []
    for field in fields:
        value = None if found is None else found.get(field)
        values.append(value)
        if found is not None and value is not None:
            found.delete(field)
            gone.append(field)
    if gone:
        ctx.changed(key, "hdel", len(gone))
        ctx.propagate(b"HDEL", key, *gone)
    return values


TIMES = {b"EX": (1000, False), b"PX": (1, False), b"EXAT": (1000, True), b"PXAT": (1, True)}


def _hsetex_options(
    ctx: Context, words: Sequence[bytes]
) -> tuple[bytes, int | None, Sequence[bytes]]:
    """Read what stands before the pairs: condition, deadline (-1: none, -2: kept), the pairs."""
    condition, deadline, at = b"", None, 0
    while at < len(words):
        word = words[at].upper()
        at += 1
        if word in {b"FNX", b"FXX"}:
            if condition:
                raise errors.FieldCondition
            condition = word
        elif word == b"KEEPTTL" or word in TIMES:
            if deadline is not None:
                raise errors.FieldTime
            deadline = -2
            if word in TIMES:
                scale, absolute = TIMES[word]
                unit = ("hsetex", scale, absolute)
                deadline = _deadline(words[at], unit, ctx.keyspace.now_ms)
                at += 1
        elif word == b"FIELDS":
            break
        else:
            raise errors.UnknownArgument(words[at - 1])
    try:
        count = arguments.ranged(words[at], 1, 2**31 - 1)
    except (errors.CommandError, IndexError):
        raise errors.FieldNumber from None
    if 2 * count != len(words) - at - 1:
        raise errors.WrongArity("hsetex")
    return condition, deadline, words[at + 1 :]


@family.command(
    "HSETEX key [condition: FNX | FXX] [expiration: EX seconds:integer | PX milliseconds:integer "
    "| EXAT unix-time-seconds:unix-time | PXAT unix-time-milliseconds:unix-time | KEEPTTL] FIELDS "
    "<fields: numfields:integer field value [field value ...]>",
    WRITE | DENYOOM | FAST,
    since="8.0.0",
    key=UPDATE,
)
def hsetex(ctx: Context, key: bytes, *words: bytes) -> int:
    """Set fields of a hash and when they expire.

    `FNX` sets only if none of them exists, `FXX` only if all do. Returns 1 if they were set, else
    0. O(N) in the fields given.
    """
    condition, deadline, pairs = _hsetex_options(ctx, words)
    found = ctx.db.find_or_create(key, Hash)
    found.bury(ctx.effects)
    names = pairs[::2]
    held = [found.get(name) is not None for name in names]
    if (condition == b"FNX" and any(held)) or (condition == b"FXX" and not all(held)):
        return 0
    if deadline is not None and _has_passed(ctx, deadline):
        _put_passed(ctx, key, found, names)
        return 1
    done: list[bytes] = []
    with _Telling(ctx, key, "hset", done):
        for name, value in zip(names, pairs[1::2], strict=True):
            found.put(name, value, -1 if deadline is None else deadline)
            done.append(name)
    ctx.changed(key, "hset", len(names))
    if deadline is not None and deadline >= 0:
        ctx.changed(key, "hexpire", 0)
        shape = (b"PXAT", b"%d" % deadline, b"FIELDS", b"%d" % len(names))
        ctx.propagate(b"HSETEX", key, *shape, *pairs)
    return 1


@family.command(
    "HGETEX key [expiration: EX seconds:integer | PX milliseconds:integer | EXAT "
    "unix-time-seconds:unix-time | PXAT unix-time-milliseconds:unix-time | PERSIST] FIELDS "
    "<fields: numfields:integer field [field ...]>",
    WRITE | FAST,
    since="8.0.0",
    key=ACCESS | UPDATE,
)
def hgetex(ctx: Context, key: bytes, *words: bytes) -> list[bytes | None]:
    """Return the values of fields and change when these expire. O(N) in the fields given."""
    found = ctx.db.find(key, Hash)
    if found is not None:
        found.bury(ctx.effects)
    option, deadline = words[0].upper(), -1
    if option in TIMES:
        scale, absolute = TIMES[option]
        deadline = _deadline(words[1], ("hgetex", scale, absolute), ctx.keyspace.now_ms)
        words = words[2:]
    elif option == b"PERSIST":
        words = words[1:]
    fields = _fields(words, errors.FieldsPositive)
    values = [None if found is None else found.get(field) for field in fields]
    past = _has_passed(ctx, deadline)
    touched: list[bytes] = []
    if found is None or option == b"FIELDS":
        return values
    for field in fields:
        current = found.deadline(field)
        if current is not None and (deadline >= 0 or current >= 0):
            with _Telling(ctx, key, "hexpire", touched):
                _change(found, field, deadline, past)
            touched.append(field)
    if touched:
        _tell_hgetex(ctx, key, deadline, past, touched)
    return values


def _put_passed(ctx: Context, key: bytes, found: Hash, names: Sequence[bytes]) -> None:
    """Delete fields that would be set when their time has passed; the events tell of both."""
    created = key not in ctx.db
    if created:
        ctx.effects.publish(ctx.db, key, "new")
    ctx.effects.publish(ctx.db, key, "hset")
    gone = [name for name in names if found.delete(name)]
    if gone:
        ctx.changed(key, "hdel", len(gone))
        ctx.propagate(b"HDEL", key, *gone)
    else:
        ctx.effects.publish(ctx.db, key, "hdel")
    if created:
        ctx.effects.publish(ctx.db, key, "del")


def _change(fields: Hash, field: bytes, deadline: int, past: bool) -> None:
    if past:
        fields.delete(field)
    else:
        fields.expire_at(field, deadline)


def _tell_hgetex(
    ctx: Context, key: bytes, deadline: int, past: bool, touched: Sequence[bytes]
) -> None:
    """Propagate what HGETEX did to the deadlines."""
    count = b"%d" % len(touched)
    if past:
        ctx.changed(key, "hdel", len(touched))
        ctx.propagate(b"HDEL", key, *touched)
    elif deadline >= 0:
        ctx.changed(key, "hexpire", len(touched))
        ctx.propagate(b"HPEXPIREAT", key, b"%d" % deadline, b"FIELDS", count, *touched)
    else:
        ctx.changed(key, "hpersist", len(touched))
        ctx.propagate(b"HPERSIST", key, b"FIELDS", count, *touched)
