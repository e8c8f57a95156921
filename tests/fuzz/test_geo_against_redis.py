"""Geo, ours and a real server's: requests that mostly make sense, every reply the same.

Places lie away from the poles and from the meridian of 180 degrees, where Redis misses some.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import servers
from tests.support.embedded import Embedded
from tests.support.peer import Peer
from tests.support.wire import Fault, encoded, pipeline

KEYS = [b"a", b"b", b"none"]
UNITS = [b"m", b"km", b"FT", b"Mi"]
COUNTS = b"1 2 3 50 0 -1 x".split()
BATCH = 50
COORDINATE = re.compile(rb"(?:\$\d+\r\n|,)(-?\d+\.\d{9,})")


class Requests:
    """A stream of requests about two sorted sets of places."""

    def __init__(self, seed: int, members: int) -> None:
        self.chance = random.Random(seed)
        self.members = members
        self.pick = self.chance.choice

    def member(self) -> bytes:
        return b"m%d" % self.chance.randrange(self.members)

    def key(self) -> bytes:
        return b"s" if self.chance.random() < 0.02 else self.pick(KEYS)

    def maybe(self, *words: bytes, odds: float = 0.3) -> list[bytes]:
        return list(words) if self.chance.random() < odds else []

    def place(self) -> list[bytes]:
        if self.chance.random() < 0.02:
            return self.pick([[b"181", b"1"], [b"1", b"85.06"], [b"x", b"1"], [b"1", b"nan"]])
        x, y = self.chance.uniform(-15, 25), self.chance.uniform(-30, 60)
        return [b"%.9f" % x, b"%.9f" % y]

    def length(self) -> bytes:
        if self.chance.random() < 0.03:
            return self.pick([b"-1", b"x", b"0"])
        return b"%.4f" % 10 ** self.chance.uniform(0, 3.1)

    def circle(self) -> list[bytes]:
        unit = b"lightyear" if self.chance.random() < 0.02 else b"km"
        return [self.length(), self.pick([unit, unit, *UNITS])]

    def shown(self) -> list[bytes]:
        words = [b"WITHDIST", b"withhash", b"WITHCOORD"]
        return [
            *(word for word in words if self.chance.random() < 0.3),
            *self.maybe(self.pick([b"ASC", b"desc"]), odds=0.7),
            *self.maybe(b"COUNT", self.pick(COUNTS), *self.maybe(b"ANY")),
        ]

    def area(self) -> list[bytes]:
        start = self.pick([[b"FROMMEMBER", self.member()], [b"FROMLONLAT", *self.place()]])
        box = [b"BYBOX", self.length(), *self.circle()]
        shape = self.pick([[b"BYRADIUS", *self.circle()], box])
        parts = [start, shape, *([part] for part in self.maybe(b"x", b"BYBOX", odds=0.03))]
        self.chance.shuffle(parts)
        return [word for part in parts for word in part]

    def one(self) -> list[bytes]:
        key = self.key()
        kind = self.chance.randrange(16)
        if kind < 4:
            places = [
                word
                for _ in range(self.chance.randrange(1, 6))
                for word in (*self.place(), self.member())
            ]
            extra = self.maybe(b"1", odds=0.02)
            flags = self.maybe(self.pick([b"NX", b"XX", b"ch"]))
            return [b"GEOADD", key, *flags, *self.maybe(b"CH"), *places, *extra]
        store = self.maybe(self.pick([b"STORE", b"STOREDIST"]), self.pick(KEYS[:2]), odds=0.2)
        return [
            [b"GEOPOS", key, self.member(), self.member()],
            [b"GEOHASH", key, self.member(), self.member()],
            [b"GEODIST", key, self.member(), self.member(), *self.maybe(self.pick(UNITS))],
            [b"GEOSEARCH", key, *self.area(), *self.shown()],
            [b"GEOSEARCH", key, *self.area(), *self.shown()],
            [b"GEOSEARCH", key, *self.area(), *self.shown()],
            [b"GEOSEARCHSTORE", self.pick(KEYS[:2]), key, *self.area(), *self.maybe(b"STOREDIST"),
             *self.maybe(b"COUNT", b"5")],
            [b"GEORADIUS", key, *self.place(), *self.circle(), *self.shown(), *store],
            [b"GEORADIUSBYMEMBER", key, self.member(), *self.circle(), *self.shown(), *store],
            [b"GEORADIUS_RO", key, *self.place(), *self.circle(), *self.shown()],
            [b"GEORADIUSBYMEMBER_RO", key, self.member(), *self.circle(), *self.shown()],
            [b"ZREM", key, self.member(), self.member()],
        ][kind - 4]  # fmt: skip


def told(reply: bytes) -> bytes:
    """Return a reply with its coordinates in the fewest digits: Redis's are not always those."""
    return COORDINATE.sub(lambda found: repr(float(found[1])).encode(), reply)


def compare(seed: int, port: int, protocol: int, count: int, members: int) -> list[str]:
    requests = Requests(seed, members)
    ours, theirs = Embedded(seed), Peer(port)
    found: list[str] = []
    for words in [[b"HELLO", b"%d" % protocol], [b"FLUSHALL"], [b"SET", b"s", b"text"]]:
        ours.feed(encoded(words))
        theirs.ask(*words)
    for _ in range(count // BATCH):
        batch = [requests.one() for _ in range(BATCH)]
        replies = ours.answers(pipeline(batch))
        for request, one, other in zip(batch, replies, theirs.answers(batch), strict=True):
            if told(one) != told(other):
                found.append(f"{request!r:.300}\n  ours   {one!r:.300}\n  theirs {other!r:.300}")
        for key in KEYS[:2]:
            (reply,) = theirs.answers([[b"DEBUG", b"DIGEST-VALUE", key]])
            if reply.split()[1].lstrip(b"+") != (ours.digest(0, key) or b"0" * 40):
                found.append(f"{key!r} differs")
    theirs.close()
    ours.check()
    return found


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Server]:
    """Return Redis 8.2.3, which settles every argument."""
    if servers.real_program("redis8") is None:
        pytest.skip("SPINELDB_REDIS8 names no server")
    folder: Path = tmp_path_factory.mktemp("redis")
    server = servers.start_real(
        "redis8", folder, "--save", "", "--enable-debug-command", "yes"
    )  # fmt: skip
    yield server
    server.stop()


@pytest.mark.real
@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("members", [8, 60, 600])
def test_every_reply_about_places_is_the_real_servers(
    peer: servers.Server, members: int, protocol: int
) -> None:
    found = compare(members + protocol, peer.port, protocol, 3000, members)
    if found:
        shown = "\n".join(found[:12])
        raise Fault(f"{len(found)} differences, first:\n{shown}")
