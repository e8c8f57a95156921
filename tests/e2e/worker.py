"""A worker for `test_workers`: takes jobs of a list or of a stream until somebody kills it.

    python worker.py queue|stream PORT NAME

It may be killed between any two lines. What it says it has done it has done; whatever it had
taken and not crossed off is done again by somebody else.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterable
from typing import Any

import redis

WORK_SECONDS = 0.003  # at most, for a job
IDLE_MS = 150  # what a consumer has not acknowledged by then is taken from it


def work() -> None:
    time.sleep(random.uniform(0, WORK_SECONDS))


def serve_queue(client: redis.Redis[Any], name: str) -> None:
    """Move a job to a list of one's own, do it, cross it off."""
    mine = f"taken:{name}"
    while True:
        job = client.blmove("jobs", mine, 0.5, "RIGHT", "LEFT")
        if job is not None:
            work()
            client.rpush("done", job)
            client.lrem(mine, 1, job)


def serve_stream(client: redis.Redis[Any], name: str) -> None:
    """Read new entries of a group, and those that others have left lying about."""

    def do(entries: Iterable[tuple[bytes, Any]]) -> None:
        for number, _ in entries:
            work()
            client.hincrby("done", number, 1)
            client.xack("tasks", "workers", number)

    while True:
        _, left, _ = client.xautoclaim("tasks", "workers", name, IDLE_MS, count=5)
        for number, _ in left:
            client.hincrby("claimed", number, 1)
        do(left)
        for _, entries in client.xreadgroup("workers", name, {"tasks": ">"}, count=3, block=50):
            do(entries)


if __name__ == "__main__":
    kind, port, name = sys.argv[1:]
    serve = {"queue": serve_queue, "stream": serve_stream}[kind]
    serve(redis.Redis(port=int(port), client_name=name, protocol=2), name)
