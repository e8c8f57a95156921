"""Replay a transcript against a server, and say where it answers otherwise.

As a program: `python -m tests.transcripts.runner FILE... --port N [--real]`, where `--real`
compares with what the real server is recorded to answer where we differ on purpose.
"""

from __future__ import annotations

import argparse
import select
import sys
import time
from pathlib import Path
from typing import Any, Self

from spineldb.client import NULL_ARRAY, Address, Client, ConnectionLost, ErrorReply, connect
from tests.transcripts import notation, transcript
from tests.transcripts.transcript import CLOSED, NONE, Mark, Section, Step

REPLY_SECONDS = 10.0  # a reply that takes longer is missing
SILENCE_SECONDS = 0.05  # how long `none` watches


class Mismatch(AssertionError):
    """The server answered something else."""


class Missing(Exception):
    """The server lacks a command that the section needs."""


class Conversation:
    """The connections of one section, in one protocol.

    A connection is greeted by HELLO when it is first named, unless its name begins with `fresh`.
    """

    def __init__(self, address: Address, protocol: int) -> None:
        self.address = address
        self.protocol = protocol
        self.kept: notation.Variables = {}
        self._clients: dict[str, Client] = {}
        self._ended: set[Client] = set()

    def __enter__(self) -> Self:
        with self._open(greeted=True) as client:
            client.call("FLUSHALL")
        return self

    def __exit__(self, *_exception: object) -> None:
        for client in self._clients.values():
            client.close()

    def _open(self, *, greeted: bool) -> Client:
        client = Client(connect(self.address, REPLY_SECONDS), NULL_ARRAY)
        if greeted:
            password = self.address.password
            client.call(
                "HELLO", self.protocol, *(["AUTH", "default", password] if password else [])
            )
        return client

    def require(self, commands: tuple[str, ...]) -> None:
        """Raise Missing unless the server has all these commands."""
        if commands:
            with self._open(greeted=True) as client:
                known = client.call("COMMAND", "INFO", *commands)
            if missing := [name for name, entry in zip(commands, known, strict=True) if not entry]:
                raise Missing(f"the server has no {', '.join(missing)} yet")

    def client(self, name: str) -> Client:
        """Return the connection of that name, opened now if it is new."""
        if name not in self._clients:
            self._clients[name] = self._open(greeted=not name.startswith("fresh"))
        return self._clients[name]

    def send(self, step: Step) -> Client:
        """Send what a step says, if anything; return the connection it speaks on."""
        client = self.client(step.connection)
        if step.sigil == ">":
            client.send(*step.words(self.kept))
        elif step.sigil == ">>":
            client.send_raw(b"".join(step.words(self.kept)))
        return client

    def silent(self, seconds: float = 0.0) -> bool:
        """Tell whether nothing has arrived that nobody asked for."""
        open_ones = [client for client in self._clients.values() if client not in self._ended]
        return not select.select(open_ones, [], [], seconds)[0]

    def receive(self, client: Client, seconds: float) -> Any:
        """Return the next reply of any kind, NONE if there is none in time, or CLOSED."""
        client.settimeout(seconds)
        try:
            return client.receive_any()
        except TimeoutError:
            return NONE
        except (ConnectionLost, ConnectionError):
            self._ended.add(client)
            return CLOSED
        finally:
            client.settimeout(REPLY_SECONDS)


def replay(address: Address, section: Section, protocol: int, *, real: bool = False) -> None:
    """Hold one conversation; raises Mismatch at the first reply that differs."""
    with Conversation(address, protocol) as conversation:
        conversation.require(section.needs)
        for step in section.steps:
            if step.sigil == "~":
                time.sleep(float(step.text))
                continue
            client = conversation.send(step)
            for expected in step.expected(protocol, real=real):
                seconds = SILENCE_SECONDS if expected is NONE else REPLY_SECONDS
                received = conversation.receive(client, seconds)
                _compare(step, expected, received, conversation)
        if not conversation.silent():
            raise Mismatch(f"section {section.title!r}: more replies than the transcript has")


def _compare(step: Step, expected: Any, actual: Any, conversation: Conversation) -> None:
    if isinstance(expected, Mark) or isinstance(actual, Mark):
        same = expected is actual
    else:
        same = notation.matches(expected, actual, conversation.protocol, conversation.kept)
    if not same:
        shown = [x.word if isinstance(x, Mark) else notation.write(x) for x in (expected, actual)]
        raise Mismatch(
            f"line {step.line}, RESP{conversation.protocol}: {step.connection}{step.sigil} "
            f"{step.text}\n  expected {shown[0]}\n  received {shown[1]}"
        )


def main() -> int:
    """Replay the files named on the command line; return 1 if anything differed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--password")
    parser.add_argument("--real", action="store_true", help="the server is a real one")
    arguments = parser.parse_args()
    address = Address(arguments.host, arguments.port, password=arguments.password)
    failures = 0
    for path in arguments.files:
        for section in transcript.read(path).sections:
            for protocol in section.protocols:
                try:
                    replay(address, section, protocol, real=arguments.real)
                except Missing as reason:
                    print(f"{path.name} == {section.title}: skipped, {reason}")  # noqa: T201
                except (Mismatch, ErrorReply, OSError) as error:
                    failures += 1
                    print(f"{path.name} == {section.title}: {error}")  # noqa: T201
    return min(failures, 1)


if __name__ == "__main__":
    sys.exit(main())
