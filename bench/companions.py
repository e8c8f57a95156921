"""Small programs that stand by while a server is measured: they say `ready`, and end with stdin."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).parent.parent


class Companion:
    """A module of this package running as a process until it is dismissed."""

    def __init__(self, module: str, *arguments: int) -> None:
        self._module = module
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"bench.{module}", *map(str, arguments)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def await_ready(self) -> None:
        """Wait until it stands by."""
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "ready\n":
            raise ConnectionError(f"the server did not serve {self._module}")

    def dismiss(self) -> str:
        """End it and return what it printed last."""
        printed, _ = self._process.communicate()
        return printed.strip()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.communicate()
