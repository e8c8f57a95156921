from collections.abc import Callable
from typing import Any, Self

from spineldb.core.call import Body
from spineldb.core.dispatch import Command, Dispatcher
from spineldb.core.lua_state import LuaState
from spineldb.core.session import Session

class Script:
    body: bytes
    number: int
    read_only: bool
    allow_oom: bool
    stays: bool
    def __init__(
        self,
        body: bytes,
        number: int,
        *,
        read_only: bool = False,
        allow_oom: bool = False,
        stays: bool = False,
    ) -> None: ...

class ScriptTable:
    known: dict[bytes, Script]
    runner: ScriptRunner | None
    def __new__(cls, *args: Any, **kwargs: Any) -> Self: ...

class ScriptRunner:
    state: LuaState
    client: Session
    refused: set[Command]
    on_log: Callable[[int, bytes], object] | None
    on_check: Callable[[Session, Command, list[bytes]], bool] | None
    wrote: bool
    running: bool
    def __new__(
        cls, dispatcher: Dispatcher, client: Session, *, version: str, functions: bool = False
    ) -> Self: ...
    def limit(self, timeout_ms: int, memory: int) -> None: ...

EVAL_BODY: Body
EVALSHA_BODY: Body
EVAL_RO_BODY: Body
EVALSHA_RO_BODY: Body
