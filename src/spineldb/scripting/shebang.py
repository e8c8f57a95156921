"""The first line of a script, `#!lua flags=no-writes,allow-oom`: what it asks for."""

from __future__ import annotations

from enum import IntFlag

from spineldb import errors

MARK = b"#!"
ENGINE = b"#!lua"


class ScriptFlag(IntFlag):
    """What a script says of itself; NONE with a shebang is not the same as none at all."""

    NO_WRITES = 1 << 0
    ALLOW_OOM = 1 << 1
    ALLOW_STALE = 1 << 2
    NO_CLUSTER = 1 << 3
    ALLOW_CROSS_SLOT_KEYS = 1 << 4
    COMPATIBLE = 1 << 5  # it has no shebang: the rules of before there were any


NAMES = {
    b"no-writes": ScriptFlag.NO_WRITES,
    b"allow-oom": ScriptFlag.ALLOW_OOM,
    b"allow-stale": ScriptFlag.ALLOW_STALE,
    b"no-cluster": ScriptFlag.NO_CLUSTER,
    b"allow-cross-slot-keys": ScriptFlag.ALLOW_CROSS_SLOT_KEYS,
}


def split(script: bytes) -> tuple[ScriptFlag, bytes]:
    """Return the flags of a script, and what is to be compiled: line numbers stay the same."""
    if not script.startswith(MARK):
        return ScriptFlag.COMPATIBLE, script
    line, newline, rest = script.partition(b"\n")
    if not newline:
        raise errors.ScriptShebang
    engine, *options = line.split()
    if engine != ENGINE:
        raise errors.ScriptEngine(engine)
    flags = ScriptFlag(0)
    for option in options:
        if not option.startswith(b"flags="):
            raise errors.ScriptOption(option)
        for name in filter(None, option.removeprefix(b"flags=").split(b",")):
            if name not in NAMES:
                raise errors.ScriptFlag(name)
            flags |= NAMES[name]
    return flags, newline + rest
