from typing import ClassVar

from spineldb.core.entry import Kind
from spineldb.core.keyspace import View

class Hash(View):
    KIND: ClassVar[Kind]
    def get(self, field: bytes) -> bytes | None: ...
    def fields(self) -> list[tuple[bytes, bytes, int]]: ...
