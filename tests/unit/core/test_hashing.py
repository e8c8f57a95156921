"""Checksums against published check values, and the keyed hash's spread."""

from __future__ import annotations

import pytest

from spineldb.core.hashing import file_checksum, murmur2, murmur64a, slot_checksum
from spineldb.core.probe import SlabsProbe, TableProbe


def test_crc16_is_xmodem() -> None:
    assert slot_checksum(b"123456789") == 0x31C3
    assert slot_checksum(b"") == 0


def test_crc64_is_the_one_of_rdb_files() -> None:
    assert file_checksum(b"123456789") == 0xE9C6D914C4B8D9CA
    assert file_checksum(b"") == 0


@pytest.mark.parametrize("split", range(0, 40, 3))
def test_crc64_continues_where_it_stopped(split: int) -> None:
    data = bytes(range(40))
    assert file_checksum(data[split:], file_checksum(data[:split])) == file_checksum(data)


def test_crc64_agrees_with_the_definition() -> None:
    data = b"This is a test of the emergency broadcast system."
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x95AC9329AC4BC9B5 if crc & 1 else 0)
    assert file_checksum(data) == crc


def naive_murmur64a(data: bytes, seed: int) -> int:
    m, mask = 0xC6A4A7935BD1E995, (1 << 64) - 1
    h = seed ^ (len(data) * m & mask)
    for i in range(0, len(data) - len(data) % 8, 8):
        k = int.from_bytes(data[i : i + 8], "little") * m & mask
        h = (h ^ ((k ^ (k >> 47)) * m & mask)) * m & mask
    if tail := data[len(data) - len(data) % 8 :]:
        h = (h ^ int.from_bytes(tail, "little")) * m & mask
    h = (h ^ (h >> 47)) * m & mask
    return h ^ (h >> 47)


@pytest.mark.parametrize("size", range(20))
def test_murmur64a_agrees_with_its_definition(size: int) -> None:
    data = bytes(range(200, 200 + size))
    assert murmur64a(data, 0xADC83B19) == naive_murmur64a(data, 0xADC83B19)


def test_murmur2_agrees_with_published_values() -> None:
    # From the reference implementation's test suites, seed 0.
    assert murmur2(b"", 0) == 0
    assert murmur2(b"hello", 0) == 0xE56129CB


def test_keyed_hash_depends_on_the_seed() -> None:
    slabs = SlabsProbe()
    one, other = TableProbe(slabs, b"one"), TableProbe(slabs, b"other")
    for size in (0, 1, 3, 4, 8, 15, 16, 17, 32, 48, 49, 100, 1000):
        assert one.hash(bytes(size)) != other.hash(bytes(size))


def test_keyed_hash_reads_every_byte() -> None:
    table = TableProbe(SlabsProbe(), b"seed")
    for size in (*range(1, 70), 144, 145, 200):
        base = bytearray(size)
        hashes = {table.hash(bytes(base))}
        for i in range(size):
            base[i] = 1
            hashes.add(table.hash(bytes(base)))
            base[i] = 0
        assert len(hashes) == size + 1


def test_keyed_hash_spreads_similar_keys() -> None:
    """Upper and lower 8 bits of 64k consecutive names: chi-square far from both tails."""
    table = TableProbe(SlabsProbe(), b"seed")
    hashes = [table.hash(b"key:%010d" % i) for i in range(65536)]
    for shift in (56, 48, 40, 8, 0):
        cells = [0] * 256
        for value in hashes:
            cells[value >> shift & 0xFF] += 1
        chi = sum((n - 256) ** 2 / 256 for n in cells)
        assert 170 < chi < 350  # 255 degrees of freedom: beyond 4 standard deviations otherwise
