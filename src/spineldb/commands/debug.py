"""DEBUG: what tests and people who look for faults need, and nobody else should have.

It is refused unless `enable-debug-command` allows it. Its subcommands are no commands of their own
in Redis (COMMAND INFO shows none), so they have a table of their own here: a usage line that HELP
prints and from which the number of arguments follows, and a function.
"""

from __future__ import annotations

import os
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from spineldb import errors
from spineldb.config.rewriting import rewrite
from spineldb.config.units import redis_size
from spineldb.core import strings
from spineldb.core.entry import Kind
from spineldb.core.numbers import text_to_double
from spineldb.core.session import memory_of
from spineldb.engine import arguments, digest
from spineldb.engine.client_names import is_local
from spineldb.engine.command import ADMIN, LOADING, NOSCRIPT, STALE, Family
from spineldb.engine.reply import Members, Raw, Verbatim
from spineldb.observability.logging import get_log

if TYPE_CHECKING:
    from spineldb.engine.context import Context
    from spineldb.engine.reply import Reply

log = get_log(__name__)

family = Family("server")

T = TypeVar("T")
Body = Callable[..., "Reply"]

SLOTS = 12  # of a bucket of the table
SMALLEST_POOL = 15  # the first pool of CLIENT-EVICTION ends at this power of two, in bytes,
LARGEST_POOL = 32  # and the last one begins at this


@dataclass(frozen=True, slots=True)
class Subcommand:
    """One subcommand: what HELP says of it, how many arguments it takes, what it does."""

    usage: str
    least: int
    most: int
    body: Body


_SUBCOMMANDS: dict[bytes, Subcommand] = {}


def subcommand(usage: str) -> Callable[[Body], Body]:
    """Declare a subcommand: words in angle brackets are required, in square ones optional."""
    name, *words = usage.split(" ")
    required = sum(not word.startswith("[") for word in words)
    endless = bool(words) and words[-1].endswith("...]")

    def declare(body: Body) -> Body:
        most = arguments.INT64_MAX if endless else len(words)
        _SUBCOMMANDS[name.encode()] = Subcommand(usage, required, most, body)
        return body

    return declare


@family.command("DEBUG", ADMIN | NOSCRIPT | LOADING | STALE, since="1.0.0", arity=-2, syscmd=True)
def debug(ctx: Context, name: bytes, *words: bytes) -> Reply:
    """Do to the server what only a test should want.

    Its subcommands are listed by DEBUG HELP. O(N) where they look at the whole dataset.
    """
    allowed = ctx.settings.debug.enable_debug_command
    if allowed == "no" or (allowed == "local" and not is_local(ctx.client)):
        raise errors.DebugNotAllowed
    found = _SUBCOMMANDS.get(name.upper())
    if found is None or not found.least <= len(words) <= found.most:
        raise errors.UnknownSubcommandOrArity(name, "debug")
    return found.body(ctx, *words)


@subcommand("HELP")
def help_(ctx: Context) -> Reply:
    """Print this help."""
    del ctx
    return [
        "DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        *(line for name in sorted(_SUBCOMMANDS) if name != b"HELP" for line in _help_lines(name)),
        *_help_lines(b"HELP"),
    ]


def _help_lines(name: bytes) -> Iterator[str]:
    found = _SUBCOMMANDS[name]
    yield found.usage
    for line in (found.body.__doc__ or "").strip().splitlines():
        if line.strip():
            yield f"    {line.strip()}"


# Time.


@subcommand("SLEEP <seconds>")
def sleep(ctx: Context, seconds: bytes) -> str:
    """Stop the server for a time. Decimals are allowed."""
    del ctx
    time.sleep(max(text_to_double(seconds) or 0.0, 0.0))
    return "OK"


@subcommand("SET-ACTIVE-EXPIRE <0|1>")
def set_active_expire(ctx: Context, on: bytes) -> str:
    """Delete keys whose time has passed in the background, or only when they are asked for."""
    ctx.effects.active_expiry = _is_on(on)
    return "OK"


@subcommand("PAUSE-CRON <0|1>")
def pause_cron(ctx: Context, on: bytes) -> str:
    """Stop the periodic jobs, or let them go on."""
    ctx.engine.lifecycle.cron_paused = _is_on(on)
    return "OK"


def _is_on(word: bytes) -> bool:
    """Read a switch as C's atoi() would: anything that is no number is 0."""
    digits = word.strip().lstrip(b"+-")
    return digits[:1].isdigit() and bool(
        digits[:1].strip(b"0") or digits.lstrip(b"0")[:1].isdigit()
    )


# What is stored.


@subcommand("OBJECT <key>")
def object_(ctx: Context, key: bytes) -> str:
    """Show low level facts of a key's value."""
    address = ctx.db.address(key)
    if address is None:
        raise errors.NoSuchKey
    encoding = (ctx.db.encoding(key) or b"").decode()
    idle = ctx.db.idle_seconds(key) or 0
    last_used = ctx.keyspace.now_ms // 1000 - idle
    return (
        f"Value at:{address:#x} refcount:1 encoding:{encoding} "
        f"serializedlength:{_serialized_bytes(strings.get(ctx.db, key) or b'')} "
        f"lru:{last_used & 0xFFFFFF} lru_seconds_idle:{idle}"
    )


def _serialized_bytes(value: bytes) -> int:
    """Return the length of a string in a snapshot, before any compression."""
    number = int(value) if value.lstrip(b"-").isdigit() and len(value) <= 11 else None
    if number is not None and b"%d" % number == value:
        for width in (1, 2, 4):
            if -(1 << 8 * width - 1) <= number < 1 << 8 * width - 1:
                return 1 + width
    prefix = 1 if len(value) < 1 << 6 else 2 if len(value) < 1 << 14 else 5
    return prefix + len(value)


@subcommand("SDSLEN <key>")
def sdslen(ctx: Context, key: bytes) -> str:
    """Show the lengths of a key and of its string."""
    encoding = ctx.db.encoding(key)
    if encoding is None:
        raise errors.NoSuchKey
    if ctx.db.kind(key) != Kind.STRING or encoding == b"int":
        raise errors.NotSds
    value = strings.get(ctx.db, key) or b""
    return (
        f"key_sds_len:{len(key)}, key_sds_avail:0, key_zmalloc: {len(key)}, "
        f"val_sds_len:{len(value)}, val_sds_avail:0, val_zmalloc: {ctx.db.usage(key)}"
    )


@subcommand("LISTPACK <key>")
def listpack(ctx: Context, key: bytes) -> str:
    """Show low level facts of a packed value."""
    _require(ctx, key)
    raise errors.NotListpack


@subcommand("QUICKLIST <key> [<0|1>]")
def quicklist(ctx: Context, key: bytes, detail: bytes = b"0") -> str:
    """Show low level facts of a list."""
    del detail
    _require(ctx, key)
    raise errors.NotQuicklist


def _require(ctx: Context, key: bytes) -> None:
    if key not in ctx.db:
        raise errors.NoSuchKey


@subcommand("HTSTATS <dbid> [full]")
def htstats(ctx: Context, number: bytes, full: bytes = b"") -> Verbatim:
    """Show figures of the table of a database."""
    index = arguments.integer(number)
    if not 0 <= index < len(ctx.databases):
        raise errors.DebugDatabaseRange
    database = ctx.databases[index]
    shape = database.shape
    lines = [
        "[Dictionary HT]",
        f"Hash table 0 stats (main hash table):\n table size: {shape['buckets'] * SLOTS}",
        f" number of elements: {len(database)}",
    ]
    if full:
        lines += [f" {name}: {value}" for name, value in shape.items()]
    lines += ["[Expires HT]", f" number of elements: {database.deadlines}", ""]
    return Verbatim("\n".join(lines))


@subcommand("HTSTATS-KEY <key> [full]")
def htstats_key(ctx: Context, key: bytes, full: bytes = b"") -> Verbatim:
    """Show figures of the table that is a key's value."""
    del full
    _require(ctx, key)
    raise errors.NotTable


@subcommand("STRUCTSIZE")
def structsize(ctx: Context) -> bytes:
    """Show the sizes of the structures that values are made of."""
    del ctx
    return b"bits:64 entry:5 wide_entry:13 deadline:6 bucket:64 reference:4 "


@subcommand("POPULATE <count> [<prefix>] [<size>]")
def populate(ctx: Context, count: bytes, prefix: bytes = b"key", size: bytes = b"0") -> str:
    """Create string keys named key:0, key:1 and so on, where they are missing.

    They are not propagated.
    """
    length = _positive(size)
    for number in range(_positive(count)):
        key = b"%b:%d" % (prefix, number)
        if key in ctx.db:
            continue
        value = b"value:%d" % number
        strings.put(ctx.db, key, value[:length].ljust(length, b"\0") if length else value)
        ctx.effects.touched(ctx.db, key)
    return "OK"


def _positive(word: bytes) -> int:
    try:
        return arguments.positive(word)
    except errors.NotInteger:
        raise errors.NotPositive from None


@subcommand("DIGEST")
def digest_(ctx: Context) -> str:
    """Return a hash of everything that is stored, the same for equal contents."""
    with_all = ctx.databases
    return _undisturbed(ctx, lambda: digest.of_dataset(with_all)).hex()


@subcommand("DIGEST-VALUE [<key> ...]")
def digest_value(ctx: Context, *keys: bytes) -> Reply:
    """Return a hash of each key's value."""
    database = ctx.db

    def digests() -> list[bytes]:
        return [digest.of_value(database, key) or digest.EMPTY for key in keys]

    return [one.hex() for one in _undisturbed(ctx, digests)]


def _undisturbed(ctx: Context, look: Callable[[], T]) -> T:
    """Look at the dataset without leaving a trace: no key is deleted, none counts as used."""
    effects, keyspace = ctx.effects, ctx.keyspace
    before = effects.may_bury, keyspace.no_touch
    effects.may_bury, keyspace.no_touch = False, True
    try:
        return look()
    finally:
        effects.may_bury, keyspace.no_touch = before


# Replies, errors and the log.


@subcommand("PROTOCOL <type>")
def protocol(ctx: Context, kind: bytes) -> Reply:
    """Reply with a value of a type.

    That is string, integer, double, bignum, null, array, set, map, attrib, push, verbatim, true
    or false.
    """
    is_resp3 = ctx.client.protocol == 3
    match kind.lower():
        case b"push" if not is_resp3:
            raise errors.OnlyResp3
        case b"push" | b"attrib" | b"bignum" as word:
            return Raw(_RAW_REPLIES[word][is_resp3])
        case word if word in _REPLIES:
            return _REPLIES[word]
        case _:
            raise errors.ProtocolType


_REPLIES: dict[bytes, Reply] = {
    b"string": b"Hello World",
    b"integer": 12345,
    b"double": 3.141,
    b"null": None,
    b"array": [0, 1, 2],
    b"set": Members([0, 1, 2]),
    b"map": {0: False, 1: True, 2: False},
    b"verbatim": Verbatim("This is a verbatim\nstring"),
    b"true": True,
    b"false": False,
}
_ATTRIBUTED = b"$39\r\nSome real reply following the attribute\r\n"
_PUSHED = b"$40\r\nSome real reply following the push reply\r\n"
# What no Python value stands for, in RESP2 and RESP3.
_RAW_REPLIES = {
    b"attrib": (
        _ATTRIBUTED,
        b"|1\r\n$14\r\nkey-popularity\r\n*2\r\n$7\r\nkey:123\r\n:90\r\n" + _ATTRIBUTED,
    ),
    b"push": (_PUSHED, _PUSHED + b">2\r\n$16\r\nserver-cpu-usage\r\n:42\r\n"),
    b"bignum": (
        b"$37\r\n1234567999999999999999999999999999999\r\n",
        b"(1234567999999999999999999999999999999\r\n",
    ),
}


@subcommand("ERROR <string>")
def error_(ctx: Context, text: bytes) -> Reply:
    """Reply with an error of this text, which brings its own code."""
    del ctx
    raise errors.Custom(text)


@subcommand("LOG <message>")
def log_(ctx: Context, message: bytes) -> str:
    """Write a message to the server's log."""
    del ctx
    log.warning("DEBUG LOG", message=message.decode("utf-8", "backslashreplace"))
    return "OK"


# Identity and configuration.


@subcommand("CHANGE-REPL-ID")
def change_repl_id(ctx: Context) -> str:
    """Give the dataset's history a new name, so that no replica can continue the old one."""
    ctx.engine.lifecycle.replid = secrets.token_hex(20)
    return "OK"


@subcommand("CONFIG-REWRITE-FORCE-ALL")
def config_rewrite_force_all(ctx: Context) -> str:
    """Write every parameter into the configuration file, not only those that were changed."""
    rewrite(ctx.settings, everything=True)
    return "OK"


# Failure on purpose.


@subcommand("FAIL-PROPAGATION <count> [AOF|REPL|ENCODE]")
def fail_propagation(ctx: Context, count: bytes, where: bytes = b"encode") -> str:
    """Make the propagation of the next commands that change something fail."""
    if where.lower() not in {b"aof", b"repl", b"encode"}:
        raise errors.Syntax
    ctx.effects.fail_next = arguments.ranged(count, 0, (1 << 31) - 1)
    return "OK"


@subcommand("EMERGENCY <reason>")
def emergency(ctx: Context, reason: bytes) -> str:
    """Enter emergency read-only mode, which lasts until the server is started again."""
    command = ctx.engine.dispatcher.lookup(b"debug")
    text = reason.decode("utf-8", "backslashreplace")
    ctx.engine.emergency.enter(ctx.client, command, ctx.argv, text)
    return "OK"


@subcommand("SEGFAULT")
def segfault(ctx: Context) -> Reply:
    """Crash by a segmentation fault."""
    del ctx
    os.kill(os.getpid(), signal.SIGSEGV)
    return None


@subcommand("PANIC")
def panic(ctx: Context) -> Reply:
    """Crash as at a broken invariant."""
    del ctx
    log.critical("DEBUG PANIC called")
    os.abort()


@subcommand("OOM")
def oom(ctx: Context) -> Reply:
    """Crash as when there is no memory left."""
    del ctx
    log.critical("out of memory (DEBUG OOM)")
    os.abort()


# Accepted, because test suites call them; what they would steer does not exist here.


def _accepted(ctx: Context, *words: bytes) -> str:
    """Accepted, without effect."""
    del ctx, words
    return "OK"


for _usage in (
    "AOF-FLUSH-SLEEP <microsec>",
    "DELAY-RDB-CLIENT-FREE-SECOND <seconds>",
    "DICT-RESIZING <0|1>",
    "KEYSIZES-HIST-ASSERT <0|1>",
    "MARK-INTERNAL-CLIENT [UNMARK]",
    "PAUSE-AFTER-FORK <0|1>",
    "SET-DISABLE-DENY-SCRIPTS <0|1>",
    "SET-SKIP-CHECKSUM-VALIDATION <0|1>",
):
    subcommand(_usage)(_accepted)


@subcommand("QUICKLIST-PACKED-THRESHOLD <size>")
def quicklist_packed_threshold(ctx: Context, size: bytes) -> str:
    """Accepted, without effect."""
    del ctx
    limit = redis_size(size.decode("latin-1"))
    if limit is None or limit >= 1 << 32:
        raise errors.NotThreshold
    return "OK"


@subcommand("REPLYBUFFER <PEAK-RESET-TIME|RESIZING> <value>")
def replybuffer(ctx: Context, what: bytes, value: bytes) -> str:
    """Accepted, without effect."""
    match what.upper(), value.upper():
        case (b"PEAK-RESET-TIME", b"NEVER" | b"RESET") | (b"RESIZING", _):
            return "OK"
        case b"PEAK-RESET-TIME", milliseconds:
            arguments.integer(milliseconds)
            return "OK"
        case _:
            raise errors.UnknownSubcommandOrArity(ctx.argv[1], "debug")


@subcommand("CLIENT-EVICTION")
def client_eviction(ctx: Context) -> bytes:
    """Show low level client eviction pools info (maxmemory-clients)."""
    if not ctx.settings.client_memory_limit():
        raise errors.ClientEvictionOff
    pools: dict[int, list[int]] = {power: [] for power in range(SMALLEST_POOL, LARGEST_POOL + 2)}
    for session in ctx.engine.clients:
        size = memory_of(session)
        pools[min(max(size.bit_length(), SMALLEST_POOL), LARGEST_POOL + 1)].append(size)
    return b"".join(_pool(power, sizes) for power, sizes in pools.items())


def _pool(power: int, sizes: list[int]) -> bytes:
    low = 0 if power == SMALLEST_POOL else 1 << power - 1
    bounds = f"{low}+            " if power > LARGEST_POOL else f"{low:10} - {(1 << power) - 1:10}"
    return f"bucket {bounds}: tot-mem: {sum(sizes):10}, clients: {len(sizes)}\n".encode()
