"""What waits to be freed: it leaves room at once, and writers pay when there is too much of it."""

from __future__ import annotations

from typing import Any

from spineldb.core import strings
from tests.support.embedded import Embedded

MB = 1 << 20


def with_released(megabytes: int, kept: int = 0) -> Embedded:
    """Return an engine that has dropped so much in blocks of 5 MB, and keeps some."""
    embedded = Embedded(seed=1)
    for number in range((megabytes + kept) // 5):
        strings.put(embedded.keyspace.databases[0], b"%d" % number, bytes(5 * MB))
    for number in range(megabytes // 5):
        embedded.keyspace.databases[0].delete(b"%d" % number)
    return embedded


def paid(embedded: Embedded, *words: Any) -> int:
    """Return by how many bytes one request makes the debt smaller."""
    before = embedded.keyspace.owed_memory
    embedded.ask(*words)
    return before - embedded.keyspace.owed_memory


def test_a_write_pays_when_more_than_64_mb_wait() -> None:
    embedded = with_released(100, kept=20)
    assert embedded.keyspace.owed_memory >= 100 * MB
    assert paid(embedded, "SET", "key", "value") > 0
    for _ in range(100):
        embedded.ask("INCR", "n")
    assert embedded.keyspace.owed_memory <= 64 * MB


def test_a_write_pays_when_a_tenth_of_all_memory_waits() -> None:
    assert paid(with_released(30, kept=20), "INCR", "n") > 0


def test_a_little_is_left_for_new_values_to_use() -> None:
    """Released blocks become the next big values: that is cheaper than asking for new ones."""
    assert paid(with_released(10), "INCR", "n") == 0


def test_reads_pay_nothing() -> None:
    embedded = with_released(100)
    assert paid(embedded, "GET", "key") == 0
    assert paid(embedded, "PING") == 0


def test_flushed_tables_count_by_their_share_of_the_keys() -> None:
    embedded = Embedded(seed=2)
    for database in embedded.keyspace.databases[:2]:
        for number in range(2000):
            strings.put(database, b"%d" % number, bytes(10_000))
    used = embedded.keyspace.used_memory
    embedded.keyspace.databases[0].flush()
    assert 0.45 * used < embedded.keyspace.owed_memory < 0.55 * used
    assert paid(embedded, "INCR", "n") > 0
    embedded.rest()
    assert embedded.keyspace.owed_memory == 0


def test_what_was_flushed_makes_room_at_once() -> None:
    embedded = Embedded(seed=3)
    for number in range(20_000):
        embedded.ask("SET", number, "x" * 100)
    embedded.dispatcher.limit_memory(embedded.keyspace.used_memory - 1)
    assert str(embedded.ask("SET", "more", "x")).startswith("OOM ")
    embedded.ask("FLUSHALL")
    assert embedded.ask("SET", "more", "x") == "OK"
