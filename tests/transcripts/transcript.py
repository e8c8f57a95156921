r"""Transcripts as text: conversations with a server, their rules and their replies.

    # A member added twice counts once.      a comment: the rule, or why
    @server valkey9                          the program it is recorded from (default redis8)
    @options --requirepass secret            how it is started: a server of its own for this file
    @protocol 3                              only in this protocol (the file, or its section)
    @needs RPUSH                             skipped by a server without that command (likewise)

    == counting                              a section: fresh connections, empty databases, a test
    > SADD fruit apple pear                  a request, words quoted as in redis-cli
    2                                        its reply (notation.py)
    other> CLIENT ID                         the same on a second connection, opened when named
    <int:id>                                 a pattern, kept as `id` ...
    > CLIENT KILL ID ${id}                   ... and used; ${x*45} is 45 times x
    >> "*1\r\n$4\r\nPING\r\n"                bytes as they are
    +PONG
    other<                                   no request: what arrives by itself
    closed                                   the server has closed the connection
    > CLIENT REPLY OFF
    none                                     nothing is answered
    ~ 0.05                                   wait so many seconds
    > OBJECT ENCODING long
    ! V6: embstr up to 44 bytes              we differ on purpose, for this reason: the real server
    real "raw"                               says this (recorded) and we say that (by hand)
    "embstr"

A request may have several replies, one line each. `resp2 ...` and `resp3 ...` stand where the
replies of the protocols do not follow from each other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spineldb.cli.quoting import split
from tests.transcripts import notation

_REQUEST = re.compile(r"(\w*)(>>?|<)(?: (.*))?$", re.DOTALL)
_VARIABLE = re.compile(rb"\$\{(?:(\w+)|(.)\*(\d+))\}", re.DOTALL)


class Mark:
    """What a line says in place of a reply: nothing came, or the end."""

    def __init__(self, word: str) -> None:
        self.word = word

    def __repr__(self) -> str:
        return self.word


NONE = Mark("none")
CLOSED = Mark("closed")
MARKS = {mark.word: mark for mark in (NONE, CLOSED)}


@dataclass
class Step:
    """One request (or wait) and the replies expected in each protocol."""

    line: int
    text: str
    connection: str = ""
    sigil: str = ">"  # > request, >> raw bytes, < listen, ~ sleep
    reason: str = ""  # why we differ
    replies: list[dict[int, Any]] = field(default_factory=list)
    real: list[dict[int, Any]] = field(default_factory=list)  # what the real server says then

    def words(self, kept: notation.Variables) -> list[bytes]:
        """Return the words of the request, with variables replaced."""
        return [_replaced(word, kept) for word in split(self.text.encode())]

    def expected(self, protocol: int, *, real: bool) -> list[Any]:
        """Return the replies expected from us, or from the real server."""
        replies = self.real if real and self.reason else self.replies
        return [reply[protocol] for reply in replies if protocol in reply]


def _replaced(word: bytes, kept: notation.Variables) -> bytes:
    def value(match: re.Match[bytes]) -> bytes:
        if match[1]:
            return kept[match[1].decode()]
        return match[2] * int(match[3])

    return _VARIABLE.sub(value, word)


@dataclass
class Section:
    """A conversation that begins with an empty server."""

    title: str
    line: int
    protocols: tuple[int, ...] = (2, 3)
    needs: tuple[str, ...] = ()
    parts: list[Step | str] = field(default_factory=list)  # steps, and lines kept as they are

    @property
    def steps(self) -> list[Step]:
        """Return the steps without what stands between them."""
        return [part for part in self.parts if isinstance(part, Step)]


@dataclass
class Transcript:
    """A file of sections."""

    path: Path
    server: str = "redis8"
    options: list[str] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)


def read(path: Path) -> Transcript:
    """Return the transcript in a file; raises ValueError with the place of what is wrong."""
    transcript = Transcript(path)
    section = Section("", 1)
    transcript.sections.append(section)
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            if line.startswith("== "):
                opening = transcript.sections[0]
                section = Section(line[3:].strip(), number, opening.protocols, opening.needs)
                transcript.sections.append(section)
            else:
                _read_line(transcript, section, line, number)
        except ValueError as error:
            raise ValueError(f"{path.name}:{number}: {error}") from error
    return transcript


def _read_line(transcript: Transcript, section: Section, line: str, number: int) -> None:
    steps = section.steps
    if not line.strip() or line == "#" or line.startswith("# "):
        section.parts.append(line)
    elif line.startswith("@"):
        _directive(transcript, section, line)
        section.parts.append(line)
    elif line.startswith("~ "):
        section.parts.append(Step(number, line[2:].strip(), sigil="~"))
    elif request := _REQUEST.match(line):
        section.parts.append(Step(number, request[3] or "", request[1], request[2]))
    elif not steps:
        raise ValueError("a reply without a request")
    elif line.startswith("! "):
        steps[-1].reason = line[2:].strip()
    else:
        _read_reply(steps[-1], line)


def _directive(transcript: Transcript, section: Section, line: str) -> None:
    name, _, rest = line[1:].partition(" ")
    match name:
        case "server":
            transcript.server = rest.strip()
        case "options":
            transcript.options = [word.decode() for word in split(rest.encode())]
        case "protocol":
            section.protocols = (int(rest),)
        case "needs":
            section.needs += tuple(rest.split())
        case _:
            raise ValueError(f"unknown directive {name}")


def _read_reply(step: Step, line: str) -> None:
    real, line = line.startswith("real "), line.removeprefix("real ")
    replies = step.real if real else step.replies
    found = re.match(r"resp([23]) (.*)", line, re.DOTALL)
    if found is None:
        value = MARKS.get(line.strip()) or notation.parse(line)
        replies.append({2: value, 3: value})
        return
    protocol = int(found[1])
    value = MARKS.get(found[2].strip()) or notation.parse(found[2])
    if protocol == 3 and replies and set(replies[-1]) == {2}:
        replies[-1][3] = value
    else:
        replies.append({protocol: value})


def write(transcript: Transcript) -> str:
    """Return the text of a transcript."""
    lines: list[str] = []
    for section in transcript.sections:
        if section is not transcript.sections[0]:
            lines.append(f"== {section.title}")
        for part in section.parts:
            lines += [part] if isinstance(part, str) else _write_step(part)
    return "\n".join(lines) + "\n"


def _write_step(step: Step) -> list[str]:
    if step.sigil == "~":
        return [f"~ {step.text}"]
    lines = [f"{step.connection}{step.sigil} {step.text}".rstrip()]
    if step.reason:
        lines.append(f"! {step.reason}")
        for reply in step.real:
            lines += [f"real {line}" for line in _write_reply(reply)]
    for reply in step.replies:
        lines += _write_reply(reply)
    return lines


def _write_reply(reply: dict[int, Any]) -> list[str]:
    written = {
        protocol: value.word if isinstance(value, Mark) else notation.write(value)
        for protocol, value in reply.items()
    }
    if len(written) == 2 and reply[2] is reply[3]:
        return [written[2]]
    return [f"resp{protocol} {text}" for protocol, text in sorted(written.items())]
