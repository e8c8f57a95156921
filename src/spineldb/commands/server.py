"""The server about itself: INFO, TIME, ROLE, LOLWUT, MODULE, SHUTDOWN and the like."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spineldb import errors
from spineldb.core import hot_server
from spineldb.core.call import NO_REPLY, Deferred
from spineldb.core.session import SessionFlag
from spineldb.engine import arguments
from spineldb.engine.arguments import Options
from spineldb.engine.client_names import is_local
from spineldb.engine.command import (
    ADMIN,
    ALLOW_BUSY,
    FAST,
    LOADING,
    NO_ASYNC_LOADING,
    NO_MULTI,
    NOSCRIPT,
    READONLY,
    STALE,
    Category,
    Family,
)
from spineldb.engine.lifecycle import Stop
from spineldb.engine.modules import MODULES
from spineldb.engine.reply import Verbatim
from spineldb.version import SPINELDB_VERSION

if TYPE_CHECKING:
    from spineldb.engine.context import Context
    from spineldb.engine.reply import Reply

family = Family("server")
module = family.container("MODULE", since="4.0.0", help_since="5.0.0")

MODULE_FLAGS = ADMIN | NOSCRIPT | NO_ASYNC_LOADING
SMALLEST_CRYSTAL, LARGEST_CRYSTAL = 3, 20  # lines of its upper half


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


@family.compiled(
    "TIME",
    LOADING | STALE | FAST,
    hot_server.TIME_BODY,
    since="2.6.0",
    tips=("nondeterministic_output",),
)
def time() -> list[bytes]:
    """Return the server's time in Unix seconds and microseconds. O(1)."""


@family.command(
    "LASTSAVE",
    LOADING | STALE | FAST,
    since="1.0.0",
    categories=Category.ADMIN | Category.DANGEROUS,
    tips=("nondeterministic_output",),
)
def lastsave(ctx: Context) -> int:
    """Return when the dataset was last saved, in Unix seconds.

    At first that is when the server began. O(1).
    """
    return ctx.engine.lifecycle.started_ms // 1000


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
    ctx.client.mark(SessionFlag.CLOSING)  # the end of the connection is the answer
    ctx.engine.lifecycle.stop(Stop(save, now, force))
    return NO_REPLY


@family.command("LOLWUT [VERSION version:integer]", READONLY | FAST, since="5.0.0")
def lolwut(ctx: Context, *words: bytes) -> Verbatim:
    """Draw a spinel, of the size of the version asked for, and say the server's version. O(1)."""
    size = 8
    if len(words) > 1 and words[0].lower() == b"version":
        size = arguments.integer(words[1])
    size = min(max(size, SMALLEST_CRYSTAL), LARGEST_CRYSTAL)
    return Verbatim(f"{_crystal(size, ctx.keyspace.now_ms)}\nSpinelDB ver. {SPINELDB_VERSION}\n")


def _crystal(size: int, seed: int) -> str:
    """Draw an octahedron seen from the side, light falling on other facets every time."""
    lines: list[str] = []
    for row in (*range(size), *reversed(range(size - 1))):
        facets = ((seed >> (row + column) % 13) + column for column in range(2 * row))
        inner = "".join(" .:*"[facet % 4] for facet in facets)
        left, right = ("/", "\\") if len(lines) < size else ("\\", "/")
        lines.append(" " * (size - row) + left + inner + right)
    return "\n".join(lines)


@module.command(
    "MODULE LIST",
    ADMIN | NOSCRIPT,
    since="4.0.0",
    tips=("nondeterministic_output_order",),
)
def module_list(ctx: Context) -> Reply:
    """List the modules whose commands the server offers. O(N) in their number."""
    del ctx
    return [module.entry for module in MODULES]


@module.command("MODULE LOAD path [arg [arg ...]]", MODULE_FLAGS, since="4.0.0")
def module_load(ctx: Context, *words: bytes) -> str:
    """Refuse to load a module: what modules offer is built in. O(1)."""
    del words
    return _refuse_module(ctx, errors.ModuleNotLoaded())


@module.command(
    "MODULE LOADEX path [CONFIG <configs: name value> [CONFIG configs ...]] [ARGS args [args ...]]",
    MODULE_FLAGS,
    since="7.0.0",
)
def module_loadex(ctx: Context, *words: bytes) -> str:
    """Refuse to load a module with its configuration. O(1)."""
    del words
    return _refuse_module(ctx, errors.ModuleNotLoaded())


@module.command("MODULE UNLOAD name", MODULE_FLAGS, since="4.0.0")
def module_unload(ctx: Context, name: bytes) -> str:
    """Refuse to unload a module: none was loaded. O(1)."""
    del name
    return _refuse_module(ctx, errors.NoSuchModule())


def _refuse_module(ctx: Context, reason: errors.CommandError) -> str:
    allowed = ctx.settings.text("enable-module-command")
    if allowed == "no" or (allowed == "local" and not is_local(ctx.client)):
        raise errors.ModuleNotAllowed
    raise reason
