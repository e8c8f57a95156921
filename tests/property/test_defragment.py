"""Values stay what they are while memory is tidied between any two requests.

Values grow by hundreds of elements and lose most of them again, so that slabs become sparse; keys
are renamed, copied, deleted and replaced by values of other types while the walk is inside them.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.support.embedded import Embedded

KEYS = [b"key:%d" % number for number in range(6)]
BULK = 700  # elements added or removed at once
STEP_US = 30  # of the walk between two requests


class Workload:
    """A server and its models; the walk goes on between any two requests."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.server = Embedded(seed)
        self.models: dict[bytes, Any] = {}
        self.next_id = 1

    def ask(self, *words: bytes | str | int) -> Any:
        """Send a request, then let some of the walk happen."""
        reply = self.server.ask(*words)
        if self.chance.random() < 0.3:
            self.server.keyspace.defragment()
        if self.chance.random() < 0.7:
            self.server.keyspace.run_work(self.chance.choice((1, STEP_US, 20 * STEP_US)))
        return reply

    def names(self) -> list[bytes]:
        sizes = (3, 8, 8, 8, 30, 300)
        return [
            b"%d" % self.chance.randrange(10_000) + b"x" * self.chance.choice(sizes)
            for _ in range(self.chance.choice((1, 20, BULK)))
        ]

    def model(self, key: bytes, kind: type) -> Any:
        """Return a key's model; what is of another kind goes first."""
        if type(self.models.get(key)) is not kind:
            self.ask("DEL", key)
            self.models[key] = kind()
        return self.models[key]

    def settle(self, key: bytes) -> None:
        """Forget what has become empty; a stream stays."""
        if not self.models[key] and not isinstance(self.models[key], Entries):
            del self.models[key]

    def some(self, elements: list[Any]) -> list[Any]:
        """Choose most of them, or a few."""
        share = self.chance.choice((0.05, 0.5, 0.9, 0.95))
        return [element for element in elements if self.chance.random() < share]

    # -- one kind each ---------------------------------------------------------------------------

    def hash(self, key: bytes) -> None:
        model = self.model(key, dict)
        if model and self.chance.random() < 0.5:
            gone = self.some(list(model))
            if gone:
                assert self.ask("HDEL", key, *gone) == len(gone)
            for field in gone:
                del model[field]
        else:
            pairs = {name: name[::-1] for name in self.names()}
            self.ask("HSET", key, *(word for pair in pairs.items() for word in pair))
            model |= pairs
        self.settle(key)

    def set(self, key: bytes) -> None:
        model = self.model(key, set)
        if model and self.chance.random() < 0.5:
            gone = self.some(sorted(model))
            if gone:
                assert self.ask("SREM", key, *gone) == len(gone)
            model -= set(gone)
        else:
            names = self.names()
            self.ask("SADD", key, *names)
            model |= set(names)
        self.settle(key)

    def zset(self, key: bytes) -> None:
        model = self.model(key, Scores)
        if model and self.chance.random() < 0.5:
            gone = self.some(list(model))
            if gone:
                assert self.ask("ZREM", key, *gone) == len(gone)
            for member in gone:
                del model[member]
        else:
            scores = {name: self.chance.randrange(1000) for name in self.names()}
            self.ask(
                "ZADD", key, *(word for name, score in scores.items() for word in (score, name))
            )
            model.update(scores)
        self.settle(key)

    def list(self, key: bytes) -> None:
        model = self.model(key, list)
        if model and self.chance.random() < 0.5:
            for index in self.some(range(len(model))):  # type: ignore[arg-type]
                model[index] = b"gone"
                self.server.ask("LSET", key, index, "gone")
            self.ask("LREM", key, 0, "gone")
            model[:] = [element for element in model if element != b"gone"]
        else:
            names = self.names()
            self.ask("RPUSH", key, *names)
            model += names
        self.settle(key)

    def stream(self, key: bytes) -> None:
        model = self.model(key, Entries)
        choice = self.chance.random()
        if model and choice < 0.4:
            gone = self.some(list(model))
            if gone:
                assert self.ask("XDEL", key, *(b"%d-0" % number for number in gone)) == len(gone)
            for number in gone:
                del model[number]
        elif choice < 0.5 and model:
            group = b"g%d" % self.chance.randrange(3)
            if group not in model.groups:
                self.ask("XGROUP", "CREATE", key, group, 0)
                model.groups[group] = {}
                model.read[group] = 0
            self.deliver(key, model, group)
        elif choice < 0.6 and model.groups:
            group = self.chance.choice(sorted(model.groups))
            gone = self.some(sorted(model.groups[group]))
            if gone:
                ids = (b"%d-0" % number for number in gone)
                assert self.ask("XACK", key, group, *ids) == len(gone)
            for number in gone:
                del model.groups[group][number]
        else:
            for name in self.names():
                fields = self.chance.choice(((b"f", name), (b"f", name, b"g", name), (name, b"1")))
                self.server.ask("XADD", key, b"%d-0" % self.next_id, *fields)
                model[self.next_id] = list(fields)
                self.next_id += self.chance.choice((1, 1, 500))
            self.ask("PING")

    def deliver(self, key: bytes, model: Entries, group: bytes) -> None:
        """Have a consumer read what its group has not."""
        consumer = b"c%d" % self.chance.randrange(4)
        count = self.chance.choice((1, 50, BULK))
        self.ask("XREADGROUP", "GROUP", group, consumer, "COUNT", count, "STREAMS", key, ">")
        delivered = [number for number in model if number > model.read[group]][:count]
        for number in delivered:
            model.groups[group][number] = consumer
            model.read[group] = number

    # -- keys ------------------------------------------------------------------------------------

    def rename(self, key: bytes) -> None:
        other = self.chance.choice(KEYS)
        if key in self.models and other != key:
            self.ask("RENAME", key, other)
            self.models[other] = self.models.pop(key)

    def copy(self, key: bytes) -> None:
        other = self.chance.choice(KEYS)
        if key in self.models and other != key and not isinstance(self.models[key], Entries):
            assert self.ask("COPY", key, other, "REPLACE") == 1
            self.models[other] = type(self.models[key])(self.models[key])

    def delete(self, key: bytes) -> None:
        assert self.ask("DEL", key) == int(self.models.pop(key, None) is not None)

    # -- all of it -------------------------------------------------------------------------------

    def run(self, count: int) -> None:
        acts = (self.hash, self.set, self.zset, self.list, self.stream)
        keys = (self.rename, self.copy, self.delete)
        favourite = dict(zip(KEYS, self.chance.choices(acts, k=len(KEYS)), strict=True))
        for _ in range(count):
            key = self.chance.choice(KEYS)
            if self.chance.random() < 0.1:
                self.chance.choice(keys)(key)
            else:
                (favourite[key] if self.chance.random() < 0.9 else self.chance.choice(acts))(key)
            if self.chance.random() < 0.1:
                self.check()

    def check(self) -> None:
        """Compare every value with its model."""
        for key, model in self.models.items():
            match model:
                case Scores():
                    flat = self.ask("ZRANGE", key, 0, -1, "WITHSCORES")
                    found = dict(zip(flat[::2], map(int, flat[1::2]), strict=True))
                    assert found == model
                    ordered = sorted(model, key=lambda name: (model[name], name))
                    assert flat[::2] == ordered
                case Entries():
                    entries = [[b"%d-0" % number, fields] for number, fields in model.items()]
                    assert self.ask("XRANGE", key, "-", "+") == entries
                    assert self.ask("XREVRANGE", key, "+", "-") == entries[::-1]
                    self.check_groups(key, model)
                case dict():
                    flat = self.ask("HGETALL", key)
                    assert dict(zip(flat[::2], flat[1::2], strict=True)) == model
                case set():
                    assert set(self.ask("SMEMBERS", key)) == model
                case list():
                    assert self.ask("LRANGE", key, 0, -1) == model
        assert self.ask("DBSIZE") == len(self.models)

    def check_groups(self, key: bytes, model: Entries) -> None:
        for group, pending in model.groups.items():
            found = self.ask("XPENDING", key, group, "-", "+", 1_000_000)
            assert {row[0]: row[1] for row in found} == {
                b"%d-0" % number: consumer for number, consumer in pending.items()
            }
            for consumer in set(pending.values()):
                own = self.ask("XPENDING", key, group, "-", "+", 1_000_000, consumer)
                assert [row[0] for row in own] == [
                    b"%d-0" % number for number in sorted(pending) if pending[number] == consumer
                ]


class Scores(dict[bytes, int]):
    """A sorted set."""


class Entries(dict[int, list[bytes]]):
    """A stream: its entries, what its groups have pending and up to where they have read."""

    def __init__(self) -> None:
        super().__init__()
        self.groups: dict[bytes, dict[int, bytes]] = {}
        self.read: dict[bytes, int] = {}


@pytest.mark.parametrize("seed", range(12))
def test_values_stay_what_they_are_while_memory_is_tidied(seed: int) -> None:
    workload = Workload(seed)
    workload.run(120)
    workload.server.keyspace.defragment()
    workload.check()
    workload.server.check()
    assert workload.server.keyspace.moved_count > 0
    workload.server.check_end()


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(100, 200))
def test_values_stay_what_they_are_through_long_workloads(seed: int) -> None:
    workload = Workload(seed)
    workload.run(1500)
    workload.check()
    workload.server.check_end()
