"""Each guarded command of each type: what is refused at a limit of five, and what passes.

A case is skipped while the server lacks its commands.
"""

from __future__ import annotations

from typing import Any

import pytest

from spineldb import commands
from spineldb.core.effects import RecordingSink
from spineldb.core.session import SessionFlag
from spineldb.engine.command import CommandTable
from spineldb.engine.safety import GUARDS
from tests.support.several import Guest, Party

TABLE = CommandTable(commands.FAMILIES)
LIMIT = 5
TEN = "1 2 3 4 5 6 7 8 9 10"
SETUP = (
    f"RPUSH list {TEN}",
    f"SADD set {TEN}",
    "SADD few 1 2 3",
    "HSET hash 1 a 2 b 3 c 4 d 5 e 6 f 7 g 8 h 9 i 10 j",
    "ZADD zset 1 a 2 b 3 c 4 d 5 e 6 f 7 g 8 h 9 i 10 j",
    "ZADD same 0 a 0 b 0 c 0 d 0 e 0 f 0 g 0 h 0 i 0 j",
    *(f"XADD stream {n}-1 f v" for n in range(1, 11)),
    "SET string 0123456789",
)

#: A request, the key it is refused for, and how many elements it would read.
REFUSED = [
    ("LRANGE list 0 -1", "list", 10),
    ("lrange list 2 7", "list", 6),
    ("SMEMBERS set", "set", 10),
    ("SINTER few set", "set", 10),
    ("SINTERSTORE few few set", "set", 10),
    ("SINTERCARD 2 few set", "set", 10),
    ("SUNION missing set", "set", 10),
    ("SUNIONSTORE few set", "set", 10),
    ("SDIFF few set", "set", 10),
    ("SDIFFSTORE few set few", "set", 10),
    ("HGETALL hash", "hash", 10),
    ("HKEYS hash", "hash", 10),
    ("HVALS hash", "hash", 10),
    ("ZRANGE zset 0 -1", "zset", 10),
    ("ZRANGE zset 0 5 REV", "zset", 6),
    ("ZRANGE zset 2 (10 BYSCORE", "zset", 8),
    ("ZRANGE zset 10 2 BYSCORE REV LIMIT 1 7", "zset", 7),
    ("ZRANGE same - + BYLEX", "same", 10),
    ("ZRANGESTORE few2 zset 0 -1", "zset", 10),
    ("ZRANGESTORE few2 zset 1 10 BYSCORE LIMIT 4 100", "zset", 6),
    ("ZREVRANGE zset 0 7", "zset", 8),
    ("ZRANGEBYSCORE zset -inf +inf", "zset", 10),
    ("ZREVRANGEBYSCORE zset 9 2 WITHSCORES", "zset", 8),
    ("ZRANGEBYLEX same [a (i", "same", 8),
    ("ZREVRANGEBYLEX same + -", "same", 10),
    ("ZUNION 2 few set", "set", 10),
    ("ZUNIONSTORE few2 1 zset", "zset", 10),
    ("ZINTER 2 few zset", "zset", 10),
    ("ZINTERSTORE few2 2 zset few", "zset", 10),
    ("ZINTERCARD 2 zset few", "zset", 10),
    ("ZDIFF 2 few zset", "zset", 10),
    ("ZDIFFSTORE few2 1 zset", "zset", 10),
    ("XRANGE stream - +", "stream", 6),
    ("XREVRANGE stream + 2", "stream", 6),
    ("XRANGE stream - + COUNT 7", "stream", 6),
    ("SORT list", "list", 10),
    ("SORT_RO set LIMIT 0 1", "set", 10),
    ("SORT zset BY nosort STORE few2", "zset", 10),
]
#: What reads no more than five, or is refused by its command for a better reason.
PASSED = [
    "LRANGE list 0 4", "LRANGE list -5 -1", "LRANGE list 8 100", "LRANGE list 7 2",
    "LRANGE missing 0 -1", "SMEMBERS few", "SINTER few missing", "SDIFFSTORE set few",
    "HGETALL missing", "ZRANGE zset 0 4", "ZRANGE zset 2 (7 BYSCORE",
    "ZRANGE zset 1 10 BYSCORE LIMIT 0 5", "ZRANGE same (b (d BYLEX",
    "ZRANGEBYSCORE zset 1 3", "ZREVRANGEBYSCORE zset 3 1",
    "ZRANGEBYLEX same - (c", "ZREVRANGEBYLEX same [c -", "ZUNION 1 few", "XRANGE stream - 5",
    "XRANGE stream - + COUNT 5", "XREVRANGE stream + -  COUNT 2", "SORT few",
    # what writes to a hash reads the fields that it names, of a hash of any size
    "HSET hash 1 x 11 y", "HMSET hash 1 x 11 y", "HSETNX hash 11 y", "HINCRBY hash n 1",
    "HINCRBYFLOAT hash n 0.5", "HDEL hash 1 2 3 4 5 6", "HEXPIRE hash 100 FIELDS 6 1 2 3 4 5 6",
    "HPERSIST hash FIELDS 1 1", "HGETEX hash PERSIST FIELDS 1 1", "HGETDEL hash FIELDS 2 1 2",
    "HSETEX hash EX 100 FIELDS 1 1 x", "HLEN hash", "HMGET hash 1 2 3 4 5 6", "HSCAN hash 0",
    "HRANDFIELD hash 2", "HTTL hash FIELDS 1 1", "DEL hash",
]  # fmt: skip
#: Requests that are wrong: their commands say how, with or without guards.
WRONG = [
    "LRANGE list x y", "LRANGE string 0 -1", "SMEMBERS string", "SMEMBERS list", "HGETALL set",
    "HKEYS list", "HVALS string",
    "SUNION string set", "ZRANGE zset x y", "ZRANGE zset a b BYSCORE", "ZRANGE same x y BYLEX",
    "ZRANGE zset 0 -1 LIMIT 0", "ZRANGEBYSCORE zset x y", "ZRANGEBYSCORE string 1 2",
    "XRANGE stream x y", "XRANGE stream - + COUNT", "XRANGE stream - + COUNT x",
    "XRANGE string - +", "SORT string", "ZUNION x zset", "SINTERCARD 0 set",
]  # fmt: skip
MANY = [
    "MGET a b c", "SINTER a b c", "SINTERSTORE x a b c", "SINTERCARD 3 a b c", "SUNION a b c",
    "SUNIONSTORE x a b c", "SDIFF a b c", "SDIFFSTORE x a b c", "ZUNION 3 a b c",
    "ZUNIONSTORE x 3 a b c", "ZINTER 3 a b c", "ZINTERSTORE x 3 a b c", "ZINTERCARD 3 a b c",
    "ZDIFF 3 a b c", "ZDIFFSTORE x 3 a b c", "PFCOUNT a b c", "PFMERGE x a b c",
    "BLPOP a b c 1", "BRPOP a b c 1", "BLMPOP 1 3 a b c LEFT", "BZPOPMIN a b c 1",
    "BZPOPMAX a b c 1", "BZMPOP 1 3 a b c MIN",
]  # fmt: skip


@pytest.fixture(name="party")
def make_party() -> Party:
    return Party()


def guarded(party: Party, line: str, elements: int = 0, keys: int = 0) -> Guest:
    """Set the guards up in a server that has something of every type it knows."""
    if line.split(maxsplit=1)[0].lower() not in TABLE:
        pytest.skip("the server lacks the command")
    guest = party.join()
    for setup in SETUP:
        if setup.split()[0].lower() in TABLE:
            guest.say(setup)
    party.engine.safety.limit(elements, keys)
    return guest


def exists(guest: Guest, key: str) -> bool:
    return bool(guest.ask("EXISTS", key))


@pytest.mark.parametrize(("line", "key", "size"), REFUSED)
def test_reading_too_much_is_refused(party: Party, line: str, key: str, size: int) -> None:
    guest = guarded(party, line, LIMIT)
    if not exists(guest, key):
        pytest.skip("the server lacks the type")
    name = line.split(maxsplit=1)[0].lower()
    assert guest.say(line) == (
        f"ERR Command '{name}' on key '{key}' aborted: collection size ({size}) exceeds "
        f"'max_collection_scan_keys' limit ({LIMIT}). Use SCAN-family commands instead."
    )
    party.engine.safety.limit(0, 0)
    reply: Any = guest.say(line)
    assert not str(reply).startswith("ERR"), reply


@pytest.mark.parametrize("line", PASSED)
def test_reading_no_more_than_that_passes(party: Party, line: str) -> None:
    guest = guarded(party, line, LIMIT)
    guarded_reply = guest.say(line)
    assert not str(guarded_reply).startswith("ERR"), guarded_reply


@pytest.mark.parametrize("line", WRONG)
def test_what_is_wrong_is_said_by_its_command(party: Party, line: str) -> None:
    guest = guarded(party, line)
    reply = guest.say(line)
    party.engine.safety.limit(LIMIT, 100)
    assert guest.say(line) == reply


@pytest.mark.parametrize("line", MANY)
def test_many_keys_are_refused_and_not_the_one_that_is_stored(party: Party, line: str) -> None:
    guest = guarded(party, line, keys=2)
    name = line.split(maxsplit=1)[0].lower()
    assert guest.say(line) == (
        f"ERR Command '{name}' aborted: number of keys (3) exceeds 'max_set_operation_keys' "
        f"limit (2)."
    )
    party.engine.safety.limit(0, 3)
    reply = guest.say(line)
    assert "max_set_operation_keys" not in str(reply)


@pytest.mark.parametrize("line", [*(line for line, _, _ in REFUSED), *MANY])
def test_what_is_refused_changes_nothing(party: Party, line: str) -> None:
    """Not a key, not a deadline, not who is blocked, and nothing is propagated."""
    guest = guarded(party, line)
    guest.say("SET x value EX 1000")
    sink = RecordingSink()
    party.engine.effects.add_sink(sink)
    digest, dirty = guest.say("DEBUG DIGEST"), party.engine.effects.dirty
    party.engine.safety.limit(LIMIT, 2)
    assert str(guest.say(line)).startswith("ERR Command ")
    assert guest.say("DEBUG DIGEST") == digest
    assert party.engine.effects.dirty == dirty
    assert not guest.connection.has(SessionFlag.BLOCKED)
    assert sink.take() == b""


@pytest.mark.parametrize(("line", "key", "size"), REFUSED)
def test_in_a_transaction_it_is_refused_when_it_runs(
    party: Party, line: str, key: str, size: int
) -> None:
    """What was queued before may have changed how much there is to read."""
    guest = guarded(party, line, LIMIT)
    refusal = f"aborted: collection size ({size}) exceeds"
    guest.say("MULTI")
    for words in (line, f"DEL {key}", line):
        assert guest.say(words) == "QUEUED"
    refused, deleted, passed = guest.say("EXEC")
    assert refusal in str(refused)
    assert deleted == 1
    assert "aborted" not in str(passed)


def test_every_guarded_command_has_a_case() -> None:
    named = {line.split()[0].lower() for line, _, _ in REFUSED} | {
        line.split()[0].lower() for line in MANY
    }
    assert named | {"keys"} == set(GUARDS)
