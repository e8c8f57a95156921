"""A crash says which build ran, what the last command was and who sent it, and no value."""

from __future__ import annotations

import re
import resource
import signal
import sys
from pathlib import Path

import pytest

from spineldb.client import ConnectionLost
from spineldb.version import SPINELDB_VERSION
from tests import servers
from tests.e2e.conftest import StartServer


@pytest.fixture(autouse=True)
def no_core_files() -> None:
    """The servers of these tests end as if they had crashed."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))


def crashed(server: servers.Server, number: signal.Signals) -> str:
    """Return what a server that ended by this signal has printed."""
    assert server.process.wait(10) == -number
    printed = server.log
    assert printed.count("=== spineldb crashed ===") == 1
    assert f"signal: {number.name}\n" in printed
    assert f"build: SpinelDB {SPINELDB_VERSION}, CPython 3." in printed
    assert re.search(r"\ntime: 1\d{9}\n", printed)
    return printed


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL])
def test_a_fatal_signal_is_reported_and_ends_the_process(
    start_server: StartServer, number: signal.Signals
) -> None:
    server = start_server()
    with server.client() as client:
        identifier = client.call("CLIENT", "ID")
        client.call("SET", "a-secret-key", "a-secret-value")
        server.process.send_signal(number)
        printed = crashed(server, number)
    assert f"last command: set\nclient: {identifier}\n" in printed
    assert "secret" not in printed
    assert "Fatal Python error: " in printed  # the Python frames follow
    assert "spineldb/cli/server.py" in printed


@pytest.mark.parametrize(
    ("word", "number"),
    [("SEGFAULT", signal.SIGSEGV), ("PANIC", signal.SIGABRT), ("OOM", signal.SIGABRT)],
)
def test_debug_crashes_are_reported(
    start_server: StartServer, word: str, number: signal.Signals
) -> None:
    server = start_server("--enable-debug-command", "yes")
    with server.client() as client:
        identifier = client.call("CLIENT", "ID")
        with pytest.raises((ConnectionLost, OSError)):
            client.call("DEBUG", word)
    printed = crashed(server, number)
    assert f"last command: debug\nclient: {identifier}\n" in printed


def test_the_log_file_has_the_report_after_it_was_reopened_too(
    tmp_path: Path, start_server: StartServer
) -> None:
    server = start_server("--set", "log_file=x.log", folder=tmp_path)
    (tmp_path / "x.log").rename(tmp_path / "old.log")
    server.process.send_signal(signal.SIGHUP)
    with server.client() as client:
        while not (tmp_path / "x.log").exists():
            client.call("PING")
        while "reloaded" not in (tmp_path / "x.log").read_text():
            client.call("PING")
    server.process.send_signal(signal.SIGSEGV)
    printed = crashed(server, signal.SIGSEGV)
    report = printed[printed.index("=== spineldb crashed") : printed.index("Fatal Python")]
    assert report in (tmp_path / "x.log").read_text()
    assert "crashed" not in (tmp_path / "old.log").read_text()


def test_a_real_fault_names_its_address(tmp_path: Path) -> None:
    """It is not only sent: the process dies of the instruction itself."""
    program = """
import ctypes, sys
from spineldb import commands
from spineldb.engine.command import ADMIN, Family
family = Family("server")
@family.command("FAULT", ADMIN, since="5.0.0")
def fault(ctx):
    "Read where nothing is."
    return ctypes.string_at(48)
commands.FAMILIES += (family,)
from spineldb.cli.server import main
sys.exit(main(sys.argv[1:]))
"""
    started = servers.start_program([sys.executable, "-c", program], tmp_path)
    with started.client() as client, pytest.raises((ConnectionLost, OSError)):
        client.call("FAULT")
    assert started.process.wait(10) == -signal.SIGSEGV
    assert "signal: SIGSEGV at address 0x30\n" in started.log
    assert "last command: fault\n" in started.log
