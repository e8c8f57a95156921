"""Streams: what waits and what ends a wait; what the original got wrong (B39 to B43)."""

from __future__ import annotations

import time
from typing import Any

import pytest

from spineldb.core import probe_data
from spineldb.core.effects import RecordingSink
from tests.support.composed import decoded
from tests.support.embedded import Embedded
from tests.support.several import NOTHING, Party

NO_GROUP = "NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option"
WRONG_TYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"


@pytest.fixture
def party() -> Party:
    return Party()


def entry(name: bytes, *words: bytes) -> list[Any]:
    return [name, list(words)]


def propagated(sink: RecordingSink) -> list[bytes]:
    return [b" ".join(words) for words in decoded(sink.take())]


def test_b39_a_blocked_xread_resolves_the_dollar_once(party: Party) -> None:
    writer, reader = party.join(), party.join()
    writer.say("XADD s 1-1 f old")
    assert reader.say("XREAD BLOCK 0 STREAMS s $") == NOTHING
    writer.say("XADD s 2-1 f new")
    assert reader.hear() == [[b"s", [entry(b"2-1", b"f", b"new")]]]


def test_b39_block_zero_waits_and_streams_come_in_the_order_asked(party: Party) -> None:
    writer, reader = party.join(), party.join()
    assert reader.say("XREAD BLOCK 0 STREAMS z a m 0 0 0") == NOTHING
    for request in ("MULTI", "XADD a 1 f v", "XADD z 1 f v", "EXEC"):
        if party.engine.dispatcher.commands.get(b"multi") or request.startswith("XADD"):
            writer.say(request)
    assert reader.hear()[0][0] in {b"z", b"a"}
    writer.say("XADD z 2 f v")
    names = [name for name, _ in reader.say("XREAD STREAMS z a m 0 0 0")]
    assert names == [b"z", b"a"]


def test_b39_a_wrong_type_is_an_error_unless_the_client_waits_already(party: Party) -> None:
    writer, reader = party.join(), party.join()
    writer.say("SET k x")
    assert writer.say("XREAD STREAMS k 0") == WRONG_TYPE
    assert reader.say("XREAD BLOCK 0 STREAMS s 0") == NOTHING
    writer.say("SET s x")
    assert reader.hear() == NOTHING
    writer.say("DEL s")
    writer.say("XADD s 1 f v")
    assert reader.hear() == [[b"s", [entry(b"1-0", b"f", b"v")]]]


def test_a_plus_does_not_wait_for_an_entry_that_is_there(party: Party) -> None:
    writer, reader = party.join(), party.join()
    assert reader.say("XREAD BLOCK 0 STREAMS s +") == NOTHING
    writer.say("XADD s 1 f v")
    assert reader.hear() == [[b"s", [entry(b"1-0", b"f", b"v")]]]
    assert reader.say("XREAD BLOCK 0 STREAMS s +") == [[b"s", [entry(b"1-0", b"f", b"v")]]]


def test_waiting_consumers_are_served_first_come_first_served(party: Party) -> None:
    writer, first, second = party.join(), party.join(), party.join()
    writer.say("XGROUP CREATE s g $ MKSTREAM")
    assert first.say("XREADGROUP GROUP g a BLOCK 0 STREAMS s >") == NOTHING
    assert second.say("XREADGROUP GROUP g b BLOCK 0 STREAMS s >") == NOTHING
    writer.say("XADD s 1 f v")
    assert first.hear() == [[b"s", [entry(b"1-0", b"f", b"v")]]]
    assert second.hear() == NOTHING
    writer.say("XADD s 2 f v")
    assert second.hear() == [[b"s", [entry(b"2-0", b"f", b"v")]]]
    assert party.engine.blocking.blocked_clients == 0


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        ("DEL s", NO_GROUP),
        ("RENAME s t", NO_GROUP),
        ("XGROUP DESTROY s g", NO_GROUP),
        ("SET s x", WRONG_TYPE),
    ],
)
def test_a_waiting_consumer_hears_that_its_group_is_gone(
    party: Party, request_: str, answer: str
) -> None:
    writer, reader = party.join(), party.join()
    writer.say("XGROUP CREATE s g $ MKSTREAM")
    assert reader.say("XREADGROUP GROUP g a BLOCK 0 STREAMS s >") == NOTHING
    writer.say(request_)
    assert reader.hear() == answer
    assert party.engine.blocking.blocked_clients == 0


def test_a_history_never_waits(party: Party) -> None:
    reader = party.join()
    reader.say("XGROUP CREATE s g $ MKSTREAM")
    assert reader.say("XREADGROUP GROUP g a BLOCK 0 STREAMS s 0") == [[b"s", []]]


def test_what_ends_a_wait_is_propagated_as_a_claim() -> None:
    party = Party()
    writer, reader = party.join(), party.join()
    writer.say("XGROUP CREATE s g $ MKSTREAM")
    reader.say("XREADGROUP GROUP g a BLOCK 0 STREAMS s >")
    sink = RecordingSink()
    party.engine.effects.add_sink(sink)
    writer.say("XADD s 5-5 f v")
    told = propagated(sink)
    assert told[1] == b"XADD s 5-5 f v"
    assert told[3].startswith(b"XCLAIM s g a 0 5-5 TIME ")
    assert told[3].endswith(b" RETRYCOUNT 1 FORCE JUSTID LASTID 5-5")
    assert told[4] == b"XGROUP SETID s g 5-5 ENTRIESREAD 1"


@pytest.fixture
def server() -> Embedded:
    return Embedded(1)


def test_b40_maxlen_holds_for_one_command_only(server: Embedded) -> None:
    for number in range(1, 6):
        server.ask("XADD", "s", "MAXLEN", "3", number, "f", "v")
    assert server.ask("XLEN", "s") == 3
    server.ask("XADD", "s", "6", "f", "v")
    assert server.ask("XLEN", "s") == 4


def test_b40_repeated_fields_are_kept(server: Embedded) -> None:
    server.ask("XADD", "s", "1", "f", "a", "f", "b")
    assert server.ask("XRANGE", "s", "-", "+") == [entry(b"1-0", b"f", b"a", b"f", b"b")]


def test_b40_what_is_propagated_has_the_id_and_the_trim_that_happened(server: Embedded) -> None:
    sink = RecordingSink()
    server.effects.add_sink(sink)
    server.keyspace.stream_node_max_entries = 2
    name = server.ask("XADD", "s", "*", "f", "v")
    assert propagated(sink)[-1] == b"XADD s " + name + b" f v"
    for _ in range(4):
        server.ask("XADD", "s", "NOMKSTREAM", "MAXLEN", "~", "2", "LIMIT", "100", "*", "f", "v")
    last = server.ask("XREVRANGE", "s", "+", "-", "COUNT", "1")[0][0]
    assert propagated(sink)[-1] == b"XADD s KEEPREF MAXLEN = 3 " + last + b" f v"
    server.ask("XTRIM", "s", "MINID", "~", "18446744073709551615")
    assert propagated(sink) == [
        b"XTRIM s KEEPREF MINID = 18446744073709551615-18446744073709551615"
    ]


def test_b41_xpending_takes_a_range_without_idle(server: Embedded) -> None:
    server.ask("XADD", "s", "1", "f", "v")
    server.ask("XGROUP", "CREATE", "s", "g", "0")
    server.ask("XREADGROUP", "GROUP", "g", "c", "STREAMS", "s", ">")
    ((name, consumer, idle, deliveries),) = server.ask("XPENDING", "s", "g", "-", "+", "10")
    assert (name, consumer, deliveries) == (b"1-0", b"c", 1)
    assert 0 <= idle < 5000
    assert str(server.ask("XPENDING", "s", "g", "IDLE", "5")) == "ERR syntax error"


def test_b42_history_is_exclusive_and_shows_what_was_deleted(server: Embedded) -> None:
    for number in (1, 2, 3):
        server.ask("XADD", "s", number, "f", "v")
    server.ask("XGROUP", "CREATE", "s", "g", "0")
    assert str(server.ask("XREADGROUP", "GROUP", "g2", "c", "STREAMS", "s", ">")).startswith(
        "NOGROUP"
    )
    server.ask("XREADGROUP", "GROUP", "g", "c", "STREAMS", "s", ">")
    server.ask("XDEL", "s", "2")
    assert server.ask("XREADGROUP", "GROUP", "g", "c", "STREAMS", "s", "1-0") == [
        [b"s", [[b"2-0", None], entry(b"3-0", b"f", b"v")]]
    ]


@pytest.mark.parametrize(
    "words",
    [
        ["XADD", "s", "0-0", "f", "v"],
        ["XADD", "s", "1-1", "f"],
        ["XADD", "s", "nonsense", "f", "v"],
        ["XADD", "s", "MAXLEN", "~", "-1", "*", "f", "v"],
        ["XGROUP", "CREATE", "s", "g", "nonsense", "MKSTREAM"],
        ["XGROUP", "CREATE", "s", "g", "0", "ENTRIESREAD", "-5", "MKSTREAM"],
        ["XREADGROUP", "GROUP", "g", "c", "STREAMS", "s", ">"],
        ["XSETID", "s", "1-1"],
    ],
)
def test_b43_what_fails_leaves_no_stream_behind(server: Embedded, words: list[str]) -> None:
    assert isinstance(server.ask(*words), Exception)
    assert server.ask("EXISTS", "s") == 0
    assert server.keyspace.used_memory == server.empty_bytes


def test_b43_a_missing_stream_has_nothing_to_delete(server: Embedded) -> None:
    assert server.ask("XDEL", "s", "1-1") == 0
    assert server.ask("XACK", "s", "g", "1-1") == 0
    assert server.ask("XTRIM", "s", "MAXLEN", "0") == 0
    assert server.ask("XDELEX", "s", "IDS", "1", "1-1") == [-1]


def test_a_count_that_is_announced_reserves_nothing(server: Embedded) -> None:
    huge = str(2**63 - 1)
    server.ask("XADD", "s", "1", "f", "v")
    server.ask("XGROUP", "CREATE", "s", "g", "0")
    assert len(server.ask("XRANGE", "s", "-", "+", "COUNT", huge)) == 1
    assert len(server.ask("XREAD", "COUNT", huge, "STREAMS", "s", "0")) == 1
    assert len(server.ask("XREADGROUP", "GROUP", "g", "c", "COUNT", huge, "STREAMS", "s", ">")) == 1
    assert len(server.ask("XPENDING", "s", "g", "-", "+", huge)) == 1
    assert len(server.ask("XAUTOCLAIM", "s", "g", "d", "0", "0", "COUNT", str(10**15))[1]) == 1
    assert str(server.ask("XDELEX", "s", "IDS", huge, "1")).startswith("ERR The `numids`")


def test_the_last_id_ends_a_stream(server: Embedded) -> None:
    last = "18446744073709551615-18446744073709551615"
    server.ask("XADD", "s", last, "f", "v")
    refused = "ERR The stream has exhausted the last possible ID, unable to add more items"
    assert str(server.ask("XADD", "s", "*", "f", "v")) == refused
    assert server.ask("XLEN", "s") == 1
    assert server.ask("XREAD", "STREAMS", "s", last) is None


def test_a_clock_that_went_back_does_not_lower_the_id(server: Embedded) -> None:
    ahead = int(time.time() * 1000) + 10**9
    server.ask("XADD", "s", f"{ahead}-7", "f", "v")
    assert server.ask("XADD", "s", "*", "f", "v") == f"{ahead}-8".encode()


def test_a_stream_keeps_its_deadline_and_its_place_without_entries(server: Embedded) -> None:
    server.ask("XADD", "s", "5-5", "f", "v")
    server.ask("EXPIRE", "s", "100")
    server.ask("XADD", "s", "6-6", "f", "v")
    server.ask("XTRIM", "s", "MAXLEN", "0")
    assert server.ask("TTL", "s") > 90
    assert server.ask("TYPE", "s") == "stream"
    assert str(server.ask("XADD", "s", "6-6", "f", "v")).startswith("ERR The ID specified")


def test_a_group_with_much_pending_is_freed_in_slices(server: Embedded) -> None:
    for number in range(1, 3001):
        server.ask("XADD", "s", number, "f", "v")
    server.ask("XGROUP", "CREATE", "s", "g", "0")
    server.ask("XREADGROUP", "GROUP", "g", "c", "STREAMS", "s", ">")
    used = server.keyspace.used_memory
    assert server.ask("XGROUP", "DESTROY", "s", "g") == 1
    assert server.keyspace.owed_memory > 100_000
    server.rest()
    assert server.keyspace.used_memory < used - 150_000
    server.ask("DEL", "s")
    server.rest()
    assert server.keyspace.used_memory == server.empty_bytes


def test_a_consumer_leaves_with_all_it_had_pending_and_nothing_else(server: Embedded) -> None:
    for number in range(1, 1001):
        server.ask("XADD", "s", number, "f", "v")
    server.ask("XGROUP", "CREATE", "s", "g", "0")
    for number in range(100):
        consumer = "a" if number % 3 else "b"
        server.ask("XREADGROUP", "GROUP", "g", consumer, "COUNT", "10", "STREAMS", "s", ">")
    before = server.ask("XPENDING", "s", "g", "-", "+", "10000", "b")
    assert server.ask("XGROUP", "DELCONSUMER", "s", "g", "a") == 1000 - len(before)
    after = server.ask("XPENDING", "s", "g", "-", "+", "10000")
    assert [row[0] for row in after] == [row[0] for row in before]
    assert server.ask("XACK", "s", "g", *(row[0] for row in after)) == len(before)
    server.rest()
    assert probe_data.faults(server.keyspace) == []
