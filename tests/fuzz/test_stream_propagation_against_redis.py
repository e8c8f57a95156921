"""What random stream commands propagate is what the real server sends its replicas.

Except where we say more or better (V4 and appendix A): every consumer that is created, XACK for
pending ids whose entries are gone, KEEPREF, no LIMIT and no NOMKSTREAM in a trim written out,
ids in full. Theirs may name a deleted entry as the first one that was kept.
"""

from __future__ import annotations

import pytest

from spineldb.client import INCOMPLETE, Decoder
from spineldb.core.effects import RecordingSink
from tests import servers
from tests.fuzz.test_against_redis import show
from tests.fuzz.test_propagation_against_redis import FRAME, MARKER, same_word
from tests.fuzz.test_streams_against_redis import DIGEST, Streams
from tests.support.embedded import Embedded
from tests.support.peer import Peer, Replica
from tests.support.rounds import go_on, long, seeds
from tests.support.wire import Fault, encoded

#: Redis 8.2.3 with small nodes and nothing that delays replication.
PEER_OPTIONS = ("--stream-node-max-entries", "4", "--repl-diskless-sync", "no")


def whole(word: bytes) -> bytes:
    """Take the form of an id that both may write."""
    return word.removesuffix(b"-0")


def facts(stream: list[list[bytes]], *, about: bool) -> list[list[bytes]]:
    """Return what happened, in the form that both share; `about` says that a trim had a `~`."""
    found: list[list[bytes]] = []
    for words in stream:
        name = words[0].upper()
        if name in FRAME or words[1] == MARKER:
            continue
        kept = [whole(word) for word in words if word.upper() not in {b"KEEPREF", b"NOMKSTREAM"}]
        if b"LIMIT" in kept:
            at = kept.index(b"LIMIT")
            del kept[at : at + 2]
        if name in {b"XADD", b"XTRIM"}:
            kept = ordered(kept)
            if about and b"MINID" in kept:
                del kept[kept.index(b"MINID") + 1]
        if words[1].upper() != b"CREATECONSUMER":
            found.append(kept)
    return found


def ordered(words: list[bytes]) -> list[bytes]:
    """Put the options of a trim into one order."""
    head, rest = words[:2], words[2:]
    first = [word for word in rest if word in {b"DELREF", b"ACKED"}]
    return [*head, *first, *(word for word in rest if word not in first and word != b"=")]


def read(data: bytes) -> list[list[bytes]]:
    decoder = Decoder()
    decoder.feed(data)
    return list(iter(decoder.next, INCOMPLETE))


def compare(seed: int, port: int, count: int) -> list[str]:
    requests, ours, theirs = Streams(seed), Embedded(seed), Peer(port)
    ours.keyspace.stream_node_max_entries = 4
    theirs.ask("FLUSHALL")
    replica = Replica(port)
    sink = RecordingSink()
    ours.effects.add_sink(sink)
    found: list[str] = []
    for number in range(count):
        request = requests.one()
        if request[0] == DIGEST:
            continue
        marker = [b"SET", MARKER, b"%d" % number]
        ours.feed(encoded(request))
        theirs.answers([request, marker])
        about = b"~" in request
        mine = facts(read(sink.take()), about=about)
        other = facts(replica.until(marker), about=about)
        if request[0] in {b"XCLAIM", b"XAUTOCLAIM"} and any(one[0] == b"XACK" for one in mine):
            continue
        if len(mine) != len(other) or not all(
            len(one) == len(two) and all(map(same_word, one, two))
            for one, two in zip(mine, other, strict=True)
        ):
            shown = [[show(one) for one in side] for side in (mine, other)]
            found.append(f"{show(request)}\n   ours   {shown[0]}\n   theirs {shown[1]}")
    replica.close()
    theirs.close()
    return found


def agree(seed: int, port: int) -> None:
    found = compare(seed, port, 3000)
    if found:
        shown = "\n".join(found[:20])
        raise Fault(f"seed {seed}: {len(found)} differences, first:\n{shown}")


@pytest.mark.real
@pytest.mark.parametrize("seed", seeds(3))
def test_what_streams_propagate_is_what_the_real_server_propagates(
    peer: servers.Server, seed: int
) -> None:
    agree(seed, peer.port)


@pytest.mark.real
@long
def test_what_streams_propagate_for_minutes_is_what_the_real_server_propagates(
    peer: servers.Server,
) -> None:
    go_on(lambda seed: agree(seed, peer.port))
