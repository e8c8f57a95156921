"""Clients that wait for lists: who is served, in which order, and what is propagated of it."""

from __future__ import annotations

import asyncio

import pytest

from spineldb.client import encode
from spineldb.core.effects import RecordingSink
from tests.support.several import NOTHING, Guest, Party
from tests.support.virtual_time import run


@pytest.fixture
def party() -> Party:
    return Party()


def waiting(party: Party, line: str) -> Guest:
    """Return a client that was parked by a request."""
    guest = party.join()
    assert guest.say(line) == NOTHING
    return guest


def recorded(party: Party) -> RecordingSink:
    sink = RecordingSink()
    party.engine.effects.add_sink(sink)
    return sink


def requests(sink: RecordingSink) -> list[bytes]:
    """Return the requests of a stream, each as one line."""
    found = [
        b" ".join(request.split(b"\r\n")[2::2]).rstrip() for request in sink.take().split(b"*")[1:]
    ]
    return [one for one in found if not one.startswith(b"SELECT")]


def test_one_push_serves_as_many_as_it_has_elements(party: Party) -> None:
    first, second, third = (waiting(party, "BLPOP q 0") for _ in range(3))
    sink = recorded(party)
    assert party.join().say("RPUSH q a b") == 2
    assert [guest.hear() for guest in (first, second, third)] == [
        [b"q", b"a"], [b"q", b"b"], NOTHING,
    ]  # fmt: skip
    assert requests(sink) == [b"RPUSH q a b", b"LPOP q", b"LPOP q"]


def test_a_push_is_whole_before_anybody_is_served_b6(party: Party) -> None:
    """LPUSH of several hands over the last of them, and the others stay."""
    guest = waiting(party, "BLPOP q 0")
    pusher = party.join()
    assert pusher.say("LPUSH q a b c") == 3
    assert guest.hear() == [b"q", b"c"]
    assert pusher.say("LRANGE q 0 -1") == [b"b", b"a"]


def test_keys_are_tried_in_the_order_given(party: Party) -> None:
    guest = waiting(party, "BRPOP one two 0")
    pusher = party.join()
    assert pusher.say("RPUSH two b") == 1
    assert guest.hear() == [b"two", b"b"]


@pytest.mark.parametrize("other", ["SET q text", "ZADD q 1 a", "SADD q a", "HSET q f v"])
def test_a_value_of_another_kind_wakes_nobody(party: Party, other: str) -> None:
    guest = waiting(party, "BLPOP q 0")
    writer = party.join()
    writer.say(other)
    assert guest.hear() == NOTHING
    writer.say("DEL q")
    assert guest.hear() == NOTHING
    writer.say("RPUSH q a")
    assert guest.hear() == [b"q", b"a"]


def test_waiters_of_two_kinds_share_a_key(party: Party) -> None:
    sorted_sets = waiting(party, "BZPOPMIN q 0")
    lists = waiting(party, "BLPOP q 0")
    writer = party.join()
    assert writer.say("RPUSH q a") == 1
    assert (sorted_sets.hear(), lists.hear()) == (NOTHING, [b"q", b"a"])
    assert writer.say("ZADD q 1 m") == 1
    assert sorted_sets.hear() == [b"q", b"m", b"1"]


@pytest.mark.parametrize(
    "line",
    ["RENAME source q", "RENAMENX source q", "COPY source q", "LMOVE source q LEFT RIGHT",
     "RPOPLPUSH source q", "BLMOVE source q LEFT LEFT 0", "BRPOPLPUSH source q 0"],
)  # fmt: skip
def test_every_command_that_makes_the_key_wakes(party: Party, line: str) -> None:
    writer = party.join()
    assert writer.say("RPUSH source a") == 1
    guest = waiting(party, "BLPOP q 0")
    writer.say(line)
    assert guest.hear() == [b"q", b"a"]
    assert writer.say("EXISTS q") == 0


def test_move_and_swapdb_wake(party: Party) -> None:
    writer = party.join()
    guest, other = waiting(party, "BLPOP q 0"), waiting(party, "BLPOP r 0")
    assert writer.say("SELECT 1") == "OK"
    assert writer.say("RPUSH q a") == writer.say("RPUSH r b") == 1
    assert writer.say("MOVE q 0") == 1
    assert guest.hear() == [b"q", b"a"]
    assert writer.say("SWAPDB 0 1") == "OK"
    assert other.hear() == [b"r", b"b"]


def test_what_is_moved_on_wakes_the_next(party: Party) -> None:
    mover = waiting(party, "BLMOVE a b LEFT RIGHT 0")
    taker = waiting(party, "BLPOP b 0")
    sink = recorded(party)
    assert party.join().say("RPUSH a x") == 1
    assert (mover.hear(), taker.hear()) == (b"x", [b"b", b"x"])
    assert requests(sink) == [b"RPUSH a x", b"LMOVE a b LEFT RIGHT", b"LPOP b"]


def test_a_ring_of_movers_ends(party: Party) -> None:
    one = waiting(party, "BLMOVE a b LEFT RIGHT 0")
    other = waiting(party, "BLMOVE b a LEFT RIGHT 0")
    pusher = party.join()
    assert pusher.say("RPUSH a x") == 1
    assert (one.hear(), other.hear()) == (b"x", b"x")
    assert pusher.say("LRANGE a 0 -1") == [b"x"]


def test_a_mover_whose_target_is_no_list_loses_nothing(party: Party) -> None:
    mover = waiting(party, "BLMOVE a b LEFT RIGHT 0")
    writer = party.join()
    assert writer.say("SET b text") == "OK"
    assert writer.say("RPUSH a x") == 1
    assert str(mover.hear()).startswith("WRONGTYPE")
    assert writer.say("LRANGE a 0 -1") == [b"x"]


def test_several_pops_are_propagated_with_their_number(party: Party) -> None:
    guest = waiting(party, "BLMPOP 0 2 p q RIGHT COUNT 5")
    sink = recorded(party)
    party.join().say("RPUSH q a b c")
    assert guest.hear() == [b"q", [b"c", b"b", b"a"]]
    assert requests(sink) == [b"RPUSH q a b c", b"RPOP q 3"]


def test_who_is_gone_is_not_served(party: Party) -> None:
    gone, killed, unblocked = (waiting(party, "BLPOP q 0") for _ in range(3))
    guest = waiting(party, "BLPOP q 0")
    writer = party.join()
    gone.connection.close()
    assert writer.say(f"CLIENT KILL ID {killed.id}") == 1
    assert writer.say(f"CLIENT UNBLOCK {unblocked.id} ERROR") == 1
    assert str(unblocked.hear()).startswith("UNBLOCKED")
    assert writer.say("RPUSH q a") == 1
    assert guest.hear() == [b"q", b"a"]


@pytest.mark.parametrize(
    ("line", "answer"),
    [("BLPOP q 0.5", None), ("BLMPOP 0.5 1 q LEFT", None), ("BLMOVE q r LEFT LEFT 0.5", None)],
)
def test_a_wait_ends_in_time(line: str, answer: object) -> None:
    async def scenario() -> None:
        party = Party()
        guest = waiting(party, line)
        await asyncio.sleep(0.4)
        assert guest.hear() == NOTHING
        await asyncio.sleep(0.2)
        assert guest.hear() == answer
        assert party.join().say("RPUSH q a") == 1
        assert guest.hear() == NOTHING

    run(scenario())


def test_what_is_pushed_behind_a_kill_goes_to_the_next_who_waits(party: Party) -> None:
    """In one turn, before the connection has been closed."""
    killed, other = waiting(party, "BLPOP q 0"), waiting(party, "BLMPOP 0 1 q LEFT")
    sink = recorded(party)
    pusher = party.join()
    request = encode(["CLIENT", "KILL", "ID", killed.id])
    request += encode(["CLIENT", "UNBLOCK", killed.id]) + encode(["RPUSH", "q", "a", "b"])
    assert pusher.connection.feed(request) == b":1\r\n:0\r\n:2\r\n"
    assert other.hear() == [b"q", [b"a"]]
    assert killed.connection.closed
    assert pusher.say("LRANGE q 0 -1") == [b"b"]
    assert requests(sink) == [b"RPUSH q a b", b"LPOP q 1"]


@pytest.mark.parametrize("line", ["BZPOPMIN q 0", "XREADGROUP GROUP g c BLOCK 0 STREAMS q >"])
def test_nothing_is_given_to_who_was_killed_before(party: Party, line: str) -> None:
    pusher = party.join()
    if line.startswith("X"):
        pusher.say("XGROUP CREATE q g $ MKSTREAM")
    killed = waiting(party, line)
    more = "XADD q 1-1 f v" if line.startswith("X") else "ZADD q 1 m"
    pusher.connection.feed(encode(["CLIENT", "KILL", "ID", killed.id]) + encode(more.split()))
    assert killed.connection.closed
    assert pusher.say("ZCARD q" if more.startswith("Z") else "XPENDING q g") in (
        1,
        [0, None, None, None],
    )
