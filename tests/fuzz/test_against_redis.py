"""Random commands to us and to a real server: every reply the same, byte for byte.

Ours runs in this process and is called directly. Deadlines lie far ahead, so that nothing depends
on when a command runs; times that are told as what remains may differ by a little, and what comes
in no order is compared sorted. Then both datasets are compared, key by key.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from spineldb import clock, commands
from spineldb.engine.command import Command, CommandTable
from tests import servers
from tests.support.embedded import STRING_LIMIT, Embedded
from tests.support.peer import Peer
from tests.support.requests import NEVER, Requests
from tests.support.wire import Fault, encoded, pipeline, value

TABLE = CommandTable(commands.FAMILIES)
GROUPS = {"string", "bitmap", "hyperloglog", "generic", "server", "set", "sorted-set", "list"}
BATCH = 50
SLACK_MS = 2000  # between deadlines made from spans

Answers = Callable[[Sequence[Sequence[bytes]]], list[bytes]]
DigestOf = Callable[[int, bytes], bytes]
Content = tuple[bytes, int, bool | bytes]
FIRST_SEED = int(os.environ.get("SPINELDB_FUZZ_SEED", "1"))
#: What only we have, what tells of the machine, and what both choose by chance.
SKIPPED = NEVER | {
    "delifeq", "msetex", "info", "time", "role", "config", "object|help", "randomkey",
    "object|idletime", "object|freq", "lolwut", "memory", "latency", "slowlog", "commandlog",
    "module", "debug", "command", "client", "dbsize", "lastsave", "pfselftest",
    "spop", "srandmember", "zrandmember", "bzpopmin", "bzpopmax", "bzmpop",
}  # fmt: skip
#: What damage may leave of a request, and only the real server knows.
NOT_YET = {b"SYNC"}
#: Options: what only we have; a field that fails alone grows the string there (not here: rule U1).
LEFT_OUT = frozenset({"IFEQ", "FAIL", "NOSCORES"})

REMAINING = {b"ttl", b"pttl", b"expiretime", b"pexpiretime"}  # what relative times were made from
UNORDERED = {b"keys", b"smembers", b"sinter", b"sunion", b"sdiff"}
SCANS = {b"scan", b"sscan", b"zscan"}
INTEGER = re.compile(rb":(-?\d+)\r\n")


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Server]:
    """Return Redis 8.2.3, which settles every argument."""
    if servers.real_program("redis8") is None:
        pytest.skip("SPINELDB_REDIS8 names no server")
    folder: Path = tmp_path_factory.mktemp("redis")
    server = servers.start_real(
        "redis8", folder, "--save", "", "--proto-max-bulk-len", str(STRING_LIMIT),
        "--enable-debug-command", "yes",
    )  # fmt: skip
    yield server
    server.stop()


def fit(command: Command) -> bool:
    return command.group in GROUPS


def requests_of(seed: int) -> Requests:
    chance = random.Random(seed)
    requests = Requests(
        TABLE,
        chance,
        skip=SKIPPED,
        only=fit,
        broken=0.08,
        edge=0.06,
        without=LEFT_OUT,
        patient=True,
    )
    requests.now_ms = clock.unix_ms()
    return requests


def is_comparable(request: Sequence[bytes]) -> bool:
    """Tell whether the real server means what it answers.

    It cuts LSET's index to 32 bits, and leaves the order of equal strings to chance.
    """
    name = request[0].upper()
    far = name == b"LSET" and len(request) == 4 and len(request[2]) > 9
    options = {word.upper() for word in request[2:]}
    by_strings = name in {b"SORT", b"SORT_RO"} and options >= {b"ALPHA", b"BY"}  # equal ones
    return bool(name) and name not in NOT_YET and not far and not by_strings


def same(request: Sequence[bytes], ours: bytes, theirs: bytes) -> bool:
    """Tell whether two replies say the same."""
    if ours == theirs:
        return True
    name = request[0].lower() if request else b""
    if name in REMAINING:
        numbers = [INTEGER.fullmatch(reply) for reply in (ours, theirs)]
        if all(numbers):
            one, other = (int(number[1]) for number in numbers if number)
            slack = SLACK_MS if name.startswith(b"p") else 2
            return min(one, other) >= 0 and abs(one - other) <= slack
    if name in UNORDERED:
        one, other = value(ours), value(theirs)
        return ours[:1] == theirs[:1] and isinstance(one, list) and sorted(one) == sorted(other)
    if name in {b"sort", b"sort_ro"} and b"by" in {word.lower() for word in request[2:]}:
        one, other = value(ours), value(theirs)  # perhaps of a set that stays in no order
        return ours[:1] == theirs[:1] == b"*" and len(one) == len(other)
    if name in {b"expire", b"pexpire"} and {b"gt", b"lt"} & {word.lower() for word in request[3:]}:
        return {ours, theirs} == {b":0\r\n", b":1\r\n"}  # the same span, a millisecond later
    if name in SCANS:
        return ours[:1] == theirs[:1] == b"*"  # the cursors and the order are their own
    # V6: their limit depends on the key's length.
    return name == b"object" and {ours, theirs} == {b"$6\r\nembstr\r\n", b"$3\r\nraw\r\n"}


def contents(answers: Answers, digest_of: DigestOf, database: int) -> dict[bytes, Content]:
    """Return every key with its value, its deadline, and whether it is stored as a number.

    Of what is no string it is a digest and the encoding's name.
    """
    found: dict[bytes, Content] = {}
    answers([[b"SELECT", b"%d" % database]])
    (listed,) = answers([[b"KEYS", b"*"]])
    for key in value(listed):
        questions = [[b"GET", key], [b"PEXPIRETIME", key], [b"OBJECT", b"ENCODING", key]]
        text, deadline, encoding = map(value, answers(questions))
        if encoding in {b"int", b"embstr", b"raw"}:
            found[key] = (text, deadline, encoding == b"int")
        else:
            found[key] = (digest_of(database, key), deadline, encoding)
    return found


def digest_of_peer(peer: Peer, key: bytes) -> bytes:
    (reply,) = peer.answers([[b"DEBUG", b"DIGEST-VALUE", key]])
    return reply.split()[1].lstrip(b"+")


def alike(one: Content | None, other: Content | None) -> bool:
    """Tell whether two keys hold the same, their deadlines a little apart perhaps."""
    if one is None or other is None:
        return one is other
    return one[::2] == other[::2] and abs(one[1] - other[1]) < SLACK_MS


def show(request: Sequence[bytes]) -> str:
    return " ".join(repr(word)[2:-1] if len(word) < 80 else f"<{len(word)}>" for word in request)


def touching(log: list[str], request: Sequence[bytes]) -> list[str]:
    """Return the last requests that have a word in common with this one: what led to its reply."""
    words = set(show(request[1:]).split(" "))
    led = [line for line in log[:-1] if words & set(line.split("\n")[0].split(" ")[1:])]
    return [*led[-12:], log[-1]]


def compare(seed: int, port: int, protocol: int, count: int) -> list[str]:
    """Return how replies and datasets differ."""
    requests = requests_of(seed)
    ours, theirs = Embedded(seed), Peer(port)
    found: list[str] = []
    log: list[str] = []
    for words in ((b"HELLO", b"%d" % protocol), (b"FLUSHALL",)):
        ours.feed(encoded(words))
        theirs.ask(*words)
    for _ in range(count // BATCH):
        batch = [requests.one() for _ in range(BATCH)]
        batch = [one for one in batch if is_comparable(one)] or [[b"PING"]]
        replies = ours.answers(pipeline(batch))
        if len(replies) != len(batch):
            raise Fault(f"{len(batch)} requests, {len(replies)} replies")
        for request, one, reply in zip(batch, replies, theirs.answers(batch), strict=True):
            log.append(f"{show(request)}\n      {one[:80]!r}")
            if not same(request, one, reply):
                found.append("\n".join([*touching(log, request), f"   theirs {reply[:200]!r}"]))
    for database in range(4):
        mine = contents(lambda asked: ours.answers(pipeline(asked)), ours.digest, database)
        other = contents(
            theirs.answers, lambda _database, key: digest_of_peer(theirs, key), database
        )
        found += [
            f"db{database} {key!r}: {mine.get(key)!r:.200} / {other.get(key)!r:.200}"
            for key in mine.keys() | other.keys()
            if not alike(mine.get(key), other.get(key))
        ]
    theirs.close()
    ours.check()
    return found


def agree(seed: int, port: int, protocol: int, count: int) -> None:
    found = compare(seed, port, protocol, count)
    if found:
        shown = "\n".join(found[:20])
        raise Fault(f"seed {seed}, RESP{protocol}: {len(found)} differences, first:\n{shown}")


@pytest.mark.real
@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + 3))
def test_every_reply_is_the_real_servers(peer: servers.Server, seed: int, protocol: int) -> None:
    agree(seed, peer.port, protocol, 3000)


@pytest.mark.real
@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("seed", range(1000, 1020))
def test_every_reply_of_many_is_the_real_servers(
    peer: servers.Server, seed: int, protocol: int
) -> None:
    agree(seed, peer.port, protocol, 100_000)
