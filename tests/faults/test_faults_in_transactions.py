"""What if something fails within EXEC? The k-th allocation, or the k-th command's propagation.

The request that is hit has an error in its place and the others run; what they did, and nothing
else, is handed on as one unit: replayed into an empty server it gives the same data (EM-24). Where
a change was made that cannot be told, emergency mode begins in that place (EM-8): what came before
is handed on, writes that follow are refused in theirs, and reads go on.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest

from spineldb import commands
from spineldb.client import INCOMPLETE, Decoder, ErrorReply
from spineldb.core import probe_data
from spineldb.core.effects import RecordingSink
from spineldb.engine.command import Command, CommandTable, Flag
from tests.property.test_replay_everything import apply
from tests.support.embedded import Contents, Embedded
from tests.support.requests import Requests
from tests.support.wire import value

TABLE = CommandTable(commands.FAMILIES)
START_MS = 1_700_000_000_000
REFUSED = "READONLY Server is in emergency read-only mode due to a critical propagation failure."
NOT_PROPAGATED = (
    "ERR CRITICAL: Write operation could not be safely propagated. Server entering read-only mode."
)
NO_MEMORY = "OOM "
FAIL = [b"DEBUG", b"FAIL-PROPAGATION", b"1"]


def writes(command: Command) -> bool:
    return Flag.WRITE in command.flags


def reads(command: Command) -> bool:
    return Flag.READONLY in command.flags and command.group != "server"


@dataclass
class Workload:
    """Requests that fill the databases, and those of transactions."""

    before: list[list[bytes]]
    transactions: list[list[list[bytes]]]


def workload(seed: int, count: int) -> Workload:
    chance = random.Random(seed)
    writing = Requests(TABLE, chance, only=writes, broken=0.02, edge=0.02, big=0.05)
    reading = Requests(TABLE, chance, only=reads, broken=0.02, edge=0.02)
    writing.now_ms = reading.now_ms = START_MS

    def queued() -> list[bytes]:
        kind = chance.random()
        if kind < 0.15:
            return [b"SELECT", b"%d" % chance.randrange(3)]
        return reading.one() if kind < 0.35 else writing.one()

    return Workload(
        [writing.one() for _ in range(count * 3)],
        [[queued() for _ in range(chance.randint(1, 8))] for _ in range(count)],
    )


class Run:
    """A server that runs a workload, and what it handed on."""

    def __init__(self, seed: int, work: Workload) -> None:
        self.server = Embedded(seed)
        self.server.engine.settings.debug.enable_debug_command = "yes"
        self.sink = RecordingSink()
        self.server.effects.add_sink(self.sink)
        self.server.keyspace.advance(START_MS)
        self.server.effects.expire(1_000_000)
        for argv in work.before:
            self.server.at(START_MS, argv)

    def execute(self, requests: list[list[bytes]]) -> list[object] | ErrorReply:
        """Run a transaction; return the replies by slot, errors as text."""
        assert self.server.at(START_MS, [b"MULTI"]) == b"+OK\r\n"
        for argv in requests:
            self.server.at(START_MS, argv)
        reply = value(self.server.at(START_MS, [b"EXEC"]))
        if isinstance(reply, ErrorReply):
            return reply
        assert isinstance(reply, list)
        return [str(one) if isinstance(one, ErrorReply) else one for one in reply]

    def check_replay(self, context: object) -> None:
        """Check that what was handed on gives the same data."""
        expected = contents(self.server)
        twin = Embedded(99)
        twin.keyspace.advance(START_MS)
        twin.effects.expire(1_000_000)
        apply(twin, self.sink.take(), START_MS)
        assert contents(twin) == expected, context

    def check(self, context: object) -> None:
        self.server.rest()
        assert probe_data.faults(self.server.keyspace) == [], context


def contents(server: Embedded) -> Contents:
    return server.contents()


def units(stream: bytes) -> list[list[bytes]]:
    """Check how a stream is framed; return its requests without the frame."""
    decoder = Decoder()
    decoder.feed(stream)
    found: list[list[bytes]] = []
    inside: int | None = None
    for argv in iter(decoder.next, INCOMPLETE):
        if argv == [b"MULTI"]:
            assert inside is None
            inside = 0
        elif argv == [b"EXEC"]:
            assert inside is not None
            assert inside > 1, "one request needs no frame"
            inside = None
        elif argv[0] != b"SELECT":
            found.append(argv)
            if inside is not None:
                inside += 1
    assert inside is None
    return found


def run_into(seed: int, work: Workload, number: int) -> bool:
    """Run transactions of which the `number`-th allocation fails; tell whether it was reached."""
    run = Run(seed, work)
    probe_data.fail_allocation(run.server.keyspace, number)
    for requests in work.transactions:
        replies = run.execute(requests)
        if probe_data.failure_pending(run.server.keyspace):
            continue
        context = (number, requests, replies)
        run.check(context)
        if run.server.engine.emergency.active:
            if isinstance(replies, list):
                slots = [one for one in replies if one == NOT_PROPAGATED]
                assert len(slots) == 1, context
            return True
        if isinstance(replies, list):
            failed = [one for one in replies if str(one).startswith(NO_MEMORY)]
            assert len(failed) <= 1, context
        run.check_replay(context)
        return True
    probe_data.fail_allocation(run.server.keyspace, 0)
    return False


def fail_every_allocation(seed: int, count: int, step: int) -> int:
    work = workload(seed, count)
    number = 1
    while run_into(seed, work, number):
        number += step
    return number


@pytest.mark.parametrize("seed", [1, 2])
def test_a_request_without_memory_fails_alone(seed: int) -> None:
    assert fail_every_allocation(seed, count=120, step=5) > 30


def fail_every_propagation(seed: int, count: int) -> int:
    """Have each request of each transaction fail to be propagated; return how many did."""
    work = workload(seed, count)
    failed = 0
    for number, requests in enumerate(work.transactions):
        for slot in range(len(requests)):
            run = Run(seed, work)
            for earlier in work.transactions[:number]:
                run.execute(earlier)
            run.check_replay(requests)
            # what went before is all that may be handed on
            twin = Run(seed, work)
            for earlier in work.transactions[:number]:
                twin.execute(earlier)
            twin.sink.take()
            replies = run.execute([*requests[:slot], FAIL, *requests[slot:]])
            twin.execute(requests[:slot])
            if not isinstance(replies, list) or not run.server.engine.emergency.active:
                run.server.effects.fail_next = 0
                continue  # nothing was changed from there on
            failed += 1
            context = (requests, slot, replies)
            run.check(context)
            assert replies[slot] == "OK", context
            at = replies.index(NOT_PROPAGATED)
            assert at > slot, context
            assert replies.count(NOT_PROPAGATED) == 1, context
            for argv, reply in zip(requests[at:], replies[at + 1 :], strict=True):
                command = TABLE.get(argv[0].decode("latin-1").lower())
                if command is not None and reply == REFUSED:
                    assert writes_by(command), context
            assert units(run.sink.take()) == units(twin.sink.take()), context
    return failed


def writes_by(command: Command) -> bool:
    """Tell whether a command, or a subcommand of it, writes."""
    return any(map(writes, (command, *command.subcommands.values())))


def test_a_request_that_cannot_be_propagated_ends_what_may_be_written() -> None:
    assert fail_every_propagation(3, 24) > 12


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(100, 120))
def test_no_fault_within_a_transaction_does_more_than_it_should(seed: int) -> None:
    fail_every_allocation(seed, count=100, step=1)
    fail_every_propagation(seed, 30)
