"""What if a change cannot be propagated? Each write of a workload fails so, one after the other.

The client gets an error and the change stays; the server goes into emergency read-only mode: every
write command of the table is refused in the same words, reads go on, keys whose time has passed are
hidden and not deleted, and not one effect more is handed on. The log has one line at CRITICAL.
"""

from __future__ import annotations

import asyncio
import logging
import random

import pytest

from spineldb import commands
from spineldb.core.effects import NotSettled, RecordingSink
from spineldb.core.reactor import Reactor
from spineldb.engine.command import Command, CommandTable, Flag
from spineldb.server.cron import Cron
from tests.support.embedded import Embedded
from tests.support.requests import Requests

TABLE = CommandTable(commands.FAMILIES)
START_MS = 1_700_000_000_000
NOT_PROPAGATED = (
    b"-ERR CRITICAL: Write operation could not be safely propagated. "
    b"Server entering read-only mode.\r\n"
)
#: Commands that only write with one of these words.
READS_WITHOUT = {
    "getex": {b"ex", b"px", b"exat", b"pxat", b"persist"},
    "bitfield": {b"set", b"incrby"},
    "hgetex": {b"ex", b"px", b"exat", b"pxat", b"persist"},
    "sort": {b"store"},
    "georadius": {b"store", b"storedist"},
    "georadiusbymember": {b"store", b"storedist"},
}
REFUSED = (
    b"-READONLY Server is in emergency read-only mode due to a critical propagation failure.\r\n"
)


def writes(command: Command) -> bool:
    return Flag.WRITE in command.flags


def workload(seed: int, count: int) -> list[tuple[int, list[bytes]]]:
    chance = random.Random(seed)
    requests = Requests(TABLE, chance, only=writes, broken=0.05, edge=0.02, big=0.02)
    requests.now_ms = START_MS
    return [(chance.randrange(2), requests.one()) for _ in range(count)]


def prepared(seed: int) -> tuple[Embedded, RecordingSink]:
    server = Embedded(seed)
    sink = RecordingSink()
    server.effects.add_sink(sink)
    server.keyspace.advance(START_MS)
    server.effects.expire(1_000_000)  # the wheels' clocks go back as well
    server.at(START_MS, [b"SET", b"short", b"lived", b"PX", b"1000"], 3)
    return server, sink


def check_refusals(server: Embedded, chance: random.Random, now_ms: int) -> None:
    """Have every write command of the table refused."""
    requests = Requests(TABLE, chance, only=writes, broken=0.0, edge=0.0)
    for command in {command.name: command for command in requests.commands}.values():
        request = requests.valid(command)
        reads = READS_WITHOUT.get(command.name)
        if reads is None or reads & {word.lower() for word in request[2:]}:
            assert server.at(now_ms, request, 1) == REFUSED, request


def check_mode(server: Embedded, sink: RecordingSink, chance: random.Random) -> None:
    """Check what emergency read-only mode promises."""
    before = server.contents()
    there = [len(database) for database in server.keyspace.databases]
    later = START_MS + 2000
    check_refusals(server, chance, later)
    assert server.at(later, [b"GET", b"short"], 3) == b"$-1\r\n"
    assert server.at(later, [b"EXISTS", b"short"], 3) == b":0\r\n"
    assert server.at(later, [b"PING"]) == b"+PONG\r\n"
    expired = server.effects.expired_keys
    server.keyspace.advance(later)
    assert not server.effects.expire(1_000_000)
    assert server.effects.expired_keys == expired
    assert [len(database) for database in server.keyspace.databases] == there
    server.keyspace.advance(START_MS)
    assert server.contents() == before
    assert sink.take() == b""
    server.check()


def fail_write(seed: int, requests: list[tuple[int, list[bytes]]], number: int) -> bool:
    """Have the first write from request `number` on fail; tell whether there was one."""
    server, sink = prepared(seed)
    twin, _ = prepared(seed)
    for index, (database, argv) in enumerate(requests):
        if index == number:
            server.effects.fail_next = 1
        sink.take()
        reply = server.at(START_MS, argv, database)
        expected = twin.at(START_MS, argv, database)
        if server.effects.fail_next or index < number:
            assert reply == expected, argv
            continue
        assert reply == NOT_PROPAGATED, argv
        assert server.contents() == twin.contents(), argv  # the change was made, and stays
        assert sink.take() == b"", argv
        assert server.engine.emergency.active
        check_mode(server, sink, random.Random(number))
        return True
    return False


@pytest.mark.parametrize("seed", [1, 2])
def test_every_write_that_cannot_be_propagated_begins_the_mode(seed: int) -> None:
    requests = workload(seed, 60)
    assert fail_write(seed, requests, 0)
    for number in range(1, len(requests)):
        fail_write(seed, requests, number)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(100, 130))
def test_every_write_of_many_that_cannot_be_propagated_begins_the_mode(seed: int) -> None:
    requests = workload(seed, 400)
    for number in range(len(requests)):
        fail_write(seed, requests, number)


def test_the_failure_is_told_once_and_without_values(caplog: pytest.LogCaptureFixture) -> None:
    server, _ = prepared(1)
    server.effects.fail_next = 2
    assert server.at(START_MS, [b"SET", b"its-key", b"its-value"]) == NOT_PROPAGATED
    assert server.at(START_MS, [b"SET", b"other", b"value"]) == REFUSED
    critical = [record for record in caplog.records if record.levelno == logging.CRITICAL]
    assert len(critical) == 1
    assert "CRITICAL" in critical[0].getMessage()
    assert "its-key" in critical[0].getMessage()
    assert "its-value" not in caplog.text
    assert server.engine.emergency.trigger is not None
    assert server.engine.emergency.trigger.shown == "set its-key"


def test_a_key_whose_burial_cannot_be_propagated_begins_the_mode() -> None:
    server, sink = prepared(1)
    sink.take()
    server.effects.fail_next = 1
    reply = server.at(START_MS + 1000, [b"GET", b"short"], 3)
    assert server.engine.emergency.active, reply
    assert sink.take() == b""
    assert server.at(START_MS + 1000, [b"SET", b"k", b"v"]) == REFUSED


def test_a_key_that_expires_unseen_and_cannot_be_propagated_begins_the_mode() -> None:
    server, sink = prepared(1)
    sink.take()
    server.effects.fail_next = 1
    server.keyspace.advance(START_MS + 1100)
    with pytest.raises(NotSettled):
        server.effects.expire(1_000_000)
    assert sink.take() == b""


def test_the_cron_begins_the_mode_when_an_expiry_cannot_be_propagated() -> None:
    async def run() -> bool:
        server, sink = prepared(1)
        sink.take()
        cron = Cron(server.engine, Reactor(server.dispatcher))
        server.effects.fail_next = 1
        cron.start()
        while server.effects.fail_next:
            await asyncio.sleep(0.01)
        cron.stop()
        assert sink.take() == b""
        return server.engine.emergency.active

    assert asyncio.run(run())
