"""Guards against commands that would hold everybody up."""

from __future__ import annotations

import pytest

from spineldb.core.dispatch import Gate
from spineldb.core.session import SessionFlag
from spineldb.engine.safety import GUARDS, Counted, Span, by_count, by_entries, by_words
from tests.support.several import Guest, Party


@pytest.fixture(name="party")
def make_party() -> Party:
    return Party()


@pytest.fixture(name="guest")
def make_guest(party: Party) -> Guest:
    guest = party.join()
    guest.say("MSET a 1 b 2 c 3")
    return guest


def test_keys_is_refused_in_a_database_with_too_many(party: Party, guest: Guest) -> None:
    party.engine.safety.limit(2, 0)
    assert guest.say("KEYS *") == (
        "ERR Command 'keys' on database 0 aborted: collection size (3) exceeds "
        "'max_collection_scan_keys' limit (2). Use SCAN-family commands instead."
    )
    assert guest.say("MGET a b c") == [b"1", b"2", b"3"]
    assert guest.say("SELECT 5") == "OK"
    assert guest.say("KEYS *") == []


def test_mget_is_refused_with_too_many_keys(party: Party, guest: Guest) -> None:
    party.engine.safety.limit(0, 2)
    assert guest.say("MGET a b") == [b"1", b"2"]
    assert guest.say("mget a b c") == (
        "ERR Command 'mget' aborted: number of keys (3) exceeds 'max_set_operation_keys' limit (2)."
    )
    assert len(guest.say("KEYS *")) == 3


def test_a_limit_is_the_most_that_may_be_read(party: Party, guest: Guest) -> None:
    party.engine.safety.limit(3, 3)
    assert len(guest.say("KEYS *")) == 3
    assert len(guest.say("MGET a b c")) == 3


def test_other_commands_are_not_asked(party: Party, guest: Guest) -> None:
    party.engine.safety.limit(1, 1)
    assert guest.say("DEL a b") == 2
    assert guest.say("EXISTS a b c") == 1
    assert guest.say("SCAN 0 COUNT 100") == [b"0", [b"c"]]
    asked = {one.name for one in party.engine.dispatcher.everything()
             if one.gate_bits & Gate.GATE_SAFETY}  # fmt: skip
    assert asked == set(GUARDS) & {one.name for one in party.engine.dispatcher.everything()}


def test_the_gate_is_in_force_only_while_a_limit_is(party: Party) -> None:
    for limits, raised in (((0, 0), False), ((1, 0), True), ((0, 1), True), ((0, 0), False)):
        party.engine.safety.limit(*limits)
        assert party.engine.dispatcher.is_raised(Gate.GATE_SAFETY) is raised


def test_what_is_replicated_or_loaded_is_not_refused(party: Party, guest: Guest) -> None:
    party.engine.safety.limit(1, 1)
    guest.connection.mark(SessionFlag.PRIMARY)
    assert len(guest.say("MGET a b c")) == 3
    guest.connection.mark(SessionFlag.PRIMARY, on=False)
    party.engine.keyspace.applying = True
    assert len(guest.say("KEYS *")) == 3


@pytest.mark.parametrize(
    ("first", "last", "covered"),
    [
        (0, -1, 10), (0, 9, 10), (2, 4, 3), (-3, -1, 3), (5, 100, 5), (-100, 2, 3), (4, 2, 0),
        (10, 20, 0), (-1, -3, 0), (-(2**63), 2**63 - 1, 10),
    ],
)  # fmt: skip
def test_a_span_covers_what_the_command_reads(first: int, last: int, covered: int) -> None:
    assert Span(b"%d" % first, b"%d" % last).within(10) == covered


def test_a_range_is_counted_by_the_command_for_it() -> None:
    words = b"ZRANGE k 1 5 BYSCORE LIMIT 2 3".split()
    assert by_words(words, 10) == Counted([b"zcount", b"k", b"1", b"5"], 2, 3)
    words = b"zrange k [z - bylex rev".split()
    assert by_words(words, 10) == Counted([b"zlexcount", b"k", b"-", b"[z"])
    assert by_words(b"ZRANGE k 1 5 REV".split(), 10) == Span(b"1", b"5")
    words = b"ZREVRANGEBYSCORE k 5 1 WITHSCORES LIMIT 0 -1".split()
    assert by_count(b"zcount", reverse=True)(words, 10).of(7) == 7  # type: ignore[union-attr]
    assert Counted([], 2, 3).of(10) == 3
    assert Counted([], 2).of(10) == 8
    assert Counted([], 20, 3).of(10) == 0


def test_of_a_stream_one_entry_too_many_is_read() -> None:
    assert by_entries(b"XRANGE s - +".split(), 5).question == b"XRANGE s - + COUNT 6".split()
    words = b"XRANGE s - + COUNT 3".split()
    assert by_entries(words, 5).question == b"XRANGE s - + COUNT 3".split()


def test_a_key_whose_time_has_passed_is_not_counted(party: Party, guest: Guest) -> None:
    database = party.engine.keyspace.databases[0]
    assert database.peek(b"a") == (1, 1)
    assert database.peek(b"missing") == (0, 0)
    guest.say("PEXPIRE a 1")
    party.engine.keyspace.advance(party.engine.keyspace.now_ms + 10)
    assert database.peek(b"a") == (0, 0)
    assert len(database) == 3  # and not buried
