"""The server about itself: INFO, TIME, ROLE, SHUTDOWN and the like."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spineldb import clock, errors
from spineldb.core.call import NO_REPLY, Deferred
from spineldb.engine.arguments import Options
from spineldb.engine.command import (
    ADMIN,
    ALLOW_BUSY,
    FAST,
    LOADING,
    NO_MULTI,
    NOSCRIPT,
    STALE,
    Category,
    Family,
)
from spineldb.engine.lifecycle import Stop
from spineldb.engine.reply import Verbatim

if TYPE_CHECKING:
    from spineldb.engine.context import Context
    from spineldb.engine.reply import Reply

family = Family("server")


@family.command(
    "INFO [section [section ...]]",
    LOADING | STALE,
    since="1.0.0",
    categories=Category.DANGEROUS,
    tips=("nondeterministic_output", "request_policy:all_shards", "response_policy:special"),
    history=(("7.0.0", "Several sections may be given."),),
)
def info(ctx: Context, *sections: bytes) -> Verbatim:
    """Describe the server, by sections. O(1)."""
    return Verbatim(ctx.engine.info.text(name.decode("latin-1") for name in sections))


@family.command("TIME", LOADING | STALE | FAST, since="2.6.0", tips=("nondeterministic_output",))
def time(ctx: Context) -> list[bytes]:
    """Return the server's time in Unix seconds and microseconds. O(1)."""
    del ctx
    seconds, micros = divmod(clock.unix_us(), 1_000_000)
    return [b"%d" % seconds, b"%d" % micros]


@family.command(
    "ROLE",
    NOSCRIPT | LOADING | STALE | FAST,
    since="2.8.12",
    categories=Category.ADMIN | Category.DANGEROUS,
)
def role(ctx: Context) -> Reply:
    """Return whether the server is a primary or a replica, and of whom. O(1)."""
    del ctx
    return [b"master", 0, []]


@family.command(
    "SHUTDOWN [save-selector: NOSAVE | SAVE] [NOW] [FORCE] [ABORT]",
    ADMIN | NOSCRIPT | LOADING | STALE | NO_MULTI | ALLOW_BUSY,
    since="1.0.0",
    added={"7.0.0": "now force abort"},
    history=(("7.0.0", "Added the `NOW`, `FORCE` and `ABORT` options."),),
)
def shutdown(ctx: Context, *words: bytes) -> Deferred:
    """Stop the server. O(N) in the keys when a snapshot is written."""
    options = Options(words)
    save: bool | None = None
    now = force = abort = False
    while options:
        match options.keyword():
            case b"NOSAVE" if save is None:
                save = False
            case b"SAVE" if save is None:
                save = True
            case b"NOW":
                now = True
            case b"FORCE":
                force = True
            case b"ABORT":
                abort = True
            case _:
                raise errors.Syntax
    if abort and len(words) > 1:
        raise errors.Syntax
    if abort:
        raise errors.NoShutdown
    ctx.engine.lifecycle.stop(Stop(save, now, force))
    return NO_REPLY
