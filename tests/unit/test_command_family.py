"""COMMAND tells what the table knows."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from spineldb import errors
from spineldb.commands import command
from spineldb.engine.command import (
    NO_MANDATORY_KEYS,
    NOT_KEY,
    OW,
    PUBSUB,
    READONLY,
    UPDATE,
    WRITE,
    CommandTable,
    Family,
)
from spineldb.engine.keyspecs import Keys
from spineldb.engine.reply import Members


def body(_ctx: object) -> None:
    """Do it. O(1)."""


def context() -> Any:
    """Make a context whose server has a few commands."""
    family = Family("string")
    family.command("GET key", READONLY, since="1.0.0")(body)
    family.command("MSET key value [key value ...]", WRITE, key=OW | UPDATE, since="1.0.1")(body)
    family.command("TIME", since="1.0.0")(body)
    family.command("ZUNION numkeys:integer key [key ...]", READONLY, since="6.2.0")(body)
    family.command(
        "EVAL script numkeys:integer [key ...] [arg ...]",
        NO_MANDATORY_KEYS,
        key=UPDATE,
        since="2.6.0",
    )(body)
    family.command("SPUBLISH channel", PUBSUB, keys=Keys(1), key=NOT_KEY, since="7.0.0")(body)
    table = CommandTable([family, command.family])
    return SimpleNamespace(engine=SimpleNamespace(commands=table))


def test_count() -> None:
    assert command.count(context()) == 7


def test_info_of_unknown_names_is_null() -> None:
    found = command.info(context(), b"GET", b"nosuch", b"Command|Count")
    assert [entry and entry[0] for entry in found] == [b"get", None, b"command|count"]
    assert found[0][1:] == [
        2,
        Members(["readonly"]),
        1,
        1,
        1,
        Members(["@read", "@string", "@slow"]),
        Members([]),
        Members(
            [
                {
                    b"flags": Members(["RO", "access"]),
                    b"begin_search": {b"type": b"index", b"spec": {b"index": 1}},
                    b"find_keys": {
                        b"type": b"range",
                        b"spec": {b"lastkey": 0, b"keystep": 1, b"limit": 0},
                    },
                }
            ]
        ),
        Members([]),
    ]


def test_info_without_names_is_everything() -> None:
    ctx = context()
    assert command.info(ctx) == command.describe_all(ctx)
    assert len(command.describe_all(ctx)) == 7


def test_docs_leave_unknown_names_out() -> None:
    ctx = context()
    found = command.docs(ctx, b"get", b"nosuch")
    assert found == {
        b"get": {
            b"summary": b"Do it.",
            b"since": b"1.0.0",
            b"group": b"string",
            b"complexity": b"O(1)",
            b"arguments": [
                {b"name": b"key", b"type": b"key", b"display_text": b"key", b"key_spec_index": 0}
            ],
        }
    }
    assert len(command.docs(ctx)) == 7


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("FILTERBY PATTERN *GET", [b"get"]),
        ("filterby aclcat PubSub", [b"spublish"]),
        ("FILTERBY MODULE x", []),
        ("FILTERBY ACLCAT nosuch", []),
    ],
)
def test_list_filters(words: str, names: list[bytes]) -> None:
    assert command.list_names(context(), *words.encode().split()) == names


def test_list_has_subcommands() -> None:
    assert b"command|help" in command.list_names(context())


@pytest.mark.parametrize("words", ["foo", "FILTERBY", "FILTERBY ACLCAT", "FILTERBY foo x"])
def test_list_refuses_other_filters(words: str) -> None:
    with pytest.raises(errors.Syntax):
        command.list_names(context(), *words.encode().split())


def test_getkeys() -> None:
    ctx = context()
    assert command.getkeys(ctx, b"mset", b"a", b"1", b"b", b"2") == [b"a", b"b"]
    assert command.getkeysandflags(ctx, b"GET", b"a") == [[b"a", Members(["RO", "access"])]]
    assert command.getkeys(ctx, b"eval", b"x", b"0") == []
    assert command.getkeys(ctx, b"eval", b"x", b"2", b"a") == []


@pytest.mark.parametrize(
    ("request_line", "error"),
    [
        ("foo", errors.NoSuchCommand),
        ("command foo", errors.NoSuchCommand),
        ("get", errors.WrongArityInside),
        ("time", errors.NoKeyArguments),
        ("time x", errors.NoKeyArguments),
        ("command count", errors.NoKeyArguments),
        ("spublish c", errors.NoKeyArguments),
        ("zunion x a", errors.InvalidArguments),
        ("zunion 5 a", errors.InvalidArguments),
        ("zunion 0 a", errors.InvalidArguments),
    ],
)
def test_getkeys_refuses(request_line: str, error: type[errors.CommandError]) -> None:
    with pytest.raises(error):
        command.getkeys(context(), *request_line.encode().split())
