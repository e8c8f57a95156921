"""Sets behave like Python's, whatever is done to them."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from spineldb.core import probe_data
from tests.support.embedded import Embedded

NAMES = st.sampled_from([b"a", b"b", b"c", b"d"])
MEMBERS = st.one_of(
    st.integers(-40, 40).map(lambda number: b"%d" % number),
    st.integers(-(2**63), 2**63 - 1).map(lambda number: b"%d" % number),
    st.binary(max_size=12),
    st.integers(0, 90).map(lambda number: b"member:%d" % number),
    st.sampled_from([b"l" * 64, b"m" * 65, b"n" * 254, b"o" * 255, b"p" * 3000, b"01", b"-0", b""]),
)
SOME = st.one_of(
    st.lists(MEMBERS, min_size=1, max_size=8),
    st.tuples(st.integers(-500, 500), st.integers(1, 600)).map(
        lambda span: [b"%d" % number for number in range(span[0], span[0] + span[1])]
    ),
    st.integers(1, 150).map(lambda count: [b"member:%d" % number for number in range(count)]),
)


class Sets(RuleBasedStateMachine):
    """The engine beside a dictionary of sets."""

    def __init__(self) -> None:
        super().__init__()
        self.server = Embedded(1)
        self.model: dict[bytes, set[bytes]] = {}

    def of(self, key: bytes) -> set[bytes]:
        return self.model.get(key, set())

    def keep(self, key: bytes, members: set[bytes]) -> None:
        """Remember a set; an empty one is none."""
        self.model.pop(key, None)
        if members:
            self.model[key] = members

    @rule(key=NAMES, members=SOME)
    def add(self, key: bytes, members: list[bytes]) -> None:
        """SADD."""
        new = set(members) - self.of(key)
        assert self.server.ask("SADD", key, *members) == len(new)
        self.keep(key, self.of(key) | new)

    @rule(key=NAMES, members=SOME)
    def remove(self, key: bytes, members: list[bytes]) -> None:
        """SREM."""
        gone = set(members) & self.of(key)
        assert self.server.ask("SREM", key, *members) == len(gone)
        self.keep(key, self.of(key) - gone)

    @rule(key=NAMES, count=st.integers(0, 400))
    def pop(self, key: bytes, count: int) -> None:
        """SPOP."""
        popped = self.server.ask("SPOP", key, count)
        assert len(popped) == len(set(popped)) == min(count, len(self.of(key)))
        assert self.of(key).issuperset(popped)
        self.keep(key, self.of(key) - set(popped))

    @rule(key=NAMES, count=st.integers(-50, 400))
    def random(self, key: bytes, count: int) -> None:
        """SRANDMEMBER."""
        drawn = self.server.ask("SRANDMEMBER", key, count)
        assert self.of(key).issuperset(drawn)
        if count >= 0:
            assert len(drawn) == len(set(drawn)) == min(count, len(self.of(key)))
        else:
            assert len(drawn) == (-count if self.of(key) else 0)

    @rule(source=NAMES, into=NAMES, member=MEMBERS)
    def move(self, source: bytes, into: bytes, member: bytes) -> None:
        """SMOVE."""
        there = member in self.of(source)
        assert self.server.ask("SMOVE", source, into, member) == there
        if there:
            self.keep(source, self.of(source) - {member})
            self.keep(into, self.of(into) | {member})

    @rule(into=NAMES, keys=st.lists(NAMES, min_size=1, max_size=4))
    def algebra(self, into: bytes, keys: list[bytes]) -> None:
        """SINTER, SUNION, SDIFF, and one of them stored."""
        sets = [self.of(key) for key in keys]
        union, common = set.union(*sets), set.intersection(*sets)
        assert sorted(self.server.ask("SUNION", *keys)) == sorted(union)
        assert sorted(self.server.ask("SINTER", *keys)) == sorted(common)
        left = sets[0].difference(*sets[1:])
        assert sorted(self.server.ask("SDIFF", *keys)) == sorted(left)
        command, result = [("SUNIONSTORE", union), ("SINTERSTORE", common), ("SDIFFSTORE", left)][
            (len(union) + len(keys)) % 3
        ]
        assert self.server.ask(command, into, *keys) == len(result)
        self.keep(into, result)

    @rule(key=NAMES, into=NAMES)
    def copy(self, key: bytes, into: bytes) -> None:
        """COPY."""
        if key != into:
            assert self.server.ask("COPY", key, into, "REPLACE") == (key in self.model)
            if key in self.model:
                self.keep(into, set(self.of(key)))

    @invariant()
    def all_is_as_in_the_model(self) -> None:
        """Every set has its members, and the keyspace adds up."""
        for key in (b"a", b"b", b"c", b"d"):
            members = self.server.ask("SMEMBERS", key)
            assert len(members) == self.server.ask("SCARD", key)
            assert sorted(members) == sorted(self.of(key))
        self.server.rest()
        assert probe_data.faults(self.server.keyspace) == []

    def teardown(self) -> None:
        """Nothing is left behind."""
        self.server.check_end()


TestSets = Sets.TestCase
