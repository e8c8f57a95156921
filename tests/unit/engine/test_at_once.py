"""Commands that may wait: the core answers what can be answered at once, Python waits."""

from __future__ import annotations

from typing import Any

import pytest

from spineldb.commands import FAMILIES
from spineldb.core.effects import RecordingSink
from spineldb.engine.command import CommandTable, Flag
from tests.support.several import NOTHING, Party

FULL = [
    "RPUSH list a b c",
    "ZADD zset 1 a 2 b 3 c",
    "XADD stream 1-1 f v",
    "XGROUP CREATE stream g 0",
]
ENTRY = [b"1-1", [b"f", b"v"]]

# The request with {} for a key that exists; the reply; what is propagated; a key's name.
AT_ONCE = [
    ("BLPOP {} 0", [b"list", b"a"], "LPOP list", "list"),
    ("BRPOP nolist {} 0.0", [b"list", b"c"], "RPOP list", "list"),
    ("BLMPOP 0 1 {} LEFT", [b"list", [b"a"]], "LPOP list 1", "list"),
    ("BLMPOP 0 2 nolist {} RIGHT COUNT 9", [b"list", [b"c", b"b", b"a"]], "RPOP list 3", "list"),
    ("BLMOVE {} other left right 0", b"a", "LMOVE list other left right", "list"),
    ("BRPOPLPUSH {} other 0e2", b"c", "RPOPLPUSH list other", "list"),
    ("BZPOPMIN {} 0", [b"zset", b"a", b"1"], "ZPOPMIN zset", "zset"),
    ("BZPOPMAX nozset {} -0", [b"zset", b"c", b"3"], "ZPOPMAX zset", "zset"),
    ("BZMPOP 0 1 {} MAX", [b"zset", [[b"c", b"3"]]], "ZPOPMAX zset 1", "zset"),
    ("BZMPOP 0 2 nozset {} MIN COUNT 2", [b"zset", [[b"a", b"1"], [b"b", b"2"]]],
     "ZPOPMIN zset 2", "zset"),
    ("XREAD COUNT 1 BLOCK 0 STREAMS {} 0", [[b"stream", [ENTRY]]], "", "stream"),
]  # fmt: skip
IDS = [one[0].split()[0] + f"-{number}" for number, one in enumerate(AT_ONCE)]


@pytest.fixture
def party() -> Party:
    party = Party()
    writer = party.join()
    for line in FULL:
        writer.say(line)
    return party


@pytest.mark.parametrize(("line", "reply", "told", "key"), AT_ONCE, ids=IDS)
def test_what_is_there_is_answered_at_once(
    party: Party, line: str, reply: Any, told: str, key: str
) -> None:
    sink = RecordingSink()
    party.engine.effects.add_sink(sink)
    assert party.join().say(line.format(key)) == reply
    assert party.engine.blocking.blocked_clients == 0
    stream = sink.take()
    if told:
        assert stream.endswith(b"\r\n".join(
            [b"*%d" % len(told.split()),
             *(b"$%d\r\n%b" % (len(word), word.encode()) for word in told.split()), b""]
        ))  # fmt: skip
    else:
        assert stream == b""


@pytest.mark.parametrize(("line", "reply", "told", "key"), AT_ONCE, ids=IDS)
def test_what_is_not_there_is_waited_for_and_the_core_answers_the_re_run(
    party: Party, line: str, reply: Any, told: str, key: str
) -> None:
    del told
    writer, waiter = party.join(), party.join()
    assert writer.say(f"RENAME {key} away") == "OK"
    assert waiter.say(line.format(key)) == NOTHING
    assert party.engine.blocking.blocked_clients == 1
    assert writer.say(f"RENAME away {key}") == "OK"
    assert waiter.hear() == reply
    assert party.engine.blocking.blocked_clients == 0


@pytest.mark.parametrize(("line", "reply", "told", "key"), AT_ONCE, ids=IDS)
def test_nobody_waits_in_a_transaction(
    party: Party, line: str, reply: Any, told: str, key: str
) -> None:
    del told
    session = party.join()
    for request in ("MULTI", line.format(key), f"DEL {key}", line.format(key)):
        session.say(request)
    assert session.say("EXEC")[::2] == [reply, None]
    assert party.engine.blocking.blocked_clients == 0


def test_only_commands_that_may_wait_have_two_bodies() -> None:
    table = CommandTable(FAMILIES)
    quick = {command.name for command in table.everything() if command.quick is not None}
    blocking = {name for name, command in table.items() if Flag.BLOCKING in command.flags}
    assert quick
    assert quick <= blocking


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("BLPOP string x", "timeout is not a float"),
        ("BZPOPMIN string -1", "timeout is negative"),
        ("BLMPOP x 1 string LEFT", "timeout is not a float"),
        ("BLMPOP x 0 string LEFT", "numkeys should be greater than 0"),
        ("BLMPOP x 1 string LEFT COUNT 0", "count should be greater than 0"),
        ("BZMPOP x 1 string LEFT", "syntax error"),
        ("BLMOVE string d UP DOWN x", "syntax error"),
        ("BLMOVE string d LEFT RIGHT 1e300", "timeout is out of range"),
        ("XREAD BLOCK -1 STREAMS string 0", "timeout is negative"),
    ],
)
def test_wrong_arguments_come_before_wrong_values(party: Party, line: str, error: str) -> None:
    session = party.join()
    session.say("SET string s")
    assert error in session.say(line)
    assert party.engine.blocking.blocked_clients == 0


@pytest.mark.parametrize(
    "line", ["BLPOP none string 0", "BZMPOP 0 2 none string MIN", "BLMOVE list string LEFT LEFT 0"]
)
def test_another_kind_is_refused_and_nothing_is_taken(party: Party, line: str) -> None:
    session = party.join()
    session.say("SET string s")
    assert session.say(line).startswith("WRONGTYPE")
    assert session.say("LLEN list") == 3


def test_a_wait_counts_its_look_up_once(party: Party) -> None:
    context = party.engine.dispatcher.context
    context.hits = context.misses = 0
    waiter = party.join()
    assert waiter.say("XREAD BLOCK 0 STREAMS stream none $ $") == NOTHING
    assert (context.hits, context.misses) == (1, 1)


def test_the_last_id_is_that_of_the_request(party: Party) -> None:
    writer, waiter = party.join(), party.join()
    assert waiter.say("XREAD BLOCK 0 STREAMS none stream $ $") == NOTHING
    writer.say("XADD stream 1-2 f w")
    assert waiter.hear() == [[b"stream", [[b"1-2", [b"f", b"w"]]]]]


def test_a_group_delivers_at_once_and_creates_the_consumer_when_it_waits(party: Party) -> None:
    reader = party.join()
    request = "XREADGROUP GROUP g {} BLOCK 0 STREAMS stream >"
    assert reader.say(request.format("c")) == [[b"stream", [ENTRY]]]
    waiter = party.join()
    assert waiter.say(request.format("d")) == NOTHING
    assert [one[1] for one in reader.say("XINFO CONSUMERS stream g")] == [b"c", b"d"]
    reader.say("XADD stream 2-1 f v")
    assert waiter.hear() == [[b"stream", [[b"2-1", [b"f", b"v"]]]]]


def test_without_block_an_empty_answer_is_null(party: Party) -> None:
    assert party.join().say("XREAD STREAMS stream 9-9") is None
