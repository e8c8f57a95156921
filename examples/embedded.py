"""Run a server inside a Python program: composed, served on a free port, asked, and stopped.

The server shares the program's event loop. It touches nothing that belongs to the process: no
signals, no logging set-up, no garbage collector. `python examples/embedded.py` needs no other
server.
"""

from __future__ import annotations

import asyncio
import socket

from spineldb.client import Address, AsyncClient
from spineldb.config.settings import Settings
from spineldb.server.server import Server


async def main() -> None:
    """Serve, ask, stop."""
    settings = Settings()
    settings.change("maxmemory", "64mb")
    settings.change("requirepass", "open sesame")

    # A socket that is bound already: the system chose its port, and nobody can take it from us.
    listener = socket.create_server(("127.0.0.1", 0))
    server = Server(settings)
    await server.start([listener])
    try:
        print("serving on a free port:", server.port > 0)
        address = Address(port=server.port, password="open sesame")  # noqa: S106 - an example's
        async with await AsyncClient.open(address) as client:
            await client.call("SET", "counter", 41)
            print("counter:", await client.call("INCR", "counter"))
            replies = await client.pipeline([["APPEND", "log", f"line {n};"] for n in range(3)])
            print("bytes logged:", replies)
        print("keys:", sum(len(database) for database in server.engine.keyspace.databases))
        print("bytes of memory used by the dataset:", server.engine.keyspace.used_memory > 0)
    finally:
        await server.stop()


if __name__ == "__main__":
    asyncio.run(main())
