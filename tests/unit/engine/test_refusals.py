"""Who is refused for lack of memory, and that what is refused changes nothing (rule U1).

The commands come from the table, so that one that is declared tomorrow takes part by itself.
"""

from __future__ import annotations

import random
from collections import Counter

import pytest

from spineldb import commands
from spineldb.core.effects import RecordingSink
from spineldb.engine.command import Command, CommandTable, Flag
from tests.support.embedded import Embedded
from tests.support.requests import KEYS, NEVER, Requests
from tests.support.wire import encoded

TABLE = CommandTable(commands.FAMILIES)
TRIES = 25
NOT_ASKED = NEVER | {"debug", "client", "swapdb", "flushall", "flushdb"}
OF_EVERY_TYPE = (
    "RPUSH 3 1 2", "HSET 1 a 2 b", "SADD 1 2 m", "ZADD 1 1 2 m", "XADD * f v", "PFADD a b",
    "BF.ADD m",
)  # fmt: skip
#: What makes room, or needs it: a request, and one that shows what it has done.
AT_THE_LIMIT = [
    ("RPUSH list x", "LLEN list", 4),
    ("LPUSHX list x", "LLEN list", 4),
    ("LINSERT list BEFORE 2 x", "LLEN list", 4),
    ("LSET list 0 longer", "LLEN list", 3),
    ("RPOPLPUSH list new", "LLEN new", 1),
    ("LMOVE list new LEFT LEFT", "LLEN new", 1),
    ("BLMOVE list new LEFT LEFT 0", "LLEN new", 1),
    ("HSET hash new x", "HLEN hash", 3),
    ("HSETNX hash new x", "HLEN hash", 3),
    ("HINCRBY hash count 1", "HLEN hash", 3),
    ("HINCRBYFLOAT hash count 1.5", "HLEN hash", 3),
    ("HSETEX hash FIELDS 1 new x", "HLEN hash", 3),
    ("SORT list STORE new", "LLEN new", 3),
    ("SORT list", "LLEN list", 3),
    ("PFADD hll c", "PFCOUNT hll", 3),
    ("PFMERGE new hll other", "PFCOUNT new", 3),
    ("SADD set 4", "SCARD set", 4),
    ("ZADD zset 4 d", "ZCARD zset", 4),
    ("XADD stream * f v", "XLEN stream", 1),
]
#: What needs none.
WITHOUT = [
    "PFCOUNT hll other", "LPOP list", "LTRIM list 1 1", "LREM list 0 2", "BLPOP list 0",
    "LMPOP 1 list LEFT", "HDEL hash a", "HEXPIRE hash 100 FIELDS 1 a", "HPERSIST hash FIELDS 1 a",
    "HGETDEL hash FIELDS 1 a", "HGETEX hash EX 100 FIELDS 1 a", "SORT_RO list", "SREM set 1",
    "SMOVE set few 1", "SPOP set", "ZREM zset a", "ZPOPMIN zset", "DEL list", "RENAME list l2",
]  # fmt: skip


def is_data(command: Command) -> bool:
    return command.group not in {"server", "connection"}


def full_server(seed: int) -> Embedded:
    """Return a server with keys of all types, without a policy, over its limit."""
    server = Embedded(seed)
    chance = random.Random(seed)
    writing = Requests(
        TABLE,
        chance,
        skip=NOT_ASKED,
        only=lambda one: is_data(one) and Flag.DENYOOM in one.flags,
        broken=0.0,
        patient=True,
    )
    for _ in range(300):
        server.feed(encoded(writing.one()))
    names = KEYS.copy()
    chance.shuffle(names)
    for key, line in zip(names, OF_EVERY_TYPE, strict=False):
        command, *words = line.split()
        server.ask("DEL", key)
        server.ask(command, key, *words)
    server.dispatcher.limit_memory(1)
    return server


@pytest.mark.parametrize("seed", [1, 2])
def test_what_may_need_memory_is_refused_and_has_changed_nothing(seed: int) -> None:
    server = full_server(seed)
    sink = RecordingSink()
    server.effects.add_sink(sink)
    contents, dirty = server.contents(), server.effects.dirty
    refused: Counter[str] = Counter()
    denied = [
        command
        for command in TABLE.values()
        if Flag.DENYOOM in command.flags and is_data(command) and command.name not in NOT_ASKED
    ]
    requests = Requests(TABLE, random.Random(seed), broken=0.0, patient=True)
    for command in denied:
        for _ in range(TRIES):
            (reply,) = server.answers(encoded(requests.valid(command)))
            assert reply.startswith((b"-OOM command not allowed", b"-ERR wrong number")), reply
            refused[command.name] += reply.startswith(b"-OOM")
    assert all(refused[command.name] for command in denied)
    assert server.contents() == contents
    assert (server.effects.dirty, sink.take()) == (dirty, b"")
    server.dispatcher.limit_memory(0)
    server.check_end()


@pytest.mark.parametrize("seed", [3, 4])
def test_nothing_else_is_refused(seed: int) -> None:
    server = full_server(seed)
    requests = Requests(
        TABLE,
        random.Random(seed),
        skip=NOT_ASKED,
        only=lambda one: is_data(one) and Flag.DENYOOM not in one.flags,
        broken=0.0,
        patient=True,
    )
    for _ in range(2000):
        request = requests.one()
        for reply in server.answers(encoded(request)):
            assert not reply.startswith(b"-OOM"), request
    server.check()


def prepared() -> Embedded:
    server = Embedded(1)
    for line in (
        "RPUSH list 3 1 2", "HSET hash a 1 b 2", "SADD set 1 2 3", "SADD few 1",
        "ZADD zset 1 a 2 b 3 c", "PFADD hll a b", "PFADD other c",
    ):  # fmt: skip
        server.ask(*line.split())
    return server


@pytest.mark.parametrize(("line", "question", "answer"), AT_THE_LIMIT)
def test_room_is_made_before_a_command_that_may_need_it(
    line: str, question: str, answer: int
) -> None:
    server = prepared()
    for n in range(200):
        server.ask("SET", f"old:{n}", "value", "EX", 1000)
    server.engine.eviction.follow("volatile-lru", 5)
    server.dispatcher.limit_memory(server.keyspace.used_memory - 100)
    reply = server.ask(*line.split())
    assert not str(reply).startswith("OOM")
    assert 0 < server.engine.eviction.evicted_keys < 10
    assert server.ask(*question.split()) == answer
    server.check()


@pytest.mark.parametrize(("line", "question", "answer"), AT_THE_LIMIT)
def test_without_room_the_command_has_changed_nothing(
    line: str, question: str, answer: int
) -> None:
    del question, answer
    server = prepared()
    contents, dirty = server.contents(), server.effects.dirty
    server.dispatcher.limit_memory(1)
    reply = str(server.ask(*line.split()))
    assert reply == "OOM command not allowed when used memory > 'maxmemory'."
    assert server.contents() == contents
    assert server.effects.dirty == dirty


@pytest.mark.parametrize("line", WITHOUT)
def test_what_needs_no_memory_makes_nobody_go(line: str) -> None:
    server = prepared()
    for n in range(20):
        server.ask("SET", f"old:{n}", "value", "EX", 1000)
    server.engine.eviction.follow("volatile-lru", 5)
    server.dispatcher.limit_memory(server.keyspace.used_memory - 100)
    assert not str(server.ask(*line.split())).startswith(("OOM", "ERR"))
    assert server.engine.eviction.evicted_keys == 0
