"""Measurements of SpinelDB beside the servers it is compared with; `python -m bench --help`.

From the bottom up: `figures` is the arithmetic (samples, medians, limits), `servers` starts a
program and reads its accounts from the operating system, `load` makes requests, `lab` runs
servers against each other in turn, `rows/` is what is measured, `report` writes it down.
"""

from __future__ import annotations
