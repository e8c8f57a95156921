"""Rates over the last seconds: `instantaneous_ops_per_sec` and its siblings in INFO."""

from __future__ import annotations

from collections import deque

SAMPLES = 16  # of about 100 ms each, as in Redis


class Rate:
    """The mean growth per second of a counter that is sampled ten times a second."""

    def __init__(self) -> None:
        self._samples: deque[float] = deque(maxlen=SAMPLES)
        self._last: tuple[int, int] | None = None  # (monotonic ns, counter)

    def sample(self, now_ns: int, counter: int) -> None:
        """Take the counter's value now."""
        if self._last is not None and now_ns > self._last[0]:
            grown = max(counter - self._last[1], 0)
            self._samples.append(grown * 1e9 / (now_ns - self._last[0]))
        self._last = (now_ns, counter)

    @property
    def per_second(self) -> float:
        """The mean over the samples kept."""
        return sum(self._samples) / len(self._samples) if self._samples else 0.0

    def clear(self) -> None:
        """Forget the samples."""
        self._samples.clear()
        self._last = None
