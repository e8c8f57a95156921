"""The versions we claim, each stated once: INFO, HELLO, `--version` and file headers read them."""

from __future__ import annotations

SPINELDB_VERSION = "5.0.0"

#: The level of Redis we promise (replies, commands), not a patch level of any server.
REDIS_VERSION = "8.2.0"
