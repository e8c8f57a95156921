"""A server in somebody else's program: any port, any loop, several of them, and nothing left."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import sys
import threading
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop

from spineldb.config.settings import Settings
from spineldb.server.server import Server
from tests.support.network import bound_socket

Loops = Callable[[], asyncio.AbstractEventLoop]
LOOPS: list[Loops] = [asyncio.new_event_loop, uvloop.new_event_loop]


@pytest.fixture(name="loops", params=LOOPS, ids=["standard", "uvloop"])
def each_loop(request: pytest.FixtureRequest) -> Loops:
    """Run the test on each kind of loop."""
    made: Loops = request.param
    return made


async def ask(server: Server, words: bytes) -> bytes:
    """Send a line to a server as a client of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(words + b"\r\n")
    reply = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return reply


async def serve_once(settings: Settings | None = None) -> Server:
    """Start a server on a free port, use it, stop it while a client is there."""
    server = Server(settings)
    await server.start(sockets=[bound_socket()])
    assert await ask(server, b"SET key value EX 100") == b"+OK\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"CLIENT PAUSE 100000 ALL\r\nGET key\r\n")
    assert await reader.readline() == b"+OK\r\n"
    await server.stop()
    assert await reader.read() == b"-SHUTDOWN Server is shutting down\r\n"
    writer.close()
    return server


def descriptors() -> set[str]:
    return {path.name for path in Path("/dev/fd").iterdir()}


def test_a_socket_that_is_bound_already_is_served_and_closed(loops: Loops) -> None:
    with asyncio.Runner(loop_factory=loops) as runner:
        sock = bound_socket()
        port = sock.getsockname()[1]

        async def scenario() -> None:
            server = Server()
            await server.start(sockets=[sock])
            assert server.port == port
            assert server.listeners == [f"name=tcp,bind=127.0.0.1,port={port}"]
            assert await ask(server, b"PING") == b"+PONG\r\n"
            await server.stop()

        runner.run(scenario())
        assert sock.fileno() == -1
        assert socket.socket().connect_ex(("127.0.0.1", port)) != 0


def test_twenty_servers_leave_nothing_behind(loops: Loops) -> None:
    """No task, no timer, no descriptor, no thread, no object."""
    with asyncio.Runner(loop_factory=loops) as runner:
        runner.run(serve_once())  # what is made once for all has been made
        gc.collect()  # what other tests have left
        before, threads = descriptors(), threading.active_count()
        left: list[weakref.ref[object]] = []

        async def scenario() -> None:
            server = await serve_once()
            left.append(weakref.ref(server))
            left.append(weakref.ref(server.cron))
            assert asyncio.all_tasks() == {asyncio.current_task()}

        for _ in range(20):
            runner.run(scenario())
        gc.collect()
        assert descriptors() == before
        assert threading.active_count() == threads
        assert [one for one in left if one() is not None] == []


def test_two_servers_in_one_process_share_nothing(loops: Loops, tmp_path: Path) -> None:
    async def scenario() -> None:
        first, second = Settings(), Settings()
        second.change("unixsocket", str(tmp_path / "second.sock"))
        second.change("port", "0")
        one, two = Server(first), Server(second)
        await one.start(sockets=[bound_socket()])
        await two.start()
        assert await ask(one, b"SET key one") == b"+OK\r\n"
        assert await ask(one, b"CONFIG SET maxmemory 1gb") == b"+OK\r\n"
        reader, writer = await asyncio.open_unix_connection(tmp_path / "second.sock")
        writer.write(b"DBSIZE\r\nCONFIG GET maxmemory\r\n")
        assert await reader.readexactly(4) == b":0\r\n"
        assert b"$1\r\n0\r\n" in await reader.readexactly(26)
        await one.stop()
        writer.write(b"PING\r\n")
        assert await reader.readline() == b"+PONG\r\n"
        await two.stop()
        assert not (tmp_path / "second.sock").exists()
        writer.close()

    with asyncio.Runner(loop_factory=loops) as runner:
        runner.run(scenario())


def test_the_process_stays_as_it_was(loops: Loops) -> None:
    """Collector, switch interval, signals and limits are the host's."""
    before = gc.isenabled(), sys.getswitchinterval(), signal.getsignal(signal.SIGTERM)
    with asyncio.Runner(loop_factory=loops) as runner:
        runner.run(serve_once())
    after = gc.isenabled(), sys.getswitchinterval(), signal.getsignal(signal.SIGTERM)
    assert after == before


def test_a_server_that_cannot_listen_leaves_nothing_behind(loops: Loops) -> None:
    with asyncio.Runner(loop_factory=loops) as runner, bound_socket() as taken:
        taken.listen()

        async def scenario() -> None:
            settings = Settings()
            settings.change("port", str(taken.getsockname()[1]))
            with pytest.raises(OSError, match="Address already in use"):
                await Server(settings).start()

        runner.run(scenario())
        gc.collect()
        before = descriptors()
        runner.run(scenario())
        gc.collect()
        assert descriptors() == before


def test_it_serves_as_a_context_until_somebody_stops_it(loops: Loops) -> None:
    async def scenario() -> None:
        settings = Settings()
        with bound_socket() as free:
            settings.change("port", str(free.getsockname()[1]))
        async with Server(settings) as server:
            assert await ask(server, b"SHUTDOWN") == b""
            await asyncio.wait_for(server.stopped(), 10)

    with asyncio.Runner(loop_factory=loops) as runner:
        runner.run(scenario())
