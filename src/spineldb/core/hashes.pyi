from typing import ClassVar

from spineldb.core.keyspace import View

class Hash(View):
    KIND: ClassVar[int]
    def fields(self) -> list[tuple[bytes, bytes, int]]: ...
