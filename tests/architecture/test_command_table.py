"""Every command we declare is described as the real server describes it."""

from __future__ import annotations

import inspect
import math
import tomllib
from collections.abc import Callable
from typing import Any

import command_reference
import pytest
from usage_line import REFERENCE, arguments_of_valkey, reference

from spineldb.commands import FAMILIES
from spineldb.commands.command import documentation, information
from spineldb.engine.command import Command, CommandTable
from spineldb.engine.reply import Shaped

TABLE = CommandTable(FAMILIES)
COMMANDS = {one.name: one for one in TABLE.everything()}
EXPECTED = reference()
BODIES = [name for name, one in COMMANDS.items() if callable(one.body) and not one.is_container]
OVERRIDES = tomllib.loads((REFERENCE.parent / "overrides.toml").read_text())
ALWAYS = ("acl", "arity", "first_key", "flags", "group", "key_specs", "last_key", "step", "tips")
DOCUMENTED = ("since", "arguments", "history", "doc_flags", "deprecated_since", "replaced_by")


def plain(value: Any) -> Any:
    """Turn a reply into what JSON would hold."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, Shaped):
        return plain(value.items)
    if isinstance(value, dict):
        return {plain(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value


def as_argument(entry: dict[str, Any]) -> dict[str, Any]:
    """Write an argument of COMMAND DOCS as the reference does."""
    names = {"display_text": "display", "key_spec_index": "key_spec"}
    found = {names.get(name, name): value for name, value in entry.items()}
    if found.get("display") == found["name"]:
        del found["display"]
    if "flags" in found:
        found["flags"] = sorted(found["flags"])
    if "arguments" in found:
        found["arguments"] = [as_argument(inner) for inner in found["arguments"]]
    return found


def as_reference(one: Command) -> dict[str, Any]:
    """Write what COMMAND INFO and COMMAND DOCS answer as the reference does."""
    info, docs = plain(information(one)), plain(documentation(one))
    names = ("name", "arity", "flags", "first_key", "last_key", "step", "acl", "tips", "key_specs")
    entry = dict(zip(names, info, strict=False)) | docs
    entry["flags"] = sorted(entry["flags"])
    entry["acl"] = sorted(entry["acl"])
    for spec in entry["key_specs"]:
        spec.pop("notes", None)
    if "arguments" in entry:
        entry["arguments"] = [as_argument(argument) for argument in entry["arguments"]]
    if "history" in entry:
        entry["history"] = [since for since, _ in entry["history"]]
    if "doc_flags" in entry:
        entry["doc_flags"] = sorted(entry["doc_flags"])
    return entry


def expected(name: str) -> dict[str, Any]:
    """Return what the reference and the overrides say of a command."""
    entry = dict(EXPECTED[name])
    for field, value in OVERRIDES.get(name, {}).items():
        if value == "ours":  # real servers say nothing of it
            assert not entry.get(field) or field == "arity"
            entry[field] = as_reference(COMMANDS[name])[field]
        elif field == "arguments" and value == "valkey":
            entry[field] = arguments_of_valkey()[name]
        elif field != "reason":
            entry[field] = value
    return entry


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_the_reference_s(name: str) -> None:
    ours, theirs = as_reference(COMMANDS[name]), expected(name)
    for field in (*ALWAYS, *DOCUMENTED):
        assert ours.get(field) == theirs.get(field), field


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_documented(name: str) -> None:
    one = COMMANDS[name]
    assert one.summary.endswith("."), "the docstring begins with a sentence"
    assert len(one.summary) < 100
    assert one.complexity is not None, "the docstring says what it costs: O(1)."


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_a_body(name: str) -> None:
    one = COMMANDS[name]
    assert one.body is not None or one.is_container


@pytest.mark.parametrize("name", OVERRIDES)
def test_an_override_is_needed_and_explained(name: str) -> None:
    if name not in COMMANDS:
        pytest.skip("not declared yet")
    assert OVERRIDES[name]["reason"]
    assert any(expected(name)[field] != EXPECTED[name].get(field) for field in expected(name))


def test_the_command_reference_is_current() -> None:
    """Run `PYTHONPATH=src python tests/tools/command_reference.py` to write it anew."""
    assert command_reference.TARGET.read_text() == command_reference.render(TABLE)


def accepted(function: Callable[..., Any]) -> tuple[int, float]:
    """Return how few and how many arguments a Python body takes, the context apart."""
    parameters = list(inspect.signature(function).parameters.values())[1:]
    variadic = inspect.Parameter.VAR_POSITIONAL
    plain_ones = [one for one in parameters if one.kind != variadic]
    least = sum(one.default is one.empty for one in plain_ones)
    return least, math.inf if len(plain_ones) < len(parameters) else len(plain_ones)


@pytest.mark.parametrize("name", BODIES)
def test_a_body_takes_every_number_of_arguments_that_the_arity_lets_pass(name: str) -> None:
    command = COMMANDS[name]
    words = len(name.split("|"))
    least, most = accepted(command.body)  # type: ignore[arg-type]
    assert least <= abs(command.arity) - words
    assert most >= (math.inf if command.arity < 0 else command.arity - words)
