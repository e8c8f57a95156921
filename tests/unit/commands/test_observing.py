"""SLOWLOG, COMMANDLOG, LATENCY, MEMORY, INFO and CONFIG RESETSTAT: figures and their shapes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from spineldb.config.settings import Settings
from spineldb.engine.introspection import Info
from spineldb.server.server import Server
from tests.support.several import Guest, Party

NAMES = json.loads((Path(__file__).parents[2] / "reference/redis-8.2-names.json").read_text())


@pytest.fixture
def party() -> Party:
    settings = Settings()
    settings.debug.enable_debug_command = "yes"
    return Party(settings=settings)


@pytest.fixture
def client(party: Party) -> Guest:
    return party.join()


def paired(flat: list[Any]) -> dict[bytes, Any]:
    """Read a map as RESP2 writes it."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


# -- LATENCY ---------------------------------------------------------------------------------------


def test_a_histogram_is_cumulative_and_its_bounds_are_the_real_servers(client: Guest) -> None:
    for _ in range(100):
        client.say("GET k")
    client.say("DEBUG SLEEP 0.02")
    shown = {name: paired(value) for name, value in paired(client.say("LATENCY HISTOGRAM")).items()}
    assert shown[b"get"][b"calls"] == 100
    counts = paired(shown[b"get"][b"histogram_usec"])
    assert list(counts.values()) == sorted(counts.values())
    assert list(counts.values())[-1] == 100
    (bound,) = paired(shown[b"debug"][b"histogram_usec"])
    assert bound in {33816, 67633, 135266}
    known = {((1 << power) + (1 << power - 7) - 1) // 1000 for power in range(10, 40)}
    assert {1, 2, 4, 8, 16, 33, 66, 132, 2113, 4227} <= known
    assert set(counts) <= known


def test_a_container_stands_for_its_subcommands(client: Guest) -> None:
    client.say("CLIENT ID")
    client.say("CLIENT GETNAME")
    assert set(paired(client.say("LATENCY HISTOGRAM client"))) == {b"client|id", b"client|getname"}
    assert set(paired(client.say("LATENCY HISTOGRAM client|id nosuch"))) == {b"client|id"}


def test_calls_add_up_to_the_commands_processed(party: Party, client: Guest) -> None:
    for line in ("PING", "SET a 1", "INCR a", "LPUSH", "CLIENT ID", "CONFIG GET x", "NOSUCH"):
        client.say(line)
    shown = paired(client.say("LATENCY HISTOGRAM"))
    calls = sum(paired(value)[b"calls"] for value in shown.values())
    assert calls == party.engine.dispatcher.commands_processed - 1  # itself


def test_slow_commands_are_latency_events(party: Party, client: Guest) -> None:
    party.engine.observer.latency.threshold_ms = 10
    party.engine.observer.arm()
    client.say("DEBUG SLEEP 0.02")
    client.say("PING")
    ((name, at, last, worst),) = client.say("LATENCY LATEST")
    assert name == b"command"
    assert at > 1_700_000_000
    assert 20 <= last == worst
    assert client.say("LATENCY HISTORY command") == [[at, last]]
    assert client.say("LATENCY GRAPH command").decode().startswith("command - high ")
    assert b"command: 1 spikes" in client.say("LATENCY DOCTOR")
    assert client.say("LATENCY RESET command") == 1
    assert client.say("LATENCY LATEST") == []


# -- MEMORY ----------------------------------------------------------------------------------------


def test_usage_is_the_sum_of_what_is_allocated(party: Party, client: Guest) -> None:
    keyspace = party.engine.keyspace
    before = keyspace.used_memory - keyspace.databases[0].bytes
    for number in range(1000):
        client.ask("SET", f"key:{number:04}", "v" * (number * 7 % 3000))
    usage = sum(client.ask("MEMORY", "USAGE", f"key:{number:04}") for number in range(1000))
    slots = 1000 * 5  # a reference and a tag each, which the table's own bytes hold
    assert usage - slots == keyspace.used_memory - keyspace.databases[0].bytes - before


def test_stats_have_every_field_in_order(client: Guest) -> None:
    client.say("SET k v")
    shown = list(paired(client.say("MEMORY STATS")))
    assert shown.pop(12) == b"db.0"
    assert [name.decode() for name in shown] == NAMES["memory_stats_fields"]


def test_the_doctor_finds_what_is_wrong(
    party: Party, client: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = party.engine.memory
    # the process that runs the tests has much beside
    monkeypatch.setattr("spineldb.engine.memory.resident_bytes", lambda: memory.held)
    assert "too little to judge" in memory.report(0, evicts=False)
    client.say("DEBUG POPULATE 10000 key 1000")
    assert "No problem found" in memory.report(0, evicts=True)
    assert "noeviction" in memory.report(memory.used + 1000, evicts=False)
    assert "evicted_keys" in memory.report(memory.used + 1000, evicts=True)
    client.say("DEBUG POPULATE 20000 other 1000")
    assert memory.used > 0
    for number in range(20000):
        client.ask("DEL", f"other:{number}")
    assert "MEMORY PURGE" in memory.report(0, evicts=True)
    assert client.say("MEMORY PURGE") == "OK"
    assert party.engine.keyspace.defragmenting


# -- INFO ------------------------------------------------------------------------------------------


def sections(text: str) -> dict[str, list[str]]:
    """Return INFO's sections with the names of their fields."""
    found: dict[str, list[str]] = {}
    for part in text.split("\r\n\r\n"):
        title, *lines = part.strip("\r\n").split("\r\n")
        found[title.removeprefix("# ")] = [line.partition(":")[0] for line in lines]
    return found


def test_info_prints_every_field_in_the_real_servers_order() -> None:
    shown = sections(Server().info.text(["everything"]))
    assert list(shown) == [
        "Server",
        "Clients",
        "Memory",
        "Persistence",
        "Threads",
        "Stats",
        "Replication",
        "CPU",
        "Modules",
        "Commandstats",
        "Errorstats",
        "Latencystats",
        "Cluster",
        "Keyspace",
        "Keysizes",
    ]
    assert shown["Server"][:3] == ["spineldb_version", "tcp_port", "emergency_read_only_mode"]
    for title, names in NAMES["info_fields"].items():
        known = set(names) - {"listener0", "tcp_port"}  # nothing listens; ours stands in front
        assert [name for name in shown[title] if name in known] == [
            name for name in names if name in known
        ]


def test_info_selects_sections() -> None:
    info = Server().info
    default = sections(info.text())
    assert "Commandstats" not in default
    assert "Errorstats" in default
    assert sections(info.text(["CPU", "cluster"])).keys() == {"CPU", "Cluster"}
    assert "Commandstats" in sections(info.text(["default", "commandstats"]))
    assert sections(info.text(["all"])).keys() == sections(info.text(["everything"])).keys()
    assert info.text(["nosuch"]) == ""


def test_info_counts_what_commands_did() -> None:
    server = Server()
    guest = server.network.connect("127.0.0.1:1")
    for line in (b"SET k v", b"SET n 1 EX 100", b"GET k", b"GET missing", b"INCR k", b"NOSUCH"):
        guest.feed(line + b"\r\n")
    info = server.info
    stats = info.fields("Stats")
    assert (stats["keyspace_hits"], stats["keyspace_misses"]) == (1, 1)
    assert stats["total_commands_processed"] == 5
    assert stats["total_error_replies"] == 2
    assert info.fields("Errorstats") == {"errorstat_ERR": "count=2"}
    assert str(info.fields("Commandstats")["cmdstat_incr"]).startswith("calls=1,usec=")
    assert str(info.fields("Commandstats")["cmdstat_incr"]).endswith("failed_calls=1")
    assert str(info.fields("Latencystats")["latency_percentiles_usec_get"]).startswith("p50=")
    assert str(info.fields("Keyspace")["db0"]).startswith("keys=2,expires=1,avg_ttl=")
    assert info.fields("Keysizes") == {"db0_distrib_strings_sizes": "1=2"}


def test_resetstat_zeroes_the_statistics() -> None:
    server = Server()
    guest = server.network.connect("127.0.0.1:1")
    for line in (b"SET k v", b"GET k", b"GET missing", b"INCR k"):
        guest.feed(line + b"\r\n")
    server.engine.clients.rejected = 3
    guest.feed(b"CONFIG RESETSTAT\r\n")
    stats = server.info.fields("Stats")
    for name in (
        "keyspace_hits", "keyspace_misses", "expired_keys", "total_error_replies",
        "rejected_connections", "total_connections_received", "unexpected_error_replies",
    ):  # fmt: skip
        assert stats[name] == 0, name
    assert server.info.fields("Errorstats") == {}
    assert list(server.info.fields("Commandstats")) == ["cmdstat_config|resetstat"]
    memory = server.info.fields("Memory")
    assert memory["used_memory_peak"] == memory["used_memory"]


def test_an_empty_info_has_no_sections() -> None:
    assert Info().text() == ""
