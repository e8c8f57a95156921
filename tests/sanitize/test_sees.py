"""The sanitizers see what they are there for; in the sanitized build only (`make sanitize`).

Each fault is committed in a process of its own, which must die with a report.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SANITIZED = "libasan" in os.environ.get("LD_PRELOAD", "")
pytestmark = pytest.mark.skipif(not SANITIZED, reason="not the sanitized build: make sanitize")

PRELUDE = """
from spineldb.core import probe_data, strings
from spineldb.server.composition import compose
keyspace = compose().keyspace
database = keyspace.databases[0]
strings.put(database, b"key", b"value")
"""


def report(program: str) -> str:
    """Run a program that commits a fault; return what was printed when it died of it."""
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + program], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0, f"it lived: {done.stdout}{done.stderr}"
    return done.stderr


def test_a_read_within_an_entry_is_nothing_to_report() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + "print(probe_data.read_past(keyspace, b'key', -1))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == [str(ord("e"))]


@pytest.mark.parametrize("distance", [0, 1, 2])
def test_a_read_past_an_entry_within_its_class_is_seen(distance: int) -> None:
    # 5 + 3 + 5 bytes of a class of 16
    text = report(f"probe_data.read_past(keyspace, b'key', {distance})")
    assert "AddressSanitizer" in text
    assert "use-after-poison" in text
    assert "read_past" in text


def test_a_read_of_an_entry_that_was_freed_is_seen() -> None:
    text = report("probe_data.read_freed(keyspace, b'key')")
    assert "use-after-poison" in text


def test_an_overflow_of_a_signed_number_is_seen() -> None:
    text = report("probe_data.overflow_integer((1 << 63) - 1)")
    assert "signed integer overflow" in text
