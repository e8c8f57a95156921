"""What if there is no memory for a collection? The n-th allocation of every write command fails.

Each command of lists, sets, sorted sets, streams and positions meets its key in every layout: in
its entry, about to leave it, in a structure of its own. One allocation fails, or that one and all
that follow, so that whoever has something to take back must do so without memory. Then the command
has answered an error and has changed and told nothing, or it has done what it does with memory; the
server never stops accepting writes. Commands that choose may do something else: what they did is
what they told.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from spineldb import commands
from spineldb.core import probe_data
from spineldb.core.effects import RecordingSink
from spineldb.engine.command import CommandTable, Flag
from tests.support.embedded import Contents, Embedded
from tests.support.wire import encoded, value

START_MS = 1_700_000_000_000
NO_MEMORY = b"-OOM "
GROUPS = {"list", "set", "sorted-set", "stream", "geo"}

Argv = list[bytes]


def request(text: str, *more: bytes) -> Argv:
    """Return a request written with blanks, and what cannot be written so."""
    return [*(word.encode() for word in text.split()), *more]


def many(count: int, form: str = "member:%d") -> list[bytes]:
    return [form.encode() % number for number in range(count)]


def pairs(count: int, form: str = "member:%d") -> list[bytes]:
    """Return scores and members, alternating."""
    return [
        word
        for number in range(count)
        for word in (b"%d" % (number * 7919 % 1000), form.encode() % number)
    ]


#: What the keys hold before a command: by group, each layout of the values.
LAYOUTS: dict[str, dict[str, list[Argv]]] = {
    "list": {
        "missing": [],
        "one": [request("RPUSH k a"), request("RPUSH d a")],
        "packed": [request("RPUSH k a b a c a 12"), request("RPUSH d x y")],
        "full entry": [request("RPUSH k", *many(70), b"a"), request("RPUSH d", *many(78))],
        "one chunk": [request("RPUSH k", *many(90), b"a", b"c"), request("RPUSH d", *many(90))],
        "just over": [request("RPUSH k", *many(40), b"x" * 700, b"a"), request("RPUSH d a")],
        "chain": [
            request("RPUSH k", *many(900, "long element:%d"), b"a", b"c", *many(900), b"a"),
            request("RPUSH d", *many(2000)),
        ],
        "big ones": [
            request("RPUSH k", b"x" * 3000, b"a", b"y" * 2500, b"c", b"x" * 3000),
            request("RPUSH d", b"z" * 5000),
        ],
    },
    "set": {
        "missing": [],
        "one": [request("SADD k a"), request("SADD l a"), request("SADD d x")],
        "numbers": [request("SADD k 1 2 3 400"), request("SADD l 2 3"), request("SADD d 9")],
        "many numbers": [
            request("SADD k", *many(512, "%d")),
            request("SADD l", *many(300, "%d")),
            request("SADD d", *many(127, "%d")),
        ],
        "packed": [request("SADD k a b c 1"), request("SADD l b 1 x"), request("SADD d a b")],
        "full": [
            request("SADD k a", *many(127)),
            request("SADD l", *many(128)),
            request("SADD d z"),
        ],
        "table": [
            request("SADD k a b", *many(600)),
            request("SADD l a", *many(400)),
            request("SADD d", *many(200, "%d"), b"x"),
        ],
    },
    "sorted-set": {
        "missing": [],
        "one": [request("ZADD k 1 a"), request("ZADD l 2 a"), request("ZADD d 1 x")],
        "packed": [
            request("ZADD k 1 a 2 b 3.5 c -4 d"),
            request("ZADD l 1 b 700 x"),
            request("SADD d a b"),
        ],
        "full": [
            request("ZADD k 1 a 2 b 3 c", *pairs(100)),
            request("ZADD l 9 b", *pairs(64)),
            request("ZADD d 5 a", *pairs(127)),
        ],
        "tree": [
            request("ZADD k 1 a 2 b 900 c", *pairs(500)),
            request("ZADD l 1 b", *pairs(300)),
            request("ZADD d 1 x", *pairs(200)),
        ],
        "leaf": [request("ZADD k 5 a 6 b 7 c", *pairs(119)), request("ZADD l 1 a", *pairs(122))],
    },
    "stream": {
        "missing": [],
        "emptied": [request("XADD k 1-1 f v"), request("XDEL k 1-1")],
        "short": [
            request("XADD k 1-1 f v"),
            request("XADD k 2-1 f w"),
            request("XADD k 3-1 other w"),
            request("XGROUP CREATE k g 0"),
            request("XREADGROUP GROUP g alice COUNT 2 STREAMS k >"),
        ],
        "long": [
            *(request(f"XADD k {number}-1 field value") for number in range(1, 400)),
            request("XGROUP CREATE k g 0"),
            request("XGROUP CREATE k other 9-1"),
            request("XREADGROUP GROUP g alice COUNT 150 STREAMS k >"),
            request("XREADGROUP GROUP g bob COUNT 50 STREAMS k >"),
        ],
    },
}
LAYOUTS["geo"] = {
    "missing": [],
    "packed": [request("GEOADD k 13 38 a 15 37 b 2 48 c"), request("SET d x")],
    "tree": [request("GEOADD k", *(word for n in range(200) for word in (
        b"%d" % (n % 90), b"%d" % (n % 60), b"place:%d" % n))), request("ZADD d 1 a")],
}  # fmt: skip

LONG = b"long" * 600
COMMANDS: dict[str, list[Argv]] = {
    "list": [
        *(
            request(f"{name} k", *values)
            for name in ("LPUSH", "RPUSH", "LPUSHX", "RPUSHX")
            for values in ([b"v"], [b"x" * 300, b"y", LONG, b"z"], many(1200))
        ),
        *(request(f"{name} k{rest}") for name in ("LPOP", "RPOP") for rest in ("", " 3", " 5000")),
        request("LMPOP 2 none k LEFT COUNT 2"),
        request("LMPOP 1 k RIGHT"),
        *(
            request(f"LMOVE {way} {one} {other}")
            for way in ("k d", "k k", "k new")
            for one in ("LEFT", "RIGHT")
            for other in ("LEFT", "RIGHT")
        ),
        request("RPOPLPUSH k d"),
        *(
            request(f"LSET k {index}", word)
            for index in (0, 3, -1)
            for word in (b"", b"w" * 400, LONG)
        ),
        *(
            request(f"LINSERT k {where} {pivot}", word)
            for where in ("BEFORE", "AFTER")
            for pivot in ("a", "c")
            for word in (b"v", b"w" * 400, LONG)
        ),
        *(request(f"LREM k {count} a") for count in (0, 1, -2)),
        *(request(f"LTRIM k {span}") for span in ("1 -2", "3 5", "-1 -1", "9 3", "0 1")),
        request("BLPOP k 1"),
        request("BRPOP none k 1"),
        request("BLMPOP 1 1 k LEFT COUNT 2"),
        request("BLMOVE k d LEFT RIGHT 1"),
        request("BRPOPLPUSH k d 1"),
    ],
    "set": [
        *(
            request("SADD k", *values)
            for values in (
                [b"v"],
                [b"7"],
                [b"70000", b"5", b"-9000000000", b"6"],
                [b"1", b"v", b"w", b"2"],
                [b"v", b"w" * 300, b"x"],
                many(700, "new:%d"),
                many(700, "%d"),
            )
        ),
        request("SREM k a"),
        request("SREM k 1 a 2 member:3 nothing b"),
        request("SREM k", *many(600), *many(512, "%d")),
        request("SMOVE k d a"),
        request("SMOVE k new 1"),
        request("SPOP k"),
        request("SPOP k 2"),
        request("SPOP k 130"),
        request("SPOP k 9999"),
        *(request(f"{name} d k l") for name in ("SINTERSTORE", "SUNIONSTORE", "SDIFFSTORE")),
        *(request(f"{name} k l k") for name in ("SINTERSTORE", "SUNIONSTORE", "SDIFFSTORE")),
    ],
    "sorted-set": [
        *(
            request(f"ZADD k {options}", *values)
            for options in ("", "XX CH", "GT CH", "NX")
            for values in (
                [b"5", b"v"],
                [b"3", b"a"],
                [b"1000000", b"a", b"0.1", b"b", b"8", b"v", b"2.5", b"a", b"3", b"b"],
                [b"1", b"v", b"2", b"w" * 300, b"3", b"x"],
                [*pairs(90, "new:%d"), *pairs(300)[::-1][1:], b"last"],
                pairs(400, "new:%d"),
            )
        ),
        request("ZADD k INCR 5 a"),
        request("ZINCRBY k 0.001 b"),
        request("ZINCRBY k 123456 v"),
        request("ZREM k a"),
        request("ZREM k a nothing b member:5 c"),
        request("ZREM k", *many(500)),
        *(request(f"ZREMRANGEBYRANK k {span}") for span in ("0 0", "1 -2", "0 -1")),
        request("ZREMRANGEBYSCORE k 2 500"),
        request("ZREMRANGEBYLEX k [a [c"),
        request("ZPOPMIN k"),
        request("ZPOPMAX k 3"),
        request("ZMPOP 2 none k MIN COUNT 2"),
        request("BZPOPMIN k 1"),
        request("BZPOPMAX none k 1"),
        request("BZMPOP 1 1 k MAX COUNT 2"),
        request("ZRANGESTORE d k 0 -1"),
        request("ZRANGESTORE k k 0 100"),
        *(request(f"{name} d 2 k l") for name in ("ZUNIONSTORE", "ZINTERSTORE", "ZDIFFSTORE")),
        request("ZUNIONSTORE k 2 l k WEIGHTS 1 2 AGGREGATE MAX"),
    ],
    "stream": [
        *(
            request(f"XADD k {options} 500-1", *fields)
            for options in ("", "NOMKSTREAM", "MAXLEN 2", "MAXLEN ~ 100", "MINID ACKED = 3")
            for fields in ([b"f", b"v"], [b"name", b"value" * 2000], many(400))
        ),
        request("XADD k * f v"),
        request("XDEL k 1-1 2-1 3-1"),
        request("XDELEX k DELREF IDS 2 1-1 2-1"),
        request("XTRIM k MAXLEN 1"),
        request("XTRIM k MINID DELREF = 3"),
        request("XSETID k 900-1"),
        request("XGROUP CREATE k new $ MKSTREAM"),
        request("XGROUP SETID k g 1-1"),
        request("XGROUP DESTROY k g"),
        request("XGROUP CREATECONSUMER k g carol"),
        request("XGROUP DELCONSUMER k g alice"),
        request("XREADGROUP GROUP g alice STREAMS k >"),
        request("XREADGROUP GROUP g carol COUNT 3 NOACK STREAMS k >"),
        request("XACK k g 1-1 2-1 3-1"),
        request("XACKDEL k g ACKED IDS 2 1-1 2-1"),
        request("XCLAIM k g carol 0 1-1 2-1 3-1"),
        request("XAUTOCLAIM k g carol 0 0 COUNT 20"),
    ],
    "geo": [
        request("GEOADD k 13 38 v"),
        request("GEOADD k CH 1 1 a 2 2 v 3 3 w 4 4 b 5 5 place:7"),
        request("GEOADD k", *(word for n in range(150) for word in (b"9", b"9", b"new:%d" % n))),
        request("GEOSEARCHSTORE d k FROMLONLAT 15 37 BYRADIUS 900 km"),
        request("GEORADIUS k 15 37 5000 km STORE d"),
        request("GEORADIUSBYMEMBER k a 300 km STOREDIST k"),
    ],
}
for requests in COMMANDS.values():
    requests += [request("COPY k d REPLACE"), request("RENAME k d"), request("EXPIRE k 1000")]
CHOOSING = {b"SPOP", b"XREADGROUP", b"XCLAIM", b"XAUTOCLAIM"}  # what they do may be less, or other
CASES = [
    pytest.param(group, layout, id=f"{group}, {layout}")
    for group, layouts in LAYOUTS.items()
    for layout in layouts
]


def test_every_command_is_among_them() -> None:
    table = CommandTable(commands.FAMILIES)
    writes = {
        one.name
        for command in table.values()
        for one in (command.subcommands.values() if command.is_container else [command])
        if one.group in GROUPS and Flag.WRITE in one.flags
    }
    tried = {
        "|".join(word.decode().lower() for word in argv[: 2 if argv[0] == b"XGROUP" else 1])
        for requests in COMMANDS.values()
        for argv in requests
    }
    assert writes <= tried


class Scene:
    """A server whose keys are as they were before each try."""

    def __init__(self, layout: list[Argv]) -> None:
        self.server = Embedded(1)
        self.server.keyspace.advance(START_MS)
        self.server.effects.expire(1_000_000)
        self.layout = layout
        self.sink = RecordingSink()
        self.server.effects.add_sink(self.sink)

    def begin(self) -> None:
        self.do(request("FLUSHALL"))
        for argv in self.layout:
            reply = self.do(argv)
            assert not reply.startswith(b"-"), (argv, reply)
        self.server.rest()
        self.sink.take()

    def do(self, argv: Argv) -> bytes:
        return self.server.at(START_MS, argv)

    def state(self) -> tuple[Contents, object]:
        """Return all there is, and what a stream has beside its entries."""
        (stream,) = self.server.answers(encoded(request("XINFO STREAM k FULL COUNT 0")))
        return self.server.contents(), value(stream)


def replayed(layout: list[Argv], stream: bytes) -> Contents:
    """Return what the effects make of the same beginning elsewhere."""
    scene = Scene(layout)
    scene.begin()
    scene.server.feed(stream)
    return scene.server.contents()


def numbers() -> Iterator[int]:
    """Count, the further the coarser: a command of a thousand elements fails all along."""
    number = 1
    while True:
        yield number
        number += 1 + number // 6


def try_all(scene: Scene, argv: Argv, lasting: bool) -> None:
    """Fail each allocation of a command in turn."""
    scene.begin()
    before = scene.state()
    scene.do(argv)
    after = scene.state()
    server = scene.server
    for number in numbers():
        scene.begin()
        probe_data.fail_allocation(server.keyspace, number, lasting)
        reply = scene.do(argv)
        reached = not probe_data.failure_pending(server.keyspace)
        probe_data.fail_allocation(server.keyspace, 0)
        if not reached:
            return
        context = f"allocation {number}, {argv[:12]}: {reply[:200]!r}"
        server.rest()
        assert not server.engine.emergency.active, context
        assert probe_data.faults(server.keyspace) == [], context
        told = scene.sink.take()
        if reply.startswith(NO_MEMORY):
            assert scene.state() == before, context
            assert told == b"", context
            scene.do(argv)
        elif argv[0] in CHOOSING:
            assert replayed(scene.layout, told) == server.contents(), context
            continue
        if argv[0] not in CHOOSING:
            assert scene.state() == after, context


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "lasting"])
@pytest.mark.parametrize(("group", "layout"), CASES)
def test_a_command_without_memory_changes_nothing(group: str, layout: str, lasting: bool) -> None:
    scene = Scene(LAYOUTS[group][layout])
    for argv in COMMANDS[group]:
        try_all(scene, argv, lasting)
