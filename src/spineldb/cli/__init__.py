"""The programs: spineldb and spineldb-cli."""

from __future__ import annotations
