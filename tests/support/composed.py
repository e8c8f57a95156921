"""A composed engine with a clock of its own: no sockets, no files, no sleep."""

from __future__ import annotations

from typing import Any

from spineldb.client import INCOMPLETE, Decoder, ErrorReply
from spineldb.commands import databases, keys, lists, strings
from spineldb.core.connection import Network
from spineldb.core.effects import RecordingSink
from spineldb.core.keyspace import Database
from spineldb.core.strings import get
from spineldb.server.composition import compose
from tests.support.events import heard, listening

START_MS = 1_700_000_000_000
DAY_MS = 86_400_000
Contents = dict[int, dict[bytes, tuple[bytes, int]]]


class Composed:
    """An engine, one client of it, and what its effects told."""

    def __init__(self, seed: bytes = bytes(16)) -> None:
        families = (strings.family, lists.family, keys.family, databases.family)
        self.engine = compose(families=families, seed=seed)
        self.keyspace = self.engine.keyspace
        self.effects = self.engine.effects
        self.dispatcher = self.engine.dispatcher
        self.client = Network(self.dispatcher).connect("127.0.0.1:1")
        self.sink = RecordingSink()
        self.effects.add_sink(self.sink)
        self.now_ms = START_MS
        self.pass_time(0)  # the wheels' clocks go back as well

    def ask(self, *words: bytes | str | int) -> Any:
        """Send a request at the time it is here; an error is returned as its text."""
        argv = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        self.dispatcher.execute_argv(self.client, argv, self.now_ms)
        (reply,) = decoded(self.client.take_output())
        return str(reply) if isinstance(reply, ErrorReply) else reply

    def ask_all(self, *lines: str) -> list[Any]:
        """Send several requests, each a line of words."""
        return [self.ask(*line.split()) for line in lines]

    def select(self, index: int) -> None:
        """Use another database from now on."""
        self.client.db = index

    def pass_time(self, milliseconds: int, *, fire: bool = True) -> None:
        """Let the clock jump, and have what is due deleted."""
        self.now_ms += milliseconds
        self.keyspace.advance(self.now_ms)
        while fire and self.effects.expire(1_000_000):
            pass

    def listen(self) -> None:
        """Have all keyspace events kept."""
        self._listener = listening(self.effects)

    def told(self) -> list[tuple[int, str, bytes]]:
        """Return the keyspace events since the last call."""
        return heard(self._listener)

    def propagated(self) -> list[bytes]:
        """Return the requests of the effect stream since the last call, each as one line."""
        return [b" ".join(request) for request in decoded(self.sink.take())]

    def apply(self, stream: bytes) -> None:
        """Apply a stream of effects, as a replica does."""
        self.keyspace.applying = True
        for argv in decoded(stream):
            if argv[0] == b"SELECT":
                self.select(int(argv[1]))
            elif argv[0] not in {b"MULTI", b"EXEC"}:
                reply = self.ask(*argv)
                assert not str(reply).startswith("ERR"), (argv, reply)
        self.keyspace.applying = False

    def contents(self) -> Contents:
        """Return {database: {key: (value, deadline)}} of all that exists, by walking the tables."""
        found: Contents = {}
        for database in self.keyspace.databases:
            for key, deadline in walked(database):
                value = get(database, key)
                if value is not None:
                    found.setdefault(database.index, {})[key] = (value, deadline)
        return found


def walked(database: Database) -> list[tuple[bytes, int]]:
    """Return all keys with their deadlines, those that have passed included."""
    entries: list[tuple[bytes, int]] = []
    cursor = 0
    while True:
        cursor, some = database.scan(cursor)
        entries += [(key, deadline) for key, _kind, deadline in some]
        if cursor == 0:
            return entries


def decoded(data: bytes) -> list[Any]:
    """Return all replies, or requests, in the bytes."""
    decoder = Decoder()
    decoder.feed(data)
    return list(iter(decoder.next, INCOMPLETE))
