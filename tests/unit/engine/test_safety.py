"""Guards against commands that would hold everybody up."""

from __future__ import annotations

import pytest

from spineldb.core.dispatch import Gate
from spineldb.engine.safety import GUARDED
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


def test_a_set_operation_is_refused_with_too_many_keys(party: Party, guest: Guest) -> None:
    party.engine.safety.limit(0, 2)
    guest.say("SADD s x")
    assert guest.say("SINTER s s") == [b"x"]
    assert guest.say("SUNIONSTORE d s s") == 1
    assert guest.say("SDIFFSTORE d s s s") == (
        "ERR Command 'sdiffstore' aborted: number of keys (3) exceeds 'max_set_operation_keys' "
        "limit (2)."
    )


def test_a_large_set_is_not_read_whole(party: Party, guest: Guest) -> None:
    party.engine.safety.limit(2, 0)
    guest.say("SADD s x y z")
    guest.say("SADD small x")
    refused = (
        "ERR Command '{}' on key 's' aborted: collection size (3) exceeds "
        "'max_collection_scan_keys' limit (2). Use SCAN-family commands instead."
    )
    assert guest.say("SMEMBERS s") == refused.format("smembers")
    assert guest.say("SINTER small s") == refused.format("sinter")
    assert guest.say("SUNIONSTORE s small") == 1  # what is overwritten is not read
    assert guest.say("SMEMBERS s") == [b"x"]
    assert guest.say("SMEMBERS missing") == []


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
    assert asked == GUARDED


def test_the_gate_is_in_force_only_while_a_limit_is(party: Party) -> None:
    for limits, raised in (((0, 0), False), ((1, 0), True), ((0, 1), True), ((0, 0), False)):
        party.engine.safety.limit(*limits)
        assert party.engine.dispatcher.is_raised(Gate.GATE_SAFETY) is raised
