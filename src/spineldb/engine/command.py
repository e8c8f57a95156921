"""The declaration language: what a command is, said once beside the function that is it.

    family = Family("string")

    @family.command("GET key", READONLY | FAST, since="1.0.0")
    def get(ctx: Context, key: bytes) -> bytes | None:
        \"\"\"Return the value of a key. O(1).\"\"\"

A `Family` collects declarations; a `CommandTable` is made of families, and the dispatcher, COMMAND,
permissions and the command reference are made of the table. The usage line (`usage`) gives name,
arity, keys and documentation; categories follow from family and flags, as in Redis; the first
line of the docstring is the summary, and the sentence that begins with `O(` the complexity.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntFlag
from types import MappingProxyType
from typing import Any, Protocol, Required, TypedDict, TypeVar, Unpack

from spineldb.core.call import Body as CoreBody
from spineldb.engine import usage as usage_line
from spineldb.engine.keyspecs import (
    HOW,
    KeyFlag,
    KeySpec,
    Place,
    legacy_range,
    places,
)
from spineldb.engine.usage import Argument


class Flag(IntFlag):
    """What the dispatcher and the gates must know of a command, in the order of COMMAND INFO."""

    WRITE = 1 << 0
    READONLY = 1 << 1
    DENYOOM = 1 << 2  # may need memory: refused at `maxmemory`
    MODULE = 1 << 3
    ADMIN = 1 << 4
    PUBSUB = 1 << 5
    NOSCRIPT = 1 << 6
    BLOCKING = 1 << 7
    LOADING = 1 << 8  # answered while a dataset is being loaded
    STALE = 1 << 9  # answered by a replica that lost its primary
    SKIP_MONITOR = 1 << 10
    SKIP_SLOWLOG = 1 << 11
    ASKING = 1 << 12
    FAST = 1 << 13
    NO_AUTH = 1 << 14  # answered before authentication
    MAY_REPLICATE = 1 << 15
    NO_MANDATORY_KEYS = 1 << 16
    PROTECTED = 1 << 17
    NO_ASYNC_LOADING = 1 << 18
    NO_MULTI = 1 << 19
    MOVABLEKEYS = 1 << 20  # first, last and step do not tell all keys; found out, not declared
    ALLOW_BUSY = 1 << 21  # answered while a script runs for too long

    @property
    def names(self) -> list[str]:
        """The flags as COMMAND INFO writes them."""
        return [str(flag.name).lower() for flag in Flag if flag in self and flag not in _UNSEEN]


_UNSEEN = Flag.MAY_REPLICATE | Flag.PROTECTED


class Category(IntFlag):
    """ACL categories, in the order of ACL CAT and COMMAND INFO."""

    KEYSPACE = 1 << 0
    READ = 1 << 1
    WRITE = 1 << 2
    SET = 1 << 3
    SORTEDSET = 1 << 4
    LIST = 1 << 5
    HASH = 1 << 6
    STRING = 1 << 7
    BITMAP = 1 << 8
    HYPERLOGLOG = 1 << 9
    GEO = 1 << 10
    STREAM = 1 << 11
    PUBSUB = 1 << 12
    ADMIN = 1 << 13
    FAST = 1 << 14
    SLOW = 1 << 15
    BLOCKING = 1 << 16
    DANGEROUS = 1 << 17
    CONNECTION = 1 << 18
    TRANSACTION = 1 << 19
    SCRIPTING = 1 << 20
    BLOOM = 1 << 21

    @property
    def names(self) -> list[str]:
        """The categories as COMMAND INFO writes them."""
        return [f"@{str(one.name).lower()}" for one in Category if one in self]


NONE = Flag(0)
WRITE = Flag.WRITE
READONLY = Flag.READONLY
DENYOOM = Flag.DENYOOM
ADMIN = Flag.ADMIN
PUBSUB = Flag.PUBSUB
NOSCRIPT = Flag.NOSCRIPT
BLOCKING = Flag.BLOCKING
LOADING = Flag.LOADING
STALE = Flag.STALE
SKIP_MONITOR = Flag.SKIP_MONITOR
SKIP_SLOWLOG = Flag.SKIP_SLOWLOG
ASKING = Flag.ASKING
FAST = Flag.FAST
NO_AUTH = Flag.NO_AUTH
MAY_REPLICATE = Flag.MAY_REPLICATE
NO_MANDATORY_KEYS = Flag.NO_MANDATORY_KEYS
PROTECTED = Flag.PROTECTED
NO_ASYNC_LOADING = Flag.NO_ASYNC_LOADING
NO_MULTI = Flag.NO_MULTI
ALLOW_BUSY = Flag.ALLOW_BUSY

RW = KeyFlag.RW
RO = KeyFlag.RO
OW = KeyFlag.OW
RM = KeyFlag.RM
ACCESS = KeyFlag.ACCESS
INSERT = KeyFlag.INSERT
UPDATE = KeyFlag.UPDATE
DELETE = KeyFlag.DELETE
NOT_KEY = KeyFlag.NOT_KEY
INCOMPLETE = KeyFlag.INCOMPLETE
VARIABLE = KeyFlag.VARIABLE

DANGEROUS = Category.DANGEROUS

# What a family adds to the categories of its commands; `server` and `cluster` add nothing.
_FAMILY_CATEGORY = {
    "string": Category.STRING,
    "bitmap": Category.BITMAP,
    "generic": Category.KEYSPACE,
    "list": Category.LIST,
    "hash": Category.HASH,
    "set": Category.SET,
    "sorted-set": Category.SORTEDSET,
    "hyperloglog": Category.HYPERLOGLOG,
    "geo": Category.GEO,
    "stream": Category.STREAM,
    "connection": Category.CONNECTION,
    "transactions": Category.TRANSACTION,
    "scripting": Category.SCRIPTING,
}

# What a module's commands are, by their prefix, beside reading or writing.
_PREFIX_CATEGORY = {"bf.": Category.BLOOM}

Body = Callable[..., Any]
Extractor = Callable[[Sequence[bytes]], "list[tuple[int, KeyFlag]] | None"]
F = TypeVar("F", bound=Callable[..., Any])
_COST = re.compile(r"\b(O\(.*?\.)(?=\s|\Z)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Deprecation:
    """Since when a command is discouraged, and what replaces it."""

    since: str
    replaced_by: str


class Facts(TypedDict, total=False):
    """What a declaration may say beside the usage line and the flags."""

    since: Required[str]  # the version that brought the command
    quick: CoreBody  # answers where nothing has to be waited for, before the function is called
    key: KeyFlag | tuple[KeyFlag, ...]  # what is done to the keys: one for all, or one per spec
    keys: Place | tuple[Place, ...]  # where the keys are, when the usage line does not show it
    extract: Extractor  # finds keys that no spec describes
    arity: int  # when the usage line does not show it
    categories: Category  # added to those that follow from family and flags
    without: Category  # taken from them
    complexity: str  # when the docstring does not say it
    tips: tuple[str, ...]  # for clients of a cluster
    added: Mapping[str, str]  # version to the names of the arguments it brought
    retired: Mapping[str, str]  # version to the names of the arguments it discouraged
    history: Sequence[tuple[str, str]]  # version and what it changed
    deprecated: Deprecation
    syscmd: bool  # not meant for people
    notes: tuple[str, ...]  # one per key spec, shown by COMMAND INFO


@dataclass(frozen=True, slots=True)
class Command:
    """Everything known of one command or subcommand."""

    name: str  # lower case; a subcommand with its container, `client|kill`
    group: str
    arity: int
    flags: Flag
    categories: Category
    key_specs: tuple[KeySpec, ...]
    first_key: int
    last_key: int
    key_step: int
    arguments: tuple[Argument, ...]
    summary: str
    since: str
    body: object  # a function, or what the core offers; None: only subcommands
    compiled: bool = False
    quick: CoreBody | None = None  # what the core does where nothing is waited for
    complexity: str | None = None
    tips: tuple[str, ...] = ()
    history: tuple[tuple[str, str], ...] = ()
    deprecated: Deprecation | None = None
    syscmd: bool = False
    notes: tuple[str, ...] = ()
    extract: Extractor | None = None
    module: str | None = None  # that has this command in real servers
    documentation: str = ""  # the docstring after its first line
    subcommands: Mapping[str, Command] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def is_container(self) -> bool:
        """Whether the second word of a request names one of the subcommands."""
        return bool(self.subcommands)

    @property
    def syntax(self) -> str:
        """How to write the arguments, for people."""
        return usage_line.syntax(self.arguments)

    @property
    def usage(self) -> str:
        """How to write the whole command, for people."""
        return f"{self.name.upper().replace('|', ' ')} {self.syntax}".rstrip()

    def accepts(self, words: int) -> bool:
        """Say whether a request of that many words has the right number."""
        return words == self.arity or (self.arity < 0 and words >= -self.arity)

    def keys_of(
        self, argv: Sequence[bytes], *, channels: bool = False
    ) -> list[tuple[int, KeyFlag]] | None:
        """Return where the keys of a whole request are, and what is done to each.

        Shard channels, which stand for keys in a cluster, are left out unless asked for. None means
        that the request does not add up: a `numkeys` that is no number.
        """
        if self.extract is not None:
            return self.extract(argv)
        found: list[tuple[int, KeyFlag]] = []
        for spec in self.key_specs:
            if KeyFlag.NOT_KEY in spec.flags and not channels:
                continue
            positions = spec.place.find(argv)
            if positions is None:
                return None
            found += [(position, spec.flags) for position in positions]
        return found


class Declare(Protocol):
    """A decorator that leaves its function as it is."""

    def __call__(self, function: F, /) -> F:
        """Record the declaration."""
        ...


class _Declarations:
    """What families and containers have in common: functions are declared on them."""

    _family: str
    _words = 1  # of a name
    _declared: dict[str, Command]

    def command(self, usage: str, flags: Flag = NONE, **facts: Unpack[Facts]) -> Declare:
        """Declare the decorated function to be a command."""

        def declare(function: F) -> F:
            self._add(_command(self._family, usage, flags, function, facts, self._words))
            return function

        return declare

    def compiled(self, usage: str, flags: Flag, body: object, **facts: Unpack[Facts]) -> Declare:
        """Declare a command whose body the core offers; the function gives signature and words."""

        def declare(function: F) -> F:
            command = _command(self._family, usage, flags, function, facts, self._words)
            self._add(replace(command, body=body, compiled=True))
            return function

        return declare

    def _add(self, command: Command) -> None:
        if command.name in self._declared:
            raise ValueError(f"declared twice: {command.name}")
        self._declared[command.name] = command


class Family(_Declarations):
    """The commands of one module, in the order of their declaration."""

    def __init__(self, name: str, module: str | None = None) -> None:
        """Begin a family: the group of its commands, and the module real servers have them from."""
        self._family = name
        self._module = module
        self._declared = {}
        self._containers: dict[str, Container] = {}

    def _add(self, command: Command) -> None:
        if self._module is not None:
            added = _PREFIX_CATEGORY[command.name[: command.name.index(".") + 1]]
            command = replace(
                command,
                module=self._module,
                flags=command.flags | Flag.MODULE,
                categories=command.categories | added,
            )
        super()._add(command)

    @property
    def name(self) -> str:
        """The group of its commands in COMMAND DOCS."""
        return self._family

    @property
    def commands(self) -> list[Command]:
        """The commands declared so far; containers have their subcommands."""
        return [
            self._containers[name].whole if name in self._containers else command
            for name, command in self._declared.items()
        ]

    def container(
        self, name: str, flags: Flag = NONE, *, help_since: str, **facts: Unpack[Facts]
    ) -> Container:
        """Declare a command that has subcommands, which share its `categories`; HELP is added."""
        if "arity" not in facts:
            facts["arity"] = -2
        if "complexity" not in facts:
            facts["complexity"] = "Depends on subcommand."
        command = _command(self._family, name, flags, None, facts, 1)
        self._add(command)
        inherited = facts.get("categories", Category(0))
        container = self._containers[command.name] = Container(command, help_since, inherited)
        return container


class Container(_Declarations):
    """A command whose second word names a subcommand."""

    _words = 2

    def __init__(self, command: Command, help_since: str, categories: Category) -> None:
        self._family = command.group
        self._categories = categories
        self._declared = {}
        self._alone = command
        self._help_since = help_since

    def itself(self, function: F) -> F:
        """Make the decorated function answer the bare name, as COMMAND does."""
        summary, documentation, complexity = _docstring(function)
        self._alone = replace(
            self._alone,
            body=function,
            summary=summary,
            documentation=documentation,
            complexity=complexity or self._alone.complexity,
        )
        return function

    @property
    def whole(self) -> Command:
        """The command with the subcommands declared so far, and HELP."""
        name = self._alone.name
        facts: Facts = {"since": self._help_since, "complexity": "O(1)"}
        lines = help_lines(name, self._declared.values())
        helper = _command(
            self._family, f"{name.upper()} HELP", LOADING | STALE, _helper(lines), facts, 2
        )
        found = [*self._declared.values(), helper]
        subcommands = {command.name.partition("|")[2]: command for command in found}
        for word, subcommand in subcommands.items():
            categories = subcommand.categories | self._categories
            subcommands[word] = replace(subcommand, categories=categories)
        return replace(self._alone, subcommands=MappingProxyType(subcommands))

    def _add(self, command: Command) -> None:
        if not command.name.startswith(f"{self._alone.name}|"):
            raise ValueError(f"{command.name} is not a subcommand of {self._alone.name}")
        super()._add(command)


def help_lines(container: str, subcommands: Iterable[Command]) -> list[str]:
    """Write the reply to a container's HELP, in Redis's frame."""
    lines = [
        f"{container.upper()} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    ]
    for command in sorted(subcommands, key=lambda command: command.name):
        word = command.name.partition("|")[2].upper()
        lines += [f"{word} {command.syntax}".rstrip(), f"    {command.summary}"]
    return [*lines, "HELP", "    Print this help."]


def _helper(lines: list[str]) -> Body:
    def show_help(ctx: object) -> list[str]:
        """Describe the subcommands."""
        del ctx
        return list(lines)

    return show_help


def _command(
    family: str, usage: str, flags: Flag, function: Body | None, facts: Facts, words: int
) -> Command:
    """Draw every conclusion from a declaration."""
    name, arguments = usage_line.parse(usage, words)
    arguments = usage_line.dated(arguments, facts.get("added", {}), facts.get("retired", {}))
    specs = _key_specs(name, arguments, flags, facts)
    legacy = legacy_range(specs)
    if legacy.movable:
        flags |= Flag.MOVABLEKEYS
    summary, documentation, complexity = _docstring(function)
    if function is None:
        summary = f"A container for the subcommands of {name.upper()}."
    return Command(
        name=name,
        group=family,
        arity=facts.get("arity", usage_line.arity(name, arguments)),
        flags=flags,
        categories=_categories(family, flags, facts, is_container=function is None),
        key_specs=specs,
        first_key=legacy.first,
        last_key=legacy.last,
        key_step=legacy.step,
        arguments=arguments,
        summary=summary,
        since=facts["since"],
        body=function,
        quick=facts.get("quick"),
        complexity=facts.get("complexity", complexity),
        tips=facts.get("tips", ()),
        history=tuple(facts.get("history", ())),
        deprecated=facts.get("deprecated"),
        syscmd=facts.get("syscmd", False),
        notes=facts.get("notes", ()),
        extract=facts.get("extract"),
        documentation=documentation,
    )


def _key_specs(
    name: str, arguments: Sequence[Argument], flags: Flag, facts: Facts
) -> tuple[KeySpec, ...]:
    declared = facts.get("keys")
    if declared is None:
        found = places(name, arguments)
    else:
        found = declared if isinstance(declared, tuple) else (declared,)
    key = facts.get("key")
    if key is None:
        if found and Flag.READONLY not in flags:
            raise ValueError(f"{name}: say with key= what is done to its keys")
        key = KeyFlag.RO | KeyFlag.ACCESS
    uses = key if isinstance(key, tuple) else (key,) * len(found)
    default = KeyFlag.RW if Flag.WRITE in flags else KeyFlag.RO
    return tuple(
        KeySpec(place, use if use & (HOW | KeyFlag.NOT_KEY) else use | default)
        for place, use in zip(found, uses, strict=True)
    )


def _categories(family: str, flags: Flag, facts: Facts, *, is_container: bool) -> Category:
    """Follow Redis's rules (`setImplicitACLCategories`), then what the declaration adds."""
    found = Category.FAST if Flag.FAST in flags else Category.SLOW
    if Flag.WRITE in flags:
        found |= Category.WRITE
    if Flag.READONLY in flags and family != "scripting":
        found |= Category.READ
    if Flag.ADMIN in flags:
        found |= Category.ADMIN | Category.DANGEROUS
    if Flag.PUBSUB in flags:
        found |= Category.PUBSUB
    if Flag.BLOCKING in flags:
        found |= Category.BLOCKING
    if not is_container:
        found |= _FAMILY_CATEGORY.get(family, Category(0))
    return (found | facts.get("categories", Category(0))) & ~facts.get("without", Category(0))


def _docstring(function: Body | None) -> tuple[str, str, str | None]:
    """Split a docstring: the first line, the sentence that states the cost, and the rest."""
    summary, _, rest = (inspect.getdoc(function) or "").partition("\n")
    found = _COST.search(f"{summary}\n{rest}")
    if found is None:
        return summary, rest.strip(), None
    sentence = found[1]
    rest = rest.replace(sentence, "").strip()
    return (
        summary.replace(sentence, "").rstrip(),
        rest,
        " ".join(sentence.split()).removesuffix("."),
    )


class CommandTable(Mapping[str, Command]):
    """All commands of a server by name, whatever the case; `renames` maps a name to its new one.

    An empty new name takes the command away (`rename-command` of redis.conf).
    """

    def __init__(
        self, families: Iterable[Family], renames: Mapping[str, str] | None = None
    ) -> None:
        self._commands: dict[str, Command] = {}
        new_names = {old.lower(): new.lower() for old, new in (renames or {}).items()}
        for family in families:
            for command in family.commands:
                self._insert(new_names.get(command.name, command.name), command)

    def _insert(self, name: str, command: Command) -> None:
        if not name:
            return
        if name in self._commands:
            raise ValueError(f"two commands are called {name}")
        self._commands[name] = command

    def __getitem__(self, name: str) -> Command:
        return self._commands[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._commands)

    def __len__(self) -> int:
        return len(self._commands)

    def find(self, name: bytes) -> Command | None:
        """Return the command or subcommand (`client|list`) of that name, or None."""
        outer, bar, inner = name.decode("latin-1").lower().partition("|")
        command = self._commands.get(outer)
        if command is None or not bar:
            return command
        return command.subcommands.get(inner)

    def resolve(self, argv: Sequence[bytes]) -> Command | None:
        """Return what a whole request names, or None; a container is asked for its subcommand."""
        command = self._commands.get(argv[0].decode("latin-1").lower())
        if command is None or not command.is_container or len(argv) == 1:
            return command
        return command.subcommands.get(argv[1].decode("latin-1").lower())

    def everything(self) -> Iterator[Command]:
        """Yield every command, and after a container its subcommands."""
        for command in self._commands.values():
            yield command
            yield from command.subcommands.values()
