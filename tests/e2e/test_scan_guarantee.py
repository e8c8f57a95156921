"""SCAN over real sockets: 100,000 keys that stay are all returned, whatever others do meanwhile.

Other connections write, delete and let expire, by the ten thousand, so that the table grows and
shrinks under the scan. A hundred runs in `make soak`, two in `make test`.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator

import pytest

from tests import servers

FIXED = 100_000
WAVE = 20_000
BATCH = 1000
WRITERS = 2


@pytest.fixture(scope="module")
def full_server(server: servers.Server) -> Iterator[servers.Server]:
    """Return a server with the keys that stay."""
    with server.client() as client:
        client.call("FLUSHALL")
        for first in range(0, FIXED, BATCH):
            numbers = range(first, first + BATCH)
            client.call("MSET", *(word for n in numbers for word in (f"fixed:{n}", "x")))
    yield server
    with server.client() as client:
        client.call("FLUSHALL")


def disturb(server: servers.Server, seed: int, stop: threading.Event) -> None:
    """Have other keys come and go in waves, until told to stop."""
    chance = random.Random(seed)
    with server.client(timeout=60.0) as client:
        while not stop.is_set():
            names = [f"other:{seed}:{n}" for n in range(chance.randrange(1, WAVE))]
            for first in range(0, len(names), BATCH):
                some = names[first : first + BATCH]
                lifetime = chance.choice((1, 20, 300, 100_000))
                client.pipeline([("SET", name, "y", "PX", lifetime) for name in some])
                if stop.is_set():
                    break
            chance.shuffle(names)
            client.call("UNLINK", *names[: chance.randrange(1, len(names) + 1)])
            if chance.random() < 0.3:
                client.call("DEL", *names)


def scan(server: servers.Server, chance: random.Random) -> tuple[set[bytes], int]:
    """Return what a whole scan finds, and in how many calls."""
    seen: set[bytes] = set()
    cursor, calls = b"0", 0
    with server.client(timeout=60.0) as client:
        while True:
            count = chance.choice((10, 100, 300))
            cursor, keys = client.call("SCAN", cursor, "COUNT", count)
            seen.update(keys)
            calls += 1
            if cursor == b"0":
                return seen, calls


def check(server: servers.Server, seed: int) -> None:
    stop = threading.Event()
    threads = [
        threading.Thread(target=disturb, args=(server, seed * WRITERS + number, stop))
        for number in range(WRITERS)
    ]
    for thread in threads:
        thread.start()
    try:
        seen, calls = scan(server, random.Random(seed))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    missed = [key for n in range(FIXED) if (key := b"fixed:%d" % n) not in seen]
    assert missed == [], f"seed {seed}: {len(missed)} keys missed"
    assert all(key.startswith((b"fixed:", b"other:")) for key in seen)
    assert calls > 300


@pytest.mark.parametrize("seed", [1, 2])
def test_no_key_that_stays_is_missed(full_server: servers.Server, seed: int) -> None:
    check(full_server, seed)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_no_key_that_stays_is_missed_in_a_hundred_runs(full_server: servers.Server) -> None:
    for seed in range(100, 200):
        check(full_server, seed)
