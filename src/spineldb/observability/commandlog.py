"""The slow log and its siblings: the last commands that took long, or were big.

A log keeps a bounded number of entries, newest first. What it is told of a command is short already
(`core.dispatch.Measured`): at most 32 arguments of at most 128 bytes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice


@dataclass(frozen=True, slots=True)
class Entry:
    """One command that crossed the threshold."""

    id: int
    at: int  # Unix seconds
    amount: int  # microseconds, or bytes
    argv: list[bytes]
    address: str
    client_name: str


class CommandLog:
    """The commands whose amount (microseconds or bytes) reached a threshold."""

    def __init__(self, threshold: int, length: int) -> None:
        self.threshold = threshold  # -1: off
        self._entries: deque[Entry] = deque(maxlen=length)
        self._next_id = 0

    def __len__(self) -> int:
        return len(self._entries)

    def resize(self, length: int) -> None:
        """Keep at most `length` entries, the newest ones."""
        self._entries = deque(islice(self._entries, length), maxlen=length)

    def concerns(self, amount: int) -> bool:
        """Tell whether a command of this amount belongs into the log."""
        return 0 <= self.threshold <= amount

    def add(self, at: int, amount: int, argv: Sequence[bytes], address: str, name: str) -> None:
        """Record a command; the oldest entry goes if the log is full."""
        entry = Entry(self._next_id, at, amount, list(argv), address, name)
        self._next_id += 1
        self._entries.appendleft(entry)

    def newest(self, count: int) -> list[Entry]:
        """Return the newest `count` entries (-1: all)."""
        return list(self._entries if count < 0 else islice(self._entries, count))

    def clear(self) -> None:
        """Forget every entry; numbering goes on."""
        self._entries.clear()
