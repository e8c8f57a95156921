"""The server as a process of its own: what only a program does, and a library never.

Signals, garbage collector, switch interval, pid file, readiness notification, crash report: the
programs in `cli/` call these; an application that hosts a server keeps its own ways.
"""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import os
import platform
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from spineldb.observability.logging import get_log
from spineldb.version import SPINELDB_VERSION

log = get_log(__name__)

SWITCH_INTERVAL = 0.0005  # seconds: the loop gets the interpreter back from a thread this soon
COLLECT_SECONDS = 10.0


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


def report_crashes() -> None:
    """Say on standard error what ran if the compiled core faults."""
    print_build = f"SpinelDB {SPINELDB_VERSION} on Python {platform.python_version()}"
    faulthandler.enable(all_threads=False)
    log.debug("crash reports enabled", build=print_build)


@contextmanager
def pid_file(path: str) -> Iterator[None]:
    """Keep the process's number in a file while the server runs; an empty path keeps none."""
    if not path:
        yield
        return
    file = Path(path)
    file.write_text(f"{os.getpid()}\n", encoding="ascii")
    try:
        yield
    finally:
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

    def interrupt() -> None:
        nonlocal interrupted
        if interrupted:
            os._exit(1)
        interrupted = True
        stop("SIGINT")

    loop.add_signal_handler(signal.SIGINT, interrupt)
    loop.add_signal_handler(signal.SIGTERM, stop, "SIGTERM")
    loop.add_signal_handler(signal.SIGHUP, reload)
