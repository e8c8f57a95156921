"""LCS finds what the textbook's table finds, ties included."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from spineldb.commands import strings
from tests.support.bench import Bench

# Few letters make many ties; up to three words of 64 columns.
TEXTS = st.one_of(
    st.text("ab", max_size=150), st.text("abcd", max_size=70), st.text("abcdefghij", max_size=30)
)


def textbook(a: str, b: str) -> tuple[str, list[tuple[int, int, int]]]:
    """Return the subsequence, and its runs from the last: where in `a`, where in `b`, how long."""
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a, 1):
        for j, y in enumerate(b, 1):
            table[i][j] = (
                table[i - 1][j - 1] + 1 if x == y else max(table[i - 1][j], table[i][j - 1])
            )
    i, j = len(a), len(b)
    found = ""
    runs: list[tuple[int, int, int]] = []
    together = False
    while i and j:
        if a[i - 1] == b[j - 1]:
            i, j = i - 1, j - 1
            found = a[i] + found
            size = runs.pop()[2] + 1 if together else 1
            runs.append((i, j, size))
            together = True
            continue
        together = False
        if table[i - 1][j] > table[i][j - 1]:
            i -= 1
        else:
            j -= 1
    return found, runs


@given(TEXTS, TEXTS, st.integers(0, 4), st.booleans())
def test_lcs_finds_what_the_textbook_finds(a: str, b: str, least: int, with_length: bool) -> None:
    bench = Bench(strings.family)
    bench.ask("MSET", "a", a, "b", b)
    found, runs = textbook(a, b)
    assert bench.ask("LCS", "a", "b") == found.encode()
    assert bench.ask("LCS", "a", "b", "LEN") == len(found)
    matches: list[Any] = []
    for i, j, size in runs:
        if size >= least:
            match: list[Any] = [[i, i + size - 1], [j, j + size - 1]]
            matches.append([*match, size] if with_length else match)
    options = ["IDX", "MINMATCHLEN", least, *(["WITHMATCHLEN"] if with_length else [])]
    expected = [b"matches", matches, b"len", len(found)]
    assert bench.ask("LCS", "a", "b", *options) == expected
