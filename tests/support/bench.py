"""Some families on an engine without sockets and files, asked through a connection."""

from __future__ import annotations

from typing import Any

from spineldb.client import INCOMPLETE, Decoder, encode
from spineldb.core import strings
from spineldb.core.call import Call
from spineldb.core.connection import Network
from spineldb.core.database import Database
from spineldb.core.dispatch import Dispatcher
from spineldb.core.effects import Effects, RecordingSink
from spineldb.core.keyspace import Keyspace
from spineldb.core.session import SessionFlag
from spineldb.engine.command import CommandTable, Family
from spineldb.engine.gates import compiled_table
from tests.support.events import heard, listening


class Bench:
    """A keyspace, its effects and one client; compiled bodies need no more."""

    def __init__(self, *families: Family, protocol: int = 2) -> None:
        self.keyspace = Keyspace(seed=bytes(16))
        self.effects = Effects(self.keyspace)
        self._listener = listening(self.effects)
        self.sink = RecordingSink()
        self.effects.add_sink(self.sink)
        self.dispatcher = Dispatcher(self.effects, Call(self.effects))
        self.dispatcher.install(compiled_table(CommandTable(families)))
        self.client = Network(self.dispatcher).connect()
        self.client.mark(SessionFlag.AUTHENTICATED)
        self.client.protocol = protocol

    def told(self) -> list[tuple[str, bytes]]:
        """Return the keyspace events since the last call."""
        return [(event, key) for _, event, key in heard(self._listener)]

    @property
    def db(self) -> Database:
        """The first database, without a command between."""
        return self.keyspace.databases[0]

    def ask(self, *words: bytes | str | int) -> Any:
        """Send a request and return its reply; an error is returned, not raised."""
        decoder = Decoder()
        decoder.feed(self.client.feed(encode(words)))
        reply = decoder.next()
        assert reply is not INCOMPLETE
        return reply

    def propagated(self) -> list[list[bytes]]:
        """Return the requests of the effect stream since the last call, SELECT left out."""
        decoder = Decoder()
        decoder.feed(self.sink.take())
        found = list(iter(decoder.next, INCOMPLETE))
        return [request for request in found if request[0] != b"SELECT"]

    def replayed(self, families: tuple[Family, ...], requests: list[list[bytes]]) -> Bench:
        """Return a new bench to which the requests were sent."""
        other = Bench(*families)
        for request in requests:
            other.ask(*request)
        return other

    def contents(self) -> dict[bytes, tuple[bytes | None, int | None]]:
        """Return every string with its deadline."""
        found: dict[bytes, tuple[bytes | None, int | None]] = {}
        cursor = 0
        while True:
            cursor, entries = self.db.scan(cursor)
            for key, _kind, deadline in entries:
                found[key] = (strings.get(self.db, key), deadline)
            if cursor == 0:
                return found
