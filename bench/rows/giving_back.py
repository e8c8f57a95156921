"""Memory given back: nine elements in ten are deleted at random, and the server is left alone.

What is held a minute later is compared with the growth of a fresh server that was given only what
remains. Deleting at random leaves something everywhere: nothing comes back unless it is moved.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

from bench.figures import Limit, Row, Sample
from bench.lab import Lab
from bench.load import batches, encode, line_counter, saturate
from bench.rows.memory import growth
from bench.servers import Server

TOTAL = 1_000_000
LEFT_SHARE = 10  # of which one is left
SMALL = 10  # elements of a small value
BATCH = 100
TEN = "x" * 10


@dataclass(frozen=True, slots=True)
class Form:
    """How elements are added and removed: `e` is an element, `k` its value, `i` its index there."""

    add: str
    remove: str
    sweep: str = ""  # what removes the elements that `remove` has only marked
    lines: int = 1  # of the reply to `add`
    is_ordered: bool = False  # elements are added in their order
    stays: bool = False  # a value is there without elements, too


FORMS = {
    "string": Form(f"SET k:{{e:012}} {TEN}", "DEL k:{e:012}"),
    "hash": Form(f"HSET k:{{k:012}} f:{{e:012}} {TEN}", "HDEL k:{k:012} f:{e:012}"),
    "set": Form("SADD k:{k:012} m:{e:012}", "SREM k:{k:012} m:{e:012}"),
    "zset": Form("ZADD k:{k:012} {e} m:{e:012}", "ZREM k:{k:012} m:{e:012}"),
    "list": Form(
        "RPUSH k:{k:012} e:{e:012}",
        "LSET k:{k:012} {i} gone",
        "LREM k:{k:012} 0 gone",
        is_ordered=True,
    ),
    "stream": Form(
        f"XADD k:{{k:012}} 1-{{e}} name {TEN}",
        "XDEL k:{k:012} 1-{e}",
        lines=2,
        is_ordered=True,
        stays=True,
    ),
}
TITLES = {
    "string": "keys",
    "hash": "fields",
    "set": "members of sets",
    "zset": "members of sorted sets",
    "list": "elements of lists",
    "stream": "entries of streams",
}


def requests(form: str, numbers: Iterable[int], size: int) -> Iterator[bytes]:
    """Write a request for each element; values have `size` elements."""
    for number in numbers:
        yield encode(*form.format(e=number, k=number // size, i=number % size).split())


def send(server: Server, form: str, numbers: Sequence[int], size: int, lines: int = 1) -> None:
    """Send a request for each element, whose reply has so many lines."""
    whole = len(numbers) - len(numbers) % BATCH
    with server.connect() as client:
        sent = batches(requests(form, numbers[:whole], size), BATCH)
        saturate([client], sent, [line_counter(client, BATCH * lines)])
        for request in requests(form, numbers[whole:], size):
            client.socket.sendall(request)
            client.read()


def emptied(form: Form, left: Iterable[int], total: int, size: int) -> list[int]:
    """Return an element of each value that stays although it has none left."""
    if not form.stays:
        return []
    return [value * size for value in sorted({*range(total // size)} - {n // size for n in left})]


def given_back(lab: Lab, form: Form, size: int) -> dict[str, Sample]:
    """Measure what is held, as a multiple of what a fresh server holds; values have `size`."""
    total = lab.scaled(TOTAL)
    size = min(size, total)
    shuffled = Random(1).sample(range(total), total)
    left, gone = shuffled[: total // LEFT_SHARE], shuffled[total // LEFT_SHARE :]
    empty = emptied(form, left, total, size)
    if form.is_ordered:
        shuffled, left = sorted(shuffled), sorted(left)
    with lab.servers() as used, lab.servers() as fresh:
        empty_used = [server.resident_bytes() for server in used]
        empty_fresh = [server.resident_bytes() for server in fresh]
        for server in used:
            send(server, form.add, shuffled, size, form.lines)
            send(server, form.remove, gone, size)
            if form.sweep:
                send(server, form.sweep, range(0, total, size), size)
        for server in fresh:
            send(server, form.add, empty, size, form.lines)
            send(server, form.remove, empty, size)
            send(server, form.add, left, size, form.lines)
        time.sleep(lab.seconds(60, 10))
        held, needed = growth(used, empty_used), growth(fresh, empty_fresh)
    return {name: Sample(held[name] / needed[name]) for name in held}


def row(name: str, size: int) -> Row:
    """Make a row for one type, in one large value or in many small ones."""
    large = size > SMALL and name != "string"
    where = "" if name == "string" else " of one value" if large else f", {SMALL} a value"
    suffix = "" if name == "string" else "-large" if large else "-small"
    return Row(
        name=f"memory.given-back.{name}{suffix}",
        title=f"1 M {TITLES[name]}{where}, 90 % deleted at random, a minute later",
        section="Memory given back: growth as a multiple of a fresh server's with the same data",
        unit="×",
        limit=Limit(1.3, relative=False),
        measure=lambda lab: given_back(lab, FORMS[name], size),
    )


ROWS = (
    row("string", 1),
    *(row(name, size) for size in (2 * TOTAL, SMALL) for name in FORMS if name != "string"),
)
