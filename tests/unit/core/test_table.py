"""The table: growth and shrinking, scans, fairness, defragmenting, and running out of memory."""

from __future__ import annotations

import random

import pytest

from spineldb.core.probe import SlabsProbe, TableProbe


def filled(count: int, value: bytes = b"0123456789", slabs: SlabsProbe | None = None) -> TableProbe:
    table = TableProbe(slabs or SlabsProbe())
    for i in range(count):
        table.set(b"key:%010d" % i, value)
    return table


def scan_all(table: TableProbe) -> list[bytes]:
    cursor, keys = table.scan(0)
    while cursor:
        cursor, more = table.scan(cursor)
        keys += more
    return keys


@pytest.mark.parametrize("count", [0, 1, 12, 13, 100, 1200, 1500, 5000, 40_000])
def test_every_key_is_found_at_every_size(count: int) -> None:
    table = filled(count)
    assert len(table) == count
    assert table.faults() == []
    assert all(table.get(b"key:%010d" % i) == b"0123456789" for i in range(count))
    assert table.get(b"missing") is None


@pytest.mark.parametrize("count", [1, 13, 1500, 40_000])
def test_an_emptied_table_is_as_small_as_a_new_one(count: int) -> None:
    slabs = SlabsProbe()
    new = TableProbe(slabs)
    table = filled(count, slabs=slabs)
    for i in range(count):
        assert table.delete(b"key:%010d" % i)
    assert len(table) == 0
    assert table.faults() == []
    assert table.own_bytes == new.own_bytes
    assert slabs.used == 2 * new.own_bytes


def test_small_keys_cost_forty_bytes_at_every_size() -> None:
    """Entries of 14 + 10 take 32 bytes; the table may add 8 at worst, 7.1 on average."""
    slabs = SlabsProbe()
    table = TableProbe(slabs)
    figures = []
    for i in range(60_000):
        table.set(b"key:%010d" % i, b"0123456789")
        if i > 20_000 and i % 100 == 0:
            figures.append(slabs.used / (i + 1))
    assert sum(figures) / len(figures) < 39.3
    assert max(figures) < 40.6


def test_what_the_table_counts_is_what_the_slabs_count() -> None:
    slabs = SlabsProbe()
    table = filled(20_000, slabs=slabs)
    assert slabs.used == table.own_bytes + 20_000 * 32


def test_deletes_at_half_fill_keep_the_load_reasonable() -> None:
    table = filled(50_000)
    chance = random.Random(1)
    for key in chance.sample(range(50_000), 40_000):
        table.delete(b"key:%010d" % key)
    assert table.faults() == []
    assert len(table) / (table.shape()["buckets"] * 12) > 0.4


def test_a_shared_table_does_not_shrink() -> None:
    slabs = SlabsProbe()
    table = filled(5000, slabs=slabs)
    slabs.shared = True
    before = table.shape()
    for i in range(5000):
        table.delete(b"key:%010d" % i)
    assert table.shape() == before
    assert table.faults() == []


def test_keys_of_one_hash_are_kept() -> None:
    """No table is larger for them than half full: the rest is spilled."""
    table = TableProbe(SlabsProbe(), weak=True)
    keys = [bytes(8) + b"%08d" % i for i in range(400)]
    assert len({table.hash(key) for key in keys}) == 1
    for i, key in enumerate(keys):
        assert table.set(key, b"%d" % i)
        assert table.faults() == []
    assert table.shape()["spilled"] > 300
    assert table.shape()["buckets"] < 128
    assert [table.get(key) for key in keys] == [b"%d" % i for i in range(400)]
    assert sorted(scan_all(table)) == keys
    assert {table.random(i) for i in range(20_000)} == set(keys)
    for key in keys:
        assert table.delete(key)
        assert table.faults() == []
    assert table.shape()["spilled"] == 0


def test_keys_of_one_hash_among_others() -> None:
    table = TableProbe(SlabsProbe(), weak=True)
    same = [bytes(8) + b"%08d" % i for i in range(200)]
    others = [b"other key %06d" % i for i in range(12_000)]
    for i, key in enumerate(others):
        table.set(key, b"")
        if i % 60 == 0:
            table.set(same[i // 60], b"")
    assert table.faults() == []
    assert table.shape()["spilled"] > 0
    for key in others:
        assert table.delete(key)
    assert table.faults() == []
    assert sorted(scan_all(table)) == same


def test_a_scan_visits_everything_once_when_nothing_changes() -> None:
    table = filled(10_000)
    keys = scan_all(table)
    assert len(keys) == len(set(keys)) == 10_000


def test_scan_cursors_fit_48_bits_and_any_cursor_is_good() -> None:
    table = filled(10_000)
    cursor, _ = table.scan(0)
    while cursor:
        assert 0 < cursor < 1 << 48
        cursor, _ = table.scan(cursor)
    for odd in (1, 12345, (1 << 48) - 1, (1 << 64) - 1):
        table.scan(odd)


@pytest.mark.parametrize("count", [3, 100, 5000])
def test_random_keys_are_fair(count: int) -> None:
    """Chi-square over 20 cells of keys, beyond 5 standard deviations is a failure."""
    table = filled(count)
    for i in range(0, count, 3):
        table.delete(b"key:%010d" % i)
    keys = sorted(scan_all(table))
    cells = min(20, len(keys))
    cell_of = {key: i % cells for i, key in enumerate(keys)}
    expected = [0.0] * cells
    for cell in cell_of.values():
        expected[cell] += 40_000 / len(keys)
    counts = [0] * cells
    draw = random.Random(1)
    for _ in range(40_000):
        key = table.random(draw.getrandbits(64))
        assert key is not None
        counts[cell_of[key]] += 1
    chi = sum((n - e) ** 2 / e for n, e in zip(counts, expected, strict=True))
    assert chi < (cells - 1) + 5 * (2 * (cells - 1)) ** 0.5


def test_random_of_an_empty_table() -> None:
    assert TableProbe(SlabsProbe()).random(7) is None


def test_a_walk_in_steps_visits_everything() -> None:
    table = filled(10_000)
    position, end, seen = 0, False, []
    steps = 0
    while not end:
        position, end, keys = table.walk(position, 100)
        assert len(keys) < 160
        seen += keys
        steps += 1
    assert len(seen) == len(set(seen)) == 10_000
    assert steps > 60


def test_visiting_a_prefix_finds_its_keys() -> None:
    table = filled(5000)
    keys = [b"key:%010d" % i for i in range(5000)]
    for bits in (4, 12, 24, 32, 64):
        for key in keys[:20]:
            prefix = table.hash(key) >> (64 - bits)
            expected = {k for k in keys if table.hash(k) >> (64 - bits) == prefix}
            assert set(table.visit_prefix(prefix, bits)) == expected


def test_a_prefix_visitor_may_remove_what_it_visits() -> None:
    slabs = SlabsProbe()
    table = filled(3000, slabs=slabs)
    for i in range(3000):
        assert table.remove_prefix(table.hash(b"key:%010d" % i) >> 32, 32) == 1
    assert len(table) == 0
    assert table.faults() == []


def test_a_prefix_visitor_may_change_the_table() -> None:
    table = filled(3000)
    keys = [b"key:%010d" % i for i in range(3000)]
    prefix = table.hash(keys[0]) >> 60
    matching = len(table.visit_prefix(prefix, 4))
    assert matching > 100
    assert table.delete_by_visit(prefix, 4, keys) == 1
    assert len(table) == 0


def test_a_dropped_table_is_freed_in_slices() -> None:
    slabs = SlabsProbe()
    table = filled(30_000, slabs=slabs)
    slices = 0
    while not table.drain(1000):
        slices += 1
    assert 25 < slices < 45
    assert len(table) == 0
    del table
    assert slabs.used == 0


def test_defragmenting_gives_memory_back() -> None:
    slabs = SlabsProbe()
    table = filled(60_000, slabs=slabs)
    chance = random.Random(2)
    gone = set(chance.sample(range(60_000), 54_000))
    for i in gone:
        table.delete(b"key:%010d" % i)
    before = slabs.committed
    used = slabs.used
    for _ in range(2):
        position, end = 0, False
        while not end:
            position, end, _ = table.defragment(position, 100)
    assert slabs.used == used
    assert slabs.committed - (1 << 20) < before / 3  # a mebibyte of emptied slabs stays warm
    kept = set(range(60_000)) - gone
    assert all(table.get(b"key:%010d" % i) == b"0123456789" for i in kept)
    assert table.faults() == []


def test_running_out_of_memory_changes_nothing() -> None:
    """Fail every allocation of a growing table in turn: the key is refused, the rest stands."""
    slabs = SlabsProbe()
    table = TableProbe(slabs)
    refused = 0
    for i in range(9000):
        key = b"key:%010d" % i
        for nth in (2, 3, 4, 5):  # the first is the entry's own
            slabs.fail_in = nth
            used, count = slabs.used, len(table)
            try:
                table.set(key, b"")
            except MemoryError:
                refused += 1
                assert len(table) == count
                assert slabs.used - used < 2000  # a directory may have doubled
                assert table.get(key) is None
            else:
                table.delete(key)
        slabs.fail_in = 0
        table.set(key, b"")
        if i % 500 == 0:
            assert table.faults() == []
    assert len(table) == 9000
    assert refused > 0


@pytest.mark.parametrize("count", [0, 1, 10, 100, 1300, 1400, 2500, 3000, 20_000, 100_000])
def test_a_table_with_room_is_not_laid_out_again(count: int) -> None:
    table = TableProbe(SlabsProbe())
    assert table.reserve(count)
    segments = table.shape()["segments"]
    for i in range(count):
        table.set(b"key:%010d" % i, b"")
    assert table.faults() == []
    assert table.shape()["segments"] == segments
    assert count < 100 or 0.55 < count / (table.shape()["buckets"] * 12) < 0.95
    for i in range(count, count * 2):
        table.set(b"key:%010d" % i, b"")
    assert table.faults() == []
    for i in range(count * 2):
        assert table.delete(b"key:%010d" % i)
    assert table.own_bytes == TableProbe(SlabsProbe()).own_bytes


@pytest.mark.parametrize("count", [100, 1300, 2500, 20_000])
def test_a_table_that_finds_no_room_stays_as_it_is(count: int) -> None:
    slabs = SlabsProbe()
    table = TableProbe(slabs)
    used, nth = slabs.used, 1
    while True:
        slabs.fail_in = nth
        if table.reserve(count):
            break
        assert slabs.used == used
        assert table.own_bytes == used
        assert table.faults() == []
        table.set(b"key", b"")
        assert table.delete(b"key")
        nth += 1
    assert nth > 1
    assert table.faults() == []


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_million_keys() -> None:
    table = TableProbe(SlabsProbe())
    for i in range(1_000_000):
        table.set(b"key:%010d" % i, b"0123456789")
    assert table.faults() == []
    assert len(set(scan_all(table))) == 1_000_000
    for i in range(1_000_000):
        if i % 100:
            table.delete(b"key:%010d" % i)
    assert table.faults() == []
    assert len(scan_all(table)) == len(table) == 10_000
