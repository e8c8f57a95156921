"""Requests are the same however their bytes are cut, and whatever waits in between."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from spineldb.core.connection import Network
from spineldb.core.probe_net import Probe
from tests.support.network import request

argument = st.one_of(
    st.binary(max_size=20),
    st.integers(0, 300).map(lambda n: b"m" * n),
    st.sampled_from([32767, 32768, 65535, 65536, 70000]).map(lambda n: b"b" * n),
)
multibulk = st.lists(argument, min_size=1, max_size=6).map(lambda words: request(b"c", *words))
inline = st.sampled_from(
    [b"PING\r\n", b"\r\n", b"a b\n", b'x "q\\x41 w" z\r\n', b"*0\r\n", b"*-1\r\n", b"y 'k'\r\n"]
)
stream = st.lists(st.one_of(multibulk, inline), max_size=40).map(b"".join)
broken = st.binary(max_size=60)


def _run(pieces: list[bytes]) -> tuple[bytes, list[list[bytes]], bool]:
    """Feed the pieces; return replies, requests, and whether the connection was closed."""
    probe = Probe()
    probe.recording = True
    connection = Network(probe).connect()
    replies = b""
    for piece in pieces:
        replies += connection.feed(piece)
        if connection.closed:
            break
    requests = [argv for argv, _ in probe.requests]
    if not connection.closed and not connection.input_bytes:
        assert connection.input_buffer == 0
        assert probe.block_bytes == 0
    return replies, requests, connection.closed


def _cut(data: bytes, cuts: list[float]) -> list[bytes]:
    places = sorted({0, len(data), *(int(cut * len(data)) for cut in cuts)})
    return [data[a:b] for a, b in pairwise(places)]


fractions = st.lists(st.floats(0, 1, allow_nan=False), max_size=30)


@settings(deadline=None, max_examples=150)
@given(stream, broken, fractions)
def test_cuts_change_nothing(data: bytes, tail: bytes, cuts: list[float]) -> None:
    assert _run(_cut(data + tail, cuts)) == _run([data + tail])


@settings(deadline=None, max_examples=100)
@given(
    st.binary(max_size=200).map(lambda data: data.replace(b"x", b"\r\n").replace(b"y", b"*1\r\n$"))
)
def test_any_bytes_one_by_one_are_as_all_at_once(data: bytes) -> None:
    assert _run([data[i : i + 1] for i in range(len(data))]) == _run([data])


@settings(deadline=None, max_examples=60)
@given(st.lists(st.one_of(multibulk, inline), max_size=12), st.data())
def test_blocking_in_between_changes_nothing(requests: list[bytes], data: st.DataObject) -> None:
    expected = _run([b"".join(requests)])[0]
    probe = Probe()
    connection = Network(probe).connect()
    blocking = b"".join(request(b"BLOCK") + one for one in requests)
    replies = b""
    for piece in _cut(blocking, data.draw(fractions)):
        replies += connection.feed(piece)
        if data.draw(st.booleans()):
            probe.release()
    replies += connection.feed()
    while probe.parked:
        probe.release()
        replies += connection.feed()
    assert replies.replace(b"+BLOCKING\r\n", b"") == expected
    assert connection.input_buffer == probe.block_bytes == 0
