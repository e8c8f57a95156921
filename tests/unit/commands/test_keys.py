"""What the generic commands tell others: propagation, events, watchers, waiters, counters."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from spineldb.core.session import SessionFlag
from tests.support.composed import DAY_MS, START_MS, Composed

LONG = b"l" * 300  # a key that needs a wide entry
BIG = b"v" * 100_000  # a value in a block of its own


@pytest.fixture
def server() -> Iterator[Composed]:
    server = Composed()
    server.listen()
    yield server
    while server.keyspace.run_work(1_000_000):
        pass


# -- propagation -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("DEL a missing b", [b"DEL a missing b"]),
        ("UNLINK a", [b"UNLINK a"]),
        ("EXPIRE a 10", [b"PEXPIREAT a %d" % (START_MS + 10_000)]),
        ("PEXPIRE a 10 NX", [b"PEXPIREAT a %d" % (START_MS + 10)]),
        ("EXPIREAT a 9999999999", [b"PEXPIREAT a 9999999999000"]),
        ("PEXPIREAT a 9999999999000", [b"PEXPIREAT a 9999999999000"]),
        ("EXPIRE b 200 GT", [b"PEXPIREAT b %d" % (START_MS + 200_000)]),
        ("EXPIRE a 0", [b"DEL a"]),
        ("EXPIREAT a -1", [b"DEL a"]),
        ("PERSIST b", [b"PERSIST b"]),
        ("RENAME a b", [b"RENAME a b"]),
        ("RENAMENX a c", [b"RENAMENX a c"]),
        ("COPY a b REPLACE", [b"COPY a b REPLACE"]),
        ("COPY a a DB 1", [b"COPY a a DB 1"]),
        ("MOVE a 1", [b"MOVE a 1"]),
        ("SWAPDB 0 1", [b"SWAPDB 0 1"]),
        ("FLUSHDB", [b"FLUSHDB"]),
        ("FLUSHALL ASYNC", [b"FLUSHALL ASYNC"]),
    ],
)
def test_a_change_is_propagated_as_what_happened(
    server: Composed, asked: str, expected: list[bytes]
) -> None:
    server.ask_all("SET a 1", "SET b 2 EX 100")
    server.sink.take()
    server.ask(*asked.split())
    assert server.propagated() == expected


@pytest.mark.parametrize(
    "asked",
    [
        "DEL missing",
        "UNLINK missing",
        "EXISTS a",
        "TOUCH a",
        "EXPIRE missing 10",
        "EXPIRE a 10 XX",
        "EXPIRE b 10 NX",
        "EXPIRE b 1000 LT",
        "EXPIRE a 10 GT",
        "EXPIRE a 10 FOO",
        "PERSIST a",
        "PERSIST missing",
        "RENAME missing a",
        "RENAME a a",
        "RENAMENX a b",
        "COPY a b",
        "COPY missing b REPLACE",
        "COPY a b REPLACE DB 99",
        "MOVE a 0",
        "MOVE c 1",
        "SWAPDB 2 2",
        "SWAPDB 0 99",
        "FLUSHALL LATER",
        "RANDOMKEY",
        "KEYS *",
        "SCAN 0",
    ],
)
def test_what_changes_nothing_tells_nobody(server: Composed, asked: str) -> None:
    server.ask_all("SET a 1", "SET b 2 EX 100", "SET c 3", "COPY c c DB 1")
    before = server.contents()
    for key in (b"a", b"b", b"c", b"missing"):
        server.keyspace.databases[0].watch(key, server.client)
    server.sink.take()
    server.told()
    dirty = server.effects.dirty
    server.ask(*asked.split())
    assert server.propagated() == []
    assert [event for event in server.told() if event[1] != "keymiss"] == []
    assert server.effects.dirty == dirty
    assert not server.client.has(SessionFlag.DIRTY_WATCH)
    assert server.contents() == before


def test_a_key_found_expired_in_another_database_is_deleted_there(server: Composed) -> None:
    server.ask_all("SET k 0")
    server.select(1)
    server.ask_all("SET k 1 PX 5")
    server.select(0)
    server.sink.take()
    server.pass_time(5, fire=False)
    assert server.ask("MOVE", "k", 1) == 1
    assert server.propagated() == [
        b"MULTI",
        b"DEL k",
        b"SELECT 0",
        b"MOVE k 1",
        b"EXEC",
    ]
    assert server.contents() == {1: {b"k": (b"0", -1)}}


def test_an_expired_key_is_deleted_before_the_command_that_found_it(server: Composed) -> None:
    server.ask_all("SET a 1 PX 5", "SET b 2")
    server.sink.take()
    server.pass_time(5, fire=False)
    assert server.ask("COPY", "b", "a") == 1
    assert server.propagated() == [b"MULTI", b"DEL a", b"COPY b a", b"EXEC"]
    assert server.ask("DEL", "missing") == 0
    assert server.propagated() == []


# -- events ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("DEL a", [(0, "del", b"a")]),
        ("EXPIRE a 10", [(0, "expire", b"a")]),
        ("EXPIRE a -1", [(0, "del", b"a")]),
        ("PERSIST b", [(0, "persist", b"b")]),
        (
            "RENAME a b",
            [
                (0, "new", b"b"),
                (0, "rename_from", b"a"),
                (0, "rename_to", b"b"),
                (0, "overwritten", b"b"),
            ],
        ),
        ("RENAMENX a c", [(0, "new", b"c"), (0, "rename_from", b"a"), (0, "rename_to", b"c")]),
        ("COPY a c", [(0, "new", b"c"), (0, "copy_to", b"c")]),
        ("COPY a b REPLACE", [(0, "new", b"b"), (0, "copy_to", b"b"), (0, "overwritten", b"b")]),
        ("COPY a x DB 3", [(3, "new", b"x"), (3, "copy_to", b"x")]),
        ("MOVE a 1", [(1, "new", b"a"), (0, "move_from", b"a"), (1, "move_to", b"a")]),
        ("EXISTS zz a", [(0, "keymiss", b"zz")]),
        ("TTL zz", [(0, "keymiss", b"zz")]),
        ("TYPE zz", [(0, "keymiss", b"zz")]),
        ("TOUCH zz", [(0, "keymiss", b"zz")]),
        ("COPY zz a", [(0, "keymiss", b"zz")]),
        ("OBJECT ENCODING zz", []),
        ("RENAME zz a", []),
        ("DEL zz", []),
    ],
)
def test_events_are_those_of_the_real_server_in_its_order(
    server: Composed, asked: str, expected: list[tuple[int, str, bytes]]
) -> None:
    server.ask_all("SET a 1", "SET b 2 EX 100")
    server.told()
    server.ask(*asked.split())
    assert server.told() == expected


def test_reads_count_as_hits_and_misses(server: Composed) -> None:
    server.ask_all("SET a 1")
    context = server.dispatcher.context
    hits, misses = context.hits, context.misses
    server.ask_all(
        "EXISTS a a zz", "TYPE a", "TTL a", "TOUCH a", "COPY a b", "OBJECT ENCODING a", "PTTL zz"
    )
    assert (context.hits - hits, context.misses - misses) == (7, 2)
    server.ask_all("EXPIRE a 100", "PERSIST a", "RENAME a c", "DEL c", "MOVE zz 1", "KEYS *")
    assert (context.hits - hits, context.misses - misses) == (7, 2)


# -- those who watch and wait ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("watched", "asked", "marked"),
    [
        ((0, b"a"), "RENAME a b", True),
        ((0, b"b"), "RENAME a b", True),
        ((0, b"a"), "COPY a b REPLACE", False),
        ((0, b"b"), "COPY a b REPLACE", True),
        ((0, b"a"), "MOVE a 1", True),
        ((1, b"a"), "MOVE a 1", True),
        ((0, b"a"), "DEL a", True),
        ((0, b"a"), "EXPIRE a 10", True),
        ((0, b"b"), "PERSIST b", True),
        ((0, b"a"), "TOUCH a", False),
        ((0, b"a"), "FLUSHALL", True),
        ((0, b"zz"), "FLUSHALL", False),
        ((1, b"a"), "FLUSHALL", False),
        ((0, b"a"), "FLUSHDB", True),
        ((1, b"one"), "FLUSHDB", False),
        ((0, b"a"), "SWAPDB 0 1", True),
        ((1, b"a"), "SWAPDB 0 1", True),
        ((0, b"one"), "SWAPDB 1 0", True),
        ((0, b"zz"), "SWAPDB 0 1", False),
        ((2, b"a"), "SWAPDB 0 1", False),
    ],
)
def test_watchers_are_marked_when_their_key_changes(
    server: Composed, watched: tuple[int, bytes], asked: str, marked: bool
) -> None:
    server.select(1)
    server.ask_all("SET one 1")
    server.select(0)
    server.ask_all("SET a 1", "SET b 2 EX 100")
    database, key = watched
    server.keyspace.databases[database].watch(key, server.client)
    server.ask(*asked.split())
    assert server.client.has(SessionFlag.DIRTY_WATCH) is marked


@pytest.mark.parametrize(
    ("awaited", "asked"),
    [
        ((0, b"b"), "RENAME a b"),
        ((0, b"a"), "RENAME a b"),
        ((0, b"c"), "COPY a c"),
        ((3, b"c"), "COPY a c DB 3"),
        ((1, b"a"), "MOVE a 1"),
        ((1, b"a"), "SWAPDB 0 1"),
        ((0, b"a"), "FLUSHALL"),
        ((0, b"a"), "DEL a"),
    ],
)
def test_those_who_wait_for_a_key_are_woken(
    server: Composed, awaited: tuple[int, bytes], asked: str
) -> None:
    server.ask_all("SET a 1")
    index, key = awaited
    database = server.keyspace.databases[index]
    database.awaited[key] = {}
    server.effects.awaited_keys += 1
    woken: list[tuple[object, bytes]] = []

    class Hooks:
        def ready(self, effects: object) -> None:
            del effects
            woken.extend((one, name) for one, name, _ in server.effects.ready)
            server.effects.ready.clear()

    server.dispatcher.hooks = Hooks()
    server.ask(*asked.split())
    assert (database, key) in woken


# -- time ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("may_bury", [True, False])
def test_what_has_expired_is_never_shown(server: Composed, may_bury: bool) -> None:
    server.ask_all("SET a 1 PX 10", "SET b 2 PX 10", "SET c 3", "SET d 4 PX 20")
    server.effects.may_bury = may_bury  # a replica may only hide
    server.pass_time(10, fire=False)
    assert sorted(server.ask("KEYS", "*")) == [b"c", b"d"]
    assert sorted(server.ask("SCAN", 0, "COUNT", 100)[1]) == [b"c", b"d"]
    assert {server.ask("RANDOMKEY") for _ in range(50)} == {b"c", b"d"}
    assert server.ask_all("EXISTS a b c d", "TTL a", "TYPE a", "PERSIST a") == [2, -2, "none", 0]
    server.ask("DEL", "c")
    server.pass_time(10, fire=False)
    assert server.ask("RANDOMKEY") is None
    assert server.ask("DBSIZE") == (0 if may_bury else 3)


def test_a_past_deadline_only_hides_the_key_where_keys_may_not_be_buried(server: Composed) -> None:
    server.ask_all("SET a 1")
    server.effects.may_bury = False
    assert server.ask_all("EXPIRE a -5", "EXISTS a", "DBSIZE") == [1, 0, 1]


def test_a_stream_is_applied_as_if_no_deadline_had_passed(server: Composed) -> None:
    server.ask_all("SET n 1 PX 10", "INCR n")
    stream = server.sink.take()
    late = Composed()
    late.pass_time(DAY_MS)
    late.apply(stream)
    assert late.keyspace.databases[0].scan(0)[1] == [(b"n", 1, START_MS + 10)]
    assert late.ask("EXISTS", "n") == 0


def test_deadlines_are_rounded_to_seconds_as_the_real_server_does(server: Composed) -> None:
    server.ask_all("SET a 1 PX 1499", "SET b 1 PX 1500")
    assert server.ask_all("TTL a", "TTL b", "PTTL a") == [1, 2, 1499]
    server.ask("PEXPIREAT", "a", (1 << 63) - 1)
    assert server.ask_all("EXPIRETIME a", "PEXPIRETIME a") == [9223372036854776, (1 << 63) - 1]


def test_touch_sets_the_idle_time_back_also_for_a_client_that_leaves_none(
    server: Composed,
) -> None:
    server.ask_all("SET a 1")
    server.pass_time(30_000)
    assert server.ask("OBJECT", "IDLETIME", "a") == 30
    server.ask_all("EXISTS a", "TTL a", "TYPE a")
    assert server.ask("OBJECT", "IDLETIME", "a") == 30
    server.client.mark(SessionFlag.NO_TOUCH)
    server.ask("GET", "a")
    assert server.ask("OBJECT", "IDLETIME", "a") == 30
    server.ask("TOUCH", "a")
    assert server.ask("OBJECT", "IDLETIME", "a") == 0


def test_a_copy_was_used_just_now_and_a_renamed_key_when_it_was(server: Composed) -> None:
    server.ask_all("SET a 1")
    server.pass_time(30_000)
    server.ask_all("RENAME a b")
    assert server.ask("OBJECT", "IDLETIME", "b") == 30
    server.ask_all("COPY b c")
    assert server.ask("OBJECT", "IDLETIME", "c") == 0


# -- values ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [b"", b"x", b"y" * 300, BIG])
@pytest.mark.parametrize("key", [b"", b"k", LONG])
@pytest.mark.parametrize("deadline", [None, START_MS + DAY_MS, 1 << 50])
@pytest.mark.parametrize("asked", [["RENAME", LONG], ["COPY", b"new", "DB", 3], ["MOVE", 2]])
def test_a_value_keeps_its_bytes_and_its_deadline_under_another_name(
    server: Composed, key: bytes, value: bytes, deadline: int | None, asked: list[bytes | str | int]
) -> None:
    command, name, *rest = asked
    if command == "RENAME" and key == name:
        name = b"other"
    server.ask("SET", key, value)
    server.ask("SET", "there", "before")
    if deadline is not None:
        server.ask("PEXPIREAT", key, deadline)
    server.ask(command, key, name, *rest)
    server.select({"RENAME": 0, "COPY": 3, "MOVE": 2}[str(command)])
    found = key if command == "MOVE" else name
    assert server.ask("GET", found) == value
    assert server.ask("PEXPIRETIME", found) == (-1 if deadline is None else deadline)
    server.select(0)
    assert server.ask("EXISTS", key) == (command == "COPY")


def test_deleting_gives_every_byte_back(server: Composed) -> None:
    empty = server.keyspace.used_memory
    for name, value in ((b"a", BIG), (LONG, b"1"), (b"c", b"3")):
        server.ask("SET", name, value, "PX", 5000)
        server.ask("COPY", name, name + b"2", "DB", 3)
        server.ask("RENAME", name, name + b"3")
    server.ask("COPY", "c3", "a3", "REPLACE")
    server.ask("FLUSHALL")
    assert server.ask("DBSIZE") == 0
    while server.keyspace.run_work(1_000_000):
        pass
    assert server.keyspace.used_memory == empty
    assert server.keyspace.block_memory == 0


# -- SCAN, OBJECT ----------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [[], ["MATCH", "nothing"], ["TYPE", "hash"]])
def test_scan_does_a_bounded_amount_of_work_whatever_it_finds(
    server: Composed, options: list[str]
) -> None:
    for number in range(5000):
        server.ask("SET", f"key:{number}", "x")
    calls, cursor = 0, b"0"
    while calls == 0 or cursor != b"0":
        cursor, found = server.ask("SCAN", cursor, "COUNT", 50, *options)
        calls += 1
        assert len(found) <= 50 + 60  # one bucket more, with those that found no room at home
    assert calls > 5000 / 110


def test_object_tells_idle_time_or_frequency_by_the_policy(server: Composed) -> None:
    server.ask_all("SET a 1")
    assert str(server.ask("OBJECT", "FREQ", "a")).startswith("ERR An LFU maxmemory policy is not")
    server.keyspace.lfu = True
    server.ask_all("SET b 1")
    assert server.ask("OBJECT", "FREQ", "b") == 5
    assert str(server.ask("OBJECT", "IDLETIME", "b")).startswith("ERR An LFU maxmemory policy is")
    assert server.ask_all("OBJECT FREQ zz", "OBJECT IDLETIME zz") == [None, None]
