"""Fifty connections send valid, boundary and broken requests to a server process at once.

What must hold: the server lives, replies
are well-formed, every error begins with an upper-case code, nothing fails inside; and when the
clients are gone and the keys flushed, no connection and no byte is left. What each client sends
follows from the seed; what was sent last is shown when something is wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import deque
from pathlib import Path

from spineldb import commands
from spineldb.client import Client
from spineldb.engine.command import CommandTable
from tests import servers
from tests.support.requests import Requests, broken_bytes, split
from tests.support.rounds import FIRST_SEED, LONG_SECONDS, long
from tests.support.wire import Fault, check_reply, encoded, reply_end

TABLE = CommandTable(commands.FAMILIES)
UNFIT = frozenset({"shutdown", "client|pause", "config|set", "config|rewrite", "monitor", "debug"})
CONNECTIONS = 50
SILENCE_SECONDS = 0.02  # without an answer: what was sent is no whole request, or wants none


class Fuzzer:
    """One client: what it sends, and the log of what it sent last."""

    def __init__(self, seed: int, port: int) -> None:
        self.chance = random.Random(seed)
        self.requests = Requests(TABLE, self.chance, skip=UNFIT, broken=0.15)
        self.requests.now_ms = time.time_ns() // 1_000_000
        self.port = port
        self.log: deque[bytes] = deque(maxlen=20)
        self.replies = 0

    async def run(self, until: float) -> None:
        """Connect, send, read, and connect anew when the server hangs up."""
        while time.monotonic() < until:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                await self.converse(reader, writer, until)
            except (ConnectionResetError, BrokenPipeError):
                pass  # it may: broken requests end a connection
            except Fault as fault:
                shown = "\n".join(f"{data!r:.400}" for data in self.log)
                raise Fault(f"{fault}; the client had sent:\n{shown}") from fault
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()

    async def converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, until: float
    ) -> None:
        received = b""
        for _ in range(self.chance.randrange(1, 200)):
            if time.monotonic() > until:
                return
            data, ends = self.next()
            self.log.append(data)
            for piece in split(self.chance, data):
                if writer.transport.is_closing():
                    return
                writer.write(piece)
            await writer.drain()
            received = await self.read(reader, received)
            if ends:
                return

    def next(self) -> tuple[bytes, bool]:
        """Return what to send next, and whether nothing may follow it."""
        if self.chance.random() < 0.05:
            return broken_bytes(self.chance, self.requests.one()), self.chance.random() < 0.8
        count = self.chance.choice((1, 1, 2, 10, 50))
        return b"".join(encoded(self.requests.one()) for _ in range(count)), False

    async def read(self, reader: asyncio.StreamReader, received: bytes) -> bytes:
        """Check the replies that have come; return the part of one that is not all there."""
        while True:
            try:
                data = await asyncio.wait_for(reader.read(1 << 16), SILENCE_SECONDS)
            except TimeoutError:
                return received
            if not data:
                raise ConnectionResetError
            received += data
            at = 0
            while at < len(received) and (end := reply_end(received, at)) > 0:
                check_reply(received[at:end])
                self.replies += 1
                at = end
            received = received[at:]
            if not received:
                return received


async def fuzz(port: int, seconds: float) -> int:
    until = time.monotonic() + seconds
    fuzzers = [Fuzzer(FIRST_SEED * 1000 + number, port) for number in range(CONNECTIONS)]
    async with asyncio.TaskGroup() as group:
        for fuzzer in fuzzers:
            group.create_task(fuzzer.run(until))
    return sum(fuzzer.replies for fuzzer in fuzzers)


def information(client: Client) -> dict[str, str]:
    lines = bytes(client.call("INFO", "everything")).decode().splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def eventually(client: Client, field: str, value: str, seconds: float = 10.0) -> None:
    """Wait until a field of INFO has a value."""
    until = time.monotonic() + seconds
    while (found := information(client)[field]) != value:
        if time.monotonic() > until:
            raise Fault(f"{field} stays {found}, not {value}")
        time.sleep(0.05)


def failures(log: str) -> str:
    """Return what a log says of failures: every line that no routine warning is."""
    return "\n".join(line for line in log.splitlines() if "SECURITY ATTACK" not in line)[:6000]


def check(folder: Path, seconds: float) -> None:
    server = servers.start_spineldb(folder, "--save", "", "--proto-max-bulk-len", "1048576")
    try:
        with server.client() as client:
            client.call("FLUSHALL")
            before = information(client)
        replies = asyncio.run(fuzz(server.port, seconds))
        assert server.process.poll() is None, server.log[-4000:]
        with server.client() as client:
            assert client.call("PING") == "PONG"
            eventually(client, "connected_clients", "1")
            assert client.call("FLUSHALL") == "OK"
            eventually(client, "used_memory", before["used_memory"])
            after = information(client)
            assert after["emergency_read_only_mode"] == "0"
            assert after["unexpected_error_replies"] == "0", failures(server.log)
        assert replies > 100 * seconds
        assert "Traceback" not in server.log
        assert server.stop() == 0
    finally:
        server.process.kill()


def test_fifty_connections_of_nonsense_do_no_harm(tmp_path: Path) -> None:
    check(tmp_path, 4.0)


@long
def test_fifty_connections_of_nonsense_for_minutes_do_no_harm(tmp_path: Path) -> None:
    check(tmp_path, LONG_SECONDS)
