"""SpinelDB: a Redis-compatible in-memory database with an HTTP-aware cache."""

from __future__ import annotations
