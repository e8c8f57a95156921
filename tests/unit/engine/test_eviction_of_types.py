"""Values of every type count for what they take when keys are evicted.

A case is skipped while the server lacks its command.
"""

from __future__ import annotations

import pytest

from spineldb.core import probe_data
from spineldb.engine.eviction import POLICIES
from tests.support.embedded import Embedded

ELEMENTS = 2000
#: A command that makes a value of many elements, and what each element is written as.
TYPES = {
    "list": ("RPUSH", "element:{}"),
    "set": ("SADD", "member:{}"),
    "hash": ("HSET", "field:{} value:{}"),
    "zset": ("ZADD", "{} member:{}"),
    "stream": ("XADD", "{}-1 field value"),
}


def make(server: Embedded, kind: str, key: str, elements: int) -> None:
    """Give a key a value of so many elements."""
    command, form = TYPES[kind]
    if server.dispatcher.lookup(command.encode().lower()) is None:
        pytest.skip(f"the server has no {command} yet")
    words = [form.format(*[n, n][: form.count("{}")]).split() for n in range(1, elements + 1)]
    if kind == "stream":
        for entry in words:
            server.ask(command, key, *entry)
    else:
        server.ask(command, key, *[word for some in words for word in some])


def net(server: Embedded) -> int:
    return server.keyspace.used_memory - server.keyspace.owed_memory


@pytest.mark.parametrize("kind", TYPES)
def test_a_big_value_that_goes_counts_at_once(kind: str) -> None:
    server = Embedded(1)
    make(server, kind, "big", ELEMENTS)
    size = server.ask("MEMORY", "USAGE", "big")
    assert size > 10 * ELEMENTS
    assert server.ask("EXPIRE", "big", 1000) == 1
    for n in range(100):
        server.ask("SET", f"small:{n}", "value")
    before = server.keyspace.used_memory
    server.engine.eviction.follow("volatile-lru", 5)
    server.dispatcher.limit_memory(before - 1)
    assert server.ask("SET", "new", "value") == "OK"
    assert server.ask("EXISTS", "big") == 0
    assert server.engine.eviction.evicted_keys == 1
    assert before - net(server) > 0.9 * size
    server.rest()
    assert before - server.keyspace.used_memory > 0.9 * size
    assert not probe_data.faults(server.keyspace)


@pytest.mark.parametrize("policy", sorted(set(POLICIES) - {"noeviction"}))
@pytest.mark.parametrize("kind", TYPES)
def test_values_of_all_sizes_go_until_there_is_room(kind: str, policy: str) -> None:
    server = Embedded(2)
    for n in range(60):
        make(server, kind, f"key:{n}", (3, 40, 700)[n % 3])
        server.ask("EXPIRE", f"key:{n}", 1000 + n)
    server.engine.eviction.follow(policy, 5)
    limit = server.keyspace.used_memory // 2
    server.dispatcher.limit_memory(limit)
    while server.engine.eviction.work(1000):
        pass
    assert net(server) <= limit
    assert 0 < server.ask("DBSIZE") < 60
    for n in range(100, 130):
        make(server, kind, f"key:{n}", 50)
        server.ask("EXPIRE", f"key:{n}", 1000 + n)
    server.check()
    assert net(server) <= limit + 10_000
    server.dispatcher.limit_memory(0)
    server.check_end()
