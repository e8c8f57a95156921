"""The only place that asks what time it is.

Deadlines are wall-clock (`unix_ms`), budgets and durations monotonic (`ticks_ns`). Compiled
callers cimport the inline functions of the header. Tests that need another time hand their own
clock down: nothing here can be set.
"""

from spineldb.clock cimport monotonic_ns, wall_ms, wall_us


def unix_ms() -> int:
    """Return the wall clock in Unix milliseconds."""
    return wall_ms()


def unix_us() -> int:
    """Return the wall clock in Unix microseconds."""
    return wall_us()


def ticks_ns() -> int:
    """Return the monotonic clock in nanoseconds."""
    return monotonic_ns()
