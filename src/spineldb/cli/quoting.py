"""Words and strings as redis-cli, inline requests and configuration files write them.

`split` is the counterpart of Redis's `sdssplitargs`, `quoted` of its `sdscatrepr`; what one writes
the other reads back.
"""

from __future__ import annotations

import re
from typing import Final

_ESCAPES: Final = {
    ord("n"): b"\n",
    ord("r"): b"\r",
    ord("t"): b"\t",
    ord("b"): b"\b",
    ord("a"): b"\a",
}
_NAMES: Final = {
    ord("\\"): "\\\\",
    ord('"'): '\\"',
    ord("\n"): "\\n",
    ord("\r"): "\\r",
    ord("\t"): "\\t",
    ord("\a"): "\\a",
    ord("\b"): "\\b",
}
_BLANKS: Final = b" \t\n\r\v\f\0"
_BARE: Final = re.compile(rb"[^\s\0\"']+")
_DOUBLE: Final = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_SINGLE: Final = re.compile(rb"'((?:[^'\\]|\\.)*)'", re.DOTALL)
_ESCAPE: Final = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|(.))", re.DOTALL)


class UnbalancedQuotes(ValueError):
    """A quote was opened and not closed, or closed in the middle of a word."""


def quoted(value: bytes) -> str:
    r"""Return a string in double quotes, everything unprintable escaped: `"a\x00\n"`."""
    return '"' + "".join(_NAMES.get(byte) or _printable(byte) for byte in value) + '"'


def split(line: bytes) -> list[bytes]:
    """Return the words of a line; raises UnbalancedQuotes.

    A word may be bare, in double quotes (with escapes) or in single quotes (which know only their
    own), and a closing quote must end it.
    """
    words: list[bytes] = []
    at = 0
    while True:
        while at < len(line) and line[at] in _BLANKS:
            at += 1
        if at >= len(line):
            return words
        word, at = _word(line, at)
        words.append(word)


def _word(line: bytes, at: int) -> tuple[bytes, int]:
    """Return the word that begins at a place, and where it ends."""
    word = b""
    if bare := _BARE.match(line, at):  # a\"b is bare up to its quote, as in Redis
        word, at = bare[0], bare.end()
    if at >= len(line) or line[at] in _BLANKS:
        return word, at
    if double := _DOUBLE.match(line, at):
        word, at = word + _ESCAPE.sub(_unescape, double[1]), double.end()
    elif single := _SINGLE.match(line, at):
        word, at = word + single[1].replace(b"\\'", b"'"), single.end()
    else:
        raise UnbalancedQuotes
    if at < len(line) and line[at] not in _BLANKS:
        raise UnbalancedQuotes
    return word, at


def _unescape(escape: re.Match[bytes]) -> bytes:
    if escape[1] is not None:
        return bytes.fromhex(escape[1].decode())
    return _ESCAPES.get(escape[2][0], escape[2])


def _printable(byte: int) -> str:
    return chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}"
