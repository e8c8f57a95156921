"""Eviction: which keys go, in what order everybody is told, and what a write gets at the limit."""

from __future__ import annotations

import time
from collections.abc import Iterable

import pytest

from spineldb.core import probe_data, strings
from spineldb.core.session import SessionFlag
from spineldb.engine.eviction import POLICIES
from tests.support.composed import Composed, walked
from tests.support.embedded import Embedded
from tests.support.wire import encoded

OOM = "OOM command not allowed when used memory > 'maxmemory'."
MINUTE_MS = 60_000
ENTRY_BYTES = 32  # that an entry of `fill` takes
DEADLINE_BYTES = 8  # more with a deadline
EVICTING = sorted(set(POLICIES) - {"noeviction"})
VOLATILE = [policy for policy in EVICTING if policy.startswith("volatile")]


@pytest.fixture(name="server")
def make_server() -> Composed:
    return Composed()


def fill(server: Composed, keys: Iterable[int], *options: str | int) -> None:
    """Set keys of equal size."""
    for key in keys:
        assert server.ask("SET", f"key:{key:08d}", "0123456789", *options) == "OK"


def numbers(server: Composed, database: int = 0) -> set[int]:
    """Return which of those keys are left."""
    entries = walked(server.keyspace.databases[database])
    return {int(key[4:]) for key, _ in entries if key.startswith(b"key:")}


def evict(server: Composed, keys: int, policy: str, samples: int = 5) -> None:
    """Lower the limit by the size of about so many keys, and evict what is above it."""
    server.engine.eviction.follow(policy, samples)
    size = ENTRY_BYTES + (DEADLINE_BYTES if server.keyspace.databases[0].deadlines else 0)
    server.dispatcher.limit_memory(server.keyspace.used_memory - keys * size)
    while server.engine.eviction.work(1000):
        pass
    server.dispatcher.limit_memory(0)
    assert not probe_data.faults(server.keyspace)


# -- which keys go


def use_in_order(server: Composed, count: int, step_ms: int) -> None:
    for key in range(count):
        server.now_ms += step_ms
        server.ask("GET", f"key:{key:08d}")


@pytest.mark.parametrize(("samples", "share"), [(3, 0.8), (5, 0.9), (10, 0.95)])
def test_lru_evicts_those_not_used_for_longest(
    server: Composed, samples: int, share: float
) -> None:
    fill(server, range(4000))
    use_in_order(server, 4000, 1000)
    evict(server, 1000, "allkeys-lru", samples)
    gone = set(range(4000)) - numbers(server)
    assert 800 < len(gone) < 1300
    oldest = sum(key < 4000 * 0.35 for key in gone)
    assert oldest > share * len(gone)
    assert max(gone) < 3500


def test_a_clock_that_goes_back_keeps_the_order(server: Composed) -> None:
    server.pass_time(-100_000_000_000)  # three years before the start
    fill(server, range(200))
    ages = []
    for key in range(0, 200, 2):
        server.now_ms += 700_000
        server.ask("GET", f"key:{key:08d}")
        if key > 100:
            ages.append(server.keyspace.databases[0].idle_seconds(f"key:{key - 2:08d}".encode()))
    assert set(ages) == {700}


def test_a_candidate_that_is_used_again_stays(server: Composed) -> None:
    fill(server, range(16))
    server.pass_time(MINUTE_MS)
    fill(server, range(16, 2000))
    server.pass_time(MINUTE_MS)
    evict(server, 8, "allkeys-lru", 64)  # the pool holds the old keys that are left
    left = numbers(server) & set(range(16))
    assert len(left) < 16
    for key in left:
        server.ask("GET", f"key:{key:08d}")
    evict(server, 100, "allkeys-lru", 10)
    assert left <= numbers(server)


def test_lfu_evicts_those_used_least(server: Composed) -> None:
    server.keyspace.lfu = True
    server.pass_time(0)
    fill(server, range(2000))
    for _ in range(40):
        for key in range(1000, 2000):
            server.ask("GET", f"key:{key:08d}")
    evict(server, 500, "allkeys-lfu", 10)
    gone = set(range(2000)) - numbers(server)
    assert sum(key < 1000 for key in gone) > 0.99 * len(gone)


def test_lfu_forgets_what_was_used_long_ago(server: Composed) -> None:
    server.keyspace.lfu = True
    server.pass_time(0)
    fill(server, range(1000))
    for _ in range(40):
        for key in range(1000):
            server.ask("GET", f"key:{key:08d}")
    server.pass_time(60 * MINUTE_MS)
    fill(server, range(1000, 2000))
    evict(server, 500, "allkeys-lfu", 10)
    gone = set(range(2000)) - numbers(server)
    assert sum(key < 1000 for key in gone) > 0.99 * len(gone)


def test_ttl_evicts_those_that_expire_soonest(server: Composed) -> None:
    for key in range(2000):
        fill(server, [key], "EX", 10_000 + key)
    evict(server, 500, "volatile-ttl", 10)
    gone = set(range(2000)) - numbers(server)
    assert sum(key < 800 for key in gone) > 0.95 * len(gone)


@pytest.mark.parametrize("policy", ["allkeys-random", "volatile-random"])
def test_random_eviction_is_fair(server: Composed, policy: str) -> None:
    fill(server, range(4000), *(("EX", 1000) if policy == "volatile-random" else ()))
    evict(server, 2000, policy)
    gone = set(range(4000)) - numbers(server)
    stripes = [sum(key // 400 == stripe for key in gone) for stripe in range(10)]
    expected = len(gone) / 10
    # each stripe is hypergeometric; 30 is the 0.1 % point of chi-square with 10 degrees of freedom
    assert sum((count - expected) ** 2 / (expected / 2) for count in stripes) < 30


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
def test_all_databases_give_as_they_have(server: Composed, policy: str) -> None:
    for database, count in ((0, 3000), (7, 1000), (15, 200)):
        server.select(database)
        fill(server, range(count), "EX", 5000)
    evict(server, 2000, policy)
    left = [len(server.keyspace.databases[index]) / count
            for index, count in ((0, 3000), (7, 1000), (15, 200))]  # fmt: skip
    mean = sum(len(database) for database in server.keyspace.databases) / 4200
    assert all(abs(share - mean) < 0.15 for share in left), left


@pytest.mark.parametrize("policy", VOLATILE)
def test_volatile_policies_touch_no_key_without_a_deadline(server: Composed, policy: str) -> None:
    fill(server, range(1000))
    fill(server, range(1000, 1400), "EX", 100)
    evict(server, 1400, policy)
    assert numbers(server) == set(range(1000))


@pytest.mark.parametrize("policy", VOLATILE)
def test_rare_keys_with_a_deadline_are_found(server: Composed, policy: str) -> None:
    fill(server, range(30_000))
    server.select(3)
    fill(server, range(30_000, 30_010), "EX", 100)
    fill(server, range(30_010, 31_000))
    server.select(0)
    fill(server, range(31_000, 31_010), "EX", 100)
    before = server.dispatcher.evictor.looked_at
    evict(server, 18, policy)
    assert server.engine.eviction.evicted_keys >= 18
    assert server.dispatcher.evictor.looked_at - before < 3 * 31_010
    kept = numbers(server) | numbers(server, 3)
    assert kept >= set(range(30_000)) | set(range(30_010, 31_000))


def test_the_best_of_a_few_rare_keys_goes(server: Composed) -> None:
    fill(server, range(5000))
    for key in range(5000, 5010):
        fill(server, [key], "EX", 1000 + key)
    evict(server, 1, "volatile-ttl", 10)
    assert set(range(5010)) - numbers(server) == {5000}


def test_a_key_whose_time_has_passed_expires(server: Composed) -> None:
    fill(server, range(50))
    fill(server, range(50, 52), "PX", 10)
    server.listen()
    server.pass_time(1000, fire=False)
    evict(server, 1, "allkeys-lru", 64)
    assert [event for _, event, _ in server.told()] == ["expired"]
    assert server.effects.expired_keys == 1
    assert server.engine.eviction.evicted_keys == 0


@pytest.mark.parametrize("policy", EVICTING)
def test_a_step_looks_at_few_keys(server: Composed, policy: str) -> None:
    fill(server, range(20_000))
    fill(server, range(20_000, 20_020), "EX", 100)
    server.engine.eviction.follow(policy, 10)
    server.dispatcher.limit_memory(server.keyspace.used_memory // 2)
    for _ in range(200):
        looked_at, evicted = server.dispatcher.evictor.looked_at, server.ask("DBSIZE")
        if not server.engine.eviction.work(0):
            break
        assert server.dispatcher.evictor.looked_at - looked_at < 700
        assert evicted - server.ask("DBSIZE") <= 1


@pytest.mark.parametrize("policy", EVICTING)
def test_keys_used_now_and_then_are_found_in_any_table(server: Composed, policy: str) -> None:
    """Also in one that shrank, was swapped, and flushed while candidates waited."""
    for start in range(0, 3000, 300):
        server.select(start % 4)
        fill(server, range(start, start + 300), *(("EX", 500) if start % 900 else ()))
    server.engine.eviction.follow(policy, 5)
    for act in ("SWAPDB 0 1", "FLUSHDB", "SWAPDB 2 3"):
        server.dispatcher.limit_memory(server.keyspace.used_memory - 3000)
        for _ in range(20):
            server.engine.eviction.work(0)
        assert server.ask(*act.split()) == "OK"
        server.dispatcher.limit_memory(server.keyspace.used_memory - 3000)
        for _ in range(20):
            server.engine.eviction.work(0)
        while server.keyspace.run_work(10_000):
            pass
        assert not probe_data.faults(server.keyspace)


# -- what everybody is told


def full(server: Composed, policy: str = "allkeys-lru", keys: int = 100) -> None:
    """Fill memory to the limit."""
    fill(server, range(keys), "EX", 1000)
    server.dispatcher.limit_memory(server.keyspace.used_memory - 1)
    server.engine.eviction.follow(policy, 5)
    server.propagated()


def test_a_write_that_needs_room_is_told_after_the_del(server: Composed) -> None:
    full(server)
    server.listen()
    server.select(4)
    assert server.ask("SET", "new", "value") == "OK"
    (gone,) = set(range(100)) - numbers(server)
    name = b"key:%08d" % gone
    assert server.propagated() == [b"DEL " + name, b"SELECT 4", b"SET new value"]
    assert server.told()[0] == (0, "evicted", name)
    assert server.engine.eviction.evicted_keys == 1


def test_replicas_hold_the_same_after_an_eviction_storm(server: Composed) -> None:
    """D6."""
    replica = Composed()
    server.engine.eviction.follow("allkeys-random", 5)
    for database in (0, 3, 15):
        server.select(database)
        fill(server, range(300))
    server.dispatcher.limit_memory(server.keyspace.used_memory)
    for key in range(1000, 3000):
        server.select(key % 16)
        fill(server, [key])
    assert server.engine.eviction.evicted_keys > 1500
    replica.apply(server.sink.take())
    assert replica.contents() == server.contents()


def test_clients_that_watch_the_key_are_marked(server: Composed) -> None:
    fill(server, [1])
    server.keyspace.databases[0].watch(b"key:00000001", server.client)
    evict(server, 1, "allkeys-lru")
    assert server.client.has(SessionFlag.DIRTY_WATCH)
    server.keyspace.databases[0].unwatch(b"key:00000001", server.client)


def test_an_eviction_that_cannot_be_told_is_an_emergency(server: Composed) -> None:
    full(server)
    server.effects.fail_next = 1
    refused = str(server.engine.emergency.refusal)
    assert server.ask("SET", "new", "value") == refused
    assert server.engine.emergency.active
    evicted = server.engine.eviction.evicted_keys
    assert evicted == 1
    assert server.ask("SET", "new", "value") == refused
    assert not server.engine.eviction.work(1000)
    assert server.engine.eviction.evicted_keys == evicted
    assert server.ask("GET", "new") is None


# -- what a write gets


@pytest.mark.parametrize("policy", EVICTING)
def test_a_write_load_at_the_limit_gets_no_error(server: Composed, policy: str) -> None:
    """D9."""
    full(server, policy, 2000)
    limit = server.dispatcher.memory_limit
    for key in range(2000, 30_000):
        fill(server, [key], "EX", 1000)
        assert server.keyspace.used_memory < limit + 8400  # two pages: of the table, the wheel
        if key % 500 == 0:  # as housekeeping does, ten times a second
            server.keyspace.renew_wheels()
            while server.keyspace.run_work(10_000):
                pass
    assert len(server.keyspace.databases[0]) > 1500


def test_without_a_policy_writes_are_refused_and_nothing_else(server: Composed) -> None:
    full(server, "noeviction")
    for line in ("SET new v", "APPEND key:00000001 x", "INCR n", "SETRANGE n 1 x", "COPY a b"):
        assert server.ask(*line.split()) == OOM, line
    assert len(server.ask("GET", "key:00000001")) == 10
    assert server.ask("EXPIRE", "key:00000001", 5) == 1
    assert server.ask("DEL", "key:00000001", "key:00000002") == 2
    assert server.ask("SET", "new", "v") == "OK"


@pytest.mark.parametrize("policy", VOLATILE)
def test_without_keys_that_may_go_writes_are_refused(server: Composed, policy: str) -> None:
    """D8."""
    fill(server, range(100))
    server.dispatcher.limit_memory(server.keyspace.used_memory - 1)
    server.engine.eviction.follow(policy, 5)
    assert server.ask("SET", "new", "v") == OOM
    assert numbers(server) == set(range(100))


def test_zero_is_no_limit(server: Composed) -> None:
    """D9."""
    server.dispatcher.limit_memory(0)
    server.engine.eviction.follow("allkeys-lru", 5)
    fill(server, range(100))
    assert numbers(server) == set(range(100))
    assert not server.engine.eviction.work(1000)


def test_a_limit_below_what_nothing_takes_refuses_at_the_end(server: Composed) -> None:
    full(server)
    server.dispatcher.limit_memory(1)
    replies = {server.ask("SET", "new", "v") for _ in range(100)}
    assert OOM in replies
    assert server.ask("DBSIZE") == 0


def test_what_waits_to_be_freed_makes_nobody_go(server: Composed) -> None:
    fill(server, range(5000))
    server.select(1)
    fill(server, range(10))
    server.dispatcher.limit_memory(server.keyspace.used_memory - 1)
    server.engine.eviction.follow("allkeys-lru", 5)
    server.select(0)
    assert server.ask("FLUSHDB") == "OK"
    assert server.keyspace.dropping_keys == 5000
    fill(server, range(10))
    assert server.engine.eviction.evicted_keys == 0
    assert server.ask("DBSIZE") == 10


def test_a_limit_that_is_lowered_far_is_reached_in_slices(server: Composed) -> None:
    fill(server, range(20_000))
    used = server.keyspace.used_memory
    server.engine.eviction.follow("allkeys-lru", 5)
    server.dispatcher.limit_memory(used // 3)
    slices = 0
    while server.engine.eviction.work(100):
        slices += 1
        assert server.dispatcher.evictor.exceeded_ms >= 0
    assert slices > 5
    assert server.keyspace.used_memory <= used // 3
    assert not probe_data.faults(server.keyspace)


def test_writes_meanwhile_do_not_make_it_more(server: Composed) -> None:
    fill(server, range(20_000))
    used = server.keyspace.used_memory
    server.engine.eviction.follow("allkeys-random", 5)
    server.dispatcher.limit_memory(used // 100)
    most = used
    for key in range(20_000, 22_000):  # all in one turn: its budget is spent soon
        fill(server, [key])
        assert server.keyspace.used_memory <= most + 20_000
        most = min(most, server.keyspace.used_memory)


def test_tenacity_says_how_long_a_turn_evicts(server: Composed) -> None:
    found = []
    for tenacity in (0, 5, 10, 11, 50, 100):
        server.engine.eviction.follow("allkeys-lru", 5, tenacity)
        found.append(server.dispatcher.evictor.turn_ns)
    assert found[:4] == [0, 500_000, 1_000_000, 1_150_000]
    assert found[4] < found[5]
    fill(server, range(2000))
    limit = server.keyspace.used_memory // 2
    server.dispatcher.limit_memory(limit)
    fill(server, [2000])  # as long as it takes
    assert server.keyspace.used_memory <= limit + 8400


def test_without_tenacity_writes_still_get_no_error(server: Composed) -> None:
    fill(server, range(2000))
    server.engine.eviction.follow("allkeys-lru", 5, 0)
    used = server.keyspace.used_memory
    server.dispatcher.limit_memory(used - 1)
    fill(server, range(2000, 4000))
    assert server.keyspace.used_memory < used + 8400


def test_the_time_above_the_limit_is_counted(server: Composed) -> None:
    full(server, "noeviction")
    assert server.ask("SET", "new", "v") == OOM
    wait_until = time.monotonic() + 0.02
    while time.monotonic() < wait_until:
        pass
    figures = dict(server.engine.eviction.info())
    assert figures["evicted_keys"] == 0
    assert figures["total_eviction_exceeded_time"] >= figures["current_eviction_exceeded_time"]
    assert figures["current_eviction_exceeded_time"] >= 20
    server.engine.eviction.follow("allkeys-lru", 5)
    assert server.ask("SET", "new", "v") == "OK"
    figures = dict(server.engine.eviction.info())
    assert figures["current_eviction_exceeded_time"] == 0
    assert figures["total_eviction_exceeded_time"] >= 20
    server.engine.reset_statistics()
    assert set(dict(server.engine.eviction.info()).values()) == {0}


def test_a_replica_leaves_it_to_its_primary(server: Composed) -> None:
    full(server)
    server.engine.eviction.suspended = True
    assert server.engine.eviction.suspended
    assert server.ask("SET", "new", "v") == "OK"
    assert not server.engine.eviction.work(1000)
    assert server.engine.eviction.evicted_keys == 0


def test_nothing_goes_while_nothing_may_change(server: Composed) -> None:
    """CLIENT PAUSE."""
    full(server)
    server.effects.may_bury = False
    assert not server.engine.eviction.work(1000)
    assert server.ask("SET", "new", "v") == "OK"
    assert server.engine.eviction.evicted_keys == 0


def test_there_is_no_other_limit_to_the_number_of_keys() -> None:
    """D1."""
    server = Embedded(1)
    for start in range(0, 300_000, 1000):
        keys = range(start, start + 1000)
        server.feed(b"".join(encoded([b"SET", b"k%d" % key, b"v"]) for key in keys))
    assert server.ask("DBSIZE") == 300_000
    assert all(server.ask("GET", f"k{key}") == b"v" for key in range(0, 300_000, 37))


def test_evicting_does_not_count_as_the_command(server: Composed) -> None:
    fill(server, range(20_000))
    server.engine.eviction.follow("allkeys-lru", 64, 100)
    server.dispatcher.limit_memory(server.keyspace.used_memory // 2)
    command = server.dispatcher.lookup(b"set")
    assert command is not None
    before = command.spent_ns
    assert server.ask("SET", "new", "v") == "OK"
    longest = server.engine.eviction.take_longest_ns()
    assert longest > 1_000_000
    assert command.spent_ns - before < longest / 2
    assert server.engine.eviction.take_longest_ns() == 0


def test_the_link_to_the_primary_is_never_refused(server: Composed) -> None:
    full(server, "noeviction")
    assert server.ask("SET", "new", "v") == OOM
    server.client.mark(SessionFlag.PRIMARY)
    assert server.ask("SET", "new", "v") == "OK"


def test_a_client_that_has_not_logged_in_makes_nobody_go(server: Composed) -> None:
    full(server)
    server.engine.settings.set([(b"requirepass", b"secret")], local=True)
    server.engine.clients.log_out(server.client)
    assert server.ask("SET", "new", "v") == "NOAUTH Authentication required."
    assert server.engine.eviction.evicted_keys == 0


def test_big_values_go_for_what_they_take(server: Composed) -> None:
    fill(server, range(100))
    database = server.keyspace.databases[0]
    for n in range(8):
        strings.put(database, b"big:%d" % n, bytes(1 << 20))
    server.engine.eviction.follow("allkeys-random", 5)
    server.dispatcher.limit_memory(server.keyspace.used_memory - (3 << 20))
    while server.engine.eviction.work(1000):
        pass
    assert server.keyspace.used_memory - server.keyspace.owed_memory <= (
        server.dispatcher.memory_limit)  # fmt: skip
    bigs = sum(key.startswith(b"big") for key, _ in walked(database))
    assert bigs == 5
