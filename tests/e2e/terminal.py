"""A program on a terminal of its own, as somebody sitting before it would use it."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import termios
import time
from typing import Self

_ESCAPES = re.compile(rb"\x1b(\[[0-9;?]*[a-zA-Z]|\][^\x07]*\x07|[=>])")


class Terminal:
    """Type lines, and read what appears, without its colours and movements."""

    def __init__(self, arguments: list[str], environment: dict[str, str] | None = None) -> None:
        ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (50, 200))
        self._descriptor = ours
        self.shown = b""
        self.process = subprocess.Popen(
            arguments,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=os.environ | {"TERM": "dumb"} | (environment or {}),
            close_fds=True,
        )
        os.close(theirs)

    def type(self, line: str) -> None:
        """Type a line and press return."""
        os.write(self._descriptor, line.encode() + b"\r")

    def press(self, key: bytes) -> None:
        r"""Press a key: b"\t", or b"\3" for Ctrl-C."""
        os.write(self._descriptor, key)

    def wait_for(self, pattern: str, seconds: float = 10.0) -> re.Match[str]:
        """Return where a pattern appears; what comes before it is not looked at again."""
        deadline = time.monotonic() + seconds
        while True:
            text = _ESCAPES.sub(b"", self.shown).decode("utf-8", "replace")
            if found := re.search(pattern, text, re.DOTALL):
                self.shown = text[found.end() :].encode()
                return found
            if not self._read(deadline - time.monotonic()):
                raise AssertionError(f"{pattern!r} did not appear in {text!r}")

    def _read(self, seconds: float) -> bool:
        if seconds <= 0 or not select.select([self._descriptor], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self._descriptor, 65536)
        except OSError:  # the program has left its terminal
            return False
        self.shown += data
        if b"\x1b[6n" in data:  # it asks where the cursor is
            os.write(self._descriptor, b"\x1b[1;1R")
        return bool(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._descriptor)
