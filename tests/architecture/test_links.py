"""Every relative link of the documentation leads somewhere, headings included."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "changes/*.md", "examples/*.md")
    for path in ROOT.glob(pattern)
)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`[^`\n]*`")


def prose(path: Path) -> str:
    """Return a page without its code."""
    return FENCED.sub("", path.read_text(encoding="utf-8"))


@cache
def anchors(path: Path) -> frozenset[str]:
    """Return the anchors that the headings of a page get."""
    headings = re.findall(r"^#+ +(.*)$", prose(path), re.MULTILINE)
    kept = (re.sub(r"[^\w\- ]", "", heading.strip().lower()) for heading in headings)
    return frozenset(heading.replace(" ", "-") for heading in kept)


def broken(path: Path, links: list[str]) -> Iterator[str]:
    """Yield the links of a page that lead nowhere."""
    for link in links:
        if re.match(r"[a-z]+:", link):
            continue  # another site, or mail: not ours to keep
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        exists = target.exists() and target.is_relative_to(ROOT)
        if not exists or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            yield link


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    assert list(broken(page, LINK.findall(INLINE.sub("", prose(page))))) == []


def test_every_page_can_be_reached() -> None:
    """From the README, link by link, a reader finds every page of docs/."""
    seen: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen or page.suffix != ".md" or not page.exists():
            continue
        seen.add(page)
        links = LINK.findall(prose(page))
        waiting += [(page.parent / link.partition("#")[0]).resolve() for link in links]
    pages = [page for page in PAGES if page.is_relative_to(ROOT / "docs")]
    assert [str(page.relative_to(ROOT)) for page in pages if page not in seen] == []


def test_the_test_sees_a_broken_link(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("[one](nowhere.md) [two](#no-such-heading)\n", encoding="utf-8")
    assert list(broken(page, ["nowhere.md", "#no-such-heading"])) == [
        "nowhere.md",
        "#no-such-heading",
    ]
