"""Show where the server spends its time on one command: `python -m bench profile "GET {key}"`."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from bench.load import Template, batches, fill, line_counter, lines_per_reply, saturate
from bench.servers import Program, Server

CONNECTIONS = 50
KEYS = 200_000
PIECE = 16_000  # a multiple of the pipeline depths in use
TOP = 40


def profile(program: Program, request: str, pipeline: int, seconds: float) -> str:
    """Record the server with perf while it is saturated; return the top symbols.

    perf falls back to a timer where the machine offers no hardware counters.
    """
    if not shutil.which("perf"):
        return "perf is not installed"
    template = Template(request)
    load = list(batches(template.expand(0, PIECE - PIECE % pipeline, KEYS), pipeline))
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        server = stack.enter_context(Server(program))
        fill(server.control, Template("SET {each} 1234567890"), 0, KEYS)
        lines = lines_per_reply(server.control, next(template.expand(PIECE, PIECE + 1, KEYS)))
        clients = [stack.enter_context(server.connect()) for _ in range(CONNECTIONS)]
        drains = [line_counter(client, lines * pipeline) for client in clients]
        data = str(Path(folder, "perf.data"))
        recorder = subprocess.Popen(
            ["perf", "record", "-q", "-F", "1999", "-o", data, "-p", str(server.pid)]
        )
        end_at = time.perf_counter() + seconds
        while time.perf_counter() < end_at:
            saturate(clients, load, drains)
        recorder.terminate()
        recorder.wait()
        command = ["perf", "report", "--stdio", "-q", "--sort", "dso,symbol", "-i", data]
        printed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return "\n".join(printed.splitlines()[:TOP])
