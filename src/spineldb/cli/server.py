"""The program `spineldb`: read the configuration, serve until told to stop."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from spineldb.cli.arguments import USAGE, Action, Arguments, UsageError, parse
from spineldb.config.loading import Loaded, LoadError, load
from spineldb.config.settings import Settings
from spineldb.core import crash
from spineldb.engine.lifecycle import Stop
from spineldb.observability.logging import Output, configure, get_log
from spineldb.server import process
from spineldb.server.server import Server
from spineldb.version import SPINELDB_VERSION

if TYPE_CHECKING:
    new_loop: Callable[[], asyncio.AbstractEventLoop] | None
try:
    from uvloop import new_event_loop as new_loop
except ImportError:  # no wheel for this system: the standard loop serves as well
    new_loop = None

log = get_log("spineldb.server")  # `__name__` is not ours when run by -m


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; return its exit status."""
    try:
        asked = parse(sys.argv[1:] if arguments is None else arguments)
    except UsageError as error:
        print(error, file=sys.stderr)
        return error.status
    told = {
        Action.VERSION: f"SpinelDB version {SPINELDB_VERSION}\n",
        Action.HELP: USAGE,
    }
    if asked.action in told:
        print(told[asked.action], end="")
        return 0
    if asked.action is Action.WARDEN:
        print("the failover monitor is not part of this version", file=sys.stderr)
        return 1
    return _configured(asked)


def _configured(asked: Arguments) -> int:
    """Load the configuration, and check it or serve."""
    try:
        loaded = load(asked.config, asked.overrides, os.environ)
    except LoadError as error:
        print(error, file=sys.stderr)
        return 1
    if asked.action is Action.CHECK:
        print("\n".join([*loaded.warnings, "configuration is valid"]))
        return 0
    return _serve(loaded)


def _serve(loaded: Loaded) -> int:
    settings = loaded.settings
    try:
        output = configure(
            settings.log_level,
            form=settings.log_format,
            file=settings.log_file,
            color=settings.log_color,
        )
    except OSError as error:
        print(f"cannot open the log file: {error}", file=sys.stderr)
        return 1
    for warning in loaded.warnings:
        log.warning(warning)
    process.report_crashes(output.descriptor)
    _fit_clients(settings)
    runner = asyncio.Runner(loop_factory=new_loop)
    with runner, process.pid_file(settings.pidfile):
        return runner.run(_run(settings, output))


def _fit_clients(settings: Settings) -> None:
    """Serve fewer clients than configured if the operating system allows no more files."""
    wanted = settings.max_clients
    possible = process.allow_clients(wanted)
    if possible < wanted:
        possible = max(possible, 1)
        log.warning(
            "max_clients is lowered: the limit of open files allows no more",
            configured=wanted,
            max_clients=possible,
            advice=f"ulimit -n {wanted + process.RESERVED_DESCRIPTORS}",
        )
        settings.assign(Settings.max_clients, possible)


async def _run(settings: Settings, output: Output) -> int:
    server = Server(settings, log_output=output)
    try:
        await server.start()
    except OSError as error:
        _cannot_start(error, output)
        return 1
    loop = asyncio.get_running_loop()
    process.on_signals(loop, lambda name: _stop(server, name), lambda: _reload(server, output))
    process.tune_interpreter()
    loop.call_later(process.COLLECT_SECONDS, process.collect_now_and_then, loop)
    process.warn_of_kernel_settings(settings.tcp_backlog)
    _greet(server)
    server.supervised = "systemd" if process.notify_supervisor("READY=1") else "no"
    await server.stopped()
    process.notify_supervisor("STOPPING=1")
    await server.stop()
    log.info("stopped")
    return 0


def _cannot_start(error: OSError, output: Output) -> None:
    log.critical("cannot start", reason=str(error))
    if output.descriptor >= 0:  # whoever started us by hand does not read the log file
        print(f"cannot start: {error}", file=sys.stderr)


def _greet(server: Server) -> None:
    settings = server.engine.settings
    if settings.persistence.aof_enabled:
        log.warning("aof_enabled has no effect: this version keeps data in memory only")
    log.info(
        "ready to accept connections",
        version=SPINELDB_VERSION,
        pid=os.getpid(),
        config=settings.file or "defaults",
        listeners=" ".join(server.listeners) or "none",
        mode="standalone",
        persistence="none",
        maxmemory=settings.maxmemory or "unlimited",
    )


def _stop(server: Server, signal_name: str) -> None:
    log.info("asked to stop", signal=signal_name)
    server.engine.lifecycle.stop(Stop())


def _reload(server: Server, output: Output) -> None:
    try:
        output.reopen()
    except OSError as error:
        log.error("the old log file stays in use", reason=str(error))  # noqa: TRY400 - no fault of ours
    crash.report_to(output.descriptor)
    server.reload_certificates()
    log.info("log file and certificates reloaded")


if __name__ == "__main__":
    sys.exit(main())
