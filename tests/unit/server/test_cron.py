"""The timers of a server, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from spineldb.core import strings
from spineldb.core.effects import RecordingSink
from spineldb.core.reactor import Reactor
from spineldb.core.streams import References, Stream
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


def test_what_is_above_the_limit_goes_until_it_is_not() -> None:
    async def scenario(scene: Scene) -> None:
        engine, database = scene.engine, scene.engine.keyspace.databases[0]
        for key in range(5000):
            strings.put(database, b"key:%d" % key, b"value")
        engine.eviction.follow("allkeys-lru", 5)
        limit = engine.keyspace.used_memory // 2
        engine.dispatcher.limit_memory(limit)
        await asyncio.sleep(0.101)  # at the next tick, and then without a pause
        assert engine.keyspace.used_memory <= limit
        assert 1000 < len(database) < 4000
        await asyncio.sleep(1)
        assert engine.keyspace.used_memory > limit * 0.9

    play(scenario)


def test_an_eviction_that_cannot_be_told_is_an_emergency() -> None:
    """EM-23."""

    async def scenario(scene: Scene) -> None:
        engine, database = scene.engine, scene.engine.keyspace.databases[0]
        engine.effects.add_sink(RecordingSink())
        strings.put(database, b"key", b"value")
        engine.effects.fail_next = 1
        engine.eviction.follow("allkeys-lru", 5)
        engine.dispatcher.limit_memory(1)
        await asyncio.sleep(0.2)
        assert engine.emergency.active
        strings.put(database, b"key", b"value")
        await asyncio.sleep(0.5)
        assert len(database) == 1

    play(scenario)


def test_clients_are_bounded_while_there_is_a_limit() -> None:
    async def scenario(scene: Scene) -> None:
        client = scene.network.connect("127.0.0.1:1")
        client.feed(b"*2\r\n$3\r\nGET\r\n$9000000\r\n" + bytes(4 << 20))
        await asyncio.sleep(0.2)
        assert scene.engine.clients.evicted == 0
        scene.engine.settings.limits.maxmemory_clients = 1 << 20
        await asyncio.sleep(0.11)
        assert scene.engine.clients.evicted == 1

    play(scenario)


def test_how_late_the_loop_is_is_measured() -> None:
    """O12."""

    async def scenario(scene: Scene) -> None:
        loop = asyncio.get_running_loop()
        scene.engine.observer.latency.threshold_ms = 100
        await asyncio.sleep(0.95)
        assert scene.cron.most_lag_us < 1000
        loop.now += 0.3  # type: ignore[attr-defined]  # somebody does not come back
        await asyncio.sleep(0.01)
        assert 200_000 < scene.cron.lag_us < 310_000
        await asyncio.sleep(0.2)
        assert scene.cron.lag_us < 1000
        assert scene.cron.most_lag_us > 200_000
        assert "event-loop" in scene.engine.observer.latency.events
        scene.cron.clear()
        assert scene.cron.most_lag_us == 0

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


def test_memory_is_tidied_when_much_has_gone_and_not_again_while_nothing_changes() -> None:
    async def scenario(scene: Scene) -> None:
        keyspace = scene.engine.keyspace
        stream = Stream(keyspace.databases[0], b"stream")
        for number in range(40_000):
            stream.add((1, number), b"name", b"x" * 50)
        await asyncio.sleep(1)
        for number in range(40_000):
            if number % 10:
                stream.delete((1, number), References.KEEPREF)
        gaps = keyspace.used_memory
        await asyncio.sleep(2)
        assert keyspace.used_memory < gaps * 0.8
        assert len(stream) == 4000
        done = keyspace.work.done_count
        assert done > 0
        await asyncio.sleep(5)
        assert keyspace.work.done_count == done

    play(scenario)
