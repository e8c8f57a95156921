"""Memory comes back after random deletes, whatever the values are and however large."""

from __future__ import annotations

from random import Random

import pytest

from bench.load import batches
from bench.rows.giving_back import FORMS, Form, emptied, requests
from tests.support.embedded import Embedded

TOTAL = 100_000
LIMIT = 1.3
WARM_BYTES = 1 << 20  # that slabs keep of what was emptied last
SHAPES = {"one large value": TOTAL, "many small values": 10, "many of middle size": 400}


def send(server: Embedded, form: str, numbers: list[int], size: int) -> None:
    for some in batches(requests(form, numbers, size), 500):
        assert b"-ERR" not in server.feed(some)


def warm(server: Embedded) -> None:
    """Have the slabs keep as much as they do of what was emptied."""
    server.ask("SELECT", 1)
    send(server, FORMS["string"].add, list(range(WARM_BYTES // 32)), 1)
    server.ask("FLUSHDB")
    server.ask("SELECT", 0)
    server.rest()


def tidied(server: Embedded) -> int:
    """Tidy memory until nothing changes; return what is held, but for what is kept warm."""
    before = -1
    while before != server.keyspace.committed_memory:
        before = server.keyspace.committed_memory
        server.keyspace.defragment()
        server.rest()
        warm(server)
    return before - WARM_BYTES


def remaining(kind: str, size: int, *, whole_values: bool) -> tuple[list[int], list[int]]:
    """Return the elements that go and those that stay: at random, or by whole values."""
    values = Random(2).sample(range(TOTAL // size), TOTAL // size)
    chosen = values if whole_values else Random(1).sample(range(TOTAL), TOTAL)
    gone, left = chosen[len(chosen) // 10 :], chosen[: len(chosen) // 10]
    if whole_values:
        left = [value * size + index for value in left for index in range(size)]
        gone = [value * size for value in gone]
    return gone, sorted(left) if FORMS[kind].is_ordered else left


def held_in_vain(kind: str, size: int, *, whole_values: bool = False) -> float:
    """Return what a server holds after deletes, as a multiple of what a fresh one does."""
    form: Form = FORMS[kind]
    used, fresh = Embedded(1), Embedded(2)
    warm(used)
    start = used.keyspace.committed_memory - WARM_BYTES
    everything = list(range(TOTAL))
    if not form.is_ordered:
        Random(3).shuffle(everything)
    gone, left = remaining(kind, size, whole_values=whole_values)
    send(used, form.add, everything, size)
    send(used, "DEL k:{k:012}" if whole_values else form.remove, gone, size)
    if form.sweep and not whole_values:
        send(used, form.sweep, list(range(0, TOTAL, size)), size)
    if not whole_values:
        empty = emptied(form, left, TOTAL, size)
        send(fresh, form.add, empty, size)
        send(fresh, form.remove, empty, size)
    send(fresh, form.add, left, size)
    held = tidied(used)
    assert used.contents() == fresh.contents()
    used.check()
    return (held - start) / (tidied(fresh) - start)


@pytest.mark.parametrize("kind", [kind for kind in FORMS if kind != "string"])
@pytest.mark.parametrize("shape", SHAPES)
def test_memory_of_deleted_elements_comes_back(kind: str, shape: str) -> None:
    assert held_in_vain(kind, SHAPES[shape]) <= LIMIT


@pytest.mark.parametrize("kind", [kind for kind in FORMS if kind != "string"])
@pytest.mark.parametrize("shape", ["many small values", "many of middle size"])
def test_memory_of_deleted_values_comes_back(kind: str, shape: str) -> None:
    assert held_in_vain(kind, SHAPES[shape], whole_values=True) <= LIMIT
