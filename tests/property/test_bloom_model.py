"""A Bloom filter behaves like its model: sets of bits in a list, and no more."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from spineldb.core import extensions
from spineldb.core.hashing import murmur64a
from tests.support.embedded import Embedded

SEED = 0xC6A4A7935BD1E995


class Model:
    """The rules of the specification, as short as they can be written."""

    def __init__(self, error: float, capacity: int, growth: int | None) -> None:
        self.growth = growth
        self.layers: list[tuple[set[int], list[int], int, int, int, float]] = []
        self.append(error / 2 if growth else error, capacity)

    def append(self, error: float, capacity: int) -> None:
        bpe = -math.log(error) / 0.480453013918201
        bits = (max(1, int(capacity * bpe)) + 63) // 64 * 64
        hashes = math.ceil(0.693147180559945 * bpe)
        self.layers.append((set(), [0], bits, hashes, capacity, error))

    def has(self, item: bytes) -> bool:
        return any(self.bits(item, layer[2], layer[3]) <= layer[0] for layer in self.layers)

    def add(self, item: bytes) -> bool | None:
        if self.has(item):
            return False
        _, count, _, _, capacity, error = self.layers[-1]
        if count[0] == capacity:
            if self.growth is None:
                return None
            self.append(error / 2, capacity * self.growth)
        there, count, bits, hashes, *_ = self.layers[-1]
        there |= self.bits(item, bits, hashes)
        count[0] += 1
        return True

    @staticmethod
    def bits(item: bytes, bits: int, hashes: int) -> set[int]:
        first = murmur64a(item, SEED)
        second = murmur64a(item, first)
        return {(first + number * second) % 2**64 % bits for number in range(hashes)}


@given(
    st.floats(1e-12, 0.99),
    st.integers(1, 40),
    st.one_of(st.none(), st.integers(1, 5)),
    st.lists(st.lists(st.binary(max_size=2), min_size=1, max_size=30), max_size=20),
)
def test_a_filter_is_its_model(
    error: float, capacity: int, growth: int | None, requests: list[list[bytes]]
) -> None:
    server, model = Embedded(1), Model(error, capacity, growth)
    words = ["NONSCALING"] if growth is None else ["EXPANSION", growth]
    assert server.ask("BF.RESERVE", "k", repr(error), capacity, *words) == "OK"
    for items in requests:
        expected = []
        for item in items:
            expected.append(model.add(item))
            if expected[-1] is None:
                break
        found = server.ask("BF.MADD", "k", *items)
        assert [None if isinstance(one, Exception) else one == 1 for one in found] == expected
        assert server.ask("BF.MEXISTS", "k", *items) == [int(model.has(item)) for item in items]
    assert server.ask("BF.CARD", "k") == sum(layer[1][0] for layer in model.layers)
    bits = b"".join(
        sum(1 << bit for bit in layer[0]).to_bytes(layer[2] // 8, "little")
        for layer in model.layers
    )
    pieces = extensions.pieces_of(server.keyspace.databases[0], b"k")
    assert b"".join(pieces).endswith(bits)
    server.check_end()
