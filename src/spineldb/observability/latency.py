"""Latency events: what made the server late, and when (LATENCY LATEST, HISTORY, DOCTOR).

An event is sampled when it lasts at least `latency-monitor-threshold` milliseconds. Each keeps one
sample per second, the worst of it, in a ring of 160, as Redis does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import fmean

from spineldb.observability.sparkline import COLUMNS, sparkline

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

    def graph(self, name: str, now: int) -> str:
        """Draw the samples, how long ago each was written below it."""
        values = [value for _, value in self.samples]
        head = f"{name} - high {max(values)} ms, low {min(values)} ms"
        drawn = sparkline([(value, _ago(now - at)) for at, value in self.samples])
        return f"{head} (all time high {self.worst} ms)\n{'-' * COLUMNS}\n{drawn}"

    @property
    def summary(self) -> str:
        """The samples in figures."""
        values = [value for _, value in self.samples]
        mean = fmean(values)
        deviation = fmean(abs(value - mean) for value in values)
        period = (self.samples[-1][0] - self.samples[0][0]) / len(values)
        return (
            f"{len(values)} spikes, {mean:.0f} ms on average (mean deviation {deviation:.0f} ms), "
            f"one every {period:.0f} s, the worst {self.worst} ms"
        )


def _ago(seconds: int) -> str:
    for unit, length in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


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

    def report(self, slow_us: int) -> str:
        """Say in words what was seen and what can be done about it (LATENCY DOCTOR).

        `slow_us` is the slow log's threshold in microseconds, -1 if it is off.
        """
        if not self.threshold_ms:
            return (
                "Latency monitoring is off: latency-monitor-threshold is 0. Set it to the "
                "milliseconds from which a delay matters to you, for example with "
                "CONFIG SET latency-monitor-threshold 100, and ask again later.\n"
            )
        if not self.events:
            return f"No event took {self.threshold_ms} ms (latency-monitor-threshold) or longer.\n"
        seen = [f"{name}: {event.summary}." for name, event in self.events.items()]
        advice = [f"- {words}" for words in self._advice(slow_us)]
        return "\n".join([*seen, "", "What can be done:", *advice, ""])

    def _advice(self, slow_us: int) -> Iterator[str]:
        """Give advice on the events that were seen, with the parameter to change."""
        if "command" in self.events and not 0 <= slow_us <= self.threshold_ms * 1000:
            yield (
                f"The slow log misses commands that were late here: slowlog-log-slower-than is "
                f"{slow_us} us. Set it to {self.threshold_ms * 1000}."
            )
        for name, words in _ADVICE.items():
            if name in self.events:
                yield words


_ADVICE = {
    "command": "Look at SLOWLOG GET: commands over many elements (KEYS, SORT, a big DEL or LRANGE) "
    "hold everybody up. Ask for less at a time, with SCAN and its kin.",
    "fast-command": "Commands of constant time were late: the process did not get the processor. "
    "Look for swapping (INFO memory, used_memory_rss), for other processes, for a busy host.",
    "event-loop": "The loop came round late: something held the process up. If no command was "
    "slow, look for swapping, for other processes, for code of your own on the same loop.",
    "expire-cycle": "Many keys expire at the same moment. Spread their deadlines, or use EXPIRE "
    "with a random addition.",
    "eviction-cycle": "Memory is full and eviction takes its time: raise maxmemory, or lower "
    "maxmemory-samples.",
    "fork": "fork() copies the page tables: use a smaller dataset per process, and turn off "
    "transparent huge pages.",
    "aof-write": "Writing the log waits for the disk: see appendfsync and what else uses the disk.",
    "aof-fsync-always": "appendfsync always waits for the disk at each turn: everysec does not.",
    "active-defrag-cycle": "Moving entries together took long: tell us, it is meant to be bounded.",
}
