"""The timing wheel: nothing is late, nothing is lost, whatever the clock does."""

from __future__ import annotations

import contextlib

from spineldb.core.probe import SlabsProbe, WheelProbe

NOW = 1_700_000_000_000


def fired(wheel: WheelProbe, now: int, limit: int = 1 << 30) -> list[int]:
    seen: list[int] = []
    wheel.advance(now, limit, seen.append)
    return seen


def test_a_deadline_comes_within_a_tick() -> None:
    wheel = WheelProbe(SlabsProbe(), NOW)
    wheel.push(NOW + 100, 1)
    assert fired(wheel, NOW + 99) == []
    assert fired(wheel, NOW + 116) == [1]
    assert fired(wheel, NOW + 10**9) == []


def test_a_deadline_that_has_passed_comes_at_the_next_tick() -> None:
    wheel = WheelProbe(SlabsProbe(), NOW)
    wheel.push(NOW - 5000, 1)
    assert fired(wheel, NOW + 16) == [1]


def test_the_last_deadline_of_all_does_not_come_now() -> None:
    wheel = WheelProbe(SlabsProbe(), NOW)
    wheel.push((1 << 63) - 1, 1)
    assert fired(wheel, NOW + 86_400_000) == []
    assert wheel.next_ms > NOW + (1 << 50)


def test_a_far_deadline_comes_early_and_never_late() -> None:
    day = 86_400_000
    wheel = WheelProbe(SlabsProbe(), NOW)
    wheel.push(NOW + day, 1)
    rounds = 0
    while True:
        assert wheel.next_ms <= NOW + day + 16
        now = wheel.next_ms
        assert fired(wheel, now) == [1]
        rounds += 1
        if now >= NOW + day:
            break
        wheel.push(NOW + day, 1)
    assert rounds <= 4
    assert wheel.next_ms == -1


def test_a_limit_leaves_the_rest() -> None:
    wheel = WheelProbe(SlabsProbe(), NOW)
    for i in range(5000):
        wheel.push(NOW + 1000, i)
    seen: list[int] = []
    assert wheel.advance(NOW + 2000, 1000, seen.append) == (1000, True)
    assert len(wheel) == 4000
    assert wheel.advance(NOW + 2000, 3999, seen.append) == (3999, True)
    assert wheel.advance(NOW + 2000, 10, seen.append) == (1, False)
    assert sorted(seen) == list(range(5000))


def test_a_jump_forward_skips_empty_slots() -> None:
    wheel = WheelProbe(SlabsProbe(), NOW)
    wheel.push(NOW + 10**12, 7)
    assert fired(wheel, NOW + 2 * 10**12) == [7]


def test_a_jump_back_fires_nothing_and_nothing_is_late() -> None:
    wheel = WheelProbe(SlabsProbe(), NOW)
    deadlines = {i: NOW + i * 977 for i in range(1, 2000)}
    for prefix, deadline in deadlines.items():
        wheel.push(deadline, prefix)
    back = NOW - 3_600_000
    assert fired(wheel, back) == []
    deadlines[0] = back + 500
    wheel.push(back + 500, 0)

    def look(prefix: int) -> None:
        if deadlines[prefix] <= now:
            del deadlines[prefix]
        else:
            wheel.push(deadlines[prefix], prefix)

    now = back
    while deadlines:
        now += 50_000
        wheel.advance(now, 1 << 30, look)
        assert all(deadline > now - 16 for deadline in deadlines.values())


def test_memory_is_four_bytes_a_key_and_all_of_it_comes_back() -> None:
    slabs = SlabsProbe()
    wheel = WheelProbe(slabs, NOW)
    empty = wheel.own_bytes
    for i in range(100_000):
        wheel.push(NOW + 60_000 + i % 100, i)
    assert (wheel.own_bytes - empty) / 100_000 < 4.3
    assert slabs.used == wheel.own_bytes
    assert len(fired(wheel, NOW + 100_000)) == 100_000
    assert wheel.own_bytes == empty
    wheel.push(NOW, 1)
    del wheel
    assert slabs.used == 0


def test_without_memory_a_push_changes_nothing() -> None:
    slabs = SlabsProbe()
    wheel = WheelProbe(slabs, NOW)
    slabs.fail_in = 1
    try:
        wheel.push(NOW + 10, 1)
    except MemoryError:
        pass
    else:
        raise AssertionError
    assert len(wheel) == 0
    assert wheel.next_ms == -1


def test_a_visitor_that_raises_keeps_the_prefix() -> None:
    wheel = WheelProbe(SlabsProbe(), NOW)
    wheel.push(NOW + 10, 1)

    def refuse(_: int) -> None:
        raise KeyError

    with contextlib.suppress(KeyError):
        wheel.advance(NOW + 100, 10, refuse)
    assert fired(wheel, NOW + 100) == [1]


def test_a_visitor_may_stop() -> None:
    wheel = WheelProbe(SlabsProbe(), NOW)
    for i in range(10):
        wheel.push(NOW + 10, i)
    assert wheel.advance(NOW + 100, 100, lambda _: False) == (1, True)
