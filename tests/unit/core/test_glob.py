"""Globs match byte for byte as the real server's."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from spineldb.core.glob import matches

RECORDING = json.loads(
    (Path(__file__).parents[2] / "reference" / "redis-8.2-texts.json").read_text()
)["globs"]


def test_random_patterns_match_what_the_real_server_matched() -> None:
    texts = [text.encode("latin-1") for text in RECORDING["texts"]]
    for pattern, expected in RECORDING["patterns"].items():
        raw = pattern.encode("latin-1")
        found = [number for number, text in enumerate(texts) if matches(raw, text)]
        assert found == expected, pattern


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        (b"", b"", True),
        (b"*", b"", False),  # as Redis: KEYS and SCAN take a lone star as everything
        (b"h[^e]llo", b"hallo", True),
        (b"h[a-b]llo", b"hbllo", True),
        (b"h[b-a]llo", b"hbllo", True),
        (b"a[", b"a[", False),
        (b"a[^", b"ab", True),
        (b"a\\*", b"a*", True),
        (b"a\\*", b"ab", False),
        (b"a\\", b"a\\", True),
        (b"[\\]]", b"]", True),
        (b"a\0*", b"a\0b", True),
        (b"**a**", b"bab", True),
        (b"user:?:*", b"user:1:x", True),
    ],
)
def test_a_pattern(pattern: bytes, text: bytes, expected: bool) -> None:
    assert matches(pattern, text) == expected


@pytest.mark.parametrize("pattern", [b"MAX*", b"max[M-N]*", b"[M]AX*"])
def test_case_may_be_ignored(pattern: bytes) -> None:
    assert matches(pattern, b"maxmemory", nocase=True)


def test_many_stars_do_not_cost_exponential_time() -> None:
    start = time.perf_counter()
    assert not matches(b"a*" * 400 + b"b", b"a" * 2000)
    assert not matches(b"*" * 3000 + b"?*" * 1500 + b"b", b"a" * 5000)
    assert time.perf_counter() - start < 2


def test_nesting_ends_at_a_thousand_stars() -> None:
    assert matches(b"*a" * 1000, b"a" * 1000)
    assert not matches(b"*a" * 1002, b"a" * 1002)
