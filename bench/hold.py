"""Hold many idle connections until standard input ends: `python -m bench.hold PORT COUNT`.

A process of its own for each server, because the descriptors of four times ten thousand
connections would not fit into one.
"""

from __future__ import annotations

import resource
import socket
import sys


def main(port: int, count: int) -> None:
    """Open the connections, PING once on each, say `ready`, and wait."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(count + 100, hard), hard))
    held: list[socket.socket] = []
    for _ in range(count):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.sendall(b"*1\r\n$4\r\nPING\r\n")
        assert connection.recv(100) == b"+PONG\r\n"
        held.append(connection)
    print("ready", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
