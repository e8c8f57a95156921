"""Clients that wait: who is served, in which order, and how a wait ends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from spineldb import errors
from spineldb.core import strings
from spineldb.core.effects import RecordingSink
from spineldb.engine import arguments
from spineldb.engine.blocking import Outside, Wait
from spineldb.engine.command import DELETE, WRITE, Family
from spineldb.engine.context import Context
from spineldb.engine.keyspecs import Keys
from spineldb.engine.reply import NULL_ARRAY, Reply
from tests.support.several import NOTHING, Party
from tests.support.virtual_time import run

family = Family("generic")
runs: list[bytes] = []  # what the bodies below were run with


@family.command(
    "TAKE key [key ...] timeout:double", WRITE, keys=Keys(1, -2), key=DELETE, since="5.0.0"
)
def take(ctx: Context, *words: bytes) -> Reply | Wait:
    """Remove and return the first string there is, waiting for one if needed. O(1)."""
    *keys, timeout = words
    seconds = arguments.timeout(timeout)
    runs.append(b"TAKE")
    for key in keys:
        value = strings.get(ctx.db, key)
        if value is not None:
            ctx.db.delete(key)
            ctx.changed(key, "del")
            ctx.propagate(b"DEL", key)
            return [key, value]
    return ctx.wait(keys, seconds, otherwise=NULL_ARRAY)


@family.command("LAST key word", WRITE, keys=Keys(1, 1), key=DELETE, since="5.0.0")
def last(ctx: Context, key: bytes, word: bytes) -> Reply | Wait:
    """Wait for the key; what is run again has other words. O(1)."""
    runs.append(word)
    if word == b"$":
        return ctx.wait([key], 0, otherwise=NULL_ARRAY, again=(b"LAST", key, b"5-0"))
    return word


@family.command(
    "PASS key from to timeout:double", WRITE, keys=Keys(1, 1), key=DELETE, since="5.0.0"
)
def pass_(ctx: Context, key: bytes, origin: bytes, target: bytes, timeout: bytes) -> Reply | Wait:
    """Move a string on, so that a wait that ends wakes another. O(1)."""
    del origin
    value = strings.get(ctx.db, key)
    if value is None:
        return ctx.wait([key], arguments.timeout(timeout), otherwise=None)
    ctx.db.delete(key)
    ctx.changed(key, "del")
    strings.put(ctx.db, target, value)
    ctx.changed(target, "set")
    return value


@family.command("FETCH word", since="5.0.0")
def fetch(ctx: Context, word: bytes) -> Outside:
    """Wait for the outside world. O(1)."""

    async def work() -> bytes:
        await asyncio.sleep(1)
        if word == b"refused":
            raise errors.Syntax
        if word == b"broken":
            raise ValueError(word)
        return word

    def then(ctx: Context, result: bytes) -> Reply:
        strings.put(ctx.db, b"fetched", result)
        ctx.changed(b"fetched", "set")
        return result

    return ctx.outside(work(), then)


@pytest.fixture
def party() -> Party:
    runs.clear()
    return Party(family)


def waiting(party: Party) -> tuple[int, int]:
    """Return how many clients wait, and for how many keys."""
    return party.engine.blocking.blocked_clients, party.engine.effects.awaited_keys


def test_a_command_that_finds_something_does_not_wait(party: Party) -> None:
    writer = party.join()
    writer.say("SET k v")
    assert writer.say("TAKE k 0") == [b"k", b"v"]
    assert waiting(party) == (0, 0)


def test_waiters_are_served_first_come_first_served(party: Party) -> None:
    writer, first, second = party.join(), party.join(), party.join()
    assert first.say("TAKE k 0") == NOTHING
    assert second.say("TAKE k 0") == NOTHING
    assert waiting(party) == (2, 1)
    writer.say("SET k one")
    assert (first.hear(), second.hear()) == ([b"k", b"one"], NOTHING)
    writer.say("SET k two")
    assert second.hear() == [b"k", b"two"]
    assert waiting(party) == (0, 0)


def test_a_client_that_waits_once_more_keeps_its_place(party: Party) -> None:
    writer, first, second = party.join(), party.join(), party.join()
    first.say("TAKE k 0")
    writer.say("MSET other x")
    second.say("TAKE k 0")
    writer.ask("SETRANGE", "k", "0", "")  # changes nothing
    writer.say("SET k v")
    assert (first.hear(), second.hear()) == ([b"k", b"v"], NOTHING)


def test_a_wait_on_two_keys_ends_with_the_first_that_is_written(party: Party) -> None:
    writer, waiter = party.join(), party.join()
    waiter.say("TAKE a b 0")
    assert waiting(party) == (1, 2)
    writer.say("MSET b 2 a 1")
    assert waiter.hear() == [b"a", b"1"]  # in the order the keys were given
    assert waiting(party) == (0, 0)
    assert writer.say("GET b") == b"2"


def test_a_key_that_is_named_twice_is_awaited_once(party: Party) -> None:
    waiter = party.join()
    waiter.say("TAKE a a 0")
    assert waiting(party) == (1, 1)
    waiter.connection.close()
    party.join().say("PING")
    assert waiting(party) == (0, 0)


def test_what_one_waiter_writes_wakes_the_next(party: Party) -> None:
    writer, mover, taker = party.join(), party.join(), party.join()
    taker.say("TAKE b 0")
    mover.say("PASS a from b 0")
    writer.say("SET a v")
    assert mover.hear() == b"v"
    assert taker.hear() == [b"b", b"v"]
    assert writer.say("EXISTS a b") == 0


def test_the_end_of_a_wait_is_propagated_as_what_it_did(party: Party) -> None:
    sink = RecordingSink()
    party.engine.effects.add_sink(sink)
    writer, waiter = party.join(), party.join()
    waiter.say("TAKE k 0")
    writer.say("SET k v")
    requests = sink.take()
    assert requests.index(b"SET") < requests.index(b"DEL")
    assert b"TAKE" not in requests


def test_again_replaces_the_words_of_the_next_run(party: Party) -> None:
    writer, waiter = party.join(), party.join()
    waiter.say("LAST k $")
    writer.say("SET k v")
    assert waiter.hear() == b"5-0"
    assert runs == [b"$", b"5-0"]


def test_a_wait_ends_in_the_database_where_it_began(party: Party) -> None:
    writer, waiter = party.join(), party.join()
    waiter.say("SELECT 3")
    waiter.say("TAKE k 0")
    writer.say("SET k elsewhere")
    assert waiter.hear() == NOTHING
    writer.say("SELECT 3")
    writer.say("SET k here")
    assert waiter.hear() == [b"k", b"here"]
    assert waiter.connection.db == 3


def test_what_a_waiting_client_sent_is_run_after_its_answer(party: Party) -> None:
    writer, waiter = party.join(), party.join()
    waiter.say("TAKE k 0")
    assert waiter.say("ECHO later") == NOTHING
    writer.say("SET k v")
    assert [waiter.hear(), waiter.hear()] == [[b"k", b"v"], b"later"]


def test_a_wait_that_takes_too_long_is_answered_otherwise(party: Party) -> None:
    async def scenario() -> Any:
        waiter = party.join()
        began = asyncio.get_running_loop().time()
        assert waiter.say("TAKE k 0.25") == NOTHING
        assert party.engine.blocking.waiting_for_time == 1
        while (reply := waiter.hear()) == NOTHING:
            await asyncio.sleep(0.05)
        return reply, asyncio.get_running_loop().time() - began

    reply, seconds = run(scenario())
    assert reply is None
    assert seconds == pytest.approx(0.25, abs=0.06)
    assert waiting(party) == (0, 0)
    assert party.engine.blocking.waiting_for_time == 0


def test_the_first_deadline_stands(party: Party) -> None:
    async def scenario() -> Any:
        writer, waiter = party.join(), party.join()
        waiter.say("PASS k from to 1")
        for _ in range(9):
            await asyncio.sleep(0.1)
            party.engine.effects.touched(party.engine.keyspace.databases[0], b"k")
            writer.say("PING")
        assert waiter.hear() == NOTHING
        await asyncio.sleep(0.2)
        return waiter.hear()

    assert run(scenario()) is None


def test_unblock_ends_a_wait_as_asked(party: Party) -> None:
    master, waiter = party.join(), party.join()
    waiter.say("TAKE k 0")
    assert master.ask("CLIENT", "UNBLOCK", waiter.id) == 1
    assert waiter.hear() is None
    assert master.ask("CLIENT", "UNBLOCK", waiter.id) == 0
    waiter.say("TAKE k 0")
    assert master.ask("CLIENT", "UNBLOCK", waiter.id, "ERROR") == 1
    assert waiter.hear() == "UNBLOCKED client unblocked via CLIENT UNBLOCK"
    assert waiting(party) == (0, 0)


def test_a_client_that_is_gone_takes_nothing(party: Party) -> None:
    writer, gone = party.join(), party.join()
    gone.say("TAKE k 0")
    assert writer.ask("CLIENT", "KILL", "ID", gone.id) == 1
    assert waiting(party) == (0, 0)
    writer.say("SET k v")
    assert writer.say("GET k") == b"v"


def test_a_parked_command_is_counted_once_when_it_is_answered(party: Party) -> None:
    writer, waiter = party.join(), party.join()
    take_command = party.engine.dispatcher.lookup(b"take")
    assert take_command is not None
    waiter.say("TAKE k 0")
    assert take_command.calls == 0
    writer.say("SET k v")
    assert take_command.calls == 1
    waiter.hear()
    waiter.say("TAKE k 0")
    writer.ask("CLIENT", "UNBLOCK", waiter.id, "ERROR")
    assert (take_command.calls, take_command.failed) == (2, 1)
    assert party.engine.dispatcher.errors["UNBLOCKED"] == 1
    calls = sum(one.calls for one in party.engine.dispatcher.everything())
    assert calls == party.engine.dispatcher.commands_processed


def test_a_reply_that_is_skipped_is_the_answer_and_not_the_wait(party: Party) -> None:
    writer, waiter = party.join(), party.join()
    waiter.say("CLIENT REPLY SKIP")
    waiter.say("TAKE k 0")
    writer.say("SET k v")
    assert waiter.hear() == NOTHING
    assert waiter.say("PING") == "PONG"


def test_work_outside_is_followed_by_a_command_of_its_own(party: Party) -> None:
    async def scenario() -> tuple[Any, Any, Any]:
        client, other = party.join(), party.join()
        assert client.say("FETCH page") == NOTHING
        assert client.say("GET fetched") == NOTHING  # its order is kept
        assert other.say("GET fetched") is None  # nobody else waits
        await asyncio.sleep(1.1)
        return client.hear(), client.hear(), other.say("GET fetched")

    assert run(scenario()) == (b"page", b"page", b"page")
    assert party.engine.blocking.blocked_clients == 0


@pytest.mark.parametrize(
    ("word", "reply"), [("refused", "ERR syntax error"), ("broken", "ERR internal error")]
)
def test_work_outside_that_fails_is_answered(party: Party, word: str, reply: str) -> None:
    async def scenario() -> Any:
        client = party.join()
        client.say(f"FETCH {word}")
        await asyncio.sleep(1.1)
        assert client.say("PING") == reply
        return client.hear()

    assert run(scenario()) == "PONG"


def test_work_outside_ends_with_its_client(party: Party) -> None:
    async def scenario() -> None:
        client, other = party.join(), party.join()
        client.say("FETCH page")
        other.ask("CLIENT", "KILL", "ID", client.id)
        await asyncio.sleep(1.1)
        assert other.say("GET fetched") is None

    run(scenario())
    assert waiting(party) == (0, 0)
