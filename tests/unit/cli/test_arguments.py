"""The arguments of the server program."""

from __future__ import annotations

import pytest

from spineldb.cli.arguments import Action, UsageError, parse
from spineldb.config.loading import Override


def test_nothing_means_serve() -> None:
    arguments = parse([])
    assert (arguments.action, arguments.config, arguments.overrides) == (Action.SERVE, None, ())


def test_our_own_flags() -> None:
    words = "--config x.toml --port 7000 --host ::1 --log-level info,cluster=debug"
    arguments = parse([*words.split(), "--set", "limits.proto_max_bulk_len = 1gb"])
    assert arguments.config == "x.toml"
    assert arguments.overrides == (
        Override("--port", "port", ("7000",)),
        Override("--host", "host", ("::1",)),
        Override("--log-level", "loglevel", ("info,cluster=debug",)),
        Override("--set limits.proto_max_bulk_len", "limits.proto_max_bulk_len", ("1gb",), True),
    )


def test_redis_flags_take_the_words_that_follow() -> None:
    arguments = parse(["--save", "", "--SAVE", "900", "1", "--bind=::1", "--maxmemory", "100mb"])
    assert [(override.name, override.words) for override in arguments.overrides] == [
        ("save", ("",)),
        ("save", ("900", "1")),
        ("bind", ("::1",)),
        ("maxmemory", ("100mb",)),
    ]


@pytest.mark.parametrize("first", ["redis.conf", "/etc/x/config.toml", "-"])
def test_a_file_may_come_first(first: str) -> None:
    assert parse([first, "--port", "1"]).config == first


@pytest.mark.parametrize(
    ("words", "action"),
    [
        (["--port", "1", "--version"], Action.VERSION),
        (["--help"], Action.HELP),
        (["--check-config", "--config", "x"], Action.CHECK),
        (["--config", "x", "--check-config"], Action.CHECK),
        (["--warden", "w.toml"], Action.WARDEN),
        (["check", "--all"], Action.SUBCOMMAND),
    ],
)
def test_what_to_do(words: list[str], action: Action) -> None:
    assert parse(words, ["check"]).action is action


def test_a_subcommand_keeps_its_own_arguments() -> None:
    arguments = parse(["check", "--all", "x"], ["check"])
    assert (arguments.subcommand, arguments.rest) == ("check", ("--all", "x"))
    assert parse(["--warden", "w.toml"]).rest == ("w.toml",)


@pytest.mark.parametrize(
    ("words", "text", "status"),
    [
        (["chekc"], "unknown subcommand 'chekc', did you mean 'check'?", 2),
        (["serve"], "unknown subcommand 'serve'", 2),
        (["--prot", "1"], "unknown flag '--prot', did you mean --port?", 2),
        (["--port"], "--port flag requires a value", 1),
        (["--port", "x"], "Invalid port number: x", 1),
        (["--port", "65536"], "Invalid port number: 65536", 1),
        (["--port", "-1"], "Invalid port number: -1", 1),
        (["--port", "1", "2"], "unexpected argument '2'", 2),
        (["--config"], "--config requires a path", 2),
        (["--check-config", "x"], "unexpected argument 'x'", 2),
        (["--set", "port"], "--set requires key=value, not 'port'", 2),
        (["--warden"], "usage: spineldb --warden PATH", 1),
        (["--warden", "a", "b"], "usage: spineldb --warden PATH", 1),
        (["--port", "1", "--warden", "x"], "usage: spineldb --warden PATH", 1),
        (["--acl.rules", "x"], "unknown flag '--acl.rules'", 2),
        (["-p", "1"], "unknown subcommand '-p'", 2),
    ],
)
def test_mistakes_are_usage_errors(words: list[str], text: str, status: int) -> None:
    with pytest.raises(UsageError) as raised:
        parse(words, ["check"])
    assert str(raised.value).startswith(text)
    assert raised.value.status == status
