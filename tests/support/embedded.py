"""A whole engine driven by calls: every command, several clients, no sockets and no files."""

from __future__ import annotations

from typing import Any

from spineldb.core import probe_data, strings
from spineldb.core.connection import Connection, Network
from spineldb.core.entry import Kind
from spineldb.engine import digest
from spineldb.server.composition import compose
from tests.support.wire import Fault, check_reply, encoded, split_replies, value

Contents = dict[tuple[int, bytes], tuple[bytes, int]]

STRING_LIMIT = 1 << 20  # longest string and argument, so that a random offset costs 1 MB at most


class Embedded:
    """An engine and its clients; a client that was closed is replaced when it is next used."""

    def __init__(self, seed: int, clients: int = 1) -> None:
        self.engine = compose(seed=seed.to_bytes(16, "little"))
        self.keyspace = self.engine.keyspace
        self.effects = self.engine.effects
        self.dispatcher = self.engine.dispatcher
        self.network = Network(self.dispatcher)
        self.network.bulk_limit = self.keyspace.string_limit = STRING_LIMIT
        self.empty_bytes = self.keyspace.used_memory
        self.clients: list[Connection | None] = [None] * clients

    def client(self, index: int = 0) -> Connection:
        """Return a client, a new one if the server has closed it."""
        client = self.clients[index]
        if client is None or client.closed:
            client = self.clients[index] = self.network.connect("127.0.0.1:1")
        return client

    def feed(self, data: bytes, index: int = 0) -> bytes:
        """Have a client send bytes; return what it receives."""
        return self.client(index).feed(data)

    def answers(self, data: bytes, index: int = 0) -> list[bytes]:
        """Have a client send bytes; return the replies, which must be well-formed."""
        replies = split_replies(self.feed(data, index))
        for reply in replies:
            check_reply(reply)
        return replies

    def ask(self, *words: bytes | str | int) -> Any:
        """Send one request; return its reply as `spineldb.client` reads it."""
        argv = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        (reply,) = self.answers(encoded(argv))
        return value(reply)

    def at(self, now_ms: int, argv: list[bytes], database: int = 0) -> bytes:
        """Have the first client run a request at a time of the test's own; return the reply."""
        client = self.client()
        client.db = database
        self.dispatcher.execute_argv(client, argv, now_ms)
        return client.take_output()

    def contents(self) -> Contents:
        """Return all that exists, by walking the tables: {(database, key): (value, deadline)}.

        Of what is no string there is a digest.
        """
        found: Contents = {}
        for database in self.keyspace.databases:
            cursor = 0
            while True:
                cursor, some = database.scan(cursor)
                for key, kind, deadline in some:
                    if kind == Kind.STRING:
                        value = strings.get(database, key)
                    else:
                        value = digest.of_value(database, key)
                    if value is not None:
                        found[database.index, key] = (value, deadline)
                if cursor == 0:
                    break
        return found

    def digest(self, database: int, key: bytes) -> bytes:
        """Return what DEBUG DIGEST-VALUE says of a key's value."""
        return (digest.of_value(self.keyspace.databases[database], key) or b"").hex().encode()

    def rest(self) -> None:
        """Do all work that waits."""
        while self.effects.expire(1_000_000) or self.keyspace.run_work(1_000_000):
            pass

    def check(self) -> None:
        """Raise `Fault` unless everything the keyspace promises holds now."""
        self.rest()
        found = probe_data.faults(self.keyspace)
        if found:
            raise Fault("; ".join(found))
        if self.dispatcher.internal_errors:
            raise Fault(f"{self.dispatcher.internal_errors} internal errors")

    def check_end(self) -> None:
        """Raise `Fault` unless nothing is left when every client and key is gone."""
        for client in self.clients:
            if client is not None and not client.closed:
                client.close()
                client.feed()
        if self.network.connections:
            raise Fault(f"connections left: {self.network.connections}")
        self.check()
        self.clients[0] = None
        if self.ask("PING") != "PONG":
            raise Fault("no PONG")
        if self.ask("FLUSHALL") != "OK":
            raise Fault("FLUSHALL is refused")
        self.check()
        if self.keyspace.used_memory != self.empty_bytes:
            raise Fault(f"{self.keyspace.used_memory - self.empty_bytes} bytes are left")
