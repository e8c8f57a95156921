"""Arguments are read as strictly as the real server reads them."""

from __future__ import annotations

import pytest

from spineldb import errors
from spineldb.engine import arguments
from spineldb.engine.arguments import INT64_MAX, INT64_MIN, Options

NOW = 1_700_000_000_000


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"0", 0),
        (b"-1", -1),
        (b"10", 10),
        (b"9223372036854775807", INT64_MAX),
        (b"-9223372036854775808", INT64_MIN),
    ],
)
def test_an_integer(raw: bytes, value: int) -> None:
    assert arguments.integer(raw) == value


@pytest.mark.parametrize(
    "raw",
    [
        *[b"", b"+5", b"010", b"-0", b" 5", b"5 ", b"1_000", b"\xd9\xa5", b"5\n", b"0x1", b"1.0"],
        *[b"--1", b"-", b"9223372036854775808", b"-9223372036854775809", b"9" * 5000],
    ],
)
def test_no_integer(raw: bytes) -> None:
    with pytest.raises(errors.NotInteger):
        arguments.integer(raw)


def test_ranges() -> None:
    assert arguments.positive(b"0") == 0
    with pytest.raises(errors.NotPositive):
        arguments.positive(b"-1")
    with pytest.raises(errors.NotInteger):
        arguments.positive(b"x")
    with pytest.raises(errors.OutsideRange, match="value must between 1 and 10"):
        arguments.ranged(b"11", 1, 10)


def test_numbers() -> None:
    assert arguments.number(b"0x1p3") == 8
    with pytest.raises(errors.NotFloat):
        arguments.number(b"nan")


@pytest.mark.parametrize(
    ("raw", "value"), [(b"0", 0), (b"1.5", 1.5), (b"0.0001", 0.001), (b"-0", 0)]
)
def test_a_timeout_is_rounded_up_to_milliseconds(raw: bytes, value: float) -> None:
    assert arguments.timeout(raw) == value


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (b"x", errors.TimeoutNotFloat),
        (b"nan", errors.TimeoutNotFloat),
        (b"-0.1", errors.TimeoutNegative),
        (b"-inf", errors.TimeoutNegative),
        (b"inf", errors.TimeoutOutOfRange),
        (b"1e300", errors.TimeoutOutOfRange),
    ],
)
def test_no_timeout(raw: bytes, error: type[errors.CommandError]) -> None:
    with pytest.raises(error):
        arguments.timeout(raw)


def test_a_timeout_in_milliseconds() -> None:
    assert arguments.timeout_ms(b"100") == 100
    with pytest.raises(errors.TimeoutNotInteger):
        arguments.timeout_ms(b"1.5")
    with pytest.raises(errors.TimeoutNegative):
        arguments.timeout_ms(b"-1")


@pytest.mark.parametrize(
    ("option", "raw", "expected"),
    [
        (b"EX", b"10", NOW + 10_000),
        (b"PX", b"10", NOW + 10),
        (b"EXAT", b"10", 10_000),
        (b"PXAT", b"10", 10),
    ],
)
def test_an_expiry_is_a_deadline(option: bytes, raw: bytes, expected: int) -> None:
    assert arguments.expiry(option, raw, "set", NOW) == expected


@pytest.mark.parametrize(
    ("option", "raw"),
    [
        (b"EX", b"0"),
        (b"PX", b"-1"),
        (b"EXAT", b"0"),
        (b"EX", b"9223372036854775807"),
        (b"EX", b"9223372036854775"),
        (b"PX", b"9223372036854775807"),
    ],
)
def test_no_expiry(option: bytes, raw: bytes) -> None:
    with pytest.raises(errors.InvalidExpire, match="in 'getex' command"):
        arguments.expiry(option, raw, "getex", NOW)


def test_a_deadline_may_be_past() -> None:
    assert arguments.deadline(b"-10", "expire", NOW, in_seconds=True) == NOW - 10_000
    with pytest.raises(errors.InvalidExpire):
        arguments.deadline(b"-9223372036854775807", "expire", NOW, in_seconds=True)


def test_bit_offsets() -> None:
    assert arguments.bit_offset(b"4294967295", 2**29) == 2**32 - 1
    assert arguments.bit_offset(b"#3", 2**29, 8) == 24
    for raw, width in [
        (b"4294967296", 0),
        (b"-1", 0),
        (b"#1", 0),
        (b"#-1", 8),
        (b"#x", 8),
        (b"x", 8),
    ]:
        with pytest.raises(errors.BitOffset):
            arguments.bit_offset(raw, 2**29, width)


def test_cursors() -> None:
    assert arguments.cursor(b"18446744073709551615") == 2**64 - 1
    for raw in [b" 1", b"+1", b"\r\n+01", b"0" * 5000 + b"1"]:
        assert arguments.cursor(raw) == 1
    assert arguments.cursor(b"-0") == 0
    assert arguments.cursor(b" -1") == arguments.cursor(b"-01") == 2**64 - 1
    for raw in [
        b"",
        b"-1",
        b"x",
        b"18446744073709551616",
        b"1 ",
        b"+-1",
        b"-",
        b"\xb2",
        b"9" * 9999,
    ]:
        with pytest.raises(errors.InvalidCursor):
            arguments.cursor(raw)


def test_options_read_like_the_grammar() -> None:
    options = Options([b"ex", b"10", b"Get", b"match", b"a*", b"score", b"1.5", b"x", b"y"])
    assert options
    assert options.keyword() == b"EX"
    assert options.integer() == 10
    assert options.keyword() == b"GET"
    assert options.left == 6
    assert [options.keyword(), options.word()] == [b"MATCH", b"a*"]
    assert [options.keyword(), options.number()] == [b"SCORE", 1.5]
    assert list(options.words(1)) == [b"x"]
    assert list(options.rest()) == [b"y"]
    assert not options


def test_missing_words_are_syntax_errors() -> None:
    with pytest.raises(errors.Syntax):
        Options([]).keyword()
    with pytest.raises(errors.Syntax):
        Options([b"1"]).words(2)
    with pytest.raises(errors.NotPositive):
        Options([b"-1"]).positive()
