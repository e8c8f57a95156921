"""Random stream commands to us and to a real server: every reply the same.

The generator of `test_against_redis` knows nothing of ids; here a few streams, groups, consumers
and ids meet again and again. Times are left out of what is compared.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from spineldb.client import Map
from spineldb.engine.digest import EMPTY, of_value
from tests import servers
from tests.fuzz.test_against_redis import show, touching
from tests.support.embedded import Embedded
from tests.support.peer import Peer
from tests.support.rounds import go_on, long, seeds
from tests.support.wire import Fault, encoded, value

KEYS = [b"s", b"t", b"u"]
GROUPS = [b"g", b"h", b"i"]
CONSUMERS = [b"a", b"b", b"c"]
REFERENCES = [b"KEEPREF", b"DELREF", b"ACKED"]
BAD = [b"x", b"", b"1-", b"-", b"+", b"$", b">", b"(1", b"-1", b"1-1-1", b"18446744073709551616"]
EPOCH_MS = 10**11
DIGEST = b"DEBUG"
TIMES = {b"idle", b"inactive", b"seen-time", b"active-time"}
NODES = {b"radix-tree-keys", b"radix-tree-nodes"}


#: Redis 8.2.3 with nodes so small that many of them matter.
PEER_OPTIONS = ("--stream-node-max-entries", "4", "--enable-debug-command", "yes")


class Streams:
    """Makes requests."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.top = 1
        # 8.2.3 goes on sparing what a group had not read that was destroyed or moved by LASTID
        self.destroys = seed % 2 == 0
        # An exact trim may leave an empty node there: after it, `~` counts by other nodes.
        self.about = seed // 3 % 2 == 0
        self.references = REFERENCES[:2] if self.destroys else REFERENCES

    def pick(self, choices: list[bytes]) -> bytes:
        return self.chance.choice(choices)

    def often(self, probability: float) -> bool:
        return self.chance.random() < probability

    def id(self, *, ahead: bool = False) -> bytes:
        if self.often(0.015):
            return self.pick(BAD)
        if ahead:
            self.top += self.chance.choice([0, 0, 1, 1, 2])
            ms = self.top
        else:
            ms = self.chance.randint(max(0, self.top - 25), self.top + 1)
        if self.often(0.2):
            return b"%d" % ms
        return b"%d-%d" % (ms, self.chance.choice([0, 1, 1, 2, 3]))

    def ids(self) -> list[bytes]:
        return [self.id() for _ in range(self.chance.choice([1, 1, 2, 3]))]

    def bound(self, *, end: bool) -> bytes:
        if self.often(0.3):
            return b"+" if end else b"-"
        return (b"(" if self.often(0.25) else b"") + self.id()

    def count(self) -> bytes:
        return b"%d" % self.chance.choice([-1, 0, 1, 1, 2, 3, 10])

    def trim(self) -> list[bytes]:
        words = [b"MAXLEN"] if self.often(0.5) else [b"MINID"]
        if self.about:
            words.append(b"~")
        elif self.often(0.4):
            words.append(b"=")
        words.append(b"%d" % self.chance.randint(0, 20) if words[0] == b"MAXLEN" else self.id())
        if self.often(0.2):
            words += [b"LIMIT", b"%d" % self.chance.choice([0, 1, 4, 5, 9])]
        if self.often(0.3):
            words.insert(0 if self.often(0.5) else len(words), self.pick(self.references))
        if b"ACKED" in words and b"MAXLEN" in words and b"~" not in words:
            # 8.2.3 gives up in the node in which the length would have been reached.
            words = [b"ACKED", b"MAXLEN", b"0"]
        return words

    def referenced(self) -> list[bytes]:
        ids = self.ids()
        number = len(ids) if self.often(0.97) else self.chance.randint(-1, 4)
        words = [b"IDS", b"%d" % number, *ids]
        return [self.pick(self.references), *words] if self.often(0.8) else words

    def streams(self, special: bytes) -> list[bytes]:
        keys = [self.pick(KEYS) for _ in range(self.chance.choice([1, 1, 1, 2]))]
        return [
            b"STREAMS", *keys,
            *(special if self.often(0.7) else self.id() for _ in keys),
        ]  # fmt: skip

    def one(self) -> list[bytes]:
        make = self.chance.choices(
            [self.xadd, self.read, self.readgroup, self.claim, self.autoclaim, self.remove,
             self.group, self.look, self.setid],
            [30, 8, 20, 6, 6, 14, 8, 18, 1],
        )[0]  # fmt: skip
        words = make()
        if words[0] != DIGEST and self.often(0.01):
            del words[self.chance.randrange(1, len(words))]
        return words

    def xadd(self) -> list[bytes]:
        words = [b"XADD", self.pick(KEYS)]
        if self.often(0.05):
            words.append(b"NOMKSTREAM")
        if self.often(0.15):
            words += self.trim()
        one = self.id(ahead=True)
        words.append(one.split(b"-")[0] + b"-*" if self.often(0.3) else one)
        for _ in range(self.chance.choice([1, 1, 2, 3])):
            words += [self.pick([b"f", b"g", b"name"]), self.pick([b"", b"v", b"w" * 30, b"77"])]
        return words

    def read(self) -> list[bytes]:
        words = [b"XREAD"]
        if self.often(0.4):
            words += [b"COUNT", self.count()]
        return words + self.streams(self.pick([b"$", b"+", b"0"]))

    def readgroup(self) -> list[bytes]:
        words = [b"XREADGROUP", b"GROUP", self.pick(GROUPS), self.pick(CONSUMERS)]
        if self.often(0.6):
            words += [b"COUNT", self.count()]
        if self.often(0.1):
            words.append(b"NOACK")
        return words + self.streams(b">")

    def claim(self) -> list[bytes]:
        words = [b"XCLAIM", self.pick(KEYS), self.pick(GROUPS), self.pick(CONSUMERS),
                 self.pick([b"0", b"0", b"0", b"1000000", b"-1"]), *self.ids()]  # fmt: skip
        for option in (
            [b"FORCE"], [b"JUSTID"], [b"IDLE", b"50000"], [b"TIME", b"5000"],
            [b"RETRYCOUNT", self.count()], [b"LASTID", self.id()] if self.destroys else [],
        ):  # fmt: skip
            if self.often(0.2):
                words += option
        return words

    def autoclaim(self) -> list[bytes]:
        words = [b"XAUTOCLAIM", self.pick(KEYS), self.pick(GROUPS), self.pick(CONSUMERS),
                 self.pick([b"0", b"0", b"1000000"]), self.bound(end=False)]  # fmt: skip
        if self.often(0.6):
            words += [b"COUNT", self.count()]
        if self.often(0.3):
            words.append(b"JUSTID")
        return words

    def remove(self) -> list[bytes]:
        key = self.pick(KEYS)
        return self.chance.choice([
            [b"XDEL", key, *self.ids()],
            [b"XDEL", key, *self.ids()],
            [b"XACK", key, self.pick(GROUPS), *self.ids()],
            [b"XDELEX", key, *self.referenced()],
            [b"XACKDEL", key, self.pick(GROUPS), *self.referenced()],
            [b"XTRIM", key, *self.trim()],
        ])  # fmt: skip

    def group(self) -> list[bytes]:
        key, group, consumer = self.pick(KEYS), self.pick(GROUPS), self.pick(CONSUMERS)
        read = [b"ENTRIESREAD", self.count()] if self.often(0.2) else []
        one = self.chance.choice([b"$", b"0", self.id()])
        return self.chance.choice([
            [b"XGROUP", b"CREATE", key, group, one, b"MKSTREAM", *read],
            [b"XGROUP", b"CREATE", key, group, one, *read],
            [b"XGROUP", b"SETID", key, group, one, *read],
            [b"XGROUP", b"CREATECONSUMER", key, group, consumer],
            [b"XGROUP", b"DELCONSUMER", key, group, consumer],
            [b"XGROUP", b"DESTROY", key, group] if self.destroys else [b"XLEN", key],
            [b"DEL", key] if self.often(0.2) else [b"COPY", key, self.pick(KEYS), b"REPLACE"],
            [b"SET", key, b"string"] if self.often(0.05) else [b"XLEN", key],
        ])  # fmt: skip

    def look(self) -> list[bytes]:
        key, group = self.pick(KEYS), self.pick(GROUPS)
        count = [b"COUNT", self.count()] if self.often(0.4) else []
        start, end = self.bound(end=False), self.bound(end=True)
        idle = [b"IDLE", self.pick([b"0", b"1000000"])] if self.often(0.2) else []
        owner = [self.pick(CONSUMERS)] if self.often(0.3) else []
        return self.chance.choice([
            [b"XRANGE", key, start, end, *count],
            [b"XREVRANGE", key, end, start, *count],
            [b"XPENDING", key, group],
            [b"XPENDING", key, group, *idle, start, end, self.count(), *owner],
            [b"XINFO", b"STREAM", key],
            [b"XINFO", b"STREAM", key, b"FULL", *count],
            [b"XINFO", b"GROUPS", key],
            [b"XINFO", b"CONSUMERS", key, group],
            [DIGEST, b"DIGEST-VALUE", key],
        ])  # fmt: skip

    def setid(self) -> list[bytes]:
        words = [b"XSETID", self.pick(KEYS), self.id(ahead=True)]
        if self.often(0.4):
            words += [b"ENTRIESADDED", b"%d" % self.chance.randint(0, 60)]
        if self.often(0.3):
            words += [b"MAXDELETEDID", self.id()]
        return words


def timeless(reply: Any, *, pending: bool = False) -> Any:
    """Return a reply without what tells the time, how nodes are laid out, or a lag below zero."""
    if isinstance(reply, Map):
        reply = [part for pair in reply for part in pair]
    if not isinstance(reply, list):
        return "time" if isinstance(reply, int) and reply > EPOCH_MS else reply
    if pending and len(reply) == 4 and isinstance(reply[2], int):
        return [*reply[:2], "time", reply[3]]
    found: list[Any] = []
    for i, part in enumerate(reply):
        name = reply[i - 1] if i and isinstance(reply[i - 1], bytes) else b""
        if name in NODES or (name in TIMES and part != -1):
            found.append("some")
        elif name == b"lag" and isinstance(part, int) and part < 0:
            found.append(None)
        else:
            found.append(timeless(part, pending=pending))
    return found


def same(request: list[bytes], ours: bytes, theirs: bytes) -> bool:
    if ours == theirs:
        return True
    pending = request[0] == b"XPENDING"
    one, other = (timeless(value(reply), pending=pending) for reply in (ours, theirs))
    return repr(one) == repr(other)


def digest(ours: Embedded, key: bytes) -> bytes:
    found = of_value(ours.keyspace.databases[0], key) or EMPTY
    return b"*1\r\n+%s\r\n" % found.hex().encode()


def compare(seed: int, port: int, protocol: int, count: int) -> list[str]:
    requests, ours, theirs = Streams(seed), Embedded(seed), Peer(port)
    ours.keyspace.stream_node_max_entries = 4
    theirs.ask("FLUSHALL")
    for side in (ours, theirs):
        side.ask("HELLO", b"%d" % protocol)
    found: list[str] = []
    log: list[str] = []
    for _ in range(count):
        request = requests.one()
        if request[0] == DIGEST:
            mine = digest(ours, request[-1])
        else:
            (mine,) = ours.answers(encoded(request))
        (other,) = theirs.answers([request])
        log.append(f"{show(request)}\n   ours   {mine!r}\n   theirs {other!r}")
        if not same(request, mine, other):
            found.append("\n".join(touching(log[-400:], request)[-6:]))
    ours.ask("FLUSHALL")
    ours.rest()
    if ours.keyspace.used_memory != ours.empty_bytes:
        found.append(f"{ours.keyspace.used_memory - ours.empty_bytes} bytes are lost")
    theirs.close()
    return found


def agree(seed: int, port: int, protocol: int, count: int) -> None:
    found = compare(seed, port, protocol, count)
    if found:
        shown = "\n\n".join(found[:8])
        raise Fault(f"seed {seed}: {len(found)} differences, first:\n{shown}")


@pytest.mark.real
@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("seed", seeds(3))
def test_every_reply_is_the_real_server_s(peer: servers.Server, seed: int, protocol: int) -> None:
    agree(seed, peer.port, protocol, 4000)


@pytest.mark.real
@long
def test_every_reply_for_minutes_is_the_real_server_s(peer: servers.Server) -> None:
    go_on(lambda seed: agree(seed, peer.port, 2 + seed // 2 % 2, 20_000))
