from typing import Any, Self

from spineldb.core.work import WorkQueue

class Store:
    now_ms: int
    lfu: bool
    lfu_log_factor: int
    lfu_decay_minutes: int
    string_limit: int
    list_max_listpack_size: int
    hash_max_listpack_entries: int
    hash_max_listpack_value: int
    set_max_intset_entries: int
    set_max_listpack_entries: int
    set_max_listpack_value: int
    zset_max_listpack_entries: int
    zset_max_listpack_value: int
    hll_sparse_max_bytes: int
    stream_node_max_bytes: int
    stream_node_max_entries: int
    bitop_limit: int
    no_touch: bool
    applying: bool
    def __new__(
        cls,
        databases: int = 16,
        seed: bytes | None = None,
        reserve: int = ...,
        now_ms: int = 0,
    ) -> Self: ...
    @property
    def databases(self) -> list[Any]: ...
    @property
    def work(self) -> WorkQueue: ...
    @property
    def watched_keys(self) -> int: ...
    @property
    def dropping_keys(self) -> int: ...
    @property
    def dropped_keys(self) -> int: ...
    @property
    def defragmenting(self) -> bool: ...
    @property
    def used_memory(self) -> int: ...
    @property
    def committed_memory(self) -> int: ...
    @property
    def block_memory(self) -> int: ...
    @property
    def moved_count(self) -> int: ...
    def advance(self, now_ms: int) -> None: ...
