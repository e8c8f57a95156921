"""Find the name somebody meant."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """Return the candidate that takes fewest edits to reach, if it is near enough to be meant."""
    limit = max(1, len(name) // 3)
    ranked = ((distance(name, candidate), candidate) for candidate in candidates)
    best = min(ranked, default=(limit + 1, ""))
    return best[1] if best[0] <= limit else None


def distance(one: str, other: str) -> int:
    """Count the insertions, deletions and substitutions between two words (Levenshtein, 1965)."""
    row = list(range(len(other) + 1))
    for i, left in enumerate(one, start=1):
        before, row[0] = row[0], i
        for j, right in enumerate(other, start=1):
            cost = before if left == right else 1 + min(before, row[j], row[j - 1])
            before, row[j] = row[j], cost
    return row[-1]
