"""CPU per command: the server's account before and after an exact number of commands.

Unlike throughput, it does not depend on whether the load generator keeps up, and unlike the
server's own counters it includes the system calls. Throughput stands beside it for orientation.
"""

from __future__ import annotations

import re
import time
from contextlib import ExitStack
from dataclasses import replace

from bench.commands import FAMILIES, HOT, LARGE_ZSET, RANGES, TRANSACTION, Command
from bench.figures import Limit, Row, Sample
from bench.lab import Lab
from bench.load import (
    Client,
    Drain,
    ErrorReply,
    Template,
    batches,
    fill,
    line_counter,
    lines_per_reply,
    reply_parser,
    saturate,
)
from bench.servers import Server

CONNECTIONS = 50
HOT_KEYS = 1_000_000
HOT_COMMANDS = {1: 60_000, 16: 250_000, 100: 400_000}
HOT_LIMITS = {1: Limit(0.95), 16: Limit(0.8), 100: Limit(0.8)}
OTHER_PIPELINE = 16
STRAY_COMMANDS = 100  # between two readings of a counter: our own INFO, and what a server counts


class Contest:
    """One command at one pipeline depth, its requests encoded once for all servers."""

    def __init__(self, command: Command, pipeline: int) -> None:
        self.command = command
        self.pipeline = pipeline
        self.request = Template(command.request)
        self.setup = [Template(text) for text in command.setup]
        self.count = command.commands - command.commands % pipeline
        requests = self.request.expand(0, self.count, command.keys)
        self.load = list(batches(requests, pipeline))
        self.lines: dict[str, int] = {}

    def prepare(self, server: Server) -> bool:
        """Build the dataset and learn the shape of a reply; return whether the command exists.

        The request tried is the one after the last, so that it uses up nothing that is measured.
        """
        probe = next(self.request.expand(self.count, self.count + 1, self.command.keys))
        try:
            self.rebuild(server)
            self.lines[server.name] = lines_per_reply(server.control, probe, self.request.requests)
        except ErrorReply:
            return False
        return True

    def rebuild(self, server: Server) -> None:
        """Build the dataset: a key for every number, and some more for the probe."""
        server.control.ask("FLUSHALL")
        for template in self.setup:
            fill(server.control, template, 0, self.command.keys + 100)

    def sample(self, server: Server) -> Sample:
        """Run the load once: microseconds of CPU per command, commands per second."""
        if self.request.is_consuming or self.command.is_rebuilt:
            self.rebuild(server)
        with ExitStack() as stack:
            clients = [stack.enter_context(server.connect()) for _ in range(CONNECTIONS)]
            drains = [self._drain(client, server) for client in clients]
            done_before, errors_before = counters(server)
            cpu_before, started_at = server.cpu_seconds(), time.perf_counter()
            saturate(clients, self.load, drains)
            elapsed = time.perf_counter() - started_at
            cpu = server.cpu_seconds() - cpu_before
            done, errors = counters(server)
        assert errors == errors_before, f"{server.name} answered with errors"
        counted, sent = done - done_before, self.count * self.request.requests
        assert not counted or 0 <= counted - sent <= STRAY_COMMANDS, (
            f"{server.name} counted {counted} commands, not {sent}"
        )
        return Sample(cpu / self.count * 1e6, self.count / elapsed)

    def _drain(self, client: Client, server: Server) -> Drain:
        if self.command.is_varying:
            return reply_parser(client, self.pipeline)
        return line_counter(client, self.pipeline * self.lines[server.name])


def counters(server: Server) -> tuple[int, int]:
    """Return how many commands a server says it has processed, and how many failed."""
    stats = server.info("stats")
    return int(stats.get("total_commands_processed", 0)), int(stats.get("total_error_replies", 0))


def cpu_rounds(lab: Lab) -> int:
    """Return how many samples to take: many short ones, since a neighbour's burst spoils one."""
    return 2 * lab.rounds - 1


def measure(command: Command, pipeline: int, lab: Lab) -> dict[str, Sample]:
    """Measure one command at one depth on every server that has it."""
    contest = Contest(command, pipeline)
    with lab.servers() as servers:
        able = [server for server in servers if contest.prepare(server)]
        assert able, "no server accepts this command"
        return lab.interleave(able, contest.sample, cpu_rounds(lab))


def hot_row(command: Command, pipeline: int) -> Row:
    """Make the row of a hot command at one depth."""
    commands = HOT_COMMANDS[pipeline] // (8 if "(10)" in command.name else 1)

    # what is used up is as much as is asked for, since it is made anew for every round
    keys = commands if command.is_rebuilt else HOT_KEYS

    def measure_hot(lab: Lab) -> dict[str, Sample]:
        return measure(scaled(replace(command, keys=keys, commands=commands), lab), pipeline, lab)

    return Row(
        name=f"cpu.{slug(command.name)}.p{pipeline}",
        title=f"{command.name}, P={pipeline}",
        section="CPU per command: the busiest, on a million keys",
        unit="µs",
        limit=HOT_LIMITS[pipeline],
        measure=measure_hot,
    )


def range_row(command: Command, pipeline: int) -> Row:
    """Make the row of a command with a long reply at one depth."""
    return Row(
        name=f"cpu.{slug(command.name)}.p{pipeline}",
        title=f"{command.name}, P={pipeline}",
        section="CPU per command: ranges of a list",
        unit="µs",
        limit=HOT_LIMITS[pipeline],
        measure=lambda lab: measure(scaled(command, lab), pipeline, lab),
    )


def other_row(command: Command, family: str) -> Row:
    """Make the row of any other command."""
    return Row(
        name=f"cpu.{family.lower()}.{slug(command.name)}",
        title=command.name,
        section=f"CPU per command: {family.lower()}, 10-byte values, P={OTHER_PIPELINE}",
        unit="µs",
        limit=Limit(1.0),
        measure=lambda lab: measure(scaled(command, lab), OTHER_PIPELINE, lab),
    )


def large_row(command: Command) -> Row:
    """Make the row of a command on a sorted set of a million members."""

    def measure_large(lab: Lab) -> dict[str, Sample]:
        large = replace(command, keys=HOT_KEYS, commands=HOT_COMMANDS[OTHER_PIPELINE])
        return measure(scaled(large, lab), OTHER_PIPELINE, lab)

    return Row(
        name=f"cpu.large-zset.{slug(command.name)}",
        title=command.name,
        section=f"CPU per command on a sorted set of a million members, P={OTHER_PIPELINE}",
        unit="µs",
        limit=Limit(0.7),
        measure=measure_large,
    )


def transaction_row(command: Command, pipeline: int) -> Row:
    """Make the row of a whole transaction, so many of them sent at once."""
    return Row(
        name="multi" if pipeline == 1 else f"multi.x{pipeline}",
        title=f"{command.name}, {pipeline} at once",
        section="CPU per transaction: all of its requests in one pipeline",
        unit="µs",
        limit=Limit(0.8),
        measure=lambda lab: measure(scaled(command, lab), pipeline, lab),
    )


def scaled(command: Command, lab: Lab) -> Command:
    """Return the command for this kind of run; small datasets stay as they are."""
    keys = command.keys if command.keys <= 1000 else lab.scaled(command.keys)
    return replace(command, keys=keys, commands=lab.scaled(command.commands))


def slug(name: str) -> str:
    """Return a command's name as the command line writes it: `BITCOUNT, range` bitcount-range."""
    return "-".join(re.findall(r"\w+", name.lower()))


MULTI_ROWS = tuple(transaction_row(TRANSACTION, pipeline) for pipeline in (1, 16))
LARGE_ROWS = tuple(large_row(command) for command in LARGE_ZSET)
HOT_ROWS = tuple(hot_row(command, pipeline) for command in HOT for pipeline in HOT_COMMANDS)
RANGE_ROWS = tuple(range_row(command, pipeline) for command in RANGES for pipeline in (1, 16))
OTHER_ROWS = tuple(
    other_row(command, family) for family, commands in FAMILIES.items() for command in commands
)
