"""Every body takes whatever its declaration lets through: a wrong count is an error, not a bug."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import pytest

from spineldb.commands import FAMILIES
from spineldb.engine.command import Command


def bodies() -> Iterator[Command]:
    for family in FAMILIES:
        for command in family.commands:
            for one in (command, *command.subcommands.values()):
                if inspect.isfunction(one.body) and not one.is_container:
                    yield one


@pytest.mark.parametrize("command", list(bodies()), ids=lambda command: command.name)
def test_a_body_takes_as_many_arguments_as_its_arity_lets_through(command: Command) -> None:
    assert inspect.isfunction(command.body)
    words = command.name.count("|") + 1
    signature = inspect.signature(command.body)
    least = abs(command.arity) - words
    signature.bind(None, *[b""] * least)
    if command.arity < 0:
        signature.bind(None, *[b""] * (least + 20))
