"""The words of a redis.conf's line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spineldb.config.redis_conf import quote, split


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"a b  c", [b"a", b"b", b"c"]),
        (b"  ", []),
        (b'a "" b', [b"a", b"", b"b"]),
        (rb'"\n\r\t\b\a\x41\q\""', [b'\n\r\t\x08\x07Aq"']),
        (rb"'\n \' x'", [rb"\n ' x"]),
        (b'"abc', None),
        (b"'abc", None),
        (b'"a"b', None),
        (b'a"b"', [b"ab"]),
        (b'"\\xzz"', [b"xzz"]),
    ],
)
def test_words_are_split_as_redis_does(line: bytes, words: list[bytes] | None) -> None:
    assert split(line) == words


@given(st.binary())
def test_a_quoted_word_reads_back(word: bytes) -> None:
    assert split(quote(word.decode("utf-8", "surrogateescape")).encode()) == [word]
