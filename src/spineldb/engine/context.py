"""The vocabulary of a command: everything its body may touch.

A body receives a `Context` as its first argument. It reads and writes the selected database
(`ctx.db`), says what it changed (`ctx.changed`), says what is to be propagated where that is not
the request itself (`ctx.propagate`), and returns a reply, a wait, or work for the outside world.
There is one context, refilled for each command; a body must not keep it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from spineldb.core.call import Call
from spineldb.engine.arguments import INT64_MAX
from spineldb.engine.blocking import UNSAID, Outside, Wait

if TYPE_CHECKING:
    from spineldb.config.settings import Settings
    from spineldb.core.effects import Effects
    from spineldb.core.entry import Kind
    from spineldb.core.keyspace import Database, View
    from spineldb.engine.engine import Engine
    from spineldb.engine.reply import Reply

V = TypeVar("V", bound="View")


class Context(Call):
    """What the body of a command may touch."""

    engine: Engine

    def __init__(self, effects: Effects) -> None:
        del effects  # taken by the compiled half

    @property
    def settings(self) -> Settings:
        """The configuration in force."""
        return self.engine.settings

    @property
    def databases(self) -> Sequence[Database]:
        """All numbered databases."""
        return self.keyspace.databases

    @property
    def is_within(self) -> bool:
        """Whether the command runs within EXEC or a script, where nobody may wait."""
        return self.engine.dispatcher.depth > 0

    def read(self, key: bytes, kind: type[V]) -> V | None:
        """Return the value under `key` for reading, which counts as a hit, or None: a miss.

        Raises `errors.WrongType` if there is a value of another kind.
        """
        view = self.db.find(key, kind)
        self.looked_up(key, view is not None)
        return view

    def changed(self, key: bytes, event: str, count: int = 1) -> None:
        """Say that `key` was changed: `count` changes, one keyspace event.

        Marks the clients that WATCH the key, wakes those that wait for it, publishes the event,
        counts toward the next snapshot, and removes a collection that has become empty.
        """
        self.effects.note(self.db, key, event, count)

    def value_bounds(self) -> tuple[int, int]:
        """Return how long a value may become, and how many bytes the dataset may still take.

        For what a request makes larger than itself. Neither bounds a stream of effects: what was
        accepted elsewhere is not refused here.
        """
        if self.keyspace.applying:
            return INT64_MAX, INT64_MAX
        return self.keyspace.string_limit, self.engine.memory.room(self.settings)

    def propagate(self, *argv: bytes) -> None:
        """Say what is to be propagated instead of the request; several calls travel together."""
        self.effects.propagate(*argv)

    def wait(
        self,
        keys: Sequence[bytes],
        seconds: float,
        otherwise: Reply,
        again: Sequence[bytes] | None = None,
        *,
        kind: Kind | None = None,
        at_once: Reply = UNSAID,
    ) -> Wait:
        """Wait until one of `keys` is written, then run the command again.

        `seconds` bounds the wait (0: for ever), after which `otherwise` is the reply. `again`
        replaces the arguments of the re-run, the command's name first. With a `kind`, only a key
        that holds a value of that kind ends the wait; without, also one that is gone or another's.
        `at_once` is the reply in a transaction or a script, where nobody waits, if not `otherwise`.
        """
        return Wait(self.db.index, tuple(keys), seconds, otherwise, again, kind, at_once)

    def outside(
        self,
        work: Awaitable[Any],
        then: Callable[[Context, Any], Reply],
        failed: Reply = None,
        *,
        only_time: bool = False,
    ) -> Outside:
        """Wait for the outside world: `work` sees no data, `then` reads everything anew.

        `then` runs as a command of its own when `work` is done, with its result. If `work` raises
        a `CommandError` that is the reply, anything else is logged and answered by `failed`.
        Nobody waits in a transaction or a script: where the work does nothing but take time
        (`only_time`), `then` follows at once there, and other work is refused.
        """
        return Outside(work, then, failed, only_time)
