"""Hashes, ours and a real server's: requests that mostly make sense, every reply the same.

Deadlines of fields lie far ahead or behind, so that nothing depends on when a command runs. Then
the hashes are compared: their fields, which of them have a deadline, and what they are called.
"""

from __future__ import annotations

import random
import time

import pytest

from tests import servers
from tests.fuzz.test_against_redis import same
from tests.support.embedded import Embedded
from tests.support.peer import Peer
from tests.support.wire import Fault, pipeline, value

KEYS = [b"a", b"b", b"c"]
NUMBERS = b"0 1 -1 7 42 9223372036854775807 -9223372036854775808 1.5 x 3.0 1e10 +5".split()
COUNTS = b"0 1 2 3 10 1000 x 9223372036854775808 -9223372036854775808".split()
SECONDS = b"1000000 30000000 2000000 0 -1 x 70368744178 9223372036854775807".split()
CONDITIONS = b"NX XX GT LT".split()
READS = b"HGET HMGET HEXISTS HSTRLEN".split()
BATCH = 50


class Hashes:
    """A stream of requests about three hashes and a string; fields of 10 or hundreds of names."""

    def __init__(self, seed: int, fields: int, *, big: bool = False) -> None:
        self.chance = random.Random(seed)
        self.fields, self.big = fields, big
        self.pick = self.chance.choice
        self.now_s = int(time.time())

    def field(self) -> bytes:
        name = b"f%d" % self.chance.randrange(self.fields)
        return name * 80 if self.chance.random() < 0.01 else name

    def some(self) -> list[bytes]:
        """Return a few fields, perhaps one twice."""
        return [self.field() for _ in range(self.pick((1, 1, 2, 3, 8)))]

    def text(self) -> bytes:
        if self.chance.random() < 0.3:
            return self.pick(NUMBERS)
        lengths = (0, 3, 10, 10, 63, 64, 65) if not self.big else (10, 254, 255, 256, 1984, 3000)
        return b"v" * self.pick(lengths)

    def pairs(self) -> list[bytes]:
        return [word for field in self.some() for word in (field, self.text())]

    def maybe(self, *words: bytes, odds: float = 0.3) -> list[bytes]:
        return list(words) if self.chance.random() < odds else []

    def counted(self, words: list[bytes], each: int = 1) -> list[bytes]:
        """Return what stands behind the options: FIELDS, how many, the words."""
        number = b"%d" % (len(words) // each)
        if self.chance.random() < 0.03:
            number = self.pick(COUNTS)
        head = self.pick([b"fields", b"FOO"]) if self.chance.random() < 0.03 else b"FIELDS"
        return [head, number, *words]

    def moment(self) -> list[bytes]:
        """Return an option that tells a time."""
        span = self.pick(SECONDS)
        ahead = b"%d" % (self.now_s + self.pick([1000000, 3000000, -1000]))
        return self.pick([
            [b"EX", span], [b"PX", self.pick([b"1000000000", b"0", b"-1", b"x"])],
            [b"EXAT", ahead], [b"PXAT", ahead + b"000"],
        ])  # fmt: skip

    def one(self) -> list[bytes]:
        """Return the next request."""
        key = b"s" if self.chance.random() < 0.02 else self.pick(KEYS)
        kind = self.chance.randrange(10)
        if kind < 3:
            return [
                self.pick([b"HSET", b"HMSET"]),
                key,
                *self.pairs(),
                *self.maybe(b"x", odds=0.02),
            ]
        if kind < 5:
            return self.about_deadlines(key)
        if kind < 6:
            name = self.pick(READS)
            return [name, key, *(self.some() if name == b"HMGET" else [self.field()])]
        return self.other(key)

    def about_deadlines(self, key: bytes) -> list[bytes]:
        after = b"%d" % (self.now_s + self.pick([1000000, 2000000, 3000000, -10]))
        condition = self.maybe(self.pick(CONDITIONS), odds=0.4)
        pairs, fields = self.counted(self.pairs(), 2), self.counted(self.some())
        options = self.maybe(self.pick([b"FNX", b"FXX"]))
        options += self.pick([[], self.moment(), self.moment(), [b"KEEPTTL"]])
        return self.pick([
            [b"HEXPIRE", key, self.pick(SECONDS), *condition, *fields],
            [b"HPEXPIRE", key, self.pick([b"1000000000", b"0"]), *condition, *fields],
            [b"HEXPIREAT", key, after, *condition, *fields],
            [b"HPEXPIREAT", key, after + b"000", *condition, *fields],
            [self.pick([b"HTTL", b"HPTTL", b"HEXPIRETIME", b"HPEXPIRETIME"]), key, *fields],
            [b"HPERSIST", key, *fields],
            [b"HSETEX", key, *options, *pairs],
            [b"HSETEX", key, *options[::-1], *pairs],
            [b"HGETEX", key, *self.pick([[], self.moment(), [b"PERSIST"]]), *fields],
            [b"HGETDEL", key, *self.counted(self.some()[:2])],
        ])  # fmt: skip

    def other(self, key: bytes) -> list[bytes]:
        everything = self.pick([b"1000", b"9223372036854775807", b"0", b"x"])
        return self.pick([
            [b"HDEL", key, *self.some()],
            [b"HDEL", key, *(b"f%d" % number for number in range(self.fields // 2))],
            [b"HSETNX", key, self.field(), self.text()],
            [b"HINCRBY", key, self.field(), self.pick(NUMBERS)],
            [b"HINCRBYFLOAT", key, self.field(), self.pick(NUMBERS)],
            [b"HGETALL", key], [b"HKEYS", key], [b"HVALS", key], [b"HLEN", key],
            [b"HSCAN", key, b"0", b"COUNT", b"10000", *self.maybe(b"NOVALUES")],
            [b"HRANDFIELD", b"none", *self.maybe(self.pick(COUNTS), *self.maybe(b"WITHVALUES"))],
            [b"HRANDFIELD", key, everything, *self.maybe(self.pick([b"WITHVALUES", b"x"]))],
            [b"OBJECT", b"ENCODING", key],
            [b"COPY", key, self.pick(KEYS), b"REPLACE"], [b"RENAME", key, self.pick(KEYS)],
        ])  # fmt: skip


def pairs_of(words: list[bytes]) -> list[tuple[bytes, bytes]]:
    return sorted(zip(words[::2], words[1::2], strict=True))


def alike(request: list[bytes], ours: bytes, theirs: bytes) -> bool:
    """Tell whether two replies say the same; random fields and a scan's come in any order."""
    if request[0] not in {b"HSCAN", b"HRANDFIELD"} or ours[:1] != b"*" or theirs[:1] != b"*":
        return same(request, ours, theirs)
    mine, others = value(ours), value(theirs)
    if request[0] == b"HSCAN":
        mine, others = mine[1], others[1]
    nested = bool(mine) and isinstance(mine[0], list)
    if nested or (b"NOVALUES" if request[0] == b"HSCAN" else b"WITHVALUES") in request:
        flat = not nested and request[0] == b"HRANDFIELD"
        return pairs_of(mine) == pairs_of(others) if flat else sorted(mine) == sorted(others)
    if request[0] == b"HSCAN":
        return pairs_of(mine) == pairs_of(others)
    return sorted(mine) == sorted(others)


def compare(seed: int, port: int, protocol: int, count: int) -> None:
    """Send the same requests to both, and raise at the first difference."""
    for fields, big in ((10, False), (150, False), (900, False), (12, True)):
        requests = Hashes(seed, fields, big=big)
        ours, theirs = Embedded(seed), Peer(port)
        head = [[b"HELLO", b"%d" % protocol], [b"FLUSHALL"], [b"SET", b"s", b"string"]]
        theirs.answers(head)
        ours.answers(pipeline(head))
        for _ in range(count // BATCH):
            batch = [requests.one() for _ in range(BATCH)]
            mine, others = ours.answers(pipeline(batch)), theirs.answers(batch)
            for request, one, other in zip(batch, mine, others, strict=True):
                if not alike(request, one, other):
                    raise Fault(f"{seed}/{fields}: {request}\n{one[:300]!r}\n{other[:300]!r}")
        for key in KEYS:
            (digest,) = theirs.answers([[b"DEBUG", b"DIGEST-VALUE", key]])
            found = ours.digest(0, key) or b"0" * 40
            if found not in digest:
                raise Fault(f"{seed}/{fields}: {key!r} differs: {found!r} {digest!r}")
            both = [[b"OBJECT", b"ENCODING", key], [b"HLEN", key]]
            if ours.answers(pipeline(both)) != theirs.answers(both):
                raise Fault(f"{seed}/{fields}: {key!r} is not called the same")
        theirs.close()
        ours.check()


PEER_OPTIONS = ("--enable-debug-command", "yes")


@pytest.mark.real
@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_every_reply_about_hashes_is_the_real_servers(
    peer: servers.Server, seed: int, protocol: int
) -> None:
    compare(seed, peer.port, protocol, 1500)


@pytest.mark.real
@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("seed", range(100, 110))
def test_every_reply_of_many_about_hashes_is_the_real_servers(
    peer: servers.Server, seed: int, protocol: int
) -> None:
    compare(seed, peer.port, protocol, 50_000)
