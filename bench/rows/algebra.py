"""Large sets: the CPU of one operation on two of them."""

from __future__ import annotations

from bench.figures import Limit, Row, Sample
from bench.lab import Lab
from bench.load import Template, fill
from bench.servers import Server

MEMBERS = 100_000
TIMES = 20  # operations per sample


def measure(lab: Lab) -> dict[str, Sample]:
    """Measure SINTERSTORE of two sets that have half of their members in common."""
    members = lab.scaled(MEMBERS)
    common = members // 2

    def sample(server: Server) -> Sample:
        before = server.cpu_seconds()
        for _ in range(TIMES):
            assert server.control.ask("SINTERSTORE", "d", "a", "b") == common
        return Sample((server.cpu_seconds() - before) / TIMES * 1e3)

    with lab.servers() as servers:
        for server in servers:
            fill(server.control, Template("SADD a {member}"), 0, members)
            fill(
                server.control, Template("SADD b {member}"), members - common, 2 * members - common
            )
            lab.settle(server)
        return lab.interleave(servers, sample)


ROWS = (
    Row(
        name="cpu.sinterstore.large",
        title="SINTERSTORE of two sets of 100,000, half in common",
        section="CPU per operation on large values",
        unit="ms",
        limit=Limit(0.7),
        measure=measure,
    ),
)
