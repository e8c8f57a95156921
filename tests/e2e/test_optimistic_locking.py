"""Transactions as a client library makes them: optimistic locking that loses nothing, locks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.servers import Server

redis = pytest.importorskip("redis")

THREADS = 6
ROUNDS = 60


def together(work: Callable[[int], object]) -> list[object]:
    """Run work in several threads that begin at the same moment; return what each made."""
    barrier = threading.Barrier(THREADS)

    def begin(number: int) -> object:
        barrier.wait()
        return work(number)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(begin, range(THREADS)))


@pytest.mark.parametrize("protocol", [2, 3])
def test_a_pipeline_is_a_transaction_by_default(empty_server: Server, protocol: int) -> None:
    with redis.Redis(port=empty_server.port, protocol=protocol) as client:
        with client.pipeline() as pipeline:
            pipeline.set("a", 1).incr("a").hset("h", mapping={"f": "v"}).hgetall("h").get("none")
            assert pipeline.execute() == [True, 2, 1, {b"f": b"v"}, None]
        client.set("text", "x")
        with client.pipeline() as pipeline:
            pipeline.set("b", 1).incr("text").set("c", 2)
            with pytest.raises(redis.ResponseError, match="not an integer"):
                pipeline.execute()
            assert client.mget("b", "c") == [b"1", b"2"]
            pipeline.set("b", 3).execute_command("NOSUCH")
            with pytest.raises(redis.ResponseError, match="unknown command"):
                pipeline.execute()
        assert client.get("b") == b"1"


@pytest.mark.parametrize("protocol", [2, 3])
def test_counting_under_watch_loses_nothing(empty_server: Server, protocol: int) -> None:
    """Several threads read a number, add one and store it, and try again if it was changed."""
    client = redis.Redis(port=empty_server.port, protocol=protocol)

    def count(_number: int) -> int:
        retries = 0
        for _ in range(ROUNDS):
            with client.pipeline() as pipeline:
                while True:
                    try:
                        pipeline.watch("counter", "total")
                        counter = int(pipeline.get("counter") or 0)
                        total = int(pipeline.get("total") or 0)
                        pipeline.multi()
                        pipeline.set("counter", counter + 1)
                        pipeline.set("total", total + counter)
                        pipeline.execute()
                    except redis.WatchError:
                        retries += 1
                    else:
                        break
        return retries

    retries = together(count)
    counted = THREADS * ROUNDS
    assert client.mget("counter", "total") == [
        b"%d" % n for n in (counted, counted * (counted - 1) // 2)
    ]
    assert sum(map(int, map(str, retries))) > 0  # they did meet
    assert client.info("clients")["watching_clients"] == 0
    client.close()


def test_money_is_moved_and_never_made(empty_server: Server) -> None:
    """`Redis.transaction`, its function run again after a conflict; readers see whole transfers."""
    client = redis.Redis(port=empty_server.port)
    client.mset({f"account:{n}": 100 for n in range(4)})
    accounts = [f"account:{n}" for n in range(4)]
    stop = threading.Event()

    def move(number: int) -> None:
        if number == 0:
            for _ in range(300):
                assert sum(map(int, client.mget(accounts))) == 400
            stop.set()
            return
        source, target = f"account:{number % 4}", f"account:{(number + 1) % 4}"

        def transfer(pipeline: redis.client.Pipeline) -> None:
            balance = int(pipeline.get(source))
            amount = min(7, balance)
            pipeline.multi()
            pipeline.decrby(source, amount)
            pipeline.incrby(target, amount)

        while not stop.is_set():
            client.transaction(transfer, source)

    together(move)
    balances = list(map(int, client.mget(accounts)))
    assert sum(balances) == 400
    assert min(balances) >= 0
    client.close()


def test_a_lock_is_held_by_one_at_a_time(empty_server: Server) -> None:
    client = redis.Redis(port=empty_server.port)
    held: list[int] = []

    def work(number: int) -> None:
        for _ in range(10):
            with client.lock("lock", timeout=10, blocking_timeout=30, sleep=0.002):
                held.append(number)
                time.sleep(0.0005)
                assert held == [number]
                held.pop()

    together(work)
    assert client.exists("lock") == 0
    client.close()
