"""Words and quoted strings."""

from __future__ import annotations

import pytest

from spineldb.cli.quoting import UnbalancedQuotes, quoted, split


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"", []),
        (b"  set  k\tv \r\n", [b"set", b"k", b"v"]),
        (b'""', [b""]),
        (rb'"a b\x41\n\"\\\q"', [b'a bA\n"\\q']),
        (rb"'a b\n\'c'", [rb"a b\n'c"]),
        (b'"a\nb"', [b"a\nb"]),
        (b"k\xff \xfe", [b"k\xff", b"\xfe"]),
        (rb'"\xzz"', [b"xzz"]),
    ],
)
def test_lines_are_split_as_redis_splits_them(line: bytes, words: list[bytes]) -> None:
    assert split(line) == words


@pytest.mark.parametrize("line", [b'"a', b"'a", b'"a"b', b"'a'b", b'"a\\"'])
def test_quotes_must_balance_and_end_their_word(line: bytes) -> None:
    with pytest.raises(UnbalancedQuotes):
        split(line)


def test_what_is_quoted_splits_back() -> None:
    every_byte = bytes(range(256))
    assert split(quoted(every_byte).encode()) == [every_byte]
    assert quoted(b'a"\\\n\r\t\a\b\x00\xff') == r'"a\"\\\n\r\t\a\b\x00\xff"'
