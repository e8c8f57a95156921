import builtins
from typing import Any, final

from spineldb.core.dispatch import Command
from spineldb.core.keyspace import Database

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
    def __init__(self, *args: Any, **kwargs: Any) -> None: ...
