"""Print the usage line of a command, read off the reference of the real server.

PYTHONPATH=src python tests/tools/usage_line.py set "client|kill"
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

REFERENCE = Path(__file__).parent.parent / "reference" / "redis-8.2-commands.json"


def reference() -> dict[str, dict[str, Any]]:
    """Return every command and subcommand of the reference by its full name."""
    document = json.loads(REFERENCE.read_text())

    def walk(commands: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        for name, entry in commands.items():
            yield name, entry
            yield from walk(entry["subcommands"])

    return dict(walk(document["commands"] | document["only_in_valkey"]))


def arguments_of_valkey() -> dict[str, list[dict[str, Any]]]:
    """Return the arguments of commands that have more options in Valkey."""
    document = json.loads(REFERENCE.read_text())
    return {name: one["arguments"] for name, one in document["options_only_in_valkey"].items()}


def usage_line(name: str, entry: dict[str, Any]) -> str:
    """Write the usage line that declares a command of the reference."""
    writer = _Writer()
    words = [name.replace("|", " ").upper()]
    words += [writer.argument(argument) for argument in entry.get("arguments", [])]
    return " ".join(words)


class _Writer:
    def __init__(self) -> None:
        self.keys = 0

    def argument(self, argument: dict[str, Any]) -> str:
        flags = argument.get("flags", [])
        body = self.body(argument)
        name = argument["name"]
        token = argument.get("token")
        grouped = "arguments" in argument
        if argument["type"] == "pure-token":
            text = body
        else:
            text = body if token is None else f"{token} {body}"
        if "multiple" in flags:
            again = f"{token} {name}" if "multiple_token" in flags else name
            if name == "data" and token is None:
                text = body.removeprefix("<data: ").removesuffix(">")
                again = " ".join(inner["name"] for inner in argument["arguments"])
            text = f"{text} [{again} ...]"
        if "optional" not in flags:
            return text
        if grouped and token is None and "multiple" not in flags:
            return "[" + body.removeprefix("<").removesuffix(">") + "]"
        return f"[{text}]"

    def body(self, argument: dict[str, Any]) -> str:
        name, kind = argument["name"], argument["type"]
        if "arguments" in argument:
            inner = [self.argument(one) for one in argument["arguments"]]
            return f"<{name}: {(' | ' if kind == 'oneof' else ' ').join(inner)}>"
        if kind == "pure-token":
            token = argument["token"] or '""'
            return token if token.lower() == name else f"{token}{{{name}}}"
        return (
            name
            + self.kind(argument)
            + (f"{{{argument['display']}}}" if "display" in argument else "")
        )

    def kind(self, argument: dict[str, Any]) -> str:
        name, kind = argument["name"], argument["type"]
        implied = name if name in {"key", "pattern"} else "string"
        spec = argument.get("key_spec")
        expected = None
        if kind == "key":
            expected = self.keys
            self.keys += 1
        if spec != expected:
            return f":{kind}#{spec}"
        return "" if kind == implied else f":{kind}"


def main() -> None:
    """Print the usage lines of the commands named on the command line."""
    commands = reference()
    for name in sys.argv[1:]:
        sys.stdout.write(f"{usage_line(name, commands[name])}\n")


if __name__ == "__main__":
    main()
