"""Client libraries with their default settings."""

from __future__ import annotations

import asyncio

import pytest

from tests.e2e.conftest import StartServer
from tests.servers import Server

redis = pytest.importorskip("redis")


def test_redis_py_speaks_resp3_by_default(empty_server: Server) -> None:
    with redis.Redis(port=empty_server.port) as client:
        assert client.ping()
        assert client.set("k", "v", ex=100)
        assert client.get("k") == b"v"
        assert 0 < client.ttl("k") <= 100
        assert client.get("missing") is None
        assert client.mget("k", "missing") == [b"v", None]
        assert client.incrbyfloat("f", 1.5) == 1.5
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.info("server")["redis_version"].startswith("8.")
        assert client.client_info()["lib-name"].startswith("redis-py")
        assert client.command_count() > 50
        assert client.echo("x") == b"x"
        with pytest.raises(redis.ResponseError, match="not an integer"):
            client.incr("k")


@pytest.mark.parametrize("protocol", [2, 3])
def test_redis_py_pipelines_and_transactions_of_one(empty_server: Server, protocol: int) -> None:
    with redis.Redis(port=empty_server.port, protocol=protocol) as client:
        pipeline = client.pipeline(transaction=False)
        for number in range(1000):
            pipeline.set(f"k:{number}", number)
        assert pipeline.execute() == [True] * 1000
        assert client.dbsize() == 1000
        assert sorted(client.scan_iter(count=50)) == sorted(b"k:%d" % n for n in range(1000))


@pytest.mark.parametrize("protocol", [2, 3])
def test_redis_py_lcs_and_bitfields(empty_server: Server, protocol: int) -> None:
    with redis.Redis(port=empty_server.port, protocol=protocol) as client:
        client.mset({"a": "ohmytext", "b": "mynewtext"})
        assert client.lcs("a", "b") == b"mytext"
        assert client.lcs("a", "b", len=True) == 6
        assert client.bitfield("bits").set("u8", 0, 255).get("u4", 0).execute() == [0, 15]


def test_redis_py_asyncio(empty_server: Server) -> None:
    async def converse() -> list[bytes | None]:
        async with redis.asyncio.Redis(port=empty_server.port) as client:
            await client.mset({f"k{n}": n for n in range(100)})
            return list(await asyncio.gather(*(client.get(f"k{n}") for n in range(100))))

    assert asyncio.run(converse()) == [b"%d" % n for n in range(100)]


def test_hiredis_parses_what_we_send(empty_server: Server) -> None:
    hiredis = pytest.importorskip("hiredis")
    from spineldb.client import Address, connect  # noqa: PLC0415 - only where hiredis is

    reader = hiredis.Reader()
    with connect(Address(port=empty_server.port), 5) as sock:
        requests = [("SET", "k", "v"), ("GET", "k"), ("MGET", "k", "x"), ("HELLO", "3"), ("FOO",)]
        sock.sendall(b"".join(map(hiredis.pack_command, requests)))
        replies: list[object] = []
        while len(replies) < len(requests):
            reader.feed(sock.recv(65536))
            while (reply := reader.gets()) is not False:
                replies.append(reply)
    assert replies[:3] == [b"OK", b"v", [b"v", None]]
    greeting = replies[3]
    assert isinstance(greeting, dict)
    assert greeting[b"proto"] == 3
    assert isinstance(replies[4], hiredis.ReplyError)


def test_a_password_is_asked_for(start_server: StartServer) -> None:
    server = start_server("--requirepass", "secret")
    with redis.Redis(port=server.port) as client, pytest.raises(redis.AuthenticationError):
        client.ping()
    with redis.Redis(port=server.port, password="secret") as client:
        assert client.ping()
    with (
        redis.Redis(port=server.port, username="default", password="wrong") as client,
        pytest.raises(redis.AuthenticationError),
    ):
        client.ping()
