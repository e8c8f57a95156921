"""Keys, whatever they hold: their names, their deadlines, which there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spineldb import errors
from spineldb.core import hot_keys, hot_sort
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
    WRITE,
    Category,
    Family,
)
from spineldb.engine.keyspecs import Keys, Unknown, sort_keys

if TYPE_CHECKING:
    from spineldb.engine.context import Context

family = Family("generic")

SUMMED = ("request_policy:multi_shard", "response_policy:agg_sum")
CONDITIONS = {"7.0.0": "condition"}
CONDITIONS_CAME = (("7.0.0", "Added the `NX`, `XX`, `GT` and `LT` options."),)
CHANGES_BY_ITSELF = ("nondeterministic_output",)


# Which keys there are.


@family.compiled(
    "DEL key [key ...]", WRITE, hot_keys.DEL_BODY, since="1.0.0", key=RM | DELETE, tips=SUMMED
)
def delete(key: bytes, *keys: bytes) -> int:
    """Delete keys.

    Returns how many there were. The memory of a big value is given back in slices, so that nobody
    waits for it. O(N) in the keys given.
    """


@family.compiled(
    "UNLINK key [key ...]",
    WRITE | FAST,
    hot_keys.DEL_BODY,
    since="4.0.0",
    key=RM | DELETE,
    tips=SUMMED,
)
def unlink(key: bytes, *keys: bytes) -> int:
    """Delete keys, as DEL does. O(N) in the keys given."""


@family.compiled(
    "EXISTS key [key ...]",
    READONLY | FAST,
    hot_keys.EXISTS_BODY,
    since="1.0.0",
    key=RO,
    tips=SUMMED,
    history=(("3.0.3", "Several keys may be given."),),
)
def exists(key: bytes, *keys: bytes) -> int:
    """Count how many of the keys exist; a key given twice counts twice. O(N) in the keys given."""


@family.compiled(
    "TOUCH key [key ...]",
    READONLY | FAST,
    hot_keys.TOUCH_BODY,
    since="3.2.1",
    key=RO,
    tips=SUMMED,
)
def touch(key: bytes, *keys: bytes) -> int:
    """Record that keys were used, and count those that exist. O(N) in the keys given."""


@family.compiled("TYPE key", READONLY | FAST, hot_keys.TYPE_BODY, since="1.0.0", key=RO)
def kind(key: bytes) -> str:
    """Name the type of a key's value, `none` if there is no such key. O(1)."""


@family.compiled(
    "KEYS pattern",
    READONLY,
    hot_keys.KEYS_BODY,
    since="1.0.0",
    categories=Category.DANGEROUS,
    tips=("request_policy:all_shards", "nondeterministic_output_order"),
)
def keys(pattern: bytes) -> list[bytes]:
    """List all keys that match a glob pattern. O(N) in the keys of the database."""


@family.compiled(
    "SCAN cursor:integer [MATCH pattern] [COUNT count:integer] [TYPE type]",
    READONLY,
    hot_keys.SCAN_BODY,
    since="2.8.0",
    added={"6.0.0": "type"},
    tips=("nondeterministic_output", "request_policy:special", "response_policy:special"),
    history=(("6.0.0", "Added the `TYPE` option."),),
)
def scan(cursor: bytes, *options: bytes) -> list[bytes | list[bytes]]:
    """Return some of the keys, and the cursor with which to ask for more.

    Every key that exists from the first call (cursor 0) to the last (which answers 0) is returned
    at least once, whatever is written meanwhile. COUNT bounds the work of a call, not its matches;
    it is rounded to whole buckets of the table, about nine keys each. O(1) for a call, O(N) for
    all.
    """


@family.compiled(
    "RANDOMKEY",
    READONLY,
    hot_keys.RANDOMKEY_BODY,
    since="1.0.0",
    tips=("request_policy:all_shards", "response_policy:special", "nondeterministic_output"),
)
def randomkey() -> bytes | None:
    """Return a key chosen at random, each as likely as any other. O(1)."""


# Deadlines.


@family.compiled(
    "EXPIRE key seconds:integer [condition: NX | XX | GT | LT]",
    WRITE | FAST,
    hot_keys.EXPIRE_BODY,
    since="1.0.0",
    key=UPDATE,
    added=CONDITIONS,
    history=CONDITIONS_CAME,
)
def expire(key: bytes, seconds: bytes, *conditions: bytes) -> int:
    """Have a key expire in so many seconds.

    NX: only if it has no deadline. XX: only if it has one. GT, LT: only if the new one is later,
    earlier; no deadline counts as never. One that has passed already deletes the key. O(1).
    """


@family.compiled(
    "PEXPIRE key milliseconds:integer [condition: NX | XX | GT | LT]",
    WRITE | FAST,
    hot_keys.PEXPIRE_BODY,
    since="2.6.0",
    key=UPDATE,
    added=CONDITIONS,
    history=CONDITIONS_CAME,
)
def pexpire(key: bytes, milliseconds: bytes, *conditions: bytes) -> int:
    """Have a key expire in so many milliseconds. O(1)."""


@family.compiled(
    "EXPIREAT key unix-time-seconds:unix-time [condition: NX | XX | GT | LT]",
    WRITE | FAST,
    hot_keys.EXPIREAT_BODY,
    since="1.2.0",
    key=UPDATE,
    added=CONDITIONS,
    history=CONDITIONS_CAME,
)
def expireat(key: bytes, unix_time: bytes, *conditions: bytes) -> int:
    """Have a key expire at a Unix time in seconds. O(1)."""


@family.compiled(
    "PEXPIREAT key unix-time-milliseconds:unix-time [condition: NX | XX | GT | LT]",
    WRITE | FAST,
    hot_keys.PEXPIREAT_BODY,
    since="2.6.0",
    key=UPDATE,
    added=CONDITIONS,
    history=CONDITIONS_CAME,
)
def pexpireat(key: bytes, unix_time: bytes, *conditions: bytes) -> int:
    """Have a key expire at a Unix time in milliseconds. O(1)."""


@family.compiled(
    "TTL key",
    READONLY | FAST,
    hot_keys.TTL_BODY,
    since="1.0.0",
    tips=CHANGES_BY_ITSELF,
    history=(("2.8.0", "Answers -2 for a missing key."),),
)
def ttl(key: bytes) -> int:
    """Tell in how many seconds a key expires; -1 if never, -2 without the key. O(1)."""


@family.compiled(
    "PTTL key",
    READONLY | FAST,
    hot_keys.PTTL_BODY,
    since="2.6.0",
    tips=CHANGES_BY_ITSELF,
    history=(("2.8.0", "Answers -2 for a missing key."),),
)
def pttl(key: bytes) -> int:
    """Tell in how many milliseconds a key expires; -1 if never, -2 without the key. O(1)."""


@family.compiled("EXPIRETIME key", READONLY | FAST, hot_keys.EXPIRETIME_BODY, since="7.0.0")
def expiretime(key: bytes) -> int:
    """Tell when a key expires, in Unix seconds; -1 if never, -2 without the key. O(1)."""


@family.compiled("PEXPIRETIME key", READONLY | FAST, hot_keys.PEXPIRETIME_BODY, since="7.0.0")
def pexpiretime(key: bytes) -> int:
    """Tell when a key expires, in Unix milliseconds; -1 if never, -2 without the key. O(1)."""


@family.compiled("PERSIST key", WRITE | FAST, hot_keys.PERSIST_BODY, since="2.2.0", key=UPDATE)
def persist(key: bytes) -> int:
    """Take a key's deadline away. O(1)."""


# Other names, other databases.


@family.compiled(
    "RENAME key newkey:key",
    WRITE,
    hot_keys.RENAME_BODY,
    since="1.0.0",
    key=(ACCESS | DELETE, OW | UPDATE),
)
def rename(key: bytes, newkey: bytes) -> str:
    """Give a key another name, over whatever had it. O(1)."""


@family.compiled(
    "RENAMENX key newkey:key",
    WRITE | FAST,
    hot_keys.RENAMENX_BODY,
    since="1.0.0",
    key=(ACCESS | DELETE, OW | INSERT),
    history=(("3.2.0", "Equal names are no error."),),
)
def renamenx(key: bytes, newkey: bytes) -> int:
    """Give a key another name, if nothing has it yet. O(1)."""


@family.compiled(
    "COPY source:key destination:key [DB destination-db:integer] [REPLACE]",
    WRITE | DENYOOM,
    hot_keys.COPY_BODY,
    since="6.2.0",
    key=(RO | ACCESS, OW | UPDATE),
)
def copy(source: bytes, destination: bytes, *options: bytes) -> int:
    """Copy a value and its deadline to another key. O(N) in the size of the value."""


@family.compiled(
    "MOVE key db:integer", WRITE | FAST, hot_keys.MOVE_BODY, since="1.0.0", key=ACCESS | UPDATE
)
def move(key: bytes, db: bytes) -> int:
    """Move a key to another database, if it has none of that name. O(1)."""


# What values hold, in order.

_KINDS = Category.LIST | Category.SET | Category.SORTEDSET | Category.DANGEROUS
_ORDER = (
    "[BY by-pattern:pattern#1{pattern}] [LIMIT <limit: offset:integer count:integer>] "
    "[GET get-pattern:pattern#1{pattern} [GET get-pattern ...]] [order: ASC | DESC] "
    "[ALPHA{sorting}]"
)


@family.compiled(
    f"SORT key {_ORDER} [STORE destination:key#2]",
    WRITE | DENYOOM,
    hot_sort.SORT_BODY,
    since="1.0.0",
    key=(RO | ACCESS, RO | ACCESS, OW | UPDATE),
    keys=(Keys(1), Unknown(), Unknown()),
    extract=sort_keys,
    categories=_KINDS,
    without=Category.KEYSPACE,
)
def sort(key: bytes, *options: bytes) -> list[bytes | None] | int:
    """Return the elements of a list, set or sorted set in order, or store them in a list.

    They are sorted as numbers, or with ALPHA as bytes. BY sorts by what other keys hold, whose
    names are made from a pattern, in which the element takes the place of `*`; behind `->` it names
    a field of a hash. A pattern without `*` has nothing sorted. GET returns what other keys hold in
    place of the elements, and `#` means the element itself. LIMIT skips `offset` of the result and
    ends after `count`. STORE returns how many elements were stored.

    O(N+M*log(M)): N elements, M of the result. Without BY and GET no other key is looked at.
    """


@family.compiled(
    f"SORT_RO key {_ORDER}",
    READONLY,
    hot_sort.SORT_RO_BODY,
    since="7.0.0",
    keys=(Keys(1), Unknown()),
    categories=_KINDS,
    without=Category.KEYSPACE,
)
def sort_ro(key: bytes, *options: bytes) -> list[bytes | None]:
    """Return the elements of a list, set or sorted set in order; SORT without STORE.

    O(N+M*log(M)): N elements, M of the result.
    """


# What the server knows of a value.

objects = family.container("OBJECT", since="2.2.3", help_since="6.2.0")


@objects.command("OBJECT ENCODING key", READONLY, since="2.2.3", key=RO, tips=CHANGES_BY_ITSELF)
def object_encoding(ctx: Context, key: bytes) -> bytes | None:
    """Name the way in which a value is stored. O(1)."""
    encoding = ctx.db.encoding(key)
    ctx.count_read(encoding is not None)
    return encoding


@objects.command("OBJECT FREQ key", READONLY, since="4.0.0", key=RO, tips=CHANGES_BY_ITSELF)
def object_freq(ctx: Context, key: bytes) -> int | None:
    """Tell how often a key is used: a logarithmic counter, kept under an LFU policy. O(1)."""
    frequency = ctx.db.frequency(key)
    ctx.count_read(frequency is not None)
    if frequency is not None and not ctx.keyspace.lfu:
        raise errors.NoLfuPolicy
    return frequency


@objects.command("OBJECT IDLETIME key", READONLY, since="2.2.3", key=RO, tips=CHANGES_BY_ITSELF)
def object_idletime(ctx: Context, key: bytes) -> int | None:
    """Tell for how many seconds a key was not used, unless under an LFU policy. O(1)."""
    seconds = ctx.db.idle_seconds(key)
    ctx.count_read(seconds is not None)
    if seconds is not None and ctx.keyspace.lfu:
        raise errors.LfuPolicy
    return seconds


@objects.command("OBJECT REFCOUNT key", READONLY, since="2.2.3", key=RO, tips=CHANGES_BY_ITSELF)
def object_refcount(ctx: Context, key: bytes) -> int | None:
    """Tell how many share a value: always one. O(1)."""
    found = key in ctx.db
    ctx.count_read(found)
    return 1 if found else None
