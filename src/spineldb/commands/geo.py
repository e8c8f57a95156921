"""Geo: positions on the earth in sorted sets, whose scores are geohashes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from spineldb import errors
from spineldb.core import geo, geohash
from spineldb.core.zsets import SortedSet
from spineldb.engine import arguments
from spineldb.engine.arguments import Options
from spineldb.engine.command import (
    ACCESS,
    DENYOOM,
    OW,
    READONLY,
    RO,
    UPDATE,
    WRITE,
    Deprecation,
    Family,
)
from spineldb.engine.keyspecs import After, Keys, georadius_keys
from spineldb.engine.reply import NULL_ARRAY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spineldb.engine.context import Context
    from spineldb.engine.reply import Reply

family = Family("geo")

Hit = tuple[bytes, float, float, float, float]  # member, metres, score, longitude, latitude

_METRES = {b"M": 1.0, b"KM": 1000.0, b"FT": 0.3048, b"MI": 1609.34}
_UNITS = "<unit: M | KM | FT | MI>"
_COUNT = "[count-block: COUNT count:integer [ANY]]"
_WITH = "[WITHCOORD] [WITHDIST] [WITHHASH]"
_AREA = (
    "<from: FROMMEMBER member | FROMLONLAT <fromlonlat: longitude:double latitude:double>> "
    f"<by: <circle: BYRADIUS radius:double {_UNITS}> | <box: BYBOX width:double height:double "
    f"{_UNITS}>> [order: ASC | DESC] {_COUNT}"
)
_STORE = "[store: STORE storekey:key{key} | STOREDIST storedistkey:key{key}]"
_ONLY_NEW, _ONLY_OLD = 1, 2  # conditions of adding to a sorted set


@dataclass
class Query:
    """What a search was asked for."""

    area: geo.Area | None = None
    unit: float = 1.0
    member: bytes | None = None
    middle: tuple[float, float] | None = None
    shape: dict[str, float] = field(default_factory=dict[str, float])
    order: bytes = b""
    count: int = 0
    is_any: bool = False
    shown: set[bytes] = field(default_factory=set[bytes])
    target: bytes | None = None
    stores_distance: bool = False


def _unit(raw: bytes) -> float:
    unit = _METRES.get(raw.upper())
    if unit is None:
        raise errors.UnknownUnit
    return unit


def _position(longitude: bytes, latitude: bytes) -> tuple[float, float]:
    x, y = arguments.number(longitude), arguments.number(latitude)
    if not (-180 <= x <= 180 and -85.05112878 <= y <= 85.05112878):
        raise errors.InvalidPosition(f"{x:f}", f"{y:f}")
    return x, y


def _length(raw: bytes, what: str) -> float:
    try:
        return arguments.number(raw)
    except errors.NotFloat:
        raise errors.NeedNumeric(what) from None


def _shown_distance(metres: float) -> bytes:
    """Write a distance with four decimals."""
    scaled = round(metres * 10000)
    return b"%d.%04d" % divmod(scaled, 10000)


def _member_position(zset: SortedSet, member: bytes) -> tuple[float, float]:
    score = zset.score(member)
    if score is None:
        raise errors.NoSuchMember
    return geohash.decode(score)


# Positions.


@family.command(
    "GEOADD key [condition: NX | XX] [CH{change}] longitude:double latitude:double member "
    "[longitude latitude member ...]",
    WRITE | DENYOOM,
    since="3.2.0",
    key=UPDATE,
    added={"6.2.0": "condition change"},
    history=(("6.2.0", "Added the `CH`, `NX` and `XX` options."),),
)
def geoadd(ctx: Context, key: bytes, *words: bytes) -> int:
    """Add members with their positions, or move them.

    `NX` only adds, `XX` only moves. Returns how many members are new, with `CH` also those that
    moved. The members are propagated with their scores. O(log(N)) for each member.
    """
    options: list[bytes] = []
    at = 0
    while at < len(words) and words[at].upper() in {b"NX", b"XX", b"CH"}:
        options.append(words[at].upper())
        at += 1
    rest = words[at:]
    if len(rest) % 3 or {b"NX", b"XX"} <= set(options):
        raise errors.Syntax
    positions = [
        (geohash.encode(*_position(rest[i], rest[i + 1])), rest[i + 2])
        for i in range(0, len(rest), 3)
    ]
    if not positions:
        raise errors.Syntax
    ctx.db.find(key, SortedSet)
    conditions = (_ONLY_NEW if b"NX" in options else 0) | (_ONLY_OLD if b"XX" in options else 0)
    large = len(positions) > ctx.keyspace.zset_max_listpack_entries or any(
        len(member) > ctx.keyspace.zset_max_listpack_value for _score, member in positions
    )
    if conditions & _ONLY_OLD and key not in ctx.db:
        return 0
    added, moved = geo.add(ctx.db, key, positions, conditions, large)
    if added + moved:
        ctx.changed(key, "zadd", added + moved)
        scored = [word for score, member in positions for word in (b"%d" % int(score), member)]
        ctx.propagate(b"ZADD", key, *options, *scored)
    return added + moved if b"CH" in options else added


@family.command("GEOPOS key [member [member ...]]", READONLY, since="3.2.0")
def geopos(ctx: Context, key: bytes, *members: bytes) -> list[Reply]:
    """Return the longitude and latitude of members, null for those that are missing.

    They are the middle of a cell, which is 0.6 m wide at the equator. O(1) for each member.
    """
    return [
        NULL_ARRAY if score is None else list(geohash.decode(score))
        for score in _scores(ctx, key, members)
    ]


@family.command("GEOHASH key [member [member ...]]", READONLY, since="3.2.0")
def geohash_(ctx: Context, key: bytes, *members: bytes) -> list[bytes | None]:
    """Return the standard geohash of members, null for those that are missing.

    O(1) for each member.
    """
    return [None if score is None else geohash.text(score) for score in _scores(ctx, key, members)]


def _scores(ctx: Context, key: bytes, members: Sequence[bytes]) -> list[float | None]:
    zset = ctx.read(key, SortedSet)
    return [None if zset is None else zset.score(member) for member in members]


@family.command("GEODIST key member1 member2 [unit: M | KM | FT | MI]", READONLY, since="3.2.0")
def geodist(ctx: Context, key: bytes, member1: bytes, member2: bytes, *unit: bytes) -> bytes | None:
    """Return how far two members are from each other, or null if one is missing. O(1)."""
    if len(unit) > 1:
        raise errors.Syntax
    scale = _unit(unit[0]) if unit else 1.0
    scores = _scores(ctx, key, (member1, member2))
    positions = [geohash.decode(score) for score in scores if score is not None]
    if len(positions) < 2:
        return None
    return _shown_distance(geohash.metres(*positions[0], *positions[1]) / scale)


# Searches.


def _read_options(  # noqa: C901, PLR0912 - one case for each word of the grammar
    query: Query, words: Sequence[bytes], zset: SortedSet | None, *, search: bool, store: bytes
) -> None:
    """Read what follows the key, or the circle; `store`: GEORADIUS's STORE, or STOREDIST alone."""
    options = Options(words)
    while options:
        word, left = options.keyword(), options.left
        match word:
            case b"WITHDIST" | b"WITHHASH" | b"WITHCOORD":
                query.shown.add(word)
            case b"ANY":
                query.is_any = True
            case b"ASC" | b"DESC":
                query.order = word
            case b"COUNT" if left:
                query.count = options.integer()
                if query.count <= 0:
                    raise errors.CountOptionNotPositive
            case b"STORE" | b"STOREDIST" if store == b"STORE" and left:
                query.target = options.word()
                query.stores_distance = word == b"STOREDIST"
            case b"STOREDIST" if store == b"STOREDIST":
                query.stores_distance = True
            case b"FROMMEMBER" if search and left and query.middle is None and not query.area:
                query.member = options.word()
                if zset is not None:
                    _member_position(zset, query.member)
            case b"FROMLONLAT" if search and left > 1 and query.member is None and not query.area:
                query.middle = _position(options.word(), options.word())
            case b"BYRADIUS" if (
                search and left > 1 and not query.area and ("width" not in query.shape)
            ):
                _read_radius(query, options.word(), options.word())
            case b"BYBOX" if search and left > 2 and not query.area and "radius" not in query.shape:
                _read_box(query, *options.words(3))
            case b"BYPOLYGON" if (
                search
                and left > 1
                and not query.shape
                and (query.member is None and query.middle is None)
            ):
                _read_polygon(query, options)
            case _:
                raise errors.Syntax


def _read_radius(query: Query, radius: bytes, unit: bytes) -> None:
    length = _length(radius, "radius")
    if length < 0:
        raise errors.NegativeRadius
    query.unit = _unit(unit)
    query.shape = {"radius": length * query.unit}


def _read_box(query: Query, width: bytes, height: bytes, unit: bytes) -> None:
    sides = _length(width, "width"), _length(height, "height")
    if min(sides) < 0:
        raise errors.NegativeBox
    query.unit = _unit(unit)
    query.shape = {"width": sides[0] * query.unit, "height": sides[1] * query.unit}


def _read_polygon(query: Query, options: Options) -> None:
    try:
        count = options.integer()
    except errors.NotInteger:
        raise errors.InvalidCorners from None
    if count < 3 or 2 * count > options.left:
        raise errors.TooFewCorners
    corners = [_position(options.word(), options.word()) for _ in range(count)]
    query.unit = 1.0
    query.area = geo.Area(corners=corners)


def _check(ctx: Context, query: Query, command: bytes | None) -> None:
    """Refuse what does not go together; `command` is the name of a GEOSEARCH as it was typed."""
    if query.target is not None and query.shown:
        raise errors.GeoStoreShows("GEOSEARCHSTORE" if command else "STORE option in GEORADIUS")
    if command and not query.area:
        if query.member is None and query.middle is None:
            raise errors.GeoFrom(command)
        if not query.shape:
            raise errors.GeoBy(command)
    if query.is_any and not query.count:
        raise errors.AnyWithoutCount
    del ctx


def _run(ctx: Context, zset: SortedSet | None, query: Query, event: str) -> Reply:
    """Search, then answer or store what was found."""
    hits: list[Hit] = []
    if zset is not None:
        area = query.area
        if area is None:
            middle = query.middle or _member_position(zset, query.member or b"")
            shape = query.shape
            area = geo.Area(
                *middle, shape.get("radius", -1), shape.get("width", 0), shape.get("height", 0)
            )
        hits = geo.search(zset, area, query.count if query.is_any else 0)
    order = query.order or (b"ASC" if query.count and not query.is_any else b"")
    if order:
        hits.sort(key=lambda hit: hit[1], reverse=order == b"DESC")
    if query.count:
        hits = hits[: query.count]
    if query.target is None:
        return [_item(hit, query) for hit in hits]
    return _store(ctx, query.target, hits, query, event)


def _item(hit: Hit, query: Query) -> Reply:
    member, metres, score, longitude, latitude = hit
    if not query.shown:
        return member
    item: list[Reply] = [member]
    if b"WITHDIST" in query.shown:
        item.append(_shown_distance(metres / query.unit))
    if b"WITHHASH" in query.shown:
        item.append(int(score))
    if b"WITHCOORD" in query.shown:
        item.append([longitude, latitude])
    return item


def _store(ctx: Context, target: bytes, hits: list[Hit], query: Query, event: str) -> int:
    if hits:
        pairs = [(hit[1] / query.unit if query.stores_distance else hit[2], hit[0]) for hit in hits]
        geo.store(ctx.db, target, pairs)
        ctx.changed(target, event, len(hits))
    elif ctx.db.delete(target):
        ctx.changed(target, "del")
    return len(hits)


@family.command(
    f"GEOSEARCH key {_AREA} {_WITH}",
    READONLY,
    since="6.2.0",
    history=(("7.0.0", "Added support for uppercase unit names."),),
)
def geosearch(ctx: Context, key: bytes, *words: bytes) -> Reply:
    """Find the members in a circle, a box or a polygon.

    `BYPOLYGON`, Valkey's, takes the number of corners and their positions, and no `FROM`. `COUNT`
    gives the nearest ones, with `ANY` the first found. O(N+log(M)) in the members near the area and
    in all members.
    """
    zset = ctx.read(key, SortedSet)
    query = Query()
    _read_options(query, words, zset, search=True, store=b"")
    _check(ctx, query, ctx.argv[0])
    return _run(ctx, zset, query, "")


@family.command(
    f"GEOSEARCHSTORE destination:key source:key {_AREA} [STOREDIST]",
    WRITE | DENYOOM,
    since="6.2.0",
    key=(OW | UPDATE, RO | ACCESS),
    keys=(Keys(1, 1), Keys(2, 2)),
    history=(("7.0.0", "Added support for uppercase unit names."),),
)
def geosearchstore(ctx: Context, destination: bytes, source: bytes, *words: bytes) -> Reply:
    """Store the members in a circle, a box or a polygon in another sorted set.

    Their scores are the geohashes, or with `STOREDIST` the distances. O(N+log(M)) in the members
    near the area and in all members.
    """
    zset = ctx.read(source, SortedSet)
    query = Query(target=destination)
    _read_options(query, words, zset, search=True, store=b"STOREDIST")
    _check(ctx, query, ctx.argv[0])
    return _run(ctx, zset, query, "geosearchstore")


def _georadius(ctx: Context, key: bytes, words: Sequence[bytes], *, store: bytes) -> Reply:
    zset = ctx.read(key, SortedSet)
    query = Query(middle=_position(words[0], words[1]))
    _read_radius(query, words[2], words[3])
    _read_options(query, words[4:], zset, search=False, store=store)
    _check(ctx, query, None)
    return _run(ctx, zset, query, "georadiusstore")


def _georadiusbymember(ctx: Context, key: bytes, words: Sequence[bytes], *, store: bytes) -> Reply:
    zset = ctx.read(key, SortedSet)
    query = Query(member=words[0])
    if zset is not None:
        _member_position(zset, words[0])
        _read_radius(query, words[1], words[2])
    _read_options(query, words[3:], zset, search=False, store=store)
    _check(ctx, query, None)
    return _run(ctx, zset, query, "georadiusstore")


_HISTORY = (
    ("6.2.0", "Added the `ANY` option for `COUNT`."),
    ("7.0.0", "Added support for uppercase unit names."),
)


@family.command(
    f"GEORADIUS key longitude:double latitude:double radius:double {_UNITS} {_WITH} {_COUNT} "
    f"[order: ASC | DESC] {_STORE}",
    WRITE | DENYOOM,
    since="3.2.0",
    key=(RO | ACCESS, OW | UPDATE, OW | UPDATE),
    keys=(Keys(1, 1), After("STORE", 6), After("STOREDIST", 6)),
    extract=georadius_keys,
    added={"6.2.0": "any"},
    history=_HISTORY,
    deprecated=Deprecation(
        "6.2.0", "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument"
    ),
)
def georadius(ctx: Context, key: bytes, *words: bytes) -> Reply:
    """Find the members in a circle, or store them. O(N+log(M)) as GEOSEARCH."""
    return _georadius(ctx, key, words, store=b"STORE")


@family.command(
    f"GEORADIUSBYMEMBER key member radius:double {_UNITS} {_WITH} {_COUNT} [order: ASC | DESC] "
    f"{_STORE}",
    WRITE | DENYOOM,
    since="3.2.0",
    key=(RO | ACCESS, OW | UPDATE, OW | UPDATE),
    keys=(Keys(1, 1), After("STORE", 5), After("STOREDIST", 5)),
    extract=georadius_keys,
    history=_HISTORY,
    deprecated=Deprecation(
        "6.2.0",
        "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and `FROMMEMBER` arguments",
    ),
)
def georadiusbymember(ctx: Context, key: bytes, *words: bytes) -> Reply:
    """Find the members in a circle around a member, or store them. O(N+log(M)) as GEOSEARCH."""
    return _georadiusbymember(ctx, key, words, store=b"STORE")


@family.command(
    f"GEORADIUS_RO key longitude:double latitude:double radius:double {_UNITS} {_WITH} {_COUNT} "
    "[order: ASC | DESC]",
    READONLY,
    since="3.2.10",
    added={"6.2.0": "any"},
    history=_HISTORY,
    deprecated=Deprecation("6.2.0", "`GEOSEARCH` with the `BYRADIUS` argument"),
)
def georadius_ro(ctx: Context, key: bytes, *words: bytes) -> Reply:
    """Find the members in a circle. O(N+log(M)) as GEOSEARCH."""
    return _georadius(ctx, key, words, store=b"")


@family.command(
    f"GEORADIUSBYMEMBER_RO key member radius:double {_UNITS} {_WITH} {_COUNT} [order: ASC | DESC]",
    READONLY,
    since="3.2.10",
    history=_HISTORY,
    deprecated=Deprecation("6.2.0", "`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments"),
)
def georadiusbymember_ro(ctx: Context, key: bytes, *words: bytes) -> Reply:
    """Find the members in a circle around a member. O(N+log(M)) as GEOSEARCH."""
    return _georadiusbymember(ctx, key, words, store=b"")
