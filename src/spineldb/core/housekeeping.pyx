"""Housekeeping: walks over all entries, in slices between requests."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t
from libc.string cimport memcpy

from spineldb.clock cimport monotonic_ns

from spineldb.core.database cimport Found
from spineldb.core.entry cimport (
    KIND_MASK,
    entry_deadline,
    entry_key,
    entry_root,
    entry_size,
    entry_value,
    set_access_clock,
)
from spineldb.core.root cimport Root, root_settle, value_types
from spineldb.core.slab cimport Ref, at, slab_cool, slab_settle
from spineldb.core.store cimport ACCESS_CYCLE
from spineldb.core.table cimport table_hash, table_walk
from spineldb.core.wheel cimport wheel_renewal, wheel_renewed

cdef int64_t SLICE = 64              # entries walked between looks at the clock


cdef class Renewal(Work):
    """Push the deadlines of all keys to the wheels that are being renewed.

    How far it has come is kept in the wheel, which goes with its table (SWAPDB, FLUSHDB).
    """

    @staticmethod
    cdef Renewal of(Store store):
        cdef Renewal job = Renewal.__new__(Renewal)
        job.store = store
        return job

    cdef bint step(self, int64_t until_ns) except -1:
        cdef Database db
        cdef uint64_t* position
        for db in self.store.databases:
            while True:
                position = wheel_renewal(db.wheel)
                if position is NULL:
                    break
                if table_walk(db.table, position, SLICE, push_visited, <void*>db):
                    wheel_renewed(db.wheel)
                if monotonic_ns() >= until_ns:
                    return False
        return True


cdef int push_visited(void* context, uint64_t hash, Ref* ref) except -2:
    cdef Database db = <Database>context
    cdef uint8_t* entry = <uint8_t*>at(db.slabs, ref[0])
    cdef int64_t deadline = entry_deadline(entry)
    cdef int64_t due = -1
    cdef const char* key
    cdef size_t size
    if value_types[entry[0] & KIND_MASK].next_deadline is not NULL:
        due = value_types[entry[0] & KIND_MASK].next_deadline(entry)
    if due >= 0 and (deadline < 0 or due < deadline):
        deadline = due
    if deadline >= 0:
        key = entry_key(entry, &size)
        db.push_deadline(table_hash(db.table, key, size), deadline)
    return 0


cdef class Walk(Work):
    """Go through all databases, slice by slice. Subclasses say what for."""

    cdef bint walk(self, Database db) except -1:
        return True

    cdef int finish(self) except -1:
        return 0

    cdef bint step(self, int64_t until_ns) except -1:
        while self.index < len(self.store.databases):
            if self.walk(<Database>self.store.databases[self.index]):
                self.index += 1
                self.position = 0
            if monotonic_ns() >= until_ns:
                return False
        self.finish()
        return True


cdef class Defragment(Walk):
    """Move what lies in slabs that are mostly empty, so that these go back to the system.

    The keys of values that are structures are noted while their entries go by, a slice of them at
    most. Then each value is gone through by its type, in slices as well, and looked up anew for
    every one of them: between slices it may be changed, replaced, renamed or deleted.
    """

    @staticmethod
    cdef Defragment of(Store store):
        cdef Defragment job = Defragment.__new__(Defragment)
        job.store = store
        job.noted = []
        return job

    cdef bint walk(self, Database db) except -1:
        if self.store.slabs.shared:          # a child has our pages: what moves is there twice
            return True
        if self.noted:
            self.enter(db)
        else:
            self.ended = table_walk(db.table, &self.position, SLICE, settle_visited, <void*>self)
        return self.ended and not self.noted

    cdef int enter(self, Database db) except -1:
        cdef bytes key = self.noted[len(self.noted) - 1]
        cdef const char* data = PyBytes_AS_STRING(key)
        cdef size_t size = <size_t>PyBytes_GET_SIZE(key)
        cdef Found found
        cdef uint8_t* entry = db.find_hashed(data, size, table_hash(db.table, data, size), &found)
        cdef Root* root = NULL if entry is NULL else entry_root(entry)
        if root is not NULL:
            if self.inner == 0:
                root = root_settle(db.slabs, root, &self.store.moved_entries)
                memcpy(entry_value(entry, &size), &root, sizeof(Root*))
            if not value_types[root.kind].defragment(
                db.slabs, root, &self.inner, SLICE, &self.store.moved_entries
            ):
                return 0
        self.noted.pop()
        self.inner = 0
        return 0

    cdef int finish(self) except -1:
        self.store.defragmenting = False
        slab_cool(self.store.slabs)
        return 0


cdef int settle_visited(void* context, uint64_t hash, Ref* ref) except -2:
    cdef Defragment job = <Defragment>context
    cdef Store store = job.store
    cdef const uint8_t* entry = <const uint8_t*>at(store.slabs, ref[0])
    cdef const char* key
    cdef size_t size
    if slab_settle(store.slabs, ref, entry_size(entry), &store.moved_entries):
        entry = <const uint8_t*>at(store.slabs, ref[0])
    if entry_root(entry) is not NULL:
        key = entry_key(entry, &size)
        job.noted.append(PyBytes_FromStringAndSize(key, <Py_ssize_t>size))
    return 0


cdef class Ageing(Walk):
    """Write 0 (long ago) into access clocks older than half a cycle, before it comes round."""

    @staticmethod
    cdef Ageing of(Store store):
        cdef Ageing job = Ageing.__new__(Ageing)
        job.store = store
        return job

    cdef bint walk(self, Database db) except -1:
        return table_walk(db.table, &self.position, SLICE, age_visited, <void*>self.store)


cdef int age_visited(void* context, uint64_t hash, Ref* ref) except -2:
    cdef Store store = <Store>context
    cdef uint8_t* entry = <uint8_t*>at(store.slabs, ref[0])
    if store.idle_of(entry) > ACCESS_CYCLE // 2:
        set_access_clock(entry, 0)
    return 0
