"""The timing wheel against a dict of deadlines, under a clock that jumps."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from spineldb.core.probe import SlabsProbe, WheelProbe

START = 10_000_000_000
moments = st.integers(-(10**4), 10**4) | st.integers(-(10**9), 10**10)
steps = st.lists(st.tuples(st.lists(moments, max_size=20), moments), max_size=30)


@settings(max_examples=200, deadline=None)
@given(steps, st.integers(1, 50))
def test_no_deadline_is_missed(script: list[tuple[list[int], int]], limit: int) -> None:
    slabs = SlabsProbe(64 << 20)
    wheel = WheelProbe(slabs, START)
    empty = wheel.own_bytes
    now = START
    deadlines: dict[int, int] = {}
    pushed_at: dict[int, int] = {}
    number = 0

    def look(prefix: int) -> None:
        if deadlines[prefix] <= now:
            del deadlines[prefix]
        else:
            wheel.push(deadlines[prefix], prefix)

    for ahead, jump in script:
        for distance in ahead:
            deadlines[number] = now + distance
            pushed_at[number] = now
            wheel.push(now + distance, number)
            number += 1
        now = max(0, now + jump)
        more = True
        while more:
            count, more = wheel.advance(now, limit, look)
            assert count <= limit
        assert len(wheel) == len(deadlines)
        # A deadline of the tick just begun, or that had passed when pushed, comes with the next.
        for number_left, deadline in deadlines.items():
            assert jump <= 0 or max(deadline, pushed_at[number_left]) > now - 16
    now += 10**12
    more = True
    while more:
        _, more = wheel.advance(now, limit, look)
    assert not deadlines
    assert wheel.own_bytes == empty
