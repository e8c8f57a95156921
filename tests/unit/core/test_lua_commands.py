"""What scripts call, and how replies come and go, in both protocols; libraries of functions."""

from __future__ import annotations

import hashlib
import random
from typing import Any

import pytest

from spineldb.core import lua_api
from spineldb.core.lua_api import LuaMissing
from spineldb.core.lua_state import LuaError, LuaState
from spineldb.core.probe_lua import Scripts
from spineldb.core.sha1 import sha1

SEEN = [  # a reply, the protocol it is made for, what a script makes of it
    (b"+OK\r\n", 2, "return r.ok", b"$2\r\nOK\r\n"),
    (b"-ERR no\r\n", 2, "return r.err", b"$6\r\nERR no\r\n"),
    (b":12\r\n", 2, "return r + 1", b":13\r\n"),
    (b"$3\r\na\0b\r\n", 2, "return r", b"$3\r\na\0b\r\n"),
    (b"$-1\r\n", 2, "return tostring(r)", b"$5\r\nfalse\r\n"),
    (b"*-1\r\n", 2, "return tostring(r)", b"$5\r\nfalse\r\n"),
    (b"*0\r\n", 2, "return #r", b":0\r\n"),
    (b"*3\r\n:1\r\n$-1\r\n*1\r\n+x\r\n", 2, "return {#r, tostring(r[2]), r[3][1].ok}",
     b"*3\r\n:3\r\n$5\r\nfalse\r\n$1\r\nx\r\n"),
    (b"_\r\n", 3, "return tostring(r)", b"$3\r\nnil\r\n"),
    (b"#t\r\n", 3, "return tostring(r)", b"$4\r\ntrue\r\n"),
    (b",1.5\r\n", 3, "return tostring(r.double)", b"$3\r\n1.5\r\n"),
    (b",inf\r\n", 3, "return tostring(r.double)", b"$3\r\ninf\r\n"),
    (b"(123\r\n", 3, "return r.big_number", b"$3\r\n123\r\n"),
    (b"=5\r\ntxt:a\r\n", 3, "return {r.verbatim_string.format, r.verbatim_string.string}",
     b"*2\r\n$3\r\ntxt\r\n$1\r\na\r\n"),
    (b"%2\r\n+a\r\n:1\r\n$1\r\nb\r\n:2\r\n", 3, "return r.map.b", b":2\r\n"),
    (b"~2\r\n$1\r\na\r\n$1\r\nb\r\n", 3, "return tostring(r.set.b)", b"$4\r\ntrue\r\n"),
]  # fmt: skip

WRITTEN = [  # what a script returns, as RESP2 and as RESP3
    ("1", b":1\r\n", b":1\r\n"),
    ("nil", b"$-1\r\n", b"_\r\n"),
    ("true", b":1\r\n", b":1\r\n"),
    ("false", b"$-1\r\n", b"_\r\n"),
    ("{double=0.1}", b"$3\r\n0.1\r\n", b",0.1\r\n"),
    ("{map={a=1}}", b"*2\r\n$1\r\na\r\n:1\r\n", b"%1\r\n$1\r\na\r\n:1\r\n"),
    ("{set={a=true}}", b"*1\r\n$1\r\na\r\n", b"~1\r\n$1\r\na\r\n"),
    ("{big_number='12\\r3'}", b"$4\r\n12 3\r\n", b"(12 3\r\n"),
    ("{verbatim_string={format='mkd', string='x'}}", b"$1\r\nx\r\n", b"=5\r\nmkd:x\r\n"),
    ("{verbatim_string={format='long', string='x'}}", b"$1\r\nx\r\n", b"=5\r\nlon:x\r\n"),
    ("{err='X y'}", b"-X y\r\n", b"-X y\r\n"),
    ("{1, {ok='x'}, {2}}", b"*3\r\n:1\r\n+x\r\n*1\r\n:2\r\n", b"*3\r\n:1\r\n+x\r\n*1\r\n:2\r\n"),
]  # fmt: skip


@pytest.mark.parametrize(("reply", "protocol", "body", "answer"), SEEN)
def test_a_script_sees_a_reply(reply: bytes, protocol: int, body: str, answer: bytes) -> None:
    state = Scripts(command=lambda _argv, seen: bytearray(reply) if seen == protocol else None)
    prefix = f"redis.setresp({protocol}) local r = redis.pcall('x') "
    assert state.eval(prefix + body) == answer


@pytest.mark.parametrize(("value", "resp2", "resp3"), WRITTEN)
def test_a_client_sees_a_value(value: str, resp2: bytes, resp3: bytes) -> None:
    state = Scripts()
    assert state.eval(f"return {value}") == resp2
    assert state.eval(f"return {value}", protocol=3) == resp3


def test_booleans_are_booleans_once_a_script_speaks_resp3() -> None:
    state = Scripts()
    body = "redis.setresp(3) return {true, false}"
    assert state.eval(body) == b"*2\r\n:1\r\n:0\r\n"
    assert state.eval(body, protocol=3) == b"*2\r\n#t\r\n#f\r\n"


def test_a_command_gets_its_arguments_as_bytes() -> None:
    calls: list[list[bytes]] = []
    state = Scripts(command=lambda argv, _protocol: calls.append(argv))
    state.eval(
        "redis.call('set', KEYS[1], ARGV[1], 3, 0.5, -0.0, 2^53, 1e20)", b"a\0b", keys=[b"k"]
    )
    assert calls == [[b"set", b"k", b"a\0b", b"3", b"0.5", b"0", b"9007199254740992", b"1e+20"]]


def test_a_command_may_have_very_many_arguments() -> None:
    state = Scripts(command=lambda argv, _protocol: len(argv))
    assert state.eval(
        "local t = {} for i = 1, 7000 do t[i] = i end return redis.call(unpack(t))"
    ) == (b":7000\r\n")


@pytest.mark.parametrize("name", ["redis", "server", "spineldb", "spinel"])
def test_the_library_has_four_names(name: str) -> None:
    state = Scripts(command=lambda _argv, _protocol: b"v")
    assert state.eval(f"return {name}.call('get', 'k')") == b"$1\r\nv\r\n"
    assert state.eval(f"return tostring({name} == redis)") == b"$4\r\ntrue\r\n"
    assert state.eval(f"return {name}.SERVER_NAME") == b"$8\r\nspineldb\r\n"


def test_an_error_of_a_command_is_raised_or_returned() -> None:
    state = Scripts(command=lambda _argv, _protocol: bytearray(b"-WRONGTYPE not so\r\n"))
    assert state.eval("return redis.pcall('x')") == b"-WRONGTYPE not so\r\n"
    assert state.eval("redis.call('x')") == (b"-WRONGTYPE not so script: f, on @user_script:1.\r\n")
    assert state.outcome == 2, "it has been counted already"
    assert (
        state.eval("return {pcall(redis.call, 'x')}") == b"*2\r\n$-1\r\n$16\r\nWRONGTYPE not so\r\n"
    )
    assert state.eval("error('mine')")[:5] == b"-ERR "
    assert state.outcome == 1


def test_the_log_and_what_is_replicated_are_handed_down() -> None:
    lines: list[tuple[int, bytes]] = []
    state = Scripts(log=lambda level, text: lines.append((level, text)))
    state.eval("redis.log(redis.LOG_NOTICE, 'a', 1, {}, 'b') redis.set_repl(redis.REPL_AOF)")
    assert lines == [(2, b"a 1 b")]
    assert state.replicated == [1]


def test_what_the_client_may_do_is_asked() -> None:
    state = Scripts(may=lambda argv: {b"get": 1, b"set": 0}.get(argv[0], -1))
    assert state.eval("return tostring(redis.acl_check_cmd('get', 'x'))") == b"$4\r\ntrue\r\n"
    assert state.eval("return tostring(redis.acl_check_cmd('set', 'x'))") == b"$5\r\nfalse\r\n"
    assert b"Invalid command passed" in state.eval("redis.acl_check_cmd('nope')")


@pytest.mark.parametrize("size", [0, 1, 55, 56, 63, 64, 65, 119, 120, 128, 1000])
def test_sha1(size: int) -> None:
    data = random.Random(size).randbytes(size)
    assert sha1(data) == hashlib.sha1(data).hexdigest().encode()


def test_scripts_are_forgotten_and_their_numbers_used_again() -> None:
    state = LuaState()
    first = state.compile_script(b"return 1")
    state.forget(first)
    assert state.compile_script(b"return 2") == first
    assert state.scripts == 1


def test_without_a_library_the_error_says_what_is_needed() -> None:
    with pytest.raises(LuaMissing, match="install lupa or liblua5"):
        lua_api.find(["/nowhere/lua51.so"])
    assert lua_api.candidates()[-1].startswith("liblua")
    assert lua_api.library is not None


# -- libraries of functions ------------------------------------------------------------------------


def load(body: str) -> tuple[Scripts, Any]:
    """Load a library into a new state."""
    state = Scripts(functions=True, command=lambda argv, _protocol: argv[-1])
    return state, state.state.load_library(b"\n" + body.encode())


def test_a_library_registers_functions() -> None:
    state, found = load(
        "local n = 0 local function add(k, a) n = n + 1 return {k[1], a[1], n} end "
        "redis.register_function('add', add) "
        "redis.register_function{function_name='more', callback=function() return redis.call('x') "
        "end, description='d', flags={'no-writes', 'allow-oom'}}"
    )
    assert [(name, about, flags) for name, _, about, flags in found] == [
        (b"add", None, []),
        (b"more", b"d", [b"no-writes", b"allow-oom"]),
    ]
    assert state.run(found[0][1], [b"k"], [b"a"]) == b"*3\r\n$1\r\nk\r\n$1\r\na\r\n:1\r\n"
    assert state.run(found[0][1], [b"k"], [b"a"]).endswith(b":2\r\n"), "its own variables stay"
    assert state.run(found[1][1]) == b"$1\r\nx\r\n"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("foo bar", b"compiling function: user_function:2: '=' expected near 'bar'"),
        ("x = 1", b"registering functions: ERR user_function:2: Attempt to modify a readonly"),
        (
            "redis.x = 1",
            b"registering functions: ERR user_function:2: Attempt to modify a readonly",
        ),
        ("redis.call('x')", b"nonexistent global variable 'call'"),
        ("pairs({})", b"nonexistent global variable 'pairs'"),
        ("while true do end", b"ERR FUNCTION LOAD timeout"),
        ("redis.register_function()", b"wrong number of arguments to redis.register_function"),
        ("redis.register_function('f')", b"with a single argument is only applicable to Lua table"),
        ("redis.register_function('f', 1)", b"second argument to redis.register_function must be"),
        ("redis.register_function({}, 1)", b"first argument to redis.register_function must be a"),
        ("redis.register_function{nope=1}", b"unknown argument given to redis.register_function"),
        ("redis.register_function{flags=1}", b"must be a table representing function flags"),
        ("redis.register_function{callback=1}", b"callback argument given to redis.register_func"),
        ("redis.register_function{function_name='f'}", b"must get a callback argument"),
        ("redis.register_function{}", b"must get a function name argument"),
    ],
)
def test_a_library_is_refused(body: str, said: bytes) -> None:
    with pytest.raises(LuaError) as raised:
        load(body)
    assert said in raised.value.args[0]


def test_a_function_finds_no_keys_and_registers_nothing() -> None:
    state, found = load("redis.register_function('f', function() return KEYS end)")
    assert b"nonexistent global variable 'KEYS'" in state.run(found[0][1])
    state, found = load("local r = redis.register_function r('f', function() r('g', r) end)")
    assert b"can only be called on FUNCTION LOAD command" in state.run(found[0][1])


def test_a_failed_library_leaves_the_state_usable() -> None:
    state, found = load("redis.register_function('f', function() return tostring(pairs) end)")
    with pytest.raises(LuaError):
        state.state.load_library(b"error()")
    assert state.run(found[0][1]).startswith(b"$")
