"""A small RESP client: how the command line, replicas, cluster and warden talk to a server.

A `Decoder` turns bytes into Python values, whatever the size of the pieces they arrive in, and
never reads a byte twice. Two connections stand on it: `Client` blocks, `AsyncClient` awaits. The
values keep what the wire said: a caller can tell a status from a string, a set from an array, a
double from its rounding. Nothing here knows the core: a test that compares both sides compares two
decoders.

    type on the wire            Python
    simple string               str
    bulk string                 bytes
    verbatim string             Verbatim (bytes, with its format)
    integer, big number         int, BigNumber
    double                      Double (float, with its digits)
    boolean, null               bool, None
    array, set, push            list, Set, Push
    map                         Map: a list of pairs, so dict(reply) is one word away
    attribute                   Attribute, in front of the value it describes
    error                       ErrorReply: raised by call(), returned inside lists
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

DEFAULT_PORT: Final = 7878
PLAIN_SCHEMES: Final = frozenset({"redis", "spinel", "valkey"})
TLS_SCHEMES: Final = frozenset({"rediss", "spinels", "valkeys"})
RECEIVE_BYTES: Final = 64 * 1024


class ProtocolError(Exception):
    """The other side sent something that is not RESP."""


class ConnectionLost(Exception):
    """The other side closed the connection while a reply was awaited."""


class ErrorReply(Exception):
    """An error the server answered, in its exact words."""

    @property
    def code(self) -> str:
        """Return the first word, by which clients classify errors: `ERR`, `WRONGTYPE`."""
        return str(self).partition(" ")[0]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ErrorReply) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


class Verbatim(bytes):
    """A string with a hint how to show it: `txt` or `mkd`."""

    format: str

    def __new__(cls, payload: bytes) -> Self:
        """Split `txt:text` as it stands on the wire."""
        self = super().__new__(cls, payload[4:])
        self.format = payload[:3].decode("latin-1")
        return self


class Double(float):
    """A double that remembers its digits, because `repr` would choose others."""

    text: str

    def __new__(cls, text: str) -> Self:
        """Read the digits of the wire; `inf`, `-inf` and `nan` are numbers too."""
        self = super().__new__(cls, text)
        self.text = text
        return self


class BigNumber(int):
    """An integer the server sent as a big number."""


class Set(list[Any]):
    """The members of a set, in the order sent."""


class Push(list[Any]):
    """An out-of-band message: its first element says which."""


class Map(list[tuple[Any, Any]]):
    """The pairs of a map, in the order sent."""


class Attribute(Map):
    """Facts about the value that follows; a caller may ignore them."""


class _Missing:
    """The value of a null array to those who must tell it from a null (`NULL_ARRAY`)."""

    def __repr__(self) -> str:
        return "NULL_ARRAY"


NULL_ARRAY: Final = _Missing()
INCOMPLETE: Final[Any] = object()  # what next() answers until a whole value has arrived

# What a reply may be; recursive in its containers, which the checkers cannot spell more closely.
Reply = Any


class _Frame:
    """A container whose elements are still arriving."""

    __slots__ = ("items", "kind", "missing")

    def __init__(self, kind: int, missing: int) -> None:
        self.kind = kind
        self.missing = missing
        self.items: list[Reply] = []

    def finished(self) -> Reply:
        """Return the container in the Python type of its kind."""
        match self.kind:
            case 0x25:  # %
                return Map(zip(self.items[::2], self.items[1::2], strict=True))
            case 0x7C:  # |
                return Attribute(zip(self.items[::2], self.items[1::2], strict=True))
            case 0x7E:  # ~
                return Set(self.items)
            case 0x3E:  # >
                return Push(self.items)
            case _:
                return self.items


class Decoder:
    """Bytes in, values out, resuming where the last piece ended.

    `null_array` is what a RESP2 null array becomes: `None` unless the caller must know.
    """

    def __init__(self, null_array: object = None) -> None:
        self._buffer = bytearray()
        self._at = 0
        self._searched = 0  # how far the search for the end of the header line has come
        self._bulk: tuple[int, int] | None = None  # kind and length of a string still arriving
        self._frames: list[_Frame] = []
        self._null_array = null_array

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Append what has been received."""
        if self._at:
            del self._buffer[: self._at]
            self._searched -= self._at
            self._at = 0
        self._buffer += data

    def next(self) -> Reply:
        """Return the next whole value, or `INCOMPLETE`."""
        while True:
            value = self._element()
            if value is INCOMPLETE:
                return INCOMPLETE
            if isinstance(value, _Frame):
                if value.missing:
                    self._frames.append(value)
                    continue
                value = value.finished()
            value = self._place(value)
            if value is not INCOMPLETE:
                return value

    def _place(self, value: Reply) -> Reply:
        """Put a value where it belongs; return the outermost one once it is whole."""
        while self._frames:
            if type(value) is Attribute:
                return INCOMPLETE  # only what stands in front of a whole reply is reported
            frame = self._frames[-1]
            frame.items.append(value)
            frame.missing -= 1
            if frame.missing:
                return INCOMPLETE
            self._frames.pop()
            value = frame.finished()
        return value

    def _element(self) -> Reply:
        """Return one value or the start of a container, or `INCOMPLETE`."""
        if self._bulk is not None:
            return self._string()
        line = self._line()
        if line is None:
            return INCOMPLETE
        if not line:
            raise ProtocolError("empty header line")
        kind, rest = line[0], line[1:]
        reader = _SCALARS.get(kind)
        try:
            if reader is not None:
                return reader(rest)
            return self._sized(kind, int(rest))
        except ValueError as error:
            raise ProtocolError(f"malformed reply: {line[:64]!r}") from error

    def _sized(self, kind: int, length: int) -> Reply:
        """Begin a string or a container of the announced length."""
        match kind:
            case 0x24 | 0x21 | 0x3D if length >= 0:  # $ ! =
                self._bulk = (kind, length)
                return self._string()
            case 0x24 if length == -1:
                return None
            case 0x2A if length == -1:  # *
                return self._null_array
            case 0x2A | 0x7E | 0x3E if length >= 0:  # * ~ >
                return _Frame(kind, length)
            case 0x25 | 0x7C if length >= 0:  # % |
                return _Frame(kind, 2 * length)
            case _:
                raise ProtocolError(f"unknown type {chr(kind)!r}, length {length}")

    def _string(self) -> Reply:
        """Return the string whose header has been read, once all of it is here."""
        assert self._bulk is not None
        kind, length = self._bulk
        end = self._at + length
        if len(self._buffer) < end + 2:
            return INCOMPLETE
        payload = bytes(memoryview(self._buffer)[self._at : end])
        self._at = self._searched = end + 2
        self._bulk = None
        if kind == 0x24:
            return payload
        return Verbatim(payload) if kind == 0x3D else ErrorReply(_text(payload))

    def _line(self) -> bytes | None:
        """Return the next line without its ending, if it has arrived."""
        end = self._buffer.find(b"\r\n", max(self._searched, self._at))
        if end < 0:
            self._searched = max(len(self._buffer) - 1, self._at)
            return None
        line = bytes(memoryview(self._buffer)[self._at : end])
        self._at = self._searched = end + 2
        return line


def _text(payload: bytes) -> str:
    """Return the server's words; bytes that are no UTF-8 survive the way back."""
    return payload.decode("utf-8", "surrogateescape")


def _boolean(rest: bytes) -> bool:
    if rest not in (b"t", b"f"):
        raise ValueError(rest)
    return rest == b"t"


_SCALARS: Final[dict[int, Callable[[bytes], Reply]]] = {
    0x2B: _text,  # +
    0x2D: lambda rest: ErrorReply(_text(rest)),  # -
    0x3A: int,  # :
    0x2C: lambda rest: Double(rest.decode("ascii")),  # ,
    0x23: _boolean,  # #
    0x5F: lambda _rest: None,  # _
    0x28: BigNumber,  # (
}


def encode(arguments: Iterable[bytes | str | float]) -> bytes:
    """Return a request: an array of bulk strings, numbers as their decimal text."""
    words = [
        word if isinstance(word, bytes) else str(word).encode("utf-8", "surrogateescape")
        for word in arguments
    ]
    parts = [b"*%d\r\n" % len(words)]
    parts += [b"$%d\r\n%b\r\n" % (len(word), word) for word in words]
    return b"".join(parts)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is, and who we are to it."""

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    socket_path: str | None = None
    tls: ssl.SSLContext | None = None
    server_name: str | None = None  # for TLS, where it is not the host
    user: str | None = None
    password: str | None = None
    database: int = 0

    def __str__(self) -> str:
        if self.socket_path is not None:
            return self.socket_path
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def tls_name(self) -> str | None:
        """Return the name the certificate must carry, if there is TLS at all."""
        return (self.server_name or self.host) if self.tls else None

    @classmethod
    def from_uri(cls, uri: str, tls: ssl.SSLContext | None = None) -> Address:
        """Read `redis://[user:password@]host[:port][/db]`.

        `rediss` asks for TLS; `spinel`, `spinels` and `valkey`, `valkeys` mean the same.
        Raises ValueError for anything else.
        """
        parts = urlsplit(uri)
        if parts.scheme not in PLAIN_SCHEMES | TLS_SCHEMES:
            raise ValueError("Invalid URI scheme")
        if parts.scheme in TLS_SCHEMES and tls is None:
            tls = ssl.create_default_context()
        user, password = parts.username, parts.password
        if user and password is None:
            user, password = None, user  # redis://password@host, as redis-cli reads it
        return cls(
            host=parts.hostname or "127.0.0.1",
            port=parts.port or DEFAULT_PORT,
            tls=tls,
            user=unquote(user) if user else None,
            password=unquote(password) if password is not None else None,
            database=int(parts.path.strip("/") or 0),
        )

    def greeting(self, protocol: int) -> list[list[bytes | str | float]]:
        """Return the requests that make a new connection ours: HELLO, AUTH, SELECT."""
        requests: list[list[bytes | str | float]] = []
        if self.password is not None:
            requests.append(["AUTH", *([self.user] if self.user else []), self.password])
        if protocol == 3:
            requests.append(["HELLO", 3])
        if self.database:
            requests.append(["SELECT", self.database])
        return requests


class Client:
    """A blocking connection: one thread, one request after the other or a pipeline."""

    def __init__(self, sock: socket.socket, null_array: object = None) -> None:
        self._socket = sock
        self._decoder = Decoder(null_array)
        self.pushes: deque[Push] = deque()  # what arrived out of band while a reply was awaited

    @classmethod
    def open(cls, address: Address, protocol: int = 2, timeout: float | None = None) -> Client:
        """Connect, and introduce ourselves; raises OSError or ErrorReply."""
        client = cls(connect(address, timeout))
        try:
            for request in address.greeting(protocol):
                client.call(*request)
        except BaseException:
            client.close()
            raise
        return client

    def call(self, *arguments: bytes | str | float) -> Reply:
        """Send one request and return its reply; an error reply is raised."""
        self.send(*arguments)
        reply = self.receive()
        if isinstance(reply, ErrorReply):
            raise reply
        return reply

    def pipeline(self, requests: Sequence[Sequence[bytes | str | float]]) -> list[Reply]:
        """Send all requests at once and return their replies; errors stay in the list."""
        self.send_raw(b"".join(map(encode, requests)))
        return [self.receive() for _ in requests]

    def send(self, *arguments: bytes | str | float) -> None:
        """Send one request without waiting."""
        self.send_raw(encode(arguments))

    def send_raw(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._socket.sendall(data)

    def receive(self) -> Reply:
        """Return the next reply; pushes that come first are put aside in `pushes`."""
        while True:
            reply = self.receive_any()
            if type(reply) is Push:
                self.pushes.append(reply)
            elif type(reply) is not Attribute:
                return reply

    def receive_any(self) -> Reply:
        """Return whatever comes next, pushes and attributes included."""
        while (reply := self._decoder.next()) is INCOMPLETE:
            data = self._socket.recv(RECEIVE_BYTES)
            if not data:
                raise ConnectionLost("Server closed the connection")
            self._decoder.feed(data)
        return reply

    def fileno(self) -> int:
        """Return the descriptor, for select()."""
        return self._socket.fileno()

    def settimeout(self, seconds: float | None) -> None:
        """Limit each wait; TimeoutError ends one that takes longer."""
        self._socket.settimeout(seconds)

    def close(self) -> None:
        """Close the connection; closing twice is no error."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()


def connect(address: Address, timeout: float | None = None) -> socket.socket:
    """Return a connected socket, with TLS where the address asks for it."""
    if address.socket_path is not None:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(timeout)
            sock.connect(address.socket_path)
        except BaseException:
            sock.close()
            raise
        return sock
    sock = socket.create_connection((address.host, address.port), timeout)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if address.tls is None:
        return sock
    try:
        return address.tls.wrap_socket(sock, server_hostname=address.tls_name)
    except BaseException:
        sock.close()
        raise


class AsyncClient:
    """An asynchronous connection; concurrent calls keep their order."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._decoder = Decoder()
        self._turn = asyncio.Lock()  # a reply belongs to the request that was sent in its turn
        self.pushes: deque[Push] = deque()

    @classmethod
    async def open(cls, address: Address, protocol: int = 2) -> AsyncClient:
        """Connect, and introduce ourselves; raises OSError or ErrorReply."""
        if address.socket_path is not None:
            streams = await asyncio.open_unix_connection(address.socket_path)
        else:
            streams = await asyncio.open_connection(
                address.host, address.port, ssl=address.tls, server_hostname=address.tls_name
            )
        client = cls(*streams)
        try:
            for request in address.greeting(protocol):
                await client.call(*request)
        except BaseException:
            await client.close()
            raise
        return client

    async def call(self, *arguments: bytes | str | float) -> Reply:
        """Send one request and return its reply; an error reply is raised."""
        (reply,) = await self.pipeline([arguments])
        if isinstance(reply, ErrorReply):
            raise reply
        return reply

    async def pipeline(self, requests: Sequence[Sequence[bytes | str | float]]) -> list[Reply]:
        """Send all requests at once and return their replies; errors stay in the list.

        A call that is cancelled half way closes the connection, whose replies nobody could
        attribute any more.
        """
        async with self._turn:
            try:
                await self.send_raw(b"".join(map(encode, requests)))
                return [await self.receive() for _ in requests]
            except asyncio.CancelledError:
                self._writer.close()
                raise

    async def send_raw(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._writer.write(data)
        await self._writer.drain()

    async def receive(self) -> Reply:
        """Return the next reply; pushes that come first are put aside in `pushes`."""
        while True:
            reply = await self.receive_any()
            if type(reply) is Push:
                self.pushes.append(reply)
            elif type(reply) is not Attribute:
                return reply

    async def receive_any(self) -> Reply:
        """Return whatever comes next, pushes and attributes included."""
        while (reply := self._decoder.next()) is INCOMPLETE:
            data = await self._reader.read(RECEIVE_BYTES)
            if not data:
                raise ConnectionLost("Server closed the connection")
            self._decoder.feed(data)
        return reply

    async def close(self) -> None:
        """Close the connection; closing twice is no error."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.close()
