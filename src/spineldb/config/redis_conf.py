"""Read the lines of a redis.conf, and split them into words as Redis does."""

from __future__ import annotations

from typing import NamedTuple

_ESCAPES = {ord("n"): 10, ord("r"): 13, ord("t"): 9, ord("b"): 8, ord("a"): 7}
_HEX = b"0123456789abcdefABCDEF"


class Directive(NamedTuple):
    """One line that says something: its number, and its words."""

    line: int
    words: tuple[str, ...]  # empty where the quotes do not balance


def directives(content: bytes) -> list[Directive]:
    """Return the directives of a file; comments and empty lines say nothing."""
    found: list[Directive] = []
    for number, raw in enumerate(content.split(b"\n"), start=1):
        line = raw.strip(b" \t\r\n")
        if line and not line.startswith(b"#"):
            words = split(line) or []
            text = tuple(word.decode("utf-8", "surrogateescape") for word in words)
            found.append(Directive(number, text))
    return found


def split(line: bytes) -> list[bytes] | None:
    r"""Split a line into words, or return None where its quotes do not balance.

    Words in double quotes know `\n \r \t \b \a \xHH`, words in single quotes only `\'`; after a
    closing quote must come a blank.
    """
    words: list[bytes] = []
    position = 0
    while True:
        while position < len(line) and line[position : position + 1].isspace():
            position += 1
        if position == len(line):
            return words
        read = _word(line, position)
        if read is None:
            return None
        word, position = read
        words.append(word)


def _word(line: bytes, position: int) -> tuple[bytes, int] | None:
    word = bytearray()
    while position < len(line) and not line[position : position + 1].isspace():
        if line[position] in b"\"'":
            closed = _quoted(line, position + 1, line[position], word)
            if closed is None:
                return None
            if closed < len(line) and not line[closed : closed + 1].isspace():
                return None
            return bytes(word), closed
        word.append(line[position])
        position += 1
    return bytes(word), position


def _quoted(line: bytes, position: int, quote: int, word: bytearray) -> int | None:
    """Append what is quoted to `word`; return where the quotes end, or None if they do not."""
    while position < len(line):
        byte = line[position]
        if byte == quote:
            return position + 1
        if byte == ord("\\") and position + 1 < len(line):
            position, byte = _escape(line, position, quote)
        word.append(byte)
        position += 1
    return None


def _escape(line: bytes, position: int, quote: int) -> tuple[int, int]:
    """Read an escape; return the position of its last byte, and what it stands for."""
    following = line[position + 1]
    if quote == ord("'"):
        return (position + 1, following) if following == quote else (position, ord("\\"))
    digits = line[position + 2 : position + 4]
    if following == ord("x") and len(digits) == 2 and all(digit in _HEX for digit in digits):
        return position + 3, int(digits, 16)
    return position + 1, _ESCAPES.get(following, following)


def quote(word: str) -> str:
    """Write a word so that `split` reads it back: as it is, or in double quotes."""
    raw = word.encode("utf-8", "surrogateescape")
    if word and all(0x21 <= byte < 0x7F and byte not in b"\"'\\#" for byte in raw):
        return word
    return '"' + "".join(_quote_byte(byte) for byte in raw) + '"'


def _quote_byte(byte: int) -> str:
    if byte in b'"\\':
        return f"\\{byte:c}"
    return f"{byte:c}" if 0x20 <= byte < 0x7F else f"\\x{byte:02x}"
