"""spineldb-cli beside redis-cli: the same arguments, the same output."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import spineldb
from tests.e2e.conftest import StartServer
from tests.e2e.terminal import Terminal
from tests.servers import Server, free_port

OURS = [sys.executable, "-m", "spineldb.cli.client"]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(spineldb.__file__).parent.parent)}


def _run(
    program: list[str], *arguments: str, stdin: bytes = b"", **environment: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*program, *arguments],
        input=stdin,
        capture_output=True,
        env=ENVIRONMENT | environment,
        timeout=30,
        check=False,
    )


SAME = [
    ["PING"],
    ["GET", "missing"],
    ["SET", "k", 'a"\n'],
    ["GET", "k"],
    ["MGET", "k", "missing", "k"],
    ["STRLEN", "k"],
    ["NOSUCH", "x"],
    ["GET"],
    ["KEYS", "nothing*"],
    ["CONFIG", "GET", "maxmemory-*"],
    ["COMMAND", "INFO", "get", "nosuch"],
    ["COMMAND", "GETKEYSANDFLAGS", "MSET", "a", "1", "b", "2"],
    ["LCS", "k", "k", "IDX"],
    ["-n", "2", "DBSIZE"],
    ["-r", "3", "INCR", "counter"],
    ["-x", "SET", "k"],
    ["-X", "TAG", "SET", "TAG", "v"],
    ["--quoted-input", "SET", '"\\x00"', "v"],
    ["-d", ",", "MGET", "k", "k"],
    ["-D", "|", "PING"],
    ["INFO", "keyspace"],
]


@pytest.mark.parametrize("protocol", ["-2", "-3"])
@pytest.mark.parametrize("mode", ["--raw", "--no-raw"])
@pytest.mark.parametrize("arguments", SAME, ids=" ".join)
def test_output_equals_redis_cli(
    empty_server: Server, redis_cli: str, arguments: list[str], mode: str, protocol: str
) -> None:
    outputs = []
    for program in (OURS, [redis_cli]):
        with empty_server.client() as client:
            client.call("FLUSHALL")
            client.call("SET", "k", "value")
        where = ["-p", str(empty_server.port), protocol, mode]
        outputs.append(_run(program, *where, *arguments, stdin=b"from a pipe\n").stdout)
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize("mode", ["--raw", "--no-raw"])
def test_lines_on_a_pipe_equal_redis_cli(empty_server: Server, redis_cli: str, mode: str) -> None:
    lines = b'set a 1\n\n3 incr a\nget "a"\n   \nnosuch\nget \'a\nselect 3\ndbsize\nping\n'
    outputs = []
    for program in (OURS, [redis_cli]):
        with empty_server.client() as client:
            client.call("FLUSHALL")
        outputs.append(_run(program, "-p", str(empty_server.port), mode, stdin=lines).stdout)
    assert outputs[0] == outputs[1]


def test_exit_status_says_what_happened(empty_server: Server) -> None:
    port = str(empty_server.port)
    assert _run(OURS, "-p", port, "PING").returncode == 0
    assert _run(OURS, "-p", port, "NOSUCH").returncode == 1
    assert _run(OURS, "-p", port, stdin=b"PING\nNOSUCH\nPING\n").returncode == 1
    assert _run(OURS, "--no-such-option").returncode == 2
    unreachable = _run(OURS, "-p", str(free_port()), "PING")
    assert unreachable.returncode == 3
    assert b"Could not connect to SpinelDB at 127.0.0.1:" in unreachable.stderr


def test_errors_go_to_stderr_when_asked(empty_server: Server) -> None:
    done = _run(OURS, "-p", str(empty_server.port), "-e", "NOSUCH")
    assert done.stdout == b""
    assert done.stderr.startswith(b"ERR unknown command 'NOSUCH'")


def test_passwords_from_everywhere(start_server: StartServer, redis_cli: str) -> None:
    port = str(start_server("--requirepass", "secret").port)
    warned = _run(OURS, "-p", port, "-a", "secret", "PING")
    assert warned.stdout == b"PONG\n"
    assert warned.stderr == _run([redis_cli], "-p", port, "-a", "secret", "PING").stderr
    assert _run(OURS, "-p", port, "--no-auth-warning", "-a", "secret", "PING").stderr == b""
    assert _run(OURS, "-p", port, "PING", REDISCLI_AUTH="secret").stdout == b"PONG\n"
    assert _run(OURS, "-p", port, "PING", SPINEL_AUTH="default:secret").stdout == b"PONG\n"
    url = f"redis://default:secret@127.0.0.1:{port}/2"
    assert _run(OURS, "-u", url, "DBSIZE").stdout == b"0\n"
    wrong = _run(OURS, "-p", port, "-a", "wrong", "PING")
    assert b"AUTH failed: WRONGPASS" in wrong.stderr
    assert wrong.returncode == 1


def test_unix_socket(start_server: StartServer, tmp_path: Path) -> None:
    path = str(tmp_path / "s.sock")
    start_server("--unixsocket", path)
    assert _run(OURS, "-s", path, "PING").stdout == b"PONG\n"


def test_prompt(empty_server: Server, tmp_path: Path) -> None:
    port = empty_server.port
    environment = {
        "PYTHONPATH": ENVIRONMENT["PYTHONPATH"],
        "SPINELDB_CLI_HISTORY": str(tmp_path / "history"),
        "TERM": "xterm",
    }
    with Terminal([*OURS, "-p", str(port)], environment) as terminal:
        terminal.wait_for(rf"127\.0\.0\.1:{port}>", 20)
        for line, answer in [
            ("set greeting 'hello you'", r"\nOK"),
            ("get greeting", r'\n"hello you"'),
            ("nosuch", r"\n\(error\) ERR unknown command 'nosuch'"),
            ("2 incr n", r"\n\(integer\) 1\s+\(integer\) 2"),
            ("get 'a", r"Invalid argument\(s\)"),
            ("select 5", rf"{port}\[5\]>"),
            ("auth default hidden", r"\nOK"),
            ("help get", r"(?i)summary: "),
        ]:
            terminal.type(line)
            terminal.wait_for(answer)
        terminal.type("quit")
        assert terminal.process.wait(10) == 0
    history = (tmp_path / "history").read_text()
    assert "set greeting" in history
    assert "hidden" not in history
    assert (tmp_path / "history").stat().st_mode & 0o777 == 0o600
