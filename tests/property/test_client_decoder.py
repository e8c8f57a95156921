"""Whatever a value and however its bytes are split, the client decodes it."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from spineldb.client import INCOMPLETE, Decoder, Double, ErrorReply, Map, Push, Set, Verbatim

_words = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"))
_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.binary(max_size=40),
    _words,
    _words.map(ErrorReply),
    st.floats(allow_nan=False).map(repr).map(Double),
    st.binary(max_size=20).map(lambda text: Verbatim(b"txt:" + text)),
)
_values = st.recursive(
    _scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.lists(inner, max_size=5).map(Set),
        st.lists(st.tuples(inner, inner), max_size=4).map(Map),
    ),
    max_leaves=20,
)


def _wire(value: Any) -> bytes:
    match value:
        case None:
            return b"_\r\n"
        case bool():
            return b"#t\r\n" if value else b"#f\r\n"
        case Double():
            return f",{value.text}\r\n".encode()
        case int():
            return b":%d\r\n" % value
        case str():
            return f"+{value}\r\n".encode()
        case ErrorReply():
            return f"-{value}\r\n".encode()
        case Verbatim():
            return b"=%d\r\ntxt:%b\r\n" % (len(value) + 4, bytes(value))
        case bytes():
            return b"$%d\r\n%b\r\n" % (len(value), value)
        case Map():
            return b"%%%d\r\n" % len(value) + b"".join(_wire(x) for pair in value for x in pair)
    mark = {Set: b"~", Push: b">"}.get(type(value), b"*")
    return mark + b"%d\r\n" % len(value) + b"".join(map(_wire, value))


@given(st.lists(_values, min_size=1, max_size=4), st.lists(st.integers(1, 30), min_size=1))
def test_values_survive_any_split(values: list[Any], cuts: list[int]) -> None:
    wire = b"".join(map(_wire, values))
    decoder = Decoder()
    decoded: list[Any] = []
    at = turn = 0
    while at < len(wire):
        step = cuts[turn % len(cuts)]
        decoder.feed(wire[at : at + step])
        at, turn = at + step, turn + 1
        while (value := decoder.next()) is not INCOMPLETE:
            decoded.append(value)
    assert decoded == values
    assert [type(value) for value in decoded] == [type(value) for value in values]
