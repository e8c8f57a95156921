"""COMMAND: what the command table knows, for clients and proxies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from spineldb import errors
from spineldb.engine import arguments
from spineldb.engine.arguments import Options
from spineldb.engine.command import (
    LOADING,
    STALE,
    Category,
    Command,
    CommandTable,
    Family,
    Flag,
)
from spineldb.engine.keyspecs import After, Counted, KeyFlag, Keys, KeySpec
from spineldb.engine.reply import Members, Reply
from spineldb.engine.usage import Argument

if TYPE_CHECKING:
    from spineldb.engine.context import Context

family = Family("server")
command = family.container(
    "COMMAND",
    LOADING | STALE,
    arity=-1,
    since="2.8.13",
    help_since="5.0.0",
    categories=Category.CONNECTION,
    tips=("nondeterministic_output_order",),
)


@command.itself
def describe_all(ctx: Context) -> Reply:
    """Describe every command.

    O(N) in the number of commands.
    """
    return [information(one) for one in ctx.engine.commands.values()]


@command.command("COMMAND COUNT", LOADING | STALE, since="2.8.13")
def count(ctx: Context) -> int:
    """Count the commands. O(1)."""
    return len(ctx.engine.commands)


@command.command(
    "COMMAND INFO [command-name ...]",
    LOADING | STALE,
    since="2.8.13",
    history=(("7.0.0", "May be called without a name; names of subcommands are accepted."),),
    tips=("nondeterministic_output_order",),
)
def info(ctx: Context, *names: bytes) -> Reply:
    """Describe some commands, or all of them.

    Unknown names are answered by null. O(N) in the number of names.
    """
    if not names:
        return describe_all(ctx)
    found = (ctx.engine.commands.find(name) for name in names)
    return [None if one is None else information(one) for one in found]


@command.command(
    "COMMAND DOCS [command-name ...]",
    LOADING | STALE,
    since="7.0.0",
    tips=("nondeterministic_output_order",),
)
def docs(ctx: Context, *names: bytes) -> Reply:
    """Return the documentation of some commands, or of all of them.

    Unknown names are left out. O(N) in the number of names.
    """
    table = ctx.engine.commands
    found = map(table.find, names) if names else table.values()
    return {one.name.encode(): documentation(one) for one in found if one is not None}


@command.command(
    "COMMAND LIST [FILTERBY <filterby: MODULE module-name | ACLCAT category | PATTERN pattern>]",
    LOADING | STALE,
    since="7.0.0",
    tips=("nondeterministic_output_order",),
)
def list_names(ctx: Context, *rest: bytes) -> Reply:
    """List the names of commands and subcommands.

    All of them, or those of a module, an ACL category or a pattern. O(N) in the number of commands.
    """
    wanted = filter_of(rest)
    return [one.name.encode() for one in ctx.engine.commands.everything() if wanted(one)]


@command.command("COMMAND GETKEYS command [arg ...]", LOADING | STALE, since="2.8.13")
def getkeys(ctx: Context, *request: bytes) -> Reply:
    """Return the keys of a request.

    O(N) in the number of its arguments.
    """
    return [request[position] for position, _ in keys_of(ctx.engine.commands, request)]


@command.command("COMMAND GETKEYSANDFLAGS command [arg ...]", LOADING | STALE, since="7.0.0")
def getkeysandflags(ctx: Context, *request: bytes) -> Reply:
    """Return the keys of a request, and what it does to each of them.

    O(N) in the number of its arguments.
    """
    found = keys_of(ctx.engine.commands, request)
    return [[request[position], Members(flags.names)] for position, flags in found]


def keys_of(table: CommandTable, request: Sequence[bytes]) -> list[tuple[int, KeyFlag]]:
    """Find the keys of a request, or raise why there are none."""
    found = table.resolve(request)
    if found is None:
        raise errors.NoSuchCommand
    specs = [spec for spec in found.key_specs if KeyFlag.NOT_KEY not in spec.flags]
    if not specs and found.extract is None:
        raise errors.NoKeyArguments
    if not found.accepts(len(request)):
        raise errors.WrongArityInside
    keys = found.keys_of(request)
    if not keys and Flag.NO_MANDATORY_KEYS not in found.flags:
        raise errors.InvalidArguments
    return keys or []


def filter_of(words: Sequence[bytes]) -> Callable[[Command], bool]:
    """Read what COMMAND LIST filters by."""
    if not words:
        return lambda _: True
    options = Options(words)
    if options.left != 3 or options.keyword() != b"FILTERBY":
        raise errors.Syntax
    match options.keyword(), options.word():
        case b"MODULE", module:
            return lambda one: one.module is not None and one.module.encode() == module
        case b"ACLCAT", category:
            wanted = f"@{category.decode('latin-1').lower()}"
            return lambda one: wanted in one.categories.names
        case b"PATTERN", pattern:
            return lambda one: arguments.glob(pattern, one.name.encode(), nocase=True)
        case _:
            raise errors.Syntax


def information(one: Command) -> Reply:
    """Write an entry of COMMAND INFO."""
    return [
        one.name.encode(),
        one.arity,
        Members(one.flags.names),
        one.first_key,
        one.last_key,
        one.key_step,
        Members(one.categories.names),
        Members([tip.encode() for tip in one.tips]),
        Members(list(key_specifications(one))),
        # Redis sends an empty set where there are none, and an array where there are some
        [information(inner) for inner in one.subcommands.values()] or Members([]),
    ]


def key_specifications(one: Command) -> Iterator[Reply]:
    """Write the key specs of an entry of COMMAND INFO."""
    notes = [*one.notes, *[""] * len(one.key_specs)]
    for spec, note in zip(one.key_specs, notes, strict=False):
        entry: dict[Reply, Reply] = {b"notes": note.encode()} if note else {}
        entry[b"flags"] = Members(spec.flags.names)
        entry[b"begin_search"], entry[b"find_keys"] = searches(spec)
        yield entry


def searches(spec: KeySpec) -> tuple[Reply, Reply]:
    """Write where a key spec begins to look, and how it goes on."""
    place = spec.place
    match place:
        case Keys():
            last = place.end if place.end < 0 else place.end - place.first
            return search(b"index", index=place.first), search_range(last, place.step)
        case Counted():
            return (
                search(b"index", index=place.at),
                search(b"keynum", keynumidx=0, firstkey=1, keystep=place.step),
            )
        case After():
            return (
                search(b"keyword", keyword=place.word.encode(), startfrom=place.start),
                search_range(place.last, 1, place.share),
            )
        case _:
            return search(b"unknown"), search(b"unknown")


def search(kind: bytes, **details: int | bytes) -> Reply:
    """Write one half of a key spec."""
    return {b"type": kind, b"spec": {name.encode(): value for name, value in details.items()}}


def search_range(last: int, step: int, limit: int = 0) -> Reply:
    """Write the half of a key spec that is a range."""
    return search(b"range", lastkey=last, keystep=step, limit=limit)


def documentation(one: Command) -> Reply:
    """Write an entry of COMMAND DOCS."""
    entry: dict[Reply, Reply] = {
        b"summary": one.summary.encode(),
        b"since": one.since.encode(),
        b"group": one.group.encode(),
    }
    if one.complexity is not None:
        entry[b"complexity"] = one.complexity.encode()
    if one.module is not None:
        entry[b"module"] = one.module.encode()
    flags = [name for name, is_set in doc_flags(one) if is_set]
    if flags:
        entry[b"doc_flags"] = Members(flags)
    if one.deprecated is not None:
        entry[b"deprecated_since"] = one.deprecated.since.encode()
        entry[b"replaced_by"] = one.deprecated.replaced_by.encode()
    if one.history:
        changes = [[since.encode(), change.encode()] for since, change in one.history]
        entry[b"history"] = Members(changes)
    if one.arguments:
        entry[b"arguments"] = described(one.arguments)
    if one.subcommands:
        inner = one.subcommands.values()
        entry[b"subcommands"] = {each.name.encode(): documentation(each) for each in inner}
    return entry


def doc_flags(one: Command) -> Iterator[tuple[str, bool]]:
    """Say which remarks COMMAND DOCS makes on a command."""
    yield "deprecated", one.deprecated is not None
    yield "syscmd", one.syscmd


def described(tree: Iterable[Argument]) -> list[Reply]:
    """Write arguments for COMMAND DOCS."""
    return [argument_entry(argument) for argument in tree]


def argument_entry(argument: Argument) -> Reply:
    """Write one argument for COMMAND DOCS."""
    entry: dict[Reply, Reply] = {b"name": argument.name.encode(), b"type": argument.type.encode()}
    if argument.is_leaf:
        entry[b"display_text"] = (argument.display or argument.name).encode()
    if argument.key_spec is not None:
        entry[b"key_spec_index"] = argument.key_spec
    if argument.token is not None:
        entry[b"token"] = argument.token.encode()
    if argument.since is not None:
        entry[b"since"] = argument.since.encode()
    if argument.deprecated_since is not None:
        entry[b"deprecated_since"] = argument.deprecated_since.encode()
    flags = [name for name in ("optional", "multiple", "multiple_token") if getattr(argument, name)]
    if flags:
        entry[b"flags"] = Members(flags)
    if argument.arguments:
        entry[b"arguments"] = described(argument.arguments)
    return entry
