"""Sets: members without an order, each of them once."""

from __future__ import annotations

from spineldb.core import hot_set_algebra, hot_set_random, hot_sets
from spineldb.engine.command import (
    ACCESS,
    DELETE,
    DENYOOM,
    FAST,
    INSERT,
    OW,
    READONLY,
    RO,
    UPDATE,
    WRITE,
    Family,
)
from spineldb.engine.reply import Members

family = Family("set")

ANY_ORDER = ("nondeterministic_output_order",)
ANY = ("nondeterministic_output",)

# Members.


@family.compiled(
    "SADD key member [member ...]",
    WRITE | DENYOOM | FAST,
    hot_sets.SADD_BODY,
    since="1.0.0",
    key=INSERT,
    history=(("2.4.0", "Takes several members."),),
)
def sadd(key: bytes, *members: bytes) -> int:
    """Add members to a set, creating the set if it is missing.

    Returns how many members were new. O(N) in the members given.
    """


@family.compiled(
    "SREM key member [member ...]",
    WRITE | FAST,
    hot_sets.SREM_BODY,
    since="1.0.0",
    key=DELETE,
    history=(("2.4.0", "Takes several members."),),
)
def srem(key: bytes, *members: bytes) -> int:
    """Take members out of a set; a set that loses its last one is deleted.

    Returns how many there were. O(N) in the members given.
    """


@family.compiled(
    "SMOVE source:key destination:key member",
    WRITE | FAST,
    hot_sets.SMOVE_BODY,
    since="1.0.0",
    key=(ACCESS | DELETE, INSERT),
)
def smove(source: bytes, destination: bytes, member: bytes) -> int:
    """Move a member from one set to another.

    Returns 1 if it was in the first, else 0, and then nothing has changed. O(1).
    """


@family.compiled(
    "SISMEMBER key member", READONLY | FAST, hot_sets.SISMEMBER_BODY, since="1.0.0", key=RO
)
def sismember(key: bytes, member: bytes) -> int:
    """Tell whether something is a member of a set. O(1)."""


@family.compiled(
    "SMISMEMBER key member [member ...]", READONLY | FAST, hot_sets.SMISMEMBER_BODY, since="6.2.0"
)
def smismember(key: bytes, *members: bytes) -> list[int]:
    """Tell which of several are members of a set. O(N) in those given."""


@family.compiled("SCARD key", READONLY | FAST, hot_sets.SCARD_BODY, since="1.0.0", key=RO)
def scard(key: bytes) -> int:
    """Return how many members a set has; 0 if it is missing. O(1)."""


@family.compiled("SMEMBERS key", READONLY, hot_sets.SMEMBERS_BODY, since="1.0.0", tips=ANY_ORDER)
def smembers(key: bytes) -> Members:
    """Return all members of a set. O(N) in its size."""


@family.compiled(
    "SSCAN key cursor:integer [MATCH pattern] [COUNT count:integer]",
    READONLY,
    hot_sets.SSCAN_BODY,
    since="2.8.0",
    tips=ANY,
)
def sscan(key: bytes, cursor: bytes, *options: bytes) -> list[bytes | list[bytes]]:
    """Return some members of a set, and the cursor by which the iteration goes on.

    A member that is there from the first step to the last is returned at least once. O(1) for each
    step; `COUNT` says of about how many members.
    """


# Random members.


@family.compiled(
    "SPOP key [count:integer]",
    WRITE | FAST,
    hot_set_random.SPOP_BODY,
    since="1.0.0",
    key=ACCESS | DELETE,
    added={"3.2.0": "count"},
    history=(("3.2.0", "Added the `count` argument."),),
    tips=ANY,
)
def spop(key: bytes, count: bytes = b"") -> bytes | Members | None:
    """Take random members out of a set and return them.

    What is propagated is SREM of those, or DEL. O(N) in the members taken.
    """


@family.compiled(
    "SRANDMEMBER key [count:integer]",
    READONLY,
    hot_set_random.SRANDMEMBER_BODY,
    since="1.0.0",
    added={"2.6.0": "count"},
    history=(("2.6.0", "Added the `count` argument."),),
    tips=ANY,
)
def srandmember(key: bytes, count: bytes = b"") -> bytes | list[bytes] | None:
    """Return random members of a set: as many different ones as `count` says.

    A negative count draws that many times, so that members may repeat. O(N) in the count.
    """


# Algebra.


@family.compiled(
    "SINTER key [key ...]", READONLY, hot_set_algebra.SINTER_BODY, since="1.0.0", tips=ANY_ORDER
)
def sinter(*keys: bytes) -> Members:
    """Return the members that all sets have. O(N*M): N in the smallest set, M sets."""


@family.compiled(
    "SINTERSTORE destination:key key [key ...]",
    WRITE | DENYOOM,
    hot_set_algebra.SINTERSTORE_BODY,
    since="1.0.0",
    key=(OW | UPDATE, RO | ACCESS),
)
def sinterstore(destination: bytes, *keys: bytes) -> int:
    """Store the members that all sets have under a key, over what is there.

    Returns how many they are; without any the key is deleted. O(N*M): N in the smallest set, M
    sets.
    """


@family.compiled(
    "SINTERCARD numkeys:integer key [key ...] [LIMIT limit:integer]",
    READONLY,
    hot_set_algebra.SINTERCARD_BODY,
    since="7.0.0",
)
def sintercard(numkeys: bytes, *rest: bytes) -> int:
    """Count the members that all sets have, up to a limit.

    O(N*M): N in the smallest set, M sets.
    """


@family.compiled(
    "SUNION key [key ...]", READONLY, hot_set_algebra.SUNION_BODY, since="1.0.0", tips=ANY_ORDER
)
def sunion(*keys: bytes) -> Members:
    """Return the members that any set has. O(N) in all members together."""


@family.compiled(
    "SUNIONSTORE destination:key key [key ...]",
    WRITE | DENYOOM,
    hot_set_algebra.SUNIONSTORE_BODY,
    since="1.0.0",
    key=(OW | UPDATE, RO | ACCESS),
)
def sunionstore(destination: bytes, *keys: bytes) -> int:
    """Store the members that any set has under a key, over what is there.

    Returns how many they are; without any the key is deleted. O(N) in all members together.
    """


@family.compiled(
    "SDIFF key [key ...]", READONLY, hot_set_algebra.SDIFF_BODY, since="1.0.0", tips=ANY_ORDER
)
def sdiff(*keys: bytes) -> Members:
    """Return the members of the first set that no other set has. O(N) in all members together."""


@family.compiled(
    "SDIFFSTORE destination:key key [key ...]",
    WRITE | DENYOOM,
    hot_set_algebra.SDIFFSTORE_BODY,
    since="1.0.0",
    key=(OW | UPDATE, RO | ACCESS),
)
def sdiffstore(destination: bytes, *keys: bytes) -> int:
    """Store the members of the first set that no other set has under a key, over what is there.

    Returns how many they are; without any the key is deleted. O(N) in all members together.
    """
