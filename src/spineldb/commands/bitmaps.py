"""Bitmaps: the bits of strings, alone, counted, combined, or as integers of any width."""

from __future__ import annotations

from spineldb.core import hot_bits
from spineldb.engine.command import (
    ACCESS,
    DENYOOM,
    FAST,
    OW,
    READONLY,
    RO,
    UPDATE,
    VARIABLE,
    WRITE,
    Family,
)
from spineldb.engine.keyspecs import bitfield_keys

family = Family("bitmap")


@family.compiled(
    "SETBIT key offset:integer value:integer",
    WRITE | DENYOOM,
    hot_bits.SETBIT_BODY,
    since="2.2.0",
    key=ACCESS | UPDATE,
)
def setbit(key: bytes, offset: bytes, value: bytes) -> int:
    """Set or clear a bit of a string, which grows with zeros as far as needed.

    Returns what the bit was. Bit 0 is the highest bit of the first byte. O(1).
    """


@family.compiled("GETBIT key offset:integer", READONLY | FAST, hot_bits.GETBIT_BODY, since="2.2.0")
def getbit(key: bytes, offset: bytes) -> int:
    """Return a bit of a string.

    Bits behind its end, and those of a missing key, are 0. O(1).
    """


@family.compiled(
    "BITCOUNT key [range: start:integer end:integer [unit: BYTE | BIT]]",
    READONLY,
    hot_bits.BITCOUNT_BODY,
    since="2.6.0",
    added={"7.0.0": "unit"},
    history=(("7.0.0", "Added the `BYTE` and `BIT` options."),),
)
def bitcount(key: bytes, *bounds: bytes) -> int:
    """Count the set bits of a string, or of a part of it.

    The range is in bytes unless `BIT` says otherwise; both ends belong to it, and negative ones
    count from the end of the string. O(N) in the bytes counted.
    """


@family.compiled(
    "BITPOS key bit:integer [range: start:integer [end-unit-block: end:integer "
    "[unit: BYTE | BIT]]]",
    READONLY,
    hot_bits.BITPOS_BODY,
    since="2.8.7",
    added={"7.0.0": "unit"},
    history=(("7.0.0", "Added the `BYTE` and `BIT` options."),),
)
def bitpos(key: bytes, bit: bytes, *bounds: bytes) -> int:
    """Find the first bit that is set, or clear.

    Returns its position from the start of the string, or -1. Clear bits are also found behind the
    end of a string, unless the range has an end; a range in which nothing stands has no bits at
    all. O(N) in the bytes searched.
    """


@family.compiled(
    "BITOP <operation: AND | OR | XOR | NOT | DIFF | DIFF1 | ANDOR | ONE> destkey:key "
    "key [key ...]",
    WRITE | DENYOOM,
    hot_bits.BITOP_BODY,
    since="2.6.0",
    key=(OW | UPDATE, RO | ACCESS),
)
def bitop(operation: bytes, destkey: bytes, *keys: bytes) -> int:
    """Combine the bits of several strings and store the result.

    With X the first key: `DIFF` has the bits of X that no other key has, `DIFF1` those that X lacks
    and another key has, `ANDOR` those of X that another key has too, `ONE` those that exactly one
    key has. Shorter strings and missing keys go on with zeros. Returns the length of the result,
    which is that of the longest string; if it is 0 the destination is deleted. O(N) in the bytes of
    all strings.
    """


@family.compiled(
    "BITFIELD key [<operation: GET <get-block: encoding offset:integer> | <write: "
    "[OVERFLOW <overflow-block: WRAP | SAT | FAIL>] <write-operation: SET <set-block: "
    "encoding offset:integer value:integer> | INCRBY <incrby-block: encoding "
    "offset:integer increment:integer>>>> [operation ...]]",
    WRITE | DENYOOM,
    hot_bits.BITFIELD_BODY,
    notes=("Only read when every operation is a GET",),
    since="3.2.0",
    key=ACCESS | UPDATE | VARIABLE,
    extract=bitfield_keys,
)
def bitfield(key: bytes, *operations: bytes) -> list[int | None]:
    """Read and write integers of any width at any bit of a string.

    An encoding is `i` or `u` and the number of bits, up to i64 and u63; an offset is a bit, or
    with `#` a count of such integers. `GET` and `SET` answer what was there, `INCRBY` what is there
    now. `OVERFLOW` says for the operations behind it what becomes of a number that does not fit: it
    wraps around, saturates, or fails, which answers null and writes nothing. O(1) for each
    operation.
    """


@family.compiled(
    "BITFIELD_RO key [GET <get-block: encoding offset:integer> [GET get-block ...]]",
    READONLY | FAST,
    hot_bits.BITFIELD_RO_BODY,
    since="6.0.0",
)
def bitfield_ro(key: bytes, *operations: bytes) -> list[int]:
    """Read integers of any width at any bit of a string. O(1) for each operation."""
