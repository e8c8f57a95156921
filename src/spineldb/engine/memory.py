"""How much memory there is, what takes it, and what happens when it is full.

`used_memory` is the sum of what the dataset allocates, exact to the byte. The interpreter and the
buffers of clients are not in it: the first shows in the resident set, the second in
`mem_clients_normal`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from spineldb import clock, errors
from spineldb.engine.arguments import INT64_MAX
from spineldb.observability.process import human, resident_bytes, system_bytes

if TYPE_CHECKING:
    from spineldb.config.settings import Settings
    from spineldb.core.dispatch import Command
    from spineldb.core.keyspace import Keyspace
    from spineldb.core.session import Session
    from spineldb.engine.clients import Clients
    from spineldb.engine.introspection import Fields

# What MEMORY DOCTOR takes notice of.
LEAST_TO_JUDGE = 5 << 20  # bytes
NOTABLE_PEAK = 1.5  # times what is used now
NOTABLE_FRAGMENTATION = 1.4  # times what is used
NOTABLE_OVERHEAD = 256 << 20  # bytes beside data and buffers
NOTABLE_CLIENTS = 64 << 20  # bytes of buffers
NEAR_LIMIT = 0.9  # of maxmemory
NEAR_MACHINE = 0.75  # of the machine's memory


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

    def room(self, settings: Settings) -> int:
        """How many more bytes `maxmemory` allows at once; where keys are evicted, all of them."""
        limit = settings.maxmemory
        if limit == 0:
            return INT64_MAX
        if settings.text("maxmemory-policy") != "noeviction":
            return limit
        return max(limit - self._keyspace.used_memory + self._keyspace.owed_memory, 0)

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
        return self._clients.memory

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
        used, held = max(self.used, 1), max(self.held, 1)
        yield "allocator_frag_ratio", f"{held / used:.2f}"
        yield "allocator_frag_bytes", held - used
        yield from (("allocator_rss_ratio", "1.00"), ("allocator_rss_bytes", 0))
        yield "rss_overhead_ratio", f"{resident / held:.2f}"
        yield "rss_overhead_bytes", resident - held
        yield "mem_fragmentation_ratio", f"{resident / used:.2f}"
        yield "mem_fragmentation_bytes", resident - used

    @property
    def held(self) -> int:
        """What the allocator holds of the operating system for the dataset."""
        return max(self._keyspace.committed_memory, self._keyspace.used_memory)

    def statistics(self) -> Iterator[tuple[str, int | float | dict[str, int]]]:
        """Yield what MEMORY STATS shows, by Redis's names and in its order."""
        used, held, resident = max(self.used, 1), max(self.held, 1), resident_bytes()
        keys = sum(map(len, self._keyspace.databases))
        yield from (("peak.allocated", self.peak), ("total.allocated", used))
        yield "startup.allocated", self.at_start
        yield from _nothing("replication.backlog", "replica.fullsync.buffer", "clients.slaves")
        yield "clients.normal", self.clients
        yield from _nothing("cluster.links", "aof.buffer", "lua.caches", "functions.caches")
        yield from _nothing("script.VMs")
        for database in self._keyspace.databases:
            if len(database):
                wheel = database.wheel_bytes
                yield (
                    f"db.{database.index}",
                    {
                        "overhead.hashtable.main": database.bytes - wheel,
                        "overhead.hashtable.expires": wheel,
                    },
                )
        yield "overhead.db.hashtable.lut", self.tables
        yield "overhead.db.hashtable.rehashing", 0
        yield "overhead.total", self.overhead
        yield from (("db.dict.rehashing.count", 0), ("keys.count", keys))
        yield "keys.bytes-per-key", max(used - self.at_start, 0) // keys if keys else 0
        yield "dataset.bytes", self.dataset
        yield "dataset.percentage", 100 * self.dataset / max(used - self.at_start, 1)
        yield "peak.percentage", 100 * used / max(self.peak, 1)
        yield from (("allocator.allocated", used), ("allocator.active", held))
        yield from (("allocator.resident", held), ("allocator.muzzy", 0))
        yield "allocator-fragmentation.ratio", held / used
        yield "allocator-fragmentation.bytes", held - used
        yield from (("allocator-rss.ratio", 1.0), ("allocator-rss.bytes", 0))
        yield from (
            ("rss-overhead.ratio", resident / held),
            ("rss-overhead.bytes", resident - held),
        )
        yield from (("fragmentation", resident / used), ("fragmentation.bytes", resident - used))

    def report(self, limit: int, *, evicts: bool) -> str:
        """Say in words what is wrong with the use of memory and what to do (MEMORY DOCTOR).

        `limit` is maxmemory in bytes, 0 for none; `evicts`: keys go when it is reached.
        """
        if self.used < LEAST_TO_JUDGE:
            return (
                f"The dataset takes {human(self.used)}: too little to judge by. Ask again above "
                f"{human(LEAST_TO_JUDGE)}.\n"
            )
        found = [f"- {words}" for words in self._findings(limit, evicts=evicts)]
        if not found:
            return f"No problem found: the dataset takes {human(self.used)}, {self._proportion}.\n"
        return "\n".join(["What was found:", *found, ""])

    @property
    def _proportion(self) -> str:
        return f"the process {human(resident_bytes())} of the machine's {human(system_bytes())}"

    def _findings(self, limit: int, *, evicts: bool) -> Iterator[str]:
        used, held, resident = self.used, self.held, resident_bytes()
        if self.peak > used * NOTABLE_PEAK:
            yield (
                f"The dataset once took {human(self.peak)} and takes {human(used)} now. What "
                "is free goes back to the operating system in time; MEMORY PURGE begins at once."
            )
        if held > used * NOTABLE_FRAGMENTATION:
            yield (
                f"{human(held)} are held for {human(used)} of data: entries lie scattered after "
                f"deletions. Housekeeping moves them together; MEMORY PURGE begins at once."
            )
        beside = resident - held - self.clients
        if beside > max(used, NOTABLE_OVERHEAD):
            yield (
                f"The process has {human(resident)} in memory, {human(beside)} of it neither data "
                f"nor clients' buffers: scripts, snapshots under way, or the program itself."
            )
        if self.clients > max(used // 2, NOTABLE_CLIENTS):
            yield (
                f"{len(self._clients)} clients' buffers take {human(self.clients)}. Find them with "
                "CLIENT LIST (tot-mem); client-output-buffer-limit and maxmemory-clients bound "
                "them."
            )
        yield from self._limit_findings(limit, evicts=evicts)

    def _limit_findings(self, limit: int, *, evicts: bool) -> Iterator[str]:
        used, machine = self.used, system_bytes()
        if limit and used > limit * NEAR_LIMIT and not evicts:
            yield (
                f"{human(used)} of maxmemory {human(limit)} are used, and maxmemory-policy is "
                f"noeviction: writes will be refused. Raise maxmemory or choose another policy."
            )
        if limit and used > limit * NEAR_LIMIT and evicts:
            yield (
                f"{human(used)} of maxmemory {human(limit)} are used: keys are evicted to make "
                "room (INFO stats, evicted_keys). If they are missed, keyspace_misses will tell: "
                "raise maxmemory, or look at maxmemory-policy."
            )
        if not limit and machine and used > machine * NEAR_MACHINE:
            yield (
                f"{human(used)} of the machine's {human(machine)} are used and there is no limit. "
                f"Set maxmemory, so that the operating system does not end the process."
            )


def _nothing(*names: str) -> Iterator[tuple[str, int]]:
    """Yield the figures of what does not exist."""
    return ((name, 0) for name in names)
