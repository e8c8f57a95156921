"""Streams: logs of entries under rising ids, and groups of consumers that share the reading."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from spineldb import errors
from spineldb.core import hot_streams
from spineldb.core.call import NO_REPLY, Deferred
from spineldb.core.streams import References, Stream, read_id, write_id
from spineldb.engine import arguments
from spineldb.engine.arguments import Options
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

Id = tuple[int, int]

family = Family("stream")

UNCERTAIN = ("nondeterministic_output",)
LAST_ID = (2**64 - 1, 2**64 - 1)
ATTEMPTS = 10  # pending entries that XAUTOCLAIM looks at for each one it may claim
COUNT_MOST = (2**63 - 1) // 16
UNKNOWN_READ = -1  # a group's entries-read when it cannot be told

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


@family.command(
    "XDELEX key [condition: KEEPREF | DELREF | ACKED] IDS <ids: numids:integer id [id ...]>",
    WRITE | FAST,
    since="8.2.0",
    key=DELETE,
)
def xdelex(ctx: Context, key: bytes, *words: bytes) -> list[int]:
    """Delete entries, and say what becomes of those that are pending in a group.

    Answers for each id 1 (deleted), -1 (not there) or 2 (`ACKED`, and somebody has not
    acknowledged it). O(N) in the ids given.
    """
    stream = ctx.db.find(key, Stream)
    references, texts = _referenced_ids(words)
    if stream is None:
        return [-1] * len(texts)
    ids = [read_id(text) for text in texts]
    results = [stream.delete(one, references) for one in ids]
    _changed(ctx, key, "xdel", results.count(1))
    return results


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


@family.command(
    "XSETID key last-id [ENTRIESADDED entries-added:integer] [MAXDELETEDID max-deleted-id]",
    WRITE | DENYOOM | FAST,
    since="5.0.0",
    key=UPDATE,
    added={"7.0.0": "entries-added max-deleted-id"},
    history=(("7.0.0", "Added `ENTRIESADDED` and `MAXDELETEDID`."),),
)
def xsetid(ctx: Context, key: bytes, last_id: bytes, *words: bytes) -> str:
    """Set the last id of a stream, and what it remembers of its past. O(1)."""
    last = read_id(last_id)
    added, deleted = _past(last, words)
    stream = ctx.db.find(key, Stream)
    if stream is None:
        raise errors.NoSuchKey
    if last < stream.max_deleted:
        raise errors.LastIdBelowDeleted
    if len(stream):
        if last < stream.top:
            raise errors.LastIdBelowTop
        if added is not None and added < len(stream):
            raise errors.EntriesAddedBelowLength
    stream.set_last(last, added, deleted if deleted != (0, 0) else None)
    ctx.changed(key, "xsetid")
    return "OK"


def _past(last: Id, words: Sequence[bytes]) -> tuple[int | None, Id]:
    """Read `[ENTRIESADDED n] [MAXDELETEDID id]`."""
    added: int | None = None
    deleted = (0, 0)
    options = Options(words)
    while options:
        word = options.keyword()
        if word == b"ENTRIESADDED" and options:
            added = options.integer()
            if added < 0:
                raise errors.EntriesAddedNegative
        elif word == b"MAXDELETEDID" and options:
            deleted = read_id(options.word())
            if last < deleted:
                raise errors.LastIdBelowGivenDeleted
        else:
            raise errors.Syntax
    return added, deleted


# Reading, alone and in a group.


@family.command(
    "XREAD [COUNT count:integer] [BLOCK milliseconds:integer] STREAMS "
    "<streams: key [key ...] id [id ...]>",
    READONLY | BLOCKING,
    since="5.0.0",
    keys=After("STREAMS", 1, -1, 2),
    key=ACCESS,
)
def xread(ctx: Context, *words: bytes) -> Reply | Deferred:
    """Return entries of streams after an id each, waiting for one if asked to.

    `$` stands for the last id at the time of the request, `+` for the last entry. Streams without
    news are left out. O(N) in the entries returned.
    """
    return _read(ctx, b"XREAD", words, grouped=False)


@family.command(
    "XREADGROUP GROUP <group-block: group consumer> [COUNT count:integer] "
    "[BLOCK milliseconds:integer] [NOACK] STREAMS <streams: key [key ...] id [id ...]>",
    WRITE | BLOCKING,
    since="5.0.0",
    keys=After("STREAMS", 4, -1, 2),
    key=RO | ACCESS,
)
def xreadgroup(ctx: Context, *words: bytes) -> Reply | Deferred:
    """Return entries that no consumer of the group has got, and note who got them.

    `>` asks for new entries; an id for those after it that this consumer has not acknowledged.
    What is propagated is what was delivered. O(N) in the entries returned.
    """
    return _read(ctx, b"XREADGROUP", words, grouped=True)


def _read(
    ctx: Context, name: bytes, words: tuple[bytes, ...], *, grouped: bool
) -> Reply | Deferred:
    nothing = hot_streams.read(ctx, grouped, words)
    if nothing is None:
        return NO_REPLY  # the core has written the reply
    milliseconds, keys, ids = nothing
    if milliseconds is None:
        return NULL_ARRAY
    return _wait(ctx, name, words, milliseconds, (keys, ids))


def _wait(
    ctx: Context,
    name: bytes,
    words: Sequence[bytes],
    milliseconds: int,
    streams: tuple[list[bytes], list[bytes]],
) -> Wait:
    """Wait for one of the keys; the ids are those that `$` meant when the client asked."""
    keys, ids = streams
    again = [name, *words[: len(words) - len(ids)], *ids]
    return ctx.wait(keys, milliseconds / 1000, NULL_ARRAY, again)


@family.compiled(
    "XACK key group id [id ...]", WRITE | FAST, hot_streams.XACK_BODY, since="5.0.0", key=UPDATE
)
def xack(key: bytes, group: bytes, *ids: bytes) -> int:
    """Say that entries have been dealt with: they are no longer pending.

    Returns how many were. O(N) in the ids given.
    """


@family.command(
    "XACKDEL key group [condition: KEEPREF | DELREF | ACKED] IDS <ids: numids:integer id [id ...]>",
    WRITE | FAST,
    since="8.2.0",
    key=UPDATE | DELETE,
)
def xackdel(ctx: Context, key: bytes, group: bytes, *words: bytes) -> list[int]:
    """Acknowledge entries in a group and delete them.

    Answers for each id 1 (both), -1 (not pending, or no such group) or 2 (acknowledged, and kept
    because somebody else has not). O(N) in the ids given.
    """
    stream = ctx.db.find(key, Stream)
    references, texts = _referenced_ids(words)
    if stream is None or not stream.has_group(group):
        return [-1] * len(texts)
    ids = [read_id(text) for text in texts]
    results = []
    for one in ids:
        if stream.acknowledge(group, one):
            results.append(2 if stream.delete(one, references) == 2 else 1)
        else:
            results.append(-1)
    deleted = results.count(1)
    if deleted:
        _changed(ctx, key, "xdel", deleted)
    elif any(result != -1 for result in results):
        _settled(ctx, key)
    return results


def _referenced_ids(words: Sequence[bytes]) -> tuple[References, list[bytes]]:
    """Read `[KEEPREF | DELREF | ACKED] IDS numids id ...`."""
    options = Options(words)
    references: References | None = None
    ids: list[bytes] | None = None
    while options:
        match options.keyword():
            case b"KEEPREF" | b"DELREF" | b"ACKED" as word if references is None:
                references = References[word.decode()]
            case b"IDS" if options and ids is None:
                ids = _counted_ids(options)
            case _:
                raise errors.Syntax
    if ids is None:
        raise errors.Syntax
    return references or References.KEEPREF, ids


def _counted_ids(options: Options) -> list[bytes]:
    raw = options.word()
    try:
        count = arguments.integer(raw)
    except errors.NotInteger:
        count = 0
    if count <= 0:
        raise errors.IdCountNotPositive
    if count > options.left:
        raise errors.IdCountMismatch
    return list(options.words(count))


# What is pending.


@family.command(
    "XPENDING key group [filters: [IDLE min-idle-time:integer] start end count:integer [consumer]]",
    READONLY,
    since="5.0.0",
    tips=UNCERTAIN,
    added={"6.2.0": "min-idle-time"},
    history=(("6.2.0", "Added the `IDLE` option and ranges without their ends."),),
)
def xpending(ctx: Context, key: bytes, group: bytes, *words: bytes) -> list[Reply]:
    """Return what a group has pending: a summary, or the entries of a range.

    O(N) in the entries returned, for the summary in the consumers.
    """
    read = _pending_filters(words) if words else None
    stream = ctx.read(key, Stream)
    if stream is None or not stream.has_group(group):
        raise errors.NoSuchKeyOrGroup(key, group)
    if read is None:
        return _pending_summary(stream, group)
    idle, start, end, count, consumer = read
    now = ctx.keyspace.now_ms
    delivered_by = now - idle if idle > 0 else -1
    if idle > now:
        return []
    return [
        [one, owner, max(now - delivered, 0), deliveries]
        for one, owner, delivered, deliveries in stream.pending(
            group, start, end, count, consumer, delivered_by
        )
    ]


def _pending_filters(words: Sequence[bytes]) -> tuple[int, Id, Id, int, bytes | None]:
    """Read `[IDLE min-idle-time] start end count [consumer]`."""
    if not 3 <= len(words) <= 6:
        raise errors.Syntax
    options = Options(words)
    idle = 0
    if words[0].upper() == b"IDLE":
        options.word()
        idle = options.integer()
        if options.left < 3:
            raise errors.Syntax
    start, end, raw_count = options.words(3)
    count = max(arguments.integer(raw_count), 0)
    consumer = options.word() if options else None
    return idle, _start(start), _end(end), count, consumer


def _pending_summary(stream: Stream, group: bytes) -> list[Reply]:
    edges = stream.pending_edges(group)
    if edges is None:
        return [0, None, None, NULL_ARRAY]
    owners: list[Reply] = []
    total = 0
    for name, _seen, _active, pending in stream.consumers(group):
        if pending:
            owners.append([name, b"%d" % pending])
            total += pending
    return [total, *edges, owners]


def _start(text: bytes) -> Id:
    """Read the start of a range: with `(` the id itself is left out."""
    if len(text) < 2 or text[:1] != b"(":
        return read_id(text, strict=False)
    ms, seq = read_id(text[1:])
    if seq < LAST_ID[1]:
        return ms, seq + 1
    if ms == LAST_ID[0]:
        raise errors.IntervalStart
    return ms + 1, 0


def _end(text: bytes) -> Id:
    """Read the end of a range: with `(` the id itself is left out."""
    if len(text) < 2 or text[:1] != b"(":
        return read_id(text, last=True, strict=False)
    ms, seq = read_id(text[1:], last=True)
    if seq:
        return ms, seq - 1
    if ms == 0:
        raise errors.IntervalEnd
    return ms - 1, LAST_ID[1]


class Claim:
    """One XCLAIM or XAUTOCLAIM: who claims in which group, and what it comes to."""

    def __init__(self, ctx: Context, key: bytes, group: bytes, consumer: bytes) -> None:
        self.ctx = ctx
        self.key = key
        self.group = group
        self.consumer = consumer
        self.min_idle = 0
        self.delivered_ms = ctx.keyspace.now_ms
        self.retries: int | None = None
        self.force = self.just_id = False
        self.changes = 0

    def begin(self, stream: Stream, last: Id = (0, 0)) -> None:
        """Create the consumer if it is missing, note that it tried; move the group on to `last`."""
        self.stream = stream
        now = self.ctx.keyspace.now_ms
        self.created = stream.create_consumer(self.group, self.consumer, now)
        if not self.created:
            stream.note_seen(self.group, self.consumer, now, active=False)
        before, read, *_ = stream.group_facts(self.group)
        self.before = (read_id(before), UNKNOWN_READ if read is None else read)
        self.advanced = last > self.before[0]
        if self.advanced:
            stream.set_group(self.group, last, self.before[1])

    def introduce(self) -> None:
        """Tell of the consumer that was created, before anything else is told."""
        if self.created:
            self.created = False
            self.ctx.changed(self.key, "xgroup-createconsumer")
            self.ctx.propagate(b"XGROUP", b"CREATECONSUMER", self.key, self.group, self.consumer)

    def undo(self) -> None:
        """Leave all as it was: there was no memory for the first entry."""
        if self.created:
            self.stream.delete_consumer(self.group, self.consumer)
        self.stream.set_group(self.group, *self.before)

    def drop(self, entry: Id) -> None:
        """Forget a pending id whose entry was deleted."""
        self.stream.acknowledge(self.group, entry)
        self.introduce()
        self.ctx.propagate(b"XACK", self.key, self.group, write_id(entry))
        self.changes += 1

    def take(self, entry: Id, nack: tuple[bytes, int, int] | None) -> Reply:
        """Make an entry pending with the consumer; None where there is no memory for it."""
        stream, now = self.stream, self.ctx.keyspace.now_ms
        deliveries = nack[2] if nack is not None else 1
        if self.retries is not None:
            deliveries = self.retries
        elif not self.just_id:
            deliveries += 1
        if not stream.claim(self.group, self.consumer, entry, self.delivered_ms, deliveries):
            if self.changes == 0:
                self.undo()
                raise MemoryError
            return None
        self.introduce()
        stream.note_seen(self.group, self.consumer, now, active=True)
        self.changes += 1
        name = write_id(entry)
        self.ctx.propagate(
            b"XCLAIM", self.key, self.group, self.consumer, b"0", name, b"TIME",
            b"%d" % self.delivered_ms, b"RETRYCOUNT", b"%d" % deliveries, b"FORCE", b"JUSTID",
            b"LASTID", stream.group_facts(self.group)[0],
        )  # fmt: skip
        return name if self.just_id else stream.entries(entry, entry)[0]

    def is_idle(self, delivered_ms: int) -> bool:
        """Whether an entry was delivered long enough ago."""
        return self.min_idle <= 0 or self.ctx.keyspace.now_ms - delivered_ms >= self.min_idle

    def end(self) -> None:
        """Announce what was done."""
        self.introduce()
        if self.changes:
            _settled(self.ctx, self.key, self.changes)


@family.command(
    "XCLAIM key group consumer min-idle-time id [id ...] [IDLE ms:integer] [TIME "
    "unix-time-milliseconds:unix-time] [RETRYCOUNT count:integer] [FORCE] [JUSTID] [LASTID lastid]",
    WRITE | FAST,
    since="5.0.0",
    key=UPDATE,
    tips=UNCERTAIN,
)
def xclaim(
    ctx: Context, key: bytes, group: bytes, consumer: bytes, min_idle: bytes, *words: bytes
) -> list[Reply]:
    """Make pending entries the business of another consumer.

    Returns the entries, or their ids with `JUSTID`, that were not delivered for at least so many
    milliseconds. `FORCE` also takes entries that are not pending. O(log N) per id.
    """
    stream = ctx.read(key, Stream)
    if stream is None or not stream.has_group(group):
        raise errors.NoSuchKeyOrGroup(key, group)
    claim = Claim(ctx, key, group, consumer)
    claim.min_idle = _number(min_idle, "min-idle-time argument", "XCLAIM")
    ids, rest = _leading_ids(words)
    last = _claim_options(claim, rest)
    claim.begin(stream, last)
    found: list[Reply] = []
    for one in ids:
        nack = stream.nack(group, one)
        if not stream.has(one):
            if nack is not None:
                claim.drop(one)
        elif (nack is None and claim.force) or (nack is not None and claim.is_idle(nack[1])):
            taken = claim.take(one, nack)
            if taken is None:
                break
            found.append(taken)
    if claim.advanced and not found:
        claim.introduce()
        _propagate_group(ctx, key, group, stream)
        claim.changes += 1
    claim.end()
    return found


def _propagate_group(ctx: Context, key: bytes, group: bytes, stream: Stream) -> None:
    last, read, *_ = stream.group_facts(group)
    count = b"%d" % (UNKNOWN_READ if read is None else read)
    ctx.propagate(b"XGROUP", b"SETID", key, group, last, b"ENTRIESREAD", count)


def _number(raw: bytes, what: str, command: str) -> int:
    try:
        return arguments.integer(raw)
    except errors.NotInteger:
        raise errors.InvalidClaimArgument(what, command) from None


def _leading_ids(words: Sequence[bytes]) -> tuple[list[Id], Sequence[bytes]]:
    """Split what begins with ids: (ids, the rest)."""
    ids: list[Id] = []
    for word in words:
        try:
            ids.append(read_id(word))
        except errors.InvalidStreamId:
            break
    return ids, words[len(ids) :]


def _claim_options(claim: Claim, words: Sequence[bytes]) -> Id:
    """Read XCLAIM's options; return the id of LASTID."""
    now = claim.ctx.keyspace.now_ms
    options = Options(words)
    last = (0, 0)
    delivered = -1
    while options:
        word = options.word()
        match word.upper():
            case b"FORCE":
                claim.force = True
            case b"JUSTID":
                claim.just_id = True
            case b"IDLE" if options:
                delivered = now - _number(options.word(), "IDLE option argument", "XCLAIM")
            case b"TIME" if options:
                delivered = _number(options.word(), "TIME option argument", "XCLAIM")
            case b"RETRYCOUNT" if options:
                count = _number(options.word(), "RETRYCOUNT option argument", "XCLAIM")
                claim.retries = count if count >= 0 else None
            case b"LASTID" if options:
                last = read_id(options.word())
            case _:
                raise errors.UnknownClaimOption(word)
    if 0 <= delivered <= now:
        claim.delivered_ms = delivered
    return last


@family.command(
    "XAUTOCLAIM key group consumer min-idle-time start [COUNT count:integer] [JUSTID]",
    WRITE | FAST,
    since="6.2.0",
    key=DELETE,
    tips=UNCERTAIN,
    history=(("7.0.0", "Deleted entries leave the pending list; their ids are answered."),),
)
def xautoclaim(
    ctx: Context, key: bytes, group: bytes, consumer: bytes, min_idle: bytes, *words: bytes
) -> list[Reply]:
    """Claim pending entries from an id on that were not delivered for some milliseconds.

    Returns the id to go on with, the entries, and the ids of pending entries that were deleted.
    O(1) for a small count.
    """
    claim = Claim(ctx, key, group, consumer)
    claim.min_idle = _number(min_idle, "min-idle-time argument", "XAUTOCLAIM")
    start, count = _autoclaim_options(claim, words)
    stream = ctx.db.find(key, Stream)
    if stream is None or not stream.has_group(group):
        raise errors.NoSuchKeyOrGroup(key, group)
    claim.begin(stream)
    found: list[Reply] = []
    deleted: list[Reply] = []
    attempts = count * ATTEMPTS
    position: Id | None = start
    while attempts and count:
        rows = stream.pending(group, position or start, LAST_ID, min(count, attempts, 256) + 1)
        position = read_id(rows[0][0]) if rows else None
        if not rows:
            break
        for name, owner, delivered, deliveries in rows[: min(count, attempts, 256)]:
            attempts -= 1
            one = read_id(name)
            if not stream.has(one):
                claim.drop(one)
                deleted.append(name)
                count -= 1
            elif claim.is_idle(delivered):
                taken = claim.take(one, (owner, delivered, deliveries))
                if taken is None:
                    count = 0
                    break
                found.append(taken)
                count -= 1
            position = _after(one)
            if not count:
                break
    rest = stream.pending(group, position, LAST_ID, 1) if position is not None else []
    claim.end()
    return [rest[0][0] if rest else b"0-0", found, deleted]


def _after(one: Id) -> Id | None:
    if one == LAST_ID:
        return None
    return (one[0], one[1] + 1) if one[1] < LAST_ID[1] else (one[0] + 1, 0)


def _autoclaim_options(claim: Claim, words: Sequence[bytes]) -> tuple[Id, int]:
    start = _start(words[0])
    count = 100
    options = Options(words[1:])
    while options:
        word = options.keyword()
        if word == b"COUNT" and options:
            count = _claim_count(options.word())
        elif word == b"JUSTID":
            claim.just_id = True
        else:
            raise errors.Syntax
    return start, count


def _claim_count(raw: bytes) -> int:
    try:
        count = arguments.integer(raw)
    except errors.NotInteger:
        raise errors.CountNotPositive from None
    if not 1 <= count <= COUNT_MOST:
        raise errors.CountNotPositive
    return count


# Groups.

xgroup = family.container("XGROUP", since="5.0.0", help_since="5.0.0")


@xgroup.command(
    "XGROUP CREATE key group <id-selector: id | ${new-id}> [MKSTREAM] "
    "[ENTRIESREAD entriesread:integer{entries-read}]",
    WRITE | DENYOOM,
    since="5.0.0",
    key=INSERT,
    history=(("7.0.0", "Added `ENTRIESREAD`."),),
)
def xgroup_create(ctx: Context, key: bytes, group: bytes, text: bytes, *words: bytes) -> str:
    """Create a group of consumers, which reads what comes after an id. O(1)."""
    make, read = _group_options(words, b"CREATE", may_make=True)
    stream = ctx.db.find(key, Stream)
    if stream is None and not make:
        raise errors.XgroupNoKey
    last = _group_id(stream, text, strict=True)
    if stream is None:
        stream = _created(ctx, key)
    if not _create_group(ctx, stream, group, (last, min(read, stream.added))):
        raise errors.GroupExists
    ctx.changed(key, "xgroup-create")
    return "OK"


def _created(ctx: Context, key: bytes) -> Stream:
    stream = ctx.db.find_or_create(key, Stream)
    stream.create()
    return stream


def _create_group(ctx: Context, stream: Stream, group: bytes, facts: tuple[Id, int]) -> bool:
    try:
        return stream.create_group(group, *facts)
    except MemoryError:
        if not stream.added and not len(stream) and not stream.groups and stream.last == (0, 0):
            ctx.db.delete(stream.key)
        raise


@xgroup.command(
    "XGROUP SETID key group <id-selector: id | ${new-id}> "
    "[ENTRIESREAD entriesread:integer{entries-read}]",
    WRITE,
    since="5.0.0",
    key=UPDATE,
    history=(("7.0.0", "Added `ENTRIESREAD`."),),
)
def xgroup_setid(ctx: Context, key: bytes, group: bytes, text: bytes, *words: bytes) -> str:
    """Set the id after which a group goes on reading. O(1)."""
    _, read = _group_options(words, b"SETID", may_make=False)
    stream = _with_group(ctx, key, group)
    last = _group_id(stream, text, strict=False)
    if not ctx.keyspace.applying:  # what happened may have been set lower since (XSETID)
        read = min(read, stream.added)
    stream.set_group(group, last, read)
    ctx.changed(key, "xgroup-setid")
    return "OK"


@xgroup.command("XGROUP DESTROY key group", WRITE, since="5.0.0", key=DELETE)
def xgroup_destroy(ctx: Context, key: bytes, group: bytes) -> int:
    """Remove a group with all that is pending in it.

    Returns 1 if there was one, else 0. O(1); memory comes back in slices.
    """
    stream = ctx.db.find(key, Stream)
    if stream is None:
        raise errors.XgroupNoKey
    if not stream.destroy_group(group):
        return 0
    ctx.changed(key, "xgroup-destroy")
    return 1


@xgroup.command(
    "XGROUP CREATECONSUMER key group consumer", WRITE | DENYOOM, since="6.2.0", key=INSERT
)
def xgroup_createconsumer(ctx: Context, key: bytes, group: bytes, consumer: bytes) -> int:
    """Create a consumer in a group.

    Returns 1 if it was created, 0 if it was there. O(1).
    """
    stream = _with_group(ctx, key, group)
    if not stream.create_consumer(group, consumer, ctx.keyspace.now_ms):
        return 0
    ctx.changed(key, "xgroup-createconsumer")
    return 1


@xgroup.command("XGROUP DELCONSUMER key group consumer", WRITE, since="5.0.0", key=DELETE)
def xgroup_delconsumer(ctx: Context, key: bytes, group: bytes, consumer: bytes) -> int:
    """Remove a consumer from a group.

    Returns how many entries it had pending, which nobody has now. O(N) in these.
    """
    pending = _with_group(ctx, key, group).delete_consumer(group, consumer)
    if pending is None:
        return 0
    ctx.changed(key, "xgroup-delconsumer")
    return pending


def _with_group(ctx: Context, key: bytes, group: bytes) -> Stream:
    stream = ctx.db.find(key, Stream)
    if stream is None:
        raise errors.XgroupNoKey
    if not stream.has_group(group):
        raise errors.NoSuchGroup(group, key)
    return stream


def _group_id(stream: Stream | None, text: bytes, *, strict: bool) -> Id:
    if text == b"$":
        return stream.last if stream is not None else (0, 0)
    return read_id(text, strict=strict)


def _group_options(words: Sequence[bytes], name: bytes, *, may_make: bool) -> tuple[bool, int]:
    """Read `[MKSTREAM] [ENTRIESREAD n]`."""
    make = False
    read = UNKNOWN_READ
    options = Options(words)
    while options:
        word = options.keyword()
        if word == b"MKSTREAM" and may_make:
            make = True
        elif word == b"ENTRIESREAD" and options:
            read = options.integer()
            if read < 0 and read != UNKNOWN_READ:
                raise errors.EntriesReadNegative
        else:
            raise errors.UnknownSubcommandOrArity(name, "xgroup")
    return make, read


def _changed(ctx: Context, key: bytes, event: str, count: int) -> None:
    if count:
        ctx.changed(key, event, count)


def _settled(ctx: Context, key: bytes, count: int = 1) -> None:
    """Say that something of a stream changed for which there is no event."""
    ctx.effects.dirty += count
    ctx.effects.touched(ctx.db, key)


# What is known of a stream.

xinfo = family.container("XINFO", since="5.0.0", help_since="5.0.0")


@xinfo.command(
    "XINFO STREAM key [full-block: FULL [COUNT count:integer]]",
    READONLY,
    since="5.0.0",
    history=(
        ("6.0.0", "Added `FULL`."),
        ("7.0.0", "Added `entries-added`, `entries-read`, `lag` and what goes with them."),
        ("7.2.0", "Added `active-time` of consumers."),
    ),
)  # fmt: skip
def xinfo_stream(ctx: Context, key: bytes, *words: bytes) -> dict[bytes, Reply]:
    """Return what is known of a stream, with `FULL` also its entries and groups.

    O(1), with `FULL` O(N) in what is returned.
    """
    stream = _existing(ctx, key)
    count = _full_count(words)
    found: dict[bytes, Reply] = {
        b"length": len(stream),
        b"radix-tree-keys": stream.nodes,
        b"radix-tree-nodes": stream.nodes + 1,
        b"last-generated-id": write_id(stream.last),
        b"max-deleted-entry-id": write_id(stream.max_deleted),
        b"entries-added": stream.added,
        b"recorded-first-entry-id": write_id(stream.first),
    }
    if count is None:
        first = stream.entries(count=1)
        last = stream.entries(count=1, reverse=True)
        found[b"groups"] = len(stream.groups)
        found[b"first-entry"] = first[0] if first else None
        found[b"last-entry"] = last[0] if last else None
        return found
    limit = count or -1
    found[b"entries"] = stream.entries(count=limit)
    found[b"groups"] = [_full_group(stream, group, limit) for group in stream.groups]
    return found


def _full_count(words: Sequence[bytes]) -> int | None:
    """Read `[FULL [COUNT n]]`: how many of everything (0: all), or None without FULL."""
    if not words:
        return None
    if len(words) not in {1, 3} or words[0].upper() != b"FULL":
        raise errors.UnknownSubcommandOrArity(b"STREAM", "xinfo")
    if len(words) == 1:
        return 10
    if words[1].upper() != b"COUNT":
        raise errors.UnknownSubcommandOrArity(b"STREAM", "xinfo")
    count = arguments.integer(words[2])
    return count if count >= 0 else 10


def _full_group(stream: Stream, group: bytes, limit: int) -> dict[bytes, Reply]:
    last, read, lag, pending, _ = stream.group_facts(group)
    return {
        b"name": group,
        b"last-delivered-id": last,
        b"entries-read": read,
        b"lag": lag,
        b"pel-count": pending,
        b"pending": [list(row) for row in stream.pending(group, count=limit)],
        b"consumers": [
            {
                b"name": name,
                b"seen-time": seen,
                b"active-time": active,
                b"pel-count": owned,
                b"pending": [
                    [one, delivered, deliveries]
                    for one, _, delivered, deliveries in stream.pending(
                        group, count=limit, consumer=name
                    )
                ],
            }
            for name, seen, active, owned in stream.consumers(group)
        ],
    }


@xinfo.command(
    "XINFO GROUPS key",
    READONLY,
    since="5.0.0",
    history=(("7.0.0", "Added `entries-read` and `lag`."),),
)
def xinfo_groups(ctx: Context, key: bytes) -> list[Reply]:
    """Return what is known of a stream's groups. O(N) in the groups."""
    stream = _existing(ctx, key)
    found: list[Reply] = []
    for group in stream.groups:
        last, read, lag, pending, consumers = stream.group_facts(group)
        found.append(
            {
                b"name": group,
                b"consumers": consumers,
                b"pending": pending,
                b"last-delivered-id": last,
                b"entries-read": read,
                b"lag": lag,
            }
        )
    return found


@xinfo.command(
    "XINFO CONSUMERS key group",
    READONLY,
    since="5.0.0",
    tips=UNCERTAIN,
    history=(("7.2.0", "Added `inactive`."),),
)
def xinfo_consumers(ctx: Context, key: bytes, group: bytes) -> list[Reply]:
    """Return what is known of a group's consumers. O(N) in the consumers."""
    stream = _existing(ctx, key)
    if not stream.has_group(group):
        raise errors.NoSuchGroup(group, key)
    now = ctx.keyspace.now_ms
    return [
        {
            b"name": name,
            b"pending": pending,
            b"idle": max(now - seen, 0),
            b"inactive": max(now - active, 0) if active >= 0 else -1,
        }
        for name, seen, active, pending in stream.consumers(group)
    ]


def _existing(ctx: Context, key: bytes) -> Stream:
    stream = ctx.read(key, Stream)
    if stream is None:
        raise errors.NoSuchKey
    return stream
