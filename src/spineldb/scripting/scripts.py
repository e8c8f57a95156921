"""The scripts that are known, by their SHA1, and how EVAL and its relatives run one.

A script that only EVAL has seen is forgotten when 500 others were run since; one that SCRIPT LOAD
was given stays until SCRIPT FLUSH. Nothing of it is propagated: what a script does is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from spineldb import errors
from spineldb.core.dispatch import Command
from spineldb.core.lua_state import LuaError
from spineldb.core.scripts import ScriptRunner
from spineldb.core.session import Session
from spineldb.engine.command import Flag
from spineldb.observability.logging import get_log
from spineldb.scripting.shebang import ScriptFlag, split

if TYPE_CHECKING:
    from spineldb.core.call import Deferred
    from spineldb.core.dispatch import Dispatcher
    from spineldb.engine.context import Context

log = get_log(__name__)

EVALUATED_MAX = 500
LEVELS = (log.debug, log.verbose, log.info, log.warning)


@dataclass(slots=True)
class Script:
    """A script that is compiled."""

    body: bytes
    number: int
    flags: ScriptFlag
    stays: bool


class ScriptLibrary:
    """All scripts of a server."""

    def __init__(self, dispatcher: Dispatcher, version: str) -> None:
        self._dispatcher = dispatcher
        self._version = version
        self._runner: ScriptRunner | None = None
        self.scripts: dict[bytes, Script] = {}
        self._evaluated: dict[bytes, None] = {}  # those that EVAL brought, the oldest first
        self.evicted = 0

    @property
    def runner(self) -> ScriptRunner:
        """The runner; Lua is looked for when the first script comes."""
        if self._runner is None:
            client = Session()
            client.address = "lua"
            self._runner = ScriptRunner(self._dispatcher, client, version=self._version)
            self._runner.on_log = _write_log
            self._runner.refused = {
                one for one in self._dispatcher.everything() if _is_refused(one)
            }
        return self._runner

    def load(self, body: bytes, name: bytes, *, stays: bool) -> Script:
        """Return the script of this name, compiling it if it is new."""
        script = self.scripts.get(name)
        if script is None:
            flags, text = split(body)
            try:
                number = self.runner.state.compile_script(text)
            except LuaError as error:
                raise errors.ScriptNotCompiled(error.args[0]) from None
            script = self.scripts[name] = Script(body, number, flags, stays)
            if not stays:
                self._evaluated[name] = None
                self._evict()
        elif stays and not script.stays:
            script.stays = True
            self._evaluated.pop(name, None)
        return script

    def find(self, name: bytes) -> Script:
        """Return the script of this name (in lower case)."""
        script = self.scripts.get(name)
        if script is None:
            raise errors.NoScript
        return script

    def flush(self) -> None:
        """Forget all scripts, and with them the state that held them."""
        self.scripts = {}
        self._evaluated = {}
        self._runner = None

    def run(
        self, ctx: Context, script: Script, name: bytes, keys: int, *, read_only: bool
    ) -> Deferred:
        """Run a script for the request of a context."""
        runner = self.runner
        settings = ctx.settings
        runner.timeout_ms = settings.safety.script_timeout_ms
        runner.state.memory_limit = settings.safety.script_memory_limit_mb << 20
        return runner.run(
            ctx,
            script.number,
            name,
            keys,
            read_only=read_only or ScriptFlag.NO_WRITES in script.flags,
            allow_oom=ScriptFlag.ALLOW_OOM in script.flags,
        )

    def _evict(self) -> None:
        if len(self._evaluated) > EVALUATED_MAX:
            oldest = next(iter(self._evaluated))
            del self._evaluated[oldest]
            self.runner.state.forget(self.scripts.pop(oldest).number)
            self.evicted += 1


def _is_refused(command: Command) -> bool:
    return Flag.NOSCRIPT in command.declaration.flags


def _write_log(level: int, text: bytes) -> None:
    LEVELS[level]("script", text=text.decode("utf-8", "replace"))
