"""A user's conversation with a server: connect, ask, print; connect again when it was lost."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, replace

from spineldb.cli import formatting
from spineldb.client import (
    Address,
    Client,
    ConnectionLost,
    ErrorReply,
    ProtocolError,
    Push,
    Reply,
    connect,
)

_ENDLESS = (b"MONITOR",)  # answered for as long as one cares to read
_SUBSCRIBING = (b"SUBSCRIBE", b"PSUBSCRIBE", b"SSUBSCRIBE")


class Unreachable(Exception):
    """The server cannot be reached, or has left; the message says so in full."""


@dataclass
class Output:
    """How replies are printed."""

    raw: bool
    pushes: bool
    element_delimiter: bytes = b"\n"
    reply_delimiter: bytes = b"\n"
    errors_to_stderr: bool = False

    def show(self, reply: Reply, words: list[bytes]) -> None:
        """Print the reply to a command."""
        if isinstance(reply, ErrorReply) and self.errors_to_stderr:
            print(reply, file=sys.stderr)
        elif formatting.answers_text(words):
            self.write(formatting.raw(reply, self.element_delimiter))
        elif self.raw:
            self.write(formatting.raw(reply, self.element_delimiter) + self.reply_delimiter)
        else:
            self.write(formatting.formatted(reply))

    def show_push(self, push: Push) -> None:
        """Print what arrived out of band, where people look on."""
        if not self.pushes:
            return
        if push and push[0] == b"invalidate":
            keys = ", ".join(repr(key.decode("latin-1")) for key in push[1] or ())
            self.write(f"-> invalidate: {keys}\n".encode("latin-1"))
        else:
            self.write(formatting.formatted(push))

    @staticmethod
    def write(data: bytes) -> None:
        """Write bytes to the standard output at once."""
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


@dataclass
class Session:
    """A connection that is made when first needed, and again after it was lost."""

    address: Address
    output: Output
    protocol: int = 2
    timeout: float | None = None
    client_name: str | None = None
    client: Client | None = None
    failed: bool = False  # whether any reply was an error
    in_transaction: bool = False  # between MULTI and EXEC

    @property
    def prompt(self) -> str:
        """Return `host:port[db](TX)> `, or that there is no connection."""
        if self.client is None:
            return "not connected> "
        database = f"[{self.address.database}]" if self.address.database else ""
        return f"{self.address}{database}{'(TX)' if self.in_transaction else ''}> "

    def connect(self) -> Client:
        """Connect and introduce ourselves; what the server refuses is printed, not raised."""
        self.close()
        try:
            self.client = Client(connect(self.address, self.timeout))
            for request in self.address.greeting(self.protocol):
                self._introduce(self.client, request)
            if self.client_name:
                self._introduce(self.client, ["CLIENT", "SETNAME", self.client_name])
        except OSError as error:
            self.close()
            reason = error.strerror or str(error)
            raise Unreachable(
                f"Could not connect to SpinelDB at {self.address}: {reason}"
            ) from error
        return self.client

    @staticmethod
    def _introduce(client: Client, request: list[bytes | str | float]) -> None:
        try:
            client.call(*request)
        except ErrorReply as error:
            shown = "AUTH" if request[0] == "AUTH" else " ".join(map(str, request))
            print(f"{shown} failed: {error}", file=sys.stderr)

    def close(self) -> None:
        """Drop the connection, if there is one."""
        if self.client is not None:
            self.client.close()
        self.client = None
        self.in_transaction = False

    def ask(self, words: list[bytes]) -> None:
        """Send a command and print its reply; a lost connection is made again once."""
        fresh = self.client is None
        client = self.client or self.connect()
        try:
            self._converse(client, words)
        except (ConnectionLost, ConnectionError, ProtocolError) as error:
            self.close()
            if fresh or isinstance(error, ProtocolError):
                raise Unreachable(f"Error: {error}") from error
            self.ask(words)

    def repeat(self, words: list[bytes], times: int, interval: float) -> None:
        """Ask again and again: `times` times, or for ever if that is negative."""
        while times:
            self.ask(words)
            times -= times > 0
            if times and interval:
                time.sleep(interval)

    def _converse(self, client: Client, words: list[bytes]) -> None:
        client.send(*words)
        name = words[0].upper()
        if name in _SUBSCRIBING or name in _ENDLESS:
            self._listen(client, words)
            return
        if _is_silent(words):
            return
        reply = self._receive(client)
        self._note(words, reply)
        self.output.show(reply, words)

    def _receive(self, client: Client) -> Reply:
        reply = client.receive()
        while client.pushes:
            self.output.show_push(client.pushes.popleft())
        return reply

    def _listen(self, client: Client, words: list[bytes]) -> None:
        """Print everything that comes, until interrupted or disconnected."""
        if words[0].upper() in _SUBSCRIBING and not self.output.raw:
            self.output.write(b"Reading messages... (press Ctrl-C to quit)\n")
        while True:
            reply = client.receive_any()
            self.output.show(reply, words)
            if isinstance(reply, ErrorReply):
                self.failed = True
                return

    def _note(self, words: list[bytes], reply: Reply) -> None:
        """Keep what the prompt shows: database, protocol, transaction."""
        if isinstance(reply, ErrorReply):
            self.failed = True
            if words[0].upper() == b"EXEC":
                self.in_transaction = False
            return
        match [word.upper() for word in words]:
            case [b"SELECT", number]:
                self.address = replace(self.address, database=int(number))
            case [b"MULTI"]:
                self.in_transaction = True
            case [b"EXEC"] | [b"DISCARD"]:
                self.in_transaction = False
            case [b"RESET"]:
                self.in_transaction = False
                self.protocol = 2
                self.address = replace(self.address, database=0)
            case [b"HELLO", (b"2" | b"3") as protocol, *_]:
                self.protocol = int(protocol)
            case [b"AUTH", *_]:
                *user, password = (word.decode("utf-8", "surrogateescape") for word in words[1:])
                user_name = user[0] if user else None
                self.address = replace(self.address, user=user_name, password=password)
            case [b"QUIT"]:
                self.close()
            case _:
                pass


def _is_silent(words: list[bytes]) -> bool:
    """Tell whether a command asks for no answer."""
    return [word.upper() for word in words[:3]] in (
        [b"CLIENT", b"REPLY", b"OFF"],
        [b"CLIENT", b"REPLY", b"SKIP"],
    )
