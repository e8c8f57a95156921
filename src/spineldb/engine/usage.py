"""The usage line: one line of text that declares a command's name and its arguments.

    SET key value [condition: NX | XX] [GET] [expiration: EX seconds:integer | KEEPTTL]

The line is read into a tree of `Argument`, from which follow the arity, the places of the keys
(`keyspecs`), COMMAND DOCS, HELP and the command reference. The notation is the one of the Redis
manual, with the names and types COMMAND DOCS wants written where they stand:

    word  word:type      an argument; without a type a string, `key` a key, `pattern` a pattern
    word:key#1           a key described by another key spec than the number of keys before it
    word{shown}          an argument shown to people under another word than its name
    TOKEN  TOKEN{name}   a literal word; its name in COMMAND DOCS is itself in lower case
    TOKEN word           an argument introduced by a literal word
    <name: a b>          a block: several arguments that belong together
    <name: a | b>        one of several
    [...]                optional: a single argument, or a named group as between < and >
    word [word ...]      repeated; <name: a b> [name ...] repeats a group by its name
    a b [a b ...]        repeated together: a block with the name `data`
    TOKEN a [TOKEN a ...]  repeated, and the literal word with it
    [word ...]           short for [word [word ...]]
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

TYPES = frozenset({"string", "integer", "double", "key", "pattern", "unix-time"})
_LEXEMES = re.compile(r"\.\.\.|[\[\]<>|]|[^\s\[\]<>|]+")
_WORD = re.compile(
    r"(?P<word>[^{:#]+)(?::(?P<type>[a-z-]+)(?:#(?P<spec>\d+))?)?(?:{(?P<alias>.+)})?"
)
_TOKEN = re.compile(r"(?P<token>[^a-z{]+)(?:{(?P<name>.+)})?")


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument as COMMAND DOCS describes it; `block` and `oneof` contain others."""

    name: str
    type: str = "string"
    token: str | None = None  # the literal word that introduces it, or that it is
    display: str | None = None  # shown to people, where it is not the name
    key_spec: int | None = None
    optional: bool = False
    multiple: bool = False
    multiple_token: bool = False  # repeating it repeats the token
    since: str | None = None
    deprecated_since: str | None = None
    arguments: tuple[Argument, ...] = ()

    @property
    def is_leaf(self) -> bool:
        """Whether it stands for itself and groups no others."""
        return not self.arguments


class UsageError(ValueError):
    """A usage line that does not follow the grammar: a mistake in our source."""


def parse(usage: str, name_words: int = 1) -> tuple[str, tuple[Argument, ...]]:
    """Read a usage line; return the name in lower case (`client|kill`) and the arguments."""
    lexemes = _LEXEMES.findall(usage)
    name, rest = lexemes[:name_words], lexemes[name_words:]
    if len(name) < name_words:
        raise UsageError(usage)
    parser = _Parser(usage, rest)
    arguments = parser.sequence()
    if not parser.done:
        raise UsageError(f"unexpected {parser.peek()!r} in: {usage}")
    return "|".join(name).lower(), tuple(arguments)


class _Parser:
    """Recursive descent over the lexemes of one usage line."""

    def __init__(self, usage: str, lexemes: list[str]) -> None:
        self.usage = usage
        self.lexemes = lexemes
        self.position = 0
        self.keys = 0  # keys seen, which is the key spec of the next one

    @property
    def done(self) -> bool:
        return self.position == len(self.lexemes)

    def peek(self, ahead: int = 0) -> str:
        place = self.position + ahead
        return self.lexemes[place] if place < len(self.lexemes) else ""

    def take(self, expected: str | None = None) -> str:
        lexeme = self.peek()
        if not lexeme or (expected is not None and lexeme != expected):
            raise UsageError(f"expected {expected or 'a word'}, found {lexeme!r} in: {self.usage}")
        self.position += 1
        return lexeme

    def sequence(self) -> list[Argument]:
        """Read arguments up to a `|`, the end of a group, or the end."""
        found: list[Argument] = []
        while self.peek() not in {"", "|", "]", ">", "..."}:
            if self.peek() == "[":
                words = self.repetition()
                if words and repeat(found, words):
                    self.position += len(words) + 3  # the brackets and the dots
                else:
                    found.append(self.optional())
            else:
                found.append(self.single())
        return found

    def repetition(self) -> list[str]:
        """Return the words of a `[word word ...]` that begins here, or nothing."""
        words: list[str] = []
        ahead = 1
        while self.peek(ahead) not in {"", "[", "]", "<", ">", "|", "..."}:
            words.append(self.peek(ahead))
            ahead += 1
        return words if self.peek(ahead) == "..." and self.peek(ahead + 1) == "]" else []

    def optional(self) -> Argument:
        self.take("[")
        if self.peek().endswith(":"):
            argument = self.group("]")
        else:
            found = self.sequence()
            if len(found) != 1:
                raise UsageError(f"an optional group of several has a name: {self.usage}")
            argument = found[0]
            if self.peek() == "...":
                self.take()
                argument = replace(argument, multiple=True)
            self.take("]")
        return replace(argument, optional=True)

    def group(self, end: str) -> Argument:
        name = self.take().removesuffix(":")
        alternatives = [self.sequence()]
        while self.peek() == "|":
            self.take()
            alternatives.append(self.sequence())
        self.take(end)
        if len(alternatives) == 1:
            return Argument(name, "block", arguments=tuple(alternatives[0]))
        if any(len(alternative) != 1 for alternative in alternatives):
            raise UsageError(f"an alternative of several words has a name: {self.usage}")
        return Argument(name, "oneof", arguments=tuple(one for (one,) in alternatives))

    def single(self) -> Argument:
        if self.peek() == "<":
            self.take()
            return self.group(">")
        lexeme = self.take()
        token = _TOKEN.fullmatch(lexeme)
        if token is None:
            return self.word(lexeme)
        text = token["token"].replace('""', "")
        if token["name"] is None and self.peek() not in {"", "|", "[", "]", ">", "..."}:
            following = self.peek()
            if following == "<" or _TOKEN.fullmatch(following) is None:
                return replace(self.single(), token=text)
        return Argument(token["name"] or text.lower(), "pure-token", token=text)

    def word(self, lexeme: str) -> Argument:
        parts = _WORD.fullmatch(lexeme)
        if parts is None:
            raise UsageError(f"{lexeme!r} in: {self.usage}")
        word = parts["word"]
        kind = parts["type"] or (word if word in {"key", "pattern"} else "string")
        if kind not in TYPES:
            raise UsageError(f"unknown type {kind!r} in: {self.usage}")
        spec = None if parts["spec"] is None else int(parts["spec"])
        if kind == "key":
            spec = self.keys if spec is None else spec
            self.keys += 1
        return Argument(word, kind, display=parts["alias"], key_spec=spec)


def repeat(found: list[Argument], words: list[str]) -> bool:
    """Mark the last of the arguments found as repeated by `words`; say whether they are."""
    last = found[-1] if found else None
    if last is not None and words in ([last.name], [last.display]):
        found[-1] = replace(last, multiple=True)
    elif last is not None and words in ([last.token, last.name], [last.token, last.display]):
        found[-1] = replace(last, multiple=True, multiple_token=True)
    elif len(words) > 1 and [argument.name for argument in found[-len(words) :]] == words:
        found[-len(words) :] = [
            Argument("data", "block", multiple=True, arguments=tuple(found[-len(words) :]))
        ]
    else:
        return False
    return True


def dated(
    arguments: Iterable[Argument], added: Mapping[str, str], retired: Mapping[str, str]
) -> tuple[Argument, ...]:
    """Write into the tree when arguments came and went.

    Both mappings lead from a version to names. A name that stands in several groups is written with
    its group: `client-type.master`.
    """
    since = {name: version for version, names in added.items() for name in names.split()}
    until = {name: version for version, names in retired.items() for name in names.split()}
    known: set[str] = set()

    def visit(argument: Argument, group: str) -> Argument:
        full = f"{group}.{argument.name}"
        known.update({argument.name, full})
        return replace(
            argument,
            since=since.get(full, since.get(argument.name)),
            deprecated_since=until.get(full, until.get(argument.name)),
            arguments=tuple(visit(inner, argument.name) for inner in argument.arguments),
        )

    tree = tuple(visit(argument, "") for argument in arguments)
    if unknown := (since.keys() | until.keys()) - known:
        raise UsageError(f"no such argument: {', '.join(sorted(unknown))}")
    return tree


def size(argument: Argument) -> tuple[int, int | None]:
    """Return how few and how many words an argument takes; None when there is no limit."""
    bounds = [size(inner) for inner in argument.arguments]
    least: int
    most: int | None
    if argument.type == "oneof":
        least = min(low for low, _ in bounds)
        most = _maximum(high for _, high in bounds)
    elif argument.type == "block":
        least = sum(low for low, _ in bounds)
        most = _total(high for _, high in bounds)
    else:
        least = most = 1
    if argument.token is not None and argument.type != "pure-token":
        least += 1
        most = None if most is None else most + 1
    if argument.optional:
        least = 0
    return least, None if argument.multiple else most


def _maximum(bounds: Iterable[int | None]) -> int | None:
    known = list(bounds)
    return None if None in known else max(bound for bound in known if bound is not None)


def _total(bounds: Iterable[int | None]) -> int | None:
    known = list(bounds)
    return None if None in known else sum(bound for bound in known if bound is not None)


def arity(name: str, arguments: Iterable[Argument]) -> int:
    """Count the words of a request, the name's included; negative when more may follow."""
    bounds = [size(argument) for argument in arguments]
    least = name.count("|") + 1 + sum(low for low, _ in bounds)
    return least if all(low == high for low, high in bounds) else -least


def syntax(arguments: Iterable[Argument]) -> str:
    """Write arguments for people: the notation of the manual, without types and group names."""
    return " ".join(_syntax(argument) for argument in arguments)


def _syntax(argument: Argument) -> str:
    word = argument.display or argument.name
    if argument.type == "pure-token":
        text = argument.token or '""'
    elif argument.type == "oneof":
        text = " | ".join(_syntax(inner) for inner in argument.arguments)
        if not argument.optional or argument.token is not None or argument.multiple:
            text = f"<{text}>"
    else:
        text = syntax(argument.arguments) if argument.type == "block" else word
    again = text
    if argument.token is not None and argument.type != "pure-token":
        text = f"{argument.token} {text}"
    if argument.multiple:
        text = f"{text} [{text if argument.multiple_token else again} ...]"
    return f"[{text}]" if argument.optional else text
