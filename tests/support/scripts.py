"""Scripts of Lua on the real server and on ours: their replies as bytes."""

from __future__ import annotations

import re
import socket
from types import TracebackType
from typing import Self

from spineldb.core.lua_state import LuaError
from spineldb.core.probe_lua import Scripts
from tests.support.wire import encoded, reply_end

RECEIVE = 1 << 16


class Raw:
    """A connection that sends requests and returns replies as they came."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.rest = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.socket.close()

    def ask(self, *request: bytes) -> bytes:
        """Send one request; return its reply."""
        self.socket.sendall(encoded(request))
        while not self.rest or (end := reply_end(self.rest, 0)) < 0:
            received = self.socket.recv(RECEIVE)
            assert received, "the connection was closed"
            self.rest += received
        reply, self.rest = self.rest[:end], self.rest[end:]
        return reply


def comparable(reply: bytes) -> bytes:
    """Take out of a reply what differs from run to run: names of scripts, addresses."""
    reply = re.sub(rb"script: [0-9a-f]{1,40}, on", b"script: S, on", reply)
    return re.sub(rb"0x[0-9a-f]+", b"0xP", reply)


def answer(scripts: Scripts, body: bytes) -> bytes:
    """Run a script as EVAL does."""
    try:
        return comparable(scripts.eval(body))
    except LuaError as error:
        return b"-ERR Error compiling script (new function): " + error.args[0] + b"\r\n"
