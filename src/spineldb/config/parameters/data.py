"""Keeping the data: files, guards against costly commands, and the limits of encodings."""

from __future__ import annotations

from spineldb.config.kinds import (
    INT_MAX,
    LONG_MAX,
    Duration,
    Enum,
    Integer,
    Memory,
    Text,
    YesNo,
)
from spineldb.config.parameter import Change, Parameter, Section
from spineldb.config.special_kinds import SaveRule, SaveRules, file_name
from spineldb.config.units import MB

START = Change.START


class Persistence(Section, table="persistence"):
    """`[persistence]`: snapshots and the append-only log."""

    aof_enabled = Parameter(YesNo(), False, "appendonly", about="keep a log of every write")
    aof_path = Parameter(
        Text(),
        "spineldb_data/spineldb.aof",
        change=START,
        about="the log: its directory holds `appenddirname`, its name begins the files' names",
    )
    appenddirname = Parameter(
        Text(lambda text: file_name(text, "appenddirname")),
        "appendonlydir",
        "appenddirname",
        change=START,
        about="directory of the log's files",
    )
    appendfsync = Parameter(
        Enum("everysec", "always", "no"),
        "everysec",
        "appendfsync",
        about="when the log is forced to the disk",
    )
    no_appendfsync_on_rewrite = Parameter(
        YesNo(), False, "no-appendfsync-on-rewrite", about="do not force it while a child writes"
    )
    auto_aof_rewrite_percentage = Parameter(
        Integer(),
        100,
        "auto-aof-rewrite-percentage",
        about="growth in percent after which the log is rewritten; 0 for never",
    )
    auto_aof_rewrite_min_size = Parameter(
        Memory(0, LONG_MAX, unsigned=False),
        64 * MB,
        "auto-aof-rewrite-min-size",
        about="smallest log that is rewritten by itself",
    )
    aof_rewrite_buffer_limit = Parameter(
        Memory(), 256 * MB, about="kept for old files; a rewrite needs no buffer"
    )
    aof_use_rdb_preamble = Parameter(
        YesNo(), True, "aof-use-rdb-preamble", about="begin a rewritten log with a snapshot"
    )
    aof_load_truncated = Parameter(
        YesNo(), True, "aof-load-truncated", about="start although the log's last command is cut"
    )
    spldb_enabled = Parameter(YesNo(), True, change=START, about="keep snapshots")
    spldb_path = Parameter(
        Text(),
        "spineldb_data/dump.spldb",
        change=START,
        about="the snapshot; its directory is the data directory",
    )
    save_rules = Parameter(
        SaveRules(),
        (SaveRule(3600, 1), SaveRule(300, 100), SaveRule(60, 10000)),
        "save",
        about="when to write a snapshot: `{seconds, changes}` each",
    )
    stop_writes_on_bgsave_error = Parameter(
        YesNo(), True, "stop-writes-on-bgsave-error", about="refuse writes while snapshots fail"
    )
    rdb_version = Parameter(
        Enum("auto", "9", "10", "11", "12", "80"),
        "auto",
        about="version of the snapshot file; auto: the lowest that holds the data",
    )
    rdb_compression = Parameter(
        YesNo(), True, "rdbcompression", about="compress strings in snapshots"
    )
    rdb_checksum = Parameter(
        YesNo(), True, "rdbchecksum", change=START, about="end snapshots with a checksum"
    )
    backup_dir = Parameter(
        Text(), "", change=START, about="directory BACKUP writes below; empty: the data directory"
    )
    backup_allow_any_path = Parameter(
        YesNo(), False, change=START, about="let BACKUP write anywhere"
    )
    shutdown_timeout = Parameter(
        Duration("s"), 10, "shutdown-timeout", about="seconds a shutdown waits for replicas"
    )


class Safety(Section, table="safety"):
    """`[safety]`: guards against commands that would hold everybody up; 0 is off."""

    max_collection_scan_keys = Parameter(
        Integer(0, LONG_MAX), 0, about="largest collection that may be read whole"
    )
    max_set_operation_keys = Parameter(
        Integer(0, LONG_MAX), 0, about="most keys that a set operation or MGET may read"
    )
    script_timeout_ms = Parameter(
        Duration("ms", 0, LONG_MAX), 5000, about="milliseconds after which a script is ended"
    )
    script_busy_ms = Parameter(
        Duration("ms", 0, LONG_MAX),
        5000,
        "busy-reply-threshold",
        "lua-time-limit",
        about="milliseconds after which others are answered BUSY",
    )
    script_memory_limit_mb = Parameter(Integer(0, INT_MAX), 32, about="megabytes a script may use")
    auto_unlink_on_del_threshold = Parameter(
        Memory(0, LONG_MAX), 0, about="accepted: big values are always freed in slices"
    )
    max_bitop_alloc_size = Parameter(Memory(0, LONG_MAX), 0, about="longest result of BITOP")


_ENTRIES = Integer(0, LONG_MAX, unsigned=True)


class Encoding(Section, table="encoding"):
    """`[encoding]`: up to which size OBJECT ENCODING reports the compact form."""

    hash_max_listpack_entries = Parameter(
        _ENTRIES, 512, "hash-max-listpack-entries", "hash-max-ziplist-entries",
        about="fields of a compact hash",
    )  # fmt: skip
    hash_max_listpack_value = Parameter(
        Memory(0, LONG_MAX), 64, "hash-max-listpack-value", "hash-max-ziplist-value",
        about="bytes of its longest field or value",
    )  # fmt: skip
    list_max_listpack_size = Parameter(
        Integer(-INT_MAX - 1), -2, "list-max-listpack-size", "list-max-ziplist-size",
        about="elements of a compact list; -1 to -5: 4, 8, 16, 32, 64 KB",
    )  # fmt: skip
    list_compress_depth = Parameter(
        Integer(), 0, "list-compress-depth", about="accepted; lists are not compressed"
    )
    set_max_intset_entries = Parameter(
        _ENTRIES, 512, "set-max-intset-entries", about="members of a set of integers"
    )
    set_max_listpack_entries = Parameter(
        _ENTRIES, 128, "set-max-listpack-entries", about="members of a compact set"
    )
    set_max_listpack_value = Parameter(
        _ENTRIES, 64, "set-max-listpack-value", about="bytes of its longest member"
    )
    zset_max_listpack_entries = Parameter(
        _ENTRIES, 128, "zset-max-listpack-entries", "zset-max-ziplist-entries",
        about="members of a compact sorted set",
    )  # fmt: skip
    zset_max_listpack_value = Parameter(
        Memory(0, LONG_MAX), 64, "zset-max-listpack-value", "zset-max-ziplist-value",
        about="bytes of its longest member",
    )  # fmt: skip
    hll_sparse_max_bytes = Parameter(
        Memory(0, LONG_MAX), 3000, "hll-sparse-max-bytes", about="bytes of a sparse HyperLogLog"
    )
    stream_node_max_bytes = Parameter(
        Memory(0, LONG_MAX), 4096, "stream-node-max-bytes", about="bytes of a stream's block"
    )
    stream_node_max_entries = Parameter(
        Integer(0, LONG_MAX), 100, "stream-node-max-entries", about="entries of a stream's block"
    )
