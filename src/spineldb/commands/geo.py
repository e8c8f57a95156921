"""Geo: positions on the earth in sorted sets, whose scores are geohashes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spineldb.core import hot_geo
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

if TYPE_CHECKING:
    from spineldb.engine.reply import Reply

family = Family("geo")

_UNITS = "<unit: M | KM | FT | MI>"
_COUNT = "[count-block: COUNT count:integer [ANY]]"
_WITH = "[WITHCOORD] [WITHDIST] [WITHHASH]"
_AREA = (
    "<from: FROMMEMBER member | FROMLONLAT <fromlonlat: longitude:double latitude:double>> "
    f"<by: <circle: BYRADIUS radius:double {_UNITS}> | <box: BYBOX width:double height:double "
    f"{_UNITS}>> [order: ASC | DESC] {_COUNT}"
)
_STORE = "[store: STORE storekey:key{key} | STOREDIST storedistkey:key{key}]"

# Positions.


@family.compiled(
    "GEOADD key [condition: NX | XX] [CH{change}] longitude:double latitude:double member "
    "[longitude latitude member ...]",
    WRITE | DENYOOM,
    hot_geo.GEOADD_BODY,
    since="3.2.0",
    key=UPDATE,
    added={"6.2.0": "condition change"},
    history=(("6.2.0", "Added the `CH`, `NX` and `XX` options."),),
)
def geoadd(key: bytes, *words: bytes) -> int:
    """Add members with their positions, or move them.

    `NX` only adds, `XX` only moves. Returns how many members are new, with `CH` also those that
    moved. The members are propagated with their scores. O(log(N)) for each member.
    """


@family.compiled("GEOPOS key [member [member ...]]", READONLY, hot_geo.GEOPOS_BODY, since="3.2.0")
def geopos(key: bytes, *members: bytes) -> list[Reply]:
    """Return the longitude and latitude of members, null for those that are missing.

    They are the middle of a cell, which is 0.6 m wide at the equator. O(1) for each member.
    """


@family.compiled("GEOHASH key [member [member ...]]", READONLY, hot_geo.GEOHASH_BODY, since="3.2.0")
def geohash(key: bytes, *members: bytes) -> list[bytes | None]:
    """Return the standard geohash of members, null for those that are missing.

    O(1) for each member.
    """


@family.compiled(
    "GEODIST key member1 member2 [unit: M | KM | FT | MI]",
    READONLY,
    hot_geo.GEODIST_BODY,
    since="3.2.0",
)
def geodist(key: bytes, member1: bytes, member2: bytes, *unit: bytes) -> bytes | None:
    """Return how far two members are from each other, or null if one is missing. O(1)."""


# Searches.


@family.compiled(
    f"GEOSEARCH key {_AREA} {_WITH}",
    READONLY,
    hot_geo.GEOSEARCH_BODY,
    since="6.2.0",
    history=(("7.0.0", "Added support for uppercase unit names."),),
)
def geosearch(key: bytes, *words: bytes) -> Reply:
    """Find the members in a circle, a box or a polygon.

    `BYPOLYGON`, Valkey's, takes the number of corners and their positions, and no `FROM`. `COUNT`
    gives the nearest ones, with `ANY` the first found. O(N+log(M)) in the members near the area and
    in all members.
    """


@family.compiled(
    f"GEOSEARCHSTORE destination:key source:key {_AREA} [STOREDIST]",
    WRITE | DENYOOM,
    hot_geo.GEOSEARCHSTORE_BODY,
    since="6.2.0",
    key=(OW | UPDATE, RO | ACCESS),
    keys=(Keys(1, 1), Keys(2, 2)),
    history=(("7.0.0", "Added support for uppercase unit names."),),
)
def geosearchstore(destination: bytes, source: bytes, *words: bytes) -> int:
    """Store the members in a circle, a box or a polygon in another sorted set.

    Their scores are the geohashes, or with `STOREDIST` the distances. O(N+log(M)) in the members
    near the area and in all members.
    """


_HISTORY = (
    ("6.2.0", "Added the `ANY` option for `COUNT`."),
    ("7.0.0", "Added support for uppercase unit names."),
)


@family.compiled(
    f"GEORADIUS key longitude:double latitude:double radius:double {_UNITS} {_WITH} {_COUNT} "
    f"[order: ASC | DESC] {_STORE}",
    WRITE | DENYOOM,
    hot_geo.GEORADIUS_BODY,
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
def georadius(key: bytes, *words: bytes) -> Reply:
    """Find the members in a circle, or store them. O(N+log(M)) as GEOSEARCH."""


@family.compiled(
    f"GEORADIUSBYMEMBER key member radius:double {_UNITS} {_WITH} {_COUNT} [order: ASC | DESC] "
    f"{_STORE}",
    WRITE | DENYOOM,
    hot_geo.GEORADIUSBYMEMBER_BODY,
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
def georadiusbymember(key: bytes, *words: bytes) -> Reply:
    """Find the members in a circle around a member, or store them. O(N+log(M)) as GEOSEARCH."""


@family.compiled(
    f"GEORADIUS_RO key longitude:double latitude:double radius:double {_UNITS} {_WITH} {_COUNT} "
    "[order: ASC | DESC]",
    READONLY,
    hot_geo.GEORADIUS_RO_BODY,
    since="3.2.10",
    added={"6.2.0": "any"},
    history=_HISTORY,
    deprecated=Deprecation("6.2.0", "`GEOSEARCH` with the `BYRADIUS` argument"),
)
def georadius_ro(key: bytes, *words: bytes) -> Reply:
    """Find the members in a circle. O(N+log(M)) as GEOSEARCH."""


@family.compiled(
    f"GEORADIUSBYMEMBER_RO key member radius:double {_UNITS} {_WITH} {_COUNT} [order: ASC | DESC]",
    READONLY,
    hot_geo.GEORADIUSBYMEMBER_RO_BODY,
    since="3.2.10",
    history=_HISTORY,
    deprecated=Deprecation("6.2.0", "`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments"),
)
def georadiusbymember_ro(key: bytes, *words: bytes) -> Reply:
    """Find the members in a circle around a member. O(N+log(M)) as GEOSEARCH."""
