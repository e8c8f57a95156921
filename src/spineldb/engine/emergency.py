"""Emergency read-only mode: the server would rather refuse writes than lie about data.

When a command changed the dataset and what it did could not be prepared for propagation, primary
and replicas no longer hold the same. From then on every write is refused, until a restart: nothing
else clears the mode. INFO says since when and why, the log has one line at level CRITICAL, keys
whose time has passed are hidden and not deleted, and nothing is evicted.

See the operations chapter of the manual for how to recover.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spineldb import clock, errors
from spineldb.core.dispatch import Command, Dispatcher, Gate
from spineldb.engine.keyspecs import georadius_keys, sort_keys
from spineldb.observability.logging import get_log

if TYPE_CHECKING:
    from spineldb.core.session import Session

log = get_log(__name__)

SHOWN_KEYS = 3  # of the command that failed, in INFO and the log


@dataclass(frozen=True, slots=True)
class Trigger:
    """The write that could not be propagated. No values, ever: only its name and keys."""

    command: str
    keys: tuple[bytes, ...]
    database: int
    client: str
    reason: str
    since: int  # Unix seconds

    @property
    def shown(self) -> str:
        """The command and its keys, on one line."""
        return " ".join([self.command, *(_printable(key) for key in self.keys)])


class Emergency:
    """The mode: off at start, and once it is on, on until the process ends."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self.trigger: Trigger | None = None
        self.on_entry: list[Callable[[], None]] = []  # what else must happen then

    @property
    def refusal(self) -> errors.CommandError:
        """What every refused write is answered."""
        return errors.Emergency()

    @property
    def active(self) -> bool:
        """Whether every write is refused."""
        return self.trigger is not None

    def gate(self, session: Session, command: Command, argv: list[bytes]) -> None:
        """Refuse a write; asked only while the mode is on."""
        del session
        only_reads = _READS_WITHOUT_OPTIONS.get(command.name)
        if only_reads is None or not only_reads(argv):
            raise self.refusal

    def enter(
        self, session: Session | None, command: Command | None, argv: list[bytes], reason: object
    ) -> None:
        """Put the mode in force; a second failure is only logged."""
        named = f"{type(reason).__name__}: {reason}" if isinstance(reason, Exception) else reason
        text = " ".join(str(named).split())
        name = command.name if command is not None else "-"
        if self.trigger is not None:
            log.error("propagation failed again", command=name, reason=text)
            return
        self.trigger = Trigger(
            command=name,
            keys=_keys(command, argv),
            database=session.db if session is not None else 0,
            client="-" if session is None else f"{session.id} {session.address}",
            reason=text,
            since=clock.unix_ms() // 1000,
        )
        self._dispatcher.raise_gate(Gate.GATE_EMERGENCY)
        self._dispatcher.effects.may_bury = False
        log.critical(
            "CRITICAL: a write was executed but could not be propagated; refusing all writes "
            "until a restart",
            command=self.trigger.shown,
            db=self.trigger.database,
            client=self.trigger.client,
            reason=self.trigger.reason,
            offset=0,
        )
        for act in self.on_entry:
            act()

    def info(self) -> Iterable[tuple[str, object]]:
        """Yield the fields of INFO server."""
        yield "emergency_read_only_mode", int(self.active)
        if self.trigger is not None:
            yield "emergency_read_only_since", self.trigger.since
            yield "emergency_read_only_reason", self.trigger.reason
            yield "emergency_trigger_command", self.trigger.shown
            yield "emergency_dataset_persisted", 0
            yield "emergency_replicas_diverged", 0


# Commands that are writes by their declaration, but not with every set of options (EM-5).
_READS_WITHOUT_OPTIONS: dict[str, Callable[[list[bytes]], bool]] = {
    "getex": lambda argv: len(argv) == 2,
    "bitfield": lambda argv: not {b"set", b"incrby"} & {word.lower() for word in argv[2:]},
    "hgetex": lambda argv: len(argv) > 2 and argv[2].lower() == b"fields",
    "sort": lambda argv: len(sort_keys(argv) or ()) == 1,
    "georadius": lambda argv: len(georadius_keys(argv) or ()) == 1,
    "georadiusbymember": lambda argv: len(georadius_keys(argv) or ()) == 1,
}


def _keys(command: Command | None, argv: list[bytes]) -> tuple[bytes, ...]:
    if command is None:
        return ()
    found: list[tuple[int, int]] = command.declaration.keys_of(argv) or []
    return tuple(argv[position] for position, _ in found[:SHOWN_KEYS])


def _printable(key: bytes) -> str:
    return key.decode("utf-8", "backslashreplace").encode("unicode_escape").decode()
