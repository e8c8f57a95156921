"""The TLS listener: certificates of both sides, versions, reloading, failed handshakes."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
import uvloop

from spineldb.config.settings import Settings
from tests.support.network import Served, bound_socket, eventually, receive, receive_all, serve
from tests.support.network import request as words


class Authority:
    """A certificate authority with a folder of files."""

    def __init__(self, folder: Path) -> None:
        self.ca = trustme.CA()
        self.folder = folder
        self.ca.cert_pem.write_to_path(folder / "ca.crt")
        self.issue()

    def issue(self) -> None:
        """Write a new certificate of the server."""
        certificate = self.ca.issue_cert("127.0.0.1", "localhost")
        certificate.private_key_pem.write_to_path(self.folder / "server.key")
        blobs = certificate.cert_chain_pems
        blobs[0].write_to_path(self.folder / "server.crt")

    def settings(self, **values: str) -> Settings:
        """Return a server's settings: TLS on a free port."""
        with bound_socket() as sock:
            port = sock.getsockname()[1]
        settings = Settings()
        for name, value in {
            "port": "0",
            "tls-port": str(port),
            "tls-cert-file": str(self.folder / "server.crt"),
            "tls-key-file": str(self.folder / "server.key"),
            "tls-ca-cert-file": str(self.folder / "ca.crt"),
            "tls-auth-clients": "no",
            **{name.replace("_", "-"): value for name, value in values.items()},
        }.items():
            settings.change(name, value)
        return settings

    def context(self, *, certificate: bool = False) -> ssl.SSLContext:
        """Return a client's context."""
        context = ssl.create_default_context()
        self.ca.configure_trust(context)
        if certificate:
            self.ca.issue_cert("client@example.org").configure_cert(context)
        return context


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def connect(served: Served, context: ssl.SSLContext) -> ssl.SSLSocket:
    return context.wrap_socket(served.connect(), server_hostname="127.0.0.1")


def ping(client: socket.socket) -> bytes:
    client.sendall(b"PING\r\n")
    return receive(client, 7)


def is_refused(served: Served, context: ssl.SSLContext) -> bool:
    """Tell whether a client with this context is turned away: with TLS 1.3 it may notice late."""
    try:
        with connect(served, context) as client:
            return ping(client) == b""
    except OSError:
        return True


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_encrypted_client_is_served(
    authority: Authority, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    with serve(authority.settings(), loop=loop()) as served:
        with connect(served, authority.context()) as client:
            assert ping(client) == b"+PONG\r\n"
            client.sendall(words(b"ECHO", b"x" * 3_000_000))
            assert receive(client, 3_000_012) == b"$3000000\r\n" + b"x" * 3_000_000 + b"\r\n"
            client.sendall(b"PING\r\n" * 1000 + b"QUIT\r\n")
            assert receive_all(client) == b"+PONG\r\n" * 1000 + b"+OK\r\n"
        eventually(lambda: not served.reactor.connections)
        assert served.listeners.described[0].startswith("name=tls,bind=127.0.0.1,port=")


def test_client_must_show_a_certificate(authority: Authority) -> None:
    with serve(authority.settings(tls_auth_clients="required")) as served:
        with connect(served, authority.context(certificate=True)) as client:
            assert ping(client) == b"+PONG\r\n"
        assert is_refused(served, authority.context())
        eventually(lambda: not served.reactor.connections)


def test_client_may_show_a_certificate(authority: Authority) -> None:
    with serve(authority.settings(tls_auth_clients="optional")) as served:
        for certificate in (True, False):
            with connect(served, authority.context(certificate=certificate)) as client:
                assert ping(client) == b"+PONG\r\n"


def test_stranger_s_certificate_is_refused(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    stranger = authority.context()
    Authority(tmp_path / "other").ca.issue_cert("client@example.org").configure_cert(stranger)
    with serve(authority.settings(tls_auth_clients="optional")) as served:
        assert is_refused(served, stranger)


def test_old_versions_are_refused(authority: Authority) -> None:
    old = authority.context()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with serve(authority.settings(tls_protocols="TLSv1.3")) as served:
        assert is_refused(served, old)
        with connect(served, authority.context()) as client:
            assert ping(client) == b"+PONG\r\n"
            assert client.version() == "TLSv1.3"


def test_certificates_are_exchanged_without_dropping_anybody(authority: Authority) -> None:
    settings = authority.settings()
    with serve(settings) as served, connect(served, authority.context()) as early:
        before = early.getpeercert(binary_form=True)
        authority.issue()
        served.call(served.listeners.reload_certificates)
        with connect(served, authority.context()) as late:
            assert late.getpeercert(binary_form=True) != before
            assert ping(early) == ping(late) == b"+PONG\r\n"
        (authority.folder / "bad.crt").write_text("nonsense")
        with pytest.raises(Exception, match="Unable to update TLS configuration"):
            served.call(
                lambda: settings.set([(b"tls-cert-file", bytes(authority.folder / "bad.crt"))])
            )
        with connect(served, authority.context()) as late:
            assert ping(early) == ping(late) == b"+PONG\r\n"


def test_failed_handshakes_leave_nothing_behind(authority: Authority) -> None:
    settings = authority.settings()
    settings.change("limits.handshake_timeout", "1")
    with serve(settings) as served:
        for _ in range(50):
            with served.connect() as client:
                client.sendall(b"PING\r\nPING\r\n")
                receive_all(client)
        with served.connect(5) as silent:
            assert receive_all(silent) == b""
        assert not served.reactor.connections
        assert served.probe.left == []
        with connect(served, authority.context()) as client:
            assert ping(client) == b"+PONG\r\n"


def test_limits_hold_for_encrypted_clients(authority: Authority) -> None:
    with serve(authority.settings()) as served:
        served.reactor.limit_output(0, 1 << 20, 0, 0)
        with connect(served, authority.context()) as client:
            client.sendall(b"BULK 3000000\r\n")
            eventually(lambda: served.reactor.client_output_buffer_limit_disconnections == 1)
            eventually(lambda: not served.reactor.connections)


def test_missing_key_stops_the_start(authority: Authority) -> None:
    settings = authority.settings(tls_key_file=str(authority.folder / "none"))
    with pytest.raises(FileNotFoundError), serve(settings):
        pass
