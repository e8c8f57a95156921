"""Configuration: one table of parameters; TOML and redis.conf in, CONFIG GET and SET out.

`parameters` declares every parameter, `kinds` says how values are read and printed, `settings`
holds the values in force, `loading` fills them from file, environment and flags, and `rewriting`
writes changes back into the file. Nothing here knows a socket, a command or the engine.
"""

from __future__ import annotations
