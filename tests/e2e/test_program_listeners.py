"""The program serves unix sockets and TLS, as installed: with uvloop, relative paths, SIGHUP."""

from __future__ import annotations

import signal
import ssl
import time
from pathlib import Path

import pytest
import redis
import trustme

from spineldb.client import Address, Client
from tests import servers

SECONDS = 5.0


@pytest.fixture(name="authority")
def make_authority(tmp_path: Path) -> trustme.CA:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return authority


def issue(authority: trustme.CA, folder: Path, name: str) -> None:
    certificate = authority.issue_cert("localhost", "127.0.0.1", common_name=name)
    certificate.private_key_pem.write_to_path(folder / f"{name}.key")
    certificate.cert_chain_pems[0].write_to_path(folder / f"{name}.pem")


def tls_options(port: int) -> list[str]:
    """Options of a server that also speaks TLS on `port` and asks for certificates."""
    settings = {
        "tls.port": port,
        "tls.cert_path": "server.pem",
        "tls.key_path": "server.key",
        "tls.ca_cert_path": "ca.pem",
        "tls.client_auth": "required",
    }
    return [word for item in settings.items() for word in ("--set", "{}={}".format(*item))]


def test_a_unix_socket_of_a_relative_path_is_local(tmp_path: Path) -> None:
    """Protected mode lets its clients in."""
    server = servers.start_spineldb(tmp_path, "--set", "unix_socket=here.sock")
    try:
        with Client.open(Address(socket_path=str(tmp_path / "here.sock"))) as client:
            assert client.call("PING") == "PONG"
            assert " flags=U " in client.call("CLIENT", "INFO").decode()
    finally:
        assert server.stop() == 0
    assert not (tmp_path / "here.sock").exists()


def test_tls_asks_for_certificates(tmp_path: Path, authority: trustme.CA) -> None:
    """redis-py with a certificate is served; without one it is not."""
    issue(authority, tmp_path, "server")
    issue(authority, tmp_path, "client")
    port = servers.free_port()
    server = servers.start_spineldb(tmp_path, *tls_options(port))
    common = {"port": port, "ssl": True, "ssl_ca_certs": str(tmp_path / "ca.pem")}
    try:
        shown = {"ssl_certfile": tmp_path / "client.pem", "ssl_keyfile": tmp_path / "client.key"}
        with redis.Redis(**common, **{name: str(path) for name, path in shown.items()}) as client:
            value = b"x" * 1_000_000
            assert client.set("key", value)
            assert client.get("key") == value
        with redis.Redis(**common) as client, pytest.raises(redis.ConnectionError):
            client.ping()
    finally:
        assert server.stop() == 0


def test_certificates_are_exchanged_without_dropping_anybody(
    tmp_path: Path, authority: trustme.CA
) -> None:
    """After SIGHUP new clients see the new certificate, and old connections go on."""
    issue(authority, tmp_path, "server")
    port = servers.free_port()
    server = servers.start_spineldb(tmp_path, *tls_options(port), "--set", "tls.client_auth=no")
    context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))

    def certificate() -> bytes:
        return ssl.get_server_certificate(("127.0.0.1", port)).encode()

    try:
        before = certificate()
        with Client.open(Address(port=port, tls=context)) as old:
            issue(authority, tmp_path, "server")
            server.process.send_signal(signal.SIGHUP)
            deadline = time.monotonic() + SECONDS
            while certificate() == before and time.monotonic() < deadline:
                time.sleep(0.02)
            assert certificate() != before
            assert old.call("PING") == "PONG"
    finally:
        assert server.stop() == 0
