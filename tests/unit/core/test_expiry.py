"""Keys expire through the wheel: in time, in slices, whatever the clock does."""

from __future__ import annotations

import pytest

from tests.support.composed import DAY_MS, START_MS, Composed, walked


@pytest.fixture
def server() -> Composed:
    return Composed()


def left(server: Composed, database: int = 0) -> list[bytes]:
    """Return the keys that are still in the table, expired or not."""
    return sorted(key for key, _ in walked(server.keyspace.databases[database]))


def test_a_key_is_deleted_soon_after_its_time_and_never_before(server: Composed) -> None:
    server.ask_all("SET a 1 PX 100", "SET b 1 PX 5000", "SET c 1 EX 86400", "SET d 1")
    server.pass_time(99)
    assert left(server) == [b"a", b"b", b"c", b"d"]
    server.pass_time(17)  # the wheel's tick is 16 ms
    assert left(server) == [b"b", b"c", b"d"]
    server.pass_time(5000)
    assert left(server) == [b"c", b"d"]
    server.pass_time(DAY_MS)
    assert left(server) == [b"d"]
    assert server.effects.expired_keys == 3


def test_expiry_is_told_and_propagated_in_the_right_database(server: Composed) -> None:
    server.listen()
    for index in (0, 3):
        server.select(index)
        server.ask("SET", f"k{index}", "v", "PX", 50)
    server.sink.take()
    server.told()
    server.pass_time(100)
    assert server.told() == [(0, "expired", b"k0"), (3, "expired", b"k3")]
    assert server.propagated() == [b"SELECT 0", b"DEL k0", b"SELECT 3", b"DEL k3"]


def test_a_deadline_that_moved_or_went_away_does_not_fire(server: Composed) -> None:
    server.ask_all("SET a 1 PX 100", "SET b 1 PX 100", "SET c 1 PX 100", "SET d 1 EX 100")
    server.ask_all("PERSIST a", "PEXPIRE b 5000", "SET c 2", "PEXPIRE d 50")
    server.pass_time(200)
    assert left(server) == [b"a", b"b", b"c"]
    server.pass_time(5000)
    assert left(server) == [b"a", b"c"]


@pytest.mark.parametrize(
    ("asked", "database", "key"),
    [
        ("RENAME a b", 0, b"b"),
        ("COPY a b", 0, b"b"),
        ("COPY a b DB 2", 2, b"b"),
        ("MOVE a 2", 2, b"a"),
        ("SWAPDB 0 2", 2, b"a"),
    ],
)
def test_a_deadline_goes_where_its_key_goes(
    server: Composed, asked: str, database: int, key: bytes
) -> None:
    server.ask("SET", "a", "1", "PX", 500)
    server.ask(*asked.split())
    server.pass_time(400)
    assert key in left(server, database)
    server.pass_time(200)
    assert all(left(server, index) == [] for index in range(4))


def test_nothing_fires_after_a_flush(server: Composed) -> None:
    server.ask("SET", "a", "1", "PX", 100)
    server.ask("FLUSHALL")
    server.ask("SET", "a", "2")
    server.pass_time(1000)
    assert left(server) == [b"a"]


def test_the_clock_may_jump_forward(server: Composed) -> None:
    for number in range(500):
        server.ask("SET", f"k{number}", "v", "EX", number * 100_000 + 1)
    server.ask("SET", "never", "v")
    server.pass_time(50_000_000 * 1000 + 60_000)
    assert left(server) == [b"never"]


def test_the_clock_may_jump_back(server: Composed) -> None:
    server.ask_all("SET a 1 PX 1000", "SET b 1 EX 100")
    server.pass_time(500)
    server.pass_time(-DAY_MS)
    assert left(server) == [b"a", b"b"]
    assert server.ask("PTTL", "a") == DAY_MS + 500
    server.ask("SET", "c", "1", "PX", 1000)
    server.pass_time(1016)
    assert left(server) == [b"a", b"b"]
    server.pass_time(DAY_MS)
    assert left(server) == [b"b"]
    server.pass_time(100_000)
    assert left(server) == []


def test_many_keys_due_at_once_are_deleted_in_slices(server: Composed) -> None:
    for number in range(20_000):
        server.ask("SET", f"k{number}", "v", "PX", 100)
    server.now_ms += 200
    server.keyspace.advance(server.now_ms)
    assert server.effects.expire(100)  # more are due
    assert 0 < len(server.keyspace.databases[0]) < 20_000
    server.pass_time(0)
    assert len(server.keyspace.databases[0]) == 0


@pytest.mark.parametrize("reason", ["replica", "switched off"])
def test_nothing_fires_where_it_must_not(server: Composed, reason: str) -> None:
    server.ask("SET", "a", "1", "PX", 100)
    server.effects.may_bury = reason != "replica"
    server.effects.active_expiry = reason != "switched off"
    server.pass_time(1000)
    assert left(server) == [b"a"]
    assert server.ask("PEXPIRETIME", "a") == -2
    server.effects.may_bury = server.effects.active_expiry = True
    server.pass_time(0)
    assert left(server) == []
    assert server.now_ms > START_MS
