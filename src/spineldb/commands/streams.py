"""Streams: logs of entries under rising ids, and groups of consumers that share the reading."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spineldb.core import hot_groups, hot_streams
from spineldb.core.entry import Kind
from spineldb.engine.command import (
    ACCESS,
    BLOCKING,
    DELETE,
    DENYOOM,
    FAST,
    INSERT,
    READONLY,
    RO,
    UPDATE,
    WRITE,
    Family,
)
from spineldb.engine.keyspecs import After
from spineldb.engine.reply import NULL_ARRAY, Reply

if TYPE_CHECKING:
    from spineldb.engine.blocking import Wait
    from spineldb.engine.context import Context

family = Family("stream")

UNCERTAIN = ("nondeterministic_output",)

# Entries.


@family.compiled(
    "XADD key [NOMKSTREAM] [condition: KEEPREF | DELREF | ACKED] [trim: <strategy: MAXLEN | MINID> "
    "[operator: ={equal} | ~{approximately}] threshold [LIMIT count:integer]] "
    "<id-selector: *{auto-id} | id> field value [field value ...]",
    WRITE | DENYOOM | FAST,
    hot_streams.XADD_BODY,
    since="5.0.0",
    key=UPDATE,
    tips=UNCERTAIN,
    added={"6.2.0": "nomkstream minid count"},
    history=(
        ("6.2.0", "Added the `NOMKSTREAM` option, `MINID` trimming strategy and `LIMIT`."),
        ("7.0.0", "The sequence alone may be left to the server: `<ms>-*`."),
        ("8.2.0", "Added the `KEEPREF`, `DELREF` and `ACKED` options."),
    ),
)
def xadd(key: bytes, *words: bytes) -> bytes | None:
    """Append an entry to a stream, creating the stream if it is missing.

    Returns the id, which is greater than any before; with `NOMKSTREAM` null if there is no such
    stream. What is propagated has that id and says exactly what was trimmed. O(1), and O(N) in the
    entries that are trimmed.
    """


@family.compiled("XLEN key", READONLY | FAST, hot_streams.XLEN_BODY, since="5.0.0", key=RO)
def xlen(key: bytes) -> int:
    """Count the entries of a stream. O(1)."""


@family.compiled(
    "XRANGE key start end [COUNT count:integer]",
    READONLY,
    hot_streams.XRANGE_BODY,
    since="5.0.0",
    history=(("6.2.0", "Ends may be left out of the range by `(`."),),
)
def xrange_(key: bytes, start: bytes, end: bytes, *options: bytes) -> list[Reply]:
    """Return the entries of a range of ids, in order.

    `-` and `+` are the least and the greatest id. O(N) in the entries returned.
    """


@family.compiled(
    "XREVRANGE key end start [COUNT count:integer]",
    READONLY,
    hot_streams.XREVRANGE_BODY,
    since="5.0.0",
    history=(("6.2.0", "Ends may be left out of the range by `(`."),),
)
def xrevrange(key: bytes, end: bytes, start: bytes, *options: bytes) -> list[Reply]:
    """Return the entries of a range of ids, the last one first. O(N) in the entries returned."""


@family.compiled(
    "XDEL key id [id ...]", WRITE | FAST, hot_streams.XDEL_BODY, since="5.0.0", key=DELETE
)
def xdel(key: bytes, *ids: bytes) -> int:
    """Delete entries; the stream stays when it has none left.

    Returns how many there were. O(N) in the ids given.
    """


@family.compiled(
    "XDELEX key [condition: KEEPREF | DELREF | ACKED] IDS <ids: numids:integer id [id ...]>",
    WRITE | FAST,
    hot_groups.XDELEX_BODY,
    since="8.2.0",
    key=DELETE,
)
def xdelex(key: bytes, *words: bytes) -> list[int]:
    """Delete entries, and say what becomes of those that are pending in a group.

    Answers for each id 1 (deleted), -1 (not there) or 2 (`ACKED`, and somebody has not
    acknowledged it). O(N) in the ids given.
    """


@family.compiled(
    "XTRIM key <trim: <strategy: MAXLEN | MINID> [operator: ={equal} | ~{approximately}] threshold "
    "[LIMIT count:integer] [condition: KEEPREF | DELREF | ACKED]>",
    WRITE,
    hot_streams.XTRIM_BODY,
    since="5.0.0",
    key=DELETE,
    tips=UNCERTAIN,
    added={"6.2.0": "minid count"},
    history=(
        ("6.2.0", "Added the `MINID` strategy and `LIMIT`."),
        ("8.2.0", "Added the `KEEPREF`, `DELREF` and `ACKED` options."),
    ),
)
def xtrim(key: bytes, *words: bytes) -> int:
    """Remove the oldest entries, down to a length or up to an id.

    With `~` only whole nodes go, and at most `LIMIT` entries. Returns how many were removed.
    O(N) in the entries removed.
    """


@family.compiled(
    "XSETID key last-id [ENTRIESADDED entries-added:integer] [MAXDELETEDID max-deleted-id]",
    WRITE | DENYOOM | FAST,
    hot_groups.XSETID_BODY,
    since="5.0.0",
    key=UPDATE,
    added={"7.0.0": "entries-added max-deleted-id"},
    history=(("7.0.0", "Added `ENTRIESADDED` and `MAXDELETEDID`."),),
)
def xsetid(key: bytes, last_id: bytes, *words: bytes) -> str:
    """Set the last id of a stream, and what it remembers of its past. O(1)."""


# Reading, alone and in a group.


@family.command(
    "XREAD [COUNT count:integer] [BLOCK milliseconds:integer] STREAMS "
    "<streams: key [key ...] id [id ...]>",
    READONLY | BLOCKING,
    quick=hot_streams.XREAD_BODY,
    since="5.0.0",
    keys=After("STREAMS", 1, -1, 2),
    key=ACCESS,
)
def xread(ctx: Context, *words: bytes) -> Wait:
    """Return entries of streams after an id each, waiting for one if asked to.

    `$` stands for the last id at the time of the request, `+` for the last entry. Streams without
    news are left out. O(N) in the entries returned.
    """
    return _wait(ctx, b"XREAD", words)


@family.command(
    "XREADGROUP GROUP <group-block: group consumer> [COUNT count:integer] "
    "[BLOCK milliseconds:integer] [NOACK] STREAMS <streams: key [key ...] id [id ...]>",
    WRITE | BLOCKING,
    quick=hot_streams.XREADGROUP_BODY,
    since="5.0.0",
    keys=After("STREAMS", 4, -1, 2),
    key=RO | ACCESS,
)
def xreadgroup(ctx: Context, *words: bytes) -> Wait:
    """Return entries that no consumer of the group has got, and note who got them.

    `>` asks for new entries; an id for those after it that this consumer has not acknowledged.
    What is propagated is what was delivered. O(N) in the entries returned.
    """
    return _wait(ctx, b"XREADGROUP", words)


def _wait(ctx: Context, name: bytes, words: tuple[bytes, ...]) -> Wait:
    """Wait for one of the keys, since the core found nothing to read.

    The ids of the re-run are those that `$` meant when the client asked.
    """
    grouped = name == b"XREADGROUP"
    milliseconds, keys, ids = hot_streams.awaited(ctx, grouped)
    again = [name, *words[: len(words) - len(ids)], *ids]
    # XREADGROUP must also answer when its group, and so its key, has gone.
    kind = None if grouped else Kind.STREAM
    return ctx.wait(keys, milliseconds / 1000, NULL_ARRAY, again, kind=kind)


@family.compiled(
    "XACK key group id [id ...]", WRITE | FAST, hot_streams.XACK_BODY, since="5.0.0", key=UPDATE
)
def xack(key: bytes, group: bytes, *ids: bytes) -> int:
    """Say that entries have been dealt with: they are no longer pending.

    Returns how many were. O(N) in the ids given.
    """


@family.compiled(
    "XACKDEL key group [condition: KEEPREF | DELREF | ACKED] IDS <ids: numids:integer id [id ...]>",
    WRITE | FAST,
    hot_groups.XACKDEL_BODY,
    since="8.2.0",
    key=UPDATE | DELETE,
)
def xackdel(key: bytes, group: bytes, *words: bytes) -> list[int]:
    """Acknowledge entries in a group and delete them.

    Answers for each id 1 (both), -1 (not pending, or no such group) or 2 (acknowledged, and kept
    because somebody else has not). O(N) in the ids given.
    """


# What is pending.


@family.compiled(
    "XPENDING key group [filters: [IDLE min-idle-time:integer] start end count:integer [consumer]]",
    READONLY,
    hot_groups.XPENDING_BODY,
    since="5.0.0",
    tips=UNCERTAIN,
    added={"6.2.0": "min-idle-time"},
    history=(("6.2.0", "Added the `IDLE` option and ranges without their ends."),),
)
def xpending(key: bytes, group: bytes, *words: bytes) -> list[Reply]:
    """Return what a group has pending: a summary, or the entries of a range.

    O(N) in the entries returned, for the summary in the consumers.
    """


@family.compiled(
    "XCLAIM key group consumer min-idle-time id [id ...] [IDLE ms:integer] [TIME "
    "unix-time-milliseconds:unix-time] [RETRYCOUNT count:integer] [FORCE] [JUSTID] [LASTID lastid]",
    WRITE | FAST,
    hot_groups.XCLAIM_BODY,
    since="5.0.0",
    key=UPDATE,
    tips=UNCERTAIN,
)
def xclaim(
    key: bytes, group: bytes, consumer: bytes, min_idle: bytes, *words: bytes
) -> list[Reply]:
    """Make pending entries the business of another consumer.

    Returns the entries, or their ids with `JUSTID`, that were not delivered for at least so many
    milliseconds. `FORCE` also takes entries that are not pending. O(log N) per id.
    """


@family.compiled(
    "XAUTOCLAIM key group consumer min-idle-time start [COUNT count:integer] [JUSTID]",
    WRITE | FAST,
    hot_groups.XAUTOCLAIM_BODY,
    since="6.2.0",
    key=DELETE,
    tips=UNCERTAIN,
    history=(("7.0.0", "Deleted entries leave the pending list; their ids are answered."),),
)
def xautoclaim(
    key: bytes, group: bytes, consumer: bytes, min_idle: bytes, *words: bytes
) -> list[Reply]:
    """Claim pending entries from an id on that were not delivered for some milliseconds.

    Returns the id to go on with, the entries, and the ids of pending entries that were deleted.
    O(1) for a small count.
    """


# Groups.

xgroup = family.container("XGROUP", since="5.0.0", help_since="5.0.0")


@xgroup.compiled(
    "XGROUP CREATE key group <id-selector: id | ${new-id}> [MKSTREAM] "
    "[ENTRIESREAD entriesread:integer{entries-read}]",
    WRITE | DENYOOM,
    hot_groups.XGROUP_CREATE_BODY,
    since="5.0.0",
    key=INSERT,
    history=(("7.0.0", "Added `ENTRIESREAD`."),),
)
def xgroup_create(key: bytes, group: bytes, text: bytes, *words: bytes) -> str:
    """Create a group of consumers, which reads what comes after an id. O(1)."""


@xgroup.compiled(
    "XGROUP SETID key group <id-selector: id | ${new-id}> "
    "[ENTRIESREAD entriesread:integer{entries-read}]",
    WRITE,
    hot_groups.XGROUP_SETID_BODY,
    since="5.0.0",
    key=UPDATE,
    history=(("7.0.0", "Added `ENTRIESREAD`."),),
)
def xgroup_setid(key: bytes, group: bytes, text: bytes, *words: bytes) -> str:
    """Set the id after which a group goes on reading. O(1)."""


@xgroup.compiled(
    "XGROUP DESTROY key group", WRITE, hot_groups.XGROUP_DESTROY_BODY, since="5.0.0", key=DELETE
)
def xgroup_destroy(key: bytes, group: bytes) -> int:
    """Remove a group with all that is pending in it.

    Returns 1 if there was one, else 0. O(1); memory comes back in slices.
    """


@xgroup.compiled(
    "XGROUP CREATECONSUMER key group consumer",
    WRITE | DENYOOM,
    hot_groups.XGROUP_CREATECONSUMER_BODY,
    since="6.2.0",
    key=INSERT,
)
def xgroup_createconsumer(key: bytes, group: bytes, consumer: bytes) -> int:
    """Create a consumer in a group.

    Returns 1 if it was created, 0 if it was there. O(1).
    """


@xgroup.compiled(
    "XGROUP DELCONSUMER key group consumer",
    WRITE,
    hot_groups.XGROUP_DELCONSUMER_BODY,
    since="5.0.0",
    key=DELETE,
)
def xgroup_delconsumer(key: bytes, group: bytes, consumer: bytes) -> int:
    """Remove a consumer from a group.

    Returns how many entries it had pending, which nobody has now. O(N) in these.
    """


# What is known of a stream.

xinfo = family.container("XINFO", since="5.0.0", help_since="5.0.0")


@xinfo.compiled(
    "XINFO STREAM key [full-block: FULL [COUNT count:integer]]",
    READONLY,
    hot_groups.XINFO_STREAM_BODY,
    since="5.0.0",
    history=(
        ("6.0.0", "Added `FULL`."),
        ("7.0.0", "Added `entries-added`, `entries-read`, `lag` and what goes with them."),
        ("7.2.0", "Added `active-time` of consumers."),
    ),
)  # fmt: skip
def xinfo_stream(key: bytes, *words: bytes) -> dict[bytes, Reply]:
    """Return what is known of a stream, with `FULL` also its entries and groups.

    O(1), with `FULL` O(N) in what is returned.
    """


@xinfo.compiled(
    "XINFO GROUPS key",
    READONLY,
    hot_groups.XINFO_GROUPS_BODY,
    since="5.0.0",
    history=(("7.0.0", "Added `entries-read` and `lag`."),),
)
def xinfo_groups(key: bytes) -> list[Reply]:
    """Return what is known of a stream's groups. O(N) in the groups."""


@xinfo.compiled(
    "XINFO CONSUMERS key group",
    READONLY,
    hot_groups.XINFO_CONSUMERS_BODY,
    since="5.0.0",
    tips=UNCERTAIN,
    history=(("7.2.0", "Added `inactive`."),),
)
def xinfo_consumers(key: bytes, group: bytes) -> list[Reply]:
    """Return what is known of a group's consumers. O(N) in the consumers."""
