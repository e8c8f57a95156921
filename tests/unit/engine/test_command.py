"""A declaration is drawn to its conclusions: keys, categories, help, the table."""

from __future__ import annotations

from typing import Any

import pytest
from usage_line import reference, usage_line

from spineldb.engine import keyspecs, usage
from spineldb.engine.command import (
    ADMIN,
    DELETE,
    FAST,
    INSERT,
    LOADING,
    NOT_KEY,
    OW,
    PUBSUB,
    READONLY,
    STALE,
    UPDATE,
    WRITE,
    Category,
    Command,
    CommandTable,
    Family,
    Flag,
)
from spineldb.engine.keyspecs import After, Counted, KeyFlag, Keys, KeySpec, Place, Unknown

REFERENCE = {name: entry for name, entry in reference().items() if "module" not in entry}

# Commands whose usage line does not show where their keys are.
DECLARED_KEYS = {"georadius", "georadiusbymember", "lcs", "migrate", "sort", "sort_ro", "spublish"}
DECLARED_KEYS |= {"ssubscribe", "sunsubscribe", "xread", "xreadgroup", "clusterscan"}


def place_of(spec: dict[str, Any]) -> Place:
    """Read a key spec of the reference."""
    begin, find = spec["begin_search"], spec["find_keys"]
    if begin["type"] == "unknown":
        return Unknown()
    if begin["type"] == "keyword":
        word = begin["spec"]
        return After(
            word["keyword"], word["startfrom"], find["spec"]["lastkey"], find["spec"]["limit"]
        )
    index = begin["spec"]["index"]
    if find["type"] == "keynum":
        return Counted(index, find["spec"]["keystep"])
    last = find["spec"]["lastkey"]
    step = find["spec"]["keystep"]
    return Keys(index, None if last == 0 else last if last < 0 else index + last, step)


@pytest.mark.parametrize("name", REFERENCE)
def test_keys_of_the_reference_follow_from_the_usage_line(name: str) -> None:
    entry = REFERENCE[name]
    _, tree = usage.parse(usage_line(name, entry), name.count("|") + 1)
    found = tuple(place_of(spec) for spec in entry["key_specs"])
    assert (keyspecs.places(name, tree) == found) == (name not in DECLARED_KEYS)
    specs = [
        KeySpec(place_of(spec), KeyFlag.INCOMPLETE if "incomplete" in spec["flags"] else KeyFlag(0))
        for spec in entry["key_specs"]
    ]
    legacy = keyspecs.legacy_range(specs)
    assert [legacy.first, legacy.last, legacy.step] == [
        entry[field] for field in ("first_key", "last_key", "step")
    ]
    assert legacy.movable == ("movablekeys" in entry["flags"])


def one(usage_line: str, flags: Flag = READONLY, group: str = "string", **facts: Any) -> Command:
    """Declare one command."""
    family = Family(group)

    @family.command(usage_line, flags, since="1.0.0", **facts)
    def body(ctx: object) -> None:
        """Do it.

        And more of it. O(N) in
        the words.
        """

    return family.commands[0]


def keys(declared: Command, request: str) -> list[str] | None:
    argv = request.encode().split()
    found = declared.keys_of(argv)
    return None if found is None else [argv[position].decode() for position, _ in found]


@pytest.mark.parametrize(
    ("usage_line", "facts", "request_line", "expected"),
    [
        ("GET key", {}, "GET a", ["a"]),
        ("DEL key [key ...]", {}, "DEL a b c", ["a", "b", "c"]),
        ("MSET key value [key value ...]", {}, "MSET a 1 b 2", ["a", "b"]),
        ("MSET key value [key value ...]", {}, "MSET a 1 b", ["a", "b"]),
        ("BLPOP key [key ...] timeout:double", {}, "BLPOP a b 0", ["a", "b"]),
        ("COPY source:key destination:key", {}, "COPY a b", ["a", "b"]),
        ("ZUNION numkeys:integer key [key ...] [WITHSCORES]", {}, "ZUNION 2 a b c", ["a", "b"]),
        ("ZUNION numkeys:integer key [key ...]", {}, "ZUNION 5 a b", None),
        ("ZUNION numkeys:integer key [key ...]", {}, "ZUNION x a b", None),
        ("ZUNION numkeys:integer key [key ...]", {}, "ZUNION 99999999999999 a", None),
        ("MSETEX numkeys:integer key value [key value ...]", {}, "X 2 a 1 b 2 NX", ["a", "b"]),
        (
            "X [COUNT n] STREAMS k",
            {"keys": After("STREAMS", 1, -1, 2)},
            "X STREAMS a b 1 2",
            ["a", "b"],
        ),
        ("X [COUNT n] STREAMS k", {"keys": After("STREAMS", 1, -1, 2)}, "X count 1", []),
        ("X a [STORE k]", {"keys": After("STORE", 2)}, "X a store d", ["d"]),
        ("SPUBLISH channel", {"keys": Keys(1), "key": NOT_KEY}, "SPUBLISH c", []),
    ],
)
def test_keys_are_found(
    usage_line: str, facts: dict[str, Any], request_line: str, expected: list[str] | None
) -> None:
    assert keys(one(usage_line, **facts), request_line) == expected


def test_channels_are_found_on_request() -> None:
    declared = one("SPUBLISH channel", PUBSUB, keys=Keys(1), key=NOT_KEY)
    assert declared.keys_of([b"SPUBLISH", b"c"], channels=True) == [(1, KeyFlag.NOT_KEY)]


@pytest.mark.parametrize(
    ("request_line", "flags"),
    [
        ("SET k v", ["OW", "update"]),
        ("SET get get", ["OW", "update"]),
        ("SET k v EX 1 get", ["RW", "access", "update"]),
        ("SET k v IFEQ x", ["RW", "access", "update"]),
    ],
)
def test_set_reads_only_on_demand(request_line: str, flags: list[str]) -> None:
    ((position, found),) = keyspecs.set_keys(request_line.encode().split()) or []
    assert (position, found.names) == (1, flags)


@pytest.mark.parametrize(
    ("request_line", "flags"),
    [
        ("BITFIELD k GET u8 0", ["RO", "access"]),
        ("BITFIELD k GET u8 0 SET u8 0 1", ["RW", "access", "update"]),
        ("BITFIELD k OVERFLOW SAT GET u8 0", ["RO", "access"]),
        ("BITFIELD k GET u8", ["RW", "access", "update"]),
    ],
)
def test_bitfield_of_gets_only_reads(request_line: str, flags: list[str]) -> None:
    ((_, found),) = keyspecs.bitfield_keys(request_line.encode().split()) or []
    assert found.names == flags


def test_a_write_reads_and_writes_unless_it_says_otherwise() -> None:
    assert one("X key", WRITE, key=INSERT).key_specs[0].flags == KeyFlag.RW | KeyFlag.INSERT
    assert one("X key", WRITE, key=OW | UPDATE).key_specs[0].flags == KeyFlag.OW | KeyFlag.UPDATE
    assert one("X key", READONLY).key_specs[0].flags == KeyFlag.RO | KeyFlag.ACCESS


def test_a_write_says_what_it_does_to_its_keys() -> None:
    with pytest.raises(ValueError, match="key="):
        one("X key", WRITE)


def test_each_key_spec_has_its_own_use() -> None:
    declared = one("RENAME key newkey:key", WRITE, key=(DELETE, OW | UPDATE))
    assert [spec.flags.names for spec in declared.key_specs] == [["RW", "delete"], ["OW", "update"]]


def test_categories_follow_from_family_and_flags() -> None:
    assert one("X key", WRITE | FAST, key=INSERT).categories.names == ["@write", "@string", "@fast"]
    assert one("X", ADMIN, "server").categories.names == ["@admin", "@slow", "@dangerous"]
    assert one("X", READONLY, "scripting").categories.names == ["@slow", "@scripting"]
    assert one("X", PUBSUB, "pubsub").categories.names == ["@pubsub", "@slow"]
    declared = one("X", READONLY, "generic", categories=Category.SET, without=Category.KEYSPACE)
    assert declared.categories.names == ["@read", "@set", "@slow"]


def test_the_docstring_is_the_documentation() -> None:
    declared = one("X")
    assert declared.summary == "Do it."
    assert declared.complexity == "O(N) in the words"
    assert declared.documentation == "And more of it."


def test_names_are_declared_once() -> None:
    family = Family("string")
    family.command("GET key", READONLY, since="1.0.0")(print)
    with pytest.raises(ValueError, match="twice"):
        family.command("get key", READONLY, since="1.0.0")(print)


def container() -> Family:
    family = Family("connection")
    client = family.container("CLIENT", since="2.4.0", help_since="5.0.0")

    @client.command("CLIENT REPLY <action: ON | OFF>", LOADING, since="3.2.0")
    def reply(ctx: object) -> None:
        """Say whether to reply. O(1)."""

    @client.command("CLIENT ID", since="5.0.0")
    def identify(ctx: object) -> None:
        """Return the number of the connection."""

    return family


def test_a_container_has_subcommands_and_help() -> None:
    (client,) = container().commands
    assert client.arity == -2
    assert client.is_container
    assert client.body is None
    assert client.categories.names == ["@slow"]
    assert {name: one.name for name, one in client.subcommands.items()} == {
        "reply": "client|reply",
        "id": "client|id",
        "help": "client|help",
    }
    assert client.subcommands["reply"].arity == 3
    assert client.subcommands["reply"].categories.names == ["@slow", "@connection"]
    assert client.subcommands["help"].flags == LOADING | STALE
    show = client.subcommands["help"].body
    assert callable(show)
    assert show(object()) == [
        "CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "ID",
        "    Return the number of the connection.",
        "REPLY <ON | OFF>",
        "    Say whether to reply.",
        "HELP",
        "    Print this help.",
    ]


def test_a_subcommand_belongs_to_its_container() -> None:
    family = Family("connection")
    client = family.container("CLIENT", since="2.4.0", help_since="5.0.0")
    with pytest.raises(ValueError, match="not a subcommand"):
        client.command("CONFIG GET pattern", since="2.0.0")(print)


def test_a_compiled_body_has_a_python_signature() -> None:
    family = Family("string")
    body = object()

    @family.compiled("GET key", READONLY | FAST, body, since="1.0.0")
    def get(ctx: object, key: bytes) -> bytes | None:
        """Return the value of a key. O(1)."""

    (declared,) = family.commands
    assert declared.compiled
    assert declared.body is body
    assert declared.summary == "Return the value of a key."
    assert declared.complexity == "O(1)"


def test_the_table_finds_commands_whatever_the_case() -> None:
    table = CommandTable([container()])
    assert table["ClienT"].name == "client"
    assert [
        one.name for one in map(table.find, [b"CLIENT", b"client|ID", b"Client|Help"]) if one
    ] == [
        "client",
        "client|id",
        "client|help",
    ]
    assert table.find(b"client|nothing") is None
    assert table.find(b"\xff") is None
    assert table.resolve([b"client", b"Id"]) is table["client"].subcommands["id"]
    assert table.resolve([b"client", b"nothing"]) is None
    assert [one.name for one in table.everything()] == [
        "client",
        "client|reply",
        "client|id",
        "client|help",
    ]


def test_the_table_renames() -> None:
    assert list(CommandTable([container()], {"CLIENT": "Customer"})) == ["customer"]
    assert list(CommandTable([container()], {"client": ""})) == []


def test_two_families_do_not_share_a_name() -> None:
    with pytest.raises(ValueError, match="two commands"):
        CommandTable([container(), container()])


@pytest.mark.parametrize(("arity", "words"), [(2, [2]), (-2, [2, 3, 9]), (1, [1]), (-1, [1, 2])])
def test_the_arity_is_asked(arity: int, words: list[int]) -> None:
    declared = one("X", arity=arity)
    assert [count for count in range(1, 10) if declared.accepts(count)][: len(words)] in (
        words,
        list(range(-arity, -arity + len(words))),
    )


def test_flags_and_categories_have_redis_names() -> None:
    names = {name for entry in REFERENCE.values() for name in entry["flags"]}
    assert names <= {str(flag.name).lower() for flag in Flag}
    categories = {name for entry in REFERENCE.values() for name in entry["acl"]}
    assert categories == set(Category(2**21 - 1).names)
