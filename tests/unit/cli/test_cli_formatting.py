"""What spineldb-cli prints, line by line as redis-cli 7.0.15 was seen to print it."""

from __future__ import annotations

import pytest

from spineldb.cli.formatting import answers_text, formatted, raw
from spineldb.client import Double, ErrorReply, Map, Push, Reply, Set, Verbatim

FORMATTED: list[tuple[Reply, str]] = [
    ("OK", "OK\n"),
    (5, "(integer) 5\n"),
    (None, "(nil)\n"),
    (True, "(true)\n"),
    (b'a"\x00\n', '"a\\"\\x00\\n"\n'),
    (Double("3.141"), "(double) 3.141\n"),
    (ErrorReply("ERR no"), "(error) ERR no\n"),
    (Verbatim(b"txt:a\nb"), "a\nb\n"),
    ([], "(empty array)\n"),
    (Set(), "(empty set)\n"),
    (Map(), "(empty hash)\n"),
    (Push(), "(empty push)\n"),
    ([1, [b"a", []], "x"], '1) (integer) 1\n2) 1) "a"\n   2) (empty array)\n3) x\n'),
    (Set([1, 2]), "1~ (integer) 1\n2~ (integer) 2\n"),
    (Map([(b"a", 1), (b"b", None)]), '1# "a" => (integer) 1\n2# "b" => (nil)\n'),
    (Map([(b"a", [1])]), '1# "a" => 1) (integer) 1\n'),
    (
        Map([(b"a", [1, 2])]),
        '1# "a" => \n   1) (integer) 1\n   2) (integer) 2\n',
    ),
    (
        [[0] * 2] + [1] * 9,
        " 1) 1) (integer) 0\n    2) (integer) 0\n"
        + "".join(f"{n:2}) (integer) 1\n" for n in range(2, 11)),
    ),
]


@pytest.mark.parametrize(("reply", "text"), FORMATTED)
def test_replies_are_formatted_for_people(reply: Reply, text: str) -> None:
    assert formatted(reply).decode() == text


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (b"a\x00\n", b"a\x00\n"),
        ("OK", b"OK"),
        (5, b"5"),
        (None, b""),
        (True, b"(true)"),
        (Double("1.5"), b"1.5"),
        (ErrorReply("ERR no"), b"ERR no\n"),
        ([b"a", [1, None], b"b"], b"a\n1\n\nb"),
        (Map([(b"a", 1), (b"b", [2, 3])]), b"a 1\nb 2\n3"),
    ],
)
def test_pipes_get_bytes(reply: Reply, text: bytes) -> None:
    assert raw(reply) == text


def test_text_for_people_is_known_by_its_command() -> None:
    assert answers_text([b"info"])
    assert answers_text([b"client", b"LIST", b"ID", b"5"])
    assert not answers_text([b"client", b"id"])
    assert not answers_text([b"get", b"info"])
