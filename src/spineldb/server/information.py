"""The sections of INFO, in Redis's order, gathered from the parts that know.

A field whose feature does not exist yet is printed as 0 or what Redis prints for "none": monitoring
tools expect every name to be there.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from spineldb import clock
from spineldb.core.entry import Kind
from spineldb.engine.introspection import Fields, Section
from spineldb.engine.modules import MODULES
from spineldb.engine.pubsub import subscribers
from spineldb.observability.process import (
    cpu_seconds,
    human,
    resident_bytes,
    system_bytes,
)
from spineldb.version import REDIS_VERSION, SPINELDB_VERSION

if TYPE_CHECKING:
    from spineldb.core.dispatch import Command
    from spineldb.core.session import Session
    from spineldb.scripting.scripts import ScriptLibrary
    from spineldb.server.server import Server

KEYSIZES = (
    (Kind.STRING, "strings_sizes"),
    (Kind.LIST, "lists_items"),
    (Kind.SET, "sets_items"),
    (Kind.ZSET, "zsets_items"),
    (Kind.HASH, "hashes_items"),
)


def sections(server: Server) -> list[Section]:
    """Return every section."""

    def section(
        title: str, fields: Callable[[Server], Fields], *, by_default: bool = True
    ) -> Section:
        return Section(title, lambda: fields(server), by_default)

    return [
        section("Server", _server),
        section("Clients", _clients),
        section("Memory", _memory),
        section("Persistence", _persistence),
        section("Threads", _threads),
        section("Stats", _stats),
        section("Replication", _replication),
        section("CPU", _cpu),
        section("Modules", _modules),
        section("Commandstats", _commandstats, by_default=False),
        section("Errorstats", _errorstats),
        section("Latencystats", _latencystats, by_default=False),
        section("Cluster", _cluster),
        section("Keyspace", _keyspace),
        section("Keysizes", _keysizes),
    ]


def _zero(*names: str) -> Fields:
    """Yield the fields of what does not exist yet."""
    return ((name, 0) for name in names)


def _server(server: Server) -> Fields:
    engine = server.engine
    now_us = clock.unix_us()
    uptime = engine.lifecycle.uptime_seconds
    yield "spineldb_version", SPINELDB_VERSION
    yield "tcp_port", server.port
    yield from engine.emergency.info()
    yield "redis_version", REDIS_VERSION
    yield "server_name", "spineldb"
    yield from (("redis_git_sha1", "00000000"), ("redis_git_dirty", 0))
    yield "redis_build_id", engine.lifecycle.build_id
    yield "redis_mode", "standalone"
    yield "os", f"{platform.system()} {platform.release()} {platform.machine()}"
    yield "arch_bits", 64
    yield "monotonic_clock", "POSIX clock_gettime"
    yield "multiplexing_api", server.multiplexing_api
    yield "atomicvar_api", "none"
    yield "gcc_version", "none"
    yield "python_version", platform.python_version()
    yield "process_id", engine.lifecycle.process_id
    yield "process_supervised", server.supervised
    yield "run_id", engine.lifecycle.run_id
    yield "server_time_usec", now_us
    yield "uptime_in_seconds", uptime
    yield "uptime_in_days", uptime // 86400
    yield "hz", engine.settings.text("hz")
    yield "configured_hz", engine.settings.text("hz")
    yield "lru_clock", now_us // 1_000_000 & 0xFFFFFF
    yield "executable", sys.argv[0]
    yield "config_file", engine.settings.file or ""
    yield "io_threads_active", 0
    for number, listener in enumerate(server.listeners):
        yield f"listener{number}", listener


def _clients(server: Server) -> Fields:
    engine = server.engine
    sessions = list(engine.clients)
    yield "connected_clients", len(sessions)
    yield "cluster_connections", 0
    yield "maxclients", engine.settings.max_clients
    yield "client_recent_max_input_buffer", max((one.input_buffer for one in sessions), default=0)
    yield (
        "client_recent_max_output_buffer",
        max((one.output_capacity for one in sessions), default=0),
    )
    yield "blocked_clients", engine.blocking.blocked_clients
    yield from _zero("tracking_clients")
    yield "pubsub_clients", subscribers(sessions)
    yield "watching_clients", sum(_watches(one) for one in sessions)
    yield "clients_in_timeout_table", engine.blocking.waiting_for_time
    yield "total_watched_keys", engine.keyspace.watched_keys
    yield "total_blocking_keys", engine.effects.awaited_keys
    yield "total_blocking_keys_on_nokey", 0


def _watches(session: Session) -> bool:
    return session.transaction is not None and bool(session.transaction.watched)


def _memory(server: Server) -> Fields:
    engine, memory = server.engine, server.engine.memory
    used, resident = memory.used, resident_bytes()
    dataset = memory.dataset
    yield from _with_human("used_memory", used)
    yield from _with_human("used_memory_rss", resident)
    yield from _with_human("used_memory_peak", memory.peak)
    yield "used_memory_peak_time", memory.peak_at
    yield "used_memory_peak_perc", f"{100 * used / max(memory.peak, 1):.2f}%"
    yield "used_memory_overhead", memory.overhead
    yield "used_memory_startup", memory.at_start
    yield "used_memory_dataset", dataset
    yield "used_memory_dataset_perc", f"{100 * dataset / max(used - memory.at_start, 1):.2f}%"
    yield "allocator_allocated", engine.keyspace.used_memory
    yield from (("allocator_active", memory.held), ("allocator_resident", memory.held))
    yield "allocator_muzzy", 0
    yield from _with_human("total_system_memory", system_bytes())
    yield from _scripts(engine.scripts)
    yield from _with_human("maxmemory", engine.settings.maxmemory)
    yield "maxmemory_policy", engine.settings.text("maxmemory-policy")
    yield from memory.ratios(resident)
    yield "mem_not_counted_for_evict", engine.keyspace.owed_memory
    yield from _zero(
        "mem_replication_backlog",
        "mem_total_replication_buffers",
        "mem_replica_full_sync_buffer",
        "mem_clients_slaves",
    )
    yield "mem_clients_normal", memory.clients
    yield from _zero("mem_cluster_links", "mem_aof_buffer")
    yield "mem_allocator", "spineldb-slab"
    yield "mem_overhead_db_hashtable_rehashing", 0
    yield "active_defrag_running", int(engine.keyspace.defragmenting)
    waiting = engine.keyspace.dropping_keys + engine.keyspace.waiting_values
    yield "lazyfree_pending_objects", waiting
    yield "lazyfreed_objects", engine.keyspace.dropped_keys


def _with_human(name: str, size: int) -> Fields:
    yield name, size
    yield f"{name}_human", human(size)


def _scripts(scripts: ScriptLibrary) -> Fields:
    state, texts = scripts.state_bytes, scripts.text_bytes
    yield from (("used_memory_lua", state), ("used_memory_vm_eval", state))
    yield "used_memory_lua_human", human(state)
    yield "used_memory_scripts_eval", texts
    yield "number_of_cached_scripts", len(scripts.known)
    yield from _zero("number_of_functions", "number_of_libraries", "used_memory_vm_functions")
    yield from _with_human("used_memory_vm_total", state)
    yield "used_memory_functions", 0
    yield from _with_human("used_memory_scripts", texts)


def _persistence(server: Server) -> Fields:
    engine = server.engine
    started = engine.lifecycle.started_ms // 1000
    yield from _zero("loading", "async_loading", "current_cow_peak", "current_cow_size")
    yield from (("current_cow_size_age", 0), ("current_fork_perc", "0.00"))
    yield from _zero("current_save_keys_processed", "current_save_keys_total")
    yield "rdb_changes_since_last_save", engine.effects.dirty
    yield "rdb_bgsave_in_progress", 0
    yield "rdb_last_save_time", started
    yield from (("rdb_last_bgsave_status", "ok"), ("rdb_last_bgsave_time_sec", -1))
    yield "rdb_current_bgsave_time_sec", -1
    yield from _zero("rdb_saves", "rdb_last_cow_size", "rdb_last_load_keys_expired")
    yield "rdb_last_load_keys_loaded", 0
    yield from _zero("aof_enabled", "aof_rewrite_in_progress", "aof_rewrite_scheduled")
    yield from (("aof_last_rewrite_time_sec", -1), ("aof_current_rewrite_time_sec", -1))
    yield from (("aof_last_bgrewrite_status", "ok"), ("aof_rewrites", 0))
    yield "aof_rewrites_consecutive_failures", 0
    yield from (("aof_last_write_status", "ok"), ("aof_last_cow_size", 0))
    yield from _zero("module_fork_in_progress", "module_fork_last_cow_size")
    yield from _zero("aof_current_size", "aof_base_size", "aof_pending_rewrite")
    yield from _zero("aof_buffer_length", "aof_pending_bio_fsync", "aof_delayed_fsync")
    yield from (("spldb_last_save_time", started), ("spldb_bgsave_in_progress", 0))


def _threads(server: Server) -> Fields:
    network = server.network
    reads, writes = network.total_reads_processed, network.total_writes_processed
    yield "io_thread_0", f"clients={len(server.engine.clients)},reads={reads},writes={writes}"


def _stats(server: Server) -> Fields:
    engine, network, cron = server.engine, server.network, server.cron
    yield "total_connections_received", network.total_connections_received
    yield "total_commands_processed", engine.dispatcher.commands_processed
    yield "instantaneous_ops_per_sec", round(cron.commands.per_second)
    yield "total_net_input_bytes", network.total_net_input_bytes
    yield "total_net_output_bytes", network.total_net_output_bytes
    yield from _zero("total_net_repl_input_bytes", "total_net_repl_output_bytes")
    yield "instantaneous_input_kbps", f"{cron.input_bytes.per_second / 1024:.2f}"
    yield "instantaneous_output_kbps", f"{cron.output_bytes.per_second / 1024:.2f}"
    yield "instantaneous_input_repl_kbps", "0.00"
    yield "instantaneous_output_repl_kbps", "0.00"
    yield "rejected_connections", engine.clients.rejected
    yield from _zero("sync_full", "sync_partial_ok", "sync_partial_err")
    yield "expired_subkeys", engine.effects.expired_fields
    yield from _keyspace_stats(server)
    channels = engine.effects.channels
    yield "pubsub_channels", len(channels.channels)
    yield "pubsub_patterns", len(channels.patterns)
    yield "pubsubshard_channels", len(channels.shard_channels)
    yield from _zero("latest_fork_usec", "total_forks", "migrate_cached_sockets")
    yield "slave_expires_tracked_keys", 0
    yield "active_defrag_hits", engine.keyspace.moved_count
    yield from _zero("active_defrag_misses", "active_defrag_key_hits", "active_defrag_key_misses")
    yield from _zero("total_active_defrag_time", "current_active_defrag_time")
    yield from _zero("tracking_total_keys", "tracking_total_items", "tracking_total_prefixes")
    yield "unexpected_error_replies", engine.dispatcher.internal_errors
    yield "total_error_replies", engine.dispatcher.error_replies
    yield "dump_payload_sanitizations", 0
    yield from _network_stats(server)
    yield from _zero("acl_access_denied_auth", "acl_access_denied_cmd", "acl_access_denied_key")
    yield from _zero("acl_access_denied_channel", "lazy_free_queue_full_errors")


def _keyspace_stats(server: Server) -> Fields:
    engine = server.engine
    yield "expired_keys", engine.effects.expired_keys
    yield from (("expired_stale_perc", "0.00"), ("expired_time_cap_reached_count", 0))
    yield "expire_cycle_cpu_milliseconds", server.cron.expiry_ns // 1_000_000
    evicted, *exceeded = engine.eviction.info()
    yield evicted
    yield "evicted_clients", engine.clients.evicted
    yield "evicted_scripts", engine.scripts.evicted
    yield from exceeded
    yield "keyspace_hits", engine.dispatcher.context.hits
    yield "keyspace_misses", engine.dispatcher.context.misses


def _network_stats(server: Server) -> Fields:
    network, cron = server.network, server.cron
    yield "total_reads_processed", network.total_reads_processed
    yield "total_writes_processed", network.total_writes_processed
    yield from _zero("io_threaded_reads_processed", "io_threaded_writes_processed")
    yield from _zero("io_threaded_total_prefetch_batches", "io_threaded_total_prefetch_entries")
    for name in ("query", "output"):
        field = f"client_{name}_buffer_limit_disconnections"
        yield field, getattr(network, field)
    yield from _zero("reply_buffer_shrinks", "reply_buffer_expands")
    yield "eventloop_cycles", network.turns
    yield "eventloop_duration_sum", network.turns_ns // 1000
    yield "eventloop_duration_cmd_sum", cron.spent_in_commands_ns // 1000
    yield "instantaneous_eventloop_cycles_per_sec", round(cron.turns.per_second)
    yield "instantaneous_eventloop_duration_usec", cron.mean_turn_us
    yield "eventloop_lag_usec", cron.lag_us
    yield "eventloop_lag_max_usec", cron.most_lag_us


def _replication(server: Server) -> Fields:
    settings = server.engine.settings
    yield from (("role", "master"), ("connected_slaves", 0))
    yield "master_failover_state", "no-failover"
    yield "master_replid", server.engine.lifecycle.replid
    yield from (("master_replid2", "0" * 40), ("master_repl_offset", 0), ("second_repl_offset", -1))
    yield "repl_backlog_active", 0
    yield "repl_backlog_size", settings.text("repl-backlog-size")
    yield from _zero("repl_backlog_first_byte_offset", "repl_backlog_histlen")
    yield "min_replicas_to_write", settings.text("min-replicas-to-write")
    yield "min_replicas_max_lag", settings.text("min-replicas-max-lag")


def _cpu(server: Server) -> Fields:
    del server
    return ((name, f"{seconds:.6f}") for name, seconds in cpu_seconds().items())


def _modules(server: Server) -> Fields:
    del server
    return (("module", module.field) for module in MODULES)


def _commands(server: Server) -> Iterable[Command]:
    """Yield every command and subcommand that was called or refused."""
    for command in server.engine.dispatcher.commands.values():
        for one in (command, *(command.subcommands or {}).values()):
            if one.calls or one.rejected:
                yield one


def _commandstats(server: Server) -> Fields:
    for command in _commands(server):
        yield f"cmdstat_{command.name}", _statistics(command)


def _statistics(command: Command) -> str:
    mean_us = command.spent_ns / 1000 / max(command.calls, 1)
    return (
        f"calls={command.calls},usec={command.spent_ns // 1000},usec_per_call={mean_us:.2f},"
        f"rejected_calls={command.rejected},failed_calls={command.failed}"
    )


def _errorstats(server: Server) -> Fields:
    for code, count in sorted(server.engine.dispatcher.errors.items()):
        yield f"errorstat_{code}", f"count={count}"


def _latencystats(server: Server) -> Fields:
    percentiles = server.engine.settings.latency.percentiles
    for command in _commands(server):
        histogram = command.latency_histogram()
        if histogram:
            shown = ",".join(
                f"p{percentile:g}={quantile(histogram, percentile) / 1000:.3f}"
                for percentile in percentiles
            )
            yield f"latency_percentiles_usec_{command.name}", shown


def quantile(histogram: dict[int, int], percentile: float) -> int:
    """Return the smallest bound below which `percentile` per cent of a histogram lie."""
    wanted = sum(histogram.values()) * percentile / 100
    seen = 0
    bound = 0
    for bound in sorted(histogram):
        seen += histogram[bound]
        if seen >= wanted:
            break
    return bound


def _cluster(server: Server) -> Fields:
    del server
    yield "cluster_enabled", 0


def _keyspace(server: Server) -> Fields:
    for database in server.engine.keyspace.databases:
        if len(database):
            mean, expiring = database.mean_ttl_ms, database.deadlines
            shown = f"keys={len(database)},expires={expiring},avg_ttl={mean}"
            shown += f",subexpiry={database.field_deadlines}"
            yield f"db{database.index}", shown


def _keysizes(server: Server) -> Fields:
    for database in server.engine.keyspace.databases:
        for kind, name in KEYSIZES:
            sizes = database.sizes_of(kind)
            if sizes:
                shown = ",".join(f"{_bound(bound)}={count}" for bound, count in sizes.items())
                yield f"db{database.index}_distrib_{name}", shown


def _bound(bound: int) -> str:
    for unit in ("", "K", "M", "G"):
        if bound < 1024:
            return f"{bound}{unit}"
        bound //= 1024
    return f"{bound}T"
