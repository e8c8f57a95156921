"""Write outcomes as text: a line for the terminal, a page of tables for `docs/benchmarks.md`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from bench.figures import Outcome, Sample

VERDICTS = {True: "met", False: "**missed**", None: "-"}

INTRODUCTION = """\
# Benchmarks

`make bench` wrote this page. Every figure was taken in one run, the servers in turn, each on the
same machine and with the same bytes sent to it; a figure is the median of {rounds} rounds, for CPU
of {cpu_rounds}. Less is better in all of them. *Ratio* is SpinelDB's figure as a multiple of the
best of the others, *limit* is what it may be at most: a multiple of the best (×), or the figure
itself.

CPU is user and system time of the server's whole process, as the operating system accounts it,
divided by the exact number of commands; behind it stands the throughput that went with it, in
thousands of commands a second, which is bounded by the load generator on the same machine.
Memory is growth of the resident set. A dash means that the server does not have the command.
"""


def figure(value: float) -> str:
    """Write a number with three significant digits, four before the point if there are as many.

    >>> figure(0.61234), figure(12.345), figure(1366.2)
    ('0.612', '12.3', '1366')
    """
    if value >= 100 or value == 0:
        return f"{value:.0f}"
    return f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 10 else f"{value:.1f}"


def cell(sample: Sample | None) -> str:
    """Write a sample, with its throughput if it has one."""
    if sample is None:
        return "-"
    if sample.throughput is None:
        return figure(sample.value)
    return f"{figure(sample.value)} ({sample.throughput / 1000:.0f} k/s)"


def verdict(outcome: Outcome) -> str:
    """Write whether the limit is kept, or why nothing was measured."""
    if outcome.failure:
        return f"**failed**: {outcome.failure}".replace("|", "\\|").replace("\n", " ")
    return VERDICTS[outcome.is_met]


def line(outcome: Outcome, titles: Mapping[str, str]) -> str:
    """Write an outcome for the terminal."""
    measured = "  ".join(
        f"{titles.get(name, name)} {cell(sample)}" for name, sample in outcome.samples.items()
    )
    ratio = "" if outcome.ratio is None else f"  ratio {outcome.ratio:.2f}"
    judged = f"  limit {outcome.row.limit}: {verdict(outcome).replace('*', '')}"
    return f"{outcome.row.name:<32} [{outcome.row.unit}] {measured}{ratio}{judged}"


def table(outcomes: Iterable[Outcome], titles: Mapping[str, str]) -> list[str]:
    """Write the rows of one section."""
    heads = ["", *titles.values(), "ratio", "limit", ""]
    lines = [f"| {' | '.join(heads)} |", f"| --- |{' ---: |' * (len(heads) - 2)} --- |"]
    for outcome in outcomes:
        cells = [
            f"{outcome.row.title} [{outcome.row.unit}]",
            *(cell(outcome.samples.get(name)) for name in titles),
            "" if outcome.ratio is None else f"{outcome.ratio:.2f}",
            str(outcome.row.limit),
            verdict(outcome),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def summary(outcomes: Sequence[Outcome]) -> str:
    """Count the verdicts in a sentence."""
    met = sum(outcome.is_met is True for outcome in outcomes)
    missed = [outcome.row.title for outcome in outcomes if outcome.is_met is False]
    sentence = f"{met} of {len(outcomes)} rows keep their limit."
    return f"{sentence} Not so: {'; '.join(missed)}." if missed else sentence


def page(
    outcomes: Sequence[Outcome],
    titles: Mapping[str, str],
    machine: Iterable[tuple[str, str]],
    conditions: Mapping[str, str],
    rounds: tuple[int, int],
) -> str:
    """Write the whole page; `rounds` are those of most rows and those of CPU."""
    most, of_cpu = rounds
    lines = [INTRODUCTION.format(rounds=most, cpu_rounds=of_cpu), "## The machine", ""]
    lines += ["| | |", "| --- | --- |"]
    lines += [f"| {name} | {value} |" for name, value in machine]
    lines += [f"| {name} | {value} |" for name, value in conditions.items()]
    lines += ["", "## In short", "", summary(outcomes), ""]
    for section, rows in groupby(outcomes, key=lambda outcome: outcome.row.section):
        lines += [f"## {section}", "", *table(rows, titles), ""]
    return "\n".join(lines)
