"""Listening, clients, memory, security, observation: what concerns the server as a whole."""

from __future__ import annotations

from spineldb.config.kinds import (
    LONG_MAX,
    Duration,
    Enum,
    Integer,
    MaxMemory,
    Memory,
    Names,
    Octal,
    Tables,
    Text,
    Words,
    YesNo,
)
from spineldb.config.parameter import Change, Parameter, Section
from spineldb.config.special_kinds import (
    KeyspaceEvents,
    LogLevel,
    OutputLimit,
    OutputLimitKind,
    Percentiles,
)
from spineldb.config.units import GB, MB

START, APPLIED = Change.START, Change.APPLIED

NO_EVICTION = "noeviction"


class Server(Section):
    """The top level of the file."""

    strict_config = Parameter(
        YesNo(), True, change=START, about="refuse unknown keys, instead of warning of them"
    )
    host = Parameter(
        Words(),
        ("127.0.0.1",),
        "bind",
        change=APPLIED,
        about="addresses to listen on; `*` is all of IPv4, `::*` all of IPv6, and an address "
        "with `-` before it may be missing",
    )
    port = Parameter(Integer(0, 65535), 7878, "port", change=APPLIED, about="TCP port; 0 for none")
    unix_socket = Parameter(
        Text(), "", "unixsocket", change=START, about="path of a unix socket to listen on"
    )
    unix_socket_perm = Parameter(
        Octal(), 0, "unixsocketperm", change=START, about="its permissions; 0 leaves them alone"
    )
    tcp_backlog = Parameter(
        Integer(), 511, "tcp-backlog", change=START, about="connections the kernel may queue"
    )
    tcp_keepalive = Parameter(
        Duration("s"), 300, "tcp-keepalive", about="seconds between probes of idle connections"
    )
    timeout = Parameter(
        Duration("s"), 0, "timeout", about="close a client idle for so many seconds; 0 for never"
    )
    protected_mode = Parameter(
        YesNo(),
        True,
        "protected-mode",
        about="serve only this machine while the default user needs no password",
    )
    max_clients = Parameter(
        Integer(1, 2**32 - 1, unsigned=True),
        10000,
        "maxclients",
        about="clients served at once; bounded by the process's file descriptors",
    )
    databases = Parameter(
        Integer(1), 16, "databases", change=START, about="how many databases SELECT offers"
    )
    maxmemory = Parameter(
        MaxMemory(), 0, "maxmemory", about="limit of the dataset's memory; 0 for none"
    )
    maxmemory_policy = Parameter(
        Enum(
            "volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl", "allkeys-lru",
            "allkeys-lfu", "allkeys-random", NO_EVICTION, aliases={"no-eviction": NO_EVICTION},
        ),
        NO_EVICTION,
        "maxmemory-policy",
        about="what to evict at the limit",
    )  # fmt: skip
    maxmemory_samples = Parameter(
        Integer(1, 64), 5, "maxmemory-samples", about="keys looked at for each eviction"
    )
    maxmemory_eviction_tenacity = Parameter(
        Integer(0, 100),
        10,
        "maxmemory-eviction-tenacity",
        about="time for eviction per turn: 10 is 1 ms, 100 as long as it needs",
    )
    lfu_log_factor = Parameter(
        Integer(), 10, "lfu-log-factor", about="how slowly the counter of uses grows"
    )
    lfu_decay_time = Parameter(
        Integer(), 1, "lfu-decay-time", about="minutes after which the counter of uses halves"
    )
    notify_keyspace_events = Parameter(
        KeyspaceEvents(),
        "",
        "notify-keyspace-events",
        about="classes of keyspace events to publish",
    )
    tracking_table_max_keys = Parameter(
        Integer(0, LONG_MAX, unsigned=True),
        1_000_000,
        "tracking-table-max-keys",
        about="keys remembered for clients that cache; 0 for no limit",
    )
    acl_file = Parameter(Text(), "", "aclfile", change=START, about="file of users")
    log_level = Parameter(
        LogLevel(),
        "info",
        "loglevel",
        about="trace, debug, verbose, info, warn, error, nothing; or a filter such as "
        "`info,replication=debug`",
    )
    log_format = Parameter(
        Enum("text", "json"), "text", change=START, about="how a line is written"
    )
    log_file = Parameter(
        Text(), "", "logfile", change=START, about="file to log to; empty for standard output"
    )
    log_color = Parameter(
        Enum("auto", "always", "never"), "auto", change=START, about="colours; auto: on a terminal"
    )
    log_keys = Parameter(
        YesNo(), False, about="let lines of level trace name keys; values are never logged"
    )
    module_type_names = Parameter(
        Enum("redis", "spinel"), "redis", about="names TYPE has for JSON, filters and sketches"
    )
    probabilistic_errors = Parameter(
        Enum("redisbloom", "spinel"), "redisbloom", about="error texts of filters and sketches"
    )
    pidfile = Parameter(Text(), "", "pidfile", change=START, about="file for the process id")


class Security(Section, table="security"):
    """`[security]`: who may connect, and where the server itself may go."""

    password = Parameter(
        Text(), "", "requirepass", secret=True, about="password of the default user; empty for none"
    )
    allowed_fetch_domains = Parameter(
        Words(), (), about="globs of hosts that CACHE may fetch from; empty for every host"
    )
    allowed_fetch_ports = Parameter(
        Words(), (), about="ports that CACHE may fetch from; empty for every port"
    )
    allow_private_fetch_ips = Parameter(
        YesNo(), False, about="let CACHE fetch from addresses that are not globally routable"
    )
    auth_workers = Parameter(
        Integer(1, 64), 2, change=START, about="threads that check hashed passwords"
    )
    auth_fail_delay = Parameter(
        Duration("ms"), 100, about="how long a client waits after a wrong password"
    )
    rename_commands = Parameter(
        Names(),
        {},
        change=START,
        listed=False,
        about="new names of commands, as redis.conf's `rename-command`; an empty one removes it",
    )


class Acl(Section, table="acl"):
    """`[acl]`: users and their rules."""

    enabled = Parameter(
        YesNo(), False, change=START, about="start the default user `off` unless users define it"
    )
    rules = Parameter(Tables(), (), change=START, listed=False, about="named rule sets")
    users = Parameter(
        Tables(), (), change=START, listed=False, about="users: `{name, rules}` in ACL's syntax"
    )
    log_max_len = Parameter(
        Integer(0, LONG_MAX, unsigned=False), 128, "acllog-max-len", about="entries ACL LOG keeps"
    )
    pubsub_default = Parameter(
        Enum("allchannels", "resetchannels"),
        "resetchannels",
        "acl-pubsub-default",
        about="channels of a new user",
    )
    legacy_error_text = Parameter(
        YesNo(), False, about="refuse in the original's words, not Redis's"
    )


class OutputBuffer(Section, table="limits.output_buffer"):
    """`[limits.output_buffer]`: replies that may wait, by class of client."""

    normal = Parameter(OutputLimitKind(), OutputLimit(0, 0, 0), about="ordinary clients")
    replica = Parameter(OutputLimitKind(), OutputLimit(256 * MB, 64 * MB, 60), about="replicas")
    pubsub = Parameter(OutputLimitKind(), OutputLimit(32 * MB, 8 * MB, 60), about="subscribers")


class Limits(Section, table="limits"):
    """`[limits]`: what one client may take."""

    proto_max_bulk_len = Parameter(
        Memory(MB, LONG_MAX, unsigned=False),
        512 * MB,
        "proto-max-bulk-len",
        about="longest argument, and longest string",
    )
    client_query_buffer = Parameter(
        Memory(MB, LONG_MAX),
        GB,
        "client-query-buffer-limit",
        about="bytes of requests waiting to be run, per client",
    )
    output_buffer: OutputBuffer
    maxmemory_clients = Parameter(
        Memory(percent=True),
        0,
        "maxmemory-clients",
        about="memory of all clients' buffers, or a share of `maxmemory`; 0 for no limit",
    )
    handshake_timeout = Parameter(
        Duration("s"), 10, about="seconds for the TLS handshake and the first AUTH"
    )
    max_unauthenticated_clients = Parameter(
        Integer(0), 1000, about="clients that have not said AUTH yet, at once; 0 for no limit"
    )

    def __init__(self) -> None:
        super().__init__()
        self.output_buffer = OutputBuffer()


class Metrics(Section, table="metrics"):
    """`[metrics]`: the Prometheus endpoint."""

    enabled = Parameter(YesNo(), False, change=START, about="serve metrics over HTTP")
    host = Parameter(Words(), (), change=START, about="addresses to serve on; those of `host`")
    port = Parameter(Integer(1, 65535), 8878, change=START, about="its port")
    path = Parameter(Text(), "/metrics", change=START, about="path of the metrics")
    legacy_names = Parameter(
        YesNo(), True, change=START, about="also serve the names of the original"
    )
    bearer_token = Parameter(
        Text(), "", change=START, secret=True, about="token a scraper must send; empty for none"
    )


class Slowlog(Section, table="slowlog"):
    """`[slowlog]`: commands that took long, or much."""

    threshold_us = Parameter(
        Duration("us", -1, LONG_MAX),
        10_000,
        "slowlog-log-slower-than",
        "commandlog-execution-slower-than",
        about="microseconds from which a command is logged; -1 for never",
    )
    max_len = Parameter(
        Integer(0, LONG_MAX),
        128,
        "slowlog-max-len",
        "commandlog-slow-execution-max-len",
        about="entries the log keeps",
    )
    request_larger_than = Parameter(
        Integer(-1, LONG_MAX),
        MB,
        "commandlog-request-larger-than",
        about="bytes from which COMMANDLOG keeps a request; -1 for never",
    )
    large_request_max_len = Parameter(
        Integer(0, LONG_MAX), 128, "commandlog-large-request-max-len", about="how many of them"
    )
    reply_larger_than = Parameter(
        Integer(-1, LONG_MAX),
        MB,
        "commandlog-reply-larger-than",
        about="bytes from which COMMANDLOG keeps a request for its reply; -1 for never",
    )
    large_reply_max_len = Parameter(
        Integer(0, LONG_MAX), 128, "commandlog-large-reply-max-len", about="how many of them"
    )


class Json(Section, table="json"):
    """`[json]`: how JSON commands answer."""

    path_mode = Parameter(
        Enum("redisjson", "spinel"),
        "redisjson",
        about="answer as RedisJSON does, or as the original's documents say",
    )


class Latency(Section, table="latency"):
    """`[latency]`: what LATENCY watches."""

    threshold_ms = Parameter(
        Duration("ms", 0, LONG_MAX),
        0,
        "latency-monitor-threshold",
        about="milliseconds from which an event is recorded; 0 for never",
    )
    tracking = Parameter(
        YesNo(), True, "latency-tracking", about="keep a histogram for each command"
    )
    percentiles = Parameter(
        Percentiles(),
        (50.0, 99.0, 99.9),
        "latency-tracking-info-percentiles",
        about="percentiles in INFO latencystats",
    )


class Debug(Section, table="debug"):
    """`[debug]`: what can hurt, off unless asked for."""

    enable_debug_command = Parameter(
        Enum("no", "yes", "local"),
        "no",
        "enable-debug-command",
        change=START,
        about="who may run DEBUG",
    )
    enable_protected_configs = Parameter(
        Enum("no", "yes", "local"),
        "no",
        "enable-protected-configs",
        change=START,
        about="who may change `dir` and `dbfilename` at run time",
    )
