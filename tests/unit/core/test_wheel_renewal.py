"""Timing wheels are renewed when most of what they hold is about keys that are gone."""

from __future__ import annotations

import pytest

from spineldb.core import probe_data
from tests.support.composed import Composed

HOUR_MS = 3_600_000


@pytest.fixture(name="server")
def make_server() -> Composed:
    return Composed()


def leave_prefixes(server: Composed, keys: int = 100, rounds: int = 200) -> None:
    """Set and delete the same keys with deadlines again and again."""
    for _ in range(rounds):
        for key in range(keys):
            server.ask("DEL", f"k{key}")
            server.ask("SET", f"k{key}", "v", "PX", HOUR_MS + key)


def renew(server: Composed) -> None:
    """Renew what is to be, to the end."""
    server.keyspace.renew_wheels()
    while server.keyspace.run_work(10_000):
        pass
    assert not probe_data.faults(server.keyspace)


def test_a_renewed_wheel_holds_the_living_only(server: Composed) -> None:
    leave_prefixes(server)
    database = server.keyspace.databases[0]
    assert database.wheel_bytes > 80_000
    renew(server)
    assert database.wheel_bytes < 8_000


def test_keys_expire_in_time_before_and_after(server: Composed) -> None:
    leave_prefixes(server)
    server.ask("SET", "soon", "v", "PX", 1000)
    server.keyspace.renew_wheels()
    server.ask("SET", "new", "v", "PX", 1000)  # while both wheels hand out
    server.pass_time(1100)
    assert server.effects.expired_keys == 2
    assert server.ask("DBSIZE") == 100
    renew(server)
    server.pass_time(HOUR_MS + 60_000)
    assert server.ask("DBSIZE") == 0
    assert server.effects.expired_keys == 102


def test_the_next_deadline_is_known_meanwhile(server: Composed) -> None:
    leave_prefixes(server)
    due = server.effects.next_expiry_ms()
    server.keyspace.renew_wheels()
    assert server.effects.next_expiry_ms() == due
    server.ask("SET", "soon", "v", "PX", 1000)
    assert server.effects.next_expiry_ms() < due


def test_databases_may_be_swapped_and_flushed_meanwhile(server: Composed) -> None:
    leave_prefixes(server)
    server.keyspace.renew_wheels()
    server.ask("SWAPDB", 0, 1)
    renew(server)
    assert server.keyspace.databases[1].wheel_bytes < 8_000
    server.select(1)
    leave_prefixes(server)
    server.keyspace.renew_wheels()
    assert server.ask("FLUSHDB") == "OK"
    renew(server)
    assert server.keyspace.databases[1].deadlines == 0


def test_few_prefixes_are_left_alone(server: Composed) -> None:
    leave_prefixes(server, rounds=5)
    before = server.keyspace.databases[0].wheel_bytes
    renew(server)
    assert server.keyspace.databases[0].wheel_bytes == before
    assert server.keyspace.work.done_count == 0


def test_without_memory_the_former_wheel_stays(server: Composed) -> None:
    leave_prefixes(server)
    for number in range(1, 6):
        probe_data.fail_allocation(server.keyspace, number)
        try:
            server.keyspace.renew_wheels()
            while server.keyspace.run_work(10_000):
                pass
        except MemoryError:
            continue
        finally:
            probe_data.fail_allocation(server.keyspace, 0)
    assert not probe_data.faults(server.keyspace)
    renew(server)
    assert server.keyspace.databases[0].wheel_bytes < 8_000
    server.pass_time(HOUR_MS + 60_000)
    assert server.ask("DBSIZE") == 0
