"""Eviction: which keys go when memory is full.

The problem: find keys that nobody will miss, without an ordered list of all of them, in bounded
time. The idea is Redis's: look at a few random keys, keep the best candidates of all that were ever
looked at in a small pool, and evict the best of the pool. With five samples three in four of those
that go are those that an exact order would take, with ten nine in ten.

Three things differ. The sampled keys come from all databases, each key as likely as any other. A
candidate is judged again when its turn comes, so one that was used meanwhile goes back into the
pool by what it deserves now. And where keys with a deadline are rare and only they may go, random
samples would find none: then a walk through the table goes on from where it stopped, and finds each
of them once a round, at about 15 ns for each key it passes.

Eviction happens in slices. A write that finds memory full first evicts until there is room, for
`turn_ns` in each turn at most. When that time is over, because the limit was lowered by much, later
writes evict what they add, or as much as WRITE_NS allows, and the rest is left to the background.
So what is used does not grow, and nobody waits long. A write is refused only if no key may go.

What only waits to be freed (`Keyspace.owed`) does not count: evicting more would not bring it back
sooner.

A key that goes is told to the sinks as a DEL, in a unit of its own, before the command that needs
the room. If that cannot be told the caller enters emergency mode (EM-23).
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.string cimport memmove

from spineldb.clock cimport monotonic_ns
from spineldb.core.effects cimport EVENT_EVICTED
from spineldb.core.entry cimport HAS_DEADLINE, access_clock, entry_deadline, entry_key
from spineldb.core.hashing cimport keyed_hash
from spineldb.core.segment cimport prefetch
from spineldb.core.slab cimport at
from spineldb.core.table cimport Place, table_find_ref, table_random, table_walk

from spineldb.core.effects import NotSettled

cdef int64_t WRITE_NS = 1_000_000            # that one write pays, at most
cdef uint64_t RARE = 8                       # one key in this many has a deadline, or fewer: walk
cdef int ROUNDS = 8                          # of samples, before a turn without a candidate ends
cdef int64_t WALK_SLICE = 512                # keys passed between looks at the clock
cdef int64_t EXPIRED = <int64_t>1 << 62      # scores: its time has passed,
cdef int64_t LONG_AGO = <int64_t>1 << 61     # unused for longer than the access clock can tell
cdef size_t NO_FLOOR = <size_t>-1


cdef class Evictor:
    """Makes room. One for each keyspace."""

    def __cinit__(self, Effects effects):
        self.effects = effects
        self.keyspace = effects.keyspace
        self.samples = 5
        self.turn_ns = 1_000_000
        self.floor = NO_FLOOR

    @property
    def choice(self) -> int:
        """Which of the sampled keys goes (`Choice`)."""
        return self.choice_

    def choose(self, int choice, bint volatile_only) -> None:
        """Set a policy: which of the keys that may go does."""
        self.choice_ = choice
        self.volatile_only = volatile_only
        self.pooled = 0

    @property
    def exceeded_ms(self) -> int:
        """For how long more has been used than the limit, in milliseconds; 0: it is not."""
        return (monotonic_ns() - self.exceeded_ns) // 1_000_000 if self.exceeded_ns else 0

    @property
    def total_exceeded_ms(self) -> int:
        """For how long more was used than the limit, in all."""
        return self.exceeded_total_ns // 1_000_000 + self.exceeded_ms

    def take_longest_ns(self) -> int:
        """Return how long a write had to evict at most since the last call."""
        longest, self.longest_ns = self.longest_ns, 0
        return longest

    def reset_statistics(self) -> None:
        """Forget how many keys were evicted (CONFIG RESETSTAT)."""
        self.evicted_keys = 0
        self.exceeded_total_ns = 0

    def run(self, size_t limit, int64_t budget_us) -> bool:
        """Evict for at most `budget_us` in the background; tell whether more has to go.

        Raises NotSettled.
        """
        if self.is_idle():
            return False
        return self.evict(limit, monotonic_ns() + budget_us * 1000) == MORE

    cdef bint is_idle(self) noexcept:
        """Must nothing go by our own decision? A replica follows; in emergency nothing changes."""
        return self.suspended or not self.effects.may_bury

    # -- how much ----------------------------------------------------------------------------------

    cdef size_t net(self) noexcept:
        """What is used, beside what only waits to be freed."""
        return self.keyspace.slabs.used - self.keyspace.owed()

    cdef void note(self, int outcome) noexcept:
        """Keep the account of the time above the limit."""
        if outcome == ENOUGH:
            self.floor = NO_FLOOR
            if self.exceeded_ns:
                self.exceeded_total_ns += monotonic_ns() - self.exceeded_ns
                self.exceeded_ns = 0
        elif self.exceeded_ns == 0:
            self.exceeded_ns = monotonic_ns()

    cdef int make_room(self, size_t limit) except -1:
        cdef int64_t began
        cdef int outcome
        if self.net() <= limit:
            self.note(ENOUGH)
            return ENOUGH
        if self.is_idle():
            return ENOUGH
        began = monotonic_ns()
        self.floor = min(self.floor, self.net())
        outcome = self.evict(limit, began + self.turn_ns - self.spent_ns)
        self.spent_ns += monotonic_ns() - began
        self.longest_ns = max(self.longest_ns, monotonic_ns() - began)
        if outcome == MORE and self.net() > self.floor:
            self.evict(self.floor, monotonic_ns() + WRITE_NS)
        if outcome == MORE:
            self.floor = min(self.floor, self.net())
        return outcome

    cdef int evict(self, size_t limit, int64_t until_ns) except -1:
        cdef int outcome = MORE
        cdef int64_t steps = 0
        cdef uint64_t keys
        while True:
            if self.net() <= limit:
                outcome = ENOUGH
                break
            keys = self.eligible_keys()
            if self.choice_ == CHOOSE_NONE or keys == 0:
                outcome = EXHAUSTED
                break
            if steps and monotonic_ns() >= until_ns:
                break
            self.evict_one(keys)         # one step at least: there is progress without any time
            steps += 1
        self.note(outcome)
        return outcome

    # -- which one ---------------------------------------------------------------------------------

    cdef uint64_t eligible(self, Database db) noexcept:
        """How many keys of a database may go."""
        return <uint64_t>db.deadlines if self.volatile_only else db.table.count

    cdef uint64_t eligible_keys(self) noexcept:
        cdef uint64_t total = 0
        cdef Py_ssize_t i
        for i in range(len(self.keyspace.databases)):
            total += self.eligible(self.keyspace.database(<int>i))
        return total

    cdef bint is_rare(self, Database db) noexcept:
        """Are the keys that may go too few among all for random samples to find them?"""
        return self.volatile_only and <uint64_t>db.deadlines * RARE < db.table.count

    cdef Database draw(self, uint64_t keys):
        """A database, as likely as it has keys that may go; `keys` of all databases, not 0."""
        cdef uint64_t left = self.keyspace.random() % keys
        cdef Database db
        for db in self.keyspace.databases:
            if left < self.eligible(db):
                return db
            left -= self.eligible(db)
        raise AssertionError("the keys that may go were counted wrongly")

    cdef bint evict_one(self, uint64_t keys) except -1:
        """Look at some keys; evict the best candidate, once there are enough to choose from."""
        cdef Found found
        cdef int database
        cdef int wanted = 1 if self.choice_ == CHOOSE_RANDOM else min(self.samples, POOL)
        self.sample(keys)
        if <uint64_t>self.pooled < min(<uint64_t>wanted, keys) or not self.take(&found, &database):
            return False
        self.bury(self.keyspace.database(database), &found)
        return True

    cdef int sample(self, uint64_t keys) except -1:
        """Look at some of the `keys` that may go."""
        cdef int wanted = 1 if self.choice_ == CHOOSE_RANDOM else min(self.samples, SAMPLES_MAX)
        cdef int seen = 0
        cdef int i, rounds
        cdef Database db
        cdef Ref[SAMPLES_MAX] refs
        cdef int[SAMPLES_MAX] databases
        for rounds in range(ROUNDS):
            for i in range(wanted):
                db = self.draw(keys)
                databases[i] = db.index
                refs[i] = 0
                if not self.is_rare(db):
                    refs[i] = table_random(db.table, self.keyspace.random())
                    prefetch(at(self.keyspace.slabs, refs[i]))
                elif rounds == 0 and i == 0:
                    self.search()
            for i in range(wanted):
                if refs[i] != 0:
                    seen += self.consider(self.keyspace.database(databases[i]), refs[i])
            if seen >= wanted or not self.volatile_only:
                break
        return 0

    cdef int search(self) except -1:
        """Walk on through the databases in which keys with a deadline are rare."""
        cdef Passing passing
        cdef Database db
        cdef Py_ssize_t count = len(self.keyspace.databases)
        cdef Py_ssize_t _i
        for _i in range(count):
            self.walked %= <int>count
            db = self.keyspace.database(self.walked)
            if db.deadlines and self.is_rare(db):
                passing.evictor = <void*>self
                passing.db = <void*>db
                if table_walk(db.table, &self.position, WALK_SLICE, passed, &passing):
                    self.walked += 1
                    self.position = 0
                return 0
            self.walked += 1
            self.position = 0
        return 0

    cdef bint consider(self, Database db, Ref ref) noexcept:
        """Put a key into the pool, if it may go and is good enough; False if it may not."""
        cdef Candidate candidate
        cdef const uint8_t* entry = <const uint8_t*>at(self.keyspace.slabs, ref)
        cdef size_t size
        cdef const char* key
        cdef int i
        self.looked_at += 1
        if self.volatile_only and not entry[0] & HAS_DEADLINE:
            return False
        candidate.score = self.score(entry)
        if self.pooled == POOL and candidate.score <= self.pool[0].score:
            return True
        key = entry_key(entry, &size)
        candidate.hash = keyed_hash(&self.keyspace.hash_key, key, size)
        candidate.ref = ref
        candidate.database = db.index
        for i in range(self.pooled):
            if self.pool[i].ref == ref and self.pool[i].hash == candidate.hash:
                return True
        self.enter(&candidate)
        return True

    cdef int64_t score(self, const uint8_t* entry) noexcept:
        """How little a key would be missed. What time does to all alike is left out."""
        cdef int64_t deadline = entry_deadline(entry)
        if 0 <= deadline <= self.keyspace.horizon_ms:
            return EXPIRED
        if self.choice_ == CHOOSE_LRU:
            if access_clock(entry) == 0:
                return LONG_AGO
            return self.keyspace.idle_of(entry) - self.keyspace.now_ms // 1000
        if self.choice_ == CHOOSE_LFU:
            return 255 - self.keyspace.frequency_of(entry)
        if self.choice_ == CHOOSE_TTL:
            return -deadline
        return 0

    cdef void enter(self, const Candidate* candidate) noexcept:
        """Insert by score; the least goes out where there is no room."""
        cdef int i = self.pooled
        if self.pooled == POOL:
            if candidate.score <= self.pool[0].score:
                return
            memmove(&self.pool[0], &self.pool[1], (POOL - 1) * sizeof(Candidate))
            i = POOL - 1
        else:
            self.pooled += 1
        while i > 0 and self.pool[i - 1].score >= candidate.score:
            self.pool[i] = self.pool[i - 1]
            i -= 1
        self.pool[i] = candidate[0]

    cdef bint take(self, Found* found, int* database) except -1:
        """Take the best candidate out of the pool and look it up; False if none is left."""
        cdef Candidate candidate
        cdef const uint8_t* entry
        cdef const char* key
        cdef size_t size
        cdef Database db
        cdef Place place
        cdef int64_t score
        while self.pooled:
            self.pooled -= 1
            candidate = self.pool[self.pooled]
            db = self.keyspace.database(candidate.database)
            if not table_find_ref(db.table, candidate.hash, candidate.ref, &place):
                continue                 # it is gone, or elsewhere
            entry = <const uint8_t*>at(self.keyspace.slabs, candidate.ref)
            key = entry_key(entry, &size)
            if keyed_hash(&self.keyspace.hash_key, key, size) != candidate.hash:
                continue                 # another key got its memory and its bucket
            if self.volatile_only and not entry[0] & HAS_DEADLINE:
                continue
            score = self.score(entry)
            if score < candidate.score:  # it was used since, or lives longer now
                candidate.score = score
                self.enter(&candidate)
                continue
            db.find_hashed(key, size, candidate.hash, found)
            database[0] = candidate.database
            return True
        return False

    cdef int bury(self, Database db, Found* found) except -1:
        """Delete a key and tell everybody; one whose time has passed has expired."""
        cdef Effects effects = self.effects
        cdef bint heard = effects.event_mask | effects.awaited_keys | self.keyspace.watched_keys
        cdef size_t size
        cdef const char* key
        cdef bytes name = None
        effects.begin(db.index)
        if found.expired:
            effects.bury(db, found)
        else:
            if heard or effects.feeding:
                key = entry_key(found.entry, &size)
                name = PyBytes_FromStringAndSize(key, <Py_ssize_t>size)
            if effects.feeding:
                effects.tell_burial(db, name)
            db.remove(found)
            self.evicted_keys += 1
            if heard:
                effects.announce(db, name, EVENT_EVICTED, b"evicted")
        try:
            effects.settle(NULL, False)
        except Exception as error:
            raise NotSettled from error
        return 0


cdef struct Passing:             # what a walk looks for, and where
    void* evictor
    void* db


cdef int passed(void* context, uint64_t hash, Ref* ref) except -2:
    cdef Passing* passing = <Passing*>context
    (<Evictor>passing.evictor).consider(<Database>passing.db, ref[0])
    return 0
