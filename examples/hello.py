"""Talk to a server with redis-py: strings, deadlines, a pipeline, a scan.

Start a server (`make run`), then `python examples/hello.py`; another address goes behind it, such
as `redis://127.0.0.1:6379`.
"""

from __future__ import annotations

import sys

import redis


def main(url: str = "redis://127.0.0.1:7878") -> None:
    """Say hello, and a little more."""
    with redis.Redis.from_url(url, decode_responses=True) as server:
        server.set("hello:greeting", "Hello, world!", ex=60)
        print(server.get("hello:greeting"), "for", server.ttl("hello:greeting"), "seconds")

        # What is sent together is executed in one batch and answered in one write.
        with server.pipeline(transaction=False) as pipeline:
            for day in range(365):
                pipeline.setbit("hello:visits", day, int(day % 7 in {5, 6}))
            pipeline.bitcount("hello:visits")
            print("weekend days:", pipeline.execute()[-1])

        # A scan returns every key that stays, whatever is written meanwhile.
        server.mset({f"hello:user:{number}": f"user {number}" for number in range(1000)})
        print("users:", sum(1 for _ in server.scan_iter("hello:user:*", count=100)))

        try:
            server.incr("hello:greeting")
        except redis.ResponseError as error:
            print("refused:", error)

        server.delete(*server.scan_iter("hello:*"))


if __name__ == "__main__":
    main(*sys.argv[1:])
