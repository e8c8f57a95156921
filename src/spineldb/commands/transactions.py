"""Transactions: requests that are queued and run together, on condition that keys stayed the same.

Between MULTI and EXEC the dispatcher keeps each request that passes its gates; one that is refused
has EXEC refuse the whole. EXEC runs them in one step that nothing comes between, and what they
changed is propagated as one unit. A request that fails then has its error in its place; the others
run. A key that a client watches and that anybody changes, the client too, has its EXEC answer null.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spineldb import errors
from spineldb.core import hot_transactions
from spineldb.core.session import SessionFlag
from spineldb.engine.command import (
    ALLOW_BUSY,
    FAST,
    LOADING,
    NOSCRIPT,
    RO,
    SKIP_SLOWLOG,
    STALE,
    Family,
)

if TYPE_CHECKING:
    from spineldb.engine.context import Context
    from spineldb.engine.reply import Reply

family = Family("transactions")

ALWAYS = NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY


@family.compiled("MULTI", ALWAYS, hot_transactions.MULTI_BODY, since="1.2.0")
def multi() -> str:
    """Queue the requests that follow, until EXEC or DISCARD. O(1)."""


@family.compiled(
    "EXEC",
    NOSCRIPT | LOADING | STALE | SKIP_SLOWLOG,
    hot_transactions.EXEC_BODY,
    since="1.2.0",
    complexity="That of the commands in the transaction.",
)
def exec_() -> list[Reply] | None:
    """Run what was queued, and return the reply of each; null if a watched key was changed."""


@family.compiled("DISCARD", ALWAYS, hot_transactions.DISCARD_BODY, since="2.0.0")
def discard() -> str:
    """Forget what was queued, and what is watched. O(N) in the number of queued requests."""


@family.command("WATCH key [key ...]", ALWAYS, since="2.2.0", key=RO)
def watch(ctx: Context, *keys: bytes) -> str:
    """Have EXEC run nothing if one of the keys is changed before it. O(1) for each key."""
    if ctx.client.has(SessionFlag.QUEUEING):
        raise errors.WatchInMulti
    hot_transactions.watch(ctx.client, ctx.db, list(keys))
    return "OK"


@family.command("UNWATCH", ALWAYS, since="2.2.0")
def unwatch(ctx: Context) -> str:
    """Watch nothing any more. O(N) in the number of watched keys."""
    hot_transactions.unwatch(ctx.client)
    return "OK"
