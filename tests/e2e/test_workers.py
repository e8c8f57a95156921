"""Workers with redis-py that are killed at any moment: every job is done, and seldom twice.

A reliable queue with BLMOVE, and a consumer group with XAUTOCLAIM. The promise of both is "at least
once", and it is exact: a job is done again only if it was taken from a worker, once for each time.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from spineldb.client import Client
from tests.servers import Server
from tests.support.rounds import FIRST_SEED, LONG_SECONDS, long

pytest.importorskip("redis")

PROGRAM = Path(__file__).with_name("worker.py")
WORKERS = 3
SHORT_SECONDS = 2.0
PAUSE_SECONDS = 0.25  # between two kills, on the average
BATCH = 15  # jobs that are added at once
BACKLOG = 100  # no more are added while so many wait
PATIENCE_SECONDS = 60.0


class Crew:
    """Worker processes, each of which may be killed and replaced."""

    def __init__(self, kind: str, server: Server) -> None:
        self._kind, self._server = kind, server
        self._workers: dict[str, subprocess.Popen[bytes]] = {}
        self._hired = 0
        for _ in range(WORKERS):
            self._hire()

    def _hire(self) -> None:
        self._hired += 1
        name = f"worker-{self._hired}"
        program = [sys.executable, str(PROGRAM), self._kind, str(self._server.port), name]
        self._workers[name] = subprocess.Popen(program)

    def kill_one(self, chance: random.Random) -> str:
        """Kill a worker, hire another, return the name of the dead one."""
        name = chance.choice(list(self._workers))
        process = self._workers.pop(name)
        assert process.poll() is None, f"{name} has ended by itself"
        process.kill()
        process.wait()
        self._hire()
        return name

    def close(self) -> None:
        """Kill them all; none may have ended by itself."""
        ended = [name for name, one in self._workers.items() if one.poll() is not None]
        for process in self._workers.values():
            process.kill()
            process.wait()
        assert ended == []


@pytest.fixture
def client(empty_server: Server) -> Iterator[Client]:
    """Return a connection to an empty server."""
    with empty_server.client() as client:
        yield client


def wait_until(what: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while not what():
        assert time.monotonic() < until, "it takes too long"
        time.sleep(0.02)


def manage(
    crew: Crew, seconds: float, backlog: Callable[[], int], add: Callable[[], None],
    bury: Callable[[str], None],
) -> int:  # fmt: skip
    """Add jobs and kill workers for a while; return how many died."""
    chance = random.Random(FIRST_SEED)
    until = time.monotonic() + seconds
    next_kill = time.monotonic() + 2 * PAUSE_SECONDS
    killed = 0
    while time.monotonic() < until:
        if backlog() < BACKLOG:
            add()
        if time.monotonic() >= next_kill:
            bury(crew.kill_one(chance))
            killed += 1
            next_kill += chance.uniform(0, 2 * PAUSE_SECONDS)
        time.sleep(0.01)
    return killed


def run_queue(server: Server, client: Client, seconds: float) -> None:
    added = 0
    returned: Counter[bytes] = Counter()

    def add() -> None:
        nonlocal added
        client.call("LPUSH", "jobs", *(f"job:{added + n}" for n in range(BATCH)))
        added += BATCH

    def bury(name: str) -> None:
        """Give back what a dead worker had taken, once its last request has been heard."""
        wait_until(lambda: f" name={name} ".encode() not in bytes(client.call("CLIENT", "LIST")))
        while (job := client.call("LMOVE", f"taken:{name}", "jobs", "LEFT", "RIGHT")) is not None:
            returned[job] += 1

    crew = Crew("queue", server)
    try:
        killed = manage(crew, seconds, lambda: client.call("LLEN", "jobs"), add, bury)
        wait_until(lambda: client.call("KEYS", "*") == [b"done"])
    finally:
        crew.close()
    done = Counter(client.call("LRANGE", "done", 0, -1))
    assert set(done) == {b"job:%d" % n for n in range(added)}
    again = {job: times - 1 for job, times in done.items() if times > 1}
    assert all(times <= returned[job] for job, times in again.items()), (again, returned)
    assert killed > seconds, added


def run_group(server: Server, client: Client, seconds: float) -> None:
    added: list[bytes] = []
    client.call("XGROUP", "CREATE", "tasks", "workers", "$", "MKSTREAM")

    def add() -> None:
        added.extend(client.pipeline([("XADD", "tasks", "*", "task", n) for n in range(BATCH)]))

    def waiting() -> int:
        return len(added) - int(client.call("HLEN", "done"))

    crew = Crew("stream", server)
    try:
        killed = manage(crew, seconds, waiting, add, lambda _name: None)
        wait_until(lambda: waiting() == 0 and client.call("XPENDING", "tasks", "workers")[0] == 0)
    finally:
        crew.close()
    done = dict(zip(*[iter(client.call("HGETALL", "done"))] * 2, strict=True))
    claimed = dict(zip(*[iter(client.call("HGETALL", "claimed"))] * 2, strict=True))
    assert set(done) == set(added)
    again = {one: int(times) - 1 for one, times in done.items() if int(times) > 1}
    assert all(times <= int(claimed.get(one, 0)) for one, times in again.items()), (again, claimed)
    assert killed > seconds, len(added)


def test_a_reliable_queue_loses_nothing_when_workers_are_killed(
    empty_server: Server, client: Client
) -> None:
    run_queue(empty_server, client, SHORT_SECONDS)


def test_a_consumer_group_loses_nothing_when_workers_are_killed(
    empty_server: Server, client: Client
) -> None:
    run_group(empty_server, client, SHORT_SECONDS)


@long
def test_a_reliable_queue_loses_nothing_for_minutes(empty_server: Server, client: Client) -> None:
    run_queue(empty_server, client, LONG_SECONDS)


@long
def test_a_consumer_group_loses_nothing_for_minutes(empty_server: Server, client: Client) -> None:
    run_group(empty_server, client, LONG_SECONDS)
