from collections.abc import Callable, Iterable
from typing import Any, Self

from spineldb.core.lua_state import LuaState

class Scripts:
    state: LuaState
    command: Callable[[list[bytes], int], Any] | None
    tick: Callable[[int], bytes | None] | None
    log: Callable[[int, bytes], object] | None
    may: Callable[[list[bytes]], int] | None
    replicated: list[int]
    outcome: int
    def __new__(
        cls,
        *,
        command: Callable[[list[bytes], int], Any] | None = None,
        tick: Callable[[int], bytes | None] | None = None,
        log: Callable[[int, bytes], object] | None = None,
        may: Callable[[list[bytes]], int] | None = None,
        quiet_ms: float = 0,
        limit: int = 0,
        functions: bool = False,
        version: str = "8.2.0",
    ) -> Self: ...
    def run(
        self,
        script: int,
        keys: Iterable[bytes] = (),
        arguments: Iterable[bytes] = (),
        *,
        protocol: int = 2,
        name: bytes = b"f",
    ) -> bytes: ...
    def eval(
        self,
        body: str | bytes,
        *arguments: bytes,
        keys: Iterable[bytes] = (),
        protocol: int = 2,
    ) -> bytes: ...
    def spend(self, script: int, count: int) -> int: ...
    def answer_at_once(self) -> None: ...
