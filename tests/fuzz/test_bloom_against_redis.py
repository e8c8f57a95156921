"""Random filter commands to us and to Redis with RedisBloom: every reply and every bit the same."""

from __future__ import annotations

import random
from typing import Any

import pytest

from spineldb.client import Client, ErrorReply
from tests import servers
from tests.support.embedded import Embedded
from tests.support.rounds import go_on, long, seeds

RATES = ["0.01", "0.1", "0.5", "0.9", "1e-9", "1e-300", "0x1p-3", "0", "1", "-1", "nan", "x", ""]
CAPACITIES = ["1", "2", "3", "10", "100", "1000", "0", "-1", "x", "010"]
GROWTHS = ["1", "2", "3", "7", "0", "-1", "x"]
ITERATORS = ["0", "1", "2", "9", "17", "1000", "-1", "x"]
KEYS = ["a", "b", "c", "d"]


#: Redis 8.2.3 with RedisBloom 2.8.2.
PEER_PROGRAM = "redis8+bloom"
PEER_OPTIONS = ()


class Filters:
    """Random requests about filters."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)

    def items(self) -> list[Any]:
        count = self.chance.choice((1, 1, 2, 5, 40))
        return [self.chance.randbytes(self.chance.randrange(3)) for _ in range(count)]

    def options(self, error: str) -> list[str]:
        chance = self.chance
        every = (
            [error, chance.choice(RATES)],
            ["CAPACITY", chance.choice(CAPACITIES)],
            ["EXPANSION", chance.choice(GROWTHS)],
            ["NONSCALING"],
            ["NOCREATE"],
        )
        found = [words for words in every if chance.random() < 0.25]
        chance.shuffle(found)
        return [word for words in found for word in words]

    def one(self) -> list[Any]:
        """Return the next request."""
        chance, items = self.chance, self.items()
        key = chance.choice(KEYS)
        growth = chance.choice([[], ["NONSCALING"], ["EXPANSION", chance.choice(GROWTHS)]])
        every: list[list[Any]] = [
            ["BF.ADD", key, items[0]],
            ["BF.MADD", key, *items],
            ["BF.INSERT", key, *self.options("ERROR"), "ITEMS", *items],
            ["BF.RESERVE", key, chance.choice(RATES), chance.choice(CAPACITIES), *growth],
            ["BF.EXISTS", key, items[0]],
            ["BF.MEXISTS", key, *items],
            ["BF.CARD", key],
            ["BF.DEBUG", key],
            ["BF.INFO", key, *chance.choice([[], ["SIZE"], ["items"], ["EXPANSION"], ["X"]])],
            ["BF.SCANDUMP", key, chance.choice(ITERATORS)],
            ["BF.LOADCHUNK", key, chance.choice(ITERATORS[2:]), b"\x0f\xf0"],
            ["DEL", key],
            ["RENAME", key, chance.choice(KEYS)],
        ]
        return chance.choices(every, [9, 9, 9, 6, 4, 4, 1, 2, 2, 3, 1, 1, 1])[0]


def plain(reply: Any) -> Any:
    """Return a reply to compare: RedisBloom's errors may lack their code (data-types V5)."""
    if isinstance(reply, ErrorReply):
        return "-" + str(reply).removeprefix("ERR ")
    if isinstance(reply, list):
        return [plain(one) for one in reply]
    return reply


def asked(client: Client, request: list[Any]) -> Any:
    try:
        return client.call(*request)
    except ErrorReply as error:
        return error


def agree(seed: int, server: servers.Server) -> None:
    ours = Embedded(seed)
    filters = Filters(seed)
    with server.client() as theirs:
        theirs.call("FLUSHALL")
        for _ in range(1500):
            request = filters.one()
            assert plain(ours.ask(*request)) == plain(asked(theirs, request)), request
        for key in KEYS:
            iterator = 0
            while True:
                request = ["BF.SCANDUMP", key, iterator]
                found = plain(ours.ask(*request))
                assert found == plain(asked(theirs, request)), request
                if isinstance(found, str) or found[0] == 0:
                    break
                iterator = found[0]
    ours.check_end()


@pytest.mark.real
@pytest.mark.parametrize("seed", seeds(6))
def test_filters_are_redisbloom_s(peer: servers.Server, seed: int) -> None:
    agree(seed, peer)


@pytest.mark.real
@long
def test_filters_are_redisbloom_s_for_minutes(peer: servers.Server) -> None:
    go_on(lambda seed: agree(seed, peer))
