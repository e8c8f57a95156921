"""redis-py's pipelines that are no transactions, over every data type.

Many requests leave together and each reply must come back as the Python value that redis-py makes
of it, whichever protocol it speaks: its parsers know the shape of every reply.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.servers import Server

redis = pytest.importorskip("redis")

#: What is done to a pipeline, and what redis-py returns for it.
Step = tuple[Callable[[Any], object], object]


def strings() -> list[Step]:
    return [
        (lambda p: p.set("s", "value", ex=1000), True),
        (lambda p: p.get("s"), b"value"),
        (lambda p: p.append("s", "!"), 6),
        (lambda p: p.mset({"n": 1, "m": 2}), True),
        (lambda p: p.mget("n", "missing", "m"), [b"1", None, b"2"]),
        (lambda p: p.incrby("n", 41), 42),
        (lambda p: p.incrbyfloat("f", 0.5), 0.5),
        (lambda p: p.setbit("bits", 7, 1), 0),
        (lambda p: p.bitcount("bits"), 1),
        (lambda p: p.getdel("s"), b"value!"),
    ]


def lists() -> list[Step]:
    return [
        (lambda p: p.rpush("l", "b", "c", "d"), 3),
        (lambda p: p.lpush("l", "a"), 4),
        (lambda p: p.lrange("l", 0, -1), [b"a", b"b", b"c", b"d"]),
        (lambda p: p.lindex("l", 1), b"b"),
        (lambda p: p.linsert("l", "BEFORE", "c", "x"), 5),
        (lambda p: p.lpos("l", "c", rank=1), 3),
        (lambda p: p.lset("l", 0, "A"), True),
        (lambda p: p.lmove("l", "l2", "LEFT", "RIGHT"), b"A"),
        (lambda p: p.lmpop(2, "none", "l", direction="RIGHT", count=2), [b"l", [b"d", b"c"]]),
        (lambda p: p.ltrim("l", 1, -1), True),
        (lambda p: p.lpop("l"), b"x"),
        (lambda p: p.exists("l"), 0),
    ]


def hashes() -> list[Step]:
    return [
        (lambda p: p.hset("h", mapping={"a": 1, "b": 2, "c": "text"}), 3),
        (lambda p: p.hgetall("h"), {b"a": b"1", b"b": b"2", b"c": b"text"}),
        (lambda p: p.hget("h", "a"), b"1"),
        (lambda p: p.hmget("h", "a", "missing"), [b"1", None]),
        (lambda p: p.hincrby("h", "a", 5), 6),
        (lambda p: p.hincrbyfloat("h", "b", 0.25), 2.25),
        (lambda p: p.hkeys("h"), [b"a", b"b", b"c"]),
        (lambda p: p.hexpire("h", 1000, "a", "missing"), [1, -2]),
        (lambda p: p.httl("h", "a", "b"), [1000, -1]),
        (lambda p: p.hgetex("h", "a", "b", persist=True), [b"6", b"2.25"]),
        (lambda p: p.hsetex("h", "d", "4", ex=100), 1),
        (lambda p: p.hgetdel("h", "d", "c"), [b"4", b"text"]),
        (lambda p: p.hscan("h"), (0, {b"a": b"6", b"b": b"2.25"})),
        (lambda p: p.hdel("h", "a", "b"), 2),
    ]


def sets() -> list[Step]:
    return [
        (lambda p: p.sadd("x", 1, 2, 3), 3),
        (lambda p: p.sadd("y", 2, 3, "four"), 3),
        (lambda p: p.smembers("x"), {b"1", b"2", b"3"}),
        (lambda p: p.sinter("x", "y"), {b"2", b"3"}),
        (lambda p: p.sdiff("y", "x"), {b"four"}),
        (lambda p: p.sunionstore("z", "x", "y"), 4),
        (lambda p: p.sintercard(2, ["x", "y"]), 2),
        (lambda p: p.smismember("x", ["1", "9"]), [1, 0]),
        (lambda p: p.sismember("x", 1), 1),
        (lambda p: p.smove("x", "y", 1), True),
        (lambda p: p.sscan("x"), (0, [b"2", b"3"])),
        (lambda p: p.srem("x", 2, 3), 2),
        (lambda p: p.spop("missing"), None),
    ]


def sorted_sets() -> list[Step]:
    return [
        (lambda p: p.zadd("zs", {"a": 1, "b": 2.5, "c": 3}), 3),
        (lambda p: p.zscore("zs", "b"), 2.5),
        (lambda p: p.zmscore("zs", ["a", "missing"]), [1.0, None]),
        (lambda p: p.zincrby("zs", 10, "a"), 11.0),
        (lambda p: p.zrange("zs", 0, -1), [b"b", b"c", b"a"]),
        (lambda p: p.zrange("zs", 0, 1, withscores=True), [(b"b", 2.5), (b"c", 3.0)]),
        (lambda p: p.zrank("zs", "a"), 2),
        (lambda p: p.zcount("zs", 2, "(11"), 2),
        (lambda p: p.zrangebyscore("zs", 3, "+inf"), [b"c", b"a"]),
        (lambda p: p.zrevrangebylex("zs", "+", "-"), [b"a", b"c", b"b"]),
        (lambda p: p.zadd("zt", {"b": 1, "d": 1}), 2),
        (lambda p: p.zinter(["zs", "zt"]), [b"b"]),
        (lambda p: p.zunionstore("zu", ["zs", "zt"]), 4),
        (lambda p: p.zpopmin("zs", 1), [(b"b", 2.5)]),
        (lambda p: p.zremrangebyrank("zu", 0, -1), 4),
        (lambda p: p.zcard("zu"), 0),
    ]


def streams(read: Callable[..., object]) -> list[Step]:
    first, second = (b"1-1", {b"f": b"v"}), (b"2-1", {b"g": b"w"})
    return [
        (lambda p: p.xadd("st", {"f": "v"}, id="1-1"), b"1-1"),
        (lambda p: p.xadd("st", {"g": "w"}, id="2-1"), b"2-1"),
        (lambda p: p.xlen("st"), 2),
        (lambda p: p.xrange("st"), [first, second]),
        (lambda p: p.xrevrange("st", count=1), [second]),
        (lambda p: p.xread({"st": "1-1"}), read(second)),
        (lambda p: p.xgroup_create("st", "g", id="0"), True),
        (lambda p: p.xreadgroup("g", "alice", {"st": ">"}, count=1), read(first)),
        (lambda p: p.xreadgroup("g", "bob", {"st": ">"}), read(second)),
        (lambda p: p.xack("st", "g", "1-1"), 1),
        (lambda p: p.xautoclaim("st", "g", "alice", 0, start_id="0"), [b"0-0", [second], []]),
        (
            lambda p: p.xpending("st", "g"),
            {"pending": 1, "min": b"2-1", "max": b"2-1",
             "consumers": [{"name": b"alice", "pending": 1}]},
        ),
        (lambda p: p.xtrim("st", maxlen=1, approximate=False), 1),
        (lambda p: p.xdel("st", "2-1"), 1),
    ]  # fmt: skip


def sketches_and_positions() -> list[Step]:
    paris = (2.294498383998871, 48.858198939400836)
    return [
        (lambda p: p.pfadd("hll", "a", "b", "c"), 1),
        (lambda p: p.pfcount("hll"), 3),
        (lambda p: p.geoadd("geo", (2.2945, 48.8582, "Eiffel", 2.3522, 48.8566, "Notre Dame")), 2),
        (lambda p: p.geopos("geo", "Eiffel", "missing"), [paris, None]),
        (lambda p: p.geodist("geo", "Eiffel", "Notre Dame", unit="m"), 4226.1919),
        (lambda p: p.geohash("geo", "Eiffel"), ["u09tunqg9s0"]),
        (
            lambda p: p.geosearch("geo", member="Eiffel", radius=10, unit="km", sort="ASC"),
            [b"Eiffel", b"Notre Dame"],
        ),
    ]


def keys() -> list[Step]:
    return [
        (lambda p: p.type("geo"), b"zset"),
        (lambda p: p.object("encoding", "hll"), b"raw"),
        (lambda p: p.copy("geo", "geo2"), True),
        (lambda p: p.rename("geo2", "geo3"), True),
        (lambda p: p.expire("geo3", 100), True),
        (lambda p: p.ttl("geo3"), 100),
        (lambda p: p.persist("geo3"), True),
        (lambda p: p.delete("geo3", "missing"), 1),
    ]


def every_step(protocol: int) -> list[Step]:
    """Return steps over every type; the shape of XREAD depends on the protocol, in redis-py too."""

    def read(*entries: object) -> object:
        return {b"st": [list(entries)]} if protocol == 3 else [[b"st", list(entries)]]

    return [
        *strings(), *lists(), *hashes(), *sets(), *sorted_sets(), *streams(read),
        *sketches_and_positions(), *keys(),
    ]  # fmt: skip


def plain(reply: object) -> object:
    """Take lists for tuples and bytes for text: which of them it is depends on the protocol."""
    if isinstance(reply, str):
        return reply.encode()
    if isinstance(reply, list | tuple):
        return [plain(one) for one in reply]
    return reply


@pytest.mark.parametrize("protocol", [2, 3])
def test_one_pipeline_over_every_type(empty_server: Server, protocol: int) -> None:
    steps = every_step(protocol)
    with redis.Redis(port=empty_server.port, protocol=protocol) as client:
        pipeline = client.pipeline(transaction=False)
        for step, _ in steps:
            step(pipeline)
        replies = pipeline.execute()
        assert plain(replies) == plain([expected for _, expected in steps])
        client.flushall()
        assert [step(client) for step, _ in steps] == replies
