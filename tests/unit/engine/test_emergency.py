"""Emergency read-only mode: how it begins, what it refuses, what it lets pass."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from spineldb.config.settings import Settings
from spineldb.core import strings
from spineldb.core.effects import RecordingSink
from spineldb.engine.command import DELETE, DENYOOM, READONLY, RO, UPDATE, WRITE, Family
from spineldb.engine.context import Context
from spineldb.engine.keyspecs import Keys
from spineldb.engine.reply import Reply
from spineldb.observability.logging import configure
from tests.support.several import NOTHING, Guest, Party

REFUSED = "READONLY Server is in emergency read-only mode due to a critical propagation failure."
NOT_PROPAGATED = (
    "ERR CRITICAL: Write operation could not be safely propagated. Server entering read-only mode."
)

family = Family("generic")


@family.command("BREAK key when", WRITE | DENYOOM, keys=Keys(1, 1), key=UPDATE, since="5.0.0")
def break_(ctx: Context, key: bytes, when: bytes) -> Reply:
    """Fail by a bug of ours, before or after the change. O(1)."""
    if when == b"before":
        raise ZeroDivisionError
    strings.put(ctx.db, key, b"half")
    ctx.changed(key, "set")
    if when == b"memory":
        raise MemoryError
    if when == b"refusing":
        ctx.wait([key], 0, otherwise=None)
        raise RuntimeError
    raise ZeroDivisionError


@family.command("PEEK key", READONLY, key=RO, since="5.0.0")
def peek(ctx: Context, key: bytes) -> Reply:
    """Fail by a bug of ours in a command that only reads. O(1)."""
    raise LookupError(strings.get(ctx.db, key))


@family.command("HOLD key", WRITE, key=DELETE, since="5.0.0")
def hold(ctx: Context, key: bytes) -> object:
    """Wait for a key and take it. O(1)."""
    if key not in ctx.db:
        return ctx.wait([key], 0, otherwise=None)
    ctx.db.delete(key)
    ctx.changed(key, "del")
    return 1


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    output = configure(stream=stream)
    yield stream
    output.close()


@pytest.fixture
def party() -> Party:
    settings = Settings()
    settings.debug.enable_debug_command = "yes"
    return Party(family, settings=settings)


@pytest.fixture
def client(party: Party) -> Guest:
    client = party.join()
    client.say("SET k before")
    return client


def info(party: Party) -> dict[str, object]:
    return dict(party.engine.emergency.info())


def test_a_bug_before_the_change_is_an_internal_error(
    party: Party, client: Guest, log: io.StringIO
) -> None:
    assert client.say("BREAK k before") == "ERR internal error"
    assert client.say("PEEK k") == "ERR internal error"
    assert client.say("SET k after") == "OK"  # the connection is kept, and writes go on
    assert party.engine.dispatcher.internal_errors == 2
    assert party.engine.dispatcher.errors == {"ERR": 2}
    assert "ZeroDivisionError" in log.getvalue()
    assert "command=peek" in log.getvalue()
    assert info(party) == {"emergency_read_only_mode": 0}


@pytest.mark.parametrize("when", ["after", "memory", "refusing"])
def test_a_bug_after_the_change_is_an_emergency(party: Party, client: Guest, when: str) -> None:
    assert client.say(f"BREAK k {when}") == NOT_PROPAGATED
    assert client.say("GET k") == b"half"  # the memory is the truth
    assert client.say("SET k after") == REFUSED
    assert client.say("GET k") == b"half"
    assert info(party)["emergency_read_only_mode"] == 1


def test_a_failed_propagation_is_an_emergency(party: Party, client: Guest) -> None:
    assert client.say("DEBUG FAIL-PROPAGATION 1") == "OK"
    assert client.say("GET k") == b"before"
    assert client.say("SET k after") == NOT_PROPAGATED
    assert client.say("GET k") == b"after"
    assert client.say("SET k again") == REFUSED
    assert party.engine.dispatcher.errors == {"ERR": 1, "READONLY": 1}


def test_a_deletion_for_expiry_that_is_not_propagated_is_an_emergency(
    party: Party, client: Guest
) -> None:
    party.engine.effects.add_sink(RecordingSink())
    client.say("SET short v PXAT 1")
    client.say("SET k v PX 1")
    party.engine.effects.fail_next = 1
    while client.say("GET k") == b"v":
        pass
    assert info(party)["emergency_read_only_mode"] == 1
    assert client.say("SET x y") == REFUSED


def test_info_and_the_log_say_what_happened_but_no_values(
    party: Party, client: Guest, log: io.StringIO
) -> None:
    client.say("DEBUG FAIL-PROPAGATION 1")
    client.ask("MSET", "a", "secret", "b", "secret", "c", "secret", "new\nline", "secret")
    shown = info(party)
    assert list(shown) == [
        "emergency_read_only_mode",
        "emergency_read_only_since",
        "emergency_read_only_reason",
        "emergency_trigger_command",
        "emergency_dataset_persisted",
        "emergency_replicas_diverged",
    ]
    assert shown["emergency_trigger_command"] == "mset a b c"
    (line,) = [line for line in log.getvalue().splitlines() if "CRITICAL" in line]
    for part in ("mset a b c", "db=0", f"{client.id} 127.0.0.1:1", "InjectedFault", "offset=0"):
        assert part in line
    assert "secret" not in log.getvalue()


def test_there_is_one_critical_line_whatever_follows(
    party: Party, client: Guest, log: io.StringIO
) -> None:
    client.say("DEBUG EMERGENCY first")
    client.say("DEBUG EMERGENCY second")
    lines = log.getvalue().splitlines()
    assert sum("CRITICAL" in line for line in lines) == 1
    assert sum(" ERROR " in line for line in lines) == 1
    assert info(party)["emergency_read_only_reason"] == "first"


def test_the_reason_is_one_line(party: Party, client: Guest) -> None:
    client.ask("DEBUG", "EMERGENCY", "two\r\nlines")
    assert info(party)["emergency_read_only_reason"] == "two lines"


@pytest.mark.parametrize(
    "line",
    [
        "SET k v", "DEL k", "EXPIRE k 10", "INCR n", "RENAME k j", "COPY k j", "MOVE k 1",
        "SWAPDB 0 1", "FLUSHALL", "FLUSHDB", "GETDEL k", "GETEX k PERSIST", "SETBIT k 1 1",
        "BITOP NOT j k", "BITFIELD k SET u8 0 1", "UNLINK k", "PERSIST k", "HOLD k",
        "SORT l STORE d", "SORT l BY nosort STORE a STORE b", "HGETEX h PERSIST FIELDS 1 f",
        "GEORADIUS g 1 1 1 m STORE d", "GEORADIUSBYMEMBER g a 1 m STOREDIST d", "PFADD p a",
        "PFMERGE p k", "RPUSH l x", "HEXPIRE h 10 FIELDS 1 f", "BLPOP l 0", "XADD x * f v",
    ],
)  # fmt: skip
def test_writes_are_refused(client: Guest, line: str) -> None:
    client.say("DEBUG EMERGENCY now")
    assert client.say(line) == REFUSED
    assert client.say("GET k") == b"before"


@pytest.mark.parametrize(
    "line",
    [
        "PING", "GET k", "GETEX k", "BITFIELD k GET u8 0", "TOUCH k", "OBJECT ENCODING k",
        "EXISTS k", "TTL k", "CONFIG SET timeout 0", "CONFIG GET timeout", "CLIENT LIST",
        "ROLE", "LATENCY LATEST", "SLOWLOG GET", "MEMORY USAGE k", "DEBUG DIGEST", "SCAN 0",
        "SORT l", "SORT l BY w_* GET # ALPHA", "SORT_RO l", "HGETEX h FIELDS 1 f", "PFCOUNT p",
        "GEORADIUS g 1 1 1 m", "GEORADIUSBYMEMBER_RO g a 1 m", "HGETALL h", "LRANGE l 0 -1",
    ],
)  # fmt: skip
def test_what_reads_or_administers_goes_on(client: Guest, line: str) -> None:
    client.say("DEBUG EMERGENCY now")
    reply = client.say(line)
    assert not str(reply).startswith(("READONLY", "ERR"))


def test_nothing_expires_while_the_mode_lasts(party: Party, client: Guest) -> None:
    client.say("SET gone v PX 1")
    client.say("DEBUG EMERGENCY now")
    while client.say("GET gone") is not None:
        pass
    assert client.say("EXISTS gone") == 0
    party.engine.effects.expire(1_000_000)
    assert party.engine.effects.expired_keys == 0
    assert client.say("DBSIZE") == 2


def test_nothing_but_a_restart_ends_it(client: Guest) -> None:
    client.say("DEBUG EMERGENCY now")
    client.say("DEBUG FAIL-PROPAGATION 0")
    client.say("CONFIG RESETSTAT")
    client.say("CLIENT UNPAUSE")
    client.say("RESET")
    assert client.say("SET k v") == REFUSED


def test_clients_that_wait_to_write_are_answered(party: Party, client: Guest) -> None:
    waiter = party.join()
    assert waiter.say("HOLD missing") == NOTHING
    client.say("DEBUG EMERGENCY now")
    assert waiter.hear() == REFUSED
    assert party.engine.blocking.blocked_clients == 0


def test_a_hand_over_that_fails_is_answered_once(party: Party, client: Guest) -> None:
    first, second = party.join(), party.join()
    first.say("HOLD key")
    second.say("HOLD key")
    party.engine.effects.fail_next = 0
    client.say("SET other x")
    party.engine.effects.fail_next = 1
    strings.put(party.engine.keyspace.databases[0], b"key", b"v")
    party.engine.effects.touched(party.engine.keyspace.databases[0], b"key")
    client.say("PING")
    assert [first.hear(), first.hear()] == [NOT_PROPAGATED, NOTHING]
    assert [second.hear(), second.hear()] == [REFUSED, NOTHING]


def test_gates_are_asked_in_their_order(party: Party) -> None:
    settings = party.engine.settings
    settings.set([(b"requirepass", b"secret")], local=True)
    client = party.join()
    party.engine.emergency.enter(None, None, [], "test")
    party.engine.dispatcher.limit_memory(1)
    assert client.say("SET k") == "ERR wrong number of arguments for 'set' command"
    assert client.say("SET k v") == "NOAUTH Authentication required."
    assert client.say("AUTH secret") == "OK"
    assert client.say("SET k v") == REFUSED
    assert client.say("GET k") is None
    other = Party()
    other.engine.dispatcher.limit_memory(1)
    assert other.join().say("SET k v") == (
        "OOM command not allowed when used memory > 'maxmemory'."
    )
