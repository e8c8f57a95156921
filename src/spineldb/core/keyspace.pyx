"""The keyspace: all databases with their memory, and the work that goes on between requests.

What it is made of stands below: `store` (memory, clock), `database` (entries, deadlines, watched
keys), `housekeeping` (walks over all entries). Nothing here knows about commands, events or logs.
"""

from spineldb.clock cimport monotonic_ns

from spineldb.core.housekeeping cimport Ageing, Defragment, Renewal
from spineldb.core.root cimport Root, roots_drain
from spineldb.core.slab cimport slab_drain
from spineldb.core.wheel cimport wheel_bytes, wheel_is_stale, wheel_renew, wheel_renewal

cdef size_t DRAIN_SLICE = <size_t>4 << 20            # mapped memory given back per slice of work
cdef int64_t FREE_SLICE = 64                         # elements freed between looks at the clock
cdef size_t DEBT_BYTES = <size_t>64 << 20            # waiting to be freed: writers help above it,
cdef size_t DEBT_SHARE = 10                          # or above this share of what is used, but not
cdef size_t DEBT_MINIMUM = <size_t>16 << 20          # before this: released blocks serve new values


cdef class Keyspace(Store):
    """All databases, their memory and their clock."""

    def __cinit__(self, int databases=16, bytes seed=None, size_t reserve=RESERVE_BYTES,
                  int64_t now_ms=0):
        cdef int index
        for index in range(databases):
            self.databases.append(Database(self, index))

    @property
    def undertaker(self) -> Undertaker:
        """Who buries the keys whose time has passed."""
        return self.database(0).undertaker

    @undertaker.setter
    def undertaker(self, Undertaker undertaker) -> None:
        cdef Database db
        for db in self.databases:
            db.undertaker = undertaker

    cdef Database database(self, int index):
        return <Database>self.databases[index]

    @property
    def owed_memory(self) -> int:
        """The part of `used_memory` that only waits to be freed; an estimate while tables do."""
        return self.owed()

    cdef size_t owed(self) noexcept:
        """What blocks released have is known; keys of flushed tables count as the mean of all."""
        cdef size_t queued = self.slabs.queued_bytes + self.slabs.orphan_bytes
        cdef size_t kept = queued            # and what is no key's
        cdef double keys = 0
        cdef Database db
        cdef int i
        if self.dropping_keys == 0:
            return queued
        for i in range(len(self.databases)):
            db = self.database(i)
            keys += db.table.count
            kept += db.table.bytes + wheel_bytes(db.wheel)
        return queued + <size_t>(
            (self.slabs.used - kept) * (self.dropping_keys / (self.dropping_keys + keys)))

    cdef bint in_debt(self) noexcept:
        cdef size_t owed
        if self.slabs.queued_bytes + self.slabs.orphan_bytes == 0 and self.dropping_keys == 0:
            return False
        owed = self.owed()
        return owed > DEBT_BYTES or (owed > DEBT_MINIMUM and owed > self.slabs.used // DEBT_SHARE)

    @property
    def waiting_values(self) -> int:
        """Values that no key has any more and that wait to be freed."""
        cdef Root* root = <Root*>self.slabs.orphans
        cdef int64_t count = 0
        while root is not NULL:
            count += 1
            root = root.next
        return count

    def defragment(self) -> None:
        """Queue a walk that moves entries out of sparsely used slabs."""
        if not self.defragmenting and not self.slabs.shared:
            self.defragmenting = True
            self.work.add(Defragment.of(self))

    def age(self) -> None:
        """Queue a walk that saturates the access clocks that would soon seem young again."""
        if not self.lfu:
            self.work.add(Ageing.of(self))

    def renew_wheels(self) -> None:
        """Queue a walk that renews timing wheels which mostly hold keys that are gone."""
        cdef Database db
        cdef bint begun = False
        for db in self.databases:
            if wheel_is_stale(db.wheel, <uint64_t>db.deadlines):
                wheel_renew(db.wheel)
            begun = begun or wheel_renewal(db.wheel) is not NULL
        if begun and not any(isinstance(job, Renewal) for job in self.work.jobs):
            self.work.add(Renewal.of(self))

    def run_work(self, int64_t budget_us) -> bool:
        """Do queued work for at most `budget_us`; tell whether some is left."""
        cdef int64_t until_ns = monotonic_ns() + budget_us * 1000
        while slab_drain(self.slabs, DRAIN_SLICE):
            if monotonic_ns() >= until_ns:
                return True
        while roots_drain(self.slabs, FREE_SLICE):
            if monotonic_ns() >= until_ns:
                return True
        left = self.work.run(max((until_ns - monotonic_ns()) // 1000, 1)) > 0
        # what that work let go waits as well
        return left or self.slabs.queued_bytes > 0 or self.slabs.orphans is not NULL
