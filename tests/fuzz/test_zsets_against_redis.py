"""Sorted sets, ours and a real server's: requests that mostly make sense, every reply the same."""

from __future__ import annotations

import random

import pytest

from tests import servers
from tests.fuzz.test_against_redis import scores_of
from tests.support.embedded import Embedded
from tests.support.peer import Peer
from tests.support.rounds import go_on, long
from tests.support.wire import Fault, encoded, pipeline, same_numbers, value

KEYS = [b"a", b"b", b"c"]
SCORES = (
    b"0 1 2 3 -1 0.5 0.1 1e10 -0 inf -inf 1e300 70000 3000000000 17 1e-10 1e400 5. x 0x10".split()
)
BOUNDS = [*SCORES, *(b"(" + score for score in SCORES), b"-inf", b"+inf", b"(1", b"", b" 1"]
NAMES = [b"-", b"+", b"[m1", b"(m1", b"[m5", b"(m30", b"[", b"(", b"[zz", b"x", b"[m2]", b""]
COUNTS = b"0 1 2 3 10 100 -1 -2 -5 x 9223372036854775807 -9223372036854775808".split()
MEMBERS = [6, 40, 1000]  # names: few, a small set of them, a large one
BATCH = 50


class Requests:
    """A stream of requests about three sorted sets and a few plain ones."""

    def __init__(self, seed: int, members: int) -> None:
        self.chance = random.Random(seed)
        self.members = members
        self.pick = self.chance.choice
        # Where scores differ, what a skip list answers by name is a matter of chance.
        self.by_name = KEYS if members < 10 else [b"l"]

    def member(self) -> bytes:
        name = b"m%d" % self.chance.randrange(self.members)
        return name * 30 if self.members == MEMBERS[-1] and self.chance.random() < 0.005 else name

    def maybe(self, *words: bytes, odds: float = 0.3) -> list[bytes]:
        return list(words) if self.chance.random() < odds else []

    def bounds(self) -> tuple[list[bytes], list[bytes]]:
        """Return two bounds, and the words that say what they are."""
        by = self.pick([BOUNDS, NAMES, COUNTS] if self.by_name == KEYS else [BOUNDS, COUNTS])
        limit = self.maybe(b"LIMIT", self.pick(COUNTS), self.pick(COUNTS))
        if by is NAMES:
            limit = []  # it counts, of members with different scores, whatever it meets
        word = {id(BOUNDS): [b"BYSCORE"], id(NAMES): [b"BYLEX"], id(COUNTS): []}[id(by)]
        return [self.pick(by), self.pick(by)], word + self.maybe(b"REV") + limit

    def several(self) -> list[bytes]:
        """Return what ZUNION takes."""
        keys = [self.pick([*KEYS, b"s", b"i", b"none"]) for _ in range(self.chance.randrange(1, 4))]
        weights = self.maybe(b"WEIGHTS", *(self.pick(SCORES) for _ in keys))
        total = self.maybe(b"AGGREGATE", self.pick([b"SUM", b"MIN", b"MAX"]))
        return [b"%d" % len(keys), *keys, *weights, *total]

    def keys_only(self) -> list[bytes]:
        found = self.several()
        return found[: int(found[0]) + 1]

    def one(self) -> list[bytes]:
        key = self.pick(KEYS)
        ends, how = self.bounds()
        kind = self.chance.randrange(32)
        named = self.pick(self.by_name)
        if named == b"l" and self.chance.random() < 0.1:
            return [b"ZADD", named, b"0", self.member(), b"0", self.member()]
        if kind < 10:
            options = self.maybe(self.pick([b"NX", b"XX", b"GT", b"LT", b"CH", b"INCR"]))
            pairs = [
                (self.pick(SCORES[:16]), self.member())
                for _ in range(1 if b"INCR" in options else self.chance.randrange(1, 8))
            ]
            return [b"ZADD", key, *options, *(word for pair in pairs for word in pair)]
        with_scores = self.maybe(b"WITHSCORES")
        return [
            [b"ZINCRBY", key, self.pick(SCORES), self.member()],
            [b"ZREM", key, self.member(), self.member(), self.member()],
            [b"ZSCORE", key, self.member()],
            [b"ZMSCORE", key, self.member(), self.member()],
            [b"ZCARD", key],
            [self.pick([b"ZRANK", b"ZREVRANK"]), key, self.member(), *self.maybe(b"WITHSCORE")],
            [b"ZRANGE", key, *ends, *how, *with_scores],
            [b"ZRANGESTORE", self.pick(KEYS), key, *ends, *how],
            [self.pick([b"ZRANGEBYSCORE", b"ZREVRANGEBYSCORE"]), key, self.pick(BOUNDS),
             self.pick(BOUNDS), *with_scores, *self.maybe(b"LIMIT", b"1", b"3")],
            [self.pick([b"ZRANGEBYLEX", b"ZREVRANGEBYLEX"]), named, self.pick(NAMES),
             self.pick(NAMES), *self.maybe(b"LIMIT", b"1", b"3", odds=0.3 * (named == b"l"))],
            [b"ZREVRANGE", key, self.pick(COUNTS), self.pick(COUNTS), *with_scores],
            [b"ZCOUNT", key, self.pick(BOUNDS), self.pick(BOUNDS)],
            [b"ZLEXCOUNT", named, self.pick(NAMES), self.pick(NAMES)],
            [self.pick([b"ZPOPMIN", b"ZPOPMAX"]), key, *self.maybe(self.pick(COUNTS[:6]))],
            [b"ZMPOP", *self.keys_only(), self.pick([b"MIN", b"MAX"]),
             *self.maybe(b"COUNT", self.pick(COUNTS[:5]))],
            [b"ZREMRANGEBYSCORE", key, self.pick(BOUNDS), self.pick(BOUNDS)]
            if self.chance.random() < 0.1 else [b"ZREMRANGEBYRANK", key, b"2", b"3"],
            [b"ZREMRANGEBYLEX", named, b"[m2", self.pick([b"[m3", b"(m2", b"[m21"])],
            [self.pick([b"ZUNION", b"ZINTER"]), *self.several(), *with_scores],
            [self.pick([b"ZUNIONSTORE", b"ZINTERSTORE"]), self.pick(KEYS), *self.several()],
            [b"ZDIFF", *self.keys_only(), *with_scores],
            [b"ZINTERCARD", *self.keys_only(), *self.maybe(b"LIMIT", self.pick(COUNTS[:6]))],
            [b"OBJECT", b"ENCODING", key],
        ][kind - 10]  # fmt: skip


def same(ours: bytes, theirs: bytes, *, signs: bool) -> bool:
    """Tell whether two replies say the same; `signs`: of zeros as well.

    Redis forgets these when a set in the making becomes a skip list.
    """
    if ours == theirs:
        return True
    if signs and ours.count(b"-0\r") != theirs.count(b"-0\r"):
        return False
    return same_numbers(value(ours), value(theirs))


def compare(seed: int, port: int, protocol: int, count: int, members: int) -> list[str]:
    requests = Requests(seed, members)
    ours, theirs = Embedded(seed), Peer(port)
    found: list[str] = []
    start = [
        [b"HELLO", b"%d" % protocol],
        [b"FLUSHALL"],
        [b"SADD", b"s", b"m1", b"m2", b"x"],
        [b"SADD", b"i", b"1", b"2", b"-5"],
        [b"ZADD", b"c", b"1", b"1", b"2", b"2"],
    ]
    for words in start:
        ours.feed(encoded(words))
        theirs.ask(*words)
    for _ in range(count // BATCH):
        batch = [requests.one() for _ in range(BATCH)]
        replies = ours.answers(pipeline(batch))
        for request, one, other in zip(batch, replies, theirs.answers(batch), strict=True):
            if not same(one, other, signs=members < MEMBERS[-1]):
                found.append(f"{request!r:.300}\n  ours   {one!r:.300}\n  theirs {other!r:.300}")
        for key in KEYS:
            mine = scores_of(lambda asked: ours.answers(pipeline(asked)), key)
            if mine != scores_of(theirs.answers, key):
                found.append(f"{key!r} differs")
    theirs.close()
    ours.check()
    return found


PEER_OPTIONS = ("--enable-debug-command", "yes")


def agree(seed: int, port: int, protocol: int, members: int) -> None:
    found = compare(seed, port, protocol, 6000, members)
    if found:
        shown = "\n".join(found[:12])
        raise Fault(f"seed {seed}: {len(found)} differences, first:\n{shown}")


@pytest.mark.real
@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("members", MEMBERS)
def test_every_reply_about_sorted_sets_is_the_real_servers(
    peer: servers.Server, members: int, protocol: int
) -> None:
    agree(members + protocol, peer.port, protocol, members)


@pytest.mark.real
@long
def test_every_reply_about_sorted_sets_for_minutes_is_the_real_servers(
    peer: servers.Server,
) -> None:
    go_on(lambda seed: agree(seed, peer.port, 2 + seed // 3 % 2, MEMBERS[seed % 3]))
