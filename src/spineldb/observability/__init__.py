"""What the server shows of itself: its log, its counters, slow commands, latencies."""

from __future__ import annotations
