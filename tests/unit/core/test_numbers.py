"""Numbers are read and written as the real server does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from spineldb import errors
from spineldb.core.numbers import double_to_text, long_double_sum, text_to_double

RECORDING = json.loads(
    (Path(__file__).parents[2] / "reference" / "redis-8.2-texts.json").read_text()
)
BAD_FLOAT = "-ERR value is not a valid float"


def added(first: bytes, second: bytes, *, exactly: bool) -> str:
    """Add as INCRBYFLOAT and write the reply as the recording does."""
    try:
        return long_double_sum(first, second, exactly=exactly).decode()
    except errors.CommandError as error:
        return f"-{error}"


@pytest.mark.parametrize("text", RECORDING["floats"])
def test_a_float_is_read_as_by_the_real_server(text: str) -> None:
    score, incremented = RECORDING["floats"][text]
    raw = text.encode("latin-1")
    value = text_to_double(raw)
    assert (BAD_FLOAT if value is None else double_to_text(value).decode()) == score
    assert added(b"0", raw, exactly=False) == incremented
    assert added(b"0", raw, exactly=True) == incremented


@pytest.mark.parametrize("exactly", [False, True])
def test_sums_are_the_real_server_s(exactly: bool) -> None:
    for first, second, expected in RECORDING["sums"]:
        assert added(first.encode(), second.encode(), exactly=exactly) == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, b"0"),
        (-0.0, b"-0"),
        (0.1, b"0.1"),
        (1e300, b"1e+300"),
        (1e-10, b"1e-10"),
        (1.5e-7, b"1.5e-7"),
        (17179869184.0, b"17179869184"),
        (12345678901234567890.0, b"12345678901234567000"),
        (2.0**62, b"4611686018427387904"),
        (2.0**63, b"9223372036854776000"),
        (1e21, b"1e+21"),
        (1e-5, b"0.00001"),
        (1.234e-6, b"1.234e-6"),
        (5e-324, b"5e-324"),
        (1.7976931348623157e308, b"1.7976931348623157e+308"),
        (-2.5, b"-2.5"),
        (float("inf"), b"inf"),
        (float("-inf"), b"-inf"),
        (float("nan"), b"nan"),
    ],
)
def test_a_double_is_written_with_the_fewest_digits(value: float, text: bytes) -> None:
    assert double_to_text(value) == text


def test_numbers_of_thousands_of_digits_are_added() -> None:
    assert added(b"1e4931", b"1", exactly=False) == added(b"1e4931", b"1", exactly=True)
    assert added(b"9" * 5119, b"1", exactly=False) == BAD_FLOAT
    assert added(b"1" * 5200, b"1", exactly=True) == BAD_FLOAT
    assert added(b"0" * 5000 + b"1", b"1", exactly=True) == "2"
