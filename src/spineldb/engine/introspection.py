"""INFO's sections: each feature offers its own, the composition root lists them in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

Fields = Iterable[tuple[str, object]]

ALL = frozenset(["all", "everything"])


@dataclass(frozen=True, slots=True)
class Section:
    """A section: its title, what yields its fields, and whether plain INFO shows it."""

    title: str
    fields: Callable[[], Fields]
    by_default: bool = True


class Info:
    """The sections of INFO, in the order in which they are printed."""

    def __init__(self, sections: Iterable[Section] = ()) -> None:
        self.sections = list(sections)

    def text(self, names: Iterable[str] = ()) -> str:
        """Write the named sections (none: the default ones) as INFO does."""
        wanted = {name.lower() for name in names} or {"default"}
        return "\r\n".join(
            self._section(section) for section in self.sections if _is_wanted(section, wanted)
        )

    def fields(self, title: str) -> dict[str, object]:
        """Return one section's fields."""
        return {
            name: value
            for section in self.sections
            if section.title == title
            for name, value in section.fields()
        }

    def _section(self, section: Section) -> str:
        lines = [f"# {section.title}", *(f"{name}:{value}" for name, value in section.fields())]
        return "".join(f"{line}\r\n" for line in lines)


def _is_wanted(section: Section, wanted: set[str]) -> bool:
    if wanted & ALL or section.title.lower() in wanted:
        return True
    return section.by_default and "default" in wanted
