"""Every parameter of Redis 8.2.3 answers CONFIG SET as the real server did when recorded."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from spineldb.config.kinds import Refused
from spineldb.config.parameters import BY_NAME
from spineldb.config.settings import Settings
from spineldb.errors import CommandError

REFERENCE = Path(__file__).parents[2] / "reference"
RECORDING = json.loads((REFERENCE / "redis-8.2-config.json").read_text())
DEFAULTS = json.loads((REFERENCE / "redis-8.2-names.json").read_text())["config_defaults"]

OUR_DEFAULTS = {
    "bind": "127.0.0.1",
    "port": "7878",
    "dbfilename": "dump.spldb",
    "appendfilename": "spineldb.aof",
    "dir": str(Path("spineldb_data").absolute()),
}

DIFFERENT = {
    # Ours also takes percentages.
    ("maxmemory", "10%"), ("maxmemory", "50%"), ("maxmemory", "100%"),
    # 8.2.3 takes 2^64 for a negative number, and a negative number for a percentage.
    ("maxmemory-clients", "18446744073709551615"), ("maxmemory-clients", "18446744073709551616"),
    # 8.2.3 cuts these numbers to 32 bits.
    ("save", "900 99999999999"), ("client-output-buffer-limit", "normal 0 0 99999999999"),
}  # fmt: skip


def configured() -> Settings:
    """Settings as the recorded server had them, and a server that applies every change."""
    settings = Settings()
    settings.change("save", "")
    settings.change("bind", "* -::*")
    settings.change("port", "0")
    settings.subscribe(lambda: None, "bind", "port", "tls-port")
    return settings


def attempt(settings: Settings, *words: str) -> str | None:
    raw = [word.encode() for word in words]
    try:
        settings.set(list(zip(raw[::2], raw[1::2], strict=True)))
    except CommandError as error:
        return error.message.decode()
    return None


@pytest.mark.parametrize("name", sorted(DEFAULTS))
def test_the_default_is_the_real_one(name: str) -> None:
    assert Settings().text(name) == OUR_DEFAULTS.get(name, DEFAULTS[name])


def test_config_get_star_prints_every_name() -> None:
    printed = Settings().get([b"*"])
    assert {name.encode() for name in DEFAULTS} <= set(printed)


@pytest.mark.parametrize("name", sorted(RECORDING["set"]))
def test_set_answers_as_recorded(name: str) -> None:
    settings = configured()
    for value, reason, printed in RECORDING["set"][name]:
        if (name, value) in DIFFERENT:
            continue
        error = attempt(settings, name, value)
        shown = error and re.sub(r"^CONFIG SET failed \(possibly.*?'\) - ", "", error)
        assert shown == reason, value
        if reason is None:
            assert settings.get([name.encode()]) == {name.encode(): printed.encode()}, value


@pytest.mark.parametrize("name", sorted(set(RECORDING["file"]) - {"replicaof", "slaveof"}))
def test_a_file_answers_as_recorded(name: str) -> None:
    settings = configured()
    for value, reason in RECORDING["file"][name]:
        found = None
        try:
            settings.change(name, value)
        except Refused as refusal:
            found = str(refusal)
        assert found == reason, value


@pytest.mark.parametrize(("words", "error", "printed"), RECORDING["pairs"])
def test_several_pairs_answer_as_recorded(
    words: list[str], error: str | None, printed: list[str]
) -> None:
    settings = configured()
    assert attempt(settings, *words) == error
    for name, value in zip([name for name in words[::2] if name != "nosuch"], printed, strict=True):
        if name != "dir":
            assert settings.text(name) == value


def test_every_recorded_parameter_is_in_the_table() -> None:
    assert set(RECORDING["set"]) == set(DEFAULTS)
    assert set(DEFAULTS) <= set(BY_NAME)
