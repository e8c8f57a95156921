"""Measure SpinelDB beside its peers: `python -m bench [ROW ...]`, or `make bench`."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path

from bench import profiling, report
from bench.figures import Outcome, Row
from bench.lab import Lab, run
from bench.machine import Identity, describe, identify
from bench.rows import ROWS
from bench.rows.cpu import cpu_rounds
from bench.servers import peer_programs, subject_program


def options() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure SpinelDB beside Redis and Valkey. The peers' programs are named by "
        "SPINELDB_REDIS8, SPINELDB_VALKEY9 and SPINELDB_REDIS7.",
    )
    add = parser.add_argument
    add("rows", nargs="*", help="names, beginnings of names or patterns; all rows if none")
    add("--list", action="store_true", help="list the names of the rows")
    add("--quick", action="store_true", help="a tenth of everything, in about two minutes")
    add("--rounds", type=int, help="samples of each server in a row (5; 1 when quick)")
    add("--report", type=Path, metavar="FILE", help="write the tables to a Markdown file")
    add("--subject", metavar="PROGRAM", help="measure another program in SpinelDB's place")
    return parser


def profile_options() -> argparse.ArgumentParser:
    """Return the parser of `python -m bench profile`."""
    parser = argparse.ArgumentParser(prog="python -m bench profile")
    add = parser.add_argument
    add("request", help="a request with placeholders, such as 'SET {key} {value}'")
    add("-P", dest="pipeline", type=int, default=16, help="commands under way per connection")
    add("--seconds", type=float, default=3.0)
    add("--subject", metavar="PROGRAM")
    return parser


def selected(patterns: Sequence[str], rows: Sequence[Row] = ROWS) -> list[Row]:
    """Return the rows whose names match a pattern or begin with it, in the report's order."""
    if not patterns:
        return list(rows)
    return [
        row
        for row in rows
        if any(row.name.startswith(text) or fnmatchcase(row.name, text) for text in patterns)
    ]


def measure(rows: Sequence[Row], lab: Lab, titles: dict[str, str]) -> list[Outcome]:
    """Measure the rows, printing each; an interrupt ends the run but keeps what there is."""
    outcomes: list[Outcome] = []
    try:
        for row in rows:
            outcomes.append(outcome := run(lab, row))
            print(report.line(outcome, titles), flush=True)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
    return outcomes


def identities(lab: Lab) -> dict[str, Identity]:
    """Ask every server who it is."""
    return {program.name: identify(program) for program in lab.programs}


def main(arguments: Sequence[str]) -> int:
    """Run what the command line asks for; return 1 if a row could not be measured."""
    if arguments[:1] == ["profile"]:
        asked = profile_options().parse_args(arguments[1:])
        program = subject_program(asked.subject)
        print(profiling.profile(program, asked.request, asked.pipeline, asked.seconds))
        return 0
    asked = options().parse_args(arguments)
    rows = selected(asked.rows)
    if asked.list or not rows:
        print("\n".join(row.name for row in ROWS))
        return 0 if asked.list else 2
    peers, missing = peer_programs(os.environ)
    for message in missing:
        print(f"bench: {message}; it is left out", file=sys.stderr)
    if not peers:
        print("bench: no peer to compare with, so only SpinelDB is measured", file=sys.stderr)
    programs = [subject_program(asked.subject), *peers]
    lab = Lab(programs, asked.rounds or (1 if asked.quick else 5), asked.quick)
    known = identities(lab)
    titles = {name: identity.title for name, identity in known.items()}
    started_at = time.monotonic()
    outcomes = measure(rows, lab, titles)
    minutes = (time.monotonic() - started_at) / 60
    print(f"{report.summary(outcomes)} {minutes:.1f} minutes.")
    if asked.report:
        conditions = {
            "Date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {minutes:.0f} minutes",
            "Run": "quick, a tenth of every size: no basis for conclusions"
            if lab.is_quick
            else "full",
            "Left out": "; ".join(missing) or "nothing",
        }
        asked.report.parent.mkdir(parents=True, exist_ok=True)
        asked.report.write_text(
            report.page(
                outcomes, titles, describe(known), conditions, (lab.rounds, cpu_rounds(lab))
            )
        )
    return 1 if any(outcome.failure for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
