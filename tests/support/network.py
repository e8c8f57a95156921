"""A reactor with the probe executor on a thread of its own, for tests over real sockets."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from spineldb.config.settings import Settings
from spineldb.core.probe_net import Probe
from spineldb.core.reactor import Reactor
from spineldb.server.listeners import Listeners

CRON_SECONDS = 0.02  # more often than the server's, so that tests wait less


@dataclass
class Served:
    """A running reactor, seen from the test's thread."""

    probe: Probe
    reactor: Reactor
    listeners: Listeners
    loop: asyncio.AbstractEventLoop

    @property
    def port(self) -> int:
        """Return the TCP port."""
        return self.listeners.port

    def connect(self, timeout: float = 10.0) -> socket.socket:
        """Return a new client."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout)

    def call(self, act: Callable[[], object]) -> None:
        """Run something on the reactor's thread and wait for it."""
        done = threading.Event()
        failures: list[Exception] = []

        def run() -> None:
            try:
                act()
            except Exception as error:  # noqa: BLE001 - raised in the test's thread
                failures.append(error)
            done.set()

        self.loop.call_soon_threadsafe(run)
        assert done.wait(10)
        if failures:
            raise failures[0]


@contextmanager
def serve(
    settings: Settings | None = None,
    prepare: Callable[[Reactor, Probe], None] | None = None,
    *,
    sockets: list[socket.socket] | None = None,
    loop: asyncio.AbstractEventLoop | None = None,
) -> Iterator[Served]:
    """Serve until the block ends: on `sockets`, or on a free port of 127.0.0.1, or as settings say.

    Without settings, a free port is taken.
    """
    loop = loop or asyncio.new_event_loop()
    probe = Probe()
    reactor = Reactor(probe)
    if prepare is not None:
        prepare(reactor, probe)
    if settings is None and sockets is None:
        sockets = [bound_socket()]
    listeners = Listeners(reactor, settings or Settings())
    listeners.open(sockets)
    reactor.attach(loop)

    def tick() -> None:
        reactor.cron()
        loop.call_later(CRON_SECONDS, tick)

    loop.call_soon(tick)
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    served = Served(probe, reactor, listeners, loop)
    try:
        yield served
    finally:
        served.call(listeners.close)
        served.call(reactor.stop)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def bound_socket() -> socket.socket:
    """Return a socket bound to a free port."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    return sock


def request(*words: bytes) -> bytes:
    """Write a request as clients do."""
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in words)


def receive(client: socket.socket, size: int) -> bytes:
    """Receive exactly so many bytes, or what comes before the end."""
    parts = []
    while size and (part := client.recv(min(size, 1 << 20))):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def receive_all(client: socket.socket) -> bytes:
    """Receive until the server closes; a reset counts as that."""
    parts = []
    with suppress(ConnectionResetError):
        while part := client.recv(1 << 20):
            parts.append(part)
    return b"".join(parts)


def eventually(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not become true"
        time.sleep(0.005)
