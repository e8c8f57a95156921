"""Strings: bytes of any length, which may also be read as numbers."""

from __future__ import annotations

from spineldb.core import hot_strings, lcs
from spineldb.engine.command import (
    ACCESS,
    DELETE,
    DENYOOM,
    FAST,
    INSERT,
    OW,
    READONLY,
    RM,
    RO,
    UPDATE,
    VARIABLE,
    WRITE,
    Deprecation,
    Family,
)
from spineldb.engine.keyspecs import Keys, set_keys

family = Family("string")

# Whole values.


@family.compiled("GET key", READONLY | FAST, hot_strings.GET_BODY, since="1.0.0")
def get(key: bytes) -> bytes | None:
    """Return the string under a key, or null if there is none. O(1)."""


@family.compiled(
    "SET key value [condition: NX | XX | IFEQ comparison-value] [GET] [expiration: EX "
    "seconds:integer | PX milliseconds:integer | EXAT unix-time-seconds:unix-time | PXAT "
    "unix-time-milliseconds:unix-time | KEEPTTL]",
    WRITE | DENYOOM,
    hot_strings.SET_BODY,
    notes=("Read with `GET`, and to compare with `IFEQ`",),
    since="1.0.0",
    key=ACCESS | UPDATE | VARIABLE,
    added={
        "2.6.12": "nx xx seconds milliseconds",
        "6.0.0": "keepttl",
        "6.2.0": "get unix-time-seconds unix-time-milliseconds",
        "8.1.0": "comparison-value",
    },
    history=(
        ("2.6.12", "Added the `NX`, `XX`, `EX` and `PX` options."),
        ("6.0.0", "Added the `KEEPTTL` option."),
        ("6.2.0", "Added the `GET`, `EXAT` and `PXAT` options."),
        ("7.0.0", "`NX` and `GET` may be combined."),
    ),
    extract=set_keys,
)
def set_(key: bytes, value: bytes, *options: bytes) -> str | bytes | None:
    """Store a string under a key, whatever stood there, and forget its deadline.

    `NX` stores only if the key is missing, `XX` only if it exists, `IFEQ` only if it holds that
    string; otherwise the answer is null. `GET` answers the string that was there, if any. `EX`,
    `PX`, `EXAT` and `PXAT` give the key a deadline, `KEEPTTL` leaves it the one it has. What is
    propagated has an absolute time and no condition. O(1).
    """


@family.compiled(
    "SETNX key value",
    WRITE | DENYOOM | FAST,
    hot_strings.SETNX_BODY,
    since="1.0.0",
    key=OW | INSERT,
    deprecated=Deprecation("2.6.12", "`SET` with the `NX` argument"),
)
def setnx(key: bytes, value: bytes) -> int:
    """Store a string if the key is missing.

    Returns 1 if it was stored, else 0. O(1).
    """


@family.compiled(
    "SETEX key seconds:integer value",
    WRITE | DENYOOM,
    hot_strings.SETEX_BODY,
    since="2.0.0",
    key=OW | UPDATE,
    deprecated=Deprecation("2.6.12", "`SET` with the `EX` argument"),
)
def setex(key: bytes, seconds: bytes, value: bytes) -> str:
    """Store a string with a time to live in seconds. O(1)."""


@family.compiled(
    "PSETEX key milliseconds:integer value",
    WRITE | DENYOOM,
    hot_strings.PSETEX_BODY,
    since="2.6.0",
    key=OW | UPDATE,
    deprecated=Deprecation("2.6.12", "`SET` with the `PX` argument"),
)
def psetex(key: bytes, milliseconds: bytes, value: bytes) -> str:
    """Store a string with a time to live in milliseconds. O(1)."""


@family.compiled(
    "GETSET key value",
    WRITE | DENYOOM | FAST,
    hot_strings.GETSET_BODY,
    since="1.0.0",
    key=ACCESS | UPDATE,
    deprecated=Deprecation("6.2.0", "`SET` with the `!GET` argument"),
)
def getset(key: bytes, value: bytes) -> bytes | None:
    """Store a string and return the one that was there. O(1)."""


@family.compiled(
    "GETDEL key", WRITE | FAST, hot_strings.GETDEL_BODY, since="6.2.0", key=ACCESS | DELETE
)
def getdel(key: bytes) -> bytes | None:
    """Return the string under a key and delete the key. O(1)."""


@family.compiled(
    "GETEX key [expiration: EX seconds:integer | PX milliseconds:integer | EXAT "
    "unix-time-seconds:unix-time | PXAT unix-time-milliseconds:unix-time | PERSIST]",
    WRITE | FAST,
    hot_strings.GETEX_BODY,
    notes=("The deadline is what changes",),
    since="6.2.0",
    key=ACCESS | UPDATE,
)
def getex(key: bytes, *expiration: bytes) -> bytes | None:
    """Return the string under a key and change when it expires.

    Without an option nothing changes. A time that has passed deletes the key. O(1).
    """


@family.compiled(
    "DELIFEQ key value", WRITE | FAST, hot_strings.DELIFEQ_BODY, since="9.0.0", key=RM | DELETE
)
def delifeq(key: bytes, value: bytes) -> int:
    """Delete a key if it holds exactly this string.

    Returns 1 if it was deleted, else 0. Valkey's. O(1).
    """


# Several keys at once.


@family.compiled(
    "MGET key [key ...]",
    READONLY | FAST,
    hot_strings.MGET_BODY,
    since="1.0.0",
    tips=("request_policy:multi_shard",),
)
def mget(*keys: bytes) -> list[bytes | None]:
    """Return the strings under several keys.

    Null stands for a missing key, and for a value of another type. O(N) in the keys.
    """


@family.compiled(
    "MSET key value [key value ...]",
    WRITE | DENYOOM,
    hot_strings.MSET_BODY,
    since="1.0.1",
    key=OW | UPDATE,
    tips=("request_policy:multi_shard", "response_policy:all_succeeded"),
)
def mset(*pairs: bytes) -> str:
    """Store strings under several keys at once. O(N) in the keys."""


@family.compiled(
    "MSETNX key value [key value ...]",
    WRITE | DENYOOM,
    hot_strings.MSETNX_BODY,
    since="1.0.1",
    key=OW | INSERT,
)
def msetnx(*pairs: bytes) -> int:
    """Store strings under several keys if none of the keys exists.

    Returns 1 if all were stored, 0 if none was. O(N) in the keys.
    """


@family.compiled(
    "MSETEX numkeys:integer key value [key value ...] [condition: NX | XX] [expiration: "
    "EX seconds:integer | PX milliseconds:integer | EXAT unix-time-seconds:unix-time | "
    "PXAT unix-time-milliseconds:unix-time | KEEPTTL]",
    WRITE | DENYOOM,
    hot_strings.MSETEX_BODY,
    since="9.1.0",
    key=OW | UPDATE,
    tips=("request_policy:multi_shard", "response_policy:all_succeeded"),
)
def msetex(numkeys: bytes, *pairs_and_options: bytes) -> int:
    """Store strings under several keys with one time to live.

    `NX` wants all keys missing, `XX` all existing. Returns 1 if all were stored, 0 if none was.
    Valkey's, and Redis 8.4's. O(N) in the keys.
    """


# Numbers.


@family.compiled(
    "INCR key", WRITE | DENYOOM | FAST, hot_strings.INCR_BODY, since="1.0.0", key=ACCESS | UPDATE
)
def incr(key: bytes) -> int:
    """Add 1 to the integer under a key; a missing one is 0. O(1)."""


@family.compiled(
    "DECR key", WRITE | DENYOOM | FAST, hot_strings.DECR_BODY, since="1.0.0", key=ACCESS | UPDATE
)
def decr(key: bytes) -> int:
    """Subtract 1 from the integer under a key; a missing one is 0. O(1)."""


@family.compiled(
    "INCRBY key increment:integer",
    WRITE | DENYOOM | FAST,
    hot_strings.INCRBY_BODY,
    since="1.0.0",
    key=ACCESS | UPDATE,
)
def incrby(key: bytes, increment: bytes) -> int:
    """Add to the integer under a key; a missing one is 0. O(1)."""


@family.compiled(
    "DECRBY key decrement:integer",
    WRITE | DENYOOM | FAST,
    hot_strings.DECRBY_BODY,
    since="1.0.0",
    key=ACCESS | UPDATE,
)
def decrby(key: bytes, decrement: bytes) -> int:
    """Subtract from the integer under a key; a missing one is 0. O(1)."""


@family.compiled(
    "INCRBYFLOAT key increment:double",
    WRITE | DENYOOM | FAST,
    hot_strings.INCRBYFLOAT_BODY,
    since="2.6.0",
    key=ACCESS | UPDATE,
)
def incrbyfloat(key: bytes, increment: bytes) -> bytes:
    """Add to the number under a key; a missing one is 0.

    Adds with 64 bits of precision. The sum is propagated, so that a replica holds the same digits.
    O(1).
    """


# Parts of values.


@family.compiled(
    "APPEND key value", WRITE | DENYOOM | FAST, hot_strings.APPEND_BODY, since="2.0.0", key=INSERT
)
def append(key: bytes, value: bytes) -> int:
    """Append to a string, creating it if it is missing.

    Returns its new length. A string that grows again and again has room to spare, so that this
    copies each byte a few times at most. O(1) amortized.
    """


@family.compiled("STRLEN key", READONLY | FAST, hot_strings.STRLEN_BODY, since="2.2.0", key=RO)
def strlen(key: bytes) -> int:
    """Return the length of a string in bytes; a missing one has none. O(1)."""


@family.compiled(
    "GETRANGE key start:integer end:integer", READONLY, hot_strings.GETRANGE_BODY, since="2.4.0"
)
def getrange(key: bytes, start: bytes, end: bytes) -> bytes:
    """Return a part of a string.

    Both ends belong to it; negative ones count from the end. O(N) in the bytes returned.
    """


@family.compiled(
    "SUBSTR key start:integer end:integer",
    READONLY,
    hot_strings.GETRANGE_BODY,
    since="1.0.0",
    deprecated=Deprecation("2.0.0", "`GETRANGE`"),
)
def substr(key: bytes, start: bytes, end: bytes) -> bytes:
    """Return a part of a string. O(N) in the bytes returned."""


@family.compiled(
    "SETRANGE key offset:integer value",
    WRITE | DENYOOM,
    hot_strings.SETRANGE_BODY,
    since="2.2.0",
    key=UPDATE,
)
def setrange(key: bytes, offset: bytes, value: bytes) -> int:
    """Overwrite a part of a string, which grows with zeros as far as needed.

    Returns its length. An empty value changes nothing. O(N) in the bytes written.
    """


@family.compiled(
    "LCS key1:key key2:key#0 [LEN] [IDX] [MINMATCHLEN min-match-len:integer] [WITHMATCHLEN]",
    READONLY,
    lcs.LCS_BODY,
    since="7.0.0",
    keys=Keys(1, 2),
)
def lcs_(key1: bytes, key2: bytes, *options: bytes) -> bytes | int | dict[str, object]:
    """Find the longest common subsequence of two strings.

    Returns the subsequence, or with `LEN` its length, or with `IDX` where its parts stand in both
    strings, from the last part to the first: those of at least `MINMATCHLEN` bytes, and with
    `WITHMATCHLEN` each with its length. O(N*M) in the lengths of the strings.
    """
