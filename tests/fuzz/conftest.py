"""The real server that each module of random tests compares with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import servers


@pytest.fixture(scope="module")
def peer(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[servers.Server]:
    """Return Redis 8.2.3, which settles every argument.

    A module says as PEER_OPTIONS how it is started, and as PEER_PROGRAM that it is another program.
    """
    program: str = getattr(request.module, "PEER_PROGRAM", "redis8")
    options: tuple[str, ...] = request.module.PEER_OPTIONS
    if servers.real_program(program) is None:
        pytest.skip(f"the environment does not name the program and module of {program}")
    server = servers.start_real(program, tmp_path_factory.mktemp("peer"), "--save", "", *options)
    yield server
    server.stop()
