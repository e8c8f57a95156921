"""Eviction: the policy in force, the slices in the background, and what INFO says of it.

Which keys go, and how, is in `core/eviction`. A write at the limit makes room for itself there;
this module is called ten times a second, and after each turn of the loop while there is more to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spineldb.core.eviction import Choice

if TYPE_CHECKING:
    from spineldb.core.dispatch import Dispatcher
    from spineldb.engine.introspection import Fields

ENDLESS_TENACITY = 100

#: What each policy chooses among the keys sampled, and whether only keys with a deadline may go.
POLICIES = {
    "noeviction": (Choice.CHOOSE_NONE, False),
    "allkeys-lru": (Choice.CHOOSE_LRU, False),
    "allkeys-lfu": (Choice.CHOOSE_LFU, False),
    "allkeys-random": (Choice.CHOOSE_RANDOM, False),
    "volatile-lru": (Choice.CHOOSE_LRU, True),
    "volatile-lfu": (Choice.CHOOSE_LFU, True),
    "volatile-random": (Choice.CHOOSE_RANDOM, True),
    "volatile-ttl": (Choice.CHOOSE_TTL, True),
}


class Eviction:
    """The eviction of one server's keys."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._evictor = dispatcher.evictor
        self.policy = "noeviction"

    def follow(self, policy: str, samples: int, tenacity: int = 10) -> None:
        """Evict by this policy from now on, looking at some keys for each that goes.

        `tenacity` says for how long in one turn of the loop: 10 is a millisecond, less is
        proportionally less, each step above that 15 % more, and 100 as long as it takes.
        """
        choice, volatile_only = POLICIES[policy]
        if policy != self.policy:
            self._evictor.choose(choice, volatile_only)
            self.policy = policy
        self._evictor.samples = samples
        self._evictor.turn_ns = _turn_ns(tenacity)

    @property
    def suspended(self) -> bool:
        """Whether nothing is evicted and no write refused: on a replica, whose primary evicts."""
        return self._evictor.suspended

    @suspended.setter
    def suspended(self, on: bool) -> None:
        self._evictor.suspended = on

    @property
    def evicts(self) -> bool:
        """Whether keys go when memory is full."""
        return self.policy != "noeviction"

    @property
    def evicted_keys(self) -> int:
        """How many keys were evicted."""
        return self._evictor.evicted_keys

    def work(self, budget_us: int) -> bool:
        """Evict for at most `budget_us`; tell whether more has to go. Raises NotSettled."""
        limit = self._dispatcher.memory_limit
        return limit > 0 and self._evictor.run(limit, budget_us)

    def take_longest_ns(self) -> int:
        """Return how long a write had to evict at most since the last call."""
        return self._evictor.take_longest_ns()

    def reset_statistics(self) -> None:
        """Forget how many keys were evicted (CONFIG RESETSTAT)."""
        self._evictor.reset_statistics()

    def info(self) -> Fields:
        """Yield the fields of INFO stats."""
        yield "evicted_keys", self.evicted_keys
        yield "total_eviction_exceeded_time", self._evictor.total_exceeded_ms
        yield "current_eviction_exceeded_time", self._evictor.exceeded_ms


def _turn_ns(tenacity: int) -> int:
    """Return the nanoseconds of eviction in one turn."""
    if tenacity >= ENDLESS_TENACITY:
        return 1 << 60
    return round(tenacity * 100_000 if tenacity <= 10 else 1_000_000 * 1.15 ** (tenacity - 10))
