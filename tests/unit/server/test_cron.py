"""The timers of a server, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from spineldb.core import strings
from spineldb.core.reactor import Reactor
from spineldb.core.work import CallWork
from spineldb.engine.engine import Engine
from spineldb.server.composition import compose
from spineldb.server.cron import Cron
from tests.support import virtual_time

START_MS = 1_700_000_000_000


class Scene:
    """An engine and its timers; the loop's clock is the wall clock."""

    def __init__(self) -> None:
        self.engine: Engine = compose(seed=bytes(16))
        self.network = Reactor(self.engine.dispatcher)
        self.engine.keyspace.advance(self.now_ms())
        self.cron = Cron(self.engine, self.network, self.now_ms)

    @staticmethod
    def now_ms() -> int:
        """Return the time it is here, as Unix milliseconds."""
        return START_MS + round(asyncio.get_running_loop().time() * 1000)

    def put(self, key: bytes, lives_ms: int) -> None:
        """Store a key that has so long to live."""
        strings.put(self.engine.keyspace.databases[0], key, b"value", self.now_ms() + lives_ms)


def play(scenario: Callable[[Scene], object]) -> None:
    """Run a scenario, a coroutine function, with the timers of a new scene."""

    async def scene() -> None:
        stage = Scene()
        stage.cron.start()
        await scenario(stage)  # type: ignore[misc]
        stage.cron.stop()

    virtual_time.run(scene())


def test_keys_are_deleted_within_two_ticks_of_their_time() -> None:
    async def scenario(scene: Scene) -> None:
        database = scene.engine.keyspace.databases[0]
        scene.put(b"short", 50)
        scene.put(b"long", 5000)
        await asyncio.sleep(0.049)
        assert len(database) == 2
        await asyncio.sleep(0.15)
        assert len(database) == 1
        await asyncio.sleep(4.79)
        assert len(database) == 1
        await asyncio.sleep(0.05)
        assert len(database) == 0

    play(scenario)


def test_nothing_expires_and_no_work_is_done_while_cron_is_paused() -> None:
    """DEBUG PAUSE-CRON."""

    async def scenario(scene: Scene) -> None:
        scene.engine.lifecycle.cron_paused = True
        scene.put(b"key", 10)
        await asyncio.sleep(10)
        assert len(scene.engine.keyspace.databases[0]) == 1
        scene.engine.lifecycle.cron_paused = False
        await asyncio.sleep(0.2)
        assert len(scene.engine.keyspace.databases[0]) == 0

    play(scenario)


def test_an_idle_server_wakes_thirty_times_a_second() -> None:
    async def scenario(scene: Scene) -> None:
        del scene
        loop = asyncio.get_running_loop()
        wakes = 0
        run_once = loop._run_once  # type: ignore[attr-defined]

        def counting() -> None:
            nonlocal wakes
            wakes += 1
            run_once()

        loop._run_once = counting  # type: ignore[attr-defined]
        await asyncio.sleep(10)
        assert wakes <= 310

    play(scenario)


def test_work_goes_on_until_it_is_done_and_then_rests() -> None:
    async def scenario(scene: Scene) -> None:
        left = 5

        def step(until_ns: int) -> bool:
            nonlocal left
            del until_ns
            left -= 1
            return left == 0

        scene.engine.keyspace.work.submit(CallWork(step))
        await asyncio.sleep(0.101)  # at the next turn of the timer, and then without a pause
        assert left == 0

    play(scenario)


def test_a_timer_that_fails_is_counted_and_set_again(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(scene: Scene) -> None:
        def fail(until_ns: int) -> bool:
            raise ZeroDivisionError(until_ns)

        scene.engine.keyspace.work.submit(CallWork(fail))
        await asyncio.sleep(0.5)
        assert scene.engine.dispatcher.internal_errors == 1
        done: list[int] = []
        scene.engine.keyspace.work.submit(CallWork(lambda until_ns: not done.append(until_ns)))
        await asyncio.sleep(0.5)
        assert len(done) == 1

    play(scenario)
    assert "housekeeping failed timer=work" in caplog.text
