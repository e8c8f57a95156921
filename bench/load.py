"""The load: requests encoded before the clock starts, sent as fast as replies come.

A request template is a line like `SET {key} {value}`; each placeholder has a fixed width, so the
whole request is one bytes format and a million of them are made in a third of a second. All
servers receive the very same bytes in the same order.

The generator must cost less than the server. Per batch it makes one send and one receive, and it
counts line ends instead of parsing: replies to one template have a constant number of lines
(`+OK` one, a bulk string two), which is learned from one reply. Connections are served round
robin with blocking calls, so that it never asks the kernel who is ready; all the others have
their requests waiting at the server meanwhile.
"""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from random import Random
from types import TracebackType
from typing import Self

REPLY_SECONDS = 120
CHUNK = 1 << 18  # received at once
FILL_BATCH = 100  # commands
FILL_LEADING = 7  # digits of a key or member that are the same throughout a batch

Reply = bytes | str | int | None | list["Reply"]


class ErrorReply(Exception):
    """A server answered with an error."""


class Client:
    """A blocking connection that speaks RESP2."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Not settimeout, which would make the socket non-blocking and cost a poll a call.
        limit = struct.pack("@ll", REPLY_SECONDS, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        self._stream = self.socket.makefile("rb", CHUNK)
        self.lines_read = 0

    def ask(self, *words: str | bytes) -> Reply:
        """Send one command and return its reply; an error is raised."""
        self.socket.sendall(encode(*words))
        reply = self.read()
        if isinstance(reply, ErrorReply):
            raise reply
        return reply

    def read(self) -> Reply | ErrorReply:
        """Read one reply, counting its lines."""
        line = self._line()
        kind, rest = line[:1], line[1:]
        match kind:
            case b"+":
                return rest.decode()
            case b"-":
                return ErrorReply(rest.decode())
            case b":":
                return int(rest)
            case b"$" if rest == b"-1":
                return None
            case b"$":
                data: bytes = self._stream.read(int(rest) + 2)[:-2]
                self.lines_read += 1 + data.count(b"\n")
                return data
            case b"*":
                return [self._element() for _ in range(int(rest))]
            case _:
                raise ConnectionError(f"not a reply: {line[:40]!r}")

    def _element(self) -> Reply:
        element = self.read()
        return str(element) if isinstance(element, ErrorReply) else element

    def _line(self) -> bytes:
        line = self._stream.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the server closed the connection")
        self.lines_read += 1
        return line[:-2]

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def encode(*words: str | bytes) -> bytes:
    """Encode one command as an array of bulk strings."""
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        data = word.encode() if isinstance(word, str) else word
        parts.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(parts)


@dataclass(frozen=True, slots=True)
class Placeholder:
    """How a number becomes a word: a bytes format of fixed width, and where the number is from.

    `first` and `count` are a range drawn from at random; a count of 0 means the keys there are,
    None running numbers: every occurrence in every request gets the next.
    """

    form: bytes
    width: int
    first: int = 0
    count: int | None = None


PLACEHOLDERS = {
    "key": Placeholder(b"k:%012d", 14, 0, 0),  # one of the keys, at random
    "each": Placeholder(b"k:%012d", 14),  # the keys one after the other
    "fresh": Placeholder(b"n:%012d", 14),  # a key that nobody has seen
    "member": Placeholder(b"m%09d", 10),  # elements one after the other
    "one": Placeholder(b"m%09d", 10, 0, 1_000_000),  # a million elements, at random
    "score": Placeholder(b"%09d", 9, 100_000_000, 800_000_000),
    "value": Placeholder(b"v%09d", 10, 0, 1_000_000_000),
    "number": Placeholder(b"%03d", 3, 100, 900),
    "bit": Placeholder(b"%02d", 2, 10, 70),  # within 10 bytes
    "byte": Placeholder(b"%d", 1, 0, 10),
    "seconds": Placeholder(b"%05d", 5, 10_000, 80_000),  # three hours to a day
}


class Template:
    """A request with placeholders, ready to be expanded; several requests with ` ; ` between."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._fields: list[str] = []
        parts = [part.split() for part in text.split(" ; ")]
        self.requests = len(parts)
        self._form = b"".join(map(self._request, parts))

    def _request(self, words: Sequence[str]) -> bytes:
        return b"*%d\r\n" % len(words) + b"".join(map(self._word, words))

    def _word(self, word: str) -> bytes:
        if not (match := re.fullmatch(r"\{(\w+)\}", word)):
            data = word.encode()
            return b"$%d\r\n%b\r\n" % (len(data), data.replace(b"%", b"%%"))
        self._fields.append(match[1])
        field = PLACEHOLDERS[match[1]]
        return b"$%d\r\n%b\r\n" % (field.width, field.form)

    @property
    def is_consuming(self) -> bool:
        """Whether a second run would not find what the first one found."""
        return any(PLACEHOLDERS[name].count is None for name in self._fields)

    def expand(self, start: int, stop: int, keys: int, seed: int = 1) -> Iterator[bytes]:
        """Yield the requests number `start` to `stop`, for a dataset of `keys` keys."""
        if not self._fields:
            return iter([self._form % ()] * (stop - start))
        random = Random(f"{seed} {start}")
        columns: list[Iterable[int]] = []
        for place, name in enumerate(self._fields):
            field = PLACEHOLDERS[name]
            if field.count is None:
                step = self._fields.count(name)
                first = start * step + self._fields[:place].count(name)
                columns.append(range(first, stop * step, step))
            else:
                drawn = range(field.first, field.first + (field.count or keys))
                columns.append(random.choices(drawn, k=stop - start))
        return map(self._form.__mod__, zip(*columns, strict=True))


def batches(requests: Iterable[bytes], pipeline: int) -> Iterator[bytes]:
    """Join requests `pipeline` at a time."""
    requests = iter(requests)
    while batch := b"".join(islice(requests, pipeline)):
        yield batch


def lines_per_reply(client: Client, request: bytes, requests: int = 1) -> int:
    """Send one request, or some, and return how many lines was answered; an error is raised."""
    client.socket.sendall(request)
    before = client.lines_read
    for reply in [client.read() for _ in range(requests)]:
        if isinstance(reply, ErrorReply):
            raise reply
    return client.lines_read - before


Drain = Callable[[], None]


def saturate(connections: Sequence[Client], load: Iterable[bytes], drains: Sequence[Drain]) -> None:
    """Send every batch, each connection only after its drain has taken the replies to its last."""
    waiting = 0
    senders = cycle([client.socket.sendall for client in connections])
    receivers = cycle(drains)
    for batch, send in zip(load, senders, strict=False):
        if waiting == len(connections):
            next(receivers)()
        else:
            waiting += 1
        send(batch)
    for _ in range(waiting):
        next(receivers)()


def line_counter(client: Client, lines: int) -> Drain:
    """Return a drain that receives until so many lines have come."""
    receive = client.socket.recv_into
    buffer = bytearray(CHUNK)

    def drain() -> None:
        owed = lines
        while owed > 0:
            size = receive(buffer)
            if not size:
                raise ConnectionError("the server closed the connection")
            owed -= buffer.count(b"\n", 0, size)

    return drain


def reply_parser(client: Client, replies: int) -> Drain:
    """Return a drain that parses so many replies: slower, for those of varying shape."""

    def drain() -> None:
        for _ in range(replies):
            client.read()

    return drain


def fill(client: Client, template: Template, start: int, stop: int) -> None:
    """Run a setup template for the keys `start` to `stop`, both multiples of `FILL_BATCH`.

    Its replies have the same number of lines each. At most two batches are under way: enough to
    keep the server busy, too few to make another client wait. The first request goes alone, and its
    reply is looked at; an error is raised.
    """
    first = next(template.expand(start, start + 1, stop))
    lines = lines_per_reply(client, first)
    receive = client.socket.recv_into
    buffer = bytearray(CHUNK)
    owed = -lines
    sent = len(first)
    for batch in fill_batches(template, start, stop):
        client.socket.sendall(batch[sent:])
        sent = 0
        owed += lines * FILL_BATCH
        while owed > lines * FILL_BATCH:
            owed -= buffer.count(b"\n", 0, receive(buffer))
    while owed > 0:
        owed -= buffer.count(b"\n", 0, receive(buffer))


def fill_batches(template: Template, start: int, stop: int) -> Iterator[bytes]:
    """Yield the requests of consecutive keys, a batch at a time, in a twentieth of the time.

    One batch is made; the others are copies with other leading digits in their keys. So the
    random numbers in a setup template repeat with every batch.
    """
    assert start % FILL_BATCH == stop % FILL_BATCH == 0
    leading = 10**FILL_LEADING - 1
    digits = b"%d" % leading
    model = b"".join(template.expand(leading * FILL_BATCH, (leading + 1) * FILL_BATCH, stop))
    for number in range(start // FILL_BATCH, stop // FILL_BATCH):
        yield model.replace(digits, b"%0*d" % (FILL_LEADING, number))
