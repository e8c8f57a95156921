"""Memory at its limit, in a server of its own."""

from __future__ import annotations

import time
from collections.abc import Callable

from spineldb.client import Client, ErrorReply
from tests import servers
from tests.e2e.conftest import StartServer

SECONDS = 10.0


def info(client: Client, section: str) -> dict[str, str]:
    """Return the fields of a section of INFO."""
    lines = client.call("INFO", section).decode().split("\r\n")
    return dict(line.split(":", 1) for line in lines if ":" in line)


def within_seconds(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.02)
    return False


def fill(client: Client, count: int) -> None:
    for start in range(0, count, 1000):
        words = [word for key in range(start, start + 1000) for word in (f"key:{key}", "value")]
        assert client.call("MSET", *words) == "OK"


def test_a_limit_that_is_lowered_is_reached_and_kept(start_server: StartServer) -> None:
    """O6: it works at once."""
    server = start_server("--save", "", "--maxmemory-policy", "allkeys-lru")
    with server.client() as client:
        fill(client, 100_000)
        used = int(info(client, "memory")["used_memory"])
        assert client.call("CONFIG", "SET", "maxmemory", str(used // 4)) == "OK"
        assert within_seconds(lambda: int(info(client, "memory")["used_memory"]) <= used // 4)
        fill(client, 30_000)
        fields = info(client, "memory") | info(client, "stats")
        assert int(fields["used_memory"]) < used // 4 + 60_000  # one MSET
        assert int(fields["evicted_keys"]) > 60_000
        assert fields["maxmemory_policy"] == "allkeys-lru"
        assert int(fields["total_eviction_exceeded_time"]) >= 0
        assert client.call("CONFIG", "RESETSTAT") == "OK"
        assert info(client, "stats")["evicted_keys"] == "0"


def test_without_a_policy_the_server_refuses_and_goes_on(start_server: StartServer) -> None:
    server = start_server("--save", "", "--maxmemory", "100kb")
    with server.client() as client:
        refused = None
        for key in range(100_000):
            try:
                client.call("SET", f"key:{key}", "value")
            except ErrorReply as error:
                refused = error
                break
        assert str(refused) == "OOM command not allowed when used memory > 'maxmemory'."
        assert client.call("GET", "key:0") == b"value"
        assert client.call("FLUSHALL") == "OK"
        assert client.call("SET", "key", "value") == "OK"


def test_the_biggest_client_is_disconnected(start_server: StartServer) -> None:
    """O11."""
    server = start_server("--save", "", "--maxmemory-clients", "4mb")
    with server.client() as client, server.client() as hog:
        assert client.call("PING") == "PONG"
        hog.send_raw(b"*2\r\n$3\r\nGET\r\n$9000000\r\n" + bytes(6_000_000))
        assert within_seconds(lambda: info(client, "stats")["evicted_clients"] == "1")
        assert info(client, "clients")["connected_clients"] == "1"
        assert int(info(client, "memory")["mem_clients_normal"]) < 1 << 20
    assert "client evicted" in server.log


def test_how_late_the_loop_was_is_shown(start_server: StartServer) -> None:
    """O12."""
    server: servers.Server = start_server("--save", "", "--enable-debug-command", "yes")
    with server.client() as client:
        assert client.call("DEBUG", "SLEEP", "0.3") == "OK"
        assert within_seconds(
            lambda: int(info(client, "stats")["eventloop_lag_max_usec"]) > 150_000
        )
    assert "a command took long" in server.log
