"""Effects are facts: replayed into an empty engine, at any hour, they give the same data."""

from __future__ import annotations

import random

import pytest

from tests.support.composed import DAY_MS, Composed

WORDS = [
    "SET k v",
    "SET k w EX t",
    "SET k w PX t",
    "SET k 7 NX",
    "SET k u XX KEEPTTL",
    "SET k u PX t GET",
    "INCR k",
    "APPEND k tail",
    "DEL k k",
    "UNLINK k",
    "EXPIRE k t",
    "EXPIRE k t NX",
    "PEXPIRE k t GT",
    "PEXPIRE k t",
    "PEXPIRE k -1",
    "EXPIRE k t LT",
    "PERSIST k",
    "RENAME k k",
    "RENAMENX k k",
    "COPY k k DB d",
    "COPY k k DB d REPLACE",
    "MOVE k d",
    "GET k",
    "TOUCH k",
    "RANDOMKEY",
]
RARE = ["SWAPDB d d", "FLUSHDB", "FLUSHALL"]


def work(server: Composed, chance: random.Random, rounds: int) -> None:
    """Send random requests to random databases while the clock runs."""
    for _ in range(rounds):
        server.select(chance.randrange(4))
        words = chance.choice(RARE if chance.random() < 0.002 else WORDS).split()
        argv = [
            {
                "k": f"key:{chance.randrange(40)}",
                "t": str(chance.choice([1, 5, 50, 3000])),
                "d": str(chance.randrange(4)),
            }.get(word, word)
            for word in words[1:]
        ]
        server.ask(words[0], *argv)
        if chance.random() < 0.3:
            server.pass_time(chance.choice([1, 7, 60, 1000]), fire=chance.random() < 0.5)


def check_replay(seed: int, rounds: int) -> None:
    """Compare an engine with one that its effects were replayed into, much later."""
    chance = random.Random(seed)
    server = Composed(seed.to_bytes(16, "little"))
    work(server, chance, rounds)
    server.pass_time(0)
    late = Composed((seed + 1).to_bytes(16, "little"))
    late.pass_time(chance.choice([-DAY_MS, 0, 400 * DAY_MS]))
    late.apply(server.sink.take())
    late.pass_time(server.now_ms - late.now_ms)
    assert late.contents() == server.contents()


@pytest.mark.parametrize("seed", range(20))
def test_effects_replayed_at_another_hour_give_the_same_data(seed: int) -> None:
    check_replay(seed, rounds=1500)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(100, 300))
def test_effects_of_long_workloads_replayed_give_the_same_data(seed: int) -> None:
    check_replay(seed, rounds=50_000)
