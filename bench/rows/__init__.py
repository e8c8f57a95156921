"""What is measured, in the order of the report."""

from __future__ import annotations

from bench.rows import algebra, cpu, large, memory, server, stalls

ROWS = (
    *cpu.HOT_ROWS,
    *cpu.RANGE_ROWS,
    *cpu.MULTI_ROWS,
    *cpu.LARGE_ROWS,
    *algebra.ROWS,
    *memory.ROWS,
    *stalls.ROWS,
    *server.ROWS,
    *large.ROWS,
    *cpu.OTHER_ROWS,
)
