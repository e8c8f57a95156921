"""Collect the sections of every `*.transcript` as tests, in RESP2 and in RESP3, against our server.

One server per worker serves all files without options of their own; a file with `@options` gets its
own. After a failure the server is replaced, so that one wrong reply does not spoil the next test.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from _pytest._code.code import TerminalRepr

from tests import servers
from tests.transcripts import transcript
from tests.transcripts.runner import Mismatch, Missing, replay

_running: dict[tuple[str, ...], servers.Server] = {}
_folders: list[tempfile.TemporaryDirectory[str]] = []


def _server(options: tuple[str, ...]) -> servers.Server:
    """Return this worker's server with those options, started now if need be."""
    server = _running.get(options)
    if server is None or server.process.poll() is not None:
        folder = tempfile.TemporaryDirectory()
        _folders.append(folder)
        server = servers.start_spineldb(Path(folder.name), "--save", "", *options)
        _running[options] = server
    return server


def _stop_all() -> None:
    for server in _running.values():
        server.stop()
    _running.clear()
    for folder in _folders:
        folder.cleanup()
    _folders.clear()


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Make every transcript a file of tests."""
    if file_path.suffix == ".transcript":
        return TranscriptFile.from_parent(parent, path=file_path)
    return None


def pytest_sessionfinish() -> None:
    """Stop this worker's servers."""
    _stop_all()


class TranscriptFile(pytest.File):
    """One file: its sections, in each of their protocols."""

    def collect(self) -> Iterable[TranscriptItem]:
        """Return one test per section and protocol."""
        file = transcript.read(self.path)
        if servers.SUBJECT not in (None, file.server):
            return
        for section in file.sections:
            if not section.steps:
                continue
            for protocol in section.protocols:
                name = f"{section.title or 'opening'} [RESP{protocol}]"
                item = TranscriptItem.from_parent(self, name=name)
                item.told = (section, protocol, tuple(file.options))
                yield item


class TranscriptItem(pytest.Item):
    """One conversation."""

    told: tuple[transcript.Section, int, tuple[str, ...]]

    def runtest(self) -> None:
        """Hold it; a server that failed is not asked again."""
        section, protocol, options = self.told
        server = _server(options)
        try:
            replay(server.address, section, protocol, real=servers.SUBJECT is not None)
        except Missing as reason:
            pytest.skip(str(reason))
        except BaseException:
            server.stop()
            raise

    def repr_failure(
        self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None
    ) -> str | TerminalRepr:
        """Show the difference rather than our own stack."""
        if isinstance(excinfo.value, Mismatch | servers.StartFailed):
            return f"{self.path.name}: {excinfo.value}"
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Return where the conversation stands."""
        return self.path, self.told[0].line - 1, self.name


@pytest.fixture
def server() -> servers.Server:
    """Return this worker's server, its databases empty."""
    running = _server(())
    with running.client() as client:
        client.call("FLUSHALL")
    return running
