"""Latency events: what made the server late, and when (LATENCY LATEST, HISTORY, DOCTOR).

An event is sampled when it lasts at least `latency-monitor-threshold` milliseconds. Each keeps one
sample per second, the worst of it, in a ring of 160, as Redis does.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

SAMPLES = 160


@dataclass(slots=True)
class Event:
    """The samples of one event: (Unix seconds, milliseconds), oldest first."""

    samples: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=SAMPLES))
    worst: int = 0  # milliseconds, since the last reset

    def add(self, at: int, milliseconds: int) -> None:
        """Record an occurrence; within one second only the worst is kept."""
        self.worst = max(self.worst, milliseconds)
        if self.samples and self.samples[-1][0] == at:
            self.samples[-1] = (at, max(milliseconds, self.samples[-1][1]))
        else:
            self.samples.append((at, milliseconds))


class Latency:
    """The events that were seen."""

    def __init__(self, threshold_ms: int = 0) -> None:
        self.threshold_ms = threshold_ms  # 0: off
        self.events: dict[str, Event] = {}

    def sample(self, event: str, at: int, milliseconds: int) -> None:
        """Record that something lasted, if it lasted long enough."""
        if 0 < self.threshold_ms <= milliseconds:
            self.events.setdefault(event, Event()).add(at, milliseconds)

    def reset(self, *names: str) -> int:
        """Forget the named events (none named: all); return how many there were."""
        known = [name for name in (names or tuple(self.events)) if name in self.events]
        for name in known:
            del self.events[name]
        return len(known)
