"""Settings in force: what changes in the running server when CONFIG SET changes a parameter.

Each function below applies some parameters; it is called once at the start and then whenever one of
them has changed. It raises `Refused` when it cannot: the old values come back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from spineldb import errors
from spineldb.config.kinds import Refused
from spineldb.core.effects import EventClass
from spineldb.server import process

if TYPE_CHECKING:
    from spineldb.server.server import Server


def apply_settings(server: Server) -> None:
    """Apply all settings, and again whenever they change."""
    for names, apply in _APPLIERS:

        def act(apply: Callable[[Server], None] = apply) -> None:
            apply(server)

        act()
        server.engine.settings.subscribe(act, *names)


def _memory(server: Server) -> None:
    settings, keyspace = server.engine.settings, server.engine.keyspace
    server.engine.dispatcher.limit_memory(settings.maxmemory)
    policy = settings.text("maxmemory-policy")
    server.engine.eviction.follow(
        policy, settings.maxmemory_samples, settings.maxmemory_eviction_tenacity
    )
    keyspace.lfu = "lfu" in policy
    keyspace.lfu_log_factor = settings.lfu_log_factor
    keyspace.lfu_decay_minutes = settings.lfu_decay_time


def _encodings(server: Server) -> None:
    for name in _THRESHOLDS:
        setattr(server.engine.keyspace, name, getattr(server.engine.settings.encoding, name))


def _limits(server: Server) -> None:
    limits, network = server.engine.settings.limits, server.network
    server.engine.keyspace.string_limit = limits.proto_max_bulk_len
    network.bulk_limit = limits.proto_max_bulk_len
    network.query_buffer_limit = limits.client_query_buffer
    network.handshake_timeout_ms = int(limits.handshake_timeout * 1000)
    network.max_unauthenticated = limits.max_unauthenticated_clients
    network.idle_timeout_s = server.engine.settings.timeout
    for class_, limit in enumerate(
        (limits.output_buffer.normal, limits.output_buffer.replica, limits.output_buffer.pubsub)
    ):
        network.limit_output(class_, limit.hard, limit.soft, limit.soft_seconds)


def _guards(server: Server) -> None:
    limits = server.engine.settings.safety
    server.engine.keyspace.bitop_limit = limits.max_bitop_alloc_size
    server.engine.safety.limit(limits.max_collection_scan_keys, limits.max_set_operation_keys)


def _logs(server: Server) -> None:
    settings, observer = server.engine.settings, server.engine.observer
    observer.slow.threshold = settings.slowlog.threshold_us
    observer.slow.resize(settings.slowlog.max_len)
    observer.large_requests.threshold = settings.slowlog.request_larger_than
    observer.large_requests.resize(settings.slowlog.large_request_max_len)
    observer.large_replies.threshold = settings.slowlog.reply_larger_than
    observer.large_replies.resize(settings.slowlog.large_reply_max_len)
    observer.latency.threshold_ms = settings.latency.threshold_ms
    observer.arm()
    server.engine.dispatcher.track_latency = settings.latency.tracking


#: The class of events that each letter of notify-keyspace-events stands for.
_EVENT_LETTERS = {
    "K": EventClass.EVENT_KEYSPACE,
    "E": EventClass.EVENT_KEYEVENT,
    "g": EventClass.EVENT_GENERIC,
    "$": EventClass.EVENT_STRING,
    "l": EventClass.EVENT_LIST,
    "s": EventClass.EVENT_SET,
    "h": EventClass.EVENT_HASH,
    "z": EventClass.EVENT_ZSET,
    "x": EventClass.EVENT_EXPIRED,
    "e": EventClass.EVENT_EVICTED,
    "t": EventClass.EVENT_STREAM,
    "d": EventClass.EVENT_MODULE,
    "m": EventClass.EVENT_KEY_MISS,
    "n": EventClass.EVENT_NEW,
    "o": EventClass.EVENT_OVERWRITTEN,
    "c": EventClass.EVENT_TYPE_CHANGED,
}


def _keyspace_events(server: Server) -> None:
    letters = server.engine.settings.notify_keyspace_events
    mask = 0
    for letter in letters:
        mask |= _EVENT_LETTERS[letter]
    published = mask & (EventClass.EVENT_KEYSPACE | EventClass.EVENT_KEYEVENT)
    server.engine.effects.listen(mask if published else 0)


def _log_level(server: Server) -> None:
    if server.log_output is not None:
        server.log_output.set_level(server.engine.settings.log_level)


def _clients(server: Server) -> None:
    if server.owns_process:
        wanted = server.engine.settings.max_clients
        possible = process.allow_clients(wanted)
        if possible < wanted:
            raise Refused(errors.TOO_MANY_CLIENTS.format(possible))


# OBJECT ENCODING's thresholds: parameters of [encoding] that the keyspace has under the same names.
_THRESHOLDS = (
    "hash_max_listpack_entries",
    "hash_max_listpack_value",
    "hll_sparse_max_bytes",
    "list_max_listpack_size",
    "set_max_intset_entries",
    "set_max_listpack_entries",
    "set_max_listpack_value",
    "stream_node_max_bytes",
    "stream_node_max_entries",
    "zset_max_listpack_entries",
    "zset_max_listpack_value",
)

_APPLIERS: tuple[tuple[tuple[str, ...], Callable[[Server], None]], ...] = (
    (
        (
            "maxmemory",
            "maxmemory-policy",
            "maxmemory-samples",
            "maxmemory-eviction-tenacity",
            "lfu-log-factor",
            "lfu-decay-time",
        ),
        _memory,
    ),
    (tuple(name.replace("_", "-") for name in _THRESHOLDS), _encodings),
    (
        (
            "proto-max-bulk-len",
            "client-query-buffer-limit",
            "client-output-buffer-limit",
            "limits.handshake_timeout",
            "limits.max_unauthenticated_clients",
            "timeout",
        ),
        _limits,
    ),
    (
        (
            "safety.max_bitop_alloc_size",
            "safety.max_collection_scan_keys",
            "safety.max_set_operation_keys",
        ),
        _guards,
    ),
    (
        (
            "slowlog-log-slower-than",
            "slowlog-max-len",
            "commandlog-request-larger-than",
            "commandlog-large-request-max-len",
            "commandlog-reply-larger-than",
            "commandlog-large-reply-max-len",
            "latency-monitor-threshold",
            "latency-tracking",
        ),
        _logs,
    ),
    (("notify-keyspace-events",), _keyspace_events),
    (("loglevel",), _log_level),
    (("maxclients",), _clients),
)
