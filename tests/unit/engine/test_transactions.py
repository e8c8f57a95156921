"""Transactions: what is propagated, what is refused when, who hears what."""

from __future__ import annotations

import asyncio
import re
import time

import pytest

from spineldb.client import INCOMPLETE, Decoder, ErrorReply, encode
from spineldb.config.settings import Settings
from spineldb.core import probe_data, strings
from spineldb.core.effects import RecordingSink
from spineldb.engine.command import UPDATE, WRITE, Family
from spineldb.engine.context import Context
from spineldb.engine.keyspecs import Keys
from spineldb.engine.reply import Reply
from tests.support.several import NOTHING, Guest, Party

ABORTED = "EXECABORT Transaction discarded because of previous errors."
REFUSED = "READONLY Server is in emergency read-only mode due to a critical propagation failure."
NOT_PROPAGATED = (
    "ERR CRITICAL: Write operation could not be safely propagated. Server entering read-only mode."
)
OOM = "OOM command not allowed when used memory > 'maxmemory'."


family = Family("generic")


@family.command("BREAK key when", WRITE, keys=Keys(1, 1), key=UPDATE, since="5.0.0")
def break_(ctx: Context, key: bytes, when: bytes) -> Reply:
    """Fail by a bug of ours, before or after the change. O(1)."""
    if when == b"after":
        strings.put(ctx.db, key, b"half")
        ctx.changed(key, "set")
    raise ZeroDivisionError


@pytest.fixture
def party() -> Party:
    """Return an engine with every command, DEBUG among them, and one that fails."""
    settings = Settings()
    settings.debug.enable_debug_command = "yes"
    return Party(family, settings=settings)


@pytest.fixture
def sink(party: Party) -> RecordingSink:
    """Return what hears of all that changes."""
    recording = RecordingSink()
    party.engine.effects.add_sink(recording)
    return recording


def told(sink: RecordingSink) -> list[str]:
    """Return the requests of the effect stream since the last call, each as one line."""
    decoder = Decoder()
    decoder.feed(sink.take())
    return [b" ".join(argv).decode() for argv in iter(decoder.next, INCOMPLETE)]


def say_all(client: Guest, *lines: str) -> object:
    """Send requests one after the other; return the last reply."""
    return [client.say(line) for line in lines][-1]


def transaction(client: Guest, *lines: str) -> object:
    """Queue requests and run them; return EXEC's reply."""
    assert client.say("MULTI") == "OK"
    for line in lines:
        assert client.say(line) == "QUEUED"
    return client.say("EXEC")


def raw(client: Guest, *lines: str) -> bytes:
    """Send requests together; return the bytes of all replies."""
    return client.connection.feed(b"".join(encode(line.split()) for line in lines))


# -- what is propagated ----------------------------------------------------------------------------


def test_a_transaction_is_one_unit_of_its_writes(party: Party, sink: RecordingSink) -> None:
    transaction(party.join(), "SET a 1", "GET a", "INCR a", "PING", "EXISTS a")
    assert told(sink) == ["SELECT 0", "MULTI", "SET a 1", "INCR a", "EXEC"]


def test_a_single_write_is_not_wrapped(party: Party, sink: RecordingSink) -> None:
    client = party.join()
    transaction(client, "GET a", "SET a 1", "GET a")
    assert told(sink) == ["SELECT 0", "SET a 1"]
    transaction(client, "SELECT 3", "SET a 1")
    assert told(sink) == ["SELECT 3", "SET a 1"]


def test_what_changes_nothing_is_not_propagated(party: Party, sink: RecordingSink) -> None:
    transaction(party.join(), "GET a", "DEL a", "SREM a m", "LPOP a", "SELECT 3")
    assert told(sink) == []


def test_a_database_is_selected_where_the_transaction_goes_on(
    party: Party, sink: RecordingSink
) -> None:
    client = party.join()
    transaction(client, "SET a 1", "SELECT 2", "GET a", "SET b 2", "SET c 3", "SELECT 0", "SET d 4")
    assert told(sink) == [
        "SELECT 0", "MULTI", "SET a 1", "SELECT 2", "SET b 2", "SET c 3", "SELECT 0", "SET d 4",
        "EXEC",
    ]  # fmt: skip
    client.say("SET e 5")
    assert told(sink) == ["SET e 5"]
    transaction(client, "SELECT 2")
    client.say("SET f 6")
    assert told(sink) == ["SELECT 2", "SET f 6"]


def test_an_error_in_the_middle_takes_nothing_else_with_it(
    party: Party, sink: RecordingSink
) -> None:
    """D4."""
    client = party.join()
    client.say("SET str text")
    told(sink)
    reply = transaction(client, "SET a 1", "INCR str", "SET b 2")
    assert [str(one) for one in reply] == [  # type: ignore[attr-defined]
        "OK", "ERR value is not an integer or out of range", "OK",
    ]  # fmt: skip
    assert told(sink) == ["MULTI", "SET a 1", "SET b 2", "EXEC"]


def test_what_happened_is_propagated(party: Party, sink: RecordingSink) -> None:
    client = party.join()
    say_all(client, "SADD one m", "RPUSH list a b", "SET n 1")
    told(sink)
    transaction(client, "SPOP one", "BLPOP list 0", "INCRBYFLOAT n 0.5", "SET t x EX 100")
    *others, deadline, end = told(sink)
    assert others == ["MULTI", "SREM one m", "LPOP list", "SET n 1.5 KEEPTTL"]
    assert deadline.startswith("SET t x PXAT ")
    assert end == "EXEC"


def test_a_key_that_is_found_expired_is_deleted_within(party: Party, sink: RecordingSink) -> None:
    client = party.join()
    client.say("SELECT 1")
    say_all(client, "DEBUG SET-ACTIVE-EXPIRE 0", "SET a 1 PX 1", "SET b 1 PX 1", "SELECT 0")
    told(sink)
    time.sleep(0.01)
    transaction(client, "SET x 1", "SELECT 1", "GET a", "INCR b")
    assert told(sink) == [
        "SELECT 0", "MULTI", "SET x 1", "SELECT 1", "DEL a", "DEL b", "INCR b", "EXEC",
    ]  # fmt: skip


def test_a_watched_key_that_is_found_expired_is_deleted_alone(
    party: Party, sink: RecordingSink
) -> None:
    client = party.join()
    say_all(client, "DEBUG SET-ACTIVE-EXPIRE 0", "SET a 1 PX 5", "WATCH a")
    told(sink)
    time.sleep(0.01)
    assert transaction(client, "SET x 1") is None
    assert told(sink) == ["DEL a"]


def test_who_waited_is_served_afterwards_as_a_unit_of_its_own(
    party: Party, sink: RecordingSink
) -> None:
    waiting, client = party.join(), party.join()
    assert waiting.say("BLMOVE l m LEFT RIGHT 0") == NOTHING
    assert transaction(client, "RPUSH l a", "LPUSH l b", "SET x 1") == [1, 2, "OK"]
    assert waiting.hear() == b"b"
    assert told(sink) == [
        "SELECT 0", "MULTI", "RPUSH l a", "LPUSH l b", "SET x 1", "EXEC", "LMOVE l m LEFT RIGHT",
    ]  # fmt: skip


def test_keys_are_served_in_the_order_in_which_they_came_to_hold_what_is_awaited(
    party: Party, sink: RecordingSink
) -> None:
    first, second, client = party.join(), party.join(), party.join()
    assert [first.say("BLPOP a 0"), second.say("BLPOP c 0")] == [NOTHING, NOTHING]
    say_all(client, "ZADD a 1 m", "RPUSH b x")
    told(sink)
    transaction(client, "DEL a", "RENAME b c", "RPUSH a y")
    assert told(sink) == ["MULTI", "DEL a", "RENAME b c", "RPUSH a y", "EXEC", "LPOP c", "LPOP a"]
    assert [first.hear(), second.hear()] == [[b"a", b"y"], [b"c", b"x"]]


def test_a_transaction_that_is_refused_or_discarded_is_not_propagated(
    party: Party, sink: RecordingSink
) -> None:
    client = party.join()
    assert say_all(client, "MULTI", "SET a 1", "DISCARD") == "OK"
    assert say_all(client, "MULTI", "SET a 1", "NOSUCH", "EXEC") == ABORTED
    assert say_all(client, "MULTI", "SET a 1", "RESET") == "RESET"
    assert told(sink) == []
    say_all(client, "WATCH a", "SET a 0")
    told(sink)
    assert transaction(client, "SET a 1") is None
    assert told(sink) == []


# -- what cannot be propagated ---------------------------------------------------------------------

QUEUE = ("SET a 1", "GET a", "SET b 2", "INCR a", "GET b", "RPUSH l x", "GETEX a", "SET c 3")
REPLIES = ["OK", b"1", "OK", 2, b"2", 1, b"2", "OK"]
WRITES = (0, 2, 3, 5, 7)
FAIL = "DEBUG FAIL-PROPAGATION 1"


@pytest.mark.parametrize("slot", WRITES)
def test_from_the_write_that_cannot_be_propagated_on_writes_are_refused(
    party: Party, sink: RecordingSink, slot: int
) -> None:
    """EM-8: what was done before is handed on, what failed stays visible, reads go on."""
    client = party.join()
    reply = transaction(client, *QUEUE[:slot], FAIL, *QUEUE[slot:])
    assert isinstance(reply, list)
    assert reply.pop(slot) == "OK"  # of DEBUG
    replies = [str(one) if isinstance(one, ErrorReply) else one for one in reply]
    assert replies[:slot] == REPLIES[:slot]
    assert replies[slot] == NOT_PROPAGATED
    for place in range(slot + 1, len(QUEUE)):
        assert (replies[place] == REFUSED) == (place in WRITES)
    assert party.engine.emergency.active
    done = [QUEUE[place] for place in WRITES if place < slot]
    wrapped = ["MULTI", *done, "EXEC"] if len(done) > 1 else done
    assert told(sink) == (["SELECT 0", *wrapped] if done else [])
    assert client.say("MGET a b c") == [
        b"2" if slot >= 3 else b"1", b"2" if slot >= 2 else None, b"3" if slot == 7 else None,
    ]  # fmt: skip
    assert client.say("SET a 1") == REFUSED
    assert transaction(client, "GET a") == [client.say("GET a")]
    assert say_all(client, "MULTI", "GET a") == "QUEUED"
    assert client.say("SET a 1") == REFUSED
    assert client.say("EXEC") == ABORTED


def test_the_mode_that_begins_after_a_write_was_queued_aborts_exec(
    party: Party, sink: RecordingSink
) -> None:
    first, second, third = party.join(), party.join(), party.join()
    for client in (first, second):
        say_all(client, "MULTI", "GET a")
    first.say("SET a 1")
    second.say("GETEX a")
    say_all(third, FAIL, "SET b 1")
    assert first.say("EXEC") == f"EXECABORT Transaction discarded because of: {REFUSED}"
    assert second.say("EXEC") == [None, None]
    assert first.say("PING") == "PONG"
    assert told(sink) == []


def test_a_burial_within_that_cannot_be_propagated_begins_the_mode(
    party: Party, sink: RecordingSink
) -> None:
    client = party.join()
    say_all(client, "DEBUG SET-ACTIVE-EXPIRE 0", "SET a 1 PX 5")
    told(sink)
    time.sleep(0.01)
    reply = transaction(client, "SET x 1", FAIL, "GET a", "SET y 1", "GET x")
    assert isinstance(reply, list)
    assert [str(one) for one in reply[3:]] == [REFUSED, "b'1'"]
    assert party.engine.emergency.active
    assert told(sink) == ["SET x 1"]


def test_a_bug_that_changed_nothing_fails_alone(party: Party, sink: RecordingSink) -> None:
    reply = transaction(party.join(), "SET a 1", "BREAK k before", "SET b 2")
    assert isinstance(reply, list)
    assert [str(one) for one in reply] == ["OK", "ERR internal error", "OK"]
    assert told(sink) == ["SELECT 0", "MULTI", "SET a 1", "SET b 2", "EXEC"]
    assert not party.engine.emergency.active


def test_a_bug_after_a_change_begins_the_mode_in_its_place(
    party: Party, sink: RecordingSink
) -> None:
    reply = transaction(party.join(), "SET a 1", "BREAK k after", "SET b 2", "GET k")
    assert isinstance(reply, list)
    assert [str(one) for one in reply] == ["OK", NOT_PROPAGATED, REFUSED, "b'half'"]
    assert told(sink) == ["SELECT 0", "SET a 1"]
    trigger = party.engine.emergency.trigger
    assert trigger is not None
    assert trigger.shown == "break k"


def test_a_unit_that_is_not_taken_ends_in_an_error_for_the_whole(
    party: Party, sink: RecordingSink
) -> None:
    waiting, client = party.join(), party.join()
    assert waiting.say("BLPOP l 0") == NOTHING
    sink.refuses = True
    assert transaction(client, "SET a 1", "GET a", "RPUSH l x") == NOT_PROPAGATED
    assert party.engine.emergency.active
    assert waiting.hear() == REFUSED
    assert client.say("MGET a") == [b"1"]
    assert client.say("LRANGE l 0 -1") == [b"x"]
    assert client.say("EXEC") == "ERR EXEC without MULTI"
    sink.refuses = False
    assert transaction(client, "GET a") == [b"1"]
    assert told(sink) == []


def test_what_was_gone_when_it_was_watched_fails_nothing_where_it_cannot_be_deleted(
    party: Party,
) -> None:
    client = party.join()
    say_all(client, "DEBUG SET-ACTIVE-EXPIRE 0", "SET gone x PX 5", "SET later x PX 60")
    time.sleep(0.01)
    say_all(client, FAIL, "SET b 1")
    assert say_all(client, "WATCH gone") == "OK"
    assert transaction(client, "GET gone") == [None]
    assert say_all(client, "WATCH gone later") == "OK"
    time.sleep(0.08)
    assert transaction(client, "GET later") is None


# -- what is refused -------------------------------------------------------------------------------


def test_without_memory_writes_are_not_queued_and_not_run(party: Party) -> None:
    first, second, third = party.join(), party.join(), party.join()
    say_all(first, "MULTI", "GET a", "SET a 1")
    say_all(second, "MULTI", "GET a", "DEL a")
    party.engine.dispatcher.limit_memory(1)
    assert first.say("EXEC") == f"EXECABORT Transaction discarded because of: {OOM}"
    assert second.say("EXEC") == [None, 0]
    assert say_all(third, "MULTI", "GET a") == "QUEUED"
    assert third.say("SET a 1") == OOM
    assert third.say("EXEC") == ABORTED
    party.engine.dispatcher.limit_memory(0)
    assert transaction(first, "SET a 1") == ["OK"]


def test_what_exec_makes_room_for_is_evicted_before_it_runs(
    party: Party, sink: RecordingSink
) -> None:
    client = party.join()
    for number in range(50):
        client.say(f"SET key:{number} {'x' * 1000}")
    party.engine.eviction.follow("allkeys-random", 5)
    told(sink)
    say_all(client, "MULTI", "SET a 1", "SET b 1")
    party.engine.dispatcher.limit_memory(party.engine.keyspace.used_memory - 5000)
    assert client.say("EXEC") == ["OK", "OK"]
    stream = told(sink)
    at = stream.index("MULTI")
    assert stream[at:] == ["MULTI", "SET a 1", "SET b 1", "EXEC"]
    assert at
    assert all(line.startswith("DEL key:") for line in stream[:at])


def test_a_pause_of_writes_holds_an_exec_that_writes(party: Party) -> None:
    async def run() -> None:
        writing, reading, other = party.join(), party.join(), party.join()
        say_all(writing, "MULTI", "GET a", "SET a 1")
        say_all(reading, "MULTI", "GET a")
        other.say("CLIENT PAUSE 50 WRITE")
        assert reading.say("EXEC") == [None]
        assert say_all(other, "MULTI", "GET a") == "QUEUED"
        assert writing.say("EXEC") == NOTHING
        assert other.say("EXEC") == [None]
        await asyncio.sleep(0.08)
        assert writing.hear() == [None, "OK"]

    asyncio.run(run())


def test_a_pause_that_begins_within_does_not_hold_what_follows(party: Party) -> None:
    async def run() -> None:
        client = party.join()
        reply = transaction(client, "SET a 1", "CLIENT PAUSE 50 WRITE", "SET a 2", "GET a")
        assert reply == ["OK", "OK", "OK", b"2"]

    asyncio.run(run())


def test_guards_are_asked_when_the_command_runs(party: Party) -> None:
    party.engine.safety.limit(scan_keys=2, set_operation_keys=2)
    client = party.join()
    reply = transaction(
        client, "SADD s a b c", "SMEMBERS s", "SREM s a", "SMEMBERS s", "MGET a b c", "PING"
    )
    assert isinstance(reply, list)
    assert str(reply[1]).startswith(
        "ERR Command 'smembers' on key 's' aborted: collection size (3)"
    )
    assert sorted(reply[3]) == [b"b", b"c"]
    assert str(reply[4]).startswith("ERR Command 'mget' aborted: number of keys (3)")
    assert reply[5] == "PONG"


def test_a_guard_that_counts_leaves_the_transaction_as_it_is(
    party: Party, sink: RecordingSink
) -> None:
    party.engine.safety.limit(scan_keys=2, set_operation_keys=0)
    client = party.join()
    reply = transaction(
        client, "SELECT 2", "ZADD z 1 a 2 b 3 c", "ZRANGEBYSCORE z 1 9", "ZRANGEBYSCORE z 1 2",
        "ZADD z 4 d",
    )  # fmt: skip
    assert isinstance(reply, list)
    assert str(reply[2]).startswith("ERR Command 'zrangebyscore' on key 'z' aborted")
    assert [reply[1], reply[3], reply[4]] == [3, [b"a", b"b"], 1]
    assert told(sink) == ["SELECT 2", "MULTI", "ZADD z 1 a 2 b 3 c", "ZADD z 4 d", "EXEC"]
    assert client.connection.db == 2


def test_what_waits_in_a_queue_counts_as_input(party: Party) -> None:
    party.network.query_buffer_limit = 1 << 20
    client = party.join()
    client.say("MULTI")
    for number in range(30):
        if not client.connection.closed:
            client.connection.feed(encode(["SET", f"k{number}", "v" * 100_000]))
    assert client.connection.closed
    assert party.network.client_query_buffer_limit_disconnections == 1


def test_a_transaction_that_will_fail_keeps_nothing(party: Party) -> None:
    client, other = party.join(), party.join()
    say_all(client, "MULTI", "NOSUCH")
    assert client.say("SET a 1") == "QUEUED"
    assert client.connection.transaction is not None
    assert client.connection.transaction.count == 0
    client.say("DISCARD")
    say_all(client, "WATCH a b", "MULTI")
    other.say("SET b 1")
    assert client.say("SET a 1") == "QUEUED"
    assert client.connection.transaction.count == 0
    assert party.engine.keyspace.watched_keys == 0
    assert client.say("EXEC") is None


# -- big values ------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["EXEC", "DISCARD", "RESET", "gone"])
def test_a_big_value_that_was_queued_is_freed_once(end: str) -> None:
    party = Party()
    before = party.engine.keyspace.used_memory
    client = party.join()
    value = b"v" * 300_000
    client.say("MULTI")
    for words in (["SET", "a", value], ["APPEND", "a", value], ["SET", "b", value]):
        assert client.ask(*words) == "QUEUED"
    client.say("GET b")
    if end == "gone":
        client.connection.close()
        client.connection.feed(b"")
    else:
        reply = client.say(end)
        if end == "EXEC":
            assert reply == ["OK", 600_000, "OK", value]
    del client
    other = party.join()
    if end == "EXEC":
        assert other.say("GET a") == value * 2
    other.say("FLUSHALL")
    while party.engine.keyspace.run_work(1_000_000):
        pass
    assert probe_data.faults(party.engine.keyspace) == []
    assert party.engine.keyspace.used_memory == before


# -- who hears what --------------------------------------------------------------------------------


def test_replies_that_are_switched_off_within_leave_what_was_said() -> None:
    """As recorded from Redis 8.2.3: the header is sent already."""
    cases = {
        ("MULTI", "SET a 1", "CLIENT REPLY OFF", "GET a", "EXEC", "PING"): (
            b"+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n+OK\r\n"
        ),
        ("MULTI", "SET a 1", "CLIENT REPLY SKIP", "GET a", "EXEC", "PING", "ECHO x"): (
            b"+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n+OK\r\n$1\r\n1\r\n$1\r\nx\r\n"
        ),
        ("CLIENT REPLY OFF", "MULTI", "GET a", "CLIENT REPLY ON", "GET a", "EXEC", "PING"): (
            b"+OK\r\n$1\r\n1\r\n+PONG\r\n"
        ),
        ("MULTI", "GET a", "CLIENT REPLY SKIP", "EXEC", "CLIENT REPLY SKIP", "EXEC", "PING"): (
            b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n$1\r\n1\r\n+PONG\r\n"
        ),
        ("CLIENT REPLY SKIP", "MULTI", "GET a", "EXEC", "PING"): (
            b"+QUEUED\r\n*1\r\n$1\r\n1\r\n+PONG\r\n"
        ),
        ("WATCH a", "SET a 2", "CLIENT REPLY OFF", "MULTI", "GET a", "EXEC", "CLIENT REPLY ON"): (
            b"+OK\r\n+OK\r\n+OK\r\n"
        ),
        ("CLIENT REPLY OFF", "EXEC", "MULTI", "GET", "EXEC", "CLIENT REPLY ON", "PING"): (
            b"+OK\r\n+PONG\r\n"
        ),
    }
    party = Party()
    party.join().say("SET a 1")
    for lines, expected in cases.items():
        assert raw(party.join(), *lines) == expected, lines


def test_who_is_unblocked_within_has_only_that_reply_skipped(party: Party) -> None:
    waiting, client = party.join(), party.join()
    assert raw(waiting, "CLIENT REPLY SKIP", "BLPOP none 0") == b""
    assert transaction(client, f"CLIENT UNBLOCK {waiting.id}", "PING") == [1, "PONG"]
    assert waiting.say("PING") == "PONG"


def test_a_client_that_ends_itself_hears_nothing_more_though_all_of_it_runs(party: Party) -> None:
    client, other = party.join(), party.join()
    reply = raw(
        client, "MULTI", "SET a 7", f"CLIENT KILL ID {client.id} SKIPME no", "SET a 8", "GET a",
        "EXEC", "PING",
    )  # fmt: skip
    assert reply == b"+OK\r\n" + b"+QUEUED\r\n" * 4 + b"*4\r\n+OK\r\n:1\r\n"
    assert client.connection.closed
    assert other.say("GET a") == b"8"


def test_a_client_that_goes_while_it_queues_leaves_nothing(party: Party) -> None:
    client, other = party.join(), party.join()
    say_all(client, "WATCH a b", "MULTI", "SET a 1")
    assert party.engine.keyspace.watched_keys == 2
    other.say(f"CLIENT KILL ID {client.id}")
    assert party.engine.keyspace.watched_keys == 0
    assert other.say("GET a") is None


def monitored(client: Guest) -> list[str]:
    """Return the requests that MONITOR showed, each with its database."""
    lines: list[str] = []
    while (line := client.hear()) != NOTHING:
        lines.append(re.sub(r"^\S+ \[(\d+) [^]]*\]", r"\1", str(line)))
    return lines


def test_monitor_shows_what_runs_in_the_order_in_which_it_runs(party: Party) -> None:
    monitor = party.join()
    monitor.say("MONITOR")
    raw(party.join(), "MULTI", "SET a 1", "INCR a", "EXEC", "PING")
    assert monitored(monitor) == ['0 "MULTI"', '0 "SET" "a" "1"', '0 "INCR" "a"', '0 "EXEC"',
                                  '0 "PING"']  # fmt: skip
    raw(party.join(), "MULTI", "SET a 1", "GET", "EXEC")
    assert monitored(monitor) == ['0 "MULTI"', '0 "EXEC"']
    raw(party.join(), "MULTI", "SET a 1", "EXEC x", "PING")
    assert monitored(monitor) == ['0 "MULTI"', '0 "EXEC" "x"', '0 "PING"']
    raw(party.join(), "MULTI", "SET a 1", "DISCARD")
    assert monitored(monitor) == ['0 "MULTI"', '0 "DISCARD"']
    raw(party.join(), "WATCH a", "SET a 3", "MULTI", "SET a 1", "EXEC")
    assert monitored(monitor) == ['0 "WATCH" "a"', '0 "SET" "a" "3"', '0 "MULTI"', '0 "EXEC"']
    raw(party.join(), "MULTI", "SELECT 3", "SET a 1", "BLPOP no 0", "CONFIG GET port", "EXEC")
    assert monitored(monitor) == ['0 "MULTI"', '3 "SELECT" "3"', '3 "SET" "a" "1"',
                                  '3 "BLPOP" "no" "0"', '3 "EXEC"']  # fmt: skip
    raw(party.join(), "EXEC", "DISCARD", "GET")
    assert monitored(monitor) == ['0 "EXEC"', '0 "DISCARD"']


def test_the_slow_log_has_what_ran_but_not_exec(party: Party) -> None:
    client = party.join()
    party.engine.dispatcher.slow.threshold = 0
    party.engine.dispatcher.arm()
    client.say("SLOWLOG RESET")
    transaction(client, "SET a 1", "INCR a", "BLPOP none 0")
    entries = client.say("SLOWLOG GET 20")
    assert [entry[3] for entry in entries] == [
        [b"BLPOP", b"none", b"0"], [b"INCR", b"a"], [b"SET", b"a", b"1"], [b"MULTI"],
        [b"SLOWLOG", b"RESET"],
    ]  # fmt: skip


def test_statistics_count_what_runs(party: Party) -> None:
    """As recorded from Redis 8.2.3."""
    client = party.join()
    client.say("CONFIG RESETSTAT")
    raw(client, "MULTI", "SET a 1", "INCR a", "GET", "EXEC", "MULTI", "SET a 1", "LPUSH a 1",
        "EXEC", "EXEC", "MULTI", "DISCARD")  # fmt: skip
    counts = {
        one.name: (one.calls, one.rejected, one.failed)
        for one in party.engine.dispatcher.everything()
        if one.calls or one.rejected
    }
    assert counts == {
        "set": (1, 0, 0), "get": (0, 1, 0), "discard": (1, 0, 0), "lpush": (1, 0, 1),
        "exec": (3, 0, 2), "config|resetstat": (1, 0, 0), "multi": (3, 0, 0),
    }  # fmt: skip
    assert party.engine.dispatcher.errors == {"ERR": 2, "EXECABORT": 1, "WRONGTYPE": 1}
    assert party.engine.dispatcher.error_replies == 4
    assert party.engine.dispatcher.commands_processed == 10
    histogram = client.say("LATENCY HISTOGRAM set exec multi lpush")
    assert [entry[1] for entry in histogram[1::2]] == [1, 3, 3, 1]


def test_a_list_of_clients_tells_of_transactions(party: Party) -> None:
    client, other = party.join(), party.join()

    def state() -> list[bytes]:
        line = other.say(f"CLIENT LIST ID {client.id}")
        return re.findall(rb"\b(?:flags|multi|watch|cmd)=(\S+)", line)

    say_all(client, "WATCH a b", "MULTI", "SET a 1")
    assert state() == [b"x", b"1", b"2", b"set"]
    other.say("SET b 1")
    assert state() == [b"xd", b"1", b"0", b"set"]
    client.say("GET")
    assert state() == [b"xd", b"1", b"0", b"get"]
    client.say("EXEC")
    assert state() == [b"N", b"-1", b"0", b"exec"]
    client.say("MULTI")
    client.say("CLIENT INFO")
    (line,) = client.say("EXEC")
    assert re.findall(rb"\b(?:flags|multi|watch|cmd)=(\S+)", line) == [b"x", b"1", b"0", b"exec"]
