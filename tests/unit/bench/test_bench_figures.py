"""Medians, ratios and verdicts."""

from __future__ import annotations

from bench.figures import Limit, Outcome, Row, Sample, median_sample
from bench.lab import Lab, run
from bench.servers import SUBJECT, ServerFailed


def row(limit: Limit, samples: dict[str, float] | None = None) -> Row:
    measured = {name: Sample(value) for name, value in (samples or {}).items()}
    return Row("a.row", "a row", "a section", "µs", limit, lambda _lab: measured)


def outcome(limit: Limit, **samples: float) -> Outcome:
    return run(Lab([]), row(limit, samples))


def test_the_median_of_figures_and_of_throughput_are_taken_apart() -> None:
    taken = [Sample(3.0, 10.0), Sample(1.0, 30.0), Sample(2.0, 20.0), Sample(9.0, 5.0)]
    assert median_sample(taken) == Sample(2.5, 15.0)
    assert median_sample([Sample(1.0)]) == Sample(1.0, None)


def test_the_ratio_is_to_the_best_peer() -> None:
    found = outcome(Limit(0.8), spineldb=1.0, redis8=2.0, valkey9=1.6)
    assert found.best_peer == 1.6
    assert found.ratio == 0.625
    assert found.is_met


def test_a_relative_limit_is_judged_by_the_ratio_and_an_absolute_one_by_the_figure() -> None:
    assert outcome(Limit(0.8), spineldb=9.0, redis8=10.0).is_met is False
    assert outcome(Limit(5.0, relative=False), spineldb=4.0, redis8=1.0).is_met is True
    assert outcome(Limit(5.0, relative=False), spineldb=6.0, redis8=60.0).is_met is False


def test_without_a_peer_only_absolute_limits_are_judged() -> None:
    assert outcome(Limit(0.8), spineldb=1.0).is_met is None
    assert outcome(Limit(0.8), spineldb=1.0).ratio is None
    assert outcome(Limit(5.0, relative=False), spineldb=1.0).is_met is True


def test_a_peer_at_zero_gives_no_ratio() -> None:
    assert outcome(Limit(5.0, relative=False), spineldb=1.0, redis8=0.0).ratio is None


def test_a_command_only_peers_have_is_a_missed_row() -> None:
    found = outcome(Limit(1.0), valkey9=1.0)
    assert found.is_met is False
    assert found.failure


def test_a_row_that_fails_is_an_outcome() -> None:
    def fail(_lab: Lab) -> dict[str, Sample]:
        raise ServerFailed("it did not start")

    found = run(Lab([]), Row("a", "a", "a", "µs", Limit(1.0), fail))
    assert found.subject == SUBJECT
    assert found.failure == "ServerFailed: it did not start"
    assert found.is_met is False


def test_limits_are_written_as_multiples_or_as_they_stand() -> None:
    assert str(Limit(0.95)) == "0.95 ×"
    assert str(Limit(300, relative=False)) == "300"
