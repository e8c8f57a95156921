"""Server processes for the tests: ours, and the real ones named by environment variables.

Every server gets a free port and a folder of its own, so that any number of workers may run side by
side. The real servers are programs of the reader's own machine:

    SPINELDB_REDIS8=/path/to/redis-server (8.2.3)    SPINELDB_VALKEY9=.../valkey-server (9.1.2)
    SPINELDB_REDIS7=/path/to/redis-server (7.0.15)
    SPINELDB_BLOOM=/path/to/redisbloom.so (2.8.2), which Redis 8.2.3 loads as `redis8+bloom`

SPINELDB_SUBJECT=redis8 runs the tests against that server instead of ours: so we learn whether a
test asks for what the real server does.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import spineldb
from spineldb.client import Address, Client, ConnectionLost, ErrorReply

REAL = {
    "redis8": "SPINELDB_REDIS8",
    "redis8+bloom": "SPINELDB_BLOOM",
    "valkey9": "SPINELDB_VALKEY9",
    "redis7": "SPINELDB_REDIS7",
}
SUBJECT = os.environ.get("SPINELDB_SUBJECT")
START_SECONDS = 20.0
ATTEMPTS = 3  # a free port may be taken by somebody else before the server binds it


class StartFailed(Exception):
    """The server did not answer; the message holds what it printed."""


@dataclass
class Server:
    """A running server process."""

    process: subprocess.Popen[bytes]
    port: int
    folder: Path
    password: str | None = None

    @property
    def address(self) -> Address:
        """Return where it listens, and the password it was started with."""
        return Address(port=self.port, password=self.password)

    @property
    def log(self) -> str:
        """Return what it has printed so far."""
        return (self.folder / "server.log").read_text(encoding="utf-8", errors="replace")

    def client(self, protocol: int = 2, timeout: float = 10.0) -> Client:
        """Return a new connection."""
        return Client.open(self.address, protocol, timeout)

    def stop(self, number: int = signal.SIGTERM, timeout: float = 15.0) -> int:
        """Signal it, wait, and return its exit status; a server that stays is killed."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


def free_port() -> int:
    """Return a TCP port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def real_program(name: str) -> str | None:
    """Return the program of a real server, if the environment names one."""
    base, _, module = name.partition("+")
    return os.environ.get(REAL[base]) if not module or os.environ.get(REAL[name]) else None


def start_spineldb(folder: Path, *options: str) -> Server:
    """Start the server under test, which is ours unless SPINELDB_SUBJECT says otherwise."""
    if SUBJECT:
        return start_real(SUBJECT, folder, *options)
    program = [sys.executable, "-m", "spineldb.cli.server", "--host", "127.0.0.1"]
    return start_program(program, folder, *options)


def start_real(name: str, folder: Path, *options: str) -> Server:
    """Start a real server; raises StartFailed where the environment names none."""
    program = real_program(name)
    if program is None:
        raise StartFailed(f"{REAL[name]} does not name a server")
    modules = ["--loadmodule", os.environ[REAL[name]]] if "+" in name else []
    whole = [program, "--bind", "127.0.0.1", "--dir", str(folder), *modules]
    return start_program(whole, folder, *options)


def start_program(program: list[str], folder: Path, *options: str) -> Server:
    """Start a program that takes a server's options, and wait until it answers."""
    environment = os.environ | {"PYTHONPATH": str(Path(spineldb.__file__).parent.parent)}
    password = options[options.index("--requirepass") + 1] if "--requirepass" in options else None
    for attempt in range(ATTEMPTS):
        port = free_port()
        with (folder / "server.log").open("wb") as log:
            process = subprocess.Popen(
                [*program, "--port", str(port), *options],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        server = Server(process, port, folder, password)
        if _answers(server):
            return server
        process.kill()
        process.wait()
        if attempt == ATTEMPTS - 1 or "in use" not in server.log:
            break
    raise StartFailed(f"{program[:3]} {options}: no PONG; it printed:\n{server.log[-4000:]}")


def _answers(server: Server) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            with contextlib.suppress(OSError, ConnectionLost), server.client() as client:
                return bool(client.call("PING") == "PONG")
        except ErrorReply as error:
            if str(error).startswith("NOAUTH"):
                return True
        time.sleep(0.01)
    return False
