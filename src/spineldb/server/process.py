"""The server as a process of its own: what only a program does, and a library never.

Signals, garbage collector, switch interval, descriptor limit, pid file, readiness notification,
crash report: the programs in `cli/` call these; an application that hosts a server keeps its own
ways.
"""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import os
import platform
import resource
import signal
import socket
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from spineldb.core import crash
from spineldb.observability.logging import get_log
from spineldb.version import SPINELDB_VERSION

log = get_log(__name__)

SWITCH_INTERVAL = 0.0005  # seconds: the loop gets the interpreter back from a thread this soon
COLLECT_SECONDS = 10.0
RESERVED_DESCRIPTORS = 32  # files, listeners, pipes: what is not a client


def tune_interpreter() -> None:
    """Keep the garbage collector out of the way of requests.

    No container object is kept per key, so there is next to nothing to find: what exists after
    start-up is frozen, and the young generations are looked at when the loop comes to it.
    """
    gc.collect()
    gc.freeze()
    gc.disable()
    sys.setswitchinterval(SWITCH_INTERVAL)


def collect_now_and_then(loop: asyncio.AbstractEventLoop) -> None:
    """Collect the young generations every few seconds."""
    gc.collect(1)
    loop.call_later(COLLECT_SECONDS, collect_now_and_then, loop)


def report_crashes(log_descriptor: int = -1) -> None:
    """Have standard error, and the log file, say what ran if the compiled core faults.

    `crash.report_to` names the log file's descriptor anew after it was reopened.
    """
    faulthandler.enable(all_threads=False)
    system = os.uname()  # not platform.platform(), which searches the interpreter's file
    crash.install(
        f"SpinelDB {SPINELDB_VERSION}, {platform.python_implementation()} "
        f"{platform.python_version()} ({platform.python_compiler()}), "
        f"{system.sysname} {system.release} {system.machine}",
        log_descriptor,
    )


def allow_clients(wanted: int) -> int:
    """Have the operating system allow files for this many clients; return for how many it does."""
    return _allow_descriptors(wanted + RESERVED_DESCRIPTORS) - RESERVED_DESCRIPTORS


def _allow_descriptors(wanted: int) -> int:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    if hard == resource.RLIM_INFINITY or hard >= wanted:
        attempts = [(wanted, hard)]
    else:
        attempts = [(wanted, wanted), (hard, hard)]  # the first needs privileges
    for limits in attempts:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            return limits[0]
    return soft


@contextmanager
def pid_file(path: str) -> Generator[None]:
    """Keep the process's number in a file while the server runs; an empty path keeps none.

    A file that cannot be written is no reason not to serve: it is logged.
    """
    file = Path(path).absolute() if path else None
    if file is not None:
        try:
            file.write_text(f"{os.getpid()}\n", encoding="ascii")
        except OSError as error:
            log.warning("cannot write the pid file", file=path, reason=error.strerror)
            file = None
    try:
        yield
    finally:
        if file is not None:
            with suppress(OSError):
                file.unlink()


def notify_supervisor(state: str) -> bool:
    """Tell systemd of a change (`READY=1`, `STOPPING=1`); False if nobody supervises us."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return False
    address = "\0" + path[1:] if path.startswith("@") else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        try:
            channel.connect(address)
            channel.sendall(state.encode())
        except OSError as error:
            log.warning("cannot notify the supervisor", reason=str(error))
            return False
    return True


def warn_of_kernel_settings(backlog: int) -> None:
    """Log the settings of this machine that will hurt."""
    for words, advice in _hurtful(backlog):
        log.warning(words, advice=advice)


def _hurtful(backlog: int) -> Iterator[tuple[str, str]]:
    if _read("/proc/sys/vm/overcommit_memory") == "0":
        yield (
            "snapshots may fail for want of memory: overcommit is off",
            "sysctl vm.overcommit_memory=1",
        )
    if "[always]" in (_read("/sys/kernel/mm/transparent_hugepage/enabled") or ""):
        yield (
            "transparent huge pages make snapshots copy more memory",
            "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled",
        )
    longest = _read("/proc/sys/net/core/somaxconn")
    if longest is not None and longest.isdigit() and int(longest) < backlog:
        yield (
            "the kernel's connection backlog is shorter than tcp_backlog",
            f"sysctl net.core.somaxconn={backlog}",
        )


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except OSError:
        return None


def on_signals(
    loop: asyncio.AbstractEventLoop, stop: Callable[[str], None], reload: Callable[[], None]
) -> None:
    """Stop on SIGINT and SIGTERM, exit at once on a second SIGINT, reload on SIGHUP."""
    interrupted = False

    def interrupt(number: int, frame: object) -> None:
        nonlocal interrupted
        del number, frame
        if interrupted:
            os._exit(1)
        interrupted = True
        loop.call_soon_threadsafe(stop, "SIGINT")

    # Not the loop's way: its handlers wait for the loop, which may be what hangs.
    signal.signal(signal.SIGINT, interrupt)
    loop.add_signal_handler(signal.SIGTERM, stop, "SIGTERM")
    loop.add_signal_handler(signal.SIGHUP, reload)
