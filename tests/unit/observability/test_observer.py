"""MONITOR and the logs of commands: what they keep, and what they must not show."""

from __future__ import annotations

import io

import pytest

from spineldb.config.settings import Settings
from spineldb.observability.logging import configure
from spineldb.observability.observer import quoted
from spineldb.observability.redaction import redacted
from tests.support.several import Guest, Party

SECRETS = [
    b"AUTH s3cret",
    b"auth default s3cret",
    b"HELLO 3 AUTH default s3cret SETNAME me",
    b"HELLO 3 SETNAME me AUTH default s3cret",
    b"CONFIG SET requirepass s3cret",
    b"config set timeout 0 REQUIREPASS s3cret",
    b"CONFIG SET masterauth s3cret",
    b"CONFIG SET tls-key-file-pass s3cret",
    b"CONFIG SET security.password s3cret",
    b"ACL SETUSER alice on >s3cret",
    b"MIGRATE host 6379 key 0 100 AUTH s3cret",
    b"MIGRATE host 6379 key 0 100 COPY AUTH2 user s3cret KEYS a",
]


@pytest.fixture
def party() -> Party:
    return Party()


@pytest.mark.parametrize("request_line", SECRETS)
def test_secrets_are_replaced(request_line: bytes) -> None:
    words = request_line.split()
    shown = redacted(words, Settings().hides)
    assert len(shown) == len(words)
    assert b"s3cret" not in b" ".join(shown)
    assert b"(redacted)" in shown


@pytest.mark.parametrize(
    "request_line", [b"SET auth v", b"CONFIG SET timeout 0", b"CONFIG GET requirepass", b"GET auth"]
)
def test_what_is_no_secret_is_shown(request_line: bytes) -> None:
    words = request_line.split()
    assert redacted(words, Settings().hides) == words


@pytest.mark.parametrize("request_line", SECRETS)
def test_no_log_and_no_monitor_shows_a_secret(party: Party, request_line: bytes) -> None:
    stream = io.StringIO()
    output = configure("trace", stream=stream)
    observer = party.engine.observer
    for log in (observer.slow, observer.large_requests, observer.large_replies):
        log.threshold = 0
    observer.arm()
    watcher, client = party.join(), party.join()
    watcher.say("MONITOR")
    client.ask(*request_line.split())
    output.close()
    shown = [
        argv
        for log in (observer.slow, observer.large_requests, observer.large_replies)
        for *_, argv in observer.entries(log, -1)
    ]
    assert shown
    assert b"s3cret" not in repr((shown, watcher.hear(), watcher.hear())).encode()
    assert "s3cret" not in stream.getvalue()


# -- MONITOR ---------------------------------------------------------------------------------------


def test_monitor_shows_what_ran_after_it_ran(party: Party) -> None:
    watcher, client = party.join(), party.join()
    assert watcher.say("MONITOR") == "OK"
    client.ask("SET", "k", b'a\x00"\n\xff')
    client.say("SELECT 7")
    first, second = watcher.hear(), watcher.hear()
    assert first.endswith(r'[0 127.0.0.1:2] "SET" "k" "a\x00\"\n\xff"')
    assert second.endswith('[7 127.0.0.1:2] "SELECT" "7"')
    seconds, micros = first.split()[0].split(".")
    assert (len(seconds), len(micros)) == (10, 6)


def test_monitor_shows_its_own_commands_behind_their_replies(party: Party) -> None:
    watcher = party.join()
    watcher.say("MONITOR")
    assert watcher.say("PING") == "PONG"
    assert watcher.hear().endswith('"PING"')


@pytest.mark.parametrize("line", ["CONFIG GET timeout", "SLOWLOG LEN", "NOSUCH x", "GET"])
def test_monitor_does_not_show_administration_and_what_did_not_run(party: Party, line: str) -> None:
    watcher, client = party.join(), party.join()
    watcher.say("MONITOR")
    client.say(line)
    assert watcher.hear() == "nothing"


def test_reset_ends_monitor(party: Party) -> None:
    watcher, client = party.join(), party.join()
    watcher.say("MONITOR")
    watcher.say("RESET")
    while watcher.hear() != "nothing":
        pass
    client.say("PING")
    assert watcher.hear() == "nothing"
    assert not party.engine.dispatcher.monitored


@pytest.mark.parametrize(
    ("raw", "shown"),
    [(b"", b'""'), (b'a"b', rb'"a\"b"'), (b"\\\a\b\t\r\n\x01\x7f", rb'"\\\a\b\t\r\n\x01\x7f"')],
)
def test_arguments_are_quoted(raw: bytes, shown: bytes) -> None:
    assert quoted(raw) == shown


# -- the logs --------------------------------------------------------------------------------------


def watch(party: Party, client: Guest, **thresholds: int) -> None:
    """Set the logs' thresholds as CONFIG SET would in a server."""
    observer = party.engine.observer
    observer.slow.threshold = thresholds.get("slow", -1)
    observer.large_requests.threshold = thresholds.get("request", -1)
    observer.large_replies.threshold = thresholds.get("reply", -1)
    observer.arm()
    del client


def test_a_slow_command_is_logged_and_a_fast_one_is_not() -> None:
    settings = Settings()
    settings.debug.enable_debug_command = "local"
    party = Party(settings=settings)
    client = party.join()
    client.say("CLIENT SETNAME me")
    watch(party, client, slow=10_000)
    client.say("DEBUG SLEEP 0.05")
    client.say("PING")
    ((_, amount, entry),) = party.engine.observer.slow.newest(-1)
    assert entry.argv == [b"DEBUG", b"SLEEP", b"0.05"]
    assert amount >= 50_000
    assert (entry.address, entry.client_name) == ("127.0.0.1:1", "me")


def test_long_requests_are_logged_short(party: Party) -> None:
    client = party.join()
    watch(party, client, slow=0)
    client.ask("ECHO", "x" * 200)
    client.ask("MGET", *range(1, 36))
    client.ask("MGET", *range(1, 32))
    full, many, long = (entry for *_, entry in party.engine.observer.slow.newest(3))
    assert long.argv[1] == b"x" * 128 + b"... (72 more bytes)"
    assert many.argv[-1] == b"... (5 more arguments)"
    assert len(many.argv) == len(full.argv) == 32
    assert full.argv[-1] == b"31"


def test_big_requests_and_replies_have_logs_of_their_own(party: Party) -> None:
    client = party.join()
    watch(party, client, request=1000, reply=1000)
    client.ask("SET", "k", "v" * 2000)
    client.ask("GET", "k")
    client.say("PING")
    ((_, sent, request),) = party.engine.observer.large_requests.newest(-1)
    ((_, received, reply),) = party.engine.observer.large_replies.newest(-1)
    assert request.argv[:2] == [b"SET", b"k"]
    assert sent == len(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2000\r\n\r\n") + 2000
    assert reply.argv == [b"GET", b"k"]
    assert received == len(b"$2000\r\n\r\n") + 2000
    assert client.say("COMMANDLOG LEN large-request") == 1
    assert client.say("COMMANDLOG GET -1 large-reply")[0][2] == received
    assert client.say("COMMANDLOG RESET large-reply") == "OK"
    assert client.say("COMMANDLOG LEN large-reply") == 0


def test_a_value_in_a_block_of_its_own_counts_as_a_big_reply(party: Party) -> None:
    client = party.join()
    client.ask("SET", "k", "v" * 200_000)
    watch(party, client, reply=100_000)
    client.ask("GET", "k")
    ((_, amount, _),) = party.engine.observer.large_replies.newest(-1)
    assert amount >= 200_000


def test_a_log_keeps_the_newest(party: Party) -> None:
    client = party.join()
    watch(party, client, slow=0)
    log = party.engine.observer.slow
    log.resize(2)
    for _ in range(3):
        client.say("PING")
    numbers = [number for number, *_ in log.newest(-1)]
    assert numbers == [2, 1]
    log.resize(1)
    assert [number for number, *_ in log.newest(-1)] == [2]
    log.clear()
    assert len(log) == 0
    client.say("PING")
    assert [number for number, *_ in log.newest(5)] == [3]


def test_a_command_that_stalls_everybody_is_logged_without_its_values() -> None:
    settings = Settings()
    settings.debug.enable_debug_command = "yes"
    party = Party(settings=settings)
    client = party.join()
    watch(party, client)
    stream = io.StringIO()
    output = configure(stream=stream)
    client.say("DEBUG SLEEP 0.11")
    output.close()
    (line,) = stream.getvalue().splitlines()
    assert "command=debug arguments=3" in line
    assert "0.11" not in line
