"""HyperLogLogs: how many distinct elements there were, nearly, in at most 12 KB.

A HyperLogLog is a string in Redis's format, so it moves between servers by GET and SET too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spineldb import errors
from spineldb.core import hot_hyperloglog, hyperloglog, strings
from spineldb.engine.command import (
    ACCESS,
    ADMIN,
    DENYOOM,
    FAST,
    INSERT,
    READONLY,
    RO,
    RW,
    WRITE,
    Family,
)

if TYPE_CHECKING:
    from spineldb.engine.context import Context
    from spineldb.engine.reply import Reply

family = Family("hyperloglog")


@family.compiled(
    "PFADD key [element [element ...]]",
    WRITE | DENYOOM | FAST,
    hot_hyperloglog.PFADD_BODY,
    since="2.8.9",
    key=INSERT,
)
def pfadd(key: bytes, *elements: bytes) -> int:
    """Add elements to a HyperLogLog, creating it if it is missing.

    Returns 1 if the estimated count may have changed or the key was created, else 0. O(1) for each
    element.
    """


@family.compiled(
    "PFCOUNT key [key ...]",
    READONLY,
    hot_hyperloglog.PFCOUNT_BODY,
    since="2.8.9",
    key=RW | ACCESS,
    notes=("RW because it may change the internal representation of the key",),
)
def pfcount(*keys: bytes) -> int:
    """Estimate how many distinct elements were added to HyperLogLogs, to any of them if several.

    Missing keys count as empty. The estimate of a single key is kept in its value, which the next
    PFCOUNT reads; this change is propagated. The standard error is 0.81 %. O(1) for one key, O(N)
    for several.
    """


@family.compiled(
    "PFMERGE destkey:key [sourcekey:key [sourcekey ...]]",
    WRITE | DENYOOM,
    hot_hyperloglog.PFMERGE_BODY,
    since="2.8.9",
    key=(RW | ACCESS | INSERT, RO | ACCESS),
)
def pfmerge(destkey: bytes, *sourcekeys: bytes) -> str:
    """Merge HyperLogLogs into one, which keeps what it had.

    The result is dense if one of them is. O(N) in the keys.
    """


@family.command(
    "PFDEBUG subcommand key",
    WRITE | DENYOOM | ADMIN,
    since="2.8.9",
    key=ACCESS,
    syscmd=True,
)
def pfdebug(ctx: Context, subcommand: bytes, key: bytes) -> Reply:
    """Show the insides of a HyperLogLog.

    `GETREG` answers its 16384 registers and makes it dense, `DECODE` the runs of a sparse one,
    `ENCODING` its form; `TODENSE` makes it dense. `SIMD` takes ON or OFF for a key and changes
    nothing here. O(N) in the registers.
    """
    word = subcommand.upper()
    if word == b"SIMD":
        if key.upper() not in {b"ON", b"OFF"}:
            raise errors.NotOnOrOff
        return "disabled"
    value = strings.get(ctx.db, key)
    if value is None:
        raise errors.NoDebuggedKey
    sparse = hyperloglog.is_sparse(value)
    match word:
        case b"GETREG":
            _make_dense(ctx, key, value)
            return hyperloglog.registers(value)
        case b"DECODE":
            if not sparse:
                raise errors.NotSparse
            return b" ".join(_run(*run) for run in hyperloglog.runs(value))
        case b"ENCODING":
            return "sparse" if sparse else "dense"
        case b"TODENSE":
            return int(_make_dense(ctx, key, value))
        case _:
            raise errors.UnknownPfdebug(subcommand)


def _make_dense(ctx: Context, key: bytes, value: bytes) -> bool:
    """Store the dense form of a value; say whether it was another."""
    if not hyperloglog.is_sparse(value):
        return False
    deadline = ctx.db.deadline(key)
    strings.put(
        ctx.db, key, hyperloglog.dense(value), -1 if deadline is None else deadline, raw=True
    )
    ctx.effects.dirty += 1  # as Redis: no event, and nobody's WATCH is about it
    return True


def _run(length: int, value: int, size: int) -> bytes:
    if value:
        return b"v:%d,%d" % (value, length)
    return b"%s:%d" % (b"z" if size == 1 else b"Z", length)


@family.command("PFSELFTEST", ADMIN, since="2.8.9", syscmd=True)
def pfselftest(ctx: Context) -> str:
    """Check the implementation of HyperLogLogs. O(N) in the registers and some elements."""
    del ctx
    found = hyperloglog.self_test()
    if found is not None:
        raise errors.SelfTestFailed(found)
    return "OK"
