"""The program `spineldb`: what it reads, what it says, and how it starts and stops."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
import redis

import spineldb
from spineldb.client import Client, ConnectionLost, ErrorReply
from spineldb.version import SPINELDB_VERSION
from tests import servers
from tests.e2e.conftest import StartServer

SECONDS = 10.0


def spineldb_ends(
    folder: Path, *words: str, given: str = "", environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the program with arguments on which it must end by itself."""
    variables = {"PYTHONPATH": str(Path(spineldb.__file__).parent.parent), **(environment or {})}
    return subprocess.run(
        [sys.executable, "-m", "spineldb.cli.server", *words],
        cwd=folder,
        env=os.environ | variables,
        input=given,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def settled(server: servers.Server, words: str) -> str:
    """Wait until the server has logged some words; return the line."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        for line in server.log.splitlines():
            if words in line:
                return line
        time.sleep(0.01)
    raise AssertionError(f"{words!r} is not in\n{server.log}")


# -- arguments and configuration -----------------------------------------------------------------


def test_version_and_help_go_to_standard_output(tmp_path: Path) -> None:
    version = spineldb_ends(tmp_path, "--port", "x", "--version")
    assert (version.returncode, version.stdout) == (0, f"SpinelDB version {SPINELDB_VERSION}\n")
    usage = spineldb_ends(tmp_path, "--help")
    assert usage.returncode == 0
    assert usage.stdout.startswith("usage: spineldb ")


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (["--prot", "1"], 2, "unknown flag '--prot', did you mean --port?"),
        (["chekc"], 2, "unknown subcommand 'chekc'"),
        (["--port", "70000"], 1, "Invalid port number: 70000"),
        (["--port"], 1, "--port flag requires a value"),
        (["--config", "none.toml"], 1, "Failed to read config file at 'none.toml'"),
        (["--set", "databases=0"], 1, "databases cannot be 0"),
        (["--maxmemory", "lots"], 1, "--maxmemory: maxmemory: argument must be a memory value"),
    ],
)
def test_mistakes_end_it_with_a_reason_on_stderr(
    tmp_path: Path, words: list[str], status: int, text: str
) -> None:
    ended = spineldb_ends(tmp_path, *words)
    assert (ended.returncode, ended.stdout) == (status, "")
    assert text in ended.stderr
    assert "Traceback" not in ended.stderr


def test_check_config_names_line_column_and_suggestion(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text("port = 7000\n\n[security]\n  pasword = 'secret'\n")
    ended = spineldb_ends(tmp_path, "--config", "x.toml", "--check-config")
    assert ended.returncode == 1
    assert "x.toml:4:3: unknown key 'security.pasword'" in ended.stderr
    assert "did you mean 'security.password'?" in ended.stderr
    assert "secret" not in ended.stderr


def test_check_config_of_a_sound_file_starts_nothing(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text("port = 7000\npassword = 'secret'\n")
    ended = spineldb_ends(tmp_path, "--check-config", "--config", "x.toml")
    assert ended.returncode == 0
    assert ended.stdout.endswith("configuration is valid\n")
    assert "x.toml:2:1: password is deprecated: it belongs at security.password" in ended.stdout
    assert list(tmp_path.iterdir()) == [tmp_path / "x.toml"]


def test_a_configuration_may_come_by_standard_input(tmp_path: Path) -> None:
    for given in ("[limits]\nhandshake_timeout = '3s'\n", "port 7000\nappendonly no\n"):
        assert spineldb_ends(tmp_path, "-", "--check-config", given=given).returncode == 0
    ended = spineldb_ends(tmp_path, "--config", "-", "--check-config", given="prot 7000\n")
    assert ended.returncode == 1
    assert "-:1: unknown directive 'prot'" in ended.stderr


def test_file_then_environment_then_flags(tmp_path: Path, start_server: StartServer) -> None:
    """Each overrides the one before."""
    (tmp_path / "config.toml").write_text(
        "timeout = 11\ntcp_keepalive = 11\nmax_clients = 11\n[slowlog]\nmax_len = 11\n"
    )
    os.environ |= {"SPINELDB_TCP_KEEPALIVE": "12", "SPINELDB_SLOWLOG__MAX_LEN": "12"}
    os.environ["SPINELDB_MAX_CLIENTS"] = "12"
    try:
        server = start_server("--set", "slowlog.max_len=13", "--maxclients", "13", folder=tmp_path)
    finally:
        for name in ("TCP_KEEPALIVE", "SLOWLOG__MAX_LEN", "MAX_CLIENTS"):
            del os.environ[f"SPINELDB_{name}"]
    with server.client() as client:
        asked = ("timeout", "tcp-keepalive", "maxclients", "slowlog-max-len")
        values = client.call("CONFIG", "GET", *asked)
        assert values[::2] == [name.encode() for name in asked]
        assert values[1::2] == [b"11", b"12", b"13", b"13"]
        assert f"config_file:{tmp_path}/config.toml".encode() in client.call("INFO", "server")


def test_a_redis_conf_serves_as_it_stands(tmp_path: Path, start_server: StartServer) -> None:
    (tmp_path / "more.conf").write_text("rename-command FLUSHALL wipe\nmaxmemory 100mb\n")
    (tmp_path / "redis.conf").write_text(
        "# as Debian has it\ndaemonize yes\nsupervised auto\npidfile server.pid\n"
        "save 900 1\nsave 300 10\nappendonly no\ninclude more.conf\n"
    )
    server = start_server("--config", "redis.conf", folder=tmp_path)
    with server.client() as client:
        assert client.call("WIPE") == "OK"
        with pytest.raises(ErrorReply, match="unknown command 'FLUSHALL'"):
            client.call("FLUSHALL")
        assert client.call("CONFIG", "GET", "save") == [b"save", b"900 1 300 10"]
        assert client.call("CONFIG", "GET", "maxmemory") == [b"maxmemory", b"104857600"]
    pid_file = tmp_path / "server.pid"
    assert pid_file.read_text() == f"{server.process.pid}\n"
    assert server.stop() == 0
    assert not pid_file.exists()


def test_a_misplaced_password_is_asked_for(tmp_path: Path, start_server: StartServer) -> None:
    """The original's documents showed it at the top, where the original ignored it."""
    (tmp_path / "config.toml").write_text("password = 'open sesame'\n")
    with start_server(folder=tmp_path).client() as client:
        with pytest.raises(ErrorReply, match="NOAUTH"):
            client.call("GET", "key")
        assert client.call("AUTH", "open sesame") == "OK"


def test_the_originals_files_start_it(tmp_path: Path, start_server: StartServer) -> None:
    """The minimal configuration of its install chapter, and more of what its documents show."""
    (tmp_path / "config.toml").write_text(
        'host = "127.0.0.1"\nport = 7878\nmax_clients = 1000\nmaxmemory = "512mb"\n'
        'maxmemory_policy = "allkeys-lru"\nlog_level = "debug"\n'
        "[persistence]\nspldb_enabled = true\naof_enabled = true\n"
        'aof_path = "spineldb.aof"\nappendfsync = "everysec"\n'
        "save_rules = [ { seconds = 900, changes = 1 } ]\n"
        '[security]\nallowed_fetch_domains = ["*.example.com"]\nacl_file = "users.json"\n'
    )
    server = start_server(folder=tmp_path)
    assert "security.acl_file is deprecated: it belongs at acl_file" in server.log
    assert "aof_enabled has no effect" in server.log
    assert "maxmemory=536870912" in settled(server, "ready to accept connections")


# -- the start -----------------------------------------------------------------------------------


def test_defaults_are_the_documented_ones(tmp_path: Path, start_server: StartServer) -> None:
    server = start_server(folder=tmp_path)
    ready = settled(server, "ready to accept connections")
    for fact in (
        f"version={SPINELDB_VERSION}",
        "config=defaults",
        f'listeners="name=tcp,bind=127.0.0.1,port={server.port}"',
        "mode=standalone",
        "persistence=none",
        "maxmemory=unlimited",
    ):
        assert fact in ready
    assert "no config.toml here" in server.log
    with server.client() as client:
        assert client.call("CONFIG", "GET", "databases") == [b"databases", b"16"]
        assert (
            client.call("CONFIG", "GET", "persistence.spldb_path")[1] == b"spineldb_data/dump.spldb"
        )


def test_a_port_in_use_ends_it_with_a_clear_error(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        ended = spineldb_ends(tmp_path, "--port", str(port))
        assert ended.returncode == 1
        assert f"127.0.0.1:{port}: Address already in use" in ended.stdout
        ended = spineldb_ends(tmp_path, "--port", str(port), "--set", "log_file=server.log")
        assert (ended.returncode, ended.stdout) == (1, "")
        assert f"127.0.0.1:{port}: Address already in use" in ended.stderr
        assert "CRITICAL" in (tmp_path / "server.log").read_text()


def test_systemd_hears_of_start_and_stop(
    tmp_path: Path, start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(str(tmp_path / "notify"))
        supervisor.settimeout(SECONDS)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        server = start_server()
        assert supervisor.recv(100) == b"READY=1"
        with server.client() as client:
            assert b"process_supervised:systemd" in client.call("INFO", "server")
        assert server.stop() == 0
        assert supervisor.recv(100) == b"STOPPING=1"


def limited(server: servers.Server) -> int:
    limits = Path(f"/proc/{server.process.pid}/limits").read_text()
    found = re.search(r"Max open files +(\d+)", limits)
    assert found is not None
    return int(found[1])


def start_with_descriptors(folder: Path, soft: int, hard: int, *options: str) -> servers.Server:
    """Start a server with these limits of open files, which it has no privilege to raise."""
    program = f"""
import resource, sys
from spineldb.cli.server import main
allowed = resource.setrlimit
allowed(resource.RLIMIT_NOFILE, ({soft}, {hard}))
def setrlimit(which, limits):
    if limits[1] > {hard}: raise ValueError("not allowed to raise maximum limit")
    allowed(which, limits)
resource.setrlimit = setrlimit
sys.exit(main(sys.argv[1:]))
"""
    return servers.start_program([sys.executable, "-c", program], folder, *options)


@pytest.mark.skipif(not Path("/proc/self/limits").exists(), reason="needs procfs")
def test_the_descriptor_limit_follows_max_clients(tmp_path: Path) -> None:
    server = start_with_descriptors(tmp_path, 100, 4000, "--maxclients", "1000")
    try:
        assert limited(server) == 1032
        with server.client() as client:
            client.call("CONFIG", "SET", "maxclients", "2000")
        assert limited(server) == 2032
    finally:
        assert server.stop() == 0


def test_a_descriptor_limit_too_low_lowers_max_clients(tmp_path: Path) -> None:
    """It serves whom it can, and says so, as Redis does."""
    server = start_with_descriptors(tmp_path, 100, 100)
    try:
        with server.client() as client:
            assert client.call("CONFIG", "GET", "maxclients") == [b"maxclients", b"68"]
            with pytest.raises(ErrorReply, match=r"not able to handle .* try with 68"):
                client.call("CONFIG", "SET", "maxclients", "69")
            assert client.call("CONFIG", "GET", "maxclients") == [b"maxclients", b"68"]
        assert "max_clients is lowered" in server.log
    finally:
        assert server.stop() == 0


def worked(server: servers.Server) -> float:
    """Return the seconds of CPU it has used; the scheduler counts nanoseconds."""
    counted = Path(f"/proc/{server.process.pid}/schedstat").read_text()
    return int(counted.split()[0]) / 1e9


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="needs schedstat")
def test_an_idle_server_rests(start_server: StartServer) -> None:
    """Under 1 % of a core where nothing disturbs it; a timer that never sleeps would take 100."""
    server = start_server()
    with server.client() as client:
        for command in (["PING"], ["SET", "key", "value", "EX", "1000"], ["FLUSHALL"]):
            client.call(*command)
            time.sleep(0.3)  # what is left to do after it
            before = worked(server)
            time.sleep(1)
            assert worked(server) - before < 0.03


# -- the stop ------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_stop_it_and_everybody_is_told(
    start_server: StartServer, number: signal.Signals
) -> None:
    server = start_server()
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(b"SET key value\r\n")
        assert client.recv(100) == b"+OK\r\n"
        assert server.stop(number) == 0
        assert client.recv(100) == b"-SHUTDOWN Server is shutting down\r\n"
        assert client.recv(100) == b""
    assert f"asked to stop signal={number.name}" in server.log
    assert server.log.splitlines()[-1].endswith(" INFO server stopped")


@pytest.mark.parametrize("words", ["", " NOSAVE", " save", " NOW FORCE"])
def test_shutdown_stops_it_without_a_reply(start_server: StartServer, words: str) -> None:
    """Whoever asked sees the end of the connection, which clients take for success."""
    server = start_server()
    with (
        socket.create_connection(("127.0.0.1", server.port)) as asking,
        socket.create_connection(("127.0.0.1", server.port)) as other,
    ):
        asking.sendall(b"PING\r\nSHUTDOWN%s\r\nSET key value\r\n" % words.encode())
        assert asking.makefile("rb").read() == b"+PONG\r\n"
        assert other.makefile("rb").read() == b"-SHUTDOWN Server is shutting down\r\n"
    assert server.process.wait(SECONDS) == 0


def test_redis_py_shuts_it_down(start_server: StartServer) -> None:
    server = start_server()
    with redis.Redis(port=server.port) as client:
        client.shutdown(nosave=True)
    assert server.process.wait(SECONDS) == 0


def test_shutdown_refuses_what_makes_no_sense(start_server: StartServer) -> None:
    with start_server().client() as client:
        for words, text in (
            (["SAVE", "NOSAVE"], "ERR syntax error"),
            (["ABORT", "NOW"], "ERR syntax error"),
            (["ABORT"], "ERR No shutdown in progress."),
        ):
            with pytest.raises(ErrorReply, match=re.escape(text)):
                client.call("SHUTDOWN", *words)
        assert client.call("PING") == "PONG"


def held_up(server: servers.Server) -> socket.socket:
    """Return a client that keeps an orderly stop waiting: it does not read its replies."""
    client = socket.create_connection(("127.0.0.1", server.port))
    client.sendall(b"SETRANGE big 60000000 x\r\n" + b"GET big\r\n" * 4)
    with server.client() as other:
        deadline = time.monotonic() + SECONDS
        while other.call("STRLEN", "big") == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
    return client


def test_a_second_interrupt_ends_it_at_once(start_server: StartServer) -> None:
    server = start_server()
    with held_up(server):
        server.process.send_signal(signal.SIGINT)
        settled(server, "stopping")
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(SECONDS) == 1


def test_a_client_that_does_not_read_holds_the_stop_up_for_a_second(
    start_server: StartServer,
) -> None:
    server = start_server()
    with held_up(server):
        begun = time.monotonic()
        assert server.stop() == 0
        assert 0.9 < time.monotonic() - begun < SECONDS


def test_nobody_connects_to_a_stopped_server(start_server: StartServer) -> None:
    server = start_server()
    with server.client() as client:
        assert server.stop() == 0
        with pytest.raises((ConnectionLost, ErrorReply)):
            client.call("PING")
    with pytest.raises(OSError):  # noqa: PT011 - refused or reset, as the system likes
        Client.open(server.address)


# -- the log -------------------------------------------------------------------------------------


def test_hangup_opens_the_log_file_anew(tmp_path: Path, start_server: StartServer) -> None:
    server = start_server("--set", "log_file=server.json", "--set", "log_format=json",
                          folder=tmp_path)  # fmt: skip
    (tmp_path / "server.json").rename(tmp_path / "old.json")
    server.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + SECONDS
    while not (tmp_path / "server.json").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.stop() == 0
    assert "ready to accept connections" in (tmp_path / "old.json").read_text()
    events = [json.loads(line) for line in (tmp_path / "server.json").read_text().splitlines()]
    assert [event["event"] for event in events] == [
        "log file and certificates reloaded",
        "asked to stop",
        "stopping",
        "stopped",
    ]
    assert (events[1]["level"], events[1]["signal"]) == ("INFO", "SIGTERM")


def test_a_log_file_that_cannot_be_reopened_stays(
    tmp_path: Path, start_server: StartServer
) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    server = start_server("--set", f"log_file={folder}/server.log")
    folder.rename(tmp_path / "moved")
    server.process.send_signal(signal.SIGHUP)
    log = tmp_path / "moved" / "server.log"
    deadline = time.monotonic() + SECONDS
    while "reloaded" not in log.read_text() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert "the old log file stays in use" in log.read_text()
    with server.client() as client:
        assert client.call("PING") == "PONG"


def test_levels_hide_lines_at_once_but_nothing_hides_critical(start_server: StartServer) -> None:
    server = start_server("--log-level", "nothing", "--enable-debug-command", "yes")
    assert server.log == ""
    with server.client() as client:
        client.call("DEBUG", "LOG", "hidden")
        client.call("DEBUG", "EMERGENCY", "a test")
        assert server.log.count("\n") == 1
        assert " CRITICAL engine.emergency CRITICAL: a write was executed" in server.log
        client.call("CONFIG", "SET", "loglevel", "verbose")
        client.call("DEBUG", "LOG", "shown")
        assert "shown" in server.log


def test_secrets_are_in_no_log_at_any_level(start_server: StartServer) -> None:
    server = start_server("--log-level", "trace", "--requirepass", "hush-1")
    with server.client() as client:
        client.call("CONFIG", "SET", "slowlog-log-slower-than", "0")
        client.call("CONFIG", "SET", "requirepass", "hush-2")
        client.call("AUTH", "hush-2")
        client.call("HELLO", "3", "AUTH", "default", "hush-2")
        with pytest.raises(ErrorReply):
            client.call("AUTH", "hush-3")
        client.call("SET", "key", "hush-4")
        assert b"hush-2" not in repr(client.call("SLOWLOG", "GET", "100")).encode()
    assert server.stop() == 0
    assert "hush" not in server.log
