"""The TLS listener, with and without certificates of clients."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

import pytest

from tests.e2e.conftest import StartServer
from tests.e2e.test_cli import ENVIRONMENT
from tests.servers import free_port

redis = pytest.importorskip("redis")
trustme = pytest.importorskip("trustme")


@dataclass
class Certificates:
    """Files of an authority, and of a server and a client it vouches for."""

    authority: str
    server: str
    client: str


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    authority.issue_cert("localhost", "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
        folder / "server.pem"
    )
    authority.issue_cert("client@example.org").private_key_and_cert_chain_pem.write_to_path(
        folder / "client.pem"
    )
    return Certificates(*(str(folder / f"{name}.pem") for name in ("ca", "server", "client")))


def _start(start_server: StartServer, certificates: Certificates, client_auth: str) -> int:
    port = free_port()
    options = {
        "--tls-port": str(port),
        "--tls-cert-file": certificates.server,
        "--tls-key-file": certificates.server,
        "--tls-ca-cert-file": certificates.authority,
        "--tls-auth-clients": client_auth,
    }
    start_server(*(word for option in options.items() for word in option))
    return port


def _cli(program: list[str], port: int, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*program, "-h", "localhost", "-p", str(port), "--tls", *arguments],
        capture_output=True,
        env=ENVIRONMENT,
        timeout=30,
        check=False,
    )


def test_without_client_certificates(
    start_server: StartServer, certificates: Certificates, redis_cli: str
) -> None:
    port = _start(start_server, certificates, "no")
    trusting = ["--cacert", certificates.authority]
    for program in ([sys.executable, "-m", "spineldb.cli.client"], [redis_cli]):
        assert _cli(program, port, *trusting, "PING").stdout == b"PONG\n"
        assert _cli(program, port, "--insecure", "PING").stdout == b"PONG\n"
        assert _cli(program, port, "PING").stdout == b""  # nobody we know vouches for it
    with redis.Redis("localhost", port, ssl=True, ssl_ca_certs=certificates.authority) as client:
        value = b"x" * 5_000_000
        assert client.set("k", value)
        assert client.get("k") == value


def test_client_certificates_are_required(
    start_server: StartServer, certificates: Certificates, redis_cli: str
) -> None:
    port = _start(start_server, certificates, "yes")
    trusting = ["--cacert", certificates.authority]
    known = ["--cert", certificates.client, "--key", certificates.client]
    for program in ([sys.executable, "-m", "spineldb.cli.client"], [redis_cli]):
        assert _cli(program, port, *trusting, *known, "PING").stdout == b"PONG\n"
        assert _cli(program, port, *trusting, "PING").stdout == b""
    with (
        redis.Redis("localhost", port, ssl=True, ssl_ca_certs=certificates.authority) as stranger,
        pytest.raises(redis.ConnectionError),
    ):
        stranger.ping()
    with redis.Redis(
        "localhost",
        port,
        ssl=True,
        ssl_ca_certs=certificates.authority,
        ssl_certfile=certificates.client,
        ssl_keyfile=certificates.client,
    ) as client:
        assert client.ping()


def test_rediss_urls(start_server: StartServer, certificates: Certificates) -> None:
    port = _start(start_server, certificates, "no")
    done = subprocess.run(
        [sys.executable, "-m", "spineldb.cli.client", "-u", f"rediss://localhost:{port}/3"]  # noqa: RUF005
        + ["--cacert", certificates.authority, "DBSIZE"],
        capture_output=True,
        env=ENVIRONMENT,
        timeout=30,
        check=False,
    )
    assert done.stdout == b"0\n"
