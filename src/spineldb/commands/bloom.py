"""Bloom filters (BF.*): sets that answer "perhaps" or "certainly not", as RedisBloom has them.

The texts of errors are RedisBloom's, or with `probabilistic_errors = "spinel"` the original's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from spineldb import errors
from spineldb.core import hot_bloom
from spineldb.core.bloom import Bloom
from spineldb.core.numbers import text_to_double
from spineldb.engine import arguments
from spineldb.engine.arguments import INT64_MAX, INT64_MIN
from spineldb.engine.command import (
    ACCESS,
    DENYOOM,
    FAST,
    READONLY,
    RW,
    UPDATE,
    WRITE,
    Family,
)

if TYPE_CHECKING:
    from spineldb.engine.context import Context
    from spineldb.engine.reply import Reply

P = ParamSpec("P")
T = TypeVar("T")

family = Family("module", module="bf")

KEYS = RW | ACCESS | UPDATE  # what the module says of all its commands
GROWTH_MAX = 2**32 - 1
ERROR_RATE, CAPACITY, GROWTH, _SCALING = hot_bloom.DEFAULT_PLAN
HEADER_BYTES, LAYER_BYTES = 32, 64  # what BF.INFO's SIZE counts beside the bits


@dataclass(slots=True)
class Parameters:
    """The parameters of a filter; None for what was not given."""

    error: float | None = None
    capacity: int | None = None
    growth: int | None = None
    non_scaling: bool = False
    no_create: bool = False
    out_of_range: errors.Bloom | None = None  # BF.INSERT says so when it has read all of them

    @property
    def plan(self) -> tuple[float, int, int, bool]:
        """What a filter is made by."""
        growth = 2 if self.non_scaling else self.growth or GROWTH
        error = ERROR_RATE if self.error is None else self.error
        return error, self.capacity or CAPACITY, growth, not self.non_scaling

    def reservation(self, key: bytes) -> tuple[bytes, ...]:
        """Return the command that makes the same filter anywhere."""
        error, capacity, growth, scaling = self.plan
        request = (b"BF.RESERVE", key, repr(error).encode(), b"%d" % capacity)
        return (*request, b"EXPANSION", b"%d" % growth) if scaling else (*request, b"NONSCALING")


@family.command(
    "BF.RESERVE key error_rate:double capacity:integer [EXPANSION expansion:integer] [NONSCALING]",
    WRITE | DENYOOM,
    key=KEYS,
    since="1.0.0",
)
def reserve(ctx: Context, key: bytes, error: bytes, capacity: bytes, *rest: bytes) -> str:
    """Make an empty filter for a number of items and a rate of wrong answers.

    A filter that is full gets another layer, `EXPANSION` times as large, unless it is `NONSCALING`.
    O(N) in the bytes of the filter.
    """
    options = _read(ctx, _reserve_options, error, capacity, rest)
    with_expansion = options.growth is not None
    if ctx.db.find(key, Bloom) is not None:
        raise _worded(ctx, errors.BloomExists())
    Bloom(ctx.db, key).insert([], options.plan, *ctx.value_bounds())
    ctx.changed(key, "")
    if not with_expansion and not options.non_scaling:
        ctx.propagate(*options.reservation(key))
    return "OK"


def _reserve_options(error: bytes, capacity: bytes, rest: Sequence[bytes]) -> Parameters:
    """Read the parameters in the order in which RedisBloom complains of them."""
    if len(rest) > 3:
        raise errors.WrongArity("bf.reserve")
    options = Parameters(_rate(error, errors.BloomBadRate()), _capacity(capacity))
    words = [word.upper() for word in rest]
    expansion: bytes | None = None
    at = 0
    while at < len(words):
        match words[at]:
            case b"NONSCALING":
                options.non_scaling = True
            case b"EXPANSION" if at + 1 == len(words):
                raise errors.BloomNoExpansion
            case b"EXPANSION":
                at += 1
                expansion = rest[at]
            case _:
                raise errors.Syntax
        at += 1
    if expansion is not None:
        if options.non_scaling:
            raise errors.BloomNonScaling
        options.growth = _growth(expansion, errors.BloomBadExpansion())
    return options


@family.compiled("BF.ADD key item", WRITE | DENYOOM, hot_bloom.ADD_BODY, key=KEYS, since="1.0.0")
def add(key: bytes, item: bytes) -> bool:
    """Add an item to a filter, and make the filter if there is none.

    Answers whether the item is new; one that only seems to be there is not added. O(K) in the
    hashes of an item.
    """


@family.compiled(
    "BF.MADD key item [item ...]", WRITE | DENYOOM, hot_bloom.MADD_BODY, key=KEYS, since="1.0.0"
)
def madd(key: bytes, *items: bytes) -> list[bool]:
    """Add items to a filter, and make the filter if there is none.

    Answers for each whether it is new. If the filter is full and may not grow, the last element is
    an error, and the items behind are not looked at. O(K * N) in the hashes and the items.
    """


@family.command(
    "BF.INSERT key [CAPACITY capacity:integer] [ERROR error:double] [EXPANSION expansion:integer] "
    "[NOCREATE] [NONSCALING] ITEMS item [item ...]",
    WRITE | DENYOOM,
    key=KEYS,
    arity=-4,
    since="1.0.0",
)
def insert(ctx: Context, key: bytes, *words: bytes) -> Reply:
    """Add items to a filter; say what it is to be like if there is none.

    `NOCREATE` answers an error instead of making a filter. O(K * N) in the hashes and the items.
    """
    options, items = _read(ctx, _insert_options, words)
    existing = ctx.db.find(key, Bloom)
    if existing is None and options.no_create:
        raise _worded(ctx, errors.BloomNotFound())
    if existing is not None and _spinel(ctx) and _differs(options, existing):
        raise errors.BloomOtherParameters
    view = existing or Bloom(ctx.db, key)
    outcomes = view.insert(items, options.plan, *ctx.value_bounds())
    added = outcomes.count(1)
    if existing is None:
        ctx.propagate(*options.reservation(key))
        ctx.propagate(b"BF.MADD", key, *items)
    ctx.changed(key, "", added)  # who watches it is told even where nothing was added
    return [_outcome(outcome) for outcome in outcomes]


def _insert_options(words: Sequence[bytes]) -> tuple[Parameters, list[bytes]]:
    options = Parameters()
    at = 0
    while at < len(words):
        word = words[at].upper()
        if word == b"ITEMS":
            break
        if word in {b"CAPACITY", b"ERROR", b"EXPANSION"} and at + 1 < len(words):
            at += 1
            _insert_option(options, word, words[at])
        elif word == b"NONSCALING":
            options.non_scaling = True
        elif word == b"NOCREATE":
            options.no_create = True
        elif word not in {b"CAPACITY", b"ERROR", b"EXPANSION"}:
            raise errors.BloomUnknownWord
        at += 1
    if at + 1 >= len(words):
        raise errors.WrongArity("bf.insert")
    if options.out_of_range is not None:
        raise errors.BloomInsertRange(options.out_of_range)
    return options, list(words[at + 1 :])


def _insert_option(options: Parameters, word: bytes, value: bytes) -> None:
    """Read a number of BF.INSERT."""
    try:
        match word:
            case b"CAPACITY":
                options.capacity = _capacity(value, errors.BloomInsertCapacity())
            case b"ERROR":
                options.error = _rate(value, errors.BloomInsertRate())
            case _:
                options.growth = _growth(value, errors.BloomInsertExpansion())
    except (errors.BloomCapacityRange, errors.BloomRateRange, errors.BloomExpansionRange) as cause:
        options.out_of_range = options.out_of_range or cause


def _differs(options: Parameters, existing: Bloom) -> bool:
    """Tell whether parameters were given that are not those of the filter."""
    first = existing.layers[0]
    growth = existing.growth
    rate = first[5] if growth is None else first[5] * 2
    return (
        (options.capacity is not None and options.capacity != first[3])
        or (options.error is not None and options.error != rate)
        or (options.growth is not None and options.growth != growth)
        or (options.non_scaling and growth is not None)
    )


def _outcome(outcome: int) -> Reply:
    match outcome:
        case -1:
            return errors.BloomFull()
        case -2:
            return errors.BloomNotInserted()
        case -3:
            return errors.OutOfMemory()
        case _:
            return outcome == 1


@family.compiled(
    "BF.EXISTS key item", READONLY | FAST, hot_bloom.EXISTS_BODY, key=KEYS, since="1.0.0"
)
def exists(key: bytes, item: bytes) -> bool:
    """Tell whether an item was perhaps added to a filter; if not, it certainly was not.

    O(K) in the hashes of an item.
    """


@family.compiled(
    "BF.MEXISTS key item [item ...]",
    READONLY | FAST,
    hot_bloom.MEXISTS_BODY,
    key=KEYS,
    since="1.0.0",
)
def mexists(key: bytes, *items: bytes) -> list[bool]:
    """Tell of each item whether it was perhaps added. O(K * N) in the hashes and the items."""


@family.command("BF.CARD key", READONLY | FAST, key=KEYS, since="2.4.4")
def card(ctx: Context, key: bytes) -> int:
    """Count the items that were added and were not there before. O(1)."""
    found = ctx.read(key, Bloom)
    return 0 if found is None else found.items


@family.command(
    "BF.INFO key [<information: CAPACITY | SIZE | FILTERS | ITEMS | EXPANSION>]",
    READONLY | FAST,
    key=KEYS,
    arity=-2,
    since="1.0.0",
)
def info(ctx: Context, key: bytes, *fields: bytes) -> Reply:
    """Describe a filter, or answer one thing of it. O(N) in the layers."""
    if len(fields) > 1:
        raise errors.WrongArity("bf.info")
    filter_ = _existing(ctx, key)
    layers = filter_.layers
    size = HEADER_BYTES + sum(LAYER_BYTES + layer[0] for layer in layers)
    facts: dict[bytes, tuple[str, Reply]] = {
        b"CAPACITY": ("Capacity", sum(layer[3] for layer in layers)),
        b"SIZE": ("Size", size),
        b"FILTERS": ("Number of filters", len(layers)),
        b"ITEMS": ("Number of items inserted", filter_.items),
        b"EXPANSION": ("Expansion rate", filter_.growth),
    }
    if not fields:
        if _spinel(ctx):
            facts[b""] = ("Number of hash functions", layers[0][2])
        return dict(facts.values())
    fact = facts.get(fields[0].upper())
    if fact is None:
        raise errors.BloomInformation
    return dict([fact]) if ctx.client.protocol == 3 else [fact[1]]


@family.command("BF.DEBUG key", READONLY | FAST, key=KEYS, since="1.0.0")
def debug(ctx: Context, key: bytes) -> list[bytes]:
    """Describe the layers of a filter, for people. O(N) in the layers."""
    filter_ = _existing(ctx, key)
    return [b"size:%d" % filter_.items] + [
        f"bytes:{size} bits:{bits} hashes:{hashes} hashwidth:64 capacity:{capacity} size:{items} "
        f"ratio:{error:g}".encode()
        for size, bits, hashes, capacity, items, error in filter_.layers
    ]


@family.command("BF.SCANDUMP key iterator:integer", READONLY | FAST, key=KEYS, since="1.0.0")
def scandump(ctx: Context, key: bytes, iterator: bytes) -> Reply:
    """Return a part of a filter, to be loaded elsewhere, and the iterator of the next one.

    The first iterator is 0, and 0 is answered after the last part. O(N) in the bytes of the part.
    """
    filter_ = _existing(ctx, key)
    at = _iterator(iterator)
    if at == 0:
        return [1, filter_.header()]
    return list(filter_.chunk(at))


@family.command("BF.LOADCHUNK key iterator:integer data", WRITE | DENYOOM, key=KEYS, since="1.0.0")
def loadchunk(ctx: Context, key: bytes, iterator: bytes, data: bytes) -> str:
    """Load a part of a filter that BF.SCANDUMP returned, with the iterator it returned.

    The first part makes the filter, in place of the one that was there. O(N) in the bytes of the
    filter or the part.
    """
    at = _iterator(iterator)
    found = ctx.db.find(key, Bloom)
    if at == 1:
        Bloom(ctx.db, key).load_header(data, *ctx.value_bounds())
        ctx.changed(key, "")
        return "OK"
    if found is None:
        raise _worded(ctx, errors.BloomNotFound())
    found.load_chunk(at, data)
    ctx.changed(key, "")
    return "OK"


# -- reading arguments -----------------------------------------------------------------------------


def _rate(raw: bytes, unreadable: errors.Bloom) -> float:
    value = text_to_double(raw)
    if value is None:
        raise unreadable
    if not 0 < value < 1:
        raise errors.BloomRateRange
    return value


def _capacity(raw: bytes, unreadable: errors.Bloom | None = None) -> int:
    value = _integer(raw)
    if value is None:
        raise unreadable or errors.BloomBadCapacity()
    if value < 1:
        raise errors.BloomCapacityRange
    return value


def _growth(raw: bytes, unreadable: errors.Bloom) -> int:
    """Read EXPANSION, which has 32 bits where filters are stored."""
    value = _integer(raw)
    if value is None or value > GROWTH_MAX:
        raise unreadable
    if value < 1:
        raise errors.BloomExpansionRange
    return value


def _integer(raw: bytes) -> int | None:
    try:
        return arguments.ranged(raw, INT64_MIN, INT64_MAX)
    except errors.CommandError:
        return None


def _iterator(raw: bytes) -> int:
    value = _integer(raw)
    if value is None:
        raise errors.BloomIterator
    return value


# -- filters and words -----------------------------------------------------------------------------


def _existing(ctx: Context, key: bytes) -> Bloom:
    found = ctx.read(key, Bloom)
    if found is None:
        raise _worded(ctx, errors.BloomNotFound())
    return found


def _spinel(ctx: Context) -> bool:
    return ctx.settings.probabilistic_errors == "spinel"


def _read(ctx: Context, read: Callable[P, T], *words: P.args, **named: P.kwargs) -> T:
    """Read arguments; what is wrong with them is said in the words of `_worded`."""
    try:
        return read(*words, **named)
    except errors.Bloom as error:
        raise _worded(ctx, error) from None


def _worded(ctx: Context, error: errors.Bloom) -> errors.CommandError:
    """Return the error in the words that the configuration asks for."""
    return error.reworded() if _spinel(ctx) else error
