"""Sorted sets: who waits for them, what is propagated, what is freed."""

from __future__ import annotations

import pytest

from spineldb.core.effects import RecordingSink
from tests.support.embedded import Embedded
from tests.support.several import NOTHING, Party
from tests.support.wire import encoded


@pytest.fixture
def party() -> Party:
    return Party()


def test_b5_waiters_are_served_after_the_command_in_their_order(party: Party) -> None:
    sink = RecordingSink()
    party.engine.effects.add_sink(sink)
    writer, first, second = party.join(), party.join(), party.join()
    assert first.say("BZPOPMIN z 0") == NOTHING
    assert second.say("BZPOPMAX z 0") == NOTHING
    assert writer.say("ZADD z 1 a 2 b 3 c") == 3
    assert first.hear() == [b"z", b"a", b"1"]
    assert second.hear() == [b"z", b"c", b"3"]
    stream = sink.take()
    requests = [b"ZADD z 1 a 2 b 3 c", b"ZPOPMIN z", b"ZPOPMAX z"]
    assert stream.endswith(b"".join(encoded(request.split()) for request in requests))


def test_b5_an_increment_serves_a_waiter_and_propagates_the_pop(party: Party) -> None:
    sink = RecordingSink()
    party.engine.effects.add_sink(sink)
    writer, waiter = party.join(), party.join()
    assert waiter.say("BZMPOP 0 1 z MIN COUNT 3") == NOTHING
    assert writer.say("ZINCRBY z 5 a") == b"5"
    assert waiter.hear() == [b"z", [[b"a", b"5"]]]
    assert writer.say("EXISTS z") == 0
    assert b"ZPOPMIN" in sink.take()


def test_a_stored_set_wakes_who_waits_for_it(party: Party) -> None:
    writer, waiter = party.join(), party.join()
    assert waiter.say("BZPOPMIN d 0") == NOTHING
    writer.say("ZADD z 1 a")
    assert writer.say("ZUNIONSTORE d 1 z") == 1
    assert waiter.hear() == [b"d", b"a", b"1"]


def answer(server: Embedded, request: str) -> bytes:
    (reply,) = server.answers(encoded(request.encode().split()))
    return reply


@pytest.mark.parametrize(
    ("asked", "propagated"),
    [
        ("ZMPOP 2 none z MAX COUNT 2", "ZPOPMAX z 2"),
        ("ZPOPMIN z 5", "ZPOPMIN z 5"),
        ("ZADD z GT CH 9 a", "ZADD z GT CH 9 a"),
        ("ZADD z 1 a", ""),
        ("ZADD z XX 1 none", ""),
        ("ZREM z none", ""),
        ("ZRANGESTORE none z 5 9", ""),
        ("ZUNIONSTORE none 1 missing", ""),
        ("ZRANGESTORE d z 0 1", "ZRANGESTORE d z 0 1"),
    ],
    ids=str,
)
def test_what_happened_is_propagated(asked: str, propagated: str) -> None:
    server = Embedded(1)
    sink = RecordingSink()
    server.effects.add_sink(sink)
    answer(server, "ZADD z 1 a 2 b 3 c")
    sink.take()
    answer(server, asked)
    expected = encoded(propagated.encode().split()) if propagated else b""
    assert sink.take() == expected


def test_a_large_sorted_set_is_freed_in_slices() -> None:
    server = Embedded(1)
    empty = server.keyspace.used_memory
    for number in range(0, 5000, 50):
        pairs = " ".join(f"{each} m{each}" for each in range(number, number + 50))
        answer(server, f"ZADD z {pairs}")
    full = server.keyspace.used_memory
    answer(server, "DEL z")
    assert server.keyspace.used_memory > empty + (full - empty) // 2
    while server.keyspace.run_work(1000):
        pass
    assert server.keyspace.used_memory <= empty + 1000


def test_zscan_returns_every_member_that_stays() -> None:
    server = Embedded(1)
    for number in range(2000):
        answer(server, f"ZADD z {number}.5 m{number}")
    seen: set[bytes] = set()
    cursor = "0"
    step = 0
    while True:
        reply = answer(server, f"ZSCAN z {cursor} NOSCORES COUNT 20").split(b"\r\n")
        cursor = reply[2].decode()
        seen |= set(reply[5::2])
        step += 1
        answer(server, f"ZREM z m{1000 + step}")
        answer(server, f"ZADD z 1 new{step}")
        if cursor == "0":
            break
    assert {b"m%d" % number for number in range(1000)} <= seen
