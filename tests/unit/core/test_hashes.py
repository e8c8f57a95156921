"""Hashes: every layout against a dict, the sums, and fields that expire."""

from __future__ import annotations

import random

from spineldb.core import probe_data
from spineldb.core.effects import RecordingSink
from tests.support.embedded import Embedded

START_MS = 1_700_000_000_000


def served(seed: int = 1) -> Embedded:
    server = Embedded(seed)
    server.client()
    server.keyspace.advance(START_MS)
    server.effects.expire(1_000_000)  # the wheels go back to that time
    return server


def consistent(server: Embedded) -> bool:
    while server.keyspace.run_work(10_000):
        pass
    return probe_data.faults(server.keyspace) == []


def test_a_hash_of_any_size_behaves_as_a_dict() -> None:
    server, chance = served(), random.Random(5)
    models: dict[bytes, dict[bytes, bytes]] = {}
    for _ in range(8000):
        name = chance.choice([5, 60, 900])
        key, field = b"h%d" % name, b"f%d" % chance.randrange(name)
        value = b"v" * chance.choice([1, 3, 10, 70, 260, 2500])
        model = models.setdefault(key, {})
        match chance.randrange(4):
            case 0 | 1:
                added = server.at(START_MS, [b"HSET", key, field, value], 0)
                assert added == b":%d\r\n" % (field not in model)
                model[field] = value
            case 2:
                removed = server.at(START_MS, [b"HDEL", key, field], 0)
                assert removed == b":%d\r\n" % (model.pop(field, None) is not None)
            case _:
                length = server.at(START_MS, [b"HLEN", key], 0)
                assert length == b":%d\r\n" % len(model)
    assert consistent(server)


def test_fields_expire_by_themselves_and_take_the_last_key() -> None:
    for count in (3, 1000):
        server = served()
        pairs = [word for n in range(count) for word in (b"f%d" % n, b"v")]
        server.at(START_MS, [b"HSET", b"h", *pairs], 0)
        fields = [b"FIELDS", b"%d" % count, *pairs[::2]]
        server.at(START_MS, [b"HPEXPIRE", b"h", b"100", *fields], 0)
        sink = RecordingSink()
        server.effects.add_sink(sink)
        assert server.keyspace.databases[0].field_deadlines == 1
        for later in range(100, 400, 20):
            server.keyspace.advance(START_MS + later)
            server.effects.expire(1_000_000)
        assert server.effects.expired_fields == count
        assert len(server.keyspace.databases[0]) == 0
        assert b"HDEL" in sink.take()
        assert server.keyspace.databases[0].field_deadlines == 0
        assert consistent(server)


def test_a_field_whose_time_has_passed_is_hidden_at_once() -> None:
    server = served()
    server.at(START_MS, [b"HSET", b"h", b"a", b"1", b"b", b"2"], 0)
    server.at(START_MS, [b"HPEXPIRE", b"h", b"5", b"FIELDS", b"1", b"a"], 0)
    assert server.at(START_MS + 6, [b"HLEN", b"h"], 0) == b":1\r\n"
    assert server.at(START_MS + 6, [b"HINCRBY", b"h", b"a", b"3"], 0) == b":3\r\n"
