"""Random commands to us and to a real server: the same keyspace events, in the same order.

On both sides somebody hears every event of every class; a message after each request tells which
events are its own. Replies are compared elsewhere.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import pytest

from spineldb import clock
from spineldb.client import INCOMPLETE, Decoder
from tests import servers
from tests.fuzz import test_against_redis, test_sort_against_redis, test_streams_against_redis
from tests.fuzz.test_against_redis import SKIPPED, TABLE, is_comparable, show, touching
from tests.fuzz.test_sort_against_redis import is_arbitrary
from tests.support.embedded import STRING_LIMIT, Embedded
from tests.support.events import EVERY_EVENT
from tests.support.peer import Peer
from tests.support.requests import Requests
from tests.support.wire import Fault, pipeline

BATCH = 40
AHEAD_MS = 10**9  # so that no deadline passes between the two
MARKER = b"the events of one request are told"
Event = tuple[bytes, bytes]  # channel, message
#: Commands of these groups meet in one run, so that values of one type replace another's.
FAMILIES = {
    "strings": {"string", "bitmap", "hyperloglog"},
    "keys": {"generic", "string", "list", "set", "sorted-set", "hash"},
    "lists": {"list", "generic", "string"},
    "sets": {"set", "generic", "string"},
    "sorted sets": {"sorted-set", "set", "geo", "generic"},
    "hashes": {"hash", "generic", "string"},
}


class Source(Protocol):
    """What makes requests."""

    def one(self) -> list[bytes]:
        """Return the next."""
        ...


def of_groups(seed: int, groups: set[str]) -> Requests:
    requests = Requests(
        TABLE,
        random.Random(seed),
        skip=SKIPPED | {"scan"},  # theirs buries what it meets
        only=lambda command: command.group in groups,
        broken=0.04,
        edge=0.04,
        without=test_against_redis.LEFT_OUT,
        patient=True,
        keys=[b"a", b"b", b"c", b"d", b""],
    )
    requests.now_ms = clock.unix_ms() + AHEAD_MS
    return requests


def source_of(family: str, seed: int) -> Source:
    if family == "streams":
        return test_streams_against_redis.Streams(seed)
    if family == "sorting":
        return test_sort_against_redis.Requests(seed, 30)
    return of_groups(seed, FAMILIES[family])


PEER_OPTIONS = (
    "--proto-max-bulk-len",
    str(STRING_LIMIT),
    "--notify-keyspace-events",
    "KEAmnoc",
    "--stream-node-max-entries",
    "4",
    "--enable-debug-command",
    "yes",
)


class Listener:
    """Cuts what a client hears into the events of each request."""

    def __init__(self, receive: Callable[[], bytes]) -> None:
        self.receive = receive
        self.decoder = Decoder()

    def events(self) -> list[Event]:
        """Return what was heard up to the next marker."""
        heard: list[Event] = []
        while True:
            message: Any = self.decoder.next()
            if message is INCOMPLETE:
                data = self.receive()
                if not data:
                    raise Fault(f"no marker, but {heard!r}")
                self.decoder.feed(data)
            elif message[-2] == MARKER:
                return heard
            elif message[0] == b"pmessage":
                heard.append((message[2], message[3]))


def depends_on_time(request: Sequence[bytes]) -> bool:
    """Tell whether a deadline is compared with one that was made a moment earlier or later."""
    options = {word.upper() for word in request[3:]}
    return b"EXPIRE" in request[0].upper() and bool(options & {b"GT", b"LT"})


def marked(batch: Sequence[Sequence[bytes]]) -> list[Sequence[bytes]]:
    return [words for request in batch for words in (request, [b"PUBLISH", MARKER, b""])]


def compare(family: str, seed: int, port: int, protocol: int, count: int) -> list[str]:
    """Return the requests whose events differ."""
    requests = source_of(family, seed)
    ours, theirs, theirs_heard = Embedded(seed, 2), Peer(port), Peer(port)
    ours.effects.listen(EVERY_EVENT)
    ours.keyspace.stream_node_max_entries = 4
    theirs.ask("FLUSHALL")
    theirs.ask("DEBUG", "SET-ACTIVE-EXPIRE", "0")  # what has passed goes when it is looked up
    hello = [b"HELLO", b"%d" % protocol], [b"PSUBSCRIBE", b"*"]
    ours.feed(pipeline(hello), 1)
    for words in hello:
        theirs_heard.ask(*words)
    one = Listener(lambda: ours.feed(b"", 1))
    other = Listener(lambda: theirs_heard.socket.recv(1 << 16))
    found: list[str] = []
    log: list[str] = []
    for _ in range(count // BATCH):
        batch = [requests.one() for _ in range(BATCH)]
        batch = [request for request in batch if is_comparable(request)]
        replies = ours.answers(pipeline(marked(batch)))[::2]
        answers = theirs.answers(marked(batch))[::2]
        for request, mine, answer in zip(batch, replies, answers, strict=True):
            here, there = one.events(), other.events()
            if depends_on_time(request) or (len(request) > 1 and is_arbitrary(request)):
                continue
            if request[0].upper() in {b"SORT", b"SORT_RO"}:  # of sets, in an order of their own
                here, there = sorted(here), sorted(there)
            log.append(f"{show(request)}\n      {mine[:60]!r}")
            if here != there:
                found.append(
                    "\n".join(
                        [
                            *touching(log[-300:], request),
                            f"   theirs {answer[:60]!r}",
                            f"   heard  {here!r}",
                            f"   theirs {there!r}",
                        ]
                    )
                )
    theirs.close()
    theirs_heard.close()
    ours.check()
    return found


def agree(family: str, seed: int, port: int, protocol: int, count: int) -> None:
    found = compare(family, seed, port, protocol, count)
    if found:
        shown = "\n\n".join(found[:10])
        raise Fault(f"{family}, seed {seed}: {len(found)} differences, first:\n{shown}")


@pytest.mark.real
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("family", [*FAMILIES, "streams", "sorting"])
def test_every_event_is_the_real_servers(peer: servers.Server, family: str, seed: int) -> None:
    agree(family, seed, peer.port, 2 + seed % 2, 2000)


@pytest.mark.real
@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(100, 104))
@pytest.mark.parametrize("family", [*FAMILIES, "streams", "sorting"])
def test_every_event_of_many_is_the_real_servers(
    peer: servers.Server, family: str, seed: int
) -> None:
    agree(family, seed, peer.port, 2 + seed % 2, 20_000)
