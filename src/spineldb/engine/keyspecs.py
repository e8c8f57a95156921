"""Where the keys of a request stand, and what is done to them.

A command has a few *key specs*, each a way to find some of its keys: a range of positions, a
counted run (`numkeys key [key ...]`), or what follows a word (`STREAMS`). They are read off the
usage line where it says enough, and declared with `keys=` where it does not. From them follow the
keys of a given request (COMMAND GETKEYS, permissions, cluster slots) and the oldest form, the
triple first, last and step, which the dispatcher uses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntFlag

from spineldb.engine.usage import Argument, size


class KeyFlag(IntFlag):
    """What a command does to a key, in the words and the order of Redis."""

    RW = 1  # reads the value and may change it
    RO = 2
    OW = 4  # overwrites without reading
    RM = 8  # deletes without reading
    ACCESS = 16  # what is read reaches the client
    UPDATE = 32
    INSERT = 64
    DELETE = 128
    NOT_KEY = 256  # stands for a key in a cluster only: a shard channel
    INCOMPLETE = 512  # not all keys are found this way
    VARIABLE = 1024  # the flags depend on the arguments

    @property
    def names(self) -> list[str]:
        """The flags as COMMAND INFO writes them."""
        return [_NAMES.get(flag, str(flag.name).lower()) for flag in KeyFlag if flag in self]


_NAMES = {
    KeyFlag.RW: "RW",
    KeyFlag.RO: "RO",
    KeyFlag.OW: "OW",
    KeyFlag.RM: "RM",
    KeyFlag.VARIABLE: "variable_flags",
}
HOW = KeyFlag.RW | KeyFlag.RO | KeyFlag.OW | KeyFlag.RM


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys from position `first` to `last` (negative: counted from the end), every `step` words."""

    first: int
    last: int | None = None  # the first one only
    step: int = 1

    @property
    def end(self) -> int:
        """The last position, absolute."""
        return self.first if self.last is None else self.last

    def find(self, argv: Sequence[bytes]) -> range | None:
        """Return the positions of the keys in a request."""
        return _range(self.first, self.end, self.step, len(argv))


@dataclass(frozen=True, slots=True)
class Counted:
    """A number at position `at`, then as many keys: `numkeys key [key ...]`."""

    at: int
    step: int = 1

    def find(self, argv: Sequence[bytes]) -> range | None:
        """Return the positions of the keys in a request, or None if the number does not fit it."""
        number = argv[self.at] if self.at < len(argv) else b""
        if not number.isdigit() or len(number) > 10:
            return None
        first, count = self.at + 1, int(number)
        if first + count * self.step > len(argv):
            return None
        return range(first, first + count * self.step, self.step)


@dataclass(frozen=True, slots=True)
class After:
    """Keys after a word, looked for from position `start`, backwards if that is negative.

    One key follows, or with `last=-1` all words to the end, or with `share=2` their first half.
    """

    word: str
    start: int
    last: int = 0
    share: int = 0

    def find(self, argv: Sequence[bytes]) -> range | None:
        """Return the positions of the keys in a request, or nothing where the word is missing."""
        word = self.word.encode()
        places = (
            range(self.start, len(argv)) if self.start > 0 else range(len(argv) + self.start, 0, -1)
        )
        at = next((place for place in places if argv[place].upper() == word), None)
        if at is None:
            return range(0)
        first = at + 1
        if self.last == 0:
            return _range(first, first, 1, len(argv))
        count = len(argv) - first
        return _range(first, first + count // (self.share or 1) - 1, 1, len(argv))


@dataclass(frozen=True, slots=True)
class Unknown:
    """Keys that only the command itself can find: SORT's patterns."""

    def find(self, argv: Sequence[bytes]) -> range | None:
        """Return no positions: an extractor knows them."""
        del argv
        return range(0)


Place = Keys | Counted | After | Unknown


@dataclass(frozen=True, slots=True)
class KeySpec:
    """One way to find keys of a command, and what is done to those."""

    place: Place
    flags: KeyFlag


def _range(first: int, last: int, step: int, count: int) -> range:
    last = last + count if last < 0 else min(last, count - 1)
    return range(first, last + 1, step)


def places(name: str, arguments: Sequence[Argument]) -> tuple[Place, ...]:
    """Read off the usage line where the keys stand, as far as positions are certain."""
    found: list[Place] = []
    at = name.count("|") + 1
    for index, argument in enumerate(arguments):
        place = _place(argument, arguments[index + 1 :], at)
        if place is not None:
            found.append(place)
        least, most = size(argument)
        if argument.name == "numkeys" and index + 1 < len(arguments):
            keys = arguments[index + 1]
            if keys.multiple and _is_key(keys):
                found.append(Counted(at, max(1, len(keys.arguments))))
                break
        if least != most:
            break
        at += least
    return tuple(found)


def _place(argument: Argument, following: Sequence[Argument], at: int) -> Place | None:
    if not _is_key(argument) or argument.token is not None:
        return None
    if not argument.multiple:
        return None if argument.optional else Keys(at)
    after = [size(other) for other in following]
    if any(low != high for low, high in after):
        return None
    return Keys(at, -1 - sum(low for low, _ in after), max(1, len(argument.arguments)))


def _is_key(argument: Argument) -> bool:
    if argument.type == "block":
        return argument.arguments[0].type == "key" and argument.token is None
    return argument.type == "key"


@dataclass(frozen=True, slots=True)
class LegacyRange:
    """The oldest description of where keys are, and whether it tells all of them."""

    first: int = 0
    last: int = 0
    step: int = 0
    movable: bool = False


def legacy_range(specs: Sequence[KeySpec]) -> LegacyRange:
    """Sum up key specs as Redis does (`populateCommandLegacyRangeSpec`).

    Neighbouring ranges melt into one; whatever else there is makes the command `movablekeys`.
    """
    if len(specs) == 1 and isinstance(specs[0].place, Keys):
        keys = specs[0].place
        return LegacyRange(keys.first, keys.end, keys.step, KeyFlag.INCOMPLETE in specs[0].flags)
    first = last = 0
    movable = False
    for spec in specs:
        keys_or_other = spec.place
        if not isinstance(keys_or_other, Keys) or keys_or_other.step != 1:
            movable = True
            continue
        if last and last != keys_or_other.first - 1:
            movable = True
            continue
        movable = movable or KeyFlag.INCOMPLETE in spec.flags
        first = first or keys_or_other.first
        last = keys_or_other.end
    return LegacyRange(first, last, 1 if first else 0, movable)


def set_keys(argv: Sequence[bytes]) -> list[tuple[int, KeyFlag]] | None:
    """Find the key of SET: it is read only with GET, or to be compared."""
    if len(argv) < 3:
        return None
    reads = any(word.upper() in {b"GET", b"IFEQ"} for word in argv[3:])
    flags = KeyFlag.RW | KeyFlag.ACCESS if reads else KeyFlag.OW
    return [(1, flags | KeyFlag.UPDATE)]


def bitfield_keys(argv: Sequence[bytes]) -> list[tuple[int, KeyFlag]] | None:
    """Find the key of BITFIELD: it is only read when every operation is a GET."""
    if len(argv) < 2:
        return None
    at = 2
    while at < len(argv):
        taken = {b"GET": 3, b"OVERFLOW": 2}.get(argv[at].upper())
        if taken is None or at + taken > len(argv):
            return [(1, KeyFlag.RW | KeyFlag.ACCESS | KeyFlag.UPDATE)]
        at += taken
    return [(1, KeyFlag.RO | KeyFlag.ACCESS)]


def georadius_keys(argv: Sequence[bytes]) -> list[tuple[int, KeyFlag]] | None:
    """Find the keys of GEORADIUS and GEORADIUSBYMEMBER: the last STORE or STOREDIST counts."""
    if len(argv) < 5:
        return None
    found = [(1, KeyFlag.RO | KeyFlag.ACCESS)]
    for at in range(len(argv) - 2, 4, -1):
        if argv[at].upper() in {b"STORE", b"STOREDIST"}:
            return [*found, (at + 1, KeyFlag.OW | KeyFlag.UPDATE)]
    return found


def sort_keys(argv: Sequence[bytes]) -> list[tuple[int, KeyFlag]] | None:
    """Find the keys of SORT: the last STORE counts. What its patterns name is not known before."""
    if len(argv) < 2:
        return None
    found = [(1, KeyFlag.RO | KeyFlag.ACCESS)]
    at, target = 2, 0
    while at < len(argv):
        word = argv[at].upper()
        if word == b"STORE" and at + 1 < len(argv):
            target = at + 1
        at += {b"LIMIT": 3, b"GET": 2, b"BY": 2, b"STORE": 2}.get(word, 1)
    return [*found, (target, KeyFlag.OW | KeyFlag.UPDATE)] if target else found
