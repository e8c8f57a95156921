"""Who is subscribed: the state of the clients, and what they may still do.

The registry of channels and the publishing are the core's (core/channels). In RESP2 a client that
is subscribed can tell a reply from a message only because it sends little else: there a gate
refuses other commands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spineldb import errors
from spineldb.core.channels import ChannelKind, Channels, Subscriptions
from spineldb.core.dispatch import Command, Dispatcher, Gate
from spineldb.core.session import Session, SessionFlag

if TYPE_CHECKING:
    from collections.abc import Iterable


class PubSub:
    """The subscriptions of all clients."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self.channels: Channels = dispatcher.effects.channels

    def subscribe(self, session: Session, kind: ChannelKind, name: bytes) -> int:
        """Subscribe a client, and return how many subscriptions of that sort it has now."""
        self.channels.subscribe(session, kind, name)
        session.mark(SessionFlag.PUBSUB)
        self.restrict(session)
        return count(session, kind)

    def unsubscribe(self, session: Session, kind: ChannelKind, name: bytes) -> int:
        """Undo `subscribe`; return how many subscriptions of that sort are left."""
        self.channels.unsubscribe(session, kind, name)
        if session.subscriptions is None:
            session.mark(SessionFlag.PUBSUB, on=False)
            self.restrict(session)
        return count(session, kind)

    def forget(self, session: Session) -> None:
        """Subscribe a client to nothing: RESET, or it is gone."""
        for kind in ChannelKind:
            for name in names(session, kind):
                self.unsubscribe(session, kind, name)

    def restrict(self, session: Session) -> None:
        """Have the gate asked or not, after subscriptions or protocol changed."""
        restricted = session.has(SessionFlag.PUBSUB) and session.protocol == 2
        self._dispatcher.open_gate(session, Gate.GATE_PUBSUB, asked=restricted)

    def gate(self, session: Session, command: Command, argv: list[bytes]) -> None:
        """Refuse what a client that is subscribed may not send in RESP2."""
        del session, argv
        raise errors.OnlySubscribing(command.name)


def names(session: Session, kind: ChannelKind) -> list[bytes]:
    """Return what a client is subscribed to, in the order in which it came."""
    subscriptions: Subscriptions | None = session.subscriptions
    return [] if subscriptions is None else subscriptions.names(kind)


def count(session: Session, kind: ChannelKind) -> int:
    """Return how many channels and patterns a client is subscribed to, or how many shard ones."""
    subscriptions: Subscriptions | None = session.subscriptions
    return 0 if subscriptions is None else subscriptions.count(kind)


def subscribers(sessions: Iterable[Session]) -> int:
    """Return how many of these clients are subscribed to something."""
    return sum(session.has(SessionFlag.PUBSUB) for session in sessions)
