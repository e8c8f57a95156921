"""The allocator against a dict of what was handed out."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from spineldb.core.probe import SlabsProbe

sizes = st.integers(1, 200) | st.integers(1, 5000) | st.integers(1, 200_000)


class SlabMachine(RuleBasedStateMachine):
    """Each entry is filled with its own byte, and checked when it goes."""

    def __init__(self) -> None:
        super().__init__()
        self.slabs = SlabsProbe(128 << 20)
        self.entries: dict[int, tuple[int, int]] = {}

    @rule(size=sizes, fill=st.integers(0, 255), count=st.integers(1, 300))
    def alloc(self, size: int, fill: int, count: int) -> None:
        for _ in range(count if size < 3000 else 1):
            ref = self.slabs.alloc(size, fill)
            assert ref
            assert ref not in self.entries
            self.entries[ref] = (size, fill)

    @rule(size=sizes)
    def fail(self, size: int) -> None:
        self.slabs.fail_in = 1
        assert self.slabs.alloc(size) == 0

    @rule(step=st.integers(1, 20))
    def free(self, step: int) -> None:
        for ref in list(self.entries)[::step]:
            size, fill = self.entries.pop(ref)
            assert self.slabs.read(ref, size) == bytes([fill]) * size
            self.slabs.free(ref, size)

    @rule()
    def defragment(self) -> None:
        for ref in list(self.entries):
            size, fill = self.entries[ref]
            if self.slabs.sparse(ref):
                moved = self.slabs.move(ref, size)
                del self.entries[ref]
                self.entries[moved] = (size, fill)

    @invariant()
    def used_is_exact(self) -> None:
        expected = sum(self.slabs.class_size(size) for size, _ in self.entries.values())
        assert self.slabs.used == expected

    def teardown(self) -> None:
        self.free(1)
        assert self.slabs.used == 0
        assert self.slabs.committed <= 1 << 20


TestSlab = SlabMachine.TestCase
TestSlab.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
