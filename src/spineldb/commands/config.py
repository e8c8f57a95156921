"""CONFIG: the settings in force, read and changed at run time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spineldb import errors
from spineldb.config.rewriting import rewrite
from spineldb.engine.client_names import is_local
from spineldb.engine.command import ADMIN, LOADING, NOSCRIPT, STALE, Family

if TYPE_CHECKING:
    from spineldb.engine.context import Context

family = Family("server")
config = family.container("CONFIG", since="2.0.0", help_since="5.0.0")

FLAGS = ADMIN | NOSCRIPT | LOADING | STALE
EVERYWHERE = ("request_policy:all_nodes", "response_policy:all_succeeded")


@config.command(
    "CONFIG GET parameter [parameter ...]",
    FLAGS,
    since="2.0.0",
    history=(("7.0.0", "Several patterns may be given."),),
)
def get(ctx: Context, *patterns: bytes) -> dict[bytes, bytes]:
    """Return the parameters whose names match a pattern. O(N) in the parameters."""
    return ctx.settings.get(patterns)


@config.command(
    "CONFIG SET parameter value [parameter value ...]",
    FLAGS,
    since="2.0.0",
    tips=EVERYWHERE,
    history=(("7.0.0", "Several parameters may be set at once."),),
)
def set_(ctx: Context, *words: bytes) -> str:
    """Set several parameters, or none if one of them is refused. O(N) in the parameters given."""
    if len(words) % 2:
        raise errors.Syntax
    pairs = list(zip(words[::2], words[1::2], strict=True))
    ctx.settings.set(pairs, local=is_local(ctx.client))
    return "OK"


@config.command("CONFIG RESETSTAT", FLAGS, since="2.0.0", tips=EVERYWHERE)
def resetstat(ctx: Context) -> str:
    """Set the statistics of INFO to zero. O(N) in the commands."""
    ctx.engine.reset_statistics()
    return "OK"


@config.command("CONFIG REWRITE", FLAGS, since="2.8.0", tips=EVERYWHERE)
def rewrite_(ctx: Context) -> str:
    """Write what was changed into the configuration file. O(N) in the parameters."""
    rewrite(ctx.settings)
    return "OK"
