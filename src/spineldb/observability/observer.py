"""Who looks over the server's shoulder: MONITOR, the slow log, latency events.

The dispatcher keeps the slow log and its siblings itself: it knows the smallest threshold of all
(`arm` sets it), so an ordinary command costs two comparisons. It tells here of commands that others
had to wait for. One that held the server up for long is logged whatever the thresholds say, without
its arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from spineldb import clock
from spineldb.observability.latency import Latency
from spineldb.observability.logging import get_log
from spineldb.observability.redaction import redacted

if TYPE_CHECKING:
    from spineldb.core.commandlog import CommandLog, Measured
    from spineldb.core.dispatch import Command, Dispatcher
    from spineldb.core.session import Session

log = get_log(__name__)

NEVER = 1 << 62
LONG_NS = 100_000_000  # a command that takes longer stalls everybody: worth a line in the log


class Observer:
    """Records what commands did, for those who ask."""

    def __init__(self, dispatcher: Dispatcher, hides: Callable[[bytes], bool]) -> None:
        self._dispatcher = dispatcher
        self._hides = hides
        self._monitors: dict[Session, None] = {}
        self.slow = dispatcher.slow
        self.large_requests = dispatcher.large_requests
        self.large_replies = dispatcher.large_replies
        self.latency = Latency()
        self.arm()

    def arm(self) -> None:
        """Tell the dispatcher that a threshold was changed."""
        self._dispatcher.late_ns = min(self.latency.threshold_ms * 1_000_000 or NEVER, LONG_NS)
        self._dispatcher.arm()

    def late(self, session: Session, command: Command, measured: Measured) -> None:
        """Record a command that others had to wait for."""
        milliseconds = measured.ns // 1_000_000
        if 0 < self.latency.threshold_ms <= milliseconds:
            fast = "fast" in command.declaration.flags.names
            self.latency.sample("fast-command" if fast else "command", measured.at, milliseconds)
        if measured.ns >= LONG_NS:
            log.warning(
                "a command took long",
                command=command.name,
                arguments=measured.argc,
                milliseconds=milliseconds,
                client=session.id,
            )

    def entries(self, kept: CommandLog, count: int) -> list[tuple[int, int, Measured, list[bytes]]]:
        """Return the newest entries of a log (-1: all).

        Each is its number, its amount, the command, and what may be shown of its arguments.
        """
        return [
            (number, amount, command, redacted(command.argv, self._hides))
            for number, amount, command in kept.newest(count)
        ]

    # -- MONITOR -----------------------------------------------------------------------------------

    def watch(self, session: Session) -> None:
        """Show every command to this session from now on."""
        self._monitors[session] = None
        self._dispatcher.monitored = True

    def forget(self, session: Session) -> None:
        """Show this session nothing more."""
        if self._monitors.pop(session, False) is None:
            self._dispatcher.monitored = bool(self._monitors)

    def show(self, session: Session, argv: list[bytes]) -> None:
        """Send a command that has run to everybody who monitors."""
        micros = clock.unix_us()
        words = b" ".join(map(quoted, redacted(argv, self._hides)))
        head = f"{micros // 1_000_000}.{micros % 1_000_000:06d} [{session.db} {session.address}] "
        line = (head.encode() + words).decode("latin-1")
        for monitor in self._monitors:
            monitor.send(line)


def quoted(word: bytes) -> bytes:
    """Write an argument as MONITOR does: in double quotes, what is not printable escaped."""
    return b'"' + b"".join(map(_ESCAPED.__getitem__, word)) + b'"'


def _escape(byte: int) -> bytes:
    named = {0x5C: b"\\\\", 0x22: b'\\"', 10: b"\\n", 13: b"\\r", 9: b"\\t", 7: b"\\a", 8: b"\\b"}
    if byte in named:
        return named[byte]
    return bytes([byte]) if 32 <= byte < 127 else b"\\x%02x" % byte


_ESCAPED = [_escape(byte) for byte in range(256)]
