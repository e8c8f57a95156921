"""Graphs made of characters, for LATENCY GRAPH: a column per sample, its label written downwards.

The drawing is Redis's, after Edward Tufte's sparklines, so that people find what they know.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

COLUMNS = 80
ROWS = 4
_SHADES = "_o#"  # a third of a row each


def sparkline(samples: Sequence[tuple[int, str]]) -> str:
    """Draw (value, label) samples from left to right, 80 to a line."""
    low = min(value for value, _ in samples)
    span = max(value for value, _ in samples) - low or 1
    graphs = (
        "".join(f"{row}\n" for row in _rows(samples[start : start + COLUMNS], low, span))
        for start in range(0, len(samples), COLUMNS)
    )
    return "\n".join(graphs)


def _rows(samples: Sequence[tuple[int, str]], low: int, span: int) -> Iterator[str]:
    """Draw the rows of one graph, an empty one, and the labels."""
    steps = len(_SHADES) * ROWS
    heights = [min((value - low) * steps // span, steps - 1) for value, _ in samples]
    for row in range(ROWS):
        bottom = (ROWS - row - 1) * len(_SHADES)
        yield "".join(_shade(height - bottom) for height in heights)
    yield " " * len(samples)
    longest = max(len(label) for _, label in samples)
    for position in range(longest):
        yield "".join(label[position : position + 1] or " " for _, label in samples)


def _shade(height: int) -> str:
    """Draw what a column of this height, counted from the row's bottom, shows in the row."""
    if height < 0:
        return " "
    return _SHADES[height] if height < len(_SHADES) else "|"
