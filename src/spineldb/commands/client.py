"""CLIENT: the connections, seen and steered by the clients themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spineldb import errors
from spineldb.core import hot_connection
from spineldb.core.call import NO_REPLY, Deferred
from spineldb.core.session import SessionFlag
from spineldb.engine import arguments
from spineldb.engine.client_filter import Question, read_filter
from spineldb.engine.client_names import check_name, is_printable
from spineldb.engine.clients import Pause
from spineldb.engine.command import ADMIN, ALLOW_BUSY, LOADING, NOSCRIPT, STALE, Family
from spineldb.engine.reply import Verbatim

if TYPE_CHECKING:
    from spineldb.engine.context import Context

family = Family("connection")
client = family.container("CLIENT", since="2.4.0", help_since="5.0.0")


@client.command("CLIENT GETNAME", NOSCRIPT | LOADING | STALE, since="2.6.9")
def getname(ctx: Context) -> bytes | None:
    """Return the connection's name. O(1)."""
    name = ctx.client.name
    return None if name is None else name.encode()


@client.compiled(
    "CLIENT ID", NOSCRIPT | LOADING | STALE, hot_connection.CLIENT_ID_BODY, since="5.0.0"
)
def id_() -> int:
    """Return the connection's number, which is never used again. O(1)."""


@client.command(
    "CLIENT INFO",
    NOSCRIPT | LOADING | STALE,
    since="6.2.0",
    tips=("nondeterministic_output",),
)
def info(ctx: Context) -> Verbatim:
    """Describe the connection. O(1)."""
    return Verbatim(ctx.engine.clients.describe(ctx.client) + "\n")


@client.command(
    "CLIENT KILL <filter: old-format{ip:port} | <new-format: [ID client-id:integer "
    "[client-id ...]] | [TYPE <client-type: NORMAL | MASTER | PRIMARY | SLAVE | REPLICA "
    "| PUBSUB>] | [USER username] | [ADDR addr{ip:port}] | [LADDR laddr{ip:port}] | "
    "[SKIPME <skipme: YES | NO>] | [MAXAGE maxage:integer] | [NAME name] | [IDLE "
    "idle:integer] | [FLAGS flags] | [LIB-NAME lib-name] | [LIB-VER lib-ver] | [DB "
    "db:integer] | [CAPA capa] | [IP ip] | [NOT-TYPE <not-client-type: NORMAL | MASTER | "
    "PRIMARY | SLAVE | REPLICA | PUBSUB>] | [NOT-ID not-client-id:integer [not-client-id "
    "...]] | [NOT-USER not-username] | [NOT-ADDR not-addr{ip:port}] | [NOT-LADDR "
    "not-laddr{ip:port}] | [NOT-NAME not-name] | [NOT-FLAGS not-flags] | [NOT-LIB-NAME "
    "not-lib-name] | [NOT-LIB-VER not-lib-ver] | [NOT-DB not-db:integer] | [NOT-CAPA "
    "not-capa] | [NOT-IP not-ip]> [new-format ...]>",
    ADMIN | NOSCRIPT | LOADING | STALE,
    since="2.4.0",
    arity=-3,
    added={
        "2.8.12": "client-id client-type",
        "3.2.0": "client-type.master",
        "8.0.0": "client-type.primary maxage",
        "5.0.0": "client-type.replica",
        "6.2.0": "laddr",
        "9.0.0": "name idle flags lib-name lib-ver db capa ip not-client-type not-client-id "
        "not-username not-addr not-laddr not-name not-flags not-lib-name not-lib-ver not-db "
        "not-capa not-ip",
    },
    retired={"2.8.12": "old-format"},
    history=(
        ("2.8.12", "Added the filters."),
        ("2.8.12", "Added the `ID` option."),
        ("3.2.0", "Added the `MASTER` option."),
        ("5.0.0", "Added the `REPLICA` option."),
        ("6.2.0", "Added the `LADDR` option."),
        ("7.4.0", "Added the `MAXAGE` option."),
    ),
)
def kill(ctx: Context, *words: bytes) -> str | int:
    """Close the connections that are meant. O(N) in the clients."""
    clients = ctx.engine.clients
    if len(words) == 1:
        address = words[0].decode("utf-8", "surrogateescape")
        victims = [session for session in clients if session.address == address]
        if not victims:
            raise errors.NoSuchClient
        clients.kill(victims[0], by=ctx.client)
        return "OK"
    meant = read_filter(words, _question(ctx, listing=False), skip_me=True)
    victims = [session for session in clients if meant.fits(session, ctx.client)]
    for session in victims:
        clients.kill(session, by=ctx.client)
    return len(victims)


def _question(ctx: Context, *, listing: bool) -> Question:
    return Question(listing, len(ctx.databases), ctx.engine.clients.is_known)


@client.command(
    "CLIENT LIST [TYPE <client-type: NORMAL | MASTER | REPLICA | PUBSUB>] [ID "
    "client-id:integer [client-id ...]] [USER username] [ADDR addr{ip:port}] [LADDR "
    "laddr{ip:port}] [SKIPME <skipme: YES | NO>] [MAXAGE maxage:integer] [NAME name] "
    "[IDLE idle:integer] [FLAGS flags] [LIB-NAME lib-name] [LIB-VER lib-ver] [DB "
    "db:integer] [CAPA capa] [IP ip] [NOT-TYPE <not-client-type: NORMAL | MASTER | "
    "REPLICA | PUBSUB>] [NOT-ID not-client-id:integer [not-client-id ...]] [NOT-USER "
    "not-username] [NOT-ADDR not-addr{ip:port}] [NOT-LADDR not-laddr{ip:port}] [NOT-NAME "
    "not-name] [NOT-FLAGS not-flags] [NOT-LIB-NAME not-lib-name] [NOT-LIB-VER "
    "not-lib-ver] [NOT-DB not-db:integer] [NOT-CAPA not-capa] [NOT-IP not-ip]",
    ADMIN | NOSCRIPT | LOADING | STALE,
    since="2.4.0",
    added={
        "5.0.0": "client-type",
        "6.2.0": "client-id",
        "8.1.0": "username addr laddr skipme maxage",
        "9.0.0": "name idle flags lib-name lib-ver db capa ip not-client-type not-client-id "
        "not-username not-addr not-laddr not-name not-flags not-lib-name not-lib-ver not-db "
        "not-capa not-ip",
    },
    tips=("nondeterministic_output",),
    history=(
        ("2.8.12", "Added the unique `id` of a client."),
        ("5.0.0", "Added the `TYPE` option."),
        ("6.0.0", "Added the `user` field."),
        ("6.2.0", "Added the `ID` option."),
        ("7.0.0", "Added the `resp` and `multi-mem` fields and the others of memory use."),
        ("7.0.3", "Added the `ssub` field."),
        ("7.2.0", "Added the `lib-name` and `lib-ver` fields."),
        ("7.4.0", "Added the `watch` field."),
        ("8.0.0", "Added the `io-thread`, `tot-net-in`, `tot-net-out` and `tot-cmds` fields."),
    ),
)
def list_(ctx: Context, *words: bytes) -> Verbatim:
    """Describe the clients that are meant, a line each. O(N) in the clients."""
    meant = read_filter(words, _question(ctx, listing=True), skip_me=False)
    clients = ctx.engine.clients
    shown = [clients.describe(one) for one in clients if meant.fits(one, ctx.client)]
    return Verbatim("".join(f"{line}\n" for line in shown))


@client.command(
    "CLIENT NO-EVICT <enabled: ON | OFF>",
    ADMIN | NOSCRIPT | LOADING | STALE,
    since="7.0.0",
)
def no_evict(ctx: Context, enabled: bytes) -> str:
    """Protect the connection from eviction when clients take too much memory. O(1)."""
    ctx.client.mark(SessionFlag.NO_EVICT, _on_or_off(enabled))
    return "OK"


def _on_or_off(word: bytes) -> bool:
    match word.lower():
        case b"on":
            return True
        case b"off":
            return False
        case _:
            raise errors.Syntax


@client.command("CLIENT NO-TOUCH <enabled: ON | OFF>", NOSCRIPT | LOADING | STALE, since="7.2.0")
def no_touch(ctx: Context, enabled: bytes) -> str:
    """Have the connection's commands leave the access clocks of keys alone. O(1)."""
    ctx.client.mark(SessionFlag.NO_TOUCH, _on_or_off(enabled))
    return "OK"


@client.command(
    "CLIENT PAUSE timeout:integer [mode: WRITE | ALL]",
    ADMIN | NOSCRIPT | LOADING | STALE,
    since="3.0.0",
    added={"6.2.0": "mode"},
    history=(("6.2.0", "Added the `WRITE` and `ALL` options."),),
)
def pause(ctx: Context, timeout: bytes, *mode: bytes) -> str:
    """Hold back the commands of all clients, or their writes, for a while. O(1)."""
    if len(mode) > 1:
        raise errors.UnknownSubcommandOrArity(ctx.argv[1], "client")
    match mode[0].lower() if mode else b"all":
        case b"all":
            what = Pause.ALL
        case b"write":
            what = Pause.WRITES
        case _:
            raise errors.PauseMode
    milliseconds = arguments.timeout_ms(timeout)
    if milliseconds > arguments.INT64_MAX - ctx.keyspace.now_ms:
        raise errors.TimeoutOutOfRange
    ctx.engine.clients.pause(milliseconds, what)
    return "OK"


@client.command("CLIENT REPLY <action: ON | OFF | SKIP>", NOSCRIPT | LOADING | STALE, since="3.2.0")
def reply(ctx: Context, action: bytes) -> str | Deferred:
    """Say whether the connection's commands are answered. O(1)."""
    session = ctx.client
    match action.lower():
        case b"on":
            session.mark(SessionFlag.REPLY_OFF | SessionFlag.REPLY_SKIP, on=False)
            return "OK"
        case b"off":
            session.mark(SessionFlag.REPLY_OFF)
        case b"skip":
            if not session.has(SessionFlag.REPLY_OFF):
                session.mark(SessionFlag.REPLY_SKIP_NEXT)
        case _:
            raise errors.Syntax
    return NO_REPLY


@client.command(
    "CLIENT SETINFO <attr: LIB-NAME libname | LIB-VER libver>",
    NOSCRIPT | LOADING | STALE,
    since="7.2.0",
    tips=(
        "request_policy:all_nodes",
        "response_policy:all_succeeded",
    ),
)
def setinfo(ctx: Context, attr: bytes, value: bytes) -> str:
    """Tell the server the name or the version of the client's library. O(1)."""
    match attr.lower():
        case b"lib-name" | b"lib-ver" as name if not is_printable(value):
            raise errors.ClientInfoValue(name)
        case b"lib-name":
            ctx.client.library_name = value.decode("ascii") or None
        case b"lib-ver":
            ctx.client.library_version = value.decode("ascii") or None
        case _:
            raise errors.ClientInfoOption(attr)
    return "OK"


@client.command(
    "CLIENT SETNAME connection-name",
    NOSCRIPT | LOADING | STALE,
    since="2.6.9",
    tips=(
        "request_policy:all_nodes",
        "response_policy:all_succeeded",
    ),
)
def setname(ctx: Context, name: bytes) -> str:
    """Give the connection a name; an empty one takes it away. O(1)."""
    ctx.client.name = check_name(name) or None
    return "OK"


@client.command(
    "CLIENT UNBLOCK client-id:integer [unblock-type: TIMEOUT | ERROR]",
    ADMIN | NOSCRIPT | LOADING | STALE,
    since="5.0.0",
)
def unblock(ctx: Context, client_id: bytes, *reason: bytes) -> int:
    """End another client's wait, as if its time had passed or by an error. O(1)."""
    if len(reason) > 1:
        raise errors.UnknownSubcommandOrArity(ctx.argv[1], "client")
    match reason[0].lower() if reason else b"timeout":
        case b"timeout":
            error = None
        case b"error":
            error = errors.Unblocked()
        case _:
            raise errors.UnblockReason
    session = ctx.engine.clients.get(arguments.integer(client_id))
    return int(session is not None and ctx.engine.blocking.unblock(session, error))


@client.command("CLIENT UNPAUSE", ADMIN | NOSCRIPT | LOADING | STALE, since="6.2.0")
def unpause(ctx: Context) -> str:
    """End the pause. O(N) in the clients that wait."""
    ctx.engine.clients.resume()
    return "OK"


@client.command(
    "CLIENT CAPA capability [capability ...]",
    NOSCRIPT | LOADING | STALE | ALLOW_BUSY,
    since="8.0.0",
)
def capa(ctx: Context, *capabilities: bytes) -> str:
    """Tell the server what the client can do; unknown words are ignored. O(N) in the words."""
    del ctx, capabilities
    return "OK"


@client.command(
    "CLIENT IMPORT-SOURCE <enabled: ON | OFF>",
    NOSCRIPT | LOADING | STALE,
    since="8.1.0",
)
def import_source(ctx: Context, enabled: bytes) -> str:
    """Mark the client as the source of an import, which the server must expect. O(1)."""
    del ctx
    if enabled.lower() != b"off":
        raise errors.NotImporting
    return "OK"
