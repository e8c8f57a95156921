"""The scripts that are known, by their SHA1.

A script that only EVAL has seen is forgotten when 500 others were run since; one that SCRIPT LOAD
was given stays until SCRIPT FLUSH. Nothing of it is propagated: what a script does is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spineldb import errors
from spineldb.core.dispatch import Command
from spineldb.core.lua_state import LuaError
from spineldb.core.scripts import Script, ScriptRunner, ScriptTable
from spineldb.core.session import Session
from spineldb.engine.command import Flag
from spineldb.observability.logging import get_log
from spineldb.scripting.shebang import ScriptFlag, split

if TYPE_CHECKING:
    from spineldb.config.settings import Settings
    from spineldb.core.dispatch import Dispatcher

log = get_log(__name__)

EVALUATED_MAX = 500
LEVELS = (log.debug, log.verbose, log.info, log.warning)


class ScriptLibrary(ScriptTable):
    """All scripts of a server. Lua is looked for when the first one comes."""

    def __init__(self, dispatcher: Dispatcher, settings: Settings, version: str) -> None:
        super().__init__()
        self._dispatcher = dispatcher
        self._settings = settings
        self._version = version
        self._evaluated: dict[bytes, None] = {}  # those that EVAL brought, the oldest first
        self.evicted = 0
        settings.subscribe(self._limit, "safety.script_timeout_ms", "safety.script_memory_limit_mb")

    def compile_new(self, body: bytes, name: bytes, *, stays: bool = False) -> Script:
        """Compile a script that is not known under its name, and keep it."""
        flags, text = split(body)
        try:
            number = self._prepared().state.compile_script(text)
        except LuaError as error:
            raise errors.ScriptNotCompiled(error.args[0]) from None
        script = self.known[name] = Script(
            body,
            number,
            read_only=ScriptFlag.NO_WRITES in flags,
            allow_oom=ScriptFlag.ALLOW_OOM in flags,
            stays=stays,
        )
        if not stays:
            self._evaluated[name] = None
            self._evict()
        return script

    def load(self, body: bytes, name: bytes) -> None:
        """Keep a script until it is flushed."""
        script = self.known.get(name)
        if script is None:
            self.compile_new(body, name, stays=True)
        else:
            script.stays = True
            self._evaluated.pop(name, None)

    def find(self, name: bytes) -> Script:
        """Return the script of this name, in any case."""
        script = self.known.get(name.lower())
        if script is None:
            raise errors.NoScript
        return script

    def flush(self) -> None:
        """Forget all scripts, and the state that held them."""
        self.known = {}
        self._evaluated = {}
        self.runner = None

    @property
    def state_bytes(self) -> int:
        """The memory of the state of Lua."""
        return 0 if self.runner is None else self.runner.state.used_bytes

    @property
    def text_bytes(self) -> int:
        """The size of all scripts together."""
        return sum(len(name) + len(script.body) for name, script in self.known.items())

    def _prepared(self) -> ScriptRunner:
        if self.runner is None:
            client = Session()
            client.address = "lua"
            self.runner = ScriptRunner(self._dispatcher, client, version=self._version)
            self.runner.on_log = _write_log
            self.runner.refused = {one for one in self._dispatcher.everything() if _is_refused(one)}
            self._limit()
        return self.runner

    def _limit(self) -> None:
        if self.runner is not None:
            safety = self._settings.safety
            self.runner.limit(safety.script_timeout_ms, safety.script_memory_limit_mb << 20)

    def _evict(self) -> None:
        if len(self._evaluated) > EVALUATED_MAX:
            oldest = next(iter(self._evaluated))
            del self._evaluated[oldest]
            self._prepared().state.forget(self.known.pop(oldest).number)
            self.evicted += 1


def _is_refused(command: Command) -> bool:
    return Flag.NOSCRIPT in command.declaration.flags


def _write_log(level: int, text: bytes) -> None:
    LEVELS[level]("script", text=text.decode("utf-8", "replace"))
