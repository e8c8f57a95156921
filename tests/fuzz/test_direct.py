"""Valid, boundary and broken requests, cut anywhere, from several clients of an engine by calls.

What must hold: replies are well-formed and errors begin with a code; nothing fails inside; the
dataset stays consistent; and when the clients are gone and the keys flushed, no byte is left.

Each episode has a fresh engine and a seed of its own. One that fails is played again with fewer and
fewer events, and the shortest log that still fails is shown. A crash of the process shows its seed
with `-s`.
"""

from __future__ import annotations

import asyncio
import random
import time

import pytest

from spineldb import commands
from spineldb.engine.command import CommandTable
from tests.support.embedded import Embedded
from tests.support.requests import Requests, broken_bytes, split
from tests.support.rounds import go_on, long, seeds
from tests.support.wire import Fault, check_reply, encoded, split_replies

TABLE = CommandTable(commands.FAMILIES)
UNFIT = frozenset({"shutdown", "client|pause", "config|set", "config|rewrite"})
CLIENTS = 4
EVENTS = 1500

#: A client and what it sends; None: it goes away. No client: the server does some housekeeping.
Event = tuple[int, bytes | None]
HOUSEKEEPING = (b"expire", b"work", b"defragment", b"age", b"cron")


def events_of(seed: int, count: int = EVENTS) -> list[Event]:
    """Return an episode's events."""
    chance = random.Random(seed)
    requests = Requests(TABLE, chance, skip=UNFIT, broken=chance.choice((0.0, 0.1, 0.3)))
    requests.now_ms = time.time_ns() // 1_000_000
    events: list[Event] = []
    while len(events) < count:
        client = chance.randrange(CLIENTS)
        if chance.random() < 0.02:
            events.append((-1, chance.choice(HOUSEKEEPING)))
        elif chance.random() < 0.05:
            data = broken_bytes(chance, requests.one())
            events += [(client, piece) for piece in split(chance, data)]
            if chance.random() < 0.7:
                events.append((client, None))
        else:
            data = b"".join(
                encoded(requests.one()) for _ in range(chance.choice((1, 1, 3, 16, 40)))
            )
            events += [(client, piece) for piece in split(chance, data)]
    return events


def housekeep(server: Embedded, what: bytes) -> None:
    match what:
        case b"expire":
            server.effects.expire(1000)
        case b"work":
            server.keyspace.run_work(1000)
        case b"defragment":
            server.keyspace.defragment()
        case b"age":
            server.keyspace.age()
        case _:
            server.network.cron()


async def play(seed: int, events: list[Event]) -> None:
    """Play an episode; raise `Fault` at the first broken promise. AUTH needs the loop."""
    server = Embedded(seed, CLIENTS)
    for client, data in events:
        if client < 0:
            housekeep(server, data or b"")
        elif data is None:
            server.client(client).close()
            server.client(client)
        else:
            for reply in split_replies(server.feed(data, client)):
                check_reply(reply)
        await asyncio.sleep(0)
        if server.dispatcher.internal_errors:
            raise Fault("internal error")
    if server.engine.emergency.active:
        raise Fault("emergency mode")
    server.check_end()


def fails(seed: int, events: list[Event]) -> bool:
    try:
        asyncio.run(play(seed, events))
    except Exception:  # noqa: BLE001 - any failure is the one looked for
        return True
    return False


def shortest(seed: int, events: list[Event], seconds: float = 60.0) -> list[Event]:
    """Leave events out as long as it still fails (delta debugging; Zeller, 1999)."""
    until = time.monotonic() + seconds
    size = len(events) // 2
    while size and time.monotonic() < until:
        at = 0
        while at < len(events) and time.monotonic() < until:
            fewer = events[:at] + events[at + size :]
            if fails(seed, fewer):
                events = fewer
            else:
                at += size
        size //= 2
    return events


def check_episode(seed: int) -> None:
    events = events_of(seed)
    try:
        asyncio.run(play(seed, events))
    except Exception as error:
        log = "\n".join(f"{client} {data!r:.500}" for client, data in shortest(seed, events))
        raise Fault(f"seed {seed}: {error!r}, also with these events alone:\n{log}") from error


@pytest.mark.parametrize("seed", seeds(8))
def test_nothing_a_client_sends_does_harm(seed: int) -> None:
    check_episode(seed)


@long
def test_nothing_that_clients_send_for_minutes_does_harm() -> None:
    go_on(check_episode)
