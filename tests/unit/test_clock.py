"""The clocks tell the time, also when it is read off the processor's counter."""

from __future__ import annotations

import time

from spineldb.clock import counter_rate, ticks_ns, unix_ms, unix_us


def test_wall_clocks_are_the_systems() -> None:
    before = time.time_ns()
    ms, us = unix_ms(), unix_us()
    assert before // 1_000_000 <= ms <= us // 1000 <= time.time_ns() // 1_000_000


def test_the_monotonic_clock_stays_with_the_kernels_and_never_goes_back() -> None:
    """For a third of a second: long enough to have measured the counter and to follow it."""
    last = ticks_ns()
    end = time.monotonic_ns() + 300_000_000
    while (before := time.monotonic_ns()) < end:
        now = ticks_ns()
        after = time.monotonic_ns()
        assert before - 20_000 < now < after + 20_000
        assert now >= last
        last = now


def test_the_counter_runs_at_a_believable_rate_or_is_not_used() -> None:
    assert counter_rate() == 0 or 0.1 < counter_rate() < 10
