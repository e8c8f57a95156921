"""Connections without sockets: what they read, refuse, keep and answer."""

from __future__ import annotations

import gc

import pytest

from spineldb.core.connection import Connection, Network
from spineldb.core.probe_net import Probe
from spineldb.core.session import SessionFlag
from tests.support.network import request


def new(*, locked: bool = False) -> tuple[Probe, Network, Connection]:
    probe = Probe()
    probe.recording = True
    probe.locked = locked
    network = Network(probe)
    return probe, network, network.connect()


def words(probe: Probe) -> list[list[bytes]]:
    return [argv for argv, _ in probe.requests]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"PING\r\n", [b"PING"]),
        (b"PING\n", [b"PING"]),
        (b"  a \t b  \r\n", [b"a", b"b"]),
        (b"a\rb\r\n", [b"a", b"b"]),
        (b"\x0ba\x0bb\r\n", [b"a\x0bb"]),
        (b'e "a b" c\r\n', [b"e", b"a b", b"c"]),
        (b'e "\\x41\\n\\r\\t\\b\\a\\q\\"\\\\" \r\n', [b"e", b'A\n\r\t\b\aq"\\']),
        (b'e "\\xZZ\\x4"\r\n', [b"e", b"xZZx4"]),
        (b"e 'a\\'b\\n\"'\r\n", [b"e", b"a'b\\n\""]),
        (b'e a"b c"\r\n', [b"e", b"ab c"]),
        (b'e ""\r\n', [b"e", b""]),
        (b"a\0b\r\n", [b"a\0b"]),
        (b"+PING\r\n", [b"+PING"]),
    ],
)
def test_inline_request_is_split_into_words(line: bytes, expected: list[bytes]) -> None:
    probe, _, connection = new()
    connection.feed(line)
    assert words(probe) == [expected]
    assert not connection.closed


# The texts are those of Redis 8.2.3, byte for byte.
@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"*-0\r\n", b"invalid multibulk length"),
        (b"*01\r\n", b"invalid multibulk length"),
        (b"*+1\r\n", b"invalid multibulk length"),
        (b"*\r\n", b"invalid multibulk length"),
        (b"*2147483648\r\n", b"invalid multibulk length"),
        (b"*1\r\n:4\r\n", b"expected '$', got ':'"),
        (b"*1\r\n%4\r\n", b"expected '$', got '%'"),
        (b"*1\r\n\r\n", b"expected '$', got ' '"),
        (b"*1\r\n\xff\r\n", b"expected '$', got '\xff'"),
        (b"*1\r\n$-1\r\n", b"invalid bulk length"),
        (b"*1\r\n$536870913\r\n", b"invalid bulk length"),
        (b"*1\r\n$x\r\n", b"invalid bulk length"),
        (b"*1\r\n$\r\n", b"invalid bulk length"),
        (b'e "a\r\n', b"unbalanced quotes in request"),
        (b"e 'a\r\n", b"unbalanced quotes in request"),
        (b'e "a"b\r\n', b"unbalanced quotes in request"),
        (b"A" * 65537, b"too big inline request"),
        (b"*" + b"1" * 65536, b"too big mbulk count string"),
        (b"*1\r\n$" + b"1" * 65536, b"too big bulk count string"),
        (b"*1\r\n" + b"x" * 65537, b"too big bulk count string"),
    ],
)
@pytest.mark.parametrize("piece", [1 << 20, 9000, 3])
def test_protocol_error_is_answered_and_ends_the_connection(
    data: bytes, error: bytes, piece: int
) -> None:
    _, network, connection = new()
    sent = b"PING\r\n" + data
    reply = b""
    for at in range(0, len(sent), piece):
        reply += connection.feed(sent[at : at + piece])
        if connection.closed:
            break
    assert reply == b"+PONG\r\n-ERR Protocol error: " + error + b"\r\n"
    assert not network.connections


@pytest.mark.parametrize("data", [b"A" * 65536, b"*2147483647\r\n", b"*1", b"*1\r\n$536870912\r\n"])
def test_what_may_still_become_a_request_is_kept(data: bytes) -> None:
    _, _, connection = new()
    assert connection.feed(data) == b""
    assert not connection.closed
    assert connection.input_buffer < 100000  # nothing is reserved for what was only announced


@pytest.mark.parametrize(
    "data",
    [
        b"POST / HTTP/1.1\r\n",
        b"*1\r\n$4\r\nPost\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n",
        b"post\r\n",
    ],
)
def test_browser_is_cut_off_without_an_answer(data: bytes) -> None:
    _, _, connection = new()
    assert connection.feed(data) == b""
    assert connection.closed


def test_empty_requests_are_skipped() -> None:
    probe, _, connection = new()
    assert connection.feed(b"\r\n*0\r\n*-1\r\n*-5\r\n   \r\nPING\r\n") == b"+PONG\r\n"
    assert words(probe) == [[b"PING"]]


def test_raw_bytes_are_offered_of_well_formed_requests_only() -> None:
    probe, _, connection = new()
    good = request(b"SET", b"k", b"v" * 30)
    connection.feed(good + b"*1\r\n$4\r\nPINGXX" + b"PING\r\n" + b"*1\rX$4\r\nPING\r\n" + good[:20])
    connection.feed(good[20:])
    assert [raw for _, raw in probe.requests] == [good, None, None, None, good]


def test_requests_are_offered_sixteen_at_a_time() -> None:
    probe, _, connection = new()
    assert connection.feed(b"PING\r\n" * 40) == b"+PONG\r\n" * 40
    assert probe.batches == [16, 16, 8]
    assert probe.settled == 1


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"*11\r\n", b"unauthenticated multibulk length"),
        (b"*1\r\n$16385\r\n", b"unauthenticated bulk length"),
        (b"*2147483648\r\n", b"invalid multibulk length"),
        (b"*1\r\n$536870913\r\n", b"invalid bulk length"),
    ],
)
def test_who_has_not_logged_in_may_send_little(data: bytes, error: bytes) -> None:
    _, _, connection = new(locked=True)
    assert connection.feed(data) == b"-ERR Protocol error: " + error + b"\r\n"
    assert connection.closed


def test_login_lifts_the_limits_for_what_follows_in_the_same_bytes() -> None:
    _, _, connection = new(locked=True)
    long = request(*[b"a"] * 11)
    assert connection.feed(request(b"AUTH", b"pw") + long + long) == b"+OK\r\n:11\r\n:11\r\n"


def test_big_argument_becomes_a_block_and_comes_back() -> None:
    probe, _, connection = new()
    value = bytes(range(256)) * 1200
    data = request(b"SET", b"k", value) + request(b"GET", b"k")
    replies = b"".join(connection.feed(data[at : at + 5000]) for at in range(0, len(data), 5000))
    assert replies == b"+OK\r\n$%d\r\n%b\r\n" % (len(value), value)
    assert probe.block_bytes > len(value)
    assert connection.input_bytes == connection.input_buffer == 0


def test_blocks_of_an_unfinished_request_are_given_back() -> None:
    probe, _, connection = new()
    connection.feed(b"*4\r\n$3\r\nSET\r\n$40000\r\n" + b"x" * 40000 + b"\r\n$50000\r\nxx")
    assert probe.block_bytes > 40000
    connection.close()
    connection.feed()
    assert probe.block_bytes == 0


def test_forgotten_connection_gives_everything_back() -> None:
    probe, network, connection = new()
    connection.feed(b"*2\r\n$3\r\nSET\r\n$40000\r\nxx")
    del network, connection
    gc.collect()
    assert probe.block_bytes == 0


@pytest.mark.parametrize("tail", [b"", b"*2\r\n$4\r\nEC", b"*2\r\n$4\r\nECHO\r\n$40000\r\nzz"])
def test_requests_behind_one_that_blocks_wait(tail: bytes) -> None:
    probe, _, connection = new()
    assert connection.feed(request(b"BLOCK") + b"PING\r\n" * 20 + tail) == b"+BLOCKING\r\n"
    assert connection.feed(b"") == b""
    probe.release()
    assert connection.feed(b"") == b"+PONG\r\n" * 20
    rest = {0: b"PING\r\n", 10: b"HO\r\n$1\r\na\r\n"}.get(len(tail), b"z" * 39998 + b"\r\n")
    assert connection.feed(rest)[-3:] in {b"NG\r\n"[-3:], b"a\r\n", b"z\r\n"}
    assert connection.input_buffer == 0


def test_big_argument_arrives_while_its_client_waits() -> None:
    probe, _, connection = new()
    data = request(b"BLOCK") + request(b"ECHO", b"q" * 100000) + b"PING\r\n"
    replies = [connection.feed(data[at : at + 9000]) for at in range(0, len(data), 9000)]
    assert b"".join(replies) == b"+BLOCKING\r\n"
    probe.release()
    assert connection.feed() == b"$100000\r\n" + b"q" * 100000 + b"\r\n+PONG\r\n"
    assert probe.block_bytes == 0


def test_postponed_request_is_offered_again() -> None:
    probe, _, connection = new()
    assert connection.feed(b"PING\r\nPAUSE\r\nPING\r\n") == b"+PONG\r\n"
    probe.parked.append(connection)  # so that PAUSE passes when it is offered again
    connection.mark(SessionFlag.POSTPONED, on=False)
    assert connection.feed() == b":1\r\n+PONG\r\n"


def test_quit_leaves_the_rest_unexecuted() -> None:
    probe, network, connection = new()
    assert connection.feed(b"QUIT\r\nPING\r\n") == b"+OK\r\n"
    assert connection.closed
    assert words(probe) == [[b"QUIT"]]
    assert probe.left == [1]
    assert not network.connections


def test_executor_that_fails_costs_its_client_the_connection_only() -> None:
    _, network, connection = new()
    other = network.connect()
    connection.feed(b"FAIL\r\n")
    assert connection.closed
    assert other.feed(b"PING\r\n") == b"+PONG\r\n"


def test_replies_of_effects_that_could_not_be_settled_are_not_sent() -> None:
    probe, _, connection = new()
    probe.settle_fails = True
    assert connection.feed(b"PING\r\n") == b""
    assert connection.closed


def test_more_input_than_the_limit_ends_the_connection() -> None:
    _, network, connection = new()
    network.query_buffer_limit = 100000
    connection.feed(b"*3\r\n$3\r\nSET\r\n$60000\r\n" + b"x" * 60002)
    assert not connection.closed
    connection.feed(b"$60000\r\n" + b"x" * 50000)
    assert connection.closed
    assert network.client_query_buffer_limit_disconnections == 1


def test_client_that_waits_cannot_fill_the_memory() -> None:
    _, network, connection = new()
    network.query_buffer_limit = 100000
    connection.feed(b"BLOCK\r\n" + b"PING\r\n" * 10)
    connection.feed(b"PING\r\n" * 20000)
    assert connection.closed


def test_more_output_than_the_hard_limit_ends_the_connection() -> None:
    _, network, connection = new()
    network.limit_output(0, 50000, 0, 0)
    assert len(connection.feed(b"BULK 40000\r\n")) > 40000
    connection.feed(b"BULK 60000\r\n")
    assert connection.closed
    assert network.client_output_buffer_limit_disconnections == 1


def test_messages_above_the_hard_limit_are_dropped_at_once() -> None:
    _, network, connection = new()
    network.limit_output(2, 50000, 0, 0)
    connection.mark(SessionFlag.PUBSUB)
    for _ in range(1000):
        connection.send(b"x" * 1000)
    assert connection.output_bytes < 60000
    connection.feed()
    assert connection.closed
    assert network.client_output_buffer_limit_disconnections == 1


def test_refused_client_gets_the_reason() -> None:
    probe, network, _ = new()
    probe.refusal = b"-ERR max number of clients reached\r\n"
    with pytest.raises(ConnectionRefusedError, match="-ERR max number of clients reached"):
        network.connect()
    assert len(network.connections) == 1
    assert probe.left == []


def test_closed_connection_takes_nothing_more() -> None:
    _, _, connection = new()
    connection.close()
    connection.feed()
    with pytest.raises(ConnectionResetError):
        connection.feed(b"PING\r\n")
