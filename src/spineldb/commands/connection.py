"""Connections: who a client is, which protocol it speaks, which database it uses."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from spineldb import errors
from spineldb.core import hot_connection, hot_transactions
from spineldb.core.session import Session, SessionFlag
from spineldb.engine import arguments as read
from spineldb.engine.client_names import check_name
from spineldb.engine.command import (
    ALLOW_BUSY,
    FAST,
    LOADING,
    NO_AUTH,
    NOSCRIPT,
    STALE,
    Deprecation,
    Family,
)
from spineldb.engine.identity import SERVER_NAME
from spineldb.engine.modules import MODULES
from spineldb.version import REDIS_VERSION

if TYPE_CHECKING:
    from spineldb.engine.blocking import Outside
    from spineldb.engine.context import Context
    from spineldb.engine.reply import Reply

family = Family("connection")

ALWAYS = NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY


@family.command(
    "AUTH [username] password",
    ALWAYS,
    since="1.0.0",
    added={"6.0.0": "username"},
    history=(("6.0.0", "Added the username."),),
)
def auth(ctx: Context, first: bytes, *rest: bytes) -> str | Outside:
    """Authenticate the connection. O(N) in the passwords of the user."""
    if len(rest) > 1:
        raise errors.Syntax
    if not rest and not ctx.engine.clients.has_password():
        raise errors.NoPasswordSet
    user, password = (first, *rest) if rest else (b"default", first)
    if not ctx.engine.clients.log_in(ctx.client, user, password):
        return _after_a_while(ctx)
    return "OK"


def _after_a_while(ctx: Context) -> Outside:
    """Refuse a wrong password, but not at once: this client waits, nobody else does."""
    delay = ctx.settings.security.auth_fail_delay / 1000
    return ctx.outside(asyncio.sleep(delay), lambda ctx, _: _refuse(ctx), only_time=True)


def _refuse(ctx: Context) -> Reply:
    del ctx
    raise errors.WrongPassword


@family.command(
    "HELLO [arguments: protover:integer [AUTH <auth: username password>] [SETNAME clientname]]",
    ALWAYS,
    since="6.0.0",
    history=(("6.2.0", "The protocol version may be left out."),),
)
def hello(ctx: Context, *arguments: bytes) -> Reply | Outside:
    """Agree on the protocol's version, and log in if need be. O(1)."""
    session = ctx.client
    version, credentials, name = _hello_options(session, arguments)
    if credentials is not None and not ctx.engine.clients.log_in(session, *credentials):
        return _after_a_while(ctx)
    if not ctx.engine.clients.is_logged_in(session):
        raise errors.HelloNoAuth
    if name is not None:
        session.name = name or None
    session.protocol = version
    ctx.engine.pubsub.restrict(session)
    return {
        b"server": SERVER_NAME,
        b"version": REDIS_VERSION.encode(),
        b"proto": version,
        b"id": session.id,
        b"mode": b"standalone",
        b"role": b"master",
        b"modules": [module.entry for module in MODULES],
    }


def _hello_options(
    session: Session, arguments: tuple[bytes, ...]
) -> tuple[int, tuple[bytes, bytes] | None, str | None]:
    """Read HELLO's arguments: the version, user and password, the client's name."""
    if not arguments:
        return session.protocol, None, None
    try:
        version = read.integer(arguments[0])
    except errors.NotInteger:
        raise errors.ProtocolNotInteger from None
    if version not in {2, 3}:
        raise errors.UnknownProtocol
    credentials: tuple[bytes, bytes] | None = None
    name: str | None = None
    rest = list(arguments[1:])
    while rest:
        match rest[0].lower(), rest[1:]:
            case b"auth", [user, password, *_]:
                credentials = (user, password)
                del rest[:3]
            case b"setname", [word, *_]:
                name = check_name(word)
                del rest[:2]
            case _:
                raise errors.HelloOption(rest[0])
    return version, credentials, name


@family.compiled(
    "PING [message]",
    FAST,
    hot_connection.PING_BODY,
    since="1.0.0",
    tips=("request_policy:all_shards", "response_policy:all_succeeded"),
)
def ping(message: bytes | None = None) -> str | bytes:
    """Answer PONG, or the message. O(1)."""


@family.compiled("ECHO message", LOADING | STALE | FAST, hot_connection.ECHO_BODY, since="1.0.0")
def echo(message: bytes) -> bytes:
    """Return the message. O(1)."""


@family.compiled(
    "SELECT index:integer", LOADING | STALE | FAST, hot_connection.SELECT_BODY, since="1.0.0"
)
def select(index: int) -> str:
    """Change the connection's database. O(1)."""


@family.command(
    "QUIT",
    ALWAYS,
    since="1.0.0",
    arity=-1,
    deprecated=Deprecation("7.2.0", "just closing the connection"),
)
def quit_(ctx: Context, *_: bytes) -> str:
    """Close the connection when the reply has been sent. O(1)."""
    ctx.client.mark(SessionFlag.CLOSING)
    return "OK"


@family.command("RESET", ALWAYS, since="6.2.0")
def reset(ctx: Context) -> str:
    """Make the connection as it was when it was opened. O(1)."""
    session = ctx.client
    ctx.engine.observer.forget(session)
    session.mark(
        SessionFlag.MONITOR
        | SessionFlag.REPLY_OFF
        | SessionFlag.REPLY_SKIP
        | SessionFlag.REPLY_SKIP_NEXT
        | SessionFlag.NO_EVICT
        | SessionFlag.NO_TOUCH,
        on=False,
    )
    hot_transactions.discard(session)
    ctx.engine.pubsub.forget(session)
    session.db = 0
    session.protocol = 2
    session.name = None
    ctx.engine.clients.log_out(session)
    return "RESET"
