"""The bytes and the estimates of HyperLogLogs."""

from __future__ import annotations

import random

import pytest

from spineldb import errors
from spineldb.core import hyperloglog
from spineldb.core.effects import RecordingSink
from spineldb.core.hashing import murmur64a
from tests.support.embedded import Embedded

EMPTY = bytes.fromhex("48594c4c01000000 0000000000000000 7fff")
ABC = bytes.fromhex("48594c4c01000000 0000000000000080 60f38050b1844bfb80425a")


def numbered(count: int) -> list[bytes]:
    return [b"user:%d" % number for number in range(count)]


def test_an_empty_one_is_one_run_of_zeros() -> None:
    assert hyperloglog.added(b"", [], 3000) == EMPTY
    assert hyperloglog.count(EMPTY) == 0


def test_three_elements_are_the_bytes_of_redis() -> None:
    assert hyperloglog.added(EMPTY, [b"a", b"b", b"c"], 3000) == ABC
    assert hyperloglog.runs(ABC) == [(8436, 0, 2), (1, 1, 1), (4274, 0, 2), (1, 2, 1),
                                     (3068, 0, 2), (1, 1, 1), (603, 0, 2)]  # fmt: skip


@pytest.mark.parametrize(("count", "estimate", "size"), [(1000, 1007, 1910), (10000, 10089, 12304)])
def test_estimates_are_those_of_redis(count: int, estimate: int, size: int) -> None:
    value = hyperloglog.added(b"", numbered(count), 3000)
    assert (hyperloglog.count(value), len(value)) == (estimate, size)
    assert hyperloglog.is_sparse(value) == (size < 3000)


def test_both_forms_have_the_registers_of_a_naive_model() -> None:
    chance = random.Random(7)
    elements = [chance.randbytes(chance.randrange(1, 20)) for _ in range(5000)]
    model = [0] * 16384
    for element in elements:
        hashed = murmur64a(element, 0xADC83B19)
        run = (hashed >> 14) | 1 << 50
        shown = (run & -run).bit_length()
        model[hashed & 16383] = max(model[hashed & 16383], shown)
    for limit in (0, 3000, 100_000):
        value = hyperloglog.added(b"", elements, limit)
        assert hyperloglog.registers(value) == model
        assert hyperloglog.registers(hyperloglog.dense(value)) == model


def test_the_sparse_form_ends_at_its_limit() -> None:
    value = b""
    for element in numbered(3000):
        value = hyperloglog.added(value, [element], 500)
        assert len(value) <= 500 or not hyperloglog.is_sparse(value)
    assert not hyperloglog.is_sparse(value)


def test_damage_is_found() -> None:
    for body in (b"", b"\x00", b"\x7f", b"\x7f\xff\x00", b"\xff" * 4097):
        value = EMPTY[:16] + body
        with pytest.raises(errors.CorruptHyperLogLog):
            hyperloglog.count(value)
        with pytest.raises(errors.CorruptHyperLogLog):
            hyperloglog.dense(value)
    with pytest.raises(errors.NotHyperLogLog):
        hyperloglog.count(b"HYLL\x02" + bytes(11))


def test_the_last_register_ends_with_the_value() -> None:
    element = next(e for e in numbered(10**6) if murmur64a(e, 0xADC83B19) & 16383 == 16383)
    value = hyperloglog.added(b"", [element], 0)
    assert len(value) == 12304
    assert sum(map(bool, hyperloglog.registers(value))) == 1


def test_self_test_finds_nothing_wrong() -> None:
    assert hyperloglog.self_test() is None


def test_a_count_that_is_kept_is_propagated_and_one_that_was_kept_is_not() -> None:
    server = Embedded(1)
    sink = RecordingSink()
    server.effects.add_sink(sink)
    server.ask("PFADD", "h", "a")
    sink.take()
    assert server.ask("PFCOUNT", "h") == 1
    assert sink.take() == b"*2\r\n$7\r\nPFCOUNT\r\n$1\r\nh\r\n"
    assert server.ask("PFCOUNT", "h") == 1
    assert server.ask("PFCOUNT", "h", "h") == 1
    assert sink.take() == b""


def test_where_nothing_may_change_a_count_is_not_kept() -> None:
    server = Embedded(1)
    server.ask("PFADD", "h", "a")
    before = server.ask("GET", "h")
    server.effects.may_bury = False
    assert server.ask("PFCOUNT", "h") == 1
    assert server.ask("GET", "h") == before
    server.keyspace.applying = True  # a stream of effects, in which the primary has kept it
    assert server.ask("PFCOUNT", "h") == 1
    assert server.ask("GET", "h") != before


def test_b25_what_merges_keeps_its_own_and_a_string_is_no_hyperloglog() -> None:
    server = Embedded(1)
    assert server.ask("PFADD", "h") == 1
    assert server.ask("PFADD", "h", *numbered(1000)) == 1
    server.ask("PFADD", "other", "x", "y")
    server.ask("PFMERGE", "h", "other")
    assert server.ask("PFCOUNT", "h") in {1008, 1009, 1010}
    server.ask("SET", "s", "HYLL and more than that")
    assert server.ask("TYPE", "s") == "string"
    assert server.ask("TYPE", "h") == "string"
