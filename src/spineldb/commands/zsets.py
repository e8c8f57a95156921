"""Sorted sets: members with scores, in order of both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spineldb.core import hot_zset_algebra, hot_zset_ranges, hot_zsets
from spineldb.core.entry import Kind
from spineldb.engine import arguments
from spineldb.engine.command import (
    ACCESS,
    BLOCKING,
    DELETE,
    DENYOOM,
    FAST,
    OW,
    READONLY,
    RO,
    UPDATE,
    WRITE,
    Deprecation,
    Family,
)
from spineldb.engine.reply import NULL_ARRAY, Reply

if TYPE_CHECKING:
    from spineldb.engine.blocking import Wait
    from spineldb.engine.context import Context

family = Family("sorted-set")

CHANGES_BY_ITSELF = ("nondeterministic_output",)
WITH_SCORE = (("7.2.0", "Added the optional `WITHSCORE` argument."),)
FRACTIONS = (("6.0.0", "The timeout may have a fraction."),)
POPPED = ACCESS | DELETE

# Adding and removing.


@family.compiled(
    "ZADD key [condition: NX | XX] [comparison: GT | LT] [CH{change}] [INCR{increment}] "
    "score:double member [score member ...]",
    WRITE | DENYOOM | FAST,
    hot_zsets.ZADD_BODY,
    since="1.2.0",
    key=UPDATE,
    added={"3.0.2": "condition change increment", "6.2.0": "comparison"},
    history=(
        ("2.4.0", "Several elements may be given."),
        ("3.0.2", "Added the `XX`, `NX`, `CH` and `INCR` options."),
        ("6.2.0", "Added the `GT` and `LT` options."),
    ),
)
def zadd(key: bytes, *options_and_pairs: bytes) -> int | float | None:
    """Add members to a sorted set, or change their scores.

    NX only adds, XX only changes, GT and LT only change to a greater or lesser score. Returns how
    many members are new; with CH also those whose score has changed; with INCR, which adds to the
    score of one member, that score, or null if a condition forbade it. O(log N) for each member.
    """


@family.compiled(
    "ZINCRBY key increment:integer member",
    WRITE | DENYOOM | FAST,
    hot_zsets.ZINCRBY_BODY,
    since="1.2.0",
    key=ACCESS | UPDATE,
)
def zincrby(key: bytes, increment: bytes, member: bytes) -> float:
    """Add to the score of a member, which is added with 0 if it is missing. O(log N)."""


@family.compiled(
    "ZREM key member [member ...]",
    WRITE | FAST,
    hot_zsets.ZREM_BODY,
    since="1.2.0",
    key=DELETE,
    history=(("2.4.0", "Several members may be given."),),
)
def zrem(key: bytes, *members: bytes) -> int:
    """Remove members; count those that were there. O(log N) for each."""


@family.compiled(
    "ZREMRANGEBYRANK key start:integer stop:integer",
    WRITE,
    hot_zset_ranges.ZREMRANGEBYRANK_BODY,
    since="2.0.0",
    key=DELETE,
)
def zremrangebyrank(key: bytes, start: bytes, stop: bytes) -> int:
    """Remove the members of some ranks. O(M log N) for M removed members."""


@family.compiled(
    "ZREMRANGEBYSCORE key min:double max:double",
    WRITE,
    hot_zset_ranges.ZREMRANGEBYSCORE_BODY,
    since="1.2.0",
    key=DELETE,
)
def zremrangebyscore(key: bytes, least: bytes, most: bytes) -> int:
    """Remove the members with scores in a range. O(M log N) for M removed members."""


@family.compiled(
    "ZREMRANGEBYLEX key min max",
    WRITE,
    hot_zset_ranges.ZREMRANGEBYLEX_BODY,
    since="2.8.9",
    key=DELETE,
)
def zremrangebylex(key: bytes, least: bytes, most: bytes) -> int:
    """Remove the members with names in a range. O(M log N) for M removed members."""


# One member, and how many.


@family.compiled("ZCARD key", READONLY | FAST, hot_zsets.ZCARD_BODY, since="1.2.0", key=RO)
def zcard(key: bytes) -> int:
    """Count the members of a sorted set. O(1)."""


@family.compiled("ZSCORE key member", READONLY | FAST, hot_zsets.ZSCORE_BODY, since="1.2.0")
def zscore(key: bytes, member: bytes) -> float | None:
    """Return the score of a member, or null. O(1)."""


@family.compiled(
    "ZMSCORE key member [member ...]", READONLY | FAST, hot_zsets.ZMSCORE_BODY, since="6.2.0"
)
def zmscore(key: bytes, *members: bytes) -> list[float | None]:
    """Return the scores of members, null for those that are missing. O(N) in the members given."""


@family.compiled(
    "ZRANK key member [WITHSCORE]",
    READONLY | FAST,
    hot_zsets.ZRANK_BODY,
    since="2.0.0",
    history=WITH_SCORE,
)
def zrank(key: bytes, member: bytes, *options: bytes) -> Reply:
    """Tell how many members stand before one, in ascending order; null without it. O(log N)."""


@family.compiled(
    "ZREVRANK key member [WITHSCORE]",
    READONLY | FAST,
    hot_zsets.ZREVRANK_BODY,
    since="2.0.0",
    history=WITH_SCORE,
)
def zrevrank(key: bytes, member: bytes, *options: bytes) -> Reply:
    """Tell how many members stand before one, in descending order; null without it. O(log N)."""


@family.compiled(
    "ZCOUNT key min:double max:double",
    READONLY | FAST,
    hot_zset_ranges.ZCOUNT_BODY,
    since="2.0.0",
)
def zcount(key: bytes, least: bytes, most: bytes) -> int:
    """Count the members with scores in a range; a parenthesis excludes a bound. O(log N)."""


@family.compiled(
    "ZLEXCOUNT key min max", READONLY | FAST, hot_zset_ranges.ZLEXCOUNT_BODY, since="2.8.9"
)
def zlexcount(key: bytes, least: bytes, most: bytes) -> int:
    """Count the members with names in a range. O(log N)."""


# Ranges.


@family.compiled(
    "ZRANGE key start stop [sortby: BYSCORE | BYLEX] [REV] "
    "[LIMIT <limit: offset:integer count:integer>] [WITHSCORES]",
    READONLY,
    hot_zset_ranges.ZRANGE_BODY,
    since="1.2.0",
    added={"6.2.0": "sortby rev limit"},
    history=(("6.2.0", "Added the `REV`, `BYSCORE`, `BYLEX` and `LIMIT` options."),),
)
def zrange(key: bytes, start: bytes, stop: bytes, *options: bytes) -> Reply:
    """Return the members of some ranks, or with scores or names in a range.

    With REV in descending order; a range of scores or names then begins with the greater bound.
    O(log N + M) for M returned members.
    """


@family.compiled(
    "ZRANGESTORE dst:key src:key min max [sortby: BYSCORE | BYLEX] [REV] "
    "[LIMIT <limit: offset:integer count:integer>]",
    WRITE | DENYOOM,
    hot_zset_ranges.ZRANGESTORE_BODY,
    since="6.2.0",
    key=(OW | UPDATE, RO | ACCESS),
)
def zrangestore(dst: bytes, src: bytes, least: bytes, most: bytes, *options: bytes) -> int:
    """Store what ZRANGE would return under another key. O(log N + M) for M stored members."""


@family.compiled(
    "ZREVRANGE key start:integer stop:integer [WITHSCORES]",
    READONLY,
    hot_zset_ranges.ZREVRANGE_BODY,
    since="1.2.0",
    deprecated=Deprecation("6.2.0", "`ZRANGE` with the `REV` argument"),
)
def zrevrange(key: bytes, start: bytes, stop: bytes, *options: bytes) -> Reply:
    """Return the members of some ranks, in descending order. O(log N + M)."""


@family.compiled(
    "ZRANGEBYSCORE key min:double max:double [WITHSCORES] "
    "[LIMIT <limit: offset:integer count:integer>]",
    READONLY,
    hot_zset_ranges.ZRANGEBYSCORE_BODY,
    since="1.0.5",
    added={"2.0.0": "withscores"},
    history=(("2.0.0", "Added the `WITHSCORES` option."),),
    deprecated=Deprecation("6.2.0", "`ZRANGE` with the `BYSCORE` argument"),
)
def zrangebyscore(key: bytes, least: bytes, most: bytes, *options: bytes) -> Reply:
    """Return the members with scores in a range. O(log N + M) for M returned members."""


@family.compiled(
    "ZREVRANGEBYSCORE key max:double min:double [WITHSCORES] "
    "[LIMIT <limit: offset:integer count:integer>]",
    READONLY,
    hot_zset_ranges.ZREVRANGEBYSCORE_BODY,
    since="2.2.0",
    history=(("2.1.6", "The bounds may be excluded."),),
    deprecated=Deprecation("6.2.0", "`ZRANGE` with the `REV` and `BYSCORE` arguments"),
)
def zrevrangebyscore(key: bytes, most: bytes, least: bytes, *options: bytes) -> Reply:
    """Return the members with scores in a range, in descending order. O(log N + M)."""


@family.compiled(
    "ZRANGEBYLEX key min max [LIMIT <limit: offset:integer count:integer>]",
    READONLY,
    hot_zset_ranges.ZRANGEBYLEX_BODY,
    since="2.8.9",
    deprecated=Deprecation("6.2.0", "`ZRANGE` with the `BYLEX` argument"),
)
def zrangebylex(key: bytes, least: bytes, most: bytes, *options: bytes) -> list[bytes]:
    """Return the members with names in a range, of a set with equal scores. O(log N + M)."""


@family.compiled(
    "ZREVRANGEBYLEX key max min [LIMIT <limit: offset:integer count:integer>]",
    READONLY,
    hot_zset_ranges.ZREVRANGEBYLEX_BODY,
    since="2.8.9",
    deprecated=Deprecation("6.2.0", "`ZRANGE` with the `REV` and `BYLEX` arguments"),
)
def zrevrangebylex(key: bytes, most: bytes, least: bytes, *options: bytes) -> list[bytes]:
    """Return the members with names in a range, in descending order. O(log N + M)."""


@family.compiled(
    "ZRANDMEMBER key [options: count:integer [WITHSCORES]]",
    READONLY,
    hot_zsets.ZRANDMEMBER_BODY,
    since="6.2.0",
    tips=CHANGES_BY_ITSELF,
)
def zrandmember(key: bytes, *options: bytes) -> Reply:
    """Return a random member, or several: different ones, or with a negative count any. O(N)."""


@family.compiled(
    "ZSCAN key cursor:integer [MATCH pattern] [COUNT count:integer] [NOSCORES]",
    READONLY,
    hot_zsets.ZSCAN_BODY,
    since="2.8.0",
    tips=CHANGES_BY_ITSELF,
)
def zscan(key: bytes, cursor: bytes, *options: bytes) -> Reply:
    """Return some of the members and scores, and the cursor with which to ask for more.

    Every member that is there from the first call to the last is returned at least once. O(1) for
    a call, O(N) for all.
    """


# Popping.


@family.compiled(
    "ZPOPMIN key [count:integer]",
    WRITE | FAST,
    hot_zsets.ZPOPMIN_BODY,
    since="5.0.0",
    key=POPPED,
)
def zpopmin(key: bytes, *count: bytes) -> Reply:
    """Remove and return the members with the lowest scores. O(M log N) for M members."""


@family.compiled(
    "ZPOPMAX key [count:integer]",
    WRITE | FAST,
    hot_zsets.ZPOPMAX_BODY,
    since="5.0.0",
    key=POPPED,
)
def zpopmax(key: bytes, *count: bytes) -> Reply:
    """Remove and return the members with the highest scores. O(M log N) for M members."""


@family.compiled(
    "ZMPOP numkeys:integer key [key ...] <where: MIN | MAX> [COUNT count:integer]",
    WRITE,
    hot_zsets.ZMPOP_BODY,
    since="7.0.0",
    key=POPPED,
)
def zmpop(numkeys: bytes, *keys_and_options: bytes) -> Reply:
    """Pop members of the first sorted set that is not empty. O(K + M log N)."""


# What can be popped at once the core pops; these functions are called when it finds nothing, or
# cannot read the timeout.


def wait(ctx: Context, keys: tuple[bytes, ...], timeout: bytes) -> Wait:
    """Wait for a sorted set under one of the keys: the core has found none."""
    return ctx.wait(keys, arguments.timeout(timeout), NULL_ARRAY, kind=Kind.ZSET)


@family.command(
    "BZPOPMIN key [key ...] timeout:double",
    WRITE | BLOCKING | FAST,
    quick=hot_zsets.BZPOPMIN_BODY,
    since="5.0.0",
    key=POPPED,
    history=FRACTIONS,
)
def bzpopmin(ctx: Context, *keys_and_timeout: bytes) -> Wait:
    """Pop the member with the lowest score of the first sorted set, waiting for one if needed.

    Returns key, member and score. O(log N).
    """
    return wait(ctx, keys_and_timeout[:-1], keys_and_timeout[-1])


@family.command(
    "BZPOPMAX key [key ...] timeout:double",
    WRITE | BLOCKING | FAST,
    quick=hot_zsets.BZPOPMAX_BODY,
    since="5.0.0",
    key=POPPED,
    history=FRACTIONS,
)
def bzpopmax(ctx: Context, *keys_and_timeout: bytes) -> Wait:
    """Pop the member with the highest score of the first sorted set, waiting for one if needed.

    Returns key, member and score. O(log N).
    """
    return wait(ctx, keys_and_timeout[:-1], keys_and_timeout[-1])


@family.command(
    "BZMPOP timeout:double numkeys:integer key [key ...] <where: MIN | MAX> [COUNT count:integer]",
    WRITE | BLOCKING,
    quick=hot_zsets.BZMPOP_BODY,
    since="7.0.0",
    key=POPPED,
)
def bzmpop(ctx: Context, timeout: bytes, numkeys: bytes, *rest: bytes) -> Wait:
    """Pop members of the first sorted set that is not empty, waiting for one if needed.

    Returns the key and pairs of member and score. O(K + M log N) for K keys and M members.
    """
    return wait(ctx, rest[: int(numkeys)], timeout)


# Several sets.

WEIGHED = "[WEIGHTS weight:integer [weight ...]] [AGGREGATE <aggregate: SUM | MIN | MAX>]"
STORED = (OW | UPDATE, RO | ACCESS)


@family.compiled(
    f"ZUNION numkeys:integer key [key ...] {WEIGHED} [WITHSCORES]",
    READONLY,
    hot_zset_algebra.ZUNION_BODY,
    since="6.2.0",
)
def zunion(numkeys: bytes, *keys_and_options: bytes) -> Reply:
    """Return the members of all the sets, with scores aggregated. O(N + M log M)."""


@family.compiled(
    f"ZUNIONSTORE destination:key numkeys:integer key [key ...] {WEIGHED}",
    WRITE | DENYOOM,
    hot_zset_algebra.ZUNIONSTORE_BODY,
    since="2.0.0",
    key=STORED,
)
def zunionstore(destination: bytes, numkeys: bytes, *keys_and_options: bytes) -> int:
    """Store the members of all the sets, with scores aggregated. O(N + M log M)."""


@family.compiled(
    f"ZINTER numkeys:integer key [key ...] {WEIGHED} [WITHSCORES]",
    READONLY,
    hot_zset_algebra.ZINTER_BODY,
    since="6.2.0",
)
def zinter(numkeys: bytes, *keys_and_options: bytes) -> Reply:
    """Return the members that all the sets have, with scores aggregated. O(N K + M log M)."""


@family.compiled(
    f"ZINTERSTORE destination:key numkeys:integer key [key ...] {WEIGHED}",
    WRITE | DENYOOM,
    hot_zset_algebra.ZINTERSTORE_BODY,
    since="2.0.0",
    key=STORED,
)
def zinterstore(destination: bytes, numkeys: bytes, *keys_and_options: bytes) -> int:
    """Store the members that all the sets have, with scores aggregated. O(N K + M log M)."""


@family.compiled(
    "ZINTERCARD numkeys:integer key [key ...] [LIMIT limit:integer]",
    READONLY,
    hot_zset_algebra.ZINTERCARD_BODY,
    since="7.0.0",
)
def zintercard(numkeys: bytes, *keys_and_options: bytes) -> int:
    """Count the members that all the sets have, up to a limit. O(N K) in the smallest set."""


@family.compiled(
    "ZDIFF numkeys:integer key [key ...] [WITHSCORES]",
    READONLY,
    hot_zset_algebra.ZDIFF_BODY,
    since="6.2.0",
)
def zdiff(numkeys: bytes, *keys_and_options: bytes) -> Reply:
    """Return the members of the first set that no other one has. O(N K + M log M)."""


@family.compiled(
    "ZDIFFSTORE destination:key numkeys:integer key [key ...]",
    WRITE | DENYOOM,
    hot_zset_algebra.ZDIFFSTORE_BODY,
    since="6.2.0",
    key=STORED,
)
def zdiffstore(destination: bytes, numkeys: bytes, *keys_and_options: bytes) -> int:
    """Store the members of the first set that no other one has. O(N K + M log M)."""
