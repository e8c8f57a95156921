"""cjson, cmsgpack and struct give back what they are given, and write what the real server does."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spineldb.core.probe_lua import Scripts
from tests import servers
from tests.support.scripts import Raw, answer, comparable

STATE = Scripts(version="8.2.3")

NUMBERS = st.one_of(
    st.integers(-(2**53), 2**53).map(float),
    st.integers(-300, 300).map(float),
    st.floats(allow_nan=False, allow_infinity=False),
)
TEXTS = st.binary(max_size=40)
KEYS = st.one_of(TEXTS, st.integers(1, 6).map(float), st.floats(-4, 4).map(lambda x: x + 0.5))
VALUES = st.recursive(
    st.one_of(NUMBERS, TEXTS, st.booleans()),
    lambda inner: st.one_of(st.lists(inner, max_size=20), st.dictionaries(KEYS, inner, max_size=6)),
    max_leaves=30,
)

FIELDS = {
    "b": (-(2**7), 2**7 - 1),
    "B": (0, 2**8 - 1),
    "h": (-(2**15), 2**15 - 1),
    "H": (0, 2**16 - 1),
    "i": (-(2**31), 2**31 - 1),
    "I": (0, 2**32 - 1),
    "l": (-(2**53), 2**53),
    "L": (0, 2**53),
}


def quoted(data: bytes) -> str:
    """Write a string of Lua."""
    return '"' + "".join(f"\\{byte:03}" for byte in data) + '"'


def number(value: float) -> str:
    """Write a number of Lua, exactly."""
    return f"({value!r})" if math.isfinite(value) else "(0/0)"


def literal(value: object) -> str:
    """Write a value of Lua."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return number(value)
    if isinstance(value, bytes):
        return quoted(value)
    if isinstance(value, list):
        return "{" + ",".join(map(literal, value)) + "}"
    assert isinstance(value, dict)
    return "{" + ",".join(f"[{literal(k)}]={literal(v)}" for k, v in value.items()) + "}"


SAME = """
local function same(a, b)
  if type(a) ~= 'table' or type(b) ~= 'table' then return a == b end
  for k, v in pairs(a) do if not same(v, b[k]) then return false end end
  for k in pairs(b) do if a[k] == nil then return false end end
  return true
end
"""


@given(VALUES)
def test_cmsgpack_gives_back_what_it_is_given(value: object) -> None:
    back = "tostring(same(v, cmsgpack.unpack(cmsgpack.pack(v))))"
    body = f"{SAME} local v = {literal(value)} return {back}"
    assert STATE.eval(body) == b"$4\r\ntrue\r\n"


JSON_VALUES = st.recursive(
    st.one_of(st.integers(-(10**13), 10**13).map(float), TEXTS, st.booleans()),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=20), st.dictionaries(TEXTS, inner, max_size=6)
    ),
    max_leaves=30,
)


@given(JSON_VALUES)
def test_cjson_gives_back_what_it_is_given(value: object) -> None:
    body = (
        f"{SAME} local v = {literal(value)} return tostring(same(v, cjson.decode(cjson.encode(v))))"
    )
    assert STATE.eval(body) == b"$4\r\ntrue\r\n"


@given(st.text(max_size=60))
def test_cjson_writes_and_reads_text_as_others_do(text: str) -> None:
    number_ = STATE.state.compile_script(
        b"return {cjson.encode(ARGV[1]), cjson.decode(ARGV[2])[1]}"
    )
    text = text.encode("utf-8", "replace").decode()
    reply = STATE.run(number_, [], [text.encode(), json.dumps([text]).encode()])
    STATE.state.forget(number_)
    size, rest = reply[4:].removeprefix(b"$").split(b"\r\n", 1)
    assert json.loads(rest[: int(size)]) == text
    assert rest[int(size) :].split(b"\r\n", 2)[2] == text.encode() + b"\r\n"


@given(
    st.lists(
        st.sampled_from(sorted(FIELDS)).flatmap(
            lambda name: st.tuples(st.just(name), st.integers(*FIELDS[name]))
        ),
        max_size=12,
    ),
    st.sampled_from("<>"),
)
def test_struct_packs_as_python_does_and_unpacks(fields: list[tuple[str, int]], order: str) -> None:
    names = order + "".join(name for name, _ in fields)
    values = "".join(f", {value}" for _, value in fields)
    packed = struct.pack(names.replace("l", "q").replace("L", "Q"), *(v for _, v in fields))
    expected = b"$%d\r\n%s\r\n" % (len(packed), packed)
    assert STATE.eval(f"return struct.pack('{names}'{values})") == expected
    listed = "{" + values[2:] + f"{', ' if fields else ''}{len(packed) + 1}" + "}"
    body = f"{SAME} return tostring(same({listed}, {{struct.unpack('{names}', {quoted(packed)})}}))"
    assert STATE.eval(body) == b"$4\r\ntrue\r\n"


@given(st.binary(max_size=60))
def test_decoding_anything_ends_in_a_value_or_an_error(data: bytes) -> None:
    for function in ("cjson.decode", "cmsgpack.unpack"):
        assert STATE.eval(f"local x = {function}({quoted(data)}) return 1")[:1] in b":-"
    assert STATE.eval("return 1") == b":1\r\n"


# -- beside the real server ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Raw]:
    try:
        server = servers.start_real("redis8", tmp_path_factory.mktemp("redis"), "--save", "")
    except servers.StartFailed:
        pytest.skip("SPINELDB_REDIS8 names no server")
    try:
        with Raw(server.port) as wire:
            yield wire
    finally:
        server.stop()


def both(real: Raw, body: str) -> None:
    """Run a script on both; the replies are the same."""
    expected = comparable(real.ask(b"EVAL", body.encode(), b"0"))
    assert answer(STATE, body.encode()) == expected, body


@pytest.mark.real
@settings(max_examples=100)
@given(value=VALUES)
def test_values_are_written_as_the_real_server_writes_them(real: Raw, value: object) -> None:
    both(
        real,
        f"local v = {literal(value)} local ok, json = pcall(cjson.encode, v) "
        "return {cmsgpack.pack(v), json, v}",
    )


@pytest.mark.real
@settings(max_examples=100)
@given(
    data=st.one_of(st.binary(max_size=40), st.text('{}[]",:0123456789.eE+-tfn \\u', max_size=30))
)
def test_anything_is_read_as_the_real_server_reads_it(real: Raw, data: bytes | str) -> None:
    raw = quoted(data if isinstance(data, bytes) else data.encode())
    both(real, f"return {{pcall(cjson.decode, {raw})}}")
    both(real, f"return {{pcall(cmsgpack.unpack, {raw})}}")


@pytest.mark.real
@settings(max_examples=100)
@given(
    format_=st.text("bBhHiIlLTfdxsc<>! 0123456789z", max_size=10),
    arguments=st.lists(st.one_of(NUMBERS, st.binary(max_size=8)), max_size=5),
)
def test_formats_are_followed_as_the_real_server_does(
    real: Raw, format_: str, arguments: list[object]
) -> None:
    given_ = "".join(", " + literal(one) for one in arguments)
    both(real, f"return {{pcall(struct.pack, '{format_}'{given_})}}")
    both(real, f"return {{pcall(struct.size, '{format_}')}}")
    both(real, f"return {{pcall(struct.unpack, '{format_}', {quoted(bytes(range(1, 60)))})}}")


@pytest.mark.real
@settings(max_examples=100)
@given(value=VALUES, protocol=st.sampled_from([2, 3]))
def test_replies_are_those_of_the_real_server(real: Raw, value: object, protocol: int) -> None:
    both(real, f"redis.setresp({protocol}) return {literal(value)}")
