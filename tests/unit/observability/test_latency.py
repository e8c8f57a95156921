"""Latency events: sampling, figures, graphs, advice."""

from __future__ import annotations

import pytest

from spineldb.observability.latency import SAMPLES, Latency
from spineldb.observability.sparkline import sparkline


@pytest.fixture
def latency() -> Latency:
    latency = Latency(threshold_ms=10)
    for at, milliseconds in ((100, 12), (100, 30), (100, 20), (101, 9), (103, 15)):
        latency.sample("command", at, milliseconds)
    return latency


def test_a_second_keeps_its_worst_sample(latency: Latency) -> None:
    assert list(latency.events["command"].samples) == [(100, 30), (103, 15)]
    assert latency.events["command"].worst == 30


def test_nothing_is_sampled_while_it_is_off() -> None:
    latency = Latency()
    latency.sample("command", 1, 1000)
    assert latency.events == {}


def test_samples_are_bounded(latency: Latency) -> None:
    for at in range(1000):
        latency.sample("fork", at, 10)
    assert len(latency.events["fork"].samples) == SAMPLES


def test_reset_forgets_what_is_named(latency: Latency) -> None:
    latency.sample("fork", 1, 10)
    assert latency.reset("fork", "nosuch") == 1
    assert list(latency.events) == ["command"]
    assert latency.reset() == 1
    assert latency.events == {}


def test_a_graph_is_drawn_as_the_real_server_draws_it() -> None:
    drawn = sparkline([(2, "4s"), (30, "3s"), (4, "2s")])  # recorded: LATENCY GRAPH
    assert drawn == " # \n | \n | \n_|_\n   \n432\nsss\n"


def test_a_graph_says_what_it_shows(latency: Latency) -> None:
    lines = latency.events["command"].graph("command", 4000).splitlines()
    assert lines[0] == "command - high 30 ms, low 15 ms (all time high 30 ms)"
    assert lines[1] == "-" * 80
    assert lines[-2:] == ["11", "hh"]


def test_a_graph_of_equal_samples_is_flat() -> None:
    assert sparkline([(5, "1s"), (5, "1m")]).splitlines()[3] == "__"


def test_a_long_graph_has_lines_of_80() -> None:
    drawn = sparkline([(value, "") for value in range(100)]).splitlines()
    assert {len(line) for line in drawn} == {80, 20, 0}


def test_the_doctor_names_figures_and_parameters(latency: Latency) -> None:
    assert "latency-monitor-threshold" in Latency().report(10_000)
    assert "No event" in Latency(5).report(10_000)
    report = latency.report(1_000_000)
    assert "command: 2 spikes, 22 ms on average (mean deviation 8 ms)" in report
    assert "slowlog-log-slower-than is 1000000 us. Set it to 10000." in report
    assert "slowlog-log-slower-than" not in latency.report(5000)
