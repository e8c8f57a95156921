"""Replies survive sockets that take a few bytes at a time."""

from __future__ import annotations

import random
import socket

import pytest

from tests.support.network import bound_socket, receive, request, serve


@pytest.mark.parametrize("seed", range(3))
def test_replies_arrive_whole_through_a_tiny_socket_buffer(seed: int) -> None:
    rng = random.Random(seed)
    listening = bound_socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2048)  # accepted sockets inherit it
    value = rng.randbytes(200_000)
    with serve(sockets=[listening]) as served:
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        client.settimeout(20)
        client.connect(("127.0.0.1", served.port))
        client.sendall(request(b"SET", b"k", value))
        assert receive(client, 5) == b"+OK\r\n"
        expected = b""
        for _ in range(30):
            choice = rng.randrange(3)
            size = rng.randrange(30000)
            if choice == 0:
                client.sendall(request(b"GET", b"k"))
                expected += b"$%d\r\n%b\r\n" % (len(value), value)
            elif choice == 1:
                client.sendall(b"BULK %d\r\n" % size)
                expected += b"$%d\r\n%b\r\n" % (size, b"x" * size)
            else:
                client.sendall(b"PING\r\n" * 50)
                expected += b"+PONG\r\n" * 50
        assert receive(client, len(expected)) == expected
        # the value is replaced while its block is being sent
        client.sendall(request(b"GET", b"k") + request(b"SET", b"k", b"short") + b"GET k\r\n")
        last = b"$%d\r\n%b\r\n+OK\r\n$5\r\nshort\r\n" % (len(value), value)
        assert receive(client, len(last)) == last
        assert served.probe.block_bytes == 0
        client.close()
