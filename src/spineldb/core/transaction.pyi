import builtins
from typing import final

from spineldb.core.database import Database
from spineldb.core.dispatch import Command

@final
class Transaction:
    broken: bool
    watched: list[tuple[Database, builtins.bytes, bool]]
    @property
    def owner(self) -> object: ...
    @property
    def count(self) -> int: ...
    @property
    def bytes(self) -> int: ...
    @property
    def requests(self) -> list[tuple[Command, list[builtins.bytes]]]: ...
