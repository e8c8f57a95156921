"""What happens when `used_memory` is above `maxmemory`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spineldb import errors

if TYPE_CHECKING:
    from spineldb.core.dispatch import Command
    from spineldb.core.session import Session


def refuse_when_full(session: Session, command: Command, argv: list[bytes]) -> None:
    """Refuse a command that may need memory: the gate that is asked above `maxmemory`."""
    del session, command, argv
    raise errors.OutOfMemory
