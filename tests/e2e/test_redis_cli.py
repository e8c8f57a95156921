"""redis-cli and redis-benchmark, in the modes people use."""

from __future__ import annotations

import re
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


BIGGEST = {
    "string": "100000 bytes",
    "list": "2000 items",
    "set": "1500 members",
    "zset": "1200 members",
    "hash": "1000 fields",
    "stream": "700 entries",
}


def _fill_every_type(server: Server, others: int) -> None:
    """Make one big value of every type, many small ones, and what is stored as another type."""

    def words(count: int) -> list[str]:
        return [f"word:{n}" for n in range(count)]

    with server.client() as client:
        client.call("SET", "big:string", b"x" * 100_000)
        client.call("RPUSH", "big:list", *words(2000))
        client.call("SADD", "big:set", *words(1500))
        client.call("ZADD", "big:zset", *(word for n in range(1200) for word in (n, f"m{n}")))
        client.call("HSET", "big:hash", *words(2000))
        client.pipeline([("XADD", "big:stream", "*", "field", n) for n in range(700)])
        for n in range(others):
            client.pipeline([
                ("SET", f"small:string:{n}", n),
                ("RPUSH", f"small:list:{n}", *words(n % 20 + 1)),
                ("SADD", f"small:set:{n}", *range(n % 20 + 1)),
                ("GEOADD", f"small:zset:{n}", 2.35, 48.86, "Paris", 4.9, 52.4, "Amsterdam"),
                ("HSET", f"small:hash:{n}", "f", "v", "g", "w"),
                ("XADD", f"small:stream:{n}", "*", "f", "v"),
            ])  # fmt: skip
            client.call("PFADD", f"small:sketch:{n}", *words(n % 20 + 1))


def test_big_keys_of_every_type(empty_server: Server, redis_cli: str) -> None:
    _fill_every_type(empty_server, 40)
    shown = _run(redis_cli, empty_server, "--bigkeys")
    assert f"Sampled {6 + 7 * 40} keys in the keyspace!" in shown
    for kind, size in BIGGEST.items():
        assert re.search(rf"Biggest +{kind} found '\"big:{kind}\"' has {size}\n", shown), shown
    assert "41 lists with 2420 items" in shown  # twice 1 to 20, and the big one
    assert "81 strings with " in shown  # a sketch is one
    assert "41 zsets with 1280 members" in shown  # positions are scores


def test_mem_keys_of_every_type(empty_server: Server, redis_cli: str) -> None:
    _fill_every_type(empty_server, 40)
    shown = _run(redis_cli, empty_server, "--memkeys")
    with empty_server.client() as client:
        for kind in BIGGEST:
            size = client.call("MEMORY", "USAGE", f"big:{kind}")
            assert re.search(rf"Biggest +{kind} found '\"big:{kind}\"' has {size} bytes\n", shown)


def test_hot_keys_of_every_type(empty_server: Server, redis_cli: str) -> None:
    _fill_every_type(empty_server, 5)
    with empty_server.client() as client:
        client.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")
        try:
            for _ in range(300):
                client.pipeline([("LLEN", "big:list"), ("ZCARD", "big:zset")])
            shown = _run(redis_cli, empty_server, "--hotkeys")
        finally:
            client.call("CONFIG", "SET", "maxmemory-policy", "noeviction")
    hot = re.findall(r'hot key found with counter: (\d+)\tkeyname: "(.*)"\n', shown)
    assert {name for _, name in hot[:2]} == {"big:list", "big:zset"}, shown


def test_scan_of_every_type(empty_server: Server, redis_cli: str) -> None:
    _fill_every_type(empty_server, 40)
    every = _run(redis_cli, empty_server, "--scan").split()
    assert len(every) == len(set(every)) == 6 + 7 * 40
    for kind in BIGGEST:
        some = _run(redis_cli, empty_server, "--scan", "--pattern", f"*:{kind}*").split()
        named = [f"small:{kind}:{n}" for n in range(40)]
        assert sorted(some) == sorted([f"big:{kind}", *named])


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
