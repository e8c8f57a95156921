"""Bloom filters: RedisBloom's bits, bounded, accounted for, and propagated so that they recur."""

from __future__ import annotations

import random
import struct
from typing import Any

import pytest

from spineldb.client import INCOMPLETE, Decoder, ErrorReply
from spineldb.core import probe_data
from spineldb.core.bloom import HEADER, LAYER
from spineldb.core.effects import RecordingSink
from spineldb.core.hashing import murmur64a
from tests.support.embedded import Embedded

SEED = 0xC6A4A7935BD1E995


@pytest.fixture
def server() -> Embedded:
    return Embedded(1)


def config(server: Embedded, name: str, value: str) -> None:
    assert server.ask("CONFIG", "SET", name, value) == "OK"


def refusal(server: Embedded, *words: bytes | str | int) -> str:
    reply = server.ask(*words)
    assert isinstance(reply, ErrorReply), reply
    return str(reply)


def information(server: Embedded, key: str) -> dict[str, Any]:
    reply = server.ask("BF.INFO", key)
    return dict(zip(reply[::2], reply[1::2], strict=True))


def recorded(sink: RecordingSink) -> list[list[bytes]]:
    decoder = Decoder()
    decoder.feed(sink.take())
    ignored = {b"SELECT", b"MULTI", b"EXEC"}
    return [argv for argv in iter(decoder.next, INCOMPLETE) if argv[0] not in ignored]


def test_the_bits_of_an_item(server: Embedded) -> None:
    """B20: the seeds are fixed, so that every process agrees."""
    first = murmur64a(b"foo", SEED)
    second = murmur64a(b"foo", first)
    assert (first, second) == (9379678170449572109, 11341142664448795074)
    server.ask("BF.ADD", "k", "foo")
    bits = server.ask("BF.SCANDUMP", "k", 1)[1]
    found = [bit for bit in range(1152) if bits[bit >> 3] >> (bit & 7) & 1]
    assert found == sorted([269, 847, 145, 723, 21, 599, 25, 475])


@pytest.mark.parametrize(
    ("growth", "filters", "items", "capacity"), [(1, 23, 92, 92), (2, 5, 96, 124), (4, 4, 97, 340)]
)
def test_a_filter_grows(
    server: Embedded, growth: int, filters: int, items: int, capacity: int
) -> None:
    """B21: a filter past its capacity gets another layer."""
    server.ask("BF.RESERVE", "k", "0.01", 4, "EXPANSION", growth)
    for number in range(100):
        server.ask("BF.ADD", "k", str(number))
    found = information(server, "k")
    assert found["Number of filters"] == filters
    assert found["Number of items inserted"] == items
    assert found["Capacity"] == capacity
    server.check()


@pytest.mark.parametrize(
    ("words", "wrong", "size"), [(["NONSCALING"], 1016, 1200), ([], 474, 1384)]
)
def test_the_rate_of_wrong_answers(
    server: Embedded, words: list[str], wrong: int, size: int
) -> None:
    """B19: a filter at its capacity keeps the rate it was made for."""
    server.ask("BF.RESERVE", "k", "0.01", 1000, *words)
    assert server.ask("BF.MADD", "k", *(f"user:{n}" for n in range(1000)))
    assert information(server, "k")["Size"] == 32 + 64 + size
    assert sum(server.ask("BF.MEXISTS", "k", *(f"x:{n}" for n in range(100_000)))) == wrong


def test_parameters_are_validated_before_a_filter_is_made(server: Embedded) -> None:
    """B22, U1."""
    for words in (["ERROR", "1.5"], ["ERROR", "0"], ["CAPACITY", "0"], ["EXPANSION", "0"]):
        assert refusal(server, "BF.INSERT", "k", *words, "ITEMS", "x")
    assert server.ask("EXISTS", "k") == 0


def test_a_layer_is_no_longer_than_a_string_may_be(server: Embedded) -> None:
    """B52, U7: nothing is allocated from an announced number alone."""
    server.keyspace.string_limit = 100_000
    used = server.keyspace.used_memory
    for capacity in (1_073_741_825, 2**63 - 1, 80_000):
        assert refusal(server, "BF.RESERVE", "k", "0.01", capacity) == "ERR capacity is too large"
    assert server.keyspace.used_memory == used
    server.ask("BF.RESERVE", "k", "0.01", 2, "EXPANSION", 2**32 - 1)
    reply = server.ask("BF.MADD", "k", "a", "b", "c", "d")
    assert reply[:2] == [1, 1]
    assert str(reply[2]) == "ERR problem inserting into filter"
    assert len(reply) == 3
    assert refusal(server, "BF.ADD", "k", "c") == "ERR problem inserting into filter"
    server.check()


def test_a_filter_is_no_larger_than_maxmemory_allows(server: Embedded) -> None:
    """B24: filters count as used memory, and one request takes no more than is left."""
    server.keyspace.string_limit = 64 << 20
    config(server, "maxmemory", "10mb")
    full = "OOM command not allowed when used memory > 'maxmemory'."
    assert refusal(server, "BF.RESERVE", "k", "0.01", 20_000_000) == full
    assert server.ask("BF.RESERVE", "k", "0.01", 4, "EXPANSION", 10_000_000) == "OK"
    assert server.ask("BF.MADD", "k", *range(4)) == [1, 1, 1, 1]
    assert refusal(server, "BF.ADD", "k", "more") == full
    before = server.keyspace.used_memory
    server.ask("BF.RESERVE", "large", "0.01", 4_000_000)
    assert server.keyspace.used_memory - before > 5_000_000
    assert server.ask("MEMORY", "USAGE", "large") > 5_000_000
    server.check()


def test_what_is_propagated(server: Embedded) -> None:
    """B23: creation with every parameter, and nothing where nothing changed."""
    sink = RecordingSink()
    server.ask("PING")
    server.effects.add_sink(sink)
    server.ask("BF.ADD", "k", "a")
    assert recorded(sink) == [
        [b"BF.RESERVE", b"k", b"0.01", b"100", b"EXPANSION", b"2"],
        [b"BF.ADD", b"k", b"a"],
    ]
    server.ask("BF.ADD", "k", "a")
    server.ask("BF.MADD", "k", "a", "a")
    server.ask("BF.INSERT", "k", "ITEMS", "a")
    assert recorded(sink) == []
    server.ask("BF.INSERT", "i", "ERROR", "0.3", "NONSCALING", "ITEMS", "a")
    assert recorded(sink) == [
        [b"BF.RESERVE", b"i", b"0.3", b"100", b"NONSCALING"],
        [b"BF.MADD", b"i", b"a"],
    ]
    server.ask("BF.RESERVE", "r", "0.1", 7)
    assert recorded(sink) == [[b"BF.RESERVE", b"r", b"0.1", b"7", b"EXPANSION", b"2"]]


def test_replaying_what_was_propagated_gives_the_same_filters() -> None:
    chance = random.Random(7)
    server, replica = Embedded(1), Embedded(2)
    sink = RecordingSink()
    server.client()
    server.effects.add_sink(sink)
    for _ in range(400):
        key = chance.choice("abc")
        items = [chance.randbytes(chance.randrange(3)) for _ in range(chance.randrange(1, 60))]
        rate, capacity = chance.choice(["0.3", "1e-9"]), chance.choice([1, 5, 100])
        words: list[list[Any]] = [
            ["BF.ADD", key, items[0]],
            ["BF.MADD", key, *items],
            ["BF.RESERVE", key, rate, capacity, *chance.choice([[], ["NONSCALING"]])],
            ["BF.INSERT", key, "ERROR", rate, "CAPACITY", capacity, "ITEMS", *items],
            ["COPY", key, chance.choice("abc"), "REPLACE"],
            ["DEL", key],
        ]
        server.ask(*chance.choices(words, [4, 4, 2, 4, 1, 1])[0])
    decoder = Decoder()
    decoder.feed(sink.take())
    for argv in iter(decoder.next, INCOMPLETE):
        if argv[0] not in {b"MULTI", b"EXEC"}:
            assert not isinstance(replica.ask(*argv), ErrorReply)
    assert replica.contents() == server.contents() != {}
    replica.check()
    server.check_end()


def test_an_exchange_by_chunks(server: Embedded) -> None:
    server.ask("BF.RESERVE", "k", "0.001", 5, "EXPANSION", 3)
    server.ask("BF.MADD", "k", *range(60))
    iterator = 0
    while True:
        iterator, data = server.ask("BF.SCANDUMP", "k", iterator)
        if iterator == 0:
            break
        assert server.ask("BF.LOADCHUNK", "copy", iterator, data) == "OK"
    contents = server.contents()
    assert contents[0, b"copy"] == contents[0, b"k"]
    server.ask("PEXPIREAT", "copy", 2**42)
    header = server.ask("BF.SCANDUMP", "k", 0)[1]
    assert server.ask("BF.LOADCHUNK", "copy", 1, header) == "OK"
    assert server.ask("PEXPIRETIME", "copy") == 2**42
    assert server.ask("BF.EXISTS", "copy", "1") == 0, "a header replaces the filter"
    server.check()


GOOD = HEADER.pack(1, 1, 5, 2) + LAYER.pack(8, 64, 1, 0.01, 9.6, 7, 6, 0)


@pytest.mark.parametrize(
    ("at", "form", "value"),
    [
        (0, "<Q", 2), (8, "<I", 2), (8, "<I", 0), (12, "<I", 4), (12, "<I", 7), (16, "<I", 0),
        (20, "<Q", 16), (20, "<Q", 2**63), (28, "<Q", 0), (28, "<Q", 2**64 - 1), (36, "<Q", 7),
        (44, "<d", 1.0), (44, "<d", float("nan")), (52, "<d", float("inf")), (52, "<d", -1.0),
        (60, "<I", 0), (60, "<I", 2**32 - 1), (64, "<Q", 0), (72, "<B", 1),
    ],
)  # fmt: skip
def test_a_header_that_does_not_add_up(server: Embedded, at: int, form: str, value: float) -> None:
    """B52: every field is verified before anything is allocated."""
    assert server.ask("BF.LOADCHUNK", "good", 1, GOOD) == "OK"
    broken = bytearray(GOOD)
    struct.pack_into(form, broken, at, value)
    assert refusal(server, "BF.LOADCHUNK", "k", 1, bytes(broken)) == "ERR received bad data"
    assert refusal(server, "BF.LOADCHUNK", "k", 1, GOOD[:-1]) == "ERR received bad data"
    assert server.ask("EXISTS", "k") == 0
    server.check()


def test_a_large_filter_is_zero_also_where_memory_was_used_before(server: Embedded) -> None:
    server.keyspace.string_limit = 64 << 20
    server.ask("SET", "k", b"\xff" * 900_000)
    server.ask("BF.RESERVE", "old", "0.01", 4_000_000)
    server.ask("BF.MADD", "old", *range(2000))
    server.ask("DEL", "old")
    server.ask("BF.RESERVE", "new", "0.01", 3_000_000)
    iterator, data = 1, b""
    while iterator:
        iterator, data = server.ask("BF.SCANDUMP", "new", iterator)
        assert not any(data)
    server.check_end()


def test_a_filter_among_other_values(server: Embedded) -> None:
    server.ask("BF.MADD", "k", "a", "b")
    assert server.ask("COPY", "k", "c") == 1
    assert server.contents()[0, b"k"] == server.contents()[0, b"c"]
    server.ask("BF.ADD", "c", "x")
    assert server.ask("BF.EXISTS", "k", "x") == 0
    assert server.ask("RENAME", "c", "d") == "OK"
    assert server.ask("BF.CARD", "d") == 3
    assert server.ask("SET", "d", "v") == "OK"
    assert server.ask("OBJECT", "ENCODING", "k") == b"raw"
    assert sorted(server.ask("SCAN", 0, "TYPE", "BloomFilter", "COUNT", 99)[1]) == [b"k"]
    assert server.ask("SCAN", 0, "TYPE", "extension", "COUNT", 99)[1] == []
    server.check_end()


def test_the_names_of_types(server: Embedded) -> None:
    server.ask("BF.ADD", "k", "a")
    assert server.ask("TYPE", "k") == "MBbloom--"
    config(server, "module_type_names", "spinel")
    assert server.ask("TYPE", "k") == "bloomfilter"
    assert server.ask("SCAN", 0, "TYPE", "mbbloom--", "COUNT", 99)[1] == [b"k"]


def test_the_original_s_errors(server: Embedded) -> None:
    config(server, "probabilistic_errors", "spinel")
    rate = "ERR Invalid request: error rate must be between 0 and 1"
    capacity = "ERR Invalid request: capacity must be between 1 and 1073741824"
    other = "ERR Invalid request: Cannot change parameters of an existing filter"
    assert server.ask("BF.RESERVE", "k", "0.01", 10) == "OK"
    expected = {
        "BF.RESERVE k 0.01 10": "ERR Key already exists",
        "BF.RESERVE x y 10": rate,
        "BF.RESERVE x 2 10": rate,
        "BF.RESERVE x 0.1 y": capacity,
        "BF.RESERVE x 0.1 0": capacity,
        "BF.INSERT x ERROR 2 ITEMS a": rate,
        "BF.INSERT x CAPACITY y ITEMS a": capacity,
        "BF.INSERT x EXPANSION 0 ITEMS a": "ERR expansion should be greater or equal to 1",
        "BF.INSERT x FOO ITEMS a": "ERR syntax error",
        "BF.INSERT x NOCREATE ITEMS a": "ERR Key not found",
        "BF.INFO x": "ERR Key not found",
        "BF.INSERT k CAPACITY 11 ITEMS a": other,
        "BF.INSERT k ERROR 0.02 ITEMS a": other,
        "BF.INSERT k NONSCALING ITEMS a": other,
    }
    assert {line: refusal(server, *line.split()) for line in expected} == expected
    assert server.ask("BF.INSERT", "k", "CAPACITY", 10, "ERROR", "0.01", "ITEMS", "a") == [1]
    assert server.ask("BF.INFO", "k")[-2:] == ["Number of hash functions", 8]


@pytest.mark.parametrize(
    "words",
    [
        ["BF.ADD", "new", "x"], ["BF.RESERVE", "new", "0.01", "9"], ["BF.ADD", "full", "x"],
        ["BF.MADD", "full", *"opqrstuvwxyz"], ["COPY", "full", "new"],
        ["BF.INSERT", "new", "CAPACITY", "1", "ITEMS", "a", "b"],
        ["BF.LOADCHUNK", "full", "1", GOOD], ["BF.LOADCHUNK", "new", "1", GOOD],
    ],
)  # fmt: skip
def test_without_memory_nothing_has_changed(words: list[bytes | str]) -> None:
    for number in range(1, 50):
        server = Embedded(1)
        server.ask("BF.RESERVE", "full", "0.01", 2, "EXPANSION", 1)
        server.ask("BF.MADD", "full", "a", "b")
        before = server.contents()
        probe_data.fail_allocation(server.keyspace, number)
        reply = server.ask(*words)
        reached = not probe_data.failure_pending(server.keyspace)
        probe_data.fail_allocation(server.keyspace, 0)
        server.check()
        if not reached:
            assert number > 1
            return
        assert str(reply).startswith("OOM ")
        assert server.contents() == before
    raise AssertionError
