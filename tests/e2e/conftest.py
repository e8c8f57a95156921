"""Server processes for the end-to-end tests: each test's own, or one for a whole module."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import servers

StartServer = Callable[..., servers.Server]


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    """Return a function that starts servers with given options; all are stopped afterwards.

    `folder=` gives the folder of an earlier one, to start it again on what it left.
    """
    started: list[servers.Server] = []

    def start(*options: str, folder: Path | None = None) -> servers.Server:
        if folder is None:
            folder = tmp_path / f"server-{len(started)}"
            folder.mkdir()
        server = servers.start_spineldb(folder, *options)
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop(signal.SIGTERM)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Server]:
    """Return one running server for the tests of a module."""
    running = servers.start_spineldb(tmp_path_factory.mktemp("server"), "--save", "")
    yield running
    running.stop()


@pytest.fixture
def empty_server(server: servers.Server) -> servers.Server:
    """Return the module's server with nothing in it."""
    with server.client() as client:
        client.call("FLUSHALL")
    return server


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@pytest.fixture(scope="session")
def redis_cli() -> str:
    """Return the path of redis-cli; skip where there is none."""
    return _program("redis-cli")


@pytest.fixture(scope="session")
def redis_benchmark() -> str:
    """Return the path of redis-benchmark; skip where there is none."""
    return _program("redis-benchmark")
