"""Scripts answer as those of the real server do: its replies were recorded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from spineldb.core.probe_lua import Scripts
from tests.support.scripts import answer

FOLDER = Path(__file__).parent.parent.parent / "reference"
SCRIPTS = (FOLDER / "scripts.txt").read_bytes().splitlines()
REPLIES = json.loads((FOLDER / "redis-8.2-scripts.json").read_text())


@pytest.fixture(scope="module")
def state() -> Scripts:
    return Scripts(version="8.2.3")


def test_every_script_has_a_reply() -> None:
    assert len(SCRIPTS) == len(REPLIES)


@pytest.mark.parametrize("number", range(len(SCRIPTS)))
def test_answers_as_the_real_server(state: Scripts, number: int) -> None:
    assert answer(state, SCRIPTS[number]) == REPLIES[number].encode("latin-1"), SCRIPTS[number]
