"""Finding programs, reading accounts, taking turns."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bench.figures import Sample
from bench.lab import Lab
from bench.machine import Identity, identity_of
from bench.servers import (
    REDIS_OPTIONS,
    SPINELDB_OPTIONS,
    cpu_seconds,
    peer_programs,
    resident_bytes,
    seconds_from_ps,
    subject_program,
)


def test_peers_are_named_by_environment_variables() -> None:
    found, missing = peer_programs({"SPINELDB_REDIS8": sys.executable})
    assert [program.name for program in found] == ["redis8"]
    assert missing == ["SPINELDB_VALKEY9 is not set", "SPINELDB_REDIS7 is not set"]


def test_a_peer_that_is_no_program_is_missing(tmp_path: Path) -> None:
    found, missing = peer_programs({"SPINELDB_REDIS8": str(tmp_path / "nothing")})
    assert not found
    assert "is not a program" in missing[0]


def test_another_program_can_stand_in_for_the_subject() -> None:
    assert subject_program("/bin/redis-server").options == REDIS_OPTIONS
    assert subject_program("/bin/spineldb").options == SPINELDB_OPTIONS
    assert subject_program().options == SPINELDB_OPTIONS


@pytest.mark.parametrize(
    ("text", "seconds"), [("0:01.50", 1.5), ("01:02:03", 3723), ("1-00:00:01", 86_401)]
)
def test_the_time_column_of_ps_is_read(text: str, seconds: float) -> None:
    assert seconds_from_ps(text) == seconds


def test_the_accounts_of_a_process_are_plausible() -> None:
    before = cpu_seconds(os.getpid())
    end_at = time.process_time() + 0.02
    while time.process_time() < end_at:
        pass
    assert 0.01 < cpu_seconds(os.getpid()) - before < 10
    assert resident_bytes(os.getpid()) > 1 << 20


@pytest.mark.parametrize(
    ("info", "identity"),
    [
        (
            {"redis_version": "8.2.3", "mem_allocator": "jemalloc-5.3.0", "gcc_version": "14.2.1"},
            Identity("Redis 8.2.3", "allocator jemalloc-5.3.0, gcc 14.2.1"),
        ),
        (
            {"redis_version": "7.2.4", "valkey_version": "9.1.2", "mem_allocator": "libc"},
            Identity("Valkey 9.1.2", "allocator libc (as its wheel is built)"),
        ),
        (
            {"spineldb_version": "5.0.0", "redis_version": "8.2.0", "gcc_version": "0.0.0"},
            Identity("SpinelDB 5.0.0", ""),
        ),
    ],
)
def test_a_server_is_identified_by_info(info: dict[str, str], identity: Identity) -> None:
    assert identity_of(info) == identity


def test_servers_are_sampled_in_turn_each_round_beginning_with_the_next() -> None:
    servers = cast("Any", [SimpleNamespace(name=name) for name in "abc"])
    order: list[str] = []

    def sample(server: Any) -> Sample:
        order.append(server.name)
        return Sample(float(len(order)))

    samples = Lab([]).interleave(servers, sample, rounds=3)
    assert "".join(order) == "abcbcacab"
    assert samples["a"] == Sample(6.0)
