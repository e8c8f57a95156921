"""The keyspace by its Python face: entries of every layout, and as many as memory holds."""

from __future__ import annotations

import pytest

from spineldb.core import strings
from spineldb.core.keyspace import Keyspace

MB = 1 << 20
START_MS = 1_700_000_000_000


@pytest.fixture
def keyspace() -> Keyspace:
    return Keyspace(2, b"0123456789abcdef", now_ms=START_MS)


def test_entries_may_take_more_than_64_mb(keyspace: Keyspace) -> None:
    """All that references can name is reserved, not a small default."""
    database = keyspace.databases[0]
    for number in range(40_000):
        strings.put(database, b"key:%d" % number, b"%d" % number + b"x" * 1900)
    assert keyspace.used_memory > 70 * MB
    value = strings.get(database, b"key:39999")
    assert value is not None
    assert value.startswith(b"39999x")


@pytest.mark.parametrize("key_size", [0, 1, 255, 256, 5000])
@pytest.mark.parametrize("value_size", [0, 1, 255, 256, 1984, 1985, 100_000, 2 * MB])
@pytest.mark.parametrize("deadline", [-1, START_MS + 1000, 1 << 48, (1 << 62)])
def test_every_layout_keeps_key_value_and_deadline(
    keyspace: Keyspace, key_size: int, value_size: int, deadline: int
) -> None:
    database = keyspace.databases[0]
    key, value = b"k" * key_size, b"v" * value_size
    before = keyspace.used_memory
    strings.put(database, key, value, deadline)
    assert (strings.get(database, key), database.deadline(key)) == (value, deadline)
    for other in (-1, START_MS + 5000, 1 << 50):
        assert database.expire_at(key, other)
        assert (strings.get(database, key), database.deadline(key)) == (value, other)
    assert database.move(key, keyspace.databases[1], b"moved")
    assert strings.get(keyspace.databases[1], b"moved") == value
    assert keyspace.databases[1].delete(b"moved")
    assert len(database) == len(keyspace.databases[1]) == 0
    keyspace.run_work(1_000_000)
    for one in keyspace.databases:
        one.flush()
    while keyspace.run_work(1_000_000):
        pass
    assert keyspace.used_memory <= before + 4096
