"""PING once a millisecond until standard input ends: `python -m bench.pinger PORT`.

Prints `ready`, and at the end the largest gap between two PONGs in milliseconds. It runs as a
process of its own, with real-time priority where that is allowed, so that what it sees is the
server and not its own wait for a processor.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import socket
import sys
import time

INTERVAL = 0.001


def largest_gap(port: int) -> float:
    """Ping until standard input is readable; return the largest gap in seconds."""
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    print("ready", flush=True)
    ended = select.poll()
    ended.register(sys.stdin.fileno(), select.POLLIN | select.POLLHUP)
    worst = 0.0
    last = 0.0
    while not ended.poll(0):
        connection.sendall(b"*1\r\n$4\r\nPING\r\n")
        if not connection.recv(100):
            raise ConnectionError("the server closed the connection")
        now = time.perf_counter()
        if last:
            worst = max(worst, now - last)
        last = now
        time.sleep(INTERVAL)
    return worst


def main(port: int) -> None:
    """Take real-time priority if possible, ping, and print the gap."""
    gc.disable()
    with contextlib.suppress(AttributeError, PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
    print(largest_gap(port) * 1000)


if __name__ == "__main__":
    main(int(sys.argv[1]))
