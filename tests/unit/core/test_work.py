"""The budgeted queue: turns, budgets, and jobs that fail."""

from __future__ import annotations

import pytest

from spineldb.clock import ticks_ns
from spineldb.core.work import CallWork, WorkQueue


def test_jobs_take_turns_until_they_finish() -> None:
    queue = WorkQueue()
    log: list[str] = []

    def job(name: str, steps: int) -> CallWork:
        left = [steps]

        def step(_: int) -> bool:
            log.append(name)
            left[0] -= 1
            return left[0] == 0

        return CallWork(step)

    queue.submit(job("a", 3))
    queue.submit(job("b", 2))
    assert len(queue) == 2
    assert queue.turn(1_000_000) == 0
    assert log == ["a", "b", "a", "b", "a"]
    assert queue.done_count == 2


def test_a_turn_keeps_its_budget() -> None:
    queue = WorkQueue()

    def step(until: int) -> bool:
        while ticks_ns() < until:
            pass
        return False

    queue.submit(CallWork(step))
    queue.submit(CallWork(step))
    begin = ticks_ns()
    assert queue.turn(2000) == 2
    assert ticks_ns() - begin < 50_000_000


def test_a_job_that_raises_is_dropped() -> None:
    queue = WorkQueue()

    def step(_: int) -> bool:
        raise KeyError

    queue.submit(CallWork(step))
    with pytest.raises(KeyError):
        queue.turn(1000)
    assert queue.turn(1000) == 0
    assert queue.done_count == 0


def test_an_empty_queue_costs_nothing() -> None:
    assert WorkQueue().turn(1000) == 0
