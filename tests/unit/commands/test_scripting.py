"""EVAL and its relatives, SCRIPT, and what scripts propagate, on an engine without sockets."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from spineldb.core.connection import Network
from spineldb.core.effects import RecordingSink
from spineldb.scripting import scripts
from spineldb.server.composition import compose
from tests.support.composed import decoded

GET = "return redis.call('GET', KEYS[1])"
GET_SHA = b"d3c21d0c2b9ca22f82737626a27bcaf5d288f99f"


class Subject:
    """An engine with every family, one client of it, and its stream of effects."""

    def __init__(self) -> None:
        self.engine = compose(seed=bytes(16))
        self.dispatcher = self.engine.dispatcher
        self.client = Network(self.dispatcher).connect("127.0.0.1:1")
        self.sink = RecordingSink()
        self.engine.effects.add_sink(self.sink)

    def raw(self, *words: bytes | str | int) -> bytes:
        """Send a request; return its reply."""
        argv = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        self.dispatcher.execute_argv(self.client, argv)
        return self.client.take_output()

    def ask(self, *words: bytes | str | int) -> Any:
        """Send a request; return its reply, an error as its text."""
        (reply,) = decoded(self.raw(*words))
        return str(reply) if isinstance(reply, Exception) else reply

    def propagated(self) -> list[bytes]:
        """Return the requests of the stream since the last call, each as one line."""
        return [b" ".join(request) for request in decoded(self.sink.take())]


@pytest.fixture
def db() -> Subject:
    return Subject()


def test_a_script_calls_commands(db: Subject) -> None:
    assert db.ask("SET", "k", "v") == "OK"
    assert db.ask("EVAL", GET, 1, "k") == b"v"
    assert db.ask("EVAL", "return {KEYS[1], ARGV[1], #KEYS, #ARGV}", 1, "a", "b") == [
        b"a",
        b"b",
        1,
        1,
    ]


def test_compare_and_set_works_under_each_name(db: Subject) -> None:
    for name in ("redis", "spineldb", "spinel", "server"):
        db.ask("SET", "k", "old")
        body = (
            f"if {name}.call('GET', KEYS[1]) == ARGV[1] then return {name}.call('SET', KEYS[1], "
            "ARGV[2]) else return 0 end"
        )
        assert db.ask("EVAL", body, 1, "k", "old", "new") == "OK"
        assert db.ask("EVAL", body, 1, "k", "old", "newer") == 0
        assert db.ask("GET", "k") == b"new"


def test_a_script_is_known_by_its_sha1(db: Subject) -> None:
    assert db.ask("EVALSHA", GET_SHA, 1, "k") == "NOSCRIPT No matching script. Please use EVAL."
    assert db.ask("SCRIPT", "LOAD", GET) == GET_SHA
    db.ask("SET", "k", "v")
    assert db.ask("EVALSHA", GET_SHA, 1, "k") == b"v"
    assert db.ask("EVALSHA", GET_SHA.upper(), 1, "k") == b"v"
    assert db.ask("SCRIPT", "EXISTS", GET_SHA, "nope") == [1, 0]
    assert db.ask("SCRIPT", "SHOW", GET_SHA) == GET.encode()
    assert db.ask("SCRIPT", "FLUSH") == "OK"
    assert db.ask("SCRIPT", "EXISTS", GET_SHA) == [0]
    assert db.ask("SCRIPT", "FLUSH", "NEVER") == "ERR SCRIPT FLUSH only support SYNC|ASYNC option"


def test_eval_keeps_what_it_ran_up_to_a_bound(db: Subject, monkeypatch: Any) -> None:
    monkeypatch.setattr(scripts, "EVALUATED_MAX", 10)
    db.ask("SCRIPT", "LOAD", GET)
    for number in range(30):
        assert db.ask("EVAL", f"return {number}", 0) == number
    library = db.engine.scripts
    assert len(library.known) == 11
    assert library.evicted == 20
    assert db.ask("SCRIPT", "EXISTS", GET_SHA) == [1]
    assert library.runner is not None
    assert library.runner.state.scripts == 11


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (("EVAL", "return 1", "x"), "ERR value is not an integer or out of range"),
        (("EVAL", "return 1", 1), "ERR Number of keys can't be greater than number of args"),
        (("EVAL", "return 1", -1), "ERR Number of keys can't be negative"),
        (("EVAL", "return 1 1", 0), "ERR Error compiling script (new function): user_script:1: "),
        (
            ("EVAL", "redis.call('nope')", 0),
            "ERR Unknown Redis command called from script script: ",
        ),
        (("EVAL", "redis.call('get')", 0), "ERR Wrong number of args calling Redis command from "),
        (("EVAL", "redis.call('eval', 'x', 0)", 0), "ERR This Redis command is not allowed from s"),
        (("EVAL", "redis.call('multi')", 0), "ERR This Redis command is not allowed from script s"),
        (("EVAL", "redis.call('client', 'nope')", 0), "ERR Unknown Redis command called from scri"),
        (("EVAL_RO", "redis.call('set', 'a', 'b')", 0), "ERR Write commands are not allowed from"),
        (("EVAL", "#!lua flags=no-writes\nredis.call('del', 'a')", 0), "ERR Write commands are no"),
        (("EVAL", "#!lua flags=nope\nreturn 1", 0), "ERR Unexpected flag in script shebang: nope"),
        (("EVAL", "#!lua x=1\nreturn 1", 0), "ERR Unknown lua shebang option: x=1"),
        (("EVAL", "#!luax\nreturn 1", 0), "ERR Unexpected engine in script shebang: #!luax"),
        (("EVAL", "#!lua", 0), "ERR Invalid script shebang"),
        (("SCRIPT", "KILL"), "NOTBUSY No scripts in execution right now."),
        (
            ("EVAL", "redis.call('incr', KEYS[1])", 1, "list"),
            "WRONGTYPE Operation against a key ho",
        ),
    ],
)
def test_is_refused(db: Subject, request_: tuple[str | int, ...], said: str) -> None:
    db.ask("RPUSH", "list", "x")
    assert db.ask(*request_).startswith(said)
    assert db.ask("EVAL", "return 1", 0) == 1
    assert db.ask("DBSIZE") == 1


def test_what_a_script_changes_travels_as_one_unit(db: Subject) -> None:
    db.ask("SADD", "set", "only")
    db.propagated()
    body = "redis.call('INCR', 'n') redis.call('SPOP', 'set') return redis.call('GET', 'n')"
    assert db.ask("EVAL", body, 0) == b"1"
    told = db.propagated()
    assert told[0] == b"MULTI"
    assert told[1] == b"INCR n"
    assert told[2] in (b"SREM set only", b"DEL set")
    assert told[3] == b"EXEC"
    db.ask("EVAL", "redis.call('SET', 'a', 'b')", 0)
    assert db.propagated() == [b"SET a b"]
    db.ask("EVAL", "return redis.call('GET', 'a')", 0)
    assert db.propagated() == []


def test_a_script_that_fails_halfway_propagates_what_it_did(db: Subject) -> None:
    reply = db.ask("EVAL", "redis.call('SET', 'a', 1) redis.call('LPUSH', 'a', 1)", 0)
    assert reply.startswith("WRONGTYPE ")
    assert db.propagated()[-1] == b"SET a 1"
    assert db.ask("GET", "a") == b"1"


def test_a_select_is_the_script_s_own(db: Subject) -> None:
    db.ask("EVAL", "redis.call('SELECT', 3) redis.call('SET', 'k', 'v')", 0)
    assert db.ask("GET", "k") is None
    told = db.propagated()
    assert told[told.index(b"SET k v") - 1] == b"SELECT 3"
    db.ask("SELECT", 3)
    assert db.ask("GET", "k") == b"v"


def test_nobody_waits_in_a_script(db: Subject) -> None:
    assert db.ask("EVAL", "return redis.call('BLPOP', 'no', 0)", 0) is None
    assert db.ask("EVAL", "return tostring(redis.call('BLPOP', 'no', 0))", 0) == b"false"


def test_resp3_reaches_a_script_that_asks_for_it(db: Subject) -> None:
    db.ask("HSET", "h", "f", "v")
    body = "redis.setresp(3) return redis.call('HGETALL', 'h').map.f"
    assert db.ask("EVAL", body, 0) == b"v"
    assert db.ask("EVAL", "return redis.call('HGETALL', 'h')", 0) == [b"f", b"v"]


def test_scripts_run_within_transactions(db: Subject) -> None:
    db.ask("MULTI")
    db.ask("SET", "k", 1)
    db.ask("EVAL", "return redis.call('INCR', 'k')", 0)
    assert db.ask("EXEC") == ["OK", 2]
    assert [line for line in db.propagated() if b"k" in line] == [b"SET k 1", b"INCR k"]


def test_big_values_pass_through_scripts(db: Subject) -> None:
    big = b"x" * 200_000
    db.ask("SET", "big", big)
    assert db.ask("EVAL", "return #redis.call('GET', 'big')", 0) == 200_000
    assert db.ask("EVAL", "return redis.call('GET', 'big')", 0) == big
    assert db.ask("EVAL", "return {1, redis.call('MGET', 'big', 'big')}", 0) == [1, [big, big]]


def test_a_loop_ends_at_its_time(db: Subject) -> None:
    assert db.ask("CONFIG", "SET", "safety.script_timeout_ms", 50) == "OK"
    assert db.ask("EVAL", "while true do end", 0).startswith("ERR Script timed out")
    assert db.ask("EVAL", "return 1", 0) == 1


def test_memory_ends_at_its_limit(db: Subject) -> None:
    assert db.ask("EVAL", "return ('x'):rep(600e6)", 0) == "OOM script memory limit exceeded"


def test_what_expired_is_deleted_with_the_script_s_effects(db: Subject) -> None:
    db.ask("SET", "k", "v", "PXAT", 1)
    db.propagated()
    assert db.ask("EVAL", "return redis.call('EXISTS', 'k')", 0) == 0


def test_commands_within_scripts_are_counted(db: Subject) -> None:
    before = db.dispatcher.lookup(b"ping").calls
    db.ask("EVAL", "for i = 1, 10 do redis.call('PING') end", 0)
    assert db.dispatcher.lookup(b"ping").calls == before + 10
    with contextlib.suppress(KeyError):
        assert db.dispatcher.errors["ERR"] >= 0


def test_without_room_a_script_may_not_begin_to_write(db: Subject) -> None:
    db.ask("SET", "k", "v")
    db.propagated()
    db.dispatcher.limit_memory(1)
    refused = "OOM command not allowed when used memory > 'maxmemory'."
    assert db.ask("EVAL", "return redis.call('SET', 'a', 'b')", 0).startswith(refused)
    assert db.ask("EVAL", "return redis.call('GET', 'k')", 0) == b"v"
    assert db.ask("EVAL", "redis.call('DEL', 'k') return redis.call('SET', 'a', 'b')", 0) == "OK"
    assert db.ask("EVAL", "#!lua flags=allow-oom\nreturn redis.call('SET', 'a', 'c')", 0) == "OK"
    assert db.propagated() == [b"MULTI", b"DEL k", b"SET a b", b"EXEC", b"SET a c"]


def test_what_is_evicted_for_a_script_travels_before_it(db: Subject) -> None:
    for number in range(100):
        db.ask("SET", f"k{number}", b"x" * 2000)
    db.engine.eviction.follow("allkeys-random", 5)
    used = db.engine.keyspace.used_memory
    db.propagated()
    db.dispatcher.limit_memory(used - 10_000)
    assert db.ask("EVAL", "return redis.call('SET', 'new', 'value')", 0) == "OK"
    told = db.propagated()
    assert told[-1] == b"SET new value"
    assert all(line.startswith((b"DEL ", b"UNLINK ")) for line in told[:-1])
