"""The usage line says everything COMMAND DOCS wants to know of a command's arguments."""

from __future__ import annotations

from typing import Any

import pytest
from usage_line import arguments_of_valkey, reference, usage_line

from spineldb.engine import usage
from spineldb.engine.usage import Argument, UsageError, parse

REFERENCE = {name: entry for name, entry in reference().items() if "module" not in entry}
VALKEY = arguments_of_valkey()

# Commands that take more words than their documentation tells.
UNDOCUMENTED = {"client|kill", "cluster|migrateslots", "cluster|syncslots", "debug", "psync"}
UNDOCUMENTED |= {"quit", "replconf"}


def as_documented(argument: Argument) -> dict[str, Any]:
    """Write an argument as the reference file does."""
    flags = [name for name in ("multiple", "multiple_token", "optional") if getattr(argument, name)]
    entry: dict[str, Any] = {
        "name": argument.name,
        "type": argument.type,
        "token": argument.token,
        "display": argument.display,
        "key_spec": argument.key_spec,
        "flags": flags or None,
        "since": argument.since,
        "deprecated_since": argument.deprecated_since,
        "arguments": [as_documented(inner) for inner in argument.arguments] or None,
    }
    return {name: value for name, value in entry.items() if value is not None}


def dates(arguments: list[dict[str, Any]], kind: str) -> dict[str, str]:
    """Collect which version a tree says brought, or discouraged, which arguments."""
    found: dict[str, list[str]] = {}

    def visit(arguments: list[dict[str, Any]], group: str) -> None:
        for argument in arguments:
            if kind in argument:
                found.setdefault(argument[kind], []).append(f"{group}.{argument['name']}")
            visit(argument.get("arguments", []), argument["name"])

    visit(arguments, "")
    return {version: " ".join(names) for version, names in found.items()}


def round_trip(name: str, arguments: list[dict[str, Any]]) -> tuple[Argument, ...]:
    line = usage_line(name, {"arguments": arguments})
    found, tree = parse(line, name.count("|") + 1)
    assert found == name
    return usage.dated(tree, dates(arguments, "since"), dates(arguments, "deprecated_since"))


@pytest.mark.parametrize("name", REFERENCE)
def test_every_command_of_the_reference_has_a_usage_line(name: str) -> None:
    arguments = REFERENCE[name].get("arguments", [])
    tree = round_trip(name, arguments)
    assert [as_documented(argument) for argument in tree] == arguments
    if not REFERENCE[name]["subcommands"] and name not in UNDOCUMENTED:
        assert usage.arity(name, tree) == REFERENCE[name]["arity"]


@pytest.mark.parametrize("name", VALKEY)
def test_options_of_valkey_have_a_usage_line(name: str) -> None:
    tree = round_trip(name, VALKEY[name])
    assert [as_documented(argument) for argument in tree] == VALKEY[name]


@pytest.mark.parametrize(
    ("line", "shown", "arity"),
    [
        ("PING [message]", "[message]", -1),
        ("SADD key member [member ...]", "key member [member ...]", -3),
        ("MSET key value [key value ...]", "key value [key value ...]", -3),
        ("DEL key [key ...]", "key [key ...]", -2),
        ("X [word ...]", "[word [word ...]]", -1),
        ("BITOP <operation: AND | OR> destkey:key", "<AND | OR> destkey", 3),
        ("X [condition: NX | XX] [GET]", "[NX | XX] [GET]", -1),
        ("X [LIMIT <limit: offset:integer count:integer>]", "[LIMIT offset count]", -1),
        ("X [PREFIX prefix [PREFIX prefix ...]]", "[PREFIX prefix [PREFIX prefix ...]]", -1),
        ("X [ID id:integer [id ...]]", "[ID id [id ...]]", -1),
        ("X <filter: old{ip:port} | <new: [ID id] | [NAME name]> [new ...]>", None, -1),
        ("X ~{approximately} threshold", "~ threshold", 3),
    ],
)
def test_a_usage_line_is_shown_and_counted(line: str, shown: str | None, arity: int) -> None:
    name, tree = parse(line)
    if shown is not None:
        assert usage.syntax(tree) == shown
    assert usage.arity(name, tree) == arity


def test_tokens_introduce_the_word_after_them() -> None:
    _, (seconds, keep) = parse("X EX seconds:integer KEEPTTL")
    assert seconds == Argument("seconds", "integer", token="EX")
    assert keep == Argument("keepttl", "pure-token", token="KEEPTTL")


def test_keys_are_numbered() -> None:
    _, (source, destination, third) = parse("X source:key destination:key third:key#0")
    assert [source.key_spec, destination.key_spec, third.key_spec] == [0, 1, 0]


@pytest.mark.parametrize(
    "line",
    [
        "X [a b]",
        "X <name: a",
        "X a]",
        "X <choice: a b | c>",
        "X word:nonsense",
        "X [a | b]",
        "X [...",
    ],
)
def test_a_bad_usage_line_is_refused(line: str) -> None:
    with pytest.raises(UsageError):
        parse(line)


def test_dates_of_unknown_arguments_are_refused() -> None:
    _, tree = parse("X word")
    with pytest.raises(UsageError):
        usage.dated(tree, {"1.0.0": "wrod"}, {})
