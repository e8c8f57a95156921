"""Hashes: what is propagated and announced, and fields whose time has passed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest

from spineldb.client import INCOMPLETE, Decoder
from spineldb.core import probe_data
from spineldb.core.effects import RecordingSink
from tests.support.embedded import Embedded
from tests.support.events import heard, listening
from tests.support.wire import encoded, value

START_MS = 1_700_000_000_000
LATER_MS = START_MS + 10_000
MANY = 20_000
A_FEW = 400  # fields: what one look-up or one slice may delete at most


@pytest.fixture(name="server")
def make_server() -> Embedded:
    server = Embedded(5)
    server.keyspace.advance(START_MS)
    server.effects.expire(1_000_000)
    server.client()
    return server


def ask(server: Embedded, line: str, now_ms: int = START_MS) -> object:
    return value(server.at(now_ms, line.encode().split()))


def propagated(sink: RecordingSink) -> list[bytes]:
    """Return the requests since the last call, without SELECT and the frame."""
    decoder = Decoder()
    decoder.feed(sink.take())
    requests = iter(decoder.next, INCOMPLETE)
    return [b" ".join(one) for one in requests if one[0] not in {b"SELECT", b"MULTI", b"EXEC"}]


def fill_due(server: Embedded, count: int) -> None:
    """Have a hash of so many fields whose time passes a second later."""
    fields = [b"f%d" % number for number in range(count)]
    for at in range(0, count, 1000):
        some = fields[at : at + 1000]
        server.at(START_MS, [b"HSET", b"h", *(word for one in some for word in (one, b"7"))])
        count_of = [b"FIELDS", b"%d" % len(some)]
        server.at(START_MS, [b"HPEXPIRE", b"h", b"1000", *count_of, *some])


def listen(server: Embedded) -> Callable[[], list[str]]:
    """Return what tells every keyspace event since."""
    session = listening(server.effects)
    return lambda: [f"{key.decode()}:{event}" for _, event, key in heard(session)]


# -- B10, D18, D19 ---------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 600])
@pytest.mark.parametrize("new", ["x", "\x01"])
def test_b10_a_value_of_the_same_length_is_a_write(server: Embedded, count: int, new: str) -> None:
    sink = RecordingSink()
    ask(server, "HSET h " + " ".join(f"f{number} a" for number in range(count)))
    server.effects.add_sink(sink)
    dirty = server.effects.dirty
    assert ask(server, f"HSET h f0 {new}") == 0
    assert server.effects.dirty == dirty + 1
    assert propagated(sink) == [f"HSET h f0 {new}".encode()]
    assert ask(server, "HGET h f0") == new.encode()


def test_d18_a_count_stands_before_withvalues(server: Embedded) -> None:
    ask(server, "HSET h a 1")
    assert str(ask(server, "HRANDFIELD h WITHVALUES")) == (
        "ERR value is not an integer or out of range"
    )


@pytest.mark.parametrize(
    "setup", ["HSET h other 1", "HSET h f text", "HSET h f 9223372036854775807"]
)
@pytest.mark.parametrize("request_line", ["HINCRBY h f 1", "HINCRBYFLOAT h f 1e5000"])
def test_d19_a_refused_increment_leaves_nothing(
    server: Embedded, setup: str, request_line: str
) -> None:
    ask(server, setup)
    before = ask(server, "HGETALL h")
    reply = server.at(START_MS, request_line.encode().split())
    if reply.startswith(b"-"):
        assert ask(server, "HGETALL h") == before


def test_a_refused_increment_makes_no_key(server: Embedded) -> None:
    assert server.at(START_MS, b"HINCRBY new f x".split()).startswith(b"-")
    assert server.at(START_MS, b"HINCRBYFLOAT new f nan".split()).startswith(b"-")
    assert ask(server, "EXISTS new") == 0


# -- events and propagation ------------------------------------------------------------------------

EVENTS = [
    ("HSETEX h EX 100 FIELDS 1 a 5", "hset hexpire"),
    ("HSETEX h KEEPTTL FIELDS 1 a 5", "hset"),
    ("HSETEX h EXAT 1 FIELDS 1 a 5", "hset hdel"),
    ("HSETEX h EXAT 1 FIELDS 1 missing 5", "hset hdel"),
    ("HSETEX h EXAT 1 FIELDS 2 a 5 b 5", "hset hdel del"),
    ("HSETEX h FNX FIELDS 1 a 5", ""),
    ("HEXPIRE h 100 FIELDS 2 a x", "hexpire"),
    ("HEXPIRE h 0 FIELDS 2 a x", "hdel"),
    ("HEXPIRE h 0 FIELDS 2 a b", "hdel del"),
    ("HEXPIRE h 100 XX FIELDS 2 a b", ""),
    ("HPERSIST h FIELDS 1 a", ""),
    ("HGETEX h EX 100 FIELDS 1 a", "hexpire"),
    ("HGETEX h EXAT 1 FIELDS 2 a b", "hdel del"),
    ("HGETEX h FIELDS 1 a", ""),
    ("HGETDEL h FIELDS 2 a b", "hdel del"),
    ("HINCRBY h a 1", "hincrby"),
    ("HINCRBYFLOAT h a 1", "hincrbyfloat"),
]


@pytest.mark.parametrize(("line", "events"), EVENTS)
def test_what_is_announced(server: Embedded, line: str, events: str) -> None:
    ask(server, "HSET h a 1 b 2")
    events_since = listen(server)
    ask(server, line)
    assert events_since() == [f"h:{event}" for event in events.split()]


def test_setting_in_the_past_announces_a_key_that_never_was(server: Embedded) -> None:
    sink = RecordingSink()
    server.effects.add_sink(sink)
    events_since = listen(server)
    assert ask(server, "HSETEX new EXAT 1 FIELDS 1 a 1") == 1
    assert events_since() == ["new:new", "new:hset", "new:hdel", "new:del"]
    assert propagated(sink) == []


PROPAGATED = [
    ("HSETEX h EX 100 FIELDS 1 a 5", "HSETEX h PXAT 1700000100000 FIELDS 1 a 5"),
    ("HSETEX h XX FNX KEEPTTL FIELDS 1 c 5", "HSETEX h KEEPTTL FIELDS 1 c 5"),
    ("HSETEX h XX FIELDS 1 c 5", "HSETEX h FIELDS 1 c 5"),
    ("HSETEX h EXAT 1 FIELDS 2 a 5 c 6", "HDEL h a"),
    ("HEXPIRE h 100 NX FIELDS 2 a x", "HPEXPIREAT h 1700000100000 FIELDS 1 a"),
    ("HEXPIRE h 0 FIELDS 2 a x", "HDEL h a"),
    ("HGETEX h PX 100 FIELDS 2 a x", "HPEXPIREAT h 1700000000100 FIELDS 1 a"),
    ("HGETEX h PERSIST FIELDS 2 t x", "HPERSIST h FIELDS 1 t"),
    ("HGETDEL h FIELDS 2 a x", "HDEL h a"),
    ("HINCRBYFLOAT h a 0.5", "HSET h a 1.5"),
    ("HINCRBYFLOAT h t 0.5", "HSETEX h KEEPTTL FIELDS 1 t 3.5"),
    ("HGETEX h FIELDS 1 a", ""),
    ("HEXPIRE h 100 XX FIELDS 1 a", ""),
]


@pytest.mark.parametrize(("line", "told"), PROPAGATED)
def test_what_is_propagated(server: Embedded, line: str, told: str) -> None:
    ask(server, "HSET h a 1 b 2 t 3")
    ask(server, "HEXPIRE h 50 FIELDS 1 t")
    sink = RecordingSink()
    server.effects.add_sink(sink)
    ask(server, line)
    assert propagated(sink) == ([told.encode()] if told else [])


# -- fields whose time has passed ------------------------------------------------------------------


READS = [
    ("HGET h f5", None),
    ("HEXISTS h f5", 0),
    ("HLEN h", 0),
    ("HGETALL h", []),
    ("HKEYS h", []),
    ("HVALS h", []),
    ("HMGET h f1 f2", [None, None]),
    ("HSTRLEN h f9", 0),
    ("HRANDFIELD h", None),
    ("HRANDFIELD h 5", []),
    ("HRANDFIELD h -5 WITHVALUES", []),
    ("HTTL h FIELDS 1 f5", [-2]),
    ("HPERSIST h FIELDS 1 f5", [-2]),
    ("HEXPIRE h 100 FIELDS 1 f5", [-2]),
    ("HGETDEL h FIELDS 1 f5", [None]),
    ("HGETEX h PERSIST FIELDS 1 f5", [None]),
    ("HSETEX h FXX FIELDS 1 f5 1", 0),
    ("HDEL h f19999", 0),
]


@pytest.mark.parametrize(("line", "reply"), READS)
def test_a_look_up_hides_all_and_deletes_a_few(server: Embedded, line: str, reply: object) -> None:
    fill_due(server, MANY)
    assert ask(server, line, LATER_MS) == reply
    assert 0 < server.effects.expired_fields < A_FEW
    assert probe_data.faults(server.keyspace) == []


WRITES = [
    ("HSET h f19999 1", 1, b"1"),
    ("HMSET h f19999 1", "OK", b"1"),
    ("HSETNX h f19999 1", 1, b"1"),
    ("HINCRBY h f19999 1", 1, b"1"),
    ("HINCRBYFLOAT h f19999 1", b"1", b"1"),
    ("HSETEX h FNX FIELDS 1 f19999 1", 1, b"1"),
    ("HSETEX h KEEPTTL FIELDS 1 f19999 1", 1, b"1"),
]


@pytest.mark.parametrize(("line", "reply", "text"), WRITES)
def test_a_field_that_is_written_was_not_there(
    server: Embedded, line: str, reply: object, text: bytes
) -> None:
    fill_due(server, MANY)
    sink = RecordingSink()
    server.effects.add_sink(sink)
    assert ask(server, line, LATER_MS) == reply
    told = propagated(sink)
    assert any(b" f19999" in one for one in told[:-1] if one.startswith(b"HDEL"))
    assert ask(server, "HGET h f19999", LATER_MS) == text
    assert ask(server, "HTTL h FIELDS 1 f19999", LATER_MS) == [-1]
    assert ask(server, "HLEN h", LATER_MS) == 1
    assert server.effects.expired_fields < 2 * A_FEW


def slices(server: Embedded) -> Iterator[int]:
    """Delete what is due without ever having time; yield how many fields each turn took."""
    done = server.effects.expired_fields
    now_ms = LATER_MS
    while len(server.keyspace.databases[0]):
        server.effects.expire(0)
        yield server.effects.expired_fields - done
        done = server.effects.expired_fields
        now_ms += 16
        server.keyspace.advance(now_ms)


def test_fields_due_at_once_go_in_slices(server: Embedded) -> None:
    fill_due(server, MANY)
    server.keyspace.advance(LATER_MS)
    taken = list(slices(server))
    assert sum(taken) == MANY
    assert max(taken) < A_FEW
    server.rest()
    assert probe_data.faults(server.keyspace) == []


def test_what_a_replica_is_told_empties_its_hash_as_well(server: Embedded) -> None:
    fill_due(server, 3000)
    sink = RecordingSink()
    server.effects.add_sink(sink)
    server.keyspace.advance(LATER_MS)
    for line in ("HGET h f1", "HSET h f2999 new", "HDEL h f2 f3"):
        ask(server, line, LATER_MS)
    server.effects.expire(1_000_000)
    replica = Embedded(6)
    replica.client()
    fill_due(replica, 3000)
    replica.keyspace.applying = True
    for request in propagated(sink):
        replica.at(LATER_MS, request.split())
    replica.keyspace.applying = False
    replica.keyspace.advance(LATER_MS)
    assert replica.contents() == server.contents()


@pytest.mark.parametrize("line", ["HDEL h {0}", "HSET h {0} v", "HPERSIST h FIELDS 1 {0}"])
def test_deadlines_taken_away_long_before_leave_nothing(server: Embedded, line: str) -> None:
    """What still waits for their time is forgotten, too."""
    ask(server, "HSET h " + " ".join(f"stays{number} v" for number in range(600)))
    ask(server, "HEXPIRE h 86400 FIELDS 2 stays1 stays2")
    ask(server, "HSETEX h EX 900000 FIELDS 300 " + " ".join(f"g{n} v" for n in range(300)))
    used = server.keyspace.used_memory
    for number in range(30_000):
        ask(server, f"HSETEX h EX {80_000 + number % 100} FIELDS 1 f{number % 50} v")
        ask(server, line.format(f"f{number % 50}"))
        if number % 1000 == 0:
            server.keyspace.renew_wheels()
            server.rest()
    server.keyspace.renew_wheels()
    server.rest()
    assert server.keyspace.used_memory < used + 60_000
    assert probe_data.faults(server.keyspace) == []
    server.keyspace.advance(START_MS + 86_400_016)
    server.rest()
    assert ask(server, "HMGET h stays1 stays3 g5", START_MS + 86_400_016) == [None, b"v", b"v"]
    server.check_end()


@pytest.mark.parametrize("seed", range(6))
def test_a_scan_returns_every_field_that_stays(server: Embedded, seed: int) -> None:
    """Others come, go and expire between its calls, so that the table grows and shrinks."""
    chance = random.Random(seed)
    stays = {f"stays{number}".encode() for number in range(chance.choice((100, 1000, 5000)))}
    ask(server, "HSET h " + " ".join(f"{name.decode()} v" for name in sorted(stays)))
    seen: set[bytes] = set()
    cursor, now_ms = b"0", START_MS
    while True:
        now_ms += chance.choice((0, 10, 2000))
        reply = ask(server, f"HSCAN h {cursor.decode()} COUNT {chance.randrange(1, 60)}", now_ms)
        assert isinstance(reply, list)
        cursor = reply[0]
        seen.update(reply[1][::2])
        if cursor == b"0":
            break
        first, count = chance.randrange(5000), chance.randrange(1, 1500)
        others = [f"other{number}" for number in range(first, first + count)]
        pairs = " ".join(f"{name} v" for name in others)
        if chance.random() < 0.5:
            span = chance.choice((1, 500, 100_000))
            ask(server, f"HSETEX h PX {span} FIELDS {count} {pairs}", now_ms)
        else:
            ask(server, f"HDEL h {' '.join(others)}", now_ms)
        server.keyspace.advance(now_ms)
        server.effects.expire(chance.choice((0, 1_000_000)))
    assert stays <= seen


# -- big values ------------------------------------------------------------------------------------


def test_a_deadline_takes_no_copy_of_a_big_value(server: Embedded) -> None:
    big = b"v" * 500_000
    assert value(server.feed(encoded([b"HSET", b"h", b"big", big, b"small", b"1"]))) == 2
    blocks = server.keyspace.block_memory
    probe_data.fail_allocation(server.keyspace, 6)  # wheels, a chunk in each, an element
    for line in ("HEXPIRE h 100 FIELDS 1 big", "HPERSIST h FIELDS 1 big"):
        assert ask(server, line) == [1]
    assert probe_data.failure_pending(server.keyspace)
    probe_data.fail_allocation(server.keyspace, 0)
    assert server.keyspace.block_memory == blocks
    assert ask(server, "HGET h big") == big
    server.check_end()


def test_big_values_come_whole_out_of_a_scan(server: Embedded) -> None:
    values = {b"f%d" % number: b"%d" % number * 90_000 for number in range(5)}
    for name, text in values.items():
        server.feed(encoded([b"HSET", b"h", name, text]))
    cursor, listed = server.ask("HSCAN", "h", 0, "COUNT", 1000)
    assert cursor == b"0"
    assert dict(zip(listed[::2], listed[1::2], strict=True)) == values
    drawn = server.ask("HRANDFIELD", "h", -3, "WITHVALUES")
    assert all(values[name] == text for name, text in zip(drawn[::2], drawn[1::2], strict=True))
    assert server.feed(encoded([b"HRANDFIELD", b"h", b"-100", b"WITHVALUES"])).startswith(b"-")
    server.check_end()


def test_no_reply_is_made_of_an_announced_number(server: Embedded) -> None:
    ask(server, "HSET h a 1")
    for count in (-(2**63) + 1, -(2**62), -(10**7)):
        assert server.at(START_MS, f"HRANDFIELD h {count}".encode().split()).startswith(b"-ERR")


@pytest.mark.parametrize("size", [9, 300])
@pytest.mark.parametrize("count", [None, -3, 2, 8])
def test_random_fields_are_fair(server: Embedded, size: int, count: int | None) -> None:
    ask(server, "HSET h " + " ".join(f"f{number} v" for number in range(size)))
    rounds = 200 * size // abs(count or 1)
    seen: dict[bytes, int] = {}
    for _ in range(rounds):
        drawn = server.ask("HRANDFIELD", "h", *([] if count is None else [count]))
        for name in drawn if isinstance(drawn, list) else [drawn]:
            seen[name] = seen.get(name, 0) + 1
    mean = rounds * abs(count or 1) / size
    assert len(seen) == size
    assert sum((one - mean) ** 2 / mean for one in seen.values()) < size + 6 * (2 * size) ** 0.5
