"""How much memory there is, what takes it, and what happens when it is full.

`used_memory` is the sum of what the dataset allocates, exact to the byte, and of the buffers of
clients. The interpreter itself is not in it: its size at the start is `used_memory_startup` beside
it in the resident set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spineldb import clock, errors
from spineldb.engine.clients import memory_of
from spineldb.observability.process import resident_bytes

if TYPE_CHECKING:
    from spineldb.core.dispatch import Command
    from spineldb.core.keyspace import Keyspace
    from spineldb.core.session import Session
    from spineldb.engine.clients import Clients
    from spineldb.engine.introspection import Fields


def refuse_when_full(session: Session, command: Command, argv: list[bytes]) -> None:
    """Refuse a command that may need memory: the gate that is asked above `maxmemory`."""
    del session, command, argv
    raise errors.OutOfMemory


class Memory:
    """The account of a server's memory, in bytes."""

    def __init__(self, keyspace: Keyspace, clients: Clients) -> None:
        self._keyspace = keyspace
        self._clients = clients
        self.at_start = keyspace.used_memory
        self.peak = 0
        self.peak_at = clock.unix_ms() // 1000
        self.observe()

    def observe(self) -> None:
        """Note the greatest use so far; called ten times a second and before it is shown."""
        used = self._keyspace.used_memory
        if used > self.peak:
            self.peak = used
            self.peak_at = clock.unix_ms() // 1000

    def reset_peak(self) -> None:
        """Forget the greatest use (CONFIG RESETSTAT)."""
        self.peak = 0
        self.observe()

    @property
    def used(self) -> int:
        """What the dataset allocates: keys, values, tables, wheels."""
        self.observe()
        return self._keyspace.used_memory

    @property
    def tables(self) -> int:
        """The part of it that is tables and wheels."""
        return sum(database.bytes for database in self._keyspace.databases)

    @property
    def clients(self) -> int:
        """The buffers of all clients."""
        return sum(memory_of(session) for session in self._clients)

    @property
    def overhead(self) -> int:
        """What is not keys and values: tables and wheels, and what was there at the start."""
        return max(self.tables, self.at_start)

    @property
    def dataset(self) -> int:
        """Keys and values."""
        return max(self.used - self.overhead, 0)

    def ratios(self, resident: int) -> Fields:
        """Yield INFO's comparisons of what was asked for, what is held, and what is resident."""
        used, held = max(self.used, 1), max(self._keyspace.committed_memory, 1)
        yield "allocator_frag_ratio", f"{held / used:.2f}"
        yield "allocator_frag_bytes", held - used
        yield from (("allocator_rss_ratio", "1.00"), ("allocator_rss_bytes", 0))
        yield "rss_overhead_ratio", f"{resident / held:.2f}"
        yield "rss_overhead_bytes", resident - held
        yield "mem_fragmentation_ratio", f"{resident / used:.2f}"
        yield "mem_fragmentation_bytes", resident - used

    @property
    def fragmentation(self) -> float:
        """Resident set by used memory."""
        return resident_bytes() / max(self.used, 1)
