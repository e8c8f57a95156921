"""What happens as time passes: keys expire, deferred work is done, rates are sampled.

Three timers on the event loop, and two more while memory is full or that of clients is limited.
None of them does more than a millisecond of work at once; what is left is taken up again after the
next turn of the reactor, so clients never wait for it. A timer that fails is logged, counted, and
set again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from spineldb import clock
from spineldb.core.effects import NotSettled
from spineldb.observability.logging import get_log
from spineldb.observability.rates import Rate

if TYPE_CHECKING:
    from spineldb.core.reactor import Reactor
    from spineldb.engine.engine import Engine

log = get_log(__name__)

BUDGET_US = 1000
TICK_SECONDS = 0.1
DONE = -1.0  # what a timer answers that need not run again
EXPIRY_SECONDS = 0.016  # one tick of the timing wheel
CLIENTS_SECONDS = 0.01  # between looks at the memory of clients, while there is a limit to it
CLIENTS_SHARE = 50  # and at least this many times as long as such a look takes
AGEING_SECONDS = 4 * 3600  # access clocks of 16 bits wrap after 18 hours
DEFRAGMENT_RATIO = 1.2  # memory held to memory used, above which entries are moved together
DEFRAGMENT_BYTES = 1 << 20  # and at least this much to gain


class Cron:
    """The timers of one server. `unix_ms` tells the time by which keys expire."""

    def __init__(
        self, engine: Engine, network: Reactor, unix_ms: Callable[[], int] = clock.unix_ms
    ) -> None:
        self._engine = engine
        self._network = network
        self._unix_ms = unix_ms
        self._timers: dict[str, asyncio.Handle] = {}
        self._aged_ns = clock.ticks_ns()
        self.commands = Rate()
        self.input_bytes = Rate()
        self.output_bytes = Rate()
        self.turns = Rate()
        self._due = 0.0  # when the loop should have come round to the tick
        self.lag_us = 0  # and how much later it did, the last time
        self.most_lag_us = 0
        self.expiry_ns = 0  # spent on deleting expired keys

    def start(self) -> None:
        """Begin; the event loop is running."""
        for act in (self._tick, self._expire, self._work):
            self._run(act)

    def stop(self) -> None:
        """Stop every timer."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def clear(self) -> None:
        """Forget the rates (CONFIG RESETSTAT)."""
        for rate in (self.commands, self.input_bytes, self.output_bytes, self.turns):
            rate.clear()
        self.most_lag_us = 0

    @property
    def _paused(self) -> bool:
        return self._engine.lifecycle.cron_paused

    @property
    def spent_in_commands_ns(self) -> int:
        """Time spent in commands since the start."""
        return sum(command.spent_ns for command in self._engine.dispatcher.everything())

    @property
    def mean_turn_us(self) -> int:
        """Mean length of a turn of the reactor."""
        return self._network.turns_ns // 1000 // max(self._network.turns, 1)

    # -- the timers --------------------------------------------------------------------------------

    def _run(self, act: Callable[[], float]) -> None:
        """Act, and again after the seconds that it returns.

        0 is after the reactor's next turn, DONE is never.
        """
        try:
            seconds = TICK_SECONDS if self._paused else act()
        except Exception:
            seconds = TICK_SECONDS
            self._engine.dispatcher.internal_errors += 1
            log.exception("housekeeping failed", timer=act.__name__.strip("_"))
        loop = asyncio.get_running_loop()
        if seconds == DONE:
            self._timers.pop(act.__name__, None)
        elif seconds:
            self._timers[act.__name__] = loop.call_later(seconds, self._run, act)
        else:
            self._timers[act.__name__] = loop.call_soon(self._run, act)

    def _begin(self, act: Callable[[], float]) -> None:
        """Run what goes on until it is DONE, unless it is going on already."""
        if act.__name__ not in self._timers:
            self._run(act)

    def _tick(self) -> float:
        """Sample rates, look after clients, decide on housekeeping."""
        engine, network, now = self._engine, self._network, clock.ticks_ns()
        self._measure_lag()
        network.cron()
        self.commands.sample(now, engine.dispatcher.commands_processed)
        self.input_bytes.sample(now, network.total_net_input_bytes)
        self.output_bytes.sample(now, network.total_net_output_bytes)
        self.turns.sample(now, network.turns)
        engine.memory.observe()
        self._tidy(now)
        self._begin(self._evict)
        self._begin(self._clients)
        self._due = asyncio.get_running_loop().time() + TICK_SECONDS
        return TICK_SECONDS

    def _measure_lag(self) -> None:
        """Note how much later than it should the event loop has come round to this timer."""
        late = asyncio.get_running_loop().time() - self._due if self._due else 0.0
        self.lag_us = max(round(late * 1_000_000), 0)
        self.most_lag_us = max(self.most_lag_us, self.lag_us)
        now = self._unix_ms() // 1000
        self._engine.observer.latency.sample("event-loop", now, self.lag_us // 1000)

    def _tidy(self, now_ns: int) -> None:
        keyspace = self._engine.keyspace
        keyspace.renew_wheels()
        held, used = keyspace.committed_memory, keyspace.used_memory
        if held > used * DEFRAGMENT_RATIO and held - used > DEFRAGMENT_BYTES:
            keyspace.defragment()
        if now_ns - self._aged_ns > AGEING_SECONDS * 1_000_000_000:
            self._aged_ns = now_ns
            keyspace.age()

    def _expire(self) -> float:
        """Delete keys whose time has passed."""
        engine, began = self._engine, clock.ticks_ns()
        engine.keyspace.advance(self._unix_ms())
        try:
            more = engine.effects.expire(BUDGET_US)
        except NotSettled as error:  # EM-23
            more = False
            engine.emergency.enter(None, None, [], error.__cause__)
        except MemoryError:  # and nothing was deleted
            more = False
            log.error("no memory to delete keys whose time has passed")  # noqa: TRY400
        spent = clock.ticks_ns() - began
        self.expiry_ns += spent
        engine.observer.latency.sample("expire-cycle", self._unix_ms() // 1000, spent // 1_000_000)
        if engine.effects.ready:
            engine.blocking.serve(engine.effects)
        if more:
            return 0
        waiting = any(one.deadlines or one.field_deadlines for one in engine.keyspace.databases)
        return EXPIRY_SECONDS if waiting else TICK_SECONDS

    def _evict(self) -> float:
        """Evict what is above the limit: it was lowered, or writes had to leave something."""
        engine, began = self._engine, clock.ticks_ns()
        try:
            more = engine.eviction.work(BUDGET_US)
        except NotSettled as error:  # EM-23
            more = False
            engine.emergency.enter(None, None, [], error.__cause__)
        except MemoryError:  # and nothing was evicted
            more = False
            log.error("no memory to evict keys")  # noqa: TRY400
        spent = max(clock.ticks_ns() - began, engine.eviction.take_longest_ns())
        now = self._unix_ms() // 1000
        engine.observer.latency.sample("eviction-cycle", now, spent // 1_000_000)
        if engine.effects.ready:
            engine.blocking.serve(engine.effects)
        return 0 if more else DONE

    def _clients(self) -> float:
        """Bound the memory of clients; the more of them there are, the less often."""
        if not self._engine.settings.client_memory_limit():
            return DONE
        began = clock.ticks_ns()
        self._engine.clients.bound_memory()
        return max(CLIENTS_SECONDS, CLIENTS_SHARE * (clock.ticks_ns() - began) / 1_000_000_000)

    def _work(self) -> float:
        """Do a slice of the deferred work: free what was flushed, move entries together."""
        return 0 if self._engine.keyspace.run_work(BUDGET_US) else TICK_SECONDS
