"""This run of the server: who it is, since when, and how it ends."""

from __future__ import annotations

import hashlib
import os
import secrets
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

from spineldb import clock
from spineldb.version import SPINELDB_VERSION


@dataclass(frozen=True, slots=True)
class Stop:
    """How SHUTDOWN wants the server to stop."""

    save: bool | None = None  # True: SAVE, False: NOSAVE, None: as configured
    now: bool = False  # do not wait for lagging replicas
    force: bool = False  # stop even if saving fails


@dataclass(slots=True)
class Lifecycle:
    """Identity and state of the running server."""

    run_id: str = field(default_factory=lambda: secrets.token_hex(20))
    replid: str = field(default_factory=lambda: secrets.token_hex(20))
    process_id: int = field(default_factory=os.getpid)
    started_ms: int = field(default_factory=clock.unix_ms)
    loading: bool = False
    stopping: Stop | None = None
    cron_paused: bool = False  # DEBUG PAUSE-CRON
    on_stop: list[Callable[[Stop], None]] = field(default_factory=list[Callable[[Stop], None]])

    @property
    def build_id(self) -> str:
        """A number for this version of the server on this version of Python."""
        build = f"{SPINELDB_VERSION} {sys.version}"
        return hashlib.sha256(build.encode()).hexdigest()[:16]

    @property
    def uptime_seconds(self) -> int:
        """Seconds since the start."""
        return (clock.unix_ms() - self.started_ms) // 1000

    def stop(self, how: Stop) -> None:
        """Begin to stop the server; a second call changes nothing."""
        if self.stopping is None:
            self.stopping = how
            for act in self.on_stop:
                act(how)
