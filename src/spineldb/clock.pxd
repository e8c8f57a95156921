"""The only place that asks what time it is (design: `clock.pyx`)."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

cdef extern from *:
    """
    #include <stdint.h>
    #include <time.h>
    #if defined(__linux__) && defined(__x86_64__)
    #include <cpuid.h>
    #include <x86intrin.h>
    #define SPINEL_TSC 1
    #define spinel_tsc() ((uint64_t)__rdtsc())
    #else
    #define SPINEL_TSC 0
    #define spinel_tsc() ((uint64_t)0)
    #endif

    static inline int64_t spinel_clock(clockid_t which) {
        struct timespec now;
        clock_gettime(which, &now);
        return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    }
    static inline int64_t spinel_wall_us(void) { return spinel_clock(CLOCK_REALTIME) / 1000; }
    static inline int64_t spinel_wall_ms(void) { return spinel_clock(CLOCK_REALTIME) / 1000000; }
    static inline int64_t spinel_kernel_ns(void) { return spinel_clock(CLOCK_MONOTONIC); }

    /* now = ns + (counter - since) * rate / 2^32, for `valid` steps of the counter from `since`. */
    struct spinel_line {
        uint32_t sequence;       /* odd while it is being changed */
        uint32_t busy;
        uint64_t since;
        uint64_t valid;          /* 0: ask the kernel */
        uint64_t rate;
        int64_t ns;
    };

    static inline int64_t spinel_monotonic_ns(
        const struct spinel_line* line, int64_t (*ask)(void)
    ) {
        uint32_t sequence = __atomic_load_n(&line->sequence, __ATOMIC_ACQUIRE);
        uint64_t elapsed = spinel_tsc() - line->since;
        uint64_t valid = line->valid;
        int64_t now = line->ns + (int64_t)((elapsed * line->rate) >> 32);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (__builtin_expect(
                elapsed < valid && !(sequence & 1)
                && sequence == __atomic_load_n(&line->sequence, __ATOMIC_RELAXED), 1))
            return now;
        return ask();
    }
    """
    ctypedef struct Line "struct spinel_line":
        uint32_t sequence
        uint32_t busy
        uint64_t since
        uint64_t valid
        uint64_t rate
        int64_t ns

    # Unix milliseconds, for deadlines: may jump either way.
    int64_t wall_ms "spinel_wall_ms"() noexcept nogil
    int64_t wall_us "spinel_wall_us"() noexcept nogil
    # The kernel's monotonic clock, in nanoseconds.
    int64_t kernel_ns "spinel_kernel_ns"() noexcept nogil
    int64_t line_ns "spinel_monotonic_ns"(const Line* line, int64_t (*ask)() noexcept nogil) \
        noexcept nogil

cdef Line line
cdef int64_t ask_kernel() noexcept nogil

cdef inline int64_t monotonic_ns() noexcept nogil:
    """Nanoseconds since some moment in the past, for budgets and durations; from any thread."""
    return line_ns(&line, ask_kernel)
