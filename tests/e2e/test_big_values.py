"""Values as big as they may be, in pieces, read back whole; and many small requests at once.

Costs are counted rather than timed: how often a growing value's memory is taken anew, how often the
server writes to the socket.
"""

from __future__ import annotations

import threading
import time

import pytest

from spineldb.client import Client, ErrorReply
from tests import servers
from tests.support.embedded import Embedded
from tests.support.wire import pipeline

MIB = 1 << 20
PIECE = 4096
PATTERN = bytes(range(256)) * 4096  # one MiB


def head(size: int) -> bytes:
    """Return a SET request up to its value."""
    return b"*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n$%d\r\n" % size


def send_big(client: Client, mebibytes: int) -> None:
    """Store a value of so many MiB."""
    client.send_raw(head(mebibytes * MIB))
    for _ in range(mebibytes):
        client.send_raw(PATTERN)
    client.send_raw(b"\r\n")
    assert client.receive() == "OK"


def used_memory(client: Client) -> int:
    text = bytes(client.call("INFO", "memory")).decode()
    return int(text.split("used_memory:")[1].split()[0])


def come_and_go(server: servers.Server, mebibytes: int) -> None:
    """Have a big value written, read in part and whole, overwritten in place and deleted."""
    size = mebibytes * MIB
    with server.client(timeout=120.0) as client:
        client.call("FLUSHALL")
        empty = used_memory(client)
        send_big(client, mebibytes)
        assert size <= used_memory(client) - empty < size + MIB
        assert client.call("STRLEN", "big") == size
        assert client.call("GETRANGE", "big", size - 3, -1) == PATTERN[-3:]
        assert client.call("SETRANGE", "big", size - 1, "!") == size
        read = client.call("GET", "big")
        assert len(read) == size
        assert read[-4:] == PATTERN[-4:-1] + b"!"
        assert all(read[at : at + MIB] == PATTERN for at in range(0, size - MIB, 7 * MIB))
        del read
        assert client.call("DEL", "big") == 1
        until = time.monotonic() + 10
        while used_memory(client) > empty:  # it comes back in slices
            assert time.monotonic() < until
            time.sleep(0.02)


def test_a_value_of_64_mib_comes_and_goes(server: servers.Server) -> None:
    come_and_go(server, 64)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_value_of_512_mib_comes_and_goes(server: servers.Server) -> None:
    come_and_go(server, 512)


def test_a_value_above_512_mib_is_refused(server: servers.Server) -> None:
    with server.client() as client:
        client.send_raw(head(512 * MIB + 1))
        assert client.receive() == ErrorReply("ERR Protocol error: invalid bulk length")
    with server.client() as client:
        client.send("SETRANGE", "k", 512 * MIB, "x")
        refusal = "ERR string exceeds maximum allowed size (proto-max-bulk-len)"
        assert client.receive() == ErrorReply(refusal)


@pytest.mark.parametrize("mebibytes", [16, 64])
def test_a_value_in_small_pieces_takes_its_memory_in_few_steps(mebibytes: int) -> None:
    server = Embedded(1)
    server.network.bulk_limit = server.keyspace.string_limit = 512 * MIB
    size = mebibytes * MIB
    data = memoryview(PATTERN * mebibytes)
    client = server.client()
    client.feed(head(size))
    held: list[int] = []
    for at in range(0, size, PIECE):
        assert client.feed(bytes(data[at : at + PIECE])) == b""
        block = server.keyspace.block_memory
        assert block < 2 * (at + PIECE) + MIB  # it grows with what has come, not as announced
        if not held or held[-1] != block:
            held.append(block)
    assert len(held) <= 16  # 32 KiB, doubled: each byte is copied once or twice
    assert client.feed(b"\r\n") == b"+OK\r\n"
    server.rest()
    assert size <= server.keyspace.block_memory < size + 2 * PIECE
    server.check_end()


def test_ten_thousand_pipelined_requests_take_few_writes(server: servers.Server) -> None:
    def writes(client: Client) -> int:
        text = bytes(client.call("INFO", "stats")).decode()
        return int(text.split("total_writes_processed:")[1].split()[0])

    with server.client() as watcher, server.client(timeout=60.0) as client:
        before = writes(watcher)
        data = pipeline([[b"INCR", b"counter:%d" % (n % 100)] for n in range(10_000)])
        sender = threading.Thread(target=client.send_raw, args=(data,))
        sender.start()
        for n in range(10_000):
            assert client.receive() == n // 100 + 1
        sender.join()
        assert writes(watcher) - before - 1 <= 200
