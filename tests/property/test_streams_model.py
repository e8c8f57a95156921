"""A stream behaves like a dict of its entries, and its bytes are counted exactly."""

from __future__ import annotations

import random

import pytest

from spineldb.core import probe_data
from spineldb.core.effects import RecordingSink
from spineldb.core.keyspace import Keyspace
from spineldb.core.streams import References, Stream, read_id, write_id
from tests.fuzz.test_streams_against_redis import KEYS, Streams, timeless
from tests.support.embedded import Embedded
from tests.support.wire import encoded, pipeline, value

Id = tuple[int, int]
KEY = b"s"
KEEPREF = References.KEEPREF


class Model:
    """The ten lines that a stream is."""

    def __init__(self) -> None:
        self.entries: dict[Id, list[bytes]] = {}

    def between(self, start: Id, end: Id) -> list[tuple[bytes, list[bytes]]]:
        return [
            (write_id(one), fields) for one, fields in self.entries.items() if start <= one <= end
        ]

    def trim(self, length: int) -> None:
        for one in list(self.entries)[: max(len(self.entries) - length, 0)]:
            del self.entries[one]


def pairs(chance: random.Random) -> list[bytes]:
    """Return fields and values: often the same names, now and then long ones."""
    names = [b"name", b"value"] if chance.random() < 0.8 else [b"other"] * chance.randint(1, 4)
    return [
        word
        for name in names
        for word in (name, chance.randbytes(chance.choice([0, 1, 10, 127, 128, 5000])))
    ]


def check(seed: int, rounds: int) -> None:  # noqa: PLR0915 - one case for each operation
    chance = random.Random(seed)
    keyspace = Keyspace(1, seed=bytes(16))
    keyspace.stream_node_max_entries = chance.choice([0, 1, 7, 100])
    keyspace.stream_node_max_bytes = chance.choice([0, 300, 4096])
    database = keyspace.databases[0]
    empty = keyspace.used_memory
    stream, model = Stream(database, KEY), Model()
    last = (0, 0)
    for _ in range(rounds):
        match chance.randrange(12):
            case 0 if model.entries:
                one = chance.choice(list(model.entries))
                assert stream.delete(one, KEEPREF) == 1
                del model.entries[one]
                assert stream.delete(one, KEEPREF) == -1
            case 1 if last != (0, 0):
                length = chance.randint(0, len(model.entries) + 2)
                before = len(model.entries)
                model.trim(length)
                assert stream.trim(length, None, False, 0, KEEPREF) == before - len(model.entries)
            case 2 if last != (0, 0):
                start, end = sorted(
                    (chance.randint(0, last[0] + 1), chance.randint(0, 3)) for _ in range(2)
                )
                wanted = model.between(start, end)
                assert stream.entries(start, end) == wanted
                assert stream.entries(start, end, reverse=True) == wanted[::-1]
                assert stream.entries(start, end, 3) == wanted[:3]
            case 3 if chance.random() < 0.1 and database.move(KEY, database, b"t", copy=True):
                other = Stream(database, b"t")
                assert other.entries() == stream.entries()
                database.delete(b"t")
            case _:
                step = chance.choice([(0, 1), (0, 300), (1, 0), (70_000, 0), (2**33, 5)])
                last = (last[0] + step[0], step[1] if step[0] else last[1] + step[1])
                words = pairs(chance)
                stream.add(last, *words)
                model.entries[last] = words
        assert len(stream) == len(model.entries)
    assert stream.entries() == model.between((0, 0), last)
    settle(keyspace)
    assert probe_data.faults(keyspace) == []
    database.delete(KEY)
    settle(keyspace)
    assert keyspace.used_memory == empty


def settle(keyspace: Keyspace) -> None:
    """Do all work that waits."""
    while keyspace.run_work(1000):
        pass


@pytest.mark.parametrize("seed", range(12))
def test_a_stream_is_a_dict_of_its_entries(seed: int) -> None:
    check(seed, 600)


def test_an_id_reads_back_as_it_was_written() -> None:
    chance = random.Random(1)
    for _ in range(2000):
        one = (chance.getrandbits(chance.randint(1, 64)), chance.getrandbits(chance.randint(1, 64)))
        assert read_id(write_id(one)) == one


def facts(server: Embedded) -> list[object]:
    """Return all that is known of every stream, without times and deliveries not propagated."""
    found: list[object] = []
    for key in KEYS:
        for request in ([b"XINFO", b"STREAM", key, b"FULL", b"COUNT", b"0"], [b"XLEN", key]):
            (reply,) = server.answers(encoded(request))
            found.append(without_history(timeless(value(reply))))
    return found


def without_history(reply: object) -> object:
    """Leave out how often entries were delivered: reading one's history is not propagated."""
    if not isinstance(reply, list):
        return reply
    if len(reply) in {3, 4} and reply[-2] == "time":
        return reply[:-1]
    return [without_history(part) for part in reply]


@pytest.mark.parametrize("seed", range(8))
def test_effects_replayed_give_the_same_streams(seed: int) -> None:
    server, late = Embedded(seed), Embedded(seed + 1)
    server.keyspace.stream_node_max_entries = 4
    sink = RecordingSink()
    server.effects.add_sink(sink)
    requests = Streams(seed)
    server.feed(pipeline([requests.one() for _ in range(3000)]))
    late.keyspace.applying = True
    late.feed(
        sink.take().replace(b"*1\r\n$5\r\nMULTI\r\n", b"").replace(b"*1\r\n$4\r\nEXEC\r\n", b"")
    )
    assert facts(late) == facts(server)
    for one in (server, late):
        one.rest()
        assert probe_data.faults(one.keyspace) == []
