"""Every writing command against every watched key: EXEC is null where the real server's is (D10).

The matrix is recorded from Redis 8.2.3 (tests/reference/record_watch.py), so that no server is
needed; with one, random requests of every command are compared as well. A command that is declared
tomorrow must have a line of its own that changes a key.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from spineldb import clock, commands
from spineldb.engine.command import Command, CommandTable, Flag
from tests import servers
from tests.reference.record_watch import connected
from tests.support.embedded import Embedded
from tests.support.requests import Requests
from tests.support.watching import Case, Watching, load, watched_keys
from tests.support.wire import pipeline

TABLE = CommandTable(commands.FAMILIES)
SETUP, CASES = load()
#: Commands that Redis 8.2.3 does not have: below, where their own rules say what they change.
OURS = frozenset({"msetex", "delifeq"})
#: What changes something that WATCH is not about in Redis: groups and ids of streams, encodings.
UNWATCHED = frozenset({
    "pfdebug", "xack", "xautoclaim", "xclaim", "xgroup|createconsumer", "xgroup|delconsumer",
    "xgroup|destroy", "xgroup|setid", "xreadgroup", "xsetid",
})  # fmt: skip


@pytest.fixture(scope="module")
def players() -> Watching:
    """Return the players, at a server of ours."""
    server = Embedded(1, clients=len(list(watched_keys(SETUP))) + 1)
    server.engine.settings.debug.enable_debug_command = "yes"

    def limit_memory() -> None:
        server.engine.eviction.follow(server.engine.settings.text("maxmemory-policy"), 5)
        server.dispatcher.limit_memory(server.engine.settings.maxmemory)

    server.engine.settings.subscribe(limit_memory, "maxmemory", "maxmemory-policy")

    def pause(milliseconds: int) -> None:
        time.sleep(milliseconds / 1000)
        server.keyspace.advance(clock.unix_ms())
        server.rest()

    return Watching(lambda index, requests: server.answers(pipeline(requests), index), pause, SETUP)


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.line))
def test_exec_is_null_where_the_real_servers_is(players: Watching, case: Case) -> None:
    assert players.run(case.before, case.after) == case.touched


def writes(command: Command) -> bool:
    return Flag.WRITE in command.flags and not command.name.startswith("bf.")


def test_every_writing_command_has_a_line_that_changes_a_watched_key() -> None:
    expected = {
        one.name
        for command in TABLE.values()
        for one in (command.subcommands.values() if command.is_container else [command])
        if writes(one)
    }
    found: set[str] = set()
    lines: set[str] = set()
    for case in CASES:
        for words in case.after:
            if isinstance(words, list):
                name = words[0].decode().lower()
                names = {name, f"{name}|{words[1].decode().lower()}" if words[1:] else name}
                lines |= names
                if case.touched:
                    found |= names
    assert expected - OURS <= lines
    assert expected - OURS - found == UNWATCHED


@pytest.mark.parametrize(
    ("line", "touched"),
    [
        (b"MSETEX 2 str x new y EX 100", {"0:str", "0:new"}),
        (b"MSETEX 1 str x NX", set[str]()),
        (b"DELIFEQ str text", {"0:str"}),
        (b"DELIFEQ str other", set[str]()),
        (b"DELIFEQ gone text", set[str]()),
        (b"BF.RESERVE new 0.01 100", {"0:new"}),
        (b"BF.ADD new x", {"0:new"}),
        (b"BF.MADD new x y", {"0:new"}),
        (b"BF.INSERT new ITEMS x", {"0:new"}),
        (b"BF.INSERT new NOCREATE ITEMS x", set[str]()),
        (b"BF.ADD str x", set[str]()),
    ],
)
def test_what_the_real_server_does_not_have_changes_what_it_says(
    players: Watching, line: bytes, touched: set[str]
) -> None:
    assert players.run([], [line.split()]) == touched


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watching]:
    """Return the players, at a real server."""
    if servers.real_program("redis8") is None:
        pytest.skip("SPINELDB_REDIS8 names no server")
    folder: Path = tmp_path_factory.mktemp("redis")
    server = servers.start_real("redis8", folder, "--save", "", "--enable-debug-command", "yes")
    yield connected(server.port)
    server.stop()


def compare(players: Watching, real: Watching, seed: int, count: int) -> None:
    chance = random.Random(seed)
    keys = [key for database, key in players.keys if database == 0]
    requests = Requests(
        TABLE,
        chance,
        only=lambda command: writes(command) and command.name not in OURS,
        broken=0.02,
        edge=0.03,
        big=0.0,
        keys=keys,
        patient=True,
        without=frozenset({"IFEQ", "NOSCORES"}),
    )
    requests.now_ms = clock.unix_ms()
    for _ in range(count):
        request = requests.one()
        touched = players.run([], [request]), real.run([], [request])
        if request[0].upper() != b"SPOP":  # which decides by chance whether a set is emptied
            assert touched[0] == touched[1], request


@pytest.mark.real
@pytest.mark.parametrize("seed", [1, 2])
def test_random_requests_change_what_they_change_at_the_real_server(
    players: Watching, real: Watching, seed: int
) -> None:
    compare(players, real, seed, 150)


@pytest.mark.real
@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(100, 110))
def test_many_random_requests_change_what_they_change_at_the_real_server(
    players: Watching, real: Watching, seed: int
) -> None:
    compare(players, real, seed, 5000)
