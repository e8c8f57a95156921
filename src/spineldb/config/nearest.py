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
    """Count the edits between two words: a letter more, less, another, or two neighbours swapped.

    The optimal string alignment of Damerau (1964) and Levenshtein (1965).
    """
    older: list[int] = []
    row = list(range(len(other) + 1))
    for i, left in enumerate(one):
        older, last, row = row, older, [i + 1]
        for j, right in enumerate(other):
            cost = min(older[j] + (left != right), older[j + 1] + 1, row[j] + 1)
            if i and j and left == other[j - 1] and one[i - 1] == right:
                cost = min(cost, last[j - 1] + 1)
            row.append(cost)
    return row[-1]
