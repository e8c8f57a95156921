"""Looking over the server's shoulder: SLOWLOG, COMMANDLOG, LATENCY, MONITOR."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from spineldb import clock, errors
from spineldb.core.call import NO_REPLY, Deferred
from spineldb.core.session import SessionFlag
from spineldb.engine import arguments
from spineldb.engine.command import ADMIN, LOADING, NOSCRIPT, STALE, Family
from spineldb.engine.reply import Verbatim

if TYPE_CHECKING:
    from spineldb.core.commandlog import CommandLog
    from spineldb.core.dispatch import Command
    from spineldb.engine.context import Context
    from spineldb.engine.reply import Reply

family = Family("server")
slowlog = family.container("SLOWLOG", since="2.2.12", help_since="6.2.0")
commandlog = family.container("COMMANDLOG", since="8.1.0", help_since="8.1.0")
latency = family.container("LATENCY", since="2.8.13", help_since="2.8.13")

LOG_FLAGS = ADMIN | LOADING | STALE
LATENCY_FLAGS = ADMIN | NOSCRIPT | LOADING | STALE
PER_NODE = ("nondeterministic_output", "request_policy:all_nodes", "response_policy:special")
LOG_TIPS = ("request_policy:all_nodes", "nondeterministic_output")
LENGTH_TIPS = ("request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output")
RESET_TIPS = ("request_policy:all_nodes", "response_policy:all_succeeded")

DEFAULT_COUNT = 10

# The bounds of LATENCY HISTOGRAM are powers of two of nanoseconds, from 1024 on, each raised to the
# greatest value that a histogram of two significant digits cannot tell from it, in microseconds.
FIRST_BOUND = 10
DIGITS = 7


@slowlog.command(
    "SLOWLOG GET [count:integer]",
    LOG_FLAGS,
    since="2.2.12",
    tips=LOG_TIPS,
    history=(("4.0.0", "Added the address and the name of the client."),),
)
def slowlog_get(ctx: Context, *count: bytes) -> Reply:
    """Return the newest entries of the slow log, ten unless told otherwise.

    -1 means all. O(N) in the entries returned.
    """
    if len(count) > 1:
        raise errors.UnknownSubcommandOrArity(ctx.argv[1], "slowlog")
    wanted = read_count(count[0]) if count else DEFAULT_COUNT
    return entries(ctx, ctx.engine.observer.slow, wanted)


@slowlog.command("SLOWLOG LEN", LOG_FLAGS, since="2.2.12", tips=LENGTH_TIPS)
def slowlog_len(ctx: Context) -> int:
    """Count the entries of the slow log. O(1)."""
    return len(ctx.engine.observer.slow)


@slowlog.command("SLOWLOG RESET", LOG_FLAGS, since="2.2.12", tips=RESET_TIPS)
def slowlog_reset(ctx: Context) -> str:
    """Empty the slow log. O(N) in its entries."""
    ctx.engine.observer.slow.clear()
    return "OK"


@commandlog.command(
    "COMMANDLOG GET count:integer <type: SLOW | LARGE-REQUEST | LARGE-REPLY>",
    LOG_FLAGS,
    since="8.1.0",
    tips=LOG_TIPS,
)
def commandlog_get(ctx: Context, count: bytes, kind: bytes) -> Reply:
    """Return the newest entries of a log: of slow commands, big requests or big replies.

    -1 means all. O(N) in the entries returned.
    """
    log = log_of(ctx, kind)
    return entries(ctx, log, read_count(count))


@commandlog.command(
    "COMMANDLOG LEN <type: SLOW | LARGE-REQUEST | LARGE-REPLY>",
    LOG_FLAGS,
    since="8.1.0",
    tips=LENGTH_TIPS,
)
def commandlog_len(ctx: Context, kind: bytes) -> int:
    """Count the entries of a log. O(1)."""
    return len(log_of(ctx, kind))


@commandlog.command(
    "COMMANDLOG RESET <type: SLOW | LARGE-REQUEST | LARGE-REPLY>",
    LOG_FLAGS,
    since="8.1.0",
    tips=RESET_TIPS,
)
def commandlog_reset(ctx: Context, kind: bytes) -> str:
    """Empty a log. O(N) in its entries."""
    log_of(ctx, kind).clear()
    return "OK"


def log_of(ctx: Context, kind: bytes) -> CommandLog:
    """Return the log a word names."""
    match kind.lower():
        case b"slow":
            return ctx.engine.observer.slow
        case b"large-request":
            return ctx.engine.observer.large_requests
        case b"large-reply":
            return ctx.engine.observer.large_replies
        case _:
            raise errors.LogKind


def read_count(word: bytes) -> int:
    """Read how many entries are wanted, -1 for all."""
    try:
        return arguments.ranged(word, -1)
    except errors.CommandError:
        raise errors.LogCount from None


def entries(ctx: Context, log: CommandLog, count: int) -> Reply:
    """Write the newest entries of a log."""
    return [
        [number, command.at, amount, [*shown], command.address.encode(),
         command.client_name.encode()]
        for number, amount, command, shown in ctx.engine.observer.entries(log, count)
    ]  # fmt: skip


@latency.command("LATENCY LATEST", LATENCY_FLAGS, since="2.8.13", tips=PER_NODE)
def latest(ctx: Context) -> Reply:
    """Return the last sample and the worst one of each event.

    Times are in Unix seconds and milliseconds. O(1).
    """
    events = ctx.engine.observer.latency.events
    return [[name.encode(), *event.samples[-1], event.worst] for name, event in events.items()]


@latency.command("LATENCY HISTORY event", LATENCY_FLAGS, since="2.8.13", tips=PER_NODE)
def history(ctx: Context, event: bytes) -> Reply:
    """Return the samples of an event, oldest first. O(1)."""
    found = ctx.engine.observer.latency.events.get(event.decode("latin-1"))
    return [] if found is None else [[at, value] for at, value in found.samples]


@latency.command(
    "LATENCY RESET [event [event ...]]",
    LATENCY_FLAGS,
    since="2.8.13",
    tips=("request_policy:all_nodes", "response_policy:agg_sum"),
)
def reset(ctx: Context, *events: bytes) -> int:
    """Forget the samples of some events, or of all; return of how many. O(1)."""
    return ctx.engine.observer.latency.reset(*(name.decode("latin-1") for name in events))


@latency.command("LATENCY GRAPH event", LATENCY_FLAGS, since="2.8.13", tips=PER_NODE)
def graph(ctx: Context, event: bytes) -> Verbatim:
    """Draw the samples of an event. O(1)."""
    name = event.decode("latin-1")
    found = ctx.engine.observer.latency.events.get(name)
    if found is None:
        raise errors.NoSamples(event)
    return Verbatim(found.graph(name, clock.unix_ms() // 1000))


@latency.command("LATENCY DOCTOR", LATENCY_FLAGS, since="2.8.13", tips=PER_NODE)
def doctor(ctx: Context) -> Verbatim:
    """Report on delays in plain words, and what to do about them. O(1)."""
    observer = ctx.engine.observer
    return Verbatim(observer.latency.report(observer.slow.threshold))


@latency.command(
    "LATENCY HISTOGRAM [command [command ...]]", LATENCY_FLAGS, since="7.0.0", tips=PER_NODE
)
def histogram(ctx: Context, *names: bytes) -> Reply:
    """Return how often some commands, or all, took how long.

    Counts are of calls up to a bound in microseconds. A command with subcommands stands for them
    all. O(N) in the commands.
    """
    dispatcher = ctx.engine.dispatcher
    if names:
        found = [dispatcher.lookup(*name.split(b"|")) for name in names]
    else:
        found = list(dispatcher.commands.values())
    return {
        one.name.encode(): distribution(bins)
        for command in found
        if command is not None
        for one in with_subcommands(command)
        if (bins := one.latency_histogram())
    }


def with_subcommands(command: Command) -> Iterator[Command]:
    """Yield a command and its subcommands."""
    yield command
    yield from (command.subcommands or {}).values()


def distribution(bins: Mapping[int, int]) -> Reply:
    """Write a histogram as calls up to each bound.

    What we keep is {bound in nanoseconds: calls that took less, and not less than the one before}.
    """
    counts: dict[int, int] = {}
    for bound, calls in bins.items():
        power = max((bound - 1).bit_length(), FIRST_BOUND)
        counts[power] = counts.get(power, 0) + calls
    total = 0
    cumulative: dict[Reply, Reply] = {}
    for power in sorted(counts):
        total += counts[power]
        cumulative[((1 << power) + (1 << power - DIGITS) - 1) // 1000] = total
    return {b"calls": total, b"histogram_usec": cumulative}


@family.command("MONITOR", LATENCY_FLAGS, since="1.0.0")
def monitor(ctx: Context) -> str | Deferred:
    """Show the connection every command that the server runs from now on. O(1)."""
    session = ctx.client
    if ctx.is_within:
        raise errors.MonitorDenied
    if session.has(SessionFlag.MONITOR):
        return NO_REPLY
    session.mark(SessionFlag.MONITOR)
    ctx.engine.observer.watch(session)
    return "OK"
