"""Several clients write lists, sorted sets and streams and wait for them, here and at Redis.

After each request all clients hear the same on both sides, and so do the replicas: who is served,
in which order, what is propagated of it. So nothing is lost and nothing is
handed out twice. Not SWAPDB: there the keys it fills are served in the order of a hash table.
"""

from __future__ import annotations

import random
import select

import pytest

from spineldb.client import INCOMPLETE, Decoder, encode
from spineldb.core.effects import RecordingSink
from tests import servers
from tests.support.peer import Peer, Replica
from tests.support.rounds import go_on, long, seeds
from tests.support.several import Party
from tests.support.wire import Fault

KEYS = ["a", "b", "c", "d"]
CLIENTS = 7
FRAME = {b"PING", b"MULTI", b"EXEC", b"SELECT"}
SETTLE_SECONDS = 0.002


#: Redis 8.2.3 with nothing that delays replication.
PEER_OPTIONS = ("--repl-diskless-sync", "no")


def line(chance: random.Random, number: int) -> str:
    """Return a request that writes a key, or waits for one."""
    key, other = chance.choice(KEYS), chance.choice(KEYS)
    side, to = chance.choice(["LEFT", "RIGHT"]), chance.choice(["LEFT", "RIGHT"])
    keys = " ".join(chance.sample(KEYS, chance.randint(1, 3)))
    some = " ".join(f"e{number}.{n}" for n in range(chance.randint(1, 4)))
    return chance.choice([
        f"{chance.choice(['LPUSH', 'RPUSH'])} {key} {some}",
        f"{chance.choice(['LPUSH', 'RPUSH'])} {key} {some}",
        f"{chance.choice(['BLPOP', 'BRPOP'])} {keys} 0",
        f"{chance.choice(['BLPOP', 'BRPOP'])} {keys} 0",
        f"BLMPOP 0 {len(keys.split())} {keys} {side} COUNT {chance.randint(1, 3)}",
        f"BLMOVE {key} {other} {side} {to} 0",
        f"BRPOPLPUSH {key} {other} 0",
        f"{chance.choice(['BZPOPMIN', 'BZPOPMAX'])} {keys} 0",
        f"BZMPOP 0 {len(keys.split())} {keys} {chance.choice(['MIN', 'MAX'])}",
        f"BZMPOP 0 {len(keys.split())} {keys} MIN COUNT {chance.randint(1, 3)}",
        f"XREAD BLOCK 0 STREAMS {keys} {' '.join(chance.choice('0$+') for _ in keys.split())}",
        f"LMOVE {key} {other} {side} {to}",
        f"{chance.choice(['RENAME', 'RENAMENX', 'COPY'])} {key} {other}",
        f"MOVE {key} 1",
        f"SET {key} text",
        f"ZADD {key} {number} m{number}",
        f"ZADD {key} {number} m{number} -{number} n{number}",
        f"XADD {key} {number}-1 f v",
        f"DEL {key}",
        f"LTRIM {key} 0 2",
    ])  # fmt: skip


def sent(chance: random.Random, number: int) -> list[str]:
    """Return a request, or a transaction: who waits is served when all of it is over."""
    if chance.random() < 0.75:
        return [line(chance, number)]
    return ["MULTI", *(line(chance, number) for _ in range(chance.randint(1, 5))), "EXEC"]


def encoded(requests: list[str]) -> bytes:
    """Return requests as they are sent."""
    return b"".join(encode(request.split()) for request in requests)


class Theirs:
    """The clients of the real server."""

    def __init__(self, port: int) -> None:
        self.clients = [Peer(port) for _ in range(CLIENTS)]
        self.control = Peer(port)

    def heard(self) -> list[bytes]:
        """Return what each client has received since the last call."""
        self.control.answers([[b"PING"], [b"PING"]])
        while True:
            ready, _, _ = select.select(
                [one.socket for one in self.clients], [], [], SETTLE_SECONDS)  # fmt: skip
            if not ready:
                break
            for one in self.clients:
                if one.socket in ready:
                    one.receive()
        found = [one.received for one in self.clients]
        for one in self.clients:
            one.received = b""
        return found


def facts(stream: bytes) -> list[list[bytes]]:
    """Return the requests of a stream that say what happened."""
    decoder = Decoder()
    decoder.feed(stream)
    return [one for one in iter(decoder.next, INCOMPLETE) if one[0].upper() not in FRAME]


def compare(seed: int, port: int, count: int) -> None:
    """Raise a fault at the first difference."""
    chance = random.Random(seed)
    theirs = Theirs(port)
    theirs.control.answers([[b"FLUSHALL"]])
    replica = Replica(port)
    party = Party()
    sink = RecordingSink()
    party.engine.effects.add_sink(sink)
    ours = [party.join().connection for _ in range(CLIENTS)]
    parked: set[int] = set()
    log: list[str] = []
    for number in range(count):
        idle = [index for index in range(CLIENTS) if index not in parked]
        if not idle:
            index = chance.choice(sorted(parked))  # somebody must go before another can push
            ours[index].close()
            ours[index].feed()  # the turn in which it goes
            theirs.clients[index].close()
            ours[index], theirs.clients[index] = party.join().connection, Peer(port)
            parked.discard(index)
            idle = [index]
            theirs.control.answers([[b"PING"], [b"PING"]])
        index = chance.choice(idle)
        requests = sent(chance, number)
        log.append(f"{index}: {'; '.join(requests)}")
        theirs.clients[index].send(encoded(requests))
        mine = [b""] * CLIENTS
        mine[index] = ours[index].feed(encoded(requests))
        mine = [had + one.feed(b"") for had, one in zip(mine, ours, strict=True)]
        other = theirs.heard()
        if mine != other:
            raise Fault(
                "\n".join([f"seed {seed}", *log[-25:], f"ours   {mine}", f"theirs {other}"])
            )
        parked = {one for one in {*parked, index} if not mine[one]}
        marker = [b"SET", b"marker", b"%d" % number]
        theirs.control.answers([[b"SELECT", b"9"], marker])
        told = facts(sink.take())
        expected = [one for one in replica.until(marker) if one[0].upper() not in FRAME]
        if told != expected:
            raise Fault("\n".join([f"seed {seed}", *log[-25:], f"{told}", f"{expected}"]))
    for one in [*theirs.clients, theirs.control]:
        one.close()
    replica.close()


@pytest.mark.real
@pytest.mark.parametrize("seed", seeds(3))
def test_waiting_clients_hear_what_the_real_servers_do(peer: servers.Server, seed: int) -> None:
    compare(seed, peer.port, 300)


@pytest.mark.real
@long
def test_waiting_clients_hear_for_minutes_what_the_real_servers_do(peer: servers.Server) -> None:
    go_on(lambda seed: compare(seed, peer.port, 3000))
