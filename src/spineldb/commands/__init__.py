"""The commands: one module per family, each the thin part that speaks RESP."""

from __future__ import annotations

from spineldb.commands import command

#: Every family of the server.
FAMILIES = (command.family,)
