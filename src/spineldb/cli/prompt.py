"""The interactive prompt: line editing, history, completion of command names, local words."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import replace
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import WordCompleter
from prompt_toolkit.history import FileHistory, History, InMemoryHistory

from spineldb.cli.quoting import UnbalancedQuotes, split
from spineldb.cli.session import Session, Unreachable
from spineldb.client import ErrorReply, Map, Reply

HISTORY_VARIABLE = "SPINELDB_CLI_HISTORY"
_SECRET = re.compile(
    r"\s*(auth\b|hello\b.*\bauth\b|acl\s+setuser\b|migrate\b.*\bauth|config\s+set\b.*"
    r"(requirepass|masterauth|primary_?auth|password))",
    re.IGNORECASE | re.DOTALL,
)


class _DiscreetHistory(FileHistory):
    """A history that never stores a line with a secret in it."""

    def store_string(self, string: str) -> None:
        if not _SECRET.match(string):
            super().store_string(string)


def _history() -> History:
    """Return the history in the user's home, readable by nobody else; none if that fails."""
    path = Path(os.environ.get(HISTORY_VARIABLE) or "~/.spineldb_cli_history").expanduser()
    try:
        path.touch(mode=0o600)
        path.chmod(0o600)
    except OSError:
        return InMemoryHistory()
    return _DiscreetHistory(str(path))


def run(session: Session) -> None:
    """Read commands until `quit` or the end of input."""
    try:
        session.connect()
    except Unreachable as error:
        print(error, file=sys.stderr)
    lines: PromptSession[str] = PromptSession(
        history=_history(),
        completer=WordCompleter(_command_names(session), ignore_case=True, sentence=True),
        complete_while_typing=False,
    )
    while True:
        try:
            line = lines.prompt(session.prompt)
        except EOFError:
            return
        except KeyboardInterrupt:
            continue
        if not obey(session, line):
            return


def obey(session: Session, line: str) -> bool:
    """Do what a line says; return False if it says goodbye."""
    try:
        words = split(line.encode("utf-8", "surrogateescape"))
    except UnbalancedQuotes:
        print("Invalid argument(s)")
        return True
    times = 1
    if len(words) > 1 and words[0].isdigit():  # "5 INCR k" asks five times
        times, words = int(words[0]), words[1:]
    match [word.lower() for word in words]:
        case []:
            pass
        case [b"quit" | b"exit"]:
            return False
        case [b"clear"]:
            sys.stdout.write("\x1b[H\x1b[2J")
        case [b"help" | b"?", *about]:
            _help(session, about)
        case [b"connect", host, port] if port.isdigit():
            session.address = replace(
                session.address, host=host.decode(), port=int(port), socket_path=None
            )
            _guarded(session, [])
        case _:
            for _ in range(times):
                _guarded(session, words)
    return True


def _guarded(session: Session, words: list[bytes]) -> None:
    """Ask, and survive what may happen meanwhile; without words, only connect."""
    try:
        if words:
            session.ask(words)
        else:
            session.connect()
    except Unreachable as error:
        print(error, file=sys.stderr)
    except KeyboardInterrupt:
        session.close()  # the reply may still come, and would be taken for the next one's
        print()


def _quietly(session: Session, *request: bytes | str) -> Reply:
    """Return a reply nobody sees, or None."""
    if session.client is None:
        return None
    try:
        return session.client.call(*request)
    except (ErrorReply, OSError):
        return None


def _command_names(session: Session) -> list[str]:
    names: list[bytes] = _quietly(session, "COMMAND", "LIST") or []
    return sorted(name.decode().replace("|", " ").upper() for name in names)


def _help(session: Session, about: list[bytes]) -> None:
    """Print a command's summary and group, as the server documents it."""
    if not about:
        print('Type "help <command>" for its summary, "quit" to leave.')
        return
    docs = _quietly(session, "COMMAND", "DOCS", b"|".join(about))
    for name, facts in _pairs(docs):
        known = dict(_pairs(facts))
        print(f"\n  {name.decode().upper().replace('|', ' ')}")
        for fact in (b"summary", b"since", b"group"):
            print(f"  {fact.decode()}: {known.get(fact, b'').decode()}")
        print()


def _pairs(reply: Reply) -> list[tuple[bytes, Reply]]:
    """Return the pairs of a map, which is a flat array in RESP2."""
    if isinstance(reply, Map):
        return list(reply)
    flat: list[Reply] = reply or []
    return list(zip(flat[::2], flat[1::2], strict=True))
