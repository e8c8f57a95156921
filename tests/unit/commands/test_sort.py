"""SORT: its order, what it tells, what it looks at, who it wakes."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from spineldb.core import probe_data
from spineldb.core.effects import RecordingSink
from tests.support.embedded import Embedded
from tests.support.events import heard, listening
from tests.support.several import NOTHING, Party
from tests.support.wire import encoded

NOW_MS = 1_700_000_000_000


@pytest.fixture(name="server")
def make_server() -> Embedded:
    return Embedded(1)


def push(server: Embedded, key: str, elements: Sequence[int | str]) -> None:
    for at in range(0, len(elements), 500):
        server.ask("RPUSH", key, *elements[at : at + 500])


def recorded(server: Embedded) -> RecordingSink:
    sink = RecordingSink()
    server.effects.add_sink(sink)
    return sink


# -- the order


@pytest.mark.parametrize("size", [1, 12, 13, 33, 1000, 20_000])
@pytest.mark.parametrize("shape", ["random", "equal", "rising", "falling", "saw"])
def test_numbers_of_any_shape_are_sorted(server: Embedded, shape: str, size: int) -> None:
    chance = random.Random(size)
    numbers = {
        "random": [chance.randrange(-size, size) for _ in range(size)],
        "equal": [7] * size,
        "rising": [*range(size)],
        "falling": [*range(size, 0, -1)],
        "saw": [n % 17 for n in range(size)],
    }[shape]
    push(server, "l", numbers)
    expected = [b"%d" % n for n in sorted(numbers, key=lambda n: (n, str(n)))]
    assert server.ask("SORT", "l") == expected
    assert server.ask("SORT", "l", "DESC") == expected[::-1]
    for _ in range(20):
        first, count = chance.randrange(size + 1), chance.randrange(size + 1)
        asked = server.ask("SORT", "l", "LIMIT", first, count)
        assert asked == expected[first : first + count]


@pytest.mark.parametrize("limit", [(), ("LIMIT", 3, 40), ("LIMIT", 150, 100)])
def test_what_is_sorted_by_equal_strings_stays_as_it_was(
    server: Embedded, limit: tuple[str | int, ...]
) -> None:
    elements = random.Random(5).sample(range(1000), 200)
    push(server, "l", elements)
    for n in elements:
        if n % 3:
            server.ask("SET", f"w_{n}", f"word {n % 4}")
    first, count = limit[1:] or (0, 200)
    for order in ("ASC", "DESC"):
        expected = sorted(
            elements,
            key=lambda n: f"word {n % 4}" if n % 3 else "",
            reverse=order == "DESC",
        )
        asked = server.ask("SORT", "l", "BY", "w_*", "ALPHA", order, *limit)
        assert asked == [b"%d" % n for n in expected][int(first) : int(first) + int(count)]


def test_large_sets_and_sorted_sets_are_sorted(server: Embedded) -> None:
    members = random.Random(3).sample(range(100_000), 3000)
    expected = [b"%d" % n for n in sorted(members)]
    for at in range(0, len(members), 500):
        server.ask("SADD", "ints", *members[at : at + 500])
        server.ask("SADD", "s", "1.5", *members[at : at + 500])
        scored = [word for n in members[at : at + 500] for word in (n % 7, n)]
        server.ask("ZADD", "z", *scored)
    server.ask("SREM", "s", "1.5")
    for key in ("ints", "s", "z"):
        assert server.ask("SORT", key) == expected
        assert server.ask("SORT", key, "LIMIT", 100, 5, "DESC") == expected[::-1][100:105]
        assert server.ask("SORT", key, "ALPHA") == sorted(expected)
    by_score = [b"%d" % n for n in sorted(members, key=lambda n: (n % 7, str(n)))]
    assert server.ask("SORT", "z", "BY", "nosort") == by_score
    assert (
        server.ask("SORT", "z", "BY", "nosort", "DESC", "LIMIT", 9, 700) == (by_score[::-1][9:709])
    )
    assert server.ask("SORT", "z", "BY", "nosort", "LIMIT", 2990, 700) == by_score[2990:]


def test_what_is_stored_does_not_depend_on_the_hash_of_a_set() -> None:
    stored: list[list[list[bytes]]] = []
    for seed in range(3):
        server = Embedded(seed)
        for at in range(0, 2000, 500):
            server.ask("SADD", "s", *(f"m{n}" for n in range(at, at + 500)))
        for n in range(0, 2000, 3):
            server.ask("SET", f"w_m{n}", n % 5)
        server.ask("SORT", "s", "BY", "nosort", "STORE", "unsorted")
        server.ask("SORT", "s", "BY", "w_*", "ALPHA", "DESC", "STORE", "sorted")
        server.ask("SORT", "s", "BY", "w_*", "LIMIT", 500, 900, "STORE", "part")
        stored.append([server.ask("LRANGE", key, 0, -1) for key in ("unsorted", "sorted", "part")])
    assert stored[0] == stored[1] == stored[2]
    assert stored[0][0] == sorted(stored[0][0])


# -- big values


def test_values_in_blocks_of_their_own_are_sorted_returned_and_stored(server: Embedded) -> None:
    big = {name: name.encode() * 80_000 for name in "abc"}
    for name in "bca":
        server.ask("RPUSH", "l", big[name])
        server.ask("SET", f"s_{name}", big[name])
        server.ask("HSET", f"h_{name}", "f", big[name])
    server.ask("RPUSH", "names", "b", "c", "a")
    expected = [big[name] for name in "abc"]
    assert server.ask("SORT", "l", "ALPHA") == expected
    for pattern in ("s_*", "h_*->f"):
        assert server.ask("SORT", "names", "BY", pattern, "ALPHA", "GET", pattern) == expected
        assert server.ask("SORT", "names", "ALPHA", "GET", pattern, "STORE", "d") == 3
        assert server.ask("LRANGE", "d", 0, -1) == expected
    assert server.ask("SORT", "l", "ALPHA", "STORE", "l") == 3
    server.ask("DEL", "s_a", "h_a")
    assert server.ask("LRANGE", "l", 0, -1) == expected
    server.check_end()


def test_a_reply_of_many_copies_is_refused_when_it_becomes_too_long(server: Embedded) -> None:
    server.ask("RPUSH", "l", "1", "2")
    server.ask("SET", "x1", b"v" * 1900)
    server.ask("SET", "x2", b"w" * 100_000)
    words = [word for _ in range(600) for word in ("GET", "x*")]
    assert str(server.ask("SORT", "l", *words)) == "ERR reply exceeds the output buffer limit"
    assert server.ask("PING") == "PONG"
    assert server.ask("SORT", "l", *words, "GET", "x*", "STORE", "d").args == (
        "OOM the system is out of memory",
    )
    assert server.ask("EXISTS", "d") == 0
    assert server.ask("SORT", "l", *words[:20], "STORE", "d") == 20
    server.check_end()


def test_keys_made_from_patterns_may_be_long(server: Embedded) -> None:
    server.ask("RPUSH", "l", "a" * 300, "b" * 3000, "c")
    server.ask("SET", "p" * 200 + "a" * 300 + "s" * 100, 2)
    server.ask("SET", "p" * 200 + "b" * 3000 + "s" * 100, 1)
    pattern = "p" * 200 + "*" + "s" * 100
    assert server.ask("SORT", "l", "BY", pattern, "GET", pattern) == [None, b"1", b"2"]


# -- what it tells


def test_events_say_what_happened_to_the_key_that_is_stored(server: Embedded) -> None:
    server.ask("RPUSH", "l", 2, 1)
    server.ask("SADD", "s", 1)
    session = listening(server.effects)
    server.ask("SORT", "l", "STORE", "d")
    server.ask("SORT", "l", "STORE", "d")
    assert [event[1:] for event in heard(session)] == [
        ("new", b"d"), ("sortstore", b"d"), ("overwritten", b"d"), ("sortstore", b"d"),
    ]  # fmt: skip
    server.ask("SORT", "l", "STORE", "s")
    server.ask("SORT", "l", "BY", "w_*", "GET", "#", "LIMIT", 0, 0)
    server.ask("SORT", "missing", "STORE", "d")
    server.ask("SORT", "missing", "STORE", "d")
    assert [event[1:] for event in heard(session)] == [
        ("overwritten", b"s"), ("type_changed", b"s"), ("sortstore", b"s"),
        ("keymiss", b"w_2"), ("keymiss", b"w_1"),
        ("keymiss", b"missing"), ("del", b"d"),
        ("keymiss", b"missing"),
    ]  # fmt: skip


def test_only_what_was_stored_or_deleted_is_propagated(server: Embedded) -> None:
    server.ask("RPUSH", "l", 2, 1)
    sink = recorded(server)
    server.ask("SET", "first", 1)
    sink.take()
    before = server.effects.dirty
    for line in ("SORT l", "SORT_RO l DESC", "SORT l STORE d", "SORT missing STORE nothing",
                 "SORT missing STORE d", "SORT l NOSUCH STORE d"):  # fmt: skip
        server.ask(*line.split())
    assert sink.take() == encoded([b"SORT", b"l", b"STORE", b"d"]) + encoded(
        [b"SORT", b"missing", b"STORE", b"d"]
    )
    assert server.effects.dirty - before == 3


def test_a_key_that_has_expired_is_buried_before_anything_is_sorted_by_it(server: Embedded) -> None:
    server.keyspace.advance(NOW_MS)
    for line in ("RPUSH l 1 2", "SET w_1 5 PX 10", "SET w_2 1", "HSET h_2 f old g kept",
                 "HPEXPIRE h_2 10 FIELDS 1 f"):  # fmt: skip
        server.at(NOW_MS, line.encode().split())
    sink = recorded(server)
    sorting = [b"SORT", b"l", b"BY", b"w_*", b"GET", b"h_*->f", b"GET", b"h_*->g", b"STORE", b"d"]
    assert server.at(NOW_MS + 20, sorting) == b":4\r\n"
    stream = sink.take()
    assert stream.index(encoded([b"DEL", b"w_1"])) < stream.index(b"SORT")
    assert stream.index(encoded([b"HDEL", b"h_2", b"f"])) < stream.index(b"SORT")
    values = server.at(NOW_MS + 20, [b"LRANGE", b"d", b"0", b"-1"])
    assert values == b"*4\r\n$0\r\n\r\n$0\r\n\r\n$0\r\n\r\n$4\r\nkept\r\n"


def test_a_deadline_goes_with_what_is_replaced(server: Embedded) -> None:
    server.ask("SET", "d", "x", "EX", 100)
    server.ask("RPUSH", "l", 1)
    assert server.ask("SORT", "l", "STORE", "d") == 1
    assert server.ask("TTL", "d") == -1
    assert server.keyspace.databases[0].deadlines == 0


def test_a_stored_list_wakes_who_waits_for_it() -> None:
    party = Party()
    writer, waiter = party.join(), party.join()
    writer.say("RPUSH l 2 1")
    assert waiter.say("BLPOP d 0") == NOTHING
    assert writer.say("SORT l STORE d") == 2
    assert waiter.hear() == [b"d", b"1"]
    assert writer.say("LRANGE d 0 -1") == [b"2"]


def test_what_is_stored_may_have_been_looked_at(server: Embedded) -> None:
    """The destination is the list, and a key that GET looks at, all at once."""
    server.ask("RPUSH", "l", "1", "l")
    server.ask("SET", "x1", "one")
    assert server.ask("SORT", "l", "ALPHA", "GET", "x*", "GET", "#", "STORE", "x1") == 4
    assert server.ask("LRANGE", "x1", 0, -1) == [b"one", b"1", b"", b"l"]
    push(server, "long", [*range(5000, 0, -1)])
    assert server.ask("SORT", "long", "STORE", "long") == 5000
    assert server.ask("LRANGE", "long", 0, 2) == [b"1", b"2", b"3"]
    server.check_end()


@pytest.mark.parametrize("size", [3, 4000])
def test_a_result_that_finds_no_memory_changes_nothing(size: int) -> None:
    number = 0
    reached = True
    while reached:
        number += 1
        server = Embedded(1)
        push(server, "l", [*range(size, 0, -1)])
        server.ask("RPUSH", "big", b"2" * 5000, b"1" * 4999)
        server.ask("SET", "d", "before")
        for line in ("SORT l STORE d", "SORT big ALPHA STORE e", "SORT l STORE l"):
            before = server.contents()
            probe_data.fail_allocation(server.keyspace, number)
            reply = server.ask(*line.split())
            reached = not probe_data.failure_pending(server.keyspace)
            probe_data.fail_allocation(server.keyspace, 0)
            server.rest()
            assert probe_data.faults(server.keyspace) == []
            if str(reply).startswith("OOM"):
                assert server.contents() == before
                assert server.ask(*line.split()) > 0
            stored = server.ask("LRANGE", line.split()[-1], 0, -1)
            assert stored == sorted(stored, key=lambda one: (len(one), one))
        server.check_end()
    assert number > 1


@pytest.mark.parametrize(
    ("line", "changes"),
    [
        ("SORT l STORE d", True),
        ("SORT missing STORE d", True),
        ("SORT missing STORE nothing", False),
        ("SORT l LIMIT 0 0 STORE nothing", False),
        ("SORT words STORE d", False),
        ("SORT l", False),
        ("SORT_RO z", False),
    ],
)
def test_who_watches_learns_of_what_was_stored_or_deleted(line: str, *, changes: bool) -> None:
    party = Party()
    writer, watcher = party.join(), party.join()
    for setup in ("RPUSH l 2 1", "RPUSH words a", "ZADD z 1 1", "SET d x"):
        writer.say(setup)
    watcher.say("WATCH d l z nothing")
    writer.say(line)
    watcher.say("MULTI")
    watcher.say("PING")
    assert watcher.say("EXEC") == (None if changes else ["PONG"])
