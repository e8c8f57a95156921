r"""The one-line notation of replies, for both protocols at once.

    +OK  -ERR text            simple string and error, to the end of the line
    3  ,1.5  (123             integer, double, big number
    "abc\x00"  =txt"abc"      bulk string, verbatim string
    nil  nil*                 null, null array (RESP3 knows one null)
    #t  #f                    boolean
    [a b]  ~[a b]  >[a b]     array, set, push
    %{k v}  |{k v}            map; attribute, in front of the reply it describes
    +"a b"  -"ERR a"          inside containers, simple strings and errors with blanks are quoted

What RESP2 sends for a RESP3 type follows from the type: a map is a flat array, a set an array, a
double, a big number and a verbatim string are bulk strings, a boolean is an integer. Where a
command does anything else, the transcript has two lines, `resp2 ...` and `resp3 ...`.

What differs from run to run is a pattern, and the recorder leaves a pattern that still holds alone:

    <any>  <int>  <int 1..5>  <text>  <double>    one value of that kind; <int:name> keeps it
    /regex/  =/regex/  +/regex/  -/regex/         a bulk, verbatim, simple string, an error; a slash
                                                  is \/ and named groups are kept
    <unordered>[a b]                              the elements in any order
    [a b ...]                                     anything may follow; %{k v ...} likewise

A value kept as `name` stands in later requests as `${name}`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from spineldb.cli.quoting import quoted, split
from spineldb.client import (
    NULL_ARRAY,
    Attribute,
    BigNumber,
    Double,
    ErrorReply,
    Map,
    Push,
    Set,
    Verbatim,
)

Variables = dict[str, bytes]


@dataclass(frozen=True)
class Pattern:
    """One value of a kind: any, int, text or double, perhaps within bounds, perhaps kept."""

    kind: str
    low: float | None = None
    high: float | None = None
    name: str | None = None


@dataclass(frozen=True)
class Regex:
    """A string of one of four types ("" is a bulk string) whose whole text matches."""

    sigil: str
    source: str


@dataclass(frozen=True)
class Unordered:
    """A container whose elements (of a map: pairs) may come in any order."""

    container: list[Any]


class _Rest:
    """The end of a container of which only the beginning matters."""


REST = _Rest()


@dataclass
class _Reader:
    """A reply line and how far it has been read."""

    line: str
    at: int = 0
    depth: int = field(default=0)

    def accept(self, pattern: str) -> re.Match[str] | None:
        match = re.compile(pattern, re.DOTALL).match(self.line, self.at)
        if match:
            self.at = match.end()
        return match


_STRING = r'"((?:[^"\\]|\\.)*)"'
_CONTAINERS: dict[str, tuple[type[list[Any]], str]] = {
    "[": (list, "]"),
    "~[": (Set, "]"),
    ">[": (Push, "]"),
    "%{": (Map, "}"),
    "|{": (Attribute, "}"),
}


def parse(line: str) -> Any:
    """Return the value or pattern a line stands for; raises ValueError."""
    reader = _Reader(line.strip())
    value = _value(reader)
    if reader.at != len(reader.line):
        raise ValueError(f"cannot read {reader.line[reader.at :]!r} in {line!r}")
    return value


def _value(reader: _Reader) -> Any:
    for read in (_container, _regex, _pattern, _word, _text):
        value = read(reader)
        if value is not ...:
            return value
    raise ValueError(f"cannot read {reader.line[reader.at :]!r}")


def _container(reader: _Reader) -> Any:
    unordered = reader.accept(r"<unordered>\s*")
    opened = reader.accept(r"\[|~\[|>\[|%\{|\|\{")
    if not opened:
        return ...
    kind, closing = _CONTAINERS[opened[0]]
    reader.depth += 1
    items = []
    while not reader.accept(r"\s*" + re.escape(closing)):
        reader.accept(r"\s*")
        items.append(REST if reader.accept(r"\.\.\.") else _value(reader))
    reader.depth -= 1
    return Unordered(_build(kind, items)) if unordered else _build(kind, items)


def _build(kind: type[list[Any]], items: list[Any]) -> list[Any]:
    if not issubclass(kind, Map):
        return kind(items)
    if items and items[-1] is REST:
        items = [*items, REST]  # the rest of a map is a pair too
    return kind(zip(items[::2], items[1::2], strict=True))


def _regex(reader: _Reader) -> Any:
    found = reader.accept(r"([=+-]?)/((?:[^/\\]|\\.)*)/")
    return Regex(found[1], found[2]) if found else ...


def _pattern(reader: _Reader) -> Any:
    number = r"[-+\d.]*?"
    found = reader.accept(
        rf"<(any|int|text|double)(?: ({number})\.\.({number}))?(?::(\w+))?>",
    )
    if not found:
        return ...
    low, high = (_number(bound) if bound else None for bound in found.group(2, 3))
    return Pattern(found[1], low, high, found[4])


def _number(text: str) -> float:
    return int(text) if text.lstrip("-").isdigit() else float(text)


def _word(reader: _Reader) -> Any:
    """Read what has a fixed spelling: numbers, null, booleans."""
    if reader.accept(r"nil\*"):
        return NULL_ARRAY
    if reader.accept(r"nil\b"):
        return None
    if boolean := reader.accept(r"#([tf])\b"):
        return boolean[1] == "t"
    if double := reader.accept(r",([-+\w.]+)"):
        return Double(double[1])
    if big := reader.accept(r"\((-?\d+)"):
        return BigNumber(big[1])
    if integer := reader.accept(r":?(-?\d+)(?![^\s\]}])"):
        return int(integer[1])
    return ...


def _text(reader: _Reader) -> Any:
    """Read strings: bulk, verbatim, simple, errors."""
    if bulk := reader.accept(r"(=(\w{3}))?" + _STRING):
        payload = _unquoted(bulk[3])
        return Verbatim(bulk[2].encode() + b":" + payload) if bulk[1] else payload
    end = r"[^\s\]}]+" if reader.depth else r".+"
    found = reader.accept(rf"([+-])(?:{_STRING}(?=[\s\]}}]|$)|({end}))")
    if not found:
        return ...
    text = (
        _unquoted(found[2]).decode("utf-8", "surrogateescape") if found[2] is not None else found[3]
    )
    return text if found[1] == "+" else ErrorReply(text)


def _unquoted(inside: str) -> bytes:
    (payload,) = split(b'"' + inside.encode() + b'"')
    return payload


def write(value: Any, depth: int = 0) -> str:
    """Return the notation of a value or pattern."""
    match value:
        case Pattern():
            bounds = "" if value.low is value.high is None else f" {_bound(value)}"
            return f"<{value.kind}{bounds}{':' + value.name if value.name else ''}>"
        case Regex():
            return f"{value.sigil}/{value.source}/"
        case Unordered():
            return f"<unordered>{write(value.container, depth)}"
        case _Rest():
            return "..."
        case list():
            return _write_container(value, depth)
        case str() | ErrorReply():
            sigil, text = ("-" if isinstance(value, ErrorReply) else "+"), str(value)
            plain = text.isprintable() and text == text.strip() and text[:1] not in ("", '"', "/")
            if plain and not (depth and re.search(r"[\s\]}]", text)):
                return sigil + text
            return sigil + quoted(text.encode("utf-8", "surrogateescape"))
        case _:
            return _write_scalar(value)


def _bound(pattern: Pattern) -> str:
    low, high = ("" if x is None else str(x) for x in (pattern.low, pattern.high))
    return f"{low}..{high}"


def _write_container(value: list[Any], depth: int) -> str:
    if isinstance(value, Map):
        items = [item for pair in value for item in pair]
        items = items[:-1] if items and items[-1] is REST else items
        sigil = "|{" if isinstance(value, Attribute) else "%{"
        return sigil + " ".join(write(item, depth + 1) for item in items) + "}"
    sigil = {Set: "~", Push: ">"}.get(type(value), "")
    return sigil + "[" + " ".join(write(item, depth + 1) for item in value) + "]"


def _write_scalar(value: Any) -> str:
    if value is None:
        return "nil"
    if value is NULL_ARRAY:
        return "nil*"
    match value:
        case bool():
            return "#t" if value else "#f"
        case Double():
            return f",{value.text}"
        case BigNumber():
            return f"({int(value)}"
        case Verbatim():
            return f"={value.format}{quoted(bytes(value))}"
        case bytes():
            return quoted(value)
    return str(value)


def has_patterns(expected: Any) -> bool:
    """Tell whether an expectation leaves anything open."""
    if isinstance(expected, Pattern | Regex | Unordered | _Rest):
        return True
    if isinstance(expected, list | tuple):
        return any(has_patterns(item) for item in expected)
    return False


def as_resp2(value: Any) -> Any:
    """Return what RESP2 sends for a value of RESP3."""
    match value:
        case Unordered():
            return (
                value if isinstance(value.container, Map) else Unordered(as_resp2(value.container))
            )
        case Map():
            return [as_resp2(x) for pair in value for x in pair]
        case Push() | list():
            return [as_resp2(item) for item in value]
        case Double():
            return value.text.encode()
        case Verbatim():
            return bytes(value)
        case bool():
            return int(value)
        case BigNumber():
            return str(int(value)).encode()
    return value


def matches(expected: Any, actual: Any, protocol: int, kept: Variables) -> bool:
    """Tell whether a reply is the expected one; what patterns keep goes into `kept`."""
    if protocol == 2:
        expected = as_resp2(expected)
    match expected:
        case Pattern():
            return _matches_pattern(expected, actual, kept)
        case Regex():
            return _matches_regex(expected, actual, protocol, kept)
        case Unordered():
            return _matches_unordered(expected.container, actual, protocol, kept)
        case list():
            return type(actual) is type(expected) and _matches_items(
                list(expected), list(actual), protocol, kept
            )
    if expected is NULL_ARRAY and protocol == 3:
        expected = None
    return type(actual) is type(expected) and _same(expected, actual)


def _same(expected: Any, actual: Any) -> bool:
    if isinstance(expected, Double):
        return bool(expected.text == actual.text)
    if isinstance(expected, Verbatim):
        return bool(expected.format == actual.format and expected == actual)
    return bool(expected == actual)


def _matches_items(expected: list[Any], actual: list[Any], protocol: int, kept: Variables) -> bool:
    if expected and _is_rest(expected[-1]):
        expected = [item for item in expected if not _is_rest(item)]
        actual = actual[: len(expected)]
    return len(expected) == len(actual) and all(
        _matches_item(wanted, given, protocol, kept)
        for wanted, given in zip(expected, actual, strict=True)
    )


def _is_rest(item: Any) -> bool:
    return item is REST or item == (REST, REST)


def _matches_item(wanted: Any, given: Any, protocol: int, kept: Variables) -> bool:
    if isinstance(wanted, tuple):
        return all(matches(w, g, protocol, kept) for w, g in zip(wanted, given, strict=True))
    return matches(wanted, given, protocol, kept)


def _matches_unordered(expected: list[Any], actual: Any, protocol: int, kept: Variables) -> bool:
    if isinstance(expected, Map) and protocol == 2 and type(actual) is list:
        actual = Map(zip(actual[::2], actual[1::2], strict=False))
    if type(actual) is not type(expected):
        return False
    left = list(actual)
    wanted = [item for item in expected if not _is_rest(item)]
    for item in wanted:
        found = next((x for x in left if _matches_item(item, x, protocol, kept)), REST)
        if found is REST:
            return False
        left.remove(found)
    return not left or len(wanted) < len(expected)


def _matches_pattern(pattern: Pattern, actual: Any, kept: Variables) -> bool:
    kinds: dict[str, Any] = {
        "int": (int,),
        "text": (bytes,),
        "double": (Double, bytes),
        "any": (object,),
    }
    if not isinstance(actual, kinds[pattern.kind]) or isinstance(actual, bool):
        return False
    if pattern.kind in ("int", "double") and not _within(pattern, float(actual)):
        return False
    if pattern.name:
        kept[pattern.name] = actual if isinstance(actual, bytes) else str(actual).encode()
    return True


def _within(pattern: Pattern, number: float) -> bool:
    return (pattern.low is None or pattern.low <= number) and (
        pattern.high is None or number <= pattern.high
    )


def _matches_regex(regex: Regex, actual: Any, protocol: int, kept: Variables) -> bool:
    verbatim = Verbatim if protocol == 3 else bytes
    kind = {"": bytes, "=": verbatim, "+": str, "-": ErrorReply}[regex.sigil]
    if type(actual) is not kind:
        return False
    text = actual.decode("latin-1") if isinstance(actual, bytes) else str(actual)
    found = re.fullmatch(regex.source, text, re.DOTALL)
    if found:
        kept |= {name: (group or "").encode() for name, group in found.groupdict().items()}
    return found is not None


class Different(Exception):
    """The replies of the two protocols do not follow from each other."""


def unify(resp2: Any, resp3: Any) -> Any:
    """Return the one value whose forms in RESP2 and RESP3 are these; raises Different."""
    if resp3 is None:
        if resp2 is None or resp2 is NULL_ARRAY:
            return resp2
        raise Different
    if isinstance(resp3, list):
        flat = as_resp2(resp3) if isinstance(resp3, Map) else resp3
        if type(resp2) is not list or len(resp2) != len(flat):
            raise Different
        if isinstance(resp3, Map):
            items = [x for pair in resp3 for x in pair]
            return _build(Map, [unify(a, b) for a, b in zip(resp2, items, strict=True)])
        return type(resp3)(unify(a, b) for a, b in zip(resp2, resp3, strict=True))
    if type(as_resp2(resp3)) is type(resp2) and as_resp2(resp3) == resp2:
        return resp3
    raise Different
