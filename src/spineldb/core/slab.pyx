"""The dataset's allocator: small entries in slabs, addressed by 32 bits; big values in blocks.

The C library spends 8 to 16 bytes on each allocation and 8 more on each pointer to it, which is
what an entry of 30 bytes cannot afford. Here the size is known from the entry, so nothing is kept
beside it, and one reserved stretch of address space makes 32 bits enough to name it.

The reserve (32 GB, PROT_NONE, less under an address-space limit) is opened 4 MB at a time and
divided into slabs of 16 KB. A *span* is one slab or a few, cut into objects of one size class;
larger classes take longer spans, the shortest that wastes at most 0.4 % at its end. Sixteen bytes
per slab lie in an array beside the reserve, never in it: so objects of a multiple of 64 bytes are
aligned to cache lines, and 16384 / 32 objects really fit.

    span:  kind | first freed | first fresh | live | next, previous (of its class, with room)

Freed objects link through their own first bytes; fresh ones are taken in order, so a page is not
touched before it is needed. A class allocates from the front of its list. A full span is on no
list; it comes back at the front with the first object freed, and goes to the end when it falls
under 75 %: so new objects fill dense spans, and the *defragmenting walk* (`slab_sparse` says
which objects, `slab_move` moves one) empties sparse ones. An empty span is given back at once,
except that the last MiB emptied is kept warm: a key set and deleted in turn costs no system call.

Free spans are kept by length and merge with free neighbours (boundary tags: Knuth, The Art of
Computer Programming, volume 1, section 2.5, algorithm C).

Blocks are outside: from the C library, or from 1 MB on from mmap, so that they grow by mremap
without copying and go back to the system in slices.

One thread uses a `Slabs`, the one that owns the dataset.
"""

from libc.stddef cimport size_t
from libc.stdint cimport uint16_t, uint32_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy

cdef extern from *:
    """
    #include <sys/mman.h>
    #include <sys/resource.h>
    #include <unistd.h>
    #ifndef MAP_NORESERVE
    #define MAP_NORESERVE 0
    #endif
    #ifndef MAP_ANONYMOUS
    #define MAP_ANONYMOUS MAP_ANON
    #endif

    static void* spinel_reserve(size_t size) {
        void* p = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p == MAP_FAILED) return NULL;
    #ifdef MADV_NOHUGEPAGE
        /* A huge page would make untouched tails resident and a snapshot's copies 512 x larger. */
        (void)madvise(p, size, MADV_NOHUGEPAGE);
    #endif
        return p;
    }
    static int spinel_open(void* p, size_t size) {
        return mprotect(p, size, PROT_READ | PROT_WRITE) == 0;
    }
    static void spinel_discard(void* p, size_t size) {
    #ifdef __APPLE__
        (void)madvise(p, size, MADV_FREE);
    #else
        (void)madvise(p, size, MADV_DONTNEED);
    #endif
    }
    static void* spinel_map(size_t size) {
        void* p = mmap(NULL, size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        return p == MAP_FAILED ? NULL : p;
    }
    static void spinel_unmap(void* p, size_t size) { (void)munmap(p, size); }
    static void* spinel_remap(void* p, size_t old_size, size_t new_size) {
    #ifdef __linux__
        void* q = mremap(p, old_size, new_size, MREMAP_MAYMOVE);
        return q == MAP_FAILED ? NULL : q;
    #else
        void* q;
        if (new_size <= old_size) {
            if (new_size < old_size) spinel_unmap((char*)p + new_size, old_size - new_size);
            return p;
        }
        q = spinel_map(new_size);
        if (q != NULL) {
            memcpy(q, p, old_size);
            spinel_unmap(p, old_size);
        }
        return q;
    #endif
    }
    static size_t spinel_address_limit(void) {      /* 0: none */
        struct rlimit limit;
        if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return 0;
        return (size_t)limit.rlim_cur;
    }
    static size_t spinel_page(void) {
    #ifdef __x86_64__
        return 4096;
    #else
        static size_t page = 0;
        if (page == 0) page = (size_t)sysconf(_SC_PAGESIZE);
        return page;
    #endif
    }
    """
    void* os_reserve "spinel_reserve"(size_t size) noexcept nogil
    bint os_open "spinel_open"(void* p, size_t size) noexcept nogil
    void os_discard "spinel_discard"(void* p, size_t size) noexcept nogil
    void* os_map "spinel_map"(size_t size) noexcept nogil
    void os_unmap "spinel_unmap"(void* p, size_t size) noexcept nogil
    void* os_remap "spinel_remap"(void* p, size_t old_size, size_t new_size) noexcept nogil
    size_t os_address_limit "spinel_address_limit"() noexcept nogil
    size_t os_page "spinel_page"() noexcept nogil

cdef enum:
    SLAB_SHIFT = 14
    SLAB_GRAINS = 2048           # SLAB_BYTES / GRAIN
    CHUNK_SLABS = 256            # opened at a time: 4 MB
    FINE_CLASSES = 512           # FINE_MAX / GRAIN
    CLASSES = 569                # 0 unused, the fine ones, (COARSE_MAX - FINE_MAX) / COARSE more
    SPAN_MAX = 16                # slabs: offsets inside a span must fit 16 bits of grains
    NOTHING = 0xffff             # no freed object
    BINS = 32                    # free spans of 1 .. BINS slabs by length, longer ones together
    WARM = 64                    # emptied spans kept warm at most, and so many slabs altogether
    MAP_FROM = 1048576
    REUSE_LOOKS = 8              # released blocks looked at for one that fits
    MIN_RESERVE = 67108864
    ALIGNMENT = 65536            # of `base`: the largest page of any system we know

cdef enum Kind:
    CLOSED = 0                   # never opened: ends every merge
    # 1 .. CLASSES - 1: the first slab of a span of that class
    TAIL = 0xfff0                # a further slab of a span: `next` is the first
    FREE = 0xfff1                # first of a free span: `length`, `next`, `previous`
    FREE_END = 0xfff2            # last of a free span of two or more: `next` is the first
    EMPTIED = 0xfff3             # first of a span that is kept warm
    RUN = 0xfff4                 # first of a run: a segment or an entry above COARSE_MAX

cdef struct Slab:                # 16 bytes beside each 16 KB
    uint16_t kind
    uint16_t live                # objects allocated
    uint16_t freed               # distance from the span's start, in grains, or NOTHING
    uint16_t fresh               # likewise: the first object never handed out
    uint32_t next
    uint32_t previous

cdef struct Class:
    uint32_t first               # spans with room; 0 is none
    uint32_t last
    uint16_t grains              # size of an object
    uint16_t objects             # in a span
    uint16_t dense               # from so many live objects on a span is not sparse
    uint16_t slabs               # length of a span

cdef struct Released:            # at the start of mapped memory that waits to be unmapped
    Released* next
    size_t size

cdef struct State:
    Slab* slabs
    void* reserved               # what mmap answered; `base` is aligned within
    size_t reserved_bytes
    uint32_t limit               # slabs in the reserve
    uint32_t opened
    size_t held                  # bytes in spans and runs, warm ones included
    uint32_t bins[BINS + 2]      # bins[BINS + 1]: longer
    uint32_t warm[WARM]
    uint32_t warm_length[WARM]
    uint32_t warm_count
    uint32_t warm_slabs
    Released* released
    Class classes[CLASSES]


# ---------------------------------------------------------------------- creation and classes

cdef Slabs* slabs_new(size_t reserve) except NULL:
    """Reserve address space for `reserve` bytes of entries, or what the system allows of it."""
    cdef Slabs* slabs = <Slabs*>calloc(1, sizeof(Slabs))
    cdef State* state = <State*>calloc(1, sizeof(State))
    cdef size_t limit = os_address_limit()
    cdef size_t size = min(reserve, <size_t>1 << 35) & ~<size_t>(CHUNK_SLABS * SLAB_BYTES - 1)
    if limit:
        size = min(size, (limit // 2) & ~<size_t>(CHUNK_SLABS * SLAB_BYTES - 1))
    size = max(size, <size_t>MIN_RESERVE)
    if slabs is NULL or state is NULL:
        free(slabs)
        free(state)
        raise MemoryError("no memory for the dataset")
    while True:
        state.reserved_bytes = size + ALIGNMENT
        state.reserved = os_reserve(state.reserved_bytes)
        if state.reserved is not NULL:
            state.slabs = <Slab*>os_map((size >> SLAB_SHIFT) * sizeof(Slab))
            if state.slabs is not NULL:
                break
            os_unmap(state.reserved, state.reserved_bytes)
        size >>= 1
        if size < MIN_RESERVE:
            free(slabs)
            free(state)
            raise MemoryError("no address space for the dataset")
    slabs.base = <char*>((<size_t>state.reserved + ALIGNMENT - 1) & ~<size_t>(ALIGNMENT - 1))
    slabs.state = state
    state.limit = <uint32_t>(size >> SLAB_SHIFT)
    prepare_classes(state)
    return slabs


cdef void slabs_delete(Slabs* slabs) noexcept:
    """Give everything back. Blocks that replies still hold must have been released before."""
    cdef State* state
    if slabs is NULL:
        return
    state = <State*>slabs.state
    while slab_drain(slabs, <size_t>1 << 40):
        pass
    unpoison(slabs.base, <size_t>state.opened << SLAB_SHIFT)
    os_unmap(state.slabs, state.limit * sizeof(Slab))
    os_unmap(state.reserved, state.reserved_bytes)
    free(state)
    free(slabs)


cdef void prepare_classes(State* state) noexcept:
    cdef int k
    cdef size_t size, best, best_waste, waste
    cdef int span
    for k in range(1, CLASSES):
        size = k * GRAIN if k <= FINE_CLASSES else FINE_MAX + (k - FINE_CLASSES) * COARSE
        best = 1
        best_waste = 1 << 20
        for span in range(1, SPAN_MAX + 1):
            if <size_t>span * SLAB_BYTES < 4 * size:
                continue
            # In parts of 2^20 of the span, so that lengths compare.
            waste = ((<size_t>span * SLAB_BYTES % size) << 20) // (<size_t>span * SLAB_BYTES)
            if waste < best_waste:
                best = span
                best_waste = waste
            if waste <= 4194:            # 0.4 %
                break
        state.classes[k].grains = <uint16_t>(size // GRAIN)
        state.classes[k].slabs = <uint16_t>best
        state.classes[k].objects = <uint16_t>(best * SLAB_BYTES // size)
        state.classes[k].dense = <uint16_t>((state.classes[k].objects * 3 + 3) // 4)


cdef inline int class_of(size_t size) noexcept nogil:
    if size <= FINE_MAX:
        return <int>((size + GRAIN - 1) >> 3) + (size == 0)
    return FINE_CLASSES + <int>((size - FINE_MAX + COARSE - 1) >> 9)


cdef inline uint32_t* length(Slab* slab) noexcept nogil:
    """Slabs in a free or warm span or a run: it lies where `freed` and `fresh` do in others."""
    return <uint32_t*>&slab.freed


cdef inline bint failing(Slabs* slabs) noexcept nogil:
    """Is this an allocation that a test wants to fail?"""
    if slabs.fail_in > 0:
        slabs.fail_in -= 1
        return slabs.fail_in == 0
    slabs.fail_in += slabs.fail_in < -1
    return slabs.fail_in == -1


# ---------------------------------------------------------------------- spans

cdef void bin_push(State* state, uint32_t first, uint32_t n) noexcept nogil:
    cdef Slab* slab = &state.slabs[first]
    cdef uint32_t bin = n if n <= BINS else BINS + 1
    slab.kind = FREE
    length(slab)[0] = n
    slab.previous = 0
    slab.next = state.bins[bin]
    if slab.next:
        state.slabs[slab.next].previous = first
    state.bins[bin] = first
    if n > 1:
        state.slabs[first + n - 1].kind = FREE_END
        state.slabs[first + n - 1].next = first


cdef void bin_remove(State* state, uint32_t first) noexcept nogil:
    cdef Slab* slab = &state.slabs[first]
    cdef uint32_t n = length(slab)[0]
    if slab.previous:
        state.slabs[slab.previous].next = slab.next
    else:
        state.bins[n if n <= BINS else BINS + 1] = slab.next
    if slab.next:
        state.slabs[slab.next].previous = slab.previous


cdef void span_put(State* state, uint32_t first, uint32_t n) noexcept nogil:
    """Make slabs free, merging them with free neighbours."""
    cdef Slab* before = &state.slabs[first - 1]
    cdef uint32_t neighbour
    if first + n < state.opened and state.slabs[first + n].kind == FREE:
        neighbour = first + n
        bin_remove(state, neighbour)
        n += length(&state.slabs[neighbour])[0]
    if before.kind == FREE or before.kind == FREE_END:
        neighbour = first - 1 if before.kind == FREE else before.next
        bin_remove(state, neighbour)
        n += length(&state.slabs[neighbour])[0]
        first = neighbour
    bin_push(state, first, n)


cdef uint32_t span_find(State* state, uint32_t n) noexcept nogil:
    """The first slab of a free span of at least `n`, or 0."""
    cdef uint32_t bin, first
    for bin in range(n, BINS + 1):
        if state.bins[bin]:
            return state.bins[bin]
    first = state.bins[BINS + 1]
    while first and length(&state.slabs[first])[0] < n:
        first = state.slabs[first].next
    return first


cdef bint chunk_open(Slabs* slabs, uint32_t n) noexcept nogil:
    """Open more of the reserve, enough for `n` slabs. False if there is no more."""
    cdef State* state = <State*>slabs.state
    cdef uint32_t more = (n + CHUNK_SLABS - 1) // CHUNK_SLABS * CHUNK_SLABS
    cdef uint32_t first = state.opened
    cdef char* start = slabs.base + (<size_t>first << SLAB_SHIFT)
    if more > state.limit - first:
        more = state.limit - first
    if more < n or not os_open(start, <size_t>more << SLAB_SHIFT):
        return False
    poison(start, <size_t>more << SLAB_SHIFT)
    state.opened += more
    if first == 0:               # slab 0 is never handed out: 0 is no reference and ends the lists
        first = 1
        more -= 1
    span_put(state, first, more)
    return True


cdef uint32_t span_get(Slabs* slabs, uint32_t n) noexcept nogil:
    """The first of `n` free slabs in a row, or 0. The caller sets its kind."""
    cdef State* state = <State*>slabs.state
    cdef uint32_t first, whole, i
    i = state.warm_count
    while i > 0:
        i -= 1
        if state.warm_length[i] == n:
            first = state.warm[i]
            warm_forget(state, i)
            return first
    first = span_find(state, n)
    if first == 0:
        while warm_discard(slabs):
            pass
        first = span_find(state, n)
    if first == 0:
        if not chunk_open(slabs, n + 1 if state.opened == 0 else n):
            return 0
        first = span_find(state, n)
    bin_remove(state, first)
    whole = length(&state.slabs[first])[0]
    if whole > n:
        bin_push(state, first + n, whole - n)
    for i in range(1, n):
        state.slabs[first + i].kind = TAIL
        state.slabs[first + i].next = first
    state.held += <size_t>n << SLAB_SHIFT
    return first


cdef void warm_forget(State* state, uint32_t i) noexcept nogil:
    cdef uint32_t k
    state.warm_slabs -= state.warm_length[i]
    state.warm_count -= 1
    for k in range(i, state.warm_count):
        state.warm[k] = state.warm[k + 1]
        state.warm_length[k] = state.warm_length[k + 1]


cdef bint warm_discard(Slabs* slabs) noexcept nogil:
    """Give the memory of the span that was emptied longest ago back to the system."""
    cdef State* state = <State*>slabs.state
    cdef uint32_t first, n
    if state.warm_count == 0:
        return False
    first = state.warm[0]
    n = state.warm_length[0]
    warm_forget(state, 0)
    span_discard(slabs, first, n)
    return True


cdef void span_discard(Slabs* slabs, uint32_t first, uint32_t n) noexcept nogil:
    cdef State* state = <State*>slabs.state
    os_discard(slabs.base + (<size_t>first << SLAB_SHIFT), <size_t>n << SLAB_SHIFT)
    state.held -= <size_t>n << SLAB_SHIFT
    span_put(state, first, n)


cdef void span_free(Slabs* slabs, uint32_t first, uint32_t n) noexcept nogil:
    """A span is empty: keep it warm for a moment."""
    cdef State* state = <State*>slabs.state
    if n > WARM:
        span_discard(slabs, first, n)
        return
    while state.warm_slabs + n > WARM:
        warm_discard(slabs)
    state.slabs[first].kind = EMPTIED
    state.warm[state.warm_count] = first
    state.warm_length[state.warm_count] = n
    state.warm_count += 1
    state.warm_slabs += n


# ---------------------------------------------------------------------- entries

cdef inline void list_push_first(State* state, Class* cls, uint32_t index) noexcept nogil:
    cdef Slab* slab = &state.slabs[index]
    slab.previous = 0
    slab.next = cls.first
    if cls.first:
        state.slabs[cls.first].previous = index
    else:
        cls.last = index
    cls.first = index


cdef inline void list_push_last(State* state, Class* cls, uint32_t index) noexcept nogil:
    cdef Slab* slab = &state.slabs[index]
    slab.next = 0
    slab.previous = cls.last
    if cls.last:
        state.slabs[cls.last].next = index
    else:
        cls.first = index
    cls.last = index


cdef inline void list_remove(State* state, Class* cls, uint32_t index) noexcept nogil:
    cdef Slab* slab = &state.slabs[index]
    if slab.previous:
        state.slabs[slab.previous].next = slab.next
    else:
        cls.first = slab.next
    if slab.next:
        state.slabs[slab.next].previous = slab.previous
    else:
        cls.last = slab.previous


cdef uint32_t span_new(Slabs* slabs, int k) noexcept nogil:
    """A fresh span for a class, at the front of its list, or 0."""
    cdef State* state = <State*>slabs.state
    cdef uint32_t index = span_get(slabs, state.classes[k].slabs)
    if index:
        state.slabs[index].kind = <uint16_t>k
        state.slabs[index].live = 0
        state.slabs[index].freed = NOTHING
        state.slabs[index].fresh = 0
        list_push_first(state, &state.classes[k], index)
    return index


cdef Ref slab_alloc(Slabs* slabs, size_t size) noexcept nogil:
    cdef State* state = <State*>slabs.state
    cdef int k
    cdef Class* cls
    cdef Slab* slab
    cdef uint32_t index, offset
    cdef char* p
    if slabs.fail_in and failing(slabs):
        return 0
    if size > COARSE_MAX:
        return run_new(slabs, (size + PAGE - 1) // PAGE)
    k = class_of(size)
    cls = &state.classes[k]
    index = cls.first
    if index == 0:
        index = span_new(slabs, k)
        if index == 0:
            return 0
    slab = &state.slabs[index]
    offset = slab.freed
    if offset != NOTHING:
        p = slabs.base + (<size_t>index << SLAB_SHIFT) + (<size_t>offset << 3)
        unpoison(p, size if size > 2 else 2)
        slab.freed = (<uint16_t*>p)[0]
    else:
        offset = slab.fresh
        slab.fresh += cls.grains
        unpoison(slabs.base + (<size_t>index << SLAB_SHIFT) + (<size_t>offset << 3), size)
    slab.live += 1
    if slab.live == cls.objects:
        list_remove(state, cls, index)
    slabs.used += <size_t>cls.grains << 3
    return index * SLAB_GRAINS + offset


cdef inline uint32_t span_of(const State* state, Ref ref) noexcept nogil:
    cdef uint32_t index = ref // SLAB_GRAINS
    return state.slabs[index].next if state.slabs[index].kind == TAIL else index


cdef void slab_free(Slabs* slabs, Ref ref, size_t size) noexcept nogil:
    cdef State* state = <State*>slabs.state
    cdef uint32_t index
    cdef Slab* slab
    cdef Class* cls
    cdef char* p = <char*>at(slabs, ref)
    if size > COARSE_MAX:
        run_free(slabs, ref, (size + PAGE - 1) // PAGE)
        return
    index = span_of(state, ref)
    slab = &state.slabs[index]
    cls = &state.classes[slab.kind]
    unpoison(p, 2)
    (<uint16_t*>p)[0] = slab.freed
    poison(p, <size_t>cls.grains << 3)
    slab.freed = <uint16_t>(ref - index * SLAB_GRAINS)
    slab.live -= 1
    slabs.used -= <size_t>cls.grains << 3
    if slab.live + 1 == cls.objects:
        list_push_first(state, cls, index)
    elif slab.live == 0:
        list_remove(state, cls, index)
        span_free(slabs, index, cls.slabs)
    elif slab.live + 1 == cls.dense and cls.last != index:
        list_remove(state, cls, index)
        list_push_last(state, cls, index)


cdef bint slab_sparse(const Slabs* slabs, Ref ref) noexcept nogil:
    """Not the span that the class allocates from: an entry moved out of it would move back in."""
    cdef const State* state = <const State*>slabs.state
    cdef uint32_t index
    cdef const Class* cls
    index = span_of(state, ref)
    if state.slabs[index].kind == RUN:
        return False             # it has its span for itself
    cls = &state.classes[state.slabs[index].kind]
    return state.slabs[index].live < cls.dense and cls.first != index


cdef Ref slab_move(Slabs* slabs, Ref ref, size_t size) noexcept nogil:
    cdef Ref new = slab_alloc(slabs, size)
    if new:
        memcpy(at(slabs, new), at(slabs, ref), size)
        slab_free(slabs, ref, size)
    return new


cdef size_t slab_committed(const Slabs* slabs) noexcept nogil:
    return (<const State*>slabs.state).held


# ---------------------------------------------------------------------- runs

cdef Ref run_new(Slabs* slabs, size_t pages) noexcept nogil:
    cdef State* state = <State*>slabs.state
    cdef size_t n = (pages * PAGE + SLAB_BYTES - 1) // SLAB_BYTES
    cdef uint32_t index = span_get(slabs, <uint32_t>n) if n < state.limit else 0
    if index == 0:
        return 0
    state.slabs[index].kind = RUN
    length(&state.slabs[index])[0] = <uint32_t>n
    unpoison(slabs.base + (<size_t>index << SLAB_SHIFT), pages * PAGE)
    slabs.used += pages * PAGE
    return index * SLAB_GRAINS


cdef void run_free(Slabs* slabs, Ref ref, size_t pages) noexcept nogil:
    cdef uint32_t index = ref // SLAB_GRAINS
    poison(at(slabs, ref), pages * PAGE)
    slabs.used -= pages * PAGE
    span_free(slabs, index, length(&(<State*>slabs.state).slabs[index])[0])


cdef Ref slab_run(Slabs* slabs, int pages) noexcept nogil:
    if slabs.fail_in and failing(slabs):
        return 0
    return run_new(slabs, pages)


cdef void slab_run_resize(Slabs* slabs, Ref ref, int old_pages, int new_pages) noexcept nogil:
    """Use more or fewer pages of a run's one slab: pages never touched cost nothing."""
    cdef char* p = <char*>at(slabs, ref)
    if new_pages > old_pages:
        unpoison(p, <size_t>new_pages * PAGE)
        slabs.used += <size_t>(new_pages - old_pages) * PAGE
    elif new_pages < old_pages:
        poison(p + <size_t>new_pages * PAGE, <size_t>(old_pages - new_pages) * PAGE)
        os_discard(p + <size_t>new_pages * PAGE, <size_t>(old_pages - new_pages) * PAGE)
        slabs.used -= <size_t>(old_pages - new_pages) * PAGE


cdef void slab_run_free(Slabs* slabs, Ref ref, int pages) noexcept nogil:
    run_free(slabs, ref, pages)


# ---------------------------------------------------------------------- memory of the C library

cdef void* slab_malloc(Slabs* slabs, size_t size) noexcept nogil:
    cdef void* p
    if slabs.fail_in and failing(slabs):
        return NULL
    p = malloc(size)
    if p is not NULL:
        slabs.used += malloc_cost(size)
    return p


cdef void slab_malloc_free(Slabs* slabs, void* p, size_t size) noexcept nogil:
    if p is not NULL:
        slabs.used -= malloc_cost(size)
        free(p)


# ---------------------------------------------------------------------- blocks

cdef inline size_t map_size(size_t capacity) noexcept nogil:
    return (capacity + sizeof(Block) + os_page() - 1) & ~(os_page() - 1)


cdef size_t block_cost(const Block* block) noexcept nogil:
    if block.flags & MAPPED:
        return map_size(block.capacity)
    return malloc_cost(block.capacity + sizeof(Block))


cdef inline void count_block(Slabs* slabs, size_t cost) noexcept nogil:
    slabs.used += cost
    slabs.block_bytes += cost


cdef inline void uncount_block(Slabs* slabs, size_t cost) noexcept nogil:
    slabs.used -= cost
    slabs.block_bytes -= cost


cdef Block* block_new(Slabs* slabs, size_t capacity) noexcept nogil:
    """A block of at least `capacity` bytes, with one reference and size 0; NULL without memory."""
    cdef Block* block
    cdef bint mapped = capacity >= MAP_FROM
    if capacity > <size_t>1 << 46 or (slabs.fail_in and failing(slabs)):
        return NULL
    if mapped:
        block = block_reuse(slabs, capacity)
        if block is not NULL:
            return block
        block = <Block*>os_map(map_size(capacity))
    else:
        block = <Block*>malloc(capacity + sizeof(Block))
    if block is NULL:
        return NULL
    block.references = 1
    block.flags = MAPPED if mapped else 0
    block.capacity = map_size(capacity) - sizeof(Block) if mapped else capacity
    block.size = 0
    count_block(slabs, block_cost(block))
    return block


cdef Block* block_reuse(Slabs* slabs, size_t capacity) noexcept nogil:
    """A mapped block that was released and not yet unmapped; NULL if none of the last few fits.

    Overwriting big values in turn costs neither system calls nor page faults that way. What is too
    long is cut, and the rest stays in the queue.
    """
    cdef State* state = <State*>slabs.state
    cdef Released** link = &state.released
    cdef Released* found
    cdef Block* block
    cdef size_t size = map_size(capacity)
    cdef size_t rest
    cdef int looks = REUSE_LOOKS
    while link[0] is not NULL and link[0].size < size:
        looks -= 1
        if looks == 0:
            return NULL
        link = &link[0].next
    found = link[0]
    if found is NULL:
        return NULL
    link[0] = found.next
    rest = found.size - size
    slabs.queued_bytes -= found.size
    slabs.used -= size
    if rest:
        queue_release(slabs, <char*>found + size, rest)
    block = <Block*>found
    block.references = 1
    block.flags = MAPPED
    block.capacity = size - sizeof(Block)
    block.size = 0
    count_block(slabs, size)
    return block


cdef Block* block_resize(Slabs* slabs, Block* block, size_t capacity) noexcept nogil:
    """Give a block another capacity, keeping what fits of its data; the block may move.

    NULL without memory: the block is as it was. Only the holder of the only reference may resize.
    """
    cdef Block* new
    cdef size_t old_cost = block_cost(block)
    cdef bint mapped = capacity >= MAP_FROM
    if mapped != <bint>(block.flags & MAPPED):
        new = block_new(slabs, capacity)
        if new is NULL:
            return NULL
        new.size = min(block.size, new.capacity)
        memcpy(block_data(new), block_data(block), new.size)
        block_release(slabs, block)
        return new
    if capacity > <size_t>1 << 46 or (slabs.fail_in and failing(slabs)):
        return NULL
    if block.flags & MAPPED:
        if map_size(capacity) < old_cost:
            block.capacity = map_size(capacity) - sizeof(Block)
            block.size = min(block.size, block.capacity)
            slabs.block_bytes -= old_cost - map_size(capacity)
            queue_release(slabs, <char*>block + map_size(capacity), old_cost - map_size(capacity))
            return block
        new = <Block*>os_remap(block, old_cost, map_size(capacity))
        capacity = map_size(capacity) - sizeof(Block)
    else:
        new = <Block*>realloc(block, capacity + sizeof(Block))
    if new is NULL:
        return NULL
    uncount_block(slabs, old_cost)
    new.capacity = capacity
    new.size = min(new.size, capacity)
    count_block(slabs, block_cost(new))
    return new


cdef void queue_release(Slabs* slabs, void* p, size_t size) noexcept nogil:
    """Mapped memory is no longer needed: unmap it when slab_drain comes by."""
    cdef State* state = <State*>slabs.state
    cdef Released* released = <Released*>p
    if size == 0:
        return
    released.next = state.released
    released.size = size
    state.released = released
    slabs.queued_bytes += size


cdef void block_release(Slabs* slabs, Block* block) noexcept nogil:
    cdef size_t cost
    block.references -= 1
    if block.references:
        return
    cost = block_cost(block)
    if block.flags & MAPPED:
        slabs.block_bytes -= cost
        queue_release(slabs, block, cost)
    else:
        uncount_block(slabs, cost)
        free(block)


cdef size_t slab_drain(Slabs* slabs, size_t limit) noexcept nogil:
    """Slices are cut from the end, where the bookkeeping is not."""
    cdef State* state = <State*>slabs.state
    cdef Released* released
    cdef size_t slice
    while state.released is not NULL and limit >= os_page():
        released = state.released
        slice = min(released.size, limit & ~(os_page() - 1))
        limit -= slice
        slabs.used -= slice
        slabs.queued_bytes -= slice
        if slice == released.size:
            state.released = released.next
            os_unmap(released, slice)
        else:
            released.size -= slice
            os_unmap(<char*>released + released.size, slice)
    return slabs.queued_bytes
