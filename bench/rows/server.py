"""The process as such: how soon it answers, and how many writes it needs for many replies."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from bench.figures import Limit, Row, Sample
from bench.lab import Lab
from bench.load import encode
from bench.servers import Program, Server

PIPELINED = 10_000
WRITES = "trace=write,writev,sendto,sendmsg"


def start(lab: Lab) -> dict[str, Sample]:
    """Measure the time from starting the process to its first PONG, in milliseconds."""
    samples: dict[str, list[float]] = {}
    for _ in range(lab.rounds):
        for program in lab.programs:
            samples.setdefault(program.name, []).append(time_to_pong(program))
    return {name: Sample(sorted(taken)[len(taken) // 2]) for name, taken in samples.items()}


def time_to_pong(program: Program) -> float:
    """Start a server, stop it, and return how many milliseconds its first PONG took."""
    with Server(program) as server:
        return server.started_after * 1000


def socket_writes(lab: Lab) -> dict[str, Sample]:
    """Count the writes to sockets while ten thousand commands sent at once are answered."""
    count = traced_writes if can_trace() else reported_writes
    with lab.servers() as servers:
        return lab.interleave(servers, lambda server: Sample(count(server)), rounds=1)


def pipeline(server: Server) -> None:
    """Send ten thousand commands in one go on one connection, and take the replies."""
    request = b"".join(encode("SET", f"k:{number:012}", "x" * 10) for number in range(PIPELINED))
    with server.connect() as client:
        client.socket.sendall(request)
        for _ in range(PIPELINED):
            client.read()


def can_trace() -> bool:
    """Tell whether strace is there and may trace a process."""
    if not shutil.which("strace"):
        return False
    return (
        subprocess.run(["strace", "-qq", "true"], capture_output=True, check=False).returncode == 0
    )


def traced_writes(server: Server) -> int:
    """Count them by tracing the server's system calls."""
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder, "trace")
        tracer = subprocess.Popen(
            ["strace", "-f", "-yy", "-e", WRITES, "-o", str(trace), "-p", str(server.pid)],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert tracer.stderr is not None
        assert "attached" in tracer.stderr.readline()
        pipeline(server)
        tracer.send_signal(signal.SIGINT)
        tracer.wait()
        return count_socket_writes(trace.read_text(errors="replace"))


def count_socket_writes(trace: str) -> int:
    """Count the calls in strace's output whose descriptor is a socket.

    >>> count_socket_writes('7 write(8<TCP:[127.0.0.1:1->127.0.0.1:2]>, "+OK", 3) = 3')
    1
    """
    return len(re.findall(r"^\d+ +\w+\(\d+<(?:TCP|UNIX|socket)", trace, re.MULTILINE))


def reported_writes(server: Server) -> int:
    """Count them as the server itself does."""
    before = int(server.info("stats")["total_writes_processed"])
    pipeline(server)
    # The reply to the second INFO may be among them or not; one write does not matter here.
    return int(server.info("stats")["total_writes_processed"]) - before


ROWS = (
    Row(
        name="server.start",
        title="start to first PONG, empty",
        section="The process",
        unit="ms",
        limit=Limit(300, relative=False),
        measure=start,
    ),
    Row(
        name="server.writes",
        title="socket writes for 10,000 pipelined commands",
        section="The process",
        unit="writes",
        limit=Limit(200, relative=False),
        measure=socket_writes,
    ),
)
