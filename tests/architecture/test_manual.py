"""The manual tells the truth: its conversations happen as printed, its settings exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from spineldb.cli.formatting import formatted
from spineldb.cli.quoting import split
from spineldb.client import ErrorReply
from spineldb.config.loading import LoadError, load
from tests import servers

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PRINTED = ("first-commands", "transactions")  # what one client types, and sees
PROMPT = "127.0.0.1:7878> "
OF_THIS_MACHINE = re.compile("cert_path|control group")  # complaints that are none of the page
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(page: Path, language: str) -> list[str]:
    """Return the blocks of code of one language."""
    found = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [text for name, text in found if name == language]


def conversation(page: Path) -> Iterator[tuple[str, str]]:
    """Yield what a page says is typed, and what it says is printed (maybe nothing)."""
    for text in blocks(page, "") + blocks(page, "console"):
        _, *turns = text.split(PROMPT)
        for turn in turns:
            request, _, reply = turn.partition("\n")
            yield request, reply


@pytest.mark.parametrize(
    "page",
    [ROOT / "README.md", *(ROOT / f"docs/manual/{name}.md" for name in PRINTED)],
    ids=lambda page: page.name,
)
def test_conversations_happen_as_printed(page: Path, tmp_path: Path) -> None:
    server = servers.start_spineldb(tmp_path)
    try:
        with server.client() as client:
            for request, printed in conversation(page):
                try:
                    reply = client.call(*split(request.encode()))
                except ErrorReply as error:
                    reply = error
                assert formatted(reply).decode() == printed, request
    finally:
        server.stop()


def test_commands_exist(tmp_path: Path) -> None:
    """What a page types without printing the reply is not refused."""
    typed = [
        (page.name, *turn)
        for page in sorted((ROOT / "docs/manual").glob("*.md"))
        if page.stem not in PRINTED
        for turn in conversation(page)
    ]
    server = servers.start_spineldb(tmp_path)
    try:
        with server.client() as client:
            for page, request, _ in typed:
                try:
                    client.call(*split(request.encode()))
                except ErrorReply as error:
                    pytest.fail(f"{page}: {request}: {error}")
    finally:
        server.stop()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_settings_exist(page: Path, tmp_path: Path) -> None:
    """Files that a page shows are understood; only what they name on disk may be missing."""
    path = tmp_path / "config.toml"
    for text in blocks(page, "toml"):
        path.write_text(text, encoding="utf-8")
        try:
            complaints = load(str(path), (), {}).warnings
        except LoadError as error:
            complaints = str(error).splitlines()[1:]
        assert [one for one in complaints if not OF_THIS_MACHINE.search(one)] == []
