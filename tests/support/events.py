"""A client that hears every keyspace event."""

from __future__ import annotations

import re

from spineldb.client import INCOMPLETE, Decoder
from spineldb.core.channels import ChannelKind
from spineldb.core.effects import Effects
from spineldb.core.session import Session

EVERY_EVENT = (1 << 17) - 1


def listening(effects: Effects) -> Session:
    """Have every event published, and return a client that hears them."""
    session = Session()
    effects.channels.subscribe(session, ChannelKind.PATTERN, b"__keyspace@*")
    effects.listen(EVERY_EVENT)
    return session


def heard(session: Session) -> list[tuple[int, str, bytes]]:
    """Return the events that such a client has heard since: database, event and key."""
    decoder = Decoder()
    decoder.feed(session.take())
    events: list[tuple[int, str, bytes]] = []
    while (message := decoder.next()) is not INCOMPLETE:
        _, _, channel, event = message
        found = re.fullmatch(rb"__keyspace@(\d+)__:(.*)", channel, re.DOTALL)
        assert found is not None
        events.append((int(found[1]), event.decode(), found[2]))
    return events
