"""CLIENT LIST and CLIENT KILL: which clients are meant.

A filter is a list of conditions, all of which must hold. Redis knows ID, TYPE, USER, ADDR, LADDR,
SKIPME and MAXAGE; Valkey adds NAME, IDLE, FLAGS, LIB-NAME, LIB-VER, DB, CAPA and IP, and the
opposite of each but the ages and SKIPME as NOT-….
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from spineldb import clock, errors
from spineldb.core.session import Session, SessionFlag
from spineldb.engine import arguments
from spineldb.engine.clients import letters

Condition = Callable[[Session], bool]

_TYPES = {b"normal", b"master", b"primary", b"replica", b"slave", b"pubsub"}
_KNOWN_LETTERS = frozenset("NSOMPxbtRBdcuAUreTI")
_NUMBER = re.compile(rb"-?[0-9]+")


@dataclass(slots=True)
class Filter:
    """The conditions of a request, and whether the asking client is meant too."""

    skip_me: bool
    conditions: list[Condition] = field(default_factory=list[Condition])

    def fits(self, session: Session, asking: Session) -> bool:
        """Tell whether a client is meant."""
        if self.skip_me and session is asking:
            return False
        return all(condition(session) for condition in self.conditions)


@dataclass(frozen=True, slots=True)
class Question:
    """What a filter is read for: the command decides on wording, the server on what there is."""

    listing: bool  # CLIENT LIST, whose ID may be any number
    databases: int
    is_user: Callable[[bytes], bool]


def read_filter(words: Sequence[bytes], question: Question, *, skip_me: bool) -> Filter:
    """Read a filter from a request's arguments."""
    found = Filter(skip_me)
    rest = list(words)
    while rest:
        name = rest.pop(0).upper()
        if not rest:
            raise errors.Syntax
        negated = name.startswith(b"NOT-")
        plain = name.removeprefix(b"NOT-")
        if name == b"SKIPME":
            found.skip_me = _yes_or_no(rest.pop(0))
            continue
        if plain == b"ID":
            condition = _ids(rest, listing=question.listing and not negated, negated=negated)
        else:
            condition = _condition(plain, rest.pop(0), question, negated=negated)
        found.conditions.append(_opposite(condition) if negated else condition)
    return found


def _opposite(condition: Condition) -> Condition:
    return lambda session: not condition(session)


def _yes_or_no(word: bytes) -> bool:
    match word.lower():
        case b"yes":
            return True
        case b"no":
            return False
        case _:
            raise errors.Syntax


def _ids(rest: list[bytes], *, listing: bool, negated: bool) -> Condition:
    """Read one number, and all that follow it."""
    wanted = {_id(rest.pop(0), listing=listing, negated=negated)}
    while rest and _NUMBER.fullmatch(rest[0]):
        wanted.add(_id(rest.pop(0), listing=listing, negated=negated))
    if listing and rest and rest[0].upper().removeprefix(b"NOT-") not in _NAMES:
        raise errors.InvalidClientId
    return lambda session: session.id in wanted


def _id(word: bytes, *, listing: bool, negated: bool) -> int:
    try:
        number = arguments.integer(word)
    except errors.NotInteger:
        if negated:
            raise errors.Syntax from None
        raise errors.InvalidClientId if listing else errors.ClientIdNotPositive from None
    if number <= 0 and not listing:
        raise errors.ClientIdNotPositive
    return number


def _condition(  # noqa: PLR0911 - one return per filter reads best
    name: bytes, word: bytes, question: Question, *, negated: bool
) -> Condition:
    text = word.decode("utf-8", "surrogateescape")
    if name == b"USER" and not question.is_user(word):
        raise errors.NoSuchUser(word)
    if name in _TEXTS:
        attribute = _TEXTS[name]
        return lambda session: (getattr(session, attribute) or "") == text
    match name:
        case b"TYPE":
            return _type(word)
        case b"MAXAGE" if not negated:
            return _older_than(_age(word, errors.MaxageNotInteger, errors.MaxageNotPositive))
        case b"IDLE" if not negated:
            return _idle_for(_age(word, errors.IdleNotInteger, errors.IdleNotPositive))
        case b"FLAGS":
            return _flags(text, negated=negated)
        case b"DB":
            return _database(word, question.databases)
        case b"IP":
            return _comes_from(text)
        case b"CAPA":
            return _capabilities(word)
        case _:
            raise errors.Syntax


def _comes_from(host: str) -> Condition:
    return lambda session: session.address.rpartition(":")[0] == host


_TEXTS = {
    b"USER": "user",
    b"ADDR": "address",
    b"LADDR": "local_address",
    b"NAME": "name",
    b"LIB-NAME": "library_name",
    b"LIB-VER": "library_version",
}
_NAMES = frozenset([*_TEXTS, *b"ID TYPE SKIPME MAXAGE IDLE FLAGS DB IP CAPA".split()])


def _type(word: bytes) -> Condition:
    kind = word.lower()
    if kind not in _TYPES:
        raise errors.UnknownClientType(word)
    return lambda session: kind in types_of(session)


def types_of(session: Session) -> Iterable[bytes]:
    """Return the names of a client's class for TYPE."""
    if session.has(SessionFlag.PRIMARY):
        return (b"master", b"primary")
    if session.has(SessionFlag.REPLICA) and not session.has(SessionFlag.MONITOR):
        return (b"replica", b"slave")
    return (b"pubsub",) if session.has(SessionFlag.PUBSUB) else (b"normal",)


def _age(
    word: bytes, not_integer: type[errors.CommandError], not_positive: type[errors.CommandError]
) -> int:
    try:
        seconds = arguments.integer(word)
    except errors.NotInteger:
        raise not_integer from None
    if seconds <= 0:
        raise not_positive
    return seconds


def _older_than(seconds: int) -> Condition:
    return lambda session: (clock.unix_ms() - session.created_ms) // 1000 >= seconds


def _idle_for(seconds: int) -> Condition:
    return lambda session: (clock.unix_ms() - session.active_ms) // 1000 >= seconds


def _flags(text: str, *, negated: bool) -> Condition:
    if not set(text) <= _KNOWN_LETTERS:
        unknown = errors.UnknownClientNotFlags if negated else errors.UnknownClientFlags
        raise unknown(text)
    return lambda session: set(text) <= set(letters(session))


def _database(word: bytes, databases: int) -> Condition:
    try:
        number = arguments.integer(word)
    except errors.NotInteger:
        raise errors.ClientDatabaseNotInteger from None
    if not 0 <= number < databases:
        raise errors.ClientDatabaseRange(databases - 1)
    return lambda session: session.db == number


def _capabilities(word: bytes) -> Condition:
    if not set(word) <= set(b"r"):
        raise errors.UnknownClientCapabilities(word)
    return lambda _: False
