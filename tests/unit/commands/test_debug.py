"""DEBUG: who may run it, and what its subcommands do."""

from __future__ import annotations

import hashlib
import io
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from spineldb.config.loading import load
from spineldb.config.settings import Settings
from spineldb.core import strings
from spineldb.engine import digest
from spineldb.observability.logging import configure
from tests.support.several import Guest, Party

REFUSED = (
    'ERR DEBUG command not allowed. If the enable-debug-command option is set to "local", you can '
    "run it from a local connection, otherwise you need to set this option in the configuration "
    "file, and then restart the server."
)
EMPTY = "0" * 40


def allowing(who: str) -> Party:
    settings = Settings()
    settings.debug.enable_debug_command = who
    settings.protected_mode = False
    return Party(settings=settings)


@pytest.fixture
def party() -> Party:
    return allowing("yes")


@pytest.fixture
def client(party: Party) -> Guest:
    return party.join()


@pytest.mark.parametrize(
    ("who", "address", "allowed"),
    [
        ("no", "127.0.0.1:1", False),
        ("local", "127.0.0.1:1", True),
        ("local", "10.0.0.1:1", False),
        ("yes", "10.0.0.1:1", True),
    ],
)
def test_debug_is_for_those_who_may(who: str, address: str, *, allowed: bool) -> None:
    guest = Guest(allowing(who), address)
    assert guest.say("DEBUG SLEEP 0") == ("OK" if allowed else REFUSED)
    if not allowed:
        assert guest.say("DEBUG NOSUCH") == REFUSED


@pytest.mark.parametrize("name", ["RELOAD", "LOADAOF", "RESTART", "NOSUCH", "SLEEP", "SLEEP 1 2"])
def test_what_is_not_there_is_refused(client: Guest, name: str) -> None:
    word = name.split(maxsplit=1)[0]
    assert client.say(f"DEBUG {name}") == (
        f"ERR unknown subcommand or wrong number of arguments for '{word}'. Try DEBUG HELP."
    )


def test_help_lists_every_subcommand_with_what_it_does(client: Guest) -> None:
    lines = client.say("DEBUG HELP")
    assert lines[0] == "DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    assert lines[-2:] == ["HELP", "    Print this help."]
    assert "SLEEP <seconds>" in lines
    assert all(len(line) < 100 for line in lines)


def test_the_digest_is_the_real_servers(client: Guest) -> None:
    assert client.say("DEBUG DIGEST") == EMPTY
    client.say("SET k v")
    assert client.say("DEBUG DIGEST") == "264ccf65edec66bccfa7cc659414ccca432057d2"
    client.say("EXPIREAT k 9999999999")
    client.say("SET k w KEEPTTL")
    assert client.say("DEBUG DIGEST") == "5cf4bd192cd5a58279383e36d1561f4bf74fa9ef"
    client.say("DEL k")
    assert client.say("DEBUG DIGEST") == EMPTY


def test_the_digest_does_not_depend_on_the_order_of_keys(party: Party) -> None:
    one, other = party.join(), allowing("yes").join()
    names = [str(number) for number in range(500)]
    for name in names:
        one.ask("SET", name, name)
    for name in reversed(names):
        other.ask("SET", name, name)
    assert one.say("DEBUG DIGEST") == other.say("DEBUG DIGEST")
    other.say("APPEND 250 x")
    assert one.say("DEBUG DIGEST") != other.say("DEBUG DIGEST")


def test_a_digest_leaves_no_trace(party: Party, client: Guest) -> None:
    client.say("SET gone v PX 1")
    while client.say("EXISTS gone"):
        pass
    client.say("SET kept v")
    client.say("DEBUG SET-ACTIVE-EXPIRE 0")
    expired = party.engine.effects.expired_keys
    strings.put(party.engine.keyspace.databases[0], b"old", b"v", 1)
    assert client.say("DEBUG DIGEST-VALUE old") == [EMPTY]
    client.say("DEBUG DIGEST")
    assert party.engine.effects.expired_keys == expired
    assert client.say("DBSIZE") == 2


def test_folding_in_is_redis_algorithm() -> None:
    mixed = digest.mixed(digest.EMPTY, b"a")
    assert mixed == hashlib.sha1(hashlib.sha1(b"a").digest()).digest()
    assert digest.xored(digest.xored(mixed, b"b"), b"b") == mixed


def test_populate_creates_what_is_missing_and_tells_nobody(party: Party, client: Guest) -> None:
    client.say("SET key:1 mine")
    dirty = party.engine.effects.dirty
    assert client.say("DEBUG POPULATE 3") == "OK"
    assert client.say("MGET key:0 key:1 key:2") == [b"value:0", b"mine", b"value:2"]
    client.say("DEBUG POPULATE 2 small 3")
    client.say("DEBUG POPULATE 1 big 10")
    assert client.say("MGET small:1 big:0") == [b"val", b"value:0\0\0\0"]
    assert party.engine.effects.dirty == dirty


@pytest.mark.parametrize(
    ("value", "encoding", "length"),
    [("12", "int", 2), ("-3000", "int", 3), ("100000", "int", 5), ("4294967296", "int", 11),
     ("abc", "embstr", 4), ("x" * 100, "raw", 102), ("x" * 20000, "raw", 20005)],
)  # fmt: skip
def test_object_shows_encoding_and_length(
    client: Guest, value: str, encoding: str, length: int
) -> None:
    client.ask("SET", "k", value)
    shown = client.say("DEBUG OBJECT k")
    assert f" refcount:1 encoding:{encoding} serializedlength:{length} lru:" in shown
    assert shown.startswith("Value at:0x")


def test_the_background_jobs_can_be_stopped(party: Party, client: Guest) -> None:
    client.say("DEBUG SET-ACTIVE-EXPIRE 0")
    assert not party.engine.effects.active_expiry
    client.say("DEBUG SET-ACTIVE-EXPIRE 1")
    assert party.engine.effects.active_expiry
    client.say("DEBUG PAUSE-CRON 1")
    assert party.engine.lifecycle.cron_paused
    client.say("DEBUG PAUSE-CRON 0")
    assert not party.engine.lifecycle.cron_paused


def test_a_log_line_can_be_written(client: Guest) -> None:
    stream = io.StringIO()
    output = configure(stream=stream)
    client.ask("DEBUG", "LOG", "a mark")
    output.close()
    assert 'message="a mark"' in stream.getvalue()


def test_the_history_can_be_renamed(party: Party, client: Guest) -> None:
    before = party.engine.lifecycle.replid
    client.say("DEBUG CHANGE-REPL-ID")
    assert party.engine.lifecycle.replid != before
    assert len(party.engine.lifecycle.replid) == 40


def test_every_parameter_can_be_written_to_the_file(party: Party, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("# mine\nmaxmemory = 1000000\n")
    party.engine.settings.file = str(file)
    party.engine.settings.maxmemory = 2_000_000
    client = party.join()
    assert client.say("DEBUG CONFIG-REWRITE-FORCE-ALL") == "OK"
    text = file.read_text()
    assert text.startswith("# mine\n")
    assert "[slowlog]" in text
    assert load(str(file), environment={}).settings.maxmemory == 2_000_000


@pytest.mark.parametrize(
    "line",
    [
        "QUICKLIST-PACKED-THRESHOLD 100b", "SET-SKIP-CHECKSUM-VALIDATION 1",
        "REPLYBUFFER PEAK-RESET-TIME 100", "REPLYBUFFER RESIZING 0", "DICT-RESIZING 0",
        "KEYSIZES-HIST-ASSERT 1", "MARK-INTERNAL-CLIENT", "MARK-INTERNAL-CLIENT UNMARK",
        "AOF-FLUSH-SLEEP 0", "PAUSE-AFTER-FORK 0", "DELAY-RDB-CLIENT-FREE-SECOND 1",
        "SET-DISABLE-DENY-SCRIPTS 1",
    ],
)  # fmt: skip
def test_what_test_suites_call_is_accepted(client: Guest, line: str) -> None:
    assert client.say(f"DEBUG {line}") == "OK"


def test_client_eviction_shows_pools(party: Party, client: Guest) -> None:
    assert client.say("DEBUG CLIENT-EVICTION") == "ERR maxmemory-clients is disabled."
    party.engine.settings.limits.maxmemory_clients = 1 << 20
    lines = client.say("DEBUG CLIENT-EVICTION").decode().splitlines()
    assert len(lines) == 19
    assert lines[0].startswith("bucket          0 -      32767: tot-mem: ")
    assert lines[0].endswith("clients: 1")
    assert lines[-1].startswith("bucket 4294967296+            : tot-mem:          0, clients: 0")


CRASH = """
from spineldb.config.settings import Settings
from tests.support.several import Party
settings = Settings()
settings.debug.enable_debug_command = "yes"
Party(settings=settings).join().say("DEBUG {}")
"""


@pytest.mark.parametrize(
    ("word", "by"),
    [("SEGFAULT", signal.SIGSEGV), ("PANIC", signal.SIGABRT), ("OOM", signal.SIGABRT)],
)
def test_the_process_can_be_made_to_crash(word: str, by: int) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", CRASH.format(word)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        check=False,
        capture_output=True,
    )
    assert ended.returncode == -by, ended.stderr


@pytest.fixture(autouse=True)
def _no_core_files() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_CORE, before)
