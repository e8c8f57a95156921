"""The only place that asks what time it is."""

from libc.stdint cimport int64_t

cdef extern from *:
    """
    #include <stdint.h>
    #include <time.h>
    static inline int64_t spinel_clock(clockid_t which) {
        struct timespec now;
        clock_gettime(which, &now);
        return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    }
    static inline int64_t spinel_wall_us(void) { return spinel_clock(CLOCK_REALTIME) / 1000; }
    static inline int64_t spinel_wall_ms(void) { return spinel_clock(CLOCK_REALTIME) / 1000000; }
    static inline int64_t spinel_monotonic_ns(void) { return spinel_clock(CLOCK_MONOTONIC); }
    """
    # Unix milliseconds, for deadlines: may jump either way.
    int64_t wall_us "spinel_wall_us"() noexcept nogil
    int64_t wall_ms "spinel_wall_ms"() noexcept nogil
    # Nanoseconds since some moment in the past, for budgets and durations: never goes back.
    int64_t monotonic_ns "spinel_monotonic_ns"() noexcept nogil
