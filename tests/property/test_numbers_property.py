"""Texts of numbers hold for every number."""

from __future__ import annotations

import struct
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from spineldb import errors
from spineldb.core.numbers import double_to_text, extended, long_double_sum, text_to_double
from spineldb.engine.arguments import INT64_MAX, INT64_MIN, integer

DECIMALS = st.from_regex(rb"[+-]?[0-9]{1,30}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,4})?", fullmatch=True)
HEXADECIMALS = st.from_regex(
    rb"-?0x[0-9a-f]{1,20}(\.[0-9a-f]{1,9})?(p-?[0-9]{1,4})?", fullmatch=True
)
ANYTHING = st.one_of(DECIMALS, HEXADECIMALS, st.binary(max_size=12))


@given(st.integers(0, 2**64 - 1))
def test_a_double_reads_back_from_the_fewest_digits(bits: int) -> None:
    (value,) = struct.unpack("d", struct.pack("Q", bits))
    if value != value:  # noqa: PLR0124  # a NaN has no text to read back
        return
    text = double_to_text(value)
    assert text_to_double(text) == value
    if abs(value) not in (0, float("inf")) and not (value.is_integer() and abs(value) <= 2**62):
        digits = Decimal(text.decode()).normalize().as_tuple().digits
        assert digits == Decimal(repr(value)).normalize().as_tuple().digits


@given(ANYTHING)
def test_the_exact_reader_agrees_with_the_machine_s(text: bytes) -> None:
    try:
        expected = long_double_sum(text, b"0")
    except errors.CommandError as error:
        expected = error.wire
    try:
        found = long_double_sum(text, b"0", exactly=True)
    except errors.CommandError as error:
        found = error.wire
    assert found == expected


@given(DECIMALS, DECIMALS)
def test_sums_agree_with_the_machine_s(first: bytes, second: bytes) -> None:
    if isinstance(extended(first), Fraction) and isinstance(extended(second), Fraction):
        assert long_double_sum(first, second, exactly=True) == long_double_sum(first, second)


@given(st.integers(2 * INT64_MIN, 2 * INT64_MAX))
def test_integers_are_those_of_64_bits(value: int) -> None:
    try:
        assert integer(str(value).encode()) == value
    except errors.NotInteger:
        assert not INT64_MIN <= value <= INT64_MAX


@given(st.binary(max_size=20))
def test_an_integer_is_written_in_one_way(raw: bytes) -> None:
    try:
        value = integer(raw)
    except errors.NotInteger:
        return
    assert str(value).encode() == raw
