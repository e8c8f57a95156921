"""Memory: what a key costs, what deleting gives back, what an idle connection holds.

All of it is growth of the resident set over that of the empty server, as the operating system
counts it. What a server believes about its own memory is not asked.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from contextlib import ExitStack
from random import Random

from bench.commands import SCORED, TEN
from bench.companions import Companion
from bench.figures import Limit, Row, Sample
from bench.lab import Lab
from bench.load import Template, batches, encode, fill, line_counter, saturate
from bench.servers import Server

SIZES = [500_000 + step * 500 // 7 * 1000 for step in range(8)]
VALUES = {10: Limit(0.7), 64: Limit(0.8), 1024: Limit(0.98)}
HASHES = {5: Limit(0.75), 20: Limit(0.9)}
FIELD, FIELD_OF_MANY = "field:{:04} xxxxxxxxxx", "{member} xxxxxxxxxx"
KEYS_DELETED_FROM = 1_000_000
KEYS_LEFT = 100_000
KEYS_JUDGED = 1_000_000
IDLE_CONNECTIONS = 10_000
STREAM_ENTRIES = 1_000_000
BATCH = 100


def bytes_per_key(
    lab: Lab, template: Template, counted: tuple[str, ...] = ("DBSIZE",)
) -> dict[str, Sample]:
    """Measure the mean growth per key over the sizes, each server filled once on its way up.

    One server after the other: a resident set does not drift as CPU time does.
    """
    samples: dict[str, Sample] = {}
    for program in lab.programs:
        with Server(program) as server:
            samples[program.name] = Sample(
                statistics.mean(growth_per_key(lab, server, template, counted))
            )
    return samples


def growth_per_key(
    lab: Lab, server: Server, template: Template, counted: tuple[str, ...]
) -> list[float]:
    """Return the growth per key, or element, at each size, of which `counted` asks the server.

    The server gets a moment of rest before each.
    """
    empty = server.resident_bytes()
    figures: list[float] = []
    filled = 0
    for size in map(lab.scaled, SIZES):
        fill(server.control, template, filled, size)
        filled = size
        assert server.control.ask(*counted) == size
        time.sleep(lab.seconds(0.5, 0.05))
        figures.append((server.resident_bytes() - empty) / size)
    return figures


def misjudged(lab: Lab, template: Template, count: int) -> dict[str, Sample]:
    """Measure by how much the growth of `used_memory` differs from that of the resident set.

    In per cent of the latter, after so many requests.
    """
    samples: dict[str, Sample] = {}
    for program in lab.programs:
        with Server(program) as server:
            empty = server.resident_bytes(), used_memory(server)
            fill(server.control, template, 0, lab.scaled(count))
            time.sleep(lab.seconds(0.5, 0.05))
            grown, believed = server.resident_bytes() - empty[0], used_memory(server) - empty[1]
        samples[program.name] = Sample(100 * abs(believed / grown - 1))
    return samples


def used_memory(server: Server) -> int:
    """Return what a server says that it uses."""
    info = server.control.ask("INFO", "memory")
    assert isinstance(info, bytes)
    fields = dict(line.split(b":", 1) for line in info.split(b"\r\n") if b":" in line)
    return int(fields[b"used_memory"])


def given_back(lab: Lab) -> dict[str, Sample]:
    """Measure what is held a minute after nine keys in ten were deleted, as a multiple.

    The multiple is of the growth of a fresh server that was given the remaining keys only.
    """
    total, left = lab.scaled(KEYS_DELETED_FROM), lab.scaled(KEYS_LEFT)
    keys = Random(1).sample(range(10 * total), total)
    with lab.servers() as used, lab.servers() as fresh:
        empty_used = [server.resident_bytes() for server in used]
        empty_fresh = [server.resident_bytes() for server in fresh]
        for server in used:
            send_each(server, "SET", keys)
            send_each(server, "DEL", Random(2).sample(keys[left:], total - left))
        for server in fresh:
            send_each(server, "SET", keys[:left])
        for server in (*used, *fresh):
            assert server.control.ask("DBSIZE") == left
        time.sleep(lab.seconds(60, 5))
        held = growth(used, empty_used)
        needed = growth(fresh, empty_fresh)
    return {name: Sample(held[name] / needed[name]) for name in held}


def growth(servers: Sequence[Server], before: Sequence[int]) -> dict[str, int]:
    """Return how much each resident set has grown."""
    return {
        server.name: server.resident_bytes() - size
        for server, size in zip(servers, before, strict=True)
    }


def send_each(server: Server, command: str, keys: Sequence[int]) -> None:
    """SET or DEL every key of a list whose length is a multiple of the batch."""
    words = (command, "k:%012d", "xxxxxxxxxx")[: 3 if command == "SET" else 2]
    form = encode(*words).replace(b"$7\r\n", b"$14\r\n")
    requests = map(form.__mod__, keys)
    with server.connect() as client:
        saturate([client], batches(requests, BATCH), [line_counter(client, BATCH)])


def idle_connections(lab: Lab) -> dict[str, Sample]:
    """Measure the growth per connection a minute after each has sent one PING, in bytes."""
    count = lab.scaled(IDLE_CONNECTIONS)
    with lab.servers() as servers, ExitStack() as stack:
        empty = [server.resident_bytes() for server in servers]
        holders = [stack.enter_context(Companion("hold", server.port, count)) for server in servers]
        for holder in holders:
            holder.await_ready()
        time.sleep(lab.seconds(60, 5))
        grown = growth(servers, empty)
    return {name: Sample(size / count) for name, size in grown.items()}


def bytes_per_entry(lab: Lab) -> dict[str, Sample]:
    """Measure the growth per entry of one stream with a million of them, two fields each."""
    template = Template("XADD stream * name {value} value {value}")
    count = lab.scaled(STREAM_ENTRIES)
    samples: dict[str, Sample] = {}
    for program in lab.programs:
        with Server(program) as server:
            empty = server.resident_bytes()
            fill(server.control, template, 0, count)
            assert server.control.ask("XLEN", "stream") == count
            time.sleep(lab.seconds(0.5, 0.05))
            samples[program.name] = Sample((server.resident_bytes() - empty) / count)
    return samples


def judged_row(name: str, title: str, request: str, count: int) -> Row:
    """Make a row of what a server believes of its memory."""
    return Row(
        name=f"memory.judged.{name}",
        title=f"used_memory against growth of the resident set, {title}",
        section="What a server believes of its memory: how far off",
        unit="%",
        limit=Limit(10, relative=False),
        measure=lambda lab: misjudged(lab, Template(request), count),
    )


FIELDS = " ".join(f"field:{number:03} xxxxxxxxxx" for number in range(10))

#: A million small keys, a million elements in keys of ten, and a million in one value.
JUDGED = (
    ("string", "1 M keys, values of 10", "SET {each} xxxxxxxxxx", KEYS_JUDGED),
    ("deadline", "1 M keys, a deadline each", "SET {each} xxxxxxxxxx EX {seconds}", KEYS_JUDGED),
    ("small-list", "lists of 10", f"RPUSH {{each}} {TEN}", KEYS_JUDGED // 10),
    ("small-set", "sets of 10", f"SADD {{each}} {TEN}", KEYS_JUDGED // 10),
    ("small-hash", "hashes of 10 fields", f"HSET {{each}} {FIELDS}", KEYS_JUDGED // 10),
    ("small-zset", "sorted sets of 10", f"ZADD {{each}} {SCORED}", KEYS_JUDGED // 10),
    ("small-stream", "streams of one entry", "XADD {each} * name {value}", KEYS_JUDGED // 10),
    ("list", "a list of 1 M", "RPUSH l {member}", KEYS_JUDGED),
    ("set", "a set of 1 M", "SADD s {member}", KEYS_JUDGED),
    ("hash", "a hash of 1 M fields", "HSET h {member} {value}", KEYS_JUDGED),
    ("zset", "a sorted set of 1 M", "ZADD z {number} {member}", KEYS_JUDGED),
    ("stream", "a stream of 1 M", "XADD x * name {value} value {value}", KEYS_JUDGED),
)


def key_row(name: str, title: str, limit: Limit, request: str) -> Row:
    """Make a row of memory per key."""
    return Row(
        name=f"memory.key.{name}",
        title=title,
        section="Memory per key: 14-byte keys, mean of eight sizes from 0.5 to 1 million",
        unit="bytes",
        limit=limit,
        measure=lambda lab: bytes_per_key(lab, Template(request)),
    )


def element_row(name: str, title: str, limit: Limit, request: str, *counted: str) -> Row:
    """Make a row of memory per element of one large value."""
    return Row(
        name=f"memory.element.{name}",
        title=title,
        section="Memory per element of 10 bytes: one value, mean of eight sizes up to 1 million",
        unit="bytes",
        limit=limit,
        measure=lambda lab: bytes_per_key(lab, Template(request), counted),
    )


ROWS = (
    *(
        key_row(str(size), f"values of {size}", limit, "SET {each} " + "x" * size)
        for size, limit in VALUES.items()
    ),
    key_row(
        "deadline",
        "values of 10, a deadline each",
        Limit(0.65),
        "SET {each} xxxxxxxxxx EX {seconds}",
    ),
    *(judged_row(*facts) for facts in JUDGED),
    *(
        key_row(
            f"hash{count}",
            f"hashes of {count} fields and values of 10",
            limit,
            f"HSET {{each}} {' '.join(FIELD.format(number) for number in range(count))}",
        )
        for count, limit in HASHES.items()
    ),
    element_row("hash", "a hash, values of 10", Limit(0.6), f"HSET h {FIELD_OF_MANY}", "HLEN", "h"),
    key_row("set", "sets of 10 members of 10", Limit(0.85), f"SADD {{each}} {TEN}"),
    element_row("set", "a set", Limit(0.75), "SADD s {member}", "SCARD", "s"),
    element_row("list", "a list", Limit(1.0), "RPUSH l {member}", "LLEN", "l"),
    key_row("zset", "sorted sets of 10 members of 10", Limit(0.95), f"ZADD {{each}} {SCORED}"),
    element_row("zset", "a sorted set", Limit(0.65), "ZADD z {number} {member}", "ZCARD", "z"),
    Row(
        name="memory.stream",
        title="an entry of two fields, 1 M in one stream",
        section="Memory per element",
        unit="bytes",
        limit=Limit(1.0),
        measure=bytes_per_entry,
    ),
    Row(
        name="memory.given-back",
        title="1 M keys, 90 % deleted at random, a minute later",
        section="Memory given back: growth as a multiple of a fresh server's with the same keys",
        unit="×",
        limit=Limit(1.3, relative=False),
        measure=given_back,
    ),
    Row(
        name="memory.connection",
        title="10,000 idle connections after a minute, each",
        section="Memory per connection",
        unit="bytes",
        limit=Limit(0.8),
        measure=idle_connections,
    ),
)
