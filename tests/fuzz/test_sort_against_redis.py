"""SORT, ours and a real server's: requests that mostly make sense, every reply the same.

What the real server leaves to chance is compared by its length: a set in no order, and equal
strings that are sorted by (`docs/differences.md`). Such a result is not stored.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise

import pytest

from tests import servers
from tests.support.embedded import Embedded
from tests.support.peer import Peer
from tests.support.wire import Fault, encoded, pipeline, value

LISTS, SETS, ZSETS = [b"l1", b"l2"], [b"s1", b"s2"], [b"z1", b"z2"]
OTHERS = [b"w_1", b"h_1", b"missing"]
NUMBERS = [*b"0 -1 0.5 .5 1e3 +7 -0 inf 1e400 010".split(), b"", b"3\x00x"]
WORDS = [b"a", b"b", b"B", b"\xff", b"a\x00b", b"a\x00a", b"x" * 300, b"nan", b" 1", b"0x10"]
PATTERNS = [b"w_*", b"h_*->f", b"h_*->g", b"*", b"*_w", b"w_*->f", b"h_*", b"h_*->", b"\x00*"]
CONSTANT = [b"nosort", b"#", b"", b"h->f"]
BOUNDS = b"0 1 2 3 -1 5 50 1000 -100 9223372036854775807 -9223372036854775808 x".split()
BATCH = 40


class Requests:
    """A stream of requests about what is sorted, and about what it is sorted by."""

    def __init__(self, seed: int, elements: int) -> None:
        self.chance = random.Random(seed)
        self.elements = elements
        self.pick = self.chance.choice

    def element(self) -> bytes:
        kind = self.chance.random()
        if kind < 0.9:
            return b"%d" % self.chance.randrange(self.elements)
        return self.pick(NUMBERS if kind < 0.99 else WORDS)

    def some(self) -> list[bytes]:
        return [self.element() for _ in range(self.chance.randrange(1, 12))]

    def members(self) -> list[bytes]:
        """Return elements of what has no order: none are equal up to a NUL."""
        return [one for one in self.some() if b"\x00" not in one] or [b"0"]

    def change(self) -> list[bytes]:
        """Return a request that changes a key."""
        name = b"%d" % self.chance.randrange(self.elements)
        scored = [word for one in self.members() for word in (self.pick(NUMBERS[:4]), one)]
        return self.pick([
            [b"RPUSH", self.pick(LISTS), *self.some()],
            [b"RPUSH", self.pick(LISTS), *self.some()],
            [b"LTRIM", self.pick(LISTS), b"2", b"%d" % self.elements],
            [b"SADD", self.pick(SETS), *self.members()],
            [b"SREM", self.pick(SETS), *self.some()],
            [b"ZADD", self.pick(ZSETS), *scored],
            [b"ZREM", self.pick(ZSETS), *self.some()],
            [b"DEL", self.pick([*LISTS, *SETS, *ZSETS])] if self.chance.random() < 0.2 else
            [b"OBJECT", b"ENCODING", self.pick([*LISTS, *SETS, *ZSETS])],
            [b"SET", b"w_" + name, self.element()],
            [b"SET", b"w_" + name, self.element()],
            [b"DEL", b"w_" + name, b"h_" + name],
            [b"HSET", b"h_" + name, self.pick([b"f", b"g"]), self.element()],
            [b"HSET", b"h_" + name, self.pick([b"f", b"g"]), self.element()],
            [b"RPUSH", name + b"_w", b"x"],
            [b"LRANGE", self.pick(LISTS), b"0", b"-1"],
        ])  # fmt: skip

    def one(self) -> list[bytes]:
        if self.chance.random() < 0.6:
            return self.change()
        key = self.pick(self.pick([LISTS, SETS, ZSETS, LISTS, SETS, ZSETS, OTHERS]))
        by = self.pick([None, None, self.pick(PATTERNS), self.pick(CONSTANT)])
        options = [[b"GET", self.pick([b"#", *PATTERNS, *CONSTANT])]
                   for _ in range(self.pick([0, 0, 0, 1, 2, 7]))]  # fmt: skip
        if by is not None:
            options.append([b"BY", by])
        more = (
            [b"LIMIT", self.pick(BOUNDS), self.pick(BOUNDS)],
            [b"ALPHA"],
            [self.pick([b"ASC", b"DESC", b"desc"])],
        )
        options += [words for words in more if self.chance.random() < 0.4]
        request = [b"SORT", key, *(word for words in options for word in words)]
        if self.chance.random() < 0.3 and not is_arbitrary(request):
            options.append([b"STORE", self.pick([*LISTS, b"d"])])
        if self.chance.random() < 0.03:
            options.append([self.pick([b"BY", b"nosuch", b"LIMIT"])])
        self.chance.shuffle(options)
        name = self.pick([b"SORT", b"SORT", b"sort_ro"])
        return [name, key, *(word for words in options for word in words)]


def is_arbitrary(request: Sequence[bytes]) -> bool:
    """Tell whether the real server may answer in an order of its own."""
    if request[0].lower() not in {b"sort", b"sort_ro"}:
        return False
    patterns = [after for word, after in pairwise(request) if word == b"BY"]
    if request[1] in SETS and any(b"*" not in one.split(b"\x00")[0] for one in patterns):
        return True
    return bool(patterns) and b"ALPHA" in request


def same(request: Sequence[bytes], ours: bytes, theirs: bytes) -> bool:
    if ours == theirs:
        return True
    if not is_arbitrary(request) or not ours[:1] == theirs[:1] == b"*":
        return False
    return len(value(ours)) == len(value(theirs))


def compare(seed: int, port: int, protocol: int, count: int, elements: int) -> list[str]:
    requests = Requests(seed, elements)
    ours, theirs = Embedded(seed), Peer(port)
    found: list[str] = []
    for words in ([b"HELLO", b"%d" % protocol], [b"FLUSHALL"]):
        ours.feed(encoded(words))
        theirs.ask(*words)
    for _ in range(count // BATCH):
        batch = [requests.one() for _ in range(BATCH)]
        replies = ours.answers(pipeline(batch))
        for request, one, other in zip(batch, replies, theirs.answers(batch), strict=True):
            if not same(request, one, other):
                found.append(f"{request!r:.300}\n  ours   {one!r:.400}\n  theirs {other!r:.400}")
        for key in (*LISTS, *SETS, *ZSETS, b"d"):
            (reply,) = theirs.answers([[b"DEBUG", b"DIGEST-VALUE", key]])
            if reply.split()[1].lstrip(b"+") != (ours.digest(0, key) or b"0" * 40):
                found.append(f"{key!r} differs")
        if len(found) > 20:
            break
    theirs.close()
    ours.check()
    return found


PEER_OPTIONS = ("--enable-debug-command", "yes")


def agree(seed: int, port: int, protocol: int, count: int, elements: int) -> None:
    found = compare(seed, port, protocol, count, elements)
    if found:
        shown = "\n".join(found[:12])
        raise Fault(f"seed {seed}: {len(found)} differences, first:\n{shown}")


@pytest.mark.real
@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("elements", [6, 40, 1000])
def test_every_reply_of_sort_is_the_real_servers(
    peer: servers.Server, elements: int, protocol: int
) -> None:
    agree(elements + protocol, peer.port, protocol, 4000, elements)


@pytest.mark.real
@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(2000, 2010))
def test_every_reply_of_sort_in_the_long_run_is_the_real_servers(
    peer: servers.Server, seed: int
) -> None:
    agree(seed, peer.port, 2 + seed % 2, 100_000, (6, 40, 1000)[seed % 3])
