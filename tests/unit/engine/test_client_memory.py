"""maxmemory-clients: the biggest clients go until all take no more than they may."""

from __future__ import annotations

import gc
from contextlib import suppress

import pytest

from spineldb.core.connection import Connection
from spineldb.core.session import SessionFlag, memory_of
from tests.support.several import Guest, Party

MB = 1 << 20


@pytest.fixture(name="party")
def make_party() -> Party:
    return Party()


def heavy(party: Party, size: int) -> Guest:
    """Join a client that has sent so much of a request that it never ends."""
    guest = party.join()
    guest.connection.feed(b"*2\r\n$3\r\nGET\r\n$%d\r\n" % (2 * size) + bytes(size))
    assert size <= memory_of(guest.connection) < 3 * size
    return guest


def bound(party: Party, limit: int) -> None:
    """Set the limit and have it enforced, as housekeeping does."""
    party.engine.settings.limits.maxmemory_clients = limit
    party.engine.clients.bound_memory()
    for session in party.engine.clients:
        assert isinstance(session, Connection)
        with suppress(ConnectionResetError):
            session.feed(b"")


def test_the_biggest_go_first_and_no_more_than_needed(party: Party) -> None:
    small, middle, big = (heavy(party, size * MB) for size in (1, 2, 4))
    bound(party, 5 * MB)
    assert [guest.connection.closed for guest in (small, middle, big)] == [False, False, True]
    assert party.engine.clients.evicted == 1
    bound(party, 5 * MB)
    assert party.engine.clients.evicted == 1
    party.engine.reset_statistics()
    assert party.engine.clients.evicted == 0


def test_nobody_goes_below_the_limit_or_without_one(party: Party) -> None:
    guest = heavy(party, MB)
    bound(party, 0)
    bound(party, 10 * MB)
    assert not guest.connection.closed


def test_a_share_of_maxmemory_is_a_limit(party: Party) -> None:
    guest = heavy(party, 4 * MB)
    party.engine.settings.maxmemory = 100 * MB
    bound(party, -10)
    assert not guest.connection.closed
    bound(party, -1)
    assert guest.connection.closed


def test_who_may_not_be_evicted_counts_but_stays(party: Party) -> None:
    spared = party.join()
    assert spared.say("CLIENT NO-EVICT on") == "OK"
    spared.connection.feed(b"*2\r\n$3\r\nGET\r\n$%d\r\n" % (8 * MB) + bytes(4 * MB))
    other = heavy(party, MB)
    bound(party, 2 * MB)
    assert [guest.connection.closed for guest in (spared, other)] == [False, True]


@pytest.mark.parametrize("link", [SessionFlag.REPLICA, SessionFlag.PRIMARY])
def test_links_to_other_servers_neither_count_nor_go(party: Party, link: SessionFlag) -> None:
    server, other = heavy(party, 4 * MB), heavy(party, MB)
    server.connection.mark(link)
    assert party.engine.clients.memory < 3 * MB
    bound(party, 3 * MB)
    assert not server.connection.closed
    assert not other.connection.closed
    bound(party, MB)
    assert not server.connection.closed
    assert other.connection.closed


def test_the_sum_is_that_of_the_list(party: Party) -> None:
    guests = [heavy(party, MB), party.join(), party.join()]
    assert party.engine.clients.memory == sum(memory_of(guest.connection) for guest in guests)


def test_an_engine_may_be_dropped_with_clients_that_sent_half_of_something() -> None:
    for _ in range(20):
        party = Party()
        for size in (1, 4):
            heavy(party, size * MB)
        del party
        gc.collect()
