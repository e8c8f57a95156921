"""The notation of transcripts: what it reads, writes and matches."""

from __future__ import annotations

import pytest

from spineldb.client import NULL_ARRAY, Double, ErrorReply, Map, Set, Verbatim
from tests.transcripts import notation
from tests.transcripts.notation import matches, parse, write


@pytest.mark.parametrize(
    "line",
    [
        "+OK",
        "-ERR a b [c]",
        "5",
        "-5",
        ",1.50",
        "(123",
        '"a\\x00\\""',
        '=txt"a\\n"',
        "nil",
        "nil*",
        "#t",
        '[1 [+a -"ERR a b"] ~[] >[nil] %{"k" [] 2 "v"}]',
        "<any>",
        "[<int 1..5> <text:name> <double ..2.5>]",
        "=/a\\/b .*/",
        '<unordered>["a" ...]',
        '%{"a" 1 ...}',
    ],
)
def test_lines_are_written_as_they_were_read(line: str) -> None:
    assert write(parse(line)) == line


def test_resp2_follows_from_resp3() -> None:
    value = parse('[%{"a" ,1.5} ~[#t nil] =txt"x"]')
    assert matches(value, [[b"a", b"1.5"], [1, None], b"x"], 2, {})
    double, verbatim = Double("1.5"), Verbatim(b"txt:x")
    assert matches(value, [Map([(b"a", double)]), Set([True, None]), verbatim], 3, {})
    assert not matches(value, [[b"a", b"1.5"], [1, None], b"x"], 3, {})


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("1", True),
        ("+a", b"a"),
        ('"a"', "a"),
        ("nil", NULL_ARRAY),
        ("[]", Set()),
        (",1", Double("1.0")),
    ],
)
def test_types_must_agree(line: str, value: object) -> None:
    assert not matches(parse(line), value, 3 if line != "nil" else 2, {})


def test_patterns_match_and_keep() -> None:
    kept: notation.Variables = {}
    assert matches(parse("<int:id>"), 7, 2, kept)
    assert matches(parse("/id=(?P<rest>.*)/"), b"id=x\ny", 2, kept)
    assert kept == {"id": b"7", "rest": b"x\ny"}
    assert not matches(parse("<int 1..5>"), 7, 2, {})
    assert matches(parse("<unordered>[1 2 2]"), [2, 1, 2], 2, {})
    assert not matches(parse("<unordered>[1 2 2]"), [2, 1, 1], 2, {})
    assert matches(parse('<unordered>%{"a" 1 ...}'), [b"b", 2, b"a", 1], 2, {})
    assert matches(parse("-/ERR .*/"), ErrorReply("ERR x"), 3, {})


def test_unifying_refuses_what_does_not_follow() -> None:
    assert write(notation.unify([b"a", 1], Map([(b"a", 1)]))) == '%{"a" 1}'
    assert notation.unify(NULL_ARRAY, None) is NULL_ARRAY
    with pytest.raises(notation.Different):
        notation.unify([b"a", 1], [[b"a", 1]])
