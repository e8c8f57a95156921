"""Write docs/command-reference.md from the command table.

PYTHONPATH=src python tests/tools/command_reference.py
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from spineldb.commands import FAMILIES
from spineldb.engine.command import Command, CommandTable

TARGET = Path(__file__).parents[2] / "docs" / "command-reference.md"
TITLE = """\
# Command reference

Generated from the command table by `tests/tools/command_reference.py`: what stands here is what
the server answers to COMMAND DOCS. Optional arguments stand in brackets, alternatives between bars.
"""


def render(table: CommandTable) -> str:
    """Write the whole page."""
    groups: dict[str, list[Command]] = {}
    for one in table.everything():
        if not one.is_container or one.body is not None:
            groups.setdefault(one.group, []).append(one)
    sections = [TITLE, contents(groups)]
    for group, commands in sorted(groups.items()):
        sections.append(f"## {group.capitalize()}\n")
        sections += ["\n".join(describe(one)) for one in sorted(commands, key=title)]
    return "\n".join(sections)


def title(one: Command) -> str:
    """Write a command's name for people."""
    return one.name.upper().replace("|", " ")


def contents(groups: dict[str, list[Command]]) -> str:
    """List the groups and what is in them."""
    lines = [
        f"- [{group.capitalize()}](#{group}): {', '.join(sorted(map(title, commands)))}"
        for group, commands in sorted(groups.items())
    ]
    return "\n".join(lines) + "\n"


def describe(one: Command) -> Iterator[str]:
    """Write the entry of one command, line by line."""
    yield f"### {title(one)}\n"
    yield f"```\n{one.usage}\n```\n"
    yield f"{one.summary}\n"
    if one.documentation:
        yield f"{one.documentation}\n"
    if one.deprecated is not None:
        yield f"Discouraged since {one.deprecated.since}: use {one.deprecated.replaced_by}.\n"
    yield from facts(one)
    yield ""


def facts(one: Command) -> Iterator[str]:
    """Write what is known of a command as a list."""
    yield f"- Since {one.since}{changes(one.history)}"
    if one.complexity is not None:
        yield f"- Cost: {one.complexity}"
    yield f"- Arity: {one.arity}; flags: {', '.join(one.flags.names) or 'none'}"
    yield f"- Categories: {', '.join(one.categories.names)}"


def changes(history: Iterable[tuple[str, str]]) -> str:
    """Write what later versions changed."""
    return "".join(f"; {version}: {change.rstrip('.')}" for version, change in history)


def main() -> None:
    """Write the page."""
    TARGET.write_text(render(CommandTable(FAMILIES)))


if __name__ == "__main__":
    main()
