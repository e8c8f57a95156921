"""Which Python values a command may return, and so which replies there are.

A command never sees the protocol's version: `core.resp` writes each value as the client's version
wants it (the table stands in `docs/tour.md`). The classes here say what a plain list cannot:

* `Pairs` for values with a companion (WITHSCORES): flat in RESP2, an array of pairs in RESP3;
* `Mapping` for what is an array of pairs in RESP2 and a map in RESP3 (XREAD);
* `Members` for sets, `Push` for messages nobody asked for, `Verbatim` for text for people;
* `Raw` for RESP that no Python value stands for (DEBUG PROTOCOL);
* `NULL_ARRAY` for the null that RESP2 writes as `*-1`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from spineldb.core.resp import (
    NULL_ARRAY,
    Mapping,
    Members,
    NullArray,
    Pairs,
    Push,
    Raw,
    Shaped,
    Verbatim,
    encode,
)

__all__ = [
    "NULL_ARRAY",
    "Mapping",
    "Members",
    "NullArray",
    "Pairs",
    "Push",
    "Raw",
    "Reply",
    "Shaped",
    "Verbatim",
    "encode",
]

# An error inside a list (EXEC, scripts) is the exception itself; outside of lists it is raised.
Reply: TypeAlias = (
    bytes
    | str
    | int
    | float
    | Shaped
    | NullArray
    | Exception
    | Sequence["Reply"]
    | dict[Any, Any]
    | None
)
