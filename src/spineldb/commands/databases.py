"""Whole databases: their size, emptying and exchanging them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spineldb import errors
from spineldb.core import hot_server
from spineldb.engine.command import FAST, READONLY, WRITE, Category, Family

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spineldb.core.database import Database
    from spineldb.engine.context import Context

family = Family("server")

KEYSPACE = Category.KEYSPACE
FLUSH_TIPS = ("request_policy:all_shards", "response_policy:all_succeeded")
FLUSH_ADDED = {"4.0.0": "async", "6.2.0": "sync"}
FLUSH_HISTORY = (("4.0.0", "Added the `ASYNC` option."), ("6.2.0", "Added the `SYNC` option."))


@family.compiled(
    "DBSIZE",
    READONLY | FAST,
    hot_server.DBSIZE_BODY,
    since="1.0.0",
    categories=KEYSPACE,
    tips=("request_policy:all_shards", "response_policy:agg_sum"),
)
def dbsize() -> int:
    """Count the keys of the database, with those that expired a moment ago. O(1)."""


@family.command(
    "FLUSHDB [flush-type: ASYNC | SYNC]",
    WRITE,
    since="1.0.0",
    categories=KEYSPACE | Category.DANGEROUS,
    added=FLUSH_ADDED,
    tips=FLUSH_TIPS,
    history=FLUSH_HISTORY,
)
def flushdb(ctx: Context, *options: bytes) -> str:
    """Delete all keys of the database.

    They are gone at once, whatever is asked; their memory comes back in slices. O(1).
    """
    _check_flush_options(options)
    _flush(ctx, [ctx.db])
    return "OK"


@family.command(
    "FLUSHALL [flush-type: ASYNC | SYNC]",
    WRITE,
    since="1.0.0",
    categories=KEYSPACE | Category.DANGEROUS,
    added=FLUSH_ADDED,
    tips=FLUSH_TIPS,
    history=FLUSH_HISTORY,
)
def flushall(ctx: Context, *options: bytes) -> str:
    """Delete all keys of all databases.

    They are gone at once, whatever is asked; their memory comes back in slices. O(1).
    """
    _check_flush_options(options)
    _flush(ctx, ctx.databases)
    return "OK"


def _check_flush_options(options: tuple[bytes, ...]) -> None:
    if len(options) > 1 or (options and options[0].upper() not in {b"ASYNC", b"SYNC"}):
        raise errors.Syntax


def _flush(ctx: Context, databases: Iterable[Database]) -> None:
    """Empty databases, and tell those who watch or await a key of them."""
    ctx.propagate(*ctx.argv)  # also when they are empty here: a replica's must be, too
    for database in databases:
        gone = [key for key in _attended(database) if key in database]
        ctx.effects.dirty += database.flush()
        for key in gone:
            ctx.effects.touched(database, key)


def _attended(database: Database) -> set[bytes]:
    """Return the keys that somebody watches or awaits."""
    return {*database.watched, *database.awaited}


@family.compiled(
    "SWAPDB index1:integer index2:integer",
    WRITE | FAST,
    hot_server.SWAPDB_BODY,
    since="4.0.0",
    categories=KEYSPACE | Category.DANGEROUS,
)
def swapdb(index1: int, index2: int) -> str:
    """Exchange the contents of two databases. O(N) in the keys watched or awaited there."""
