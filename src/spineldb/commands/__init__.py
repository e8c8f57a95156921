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
    geo,
    hashes,
    hyperloglog,
    keys,
    lists,
    memory,
    observing,
    scripting,
    server,
    sets,
    streams,
    strings,
    transactions,
    zsets,
)

#: Every family of the server.
FAMILIES = (
    strings.family,
    sets.family,
    zsets.family,
    streams.family,
    bitmaps.family,
    lists.family,
    hyperloglog.family,
    geo.family,
    bloom.family,
    hashes.family,
    keys.family,
    databases.family,
    transactions.family,
    scripting.family,
    connection.family,
    client.family,
    command.family,
    config.family,
    server.family,
    observing.family,
    memory.family,
    debug.family,
)
