"""Bitmap commands: what they change, what they say of it, and what they refuse."""

from __future__ import annotations

import pytest

from spineldb.client import ErrorReply
from spineldb.commands import bitmaps, strings
from tests.support.bench import Bench

BIG = 5000  # bytes: in a block of its own


@pytest.fixture
def bench() -> Bench:
    return Bench(strings.family, bitmaps.family)


def silent(bench: Bench) -> bool:
    """Tell whether nothing was changed, published or propagated since the last look."""
    events = [event for event in bench.told() if event[0] != "keymiss"]
    return not events and not bench.propagated()


def test_a_change_is_counted_published_and_propagated_as_typed(bench: Bench) -> None:
    dirty = bench.effects.dirty
    assert bench.ask("SETBIT", "k", 9, 1) == 0
    assert bench.told() == [("new", b"k"), ("setbit", b"k")]
    assert bench.propagated() == [[b"SETBIT", b"k", b"9", b"1"]]
    assert bench.ask("BITFIELD", "k", "SET", "u8", 0, 5, "INCRBY", "u8", 8, 1) == [0, 65]
    assert bench.told() == [("setbit", b"k")]
    assert bench.propagated()[0][:2] == [b"BITFIELD", b"k"]
    assert bench.effects.dirty == dirty + 3


@pytest.mark.parametrize(
    "request_",
    [
        "SETBIT k 1 1",  # it is 1
        "SETBIT k 0 2",
        "SETBIT k -1 1",
        "SETBIT k 4294967296 1",
        "BITFIELD k GET u8 100",
        "BITFIELD k SET u8 0 97",  # it is 97
        "BITFIELD k INCRBY u8 0 0",
        "BITFIELD k OVERFLOW FAIL SET u4 1000 99",
        "BITFIELD k SET u8 0 1 GET u64 0",
        "BITFIELD_RO k SET u8 0 1",
        "BITFIELD missing GET u8 0",
        "BITFIELD missing OVERFLOW FAIL INCRBY u8 0 300",
        "BITFIELD missing",
        "BITOP NOT k k missing",
        "BITOP DIFF k k",
        "BITOP FOO k k",
        "BITOP OR missing missing2 missing3",
        "GETBIT missing 0",
        "BITCOUNT missing",
        "BITPOS missing 1",
    ],
)
def test_what_is_refused_or_changes_nothing_leaves_no_trace(bench: Bench, request_: str) -> None:
    bench.ask("SET", "k", "a")
    bench.told(), bench.propagated()
    before = bench.contents(), bench.keyspace.used_memory, bench.effects.dirty
    bench.ask(*request_.split())
    assert (bench.contents(), bench.keyspace.used_memory, bench.effects.dirty) == before
    assert silent(bench)


@pytest.mark.parametrize("size", [10, 300, BIG])
def test_a_deadline_stays_when_bits_change(bench: Bench, size: int) -> None:
    bench.ask("SET", "k", bytes(size), "PXAT", 4_000_000_000_000)
    for offset in (0, 8 * size - 1, 8 * size + 100):
        bench.ask("SETBIT", "k", offset, 1)
        assert bench.db.deadline(b"k") == 4_000_000_000_000
    bench.ask("BITFIELD", "k", "SET", "u16", 16 * size, 7)
    assert bench.db.deadline(b"k") == 4_000_000_000_000
    assert bench.ask("BITCOUNT", "k") == 6
    assert bench.db.encoding(b"k") == b"raw"


@pytest.mark.parametrize("size", [10, 300, BIG])
def test_bitop_replaces_the_destination_and_its_deadline(bench: Bench, size: int) -> None:
    bench.ask("SET", "a", b"\xf0" * size)
    bench.ask("SET", "d", "old", "EX", 100)
    bench.told(), bench.propagated()
    assert bench.ask("BITOP", "NOT", "d", "a") == size
    assert bench.contents()[b"d"] == (b"\x0f" * size, -1)
    assert bench.told() == [("overwritten", b"d"), ("set", b"d")]
    assert bench.propagated() == [[b"BITOP", b"NOT", b"d", b"a"]]
    assert bench.db.encoding(b"d") == b"raw"


def test_bitop_deletes_the_destination_if_nothing_is_left(bench: Bench) -> None:
    bench.ask("MSET", "d", "old", "empty", "")
    bench.told(), bench.propagated()
    assert bench.ask("BITOP", "AND", "d", "missing", "empty") == 0
    assert b"d" not in bench.db
    assert ("del", b"d") in bench.told()
    assert bench.propagated() == [[b"BITOP", b"AND", b"d", b"missing", b"empty"]]


def test_bitop_respects_its_limit(bench: Bench) -> None:
    bench.ask("SET", "a", bytes(100))
    bench.keyspace.bitop_limit = 99
    assert str(bench.ask("BITOP", "NOT", "d", "a")) == (
        "ERR Command 'BITOP' aborted: required allocation (100) exceeds 'max_bitop_alloc_size' "
        "limit (99)."
    )
    assert b"d" not in bench.db
    bench.keyspace.bitop_limit = 100
    assert bench.ask("BITOP", "NOT", "d", "a") == 100


def test_bitop_with_many_sources_and_an_expired_one(bench: Bench) -> None:
    bench.ask("MSET", "d", "x", *(word for n in range(40) for word in (f"k{n}", bytes([1]) * BIG)))
    bench.ask("SET", "k7", b"\xff" * BIG, "PXAT", bench.keyspace.now_ms + 50)
    bench.db.expire_at(b"k7", 1)
    bench.db.expire_at(b"d", 1)
    assert bench.ask("BITOP", "OR", "d", *(f"k{n}" for n in range(40))) == BIG
    assert bench.ask("GET", "d") == bytes([1]) * BIG
    assert b"k7" not in bench.db


def test_strings_do_not_grow_over_the_limit(bench: Bench) -> None:
    bench.keyspace.string_limit = 1000
    assert bench.ask("SETBIT", "k", 7999, 1) == 0
    refused = ErrorReply("ERR bit offset is not an integer or out of range")
    assert bench.ask("SETBIT", "k", 8000, 1) == refused
    assert bench.ask("BITFIELD", "k", "SET", "u8", 7993, 1) == refused
    assert bench.ask("BITFIELD", "k", "SET", "u8", "#2305843009213693952", 1) == refused
    assert bench.ask("BITFIELD", "k", "GET", "u8", 7993) == [2]
    assert bench.ask("STRLEN", "k") == 1000


def test_a_reply_that_is_being_sent_keeps_its_bytes(bench: Bench) -> None:
    bench.ask("SET", "k", bytes(200_000))
    assert bench.ask("GET", "k") == bytes(200_000)
    for offset in range(0, 1_600_000, 100_000):
        bench.ask("SETBIT", "k", offset, 1)
    assert bench.ask("BITCOUNT", "k") == 16


def test_reads_are_counted_and_misses_published(bench: Bench) -> None:
    bench.ask("SET", "k", "a")
    bench.told()
    bench.ask("BITCOUNT", "k")
    bench.ask("BITOP", "OR", "d", "k", "missing")
    assert bench.told() == [("keymiss", b"missing"), ("new", b"d"), ("set", b"d")]
