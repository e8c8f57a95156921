"""The keyspace's queued work: it is done when all memory has come back, and not before."""

from __future__ import annotations

from tests.support.embedded import Embedded


def test_work_is_left_while_the_memory_of_a_flushed_big_value_waits() -> None:
    server = Embedded(1)
    assert server.ask("SET", "big", b"x" * 1_000_000) == "OK"
    assert server.ask("APPEND", "big", b"y") == 1_000_001
    assert server.ask("FLUSHALL") == "OK"
    while server.keyspace.run_work(1_000_000):
        pass
    assert server.keyspace.used_memory == server.empty_bytes
