"""The table against a dict: any mixture of writes, deletes, scans and defragmenting."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from spineldb.core.probe import SlabsProbe, TableProbe

keys = st.integers(0, 4000).map(b"%d".__mod__) | st.binary(max_size=300)
values = st.binary(max_size=40) | st.binary(min_size=250, max_size=3000)


class TableMachine(RuleBasedStateMachine):
    """Bursts are rules too, so that tables reach many segments."""

    def __init__(self) -> None:
        super().__init__()
        self.slabs = SlabsProbe()
        self.table = TableProbe(self.slabs)
        self.model: dict[bytes, bytes] = {}

    @rule(key=keys, value=values)
    def set(self, key: bytes, value: bytes) -> None:
        assert self.table.set(key, value) == (key not in self.model)
        self.model[key] = value

    @rule(key=keys)
    def delete(self, key: bytes) -> None:
        assert self.table.delete(key) == (self.model.pop(key, None) is not None)

    @rule(key=keys)
    def get(self, key: bytes) -> None:
        assert self.table.get(key) == self.model.get(key)

    @rule(start=st.integers(0, 4000), count=st.integers(1, 4000))
    def grow(self, start: int, count: int) -> None:
        for i in range(start, start + count):
            self.table.set(b"%d" % i, b"burst")
            self.model[b"%d" % i] = b"burst"

    @rule(chance=st.floats(0.1, 1), seed=st.integers(0, 100))
    def thin(self, chance: float, seed: int) -> None:
        draw = random.Random(seed)
        for key in [key for key in self.model if draw.random() < chance]:
            assert self.table.delete(key)
            del self.model[key]

    @rule(nth=st.integers(1, 6), key=keys)
    def fail(self, nth: int, key: bytes) -> None:
        self.slabs.fail_in = nth
        try:
            self.table.set(key, b"")
        except MemoryError:
            pass
        else:
            self.model[key] = b""
        self.slabs.fail_in = 0

    @rule()
    def defragment(self) -> None:
        position, end = 0, False
        while not end:
            position, end, _ = self.table.defragment(position, 500)

    @rule(bits=st.integers(0, (1 << 64) - 1))
    def random(self, bits: int) -> None:
        key = self.table.random(bits)
        assert key in self.model if self.model else key is None

    @rule()
    def scan(self) -> None:
        cursor, seen = self.table.scan(0)
        while cursor:
            cursor, more = self.table.scan(cursor)
            seen += more
        assert sorted(seen) == sorted(self.model)

    @rule(limit=st.integers(1, 1000))
    def walk(self, limit: int) -> None:
        position, end, seen = 0, False, []
        while not end:
            position, end, more = self.table.walk(position, limit)
            seen += more
        assert sorted(seen) == sorted(self.model)

    @invariant()
    def counts(self) -> None:
        assert len(self.table) == len(self.model)
        assert self.table.faults() == []

    def teardown(self) -> None:
        assert all(self.table.get(key) == value for key, value in self.model.items())
        entries = self.slabs.used - self.table.own_bytes
        assert entries == sum(
            self.slabs.class_size(
                (13 if max(len(key), len(value)) > 255 else 5) + len(key) + len(value)
            )
            for key, value in self.model.items()
        )
        self.table.clear()
        assert self.slabs.used == self.table.own_bytes


TestTable = TableMachine.TestCase
TestTable.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1 << 30), st.integers(100, 6000), st.booleans())
def test_a_scan_misses_nothing_that_stays(seed: int, count: int, shrink: bool) -> None:
    """Whatever else comes and goes between its calls, so that segments grow, split and merge."""
    draw = random.Random(seed)
    table = TableProbe(SlabsProbe(), seed.to_bytes(8, "little"))
    staying = [b"stay:%d" % i for i in range(count // 10)]
    passing = [b"pass:%d" % i for i in range(count)]
    for key in staying:
        table.set(key, b"")
    if shrink:
        for key in passing:
            table.set(key, b"")
    draw.shuffle(passing)
    seen: set[bytes] = set()
    cursor, calls = 0, 0
    while calls == 0 or cursor:
        cursor, found = table.scan(cursor)
        seen.update(found)
        calls += 1
        for _ in range(min(draw.randrange(60), len(passing))):
            key = passing.pop()
            if shrink:
                table.delete(key)
            else:
                table.set(key, b"")
    assert seen.issuperset(staying)
    assert table.faults() == []
