"""MEMORY: what takes how much, and what could be better."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spineldb.core import hot_keys
from spineldb.engine.command import READONLY, RO, Family
from spineldb.engine.reply import Verbatim
from spineldb.observability.process import human

if TYPE_CHECKING:
    from spineldb.engine.context import Context
    from spineldb.engine.reply import Reply

family = Family("server")
memory = family.container("MEMORY", since="4.0.0", help_since="4.0.0")

PER_SHARD = ("nondeterministic_output", "request_policy:all_shards", "response_policy:special")


@memory.compiled(
    "MEMORY USAGE key [SAMPLES count:integer]",
    READONLY,
    hot_keys.MEMORY_USAGE_BODY,
    since="4.0.0",
    key=RO,
)
def usage(key: bytes, *words: bytes) -> int | None:
    """Return the bytes a key takes, or null if there is none.

    It is an exact sum, so SAMPLES changes nothing. O(1), O(N) in the elements of a large value.
    """


@memory.command("MEMORY STATS", since="4.0.0", tips=PER_SHARD)
def stats(ctx: Context) -> Reply:
    """Return what takes how much memory. O(N) in the clients."""
    figures = ctx.engine.memory.statistics()
    return {name.encode(): _encoded(figure) for name, figure in figures}


def _encoded(figure: float | dict[str, int]) -> Reply:
    if isinstance(figure, dict):
        return {name.encode(): size for name, size in figure.items()}
    return figure


@memory.command("MEMORY DOCTOR", since="4.0.0", tips=PER_SHARD)
def doctor(ctx: Context) -> Verbatim:
    """Report on the use of memory in plain words, and what could be better. O(N) in the clients."""
    limit, evicts = ctx.settings.maxmemory, ctx.engine.eviction.evicts
    return Verbatim(ctx.engine.memory.report(limit, evicts=evicts))


@memory.command(
    "MEMORY PURGE",
    since="4.0.0",
    tips=("request_policy:all_shards", "response_policy:all_succeeded"),
)
def purge(ctx: Context) -> str:
    """Begin to give memory that is not used back to the operating system.

    Entries are moved together in the background. O(1).
    """
    ctx.keyspace.defragment()
    return "OK"


@memory.command("MEMORY MALLOC-STATS", since="4.0.0", tips=PER_SHARD)
def malloc_stats(ctx: Context) -> Verbatim:
    """Describe the state of the allocator. O(1)."""
    keyspace = ctx.keyspace
    held, used = keyspace.committed_memory, keyspace.used_memory
    lines = (
        f"used: {used} ({human(used)})",
        f"of it in blocks of their own: {keyspace.block_memory} ({human(keyspace.block_memory)})",
        f"held: {held} ({human(held)}), {100 * used / max(held, 1):.1f} % of it used",
        f"entries moved together since the start: {keyspace.moved_count}",
        f"moving entries now: {'yes' if keyspace.defragmenting else 'no'}",
    )
    return Verbatim("".join(f"{line}\n" for line in lines))
