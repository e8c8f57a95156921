"""The grammars that belong to one parameter each."""

# ruff: noqa: D102 - Kind says what each method of a kind does
from __future__ import annotations

import locale
import math
import re
from typing import Any, NamedTuple

from spineldb import errors
from spineldb.config import units
from spineldb.config.kinds import Kind, Refused, join
from spineldb.config.toml_text import is_array, is_table

REDIS_LEVELS = ("debug", "verbose", "notice", "warning", "nothing")
LEVELS = {
    "trace": "trace", "debug": "debug", "verbose": "verbose", "info": "notice",
    "notice": "notice", "warn": "warning", "warning": "warning", "error": "error",
    "nothing": "nothing", "off": "nothing",
}  # fmt: skip
"""Every name of a log level, and the one CONFIG GET prints for it."""

SHUTDOWN_WORDS = ("default", "save", "nosave", "now", "force")
_EVENT_CLASSES = "g$lshzxetdnoc"
_ALL_CLASSES = set("g$lshzxetd")  # what A stands for: all but key misses, new keys, K and E


class SaveRule(NamedTuple):
    """Save when `seconds` have passed and at least `changes` were made."""

    seconds: int
    changes: int


class SaveRules(Kind[tuple[SaveRule, ...]]):
    """When to write a snapshot: pairs of seconds and changes; none at all switches it off."""

    __slots__ = ()
    expected = "an array of {seconds, changes}"
    several_words = True

    def parse(self, text: str) -> tuple[SaveRule, ...]:
        words = text.split(" ") if text else []
        if len(words) % 2 or not all(re.fullmatch(r"\+?\d+", word, re.ASCII) for word in words):
            raise Refused(errors.BAD_SAVE)
        rules = tuple(SaveRule(int(words[i]), int(words[i + 1])) for i in range(0, len(words), 2))
        if any(rule.seconds < 1 for rule in rules):
            raise Refused(errors.BAD_SAVE)
        return rules

    def format(self, value: tuple[SaveRule, ...]) -> str:
        return join(number for rule in value for number in rule)

    def decode(self, raw: Any) -> tuple[SaveRule, ...]:
        if isinstance(raw, str):
            return self.parse(raw)
        if not is_array(raw):
            raise self.wrong_type()
        return tuple(self._rule(index, item) for index, item in enumerate(raw))

    def _rule(self, index: int, item: Any) -> SaveRule:
        if not is_table(item) or set(item) != {"seconds", "changes"}:
            raise self.wrong_type()
        for field in ("seconds", "changes"):
            if not isinstance(item[field], int) or item[field] < 0:
                raise self.wrong_type()
            if item[field] == 0:
                raise Refused(f"invalid save rule #{index}: {field} cannot be 0")
        return SaveRule(item["seconds"], item["changes"])

    def encode(self, value: tuple[SaveRule, ...]) -> object:
        return [rule._asdict() for rule in value]


class OutputLimit(NamedTuple):
    """How many reply bytes may wait for a client of one class, before it is closed."""

    hard: int
    soft: int
    soft_seconds: int


class OutputLimitKind(Kind[OutputLimit]):
    """One class's limit: `{hard, soft, soft_seconds}`, each 0 for none."""

    __slots__ = ()
    expected = 'a table {hard, soft, soft_seconds}, sizes in bytes or like "64mb"'
    several_words = True

    def parse(self, text: str) -> OutputLimit:
        words = text.split(" ")
        if len(words) != 3:
            raise Refused(errors.BAD_LIMIT_COUNT)
        hard, soft = units.redis_size(words[0]), units.redis_size(words[1])
        if hard is None or soft is None or not re.fullmatch(r"\d+", words[2], re.ASCII):
            raise Refused(errors.BAD_LIMIT)
        return OutputLimit(hard, soft, int(words[2]))

    def format(self, value: OutputLimit) -> str:
        return join(value)

    def decode(self, raw: Any) -> OutputLimit:
        if isinstance(raw, str):
            return self.parse(raw)
        if not is_table(raw) or not set(raw) <= set(OutputLimit._fields):
            raise self.wrong_type()
        hard, soft = self._size(raw.get("hard", 0)), self._size(raw.get("soft", 0))
        seconds = raw.get("soft_seconds", 0)
        if isinstance(seconds, str):
            seconds = units.duration(seconds, "s")
        if not isinstance(seconds, int) or seconds < 0:
            raise self.wrong_type()
        return OutputLimit(hard, soft, seconds)

    def _size(self, raw: Any) -> int:
        value = units.file_size(raw) if isinstance(raw, str) else raw
        if not isinstance(value, int) or value < 0:
            raise self.wrong_type()
        return value

    def encode(self, value: OutputLimit) -> object:
        return value._asdict()


class KeyspaceEvents(Kind[str]):
    """Classes of keyspace events: their letters, in the order in which Redis prints them.

    Where all those of `A` are set, it stands for them; `n`, `o` and `c` beside it count, but are
    not printed.
    """

    __slots__ = ()
    expected = "letters of Ag$lshzxeKEtdmnoc"

    def parse(self, text: str) -> str:
        given = set(text)
        if not given <= set(_EVENT_CLASSES) | set("AKEm"):
            raise Refused(errors.BAD_EVENTS)
        if "A" in given:
            given |= _ALL_CLASSES
        return "".join(letter for letter in _EVENT_CLASSES + "KEm" if letter in given)

    def format(self, value: str) -> str:
        if set(value) >= _ALL_CLASSES:
            return "A" + "".join(letter for letter in "KEm" if letter in value)
        return value

    def encode(self, value: str) -> object:
        return self.format(value)

    def decode(self, raw: Any) -> str:
        if not isinstance(raw, str):
            raise self.wrong_type()
        return self.parse(raw)

    def from_text(self, text: str) -> str:
        return self.parse(text)


class OomScores(Kind[tuple[int, ...]]):
    """Three adjustments of the kernel's out-of-memory score: primary, replica, child."""

    __slots__ = ()
    expected = "three integers from -2000 to 2000"
    several_words = True

    def parse(self, text: str) -> tuple[int, ...]:
        words = text.split(" ")
        if len(words) != 3:
            raise Refused(errors.WRONG_COUNT)
        return self._check(words)

    def format(self, value: tuple[int, ...]) -> str:
        return join(value)

    def decode(self, raw: Any) -> tuple[int, ...]:
        if not is_array(raw) or len(raw) != 3:
            raise self.wrong_type()
        return self._check([str(item) for item in raw])

    def encode(self, value: tuple[int, ...]) -> object:
        return list(value)

    @staticmethod
    def _check(words: list[str]) -> tuple[int, ...]:
        if not all(
            re.fullmatch(r"-?\d+", word, re.ASCII) and abs(int(word)) <= 2000 for word in words
        ):
            raise Refused(errors.BAD_OOM_SCORES)
        return tuple(map(int, words))


class Percentiles(Kind[tuple[float, ...]]):
    """The percentiles that INFO latencystats shows."""

    __slots__ = ()
    expected = "an array of numbers from 0 to 100"
    several_words = True

    def parse(self, text: str) -> tuple[float, ...]:
        return self._check(text.split(" ") if text else [])

    def format(self, value: tuple[float, ...]) -> str:
        return join(f"{number:.6f}".rstrip("0").rstrip(".") for number in value)

    def decode(self, raw: Any) -> tuple[float, ...]:
        if not is_array(raw):
            raise self.wrong_type()
        return self._check(raw)

    def encode(self, value: tuple[float, ...]) -> object:
        return list(value)

    @staticmethod
    def _check(words: list[str]) -> tuple[float, ...]:
        try:
            numbers = tuple(float(word) for word in words)
        except (TypeError, ValueError):
            numbers = (float("nan"),)
        if any(map(math.isnan, numbers)):
            raise Refused(errors.BAD_PERCENTILES)
        if not all(0 <= number <= 100 for number in numbers):
            raise Refused(errors.PERCENTILES_WITHIN)
        return numbers


class ShutdownWords(Kind[str]):
    """What a signal's shutdown does: any of save or nosave, now, force."""

    __slots__ = ()
    expected = 'words of "default", "save", "nosave", "now", "force"'
    several_words = True

    def parse(self, text: str) -> str:
        words = text.lower().split(" ")
        if not all(word in SHUTDOWN_WORDS for word in words):
            raise Refused(errors.NOT_ONE_OF.format(", ".join(SHUTDOWN_WORDS)))
        if "save" in words and "nosave" in words:
            raise Refused(errors.BAD_SHUTDOWN)
        return join(word for word in SHUTDOWN_WORDS[1:] if word in words) or "default"

    def decode(self, raw: Any) -> str:
        if not isinstance(raw, str):
            raise self.wrong_type()
        return self.parse(raw)

    def from_text(self, text: str) -> str:
        return self.parse(text)


class LogLevel(Kind[str]):
    """A level of either vocabulary, or a filter with more per module: `info,replication=debug`."""

    __slots__ = ()
    expected = 'a level (trace, debug, info, warn, error) or a filter like "info,replication=debug"'

    def parse(self, text: str) -> str:
        word = text.lower()
        directives = [directive.rpartition("=") for directive in word.split(",")]
        if not all(level.strip() in LEVELS for _, _, level in directives) or any(
            equals and not module.strip() for module, equals, _ in directives
        ):
            raise Refused(errors.NOT_ONE_OF.format(", ".join(REDIS_LEVELS)))
        return word

    def format(self, value: str) -> str:
        return LEVELS.get(value, value)

    def decode(self, raw: Any) -> str:
        try:
            return self.parse(raw if isinstance(raw, str) else "")
        except Refused:
            raise self.wrong_type() from None

    def from_text(self, text: str) -> str:
        return self.decode(text)


def hostname(text: str) -> str | None:
    """Say what is wrong with an announced host name."""
    if len(text) >= 256:
        return errors.LONG_HOSTNAME
    if not re.fullmatch(r"[A-Za-z0-9.-]*", text):
        return errors.BAD_HOSTNAME
    return None


def node_name(text: str) -> str | None:
    """Say what is wrong with a human node name: blanks and printable characters are fine."""
    if re.search(r"[!#$%&()*+:;<>?@\[\]^{|}~\x00-\x1f]", text):
        return errors.BAD_NODE_NAME
    return None


def title_template(text: str) -> str | None:
    """Say what is wrong with a template of the process title: unknown or unclosed variables."""
    known = "title|listen-addr|server-mode|port|tls-port|unixsocket|config-file"
    rest = re.sub(rf"\{{(?:{known})\}}", lambda match: "" if match[0] == "{title}" else "x", text)
    if "{" in rest or not rest.strip():
        return errors.BAD_TITLE
    return None


def collation(text: str) -> str | None:
    """Say whether the system knows a locale."""
    before = locale.setlocale(locale.LC_COLLATE)
    try:
        locale.setlocale(locale.LC_COLLATE, text)
    except locale.Error:
        return errors.BAD_LOCALE
    finally:
        locale.setlocale(locale.LC_COLLATE, before)
    return None


def file_name(name: str, parameter: str) -> str | None:
    """Say what is wrong with the bare file name given for a parameter such as `dbfilename`."""
    if "/" in name:
        what = "dirname" if parameter == "appenddirname" else "filename"
        return errors.NOT_A_BARE_NAME.format(parameter, what)
    return None if name else errors.NOT_EMPTY.format(parameter)
