"""Scripts: EVAL and its relatives run one, SCRIPT keeps them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spineldb import errors
from spineldb.core import scripts
from spineldb.core.sha1 import sha1
from spineldb.engine.command import (
    ACCESS,
    ALLOW_BUSY,
    NO_MANDATORY_KEYS,
    NOSCRIPT,
    READONLY,
    RW,
    SKIP_MONITOR,
    STALE,
    UPDATE,
    Family,
)
from spineldb.scripting.scripts import ScriptLibrary

if TYPE_CHECKING:
    from spineldb.engine.context import Context
    from spineldb.engine.reply import Reply

family = Family("scripting")

RUNS = NOSCRIPT | STALE | SKIP_MONITOR | NO_MANDATORY_KEYS
CHANGES = RW | ACCESS | UPDATE


def library(ctx: Context) -> ScriptLibrary:
    """Return the scripts of this server."""
    return ctx.engine.scripts


@family.compiled(
    "EVAL script numkeys:integer [key ...] [arg ...]",
    RUNS,
    scripts.EVAL_BODY,
    since="2.6.0",
    key=CHANGES,
)
def eval_(script: bytes, numkeys: bytes, *rest: bytes) -> Reply:
    """Run a script of Lua in one step that nothing comes between.

    Its keys are KEYS, its other arguments ARGV. What it changes is propagated as one unit, even
    if it fails halfway. O(1), and what the script does.
    """


@family.compiled(
    "EVALSHA sha1 numkeys:integer [key ...] [arg ...]",
    RUNS,
    scripts.EVALSHA_BODY,
    since="2.6.0",
    key=CHANGES,
)
def evalsha(script: bytes, numkeys: bytes, *rest: bytes) -> Reply:
    """Run the script of this SHA1. O(1), and what the script does."""


@family.compiled(
    "EVAL_RO script numkeys:integer [key ...] [arg ...]",
    RUNS | READONLY,
    scripts.EVAL_RO_BODY,
    since="7.0.0",
)
def eval_ro(script: bytes, numkeys: bytes, *rest: bytes) -> Reply:
    """Run a script of Lua that changes nothing. O(1), and what the script does."""


@family.compiled(
    "EVALSHA_RO sha1 numkeys:integer [key ...] [arg ...]",
    RUNS | READONLY,
    scripts.EVALSHA_RO_BODY,
    since="7.0.0",
)
def evalsha_ro(script: bytes, numkeys: bytes, *rest: bytes) -> Reply:
    """Run the script of this SHA1, which changes nothing. O(1), and what the script does."""


script_ = family.container("SCRIPT", since="2.6.0", help_since="5.0.0")


@script_.command(
    "SCRIPT LOAD script",
    NOSCRIPT | STALE,
    since="2.6.0",
    tips=("request_policy:all_nodes", "response_policy:all_succeeded"),
)
def load(ctx: Context, script: bytes) -> bytes:
    """Keep a script, and return its SHA1. O(N) in its length."""
    name = sha1(script)
    library(ctx).load(script, name)
    return name


@script_.command(
    "SCRIPT EXISTS sha1 [sha1 ...]",
    NOSCRIPT,
    since="2.6.0",
    tips=("request_policy:all_shards", "response_policy:agg_logical_and"),
)
def exists(ctx: Context, *names: bytes) -> Reply:
    """Tell of each SHA1 whether there is such a script. O(N) in their number."""
    return [int(name.lower() in library(ctx).known) for name in names]


@script_.command(
    "SCRIPT FLUSH [flush-type: ASYNC | SYNC]",
    NOSCRIPT,
    since="2.6.0",
    added={"6.2.0": "flush-type"},
    history=[("6.2.0", "Added the `ASYNC` and `SYNC` flushing mode modifiers.")],
    tips=("request_policy:all_nodes", "response_policy:all_succeeded"),
)
def flush(ctx: Context, *mode: bytes) -> str:
    """Forget all scripts. O(N) in their number."""
    if len(mode) > 1 or (mode and mode[0].upper() not in {b"ASYNC", b"SYNC"}):
        raise errors.ScriptFlushOption
    library(ctx).flush()
    return "OK"


@script_.command("SCRIPT SHOW sha1", NOSCRIPT | STALE, since="8.0.0")
def show(ctx: Context, name: bytes) -> bytes:
    """Return the text of a script. O(1)."""
    return library(ctx).find(name).body


@script_.command(
    "SCRIPT KILL",
    NOSCRIPT | ALLOW_BUSY,
    since="2.6.0",
    tips=("request_policy:all_shards", "response_policy:one_succeeded"),
)
def kill(ctx: Context) -> str:
    """End the script that runs, if it has changed nothing. O(1)."""
    del ctx
    raise errors.NotBusy


@script_.command("SCRIPT DEBUG <mode: YES | SYNC | NO>", NOSCRIPT, since="3.2.0")
def debug(ctx: Context, mode: bytes) -> str:
    """Refuse: there is no debugger. O(1)."""
    del ctx, mode
    raise errors.NoScriptDebugger
