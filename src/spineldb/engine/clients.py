"""Who is connected: admission, authentication, the list, killing, pausing, memory.

The registry holds every session from the moment it is admitted until its socket is gone. What a
client is (its name, its library, its statistics) lives in the session; what all of them share (the
pause, the limits, the counters) lives here.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import TYPE_CHECKING

from spineldb import clock, errors
from spineldb.core.channels import ChannelKind, Subscriptions
from spineldb.core.dispatch import POSTPONE, Command, Dispatcher, Gate
from spineldb.core.session import Session, SessionFlag, memory_of, memory_of_clients
from spineldb.engine.client_names import is_local
from spineldb.engine.command import Flag
from spineldb.observability.logging import get_log

if TYPE_CHECKING:
    from spineldb.config.settings import Settings

log = get_log(__name__)

DEFAULT_USER = "default"
LONGEST_TIMER_SECONDS = 86_400.0

# The letters of CLIENT LIST's `flags`, in Redis's order.
_LETTERS = (
    (SessionFlag.MONITOR, "O"),
    (SessionFlag.REPLICA, "S"),
    (SessionFlag.PRIMARY, "M"),
    (SessionFlag.PUBSUB, "P"),
    (SessionFlag.QUEUEING, "x"),
    (SessionFlag.BLOCKED, "b"),
    (SessionFlag.DIRTY_WATCH, "d"),
    (SessionFlag.CLOSING, "c"),
    (SessionFlag.CLOSE_NOW, "A"),
    (SessionFlag.UNIX_SOCKET, "U"),
    (SessionFlag.NO_EVICT, "e"),
    (SessionFlag.NO_TOUCH, "T"),
)


_SUBSCRIPTIONS = (
    ("sub", ChannelKind.CHANNEL),
    ("psub", ChannelKind.PATTERN),
    ("ssub", ChannelKind.SHARD),
)


class Pause(Enum):
    """What CLIENT PAUSE holds back."""

    NOTHING = 0
    WRITES = 1
    ALL = 2


class Clients:
    """The registry of sessions."""

    def __init__(self, dispatcher: Dispatcher, settings: Settings) -> None:
        self._dispatcher = dispatcher
        self._settings = settings
        self._sessions: dict[int, Session] = {}
        self._unauthenticated = 0
        self._postponed: dict[Session, None] = {}  # in the order in which they came
        self._pause = Pause.NOTHING
        self._pause_until_ms = 0
        self._pause_timer: asyncio.TimerHandle | None = None
        self.rejected = 0
        self.evicted = 0

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._sessions.values()))

    def get(self, identifier: int) -> Session | None:
        """Return the session with this id."""
        return self._sessions.get(identifier)

    # -- coming and going --------------------------------------------------------------------------

    def admit(self, session: Session) -> bytes | None:
        """Register a new client; otherwise return the line by which it is turned away."""
        session.user = DEFAULT_USER
        session.created_ms = session.active_ms = clock.unix_ms()
        refusal = self._refusal(session)
        if refusal is not None:
            self.rejected += 1
            return b"-" + refusal.wire + b"\r\n"
        self._sessions[session.id] = session
        self._greet(session)
        return None

    def _refusal(self, session: Session) -> errors.CommandError | None:
        if len(self._sessions) >= self._settings.max_clients:
            return errors.MaxClients()
        if self._is_exposed and not is_local(session):
            return errors.ProtectedMode()
        if self._password and self._unauthenticated >= (
            self._settings.limits.max_unauthenticated_clients
        ):
            return errors.MaxClients()
        return None

    def _greet(self, session: Session) -> None:
        """Have the session log in first, where there is a password."""
        if self._password:
            self._dispatcher.open_gate(session, Gate.GATE_AUTH)
            self._unauthenticated += 1
        else:
            session.mark(SessionFlag.AUTHENTICATED)

    def leave(self, session: Session) -> None:
        """Forget a client whose connection has ended."""
        if self._sessions.pop(session.id, None) is not None:
            self._postponed.pop(session, None)
            if not session.has(SessionFlag.AUTHENTICATED):
                self._unauthenticated -= 1

    @property
    def _password(self) -> str:
        return self._settings.security.password or ""

    @property
    def _is_exposed(self) -> bool:
        return self._settings.protected_mode and not self._password

    # -- logging in --------------------------------------------------------------------------------

    def ask_to_log_in(self, session: Session, command: Command, argv: list[bytes]) -> None:
        """Refuse the command: the gate of sessions that have not authenticated."""
        del command, argv
        if self._password:
            raise errors.NoAuth
        self._let_in(session)  # the password was taken away meanwhile

    def has_password(self, user: bytes = DEFAULT_USER.encode()) -> bool:
        """Tell whether this user must give a password."""
        return self.is_known(user) and bool(self._password)

    def log_in(self, session: Session, user: bytes, password: bytes) -> bool:
        """Let a session in if user and password are right; compares in constant time."""
        expected = self._password.encode("utf-8", "surrogateescape")
        right = not expected or hmac.compare_digest(expected, password)
        if not (self.is_known(user) and right):
            return False
        self._let_in(session)
        return True

    def is_known(self, user: bytes) -> bool:
        """Tell whether there is such a user."""
        return user == DEFAULT_USER.encode()

    def is_logged_in(self, session: Session) -> bool:
        """Tell whether a session may go on without a password."""
        if not session.has(SessionFlag.AUTHENTICATED) and not self._password:
            self._let_in(session)
        return session.has(SessionFlag.AUTHENTICATED)

    def _let_in(self, session: Session) -> None:
        session.user = DEFAULT_USER
        if session.has(SessionFlag.AUTHENTICATED):
            return
        session.mark(SessionFlag.AUTHENTICATED)
        self._dispatcher.open_gate(session, Gate.GATE_AUTH, asked=False)
        if session.id in self._sessions:
            self._unauthenticated -= 1

    def log_out(self, session: Session) -> None:
        """Make a session the default user's again, who may have to give a password (RESET)."""
        session.user = DEFAULT_USER
        if self._password and session.has(SessionFlag.AUTHENTICATED):
            session.mark(SessionFlag.AUTHENTICATED, on=False)
            self._greet(session)

    # -- killing -----------------------------------------------------------------------------------

    def kill(self, session: Session, by: Session | None = None) -> None:
        """Close a client's connection: at once, or after its reply if it asked for it itself."""
        session.mark(SessionFlag.CLOSING if session is by else SessionFlag.CLOSE_NOW)

    # -- memory ------------------------------------------------------------------------------------

    @property
    def memory(self) -> int:
        """The bytes that all clients take, links to other servers not counted."""
        return memory_of_clients(self._sessions)

    def bound_memory(self) -> None:
        """Disconnect clients, the biggest first, until all take no more than maxmemory-clients.

        Those that said CLIENT NO-EVICT stay, but count.
        """
        limit = self._settings.client_memory_limit()
        total = self.memory if limit else 0
        if total <= limit:
            return
        sizes = {session: memory_of(session) for session in self if _may_be_evicted(session)}
        for session in sorted(sizes, key=sizes.__getitem__, reverse=True):
            log.warning(
                "client evicted: all together take more memory than maxmemory-clients",
                client=session.id,
                addr=session.address,
                bytes=sizes[session],
                all=total,
                limit=limit,
            )
            session.mark(SessionFlag.CLOSE_NOW)
            self.evicted += 1
            total -= sizes[session]
            if total <= limit:
                return
        log.warning("clients that may not be evicted take too much", all=total, limit=limit)

    # -- pausing -----------------------------------------------------------------------------------

    @property
    def paused(self) -> Pause:
        """What is held back now."""
        return self._pause

    def pause(self, milliseconds: int, what: Pause) -> None:
        """Hold commands back for a while; a stricter or longer pause in force stays."""
        loop = asyncio.get_running_loop()  # before the first change: there may be none
        until = clock.unix_ms() + milliseconds
        self._pause = max(self._pause, what, key=lambda pause: pause.value)
        self._pause_until_ms = max(self._pause_until_ms, until)
        self._dispatcher.raise_gate(Gate.GATE_PAUSE)
        self._dispatcher.effects.may_bury = False  # nothing changes: keys are hidden, not deleted
        if self._pause_timer is not None:
            self._pause_timer.cancel()
            self._pause_timer = None
        self._await_end_of_pause(loop)

    def _await_end_of_pause(self, loop: asyncio.AbstractEventLoop) -> None:
        """Resume when the pause is over; loops take no timer of many years."""
        remaining = (self._pause_until_ms - clock.unix_ms()) / 1000
        if remaining <= 0 and self._pause_timer is not None:
            self.resume()
            return
        self._pause_timer = loop.call_later(
            min(max(remaining, 0), LONGEST_TIMER_SECONDS), self._await_end_of_pause, loop
        )

    def resume(self) -> None:
        """End the pause and let every postponed client go on."""
        if self._pause_timer is not None:
            self._pause_timer.cancel()
            self._pause_timer = None
        self._pause = Pause.NOTHING
        self._pause_until_ms = 0
        self._dispatcher.raise_gate(Gate.GATE_PAUSE, up=False)
        self._dispatcher.effects.may_bury = not self._dispatcher.is_raised(Gate.GATE_EMERGENCY)
        postponed, self._postponed = self._postponed, {}
        for session in postponed:
            session.mark(SessionFlag.POSTPONED, on=False)

    def hold_back(self, session: Session, command: Command, argv: list[bytes]) -> object:
        """Have the command wait for the end of the pause, if it is one that is held back."""
        del argv
        flags: Flag = command.declaration.flags
        if session.has(SessionFlag.REPLICA | SessionFlag.PRIMARY):
            return None
        if self._pause is Pause.WRITES and not flags & (Flag.WRITE | Flag.MAY_REPLICATE):
            return None
        self._postponed[session] = None
        return POSTPONE

    # -- showing -----------------------------------------------------------------------------------

    def describe(self, session: Session) -> str:
        """Write a client's line of CLIENT LIST."""
        return " ".join(f"{name}={value}" for name, value in self._fields(session))

    def _fields(self, session: Session) -> Iterable[tuple[str, object]]:
        now_ms = clock.unix_ms()
        yield "id", session.id
        yield "addr", session.address
        yield "laddr", session.local_address
        yield "fd", session.descriptor
        yield "name", session.name or ""
        yield "age", (now_ms - session.created_ms) // 1000
        yield "idle", (now_ms - session.active_ms) // 1000
        yield "flags", letters(session)
        yield "db", session.db
        transaction = session.transaction
        queueing = session.has(SessionFlag.QUEUEING)
        subscriptions: Subscriptions | None = session.subscriptions
        for name, kind in _SUBSCRIPTIONS:
            yield name, 0 if subscriptions is None else len(subscriptions.names(kind))
        yield "multi", transaction.count if transaction is not None and queueing else -1
        yield "watch", 0 if transaction is None else len(transaction.watched)
        yield "qbuf", session.input_bytes
        yield "qbuf-free", max(session.input_buffer - session.input_bytes, 0)
        yield from (("argv-mem", 0), ("multi-mem", 0 if transaction is None else transaction.bytes))
        yield "rbs", session.output_capacity
        yield "rbp", session.output_capacity
        yield from (("obl", session.output_bytes), ("oll", 0), ("omem", session.output_pinned))
        yield "tot-mem", memory_of(session)
        yield "events", "rw" if session.output_bytes else "r"
        yield "cmd", session.last_command.name if session.last_command is not None else "NULL"
        yield from (("user", session.user), ("redir", -1), ("resp", session.protocol))
        yield "lib-name", session.library_name or ""
        yield "lib-ver", session.library_version or ""
        yield "io-thread", 0
        yield "tot-net-in", session.bytes_in
        yield "tot-net-out", session.bytes_out
        yield "tot-cmds", session.commands


def letters(session: Session) -> str:
    """Return the letters of a session's flags as CLIENT LIST shows them; `N` for none."""
    found = "".join(letter for flag, letter in _LETTERS if session.has(flag)) or "N"
    return found.replace("OS", "O")  # who monitors is not shown as a replica


def _may_be_evicted(session: Session) -> bool:
    spared = SessionFlag.NO_EVICT | SessionFlag.REPLICA | SessionFlag.PRIMARY
    return not session.has(spared | SessionFlag.CLOSE_NOW)
