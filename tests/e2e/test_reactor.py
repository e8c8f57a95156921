"""The reactor over real sockets, with the probe executor."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import uvloop

from spineldb.config.settings import Settings
from spineldb.core.probe_net import Probe
from spineldb.core.reactor import Reactor
from tests.support.network import (
    bound_socket,
    eventually,
    receive,
    receive_all,
    request,
    serve,
)

LOOPS: list[Callable[[], asyncio.AbstractEventLoop]] = [
    asyncio.new_event_loop,
    uvloop.new_event_loop,
]


@pytest.mark.parametrize("loop", LOOPS)
def test_serves_from_either_event_loop(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    with serve(loop=loop()) as served, served.connect() as client:
        client.sendall(b"PING\r\n" + request(b"ECHO", b"x" * 300000) + b"QUIT\r\n")
        expected = b"+PONG\r\n$300000\r\n" + b"x" * 300000 + b"\r\n+OK\r\n"
        assert receive_all(client) == expected


def test_ten_thousand_pipelined_requests_take_few_writes() -> None:
    with serve() as served, served.connect() as client:
        before = served.reactor.total_writes_processed
        client.sendall(request(b"SET", b"key", b"0123456789") * 10000)
        assert receive(client, 50000) == b"+OK\r\n" * 10000
        assert served.reactor.total_writes_processed - before <= 200
        assert served.reactor.total_net_input_bytes >= 370000
        assert served.reactor.total_net_output_bytes == 50000


def test_client_may_send_everything_before_it_reads() -> None:
    with serve() as served, served.connect() as client:
        client.sendall(request(b"ECHO", b"y" * 1000) * 30000)  # 30 MB of replies pile up
        expected = (b"$1000\r\n" + b"y" * 1000 + b"\r\n") * 30000
        assert receive(client, len(expected)) == expected


def test_client_that_stops_reading_does_not_stall_others() -> None:
    with serve() as served, served.connect() as slow, served.connect() as quick:
        slow.sendall(b"BULK 8000000\r\n" * 4)
        eventually(lambda: served.reactor.sending == 1)
        slowest = 0.0
        for _ in range(200):
            begun = time.monotonic()
            quick.sendall(b"PING\r\n")
            assert receive(quick, 7) == b"+PONG\r\n"
            slowest = max(slowest, time.monotonic() - begun)
        assert slowest < 1.0
        assert len(receive(slow, 4 * 8000012)) == 4 * 8000012
        eventually(lambda: served.reactor.sending == 0)


def test_client_that_stops_reading_is_closed_at_the_hard_limit() -> None:
    def prepare(reactor: Reactor, probe: Probe) -> None:
        del probe
        reactor.limit_output(0, 1 << 20, 0, 0)

    with serve(prepare=prepare) as served, served.connect() as client:
        with suppress(ConnectionError):
            for _ in range(200):
                client.sendall(b"BULK 1000000\r\n")
        eventually(lambda: served.reactor.client_output_buffer_limit_disconnections == 1)
        eventually(lambda: not served.reactor.connections)


def test_client_above_the_soft_limit_is_closed_after_a_while() -> None:
    def prepare(reactor: Reactor, probe: Probe) -> None:
        del probe
        reactor.limit_output(0, 0, 100000, 1)

    with serve(prepare=prepare) as served, served.connect() as client:
        client.sendall(b"BULK 30000000\r\n")
        time.sleep(0.3)
        assert served.reactor.connections
        eventually(lambda: not served.reactor.connections)
        assert served.reactor.client_output_buffer_limit_disconnections == 1


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("blocked", [False, True])
def test_end_of_a_connection_is_noticed(reset: bool, blocked: bool) -> None:
    with serve() as served:
        client = served.connect()
        client.sendall(b"BLOCK\r\n" if blocked else b"PING\r\n")
        receive(client, 7)
        if reset:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        eventually(lambda: served.probe.left == [1])
        assert not served.reactor.connections
        assert not served.probe.parked


def test_half_closed_client_gets_all_its_replies() -> None:
    with serve() as served, served.connect() as client:
        client.sendall(b"BULK 10000000\r\nPING\r\n")
        client.shutdown(socket.SHUT_WR)
        assert len(receive_all(client)) == 10000000 + 13 + 7
        eventually(lambda: not served.reactor.connections)


def test_protocol_error_reaches_a_client_that_went_on_sending() -> None:
    with serve() as served, served.connect() as client:
        client.sendall(b"*1\r\n:4\r\n" + b"x" * 500000)
        assert receive_all(client) == b"-ERR Protocol error: expected '$', got ':'\r\n"


def test_time_of_a_big_argument_grows_with_its_size_only() -> None:
    def seconds(size: int) -> float:
        data = memoryview(request(b"SET", b"k", b"v" * size))
        begun = time.monotonic()
        for at in range(0, len(data), 4096):
            client.sendall(data[at : at + 4096])
        assert receive(client, 5) == b"+OK\r\n"
        return time.monotonic() - begun

    with serve() as served, served.connect() as client:
        small = min(seconds(16 << 20) for _ in range(3))
        assert min(seconds(64 << 20) for _ in range(3)) < 10 * small  # linear is 4, quadratic 16


def test_million_arguments_arrive_in_linear_time() -> None:
    with serve() as served, served.connect(60) as client:
        client.sendall(request(b"MSET", *[b"%d" % n for n in range(1_000_000)]))
        assert receive(client, 10) == b":1000001\r\n"
        eventually(lambda: served.reactor.connections[1].input_buffer == 0)


def test_woken_client_is_served_though_nothing_arrives() -> None:
    with serve() as served, served.connect() as client:
        client.sendall(b"BLOCK\r\nPING\r\n")
        assert receive(client, 11) == b"+BLOCKING\r\n"
        time.sleep(0.05)
        served.loop.call_soon_threadsafe(served.probe.release)
        assert receive(client, 7) == b"+PONG\r\n"


@pytest.mark.parametrize("blocked", [False, True])
def test_client_is_closed_by_its_id(blocked: bool) -> None:
    with serve() as served, served.connect() as client:
        client.sendall(b"BLOCK\r\n" if blocked else b"PING\r\n")
        receive(client, 7)
        served.call(lambda: served.reactor.close(1))
        assert receive_all(client) in {b"", b"NG\r\n"}
        assert not served.reactor.close(1)


def test_idle_client_is_closed_and_a_waiting_one_is_not() -> None:
    def prepare(reactor: Reactor, probe: Probe) -> None:
        del probe
        reactor.idle_timeout_s = 1

    with serve(prepare=prepare) as served, served.connect() as idle, served.connect() as waiting:
        waiting.sendall(b"BLOCK\r\n")
        assert receive_all(idle) == b""
        assert list(served.reactor.connections) == [2]


def test_client_that_does_not_log_in_is_closed() -> None:
    def prepare(reactor: Reactor, probe: Probe) -> None:
        probe.locked = True
        reactor.handshake_timeout_ms = 300

    with serve(prepare=prepare) as served, served.connect() as late, served.connect() as known:
        known.sendall(b"AUTH pw\r\n")
        assert receive(known, 5) == b"+OK\r\n"
        assert receive_all(late) == b""
        assert list(served.reactor.connections) == [2]


def test_unauthenticated_clients_are_limited() -> None:
    def prepare(reactor: Reactor, probe: Probe) -> None:
        probe.locked = True
        reactor.max_unauthenticated = 2

    with serve(prepare=prepare) as served, served.connect() as first, served.connect():
        eventually(lambda: len(served.reactor.connections) == 2)
        with served.connect() as third:
            assert receive_all(third).startswith(b"-ERR max number of unauthenticated clients")
        first.sendall(b"AUTH pw\r\n")
        assert receive(first, 5) == b"+OK\r\n"
        with served.connect() as third:
            third.sendall(b"PING\r\n")
            assert receive(third, 7) == b"+PONG\r\n"


def test_refused_client_reads_why() -> None:
    def prepare(reactor: Reactor, probe: Probe) -> None:
        del reactor
        probe.refusal = "ERR max number of clients reached"

    with serve(prepare=prepare) as served, served.connect() as client:
        client.sendall(b"PING\r\n")
        assert receive_all(client) == b"-ERR max number of clients reached\r\n"
        assert not served.reactor.connections
        assert served.probe.left == []


def test_many_clients_come_and_go() -> None:
    with serve() as served:
        for _ in range(3):
            clients = [served.connect() for _ in range(200)]
            for client in clients:
                client.sendall(b"PING\r\n")
            for client in clients:
                assert receive(client, 7) == b"+PONG\r\n"
                client.close()
        eventually(lambda: len(served.probe.left) == 600)
        assert not served.reactor.connections
        assert sorted(served.probe.left) == list(range(1, 601))


def test_lack_of_descriptors_refuses_and_does_not_spin() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with serve() as served, served.connect() as client:
        client.sendall(b"PING\r\n")
        receive(client, 7)
        waiting = [socket.socket() for _ in range(3)]
        highest = max(int(entry.name) for entry in Path("/dev/fd").iterdir())
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(highest, 3), hard))
        filler: list[int] = []
        try:
            with suppress(OSError):
                while True:
                    filler.append(os.dup(0))
            for one in waiting:
                one.connect(("127.0.0.1", served.port))
                assert receive_all(one) == b""
            begun = served.reactor.turns
            client.sendall(b"PING\r\n")
            assert receive(client, 7) == b"+PONG\r\n"
            assert served.reactor.turns - begun < 1000
        finally:
            for descriptor in filler:
                os.close(descriptor)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        with served.connect() as another:
            another.sendall(b"PING\r\n")
            assert receive(another, 7) == b"+PONG\r\n"
        for one in waiting:
            one.close()


def test_idle_client_owns_no_buffers() -> None:
    with serve() as served, served.connect() as client:
        client.sendall(request(b"ECHO", b"x" * 100000) * 3 + b"PING\r\n")
        receive(client, 300000 + 3 * 11 + 7)
        connection = served.reactor.connections[1]
        eventually(lambda: connection.output_capacity == connection.input_buffer == 0)
        assert connection.__sizeof__() < 700


def test_accepted_sockets_inherit_their_options() -> None:
    with serve() as served, served.connect():
        eventually(lambda: len(served.reactor.connections) == 1)
        descriptor = os.dup(served.reactor.connections[1].descriptor)
        with socket.socket(fileno=descriptor) as sock:
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) != 0


def test_long_turn_lets_the_loop_s_other_tasks_in() -> None:
    def prepare(reactor: Reactor, probe: Probe) -> None:
        del probe
        reactor.turn_budget_us = 1000

    gaps: list[float] = []

    async def watch() -> None:
        last = time.monotonic()
        while True:
            await asyncio.sleep(0.001)
            now = time.monotonic()
            gaps.append(now - last)
            last = now

    with serve(prepare=prepare) as served:
        asyncio.run_coroutine_threadsafe(watch(), served.loop)
        clients = [served.connect() for _ in range(20)]
        for client in clients:
            client.sendall(b"BULK 20000\r\n" * 400)
        for client in clients:
            receive(client, 400 * 20010)
            client.close()
        assert sorted(gaps)[len(gaps) * 9 // 10] < 0.1


def _settings(**values: str) -> Settings:
    settings = Settings()
    for name, value in values.items():
        settings.change(name.replace("_", "-"), value)
    return settings


def test_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    settings = _settings(port="0", unixsocket=str(path), unixsocketperm="700")
    with serve(settings) as served, socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(b"PING\r\n")
        assert receive(client, 7) == b"+PONG\r\n"
        assert path.stat().st_mode & 0o777 == 0o700
        assert served.reactor.connections[1].address == f"{path}:0"
        assert served.listeners.described == [f"name=unix,bind={path}"]
        with pytest.raises(OSError, match="a server listens there"), serve(settings):
            pass
    assert not path.exists()


def test_unix_socket_of_a_server_that_is_gone_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    settings = _settings(port="0", unixsocket=str(path))
    with serve(settings), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(b"PING\r\n")
        assert receive(client, 7) == b"+PONG\r\n"


def _free_port() -> str:
    with bound_socket() as sock:
        return str(sock.getsockname()[1])


def test_several_addresses_of_both_kinds() -> None:
    port = _free_port()
    settings = _settings(bind="127.0.0.1 ::1 -192.0.2.1", port=port)
    with serve(settings) as served:
        for host in ("127.0.0.1", "::1"):
            with socket.create_connection((host, int(port)), timeout=5) as client:
                client.sendall(b"PING\r\n")
                assert receive(client, 7) == b"+PONG\r\n"
        addresses = [c.local_address for c in served.reactor.connections.values()]
        assert set(addresses) <= {f"127.0.0.1:{port}", f"[::1]:{port}"}
        assert served.listeners.described == [f"name=tcp,bind=127.0.0.1,bind=::1,port={port}"]
        assert served.listeners.port == int(port)


def test_every_address() -> None:
    port = _free_port()
    with serve(_settings(bind="* -::*", port=port)):
        for host in ("127.0.0.1", "::1"):
            with socket.create_connection((host, int(port)), timeout=5) as client:
                client.sendall(b"PING\r\n")
                assert receive(client, 7) == b"+PONG\r\n"


def test_missing_address_is_an_error_unless_optional() -> None:
    with (
        pytest.raises(OSError, match=r"192\.0\.2\.1"),
        serve(_settings(bind="127.0.0.1 192.0.2.1", port=_free_port())),
    ):
        pass
    with (
        pytest.raises(OSError, match="none of the addresses"),
        serve(_settings(bind="-192.0.2.1", port=_free_port())),
    ):
        pass


def test_changed_port_keeps_clients_and_a_taken_one_is_refused() -> None:
    first, second = _free_port(), _free_port()
    settings = _settings(port=first)
    with serve(settings) as served, served.connect() as client, bound_socket() as taken:
        taken.listen()
        client.sendall(b"PING\r\n")
        assert receive(client, 7) == b"+PONG\r\n"
        served.call(lambda: settings.set([(b"port", second.encode())]))
        assert served.port == int(second)
        with served.connect() as another:
            another.sendall(b"PING\r\n")
            assert receive(another, 7) == b"+PONG\r\n"
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", int(first)), timeout=5)
        client.sendall(b"PING\r\n")
        assert receive(client, 7) == b"+PONG\r\n"
        used = str(taken.getsockname()[1]).encode()
        with pytest.raises(Exception, match="Unable to listen on this port"):
            served.call(lambda: settings.set([(b"port", used)]))
        assert served.port == int(second)
        assert settings.port == int(second)
