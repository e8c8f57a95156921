"""What random commands propagate is what the real server sends its replicas.

We leave conditions out (NX, GT, GET ...), because what is propagated has been decided, and say
nothing of a SWAPDB of a database with itself; HINCRBYFLOAT of a field without a deadline is HSET
(V3), and HGETDEL deletes the fields that there were. Keys whose time has passed are deleted by
either at a moment of its own; times made from spans differ by the milliseconds between the two.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from spineldb.client import INCOMPLETE, Decoder
from spineldb.core.effects import RecordingSink
from tests import servers
from tests.fuzz.test_against_redis import is_comparable, requests_of, show
from tests.support.embedded import STRING_LIMIT, Embedded
from tests.support.peer import Peer, Replica
from tests.support.rounds import go_on, long, seeds
from tests.support.wire import Fault, encoded

CONDITIONS = {b"NX", b"XX", b"GT", b"LT", b"GET"}
FRAME = {b"PING", b"MULTI", b"EXEC", b"SELECT"}
DELETIONS = {b"DEL", b"UNLINK"}
DELETERS = DELETIONS | {b"GETDEL", b"GETEX"}  # what propagates them in its own right
MARKER = b"marker"
SLACK_MS = 3000


#: Redis 8.2.3 with nothing that delays replication.
PEER_OPTIONS = ("--proto-max-bulk-len", str(STRING_LIMIT), "--repl-diskless-sync", "no")


def facts(stream: Iterable[list[bytes]], *, deletes: bool) -> list[list[bytes]]:
    """Return what happened: no frame, no conditions, no deletion of what had expired before."""
    found: list[list[bytes]] = []
    for name, *words in stream:
        kind = name.upper()
        if kind in FRAME or (kind in DELETIONS and (not deletes or words == [MARKER])):
            continue
        if kind == b"HSETEX" and words[1:4] == [b"KEEPTTL", b"FIELDS", b"1"]:
            kind, words = b"HSET", [words[0], *words[4:]]  # noqa: PLW2901 - theirs of HINCRBYFLOAT
        if kind != b"SWAPDB" or words[0] != words[1]:
            found.append([kind, *(word for word in words if word.upper() not in CONDITIONS)])
    return found


def as_ours(request: list[bytes], stream: list[list[bytes]]) -> list[list[bytes]]:
    """Return what the real server propagates of some commands in our form."""
    match request[0].upper(), stream:
        case b"HINCRBYFLOAT", [[b"HSETEX", key, b"KEEPTTL", b"FIELDS", b"1", field, text]]:
            return [[b"HSET", key, field, text]]
        case _:
            return stream


def same_deletion(ours: list[list[bytes]], theirs: list[list[bytes]]) -> bool:
    """Tell whether HGETDEL deleted some of the fields that the real server names."""
    if len(ours) != 1 or len(theirs) != 1:
        return ours == theirs
    return ours[0][:2] == theirs[0][:2] and set(ours[0][2:]) <= set(theirs[0][2:])


def leaves_an_expired_key(request: list[bytes], now_ms: int) -> bool:
    """Tell whether it sets a deadline in the past: either deletes the key when it likes."""
    words = [word.upper() for word in request]
    for unit, token in ((1000, b"EXAT"), (1, b"PXAT")):
        at = words.index(token) + 1 if token in words else len(words)
        if at < len(words) and words[at].isdigit() and int(words[at]) * unit <= now_ms:
            return True
    return False


def same_word(one: bytes, other: bytes) -> bool:
    if one.isdigit() and other.isdigit():
        return abs(int(one) - int(other)) <= SLACK_MS
    return one.upper() == other.upper()


def same(ours: list[list[bytes]], theirs: list[list[bytes]]) -> bool:
    if len(ours) != len(theirs):
        return False
    return all(
        len(one) == len(other) and all(map(same_word, one, other))
        for one, other in zip(ours, theirs, strict=True)
    )


def compare(seed: int, port: int, count: int) -> list[str]:
    requests = requests_of(seed)
    requests.broken = 0.0
    ours, theirs = Embedded(seed), Peer(port)
    theirs.ask("FLUSHALL")
    replica = Replica(port)
    sink = RecordingSink()
    ours.effects.add_sink(sink)
    found: list[str] = []
    for number in range(count):
        request = requests.one()
        if leaves_an_expired_key(request, requests.now_ms):
            continue  # it would leave a key for either to delete when it likes
        if not is_comparable(request):
            continue
        marker = [b"SET", MARKER, b"%d" % number]
        ours.feed(encoded(request))
        theirs.answers([request, marker, [b"DEL", MARKER]])
        deletes = request[0].upper() in DELETERS
        decoder = Decoder()
        decoder.feed(sink.take())
        mine = facts(iter(decoder.next, INCOMPLETE), deletes=deletes)
        other = facts(replica.until(marker), deletes=deletes)
        if request[0].upper() == b"BITOP" and not (mine and other):
            continue  # its destination is deleted, or had expired and was buried
        other = as_ours(request, other)
        if request[0].upper() == b"HGETDEL" and same_deletion(mine, other):
            continue
        if not same(mine, other):
            shown = [[show(one) for one in side] for side in (mine, other)]
            found.append(f"{show(request)}\n   ours   {shown[0]}\n   theirs {shown[1]}")
    replica.close()
    theirs.close()
    return found


def agree(seed: int, port: int, count: int) -> None:
    found = compare(seed, port, count)
    if found:
        shown = "\n".join(found[:20])
        raise Fault(f"seed {seed}: {len(found)} differences, first:\n{shown}")


@pytest.mark.real
@pytest.mark.parametrize("seed", seeds(2))
def test_what_is_propagated_is_what_the_real_server_propagates(
    peer: servers.Server, seed: int
) -> None:
    agree(seed, peer.port, 3000)


@pytest.mark.real
@long
def test_what_is_propagated_for_minutes_is_what_the_real_server_propagates(
    peer: servers.Server,
) -> None:
    go_on(lambda seed: agree(seed, peer.port, 3000))
