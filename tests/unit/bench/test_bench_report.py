"""What the terminal and docs/benchmarks.md show."""

from __future__ import annotations

import pytest

from bench import report
from bench.figures import Limit, Outcome, Row, Sample

TITLES = {"spineldb": "SpinelDB 5.0.0", "redis8": "Redis 8.2.3", "valkey9": "Valkey 9.1.2"}
ROW = Row("cpu.get.p16", "GET, P=16", "CPU per command", "µs", Limit(0.8), lambda _lab: {})


def outcome(row: Row = ROW, failure: str = "", **samples: Sample) -> Outcome:
    return Outcome(row, "spineldb", samples, failure)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.0512, "0.051"), (0.6789, "0.679"), (1.234, "1.23"), (1366.2, "1366")],
)
def test_figures_have_three_digits(value: float, text: str) -> None:
    assert report.figure(value) == text


def test_throughput_stands_beside_the_figure() -> None:
    assert report.cell(Sample(0.5, 1_900_000.0)) == "0.500 (1900 k/s)"
    assert report.cell(Sample(39.1)) == "39.1"
    assert report.cell(None) == "-"


def test_a_table_has_a_column_for_every_server() -> None:
    found = outcome(spineldb=Sample(0.5), redis8=Sample(1.0))
    assert report.table([found], TITLES) == [
        "|  | SpinelDB 5.0.0 | Redis 8.2.3 | Valkey 9.1.2 | ratio | limit |  |",
        "| --- | ---: | ---: | ---: | ---: | ---: | --- |",
        "| GET, P=16 [µs] | 0.500 | 1.00 | - | 0.50 | 0.8 × | met |",
    ]


def test_a_failure_is_written_in_place_of_a_verdict_on_one_line() -> None:
    assert report.verdict(outcome(failure="a | b\nc")) == "**failed**: a \\| b c"
    assert "failed: gone" in report.line(outcome(failure="gone"), TITLES)


def test_the_line_for_the_terminal_says_it_all() -> None:
    printed = report.line(outcome(spineldb=Sample(0.9), redis8=Sample(1.0)), TITLES)
    for part in ("cpu.get.p16", "[µs]", "SpinelDB 5.0.0 0.900", "ratio 0.90", "0.8 ×: missed"):
        assert part in printed


def test_the_summary_counts_and_names_what_is_missed() -> None:
    met = outcome(spineldb=Sample(0.5), redis8=Sample(1.0))
    missed = outcome(spineldb=Sample(0.9), redis8=Sample(1.0))
    assert report.summary([met, met]) == "2 of 2 rows keep their limit."
    assert report.summary([met, missed]) == "1 of 2 rows keep their limit. Not so: GET, P=16."


def test_the_page_describes_the_machine_and_groups_rows_by_section() -> None:
    other = Row("stall.del", "DEL", "Stalls", "ms", Limit(5, relative=False), lambda _lab: {})
    outcomes = [outcome(spineldb=Sample(0.5)), outcome(other, spineldb=Sample(1.0))]
    written = report.page(
        outcomes, TITLES, [("Kernel", "Linux 6")], {"Date": "today"}, rounds=(5, 9)
    )
    assert "median of 5 rounds, for CPU\nof 9." in written
    assert "| Kernel | Linux 6 |\n| Date | today |" in written
    assert written.index("## CPU per command") < written.index("## Stalls")
