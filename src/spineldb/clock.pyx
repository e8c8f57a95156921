"""The only place that asks what time it is.

Deadlines are wall-clock (`unix_ms`), budgets and durations monotonic (`ticks_ns`). Compiled
callers cimport the functions of the header. Tests that need another time hand their own clock
down: nothing here can be set.

Every command is timed, so `monotonic_ns` must cost little: 12 ns from the processor's time stamp
counter, against 25 from the kernel. The counter is used only where the kernel itself keeps time
by it (that is: found it constant, and the same on all cores). A straight line through what the
kernel last said is followed for 2 ms, then the kernel is asked again; so the error stays within a
microsecond, and a counter that jumps (a virtual machine that moved) is believed for 2 ms at most.
The line's slope is measured over a tenth of a second or more. If it changes by more than a
thousandth the counter is never used again. A line that ran ahead is continued more slowly, not
set back: time does not go backwards. Readers need no lock: a sequence number tells them when the
line changed under them, and then they ask the kernel.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

cdef extern from *:
    """
    static int spinel_counter_invariant(void) {
    #if SPINEL_TSC
        unsigned a, b, c, d;
        return __get_cpuid(0x80000007, &a, &b, &c, &d) && (d & (1u << 8));
    #else
        return 0;
    #endif
    }
    #define spinel_acquire(flag) (__atomic_exchange_n(flag, 1, __ATOMIC_ACQUIRE) == 0)
    #define spinel_release(flag) __atomic_store_n(flag, 0, __ATOMIC_RELEASE)
    #define spinel_begin(line) do { \\
        __atomic_store_n(&(line)->sequence, (line)->sequence + 1, __ATOMIC_RELAXED); \\
        __atomic_thread_fence(__ATOMIC_RELEASE); } while (0)
    #define spinel_end(line) \\
        __atomic_store_n(&(line)->sequence, (line)->sequence + 1, __ATOMIC_RELEASE)
    """
    bint counter_invariant "spinel_counter_invariant"() noexcept nogil
    uint64_t counter "spinel_tsc"() noexcept nogil
    bint acquire "spinel_acquire"(uint32_t* flag) noexcept nogil
    void release "spinel_release"(uint32_t* flag) noexcept nogil
    void begin_change "spinel_begin"(Line* line) noexcept nogil
    void end_change "spinel_end"(Line* line) noexcept nogil

cdef enum:
    FOLLOW_NS = 2000000          # how long a line is followed
    MEASURE_NS = 100000000       # how long a slope is measured at least
    PAIR_MAX = 4000              # counter steps within which both clocks must have been read

cdef struct Slope:               # changed only by who holds `line.busy`
    bint usable
    uint64_t rate                # 2^32 nanoseconds per step; 0 until measured
    uint64_t counter             # where the measurement began
    int64_t ns

cdef Slope slope


cdef bint read_pair(uint64_t* steps, int64_t* ns) noexcept nogil:
    """Read both clocks at one moment. False if something came between."""
    cdef uint64_t before
    cdef int _attempt
    for _attempt in range(3):
        before = counter()
        ns[0] = kernel_ns()
        steps[0] = counter()
        if steps[0] - before < PAIR_MAX:
            steps[0] = before + (steps[0] - before) // 2
            return True
    return False


cdef int64_t ask_kernel() noexcept nogil:
    """Read the kernel's clock and draw a new line through it."""
    cdef int64_t now
    cdef uint64_t steps
    if not slope.usable or not acquire(&line.busy):
        return kernel_ns()
    if read_pair(&steps, &now):
        measure_slope(steps, now)
        if slope.usable and slope.rate:
            now = draw_line(steps, now)
    else:
        now = kernel_ns()
    release(&line.busy)
    return now


cdef void measure_slope(uint64_t steps, int64_t now) noexcept nogil:
    cdef uint64_t rate = 0
    cdef uint64_t old = slope.rate
    cdef int64_t span = now - slope.ns
    if span < MEASURE_NS:
        return
    # 2^32 * span would overflow after 4 seconds: the counter is divided instead.
    if steps - slope.counter < <uint64_t>1 << 50:
        rate = <uint64_t>(<double>span / <double>(steps - slope.counter + 1) * 4294967296.0)
    if rate == 0 or rate >> 36 or (old and (rate > old + old // 1000 or rate < old - old // 1000)):
        slope.usable = False
        begin_change(&line)
        line.valid = 0
        end_change(&line)
        return
    slope.rate = rate
    slope.counter = steps
    slope.ns = now


cdef int64_t draw_line(uint64_t steps, int64_t now) noexcept nogil:
    """A line from here, which meets the kernel's clock at its end at the latest."""
    cdef uint64_t elapsed = steps - line.since
    cdef uint64_t follow = <uint64_t>(<double>FOLLOW_NS / <double>slope.rate * 4294967296.0)
    cdef uint64_t rate = slope.rate
    cdef int64_t said = line.ns + <int64_t>((min(elapsed, line.valid) * line.rate) >> 32)
    cdef int64_t ahead = said - now
    if ahead > 0:
        rate -= <uint64_t>(<double>rate * min(0.5, <double>ahead / FOLLOW_NS))
        now = said
    begin_change(&line)
    line.since = steps
    line.ns = now
    line.rate = rate
    line.valid = follow
    end_change(&line)
    return now


cdef bint kernel_uses_counter():
    path = "/sys/devices/system/clocksource/clocksource0/current_clocksource"
    try:
        with open(path) as source:
            return source.read().strip() == "tsc"
    except OSError:
        return False


slope.usable = counter_invariant() and kernel_uses_counter()
if slope.usable:
    slope.usable = read_pair(&slope.counter, &slope.ns)


def unix_ms() -> int:
    """Return the wall clock in Unix milliseconds."""
    return wall_ms()


def unix_us() -> int:
    """Return the wall clock in Unix microseconds."""
    return wall_us()


def ticks_ns() -> int:
    """Return the monotonic clock in nanoseconds."""
    return monotonic_ns()


def counter_rate() -> float:
    """Return the steps per nanosecond of the counter in use; 0 where the kernel is always asked."""
    return 4294967296.0 / slope.rate if slope.usable and slope.rate else 0.0
