"""Lists: sequences with two ends, and clients that wait for what is pushed to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spineldb.core import hot_lists
from spineldb.core.entry import Kind
from spineldb.engine import arguments
from spineldb.engine.command import (
    ACCESS,
    BLOCKING,
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
from spineldb.engine.keyspecs import Counted, Keys
from spineldb.engine.reply import NULL_ARRAY

if TYPE_CHECKING:
    from spineldb.engine.blocking import Wait
    from spineldb.engine.context import Context
    from spineldb.engine.reply import Reply

family = Family("list")

SEVERAL = ("2.4.0", "Accepts several elements.")
SEVERAL_X = ("4.0.0", "Accepts several elements.")
COUNTED = ("6.2.0", "Added the `count` argument.")
DOUBLE = ("6.0.0", "The timeout may have a fraction.")

# The ends.


@family.compiled(
    "LPUSH key element [element ...]",
    WRITE | DENYOOM | FAST,
    hot_lists.LPUSH_BODY,
    since="1.0.0",
    key=INSERT,
    history=(SEVERAL,),
)
def lpush(key: bytes, *elements: bytes) -> int:
    """Push elements to the head of a list one after another, creating it if it is missing.

    Returns the length of the list; the last element given is the first one then. O(N) in the
    elements given.
    """


@family.compiled(
    "RPUSH key element [element ...]",
    WRITE | DENYOOM | FAST,
    hot_lists.RPUSH_BODY,
    since="1.0.0",
    key=INSERT,
    history=(SEVERAL,),
)
def rpush(key: bytes, *elements: bytes) -> int:
    """Push elements to the tail of a list one after another, creating it if it is missing.

    Returns the length of the list. O(N) in the elements given.
    """


@family.compiled(
    "LPUSHX key element [element ...]",
    WRITE | DENYOOM | FAST,
    hot_lists.LPUSHX_BODY,
    since="2.2.0",
    key=INSERT,
    history=(SEVERAL_X,),
)
def lpushx(key: bytes, *elements: bytes) -> int:
    """Push elements to the head of a list that exists.

    Returns the length of the list, 0 if there is none. O(N) in the elements given.
    """


@family.compiled(
    "RPUSHX key element [element ...]",
    WRITE | DENYOOM | FAST,
    hot_lists.RPUSHX_BODY,
    since="2.2.0",
    key=INSERT,
    history=(SEVERAL_X,),
)
def rpushx(key: bytes, *elements: bytes) -> int:
    """Push elements to the tail of a list that exists.

    Returns the length of the list, 0 if there is none. O(N) in the elements given.
    """


@family.compiled(
    "LPOP key [count:integer]",
    WRITE | FAST,
    hot_lists.LPOP_BODY,
    since="1.0.0",
    key=ACCESS | DELETE,
    added={"6.2.0": "count"},
    history=(COUNTED,),
)
def lpop(key: bytes, count: bytes = b"1") -> bytes | list[bytes] | None:
    """Remove and return the first element of a list, or several with a count.

    Without the list the answer is null. O(N) in the elements removed.
    """


@family.compiled(
    "RPOP key [count:integer]",
    WRITE | FAST,
    hot_lists.RPOP_BODY,
    since="1.0.0",
    key=ACCESS | DELETE,
    added={"6.2.0": "count"},
    history=(COUNTED,),
)
def rpop(key: bytes, count: bytes = b"1") -> bytes | list[bytes] | None:
    """Remove and return the last element of a list, or several with a count.

    Without the list the answer is null. O(N) in the elements removed.
    """


@family.compiled(
    "LMPOP numkeys:integer key [key ...] <where: LEFT | RIGHT> [COUNT count:integer]",
    WRITE,
    hot_lists.LMPOP_BODY,
    since="7.0.0",
    keys=Counted(1),
    key=ACCESS | DELETE,
)
def lmpop(numkeys: bytes, *words: bytes) -> list[bytes | list[bytes]] | None:
    """Remove elements from an end of the first list that exists.

    Returns the key and the elements, or null. Propagated as LPOP or RPOP of that key with a count.
    O(N+M) in the keys given and the elements removed.
    """


@family.compiled(
    "LMOVE source:key destination:key <wherefrom: LEFT | RIGHT> <whereto: LEFT | RIGHT>",
    WRITE | DENYOOM,
    hot_lists.LMOVE_BODY,
    since="6.2.0",
    key=(ACCESS | DELETE, INSERT),
)
def lmove(source: bytes, destination: bytes, wherefrom: bytes, whereto: bytes) -> bytes | None:
    """Move an element from an end of one list to an end of another, or of the same; return it.

    Null if there is no source. O(1).
    """


@family.compiled(
    "RPOPLPUSH source:key destination:key",
    WRITE | DENYOOM,
    hot_lists.RPOPLPUSH_BODY,
    since="1.2.0",
    key=(ACCESS | DELETE, INSERT),
    deprecated=Deprecation("6.2.0", "`LMOVE` with the `RIGHT` and `LEFT` arguments"),
)
def rpoplpush(source: bytes, destination: bytes) -> bytes | None:
    """Move the last element of a list to the head of another, or of the same; return it. O(1)."""


# Reading.


@family.compiled("LLEN key", READONLY | FAST, hot_lists.LLEN_BODY, since="1.0.0", key=RO)
def llen(key: bytes) -> int:
    """Return how many elements a list has, 0 if there is none. O(1)."""


@family.compiled(
    "LRANGE key start:integer stop:integer",
    READONLY,
    hot_lists.LRANGE_BODY,
    since="1.0.0",
    key=ACCESS,
)
def lrange(key: bytes, start: bytes, stop: bytes) -> list[bytes]:
    """Return the elements between two indexes, both included; negative ones count from the end.

    O(S+N) in the chunks before the range, of some hundred elements each, and its elements.
    """


@family.compiled(
    "LINDEX key index:integer", READONLY, hot_lists.LINDEX_BODY, since="1.0.0", key=ACCESS
)
def lindex(key: bytes, index: bytes) -> bytes | None:
    """Return the element at an index, or null; a negative index counts from the end.

    O(N) in the chunks of the list between the index and the nearer end, of some hundred elements.
    """


@family.compiled(
    "LPOS key element [RANK rank:integer] [COUNT num-matches:integer] [MAXLEN len:integer]",
    READONLY,
    hot_lists.LPOS_BODY,
    since="6.0.6",
    key=ACCESS,
)
def lpos(key: bytes, element: bytes, *options: bytes) -> int | list[int] | None:
    """Return the index at which an element stands, or null.

    `RANK` asks for another than the first match, a negative one from the end. With `COUNT` the
    answer is an array of so many matches, of all with 0. `MAXLEN` limits the comparisons. O(N) in
    the elements compared.
    """


# In the middle.


@family.compiled(
    "LSET key index:integer element",
    WRITE | DENYOOM,
    hot_lists.LSET_BODY,
    since="1.0.0",
    key=UPDATE,
)
def lset(key: bytes, index: bytes, element: bytes) -> str:
    """Replace the element at an index. O(N) in the chunks before it."""


@family.compiled(
    "LINSERT key <where: BEFORE | AFTER> pivot element",
    WRITE | DENYOOM,
    hot_lists.LINSERT_BODY,
    since="2.2.0",
    key=INSERT,
)
def linsert(key: bytes, where: bytes, pivot: bytes, element: bytes) -> int:
    """Insert an element before or after the first one that equals `pivot`.

    Returns the length of the list, -1 without a pivot, 0 without a list. O(N) in the elements
    before the pivot.
    """


@family.compiled(
    "LREM key count:integer element", WRITE, hot_lists.LREM_BODY, since="1.0.0", key=DELETE
)
def lrem(key: bytes, count: bytes, element: bytes) -> int:
    """Remove elements that equal one: `count` from the head, or -`count` from the tail; 0: all.

    Returns how many were removed. O(N) in the length of the list.
    """


@family.compiled(
    "LTRIM key start:integer stop:integer", WRITE, hot_lists.LTRIM_BODY, since="1.0.0", key=DELETE
)
def ltrim(key: bytes, start: bytes, stop: bytes) -> str:
    """Remove all elements but those between two indexes, both included. O(N) in those removed."""


# Waiting. What can be done at once is done by the core; these functions are called when it finds
# nothing, or cannot read the timeout.


@family.command(
    "BLPOP key [key ...] timeout:double",
    WRITE | BLOCKING,
    quick=hot_lists.BLPOP_BODY,
    since="2.0.0",
    keys=Keys(1, -2),
    key=ACCESS | DELETE,
    history=(DOUBLE,),
)
def blpop(ctx: Context, *words: bytes) -> Wait:
    """Remove and return the first element of the first list that exists, waiting for one if needed.

    Returns its key and the element; null after `timeout` seconds, 0 being for ever. Propagated as
    LPOP. O(N) in the keys given.
    """
    return _wait(ctx, words[:-1], words[-1])


@family.command(
    "BRPOP key [key ...] timeout:double",
    WRITE | BLOCKING,
    quick=hot_lists.BRPOP_BODY,
    since="2.0.0",
    keys=Keys(1, -2),
    key=ACCESS | DELETE,
    history=(DOUBLE,),
)
def brpop(ctx: Context, *words: bytes) -> Wait:
    """Remove and return the last element of the first list that exists, waiting for one if needed.

    Returns its key and the element; null after `timeout` seconds, 0 being for ever. Propagated as
    RPOP. O(N) in the keys given.
    """
    return _wait(ctx, words[:-1], words[-1])


@family.command(
    "BLMPOP timeout:double numkeys:integer key [key ...] <where: LEFT | RIGHT> "
    "[COUNT count:integer]",
    WRITE | BLOCKING,
    quick=hot_lists.BLMPOP_BODY,
    since="7.0.0",
    keys=Counted(2),
    key=ACCESS | DELETE,
)
def blmpop(ctx: Context, timeout: bytes, numkeys: bytes, *words: bytes) -> Wait:
    """Remove elements from an end of the first list that exists, waiting for one if needed.

    Returns its key and the elements; null after `timeout` seconds, 0 being for ever. Propagated as
    LPOP or RPOP of that key with a count. O(N+M) in the keys given and the elements removed.
    """
    return _wait(ctx, words[: int(numkeys)], timeout)


@family.command(
    "BLMOVE source:key destination:key <wherefrom: LEFT | RIGHT> <whereto: LEFT | RIGHT> "
    "timeout:double",
    WRITE | DENYOOM | BLOCKING,
    quick=hot_lists.BLMOVE_BODY,
    since="6.2.0",
    key=(ACCESS | DELETE, INSERT),
)
def blmove(ctx: Context, *words: bytes) -> Wait:
    """Move an element from an end of one list to an end of another, waiting for one if needed.

    Returns the element; null after `timeout` seconds, 0 being for ever. Propagated as LMOVE. O(1).
    """
    return _wait(ctx, words[:1], words[-1], at_once=None)


@family.command(
    "BRPOPLPUSH source:key destination:key timeout:double",
    WRITE | DENYOOM | BLOCKING,
    quick=hot_lists.BRPOPLPUSH_BODY,
    since="2.2.0",
    key=(ACCESS | DELETE, INSERT),
    history=(DOUBLE,),
    deprecated=Deprecation("6.2.0", "`BLMOVE` with the `RIGHT` and `LEFT` arguments"),
)
def brpoplpush(ctx: Context, source: bytes, destination: bytes, timeout: bytes) -> Wait:
    """Move the last element of a list to the head of another, waiting for one if needed.

    Returns the element; null after `timeout` seconds, 0 being for ever. Propagated as RPOPLPUSH.
    O(1).
    """
    del destination
    return _wait(ctx, (source,), timeout, at_once=None)


def _wait(
    ctx: Context, keys: tuple[bytes, ...], timeout: bytes, at_once: Reply = NULL_ARRAY
) -> Wait:
    """Wait for a list under one of the keys: the core has found none."""
    return ctx.wait(keys, arguments.timeout(timeout), NULL_ARRAY, kind=Kind.LIST, at_once=at_once)
