"""Large values: CPU per megabyte, and whether receiving one in small pieces stays linear."""

from __future__ import annotations

import time
from contextlib import ExitStack
from functools import partial

from bench.figures import Limit, Row, Sample
from bench.lab import Lab
from bench.load import Client, encode, line_counter, lines_per_reply, saturate
from bench.servers import Server

MEGABYTE = 1 << 20
COMMANDS = 400
CONNECTIONS = 4
KEYS = 8
PIECE = 4096
BIG, SMALL = 64 * MEGABYTE, 16 * MEGABYTE


def cpu_per_megabyte(command: str, lab: Lab) -> dict[str, Sample]:
    """Measure the CPU of GET or SET of values of 1 MB, in microseconds."""
    value = b"x" * MEGABYTE
    fills = [encode("SET", f"big:{number}", value) for number in range(KEYS)]
    requests = [encode("GET", f"big:{number}") for number in range(KEYS)]
    load = (fills if command == "SET" else requests) * (lab.scaled(COMMANDS) // KEYS)

    def sample(server: Server) -> Sample:
        lines = [lines_per_reply(server.control, request) for request in (*fills, *requests)]
        owed = lines[0 if command == "SET" else -1]
        with ExitStack() as stack:
            clients = [stack.enter_context(server.connect()) for _ in range(CONNECTIONS)]
            drains = [line_counter(client, owed) for client in clients]
            cpu_before, started_at = server.cpu_seconds(), time.perf_counter()
            saturate(clients, load, drains)
            elapsed = time.perf_counter() - started_at
            cpu = server.cpu_seconds() - cpu_before
        return Sample(cpu / len(load) * 1e6, len(load) / elapsed)

    with lab.servers() as servers:
        return lab.interleave(servers, sample)


def linearity(lab: Lab) -> dict[str, Sample]:
    """Measure how many times longer 64 MB in pieces of 4 KB take than 16 MB; 4 is linear."""
    big, small = lab.scaled(BIG), lab.scaled(SMALL)

    def sample(server: Server) -> Sample:
        with server.connect() as client:
            times = {
                size: min(send_in_pieces(client, size) for _ in range(3)) for size in (small, big)
            }
        return Sample(times[big] / times[small])

    with lab.servers() as servers:
        return lab.interleave(servers, sample)


def send_in_pieces(client: Client, size: int) -> float:
    """SET a value in pieces; return how long it took until the reply, in seconds."""
    client.ask("DEL", "big")
    piece = b"x" * PIECE
    started_at = time.perf_counter()
    client.socket.sendall(b"*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n$%d\r\n" % size)
    for _ in range(size // PIECE):
        client.socket.sendall(piece)
    client.socket.sendall(b"x" * (size % PIECE) + b"\r\n")
    reply = client.read()
    assert reply == "OK", reply
    return time.perf_counter() - started_at


SECTION = "Large values"
ROWS = (
    *(
        Row(
            name=f"large.{command.lower()}",
            title=f"{command} of 1 MB, CPU per MB",
            section=SECTION,
            unit="µs",
            limit=Limit(1.0),
            measure=partial(cpu_per_megabyte, command),
        )
        for command in ("GET", "SET")
    ),
    Row(
        name="large.pieces",
        title="64 MB in pieces of 4 KB, as a multiple of 16 MB",
        section=SECTION,
        unit="×",
        limit=Limit(4.5, relative=False),
        measure=linearity,
    ),
)
