"""The laboratory: which servers, how many rounds, and taking turns.

Figures drift on a shared machine by a third within minutes, all servers alike. So every row runs
all its servers at the same time and samples them in turn, the order moving on by one each round;
medians and ratios then compare like with like.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from bench.figures import Outcome, Row, Sample, median_sample
from bench.load import ErrorReply
from bench.servers import SUBJECT, Program, Server, ServerFailed

SETTLE_SECONDS = 20.0  # at most
SETTLE_WATCH = 0.1
IDLE_SHARE = 0.05  # of a processor, below which a server counts as idle


@dataclass(frozen=True, slots=True)
class Lab:
    """What a row needs to know to measure itself."""

    programs: Sequence[Program]
    rounds: int = 5
    is_quick: bool = False

    def scaled(self, size: int) -> int:
        """Return a size or, in a quick run, a tenth of it."""
        return size // 10 if self.is_quick else size

    def seconds(self, full: float, quick: float) -> float:
        """Return a waiting time for this kind of run."""
        return quick if self.is_quick else full

    @staticmethod
    def settle(server: Server) -> None:
        """Wait until a server has done what it still does in the background."""
        give_up_at = time.perf_counter() + SETTLE_SECONDS
        busy = 1.0
        while busy > IDLE_SHARE and time.perf_counter() < give_up_at:
            before, started_at = server.cpu_seconds(), time.perf_counter()
            time.sleep(SETTLE_WATCH)
            busy = (server.cpu_seconds() - before) / (time.perf_counter() - started_at)

    @contextmanager
    def servers(self) -> Generator[list[Server], None, None]:
        """Start every program; stop them at the end."""
        with ExitStack() as stack:
            yield [stack.enter_context(Server(program)) for program in self.programs]

    def interleave(
        self,
        servers: Sequence[Server],
        sample: Callable[[Server], Sample],
        rounds: int | None = None,
    ) -> dict[str, Sample]:
        """Sample the servers in turn, for some rounds, and return the medians."""
        samples: dict[str, list[Sample]] = {server.name: [] for server in servers}
        for turn in range(rounds or self.rounds):
            start = turn % len(servers) if servers else 0
            for server in [*servers[start:], *servers[:start]]:
                samples[server.name].append(sample(server))
        return {name: median_sample(taken) for name, taken in samples.items()}


def run(lab: Lab, row: Row) -> Outcome:
    """Measure a row; what goes wrong is an outcome too, so that the other rows are measured."""
    try:
        samples: Mapping[str, Sample] = row.measure(lab)
    except (OSError, ErrorReply, ServerFailed, AssertionError) as error:
        return Outcome(row, SUBJECT, failure=f"{type(error).__name__}: {error}")
    if SUBJECT not in samples:
        return Outcome(row, SUBJECT, samples, failure="SpinelDB does not have this command")
    return Outcome(row, SUBJECT, samples)
