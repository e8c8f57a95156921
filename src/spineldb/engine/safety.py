"""Guards: commands that would hold everybody up are refused, where the operator set a limit.

The gate is in force only while a limit is configured, and only the commands named here are asked.
A command that reads whole collections counts what it would read; one that combines many keys counts
the keys. A new value type adds its commands to these tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spineldb import errors
from spineldb.core.dispatch import Command, Dispatcher, Gate
from spineldb.engine.keyspecs import KeyFlag

if TYPE_CHECKING:
    from spineldb.core.keyspace import Keyspace
    from spineldb.core.session import Session

#: Commands that read all keys of a database.
WHOLE_DATABASE = frozenset({"keys"})
SET_OPERATIONS = frozenset({
    "sinter", "sinterstore", "sunion", "sunionstore", "sdiff", "sdiffstore",
})  # fmt: skip
#: Commands that read whole collections.
WHOLE_COLLECTIONS = SET_OPERATIONS | {"smembers"}
#: Commands that read as many keys as they are given.
MANY_KEYS = SET_OPERATIONS | {"mget"}
GUARDED = WHOLE_DATABASE | WHOLE_COLLECTIONS | MANY_KEYS


class Safety:
    """The limits in force, 0 for none."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._keyspace: Keyspace = dispatcher.keyspace
        self._scan_limit = 0
        self._keys_limit = 0

    def limit(self, scan_keys: int, set_operation_keys: int) -> None:
        """Set what a command may read at most: elements of a collection, and keys."""
        self._scan_limit = scan_keys
        self._keys_limit = set_operation_keys
        self._dispatcher.raise_gate(Gate.GATE_SAFETY, up=bool(scan_keys or set_operation_keys))

    def gate(self, session: Session, command: Command, argv: list[bytes]) -> None:
        """Refuse a guarded command that would read more than it may."""
        name = command.name
        if name in WHOLE_DATABASE and self._scan_limit:
            count = len(self._keyspace.databases[session.db])
            if count > self._scan_limit:
                raise errors.DatabaseTooLarge(name, session.db, count, self._scan_limit)
        if name in MANY_KEYS and self._keys_limit:
            count = len(_read_keys(command, argv))
            if count > self._keys_limit:
                raise errors.TooManyKeys(name, count, self._keys_limit)
        if name in WHOLE_COLLECTIONS and self._scan_limit:
            database = self._keyspace.databases[session.db]
            for key in _read_keys(command, argv):
                size = database.length(key)
                if size > self._scan_limit:
                    raise errors.CollectionTooLarge(name, key, size, self._scan_limit)


def _read_keys(command: Command, argv: list[bytes]) -> list[bytes]:
    """Return the keys that a request reads, without the one that it stores into."""
    found = command.declaration.keys_of(argv) or ()
    return [argv[at] for at, flags in found if KeyFlag.RO in flags]
