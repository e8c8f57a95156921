from enum import IntEnum
from typing import ClassVar, Self, TypeAlias

from spineldb.core.database import Database, View

_Id: TypeAlias = tuple[int, int]

class References(IntEnum):
    KEEPREF = 0
    DELREF = 1
    ACKED = 2

def read_id(text: bytes, last: bool = False, strict: bool = True) -> _Id: ...
def write_id(pair: _Id) -> bytes: ...

class Stream(View):
    KIND: ClassVar[int]
    def __new__(cls, db: Database, key: bytes) -> Self: ...
    def create(self) -> None: ...
    def entries(
        self, start: _Id = ..., end: _Id = ..., count: int = -1, reverse: bool = False
    ) -> list[tuple[bytes, list[bytes]]]: ...
    def add(self, name: _Id, *pairs: bytes) -> None: ...
    def trim(
        self, maxlen: int | None, minid: _Id | None, about: bool, limit: int, references: int
    ) -> int: ...
    def delete(self, name: _Id, references: int) -> int: ...
