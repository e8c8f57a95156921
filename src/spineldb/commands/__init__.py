"""The commands: one module per family, each the thin part that speaks RESP."""

from __future__ import annotations

from spineldb.commands import (
    bitmaps,
    bloom,
    client,
    command,
    config,
    connection,
    databases,
    debug,
    keys,
    memory,
    observing,
    server,
    strings,
)

#: Every family of the server.
FAMILIES = (
    strings.family,
    bitmaps.family,
    bloom.family,
    keys.family,
    databases.family,
    connection.family,
    client.family,
    command.family,
    config.family,
    server.family,
    observing.family,
    memory.family,
    debug.family,
)
