"""Geohashes, and searches that miss nothing."""

from __future__ import annotations

import random

import pytest

from spineldb.core import geohash
from spineldb.core.zsets import SortedSet
from tests.support.embedded import Embedded


def test_a_position_is_the_score_of_redis() -> None:
    assert geohash.encode(2.2945, 48.8582) == 3663832614282663
    assert geohash.decode(3663832614282663) == (2.294498383998871, 48.858198939400836)
    assert geohash.text(3663832614282663) == b"u09tunqg9s0"


def around(chance: random.Random) -> tuple[float, float]:
    edge = chance.random()
    if edge < 0.2:
        return chance.choice((-180.0, 180.0, 179.999, -179.999)), chance.uniform(-85.05, 85.05)
    if edge < 0.4:
        return chance.uniform(-180, 180), chance.choice((85.05112878, -85.05112878, 85.0, -84.9))
    return chance.uniform(-180, 180), chance.uniform(-85.05, 85.05)


@pytest.mark.parametrize("seed", range(3))
def test_no_cell_is_missed_v11(seed: int) -> None:
    chance = random.Random(seed)
    server = Embedded(seed)
    for number in range(300):
        server.ask("GEOADD", "g", *map(repr, around(chance)), f"m{number}")
    zset = SortedSet(server.keyspace.databases[0], b"g")
    places = [(member, *geohash.decode(score)) for member, score in zset.items()]
    for _ in range(500):
        x, y = around(chance)
        radius = 10 ** chance.uniform(3, 7.4)
        here = ("GEOSEARCH", "g", "FROMLONLAT", repr(x), repr(y))
        found = server.ask(*here, "BYRADIUS", repr(radius), "m")
        near = {member for member, a, b in places if geohash.metres(x, y, a, b) <= radius}
        assert set(found) == near
        assert len(found) == len(near)
        found = server.ask(*here, "BYBOX", repr(radius), "2e6", "m")
        inside = {
            member
            for member, a, b in places
            if geohash.metres(0, b, 0, y) <= 1e6 and geohash.metres(a, b, x, b) <= radius / 2
        }
        assert set(found) == inside
        assert len(found) == len(inside)


def test_b36_a_search_near_the_pole_finds_what_is_behind_it() -> None:
    server = Embedded(1)
    server.ask("GEOADD", "n", 0, 85, "a", 179.99, 84.9, "b", -179.99, 84.9, "c")
    found = server.ask("GEOSEARCH", "n", "FROMLONLAT", 0, 85, "BYRADIUS", 2000, "km", "ASC")
    assert found == [b"a", b"b", b"c"]


def test_a_polygon_is_valkeys() -> None:
    server = Embedded(1)
    server.ask("GEOADD", "g", 1, 1, "inside", 3, 3, "outside")
    corners = (0, 0, 2, 0, 2, 2, 0, 2)
    assert server.ask("GEOSEARCH", "g", "BYPOLYGON", 4, *corners) == [b"inside"]
