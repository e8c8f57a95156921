"""Globs agree with a naive model on patterns without Redis's oddities."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from spineldb.core.glob import matches

LITERAL = st.sampled_from([b"a", b"b", b"c", b"\xe9", b"\0", b"\n"])
PIECE = st.one_of(LITERAL, st.sampled_from([b"*", b"?", b"[ab]", b"[^ab]", b"[a-c]", b"\\*"]))
AS_REGEX = {b"*": b".*", b"?": b".", b"\\*": b"\\*"}


@given(st.lists(PIECE, max_size=8), st.lists(LITERAL, min_size=1, max_size=12))
def test_a_glob_is_a_regular_expression(pieces: list[bytes], letters: list[bytes]) -> None:
    regex = b"".join(
        AS_REGEX.get(piece, piece if piece.startswith(b"[") else re.escape(piece))
        for piece in pieces
    )
    text = b"".join(letters)
    expected = re.fullmatch(regex, text, re.DOTALL) is not None
    assert matches(b"".join(pieces), text) == expected


@given(st.binary(max_size=30), st.binary(max_size=30), st.booleans())
def test_any_bytes_are_a_pattern(pattern: bytes, text: bytes, nocase: bool) -> None:
    assert matches(pattern, text, nocase) in (True, False)
