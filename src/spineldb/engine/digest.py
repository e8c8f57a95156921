"""Digests of the dataset, to compare two servers by (DEBUG DIGEST).

The algorithm is Redis's, so that a digest can be compared with a real server's. Two operations fold
data into a digest of 20 bytes with SHA-1: `xored` for things without an order (keys, members),
`mixed` for things with one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from hashlib import sha1
from typing import TYPE_CHECKING

from spineldb.core import extensions, strings
from spineldb.core.entry import Kind
from spineldb.core.hashes import Hash
from spineldb.core.lists import List
from spineldb.core.numbers import double_to_text
from spineldb.core.sets import Set
from spineldb.core.streams import Stream
from spineldb.core.zsets import SortedSet

if TYPE_CHECKING:
    from spineldb.core.keyspace import Database

EMPTY = bytes(20)

# The numbers that Redis gives to the types of values. (Values of its modules are all alike to it.)
_TYPES = {
    Kind.STRING: 0,
    Kind.LIST: 1,
    Kind.SET: 2,
    Kind.ZSET: 3,
    Kind.HASH: 4,
    Kind.EXTENSION: 5,
    Kind.STREAM: 6,
}


def xored(digest: bytes, data: bytes) -> bytes:
    """Fold data into a digest; the order of such steps does not matter, and twice is not at all."""
    return _xor(digest, sha1(data, usedforsecurity=False).digest())


def mixed(digest: bytes, data: bytes) -> bytes:
    """Fold data into a digest; the order of such steps matters."""
    return sha1(xored(digest, data), usedforsecurity=False).digest()


def _xor(one: bytes, other: bytes) -> bytes:
    return (int.from_bytes(one) ^ int.from_bytes(other)).to_bytes(len(one))


def of_value(database: Database, key: bytes, digest: bytes = EMPTY) -> bytes | None:
    """Fold a key's type, value and whether it expires into a digest; None without the key."""
    kind = Kind(database.kind(key))
    if kind is Kind.NONE:
        return None
    digest = mixed(digest, _TYPES[kind].to_bytes(4))
    for part in _ordered(database, key, kind):
        digest = mixed(digest, part)
    for part in _unordered(database, key, kind):
        digest = xored(digest, part)
    return xored(digest, b"!!expire!!") if database.deadline(key) != -1 else digest


def _ordered(database: Database, key: bytes, kind: Kind) -> Iterator[bytes]:
    """Yield what is mixed into the digest of a value whose elements have an order."""
    if kind is Kind.STRING:
        yield strings.get(database, key) or b""
    elif kind is Kind.LIST:
        yield from List(database, key).elements()
    elif kind is Kind.STREAM:
        for name, fields in Stream(database, key).entries():
            yield name.replace(b"-", b".")
            yield from fields
    elif kind is Kind.EXTENSION:
        yield from extensions.pieces_of(database, key)


def _unordered(database: Database, key: bytes, kind: Kind) -> Iterator[bytes]:
    """Yield what is folded into the digest of a value whose elements have none."""
    if kind is Kind.SET:
        yield from Set(database, key).members()
    elif kind is Kind.ZSET:
        for member, score in SortedSet(database, key).items():
            yield mixed(mixed(EMPTY, member), shortest(score))
    elif kind is Kind.HASH:
        for name, value, deadline in Hash(database, key).fields():
            field = mixed(mixed(EMPTY, name), value)
            yield xored(field, b"!!hexpire!!") if deadline >= 0 else field


def shortest(score: float) -> bytes:
    """Write a score by its shortest digits, as Redis does here: whole numbers are no exception."""
    if not score.is_integer() or score == 0:
        return double_to_text(score)
    sign, digits, exponent = Decimal(repr(score)).normalize().as_tuple()
    scientific = len(digits) - 1 + int(exponent)
    if scientific < len(digits) + 7:
        return f"{'-' * sign}{''.join(map(str, digits))}{'0' * int(exponent)}".encode()
    first, *others = map(str, digits)
    fraction = f".{''.join(others)}" if others else ""
    return f"{'-' * sign}{first}{fraction}e+{scientific}".encode()


def of_dataset(databases: Iterable[Database]) -> bytes:
    """Return the digest of everything: equal for equal datasets, whatever order keys lie in."""
    digest = EMPTY
    for database in databases:
        if not len(database):
            continue
        digest = mixed(digest, database.index.to_bytes(4))
        for key in keys_of(database):
            value = of_value(database, key, mixed(EMPTY, key))
            if value is not None:
                digest = xored(digest, value)
    return digest


def keys_of(database: Database) -> Iterator[bytes]:
    """Yield every key of a database once."""
    cursor = 0
    while True:
        cursor, entries = database.scan(cursor)
        for key, _kind, _deadline in entries:
            yield key
        if not cursor:
            return
