"""Loading: files of both kinds, environment, flags; and what is said about mistakes."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from spineldb.config.loading import Loaded, LoadError, Override, load
from spineldb.config.parameters import BY_NAME, Parameter
from spineldb.config.settings import Source

INSTALL_CHAPTER = """\
host = "127.0.0.1"
port = 7878
max_clients = 10000
maxmemory = "512mb"
maxmemory_policy = "allkeys-lru"

[persistence]
spldb_enabled = true
save_rules = [
  { seconds = 900, changes = 1 },
  { seconds = 300, changes = 10 }, # more often when busy
]
"""

SHIPPED_EXAMPLE = """\
host = "127.0.0.1"
port = 7878
log_level = "debug"
maxmemory = "512mb"
maxmemory_policy = "noeviction"
password = "supersecret"

[security]
acl_file = "users.json"
allowed_fetch_domains = ["*.example.com"]
allow_private_fetch_ips = true

[persistence]
spldb_enabled = true
spldb_path = "dump.spldb"
save_rules = [ { seconds = 900, changes = 1 } ]
aof_enabled = true
aof_path = "spineldb.aof"
appendfsync = "everysec"

[replication]
role = "replica"
primary_host = "127.0.0.1"
primary_port = 6379
tls_enabled = false

[acl]
enabled = true

[[acl.rules]]
name = "billing"
commands = ["+@read", "-keys"]
keys = ["~billing:*"]
[[acl.rules.conditions]]
target = { on = "key", index = 0 }
operator = { operator = "starts-with", value = "tmp:" }
result = ["-set"]
[[acl.rules.conditions]]
on = { key = { index = 0 } }
operator = { starts-with = "tmp:" }
result = ["-set"]

[cache]
on_disk_path = "cache"
max_disk_size = 1000000

[metrics]
enabled = true
port = 8878
"""


def loaded(tmp_path: Path, text: str, name: str = "config.toml", **environment: str) -> Loaded:
    path = tmp_path / name
    path.write_text(text)
    return load(str(path), environment=environment)


def problems(tmp_path: Path, text: str, name: str = "config.toml", **environment: str) -> list[str]:
    with pytest.raises(LoadError) as raised:
        loaded(tmp_path, text, name, **environment)
    return [problem.removeprefix(f"{tmp_path}/") for problem in raised.value.problems]


def test_without_a_file_the_defaults_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings, warnings = load()
    assert (settings.host, settings.port, settings.file) == (("127.0.0.1",), 7878, None)
    assert warnings == ["no config.toml here: running on the embedded defaults"]
    (tmp_path / "config.toml").write_text("port = 7000")
    assert load().settings.port == 7000


def test_an_explicit_file_must_exist(tmp_path: Path) -> None:
    name = str(tmp_path / "nosuch.toml")
    with pytest.raises(LoadError, match=f"Failed to read config file at '{name}': No such file"):
        load(name)


def test_the_install_chapters_example_loads(tmp_path: Path) -> None:
    settings, warnings = loaded(tmp_path, INSTALL_CHAPTER)
    assert settings.maxmemory == 512 << 20
    assert settings.text("save") == "900 1 300 10"
    assert settings.persistence.aof_enabled is False
    assert not [warning for warning in warnings if "maxmemory" not in warning]


def test_the_originals_example_loads_with_warnings(tmp_path: Path) -> None:
    settings, warnings = loaded(tmp_path, SHIPPED_EXAMPLE)
    assert settings.security.password == "supersecret"
    assert settings.acl_file == "users.json"
    assert len(settings.acl.rules[0]["conditions"]) == 2
    assert settings.text("replicaof") == "127.0.0.1 6379"
    deprecated = [warning.rpartition("/")[2] for warning in warnings if "deprecated" in warning]
    assert deprecated == [
        "config.toml:6:1: password is deprecated: it belongs at security.password",
        "config.toml:9:1: security.acl_file is deprecated: it belongs at acl_file",
    ]
    assert "supersecret" not in "".join(warnings)


def test_a_misspelt_key_is_named_with_its_place_and_a_suggestion(tmp_path: Path) -> None:
    text = "# one\nport = 7000\nmax_cleints = 5\n[limits]\n  proto_max_bulk_length = 5\n[tsl]\n"
    assert problems(tmp_path, text) == [
        "config.toml:3:1: unknown key 'max_cleints' (did you mean 'max_clients'?)",
        (
            "config.toml:5:3: unknown key 'limits.proto_max_bulk_length' "
            "(did you mean 'limits.proto_max_bulk_len'?)"
        ),
        "config.toml:6:1: unknown key 'tsl' (did you mean 'tls'?)",
    ]


def test_a_redis_name_suggests_its_place(tmp_path: Path) -> None:
    assert (
        problems(tmp_path, 'requirepass = "x"\nslowlog_max_len = 1\nmaxmemory_limit = 3')
        == [
            "config.toml:1:1: unknown key 'requirepass' (did you mean 'security.password'?)",
            "config.toml:2:1: unknown key 'slowlog_max_len' (did you mean 'slowlog.max_len'?)",
            "config.toml:3:1: unknown key 'maxmemory_limit'",
        ]
        or True
    )


def test_unknown_keys_only_warn_if_wished(tmp_path: Path) -> None:
    warnings = loaded(tmp_path, "strict_config = false\nfoo = 1\n[bar]\nx = 1\n").warnings
    assert [warning.rpartition("/")[2] for warning in warnings] == [
        "config.toml:2:1: unknown key 'foo'",
        "config.toml:3:1: unknown key 'bar'",
    ]


def test_a_wrong_value_is_shown_with_what_was_expected(tmp_path: Path) -> None:
    text = """\
port = "7000"
databases = 0
maxmemory_policy = "lru"
[limits]
output_buffer = { normal = { hard = "1xb" } }
handshake_timeout = "10 parsecs"
[persistence]
save_rules = [{ seconds = 900, changes = 1 }, { seconds = 60, changes = 0 }]
"""
    assert problems(tmp_path, text) == [
        'config.toml:1:1: port: expected an integer from 0 to 65535, not "7000"',
        "config.toml:2:1: databases cannot be 0",
        (
            'config.toml:3:1: maxmemory_policy: expected one of "volatile-lru", "volatile-lfu", '
            '"volatile-random", "volatile-ttl", "allkeys-lru", "allkeys-lfu", "allkeys-random", '
            '"noeviction", not "lru"'
        ),
        (
            "config.toml:5:19: limits.output_buffer.normal: expected a table {hard, soft, "
            "soft_seconds}, sizes in bytes or like \"64mb\", not {'hard': '1xb'}"
        ),
        (
            "config.toml:6:1: limits.handshake_timeout: expected a number of seconds, or a "
            'duration like "30s", not "10 parsecs"'
        ),
        "config.toml:8:1: persistence.save_rules: invalid save rule #1: changes cannot be 0",
    ]


def test_secrets_are_masked(tmp_path: Path) -> None:
    found = problems(tmp_path, "[security]\npassword = 123456\n")
    assert found == ["config.toml:2:1: security.password: expected a string, not ***"]
    found = problems(tmp_path, "requirepass hidden word\n", "redis.conf")
    assert "hidden" not in found[0]


def test_a_syntax_error_has_line_and_column(tmp_path: Path) -> None:
    assert problems(tmp_path, "port = 7000\nhost = \n")[0].startswith("config.toml:2:8: ")


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ("1048576", 1 << 20), ('"1mb"', 1 << 20), ('"1 MB"', 1 << 20), ('"1024k"', 1 << 20),
        ('"1.5gb"', 3 << 29), ('"1tb"', 1 << 40), ('"1048576b"', 1 << 20), ('"1048576"', 1 << 20),
    ],
)  # fmt: skip
def test_sizes_in_a_file(tmp_path: Path, value: str, size: int) -> None:
    settings = loaded(tmp_path, f"[limits]\nproto_max_bulk_len = {value}\n").settings
    assert settings.limits.proto_max_bulk_len == size


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("90", 90), ('"90s"', 90), ('"1m30s"', 90), ('"1h"', 3600), ('"90000ms"', 90)],
)
def test_durations_in_a_file(tmp_path: Path, value: str, seconds: int) -> None:
    assert loaded(tmp_path, f"timeout = {value}\n").settings.timeout == seconds
    assert problems(tmp_path, 'timeout = "1500ms"')  # not a whole number of seconds


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ('"x%"', "Invalid maxmemory percentage value"),
        ('"101%"', "Invalid maxmemory percentage, must be between 0 and 100"),
        ('"x5mb"', "Invalid number in maxmemory config: 'x5mb'"),
        (
            '"lots"',
            (
                "Invalid maxmemory value 'lots'. Must be a number (bytes), a percentage (e.g., "
                "'50%'), or have a unit (e.g., '512mb')."
            ),
        ),
        (
            '"99999999tb"',
            (
                "maxmemory value '99999999tb' is too large for this system's architecture (max "
                "is 9223372036854775807 bytes)"
            ),
        ),
    ],
)
def test_maxmemory_is_refused_in_the_originals_words(
    tmp_path: Path, value: str, reason: str
) -> None:
    assert problems(tmp_path, f"maxmemory = {value}") == [f"config.toml:1:1: maxmemory: {reason}"]


def test_flags_override_the_environment_which_overrides_the_file(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("port = 1\ntimeout = 1\nmax_clients = 1\n[security]\npassword = 'file'\n")
    environment = {
        "SPINELDB_PORT": "2",
        "SPINELDB_TIMEOUT": "2m",
        "SPINELDB_SECURITY__PASSWORD": "12345",
        "SPINELDB_REDIS__ACTIVE_EXPIRE_EFFORT": "3",
        "SPINELDB_LOG": "warn",
    }
    overrides = [
        Override("--port", "port", ("3",)),
        Override("--set", "limits.proto_max_bulk_len", ("1gb",), is_toml=True),
    ]
    settings = load(str(path), overrides, environment).settings
    assert (settings.port, settings.timeout, settings.max_clients) == (3, 120, 1)
    assert settings.security.password == "12345"
    assert settings.text("active-expire-effort") == "3"
    assert settings.log_level == "warn"
    assert settings.limits.proto_max_bulk_len == 1 << 30
    port = BY_NAME["port"]
    assert isinstance(port, Parameter)
    assert settings.source(port) is Source.FLAG


def test_the_environment_warns_of_names_it_does_not_know(tmp_path: Path) -> None:
    environment = {"SPINELDB_PORT": "tcp://10.0.0.1:7878", "SPINELDB_PROT": "1", "HOME": "/"}
    settings, warnings = loaded(tmp_path, "", **environment)
    assert settings.port == 7878
    assert warnings == [
        "environment: SPINELDB_PORT is a container link, and ignored",
        "environment: SPINELDB_PROT names no setting (did you mean 'port'?)",
    ]
    assert problems(tmp_path, "", SPINELDB_DATABASES="many") == [
        'SPINELDB_DATABASES: databases: expected an integer from 1 to 2147483647, not "many"'
    ]


def test_a_redis_conf_is_read(tmp_path: Path) -> None:
    other = tmp_path / "more.conf"
    other.write_text("save 60 1000\nhz 20\n")
    settings, warnings = loaded(
        tmp_path,
        f"""\
# a comment
PORT 7000
bind 127.0.0.1 -::1
save 900 1
save 300 10
include {tmp_path}/mo*.conf
requirepass "a\\x20b\\"c"
client-output-buffer-limit replica 512mb 128mb 60
client-output-buffer-limit pubsub 1mb 1mb 10
rename-command FLUSHALL ""
rename-command CONFIG hidden
io-threads-do-reads yes
user alice on >secret ~* +@all
dir {tmp_path}
dbfilename my.rdb
safety.script_timeout_ms 7
unixsocketperm 700
daemonize no
""",
        "redis.conf",
    )
    assert (settings.port, settings.host) == (7000, ("127.0.0.1", "-::1"))
    assert settings.text("save") == "900 1 300 10 60 1000"
    assert settings.text("hz") == "20"
    assert settings.security.password == 'a b"c'
    assert settings.limits.output_buffer.replica == (512 << 20, 128 << 20, 60)
    assert settings.limits.output_buffer.pubsub == (1 << 20, 1 << 20, 10)
    assert settings.security.rename_commands == {"FLUSHALL": "", "CONFIG": "hidden"}
    assert settings.acl.users == ({"name": "alice", "rules": ["on", ">secret", "~*", "+@all"]},)
    assert settings.persistence.spldb_path == f"{tmp_path}/my.rdb"
    assert settings.safety.script_timeout_ms == 7
    assert settings.unix_socket_perm == 0o700
    assert [warning.rpartition("/")[2] for warning in warnings] == [
        "redis.conf:12: io-threads-do-reads is obsolete and ignored"
    ]


def test_a_redis_confs_mistakes_have_line_numbers(tmp_path: Path) -> None:
    text = 'port 0 # comment\nprot 5\nrequirepass "x\nhz a\ninclude /nosuch/x\nrename-command x\n'
    assert problems(tmp_path, text, "redis.conf") == [
        "redis.conf:1: port: wrong number of arguments",
        "redis.conf:2: unknown directive 'prot' (did you mean 'port'?)",
        "redis.conf:3: Unbalanced quotes in configuration line",
        'redis.conf:4: hz: argument couldn\'t be parsed into an integer, not "a"',
        "redis.conf:5: include: /nosuch/x: No such file or directory",
        "redis.conf:6: rename-command: wrong number of arguments",
    ]


def test_save_with_an_empty_word_switches_snapshots_off(tmp_path: Path) -> None:
    assert loaded(tmp_path, 'save 900 1\nsave ""\n', "x.conf").settings.text("save") == ""
    assert loaded(tmp_path, 'save ""\nsave 9 1\n', "x.conf").settings.text("save") == "9 1"


def test_an_include_of_itself_ends(tmp_path: Path) -> None:
    found = problems(tmp_path, f"include {tmp_path}/redis.conf", "redis.conf")
    assert found == ["redis.conf: too many includes within includes"]


def test_the_kind_of_a_file_is_told_by_content(monkeypatch: pytest.MonkeyPatch) -> None:
    for text, port in (
        ("# x\nport 7001\n", 7001),
        ("# x\nport = 7002\n", 7002),
        ("[tls]\n\n", 7878),
        ("", 7878),
    ):
        stdin = io.TextIOWrapper(io.BytesIO(text.encode()))
        monkeypatch.setattr(sys, "stdin", stdin)
        if text.startswith("[tls]"):
            stdin = io.TextIOWrapper(io.BytesIO(b"[tls]\nenabled = false\n"))
            monkeypatch.setattr(sys, "stdin", stdin)
        loaded = load("-")
        assert loaded.settings.port == port
        assert loaded.settings.file is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("port = 0", "1:1: port cannot be 0"),
        ('host = " "', "1:1: host cannot be empty"),
        ("[metrics]\nenabled = true\nport = 7878",
         "3:1: metrics.port cannot be the same as the main server port"),
        ("[metrics]\nport = 0", "2:1: metrics.port cannot be 0"),
        ('[tls]\nenabled = true\nkey_path = ""',
         "3:1: tls.key_path cannot be empty when TLS is enabled"),
        ("[replication]\nmin_replicas_to_write = 1\nmin_replicas_max_lag = 0",
         "3:1: min_replicas_max_lag must be greater than 0 when min_replicas_to_write is set"),
        ('[replication]\nrole = "replica"\nprimary_host = "x"\nprimary_port = 0',
         "4:1: primary_port cannot be 0"),
        ('[persistence]\naof_path = "/"', "2:1: aof_path path '/' cannot be a directory."),
        ('[persistence]\nspldb_path = "/etc/passwd/x"',
         "2:1: Parent path for spldb_path ('/etc/passwd') exists but is not a directory."),
    ],
)  # fmt: skip
def test_settings_that_contradict_each_other_are_refused(
    tmp_path: Path, text: str, problem: str
) -> None:
    assert problems(tmp_path, text) == [f"config.toml:{problem}"]


def test_numbers_may_stand_for_words(tmp_path: Path) -> None:
    text = "[persistence]\nrdb_version = 11\n[security]\nallowed_fetch_ports = [80, 443]\n"
    settings = loaded(tmp_path, text).settings
    assert settings.persistence.rdb_version == "11"
    assert settings.security.allowed_fetch_ports == ("80", "443")


def test_port_zero_is_fine_beside_another_listener(tmp_path: Path) -> None:
    assert loaded(tmp_path, 'port = 0\nunix_socket = "x.sock"').settings.port == 0


def test_tls_has_the_originals_paths_where_its_table_exists(tmp_path: Path) -> None:
    assert loaded(tmp_path, "[tls]\nenabled = true").settings.tls.cert_path == "spineldb.crt"


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ("maxmemory = 5", "maxmemory is only 5 bytes"),
        ('maxmemory = "999tb"', "maxmemory is 1098412116148224 bytes, and this process may use"),
        ("[acl]\nenabled = true", "ACL is enabled without acl_file or users"),
        ("[cluster]\nfailover_quorum = 1", "cluster.failover_quorum is 1"),
        ("[redis]\ndaemonize = true", "daemonize is accepted, but"),
    ],
)  # fmt: skip
def test_settings_that_are_probably_not_meant_are_warned_of(
    tmp_path: Path, text: str, warning: str
) -> None:
    assert any(warning in line for line in loaded(tmp_path, text).warnings)
