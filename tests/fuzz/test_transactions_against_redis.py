"""Random transactions of several clients, here and at a real server.

Clients watch keys of several databases, queue what can be queued and what cannot, make run-time
errors, discard, reset. After each pipeline the replies are the same byte for byte, both tell the
same of the client's state (CLIENT LIST), and replicas hear the same units: what is in one MULTI,
in which order, in which database. At the end the statistics of each command agree as well.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable

import pytest

from spineldb.client import INCOMPLETE, Decoder
from spineldb.core.effects import RecordingSink
from tests import servers
from tests.fuzz.test_against_redis import show
from tests.support.embedded import Embedded
from tests.support.peer import Peer, Replica
from tests.support.wire import Fault, pipeline, value

CLIENTS = 3
DATABASES = 3
KEYS = ["a", "b", "c", "d"]
SLACK_MS = 5000
STATE = re.compile(rb"\b(flags|db|multi|watch|resp|cmd)=(\S+)")
HELLO = re.compile(rb"\$6\r\nserver\r\n.*?\$4\r\nargs\r\n\*0\r\n", re.DOTALL)

Unit = list[tuple[int, list[bytes]]]

WRITES = (
    "SET k v", "SET k n", "INCR k", "DECRBY k n", "APPEND k v", "GETSET k v", "GETDEL k",
    "MSET k v k v", "MSETNX k v k v", "SETRANGE k 3 v", "INCRBYFLOAT k 1.5", "SETBIT k 5 1",
    "LPUSH k v v", "RPUSH k v", "LPOP k", "RPOP k 2", "LMOVE k k LEFT RIGHT", "LSET k 0 v",
    "LTRIM k 5 9", "SADD k m", "SREM k m", "SPOP k", "SMOVE k k m", "SUNIONSTORE k k k",
    "HSET k f v", "HINCRBY k f n", "HDEL k f", "ZADD k n m", "ZINCRBY k n m",
    "ZPOPMIN k", "ZREM k m", "ZUNIONSTORE k 2 k k", "XADD k * f v", "XTRIM k MAXLEN 1",
    "DEL k k", "UNLINK k", "RENAME k k", "RENAMENX k k", "COPY k k", "COPY k k DB d REPLACE",
    "MOVE k d", "EXPIRE k 1000", "PEXPIREAT k 1", "PERSIST k", "SET k v PX 5000000",
    "SET k v NX", "SET k v XX GET", "GETEX k PERSIST", "PFADD k v", "HSETNX k f v",
)  # fmt: skip
RARE_WRITES = ("SWAPDB d d", "FLUSHDB", "FLUSHALL")
READS = (
    "GET k", "MGET k k", "STRLEN k", "LRANGE k 0 -1", "SMEMBERS k", "HGETALL k", "HGET k f",
    "ZRANGE k 0 -1 WITHSCORES", "ZSCORE k m", "TYPE k", "EXISTS k k", "PING", "PING v", "ECHO v",
    "DBSIZE", "OBJECT ENCODING k", "XLEN k", "CLIENT GETNAME", "TOUCH k", "HEXISTS k f",
    "SELECT d", "SELECT d", "SELECT 99", "CLIENT SETNAME v",
)  # fmt: skip
WAITS = (
    "BLPOP k k 0", "BRPOP k 0", "BLMOVE k k LEFT RIGHT 0", "BLMPOP 0 2 k k LEFT",
    "BZPOPMIN k 0", "BZMPOP 0 1 k MIN", "XREAD BLOCK 0 STREAMS k $", "BRPOPLPUSH k k 0",
)  # fmt: skip
ERRORS = (
    "GET", "SET k", "NOSUCH k", "CONFIG FOO", "CLIENT", "INCR k k", "SET k v EX 0", "LPOP k -1",
    "SET k v BAD", "OBJECT FOO k", "ZADD k x m", "PING a b c",
)  # fmt: skip
FRAME = (
    "MULTI", "MULTI", "MULTI", "EXEC", "EXEC", "DISCARD", "WATCH k", "WATCH k k", "UNWATCH",
)  # fmt: skip
RARE_FRAME = (
    "RESET", "EXEC x", "DISCARD x", "MULTI x", "WATCH", "HELLO 2", "HELLO 3", "MONITOR x",
    "SHUTDOWN NOSAVE FOO",
)  # fmt: skip


#: Redis 8.2.3 with nothing that delays replication.
PEER_OPTIONS = ("--repl-diskless-sync", "no")


def filled(chance: random.Random, line: str) -> list[bytes]:
    """Return a request: keys, values and databases put where the line has their letters."""
    choices = {
        "k": lambda: chance.choice(KEYS),
        "v": lambda: chance.choice(["x", "text", "7", "w" * 70]),
        "n": lambda: str(chance.randrange(5)),
        "d": lambda: str(chance.randrange(DATABASES)),
        "f": lambda: chance.choice(["f", "g"]),
        "m": lambda: "m",  # one member, so that SPOP has no choice
    }
    return [(choices[word]() if word in choices else word).encode() for word in line.split()]


def requests_of(chance: random.Random, *, queueing: bool) -> list[list[bytes]]:
    """Return the next few requests of a client."""
    found: list[list[bytes]] = []
    for _ in range(chance.choice((1, 1, 2, 5))):
        kind = chance.random()
        if kind < 0.3:
            pool = FRAME if chance.random() < 0.9 else RARE_FRAME
        elif kind < 0.34:
            pool = ERRORS
        elif kind < 0.4 and queueing and not found:
            pool = WAITS  # outside they would wait
        elif kind < 0.75:
            pool = WRITES if chance.random() < 0.97 else RARE_WRITES
        else:
            pool = READS
        found.append(filled(chance, chance.choice(pool)))
        if found[-1][0] not in {b"EXEC", b"DISCARD", b"RESET"}:
            continue
        queueing = False
    return found


def units(stream: Iterable[list[bytes]], database: int) -> tuple[list[Unit], int]:
    """Return what a stream hands on together, each request with its database."""
    found: list[Unit] = []
    unit: Unit | None = None
    for argv in stream:
        match argv[0].upper():
            case b"SELECT":
                database = int(argv[1])
            case b"MULTI":
                unit = []
            case b"EXEC":
                assert unit is not None
                found.append(unit)
                unit = None
            case b"PING":
                pass
            case _ if unit is None:
                found.append([(database, argv)])
            case _:
                unit.append((database, argv))
    assert unit is None
    return found, database


def bare(unit: Unit) -> Unit:
    """Return a unit without conditions, which have been decided, and without what is none."""
    conditions = {b"NX", b"XX", b"GET"}
    return [
        (database, [word for word in argv if word.upper() not in conditions])
        for database, argv in unit
        if argv[0].upper() != b"SWAPDB" or argv[1] != argv[2]  # we say nothing of that
    ]


def same_units(ours: list[Unit], theirs: list[Unit]) -> bool:
    """Tell whether the same was handed on, times a little apart perhaps."""
    mine, other = ([some for unit in side if (some := bare(unit))] for side in (ours, theirs))
    if [len(unit) for unit in mine] != [len(unit) for unit in other]:
        return False
    return all(
        database == other_database and len(argv) == len(words) and all(map(same_word, argv, words))
        for unit, other_unit in zip(mine, other, strict=True)
        for (database, argv), (other_database, words) in zip(unit, other_unit, strict=True)
    )


def same_word(one: bytes, other: bytes) -> bool:
    if one.isdigit() and other.isdigit():
        return abs(int(one) - int(other)) <= SLACK_MS
    if re.fullmatch(rb"\d{13}-\d+", one):
        return re.fullmatch(rb"\d{13}-\d+", other) is not None
    return one.upper() == other.upper()


def comparable(reply: bytes) -> bytes:
    """Return a reply without the ids that a stream makes of the time, and what HELLO tells."""
    return HELLO.sub(b"<server>", re.sub(rb"\d{13}-\d+", b"<id>", reply))


def state(line: bytes) -> dict[bytes, bytes]:
    """Return what CLIENT LIST says of a client's transaction.

    Who has seen one of its keys change watches none any more; there not after FLUSHDB or SWAPDB.
    """
    found = dict(STATE.findall(line))
    if b"d" in found.get(b"flags", b""):
        del found[b"watch"]
    return found


class Both:
    """The clients of both servers."""

    def __init__(self, seed: int, port: int, protocol: int) -> None:
        self.ours = Embedded(seed, clients=CLIENTS + 1)
        self.theirs = [Peer(port) for _ in range(CLIENTS + 1)]
        self.protocols = [protocol] * (CLIENTS + 1)
        self.ask(CLIENTS, [[b"FLUSHALL"], [b"CONFIG", b"RESETSTAT"]])
        for index in range(CLIENTS):
            self.ask(index, [[b"HELLO", b"%d" % protocol]])
        self.replica = Replica(port)
        self.sink = RecordingSink()
        self.ours.effects.add_sink(self.sink)
        self.databases = [0, 0]
        self.ids = [self.identity(index) for index in range(CLIENTS)]
        self.number = 0

    def ask(self, index: int, requests: list[list[bytes]]) -> tuple[list[bytes], list[bytes]]:
        """Have a client send requests; return the replies of both servers."""
        theirs = self.theirs[index].answers(requests)
        return self.ours.answers(pipeline(requests), index), theirs

    def identity(self, index: int) -> tuple[bytes, bytes]:
        """Return a client's numbers."""
        ours, theirs = self.ask(index, [[b"CLIENT", b"ID"]])
        return ours[0][1:-2], theirs[0][1:-2]

    def states(self, index: int) -> tuple[dict[bytes, bytes], dict[bytes, bytes]]:
        """Return what both tell of a client's state."""
        mine, other = self.ids[index]
        ours = self.ours.answers(pipeline([[b"CLIENT", b"LIST", b"ID", mine]]), CLIENTS)
        theirs = self.theirs[CLIENTS].answers([[b"CLIENT", b"LIST", b"ID", other]])
        return state(ours[0]), state(theirs[0])

    def told(self) -> tuple[list[Unit], list[Unit]]:
        """Return what both have handed on since the last call."""
        self.number += 1
        marker = [b"SET", b"marker", b"%d" % self.number]
        self.theirs[CLIENTS].answers([[b"SELECT", b"9"], marker])
        decoder = Decoder()
        decoder.feed(self.sink.take())
        ours, self.databases[0] = units(iter(decoder.next, INCOMPLETE), self.databases[0])
        theirs, self.databases[1] = units(self.replica.until(marker), self.databases[1])
        return ours, theirs

    def statistics(self) -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]]:
        """Return what both counted of each command: calls, refusals, failures."""
        ours = {
            one.name: (one.calls, one.rejected, one.failed)
            for one in self.ours.dispatcher.everything()
            if one.calls or one.rejected
        }
        (reply,) = self.theirs[CLIENTS].answers([[b"INFO", b"commandstats"]])
        found = re.findall(
            r"cmdstat_(\S+):calls=(\d+),.*?rejected_calls=(\d+),failed_calls=(\d+)",
            value(reply).decode(),
        )
        theirs = {name: tuple(map(int, numbers)) for name, *numbers in found}
        ignored = {"info", "client|list", "client|id", "select", "set", "psync", "sync", "replconf"}
        return tuple(  # type: ignore[return-value]
            {name: counts for name, counts in side.items() if name not in ignored}
            for side in (ours, theirs)
        )

    def close(self) -> None:
        for one in self.theirs:
            one.close()
        self.replica.close()


def compare(seed: int, port: int, protocol: int, count: int) -> None:
    """Raise a fault at the first difference."""
    chance = random.Random(seed)
    both = Both(seed, port, protocol)
    log: list[str] = []
    queueing = [False] * CLIENTS

    def check(what: str, ours: object, theirs: object, *, same: bool) -> None:
        if not same:
            lines = [f"seed {seed}, RESP{protocol}: {what}", *log[-30:]]
            raise Fault("\n".join([*lines, f"ours   {ours}", f"theirs {theirs}"]))

    for _ in range(count):
        index = chance.randrange(CLIENTS)
        requests = requests_of(chance, queueing=queueing[index])
        ours, theirs = both.ask(index, requests)
        for request, one in zip(requests, ours, strict=True):
            log.append(f"{index}: {show(request)} -> {one[:200]!r}")
        one, other = [list(map(comparable, replies)) for replies in (ours, theirs)]
        check("replies", one, other, same=one == other)
        one, other = both.states(index)
        check("state", one, other, same=one == other)
        queueing[index] = one[b"multi"] != b"-1"
        units_of = both.told()
        check("units", *units_of, same=same_units(*units_of))
    statistics = both.statistics()
    check("statistics", *statistics, same=statistics[0] == statistics[1])
    both.close()
    both.ours.check()


@pytest.mark.real
@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("seed", range(1, 4))
def test_transactions_are_the_real_servers(peer: servers.Server, seed: int, protocol: int) -> None:
    compare(seed, peer.port, protocol, 500)


@pytest.mark.real
@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("seed", range(100, 110))
def test_many_transactions_are_the_real_servers(
    peer: servers.Server, seed: int, protocol: int
) -> None:
    compare(seed, peer.port, protocol, 10_000)
