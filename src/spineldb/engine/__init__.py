"""The engine: how any command is declared and run."""

from __future__ import annotations
