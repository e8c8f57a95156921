"""The programs under measurement: found, started, accounted for, stopped.

CPU time is the operating system's account of the whole process, user and system, all threads. On
Linux it is read from the process's own clock, in nanoseconds and including threads that have
ended; elsewhere `ps` gives hundredths of a second. Resident memory is counted page by page
(`smaps_rollup`), because the cheap counter in `statm` may be off by some hundred pages.

Nothing is pinned to a processor: servers and load share the machine as they would anywhere.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.load import Client

MAX_CLIENTS = 10_100  # ten thousand idle ones, and those who watch them
START_SECONDS = 30.0

PEERS = {"SPINELDB_REDIS8": "redis8", "SPINELDB_VALKEY9": "valkey9", "SPINELDB_REDIS7": "redis7"}
SUBJECT = "spineldb"

# Nobody writes snapshots or logs, and nobody has a memory limit, while being measured.
REDIS_OPTIONS = (
    *("--bind", "127.0.0.1", "--save", "", "--appendonly", "no"),
    *("--maxclients", str(MAX_CLIENTS), "--maxmemory", "0"),
)
SPINELDB_OPTIONS = (
    *("--host", "127.0.0.1", "--set", f"max_clients={MAX_CLIENTS}", "--set", "maxmemory=0"),
    *("--set", "persistence.spldb_enabled=false", "--set", "persistence.aof_enabled=false"),
)


class ServerFailed(Exception):
    """A server did not start, or ended when it should not have."""


@dataclass(frozen=True, slots=True)
class Program:
    """A server program and the name the samples carry."""

    name: str
    command: tuple[str, ...]
    options: tuple[str, ...]


def subject_program(path: str | None = None) -> Program:
    """Return SpinelDB as installed beside this Python, else its module, or the program given."""
    if path is None:
        installed = Path(sys.executable).with_name("spineldb")
        command = (
            (str(installed),)
            if installed.exists()
            else (sys.executable, "-m", "spineldb.cli.server")
        )
        return Program(SUBJECT, command, SPINELDB_OPTIONS)
    is_ours = "spineldb" in Path(path).name
    return Program(SUBJECT, (path,), SPINELDB_OPTIONS if is_ours else REDIS_OPTIONS)


def peer_programs(environment: Mapping[str, str]) -> tuple[list[Program], list[str]]:
    """Return the peers named by environment variables, and a line for each that is missing."""
    found: list[Program] = []
    missing: list[str] = []
    for variable, name in PEERS.items():
        path = environment.get(variable, "")
        if path and (program := shutil.which(path)):
            found.append(Program(name, (program,), REDIS_OPTIONS))
        elif path:
            missing.append(f"{variable}={path} is not a program that can be run")
        else:
            missing.append(f"{variable} is not set")
    return found, missing


def free_port() -> int:
    """Return a port nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """A running program, in an empty folder of its own, on a port of its own.

    `started_after` is the time from the start of the process to its first PONG, in seconds.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.port = free_port()
        self._folder = tempfile.TemporaryDirectory(prefix="spineldb-bench-")
        self._output = Path(self._folder.name, "output")
        self._control: Client | None = None
        started_at = time.perf_counter()
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [*program.command, "--port", str(self.port), *program.options],
                cwd=self._folder.name,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=server_environment(),
            )
        try:
            self._await_pong(started_at + START_SECONDS)
        except BaseException:
            self.stop()
            raise
        self.started_after = time.perf_counter() - started_at

    def _await_pong(self, give_up_at: float) -> None:
        while True:
            try:
                with Client(self.port) as client:
                    if client.ask("PING") == "PONG":
                        return
            except ConnectionError:
                if self._process.poll() is not None or time.perf_counter() > give_up_at:
                    raise ServerFailed(self._last_words()) from None
            time.sleep(0.0005)

    def _last_words(self) -> str:
        tail = self._output.read_text(errors="replace")[-500:].strip()
        return f"{self.program.command[0]} did not start: {tail or 'it printed nothing'}"

    @property
    def name(self) -> str:
        """The name samples carry."""
        return self.program.name

    @property
    def pid(self) -> int:
        """The process to account for."""
        return self._process.pid

    def connect(self) -> Client:
        """Open a connection; the caller closes it."""
        return Client(self.port)

    def connections(self, count: int) -> list[Client]:
        """Open `count` connections; the caller closes them."""
        return [self.connect() for _ in range(count)]

    @property
    def control(self) -> Client:
        """One connection for questions between measurements."""
        if self._control is None:
            self._control = self.connect()
        return self._control

    def info(self, section: str) -> dict[str, str]:
        """Return the fields of one section of INFO."""
        text = self.control.ask("INFO", section)
        assert isinstance(text, bytes), text
        lines = (line.partition(":") for line in text.decode().splitlines() if ":" in line)
        return {name: value for name, _, value in lines}

    def cpu_seconds(self) -> float:
        """Return the CPU time, user and system, that the process has used."""
        return cpu_seconds(self.pid)

    def resident_bytes(self) -> int:
        """Return the size of the resident set."""
        return resident_bytes(self.pid)

    def stop(self) -> None:
        """End the process and remove its folder."""
        if self._control is not None:
            self._control.close()
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def server_environment() -> dict[str, str]:
    """Return the environment of a server: no settings by accident, and another folder."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("SPINELDB_")
    }
    if paths := environment.get("PYTHONPATH"):
        absolute = (str(Path(path).absolute()) for path in paths.split(os.pathsep))
        environment["PYTHONPATH"] = os.pathsep.join(absolute)
    return environment


def ps(pid: int, column: str) -> str:
    """Ask ps for one column of one process."""
    command: Sequence[str] = ["ps", "-o", f"{column}=", "-p", str(pid)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process: its clock on Linux, what ps says elsewhere."""
    if sys.platform == "linux":
        # clock_getcpuclockid(3): the complement of the pid, three bits of kind, 2 = scheduler's.
        return time.clock_gettime_ns(~pid << 3 | 2) / 1e9
    return seconds_from_ps(ps(pid, "time"))


def seconds_from_ps(text: str) -> float:
    """Convert ps's `[[dd-]hh:]mm:ss[.cc]` to seconds.

    >>> seconds_from_ps("1:02.50")
    62.5
    """
    days, _, clock = text.rpartition("-")
    seconds = 0.0
    for part in clock.split(":"):
        seconds = seconds * 60 + float(part)
    return int(days or 0) * 86_400 + seconds


def resident_bytes(pid: int) -> int:
    """Return the resident set of a process, exact where Linux tells it."""
    rollup = Path(f"/proc/{pid}/smaps_rollup")
    if not rollup.exists():
        return int(ps(pid, "rss")) * 1024
    for line in rollup.read_text().splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1]) * 1024
    raise ServerFailed(f"no Rss in {rollup}")
