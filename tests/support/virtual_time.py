"""An event loop whose time passes at once: timers fire in their order, and nobody sleeps."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class VirtualLoop(asyncio.SelectorEventLoop):
    """Waiting for a timer moves the clock; sockets are looked at without waiting."""

    def __init__(self) -> None:
        self.now = 1000.0
        super().__init__(_Impatient(self))

    def time(self) -> float:
        """Return the time it is here."""
        return self.now


class _Impatient(selectors.SelectSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "everybody waits, and for nothing"
            self._loop.now += timeout
        return ready


def run(scenario: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(scenario)
