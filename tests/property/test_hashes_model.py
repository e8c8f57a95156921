"""Hashes behave like dictionaries whose items know when they go, whatever is done to them."""

from __future__ import annotations

import random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from spineldb.core import probe_data
from spineldb.core.hashes import Hash
from tests.support.embedded import Embedded
from tests.support.wire import value

START_MS = 1_700_000_000_000
NEVER = -1
KEYS = st.sampled_from([b"a", b"b", b"c"])
FIELDS = st.one_of(
    st.integers(0, 20).map(lambda number: b"f%d" % number),
    st.sampled_from([b"", b"\x00\xff", b"n" * 254, b"n" * 255, b"n" * 256, b"n" * 2000]),
)
TEXTS = st.one_of(
    st.binary(max_size=12),
    st.integers(-(2**63), 2**63 - 1).map(lambda number: b"%d" % number),
    st.sampled_from([b"v" * 64, b"v" * 65, b"v" * 254, b"v" * 255, b"v" * 1984, b"v" * 2500]),
)
PAIRS = st.one_of(
    st.lists(st.tuples(FIELDS, TEXTS), min_size=1, max_size=6),
    st.integers(1, 180).map(lambda count: [(b"f%d" % number, b"v") for number in range(count)]),
)
SOME = st.one_of(
    st.lists(FIELDS, min_size=1, max_size=6),
    st.integers(1, 180).map(lambda count: [b"f%d" % number for number in range(count)]),
)
SPANS = st.sampled_from([0, 1, 16, 100, 5000, 10_000_000])

Model = dict[bytes, tuple[bytes, int]]


class Hashes(RuleBasedStateMachine):
    """The engine beside a dictionary of dictionaries: values, and when they go."""

    def __init__(self) -> None:
        super().__init__()
        self.server = Embedded(1)
        self.now_ms = START_MS
        self.server.keyspace.advance(START_MS)
        self.server.effects.expire(1_000_000)
        self.models: dict[bytes, Model] = {}

    def ask(self, *words: bytes) -> object:
        return value(self.server.at(self.now_ms, list(words)))

    def of(self, key: bytes) -> Model:
        """Return what a hash has now: what has expired is gone."""
        found = self.models.get(key, {})
        return {name: one for name, one in found.items() if not 0 <= one[1] <= self.now_ms}

    def has_passed(self, deadline: int) -> bool:
        return 0 <= deadline <= self.now_ms

    def keep(self, key: bytes, model: Model) -> None:
        self.models[key] = {name: one for name, one in model.items() if not self.has_passed(one[1])}

    @rule(key=KEYS, pairs=PAIRS)
    def assign(self, key: bytes, pairs: list[tuple[bytes, bytes]]) -> None:
        """HSET: what is set loses its deadline."""
        model = self.of(key)
        new = {name for name, _ in pairs} - model.keys()
        assert self.ask(b"HSET", key, *(word for pair in pairs for word in pair)) == len(new)
        self.keep(key, model | {name: (text, NEVER) for name, text in pairs})

    @rule(key=KEYS, pairs=PAIRS, span=SPANS, condition=st.sampled_from([b"", b"FNX", b"FXX"]))
    def assign_until(
        self, key: bytes, pairs: list[tuple[bytes, bytes]], span: int, condition: bytes
    ) -> None:
        """HSETEX."""
        model = self.of(key)
        names = {name for name, _ in pairs}
        stands = {b"": True, b"FNX": not names & model.keys(), b"FXX": names <= model.keys()}
        words = [b"FIELDS", b"%d" % len(pairs), *(word for pair in pairs for word in pair)]
        options = [condition] if condition else []
        reply = self.ask(b"HSETEX", key, *options, b"PX", b"%d" % span, *words)
        assert reply == stands[condition]
        if reply:
            self.keep(key, model | {name: (text, self.now_ms + span) for name, text in pairs})

    @rule(key=KEYS, fields=SOME)
    def remove(self, key: bytes, fields: list[bytes]) -> None:
        """HDEL."""
        model = self.of(key)
        assert self.ask(b"HDEL", key, *fields) == len(set(fields) & model.keys())
        self.keep(key, {name: one for name, one in model.items() if name not in fields})

    @rule(key=KEYS, fields=SOME)
    def take(self, key: bytes, fields: list[bytes]) -> None:
        """HGETDEL."""
        model = self.of(key)
        values = [model.pop(name, (None, 0))[0] for name in fields]
        assert self.ask(b"HGETDEL", key, b"FIELDS", b"%d" % len(fields), *fields) == values
        self.keep(key, model)

    @rule(
        key=KEYS, fields=SOME, span=SPANS,
        condition=st.sampled_from([b"", b"NX", b"XX", b"GT", b"LT"]),
    )  # fmt: skip
    def expire(self, key: bytes, fields: list[bytes], span: int, condition: bytes) -> None:
        """HPEXPIRE, field after field."""
        model, deadline = self.of(key), self.now_ms + span
        expected = []
        for name in fields:
            if name not in model:
                expected.append(-2)
                continue
            text, current = model[name]
            limit = float("inf") if current == NEVER else current
            stands = {
                b"": True, b"NX": current == NEVER, b"XX": current != NEVER,
                b"GT": deadline > limit, b"LT": deadline < limit,
            }[condition]  # fmt: skip
            passed = self.has_passed(deadline)
            expected.append((2 if passed else 1) if stands else 0)
            if stands and passed:
                del model[name]
            elif stands:
                model[name] = (text, deadline)
        options = [condition] if condition else []
        words = [b"FIELDS", b"%d" % len(fields), *fields]
        assert self.ask(b"HPEXPIRE", key, b"%d" % span, *options, *words) == expected
        self.keep(key, model)

    @rule(key=KEYS, fields=SOME)
    def persist(self, key: bytes, fields: list[bytes]) -> None:
        """HGETEX PERSIST."""
        model = self.of(key)
        values = [model.get(name, (None, 0))[0] for name in fields]
        words = [b"PERSIST", b"FIELDS", b"%d" % len(fields), *fields]
        assert self.ask(b"HGETEX", key, *words) == values
        kept = {name: (model[name][0], NEVER) for name in fields if name in model}
        self.keep(key, model | kept)

    @rule(key=KEYS, field=FIELDS, by=st.integers(-5, 2**62))
    def add(self, key: bytes, field: bytes, by: int) -> None:
        """HINCRBY: the deadline stays."""
        model = self.of(key)
        text, deadline = model.get(field, (b"0", NEVER))
        reply = self.ask(b"HINCRBY", key, field, b"%d" % by)
        try:
            total = int(text)
        except ValueError:
            total = 2**70
        if text == b"%d" % total and -(2**63) <= total + by < 2**63:
            assert reply == total + by
            self.keep(key, model | {field: (b"%d" % (total + by), deadline)})
        else:
            assert not isinstance(reply, int)

    @rule(key=KEYS, other=KEYS)
    def copy(self, key: bytes, other: bytes) -> None:
        """COPY, with all deadlines."""
        if key != other:
            self.ask(b"COPY", key, other, b"REPLACE")
            if self.of(key):
                self.keep(other, dict(self.of(key)))

    @rule(later=st.sampled_from([1, 15, 17, 99, 4000, 20_000]), seen=st.booleans())
    def pass_time(self, later: int, *, seen: bool) -> None:
        """Time passes; the server has noticed, or will at the next look."""
        self.now_ms += later
        self.server.keyspace.advance(self.now_ms)
        if seen:
            self.server.effects.expire(1_000_000)

    @rule()
    def defragment(self) -> None:
        """Elements move."""
        self.server.keyspace.defragment()
        self.server.rest()

    @rule(key=KEYS)
    def read(self, key: bytes) -> None:
        """All that reads a whole hash, and what draws from it."""
        model = self.of(key)
        items = {name: text for name, (text, _) in model.items()}
        listed = self.ask(b"HGETALL", key)
        assert isinstance(listed, list)
        assert dict(zip(listed[::2], listed[1::2], strict=True)) == items
        assert self.ask(b"HLEN", key) == len(items)
        scanned = self.ask(b"HSCAN", key, b"0", b"COUNT", b"100000", b"NOVALUES")
        assert isinstance(scanned, list)
        assert sorted(scanned[1]) == sorted(items)
        for count in (1, 3, 150, -20):
            drawn = self.ask(b"HRANDFIELD", key, b"%d" % count)
            assert isinstance(drawn, list)
            assert items.keys() >= set(drawn)
            wanted = -count if count < 0 else min(count, len(items))
            assert len(drawn) == (wanted if items else 0)
            assert count < 0 or len(set(drawn)) == len(drawn)
        names = [*items, b"missing"]
        times = self.ask(b"HPEXPIRETIME", key, b"FIELDS", b"%d" % len(names), *names)
        assert times == [*(deadline for _, deadline in model.values()), -2]

    @invariant()
    def all_is_counted(self) -> None:
        """Everything the keyspace promises holds once what was replaced is freed."""
        while self.server.keyspace.run_work(100_000):
            pass
        assert probe_data.faults(self.server.keyspace) == []

    def teardown(self) -> None:
        """Nothing is left of what is deleted."""
        self.server.check_end()


TestHashes = Hashes.TestCase
TestHashes.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


@pytest.mark.parametrize("count", [100, 3000])
def test_a_copied_hash_has_all_fields_and_deadlines(count: int) -> None:
    server = Embedded(2)
    chance = random.Random(count)
    for number in range(count):
        server.ask("HSET", "h", f"f{number}", "v" * (number % 300))
        if chance.random() < 0.5:
            server.ask("HPEXPIREAT", "h", START_MS * 2 + number, "FIELDS", 1, f"f{number}")
    server.ask("COPY", "h", "other")
    database = server.keyspace.databases[0]
    assert sorted(Hash(database, b"other").fields()) == sorted(Hash(database, b"h").fields())
    server.ask("DEL", "h", "other")
    server.check_end()
