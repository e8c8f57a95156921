"""Replies as redis-cli prints them: for people, and raw for programs.

`formatted` is what a terminal shows: types spelled out, strings quoted, containers numbered and
indented. `raw` is what a pipe gets: the bytes, one element a line, nothing added. A few commands
answer with text made to be read, and are printed as it stands in both.
"""

from __future__ import annotations

from typing import Final, TypeGuard

from spineldb.cli.quoting import quoted
from spineldb.client import (
    NULL_ARRAY,
    Attribute,
    BigNumber,
    Double,
    ErrorReply,
    Map,
    Push,
    Reply,
    Set,
    Verbatim,
)

# Commands whose reply is text for people: name, and second word where only that form is.
_TEXT: Final = {
    (b"INFO", None),
    (b"LOLWUT", None),
    (b"DEBUG", b"HTSTATS"),
    (b"DEBUG", b"HTSTATS-KEY"),
    (b"DEBUG", b"CLIENT-EVICTION"),
    (b"MEMORY", b"MALLOC-STATS"),
    (b"MEMORY", b"DOCTOR"),
    (b"CLUSTER", b"NODES"),
    (b"CLUSTER", b"INFO"),
    (b"CLIENT", b"LIST"),
    (b"CLIENT", b"INFO"),
    (b"LATENCY", b"GRAPH"),
    (b"LATENCY", b"DOCTOR"),
}


def answers_text(words: list[bytes]) -> bool:
    """Tell whether a command's reply is text to print as it stands."""
    name, second = words[0].upper(), words[1].upper() if len(words) > 1 else None
    return (name, None) in _TEXT or (name, second) in _TEXT


def _is_container(reply: Reply) -> TypeGuard[list[Reply]]:
    return isinstance(reply, list)


def formatted(reply: Reply, indent: str = "") -> bytes:
    """Return a reply as a terminal shows it, its last line ended."""
    if _is_container(reply):
        return _formatted_container(reply, indent)
    return _scalar(reply) + b"\n"


def _scalar(reply: Reply) -> bytes:  # noqa: PLR0911 - one line per type
    if reply is None or reply is NULL_ARRAY:
        return b"(nil)"
    match reply:
        case bool():
            return b"(true)" if reply else b"(false)"
        case Verbatim():
            return bytes(reply)
        case bytes():
            return quoted(reply).encode()
        case str():
            return _bytes(reply)
        case ErrorReply():
            return b"(error) " + _bytes(str(reply))
        case Double():
            return b"(double) " + reply.text.encode()
        case BigNumber():
            return b"(big number) %d" % reply
        case _:
            return b"(integer) %d" % reply


_EMPTY: Final[dict[type, bytes]] = {
    Set: b"(empty set)\n",
    Map: b"(empty hash)\n",
    Push: b"(empty push)\n",
}
_MARKS: Final[dict[type, str]] = {Set: "~", Map: "#", Attribute: "#"}


def _formatted_container(reply: list[Reply], indent: str) -> bytes:
    if not reply:
        return _EMPTY.get(type(reply), b"(empty array)\n")
    digits = len(str(len(reply)))
    mark = _MARKS.get(type(reply), ")")
    inner = indent + " " * (digits + 2)
    lines: list[bytes] = []
    for number, item in enumerate(reply, 1):
        # The line of the first element has been begun by whoever holds this container.
        head = f"{indent if lines else ''}{number:>{digits}}{mark} ".encode()
        if isinstance(reply, Map):
            body = formatted(item[0], inner)[:-1] + b" => " + _value(item[1], inner)
        else:
            body = formatted(item, inner)
        lines.append(head + body)
    return b"".join(lines)


def _value(value: Reply, indent: str) -> bytes:
    """Return the value of a map's pair: a container of several lines begins on its own."""
    body = formatted(value, indent)
    several = isinstance(value, list) and body.count(b"\n") > 1
    return b"\n" + indent.encode() + body if several else body


def raw(reply: Reply, delimiter: bytes = b"\n") -> bytes:  # noqa: PLR0911 - one line per type
    """Return a reply as a pipe gets it, without the end of its last line."""
    if isinstance(reply, Map):
        return delimiter.join(raw(k, delimiter) + b" " + raw(v, delimiter) for k, v in reply)
    if _is_container(reply):
        return delimiter.join(raw(item, delimiter) for item in reply)
    if reply is None or reply is NULL_ARRAY:
        return b""
    match reply:
        case bytes():
            return bytes(reply)
        case str():
            return _bytes(reply)
        case ErrorReply():
            return _bytes(str(reply)) + b"\n"
        case _:
            return _scalar(reply).rpartition(b") ")[2]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
