"""The crash report: a compiled core can fault, and then the process must say what it was doing.

A handler for the fatal signals writes a few lines (which build, which signal, the last command's
name and its client, never an argument) to standard error and to the log file. Then it hands the
signal to the handler that was there before, which is `faulthandler`'s and prints the Python frames;
that one ends the process the way the signal would have.

Whatever faulted may have left anything in any state, so the handler does only what POSIX allows in
one: it writes memory that was prepared when it was installed, and numbers it formats itself.
"""

from libc.signal cimport SIGABRT, SIGFPE, SIGILL, SIGSEGV, raise_
from libc.stdint cimport int64_t, uintptr_t
from libc.string cimport memcpy, strlen
from posix.signal cimport (
    SA_ONSTACK,
    SA_SIGINFO,
    sigaction,
    sigaction_t,
    sigemptyset,
    siginfo_t,
)
from posix.unistd cimport STDERR_FILENO, getpid, write

cdef extern from "<signal.h>" nogil:
    enum:
        SIGBUS

cdef extern from "<time.h>" nogil:
    int64_t c_time "time"(int64_t* to)

cdef enum:
    SIGNALS = 5
    BUILD_BYTES = 256
    REPORT_BYTES = 1024

cdef struct Handled:
    int number
    const char* name
    sigaction_t before           # what is done with the signal after the report

cdef struct Report:
    char[REPORT_BYTES] text
    size_t size

cdef Handled[SIGNALS] handled
cdef char[BUILD_BYTES] build
cdef int log_descriptor = -1

handled[0].number, handled[0].name = SIGSEGV, b"SIGSEGV"
handled[1].number, handled[1].name = SIGBUS, b"SIGBUS"
handled[2].number, handled[2].name = SIGFPE, b"SIGFPE"
handled[3].number, handled[3].name = SIGILL, b"SIGILL"
handled[4].number, handled[4].name = SIGABRT, b"SIGABRT"


def install(str build_, int log=-1) -> None:
    """Report crashes of this process from now on; `build_` says what it is.

    Replaces what is done with the fatal signals now, and does that after the report: enable
    `faulthandler` first. `log` is the descriptor of a log file, -1 for none.
    """
    global log_descriptor
    cdef sigaction_t action
    cdef bytes text = build_.encode("utf-8")[:BUILD_BYTES - 1]
    cdef int i
    memcpy(build, <const char*>text, <size_t>len(text) + 1)
    log_descriptor = log
    action.sa_sigaction = on_fault
    sigemptyset(&action.sa_mask)
    # On faulthandler's stack: the process's own may be what overflowed.
    action.sa_flags = SA_SIGINFO | SA_ONSTACK
    for i in range(SIGNALS):
        if sigaction(handled[i].number, &action, &handled[i].before) != 0:
            raise OSError(f"cannot handle signal {handled[i].number}")


def report_to(int log) -> None:
    """Name the descriptor of the log file anew, after it was reopened; -1 for none."""
    global log_descriptor
    log_descriptor = log


cdef void on_fault(int number, siginfo_t* info, void* context) noexcept nogil:
    cdef Report report
    cdef Handled* one = &handled[SIGNALS - 1]
    cdef int i
    for i in range(SIGNALS):
        if handled[i].number == number:
            one = &handled[i]
    # First of all: a fault in here ends the process as it would without us.
    sigaction(number, &one.before, NULL)
    report.size = 0
    add(&report, b"\n=== spineldb crashed ===\nsignal: ")
    add(&report, one.name)
    if number != SIGABRT and info.si_code > 0:       # raised by the machine, not sent by anybody
        add(&report, b" at address ")
        add_number(&report, <uintptr_t>info.si_addr, 16)
    add(&report, b"\nbuild: ")
    add(&report, build)
    add(&report, b"\npid: ")
    add_number(&report, getpid(), 10)
    add(&report, b"\ntime: ")
    add_number(&report, c_time(NULL), 10)
    add(&report, b"\nlast command: ")
    if running.command is NULL:
        add(&report, b"none")
    else:
        add(&report, running.command)
    add(&report, b"\nclient: ")
    add_number(&report, running.client, 10)
    add(&report, b"\n\n")
    send(STDERR_FILENO, &report)
    if log_descriptor >= 0:
        send(log_descriptor, &report)
    raise_(number)               # held back until we return, then handled by who was there before


cdef void add(Report* report, const char* text) noexcept nogil:
    cdef size_t size = strlen(text)
    if size > REPORT_BYTES - report.size:
        size = REPORT_BYTES - report.size
    memcpy(report.text + report.size, text, size)
    report.size += size


cdef void add_number(Report* report, uintptr_t number, unsigned int base) noexcept nogil:
    cdef const char* alphabet = b"0123456789abcdef"
    cdef char[24] digits
    cdef int at = 23
    digits[at] = 0
    while True:
        at -= 1
        digits[at] = alphabet[number % base]
        number //= base
        if number == 0:
            break
    if base == 16:
        add(report, b"0x")
    add(report, digits + at)


cdef void send(int descriptor, const Report* report) noexcept nogil:
    cdef size_t done = 0
    cdef ssize_t result
    while done < report.size:
        result = write(descriptor, report.text + done, report.size - done)
        if result <= 0:
            return
        done += <size_t>result
