"""Record which watched keys each request of the WATCH matrix changes at a real Redis.

    SPINELDB_REDIS8=... python -m tests.reference.record_watch

Rewrites what stands behind `=>` in tests/reference/watch-matrix.txt; the difference is reviewed.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from tests import servers
from tests.support.peer import Peer
from tests.support.watching import FILE, Watching, load, watched_keys


def connected(port: int) -> Watching:
    """Return the players of the matrix, connected to a server."""
    setup, _ = load()
    peers = [Peer(port) for _ in range(len(list(watched_keys(setup))) + 1)]
    return Watching(
        lambda index, requests: peers[index].answers(requests),
        lambda ms: time.sleep(ms / 1000),
        setup,
    )


def main() -> None:
    """Rewrite the file."""
    lines = FILE.read_text(encoding="utf-8").splitlines()
    with tempfile.TemporaryDirectory() as folder:
        server = servers.start_real(
            "redis8", Path(folder), "--save", "", "--enable-debug-command", "yes"
        )
        try:
            players = connected(server.port)
            for case in load()[1]:
                touched = players.run(case.before, case.after)
                asked, _, recorded = lines[case.line - 1].partition(" =>")
                _, differs, ours = recorded.partition(" !=")
                lines[case.line - 1] = " ".join([asked, "=>", *sorted(touched)]) + differs + ours
        finally:
            server.stop()
    FILE.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
