"""A sorted set behaves like a dictionary that is sorted when somebody looks, in every layout."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spineldb.core import probe_data
from spineldb.core.keyspace import Keyspace
from spineldb.core.zsets import SortedSet

SCORES = st.one_of(
    st.integers(-5, 5).map(float),
    st.sampled_from([0.5, -0.1, 127.0, 128.0, -32769.0, 2.0**31, -(2.0**31), 1e300]),
    st.sampled_from([float("inf"), float("-inf"), 1e-20, 2e-20]),
)
MEMBERS = st.one_of(
    st.integers(0, 30).map(lambda number: b"m%d" % number),
    st.sampled_from([b"", b"\x00\xff", b"l" * 64, b"l" * 65, b"w" * 255, b"w" * 256]),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), MEMBERS, SCORES),
        st.tuples(st.just("add"), MEMBERS, SCORES),
        st.tuples(st.just("remove"), MEMBERS, SCORES),
        st.tuples(st.sampled_from(["least", "greatest"]), st.integers(1, 3), SCORES),
    ),
    max_size=80,
)
KEY = b"k"
Model = dict[bytes, float]


class Pair:
    """A sorted set and its model."""

    def __init__(self) -> None:
        self.keyspace = Keyspace()
        self.db = self.keyspace.databases[0]
        self.ours = SortedSet(self.db, KEY)
        self.model: Model = {}

    @property
    def ordered(self) -> list[tuple[bytes, float]]:
        return sorted(self.model.items(), key=lambda item: (item[1], item[0]))

    def add(self, member: bytes, score: float) -> None:
        assert self.ours.add(score, member) == (member not in self.model)
        self.model[member] = score

    def remove(self, member: bytes) -> None:
        assert self.ours.remove(member) == (member in self.model)
        self.model.pop(member, None)
        self.settle()

    def pop(self, count: int, *, greatest: bool) -> None:
        expected = self.ordered[::-1][:count] if greatest else self.ordered[:count]
        assert self.ours.pop(count, greatest) == expected
        for member, _ in expected:
            del self.model[member]
        self.settle()

    def settle(self) -> None:
        """Do what `ctx.changed` does."""
        if not self.model:
            self.db.delete_empty(KEY)

    def check(self) -> None:
        """Compare all there is to read, and the structure with its invariants."""
        ordered = self.ordered
        assert self.ours.faults() == []
        assert self.ours.items() == ordered
        assert self.ours.items(0, 2, reverse=True) == ordered[::-1][:3]
        assert len(self.ours) == len(ordered)
        for rank, (member, score) in enumerate(ordered[::7]):
            assert self.ours.rank(member) == rank * 7
            assert self.ours.score(member) == score
        assert self.ours.between(-1.0, 2.0) == [one for one in ordered if -1 <= one[1] <= 2]
        assert probe_data.faults(self.keyspace) == []

    def free(self) -> None:
        """Let it all go: nothing may be left."""
        self.db.delete(KEY)
        while self.keyspace.run_work(1000):
            pass
        assert probe_data.faults(self.keyspace) == []


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_small_sorted_sets_are_dictionaries_in_order(
    steps: list[tuple[str, bytes | int, float]],
) -> None:
    pair = Pair()
    for what, one, score in steps:
        if isinstance(one, int):
            pair.pop(one, greatest=what == "greatest")
        elif what == "add":
            pair.add(one, score)
        else:
            pair.remove(one)
    pair.check()
    pair.free()


def uniform(chance: random.Random) -> float:
    return chance.random()


def equal(_chance: random.Random) -> float:
    return 0.0


def few(chance: random.Random) -> float:
    return float(chance.randrange(50))


@pytest.mark.parametrize("score_of", [uniform, equal, few])
def test_large_sorted_sets_grow_and_shrink_in_order(
    score_of: Callable[[random.Random], float],
) -> None:
    chance = random.Random(score_of.__name__)
    pair = Pair()
    for share in (0.9, 0.2, 0.8, 0.1):  # of additions
        for _ in range(6000):
            member = b"m%d" % chance.randrange(8000)
            if chance.random() < share:
                pair.add(member, score_of(chance))
            elif chance.random() < 0.7:
                pair.remove(member)
            else:
                pair.pop(chance.randrange(1, 4), greatest=chance.random() < 0.5)
        pair.check()
    pair.ours.defragment()
    pair.check()
    pair.db.move(KEY, pair.db, b"copy", copy=True)
    copied = SortedSet(pair.db, b"copy")
    assert copied.items() == pair.ours.items()
    assert copied.faults() == []
    pair.db.delete(b"copy")
    pair.free()


@pytest.mark.parametrize("step", [1, -1])
def test_elements_that_arrive_in_order_fill_their_leaves(step: int) -> None:
    pair = Pair()
    empty = pair.keyspace.used_memory
    for number in range(50_000)[::step]:
        pair.ours.add(float(number), b"m%09d" % number)
    assert pair.ours.faults() == []
    assert (pair.keyspace.used_memory - empty) / 50_000 < 46


def test_the_defragmenting_walk_tells_table_and_tree() -> None:
    pair = Pair()
    for number in range(20_000):
        pair.add(b"m%d" % number, float(number % 100))
    chance = random.Random(5)
    for member in list(pair.model):
        if chance.random() < 0.9:
            pair.remove(member)
    assert pair.ours.defragment() > 500
    pair.check()


def test_b4_scores_are_compared_exactly() -> None:
    pair = Pair()
    pair.add(b"b", 1e-20)
    pair.add(b"a", 2e-20)
    assert pair.ours.items() == [(b"b", 1e-20), (b"a", 2e-20)]
    pair.add(b"b", 3e-20)
    assert pair.ours.items() == [(b"a", 2e-20), (b"b", 3e-20)]
