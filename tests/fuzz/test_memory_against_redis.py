"""At the limit: the same commands are refused, by us and by a real server.

Both servers are over `maxmemory` from the start, so a command that may need memory is refused
before it looks at its arguments, and any other one answers whatever it likes.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from spineldb import commands
from spineldb.engine.command import Command, CommandTable
from tests import servers
from tests.support.embedded import Embedded
from tests.support.peer import Peer
from tests.support.requests import NEVER
from tests.support.wire import encoded

TABLE = CommandTable(commands.FAMILIES)
#: What would end the conversation or change the limit.
SKIPPED = NEVER | {"config", "client", "debug", "quit", "reset", "shutdown", "hello", "select"}
REFUSED = b"-OOM command not allowed when used memory > 'maxmemory'.\r\n"


#: Redis 8.2.3, full from the start.
PEER_OPTIONS = ("--maxmemory", "1")


def everything() -> Iterator[Command]:
    """Yield every command that takes no subcommands, and every subcommand."""
    for command in TABLE.values():
        if command.name not in SKIPPED:
            yield from command.subcommands.values() or (command,)


def request_of(command: Command) -> list[bytes]:
    """Return a request of the right length that blocks nobody."""
    words = [word.encode() for word in command.name.split("|")]
    wanted = max(abs(command.arity), len(words))
    return [*words, *[b"1"] * (wanted - len(words))]


@pytest.mark.parametrize("policy", ["noeviction", "allkeys-lru", "volatile-ttl"])
def test_the_same_commands_are_refused(peer: servers.Server, policy: str) -> None:
    ours, theirs = Embedded(1), Peer(peer.port)
    requests = [request_of(command) for command in everything()]
    ours.dispatcher.limit_memory(1)
    ours.engine.eviction.follow(policy, 5)
    theirs.answers([[b"CONFIG", b"SET", b"maxmemory-policy", policy.encode()]])
    differ: list[bytes] = []
    refused = 0
    for request in requests:
        (known,) = theirs.answers([[b"COMMAND", b"INFO", request[0]]])
        if known in {b"*1\r\n*-1\r\n", b"*1\r\n$-1\r\n"}:
            continue  # what only we have
        (one,), (other,) = ours.answers(encoded(request)), theirs.answers([request])
        refused += one == REFUSED
        if (one == REFUSED) != (other == REFUSED):
            differ.append(b" ".join(request))
    assert differ == []
    assert refused > 15
