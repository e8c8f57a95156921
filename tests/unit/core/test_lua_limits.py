"""A script ends: at its memory, its time, the depth of its recursion; and the next one runs."""

from __future__ import annotations

import time

import pytest

from spineldb.core.lua_state import LuaError
from spineldb.core.probe_lua import Scripts

LIMIT = 32 << 20
OUT_OF_MEMORY = b"-OOM script memory limit exceeded\r\n"
KILLED = b"-ERR Script killed by user with SCRIPT KILL..."
STOP_AFTER_NS = 30_000_000


@pytest.fixture
def state() -> Scripts:
    return Scripts(limit=LIMIT)


@pytest.mark.parametrize(
    "body",
    [
        "return string.rep('x', 600e6)",
        "return ('x'):rep(2^31 - 1)",
        "local s = 'x' while true do s = s .. s end",
        "local t = {} for i = 1, 1e9 do t[i] = i end",
        "local t = {} for i = 1, 1e9 do t['k' .. i] = {} end",
        "local t = {} for i = 1, 1e9 do t[i] = coroutine.create(function() end) end",
        "local t = {} for i = 1, 1e8 do t[i] = ('a'):rep(24) end return table.concat(t)",
        "local t = {} for i = 1, 300 do t[i] = ('x'):rep(1e5) end return cjson.encode(t)",
        "local t = {} for i = 1, 300 do t[i] = ('x'):rep(1e5) end return cmsgpack.pack(t)",
        "return struct.pack('s', ('x'):rep(2e7))",
        "local s = ('x'):rep(1e5) return (s:gsub('x', s))",
        "return cjson.decode('[' .. ('{},'):rep(1e6) .. '{}]')",
    ],
)
def test_memory_is_limited(state: Scripts, body: str) -> None:
    reply = state.eval(body)
    assert reply == OUT_OF_MEMORY or b"stack overflow" in reply
    assert state.state.peak_bytes < LIMIT + (4 << 20)
    assert state.eval("return 'fine'") == b"$4\r\nfine\r\n"


def test_what_a_script_held_is_given_back(state: Scripts) -> None:
    before = state.state.used_bytes
    for _ in range(20):
        state.eval("local t = {} for i = 1, 1e9 do t[i] = {} end")
    assert state.state.used_bytes < before + (3 << 20)
    assert state.eval("local s = ('x'):rep(10e6) return #s") == b":10000000\r\n"


def test_running_out_of_memory_can_be_caught(state: Scripts) -> None:
    body = "return {pcall(string.rep, 'x', 600e6)}"
    assert state.eval(body) == b"*2\r\n$-1\r\n$17\r\nnot enough memory\r\n"


def test_without_a_limit_there_is_none() -> None:
    assert Scripts().eval("return #string.rep('x', 40e6)") == b":40000000\r\n"


def test_a_script_too_big_to_compile_is_refused(state: Scripts) -> None:
    state.state.memory_limit = 100_000
    with pytest.raises(LuaError, match="not enough memory"):
        state.eval("local t = {" + "{}," * 50_000 + "}")
    state.state.memory_limit = LIMIT
    assert state.eval("return 1") == b":1\r\n"


@pytest.mark.parametrize(
    "body",
    [
        "local function f() return f() .. '' end f()",
        "local function f() return 1 + f() end f()",
        "local t = setmetatable({}, {__index = function(t, k) return t[k] end}) return t.x",
        "local function f() string.gsub('x', 'x', f) end f()",
        "local function f() table.sort({1, 2, 3}, f) end f()",
        "local function f(g) coroutine.wrap(g)(g) end f(f)",
        "local t = setmetatable({}, {__tostring = function(t) return tostring(t) end}) tostring(t)",
        "return loadstring(('('):rep(300) .. ')')",
    ],
)
def test_recursion_is_bounded(state: Scripts, body: str) -> None:
    assert state.eval(body)[:1] in b"-$"
    assert state.eval("return 1") == b":1\r\n"


def test_deep_replies_are_bounded(state: Scripts) -> None:
    reply = state.eval("local t = {} t[1] = t return t")
    assert reply.endswith(b"*1\r\n-ERR reached lua stack limit\r\n")
    reply = state.eval("local t = {} t.map = t return t")
    assert b"-ERR reached lua stack limit\r\n" in reply
    assert state.eval("return 1") == b":1\r\n"


LOOPS = [
    "while true do end",
    "repeat until false",
    "for i = 1, math.huge do end",
    "while true do pcall(function() while true do end end) end",
    "local function f() while true do end end while true do pcall(f) end",
    "while true do pcall(error) end",
    "while true do pcall(pcall, error) end",
    "while true do xpcall(function() while true do end end, function() end) end",
    "while true do xpcall(error, function() while true do end end) end",
    "coroutine.wrap(function() while true do end end)()",
    "local f = coroutine.wrap(function() while 1 do coroutine.yield() end end) while 1 do f() end",
    "while true do pcall(coroutine.wrap(function() while true do end end)) end",
    "while true do coroutine.resume(coroutine.create(function() for i = 1, 15000 do end end)) end",
    "local function f(n) for i = 1, 4e3 do if n > 0 then coroutine.wrap(f)(n - 1) end end end f(3)",
    "local t = setmetatable({}, {__index = tostring}) while true do local x = t[1] end",
    "while true do string.gsub('xxxx', 'x', function() end) end",
    "while true do table.sort({3, 2, 1}, function(a, b) return a < b end) end",
    "local function f() return f() end f()",
    "local function f(...) return f(1, ...) end f()",
    "local function f() return pcall(f) and f() end while true do f() end",
    "while true do loadstring('while true do end')() end",
    "load(function() while true do end end)",
    "while true do redis.call('PING') end",
    "while true do redis.pcall('PING') end",
    "local function f() pcall(f) return f() .. '' end f()",
    "local function f() xpcall(f, f) error('x') end f()",
    "while true do setmetatable({}, {__newindex = function() while true do end end}).x = 1 end",
]


@pytest.mark.parametrize("body", LOOPS)
def test_every_loop_can_be_stopped(body: str) -> None:
    def tick(elapsed_ns: int) -> bytes | None:
        return KILLED if elapsed_ns > STOP_AFTER_NS else None

    state = Scripts(limit=LIMIT, tick=tick, quiet_ms=10, command=lambda _argv, _protocol: "PONG")
    began = time.monotonic()
    reply = state.eval(body)
    assert reply.startswith(KILLED + b" script: f, on "), reply
    assert time.monotonic() - began < 10
    assert state.outcome == 3
    state.tick = lambda _elapsed: None
    assert state.eval("local n = 0 for i = 1, 1e5 do n = n + 1 end return n") == b":100000\r\n"


def test_nobody_is_asked_before_it_is_time() -> None:
    asked: list[int] = []
    state = Scripts(tick=asked.append, quiet_ms=50)
    state.eval("local n = 0 for i = 1, 1000 do n = n + 1 end return n")
    assert asked == []
    state.eval("local c = os.clock() while os.clock() < c + 0.12 do end")
    assert asked
    assert min(asked) >= 50_000_000
    assert len(asked) <= 200


def test_the_next_script_is_not_stopped_with_the_one_before() -> None:
    stops = [KILLED]
    state = Scripts(tick=lambda _elapsed: stops.pop() if stops else None)
    assert state.eval("while true do end").startswith(KILLED)
    assert state.eval("local n = 0 for i = 1, 1e6 do n = n + 1 end return n") == b":1000000\r\n"
