"""Guards: commands that would hold everybody up are refused, where the operator set a limit.

The gate is in force only while a limit is configured, and only the commands in `GUARDS` are asked.
Each says there which guard it falls under:

- `max_collection_scan_keys`: it reads whole collections, or a range of one. What counts is how many
  elements it would read, of each of its source keys.
- `max_set_operation_keys`: it reads many keys at once. What counts is how many sources it is given.

A new value type adds its commands to that table, and nothing else. A gate changes nothing, so keys
whose time has passed are looked at and not buried; a request that will be refused anyway (a wrong
type, a bad number) passes, and its command says what is wrong. Where only a count can tell how long
a range is, the command that counts is run for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from spineldb import errors
from spineldb.client import Decoder
from spineldb.core.dispatch import Command, Dispatcher, Gate
from spineldb.core.entry import Kind
from spineldb.core.session import Session, SessionFlag
from spineldb.engine.keyspecs import KeyFlag

if TYPE_CHECKING:
    from spineldb.core.keyspace import Keyspace

Argv = Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a collection that a request reads: from `first` to `last`, counted from 0."""

    first: bytes
    last: bytes

    def within(self, size: int) -> int:
        """Return how many of `size` elements it covers; negative numbers count from the end."""
        first, last = (n + size if n < 0 else n for n in (int(self.first), int(self.last)))
        return max(min(last, size - 1) - max(first, 0) + 1, 0)


@dataclass(frozen=True, slots=True)
class Counted:
    """A part of a collection that another command counts: its reply is the number, or a list."""

    question: Argv
    offset: int = 0
    count: int = -1  # at most so many of what is counted; negative: all

    def of(self, counted: int) -> int:
        """Return how many elements are read if so many are in the range."""
        left = max(counted - self.offset, 0)
        return min(left, self.count) if self.count >= 0 else left


#: What a request reads of a collection. It may raise ValueError or IndexError: not well-formed.
Reads = Callable[[Argv, int], Span | Counted]


def by_index(argv: Argv, limit: int) -> Span:
    """Read `COMMAND key start stop`."""
    del limit
    return Span(argv[2], argv[3])


def by_count(counting: bytes, *, reverse: bool = False) -> Reads:
    """Read `COMMAND key min max [LIMIT offset count]`; reverse: the greater end comes first."""

    def reads(argv: Argv, limit: int) -> Counted:
        del limit
        low, high = (argv[3], argv[2]) if reverse else (argv[2], argv[3])
        return Counted([counting, argv[1], low, high], *_limit_of(argv[4:]))

    return reads


def by_entries(argv: Argv, limit: int) -> Counted:
    """Read `XRANGE key start end [COUNT count]`, of which no command counts: read one too many."""
    wanted = limit + 1 if len(argv) == 4 else int(argv[5])
    return Counted([*argv[:4], b"COUNT", b"%d" % min(wanted, limit + 1)])


def by_words(argv: Argv, limit: int) -> Span | Counted:
    """Read `ZRANGE key start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count]`."""
    words = {word.upper() for word in argv[4:]}
    for word, counting in ((b"BYSCORE", b"zcount"), (b"BYLEX", b"zlexcount")):
        if word in words:
            return by_count(counting, reverse=b"REV" in words)(argv, limit)
    if not words <= {b"REV", b"WITHSCORES"}:
        raise ValueError(words)
    return by_index(argv, limit)


def after_destination(argv: Argv, limit: int) -> Span | Counted:
    """Read `ZRANGESTORE destination source ...`, otherwise as ZRANGE."""
    return by_words(argv[1:], limit)


def _limit_of(words: Argv) -> tuple[int, int]:
    """Return LIMIT's offset and count."""
    upper = [word.upper() for word in words]
    if b"LIMIT" not in upper:
        return 0, -1
    at = upper.index(b"LIMIT")
    return int(words[at + 1]), int(words[at + 2])


@dataclass(frozen=True, slots=True)
class Guard:
    """What a command is guarded against."""

    kinds: frozenset[Kind] = frozenset()  # whose elements are counted; a wrong type passes
    reads: Reads | None = None  # which of them; None: all
    database: bool = False  # it reads all keys of a database
    many_keys: bool = False


_LIST, _SET, _HASH = (frozenset({kind}) for kind in (Kind.LIST, Kind.SET, Kind.HASH))
_ZSET, _STREAM = frozenset({Kind.ZSET}), frozenset({Kind.STREAM})
_SORTABLE = _LIST | _SET | _ZSET
_SET_OPERATION = Guard(_SET, many_keys=True)
_ZSET_OPERATION = Guard(_ZSET | _SET, many_keys=True)
_MANY_KEYS = Guard(many_keys=True)

GUARDS: dict[str, Guard] = {
    "keys": Guard(database=True),
    "mget": _MANY_KEYS,
    # lists
    "lrange": Guard(_LIST, by_index),
    "blpop": _MANY_KEYS,
    "brpop": _MANY_KEYS,
    "blmpop": _MANY_KEYS,
    # sets
    "smembers": Guard(_SET),
    "sinter": _SET_OPERATION,
    "sinterstore": _SET_OPERATION,
    "sintercard": _SET_OPERATION,
    "sunion": _SET_OPERATION,
    "sunionstore": _SET_OPERATION,
    "sdiff": _SET_OPERATION,
    "sdiffstore": _SET_OPERATION,
    # hashes
    "hgetall": Guard(_HASH),
    "hkeys": Guard(_HASH),
    "hvals": Guard(_HASH),
    # sorted sets
    "zrange": Guard(_ZSET, by_words),
    "zrangestore": Guard(_ZSET, after_destination),
    "zrevrange": Guard(_ZSET, by_index),
    "zrangebyscore": Guard(_ZSET, by_count(b"zcount")),
    "zrevrangebyscore": Guard(_ZSET, by_count(b"zcount", reverse=True)),
    "zrangebylex": Guard(_ZSET, by_count(b"zlexcount")),
    "zrevrangebylex": Guard(_ZSET, by_count(b"zlexcount", reverse=True)),
    "zinter": _ZSET_OPERATION,
    "zinterstore": _ZSET_OPERATION,
    "zintercard": _ZSET_OPERATION,
    "zunion": _ZSET_OPERATION,
    "zunionstore": _ZSET_OPERATION,
    "zdiff": _ZSET_OPERATION,
    "zdiffstore": _ZSET_OPERATION,
    "bzpopmin": _MANY_KEYS,
    "bzpopmax": _MANY_KEYS,
    "bzmpop": _MANY_KEYS,
    # streams
    "xrange": Guard(_STREAM, by_entries),
    "xrevrange": Guard(_STREAM, by_entries),
    # several types
    "sort": Guard(_SORTABLE),
    "sort_ro": Guard(_SORTABLE),
    "pfcount": _MANY_KEYS,
    "pfmerge": _MANY_KEYS,
}


class Safety:
    """The limits in force, 0 for none."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._keyspace: Keyspace = dispatcher.keyspace
        self._asker = Session()  # by which a range is counted
        self._scan_limit = 0
        self._keys_limit = 0

    def limit(self, scan_keys: int, set_operation_keys: int) -> None:
        """Set what a command may read at most: elements of a collection, and keys."""
        self._scan_limit = scan_keys
        self._keys_limit = set_operation_keys
        self._dispatcher.raise_gate(Gate.GATE_SAFETY, up=bool(scan_keys or set_operation_keys))

    def gate(self, session: Session, command: Command, argv: list[bytes]) -> None:
        """Refuse a guarded command that would read more than it may."""
        if self._keyspace.applying or session.has(SessionFlag.PRIMARY):
            return  # what was executed elsewhere, or before, is executed here
        guard, name = GUARDS[command.name], command.name
        if guard.database and self._scan_limit:
            count = len(self._keyspace.databases[session.db])
            if count > self._scan_limit:
                raise errors.DatabaseTooLarge(name, session.db, count, self._scan_limit)
        sources = _sources(command, argv)
        if guard.many_keys and 0 < self._keys_limit < len(sources):
            raise errors.TooManyKeys(name, len(sources), self._keys_limit)
        if guard.kinds and self._scan_limit:
            self._guard_collections(session, guard, name, sources, argv)

    def _guard_collections(
        self, session: Session, guard: Guard, name: str, sources: list[bytes], argv: Argv
    ) -> None:
        """Refuse a command that would read more elements of a key than it may."""
        limit, database = self._scan_limit, self._keyspace.databases[session.db]
        found = {key: database.peek(key) for key in sources}
        if not {kind for kind, _ in found.values()} <= guard.kinds | {Kind.NONE}:
            return  # a wrong type
        for key, (_, size) in found.items():
            read = size
            if size > limit and guard.reads is not None:
                read = self._size_of_range(session, guard.reads, argv, size)
            if read > limit:
                raise errors.CollectionTooLarge(name, key, read, limit)

    def _size_of_range(self, session: Session, reads: Reads, argv: Argv, size: int) -> int:
        """Return how many of a collection's elements a request reads; 0 if it is not valid."""
        try:
            part = reads(argv, self._scan_limit)
            if isinstance(part, Span):
                return part.within(size)
        except (ValueError, IndexError):
            return 0
        command = self._dispatcher.lookup(part.question[0])
        if command is None:
            return 0
        asker = self._asker
        asker.db, asker.user = session.db, session.user
        self._dispatcher.perform_argv(asker, command, [*part.question])
        decoder = Decoder()
        decoder.feed(asker.take())
        counted = decoder.next()
        if isinstance(counted, list):
            counted = len(cast("list[object]", counted))
        return part.of(counted) if isinstance(counted, int) else 0


def _sources(command: Command, argv: list[bytes]) -> list[bytes]:
    """Return the keys a request reads: all but the one under which it stores."""
    stores = KeyFlag.OW | KeyFlag.INSERT
    found: list[tuple[int, KeyFlag]] = command.declaration.keys_of(argv) or []
    return [argv[position] for position, flags in found if not flags & stores]
