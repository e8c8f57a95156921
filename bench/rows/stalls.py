"""The worst stall: how long a server keeps everybody waiting for its own housekeeping.

A pinger asks every millisecond. Its largest gap while something happens, less its largest gap on
the same server with nothing to do, is the stall. What happens is sent so that it causes no queue
by itself: a filler keeps no more than two hundred commands under way.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.companions import Companion
from bench.figures import Limit, Row, Sample
from bench.lab import Lab
from bench.load import ErrorReply, Reply, Template, fill
from bench.rows.memory import used_memory
from bench.servers import Server

FILL = Template("SET {each} xxxxxxxxxx")
BIG_STRING = 512 << 20
BIG_STREAM = 1_000_000
GROWN_KEYS = 5_000_000
MANY_KEYS = 1_000_000
AFTERMATH = 0.5  # seconds: what a server does behind a command's back also counts
EXPIRY_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is there before, and what happens while the pinger watches."""

    prepare: Callable[[Server, Lab], None]
    happen: Callable[[Server, Lab], None]
    needs: str = "PING"  # a request that a server must accept to take part


def largest_gap(server: Server, happening: Callable[[], None]) -> float:
    """Return the pinger's largest gap in milliseconds while something happens."""
    with Companion("pinger", server.port) as pinger:
        pinger.await_ready()
        time.sleep(0.1)
        happening()
        return float(pinger.dismiss())


def measure(scenario: Scenario, lab: Lab) -> dict[str, Sample]:
    """Measure the stall of one scenario; the idle gap is measured once for each server."""
    with lab.servers() as all_servers:
        servers = [server for server in all_servers if accepts(server, scenario.needs)]
        watch = lab.seconds(2.0, 0.5)
        idle = {server.name: largest_gap(server, lambda: time.sleep(watch)) for server in servers}

        def sample(server: Server) -> Sample:
            server.control.ask("FLUSHALL")
            lab.settle(server)
            scenario.prepare(server, lab)
            gap = largest_gap(server, lambda: scenario.happen(server, lab))
            return Sample(max(0.0, gap - idle[server.name]))

        return lab.interleave(servers, sample)


def accepts(server: Server, request: str) -> bool:
    """Tell whether a server has a command."""
    try:
        server.control.ask(*request.split())
    except ErrorReply:
        return False
    return True


def nothing(_server: Server, _lab: Lab) -> None:
    """Prepare nothing."""


def grow(server: Server, lab: Lab) -> None:
    """Grow from nothing to five million keys."""
    fill(server.control, FILL, 0, lab.scaled(GROWN_KEYS))


def fill_many(server: Server, lab: Lab) -> None:
    """Have a million keys."""
    fill(server.control, FILL, 0, lab.scaled(MANY_KEYS))
    lab.settle(server)


def fill_due(server: Server, lab: Lab) -> None:
    """Have a million keys that expire in the same millisecond, a few seconds ahead."""
    due_at = int((time.time() + lab.seconds(6, 2)) * 1000)
    form = Template(f"SET {{each}} xxxxxxxxxx PXAT {due_at}")
    fill(server.control, form, 0, lab.scaled(MANY_KEYS))
    assert time.time() * 1000 < due_at, "the keys were due before all of them were there"


def expire(server: Server, _lab: Lab) -> None:
    """Wait until all keys have expired."""
    give_up_at = time.perf_counter() + EXPIRY_SECONDS
    while server.control.ask("DBSIZE"):
        assert time.perf_counter() < give_up_at, f"{server.name} did not expire its keys"
        time.sleep(0.05)
    time.sleep(AFTERMATH)


def fill_due_fields(server: Server, lab: Lab) -> None:
    """Have a hash of a million fields that expire in the same millisecond."""
    due_at = int((time.time() + lab.seconds(15, 5)) * 1000)
    form = Template(f"HSETEX h PXAT {due_at} FIELDS 1 {{member}} xxxxxxxxxx")
    fill(server.control, form, 0, lab.scaled(MANY_KEYS))
    assert time.time() * 1000 < due_at, "the fields were due before all of them were there"


def flush(server: Server, _lab: Lab) -> None:
    """Flush all keys."""
    server.control.ask("FLUSHALL")
    time.sleep(AFTERMATH)


def make_big(server: Server, lab: Lab) -> None:
    """Have one string of 512 MB, every page of it written."""
    size = lab.scaled(BIG_STRING)
    server.control.ask("SETRANGE", "big", str(size - 1), "x")
    lab.settle(server)


def remove_big(command: str) -> Callable[[Server, Lab], None]:
    """Return what removes that string."""

    def happen(server: Server, _lab: Lab) -> None:
        assert server.control.ask(command, "big") == 1
        time.sleep(AFTERMATH)

    return happen


def make_stream(server: Server, lab: Lab) -> None:
    """Have a stream of a million entries."""
    template = Template("XADD big * name {value} value {value}")
    fill(server.control, template, 0, lab.scaled(BIG_STREAM))
    lab.settle(server)


def fill_to_the_limit(server: Server, lab: Lab) -> None:
    """Have a million keys, and no memory for more."""
    fill_many(server, lab)
    server.control.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    server.control.ask("CONFIG", "SET", "maxmemory", str(used_memory(server)))


def write_on(server: Server, lab: Lab) -> None:
    """Write as many keys again, each of which makes another one go; then lift the limit."""
    first, count = lab.scaled(MANY_KEYS), lab.scaled(MANY_KEYS)
    fill(server.control, FILL, first, first + count)
    assert int(str(server.control.ask("DBSIZE"))) < 1.1 * first
    server.control.ask("CONFIG", "SET", "maxmemory", "0")


def lower_the_limit(server: Server, lab: Lab) -> None:
    """Lower the limit to a quarter while somebody writes; then lift it."""
    (limit,) = list_of(server.control.ask("CONFIG", "GET", "maxmemory"))[1:]
    server.control.ask("CONFIG", "SET", "maxmemory", str(int(limit) // 4))
    first = lab.scaled(MANY_KEYS)
    fill(server.control, FILL, first, first + lab.scaled(MANY_KEYS) // 10)
    time.sleep(AFTERMATH)
    server.control.ask("CONFIG", "SET", "maxmemory", "0")


def list_of(reply: Reply) -> list[bytes]:
    """Take a reply that is an array of bulk strings for one."""
    assert isinstance(reply, list)
    return [word for word in reply if isinstance(word, bytes)]


def fill_value(request: str) -> Callable[[Server, Lab], None]:
    """Return what makes one value of a million elements."""

    def prepare(server: Server, lab: Lab) -> None:
        fill(server.control, Template(request), 0, lab.scaled(MANY_KEYS))
        lab.settle(server)

    return prepare


def remove_value(key: str) -> Callable[[Server, Lab], None]:
    """Return what deletes it."""

    def happen(server: Server, _lab: Lab) -> None:
        assert server.control.ask("DEL", key) == 1
        time.sleep(AFTERMATH)

    return happen


SCENARIOS = {
    "grow": ("growing to 5 M keys", Scenario(nothing, grow)),
    "expire": ("1 M keys due at once", Scenario(fill_due, expire)),
    "flushall": ("FLUSHALL of 1 M keys", Scenario(fill_many, flush)),
    "unlink": ("UNLINK of a 512 MB string", Scenario(make_big, remove_big("UNLINK"))),
    "del": ("DEL of a 512 MB string", Scenario(make_big, remove_big("DEL"))),
    "stream": ("DEL of a stream of 1 M entries", Scenario(make_stream, remove_big("DEL"))),
    "evict": ("eviction at the limit under a write load", Scenario(fill_to_the_limit, write_on)),
    "evict.lowered": (
        "maxmemory of 1 M keys lowered to a quarter under a write load",
        Scenario(fill_to_the_limit, lower_the_limit),
    ),
    "set": ("DEL of a set of 1 M", Scenario(fill_value("SADD s {member}"), remove_value("s"))),
    "hash": (
        "DEL of a hash of 1 M",
        Scenario(fill_value("HSET h {member} xxxxxxxxxx"), remove_value("h")),
    ),
    "fields": (
        "1 M fields of a hash due at once",
        Scenario(fill_due_fields, expire, needs="HSETEX none FXX FIELDS 1 f v"),
    ),
    "list": ("DEL of a list of 1 M", Scenario(fill_value("RPUSH l {member}"), remove_value("l"))),
    "zset": (
        "DEL of a sorted set of 1 M",
        Scenario(fill_value("ZADD z {number} {member}"), remove_value("z")),
    ),
}


def stall_row(name: str, title: str, scenario: Scenario) -> Row:
    """Make the row of a scenario."""
    return Row(
        name=f"stall.{name}",
        title=title,
        section="Worst stall seen by a 1 ms pinger, beyond the idle server's",
        unit="ms",
        limit=Limit(5.0, relative=False),
        measure=lambda lab: measure(scenario, lab),
    )


ROWS = tuple(stall_row(name, title, scenario) for name, (title, scenario) in SCENARIOS.items())
