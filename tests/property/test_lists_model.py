"""Lists behave like Python's lists, however long they are and wherever they are changed."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from spineldb.core import probe_data, probe_lists
from spineldb.core.keyspace import Keyspace
from spineldb.core.lists import List
from tests.support.composed import Composed

SIZES = [0, 1, 3, 10, 10, 10, 60, 253, 254, 300, 1000, 1984, 1985, 5000]
ELEMENTS = st.one_of(
    st.sampled_from([b"", b"a", b"b", b"12", b"-5000", b"70000", b"0012", b"x" * 253, b"y" * 254]),
    st.builds(lambda size, byte: bytes([byte]) * size, st.sampled_from(SIZES), st.integers(0, 2)),
)
SEVERAL = st.lists(ELEMENTS, min_size=1, max_size=8)
INDEXES = st.one_of(st.integers(-12, 12), st.integers(-1500, 1500))


class Lists(RuleBasedStateMachine):
    """One list under a key, which may become long, and another to move elements to."""

    def __init__(self) -> None:
        super().__init__()
        self.server = Composed()
        self.empty = self.server.keyspace.used_memory
        self.model: dict[bytes, list[bytes]] = {b"l": [], b"m": []}

    def ask(self, *words: bytes | str | int) -> object:
        return self.server.ask(*words)

    @rule(values=SEVERAL, left=st.booleans(), times=st.sampled_from([1, 1, 40, 300]))
    def push(self, values: list[bytes], left: bool, times: int) -> None:
        """LPUSH and RPUSH, sometimes of very many."""
        one = self.model[b"l"]
        values = (values * times)[:2400] if len(one) < 3000 else values
        if left:
            one[:0] = values[::-1]
        else:
            one += values
        assert self.ask("LPUSH" if left else "RPUSH", b"l", *values) == len(one)

    @rule(left=st.booleans(), count=st.one_of(st.integers(1, 5), st.integers(1, 2000)))
    def pop(self, left: bool, count: int) -> None:
        """LPOP and RPOP with a count."""
        one = self.model[b"l"]
        taken = one[:count] if left else one[::-1][:count]
        self.model[b"l"] = one[count:] if left else one[: max(len(one) - count, 0)]
        assert self.ask("LPOP" if left else "RPOP", b"l", count) == (taken if one else None)

    @rule(index=INDEXES, value=ELEMENTS)
    def set(self, index: int, value: bytes) -> None:
        """LSET where there is such an element."""
        one = self.model[b"l"]
        if -len(one) <= index < len(one):
            one[index] = value
            assert self.ask("LSET", b"l", index, value) == "OK"

    @rule(after=st.booleans(), index=INDEXES, value=ELEMENTS, times=st.sampled_from([1, 1, 30]))
    def insert(self, after: bool, index: int, value: bytes, times: int) -> None:
        """LINSERT at an element there is, several times at the same place."""
        one = self.model[b"l"]
        if not -len(one) <= index < len(one):
            return
        pivot = one[index]
        for _ in range(times):
            one.insert(one.index(pivot) + after, value)
            assert self.ask("LINSERT", b"l", "AFTER" if after else "BEFORE", pivot, value) == len(
                one
            )

    @rule(value=ELEMENTS, count=st.integers(-4, 4))
    def remove(self, value: bytes, count: int) -> None:
        """LREM from either end."""
        one = self.model[b"l"]
        places = [place for place, element in enumerate(one) if element == value]
        if count:
            places = places[:count] if count > 0 else places[count:]
        for place in reversed(places):
            del one[place]
        assert self.ask("LREM", b"l", count, value) == len(places)

    @rule(first=INDEXES, last=INDEXES)
    def trim(self, first: int, last: int) -> None:
        """LTRIM to a range."""
        self.model[b"l"] = self.part(self.model[b"l"], first, last)
        assert self.ask("LTRIM", b"l", first, last) == "OK"

    @rule(from_left=st.booleans(), to_left=st.booleans(), goal=st.sampled_from([b"l", b"m"]))
    def move(self, from_left: bool, to_left: bool, goal: bytes) -> None:
        """LMOVE to another list, or within one."""
        one = self.model[b"l"]
        moved = one.pop(0 if from_left else -1) if one else None
        if moved is not None:
            self.model[goal].insert(0 if to_left else len(self.model[goal]), moved)
        sides = ("LEFT" if from_left else "RIGHT", "LEFT" if to_left else "RIGHT")
        assert self.ask("LMOVE", b"l", goal, *sides) == moved

    @rule()
    def copy(self) -> None:
        """COPY over the other list."""
        if self.model[b"l"]:
            assert self.ask("COPY", b"l", b"m", "REPLACE") == 1
            self.model[b"m"] = list(self.model[b"l"])

    @rule(first=INDEXES, last=INDEXES)
    def range(self, first: int, last: int) -> None:
        """LRANGE, and LINDEX of its first element."""
        one = self.model[b"l"]
        assert self.ask("LRANGE", b"l", first, last) == self.part(one, first, last)
        inside = -len(one) <= first < len(one)
        assert self.ask("LINDEX", b"l", first) == (one[first] if inside else None)

    @rule(value=ELEMENTS, rank=st.sampled_from([1, 2, -1, -2]), count=st.integers(0, 3))
    def positions(self, value: bytes, rank: int, count: int) -> None:
        """LPOS in either direction."""
        places = [place for place, one in enumerate(self.model[b"l"]) if one == value]
        places = (places if rank > 0 else places[::-1])[abs(rank) - 1 :]
        expected = places[:count] if count else places
        assert self.ask("LPOS", b"l", value, "RANK", rank, "COUNT", count) == expected

    @staticmethod
    def part(one: list[bytes], first: int, last: int) -> list[bytes]:
        """Return a range as LRANGE means it."""
        first = max(first + len(one), 0) if first < 0 else first
        last = last + len(one) if last < 0 else last
        return one[first : last + 1] if last >= first else []

    @invariant()
    def holds(self) -> None:
        """The lists are those of the model, and every sum is right."""
        database = self.server.keyspace.databases[0]
        while self.server.keyspace.run_work(1_000_000):
            pass
        for key, expected in self.model.items():
            view = List(database, key)
            assert view.elements() == expected
            assert probe_lists.faults(view) == []
        assert probe_data.faults(self.server.keyspace) == []

    def teardown(self) -> None:
        """What was used comes back."""
        self.ask("FLUSHALL")
        while self.server.keyspace.run_work(1_000_000):
            pass
        assert self.server.keyspace.used_memory == self.empty


TestLists = Lists.TestCase


def act(chance: random.Random, one: List, other: List, step: int) -> Callable[[], object]:
    """Return one operation on a list, to be tried until it succeeds."""
    values = [bytes([65 + step % 20]) * chance.choice(SIZES) for _ in range(4)]
    left, count = chance.random() < 0.5, chance.choice([1, 1, 2, 60])
    action = chance.choice(["push", "push", "push", "take", "move", "rotate"])
    if action == "push" or not len(one):
        return lambda: one.push(values * count, left)
    if action == "take":
        return lambda: one.take(3 * count, left)
    return lambda: one.move(other if action == "move" else one, left, not left)


@pytest.mark.parametrize("seed", range(3))
def test_a_failing_allocation_changes_nothing(seed: int) -> None:
    """The N-th allocation of each operation on a long list fails, for every N."""
    chance = random.Random(seed)
    keyspace = Keyspace(1, bytes(16))
    one, other = (List(keyspace.databases[0], key) for key in (b"l", b"m"))
    for step in range(400):
        operation = act(chance, one, other, step)
        before = one.elements(), other.elements()
        for number in range(1, 50):
            probe_data.fail_allocation(keyspace, number)
            try:
                operation()
                break
            except MemoryError:
                assert (one.elements(), other.elements()) == before
            finally:
                probe_data.fail_allocation(keyspace, 0)
        for view in (one, other):
            keyspace.databases[0].delete_empty(view.key)
            assert probe_lists.faults(view) == []
        while keyspace.run_work(1_000_000):
            pass
        assert probe_data.faults(keyspace) == []


@pytest.mark.parametrize("left", [True, False], ids=["from the left", "from the right"])
def test_many_elements_are_removed_in_one_pass(left: bool) -> None:
    """LREM of every other of 200,000 elements, which once moved what was behind each of them."""
    server = Composed()
    one = [b"other" if number % 2 else b"x%d" % number for number in range(200_000)]
    for start in range(0, len(one), 1000):
        server.ask("RPUSH", b"l", *one[start : start + 1000])
    limit = 90_000
    assert server.ask("LREM", b"l", limit if left else -limit, b"other") == limit
    kept = [element for element in one if element != b"other"]
    rest = one[2 * limit :] if left else one[: len(one) - 2 * limit]
    kept = kept[:limit] + rest if left else rest + kept[-limit:]
    assert server.ask("LRANGE", b"l", 0, -1) == kept
    assert probe_data.faults(server.keyspace) == []
    assert server.ask("LREM", b"l", 0, b"other") == 10_000
    assert server.ask("LLEN", b"l") == 100_000
