"""redis-cli and redis-benchmark, in the modes people use."""

from __future__ import annotations

import subprocess
import time

import pytest

from spineldb.client import Client, encode
from tests.e2e.terminal import Terminal
from tests.servers import Server


def _run(program: str, server: Server, *arguments: str, stdin: bytes = b"", status: int = 0) -> str:
    done = subprocess.run(
        [program, "-p", str(server.port), *arguments],
        input=stdin,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == status, done
    return (done.stdout + done.stderr).decode()


def _fill(server: Server, count: int) -> None:
    with server.client() as client:
        client.pipeline([("SET", f"key:{n}", "x" * (n % 100)) for n in range(count)])


def test_one_shot_commands(empty_server: Server, redis_cli: str) -> None:
    assert _run(redis_cli, empty_server, "PING") == "PONG\n"
    assert _run(redis_cli, empty_server, "-x", "SET", "k", stdin=b"from a pipe") == "OK\n"
    assert _run(redis_cli, empty_server, "--no-raw", "GET", "k") == '"from a pipe"\n'
    assert _run(redis_cli, empty_server, "-n", "3", "--no-raw", "DBSIZE") == "(integer) 0\n"


def test_resp3(empty_server: Server, redis_cli: str) -> None:
    shown = _run(redis_cli, empty_server, "-3", "--no-raw", "CONFIG", "GET", "databases")
    assert shown == '1# "databases" => "16"\n'


def test_interactive_session(empty_server: Server, redis_cli: str) -> None:
    with Terminal([redis_cli, "-p", str(empty_server.port)], {"TERM": "xterm"}) as terminal:
        prompt = rf"127\.0\.0\.1:{empty_server.port}(\[\d+\])?> "
        terminal.wait_for(prompt)
        terminal.type("set greeting hello")
        terminal.wait_for(r"\nOK.*" + prompt)
        terminal.type("get greeting")
        terminal.wait_for(r'\n"hello".*' + prompt)
        terminal.type("select 4")
        terminal.wait_for(rf"{empty_server.port}\[4\]> ")
        terminal.type("incr n")
        terminal.wait_for(r"\(integer\) 1.*" + prompt)
        terminal.type("nonsense")
        terminal.wait_for(r"\(error\) ERR unknown command 'nonsense'.*" + prompt)
        terminal.type("quit")
        assert terminal.process.wait(5) == 0


def test_stat(empty_server: Server, redis_cli: str) -> None:
    _fill(empty_server, 10)
    program = [redis_cli, "-p", str(empty_server.port), "--stat", "-i", "0.1"]
    with subprocess.Popen(program, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline().decode() for _ in range(4)]
        process.kill()
    assert "keys" in lines[1]
    assert lines[2].split()[0] == "10"
    assert lines[3].split()[0] == "10"


def test_latency(empty_server: Server, redis_cli: str) -> None:
    shown = _run(redis_cli, empty_server, "--latency", "--raw", "-i", "0.2")
    low, high, mean, samples = shown.split()
    assert 0 <= float(low) <= float(mean) <= float(high)
    assert int(samples) > 1


@pytest.mark.parametrize("mode", ["--bigkeys", "--memkeys"])
def test_big_keys(empty_server: Server, redis_cli: str, mode: str) -> None:
    _fill(empty_server, 300)
    with empty_server.client() as client:
        client.call("SET", "the-biggest", b"x" * 100_000)
    shown = _run(redis_cli, empty_server, mode)
    assert "Sampled 301 keys in the keyspace!" in shown
    assert '"the-biggest"' in shown


def test_scan(empty_server: Server, redis_cli: str) -> None:
    _fill(empty_server, 1000)
    every = _run(redis_cli, empty_server, "--scan").split()
    assert sorted(every) == sorted(f"key:{n}" for n in range(1000))
    some = _run(redis_cli, empty_server, "--scan", "--pattern", "key:99?").split()
    assert sorted(some) == [f"key:{n}" for n in range(990, 1000)]


def test_pipe(empty_server: Server, redis_cli: str) -> None:
    requests = b"".join(encode(["SET", f"k{n}", n]) for n in range(10_000))
    shown = _run(redis_cli, empty_server, "--pipe", stdin=requests + encode(["NOSUCH"]), status=1)
    assert "errors: 1, replies: 10001" in shown
    with empty_server.client() as client:
        assert client.call("DBSIZE") == 10_000


def test_monitor(empty_server: Server, redis_cli: str) -> None:
    program = [redis_cli, "-p", str(empty_server.port), "MONITOR"]
    with subprocess.Popen(program, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"OK\n"
        with empty_server.client() as client:
            client.call("SET", "k", b"a\x00b")
        line = process.stdout.readline().decode()
        process.kill()
    assert line.endswith('"SET" "k" "a\\x00b"\n')


def test_benchmark(empty_server: Server, redis_benchmark: str) -> None:
    tests = "ping_inline,ping_mbulk,set,get,incr,mset"
    for pipeline in ("1", "16"):
        options = f"-q -n 2000 -c 10 -P {pipeline} -t {tests}".split()
        shown = _run(redis_benchmark, empty_server, *options)
        assert "rror" not in shown
        assert shown.count("requests per second") == 6


def test_a_client_that_leaves_is_forgotten(empty_server: Server) -> None:
    with empty_server.client() as watcher:
        before = len(watcher.call("CLIENT", "LIST").splitlines())
        clients: list[Client] = [empty_server.client() for _ in range(20)]
        assert len(watcher.call("CLIENT", "LIST").splitlines()) == before + 20
        for client in clients:
            client.close()
        deadline = time.monotonic() + 5
        while len(watcher.call("CLIENT", "LIST").splitlines()) != before:
            assert time.monotonic() < deadline
            time.sleep(0.01)
