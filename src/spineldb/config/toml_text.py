"""Find and change values in the text of a TOML file, leaving everything else as it is.

`tomllib` tells values but not where they stand, and forgets comments. This module scans the text
once: it knows for every key where it and its value begin and end. With that, a message can name
line and column, and CONFIG REWRITE can replace a value, or add a line to the table where it
belongs, without touching a comment. The text must be valid TOML; a change is checked by reading the
result back, so that a construct misunderstood here is an error and never a damaged file.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeGuard

Path = tuple[str, ...]

_BLANK = re.compile(r"[ \t]*")
_GAP = re.compile(r"(?:[ \t\r\n,]|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'', re.DOTALL
)
_PLAIN = re.compile(r"[^,\]}#\r\n]*")


def is_array(value: Any) -> TypeGuard[list[Any]]:
    """Whether a value read from TOML is an array."""
    return isinstance(value, list)


def is_table(value: Any) -> TypeGuard[dict[str, Any]]:
    """Whether a value read from TOML is a table."""
    return isinstance(value, dict)


class RewriteError(Exception):
    """A file that cannot be changed without risk; the text says why."""


class Item(NamedTuple):
    """A key and its value: offsets in the text."""

    key: int
    value: int
    end: int
    inline: bool  # inside `{...}`


class Table(NamedTuple):
    """A `[table]` or `[[table]]`: from its header to where a new line may be put."""

    path: Path
    start: int
    end: int
    is_array: bool


class Layout:
    """Where everything stands in one text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.items: dict[Path, Item] = {}
        self.tables: list[Table] = []
        self._arrays: dict[Path, int] = {}
        self._scan()

    def position(self, path: Path) -> tuple[int, int]:
        """Return line and column of a key, or of the nearest table around it; both from 1."""
        offset = 0
        headers = {table.path: table.start for table in self.tables}
        for length in range(len(path), 0, -1):
            if path[:length] in self.items:
                offset = self.items[path[:length]].key
                break
            if path[:length] in headers:
                offset = headers[path[:length]]
                break
        line_start = self.text.rfind("\n", 0, offset) + 1
        return self.text.count("\n", 0, offset) + 1, offset - line_start + 1

    def _scan(self) -> None:
        prefix: Path = ()
        start, is_array, position, last = 0, False, 0, 0
        while True:
            position = _skip(_GAP, self.text, position)
            if position >= len(self.text):
                break
            if self.text[position] == "[":
                self.tables.append(Table(prefix, start, last, is_array))
                start = position
                prefix, is_array, position = self._header(position)
            else:
                position = self._pair(position, prefix, inline=False)
            last = position
        self.tables.append(Table(prefix, start, last, is_array))

    def _header(self, position: int) -> tuple[Path, bool, int]:
        is_array = self.text.startswith("[[", position)
        path, position = self._keys(position + 1 + is_array)
        for length in range(1, len(path)):  # [a.b] below [[a]] belongs to a's last table
            if path[:length] in self._arrays:
                path = (*path[:length], str(self._arrays[path[:length]]), *path[length:])
        if is_array:
            self._arrays[path] = self._arrays.get(path, -1) + 1
            path = (*path, str(self._arrays[path]))
        return path, is_array, self.text.index("]", position) + 1 + is_array

    def _keys(self, position: int) -> tuple[Path, int]:
        """Read a dotted key; return it and where it ends."""
        keys: list[str] = []
        while True:
            position = _skip(_BLANK, self.text, position)
            match = _BARE_KEY.match(self.text, position)
            if match is None:
                match = _STRING.match(self.text, position)
                if match is None:
                    raise RewriteError(f"no key at offset {position}")
                keys.append(tomllib.loads(f"key = {match[0]}")["key"])
            else:
                keys.append(match[0])
            position = _skip(_BLANK, self.text, match.end())
            if self.text[position : position + 1] != ".":
                return tuple(keys), position
            position += 1

    def _pair(self, position: int, prefix: Path, *, inline: bool) -> int:
        path, after = self._keys(position)
        value = _skip(_BLANK, self.text, after + 1)
        end = self._value(value, (*prefix, *path))
        self.items[(*prefix, *path)] = Item(position, value, end, inline)
        return end

    def _value(self, position: int, path: Path) -> int:
        """Step over a value; return where it ends."""
        match self.text[position : position + 1]:
            case "[":
                return self._sequence(position, "]", path)
            case "{":
                return self._sequence(position, "}", path)
            case '"' | "'":
                return _skip(_STRING, self.text, position)
            case _:
                found = _PLAIN.match(self.text, position)
                return position + len(found[0].rstrip()) if found else position

    def _sequence(self, position: int, closing: str, path: Path) -> int:
        position, index = position + 1, 0
        while True:
            position = _skip(_GAP, self.text, position)
            if self.text[position] == closing:
                return position + 1
            if closing == "}":
                position = self._pair(position, path, inline=True)
            else:
                position = self._value(position, (*path, str(index)))
            index += 1


def _skip(pattern: re.Pattern[str], text: str, position: int) -> int:
    match = pattern.match(text, position)
    return match.end() if match else position


def edit(text: str, changes: Mapping[Path, Any]) -> str:
    """Return the text with values replaced or added, everything else untouched."""
    wanted = tomllib.loads(text)
    for path, value in changes.items():
        _put(wanted, path, value)
        text = _edit_one(text, path, value)
    try:
        result = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RewriteError(f"the changed file would not be valid: {error}") from None
    if result != wanted:
        raise RewriteError("the changed file would say something else")
    return text


def _put(data: dict[str, Any], path: Path, value: Any) -> None:
    for key in path[:-1]:
        data = data.setdefault(key, {})
    data[path[-1]] = value


def _edit_one(text: str, path: Path, value: Any) -> str:
    layout = Layout(text)
    item = layout.items.get(path)
    if item is not None:
        return text[: item.value] + literal(value) + text[item.end :]
    arrays = [table for table in layout.tables if table.is_array and table.path[:-1] == path]
    if arrays:
        return _edit_one(_without(text, arrays), path, value)
    if is_table(value) and any(table.path == path for table in layout.tables):
        for key, child in value.items():
            text = _edit_one(text, (*path, key), child)
        return text
    return _add(layout, path, value)


def _without(text: str, tables: list[Table]) -> str:
    for table in reversed(tables):
        text = text[: table.start] + text[table.end :].lstrip("\r\n")
    return text


def _add(layout: Layout, path: Path, value: Any) -> str:
    """Add a key where its table is: a header, an inline table, dotted keys, or a new header."""
    text = layout.text
    line = f"{_key(path[-1])} = {literal(value)}"
    for table in reversed(layout.tables):
        if table.path == path[:-1]:
            return _insert_line(text, table.end, line)
    parent = layout.items.get(path[:-1])
    if parent is not None:
        inner = text[parent.value + 1 : parent.end - 1].rstrip()
        comma = ", " if inner.strip() else " "
        return f"{text[: parent.value]}{{{inner}{comma}{line} }}{text[parent.end :]}"
    for other, item in reversed(layout.items.items()):
        if other[:-1] == path[:-1] and not item.inline:
            dotted = text[item.key : item.value].rpartition("=")[0].rpartition(".")[0]
            return _insert_line(text, item.end, f"{dotted}.{line}")
    gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
    return f"{text}{gap}[{'.'.join(map(_key, path[:-1]))}]\n{line}\n"


def _insert_line(text: str, offset: int, line: str) -> str:
    """Insert a line after the one that holds `offset`, which may end in a comment."""
    if offset == 0:
        return f"{line}\n{text}"
    end = text.find("\n", offset)
    if end < 0:
        return f"{text}\n{line}\n"
    return f"{text[: end + 1]}{line}\n{text[end + 1 :]}"


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else literal(key)


def literal(value: Any) -> str:
    """Write a value as TOML does, on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _quote(value)
    if is_array(value):
        return f"[{', '.join(map(literal, value))}]"
    if is_table(value) and not value:
        return "{}"
    if is_table(value):
        return f"{{ {', '.join(f'{_key(key)} = {literal(item)}' for key, item in value.items())} }}"
    return str(value)


def _quote(text: str) -> str:
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise RewriteError("a value is not UTF-8, which TOML cannot hold")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda found: f"\\u{ord(found[0]):04x}", escaped) + '"'
