"""SCAN returns every key that exists from its first call to its last, whatever happens between."""

from __future__ import annotations

import random

import pytest

from tests.support.composed import Composed


def scan_amid_changes(seed: int, fixed: int) -> None:
    """Scan once while other keys come and go by the thousand, the table growing and shrinking."""
    chance = random.Random(seed)
    server = Composed(seed.to_bytes(16, "little"))
    ask = server.ask
    staying = {b"fixed:%d" % number for number in range(fixed)}
    for key in staying:
        ask("SET", key, "x")
    others = 0
    wave = fixed // 4
    seen: set[bytes] = set()
    cursor, calls = b"0", 0
    while True:
        count = chance.choice([1, 10, 100, 1000])
        cursor, found = ask("SCAN", cursor, "COUNT", count)
        seen.update(found)
        calls += 1
        if cursor == b"0":
            break
        if chance.random() < 400 / fixed:  # a few waves in each scan
            before = others
            others += chance.randrange(1, wave)
            for number in range(before, others):
                ask("SET", b"other:%d" % number, "y", "PX", chance.choice([5, 50, 1_000_000]))
            server.pass_time(chance.choice([0, 10, 100]))
            for number in chance.sample(range(others), others // 2):
                ask("DEL", b"other:%d" % number)
            if chance.random() < 0.3:
                server.pass_time(2_000_000)
                server.keyspace.defragment()
            server.keyspace.run_work(1000)
    assert staying <= seen
    assert seen - staying <= {b"other:%d" % number for number in range(others)}
    assert calls > 1


@pytest.mark.parametrize("seed", range(8))
def test_no_key_is_missed_while_others_come_and_go(seed: int) -> None:
    scan_amid_changes(seed, fixed=2000)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(1000, 1100))
def test_no_key_of_100_000_is_missed_while_others_come_and_go(seed: int) -> None:
    scan_amid_changes(seed, fixed=100_000)
