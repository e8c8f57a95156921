"""Bytes to what they mean: integers, floats, times, offsets, and the cursor that reads options.

Requests are bytes, and Redis is strict about them: `int()` would take `+5`, ` 5` and `1_000`. Each
function here takes one argument as it came and raises the error Redis has for it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from spineldb import errors
from spineldb.core.glob import matches as glob
from spineldb.core.numbers import text_to_double, text_to_timeout

__all__ = [
    "INT64_MAX",
    "INT64_MIN",
    "Options",
    "bit_offset",
    "counted",
    "cursor",
    "deadline",
    "expiry",
    "glob",
    "integer",
    "number",
    "positive",
    "ranged",
    "timeout",
    "timeout_ms",
]

INT64_MAX = 2**63 - 1
INT64_MIN = -(2**63)
_CURSOR = re.compile(rb"(?!-[1-9])[ \t-\r]*([+-]?)(?=[0-9])0*([0-9]*)")
_CANONICAL = re.compile(rb"0|-?[1-9][0-9]{0,18}")


def _canonical(raw: bytes) -> int | None:
    """Read the one way to write a 64-bit integer: no plus, no zeros before it, no blanks."""
    if _CANONICAL.fullmatch(raw) is None:
        return None
    value = int(raw)
    return value if INT64_MIN <= value <= INT64_MAX else None


def integer(raw: bytes) -> int:
    """Read a signed integer of 64 bits."""
    value = _canonical(raw)
    if value is None:
        raise errors.NotInteger
    return value


def ranged(raw: bytes, least: int, most: int = INT64_MAX) -> int:
    """Read an integer from `least` to `most`."""
    value = integer(raw)
    if least <= value <= most:
        return value
    if least == 0 and most == INT64_MAX:
        raise errors.NotPositive
    raise errors.OutsideRange(least, most)


def positive(raw: bytes) -> int:
    """Read an integer that is not negative."""
    return ranged(raw, 0)


def counted(raw: bytes, otherwise: type[errors.CommandError]) -> int:
    """Read a number of things, of which there must be one; `otherwise` is the error."""
    value = _canonical(raw)
    if value is None or value <= 0:
        raise otherwise
    return value


def number(raw: bytes) -> float:
    """Read a float in the syntax of C, infinities and hexadecimal included; never a NaN."""
    value = text_to_double(raw)
    if value is None:
        raise errors.NotFloat
    return value


def timeout(raw: bytes) -> float:
    """Read a number of seconds to wait; 0 is for ever. Rounded up to whole milliseconds."""
    milliseconds = text_to_timeout(raw)
    if milliseconds is not None:
        return milliseconds / 1000
    value = text_to_double(raw)
    if value is None:
        raise errors.TimeoutNotFloat
    raise errors.TimeoutNegative if value < 0 else errors.TimeoutOutOfRange


def timeout_ms(raw: bytes) -> int:
    """Read a whole number of milliseconds to wait."""
    value = _canonical(raw)
    if value is None:
        raise errors.TimeoutNotInteger
    if value < 0:
        raise errors.TimeoutNegative
    return value


def expiry(option: bytes, raw: bytes, command: str, now_ms: int) -> int:
    """Read the value of EX, PX, EXAT or PXAT; return the deadline in Unix milliseconds.

    Zero and less are errors, as in SET and its kin.
    """
    if integer(raw) <= 0:
        raise errors.InvalidExpire(command)
    in_seconds = option in {b"EX", b"EXAT"}
    start = 0 if option in {b"EXAT", b"PXAT"} else now_ms
    return deadline(raw, command, start, in_seconds=in_seconds)


def deadline(raw: bytes, command: str, start_ms: int, *, in_seconds: bool) -> int:
    """Read a time of EXPIRE and its kin; return `start_ms` plus that, which may be in the past.

    `start_ms` is now for a relative time, and 0 for a Unix time.
    """
    value = integer(raw)
    if in_seconds:
        value *= 1000
        if not INT64_MIN <= value <= INT64_MAX:
            raise errors.InvalidExpire(command)
    if value > INT64_MAX - start_ms:
        raise errors.InvalidExpire(command)
    return value + start_ms


def bit_offset(raw: bytes, limit_bytes: int, width: int = 0) -> int:
    """Read the offset of a bit in a string of at most `limit_bytes`.

    With a `width`, `#3` means the fourth field of that many bits.
    """
    counted = width > 0 and raw.startswith(b"#")
    value = _canonical(raw[1:] if counted else raw)
    if value is None:
        raise errors.BitOffset
    if counted:
        value *= width
    if value < 0 or value >> 3 >= limit_bytes:
        raise errors.BitOffset
    return value


def cursor(raw: bytes) -> int:
    """Read the cursor of HSCAN as `hot_keys` reads SCAN's: blanks, a sign, zeros may lead it."""
    found = _CURSOR.fullmatch(raw)
    if found is None or len(found[2]) > 20 or int(found[2] or b"0") >= 2**64:
        raise errors.InvalidCursor
    value = int(found[2] or b"0")
    return -value % 2**64 if found[1] == b"-" else value


class Options:
    """A cursor over the option words of a request.

    options = Options(rest)
    while options:
        match options.keyword():
            case b"EX":
                seconds = options.integer()
            case _:
                raise errors.Syntax

    What is missing is a syntax error.
    """

    def __init__(self, words: Sequence[bytes]) -> None:
        self._words = words
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._words)

    @property
    def left(self) -> int:
        """How many words have not been read."""
        return len(self._words) - self._at

    def word(self) -> bytes:
        """Take the next word as it came."""
        if self._at == len(self._words):
            raise errors.Syntax
        word = self._words[self._at]
        self._at += 1
        return word

    def keyword(self) -> bytes:
        """Take the next word in upper case."""
        return self.word().upper()

    def words(self, count: int) -> Sequence[bytes]:
        """Take several words as they came."""
        if not 0 <= count <= self.left:
            raise errors.Syntax
        self._at += count
        return self._words[self._at - count : self._at]

    def rest(self) -> Sequence[bytes]:
        """Take all words that are left."""
        return self.words(self.left)

    def integer(self) -> int:
        """Take an integer."""
        return integer(self.word())

    def positive(self) -> int:
        """Take an integer that is not negative."""
        return positive(self.word())

    def number(self) -> float:
        """Take a float."""
        return number(self.word())
