"""Write redis-8.2-scripts.json: what the real server answers to the scripts in scripts.txt.

Run `SPINELDB_REDIS8=... PYTHONPATH=src:. python tests/reference/record_scripts.py`; the difference
is reviewed. A line of scripts.txt is a script that calls no command and leaves no option changed;
its bytes are Latin-1. The name of a script and the addresses of tables are written as S and 0xP.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from tests import servers
from tests.support.scripts import Raw, comparable

FOLDER = Path(__file__).parent
SCRIPTS = FOLDER / "scripts.txt"
REPLIES = FOLDER / "redis-8.2-scripts.json"


def scripts() -> list[bytes]:
    """Return the scripts, one of each line."""
    return SCRIPTS.read_bytes().splitlines()


def record() -> None:
    """Ask the real server, and write its answers."""
    with tempfile.TemporaryDirectory() as folder:
        server = servers.start_real("redis8", Path(folder), "--save", "")
        try:
            with Raw(server.port) as wire:
                replies = [
                    comparable(wire.ask(b"EVAL", one, b"0")).decode("latin-1") for one in scripts()
                ]
        finally:
            server.stop()
    REPLIES.write_text(json.dumps(replies, indent=0, ensure_ascii=True) + "\n")


if __name__ == "__main__":
    record()
