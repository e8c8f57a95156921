"""The engine as one object: what commands and features can reach through `ctx.engine`.

It is put together by `server/` (or by a test, from one family) and has no sockets and no files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
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
    from spineldb.engine.eviction import Eviction
    from spineldb.engine.introspection import Info
    from spineldb.engine.lifecycle import Lifecycle
    from spineldb.engine.memory import Memory
    from spineldb.engine.pubsub import PubSub
    from spineldb.engine.safety import Safety
    from spineldb.observability.observer import Observer
    from spineldb.scripting.scripts import ScriptLibrary


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
    eviction: Eviction
    pubsub: PubSub
    safety: Safety  # guards against costly commands
    observer: Observer  # slow log, command log, latency events, MONITOR
    memory: Memory
    info: Info  # the sections of INFO
    scripts: ScriptLibrary
    lifecycle: Lifecycle  # start, stop, identity of this run
    on_reset: list[Callable[[], None]] = field(
        default_factory=list[Callable[[], None]]
    )  # more to set to zero

    def reset_statistics(self) -> None:
        """Set to zero what CONFIG RESETSTAT does: counts of commands, errors, keys, peaks."""
        for command in self.dispatcher.everything():
            command.reset_statistics()
        self.dispatcher.reset_statistics()
        self.effects.reset_statistics()
        self.eviction.reset_statistics()
        self.clients.rejected = self.clients.evicted = 0
        self.memory.reset_peak()
        for act in self.on_reset:
            act()
