"""Who waits for what: commands that cannot be answered yet.

A command that finds nothing returns a `Wait`. Its client is parked and its arguments are kept. When
one of the keys is written, the command is simply run again, in the order in which the clients came;
if it returns a `Wait` once more, the client keeps its place. There is no second implementation of a
pop hidden in a waker. The first deadline stands.

What was written is collected while a command runs (`effects.ready`) and served when it is over, so
a waiter never sees half of a transaction.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from inspect import CORO_CREATED, getcoroutinestate, iscoroutine
from typing import TYPE_CHECKING, Any, cast

from spineldb import errors
from spineldb.core.call import Deferred
from spineldb.core.session import Session, SessionFlag
from spineldb.observability.logging import get_log

if TYPE_CHECKING:
    from spineldb.core.dispatch import Command, Dispatcher
    from spineldb.core.effects import Effects
    from spineldb.core.entry import Kind
    from spineldb.core.keyspace import Database
    from spineldb.engine.context import Context
    from spineldb.engine.reply import Reply

log = get_log(__name__)


#: A reply that was not given.
UNSAID: Reply = object()  # type: ignore[assignment]  # told apart by identity, and never sent


@dataclass(eq=False, slots=True)
class Wait(Deferred):
    """A command's answer: run me again when one of these keys is written."""

    database: int
    keys: tuple[bytes, ...]
    seconds: float  # 0: for ever
    otherwise: Reply  # when the time has passed
    again: Sequence[bytes] | None = None  # the arguments of the re-run, if not the request's
    kind: Kind | None = None  # of value that ends the wait; None: whatever becomes of a key
    at_once: Reply = UNSAID  # where nobody may wait, if not `otherwise`


@dataclass(eq=False, slots=True)
class Outside(Deferred):
    """A command's answer: wait for `work`, then run `then` with its result."""

    work: Awaitable[Any]
    then: Callable[[Context, Any], Reply]
    failed: Reply
    only_time: bool = False  # the work does nothing else than take time


@dataclass(eq=False, slots=True)
class Waiter:
    """A parked client: the command to run again, and what ends the wait."""

    session: Session
    command: Command
    argv: list[bytes]
    wait: Wait | None
    timer: asyncio.TimerHandle | None = None
    task: asyncio.Task[None] | None = None
    work: Awaitable[Any] | None = None  # what the task waits for
    answered: bool = False  # by the re-run that goes on now, unless it waits once more


class Blocking:
    """The registry of parked clients."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._running: Waiter | None = None  # the waiter whose command is being run again
        self.blocked_clients = 0
        self.waiting_for_time = 0  # those of them whose wait ends by itself

    # -- parking -----------------------------------------------------------------------------------

    def park(self, context: Context, value: Deferred) -> bool:
        """Take a command's `Wait` or `Outside` as its answer; tell whether the client is parked.

        Anything else is no answer at all: False.
        """
        command = context.command
        if isinstance(value, Wait):
            if self._running is not None:
                self._running.answered = False
                return True
            argv = context.argv if value.again is None else list(value.again)
            self._enter(Waiter(context.client, command, argv, value), value)
            return True
        if isinstance(value, Outside):
            waiter = Waiter(context.client, command, context.argv, None, work=value.work)
            self._mark(waiter)
            waiter.task = asyncio.get_running_loop().create_task(self._outside(waiter, value))
            return True
        return False

    def instead(self, context: Context, value: Deferred) -> Reply:
        """Return the reply of a command that would wait, where nobody may: in EXEC, in a script."""
        if isinstance(value, Wait):
            return value.otherwise if value.at_once is UNSAID else value.at_once
        assert isinstance(value, Outside)
        _close(value.work)
        if not value.only_time:
            raise errors.NotInTransaction
        return value.then(context, None)

    def _mark(self, waiter: Waiter) -> None:
        waiter.session.waiting = waiter
        waiter.session.mark(SessionFlag.BLOCKED)
        self.blocked_clients += 1

    def _enter(self, waiter: Waiter, wait: Wait) -> None:
        database = self._dispatcher.keyspace.databases[wait.database]
        for key in dict.fromkeys(wait.keys):
            queue = database.awaited.setdefault(key, {})
            if not queue:
                self._dispatcher.effects.awaited_keys += 1
            queue[waiter] = None
        if wait.seconds > 0:
            loop = asyncio.get_running_loop()
            waiter.timer = loop.call_later(wait.seconds, self.time_out, waiter)
            self.waiting_for_time += 1
        self._mark(waiter)

    def _leave(self, waiter: Waiter) -> None:
        """Take a waiter out of every queue; the client goes on with what it sent meanwhile."""
        if waiter.wait is not None:
            database = self._dispatcher.keyspace.databases[waiter.wait.database]
            for key in dict.fromkeys(waiter.wait.keys):
                self._leave_queue(database, key, waiter)
        if waiter.timer is not None:
            waiter.timer.cancel()
            waiter.timer = None
            self.waiting_for_time -= 1
        if waiter.task is not None:
            waiter.task.cancel()
            _close(waiter.work)
        if waiter.session.waiting is waiter:
            waiter.session.waiting = None
            self.blocked_clients -= 1
            waiter.session.mark(SessionFlag.BLOCKED, on=False)

    def _leave_queue(self, database: Database, key: bytes, waiter: Waiter) -> None:
        queue = database.awaited.get(key)
        if queue is None or waiter not in queue:
            return
        del queue[waiter]
        if not queue:
            del database.awaited[key]
            self._dispatcher.effects.awaited_keys -= 1

    # -- serving -----------------------------------------------------------------------------------

    def serve(self, effects: Effects) -> None:
        """Run the commands of those who wait for the keys that were written, first come first.

        What these commands write may wake others: the loop ends when nothing new is ready.
        """
        if self._running is not None:
            return  # the loop below is on the stack already
        while effects.ready:
            ready = _in_order(effects.ready)
            effects.ready.clear()
            for database, key in ready:
                self._serve_key(database, key)

    def _serve_key(self, database: Database, key: bytes) -> None:
        """Run the commands of those who wait for a key, as long as it holds what they wait for.

        A list wakes nobody who waits for a sorted set: that client keeps its place.
        """
        kind = database.kind(key)
        for waiter in list(database.awaited.get(key, ())):
            if not isinstance(waiter, Waiter) or waiter.session.waiting is not waiter:
                continue
            if waiter.session.has(SessionFlag.CLOSE_NOW):
                continue  # it was killed in this turn: what it was given would be lost
            assert waiter.wait is not None
            if waiter.wait.kind in {None, kind}:
                self._again(waiter)
                kind = database.kind(key)

    def _again(self, waiter: Waiter) -> None:
        session, wait = waiter.session, waiter.wait
        assert wait is not None
        selected, session.db = session.db, wait.database
        self._running = waiter
        waiter.answered = True
        try:
            self._dispatcher.perform_argv(session, waiter.command, waiter.argv)
        finally:
            self._running = None
            session.db = selected
        if waiter.answered:
            self._leave(waiter)

    # -- the ends of a wait ------------------------------------------------------------------------

    def time_out(self, waiter: Waiter) -> None:
        """Answer a client whose time has passed."""
        assert waiter.wait is not None
        self._answer(waiter, waiter.wait.otherwise)

    def _answer(self, waiter: Waiter, reply: Reply) -> None:
        self._dispatcher.answer(waiter.session, waiter.command, reply)
        self._leave(waiter)

    def unblock(self, session: Session, error: errors.CommandError | None) -> bool:
        """End a client's wait by an error, or as if its time had passed; False if it has none."""
        waiter = session.waiting
        if not isinstance(waiter, Waiter) or waiter.wait is None:
            return False
        if session.has(SessionFlag.CLOSE_NOW):
            return False
        self._answer(waiter, waiter.wait.otherwise if error is None else error)
        return True

    def unblock_writers(self, sessions: Iterable[Session], error: errors.CommandError) -> None:
        """End the waits of those parked in a command that writes (EM-9)."""
        for session in list(sessions):
            waiter = session.waiting
            if not isinstance(waiter, Waiter) or waiter is self._running:
                continue  # the one whose command failed has its answer
            if waiter.command.writes:
                self.unblock(session, error)

    def forget(self, session: Session) -> None:
        """Leave every queue: the client is gone."""
        waiter = session.waiting
        if isinstance(waiter, Waiter):
            self._leave(waiter)

    # -- the outside world -------------------------------------------------------------------------

    async def _outside(self, waiter: Waiter, outside: Outside) -> None:
        session, command, argv = waiter.session, waiter.command, waiter.argv
        try:
            result = await cast("Coroutine[Any, Any, Any]", outside.work)
        except asyncio.CancelledError:
            raise
        except errors.CommandError as error:
            waiter.task = None
            self._answer(waiter, error)
            return
        except Exception:
            log.exception("work outside failed", command=command.name)
            self._dispatcher.internal_errors += 1
            waiter.task = None
            self._answer(waiter, errors.Internal() if outside.failed is None else outside.failed)
            return
        waiter.task = None

        def body(context: Context, *_: bytes) -> Reply:
            return outside.then(context, result)

        self._dispatcher.continue_with(session, command, argv, body)
        if session.waiting is waiter:  # it did not begin to wait for something else
            self._leave(waiter)


def _in_order(ready: Iterable[tuple[Database, bytes, int]]) -> list[tuple[Database, bytes]]:
    """Return the keys in the order in which they came to hold what somebody waits for.

    Several may have in one transaction, and lost it again meanwhile.
    """
    holding: dict[tuple[Database, bytes], None] = {}
    others: dict[tuple[Database, bytes], None] = {}
    for database, key, kind in ready:
        waiters = database.awaited.get(key, ())
        wanted = {one.wait.kind for one in waiters if isinstance(one, Waiter) and one.wait}
        (holding if wanted & {None, kind} else others)[database, key] = None
    return list(holding | others)


def _close(work: Awaitable[Any] | None) -> None:
    """Close a coroutine that was not begun."""
    if iscoroutine(work) and getcoroutinestate(work) == CORO_CREATED:
        work.close()
