"""What if there is no memory for a hash? The N-th allocation of each command fails.

As in `test_allocations`: who is answered an error has changed nothing, and all is counted to the
byte. A request for several fields is carried out whole or not at all.
"""

from __future__ import annotations

import pytest

from spineldb.core import probe_data
from spineldb.core.hashes import Hash
from tests.fuzz.test_hashes_against_redis import KEYS, Hashes
from tests.support.embedded import Embedded

Facts = list[tuple[list[tuple[bytes, bytes, int]], object]]


def facts(server: Embedded) -> Facts:
    """Return the fields of every hash, and what it is called."""
    database = server.keyspace.databases[0]
    return [
        (sorted(Hash(database, key).fields()), server.ask("OBJECT", "ENCODING", key))
        for key in KEYS
    ]


@pytest.mark.parametrize("number", [1, 2, 3, 5])
@pytest.mark.parametrize(("fields", "big"), [(10, False), (150, False), (12, True), (400, True)])
def test_a_command_without_memory_changes_nothing(fields: int, number: int, *, big: bool) -> None:
    requests = Hashes(number, fields, big=big)
    now_ms = requests.now_s * 1000
    server = Embedded(number)
    server.keyspace.advance(now_ms)
    server.effects.expire(1_000_000)
    server.client()
    reached = 0
    for _ in range(900):
        argv = requests.one()
        before = facts(server)
        probe_data.fail_allocation(server.keyspace, number)
        reply = server.at(now_ms, argv)
        pending = probe_data.failure_pending(server.keyspace)
        probe_data.fail_allocation(server.keyspace, 0)
        if pending:
            continue
        reached += 1
        context = f"allocation {number}, {argv}: {reply!r}"
        server.rest()
        assert probe_data.faults(server.keyspace) == [], context
        assert not server.engine.emergency.active, context
        if reply.startswith(b"-OOM"):
            assert facts(server) == before, context
            server.at(now_ms, argv)
    assert reached or number > 1
    server.check_end()


@pytest.mark.parametrize("number", range(1, 600, 23))
def test_a_long_hset_that_ends_midway_is_taken_back(number: int) -> None:
    """Pairs stored before memory ran out are gone again, those replaced have their values."""
    server = Embedded(3)
    server.ask("HSET", "a", *(f"f{one // 2}" for one in range(1000)))
    expected = facts(server)
    argv = [b"HSET", b"a"]
    for one in range(300, 900):
        argv += [b"f%d" % one, b"v" * (one % 700)]
    probe_data.fail_allocation(server.keyspace, number)
    if server.at(server.keyspace.now_ms, argv).startswith(b"-OOM"):
        assert facts(server) == expected
    else:  # a table that cannot grow early may still have room
        assert server.ask("HLEN", "a") == 900
    assert probe_data.faults(server.keyspace) == []
    assert not server.engine.emergency.active
    server.check_end()
