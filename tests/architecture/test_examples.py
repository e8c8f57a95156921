"""Every example runs as it stands, and is short enough to be read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import spineldb
from tests import servers

FOLDER = Path(__file__).parent.parent.parent / "examples"
EXAMPLES = sorted(path.name for path in FOLDER.glob("*.py"))
MAX_LINES = 60

#: What a reader sees, for each example; those that need a server get one.
EXPECTED = {
    "embedded.py": """\
serving on a free port: True
counter: 42
bytes logged: [7, 14, 21]
keys: 2
bytes of memory used by the dataset: True
""",
    "hello.py": """\
Hello, world! for 60 seconds
weekend days: 104
users: 1000
refused: value is not an integer or out of range
""",
}
NEED_A_SERVER = {"hello.py"}


def run(name: str, *arguments: str) -> str:
    """Run an example as its reader would; return what it prints."""
    source = Path(spineldb.__file__).parent.parent
    finished = subprocess.run(
        [sys.executable, str(FOLDER / name), *arguments],
        env=os.environ | {"PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def test_every_example_is_expected() -> None:
    assert sorted(EXPECTED) == EXAMPLES


@pytest.mark.parametrize("name", EXAMPLES)
def test_is_short(name: str) -> None:
    assert len((FOLDER / name).read_text(encoding="utf-8").splitlines()) < MAX_LINES


@pytest.mark.parametrize("name", EXAMPLES)
def test_runs(name: str, tmp_path: Path) -> None:
    if name not in NEED_A_SERVER:
        assert run(name) == EXPECTED[name]
        return
    server = servers.start_spineldb(tmp_path)
    try:
        assert run(name, f"redis://127.0.0.1:{server.port}") == EXPECTED[name]
        with server.client() as client:
            assert client.call("DBSIZE") == 0, "an example cleans up behind itself"
    finally:
        server.stop()
