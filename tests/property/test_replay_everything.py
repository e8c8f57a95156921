"""Effects are facts, whatever command they come from: every write command of the table is replayed.

Random requests with random options run while the clock does; what they propagated, applied to an
empty engine at another hour, gives the same keys, values and deadlines. A command that is declared
tomorrow takes part by itself, and the test fails if its requests never change anything.
"""

from __future__ import annotations

import random
from collections import Counter

import pytest

from spineldb import commands
from spineldb.client import INCOMPLETE, Decoder
from spineldb.core.effects import RecordingSink
from spineldb.engine.command import Command, CommandTable, Flag
from spineldb.engine.eviction import POLICIES
from tests.support.embedded import Embedded
from tests.support.requests import Requests
from tests.support.wire import check_reply

TABLE = CommandTable(commands.FAMILIES)
START_MS = 1_700_000_000_000
YEAR_MS = 365 * 86_400_000
DATABASES = 4
ROOM_BYTES = 3000  # for data, where keys are to be evicted
WRAPPERS = {b"MULTI", b"EXEC"}


def writes(command: Command) -> bool:
    return Flag.WRITE in command.flags


def queue(server: Embedded, requests: Requests, chance: random.Random, now_ms: int) -> list[bytes]:
    """Begin a transaction that goes through the databases; return the request that runs it."""
    assert server.at(now_ms, [b"MULTI"]) == b"+OK\r\n"
    for _ in range(chance.randint(1, 8)):
        selects = chance.random() < 0.3
        request = [b"SELECT", b"%d" % chance.randrange(DATABASES)] if selects else requests.one()
        check_reply(server.at(now_ms, request))
    return [b"EXEC"] if chance.random() < 0.95 else [b"DISCARD"]


def work(
    server: Embedded, chance: random.Random, count: int, together: float = 0.0
) -> tuple[int, Counter[str]]:
    """Run random requests while the clock does; return the time then, and who changed what.

    A share of them, `together`, are transactions of several.
    """
    requests = Requests(TABLE, chance, only=writes, broken=0.02, edge=0.03, big=0.02)
    now_ms = START_MS
    changed: Counter[str] = Counter()
    for _ in range(count):
        requests.now_ms = now_ms
        if together and chance.random() < together:
            request = queue(server, requests, chance, now_ms)
        else:
            request = requests.one()
        before = server.effects.dirty
        check_reply(server.at(now_ms, request, chance.randrange(DATABASES)))
        if server.effects.dirty != before:
            changed[request[0].decode("latin-1").lower()] += 1
        if chance.random() < 0.3:
            now_ms += chance.choice((1, 7, 60, 1000, 400_000))
            server.keyspace.advance(now_ms)
            if chance.random() < 0.5:
                server.effects.expire(1_000_000)
        if chance.random() < 0.02:
            server.keyspace.defragment()
            server.keyspace.run_work(1000)
    server.keyspace.advance(now_ms)
    return now_ms, changed


def apply(server: Embedded, stream: bytes, now_ms: int) -> None:
    """Apply a stream of effects, as a replica does; every one must be accepted."""
    decoder = Decoder()
    decoder.feed(stream)
    database = 0
    server.keyspace.applying = True
    for argv in iter(decoder.next, INCOMPLETE):
        if argv[0] == b"SELECT":
            database = int(argv[1])
        elif argv[0] not in WRAPPERS:
            reply = server.at(now_ms, argv, database)
            assert not reply.startswith(b"-"), (argv, reply)
    server.keyspace.applying = False


def check_replay(
    seed: int, count: int, policy: str = "noeviction", together: float = 0.0
) -> Counter[str]:
    """Replay what a server propagated; with a policy it has little memory."""
    chance = random.Random(seed)
    primary, replica = Embedded(seed), Embedded(seed + 1)
    if policy != "noeviction":
        primary.engine.eviction.follow(policy, 5)
        primary.keyspace.lfu = "lfu" in policy
        primary.dispatcher.limit_memory(primary.keyspace.used_memory + ROOM_BYTES)
    sink = RecordingSink()
    primary.effects.add_sink(sink)
    primary.keyspace.advance(START_MS)
    now_ms, changed = work(primary, chance, count, together)
    expected = primary.contents()
    apply(replica, sink.take(), now_ms + chance.choice((-YEAR_MS, 0, YEAR_MS)))
    replica.keyspace.advance(now_ms)
    assert replica.contents() == expected, f"seed {seed}"
    for server in (primary, replica):
        server.check()
    assert (primary.engine.eviction.evicted_keys > 0) == (policy != "noeviction")
    return changed


@pytest.mark.parametrize("seed", range(8))
def test_effects_of_every_write_command_replayed_give_the_same_data(seed: int) -> None:
    check_replay(seed, 2000)


@pytest.mark.parametrize("seed", range(20, 26))
def test_effects_of_transactions_replayed_give_the_same_data(seed: int) -> None:
    assert check_replay(seed, 600, together=0.7)["exec"] > 100


def test_transactions_that_are_short_of_memory_replayed_give_the_same_data() -> None:
    check_replay(31, 2500, "allkeys-lru", together=0.7)


@pytest.mark.parametrize("policy", sorted(set(POLICIES) - {"noeviction"}))
def test_what_is_evicted_is_gone_there_as_well(policy: str) -> None:
    """D6."""
    check_replay(sum(policy.encode()), 6000, policy)


def test_every_write_command_of_the_table_changes_something() -> None:
    changed = check_replay(1234, 160_000)
    expected = {
        name
        for name, command in TABLE.items()
        # those of streams need ids and groups that exist: test_streams_model knows some
        if writes(command) and Flag.BLOCKING not in command.flags and command.group != "stream"
    }
    assert expected <= changed.keys()


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(500, 700))
def test_effects_of_long_workloads_of_every_command_give_the_same_data(seed: int) -> None:
    check_replay(seed, 30_000)
