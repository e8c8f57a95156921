"""Replies as bytes: every Python value of the table, in both protocols; output with pieces."""

from __future__ import annotations

from enum import IntEnum

import pytest

from spineldb import errors
from spineldb.core.connection import Connection, Network
from spineldb.core.probe_net import Probe, write_bulks
from spineldb.engine.reply import NULL_ARRAY, Mapping, Members, Pairs, Push, Verbatim, encode


class Colour(IntEnum):
    """Some numbers with names."""

    RED = 7


@pytest.mark.parametrize(
    ("value", "two", "three"),
    [
        (b"ab", b"$2\r\nab\r\n", b"$2\r\nab\r\n"),
        (b"", b"$0\r\n\r\n", b"$0\r\n\r\n"),
        (b"a" * 100, b"$100\r\n" + b"a" * 100 + b"\r\n", b"$100\r\n" + b"a" * 100 + b"\r\n"),
        (bytearray(b"ab"), b"$2\r\nab\r\n", b"$2\r\nab\r\n"),
        ("OK", b"+OK\r\n", b"+OK\r\n"),
        ("a\r\nb", b"+a  b\r\n", b"+a  b\r\n"),
        ("\udcff", b"+\xff\r\n", b"+\xff\r\n"),
        (0, b":0\r\n", b":0\r\n"),
        (-7, b":-7\r\n", b":-7\r\n"),
        (1234567890123, b":1234567890123\r\n", b":1234567890123\r\n"),
        (2**63 - 1, b":9223372036854775807\r\n", b":9223372036854775807\r\n"),
        (-(2**63), b":-9223372036854775808\r\n", b":-9223372036854775808\r\n"),
        (Colour.RED, b":7\r\n", b":7\r\n"),
        (1.5, b"$3\r\n1.5\r\n", b",1.5\r\n"),
        (3.0, b"$1\r\n3\r\n", b",3\r\n"),
        (float("-inf"), b"$4\r\n-inf\r\n", b",-inf\r\n"),
        (True, b":1\r\n", b"#t\r\n"),
        (False, b":0\r\n", b"#f\r\n"),
        (None, b"$-1\r\n", b"_\r\n"),
        (NULL_ARRAY, b"*-1\r\n", b"_\r\n"),
        ([], b"*0\r\n", b"*0\r\n"),
        ((1, [None]), b"*2\r\n:1\r\n*1\r\n$-1\r\n", b"*2\r\n:1\r\n*1\r\n_\r\n"),
        ({b"a": 1}, b"*2\r\n$1\r\na\r\n:1\r\n", b"%1\r\n$1\r\na\r\n:1\r\n"),
        (Pairs([(b"a", 1)]), b"*2\r\n$1\r\na\r\n:1\r\n", b"*1\r\n*2\r\n$1\r\na\r\n:1\r\n"),
        (Mapping([(b"a", 1)]), b"*1\r\n*2\r\n$1\r\na\r\n:1\r\n", b"%1\r\n$1\r\na\r\n:1\r\n"),
        (Members([b"a"]), b"*1\r\n$1\r\na\r\n", b"~1\r\n$1\r\na\r\n"),
        (Push(["m", 1]), b"*2\r\n+m\r\n:1\r\n", b">2\r\n+m\r\n:1\r\n"),
        (Verbatim("hé"), b"$3\r\nh\xc3\xa9\r\n", b"=7\r\ntxt:h\xc3\xa9\r\n"),
        ([errors.WrongType()], b"*1\r\n-%b\r\n" % errors.WrongType().wire, None),
    ],
)  # fmt: skip
def test_value_is_written_as_the_client_s_protocol_wants_it(
    value: object, two: bytes, three: bytes | None
) -> None:
    assert encode(value, 2) == two
    assert encode(value, 3) == (two if three is None else three)


@pytest.mark.parametrize("value", [object(), 2**63, [1, object()], {b"a": {1, 2}}])
def test_what_is_no_reply_is_refused(value: object) -> None:
    with pytest.raises((TypeError, OverflowError)):
        encode(value)


def test_a_long_reply_outgrows_its_first_buffers() -> None:
    reply = [b"x" * n for n in range(2000)]
    expected = b"*2000\r\n" + b"".join(b"$%d\r\n%b\r\n" % (len(x), x) for x in reply)
    assert encode(reply) == expected


def _bulks(sizes: list[int]) -> bytes:
    return b"".join(b"$%d\r\n%b\r\n" % (n, bytes([97 + n % 26]) * n) for n in sizes)


def _connection() -> tuple[Probe, Connection]:
    probe = Probe()
    return probe, Network(probe).connect()


SIZES = [10, 70000, 65536, 3, 65535, 200000, 0]


@pytest.mark.parametrize("chunk", [1, 7, 1000, 65536, 10**6])
def test_pinned_blocks_leave_in_their_places(chunk: int) -> None:
    probe, connection = _connection()
    expected, sent, sizes = b"", b"", SIZES if chunk > 1 else [5, 65536]
    for _ in range(2):
        write_bulks(connection, sizes)
        expected += _bulks(sizes)
        sent += connection.take_output(chunk)
    while part := connection.take_output(chunk):
        sent += part
    assert sent == expected
    assert connection.output_bytes == connection.output_capacity == probe.block_bytes == 0


def test_a_reply_that_is_taken_back_leaves_nothing() -> None:
    probe, connection = _connection()
    write_bulks(connection, SIZES)
    sent = connection.take_output(100000)
    write_bulks(connection, [80000, 5, 90000], undo=True)
    assert sent + connection.take_output() == _bulks(SIZES)
    assert probe.block_bytes == 0


def test_blocks_of_a_closed_connection_are_given_back() -> None:
    probe, connection = _connection()
    write_bulks(connection, SIZES)
    connection.take_output(100000)
    connection.close()
    connection.feed()
    assert connection.closed
    assert probe.block_bytes == 0
