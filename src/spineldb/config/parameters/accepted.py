"""Redis's parameters that SpinelDB accepts and reports, although nothing here depends on them.

They are kept so that monitoring finds what it asks for, and files and provisioning scripts made
for Redis run unchanged: a value is checked, stored and printed as there. In a TOML file they live
below `[redis]`, under Redis's names.
"""

from __future__ import annotations

from typing import Any, TypeVar

from spineldb.config.kinds import (
    LONG_MAX,
    Enum,
    Integer,
    Kind,
    Memory,
    Text,
    YesNo,
)
from spineldb.config.parameter import Change, Parameter, Section
from spineldb.config.special_kinds import OomScores, ShutdownWords, collation, title_template
from spineldb.config.units import MB

T = TypeVar("T")

START = Change.START
_ANY = Integer()
_PERCENT = Integer(0, 1000)
_CYCLE = Integer(1, 99)
_SWITCH = YesNo()
_TEXT = Text()
_FACILITIES = ("user", *(f"local{number}" for number in range(8)))


def _accept(
    kind: Kind[T], default: T, *names: str, change: Change = Change.RUNTIME
) -> Parameter[T]:
    return Parameter(kind, default, *names, change=change)


ACCEPTED: tuple[Parameter[Any], ...] = (
    _accept(Memory(1, LONG_MAX), 100 * MB, "active-defrag-ignore-bytes"),
    _accept(_CYCLE, 25, "active-defrag-cycle-max"),
    _accept(_CYCLE, 1, "active-defrag-cycle-min"),
    _accept(Integer(1, LONG_MAX), 1000, "active-defrag-max-scan-fields"),
    _accept(_PERCENT, 10, "active-defrag-threshold-lower"),
    _accept(_PERCENT, 100, "active-defrag-threshold-upper"),
    _accept(Integer(1, 10), 1, "active-expire-effort"),
    _accept(_SWITCH, False, "activedefrag"),
    _accept(_SWITCH, True, "activerehashing"),
    _accept(_SWITCH, False, "always-show-logo", change=START),
    _accept(_TEXT, "", "aof-rewrite-cpulist", "aof_rewrite_cpulist", change=START),
    _accept(_SWITCH, True, "aof-rewrite-incremental-fsync"),
    _accept(_SWITCH, False, "aof-timestamp-enabled"),
    _accept(_TEXT, "", "bgsave-cpulist", "bgsave_cpulist", change=START),
    _accept(_TEXT, "", "bind-source-addr"),
    _accept(_TEXT, "", "bio-cpulist", "bio_cpulist", change=START),
    _accept(Integer(0, 100), 0, "cluster-compatibility-sample-ratio"),
    _accept(_SWITCH, True, "crash-log-enabled"),
    _accept(_SWITCH, True, "crash-memcheck-enabled"),
    _accept(_SWITCH, False, "daemonize", change=START),
    _accept(_SWITCH, True, "disable-thp", change=START),
    _accept(_SWITCH, True, "dynamic-hz"),
    _accept(Enum("no", "yes", "local"), "no", "enable-module-command", change=START),
    _accept(_SWITCH, False, "hide-user-data-from-log"),
    _accept(Integer(clamp=(1, 500)), 10, "hz"),
    _accept(_TEXT, "", "ignore-warnings"),
    _accept(Integer(1, 128), 1, "io-threads", change=START),
    _accept(_SWITCH, True, "jemalloc-bg-thread"),
    _accept(_SWITCH, False, "lazyfree-lazy-eviction"),
    _accept(_SWITCH, False, "lazyfree-lazy-expire"),
    _accept(_SWITCH, False, "lazyfree-lazy-server-del"),
    _accept(_SWITCH, False, "lazyfree-lazy-user-del"),
    _accept(_SWITCH, False, "lazyfree-lazy-user-flush"),
    _accept(Text(collation), "", "locale-collate"),
    _accept(Integer(1, 1000, unsigned=True), 10, "max-new-connections-per-cycle"),
    _accept(Integer(1, 1000, unsigned=True), 1, "max-new-tls-connections-per-cycle"),
    _accept(
        Enum("no", "yes", "relative", "absolute", aliases={"relative": "yes"}),
        "no",
        "oom-score-adj",
    ),
    _accept(OomScores(), (0, 200, 800), "oom-score-adj-values"),
    _accept(Text(title_template), "{title} {listen-addr} {server-mode}", "proc-title-template"),
    _accept(Enum("ignore", "panic", "panic-on-replicas"), "ignore", "propagation-error-behavior"),
    _accept(_SWITCH, False, "rdb-del-sync-files"),
    _accept(_SWITCH, True, "rdb-save-incremental-fsync"),
    _accept(_SWITCH, False, "repl-disable-tcp-nodelay"),
    _accept(Enum("disabled", "on-empty-db", "swapdb"), "disabled", "repl-diskless-load"),
    _accept(_ANY, 0, "repl-diskless-sync-max-replicas"),
    _accept(Memory(0, LONG_MAX, unsigned=False), 0, "replica-full-sync-buffer-limit"),
    _accept(_SWITCH, False, "replica-ignore-disk-write-errors"),
    _accept(_SWITCH, False, "replica-lazy-flush", "slave-lazy-flush"),
    _accept(Enum("no", "yes", "clients"), "no", "sanitize-dump-payload"),
    _accept(_TEXT, "", "server-cpulist", "server_cpulist", change=START),
    _accept(_SWITCH, True, "set-proc-title", change=START),
    _accept(ShutdownWords(), "default", "shutdown-on-sigint"),
    _accept(ShutdownWords(), "default", "shutdown-on-sigterm"),
    _accept(Integer(0, 2**32 - 1, unsigned=True), 0, "socket-mark-id", change=START),
    _accept(Enum("upstart", "systemd", "auto", "no"), "no", "supervised", change=START),
    _accept(_SWITCH, False, "syslog-enabled", change=START),
    _accept(Enum(*_FACILITIES), "local0", "syslog-facility", change=START),
    _accept(_TEXT, "redis", "syslog-ident", change=START),
    _accept(_SWITCH, False, "vset-force-single-threaded-execution"),
)


class Accepted(Section, table="redis"):
    """`[redis]`: accepted without effect."""

    parameters = ACCEPTED


for _parameter in ACCEPTED:
    _parameter.path = f"redis.{_parameter.names[0]}"

OBSOLETE = frozenset({
    "aof-disable-auto-gc", "io-threads-do-reads", "list-max-ziplist-entries",
    "list-max-ziplist-value", "lua-replicate-commands", "slave-diskless-sync",
})  # fmt: skip
"""Names that Redis once had: a file may still set them, and nothing happens."""
