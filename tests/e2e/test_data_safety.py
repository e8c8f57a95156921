"""What must never get lost, over real sockets: rules C11, D1, D2, D12 and F1, F7 by their numbers.

`SPINELDB_SUBJECT=redis8` asks the real server the same.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator
from typing import Any

import pytest

from spineldb.client import Client, ErrorReply
from tests import servers
from tests.e2e.conftest import StartServer
from tests.support.wire import encoded

KEYS = 400_000
MANY_KEYS = 5_000_000
BATCH = 1000
QUIET_SECONDS = 0.1  # in which nothing may arrive
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close() aborts


def blocked(server: servers.Server, *words: str) -> socket.socket:
    """Return a connection that waits, and whose waiting the server has begun."""
    with server.client() as watcher:
        before = waiting(watcher)
        connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        connection.sendall(encoded([word.encode() for word in words]))
        until(watcher, before + 1)
    return connection


def waiting(client: Client) -> int:
    """Return how many clients are blocked."""
    lines = client.call("INFO", "clients").decode().split("\r\n")
    return int(dict(line.split(":", 1) for line in lines if ":" in line)["blocked_clients"])


def until(client: Client, count: int) -> None:
    deadline = time.monotonic() + 10
    while waiting(client) != count:
        assert time.monotonic() < deadline
        time.sleep(0.002)


def received(connection: socket.socket) -> bytes:
    """Return what arrives within a moment."""
    connection.settimeout(QUIET_SECONDS)
    try:
        return connection.recv(4096)
    except TimeoutError:
        return b""
    finally:
        connection.settimeout(10)


def popped(key: str, element: str) -> bytes:
    return encoded([key.encode(), element.encode()])


def fill(client: Client, count: int) -> None:
    for start in range(0, count, 10 * BATCH):
        client.pipeline(
            [
                ("MSET", *(word for n in range(first, first + BATCH) for word in (f"k{n}", n)))
                for first in range(start, start + 10 * BATCH, BATCH)
            ]
        )


def check_keys(server: servers.Server, count: int) -> None:
    """Store so many keys, count them and read each."""
    with server.client(timeout=120.0) as client:
        assert client.call("CONFIG", "GET", "maxmemory-policy")[1] == b"noeviction"
        fill(client, count)
        assert client.call("DBSIZE") == count
        for first in range(0, count, BATCH):
            numbers = range(first, first + BATCH)
            values = client.call("MGET", *(f"k{n}" for n in numbers))
            assert values == [b"%d" % n for n in numbers]


@pytest.mark.parametrize("ending", ["FIN", "RST", "half"])
@pytest.mark.parametrize(
    "request_line", ["BLPOP q other 0", "BRPOPLPUSH q d 0", "BLMPOP 0 1 q LEFT"]
)
def test_c11_a_client_that_is_gone_takes_no_element(
    empty_server: servers.Server, ending: str, request_line: str
) -> None:
    """Not even one whose end reaches the server together with the push."""
    for number in range(10):
        with empty_server.client() as pusher:
            connection = blocked(empty_server, *request_line.split())
            if ending == "RST":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            if ending == "half":
                connection.shutdown(socket.SHUT_WR)
            else:
                connection.close()
            if number % 2:
                until(pusher, 0)
            assert pusher.call("LPUSH", "q", "element") == 1
            assert pusher.call("LRANGE", "q", 0, -1) == [b"element"]
            assert pusher.call("EXISTS", "d") == 0
            pusher.call("DEL", "q")
            connection.close()


def test_d1_there_is_no_hidden_limit_to_the_keys(start_server: StartServer) -> None:
    check_keys(start_server("--save", ""), KEYS)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_d1_five_million_keys_are_all_there(start_server: StartServer) -> None:
    check_keys(start_server("--save", ""), MANY_KEYS)


def test_d2_who_waits_gets_the_first_element_and_the_others_stay(
    empty_server: servers.Server,
) -> None:
    with blocked(empty_server, "BLPOP", "k", "0") as waiter, empty_server.client() as pusher:
        assert pusher.call("RPUSH", "k", "a", "b", "c") == 3
        assert received(waiter) == popped("k", "a")
        assert pusher.call("LRANGE", "k", 0, -1) == [b"b", b"c"]


def test_d2_three_who_wait_are_served_as_they_came(empty_server: servers.Server) -> None:
    waiters = [blocked(empty_server, "BLPOP", "k", "0") for _ in range(3)]
    with empty_server.client() as pusher:
        assert pusher.call("RPUSH", "k", "a", "b", "c") == 3
        replies = [received(waiter) for waiter in waiters]
        assert replies == [popped("k", element) for element in "abc"]
        assert pusher.call("EXISTS", "k") == 0
    for waiter in waiters:
        waiter.close()


@pytest.mark.parametrize(
    "ending", ["DEL k", "UNLINK k", "FLUSHALL", "FLUSHDB", "GETDEL k", "PEXPIRE k 1", "RENAME k r"]
)
@pytest.mark.parametrize("request_line", ["BLPOP k 0", "BRPOP k other 0", "BLMOVE k d LEFT LEFT 0"])
def test_d12_who_waits_goes_on_when_the_key_is_deleted(
    empty_server: servers.Server, ending: str, request_line: str
) -> None:
    with empty_server.client() as client, blocked(empty_server, *request_line.split()) as waiter:
        assert client.call("SET", "k", "of another type") == "OK"
        client.call(*ending.split())
        time.sleep(0.02)
        assert client.call("EXISTS", "k") == 0
        assert received(waiter) == b""
        assert client.call("RPUSH", "k", "element") == 1
        assert b"element" in received(waiter)


def test_d12_who_waits_goes_on_when_the_key_is_evicted(start_server: StartServer) -> None:
    server = start_server("--save", "", "--maxmemory-policy", "allkeys-random")
    with server.client() as client, blocked(server, "BLPOP", "k", "0") as waiter:
        assert client.call("SET", "k", "x" * 1000) == "OK"
        assert client.call("CONFIG", "SET", "maxmemory", "1") == "OK"
        deadline = time.monotonic() + 10
        while client.call("EXISTS", "k"):
            assert time.monotonic() < deadline
        assert received(waiter) == b""
        assert client.call("CONFIG", "SET", "maxmemory", "0") == "OK"
        assert client.call("RPUSH", "k", "element") == 1
        assert received(waiter) == popped("k", "element")


#: F1: requests that once failed on their way to the command; what is there; the replies.
ONCE_BROKEN = [
    ("SUNIONSTORE d s t", 4),
    ("SINTERSTORE d s t", 1),
    ("SDIFFSTORE d s t", 2),
    ("SUNION t", [b"2", b"4"]),
    ("SUNION s t", [b"1", b"2", b"3", b"4"]),
    ("SINTER s", [b"1", b"2", b"3"]),
    ("SDIFF s t", [b"1", b"3"]),
    ("HSCAN h 0", [b"0", [b"f", b"v"]]),
    ("SSCAN s 0", [b"0", [b"1", b"2", b"3"]]),
    ("ZSCAN z 0", [b"0", [b"m", b"1"]]),
    ("SORT l", [b"1", b"2", b"3"]),
    ("SORT l BY nosort GET # GET missing_*", [b"3", None, b"1", None, b"2", None]),
    ("UNLINK k", 1),
    ("UNLINK k l missing", 2),
    ("MGET k", [b"v"]),
    ("MGET k l missing", [b"v", None, None]),
    ("MSET a 1", "OK"),
    ("MSET a 1 b 2", "OK"),
    ("MSETNX a 1", 1),
    ("MSETNX a 1 k 2", 0),
    ("XREAD STREAMS x 0", [[b"x", [[b"1-1", [b"f", b"v"]]]]]),
    ("XREADGROUP GROUP g c STREAMS x >", [[b"x", [[b"2-1", [b"f", b"w"]]]]]),
    ("XPENDING x g", [1, b"1-1", b"1-1", [[b"c", b"1"]]]),
    ("XPENDING x g - + 10 c", [[b"1-1", b"c", "a time", 1]]),
    ("XPENDING x g - + 10", [[b"1-1", b"c", "a time", 1]]),
    ("XPENDING x g -", "ERR syntax error"),
    ("XPENDING x g - +", "ERR syntax error"),
    ("XPENDING x", "ERR wrong number of arguments for 'xpending' command"),
    ("XPENDING x g IDLE", "ERR syntax error"),
    ("FLUSHALL", "OK"),
    ("PING", "PONG"),
]
SETUP = (
    "SADD s 1 2 3", "SADD t 2 4", "HSET h f v", "ZADD z 1 m", "RPUSH l 3 1 2", "SET k v",
    "XADD x 1-1 f v", "XGROUP CREATE x g 0", "XREADGROUP GROUP g c COUNT 1 STREAMS x >",
)  # fmt: skip


@pytest.fixture(name="prepared")
def make_prepared(empty_server: servers.Server) -> Iterator[Client]:
    with empty_server.client() as client:
        for line in SETUP:
            client.call(*line.split())
        yield client


@pytest.mark.parametrize(("line", "expected"), ONCE_BROKEN)
def test_f1_every_command_works_over_a_socket(
    prepared: Client, line: str, expected: object
) -> None:
    if "XREADGROUP" in line:
        prepared.call("XADD", "x", "2-1", "f", "w")
    try:
        reply: Any = prepared.call(*line.split())
    except ErrorReply as error:
        reply = str(error)
    if line.startswith("XPENDING x g - + 10"):
        assert isinstance(reply[0][2], int)
        reply[0][2] = "a time"
    if expected and line.startswith(("SUNION ", "SDIFF ", "SINTER ")):
        reply = sorted(reply)
    assert reply == expected
    assert prepared.call("PING") == "PONG"


def test_f7_sort_is_answered_and_blocks_nobody(prepared: Client) -> None:
    """Not the key, not what is stored over it, and not another connection."""
    assert prepared.call("SORT", "l", "DESC", "LIMIT", 0, 2) == [b"3", b"2"]
    assert prepared.call("SORT_RO", "s", "DESC") == [b"3", b"2", b"1"]
    prepared.call("MSET", "w_1", 3, "w_2", 2, "w_3", 1)
    prepared.call("HSET", "h_1", "f", "one")
    by_weight = prepared.call("SORT", "s", "BY", "w_*", "GET", "#", "GET", "h_*->f")
    assert by_weight == [b"3", None, b"2", None, b"1", b"one"]
    prepared.call("RPUSH", "words", "b", "a", "1")
    with pytest.raises(ErrorReply, match="ERR One or more scores can't be converted into double"):
        prepared.call("SORT", "words")
    assert prepared.call("SORT", "words", "ALPHA", "STORE", "words") == 3
    assert prepared.call("LRANGE", "words", 0, -1) == [b"1", b"a", b"b"]
    assert prepared.call("SORT", "missing", "STORE", "words") == 0
    assert prepared.call("KEYS", "words") == []
    assert sorted(prepared.call("KEYS", "?")) == [b"h", b"k", b"l", b"s", b"t", b"x", b"z"]
