"""The server: an engine, its listeners and its timers, started and stopped.

    async with Server(settings) as server:
        print(server.port)
        await server.stopped()

A program of ours owns its process and hands its log over (`log_output`), so that `loglevel` can be
changed; somebody else's program that hosts a server keeps its own logging and limits.
"""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self

from spineldb import commands, errors
from spineldb.config.kinds import Refused
from spineldb.config.settings import Settings
from spineldb.core.reactor import Reactor
from spineldb.core.session import SessionFlag
from spineldb.engine.command import Family
from spineldb.engine.introspection import Info
from spineldb.engine.lifecycle import Stop
from spineldb.observability.logging import Output, get_log
from spineldb.server.applying import apply_settings
from spineldb.server.composition import compose
from spineldb.server.cron import Cron
from spineldb.server.information import sections
from spineldb.server.listeners import Listeners

log = get_log(__name__)

DRAIN_SECONDS = 1.0  # for replies that are on their way when the server stops
DRAIN_LOOKS = 200  # whether they have left


class Server:
    """One server. Several may live in a process."""

    def __init__(
        self,
        settings: Settings | None = None,
        families: Iterable[Family] = commands.FAMILIES,
        *,
        seed: bytes | None = None,
        log_output: Output | None = None,
    ) -> None:
        self.engine = compose(settings, families, seed)
        self.network = Reactor(self.engine.dispatcher)
        self.cron = Cron(self.engine, self.network)
        self.log_output = log_output
        self.supervised = "no"
        self.engine.info.sections[:] = sections(self)
        self.engine.on_reset += [self.network.reset_statistics, self.cron.clear]
        self._listeners = Listeners(self.network, self.engine.settings)
        self._stopped: asyncio.Future[None] | None = None

    @property
    def owns_process(self) -> bool:
        """Whether this server may change what belongs to the process."""
        return self.log_output is not None

    @property
    def info(self) -> Info:
        """The sections of INFO."""
        return self.engine.info

    @property
    def port(self) -> int:
        """The TCP port it listens on, 0 if it listens on none."""
        return self._listeners.port

    @property
    def listeners(self) -> list[str]:
        """What it listens on, as INFO shows it."""
        return self._listeners.described

    @property
    def multiplexing_api(self) -> str:
        """How it waits for many sockets at once."""
        return "epoll" if hasattr(select, "epoll") else "kqueue"

    async def start(self, sockets: Sequence[socket.socket] | None = None) -> None:
        """Listen and serve: on `sockets`, already bound, or on what the settings say.

        Raises `OSError` if an address cannot be bound.
        """
        loop = asyncio.get_running_loop()
        self._stopped = loop.create_future()
        apply_settings(self)
        self.network.attach(loop)
        try:
            self._listeners.open(sockets)
        except OSError:
            self._listeners.close()
            self.network.release()
            raise
        self.engine.lifecycle.on_stop.append(self._on_stop)
        self.cron.start()

    def _on_stop(self, how: Stop) -> None:
        del how
        if self._stopped is not None and not self._stopped.done():
            self._stopped.set_result(None)

    def reload_certificates(self) -> None:
        """Read TLS certificates and keys again, for later clients; keep the old ones on failure."""
        try:
            self._listeners.reload_certificates()
        except Refused as refusal:
            log.warning("the old certificates stay in use", reason=str(refusal))

    async def stopped(self) -> None:
        """Wait until somebody stops the server (SHUTDOWN, a signal)."""
        assert self._stopped is not None
        await asyncio.shield(self._stopped)

    async def stop(self, how: Stop | None = None) -> None:
        """Stop: accept nobody more, let replies leave, tell everybody, close every connection."""
        self.engine.lifecycle.stop(how or Stop())
        log.info("stopping", clients=len(self.engine.clients))
        self._listeners.close()
        self.cron.stop()
        for session in self.engine.clients:
            if not session.has(SessionFlag.CLOSING):
                session.send(errors.ShuttingDown())
                session.mark(SessionFlag.CLOSING)
        self.engine.clients.resume()  # whoever CLIENT PAUSE holds back is not served any more
        for _ in range(DRAIN_LOOKS):
            if not self.network.sending:
                break
            await asyncio.sleep(DRAIN_SECONDS / DRAIN_LOOKS)
        self.network.release()

    async def __aenter__(self) -> Self:
        """Start on what the settings say."""
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop."""
        await self.stop()
