"""Settings: what CONFIG GET and CONFIG SET promise beyond single values."""

from __future__ import annotations

import pytest

from spineldb.config.kinds import Refused
from spineldb.config.parameter import Parameter
from spineldb.config.parameters import BY_NAME, PARAMETERS, SECTIONS
from spineldb.config.settings import Settings, Source
from spineldb.errors import ConfigRejected, ConfigUnknown


@pytest.fixture
def settings() -> Settings:
    return Settings()


def test_values_are_attributes_that_mirror_the_file(settings: Settings) -> None:
    assert settings.max_clients == 10000
    assert settings.limits.output_buffer.replica.hard == 256 << 20
    assert settings.security.password == ""


def test_get_is_a_union_of_patterns_each_once(settings: Settings) -> None:
    found = settings.get([b"MAXMEMORY-S*", b"maxmemory-samples", b"*samples", b"nosuch"])
    assert found == {b"maxmemory-samples": b"5"}


def test_a_plain_name_is_printed_as_typed(settings: Settings) -> None:
    assert settings.get([b"MaxMemory", b"host"]) == {b"MaxMemory": b"0", b"host": b"127.0.0.1"}


def test_a_parameter_answers_to_its_path(settings: Settings) -> None:
    assert settings.get([b"safety.script_busy_ms"]) == {b"safety.script_busy_ms": b"5000"}
    assert b"safety.script_timeout_ms" in settings.get([b"*"])
    assert b"safety.script_busy_ms" not in settings.get([b"*"])
    assert b"safety.script_busy_ms" in settings.get([b"safety.*"])
    settings.set([(b"cache.default_ttl_seconds", b"5")])
    assert settings.cache.default_ttl_seconds == 5


def test_rules_and_policies_are_no_business_of_config(settings: Settings) -> None:
    assert settings.get([b"acl.rules", b"cache.policies"]) == {}
    with pytest.raises(ConfigUnknown):
        settings.set([(b"acl.rules", b"[]")])


def test_set_is_all_or_nothing(settings: Settings) -> None:
    with pytest.raises(ConfigRejected, match=r"related to argument 'hz'\) - argument couldn't be"):
        settings.set([(b"maxmemory", b"1mb"), (b"save", b"1 1"), (b"hz", b"x")])
    assert settings.maxmemory == 0
    assert settings.text("save") == "3600 1 300 100 60 10000"
    assert settings.changed() == {}


def test_a_subscriber_sees_the_new_values_once(settings: Settings) -> None:
    seen: list[tuple[int, str]] = []
    settings.subscribe(
        lambda: seen.append((settings.maxmemory, settings.maxmemory_policy)),
        "maxmemory",
        "maxmemory-policy",
    )
    settings.set([(b"maxmemory", b"1mb"), (b"maxmemory-policy", b"no-eviction"), (b"hz", b"5")])
    assert seen == [(1 << 20, "noeviction")]
    settings.set([(b"maxmemory", b"1048576")])
    assert len(seen) == 1  # nothing changed


def test_a_subscriber_may_refuse_and_everything_is_put_back(settings: Settings) -> None:
    applied: list[int] = []

    def refuse() -> None:
        raise Refused("Failed to bind to specified addresses.")

    settings.subscribe(lambda: applied.append(settings.timeout), "timeout")
    settings.subscribe(refuse, "bind")
    text = r"argument 'bind'\) - Failed to bind to specified addresses\."
    with pytest.raises(ConfigRejected, match=text):
        settings.set([(b"timeout", b"5"), (b"bind", b"1.2.3.4")])
    assert applied == [5, 0]
    assert settings.host == ("127.0.0.1",)
    assert settings.changed() == {}


def test_what_a_flag_said_becomes_the_operators_word_when_set_again(settings: Settings) -> None:
    settings.change("timeout", "5", Source.FLAG)
    settings.set([(b"timeout", b"5")])
    assert settings.changed() == {Settings.timeout: 5}


def test_valkeys_names_answer_where_the_feature_exists(settings: Settings) -> None:
    settings.set([(b"commandlog-execution-slower-than", b"7")])
    assert settings.text("slowlog-log-slower-than") == "7"
    assert settings.text("commandlog-request-larger-than") == "1048576"
    assert settings.text("cluster-databases") == "1"


def test_a_group_of_views_tells_the_subscribers_of_its_parts(settings: Settings) -> None:
    calls: list[str] = []
    settings.subscribe(lambda: calls.append("limits"), "client-output-buffer-limit")
    settings.set([(b"client-output-buffer-limit", b"normal 1 2 3 replica 1mb 1kb 1")])
    assert calls == ["limits"]
    assert settings.limits.output_buffer.normal == (1, 2, 3)
    assert settings.limits.output_buffer.replica == (1048576, 1024, 1)


@pytest.mark.parametrize("name", ["bind", "port", "tls-port"])
def test_what_nobody_applies_is_immutable(settings: Settings, name: str) -> None:
    with pytest.raises(ConfigRejected, match="can't set immutable config"):
        settings.set([(name.encode(), b"0")])


def test_the_directory_is_protected_unless_allowed(
    settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = str(tmp_path_factory.mktemp("data"))
    with pytest.raises(ConfigRejected, match="can't set protected config"):
        settings.set([(b"dir", folder.encode())])
    settings.change("enable-protected-configs", "local")
    with pytest.raises(ConfigRejected, match="can't set protected config"):
        settings.set([(b"dir", folder.encode())])
    settings.set([(b"dir", folder.encode()), (b"dbfilename", b"x.rdb")], local=True)
    assert settings.persistence.spldb_path == f"{folder}/x.rdb"
    assert settings.persistence.aof_path == f"{folder}/spineldb.aof"
    assert settings.cache.on_disk_path == f"{folder}/cache_files"
    with pytest.raises(ConfigRejected, match="No such file or directory"):
        settings.set([(b"dir", b"/nosuch/place")], local=True)
    with pytest.raises(ConfigRejected, match="dbfilename can't be a path, just a filename"):
        settings.set([(b"dbfilename", b"a/b")], local=True)


def test_any_bytes_make_a_password(settings: Settings) -> None:
    settings.set([(b"requirepass", b"\xff\xfe x")])
    assert settings.get([b"requirepass"]) == {b"requirepass": b"\xff\xfe x"}
    assert settings.hides(b"RequirePass")
    assert settings.hides(b"security.password")
    assert not settings.hides(b"maxmemory")


def test_a_percentage_of_memory_is_resolved_and_remembered(settings: Settings) -> None:
    settings.set([(b"maxmemory", b"50%")])
    assert settings.maxmemory > 1 << 20
    assert settings.text("maxmemory") == str(int(settings.maxmemory))
    parameter = Settings.maxmemory
    assert parameter.kind.encode(settings.maxmemory) == "50%"
    settings.set([(b"maxmemory-clients", b"10%")])
    assert settings.client_memory_limit() == settings.maxmemory * 10 // 100


def test_replicaof_is_kept_as_role_and_address(settings: Settings) -> None:
    assert settings.text("replicaof") == ""
    settings.change("slaveof", "10.0.0.1 6379")
    assert settings.replication.role == "replica"
    assert settings.get([b"*of"]) == {b"replicaof": b"10.0.0.1 6379", b"slaveof": b"10.0.0.1 6379"}
    settings.change("replicaof", "no one")
    assert settings.text("replicaof") == ""
    assert settings.source(BY_NAME["replication.role"]) is Source.RUNTIME


@pytest.mark.parametrize("parameter", PARAMETERS, ids=lambda parameter: parameter.path)
def test_every_default_survives_each_notation(parameter: Parameter[object]) -> None:
    kind, default = parameter.kind, parameter.default
    if parameter.listed:
        assert kind.format(kind.parse(kind.format(default))) == kind.format(default)
    encoded = kind.encode(default)
    shown = str(encoded) if isinstance(encoded, str | int) else None
    if isinstance(encoded, bool):
        shown = "yes" if encoded else "no"
    assert kind.decode(_plain(encoded)) == default
    if shown is not None:
        assert kind.from_text(shown) == default


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def test_names_are_unique_and_explained() -> None:
    names = [
        name for section in SECTIONS for p in section.parameters for name in (*p.names, p.path)
    ]
    doubles = {name for name in names if names.count(name) > 1}
    assert doubles <= {p.path for p in PARAMETERS if p.path in p.names}
    assert all(p.about or p.path.startswith("redis.") for p in PARAMETERS)
