"""Samples, medians, limits and verdicts: the arithmetic of the report, without any server.

A *sample* is one measurement of one server. A row takes several from each, in turn, and keeps the
median. What SpinelDB owes is a *limit*: a multiple of the best peer's figure, or a plain number.
Smaller is better in every row, so "best" is always the least.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.lab import Lab


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement: the figure itself and, where it means something, commands a second."""

    value: float
    throughput: float | None = None


def median_sample(samples: Sequence[Sample]) -> Sample:
    """Return the median of the figures and, apart from it, the median throughput."""
    rates = [sample.throughput for sample in samples if sample.throughput is not None]
    return Sample(median(sample.value for sample in samples), median(rates) if rates else None)


@dataclass(frozen=True, slots=True)
class Limit:
    """What SpinelDB's figure may be at most: a multiple of the best peer's, or as it stands."""

    at_most: float
    relative: bool = True

    def __str__(self) -> str:
        return f"{self.at_most:g} ×" if self.relative else f"{self.at_most:g}"


@dataclass(frozen=True, slots=True)
class Row:
    """Something to measure; `measure` answers a sample by server, leaving out who cannot do it."""

    name: str  # what the command line selects: "cpu.set.p16"
    title: str
    section: str
    unit: str
    limit: Limit
    measure: Callable[[Lab], Mapping[str, Sample]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A row with what was measured, or with the reason why nothing was."""

    row: Row
    subject: str  # the name of the server under test among the samples
    samples: Mapping[str, Sample] = field(default_factory=dict[str, Sample])
    failure: str = ""

    @property
    def best_peer(self) -> float | None:
        """The least figure among the peers, or None if none was measured."""
        peers = [sample.value for name, sample in self.samples.items() if name != self.subject]
        return min(peers) if peers else None

    @property
    def ratio(self) -> float | None:
        """SpinelDB's figure as a multiple of the best peer's, where that makes sense."""
        best = self.best_peer
        if not best or self.subject not in self.samples:
            return None
        return self.samples[self.subject].value / best

    @property
    def is_met(self) -> bool | None:
        """Whether the limit is kept; None if there is nothing to judge."""
        if self.subject not in self.samples:
            return False if self.failure else None
        judged = self.ratio if self.row.limit.relative else self.samples[self.subject].value
        return None if judged is None else judged <= self.row.limit.at_most
