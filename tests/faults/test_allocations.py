"""What if there is no memory? The N-th allocation of a workload fails, for N = 1, 2, 3 ...

Until a run ends without reaching the fault. Each time the command it hits answers an error and has
changed nothing, and the dataset is consistent to the byte; the same command, tried again, does what
it should, so that at the end of the workload all is as if nothing had happened. A command that had
already changed something may put the server into emergency mode instead, and must not do less.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from spineldb import commands
from spineldb.client import INCOMPLETE, Decoder
from spineldb.core import probe_data
from spineldb.core.effects import RecordingSink
from spineldb.engine.command import Command, CommandTable, Flag
from tests.support.embedded import Contents, Embedded
from tests.support.requests import Requests
from tests.support.wire import encoded

TABLE = CommandTable(commands.FAMILIES)
START_MS = 1_700_000_000_000
NO_MEMORY = b"-OOM "
NOT_PROPAGATED = b"-ERR CRITICAL: Write operation could not be safely propagated."

Request = tuple[int, list[bytes]]  # which database, which words


def writes(command: Command) -> bool:
    return Flag.WRITE in command.flags


def workload(seed: int, count: int) -> list[Request]:
    """Return requests of every kind, and enough keys that tables and wheels grow."""
    chance = random.Random(seed)
    requests = Requests(TABLE, chance, only=writes, broken=0.0, edge=0.02, big=0.05)
    requests.now_ms = START_MS
    found: list[Request] = [(chance.randrange(2), requests.one()) for _ in range(count)]
    found += [
        (0, [b"SET", b"many:%d" % number, b"x" * 60, b"PX", b"%d" % (10 * number + 1)])
        for number in range(count // 2)
    ]
    found += [(chance.randrange(2), requests.one()) for _ in range(count // 3)]
    return found


def fresh(seed: int) -> Embedded:
    server = Embedded(seed)
    server.keyspace.advance(START_MS)
    server.effects.expire(1_000_000)
    server.client()
    return server


def states(seed: int, requests: list[Request]) -> list[Contents]:
    """Return what there is before each request and after the last, where no memory lacks."""
    server = fresh(seed)
    found = [server.contents()]
    for database, argv in requests:
        server.at(START_MS, argv, database)
        found.append(server.contents())
    return found


def run_into(seed: int, requests: list[Request], number: int, expected: list[Contents]) -> bool:
    """Run a workload whose `number`-th allocation fails; tell whether it was reached."""
    server = fresh(seed)
    sink = RecordingSink()
    server.effects.add_sink(sink)
    probe_data.fail_allocation(server.keyspace, number)
    for index, (database, argv) in enumerate(requests):
        sink.take()
        reply = server.at(START_MS, argv, database)
        if probe_data.failure_pending(server.keyspace):
            continue
        if reply.startswith(NOT_PROPAGATED):
            assert server.engine.emergency.active
            server.rest()
            assert probe_data.faults(server.keyspace) == []
            return True
        assert not server.engine.emergency.active
        context = f"allocation {number}, {argv}: {reply!r}"
        server.rest()
        assert probe_data.faults(server.keyspace) == [], context
        if reply.startswith(NO_MEMORY):
            assert server.contents() == expected[index], context
            assert_only_burials(sink.take(), context)
            server.at(START_MS, argv, database)
        assert server.contents() == expected[index + 1], context
        return True
    return False


def assert_only_burials(stream: bytes, context: str) -> None:
    """Check that nothing was propagated but that keys were gone whose time had passed."""
    decoder = Decoder()
    decoder.feed(stream)
    for argv in iter(decoder.next, INCOMPLETE):
        assert argv[0] in {b"DEL", b"SELECT", b"MULTI", b"EXEC"}, (argv, context)


def numbers(step: int) -> Iterator[int]:
    number = 1
    while True:
        yield number
        number += step


def fail_every_one(seed: int, count: int, step: int) -> int:
    requests = workload(seed, count)
    expected = states(seed, requests)
    for number in numbers(step):
        if not run_into(seed, requests, number, expected):
            return number
    raise AssertionError


def test_a_command_without_memory_changes_nothing() -> None:
    assert fail_every_one(seed=1, count=120, step=3) > 100


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(10, 20))
def test_no_command_without_memory_changes_anything(seed: int) -> None:
    fail_every_one(seed, count=400, step=1)


def fail_received(number: int, data: bytes) -> bool:
    """Have allocation `number` fail while a client sends a big value in pieces."""
    server = Embedded(number)
    server.client()
    probe_data.fail_allocation(server.keyspace, number)
    client = server.client()
    for at in range(0, len(data), 50_000):
        if not client.closed:
            client.feed(data[at : at + 50_000])
    reached = not probe_data.failure_pending(server.keyspace)
    probe_data.fail_allocation(server.keyspace, 0)
    server.check_end()
    return reached


def test_a_value_that_finds_no_memory_while_it_arrives_leaves_nothing_behind() -> None:
    data = encoded([b"SET", b"k", b"v" * 900_000]) + encoded([b"APPEND", b"k", b"w" * 100_000])
    number = 1
    while fail_received(number, data + encoded([b"GET", b"k"])):
        number += 1
    assert number > 4


def test_deadlines_that_find_no_memory_when_they_come_up_early_are_not_forgotten() -> None:
    number = 1
    reached = True
    while reached:
        server = fresh(number)
        for key in range(300):
            server.at(START_MS, [b"SET", b"%d" % key, b"v", b"PX", b"%d" % (5_000_000 + key * 999)])
        probe_data.fail_allocation(server.keyspace, number)
        for step in range(60):
            server.keyspace.advance(START_MS + 100_000 * step)
            try:
                server.effects.expire(1_000_000)
            except MemoryError:
                assert not probe_data.failure_pending(server.keyspace)
        reached = not probe_data.failure_pending(server.keyspace)
        probe_data.fail_allocation(server.keyspace, 0)
        assert probe_data.faults(server.keyspace) == []
        server.keyspace.advance(START_MS + 10_000_000)
        while server.effects.expire(1_000_000):
            pass
        assert len(server.keyspace.databases[0]) == 0, f"allocation {number}"
        number += 1
    assert number > 3
