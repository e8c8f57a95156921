"""Sets in every layout: what they hold, what they take, what they are called."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from spineldb.core import probe_data
from spineldb.core.effects import RecordingSink
from spineldb.core.sets import Set
from tests.support.embedded import Embedded

INTEGERS = [b"%d" % (number * 3 - 700) for number in range(500)]
WIDE = [b"%d" % (number << 40) for number in range(-200, 200)]
WORDS = [b"member:%04d" % number for number in range(100)]
LONG_WORDS = [b"%d" % number * 60 for number in range(10, 100)]
MANY = [b"member:%06d" % number for number in range(3000)]
HUGE = [b"a" * 254, b"b" * 255, b"c" * 256, b"d" * 70_000, b""]
LAYOUTS = {
    "two-byte integers": INTEGERS,
    "eight-byte integers": WIDE,
    "few words": WORDS[:10],
    "words beyond the entry": WORDS + LONG_WORDS[:28],
    "a table": MANY,
    "long members": HUGE,
    "integers, then words": [*INTEGERS[:60], *WORDS[:60]],
    "many integers": [b"%d" % number for number in range(2000)],
}


@pytest.fixture(name="server")
def make_server() -> Embedded:
    return Embedded(7)


@pytest.fixture(name="members", params=LAYOUTS.values(), ids=LAYOUTS)
def choose_members(request: pytest.FixtureRequest) -> list[bytes]:
    return list(request.param)


def faults(server: Embedded) -> list[str]:
    server.rest()
    return probe_data.faults(server.keyspace)


def test_members_are_added_found_and_removed(server: Embedded, members: list[bytes]) -> None:
    chance = random.Random(1)
    for member in members:
        assert server.ask("SADD", "s", member) == 1
        assert server.ask("SADD", "s", member) == 0
    assert server.ask("SCARD", "s") == len(members)
    assert sorted(server.ask("SMEMBERS", "s")) == sorted(members)
    assert server.ask("SMISMEMBER", "s", *members, "no", "1x") == [1] * len(members) + [0, 0]
    assert faults(server) == []
    chance.shuffle(members)
    for member in members:
        assert server.ask("SREM", "s", member) == 1
        assert server.ask("SREM", "s", member) == 0
    assert server.ask("EXISTS", "s") == 0
    server.check_end()


def test_a_copy_is_a_set_of_its_own(server: Embedded, members: list[bytes]) -> None:
    server.ask("SADD", "s", *members)
    encoding = server.ask("OBJECT", "ENCODING", "s")
    assert server.ask("COPY", "s", "t") == 1
    assert server.ask("OBJECT", "ENCODING", "t") == encoding
    server.ask("SREM", "s", *members[::2])
    server.ask("SADD", "s", "other")
    assert sorted(server.ask("SMEMBERS", "t")) == sorted(members)
    assert faults(server) == []
    server.check_end()


def test_a_deadline_stays_when_a_set_changes(server: Embedded, members: list[bytes]) -> None:
    server.ask("SADD", "s", members[0])
    server.ask("EXPIRE", "s", 1000)
    server.ask("SADD", "s", *members)
    server.ask("SREM", "s", *members[1:])
    assert 990 <= server.ask("TTL", "s") <= 1000
    assert server.ask("PERSIST", "s") == 1
    assert server.ask("SMEMBERS", "s") == [members[0]]
    assert faults(server) == []


def test_a_pop_takes_different_members_and_says_which(
    server: Embedded, members: list[bytes]
) -> None:
    sink = RecordingSink()
    server.effects.add_sink(sink)
    left = set(members)
    server.ask("SADD", "s", *members)
    sink.take()
    for count in (1, len(left) // 2, len(left) // 8):
        popped = server.ask("SPOP", "s", count)
        assert len(set(popped)) == count
        assert left.issuperset(popped)
        left -= set(popped)
        assert set(server.ask("SMEMBERS", "s")) == left
        stream = sink.take()
        assert b"SPOP" not in stream
        assert all(member in stream for member in popped)
    popped = server.ask("SPOP", "s")
    assert b"SREM" in sink.take()
    left.remove(popped)
    assert set(server.ask("SPOP", "s", len(members))) == left
    assert sink.take() in {b"", b"*2\r\n$3\r\nDEL\r\n$1\r\ns\r\n"}
    server.check_end()


def test_random_members_are_different_and_leave_the_set_alone(
    server: Embedded, members: list[bytes]
) -> None:
    server.ask("SADD", "s", *members)
    for count in (1, 2, len(members) // 5, len(members) // 2, len(members) - 1, len(members) + 3):
        some = server.ask("SRANDMEMBER", "s", count)
        assert len(some) == len(set(some)) == min(count, len(members))
        assert set(members).issuperset(some)
    assert len(server.ask("SRANDMEMBER", "s", -3 * len(members))) == 3 * len(members)
    assert server.ask("SCARD", "s") == len(members)


@pytest.mark.parametrize("count", [None, -1, 1, 2, 15])
@pytest.mark.parametrize("size", [20, 200])
def test_b7_random_members_are_fair(server: Embedded, size: int, count: int | None) -> None:
    server.ask("SADD", "s", *(f"member:{number}" for number in range(size)))
    seen: Counter[bytes] = Counter()
    rounds = 200 * size // abs(count or 1)
    for _ in range(rounds):
        drawn = server.ask("SRANDMEMBER", "s", *([] if count is None else [count]))
        seen.update(drawn if isinstance(drawn, list) else [drawn])
    mean = rounds * abs(count or 1) / size
    assert len(seen) == size
    assert sum((one - mean) ** 2 / mean for one in seen.values()) < size + 6 * (2 * size) ** 0.5


def test_b7_a_draw_from_a_large_set_reads_only_what_it_returns(server: Embedded) -> None:
    for start in range(0, 100_000, 1000):
        server.ask("SADD", "s", *range(start, start + 1000))
    drawn = {server.ask("SPOP", "s") for _ in range(2000)}
    assert len(drawn) == 2000
    assert server.ask("SCARD", "s") == 98_000
    assert faults(server) == []


def test_b8_algebra_copies_no_set(server: Embedded) -> None:
    for key, first in (("a", 0), ("b", 2000)):
        server.ask("SADD", key, *(f"member:{number}" for number in range(first, first + 3000)))
    server.rest()
    used = server.keyspace.used_memory
    probe_data.fail_allocation(server.keyspace, 1)  # none is made
    assert len(server.ask("SINTER", "a", "b")) == 1000
    assert len(server.ask("SUNION", "a", "b")) == 5000
    assert len(server.ask("SDIFF", "a", "b")) == 2000
    assert server.ask("SINTERCARD", 2, "a", "b", "LIMIT", 10) == 10
    assert probe_data.failure_pending(server.keyspace)
    probe_data.fail_allocation(server.keyspace, 0)
    assert server.keyspace.used_memory == used
    assert server.ask("SINTERSTORE", "d", "a", "b") == 1000
    assert server.keyspace.used_memory - used < 40_000


@pytest.mark.parametrize("keys", [1, 2, 3, 7, 20])
def test_algebra_is_that_of_python(server: Embedded, keys: int) -> None:
    chance = random.Random(keys)
    sizes = [1, 5, 30, 300, 2000]
    for _ in range(20):
        sets = [
            {b"%d" % chance.randrange(900) for _ in range(chance.choice(sizes))}
            | {b"m%d" % chance.randrange(9) for _ in range(chance.randrange(9))}
            for _ in range(keys)
        ]
        names = [b"k%d" % number for number in range(keys)]
        server.ask("FLUSHALL")
        for name, one in zip(names, sets, strict=True):
            server.ask("SADD", name, *one)
        results = {
            "SINTER": set.intersection(*sets),
            "SUNION": set.union(*sets),
            "SDIFF": sets[0].difference(*sets[1:]),
        }
        for command, expected in results.items():
            reply = server.ask(command, *names)
            assert len(reply) == len(expected)
            assert set(reply) == expected
            assert server.ask(command + "STORE", "d", *names) == len(expected)
            assert set(server.ask("SMEMBERS", "d")) == expected
        assert server.ask("SINTERCARD", keys, *names) == len(results["SINTER"])
    assert faults(server) == []


@pytest.mark.parametrize("shift", [0, 1, 300, 40_000, 90_000])
def test_algebra_of_large_sets_is_that_of_python(server: Embedded, shift: int) -> None:
    """Of tables of the same and of other sizes, and of what is no table beside them."""
    sets = {
        b"a": {b"member:%d" % number for number in range(20_000)},
        b"b": {b"member:%d" % number for number in range(shift, shift + 5000 + shift // 3)},
        b"c": {b"member:%d" % number for number in range(shift // 2, shift // 2 + 2100)},
        b"d": {b"long" * 80 + b"%d" % number for number in range(10)},
        b"e": {b"%d" % number for number in range(400)},
        b"f": {b"member:1", b"x"},
    }
    for key, members in sets.items():
        for start in range(0, len(members), 1000):
            server.ask("SADD", key, *sorted(members)[start : start + 1000])
    for keys in (
        b"ab",
        b"ba",
        b"abc",
        b"cab",
        b"fa",
        b"af",
        b"abcde",
        b"edcbaf",
        b"aa",
        b"e",
        b"b",
    ):
        names = [keys[at : at + 1] for at in range(len(keys))]
        chosen = [sets[name] for name in names]
        results = {
            "SINTER": set.intersection(*chosen),
            "SUNION": set.union(*chosen),
            "SDIFF": chosen[0].difference(*chosen[1:]),
        }
        for command, expected in results.items():
            assert set(server.ask(command, *names)) == expected
            assert server.ask(command + "STORE", "to", *names) == len(expected)
            assert set(server.ask("SMEMBERS", "to")) == expected
            if len(expected) > 512:
                assert server.ask("OBJECT", "ENCODING", "to") == b"hashtable"
        assert server.ask("SINTERCARD", len(names), *names) == len(results["SINTER"])
    assert faults(server) == []


def test_a_scan_returns_what_stays(server: Embedded) -> None:
    chance = random.Random(3)
    stay = [f"stay:{number}" for number in range(700)]
    go = [f"go:{number}" for number in range(3000)]
    server.ask("SADD", "s", *stay, *go)
    seen: set[bytes] = set()
    cursor = b"0"
    while True:
        cursor, some = server.ask("SSCAN", "s", cursor, "COUNT", chance.choice([1, 10, 50]))
        seen.update(some)
        if cursor == b"0":
            break
        server.ask("SREM", "s", *(go.pop() for _ in range(min(len(go), 30))), "none")
        server.ask("SADD", "s", *(f"new:{chance.random()}" for _ in range(chance.randrange(20))))
    assert seen >= {member.encode() for member in stay}


def test_a_large_set_is_freed_in_slices(server: Embedded) -> None:
    before = server.keyspace.used_memory
    for start in range(0, 20_000, 1000):
        server.ask("SADD", "s", *(f"member:{number}" for number in range(start, start + 1000)))
    full = server.keyspace.used_memory
    assert full - before < 32 * 20_000
    assert server.ask("DEL", "s") == 1
    assert server.keyspace.used_memory > (before + full) // 2
    server.check_end()


def test_a_reply_longer_than_a_value_is_refused(server: Embedded) -> None:
    server.ask("SADD", "s", "x" * 1000, "y" * 1000)
    for count in (-(2**63 - 1), -1_000_000, -2000):
        refused = server.ask("SRANDMEMBER", "s", count)
        assert str(refused) == "ERR reply exceeds the output buffer limit"
    assert len(server.ask("SRANDMEMBER", "s", -500)) == 500
    assert server.ask("PING") == "PONG"


def test_a_view_adds_and_removes(server: Embedded) -> None:
    database = server.keyspace.databases[0]
    view = database.find_or_create(b"s", Set)
    assert view.add(b"a", b"b", b"a") == 2
    assert b"a" in view
    assert b"z" not in view
    assert view.members() == [b"a", b"b"]
    assert view.remove(b"a", b"z") == 1
    assert len(view) == 1
    assert faults(server) == []


@pytest.mark.parametrize(
    ("members", "bytes_each"), [(MANY, 34), (WORDS[:10], 16)], ids=["a table", "packed"]
)
def test_a_set_takes_few_bytes(server: Embedded, members: list[bytes], bytes_each: float) -> None:
    server.ask("SADD", "s", *members)
    assert server.ask("MEMORY", "USAGE", "s") < bytes_each * len(members)
