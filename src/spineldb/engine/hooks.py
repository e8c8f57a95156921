"""What happens around commands: the dispatcher's calls into Python, all of them rare.

The dispatcher calls these when a client comes or goes, when a command answers that it waits, when
somebody watches (MONITOR, the slow log), when a body failed, and when keys that somebody waits for
were written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spineldb.core.hot_transactions import discard
from spineldb.engine.emergency import Emergency
from spineldb.observability.logging import get_log

if TYPE_CHECKING:
    from spineldb.core.call import Deferred
    from spineldb.core.commandlog import Measured
    from spineldb.core.dispatch import Command
    from spineldb.core.effects import Effects
    from spineldb.core.session import Session
    from spineldb.engine.blocking import Blocking
    from spineldb.engine.clients import Clients
    from spineldb.engine.context import Context
    from spineldb.engine.pubsub import PubSub
    from spineldb.engine.reply import Reply
    from spineldb.observability.observer import Observer

log = get_log(__name__)


class Hooks:
    """The dispatcher's view of the engine."""

    def __init__(
        self,
        clients: Clients,
        blocking: Blocking,
        observer: Observer,
        emergency: Emergency,
        pubsub: PubSub,
    ) -> None:
        self._clients = clients
        self._blocking = blocking
        self._observer = observer
        self._emergency = emergency
        self._pubsub = pubsub
        emergency.on_entry.append(self._refuse_waiting_writers)

    def admit(self, session: Session) -> bytes | None:
        """Register a new client, or say by which line it is turned away."""
        return self._clients.admit(session)

    def leave(self, session: Session) -> None:
        """Forget a client that is gone."""
        self._blocking.forget(session)
        self._observer.forget(session)
        discard(session)
        self._pubsub.forget(session)
        self._clients.leave(session)

    def deferred(self, context: Context, value: Deferred) -> bool:
        """Park the client of a command that cannot be answered yet; False if it gets no answer."""
        return self._blocking.park(context, value)

    def instead(self, context: Context, value: Deferred) -> Reply:
        """Answer for a command that would wait, in a transaction or a script."""
        return self._blocking.instead(context, value)

    def discard(self, session: Session) -> None:
        """End a transaction whose EXEC was refused."""
        discard(session)

    def ready(self, effects: Effects) -> None:
        """Serve those who wait for the keys that were written."""
        self._blocking.serve(effects)

    def monitor(self, session: Session, argv: list[bytes]) -> None:
        """Show a command to the clients that run MONITOR."""
        self._observer.show(session, argv)

    def late(self, session: Session, command: Command, measured: Measured) -> None:
        """Record a command that others had to wait for."""
        self._observer.late(session, command, measured)

    def failed(self, session: Session, command: Command | None, error: BaseException) -> None:
        """Log a failure of ours: the traceback and the command's name, never its values."""
        name = command.name if command is not None else "-"
        log.exception(  # noqa: LOG004 - it is handed over
            "internal error", raised=error, command=name, client=session.id
        )

    def emergency(
        self,
        session: Session | None,
        command: Command | None,
        argv: list[bytes],
        error: BaseException,
    ) -> None:
        """Enter emergency read-only mode: a change was made and cannot be propagated."""
        self._emergency.enter(session, command, argv, error)

    def _refuse_waiting_writers(self) -> None:
        self._blocking.unblock_writers(self._clients, self._emergency.refusal)
