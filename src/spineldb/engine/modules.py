"""What real servers have from modules, and this one has built in.

Clients look for the modules' names in HELLO, MODULE LIST and INFO; an entry appears here when all
commands of that module are there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spineldb.engine.reply import Reply


@dataclass(frozen=True, slots=True)
class Module:
    """A module that the server seems to have loaded."""

    name: str
    version: int

    @property
    def entry(self) -> Reply:
        """What HELLO and MODULE LIST show."""
        return {b"name": self.name.encode(), b"ver": self.version, b"path": b"", b"args": []}

    @property
    def field(self) -> str:
        """What INFO shows."""
        return f"name={self.name},ver={self.version},api=1,filters=0,usedby=[],using=[],options=[]"


#: The versions are those of the modules whose behaviour ours is.
MODULES = (Module("bf", 20802),)
