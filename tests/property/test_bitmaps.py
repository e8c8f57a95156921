"""Bitmap commands behave like strings of the characters 0 and 1."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from spineldb.commands import bitmaps, strings
from tests.support.bench import Bench

FAMILIES = (strings.family, bitmaps.family)

# Short ones, and ones that reach over words, over a piece of BITOP and into a block of their own.
SHORT = st.binary(max_size=40)
LONG = st.tuples(
    st.sampled_from([8, 63, 64, 65, 2000, 4095, 4096, 9000]), st.binary(max_size=8)
).map(lambda pair: bytes(pair[0]) + pair[1])
REPEATED = st.tuples(st.binary(min_size=1, max_size=3), st.integers(0, 4000)).map(
    lambda pair: pair[0] * pair[1]
)
STRINGS = st.one_of(SHORT, LONG, REPEATED)
POSITIONS = st.one_of(st.integers(-50, 50), st.integers(-40000, 80000))


def as_text(data: bytes) -> str:
    return "".join(f"{byte:08b}" for byte in data)


def as_bytes(text: str) -> bytes:
    return int("1" + text, 2).to_bytes(len(text) // 8 + 1, "big")[1:] if text else b""


def part(text: str, first: int, last: int, unit: int) -> tuple[int, str]:
    """Return where a range begins, in bits, and what stands in it."""
    count = len(text) // unit
    first = max(first + count, 0) if first < 0 else first
    last = max(last + count, 0) if last < 0 else last
    return first * unit, text[first * unit : min(last + 1, count) * unit]


@given(STRINGS, st.lists(st.tuples(st.integers(0, 20000), st.booleans()), max_size=20))
def test_setbit_writes_what_getbit_reads(data: bytes, changes: list[tuple[int, bool]]) -> None:
    bench = Bench(*FAMILIES)
    bench.ask("SET", "k", data)
    text = as_text(data)
    for offset, value in changes:
        text = text.ljust((offset // 8 + 1) * 8, "0")
        assert bench.ask("SETBIT", "k", offset, int(value)) == int(text[offset])
        text = text[:offset] + str(int(value)) + text[offset + 1 :]
        assert bench.ask("GETBIT", "k", offset) == int(value)
    assert bench.ask("GET", "k") == as_bytes(text)


@given(STRINGS, POSITIONS, POSITIONS, st.sampled_from([("BYTE", 8), ("BIT", 1)]))
def test_bitcount_counts_in_a_range(
    data: bytes, first: int, last: int, unit: tuple[str, int]
) -> None:
    bench = Bench(*FAMILIES)
    bench.ask("SET", "k", data)
    _, inside = part(as_text(data), first, last, unit[1])
    if first < 0 and last < 0 and first > last:
        inside = ""
    assert bench.ask("BITCOUNT", "k", first, last, unit[0]) == inside.count("1")
    assert bench.ask("BITCOUNT", "k") == as_text(data).count("1")


@given(STRINGS, st.integers(0, 1), POSITIONS, POSITIONS, st.sampled_from([("BYTE", 8), ("BIT", 1)]))
def test_bitpos_finds_in_a_range(
    data: bytes, bit: int, first: int, last: int, unit: tuple[str, int]
) -> None:
    bench = Bench(*FAMILIES)
    bench.ask("SET", "k", data)
    start, inside = part(as_text(data), first, last, unit[1])
    found = inside.find(str(bit))
    expected = -1 if found < 0 else start + found
    assert bench.ask("BITPOS", "k", bit, first, last, unit[0]) == expected
    start, inside = part(as_text(data), first, -1, 8)
    found = inside.find(str(bit))
    if found < 0 and bit == 0 and inside:
        found = len(inside)  # the string goes on with zeros
    assert bench.ask("BITPOS", "k", bit, first) == (-1 if found < 0 else start + found)


def union(numbers: list[int]) -> int:
    return reduce(int.__or__, numbers, 0)


def exactly_one(numbers: list[int]) -> int:
    return union([x & ~union(numbers[:i] + numbers[i + 1 :]) for i, x in enumerate(numbers)])


OPERATIONS: dict[str, Callable[[list[int]], int]] = {
    "AND": lambda numbers: reduce(int.__and__, numbers),
    "OR": union,
    "XOR": lambda numbers: reduce(int.__xor__, numbers),
    "DIFF": lambda numbers: numbers[0] & ~union(numbers[1:]),
    "DIFF1": lambda numbers: union(numbers[1:]) & ~numbers[0],
    "ANDOR": lambda numbers: numbers[0] & union(numbers[1:]),
    "ONE": exactly_one,
}


@given(st.lists(STRINGS, min_size=2, max_size=5), st.sampled_from(sorted(OPERATIONS)))
def test_bitop_combines_strings_padded_with_zeros(sources: list[bytes], operation: str) -> None:
    bench = Bench(*FAMILIES)
    for number, data in enumerate(sources):
        bench.ask("SET", f"k{number}", data)
    size = max(map(len, sources))
    numbers = [int.from_bytes(data.ljust(size, b"\0"), "big") for data in sources]
    expected = OPERATIONS[operation](numbers).to_bytes(size, "big")
    keys = [f"k{number}" for number in range(len(sources))]
    assert bench.ask("BITOP", operation, "d", *keys) == size
    assert bench.ask("GET", "d") == (expected or None)
    assert bench.ask("BITOP", operation, "k0", *keys) == size  # onto a source
    assert bench.ask("GET", "k0") == (expected or None)


@given(STRINGS)
def test_bitop_not_inverts_every_bit(data: bytes) -> None:
    bench = Bench(*FAMILIES)
    bench.ask("SET", "k", data)
    assert bench.ask("BITOP", "NOT", "k", "k") == len(data)
    assert bench.ask("GET", "k") == (bytes(byte ^ 0xFF for byte in data) or None)


ENCODINGS = st.one_of(
    st.tuples(st.just("i"), st.integers(1, 64)), st.tuples(st.just("u"), st.integers(1, 63))
)
OPERANDS = st.one_of(st.integers(-300, 300), st.integers(-(1 << 63), (1 << 63) - 1))
FIELDS = st.lists(
    st.tuples(
        st.sampled_from(["GET", "SET", "INCRBY"]),
        ENCODINGS,
        st.integers(0, 200),
        OPERANDS,
        st.sampled_from(["WRAP", "SAT", "FAIL"]),
    ),
    min_size=1,
    max_size=8,
)


class Fields:
    """BITFIELD on a string of the characters 0 and 1."""

    def __init__(self, data: bytes) -> None:
        self.text = as_text(data)
        self.needed = 0  # bits, if anything is written
        self.written = False

    def read(self, kind: str, bits: int, offset: int) -> int:
        """Return an integer; what is behind the end is zero."""
        found = int(self.text[offset : offset + bits].ljust(bits, "0"), 2)
        return found - (1 << bits) if kind == "i" and found >> (bits - 1) else found

    def write(self, bits: int, offset: int, value: int) -> None:
        """Replace some bits, growing as needed."""
        self.text = self.text.ljust(offset + bits, "0")
        inserted = f"{value % (1 << bits):0{bits}b}"
        self.text = self.text[:offset] + inserted + self.text[offset + bits :]
        self.written = True

    def run(
        self, action: str, encoding: tuple[str, int], offset: int, operand: int, overflow: str
    ) -> int | None:
        """Do one operation and return its reply."""
        kind, bits = encoding
        old = self.read(kind, bits, offset)
        if action == "GET":
            return old
        least, most = (
            (-(1 << bits - 1), (1 << bits - 1) - 1) if kind == "i" else (0, (1 << bits) - 1)
        )
        new = old + operand if action == "INCRBY" else operand
        if action == "SET" and kind == "u":
            new %= 1 << 64
        if not least <= new <= most:
            if overflow == "FAIL":
                return None
            far_below = action == "SET" and most - new >= 1 << 63  # Redis's distance overflows
            wrapped = (new - least) % (1 << bits) + least
            saturated = least if new < least and not far_below else most
            new = wrapped if overflow == "WRAP" else saturated
        self.write(bits, offset, new)
        return new if action == "INCRBY" else old

    def value(self) -> bytes:
        """Return what the string must be now."""
        if self.written:
            self.text = self.text.ljust(self.needed, "0")
        return as_bytes(self.text + "0" * (-len(self.text) % 8))


@given(SHORT, FIELDS)
def test_bitfield_reads_and_writes_integers_of_any_width(
    data: bytes, operations: list[tuple[str, tuple[str, int], int, int, str]]
) -> None:
    bench = Bench(*FAMILIES)
    bench.ask("SET", "k", data)
    model = Fields(data)
    words: list[str] = []
    expected = []
    for action, (kind, bits), offset, operand, overflow in operations:
        words += ["OVERFLOW", overflow, action, f"{kind}{bits}", str(offset)]
        if action != "GET":
            words.append(str(operand))
            model.needed = max(model.needed, offset + bits)
        expected.append(model.run(action, (kind, bits), offset, operand, overflow))
    assert bench.ask("BITFIELD", "k", *words) == expected
    assert bench.ask("GET", "k") == model.value()
    replayed = bench.replayed(FAMILIES, bench.propagated())
    assert replayed.contents() == bench.contents()
