"""Keyspace events: who hears them, and what becomes of what nobody heard."""

from __future__ import annotations

from pathlib import Path

import pytest

from spineldb.core.effects import EVENT_CLASSES, EventClass
from tests.support.embedded import Embedded
from tests.support.events import EVERY_EVENT, heard, listening

TRANSCRIPTS = Path(__file__).parents[2] / "transcripts"
UNRECORDED = {"", "restore"}  # no event; an event of what is not in the command table


@pytest.fixture
def server() -> Embedded:
    return Embedded(1)


def test_a_key_that_was_made_before_somebody_listens_is_not_new(server: Embedded) -> None:
    server.ask("SET", "k", 1)
    server.ask("RPUSH", "l", 1)
    listener = listening(server.effects)
    server.ask("RPUSH", "l", 2)
    server.ask("INCR", "k")
    assert heard(listener) == [(0, "rpush", b"l"), (0, "incrby", b"k")]


def test_new_is_told_of_the_key_that_was_made(server: Embedded) -> None:
    server.ask("SADD", "from", "a", "b")
    listener = listening(server.effects)
    server.ask("SMOVE", "from", "to", "a")
    server.ask("SMOVE", "from", "to", "b")
    assert heard(listener) == [
        (0, "srem", b"from"), (0, "new", b"to"), (0, "sadd", b"to"),
        (0, "srem", b"from"), (0, "del", b"from"), (0, "sadd", b"to"),
    ]  # fmt: skip


def test_a_key_that_comes_back_is_new_again(server: Embedded) -> None:
    listener = listening(server.effects)
    for _ in range(2):
        server.ask("HSET", "h", "f", 1)
        server.ask("HDEL", "h", "f")
    assert heard(listener) == 2 * [
        (0, "new", b"h"), (0, "hset", b"h"), (0, "hdel", b"h"), (0, "del", b"h"),
    ]  # fmt: skip


def test_what_is_made_in_another_database_is_told_there(server: Embedded) -> None:
    listener = listening(server.effects)
    server.ask("SET", "k", 1)
    server.ask("SELECT", 3)
    server.ask("SET", "k", 1)
    server.ask("COPY", "k", "k", "DB", 5)
    assert heard(listener) == [
        (0, "new", b"k"), (0, "set", b"k"), (3, "new", b"k"), (3, "set", b"k"),
        (5, "new", b"k"), (5, "copy_to", b"k"),
    ]  # fmt: skip


def test_a_read_buries_and_misses(server: Embedded) -> None:
    listener = listening(server.effects)
    server.at(1000, [b"SET", b"k", b"v", b"PX", b"10"])
    server.at(1010, [b"GET", b"k"])
    assert heard(listener) == [
        (0, "new", b"k"), (0, "set", b"k"), (0, "expire", b"k"),
        (0, "expired", b"k"), (0, "keymiss", b"k"),
    ]  # fmt: skip


def test_a_write_buries_before_it_makes_anew(server: Embedded) -> None:
    listener = listening(server.effects)
    server.at(1000, [b"SET", b"k", b"v", b"PX", b"10"])
    heard(listener)
    server.at(1010, [b"LPUSH", b"k", b"v"])
    assert heard(listener) == [(0, "expired", b"k"), (0, "new", b"k"), (0, "lpush", b"k")]


def test_only_the_classes_that_are_asked_for_are_heard(server: Embedded) -> None:
    listener = listening(server.effects)
    for wanted, expected in (
        (EventClass.EVENT_NEW, [(0, "new", b"k")]),
        (EventClass.EVENT_OVERWRITTEN, [(0, "overwritten", b"k")]),
        (EventClass.EVENT_TYPE_CHANGED, []),
        (EventClass.EVENT_GENERIC, [(0, "del", b"k")]),
    ):
        server.effects.listen(EventClass.EVENT_KEYSPACE | wanted)
        server.ask(*(("DEL", "k") if wanted == EventClass.EVENT_GENERIC else ("SET", "k", 1)))
        assert heard(listener) == expected


def test_every_name_is_in_a_transcript() -> None:
    """What the real server publishes was recorded for each."""
    recorded = (TRANSCRIPTS / "keyspace_events.transcript").read_text(encoding="utf-8")
    assert {name for name in EVENT_CLASSES if f'__:{name}"' not in recorded} == UNRECORDED


def test_every_class_has_a_letter() -> None:
    assert EVERY_EVENT & sum({*EVENT_CLASSES.values()}) == sum({*EVENT_CLASSES.values()})
