from typing import Self

from spineldb.core.keyspace import Database
from spineldb.core.zsets import SortedSet

class Area:
    def __new__(
        cls,
        longitude: float = 0,
        latitude: float = 0,
        radius: float = -1,
        width: float = 0,
        height: float = 0,
        corners: list[tuple[float, float]] | None = None,
    ) -> Self: ...

def search(
    zset: SortedSet, area: Area, limit: int = 0
) -> list[tuple[bytes, float, float, float, float]]: ...
def add(
    db: Database, key: bytes, pairs: list[tuple[float, bytes]], conditions: int, large: bool
) -> tuple[int, int]: ...
def store(db: Database, key: bytes, pairs: list[tuple[float, bytes]]) -> None: ...
