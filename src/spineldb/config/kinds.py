"""What a parameter's value may be: one class per grammar.

A kind reads and prints values for two audiences. `parse` and `format` are Redis's: the texts of
CONFIG SET, redis.conf and flags like `--maxmemory 100mb`, with Redis's exact words for what is
wrong. `decode` and `encode` are the TOML file's, and `from_text` reads an environment variable or
`--set key=value` by the file's rules. A value refused raises `Refused`, whose text is the reason.
"""

# ruff: noqa: D102 - Kind says what each method of a kind does
from __future__ import annotations

import tomllib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

from spineldb import errors
from spineldb.config import units
from spineldb.config.toml_text import is_array, is_table

T = TypeVar("T")

INT_MAX = 2**31 - 1
LONG_MAX = 2**63 - 1
ULONG_MAX = 2**64 - 1


UNITS = {"us": "microseconds", "ms": "milliseconds", "s": "seconds"}


class Refused(ValueError):
    """A value that a parameter does not take; the text is the reason, in Redis's words."""


class Kind(ABC, Generic[T]):
    """A grammar: how values of one kind are read and printed."""

    __slots__ = ()

    expected: str
    """What a file should hold, for messages: "an integer"."""
    several_words = False
    """Whether a line of redis.conf may give the value as several words."""

    @abstractmethod
    def parse(self, text: str) -> T:
        """Read the value as Redis does."""

    def format(self, value: T) -> str:
        """Print the value as CONFIG GET does."""
        return str(value)

    @abstractmethod
    def decode(self, raw: Any) -> T:
        """Take a value read from TOML."""

    def encode(self, value: T) -> object:
        """Return what to write into TOML."""
        return value

    def from_text(self, text: str) -> T:
        """Read the value from an environment variable or `--set`, by the file's rules."""
        try:
            return self.decode(tomllib.loads(f"value = {text}")["value"])
        except tomllib.TOMLDecodeError:
            return self.decode(text)

    def wrong_type(self) -> Refused:
        return Refused(f"expected {self.expected}")


def _check_range(value: int, low: int, high: int, unsigned: bool, base: int = 10) -> None:
    if unsigned and value < 0:
        raise Refused(errors.NOT_NEGATIVE)
    if not low <= value <= high:
        text = errors.NOT_OCTAL_WITHIN if base == 8 else errors.NOT_WITHIN
        raise Refused(text.format(low, high))


def _clamp(value: int, ends: tuple[int, int]) -> int:
    return min(max(value, ends[0]), ends[1])


class Integer(Kind[int]):
    """A whole number between two bounds; `unsigned` ones have words of their own for negatives.

    A number outside `clamp` is taken, and moved to the nearer end.
    """

    __slots__ = ("clamp", "expected", "high", "low", "unsigned")

    def __init__(
        self,
        low: int = 0,
        high: int = INT_MAX,
        *,
        unsigned: bool = False,
        clamp: tuple[int, int] | None = None,
    ) -> None:
        self.low, self.high, self.unsigned = low, high, unsigned
        self.clamp = clamp or (low, high)
        self.expected = f"an integer from {low} to {high}"

    def parse(self, text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = LONG_MAX + 1
        if str(value) != text or not -LONG_MAX - 1 <= value <= LONG_MAX:
            raise Refused(errors.NOT_A_NUMBER)
        _check_range(value, self.low, self.high, self.unsigned)
        return _clamp(value, self.clamp)

    def decode(self, raw: Any) -> int:
        if not isinstance(raw, int) or isinstance(raw, bool):
            raise self.wrong_type()
        if raw == 0 and self.low == 1:
            raise Refused("cannot be 0")
        if not self.low <= raw <= self.high:
            raise self.wrong_type()
        return _clamp(raw, self.clamp)


class Duration(Integer):
    """A time in a fixed unit; a file may also say `"250ms"` or `"1h30m"`."""

    __slots__ = ("unit",)

    def __init__(
        self, unit: str, low: int = 0, high: int = INT_MAX, *, unsigned: bool = False
    ) -> None:
        super().__init__(low, high, unsigned=unsigned)
        self.unit = unit
        self.expected = f'a number of {UNITS[unit]}, or a duration like "30s"'

    def decode(self, raw: Any) -> int:
        if isinstance(raw, str):
            value = units.duration(raw, self.unit)
            return super().decode(value)
        return super().decode(raw)


class Octal(Integer):
    """Permission bits, printed and parsed as octal digits; a file says `0o770` or `"770"`."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(0, 0o777, unsigned=True)
        self.expected = 'permissions like 0o700 or "700"'

    def parse(self, text: str) -> int:
        try:
            value = int(text or "0", 8)
        except ValueError:
            raise Refused(errors.NOT_OCTAL) from None
        _check_range(value, self.low, self.high, self.unsigned, base=8)
        return value

    def format(self, value: int) -> str:
        return f"{value:o}"

    def decode(self, raw: Any) -> int:
        return self.parse(raw) if isinstance(raw, str) else super().decode(raw)

    def encode(self, value: int) -> object:
        return self.format(value)


class Memory(Kind[int]):
    """A size in bytes; where `percent` is allowed, n percent is kept as -n.

    A size below `least` is taken, and raised to it.
    """

    __slots__ = ("expected", "high", "least", "low", "percent", "unsigned")

    def __init__(
        self,
        low: int = 0,
        high: int = ULONG_MAX,
        *,
        unsigned: bool = True,
        percent: bool = False,
        least: int = 0,
    ) -> None:
        self.low, self.high, self.unsigned, self.percent = low, high, unsigned, percent
        self.least = least
        share = ', or a share like "5%"' if percent else ""
        self.expected = f'a size in bytes or like "64mb"{share}'
        if low:
            self.expected += f", at least {low} bytes"

    def parse(self, text: str) -> int:
        if self.percent and text.endswith("%") and text[:-1].isdecimal():
            if int(text[:-1]) > 100:
                raise Refused(errors.NOT_A_PERCENTAGE)
            return -int(text[:-1])
        value = units.redis_size(text)
        if value is None:
            raise Refused(errors.NOT_A_SIZE_OR_PERCENT if self.percent else errors.NOT_A_SIZE)
        if value > LONG_MAX:  # Redis reads such a number as a negative one
            _check_range(-1, self.low, self.high, self.unsigned)
        _check_range(value, self.low, self.high, self.unsigned)
        return max(value, self.least)

    def format(self, value: int) -> str:
        return f"{-value}%" if value < 0 else str(value)

    def decode(self, raw: Any) -> int:
        if isinstance(raw, str):
            if self.percent and raw.endswith("%"):
                return self.parse(raw.replace(" ", ""))
            raw = units.file_size(raw)
        if not isinstance(raw, int) or isinstance(raw, bool) or not self.low <= raw <= self.high:
            raise self.wrong_type()
        return max(raw, self.least)

    def encode(self, value: int) -> object:
        return self.format(value) if value < 0 else value


class Share(int):
    """A number of bytes that was given as a percentage of the memory there is."""

    percent: float

    @classmethod
    def of_memory(cls, percent: float) -> Share:
        """Resolve `percent` of the memory available to this process, now."""
        share = cls(units.available_memory() * percent / 100)
        share.percent = percent
        return share


class MaxMemory(Memory):
    """The memory limit: a size, or a percentage of what the process may use at all.

    The messages for a file are the original's.
    """

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__()
        self.expected = 'a size in bytes, or like "512mb", or a percentage like "50%"'

    def parse(self, text: str) -> int:
        if not text.endswith("%"):
            return super().parse(text)
        try:
            return self._share(text)
        except Refused:
            raise Refused(errors.NOT_A_SIZE) from None

    def decode(self, raw: Any) -> int:
        if not isinstance(raw, str):
            return super().decode(raw)
        text = raw.strip()
        if text.endswith("%"):
            return self._share(text)
        value = units.file_size(text)
        if value is None:
            raise Refused(self._complaint(text))
        if value > LONG_MAX:
            raise Refused(
                f"maxmemory value '{text}' is too large for this system's architecture "
                f"(max is {LONG_MAX} bytes)"
            )
        return value

    def encode(self, value: int) -> object:
        return f"{value.percent:g}%" if isinstance(value, Share) else int(value)

    def from_text(self, text: str) -> int:
        return self.decode(text)

    @staticmethod
    def _share(text: str) -> Share:
        try:
            percent = float(text[:-1])
        except ValueError:
            raise Refused("Invalid maxmemory percentage value") from None
        if not 0 <= percent <= 100:
            raise Refused("Invalid maxmemory percentage, must be between 0 and 100")
        return Share.of_memory(percent)

    @staticmethod
    def _complaint(text: str) -> str:
        if text[:1].isdigit() or text.lower().rstrip("b")[-1:] in {"k", "m", "g", "t"}:
            return f"Invalid number in maxmemory config: '{text}'"
        return (
            f"Invalid maxmemory value '{text}'. Must be a number (bytes), a percentage "
            "(e.g., '50%'), or have a unit (e.g., '512mb')."
        )


class YesNo(Kind[bool]):
    """A switch: `yes` and `no` for Redis, true and false in a file."""

    __slots__ = ()
    expected = "true or false"

    def parse(self, text: str) -> bool:
        match text.lower():
            case "yes":
                return True
            case "no":
                return False
            case _:
                raise Refused(errors.NOT_YES_OR_NO)

    def format(self, value: bool) -> str:
        return "yes" if value else "no"

    def decode(self, raw: Any) -> bool:
        if not isinstance(raw, bool):
            raise self.wrong_type()
        return raw

    def from_text(self, text: str) -> bool:
        match text.lower():
            case "yes" | "true" | "on" | "1":
                return True
            case "no" | "false" | "off" | "0":
                return False
            case _:
                raise self.wrong_type()


class Enum(Kind[str]):
    """One word of a few, in any case; `aliases` are understood and stored under their real name."""

    __slots__ = ("aliases", "expected", "names")

    def __init__(self, *names: str, aliases: Mapping[str, str] | None = None) -> None:
        self.names = names
        self.aliases = aliases or {}
        self.expected = "one of " + ", ".join(f'"{name}"' for name in names)

    def parse(self, text: str) -> str:
        word = text.lower()
        word = self.aliases.get(word, word)
        if word not in self.names:
            raise Refused(errors.NOT_ONE_OF.format(", ".join(self.names)))
        return word

    def decode(self, raw: Any) -> str:
        try:
            return self.parse("" if isinstance(raw, bool) else str(raw))
        except Refused:
            raise self.wrong_type() from None

    def from_text(self, text: str) -> str:
        return self.decode(text)


class Text(Kind[str]):
    """Any text, unless `check` knows a reason against it; an empty one stands for none."""

    __slots__ = ("check", "expected")

    def __init__(self, check: Callable[[str], str | None] | None = None) -> None:
        self.check = check
        self.expected = "a string"

    def parse(self, text: str) -> str:
        reason = self.check(text) if self.check else None
        if reason:
            raise Refused(reason)
        return text

    def decode(self, raw: Any) -> str:
        if not isinstance(raw, str):
            raise self.wrong_type()
        return self.parse(raw)

    def from_text(self, text: str) -> str:
        return self.parse(text)


class Words(Kind[tuple[str, ...]]):
    """A list of words, parted by single spaces; a file gives an array, or one string."""

    __slots__ = ()
    expected = "a string or an array of strings"
    several_words = True

    def parse(self, text: str) -> tuple[str, ...]:
        return tuple(text.split(" ")) if text else ()

    def format(self, value: tuple[str, ...]) -> str:
        return " ".join(value)

    def decode(self, raw: Any) -> tuple[str, ...]:
        if isinstance(raw, str):
            return (raw,)
        if not is_array(raw) or not all(isinstance(word, str | int) for word in raw):
            raise self.wrong_type()
        return tuple(map(str, raw))

    def encode(self, value: tuple[str, ...]) -> object:
        return value[0] if len(value) == 1 else list(value)

    def from_text(self, text: str) -> tuple[str, ...]:
        if text.lstrip().startswith("["):
            return super().from_text(text)
        return tuple(word.strip() for word in text.split(",") if word.strip())


class Tables(Kind[tuple[dict[str, Any], ...]]):
    """An array of tables, kept as read: the feature that owns them knows their fields."""

    __slots__ = ()
    expected = "an array of tables"

    def parse(self, text: str) -> tuple[dict[str, Any], ...]:
        return self.from_text(text)

    def decode(self, raw: Any) -> tuple[dict[str, Any], ...]:
        if not is_array(raw) or not all(is_table(item) for item in raw):
            raise self.wrong_type()
        return tuple(raw)

    def encode(self, value: tuple[dict[str, Any], ...]) -> object:
        return list(value)


class Names(Kind[dict[str, str]]):
    """A table of strings, such as old names and new ones."""

    __slots__ = ()
    expected = "a table of strings"

    def parse(self, text: str) -> dict[str, str]:
        return self.from_text(text)

    def decode(self, raw: Any) -> dict[str, str]:
        if not is_table(raw) or not all(isinstance(name, str) for name in raw.values()):
            raise self.wrong_type()
        return dict(raw)


def join(words: Iterable[object]) -> str:
    """Print words as CONFIG GET parts them."""
    return " ".join(map(str, words))
