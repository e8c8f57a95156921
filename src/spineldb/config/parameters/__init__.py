"""The one table of parameters: every name that a file, a flag, the environment or CONFIG knows.

Sections are declared by area in the modules of this package; what is stated there is stated
nowhere else. `ENTRIES` is the order of CONFIG GET, `BY_NAME` finds an entry by any of its names,
in lower case: Redis's names and dotted TOML paths.
"""

from __future__ import annotations

from typing import Any

from spineldb.config.parameter import Parameter, Section, View
from spineldb.config.parameters.accepted import ACCEPTED, OBSOLETE, Accepted
from spineldb.config.parameters.cache import Cache
from spineldb.config.parameters.cluster import Cluster, Replication, Tls
from spineldb.config.parameters.data import Encoding, Persistence, Safety
from spineldb.config.parameters.server import (
    Acl,
    Debug,
    Json,
    Latency,
    Limits,
    Metrics,
    OutputBuffer,
    Security,
    Server,
    Slowlog,
)
from spineldb.config.parameters.views import VIEWS

__all__ = [
    "ACCEPTED", "BY_NAME", "ENTRIES", "OBSOLETE", "PARAMETERS", "SECTIONS", "VIEWS", "Accepted",
    "Acl", "Cache", "Cluster", "Debug", "Encoding", "Json", "Latency", "Limits", "Metrics",
    "OutputBuffer", "Persistence", "Replication", "Safety", "Security", "Server", "Slowlog", "Tls",
]  # fmt: skip

SECTIONS: tuple[type[Section], ...] = (
    Server, Security, Acl, Limits, OutputBuffer, Persistence, Replication, Cluster, Tls, Safety,
    Encoding, Cache, Metrics, Slowlog, Latency, Json, Debug, Accepted,
)  # fmt: skip

PARAMETERS: tuple[Parameter[Any], ...] = tuple(
    parameter for section in SECTIONS for parameter in section.parameters
)

ENTRIES: tuple[Parameter[Any] | View, ...] = (*PARAMETERS, *VIEWS)

BY_NAME: dict[str, Parameter[Any] | View] = {
    name: entry for entry in ENTRIES for name in entry.names
} | {parameter.path: parameter for parameter in PARAMETERS}
BY_NAME["aof_enabled"] = Persistence.aof_enabled  # as the original called it
