"""The RESP client: decoding in pieces, encoding, addresses."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from spineldb.client import (
    INCOMPLETE,
    NULL_ARRAY,
    Address,
    AsyncClient,
    BigNumber,
    Client,
    ConnectionLost,
    Decoder,
    Double,
    ErrorReply,
    Map,
    ProtocolError,
    Push,
    Set,
    Verbatim,
    encode,
)

EVERY_TYPE = [
    (b"+OK\r\n", "OK"),
    (b"$3\r\na\r\n\r\n", b"a\r\n"),
    (b"$0\r\n\r\n", b""),
    (b"$-1\r\n", None),
    (b"_\r\n", None),
    (b"*-1\r\n", NULL_ARRAY),
    (b":-42\r\n", -42),
    (b",1.5\r\n", 1.5),
    (b",-inf\r\n", float("-inf")),
    (b"(123456789012345678901234567890\r\n", 123456789012345678901234567890),
    (b"#t\r\n", True),
    (b"#f\r\n", False),
    (b"-ERR no\r\n", ErrorReply("ERR no")),
    (b"!6\r\nERR no\r\n", ErrorReply("ERR no")),
    (b"=7\r\ntxt:abc\r\n", b"abc"),
    (b"*0\r\n", []),
    (b"*3\r\n:1\r\n*2\r\n+a\r\n*0\r\n$1\r\nb\r\n", [1, ["a", []], b"b"]),
    (b"~2\r\n:1\r\n:2\r\n", [1, 2]),
    (b"%2\r\n+a\r\n:1\r\n+b\r\n%0\r\n", [("a", 1), ("b", [])]),
    (b">2\r\n+message\r\n$1\r\nx\r\n", ["message", b"x"]),
]


@pytest.mark.parametrize(("wire", "value"), EVERY_TYPE)
def test_every_type_is_decoded_byte_by_byte(wire: bytes, value: object) -> None:
    decoder = Decoder(NULL_ARRAY)
    for byte in wire[:-1]:
        decoder.feed(bytes([byte]))
        assert decoder.next() is INCOMPLETE
    decoder.feed(wire[-1:])
    decoded = decoder.next()
    assert decoded == value
    assert decoder.next() is INCOMPLETE


def test_types_that_look_alike_keep_apart() -> None:
    decoder = Decoder()
    decoder.feed(b"~0\r\n%0\r\n>0\r\n*0\r\n,1\r\n(1\r\n:1\r\n#t\r\n=4\r\ntxt:\r\n")
    kinds = [type(decoder.next()) for _ in range(9)]
    assert kinds == [Set, Map, Push, list, Double, BigNumber, int, bool, Verbatim]


def test_a_double_keeps_its_digits() -> None:
    decoder = Decoder()
    decoder.feed(b",1.10\r\n")
    assert decoder.next().text == "1.10"


def test_an_attribute_stands_before_its_value_and_is_dropped_inside() -> None:
    decoder = Decoder()
    decoder.feed(b"|1\r\n+k\r\n:1\r\n*2\r\n|1\r\n+k\r\n:2\r\n:5\r\n:6\r\n")
    assert decoder.next() == [("k", 1)]
    assert decoder.next() == [5, 6]


@pytest.mark.parametrize("wire", [b"?\r\n", b"\r\n", b":x\r\n", b"$x\r\n", b"#x\r\n", b"$-2\r\n"])
def test_what_is_no_resp_is_refused(wire: bytes) -> None:
    decoder = Decoder()
    decoder.feed(wire)
    with pytest.raises(ProtocolError):
        decoder.next()


def test_requests_are_arrays_of_bulk_strings() -> None:
    assert encode(["SET", b"k\xff", 5]) == b"*3\r\n$3\r\nSET\r\n$2\r\nk\xff\r\n$1\r\n5\r\n"


def test_uris_are_read_as_redis_cli_reads_them() -> None:
    address = Address.from_uri("redis://bob:p%40ss@example.org:7000/5")
    assert (address.host, address.port, address.database) == ("example.org", 7000, 5)
    assert (address.user, address.password) == ("bob", "p@ss")
    assert address.tls is None
    assert Address.from_uri("redis://secret@host").password == "secret"
    assert Address.from_uri("spinel://[::1]").host == "::1"
    assert Address.from_uri("rediss://host").tls is not None
    with pytest.raises(ValueError, match="scheme"):
        Address.from_uri("http://host")


def test_addresses_are_shown_as_people_write_them() -> None:
    assert str(Address("::1", 1)) == "[::1]:1"
    assert str(Address(socket_path="/run/x.sock")) == "/run/x.sock"


def test_greeting_authenticates_before_anything_else() -> None:
    address = Address(user="bob", password="pw", database=3)
    assert address.greeting(3) == [["AUTH", "bob", "pw"], ["HELLO", 3], ["SELECT", 3]]
    assert Address(password="pw").greeting(2) == [["AUTH", "pw"]]


def _answering(answers: bytes) -> tuple[socket.socket, threading.Thread]:
    """Return our end of a connection whose other end answers once and leaves."""
    ours, theirs = socket.socketpair()

    def answer() -> None:
        with theirs:
            theirs.recv(65536)
            theirs.sendall(answers)

    thread = threading.Thread(target=answer)
    thread.start()
    return ours, thread


def test_pushes_are_put_aside() -> None:
    sock, thread = _answering(b">1\r\n+news\r\n:1\r\n|1\r\n+k\r\n:1\r\n-ERR no\r\n")
    with Client(sock) as client:
        assert client.pipeline([["A"], ["B"]]) == [1, ErrorReply("ERR no")]
        assert list(client.pushes) == [["news"]]
    thread.join()


def test_errors_are_raised_and_an_end_is_told() -> None:
    sock, thread = _answering(b"-WRONGTYPE no\r\n")
    with Client(sock) as client:
        with pytest.raises(ErrorReply, match="WRONGTYPE no") as error:
            client.call("GET", "k")
        assert error.value.code == "WRONGTYPE"
        with pytest.raises(ConnectionLost):
            client.receive()
    thread.join()


def test_concurrent_calls_get_their_own_replies() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        decoder = Decoder()
        while data := await reader.read(65536):
            decoder.feed(data)
            while (request := decoder.next()) is not INCOMPLETE:
                writer.write(b"$%d\r\n%b\r\n" % (len(request[1]), request[1]))
        writer.close()

    async def converse() -> list[object]:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, await AsyncClient.open(Address(port=port)) as client:
            return await asyncio.gather(*(client.call("ECHO", i) for i in range(50)))

    assert asyncio.run(converse()) == [b"%d" % i for i in range(50)]
