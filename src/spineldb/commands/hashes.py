"""Hashes: fields and their values under one key; a field may expire by itself."""

from __future__ import annotations

from spineldb.core import hot_field_deadlines as deadlines
from spineldb.core import hot_hash_walks, hot_hashes
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

family = Family("hash")

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


@family.compiled(
    "HRANDFIELD key [options: count:integer [WITHVALUES]]",
    READONLY,
    hot_hash_walks.HRANDFIELD_BODY,
    since="6.2.0",
    tips=("nondeterministic_output",),
)
def hrandfield(key: bytes, *options: bytes) -> bytes | list[object] | None:
    """Return a random field, or so many different ones, with their values if that is asked.

    With a negative count they may be the same, and are never more than a value may have
    bytes. O(N) in the fields returned.
    """


@family.compiled(
    "HSCAN key cursor:integer [MATCH pattern] [COUNT count:integer] [NOVALUES]",
    READONLY,
    hot_hash_walks.HSCAN_BODY,
    since="2.8.0",
    tips=("nondeterministic_output",),
)
def hscan(key: bytes, position: bytes, *options: bytes) -> list[object]:
    """Return some fields of a hash, and the cursor with which to ask for more.

    A small hash is returned whole. O(1) for a call, O(N) for all.
    """


# Deadlines of fields.


@family.compiled(
    "HEXPIRE key seconds:integer [condition: NX | XX | GT | LT] FIELDS "
    "<fields: numfields:integer field [field ...]>",
    WRITE | FAST,
    deadlines.HEXPIRE_BODY,
    since="7.4.0",
    key=UPDATE,
)
def hexpire(key: bytes, time: bytes, *words: bytes) -> list[int]:
    """Have fields of a hash expire in so many seconds. O(N) in the fields given."""


@family.compiled(
    "HPEXPIRE key milliseconds:integer [condition: NX | XX | GT | LT] FIELDS "
    "<fields: numfields:integer field [field ...]>",
    WRITE | FAST,
    deadlines.HPEXPIRE_BODY,
    since="7.4.0",
    key=UPDATE,
)
def hpexpire(key: bytes, time: bytes, *words: bytes) -> list[int]:
    """Have fields of a hash expire in so many milliseconds. O(N) in the fields given."""


@family.compiled(
    "HEXPIREAT key unix-time-seconds:unix-time [condition: NX | XX | GT | LT] FIELDS "
    "<fields: numfields:integer field [field ...]>",
    WRITE | FAST,
    deadlines.HEXPIREAT_BODY,
    since="7.4.0",
    key=UPDATE,
)
def hexpireat(key: bytes, time: bytes, *words: bytes) -> list[int]:
    """Have fields of a hash expire at a Unix time in seconds. O(N) in the fields given."""


@family.compiled(
    "HPEXPIREAT key unix-time-milliseconds:unix-time [condition: NX | XX | GT | LT] FIELDS "
    "<fields: numfields:integer field [field ...]>",
    WRITE | FAST,
    deadlines.HPEXPIREAT_BODY,
    since="7.4.0",
    key=UPDATE,
)
def hpexpireat(key: bytes, time: bytes, *words: bytes) -> list[int]:
    """Have fields of a hash expire at a Unix time in milliseconds. O(N) in the fields given."""


@family.compiled(
    "HTTL key FIELDS <fields: numfields:integer field [field ...]>",
    READONLY | FAST,
    deadlines.HTTL_BODY,
    since="7.4.0",
    tips=("nondeterministic_output",),
)
def httl(key: bytes, *words: bytes) -> list[int]:
    """Tell in how many seconds fields expire.

    -1 if never, -2 without the field. O(N) in the fields given.
    """


@family.compiled(
    "HPTTL key FIELDS <fields: numfields:integer field [field ...]>",
    READONLY | FAST,
    deadlines.HPTTL_BODY,
    since="7.4.0",
    tips=("nondeterministic_output",),
)
def hpttl(key: bytes, *words: bytes) -> list[int]:
    """Tell in how many milliseconds fields expire.

    -1 if never, -2 without the field. O(N) in the fields given.
    """


@family.compiled(
    "HEXPIRETIME key FIELDS <fields: numfields:integer field [field ...]>",
    READONLY | FAST,
    deadlines.HEXPIRETIME_BODY,
    since="7.4.0",
)
def hexpiretime(key: bytes, *words: bytes) -> list[int]:
    """Tell when fields expire, in Unix seconds.

    -1 if never, -2 without the field. O(N) in the fields given.
    """


@family.compiled(
    "HPEXPIRETIME key FIELDS <fields: numfields:integer field [field ...]>",
    READONLY | FAST,
    deadlines.HPEXPIRETIME_BODY,
    since="7.4.0",
)
def hpexpiretime(key: bytes, *words: bytes) -> list[int]:
    """Tell when fields expire, in Unix milliseconds.

    -1 if never, -2 without the field. O(N) in the fields given.
    """


@family.compiled(
    "HPERSIST key FIELDS <fields: numfields:integer field [field ...]>",
    WRITE | FAST,
    deadlines.HPERSIST_BODY,
    since="7.4.0",
    key=UPDATE,
)
def hpersist(key: bytes, *words: bytes) -> list[int]:
    """Take the deadlines of fields away. O(N) in the fields given."""


@family.compiled(
    "HGETDEL key FIELDS <fields: numfields:integer field [field ...]>",
    WRITE | FAST,
    deadlines.HGETDEL_BODY,
    since="8.0.0",
    key=ACCESS | DELETE,
)
def hgetdel(key: bytes, *words: bytes) -> list[bytes | None]:
    """Return the values of fields and delete these. O(N) in the fields given."""


@family.compiled(
    "HGETEX key [expiration: EX seconds:integer | PX milliseconds:integer | EXAT "
    "unix-time-seconds:unix-time | PXAT unix-time-milliseconds:unix-time | PERSIST] FIELDS "
    "<fields: numfields:integer field [field ...]>",
    WRITE | FAST,
    deadlines.HGETEX_BODY,
    since="8.0.0",
    key=ACCESS | UPDATE,
)
def hgetex(key: bytes, *words: bytes) -> list[bytes | None]:
    """Return the values of fields and change when these expire. O(N) in the fields given."""


@family.compiled(
    "HSETEX key [key-condition: NX | XX] [fields-condition: FNX | FXX] [expiration: EX "
    "seconds:integer | PX milliseconds:integer | EXAT unix-time-seconds:unix-time | PXAT "
    "unix-time-milliseconds:unix-time | KEEPTTL] FIELDS <fields: numfields:integer field value "
    "[field value ...]>",
    WRITE | DENYOOM | FAST,
    deadlines.HSETEX_BODY,
    since="8.0.0",
    key=UPDATE,
)
def hsetex(key: bytes, *words: bytes) -> int:
    """Set fields of a hash and when they expire.

    `NX` sets only if there is no such key, `XX` only if there is; `FNX` only if none of the
    fields exists, `FXX` only if all do. Returns 1 if they were set, else 0. O(N) in the fields
    given.
    """
