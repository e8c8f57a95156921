"""Who is connected: admission, passwords, pauses, killing, the list and its filters."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from spineldb import clock
from spineldb.config.settings import Settings
from spineldb.core.session import SessionFlag
from tests.support.several import NOTHING, Guest, Party
from tests.support.virtual_time import run

NOAUTH = "NOAUTH Authentication required."


@pytest.fixture
def party() -> Party:
    return Party()


def with_password(word: str = "secret") -> Party:
    settings = Settings()
    settings.security.password = word
    return Party(settings=settings)


def fields(line: bytes | str) -> dict[str, str]:
    """Read a line of CLIENT LIST."""
    text = line.decode() if isinstance(line, bytes) else line
    return dict(word.split("=", 1) for word in text.strip().split(" "))


def listed(client: Guest, *words: str | int) -> list[int]:
    """Return the numbers of the clients that CLIENT LIST shows."""
    return [
        int(number)
        for number in re.findall(rb"(?m)^id=(\d+)", client.ask("CLIENT", "LIST", *words))
    ]


# -- admission -------------------------------------------------------------------------------------


def test_more_clients_than_allowed_are_turned_away(party: Party) -> None:
    party.engine.settings.max_clients = 2
    party.join()
    second = party.join()
    with pytest.raises(ConnectionRefusedError, match="max number of clients reached"):
        party.join()
    assert party.engine.clients.rejected == 1
    second.say("QUIT")
    assert len(party.engine.clients) == 1
    party.join()


@pytest.mark.parametrize(
    ("address", "welcome"),
    [
        ("127.0.0.1:5", True),
        ("127.8.8.8:5", True),
        ("[::1]:5", True),
        ("[::ffff:127.0.0.1]:5", True),
        ("embedded:0", True),
        ("10.0.0.1:5", False),
        ("[fe80::1]:5", False),
    ],
)
def test_protected_mode_admits_this_machine_only(address: str, *, welcome: bool) -> None:
    party = Party()
    if welcome:
        party.network.connect(address)
        return
    with pytest.raises(ConnectionRefusedError, match=r"^-?DENIED SpinelDB is running in protected"):
        party.network.connect(address)
    with_password().network.connect(address)


def test_a_password_that_is_set_later_concerns_later_clients(party: Party) -> None:
    early = party.join()
    early.say("CONFIG SET requirepass secret")
    assert early.say("PING") == "PONG"
    late = party.join()
    assert late.say("PING") == NOAUTH
    early.ask("CONFIG", "SET", "requirepass", "")
    assert late.say("PING") == "PONG"
    assert len(party.engine.clients) == 2


def test_waiting_for_a_password_is_limited() -> None:
    party = with_password()
    party.engine.settings.limits.max_unauthenticated_clients = 1
    first = party.join()
    with pytest.raises(ConnectionRefusedError):
        party.join()
    assert first.say("AUTH secret") == "OK"
    party.join()


# -- logging in ------------------------------------------------------------------------------------


def test_a_wrong_password_delays_nobody_else() -> None:
    async def scenario() -> None:
        party = with_password()
        guessers = [party.join() for _ in range(20)]
        friend = party.join()
        friend.say("AUTH secret")
        for guesser in guessers:
            assert guesser.say("AUTH wrong") == NOTHING
            assert friend.say("PING") == "PONG"
        await asyncio.sleep(0.15)
        for guesser in guessers:
            assert str(guesser.hear()).startswith("WRONGPASS ")
            assert guesser.say("PING") == NOAUTH

    run(scenario())


def test_a_failed_login_is_counted_as_one_call_of_auth() -> None:
    async def scenario() -> Any:
        party = with_password()
        client = party.join()
        client.say("AUTH wrong")
        await asyncio.sleep(0.2)
        auth = party.engine.dispatcher.lookup(b"auth")
        assert auth is not None
        return auth.calls, auth.failed, dict(party.engine.dispatcher.errors)

    assert run(scenario()) == (1, 1, {"WRONGPASS": 1})


def test_reset_asks_for_the_password_again() -> None:
    client = with_password().join()
    client.say("AUTH secret")
    client.say("HELLO 3 SETNAME me")
    client.say("SELECT 2")
    client.say("CLIENT NO-TOUCH ON")
    assert client.say("RESET") == "RESET"
    assert client.say("PING") == NOAUTH
    client.say("AUTH secret")
    shown = fields(client.say("CLIENT INFO"))
    assert (shown["name"], shown["db"], shown["resp"], shown["flags"]) == ("", "0", "2", "N")


def test_hello_does_nothing_without_the_right_password() -> None:
    async def scenario() -> None:
        client = with_password().join()
        assert client.say("HELLO 3 AUTH default wrong SETNAME me") == NOTHING
        await asyncio.sleep(0.2)
        assert str(client.hear()).startswith("WRONGPASS ")
        client.say("AUTH secret")
        shown = fields(client.say("CLIENT INFO"))
        assert (shown["name"], shown["resp"]) == ("", "2")

    run(scenario())


# -- pausing ---------------------------------------------------------------------------------------


def test_a_pause_holds_writes_back_until_it_is_ended(party: Party) -> None:
    async def scenario() -> None:
        master, first, second = party.join(), party.join(), party.join()
        assert master.say("CLIENT PAUSE 10000 WRITE") == "OK"
        assert second.say("SET k second") == NOTHING
        assert first.say("SET k first") == NOTHING
        assert first.say("GET k") == NOTHING  # behind the write
        assert master.say("GET k") is None
        assert master.say("CLIENT UNPAUSE") == "OK"
        assert [second.hear(), first.hear(), first.hear()] == ["OK", "OK", b"first"]

    run(scenario())


def test_a_pause_of_everything_ends_by_itself(party: Party) -> None:
    async def scenario() -> None:
        client = party.join()
        client.say("CLIENT PAUSE 30 ALL")
        assert client.say("PING") == NOTHING
        assert client.say("CLIENT UNPAUSE") == NOTHING
        began = clock.unix_ms()
        while party.engine.clients.paused.value:
            await asyncio.sleep(0.001)
        assert clock.unix_ms() - began < 1000
        assert [client.hear(), client.hear()] == ["PONG", "OK"]

    asyncio.run(scenario())


def test_no_key_is_deleted_for_expiry_during_a_pause(party: Party) -> None:
    async def scenario() -> None:
        client = party.join()
        client.say("SET k v PX 1")
        client.say("CLIENT PAUSE 10000 WRITE")
        while client.say("GET k") is not None:
            pass
        assert client.say("DBSIZE") == 1
        client.say("CLIENT UNPAUSE")
        client.say("GET k")
        assert client.say("DBSIZE") == 0

    run(scenario())


def test_a_client_that_left_during_a_pause_runs_nothing(party: Party) -> None:
    async def scenario() -> None:
        master, gone = party.join(), party.join()
        master.say("CLIENT PAUSE 10000 WRITE")
        gone.say("SET k v")
        master.ask("CLIENT", "KILL", "ID", gone.id)
        master.say("CLIENT UNPAUSE")
        assert master.say("GET k") is None

    run(scenario())


# -- killing ---------------------------------------------------------------------------------------


def test_a_killed_client_is_gone_and_its_id_is_not_used_again(party: Party) -> None:
    master, victim = party.join(), party.join()
    assert master.ask("CLIENT", "KILL", "ID", victim.id) == 1
    assert victim.connection.closed
    assert listed(master) == [master.id]
    assert party.join().id > victim.id


def test_a_client_that_kills_itself_is_answered(party: Party) -> None:
    client = party.join()
    assert client.ask("CLIENT", "KILL", "ID", client.id, "SKIPME", "no") == 1
    assert client.connection.closed


def test_monitors_can_be_killed(party: Party) -> None:
    master, watcher = party.join(), party.join()
    watcher.say("MONITOR")
    assert party.engine.dispatcher.monitored
    assert master.ask("CLIENT", "KILL", "ID", watcher.id) == 1
    assert not party.engine.dispatcher.monitored


# -- the list --------------------------------------------------------------------------------------


def test_info_shows_every_field_in_order(party: Party) -> None:
    client = party.join()
    client.say("CLIENT SETNAME me")
    client.say("CLIENT SETINFO lib-name redis-py(custom_v1)")
    shown = fields(client.say("CLIENT INFO"))
    assert list(shown) == [
        "id",
        "addr",
        "laddr",
        "fd",
        "name",
        "age",
        "idle",
        "flags",
        "db",
        "sub",
        "psub",
        "ssub",
        "multi",
        "watch",
        "qbuf",
        "qbuf-free",
        "argv-mem",
        "multi-mem",
        "rbs",
        "rbp",
        "obl",
        "oll",
        "omem",
        "tot-mem",
        "events",
        "cmd",
        "user",
        "redir",
        "resp",
        "lib-name",
        "lib-ver",
        "io-thread",
        "tot-net-in",
        "tot-net-out",
        "tot-cmds",
    ]
    assert (shown["name"], shown["cmd"], shown["user"]) == ("me", "client|info", "default")
    assert (shown["lib-name"], shown["tot-cmds"]) == ("redis-py(custom_v1)", "2")


@pytest.mark.parametrize(
    ("flags", "letters"),
    [
        (SessionFlag.REPLICA, "S"),
        (SessionFlag.REPLICA | SessionFlag.MONITOR, "O"),
        (SessionFlag.MONITOR, "O"),
        (SessionFlag.NO_EVICT | SessionFlag.NO_TOUCH, "eT"),
        (SessionFlag.UNIX_SOCKET | SessionFlag.QUEUEING, "xU"),
    ],
)
def test_flags_are_letters(party: Party, flags: int, letters: str) -> None:
    master, other = party.join(), party.join()
    other.connection.mark(flags)
    assert fields(master.ask("CLIENT", "LIST", "ID", other.id))["flags"] == letters


def test_filters_select_clients(party: Party) -> None:
    master, named, other = party.join(), party.join(), party.join()
    named.say("CLIENT SETNAME worker")
    named.say("CLIENT SETINFO lib-name jedis")
    named.say("SELECT 4")
    other.say("CLIENT NO-EVICT ON")
    everybody = [master.id, named.id, other.id]
    assert listed(master) == everybody
    for words, expected in (
        (["ID", named.id, other.id], [named.id, other.id]),
        (["NOT-ID", named.id], [master.id, other.id]),
        (["SKIPME", "yes"], [named.id, other.id]),
        (["NAME", "worker"], [named.id]),
        (["NOT-NAME", "worker"], [master.id, other.id]),
        (["LIB-NAME", "jedis"], [named.id]),
        (["DB", "4"], [named.id]),
        (["NOT-DB", "4"], [master.id, other.id]),
        (["FLAGS", "e"], [other.id]),
        (["FLAGS", "N"], [master.id, named.id]),
        (["NOT-FLAGS", "e"], [master.id, named.id]),
        (["ADDR", other.connection.address], [other.id]),
        (["IP", "127.0.0.1"], everybody),
        (["NOT-IP", "127.0.0.1"], []),
        (["USER", "default", "TYPE", "normal", "ID", named.id], [named.id]),
        (["TYPE", "pubsub"], []),
        (["NOT-TYPE", "pubsub"], everybody),
        (["MAXAGE", "1000"], []),
        (["IDLE", "1000"], []),
        (["CAPA", "r"], []),
    ):
        assert listed(master, *words) == expected, words


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("LIST USER nobody", "No such user 'nobody'"),
        ("LIST FLAGS z", "Unknown flags found in the provided filter: z"),
        ("LIST NOT-FLAGS z", "Unknown flags found in the NOT-FLAGS filter: z"),
        ("LIST DB 99", "DB number should be between 0 and 15"),
        ("LIST DB x", "DB is not an integer or out of range"),
        ("LIST IDLE x", "idle is not an integer or out of range"),
        ("LIST IDLE 0", "idle should be greater than 0"),
        ("LIST CAPA x", "Unknown capa found in the provided filter: x"),
        ("LIST NOT-TYPE foo", "Unknown client type 'foo'"),
        ("LIST NOT-MAXAGE 4", "syntax error"),
        ("LIST ID 1 abc", "Invalid client ID"),
        ("LIST NOT-ID 0", "client-id should be greater than 0"),
        ("KILL ID 77 abc", "syntax error"),
        ("KILL NOT-ID", "No such client"),
        (
            "PAUSE 1 ALL x",
            "unknown subcommand or wrong number of arguments for 'PAUSE'. Try CLIENT HELP.",
        ),
        (
            "UNBLOCK 1 ERROR x",
            "unknown subcommand or wrong number of arguments for 'UNBLOCK'. Try CLIENT HELP.",
        ),
    ],
)
def test_wrong_filters_are_refused_in_the_real_servers_words(
    party: Party, words: str, error: str
) -> None:
    assert party.join().say(f"CLIENT {words}") == f"ERR {error}"
