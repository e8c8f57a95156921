"""More than one server: replication, cluster, and the TLS between them and their clients."""

from __future__ import annotations

from spineldb.config.kinds import LONG_MAX, Duration, Enum, Integer, Memory, Text, YesNo
from spineldb.config.parameter import Change, Parameter, Section
from spineldb.config.special_kinds import hostname, node_name
from spineldb.config.units import MB

START, APPLIED = Change.START, Change.APPLIED
_PORT = Integer(0, 65535)


class Replication(Section, table="replication"):
    """`[replication]`: primary or replica, and how they keep in touch."""

    role = Parameter(
        Enum("primary", "replica"), "primary", change=START, about="what this server is"
    )
    primary_host = Parameter(Text(), "", change=START, about="a replica's primary")
    primary_port = Parameter(_PORT, 0, change=START, about="its port")
    primary_user = Parameter(Text(), "", "masteruser", about="user to log in as there")
    primary_password = Parameter(
        Text(), "", "masterauth", secret=True, about="password to log in with there"
    )
    tls_enabled = Parameter(YesNo(), False, "tls-replication", about="use TLS to the primary")
    min_replicas_to_write = Parameter(
        Integer(),
        0,
        "min-replicas-to-write",
        "min-slaves-to-write",
        about="refuse writes with fewer replicas in touch; 0 for never",
    )
    min_replicas_max_lag = Parameter(
        Duration("s"),
        10,
        "min-replicas-max-lag",
        "min-slaves-max-lag",
        about="seconds of silence after which a replica no longer counts",
    )
    fencing_on_replica_disconnect = Parameter(
        YesNo(), False, about="become read-only after losing the quorum of replicas"
    )
    replica_quorum_timeout_secs = Parameter(
        Duration("s"), 10, about="seconds without a quorum before that"
    )
    replica_priority = Parameter(
        Integer(),
        100,
        "replica-priority",
        "slave-priority",
        about="rank in a failover, lowest first; 0 for never",
    )
    replica_read_only = Parameter(
        YesNo(), True, "replica-read-only", "slave-read-only", about="a replica refuses writes"
    )
    replica_serve_stale_data = Parameter(
        YesNo(),
        True,
        "replica-serve-stale-data",
        "slave-serve-stale-data",
        about="a replica answers while its primary is away",
    )
    replica_ignore_maxmemory = Parameter(
        YesNo(),
        True,
        "replica-ignore-maxmemory",
        "slave-ignore-maxmemory",
        about="a replica leaves evicting to its primary",
    )
    announce_ip = Parameter(
        Text(), "", "replica-announce-ip", "slave-announce-ip", about="address to tell others"
    )
    announce_port = Parameter(
        _PORT, 0, "replica-announce-port", "slave-announce-port", about="port to tell others"
    )
    announced = Parameter(
        YesNo(), True, "replica-announced", about="let failover monitors know of this replica"
    )
    backlog_size = Parameter(
        Memory(1, LONG_MAX, unsigned=False, least=16384),
        MB,
        "repl-backlog-size",
        about="bytes kept for replicas that come back",
    )
    backlog_ttl = Parameter(
        Duration("s", 0, LONG_MAX),
        3600,
        "repl-backlog-ttl",
        about="seconds without replicas after which they are dropped; 0 for never",
    )
    timeout = Parameter(
        Duration("s", 1), 60, "repl-timeout", about="seconds of silence that end a link"
    )
    ping_period = Parameter(
        Duration("s", 1),
        10,
        "repl-ping-replica-period",
        "repl-ping-slave-period",
        about="seconds between a primary's pings",
    )
    diskless_sync = Parameter(
        YesNo(), True, "repl-diskless-sync", about="send snapshots without writing them first"
    )
    diskless_sync_delay = Parameter(
        Duration("s"),
        5,
        "repl-diskless-sync-delay",
        about="seconds to wait for more replicas before that",
    )
    foreign_replica_types = Parameter(
        Enum("refuse", "skip"),
        "refuse",
        about="values that a replica of another make cannot read",
    )
    emergency_disconnect_replicas = Parameter(
        YesNo(), False, about="part with replicas in emergency read-only mode"
    )
    digest_interval = Parameter(
        Duration("s"), 0, about="seconds between comparisons with the primary; 0 for never"
    )


class Cluster(Section, table="cluster"):
    """`[cluster]`: sharding over several servers."""

    enabled = Parameter(YesNo(), False, "cluster-enabled", change=START, about="be a cluster node")
    config_file = Parameter(
        Text(), "nodes.conf", "cluster-config-file", change=START, about="file of the node's state"
    )
    node_timeout = Parameter(
        Duration("ms", 0, LONG_MAX),
        15000,
        "cluster-node-timeout",
        about="milliseconds of silence after which a node counts as failing",
    )
    announce_ip = Parameter(Text(), "", "cluster-announce-ip", about="address to tell others")
    announce_port = Parameter(_PORT, 0, "cluster-announce-port", about="port to tell others")
    announce_tls_port = Parameter(
        _PORT, 0, "cluster-announce-tls-port", about="TLS port to tell others"
    )
    announce_bus_port = Parameter(
        _PORT, 0, "cluster-announce-bus-port", about="bus port to tell others"
    )
    announce_hostname = Parameter(
        Text(hostname), "", "cluster-announce-hostname", about="host name to tell others"
    )
    announce_human_nodename = Parameter(
        Text(node_name), "", "cluster-announce-human-nodename", about="name for logs"
    )
    preferred_endpoint_type = Parameter(
        Enum("ip", "hostname", "unknown-endpoint"),
        "ip",
        "cluster-preferred-endpoint-type",
        about="how nodes are named to clients",
    )
    bus_port = Parameter(
        _PORT, 0, "cluster-port", change=START, about="bus port; 0 for port + `bus_port_offset`"
    )
    bus_port_offset = Parameter(
        Integer(0, 65535), 10000, change=START, about="from the client port to the bus port"
    )
    bus_auth = Parameter(
        Enum("none", "hmac", "tls"), "none", change=START, about="how nodes trust each other"
    )
    bus_secret = Parameter(
        Text(), "", change=START, secret=True, about='the secret of `bus_auth = "hmac"`'
    )
    failover_quorum = Parameter(Integer(), 0, about="votes a failover needs; 0 for the majority")
    replica_initiated_failover = Parameter(
        YesNo(), True, about="let a replica replace its failed primary"
    )
    replica_no_failover = Parameter(
        YesNo(),
        False,
        "cluster-replica-no-failover",
        "cluster-slave-no-failover",
        about="keep this replica out of failovers",
    )
    replica_validity_factor = Parameter(
        Integer(),
        10,
        "cluster-replica-validity-factor",
        "cluster-slave-validity-factor",
        about="how stale a replica may be for a failover; 0 for any",
    )
    migration_barrier = Parameter(
        Integer(), 1, "cluster-migration-barrier", about="replicas a primary keeps for itself"
    )
    allow_replica_migration = Parameter(
        YesNo(),
        True,
        "cluster-allow-replica-migration",
        about="move replicas to orphaned primaries",
    )
    require_full_coverage = Parameter(
        YesNo(), True, "cluster-require-full-coverage", about="refuse all when a slot is not served"
    )
    allow_reads_when_down = Parameter(
        YesNo(),
        False,
        "cluster-allow-reads-when-down",
        about="serve reads when the cluster is down",
    )
    allow_pubsubshard_when_down = Parameter(
        YesNo(),
        True,
        "cluster-allow-pubsubshard-when-down",
        about="serve sharded pub/sub when the cluster is down",
    )
    link_sendbuf_limit = Parameter(
        Memory(0, LONG_MAX), 0, "cluster-link-sendbuf-limit", about="bytes queued for one node"
    )
    slot_stats_enabled = Parameter(
        YesNo(), False, "cluster-slot-stats-enabled", about="keep statistics of each slot"
    )
    cluster_databases = Parameter(
        Integer(1),
        1,
        "cluster-databases",
        change=START,
        about="how many databases a cluster has",
    )
    tls = Parameter(YesNo(), False, "tls-cluster", about="use TLS between nodes")


class Tls(Section, table="tls"):
    """`[tls]`: encrypted connections. Changed files are read again without dropping any."""

    enabled = Parameter(
        YesNo(), False, change=START, about="speak TLS on `port`, instead of plain text"
    )
    port = Parameter(
        _PORT, 0, "tls-port", change=APPLIED, about="port that speaks TLS beside `port`; 0 for none"
    )
    cert_path = Parameter(Text(), "", "tls-cert-file", about="certificate (PEM)")
    key_path = Parameter(Text(), "", "tls-key-file", about="its private key (PEM)")
    key_passphrase = Parameter(
        Text(), "", "tls-key-file-pass", secret=True, about="passphrase of the key"
    )
    client_cert_path = Parameter(
        Text(), "", "tls-client-cert-file", about="certificate as a client of other servers"
    )
    client_key_path = Parameter(Text(), "", "tls-client-key-file", about="its private key")
    client_key_passphrase = Parameter(
        Text(), "", "tls-client-key-file-pass", secret=True, about="passphrase of that key"
    )
    ca_cert_path = Parameter(
        Text(), "", "tls-ca-cert-file", about="certificates that sign those of clients and servers"
    )
    ca_cert_dir = Parameter(Text(), "", "tls-ca-cert-dir", about="directory of such certificates")
    dh_params_path = Parameter(
        Text(), "", "tls-dh-params-file", about="parameters for Diffie-Hellman"
    )
    client_auth = Parameter(
        Enum("no", "yes", "optional", aliases={"required": "yes"}),
        "yes",
        "tls-auth-clients",
        about="whether clients must show a certificate: no, optional, required",
    )
    min_version = Parameter(
        Enum("1.2", "1.3"), "1.2", about="oldest version, unless `protocols` says more"
    )
    protocols = Parameter(Text(), "", "tls-protocols", about="versions, as `TLSv1.2 TLSv1.3`")
    ciphers = Parameter(Text(), "", "tls-ciphers", about="ciphers up to TLS 1.2")
    cipher_suites = Parameter(Text(), "", "tls-ciphersuites", about="cipher suites of TLS 1.3")
    prefer_server_ciphers = Parameter(
        YesNo(), False, "tls-prefer-server-ciphers", about="choose by our order, not the client's"
    )
    session_caching = Parameter(
        YesNo(), True, "tls-session-caching", about="let clients resume sessions"
    )
    session_cache_size = Parameter(
        Integer(), 20480, "tls-session-cache-size", about="sessions remembered; 0 for no limit"
    )
    session_cache_timeout = Parameter(
        Duration("s"), 300, "tls-session-cache-timeout", about="seconds a session is remembered"
    )
