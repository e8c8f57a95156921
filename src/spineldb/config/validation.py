"""Rules that concern several parameters, or the world outside: checked once, before the start.

Each rule yields problems: a parameter to point at, and a sentence. The wording that the original's
documents promise is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spineldb.config import units
from spineldb.config.kinds import Share
from spineldb.config.parameter import Parameter
from spineldb.config.parameters import (
    Acl,
    Cluster,
    Metrics,
    Persistence,
    Replication,
    Server,
    Tls,
)
from spineldb.config.settings import Settings

Finding = tuple[Parameter[Any], str]


def problems(settings: Settings) -> Iterator[Finding]:
    """Yield what makes a start impossible."""
    yield from _listeners(settings)
    yield from _metrics(settings)
    yield from _replication(settings)
    for parameter in (Persistence.aof_path, Persistence.spldb_path):
        yield from _path(parameter, settings.value(parameter))


def warnings(settings: Settings) -> Iterator[Finding]:
    """Yield what is allowed and probably not meant."""
    if 0 < settings.maxmemory < 1_000_000:
        yield Server.maxmemory, f"maxmemory is only {settings.maxmemory} bytes"
    elif settings.maxmemory > (available := units.available_memory()):
        yield (
            Server.maxmemory,
            f"maxmemory is {settings.maxmemory} bytes, and this process may use {available}",
        )
    if isinstance(settings.maxmemory, Share) and units.group_memory_limit() is None:
        yield (
            Server.maxmemory,
            "maxmemory is a percentage of the whole machine: no control group limits this process",
        )
    if settings.acl.enabled and not (settings.acl_file or settings.acl.users):
        yield Acl.enabled, "ACL is enabled without acl_file or users: nobody can log in"
    if settings.cluster.failover_quorum == 1:
        yield (
            Cluster.failover_quorum,
            "cluster.failover_quorum is 1: one node alone decides that another has failed",
        )
    if settings.text("daemonize") == "yes":
        yield Server.pidfile, "daemonize is accepted, but the server stays in the foreground"


def _listeners(settings: Settings) -> Iterator[Finding]:
    named = settings.host and all(address.strip() for address in settings.host)
    if not named and (settings.port or settings.tls.port):
        yield Server.host, "host cannot be empty"
    if not (settings.port or settings.tls.port or settings.unix_socket):
        yield Server.port, "port cannot be 0"
    if settings.tls.enabled or settings.tls.port:
        if not settings.tls.cert_path.strip():
            yield Tls.cert_path, "tls.cert_path cannot be empty when TLS is enabled"
        if not settings.tls.key_path.strip():
            yield Tls.key_path, "tls.key_path cannot be empty when TLS is enabled"
    if settings.tls.port and settings.tls.port == settings.port:
        yield Tls.port, "tls.port cannot be the same as the main server port"


def _metrics(settings: Settings) -> Iterator[Finding]:
    if settings.metrics.enabled and settings.metrics.port == settings.port:
        yield Metrics.port, "metrics.port cannot be the same as the main server port"


def _replication(settings: Settings) -> Iterator[Finding]:
    replication = settings.replication
    if replication.role == "replica":
        if not replication.primary_host.strip():
            yield Replication.primary_host, "primary_host cannot be empty for a replica"
        if not replication.primary_port:
            yield Replication.primary_port, "primary_port cannot be 0"
    if replication.min_replicas_to_write and not replication.min_replicas_max_lag:
        yield (
            Replication.min_replicas_max_lag,
            "min_replicas_max_lag must be greater than 0 when min_replicas_to_write is set",
        )


def _path(parameter: Parameter[Any], path: str) -> Iterator[Finding]:
    name = parameter.path.rpartition(".")[2]
    parent = Path(path).parent
    if Path(path).is_dir():
        yield parameter, f"{name} path '{path}' cannot be a directory."
    elif parent.exists() and not parent.is_dir():
        yield parameter, f"Parent path for {name} ('{parent}') exists but is not a directory."
