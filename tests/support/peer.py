"""A real server beside ours: the same requests, the replies, events and propagation of both."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from spineldb.client import INCOMPLETE, Decoder
from tests.support.wire import encoded, pipeline, reply_end

RECEIVE = 1 << 16


class Replica:
    """A replica of a real server: what it propagates, as lists of words."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.sendall(b"SYNC\r\n")
        self.decoder = Decoder()
        stream = self.socket.makefile("rb", buffering=0)
        while not (line := stream.readline()).startswith(b"$"):
            assert line.startswith((b"\n", b"*")), line  # it still prepares its snapshot
        left = int(line[1:])
        while left:
            left -= len(stream.read(left) or b"")

    def close(self) -> None:
        """Stop replicating."""
        self.socket.close()

    def until(self, marker: Sequence[bytes]) -> list[list[bytes]]:
        """Return what is propagated before a request that somebody sent to mark the place."""
        requests: list[list[bytes]] = []
        while True:
            request = self.decoder.next()
            if request is INCOMPLETE:
                self.decoder.feed(self.socket.recv(RECEIVE))
            elif request == list(marker):
                return requests
            else:
                requests.append(request)


class Peer:
    """A connection to a real server, replies as raw bytes."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.received = b""

    def close(self) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def reply(self) -> bytes:
        """Return the next reply."""
        while (end := reply_end(self.received, 0) if self.received else -1) < 0:
            self.receive()
        reply, self.received = self.received[:end], self.received[end:]
        return reply

    def receive(self) -> None:
        """Wait for more bytes."""
        data = self.socket.recv(RECEIVE)
        if not data:
            raise ConnectionError("the peer closed the connection")
        self.received += data

    def answers(self, requests: Sequence[Sequence[bytes]]) -> list[bytes]:
        """Send requests together; return a reply for each."""
        self.send(pipeline(requests))
        replies: list[bytes] = []
        at = 0
        while len(replies) < len(requests):
            end = reply_end(self.received, at) if at < len(self.received) else -1
            if end < 0:
                self.received, at = self.received[at:], 0
                self.receive()
                continue
            replies.append(self.received[at:end])
            at = end
        self.received = self.received[at:]
        return replies

    def ask(self, *words: bytes | str) -> bytes:
        """Send one request; return its reply."""
        self.send(encoded([word if isinstance(word, bytes) else word.encode() for word in words]))
        return self.reply()
