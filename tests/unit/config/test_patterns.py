"""The globs of CONFIG GET."""

from __future__ import annotations

import pytest

from spineldb.config.patterns import matches


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        (b"*", b"", True),
        (b"max*", b"MaxMemory", True),
        (b"m?xm*y", b"maxmemory", True),
        (b"m?xm*y", b"maxmemory-samples", False),
        (b"[a-m]*", b"zset", False),
        (b"[m-a]ax", b"max", True),
        (b"[^a]ax", b"max", True),
        (b"[^m]ax", b"max", False),
        (b"[ma", b"m", True),
        (b"a\\*b", b"a*b", True),
        (b"a\\*b", b"axb", False),
        (b"**a**", b"bab", True),
        (b"", b"", True),
        (b"", b"a", False),
        (b"[]x", b"x", False),
        (b"[\\]]", b"]", True),
        (b"a-b", b"a-b", True),
    ],
)
def test_a_pattern_matches_as_redis_does(pattern: bytes, name: bytes, expected: bool) -> None:
    assert matches(pattern, name) is expected
