"""Positions and searches, ours and a real server's: every reply the same, numbers but for a digit.

Members hardly ever share a place: which of them comes first would be a matter of sorting. The
searches stay where nine cells of Redis's hold all of their area: away from the poles and from
the meridian of 180 degrees (docs/differences.md).
"""

from __future__ import annotations

import math
import random
from typing import Any

import pytest

from spineldb.client import ErrorReply
from tests import servers
from tests.fuzz.test_against_redis import show
from tests.support.embedded import Embedded
from tests.support.peer import Peer
from tests.support.rounds import go_on, long, seeds
from tests.support.wire import Fault, encoded, pipeline, value

KEYS = [b"a", b"b"]
UNITS = {b"m": 1.0, b"km": 1000.0, b"ft": 0.3048, b"mi": 1609.34, b"KM": 1000.0}
CENTRES = [(0.0, 0.0), (2.35, 48.86), (-74.0, 40.7), (18.4, -33.9), (139.7, 35.7), (-0.001, 51.5)]
EDGES = [*b"181 85.06 -85.06 x nan inf 1e3 -0".split(), b""]
COUNTS = b"1 2 3 10 1000 0 -1 x 9223372036854775808".split()
MEMBERS = 60
BATCH = 40
SLACK_METRES = 0.00011  # both round to four decimals


class Requests:
    """A stream of requests about two geo sets, a sorted set that is none, and a string."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.pick = self.chance.choice

    def often(self, odds: float) -> bool:
        return self.chance.random() < odds

    def maybe(self, odds: float, *words: bytes) -> list[bytes]:
        return list(words) if self.often(odds) else []

    def key(self) -> bytes:
        return self.pick([b"z", b"s", b"none"]) if self.often(0.05) else self.pick(KEYS)

    def member(self) -> bytes:
        return b"m%d" % self.chance.randrange(MEMBERS)

    def position(self) -> list[bytes]:
        spread = self.pick([0.1, 5.0, 9.0])
        near = (middle + self.chance.uniform(-spread, spread) for middle in self.pick(CENTRES))
        found = [repr(degrees).encode() for degrees in near]
        if self.often(0.02):
            found[self.chance.randrange(2)] = self.pick(EDGES)
        return found

    def length(self) -> list[bytes]:
        """Return a length of at most 2,000 km, and its unit."""
        unit = self.pick(list(UNITS))
        if self.often(0.02):
            return [self.pick([b"-1", b"0", b"x", b""]), self.pick([unit, b"parsec"])]
        metres = 10 ** self.chance.uniform(0, 6.3)
        return [b"%.*f" % (self.chance.randrange(4), metres / UNITS[unit]), unit]

    def order(self) -> list[bytes]:
        """Return how many are wanted, and in which order."""
        words = self.maybe(0.4, self.pick([b"ASC", b"DESC"]))
        words += self.maybe(0.4, b"COUNT", self.pick(COUNTS), *self.maybe(0.3, b"ANY"))
        return words

    def shown(self) -> list[bytes]:
        return [word for word in (b"WITHDIST", b"WITHCOORD", b"WITHHASH") if self.often(0.3)]

    def area(self) -> list[bytes]:
        middle = self.middle(b"FROMLONLAT", b"FROMMEMBER")
        size, unit = self.length()
        shape = [b"BYRADIUS", size, unit]
        if self.often(0.5):
            shape = [b"BYBOX", size, self.pick([size, b"1", b"2000"]), unit]
        words = [middle, shape, self.order()]
        self.chance.shuffle(words)
        return [word for some in words for word in some]

    def middle(self, position: bytes, member: bytes) -> list[bytes]:
        return [position, *self.position()] if self.often(0.5) else [member, self.member()]

    def radius(self, *, writes: bool) -> list[bytes]:
        """Return what GEORADIUS and its kin are asked."""
        suffix = b"" if writes else b"_RO"
        if self.often(0.5):
            words = [b"GEORADIUS" + suffix, self.key(), *self.position()]
        else:
            words = [b"GEORADIUSBYMEMBER" + suffix, self.key(), self.member()]
        return [*words, *self.length(), *self.order()]

    def add(self) -> list[bytes]:
        options = self.maybe(0.2, self.pick([b"NX", b"XX"])) + self.maybe(0.2, b"CH")
        some = range(self.chance.randrange(1, 6))
        return [b"GEOADD", self.key(), *options,
                *(word for _ in some for word in (*self.position(), self.member()))]  # fmt: skip

    def some(self) -> list[list[bytes]]:
        """Return the next requests, those that belong together: one that stores, and what."""
        store = self.pick([b"STORE", b"STOREDIST"])
        distance = self.maybe(0.5, b"STOREDIST")
        kept = [[b"ZRANGE", b"d", b"0", b"-1", b"WITHSCORES"], [b"DEL", b"d"]]
        request = self.pick([
            self.add(),
            self.add(),
            [b"ZREM", self.key(), self.member(), self.member()],
            [self.pick([b"GEOPOS", b"GEOHASH"]), self.key(), self.member(), self.member()],
            [b"GEODIST", self.key(), self.member(), self.member(), *self.maybe(0.5, b"km")],
            [b"GEOSEARCH", self.key(), *self.area(), *self.shown()],
            [b"GEOSEARCH", self.key(), *self.area(), *self.shown()],
            [*self.radius(writes=False), *self.shown()],
            [*self.radius(writes=True), *self.shown(), *self.maybe(0.02, b"STORE", b"d")],
            [*self.radius(writes=True), store, b"d"],
            [b"GEOSEARCHSTORE", b"d", self.key(), *self.area(), *distance],
        ])  # fmt: skip
        if self.often(0.02):
            del request[self.chance.randrange(1, len(request))]
        return [request, *kept] if b"d" in request else [request]


def near(one: Any, other: Any) -> bool:
    """Tell whether two replies are the same, but for the last digits of numbers."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(near, one, other))
    if one == other or isinstance(one, ErrorReply) or one is None or other is None:
        return bool(one == other)
    try:
        numbers = float(one), float(other)
    except ValueError:
        return False
    return math.isclose(*numbers, rel_tol=1e-14, abs_tol=SLACK_METRES)


def compare(seed: int, port: int, protocol: int, count: int) -> list[str]:
    requests = Requests(seed)
    ours, theirs = Embedded(seed), Peer(port)
    found: list[str] = []
    start = [
        [b"HELLO", b"%d" % protocol],
        [b"FLUSHALL"],
        [b"SET", b"s", b"text"],
        [b"ZADD", b"z", b"1", b"m1", b"2000000000000000", b"m2", b"3471579339700058", b"m3"],
    ]
    for words in start:
        ours.feed(encoded(words))
        theirs.ask(*words)
    for _ in range(count // BATCH):
        batch = [one for _ in range(BATCH) for one in requests.some()]
        replies = ours.answers(pipeline(batch))
        for request, one, other in zip(batch, replies, theirs.answers(batch), strict=True):
            if one != other and not near(value(one), value(other)):
                found.append(f"{show(request)}\n  ours   {one!r:.900}\n  theirs {other!r:.900}")
        for key in KEYS:
            (reply,) = theirs.answers([[b"DEBUG", b"DIGEST-VALUE", key]])
            if reply.split()[1].lstrip(b"+") != (ours.digest(0, key) or b"0" * 40):
                found.append(f"{key!r} differs")
    theirs.close()
    ours.check()
    return found


def agree(seed: int, port: int, protocol: int, count: int) -> None:
    found = compare(seed, port, protocol, count)
    if found:
        shown = "\n".join(found[:12])
        raise Fault(f"seed {seed}, RESP{protocol}: {len(found)} differences, first:\n{shown}")


PEER_OPTIONS = ("--enable-debug-command", "yes")


@pytest.mark.real
@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("seed", seeds(2))
def test_every_reply_about_positions_is_the_real_servers(
    peer: servers.Server, seed: int, protocol: int
) -> None:
    agree(seed, peer.port, protocol, 3000)


@pytest.mark.real
@long
def test_every_reply_about_positions_for_minutes_is_the_real_servers(peer: servers.Server) -> None:
    go_on(lambda seed: agree(seed, peer.port, 2 + seed % 2, 10_000))
