"""The HTTP cache: fetching, storing, forgetting."""

from __future__ import annotations

from spineldb.config.kinds import LONG_MAX, Duration, Integer, Memory, Tables, Text, Words, YesNo
from spineldb.config.parameter import Change, Parameter, Section
from spineldb.config.units import MB

START = Change.START


class Cache(Section, table="cache"):
    """`[cache]`: the HTTP-aware cache."""

    streaming_threshold_bytes = Parameter(
        Memory(0, LONG_MAX), MB, about="bodies of this size or more go to disk"
    )
    on_disk_path = Parameter(
        Text(),
        "spineldb_data/cache_files",
        change=START,
        about="directory of bodies on disk; empty for none",
    )
    max_disk_size = Parameter(
        Memory(0, LONG_MAX), 0, about="bytes of all bodies on disk; 0 for no limit"
    )
    on_disk_max_open_files = Parameter(
        Integer(0), 1024, change=START, about="body files read at once; 0 is 1024"
    )
    max_variants_per_key = Parameter(Integer(0), 64, about="variants of one key; 0 for no limit")
    negative_cache_ttl_seconds = Parameter(
        Duration("s"), 10, about="lifetime of stored failures; 0 does not store them"
    )
    default_ttl_seconds = Parameter(
        Duration("s"), 60, about="lifetime of a fetched response that says nothing of it"
    )
    fetch_connect_timeout_ms = Parameter(
        Duration("ms", 1), 5000, about="time for name resolution, connection and TLS"
    )
    fetch_read_timeout_ms = Parameter(
        Duration("ms", 1), 15_000, about="longest silence while reading"
    )
    fetch_total_timeout_ms = Parameter(
        Duration("ms", 1), 60_000, about="time for the whole exchange"
    )
    fetch_max_body_bytes = Parameter(
        Memory(1, LONG_MAX), 512 * MB, about="longest body taken from an origin"
    )
    fetch_max_header_bytes = Parameter(
        Memory(1, LONG_MAX), 65536, change=START, about="status line and headers"
    )
    fetch_max_redirects = Parameter(
        Integer(0), 0, about="redirects followed; 0 treats them as ordinary responses"
    )
    max_concurrent_fetches = Parameter(Integer(1), 256, about="exchanges with origins at once")
    max_fetches_per_origin = Parameter(
        Integer(1), 32, about="exchanges with one scheme, host and port at once"
    )
    coalesce_wait_ms = Parameter(
        Duration("ms"), 30_000, about="how long a follower waits for the leader's fetch"
    )
    revalidation_backoff_seconds = Parameter(
        Duration("s"), 10, about="pause after a failed revalidation"
    )
    revalidation_queue = Parameter(
        Integer(1), 1024, change=START, about="revalidations waiting in the background"
    )
    hit_for_miss_seconds = Parameter(
        Duration("s"), 120, about="how long an uncacheable answer is remembered"
    )
    breaker_failures = Parameter(
        Integer(0), 5, about="failures in a row that open an origin's circuit breaker"
    )
    breaker_open_seconds = Parameter(Duration("s"), 10, about="how long it stays open")
    compression_level = Parameter(Integer(0, 22), 3, about="level of zstd for bodies")
    compression_min_bytes = Parameter(
        Memory(0, LONG_MAX), 256, about="smallest body that is compressed"
    )
    max_tags_per_key = Parameter(Integer(1), 1024, change=START, about="tags of one key")
    max_tag_bytes = Parameter(Memory(1, LONG_MAX), 1024, change=START, about="longest tag")
    max_header_pairs = Parameter(Integer(1), 128, change=START, about="headers of one variant")
    max_headers_bytes = Parameter(
        Memory(1, LONG_MAX), 65536, change=START, about="their bytes together"
    )
    purge_max_patterns = Parameter(
        Integer(1), 1024, change=START, about="lazy purges waiting to be done"
    )
    gc_interval_seconds = Parameter(
        Duration("s", 1), 3600, change=START, about="time between searches for stray files"
    )
    gc_pending_grace_seconds = Parameter(
        Duration("s"), 300, change=START, about="age from which an unfinished file is stray"
    )
    disk_eviction_interval_seconds = Parameter(
        Duration("s", 1), 10, change=START, about="time between checks of `max_disk_size`"
    )
    surrogate_key_headers = Parameter(
        Words(),
        ("Surrogate-Key", "xkey", "Cache-Tag"),
        change=START,
        about="response headers that carry tags",
    )
    targeted_cache_control = Parameter(
        Words(),
        ("Surrogate-Control", "CDN-Cache-Control"),
        change=START,
        about="headers that speak to this cache before Cache-Control, first one first",
    )
    cache_status_header = Parameter(YesNo(), False, about="answer with a Cache-Status header")
    honor_request_cache_control = Parameter(
        YesNo(), False, about="let a request's Cache-Control force a revalidation"
    )
    policies = Parameter(
        Tables(), (), change=START, listed=False, about="policies, as CACHE.POLICY sets them"
    )
