"""The first line of a script."""

from __future__ import annotations

import pytest

from spineldb import errors
from spineldb.scripting.shebang import ScriptFlag, split


def test_a_script_without_one_is_as_before_there_were_any() -> None:
    assert split(b"return 1") == (ScriptFlag.COMPATIBLE, b"return 1")
    assert split(b"") == (ScriptFlag.COMPATIBLE, b"")
    assert split(b"\n#!lua\n") == (ScriptFlag.COMPATIBLE, b"\n#!lua\n")


def test_the_line_goes_but_its_end_stays() -> None:
    assert split(b"#!lua\nreturn 1") == (ScriptFlag(0), b"\nreturn 1")


@pytest.mark.parametrize(
    ("line", "flags"),
    [
        (b"#!lua flags=no-writes", ScriptFlag.NO_WRITES),
        (b"#!lua flags=", ScriptFlag(0)),
        (b"#!lua flags=allow-oom,no-writes", ScriptFlag.NO_WRITES | ScriptFlag.ALLOW_OOM),
        (b"#!lua flags=allow-oom flags=allow-stale", ScriptFlag.ALLOW_OOM | ScriptFlag.ALLOW_STALE),
        (
            b"#!lua flags=no-cluster,allow-cross-slot-keys",
            ScriptFlag.NO_CLUSTER | ScriptFlag.ALLOW_CROSS_SLOT_KEYS,
        ),
    ],
)
def test_flags(line: bytes, flags: ScriptFlag) -> None:
    assert split(line + b"\nx") == (flags, b"\nx")


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (b"#!lua", errors.ScriptShebang),
        (b"#!luax\n", errors.ScriptEngine),
        (b"#! lua\n", errors.ScriptEngine),
        (b"#!lua flags\n", errors.ScriptOption),
        (b"#!lua name=x\n", errors.ScriptOption),
        (b"#!lua flags=nope\n", errors.ScriptFlag),
    ],
)
def test_refused(script: bytes, error: type[errors.CommandError]) -> None:
    with pytest.raises(error):
        split(script)
