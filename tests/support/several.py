"""A composed engine and several clients, without sockets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from spineldb import commands
from spineldb.client import INCOMPLETE, Decoder, ErrorReply, encode
from spineldb.config.settings import Settings
from spineldb.core.connection import Network
from spineldb.engine.command import Family
from spineldb.server.composition import compose

NOTHING = "nothing"  # there is no reply (yet)


class Party:
    """An engine to which clients connect."""

    def __init__(
        self, *more: Family, settings: Settings | None = None, families: Iterable[Family] = ()
    ) -> None:
        chosen = tuple(families) or commands.FAMILIES
        self.engine = compose(settings, (*chosen, *more), seed=bytes(16))
        self.network = Network(self.engine.dispatcher)
        self._guests = 0

    def join(self) -> Guest:
        """Connect a client."""
        self._guests += 1
        return Guest(self, f"127.0.0.1:{self._guests}")


class Guest:
    """One client."""

    def __init__(self, party: Party, address: str) -> None:
        self.connection = party.network.connect(address)
        self._decoder = Decoder()

    def ask(self, *words: bytes | str | int) -> Any:
        """Send a request; return its reply, or NOTHING if none comes at once."""
        self._decoder.feed(self.connection.feed(encode(words)))
        return self.hear()

    def say(self, line: str) -> Any:
        """Send a request that is a line of words."""
        return self.ask(*line.split())

    def hear(self) -> Any:
        """Return the next reply or message that has come, or NOTHING; an error is its text."""
        if not self.connection.closed:
            self._decoder.feed(self.connection.feed(b""))
        reply = self._decoder.next()
        if reply is INCOMPLETE:
            return NOTHING
        return str(reply) if isinstance(reply, ErrorReply) else reply

    @property
    def id(self) -> int:
        """The client's number."""
        return self.connection.id
