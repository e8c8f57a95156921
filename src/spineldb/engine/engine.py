"""The engine as one object: what commands and features can reach through `ctx.engine`.

It is put together by `server/` (or by a test, from one family) and has no sockets and no files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spineldb.config.settings import Settings
    from spineldb.core.dispatch import Dispatcher
    from spineldb.core.effects import Effects
    from spineldb.core.keyspace import Keyspace
    from spineldb.engine.blocking import Blocking
    from spineldb.engine.clients import Clients
    from spineldb.engine.command import CommandTable
    from spineldb.engine.emergency import Emergency
    from spineldb.engine.introspection import Info
    from spineldb.engine.lifecycle import Lifecycle
    from spineldb.engine.memory import Memory
    from spineldb.observability.observer import Observer


@dataclass(slots=True)
class Engine:
    """Everything that belongs to one server, sockets and files apart."""

    settings: Settings
    keyspace: Keyspace
    effects: Effects
    dispatcher: Dispatcher
    commands: CommandTable
    blocking: Blocking
    clients: Clients
    emergency: Emergency
    observer: Observer  # slow log, command log, latency events, MONITOR
    memory: Memory
    info: Info  # the sections of INFO
    lifecycle: Lifecycle  # start, stop, identity of this run
