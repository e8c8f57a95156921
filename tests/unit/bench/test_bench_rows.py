"""The tables of rows: complete, well formed, and the names on the command line."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.__main__ import selected
from bench.commands import FAMILIES, HOT, RANGES, Command
from bench.lab import Lab
from bench.load import FILL_BATCH, Template
from bench.rows import ROWS
from bench.rows.cpu import OTHER_PIPELINE, scaled, slug
from bench.rows.memory import SIZES
from bench.rows.server import count_socket_writes

COMMANDS = [command for commands in FAMILIES.values() for command in commands]


def test_the_names_of_rows_are_unique() -> None:
    names = [row.name for row in ROWS]
    assert len(names) == len(set(names))


def test_every_hot_command_is_measured_at_three_depths_and_ranges_at_two() -> None:
    hot = [row for row in ROWS if row.name.endswith((".p1", ".p16", ".p100"))]
    assert len(hot) == 3 * len(HOT) + 2 * len(RANGES)
    assert {row.limit.at_most for row in hot if row.name.endswith(".p1")} == {0.95}
    assert {row.limit.at_most for row in hot if not row.name.endswith(".p1")} == {0.8}


@pytest.mark.parametrize("command", [*HOT, *COMMANDS], ids=lambda command: command.name)
@pytest.mark.parametrize("is_quick", [False, True], ids=["full", "quick"])
def test_a_command_row_is_well_formed(command: Command, is_quick: bool) -> None:
    ready = scaled(command, Lab([], is_quick=is_quick))
    assert ready.name.startswith(ready.request.split()[0])
    assert ready.commands >= OTHER_PIPELINE
    assert ready.keys % FILL_BATCH == 0, "a dataset is made of whole batches"
    for text in (ready.request, *ready.setup):
        Template(text)
    used_up = ready.request.count("{each}") * ready.commands
    assert used_up <= ready.keys, "the request uses up more keys than there are"


def test_the_probe_of_a_consuming_request_finds_a_key_of_its_own() -> None:
    for command in COMMANDS:
        occurrences = command.request.count("{each}")
        assert occurrences * (command.commands + 1) <= command.keys + FILL_BATCH


def test_sizes_are_eight_from_half_a_million_to_one_and_fill_whole_batches() -> None:
    assert len(SIZES) == 8
    assert (SIZES[0], SIZES[-1]) == (500_000, 1_000_000)
    for lab in (Lab([]), Lab([], is_quick=True)):
        assert all(lab.scaled(size) % FILL_BATCH == 0 for size in SIZES)


def test_small_datasets_stay_as_they_are_in_a_quick_run() -> None:
    small = replace(COMMANDS[0], keys=100, commands=1000)
    assert scaled(small, Lab([], is_quick=True)).keys == 100


def test_a_slug_is_a_name_without_punctuation() -> None:
    assert slug("BITCOUNT, range") == "bitcount-range"
    assert slug("MSET (10)") == "mset-10"


def test_rows_are_selected_by_beginning_or_pattern_in_the_order_of_the_report() -> None:
    assert [row.name for row in selected(["stall.del", "cpu.get.p16"])] == [
        "cpu.get.p16",
        "stall.del",
    ]
    assert len(selected(["cpu.*.p16"])) == len(HOT) + len(RANGES)
    assert selected([]) == list(ROWS)
    assert selected(["nonsense"]) == []


def test_only_writes_to_sockets_are_counted() -> None:
    trace = (
        '12 write(8<TCP:[127.0.0.1:1->127.0.0.1:2]>, "+OK\\r\\n", 5) = 5\n'
        "12 writev(9<TCPv6:[[::1]:1->[::1]:2]>, [{...}], 2) = 70\n"
        '12 write(1</tmp/log>, "TCP", 3) = 3\n'
        "13 write(5<anon_inode:[eventfd]>, 1, 8) = 8\n"
        "12 sendto(8<TCP:[127.0.0.1:1->127.0.0.1:2]>, ..., 5, 0, NULL, 0) = 5\n"
    )
    assert count_socket_writes(trace) == 3
