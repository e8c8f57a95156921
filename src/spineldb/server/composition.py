"""Build an engine: every part made, and handed to those that need it.

Nothing else in the package knows all of these parts. A test composes an engine from one family; the
server composes it from all of them, then adds listeners and time (`server.server`).
"""

from __future__ import annotations

from collections.abc import Iterable

from spineldb import clock, commands
from spineldb.config.settings import Settings
from spineldb.core.dispatch import Dispatcher, Gate
from spineldb.core.effects import Effects
from spineldb.core.keyspace import Keyspace
from spineldb.engine.blocking import Blocking
from spineldb.engine.clients import Clients
from spineldb.engine.command import CommandTable, Family
from spineldb.engine.context import Context
from spineldb.engine.emergency import Emergency
from spineldb.engine.engine import Engine
from spineldb.engine.eviction import Eviction
from spineldb.engine.gates import compiled_table, refuse_to_queue
from spineldb.engine.hooks import Hooks
from spineldb.engine.introspection import Info
from spineldb.engine.lifecycle import Lifecycle
from spineldb.engine.memory import Memory, refuse_when_full
from spineldb.engine.pubsub import PubSub
from spineldb.engine.safety import Safety
from spineldb.observability.observer import Observer
from spineldb.scripting.scripts import ScriptLibrary
from spineldb.version import REDIS_VERSION


def compose(
    settings: Settings | None = None,
    families: Iterable[Family] = commands.FAMILIES,
    seed: bytes | None = None,
) -> Engine:
    """Build an engine without sockets and files.

    `seed` (16 bytes) makes hashing and sampling repeatable, for tests.
    """
    settings = settings or Settings()
    keyspace = Keyspace(settings.databases, seed, now_ms=clock.unix_ms())
    effects = Effects(keyspace)
    context = Context(effects)
    dispatcher = Dispatcher(effects, context)
    table = CommandTable(families, dict(settings.security.rename_commands))
    blocking = Blocking(dispatcher)
    clients = Clients(dispatcher, settings)
    emergency = Emergency(dispatcher)
    eviction = Eviction(dispatcher)
    safety = Safety(dispatcher)
    pubsub = PubSub(dispatcher)
    observer = Observer(dispatcher, settings.hides)
    engine = Engine(
        settings=settings,
        keyspace=keyspace,
        effects=effects,
        dispatcher=dispatcher,
        commands=table,
        blocking=blocking,
        clients=clients,
        emergency=emergency,
        eviction=eviction,
        safety=safety,
        pubsub=pubsub,
        observer=observer,
        memory=Memory(keyspace, clients),
        info=Info(),
        scripts=ScriptLibrary(dispatcher, settings, REDIS_VERSION),
        lifecycle=Lifecycle(),
    )
    context.engine = engine
    dispatcher.install(compiled_table(table))
    dispatcher.hooks = Hooks(clients, blocking, observer, emergency, pubsub)
    dispatcher.gates = (  # the order in which clients observe them (EM-4)
        (Gate.GATE_AUTH, clients.ask_to_log_in),
        (Gate.GATE_NO_MULTI, refuse_to_queue),
        (Gate.GATE_EMERGENCY, emergency.gate),
        (Gate.GATE_MEMORY, refuse_when_full),
        (Gate.GATE_PUBSUB, pubsub.gate),
        (Gate.GATE_SAFETY, safety.gate),
        (Gate.GATE_PAUSE, clients.hold_back),
    )
    return engine
