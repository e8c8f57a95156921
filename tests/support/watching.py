"""The WATCH matrix: which watched keys a request changes (tests/reference/watch-matrix.txt)."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).parent.parent / "reference" / "watch-matrix.txt"
ABSENT = (b"new", b"new2", b"gone")  # watched although no request of the setup makes them
DATABASES = 2

Words = list[bytes]
Ask = Callable[[int, Sequence[Words]], list[bytes]]  # (client, requests): the replies
Pause = Callable[[int], None]


@dataclass
class Case:
    """A line of the matrix: what is done before keys are watched, what then, what it changes."""

    line: int
    before: list[Words | int]  # an integer is a pause in milliseconds
    after: list[Words | int]
    touched: frozenset[str]

    @property
    def pauses(self) -> bool:
        """Whether it depends on time."""
        return any(isinstance(step, int) for step in (*self.before, *self.after))


def steps(text: str) -> list[Words | int]:
    """Return the requests and pauses of a part of a line."""
    found: list[Words | int] = []
    for part in filter(None, text.split(" ; ")):
        words = shlex.split(part)
        found.append(int(words[1]) if words[0] == "~" else [word.encode() for word in words])
    return found


def load() -> tuple[list[Words], list[Case]]:
    """Return the requests of the setup, and the cases."""
    setup: list[Words] = []
    cases: list[Case] = []
    section = ""
    for number, line in enumerate(FILE.read_text(encoding="utf-8").splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        if line[0].islower():
            section = line
        elif section == "setup":
            setup.append([word.encode() for word in shlex.split(line)])
        else:
            asked, _, touched = line.partition(" =>")
            before, bar, after = asked.partition(" | ")
            parts = (steps(before), steps(after)) if bar else ([], steps(asked))
            theirs, differs, ours = touched.partition(" !=")
            cases.append(Case(number, *parts, frozenset((ours if differs else theirs).split())))
    return setup, cases


def watched_keys(setup: Sequence[Words]) -> Iterator[tuple[int, bytes]]:
    """Yield every key that is watched, with its database."""
    names = dict.fromkeys([*(words[1] for words in setup if len(words) > 2), *ABSENT])
    for database in range(DATABASES):
        for key in names:
            yield database, key


class Watching:
    """Runs cases at a server: client 0 sends the requests, each of the others watches one key."""

    def __init__(self, ask: Ask, pause: Pause, setup: Sequence[Words]) -> None:
        self.ask, self.pause, self.setup = ask, pause, setup
        self.keys = list(watched_keys(setup))
        for number, (database, _) in enumerate(self.keys, 1):
            ask(number, [[b"SELECT", b"%d" % database]])

    def play(self, parts: Sequence[Words | int]) -> list[bytes]:
        """Send requests, and pause; return the replies."""
        replies: list[bytes] = []
        for step in parts:
            if isinstance(step, int):
                self.pause(step)
            else:
                replies += self.ask(0, [step])
        return replies

    def run(self, before: Sequence[Words | int], after: Sequence[Words | int]) -> frozenset[str]:
        """Return which keys were changed, as `database:key`."""
        first = [[b"SELECT", b"0"], [b"FLUSHALL"], [b"DEBUG", b"SET-ACTIVE-EXPIRE", b"1"]]
        self.ask(0, [*first, *self.setup])
        self.play(before)
        for number, (_, key) in enumerate(self.keys, 1):
            self.ask(number, [[b"WATCH", key]])
        self.play(after)
        touched: list[str] = []
        for number, (database, key) in enumerate(self.keys, 1):
            reply = self.ask(number, [[b"MULTI"], [b"EXEC"]])[1]
            assert reply in {b"*0\r\n", b"*-1\r\n"}, reply
            if reply == b"*-1\r\n":
                touched.append(f"{database}:{key.decode()}")
        return frozenset(touched)
