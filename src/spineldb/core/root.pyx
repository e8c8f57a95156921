"""Values that are not in their entry: freeing them in slices.

Deleting a set of a million members must not stop the server. A value that nobody can reach any more
is pushed to a list that needs no memory, whoever lets it go, and freed a few elements at a time
between requests. Until then its bytes count as used, and as `orphan_bytes`: maxmemory does not
evict more because of them.
"""

from libc.string cimport memset

from spineldb.core.slab cimport at, slab_alloc, slab_free, slab_settle

cdef Root* root_new(Slabs* slabs, int kind, size_t size) noexcept nogil:
    cdef Ref ref = slab_alloc(slabs, size)
    cdef Root* root
    if ref == 0:
        return NULL
    root = <Root*>at(slabs, ref)
    memset(root, 0, size)
    root.ref = ref
    root.kind = <uint8_t>kind
    return root


cdef void root_free(Slabs* slabs, Root* root, size_t size) noexcept nogil:
    slab_free(slabs, root.ref, size)


cdef Root* root_settle(Slabs* slabs, Root* root, int64_t* moved) noexcept nogil:
    cdef size_t size = value_types[root.kind].size
    cdef Ref ref = root.ref
    if size and slab_settle(slabs, &ref, size, moved):
        root = <Root*>at(slabs, ref)
        root.ref = ref
    return root


cdef void root_release(Slabs* slabs, Root* root) noexcept:
    if root.count <= AT_ONCE and root.bytes <= AT_ONCE * 1024:
        value_types[root.kind].free_some(slabs, root, 1 << 30)
        return
    root.next = <Root*>slabs.orphans
    slabs.orphans = root
    slabs.orphan_bytes += root.bytes


cdef bint roots_drain(Slabs* slabs, int64_t limit) except -1:
    cdef Root* root = <Root*>slabs.orphans
    cdef Root* following
    cdef size_t used = slabs.used - slabs.queued_bytes   # blocks let go count there from now on
    if root is NULL:
        return False
    following = root.next
    if value_types[root.kind].free_some(slabs, root, limit):
        slabs.orphans = following
    if slabs.orphans is NULL:
        slabs.orphan_bytes = 0
    elif used > slabs.used - slabs.queued_bytes:
        slabs.orphan_bytes -= min(used - (slabs.used - slabs.queued_bytes), slabs.orphan_bytes)
    return slabs.orphans is not NULL
