"""Errors have the real server's words, and are always one line that begins with a code."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from spineldb import errors
from spineldb.errors import CommandError

RECORDING = json.loads(
    (Path(__file__).parents[1] / "reference" / "redis-8.2-texts.json").read_text()
)["errors"]


def config(name: str, reason: str, *details: object) -> CommandError:
    return errors.ConfigRejected(name, reason.format(*details))


RAISED = {
    "foo a b": errors.UnknownCommand(b"foo", [b"a", b"b"]),
    "GET": errors.WrongArity("get"),
    "SET a": errors.WrongArity("set"),
    "SET a b foo": errors.Syntax(),
    "SET a b EX 0": errors.InvalidExpire("set"),
    "SET a b EX x": errors.NotInteger(),
    "SET a b EX 99999999999999999": errors.InvalidExpire("set"),
    "SETEX a 0 b": errors.InvalidExpire("setex"),
    "PSETEX a -1 b": errors.InvalidExpire("psetex"),
    "SET a b NX XX": errors.Syntax(),
    "INCR s": errors.NotInteger(),
    "INCRBY s x": errors.NotInteger(),
    "INCR l": errors.WrongType(),
    "INCRBYFLOAT s 1": errors.NotFloat(),
    "INCRBYFLOAT n inf": errors.NotFinite(),
    "DECRBY n -9223372036854775808": errors.DecrementOverflow(),
    "INCRBY big 1": errors.Overflow(),
    "SETRANGE s -1 x": errors.OffsetOutOfRange(),
    "SETRANGE s 536870912 x": errors.StringTooLong(),
    "SETBIT s -1 1": errors.BitOffset(),
    "SETBIT s 1 2": errors.BitValue(),
    "GETBIT s x": errors.BitOffset(),
    "BITOP foo d a": errors.Syntax(),
    "BITOP not d a b": errors.BitopNot(),
    "BITOP diff d a": errors.BitopTwoKeys("DIFF"),
    "BITPOS s 2": errors.BitposBit(),
    "BITCOUNT s 0": errors.Syntax(),
    "BITFIELD s get u64 0": errors.BitfieldType(),
    "BITFIELD s get u8 -1": errors.BitOffset(),
    "BITFIELD s overflow foo": errors.BitfieldOverflow(),
    "BITFIELD_RO s set u8 0 1": errors.BitfieldReadOnly(),
    "LCS s s len idx": errors.LcsBothForms(),
    "LCS l s": errors.LcsNotStrings(),
    "MSET a": errors.WrongArity("mset"),
    "RENAME nokey x": errors.NoSuchKey(),
    "COPY s s": errors.SameObject(),
    "COPY s t db 99": errors.DatabaseOutOfRange(),
    "MOVE s 99": errors.DatabaseOutOfRange(),
    "SELECT 99": errors.DatabaseOutOfRange(),
    "SELECT x": errors.NotInteger(),
    "SWAPDB x 0": errors.SwapFirst(),
    "SWAPDB 0 x": errors.SwapSecond(),
    "EXPIRE s 10 foo": errors.ExpireOption(b"foo"),
    "EXPIRE s 10 nx xx": errors.ExpireConditions(),
    "EXPIRE s 10 gt lt": errors.ExpireGtLt(),
    "EXPIRE s x": errors.NotInteger(),
    "EXPIRE s 9223372036854775807": errors.InvalidExpire("expire"),
    "SCAN x": errors.InvalidCursor(),
    "SCAN 0 count 0": errors.Syntax(),
    "OBJECT freq s": errors.NoLfuPolicy(),
    "OBJECT foo s": errors.UnknownSubcommand(b"foo", "object"),
    "FLUSHALL foo": errors.Syntax(),
    "CLIENT foo": errors.UnknownSubcommand(b"foo", "client"),
    "CLIENT kill foo": errors.NoSuchClient(),
    "CLIENT kill id 0": errors.ClientIdNotPositive(),
    "CLIENT kill type foo": errors.UnknownClientType(b"foo"),
    "CLIENT kill maxage x": errors.MaxageNotInteger(),
    "CLIENT kill user nobody": errors.NoSuchUser(b"nobody"),
    "CLIENT list id x": errors.InvalidClientId(),
    "CLIENT list type foo": errors.UnknownClientType(b"foo"),
    "CLIENT setinfo foo bar": errors.ClientInfoOption(b"foo"),
    "CLIENT pause x": errors.TimeoutNotInteger(),
    "CLIENT pause -1": errors.TimeoutNegative(),
    "CLIENT pause 1 foo": errors.PauseMode(),
    "CLIENT unblock 1 foo": errors.UnblockReason(),
    "HELLO 4": errors.UnknownProtocol(),
    "HELLO x": errors.ProtocolNotInteger(),
    "HELLO 3 foo": errors.HelloOption(b"foo"),
    "AUTH x": errors.NoPasswordSet(),
    "AUTH a b": errors.WrongPassword(),
    "COMMAND getkeys foo": errors.NoSuchCommand(),
    "COMMAND getkeys get": errors.WrongArityInside(),
    "COMMAND getkeys ping": errors.NoKeyArguments(),
    "COMMAND getkeys zunion x a": errors.InvalidArguments(),
    "CONFIG set foo 1": errors.ConfigUnknown(b"foo"),
    "CONFIG set maxmemory x": config("maxmemory", errors.NOT_A_SIZE),
    "CONFIG set timeout x": config("timeout", errors.NOT_A_NUMBER),
    "CONFIG set timeout -1": config("timeout", errors.NOT_WITHIN, 0, 2**31 - 1),
    "CONFIG rewrite": errors.NoConfigFile(),
    "CONFIG set appendfsync foo": config("appendfsync", errors.NOT_ONE_OF, "everysec, always, no"),
    "CONFIG set protected-mode maybe": config("protected-mode", errors.NOT_YES_OR_NO),
    "CONFIG set databases 5": config("databases", errors.IMMUTABLE),
    "CONFIG set dir /x": config("dir", errors.PROTECTED),
    "CONFIG set timeout 1 timeout 2": config("timeout", errors.DUPLICATE),
    "CONFIG set notify-keyspace-events Q": config("notify-keyspace-events", errors.BAD_EVENTS),
    "DEBUG foo": errors.UnknownSubcommandOrArity(b"foo", "debug"),
    "DEBUG protocol foo": errors.ProtocolType(),
    "DEBUG reload foo": errors.ReloadOptions(),
    "LATENCY graph foo": errors.NoSamples(b"foo"),
    "SLOWLOG get -2": errors.LogCount(),
    "SHUTDOWN abort": errors.NoShutdown(),
    "MODULE load x": errors.ModuleNotAllowed(),
    "BLPOP l -1": errors.TimeoutNegative(),
    "BLPOP l x": errors.TimeoutNotFloat(),
    "BLPOP l inf": errors.TimeoutOutOfRange(),
    "LPOP l -1": errors.NotPositive(),
    "MSETNX a b c": errors.WrongArity("msetnx"),
}


def classes(parent: type[CommandError] = CommandError) -> Iterator[type[CommandError]]:
    for child in parent.__subclasses__():
        yield child
        yield from classes(child)


@pytest.mark.parametrize("request_line", RECORDING)
def test_an_error_has_the_real_server_s_words(request_line: str) -> None:
    assert f"-{RAISED[request_line]}" == RECORDING[request_line]


@pytest.mark.parametrize("error", list(classes()), ids=lambda error: error.__name__)
def test_every_error_begins_with_a_code(error: type[CommandError]) -> None:
    assert re.fullmatch("[A-Z]+", error.code)
    assert error.text
    assert "\n" not in error.text


def test_an_error_can_be_raised_as_a_class() -> None:
    with pytest.raises(CommandError, match=r"^ERR syntax error$"):
        raise errors.Syntax


def test_details_are_counted() -> None:
    with pytest.raises(TypeError, match="takes 1 details"):
        errors.WrongArity()


def test_an_error_is_one_line_whatever_users_put_into_it() -> None:
    error = errors.UnknownCommand(b"GE\r\n:1", [b"\n+OK", b"\xff"])
    assert error.wire == b"ERR unknown command 'GE  :1', with args beginning with: ' +OK' '\xff' "
    assert errors.ExpireOption(b"a\r\nb\n\r\n").wire == b"ERR Unsupported option a  b"


def test_long_arguments_are_cut() -> None:
    error = errors.UnknownCommand(b"y" * 200, [b"x" * 100, b"z" * 100, b"w"])
    assert error.wire == (
        b"ERR unknown command '%b', with args beginning with: '%b' '%b' "
        % (b"y" * 128, b"x" * 100, b"z" * 25)
    )


def test_a_name_ends_at_a_zero_byte() -> None:
    assert errors.UnknownCommand(b"a\0b", [b"c\0d"]).wire.endswith(
        b"'a', with args beginning with: 'c' "
    )


def test_braces_of_users_are_no_placeholders() -> None:
    assert errors.ExpireOption(b"{}{0}").wire == b"ERR Unsupported option {}{0}"


def test_custom_errors_bring_their_code() -> None:
    assert errors.Custom("MINE is\r\nthis").wire == b"MINE is  this"


def test_no_two_errors_have_the_same_words() -> None:
    texts = [(error.code, error.text) for error in classes()]
    assert len(texts) == len(set(texts))


def test_every_class_of_the_module_is_an_error() -> None:
    found = [one for _, one in inspect.getmembers(errors, inspect.isclass)]
    assert all(issubclass(one, Exception) for one in found if one.__module__ == errors.__name__)
