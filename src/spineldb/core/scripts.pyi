from collections.abc import Callable

from spineldb.core.call import Call, Deferred
from spineldb.core.dispatch import Command, Dispatcher
from spineldb.core.lua_state import LuaState
from spineldb.core.session import Session

class ScriptRunner:
    state: LuaState
    client: Session
    refused: set[Command]
    timeout_ms: int
    on_log: Callable[[int, bytes], object] | None
    on_check: Callable[[Session, Command, list[bytes]], bool] | None
    wrote: bool
    running: bool
    def __init__(
        self, dispatcher: Dispatcher, client: Session, *, version: str, functions: bool = False
    ) -> None: ...
    def run(
        self,
        call: Call,
        script: int,
        name: bytes,
        keys: int,
        *,
        read_only: bool = False,
        allow_oom: bool = False,
    ) -> Deferred: ...
