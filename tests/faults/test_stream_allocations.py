"""What if there is no memory for a stream? The N-th allocation of each command fails.

As in `test_allocations`: who is answered an error has changed nothing, and all is counted to the
byte. XREADGROUP and XCLAIM may deliver less than they were asked for.
"""

from __future__ import annotations

import pytest

from spineldb.core import probe_data
from tests.fuzz.test_streams_against_redis import DIGEST, Streams
from tests.property.test_streams_model import facts
from tests.support.embedded import Embedded

START_MS = 1_700_000_000_000


def fresh(seed: int) -> Embedded:
    server = Embedded(seed)
    server.keyspace.advance(START_MS)
    server.keyspace.stream_node_max_entries = 4
    server.effects.expire(1_000_000)
    server.client()
    return server


@pytest.mark.parametrize("number", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(10))
def test_a_command_without_memory_changes_nothing(seed: int, number: int) -> None:
    requests = Streams(seed)
    skipped = {DIGEST, b"SET", b"DEL", b"COPY"}
    argvs = [one for one in (requests.one() for _ in range(400)) if one[0] not in skipped]
    server = fresh(seed)
    reached = 0
    for argv in argvs:
        before = facts(server)
        probe_data.fail_allocation(server.keyspace, number)
        reply = server.at(START_MS, argv)
        pending = probe_data.failure_pending(server.keyspace)
        probe_data.fail_allocation(server.keyspace, 0)
        if pending:
            continue
        reached += 1
        context = f"allocation {number}, {argv}: {reply!r}"
        server.rest()
        assert probe_data.faults(server.keyspace) == [], context
        assert not server.engine.emergency.active, context
        if reply.startswith(b"-OOM"):
            assert facts(server) == before, context
            server.at(START_MS, argv)
    assert reached
