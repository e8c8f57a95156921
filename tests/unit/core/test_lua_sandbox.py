"""No script reaches files, the process, bytecode, other scripts, or the tables of the libraries."""

from __future__ import annotations

import pytest

from spineldb.core.probe_lua import Scripts
from tests.support.scripts import answer

ABSENT = (
    "arg debug dofile getfenv io jit loadfile module newproxy package print python require setfenv"
)
GLOBALS = (
    "ARGV KEYS _G _VERSION assert bit cjson cmsgpack collectgarbage coroutine error gcinfo "
    "getmetatable ipairs load loadstring math next os pairs pcall rawequal rawget rawset redis "
    "select server setmetatable spinel spineldb string struct table tonumber tostring type unpack "
    "xpcall"
)
PROTECTED = (
    "_G bit cjson cmsgpack coroutine math os redis server spinel spineldb string struct table"
)


@pytest.fixture(scope="module")
def state() -> Scripts:
    return Scripts()


def text(state: Scripts, body: str) -> str:
    """Run a script; return the line or the text it answers."""
    reply = answer(state, body.encode()).decode("latin-1")
    return reply.split("\r\n", 1)[1][:-2] if reply[0] == "$" else reply[:-2]


def test_the_globals_are_those_of_the_real_server_and_ours(state: Scripts) -> None:
    listing = "local t={} for k in pairs(_G) do t[#t+1]=k end table.sort(t)"
    assert text(state, listing + " return table.concat(t,' ')") == GLOBALS


@pytest.mark.parametrize("name", ABSENT.split())
def test_is_absent(state: Scripts, name: str) -> None:
    assert f"nonexistent global variable '{name}'" in text(state, f"return {name}")
    assert text(state, f"return rawget(_G, '{name}') == nil and 'absent'") == "absent"


def test_of_os_there_is_only_the_clock(state: Scripts) -> None:
    listing = "local t={} for k in pairs(os) do t[#t+1]=k end"
    assert text(state, listing + " return table.concat(t,' ')") == "clock"


@pytest.mark.parametrize(
    "chunk",
    [
        "string.dump(function() return 1 end)",
        "'\\27Lua'",
        "'\\27'",
        "'\\27LuaQ\\0\\1\\4\\8\\4\\8\\0' .. string.rep('\\0', 100)",
    ],
)
def test_bytecode_is_refused(state: Scripts, chunk: str) -> None:
    wanted = "unexpected symbol near"
    assert wanted in text(state, f"return (select(2, loadstring({chunk})))")
    pieces = f"local c, n = {chunk}, 0 local function piece() n = n + 1 "
    assert wanted in text(
        state, pieces + "if n == 1 then return c end end return (select(2, load(piece)))"
    )
    assert wanted in text(
        state, pieces + "if n <= #c then return c:sub(n, n) end end return (select(2, load(piece)))"
    )
    assert b"unexpected symbol" in answer(state, b"\x1bLuaQ\0\1\4\x08\4\x08\0" + bytes(64))


@pytest.mark.parametrize("name", PROTECTED.split())
@pytest.mark.parametrize(
    "attempt",
    [
        "{0}.added = 1",
        "{0}[1] = 1",
        "rawset({0}, 'added', 1)",
        "rawset({0}, 1, 1)",
        "setmetatable({0}, {{}})",
        "setmetatable({0}, nil)",
        "table.insert({0}, 1)",
        "table.insert({0}, 1, 1)",
        "(function(t) t.added = 1 end)({0})",
        "local f = loadstring('{0}.added = 1') f()",
        "for k in pairs({0}) do {0}[k] = nil end",
        "for k in pairs({0}) do rawset({0}, k, nil) end",
        "local k = next({0}) {0}[k] = 1",
    ],
)
def test_cannot_be_changed(state: Scripts, name: str, attempt: str) -> None:
    assert "Attempt to modify a readonly table" in text(state, attempt.format(name))
    assert text(state, f"return tostring({name}.pcall ~= 1 and rawget({name}, 'added'))") == "nil"


@pytest.mark.parametrize("name", ["x", "KEYS", "ARGV", "redis", "print", "_G", "string"])
def test_no_global_can_be_set(state: Scripts, name: str) -> None:
    assert "Attempt to modify a readonly table" in text(state, f"{name} = 1")
    assert "Attempt to modify a readonly table" in text(state, f"_G.{name} = 1")
    assert "Attempt to modify a readonly table" in text(state, f"function {name}() end")


def test_what_one_script_leaves_in_its_arguments_no_other_finds(state: Scripts) -> None:
    assert state.eval("KEYS.secret = 1 ARGV[7] = 2 return 0") == b":0\r\n"
    assert state.eval("return {KEYS.secret or 'none', ARGV[7] or 'none'}").count(b"none") == 2


def test_options_of_cjson_are_the_script_s_own(state: Scripts) -> None:
    assert text(state, "cjson.encode_number_precision(3) return cjson.encode(1/3)") == "0.333"
    assert text(state, "return cjson.encode(1/3)") == "0.33333333333333"


def test_how_garbage_is_collected_cannot_be_changed(state: Scripts) -> None:
    state.eval("collectgarbage('stop') collectgarbage('setpause', 100000)")
    before = state.state.used_bytes
    state.eval("local s for i = 1, 20000 do s = {tostring(i)} end return 1")
    assert state.state.used_bytes < before + 4_000_000


@pytest.mark.parametrize(
    "attempt",
    [
        "getmetatable('').__index = {}",
        "getmetatable('').__index.upper = 1",
        "rawset(getmetatable(''), '__index', {})",
        "setmetatable(getmetatable(''), {})",
        "getmetatable(_G).__index = nil",
        "rawset(getmetatable(_G), '__index', nil)",
        "getmetatable('').__len = function() return 0 end",
    ],
)
def test_metatables_of_others_cannot_be_changed(state: Scripts, attempt: str) -> None:
    assert "Attempt to modify a readonly table" in text(state, attempt)
    assert text(state, "return ('x'):upper()") == "X"


def test_metatables_of_libraries_are_hidden(state: Scripts) -> None:
    for name in PROTECTED.split()[1:]:
        assert text(state, f"return tostring(getmetatable({name}))") == "nil"


def test_the_mark_of_protected_tables_cannot_be_forged(state: Scripts) -> None:
    forged = "local t = setmetatable({}, {[1] = cjson.null, __index = {x = 1}}) "
    assert text(state, forged + "return tostring(rawget(t, 'x'))") == "nil"
    assert text(state, forged + "rawset(t, 'y', 2) return tostring(t.y)") == "2"


def test_protected_tables_are_read_like_others(state: Scripts) -> None:
    count = "local n = 0 for k, v in {0} do n = n + 1 end return tostring(n > 10)"
    assert text(state, count.format("pairs(string)")) == "true"
    assert text(state, count.format("next, string")) == "true"
    assert text(state, "return type(rawget(redis, 'call'))") == "function"
    each = "local n = 0 table.foreach(math, function(k, v) n = n + 1 end) return tostring(n > 10)"
    assert text(state, each) == "true"


@pytest.mark.parametrize(
    "value", ["function() end", "coroutine.create(function() end)", "cjson.null"]
)
def test_values_without_a_form_are_null(state: Scripts, value: str) -> None:
    assert state.eval(f"return {value}") == b"$-1\r\n"
    assert state.eval(f"return {{{value}, 1}}") == b"*2\r\n$-1\r\n:1\r\n"


def test_a_function_with_many_parameters_and_few_arguments_writes_no_stack_of_others(
    state: Scripts,
) -> None:
    """Lua 5.1 itself writes past its stack here (CVE-2014-5461); there is room behind ours."""
    names = ",".join(f"p{i}" for i in range(190))
    body = f"local f = function({names}, ...) return p1 == nil and select('#', ...) end "
    body += "local n = 0 for i = 1, 50 do n = n + coroutine.wrap(f)() end return n"
    assert state.eval(body) == b":0\r\n"


def test_a_chunk_s_name_outlives_the_parsing(state: Scripts) -> None:
    """Lua 5.1 itself frees it (CVE-2025-49844)."""
    body = (
        "local n = 0 local function piece() n = n + 1 collectgarbage() "
        "if n < 50 then return ' local a' .. n .. ' = {}' end end "
        "local f = load(piece, '=' .. string.rep('n', 100) .. n) "
        "return {f and 'fine', (select(2, loadstring('x x', '=' .. ('y'):rep(30))))}"
    )
    assert state.eval(body).startswith(b"*2\r\n$4\r\nfine\r\n$")


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("unpack({}, -2^31, 2^31-1)", "too many results"),
        ("unpack({}, 1, 1e8)", "too many results"),
        ("string.find(string.rep('a', 300000), string.rep('a?', 300000))", "pattern too complex"),
        ("string.gsub('x', string.rep('(', 5000), '')", "pattern too complex"),
        ("string.match('x', string.rep('x-', 5000))", "pattern too complex"),
        ("string.gmatch('x', string.rep('x*', 5000))", "pattern too complex"),
    ],
)
def test_what_would_overflow_is_refused(state: Scripts, call: str, said: str) -> None:
    assert said in text(state, f"return {call}")


def test_long_patterns_without_recursion_are_matched(state: Scripts) -> None:
    assert text(state, "local s = ('ab'):rep(9000) return tostring(s:find(s))") == "1"
    assert text(state, "return tostring((('a'):rep(3000)):find(('a?'):rep(1500)))") == "1"
