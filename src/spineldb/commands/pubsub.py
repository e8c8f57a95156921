"""Publishing and subscribing: messages to whoever listens, kept for nobody.

A confirmation is a push, one for each name; it comes even to a client that wants no replies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spineldb import errors
from spineldb.core import hot_pubsub
from spineldb.core.call import NO_REPLY, Deferred
from spineldb.core.channels import ChannelKind
from spineldb.core.glob import matches
from spineldb.core.session import SessionFlag
from spineldb.engine.command import (
    FAST,
    LOADING,
    MAY_REPLICATE,
    NOSCRIPT,
    NOT_KEY,
    PUBSUB,
    STALE,
    Family,
)
from spineldb.engine.keyspecs import Keys
from spineldb.engine.pubsub import count, names
from spineldb.engine.reply import Push, Reply

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from spineldb.core.session import Session
    from spineldb.engine.context import Context

family = Family("pubsub")

LISTENING = PUBSUB | NOSCRIPT | LOADING | STALE
PUBLISHING = PUBSUB | LOADING | STALE | FAST | MAY_REPLICATE


def _subscribe(ctx: Context, kind: ChannelKind, word: bytes, asked: Iterable[bytes]) -> Deferred:
    for name in asked:
        total = ctx.engine.pubsub.subscribe(ctx.client, kind, name)
        _confirm(ctx, [word, name, total])
    return NO_REPLY


def _unsubscribe(ctx: Context, kind: ChannelKind, word: bytes, asked: Sequence[bytes]) -> Deferred:
    """Unsubscribe from these names, or from all; there is at least one confirmation."""
    leaving = asked or names(ctx.client, kind)
    for name in leaving:
        left = ctx.engine.pubsub.unsubscribe(ctx.client, kind, name)
        _confirm(ctx, [word, name, left])
    if not leaving:
        _confirm(ctx, [word, None, count(ctx.client, kind)])
    return NO_REPLY


def _confirm(ctx: Context, confirmation: list[Reply]) -> None:
    if ctx.client.has(SessionFlag.REPLY_OFF | SessionFlag.REPLY_SKIP):
        ctx.engine.pubsub.channels.push(ctx.client, Push(confirmation))
    else:
        ctx.client.send(Push(confirmation))


@family.command("SUBSCRIBE channel [channel ...]", LISTENING, since="2.0.0")
def subscribe(ctx: Context, *channels: bytes) -> Deferred:
    """Listen to what is published to channels. O(1) for each channel."""
    return _subscribe(ctx, ChannelKind.CHANNEL, b"subscribe", channels)


@family.command("UNSUBSCRIBE [channel [channel ...]]", LISTENING, since="2.0.0")
def unsubscribe(ctx: Context, *channels: bytes) -> Deferred:
    """Stop listening to channels, or to all of them. O(1) for each channel."""
    return _unsubscribe(ctx, ChannelKind.CHANNEL, b"unsubscribe", channels)


@family.command("PSUBSCRIBE pattern [pattern ...]", LISTENING, since="2.0.0")
def psubscribe(ctx: Context, *patterns: bytes) -> Deferred:
    """Listen to every channel whose name matches. O(1) for each pattern."""
    return _subscribe(ctx, ChannelKind.PATTERN, b"psubscribe", patterns)


@family.command("PUNSUBSCRIBE [pattern [pattern ...]]", LISTENING, since="2.0.0")
def punsubscribe(ctx: Context, *patterns: bytes) -> Deferred:
    """Stop listening to patterns, or to all of them. O(1) for each pattern."""
    return _unsubscribe(ctx, ChannelKind.PATTERN, b"punsubscribe", patterns)


@family.command(
    "SSUBSCRIBE shardchannel [shardchannel ...]",
    LISTENING,
    since="7.0.0",
    keys=Keys(1, -1),
    key=NOT_KEY,
)
def ssubscribe(ctx: Context, *channels: bytes) -> Deferred:
    """Listen to shard channels. O(1) for each channel."""
    return _subscribe(ctx, ChannelKind.SHARD, b"ssubscribe", channels)


@family.command(
    "SUNSUBSCRIBE [shardchannel [shardchannel ...]]",
    LISTENING,
    since="7.0.0",
    keys=Keys(1, -1),
    key=NOT_KEY,
)
def sunsubscribe(ctx: Context, *channels: bytes) -> Deferred:
    """Stop listening to shard channels, or to all of them. O(1) for each channel."""
    return _unsubscribe(ctx, ChannelKind.SHARD, b"sunsubscribe", channels)


@family.compiled("PUBLISH channel message", PUBLISHING, hot_pubsub.PUBLISH_BODY, since="2.0.0")
def publish(channel: bytes, message: bytes) -> int:
    """Send a message to all who listen to a channel, and return how many.

    O(N+M) in the clients that listen to the channel and the patterns that anybody listens to.
    """


@family.compiled(
    "SPUBLISH shardchannel message",
    PUBLISHING,
    hot_pubsub.SPUBLISH_BODY,
    since="7.0.0",
    keys=Keys(1, 1),
    key=NOT_KEY,
)
def spublish(channel: bytes, message: bytes) -> int:
    """Send a message to all who listen to a shard channel, and return how many. O(N) in them."""


pubsub = family.container("PUBSUB", since="2.8.0", help_since="6.2.0")

SHOWN = PUBSUB | LOADING | STALE


@pubsub.command("PUBSUB CHANNELS [pattern]", SHOWN, since="2.8.0")
def pubsub_channels(ctx: Context, *pattern: bytes) -> list[bytes]:
    """List the channels that somebody listens to, patterns apart. O(N) in the channels."""
    return _matching(ctx.engine.pubsub.channels.channels, "CHANNELS", pattern)


@pubsub.command("PUBSUB NUMSUB [channel [channel ...]]", SHOWN, since="2.8.0")
def pubsub_numsub(ctx: Context, *channels: bytes) -> list[Reply]:
    """Count the clients that listen to channels, patterns apart. O(N) in the channels asked for."""
    return _counted(ctx.engine.pubsub.channels.channels, channels)


@pubsub.command("PUBSUB NUMPAT", SHOWN, since="2.8.0")
def pubsub_numpat(ctx: Context) -> int:
    """Count the different patterns that anybody listens to. O(1)."""
    return len(ctx.engine.pubsub.channels.patterns)


@pubsub.command("PUBSUB SHARDCHANNELS [pattern]", SHOWN, since="7.0.0")
def pubsub_shardchannels(ctx: Context, *pattern: bytes) -> list[bytes]:
    """List the shard channels that somebody listens to. O(N) in the shard channels."""
    return _matching(ctx.engine.pubsub.channels.shard_channels, "SHARDCHANNELS", pattern)


@pubsub.command("PUBSUB SHARDNUMSUB [shardchannel [shardchannel ...]]", SHOWN, since="7.0.0")
def pubsub_shardnumsub(ctx: Context, *channels: bytes) -> list[Reply]:
    """Count the clients that listen to shard channels. O(N) in the shard channels asked for."""
    return _counted(ctx.engine.pubsub.channels.shard_channels, channels)


def _matching(
    registry: Mapping[bytes, Mapping[Session, None]], word: str, pattern: tuple[bytes, ...]
) -> list[bytes]:
    if len(pattern) > 1:
        raise errors.UnknownSubcommandOrArity(word.encode(), "PUBSUB")
    return [name for name in registry if not pattern or matches(pattern[0], name)]


def _counted(
    registry: Mapping[bytes, Mapping[Session, None]], asked: Iterable[bytes]
) -> list[Reply]:
    found: list[Reply] = []
    for name in asked:
        found += [name, len(registry.get(name, ()))]
    return found
