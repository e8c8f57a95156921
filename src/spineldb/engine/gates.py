"""Gates: the questions asked before a command runs, and which commands they concern.

A gate is a function `gate(session, command, argv)`. It returns None to let the command pass, raises
a `CommandError` to refuse it, returns a reply to answer in its place, or `POSTPONE` to have it
wait. It lives with the feature that owns the rule; the order of all of them is one tuple in
`server/`, because clients can observe it. This module says which gates a command is asked at, from
its flags, and makes the dispatcher's commands of the declared ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from spineldb import errors
from spineldb.core.dispatch import Command as Compiled
from spineldb.core.dispatch import Gate
from spineldb.engine.command import Command, CommandTable, Flag
from spineldb.engine.safety import GUARDS

if TYPE_CHECKING:
    from spineldb.core.session import Session
    from spineldb.engine.reply import Reply

Question = Callable[["Session", Compiled, list[bytes]], "Reply | object"]

#: What RESP2's restricted mode still allows.
IN_SUBSCRIBED_MODE = frozenset(
    [
        "subscribe",
        "unsubscribe",
        "psubscribe",
        "punsubscribe",
        "ssubscribe",
        "sunsubscribe",
        "ping",
        "quit",
        "reset",
    ]
)
#: What is not queued between MULTI and EXEC.
NOT_QUEUED = frozenset(["exec", "discard", "multi", "watch", "quit", "reset"])

_BY_FLAG = (
    (Flag.WRITE, Gate.GATE_EMERGENCY | Gate.GATE_DISK | Gate.GATE_REPLICAS | Gate.GATE_READONLY),
    (Flag.DENYOOM, Gate.GATE_MEMORY),
)
_WITHOUT_FLAG = (
    (Flag.NO_AUTH, Gate.GATE_AUTH),
    (Flag.STALE, Gate.GATE_STALE),
    (Flag.LOADING, Gate.GATE_LOADING),
    (Flag.ALLOW_BUSY, Gate.GATE_BUSY),
)


def gates_of(command: Command) -> int:
    """Return the bits of the gates that a command is asked at."""
    bits = int(Gate.GATE_ACL | Gate.GATE_PAUSE)
    for flag, gates in _BY_FLAG:
        if flag in command.flags:
            bits |= int(gates)
    for flag, gate in _WITHOUT_FLAG:
        if flag not in command.flags:
            bits |= int(gate)
    if command.key_specs:
        bits |= int(Gate.GATE_CLUSTER)
    if command.name in GUARDS:
        bits |= int(Gate.GATE_SAFETY)
    name = command.name.partition("|")[0]
    if name not in IN_SUBSCRIBED_MODE:
        bits |= int(Gate.GATE_PUBSUB)
    if name not in NOT_QUEUED:
        bits |= int(Gate.GATE_QUEUE)
    if Flag.NO_MULTI in command.flags:
        bits |= int(Gate.GATE_NO_MULTI)
    return bits


def refuse_to_queue(session: Session, command: Compiled, argv: list[bytes]) -> None:
    """Refuse what must not run in a transaction (a gate)."""
    del session, command, argv
    raise errors.NotInTransaction


def compiled(command: Command) -> Compiled:
    """Make the dispatcher's form of a declared command and its subcommands."""
    subcommands = {
        word.encode(): compiled(subcommand) for word, subcommand in command.subcommands.items()
    }
    made = Compiled(
        command.name,
        command,
        command.arity,
        gates_of(command),
        command.body,
        max(command.first_key, 0),
        subcommands or None,
        command.quick,
    )
    made.flag(
        writes=Flag.WRITE in command.flags,
        skips_monitor=Flag.SKIP_MONITOR in command.flags or Flag.ADMIN in command.flags,
        skips_slowlog=Flag.SKIP_SLOWLOG in command.flags,
    )
    return made


def compiled_table(table: CommandTable) -> dict[bytes, Compiled]:
    """Make the dispatcher's commands of a table."""
    return {name.encode(): compiled(command) for name, command in table.items()}
