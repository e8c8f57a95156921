"""Who looks over the server's shoulder: MONITOR, the slow log, latency events.

The dispatcher tells of a command only when somebody could be interested: it knows the smallest
threshold of all (`arm` sets it), so an ordinary command costs two comparisons. A command that held
the server up for long is logged whatever the thresholds say, without its arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from spineldb import clock
from spineldb.observability.commandlog import CommandLog
from spineldb.observability.latency import Latency
from spineldb.observability.logging import get_log
from spineldb.observability.redaction import redacted

if TYPE_CHECKING:
    from spineldb.core.dispatch import Command, Dispatcher, Measured
    from spineldb.core.session import Session

log = get_log(__name__)

NEVER = 1 << 62
DEFAULT_BIG_BYTES = 1 << 20
LONG_NS = 100_000_000  # a command that takes longer stalls everybody: worth a line in the log


class Observer:
    """Records what commands did, for those who ask."""

    def __init__(self, dispatcher: Dispatcher, hides: Callable[[bytes], bool]) -> None:
        self._dispatcher = dispatcher
        self._hides = hides
        self._monitors: dict[Session, None] = {}
        self.slow = CommandLog(10_000, 128)
        self.large_requests = CommandLog(DEFAULT_BIG_BYTES, 128)
        self.large_replies = CommandLog(DEFAULT_BIG_BYTES, 128)
        self.latency = Latency()
        self.arm()

    def arm(self) -> None:
        """Tell the dispatcher the smallest thresholds, after one of them was changed."""
        slow_ns = self.slow.threshold * 1000 if self.slow.threshold >= 0 else NEVER
        late_ns = self.latency.threshold_ms * 1_000_000 or NEVER
        self._dispatcher.watch_ns = min(slow_ns, late_ns, LONG_NS)
        sizes = [self.large_requests.threshold, self.large_replies.threshold]
        self._dispatcher.watch_bytes = min([size for size in sizes if size >= 0], default=NEVER)

    def record(self, session: Session, command: Command, measured: Measured) -> None:
        """Record a command that was slow or big."""
        at, milliseconds = clock.unix_ms() // 1000, measured.ns // 1_000_000
        if 0 < self.latency.threshold_ms <= milliseconds:
            fast = "fast" in command.declaration.flags.names
            self.latency.sample("fast-command" if fast else "command", at, milliseconds)
        if measured.ns >= LONG_NS:
            log.warning(
                "a command took long",
                command=command.name,
                arguments=measured.argc,
                milliseconds=milliseconds,
                client=session.id,
            )
        if command.skips_slowlog:
            return
        amounts = (
            (self.slow, measured.ns // 1000),
            (self.large_requests, measured.request_bytes),
            (self.large_replies, measured.reply_bytes),
        )
        for kept, amount in amounts:
            if kept.concerns(amount):
                shown = redacted(measured.argv, self._hides)
                kept.add(at, amount, shown, session.address, session.name or "")

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
