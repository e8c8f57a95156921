"""Requests made from the command table itself: valid ones, boundary ones, broken ones.

The table says which words a command takes (`engine.usage.Argument`), so a new command is fuzzed
from the day it is declared. What a word may be follows from its type and its name; a share of the
words is replaced by values at a boundary, and a share of the requests is damaged.

`Broken` makes bytes that are no requests at all: lengths that lie, lines without an end, garbage.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from zlib import crc32

from spineldb.engine.command import Command, CommandTable, Flag
from spineldb.engine.usage import Argument
from tests.support.wire import encoded

#: Commands whose use would end the run or change the server under the other clients.
NEVER = frozenset({
    "shutdown", "client|kill", "client|pause", "client|reply", "config|set", "config|rewrite",
    "monitor", "quit", "auth", "hello", "reset",
})  # fmt: skip
#: Commands that are chosen a tenth as often: they empty the databases, or say the same every time.
RARE = frozenset({
    "flushall", "flushdb", "swapdb", "info", "command|docs", "command|info", "command|list",
    "config|get", "client|list", "client|kill", "quit", "monitor", "client|reply",
})  # fmt: skip

KEYS = [b"a", b"b", b"c", b"key:4", b"key:5", b"", b"\x00\xff\r\n", b"w" * 255, b"w" * 256]
WORDS = [
    b"", b"0", b"1", b"-1", b"42", b"3.5", b"12345678901", b"hello", b"\x00\x01\xfe\xff", b"a\r\nb",
    b"e" * 44, b"e" * 45, b"n" * 255, b"n" * 256, b"i" * 1984, b"i" * 1985, b"b" * 2049,
    b"page" * 1024,
]  # fmt: skip
BIG_WORDS = [b"p" * 33_000, b"r" * 70_000, b"m" * 600_000]
NUMBERS = [b"0", b"1", b"2", b"3", b"7", b"8", b"-1", b"-2", b"10", b"63", b"64", b"100"]
EDGES = [
    b"255", b"256", b"65536", b"-2147483649", b"2147483647", b"2147483648", b"4294967295",
    b"4294967296", b"281474976710656", b"9223372036854775807", b"-9223372036854775808",
    b"9223372036854775808", b"18446744073709551616", b"1" + b"0" * 40, b"", b"abc", b"+5", b"010",
    b"-0", b" 5", b"5 ", b"1_000", b"1e3", b"0x10", b"nan", b"inf", b"-", b"\x00", b"\xd9\xa3",
]  # fmt: skip
DOUBLES = [
    b"0", b"1.5", b"-0.1", b"1e10", b"3.0", b"1e300", b"-1e-300", b"0x1p3", b"inf", b"-inf", b"nan",
    b"1e5000", b"", b"1,5", b"0.1", b"1e17", b"123456789.123456789",
]  # fmt: skip
PATTERNS = [b"*", b"key:*", b"?", b"[a-c]", b"[^a]*", b"\\*", b"[", b"*\xff*", b"*" * 30 + b"x"]
ENCODINGS = [
    b"u8",
    b"i8",
    b"u1",
    b"i64",
    b"u63",
    b"i16",
    b"u16",
    b"i5",
    b"u64",
    b"i65",
    b"i0",
    b"x",
]
OFFSETS = [b"0", b"1", b"7", b"8", b"63", b"100", b"#0", b"#3", b"5000", b"80000", b"-1"]


@dataclass
class Requests:
    """A stream of requests; the same table, seed and settings give the same ones."""

    table: CommandTable
    chance: random.Random
    skip: frozenset[str] = NEVER
    only: Callable[[Command], bool] = field(default=lambda _command: True)
    broken: float = 0.1  # share of the requests that are damaged
    edge: float = 0.1  # share of the words that stand at a boundary
    big: float = 0.01  # share of the values that are longer than a buffer
    now_ms: int = 1_700_000_000_000
    patient: bool = False  # nothing may expire while they are sent
    without: frozenset[str] = frozenset()  # tokens of options that are left out
    keys: Sequence[bytes] = tuple(KEYS)
    favourites: Sequence[bytes] = ()  # keys that often hold what the command is for

    def __post_init__(self) -> None:
        """Choose the commands, subcommands for themselves."""
        every = [
            one
            for command in self.table.values()
            for one in (command.subcommands.values() if command.is_container else [command])
        ]
        fit = [
            command
            for command in every
            if self.skip.isdisjoint({command.name, command.name.partition("|")[0]})
            and self.only(command)
            and Flag.BLOCKING not in command.flags  # who waits is not answered
        ]
        self.commands = [one for one in fit for _ in range(1 if one.name in RARE else 10)]

    def one(self) -> list[bytes]:
        """Return the next request."""
        while True:
            request = self.valid(self.chance.choice(self.commands))
            if self.chance.random() < self.broken:
                request = self.damaged(request)
            if not self.patient or not self.hasty(request):
                return request

    def hasty(self, request: Sequence[bytes]) -> bool:
        """Tell whether it could give a key a deadline in the next few minutes."""
        if not _DEADLINES.intersection(word.lower() for word in request):
            return False
        spans = range(1, HASTE_MS + 1)
        moments = range(self.now_ms, self.now_ms + HASTE_MS)
        return any(
            span in spans or span in moments or span * 1000 in moments
            for span in (int(word) for word in request if word.isdigit() and len(word) < 20)
        )

    def valid(self, command: Command) -> list[bytes]:
        """Return a request that follows the command's grammar; its words may still be refused."""
        chance = self.chance
        name = [word.encode() for word in command.name.split("|")]
        if chance.random() < 0.5:
            name[0] = bytes(
                chance.choice((byte, byte ^ 32)) if chr(byte).isalpha() else byte
                for byte in name[0]
            )
        at = crc32(command.group.encode()) % len(self.keys)
        self.favourites = (self.keys[at], self.keys[at - 1])
        words = self.words(command.arguments)
        if command.key_specs and b"numkeys" in words:
            words = self.counted(words, command)
        return name + words

    def counted(self, words: list[bytes], command: Command) -> list[bytes]:
        """Put the number of keys (or of pairs) where the grammar has `numkeys`."""
        at = words.index(b"numkeys")
        step = 2 if command.name in {"msetex", "hsetex"} else 1
        count = 0
        while at + 1 + count < len(words) and words[at + 1 + count] not in _WORDS_OF_OPTIONS:
            count += 1
        number = str(count // step).encode()
        words[at] = self.chance.choice(EDGES) if self.chance.random() < self.edge else number
        return words

    def words(self, arguments: Sequence[Argument]) -> list[bytes]:
        """Return words for a sequence of arguments; adjoining options come in any order."""
        found: list[list[bytes]] = []
        options: list[list[bytes]] = []
        for argument in arguments:
            if argument.optional and _is_option(argument):
                options.append(self.argument(argument))
                continue
            found += self.shuffled(options)
            options = []
            found.append(self.argument(argument))
        return [word for words in found + self.shuffled(options) for word in words]

    def shuffled(self, options: list[list[bytes]]) -> list[list[bytes]]:
        self.chance.shuffle(options)
        return options

    def key(self) -> bytes:
        """Return a key, half of the time one that commands of this group prefer."""
        return self.chance.choice(self.favourites if self.chance.random() < 0.5 else self.keys)

    def argument(self, argument: Argument) -> list[bytes]:
        if argument.optional and self.chance.random() < 0.6:
            return []
        if argument.token in self.without:
            return []
        times = self.chance.choice((1, 1, 2, 5)) if argument.multiple else 1
        words: list[bytes] = []
        for time in range(times):
            if argument.token is not None and (time == 0 or argument.multiple_token):
                words.append(self.token(argument.token))
            words += self.once(argument)
        return words

    def once(self, argument: Argument) -> list[bytes]:
        if argument.type == "pure-token":
            return []
        if argument.type == "oneof":
            choices = [one for one in argument.arguments if one.token not in self.without]
            return self.argument(self.chance.choice(choices))
        if argument.type == "block":
            return self.words(argument.arguments)
        return [self.word(argument)]

    def token(self, token: str) -> bytes:
        if self.chance.random() < 0.2:
            return token.lower().encode()
        return token.encode()

    def word(self, argument: Argument) -> bytes:
        """Return a value for a plain argument."""
        chance = self.chance
        if argument.name in {"numkeys", "numfields"}:
            return b"numkeys"  # filled in when the keys are known
        special = _BY_NAME.get(argument.name)
        if special is not None:
            return chance.choice(EDGES if chance.random() < self.edge else special)
        kind = argument.type
        if kind == "key":
            return self.key()
        if kind in {"integer", "unix-time", "double"} and chance.random() < self.edge:
            return chance.choice(EDGES)
        if kind == "unix-time":
            return self.instant(argument.name)
        if kind == "integer":
            return chance.choice(NUMBERS)
        if kind == "double":
            return chance.choice(DOUBLES)
        if kind == "pattern":
            return chance.choice(PATTERNS)
        return chance.choice(BIG_WORDS if chance.random() < self.big else WORDS)

    def instant(self, name: str) -> bytes:
        """Return a moment that is far away, past, or now."""
        moment = self.now_ms + self.chance.choice((-1000, 1, 10_000_000, 40_000_000_000))
        return str(moment if "milli" in name else moment // 1000).encode()

    def damaged(self, request: list[bytes]) -> list[bytes]:
        """Return a request with one thing wrong."""
        chance = self.chance
        at = chance.randrange(len(request))
        match chance.randrange(6):
            case 0:
                del request[at]
            case 1:
                request.insert(at, chance.choice(WORDS))
            case 2:
                request[at] = chance.randbytes(chance.randrange(12))
            case 3:
                request.insert(at, request[at])
            case 4:
                request[at] = chance.choice(EDGES)
            case _:
                request.append(chance.choice([b"NX", b"XX", b"GET", b"EX", b"KEEPTTL", b"COUNT"]))
        return request or [b""]


HASTE_MS = 600_000
_DEADLINES = frozenset(
    b"ex px exat pxat expire pexpire expireat pexpireat setex psetex "
    b"hexpire hpexpire hexpireat hpexpireat".split()
)
_WORDS_OF_OPTIONS = frozenset(
    word
    for token in (
        "LEFT",
        "RIGHT",
        "NX",
        "XX",
        "EX",
        "PX",
        "EXAT",
        "PXAT",
        "KEEPTTL",
        "MIN",
        "MAX",
        "WEIGHTS",
        "AGGREGATE",
        "WITHSCORES",
        "LIMIT",
    )
    for word in (token.encode(), token.lower().encode())
)
_BY_NAME: dict[str, list[bytes]] = {
    "encoding": ENCODINGS,
    "offset": OFFSETS,
    "cursor": [b"0", b"0", b"281474976710656", b"12345678901234567890"],
    "count": [b"1", b"10", b"1000", b"0"],
    "min": [b"-inf", b"-", b"[a", b"(1", b"0", b"-5", b"["],
    "max": [b"+inf", b"+", b"[z", b"(9", b"100", b"-1", b"(c"],
    "member": [b"a", b"b", b"m", b"1", b"2", b"\x00\xff", b"l" * 100],
    "field": [b"a", b"b", b"f", b"1", b"2", b"\x00\xff", b"l" * 100, b"w" * 300],
    "index": NUMBERS[:4],
    "index1": NUMBERS[:4],
    "index2": NUMBERS[:4],
    "db": NUMBERS[:4],
    "destination-db": NUMBERS[:4],
    "seconds": [b"1000000", b"30000000", b"1", b"0", b"-1"],
    "milliseconds": [b"1000000", b"100000000", b"1", b"0", b"-1"],
    "type": [b"string", b"hash", b"nothing", b"STRING"],
    "bit": [b"0", b"1", b"0", b"1", b"2"],
    "error_rate": [b"0.01", b"0.1", b"0.9", b"1e-9"],
    "error": [b"0.01", b"0.1", b"0.9", b"1e-9"],
    "capacity": [b"1", b"3", b"10", b"1000"],
    "iterator": [b"0", b"1", b"9", b"2000"],
    "section": [b"all", b"everything", b"server", b"KEYSPACE", b"default", b"nothing"],
    "subcommand": [b"GETREG", b"decode", b"ENCODING", b"TODENSE", b"nothing"],  # of PFDEBUG
    "parameter": [b"*", b"maxmemory", b"save", b"*max*", b"port"],
    "command-name": [b"get", b"client|kill", b"SET", b"nothing"],
    "command": [b"get", b"SET", b"msetex", b"bitfield", b"nothing"],
}


def _is_option(argument: Argument) -> bool:
    """Tell whether its place does not matter: it says itself what it is."""
    if argument.token is not None:
        return True
    return argument.type == "oneof" and all(_is_option(one) for one in argument.arguments)


def broken_bytes(chance: random.Random, request: Sequence[bytes]) -> bytes:
    """Return bytes that are not, or not quite, a request."""
    whole = encoded(request)
    at = chance.randrange(len(whole))
    huge = chance.choice(EDGES)
    return chance.choice((
        lambda: whole[:at],
        lambda: whole[:at] + bytes([chance.randrange(256)]) + whole[at + 1 :],
        lambda: b"*%b\r\n" % huge,
        lambda: b"*2\r\n$%b\r\nabc\r\n" % huge,
        lambda: b"*1\r\n$536870912\r\npart",
        lambda: b"*1048577\r\n$1\r\na\r\n",
        lambda: b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5000000\r\n" + b"x" * chance.randrange(5000),
        lambda: b"*1\r\n:5\r\n",
        lambda: b"$4\r\nPING\r\n",
        lambda: chance.randbytes(chance.randrange(200)) + b"\r\n",
        lambda: b'SET "a\\x00b" \'c\r\n',
        lambda: b"GET a\n" + b" " * chance.randrange(100) + b"\r\n",
        lambda: b"y" * chance.choice((100, 70_000)),
        lambda: b"POST / HTTP/1.1\r\nHost: x\r\n\r\n",
        lambda: b"\r\n\r\n\x00\r\n*0\r\n*-1\r\n",
        lambda: whole.replace(b"\r\n", b"\n"),
    ))()  # fmt: skip


def split(chance: random.Random, data: bytes) -> list[bytes]:
    """Cut bytes into pieces at random places: none, few, or everywhere."""
    if not data:
        return []
    kind = chance.randrange(4)
    if kind == 0 or len(data) < 2:
        return [data]
    if kind == 1 and len(data) < 300:
        return [data[i : i + 1] for i in range(len(data))]
    cuts = sorted(chance.randrange(1, len(data)) for _ in range(chance.randrange(1, 6)))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True) if a < b]
