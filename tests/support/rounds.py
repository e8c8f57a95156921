"""How long random tests go on: a few seeds in `make test`, minutes of them in `make soak`.

A long run takes one seed after the other until its time is over, so that it is as thorough on any
machine as the machine allows. SPINELDB_FUZZ_SECONDS says for how long (ten minutes in `make soak`),
SPINELDB_FUZZ_SEED where to begin: the seed of a run that failed repeats it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest

Test = Callable[..., None]

SOAK = os.environ.get("SPINELDB_SOAK") == "1"
FIRST_SEED = int(os.environ.get("SPINELDB_FUZZ_SEED", "1"))
LONG_SECONDS = float(os.environ.get("SPINELDB_FUZZ_SECONDS", "600" if SOAK else "0"))
FAR = 1000  # from the seeds of `make test`, unless somebody names one
MARGIN_SECONDS = 300.0


def seeds(count: int) -> range:
    """Return the seeds of the short form."""
    return range(FIRST_SEED, FIRST_SEED + count)


def long(test: Test) -> Test:
    """Mark the long form of a test, which takes LONG_SECONDS and a little."""
    skip = pytest.mark.skipif(not LONG_SECONDS, reason="the long form: make soak")
    return pytest.mark.timeout(LONG_SECONDS + MARGIN_SECONDS)(skip(test))


def go_on(play: Callable[[int], object]) -> None:
    """Play one round after the other, each with a seed of its own, until the time is over."""
    until = time.monotonic() + LONG_SECONDS
    seed = FIRST_SEED if "SPINELDB_FUZZ_SEED" in os.environ else FIRST_SEED + FAR
    while time.monotonic() < until:
        print(f"seed {seed}", flush=True)  # noqa: T201 - all that is left after a crash
        play(seed)
        seed += 1
