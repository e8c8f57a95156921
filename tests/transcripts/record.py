"""Rewrite the replies of transcripts from the real servers they name.

`python -m tests.transcripts.record [FILE...]`, all files without arguments. The programs come from
environment variables (tests/servers.py); a file whose server is missing is skipped with a message.
What we answer differently on purpose stays, and the real reply is written beside it. A pattern
stays as long as it matches; a reply that changes is printed, and the difference is reviewed.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from spineldb.client import ErrorReply
from tests import servers
from tests.transcripts import notation, transcript
from tests.transcripts.runner import SILENCE_SECONDS, Conversation
from tests.transcripts.transcript import NONE, Mark, Section, Step, Transcript

FOLDER = Path(__file__).parent
FIRST_SECONDS = 0.4  # a request not answered by then is not answered
MORE_SECONDS = 0.003  # a further reply to the same request comes at once
RAW_SECONDS = 0.06  # raw bytes may hold several requests


def record(file: Transcript) -> list[str]:
    """Rewrite the replies of one file; return what deserves a look."""
    remarks: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        server = servers.start_real(file.server, Path(folder), "--save", "", *file.options)
        try:
            for section in file.sections:
                _record_section(server, section, remarks)
        finally:
            server.stop()
    file.path.write_text(transcript.write(file), encoding="utf-8")
    return remarks


def _record_section(server: servers.Server, section: Section, remarks: list[str]) -> None:
    replies: dict[int, list[list[Any]]] = {}
    for protocol in section.protocols:
        with Conversation(server.address, protocol) as conversation:
            replies[protocol] = [_ask(conversation, step, remarks) for step in section.steps]
    for number, step in enumerate(section.steps):
        if step.sigil == "~":
            continue
        old = step.real if step.reason else step.replies
        found = {protocol: all_steps[number] for protocol, all_steps in replies.items()}
        new = _merge(old, found)
        if old and _text(old) != _text(new):
            remarks.append(f"line {step.line}: {step.text}: {_text(old)} is now {_text(new)}")
        if step.reason:
            step.real = new
            step.replies = step.replies or new
        else:
            step.replies = new


def _ask(conversation: Conversation, step: Step, remarks: list[str]) -> list[Any]:
    """Hold one step; return what the server answered."""
    if step.sigil == "~":
        time.sleep(float(step.text))
        return []
    try:
        client = conversation.send(step)
    except KeyError as error:
        remarks.append(f"line {step.line}: {error} was never kept")
        return [NONE]
    expected = step.expected(conversation.protocol, real=True)
    silent = expected[:1] == [NONE]
    answers = [conversation.receive(client, SILENCE_SECONDS if silent else FIRST_SECONDS)]
    more = RAW_SECONDS if step.sigil == ">>" else MORE_SECONDS
    while not isinstance(answers[-1], Mark):
        answers.append(conversation.receive(client, more))
    if answers[-1] is NONE and len(answers) > 1:
        answers.pop()
    for wanted, given in zip(expected, answers, strict=False):
        if not isinstance(wanted, Mark) and not isinstance(given, Mark):
            notation.matches(wanted, given, conversation.protocol, conversation.kept)
    return answers


def _merge(old: list[dict[int, Any]], found: dict[int, list[Any]]) -> list[dict[int, Any]]:
    """Return the replies of both protocols as lines, old patterns first where they hold."""
    if _holds(old, found):
        return old
    if len(found) == 1:
        ((_, answers),) = found.items()
        return [{2: answer, 3: answer} for answer in answers]
    lines: list[dict[int, Any]] = []
    for two, three in zip(found[2], found[3], strict=False):
        try:
            both = two if isinstance(two, Mark) and two is three else notation.unify(two, three)
            lines.append({2: both, 3: both})
        except notation.Different:
            lines.append({2: two, 3: three})
    shorter = min(len(answers) for answers in found.values())
    for protocol, answers in found.items():
        lines += [{protocol: answer} for answer in answers[shorter:]]
    return lines


def _holds(old: list[dict[int, Any]], found: dict[int, list[Any]]) -> bool:
    """Tell whether the old lines hold a pattern and still describe what was found."""
    if not any(notation.has_patterns(value) for line in old for value in line.values()):
        return False
    for protocol, answers in found.items():
        expected = [line[protocol] for line in old if protocol in line]
        if len(expected) != len(answers):
            return False
        for wanted, given in zip(expected, answers, strict=True):
            if isinstance(wanted, Mark) or isinstance(given, Mark):
                if wanted is not given:
                    return False
            elif not notation.matches(wanted, given, protocol, {}):
                return False
    return True


def _text(replies: list[dict[int, Any]]) -> str:
    written = [
        value.word if isinstance(value, Mark) else notation.write(value)
        for line in replies
        for value in line.values()
    ]
    return " | ".join(dict.fromkeys(written))


def main() -> int:
    """Record the files named on the command line, or all."""
    paths = [Path(name) for name in sys.argv[1:]] or sorted(FOLDER.glob("*.transcript"))
    failures = 0
    for path in paths:
        file = transcript.read(path)
        if servers.real_program(file.server) is None:
            print(f"{path.name}: skipped, {servers.REAL[file.server]} is not set")  # noqa: T201
            continue
        try:
            remarks = record(file)
        except (servers.StartFailed, ErrorReply, OSError) as error:
            failures += 1
            remarks = [f"not recorded: {error}"]
        print(f"{path.name}: recorded from {file.server}", *remarks, sep="\n  ")  # noqa: T201
    return min(failures, 1)


if __name__ == "__main__":
    sys.exit(main())
