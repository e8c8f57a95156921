"""The commands whose CPU is compared, one line each: name, request, what must be there before.

Placeholders are explained in `load.PLACEHOLDERS`. A request with `{each}` or `{fresh}` uses up
what it finds, so its dataset is made anew for every round. A server that answers the first
request with an error does not have the command and is left out of that row.
"""

from __future__ import annotations

from dataclasses import dataclass

STRINGS = ("SET {each} xxxxxxxxxx",)
NUMBERS = ("SET {each} {number}",)
DEADLINES = ("SET {each} xxxxxxxxxx EX {seconds}",)
NOTHING = ()
TEN = " ".join(f"member:{number:03}" for number in range(10))
SETS = (f"SADD {{each}} {TEN}",)
TWO_SETS = (f"SADD {{each}} {TEN}", "SADD other member:003 member:007 member:011 member:012")

SCORED = " ".join(f"{number} member:{number:03}" for number in range(10))
FIELDS = " ".join(f"field:{number:04} xxxxxxxxxx" for number in range(10))
HASHES = (f"HSET {{each}} {FIELDS}",)
COUNTS = (f"{HASHES[0]} count {{number}}",)
TIMED_HASHES = (
    *HASHES,
    "HSETEX {each} EX {seconds} FIELDS 2 field:0003 xxxxxxxxxx field:0007 xxxxxxxxxx",
)
LISTS = ("RPUSH {each} " + " ".join(f"element:{number:02}" for number in range(10)),)
ONE_LIST = ("RPUSH l {member}",)
ZSETS = (f"ZADD {{each}} {SCORED}",)
UNSORTED = " ".join(str(number * 7919 % 100_000) for number in range(3, 13))
NUMBER_LISTS = (f"RPUSH {{each}} {UNSORTED}",)
NUMBER_SETS = (f"SADD {{each}} {UNSORTED}",)
NUMBER_ZSETS = ("ZADD {each}" + "".join(f" {n} {word}" for n, word in enumerate(UNSORTED.split())),)
WEIGHED = (
    *NUMBER_LISTS,
    "MSET" + "".join(f" w:{number} -{number}" for number in UNSORTED.split()),
    *(f"HSET h:{number} f -{number} g x" for number in UNSORTED.split()),
)
TWO_ZSETS = (*ZSETS, "ZADD other 1 member:003 2 member:007 3 member:011 4 member:012")


@dataclass(frozen=True, slots=True)
class Command:
    """One row: `request` is measured on `keys` keys made by `setup`."""

    name: str
    request: str
    setup: tuple[str, ...] = STRINGS
    keys: int = 100_000
    commands: int = 100_000
    is_rebuilt: bool = False  # before every round, although no key is used up
    is_varying: bool = False  # its replies have no constant number of lines


# Measured at every depth of pipeline, on a million keys.
HOT = (
    Command("SET", "SET {key} {value}"),
    Command("GET", "GET {key}"),
    Command("INCR", "INCR {key}", NUMBERS),
    Command("MSET (10)", "MSET" + " {key} {value}" * 10),
    Command("SADD", "SADD s {value}", NOTHING, is_rebuilt=True),
    Command("SPOP", "SPOP s", ("SADD s {member}",), is_rebuilt=True),
    Command("HSET", "HSET h {value} {value}", NOTHING, is_rebuilt=True),
    Command("HGET", "HGET {key} field:0005", HASHES),
    Command("HGETALL (10)", "HGETALL {key}", HASHES),
    Command("LPUSH", "LPUSH l {value}", NOTHING, is_rebuilt=True),
    Command("RPUSH", "RPUSH l {value}", NOTHING, is_rebuilt=True),
    Command("LPOP", "LPOP l", ONE_LIST, is_rebuilt=True),
    Command("RPOP", "RPOP l", ONE_LIST, is_rebuilt=True),
    Command("ZADD", "ZADD z {number} {value}", NOTHING, is_rebuilt=True),
    Command("ZPOPMIN", "ZPOPMIN z", ("ZADD z {number} {member}",), is_rebuilt=True),
    Command("ZRANGE 0 9", "ZRANGE {key} 0 9", ZSETS),
)

# Measured as a whole: seven requests, which are one.
TRANSACTION = Command(
    "MULTI, 5 x INCR, EXEC", "MULTI ; " + "INCR {key} ; " * 5 + "EXEC", NUMBERS, commands=30_000
)

# Measured like the hot ones, with fewer commands: their replies are long.
RANGES = (
    Command("LRANGE 100", "LRANGE l 0 99", ONE_LIST, keys=1000, commands=20_000),
    Command("LRANGE 300", "LRANGE l 0 299", ONE_LIST, keys=1000, commands=10_000),
    Command("LRANGE 600", "LRANGE l 0 599", ONE_LIST, keys=1000, commands=6000),
)

# Measured on one sorted set of a million members.
LARGE_ZSET = (
    Command("ZADD", "ZADD z {score} {value}", ("ZADD z {score} {member}",), is_rebuilt=True),
    Command("ZRANK", "ZRANK z {one}", ("ZADD z {score} {member}",), is_varying=True),
    Command(
        "ZRANGE of 100",
        "ZRANGE z {score} +inf BYSCORE LIMIT 0 100",
        ("ZADD z {score} {member}",),
        is_varying=True,
    ),
    Command("XADD", "XADD stream * name {value} value {value}", NOTHING, is_rebuilt=True),
)

STRING_COMMANDS = (
    Command("APPEND", "APPEND {key} xxxxxxxxxx", is_rebuilt=True),
    Command("DECR", "DECR {key}", NUMBERS),
    Command("DECRBY", "DECRBY {key} 7", NUMBERS),
    Command("GET, missing", "GET {fresh}"),
    Command("GETDEL", "GETDEL {each}"),
    Command("GETEX", "GETEX {key}"),
    Command("GETEX EX", "GETEX {key} EX {seconds}"),
    Command("GETEX PERSIST", "GETEX {each} PERSIST", DEADLINES),
    Command("GETRANGE", "GETRANGE {key} 2 5"),
    Command("GETSET", "GETSET {key} {value}"),
    Command("INCRBY", "INCRBY {key} 7", NUMBERS),
    Command("INCRBYFLOAT", "INCRBYFLOAT {key} 0.5", NUMBERS),
    Command("LCS", "LCS {key} {key}"),
    Command("LCS LEN", "LCS {key} {key} LEN"),
    Command("MGET (10)", "MGET" + " {key}" * 10, commands=30_000),
    Command("MSETEX (10)", "MSETEX 10" + " {key} {value}" * 10 + " EX 10000", commands=30_000),
    Command("MSETNX (10)", "MSETNX" + " {fresh} {value}" * 10, NOTHING, commands=30_000),
    Command("PSETEX", "PSETEX {key} 10000000 {value}"),
    Command("SET, new", "SET {fresh} {value}", NOTHING),
    Command("SET EX", "SET {key} {value} EX {seconds}"),
    Command("SET GET", "SET {key} {value} GET"),
    Command("SET IFEQ", "SET {key} xxxxxxxxxx IFEQ xxxxxxxxxx"),
    Command("SET KEEPTTL", "SET {key} {value} KEEPTTL", DEADLINES),
    Command("SET NX, new", "SET {fresh} {value} NX", NOTHING),
    Command("SET XX", "SET {key} {value} XX"),
    Command("SETEX", "SETEX {key} {seconds} {value}"),
    Command("SETNX, new", "SETNX {fresh} {value}", NOTHING),
    Command("SETNX, there", "SETNX {key} {value}"),
    Command("SETRANGE", "SETRANGE {key} 5 yyyyy"),
    Command("STRLEN", "STRLEN {key}"),
    Command("SUBSTR", "SUBSTR {key} 2 5"),
    Command("DELIFEQ", "DELIFEQ {each} xxxxxxxxxx"),
)

BITMAP_COMMANDS = (
    Command("BITCOUNT", "BITCOUNT {key}"),
    Command("BITCOUNT, range", "BITCOUNT {key} 2 7"),
    Command("BITCOUNT BIT", "BITCOUNT {key} 5 {bit} BIT"),
    Command("BITFIELD GET", "BITFIELD {key} GET u8 {bit}"),
    Command("BITFIELD SET", "BITFIELD {key} SET u8 {bit} {number}"),
    Command("BITFIELD INCRBY", "BITFIELD {key} OVERFLOW SAT INCRBY i5 {bit} 1"),
    Command("BITFIELD_RO", "BITFIELD_RO {key} GET u8 {bit}"),
    Command("BITOP AND", "BITOP AND d {key} {key}"),
    Command("BITOP ANDOR", "BITOP ANDOR d {key} {key} {key}"),
    Command("BITOP DIFF", "BITOP DIFF d {key} {key}"),
    Command("BITOP DIFF1", "BITOP DIFF1 d {key} {key}"),
    Command("BITOP NOT", "BITOP NOT d {key}"),
    Command("BITOP ONE", "BITOP ONE d {key} {key}"),
    Command("BITOP OR", "BITOP OR d {key} {key}"),
    Command("BITOP XOR", "BITOP XOR d {key} {key}"),
    Command("BITPOS", "BITPOS {key} 1"),
    Command("BITPOS, range", "BITPOS {key} 1 {byte} 9"),
    Command("GETBIT", "GETBIT {key} {bit}"),
    Command("SETBIT", "SETBIT {key} {bit} 1"),
)

SKETCH = ("PFADD {each} e0 e1 e2 e3 e4 e5 e6 e7 e8 e9",)
LARGE_SKETCH = tuple(
    "PFADD {each} " + " ".join(f"e{n}" for n in range(first, first + 500))
    for first in range(0, 5000, 500)
)

HYPERLOGLOG_COMMANDS = (
    Command("PFADD", "PFADD {key} {value}", SKETCH, is_rebuilt=True),
    Command("PFADD, new", "PFADD {fresh} {value}", NOTHING),
    Command("PFADD, dense", "PFADD {key} {value}", LARGE_SKETCH, keys=100, is_rebuilt=True),
    Command("PFCOUNT", "PFCOUNT {key}", SKETCH),
    Command("PFCOUNT (2)", "PFCOUNT {key} {key}", SKETCH, commands=20_000),
    Command("PFCOUNT (2), dense", "PFCOUNT {key} {key}", LARGE_SKETCH, keys=100, commands=10_000),
    Command("PFMERGE", "PFMERGE d {key} {key}", SKETCH, commands=20_000),
    Command("PFMERGE, dense", "PFMERGE d {key} {key}", LARGE_SKETCH, keys=100, commands=10_000),
)

PLACES = (
    "GEOADD {each} "
    + " ".join(f"{2.3 + n / 100:.2f} {48.8 + n / 100:.2f} member-{n:03d}" for n in range(10)),
)

GEO_COMMANDS = (
    Command("GEOADD", "GEOADD {key} 2.25 48.85 {value}", PLACES, is_rebuilt=True),
    Command("GEODIST", "GEODIST {key} member-003 member-007", PLACES),
    Command("GEOHASH", "GEOHASH {key} member-003", PLACES),
    Command("GEOPOS", "GEOPOS {key} member-003", PLACES),
    Command("GEORADIUS", "GEORADIUS {key} 2.35 48.85 10 km", PLACES, commands=20_000),
    Command(
        "GEORADIUSBYMEMBER", "GEORADIUSBYMEMBER {key} member-003 10 km", PLACES, commands=20_000
    ),
    Command(
        "GEOSEARCH", "GEOSEARCH {key} FROMLONLAT 2.35 48.85 BYRADIUS 10 km", PLACES, commands=20_000
    ),
    Command(
        "GEOSEARCH BYBOX WITHDIST ASC",
        "GEOSEARCH {key} FROMMEMBER member-003 BYBOX 9 9 km WITHDIST ASC COUNT 5",
        PLACES,
        commands=20_000,
    ),
    Command(
        "GEOSEARCHSTORE",
        "GEOSEARCHSTORE d {key} FROMLONLAT 2.35 48.85 BYRADIUS 10 km",
        PLACES,
        commands=20_000,
    ),
)

# On one filter, beside a server that has loaded RedisBloom; the others are left out.
FILTER = ("BF.RESERVE f 0.01 1000000", "BF.MADD f" + " {each}" * 10)
BLOOM_COMMANDS = (
    Command("BF.ADD", "BF.ADD f {value}", FILTER),
    Command("BF.ADD, creating", "BF.ADD {fresh} x", NOTHING),
    Command("BF.CARD", "BF.CARD f", FILTER),
    Command("BF.EXISTS", "BF.EXISTS f {key}", FILTER),
    Command("BF.EXISTS, missing", "BF.EXISTS f {value}", FILTER),
    Command("BF.INFO", "BF.INFO f SIZE", FILTER),
    Command("BF.INSERT", "BF.INSERT f ITEMS {value}", FILTER),
    Command("BF.MADD (10)", "BF.MADD f" + " {value}" * 10, FILTER, commands=30_000),
    Command("BF.MEXISTS (10)", "BF.MEXISTS f" + " {key}" * 10, FILTER, commands=30_000),
)

KEY_COMMANDS = (
    Command("COPY", "COPY {each} {fresh}"),
    Command("DBSIZE", "DBSIZE"),
    Command("DEL", "DEL {each}"),
    Command("DEL (10)", "DEL" + " {each}" * 10, commands=10_000),
    Command("EXISTS", "EXISTS {key}"),
    Command("EXPIRE", "EXPIRE {key} {seconds}"),
    Command("EXPIRE GT", "EXPIRE {key} {seconds} GT", DEADLINES),
    Command("EXPIRE NX", "EXPIRE {key} {seconds} NX", is_rebuilt=True),
    Command("EXPIRE XX", "EXPIRE {key} {seconds} XX", DEADLINES),
    Command("EXPIREAT", "EXPIREAT {key} 33177117420"),
    Command("EXPIRETIME", "EXPIRETIME {key}", DEADLINES),
    Command("KEYS, of 100", "KEYS k:*", keys=100, commands=10_000),
    Command("KEYS, one of 100", "KEYS k:000000000042", keys=100, commands=40_000),
    Command("MOVE", "MOVE {each} 1"),
    Command("OBJECT ENCODING", "OBJECT ENCODING {key}"),
    Command("OBJECT IDLETIME", "OBJECT IDLETIME {key}"),
    Command("OBJECT REFCOUNT", "OBJECT REFCOUNT {key}"),
    Command("MEMORY USAGE", "MEMORY USAGE {key}"),
    Command("PERSIST", "PERSIST {each}", DEADLINES),
    Command("PEXPIRE", "PEXPIRE {key} 10000000"),
    Command("PEXPIREAT", "PEXPIREAT {key} 33177117420000"),
    Command("PEXPIRETIME", "PEXPIRETIME {key}", DEADLINES),
    Command("PTTL", "PTTL {key}", DEADLINES),
    Command("RANDOMKEY", "RANDOMKEY"),
    Command("RENAME", "RENAME {each} {fresh}"),
    Command("RENAMENX", "RENAMENX {each} {fresh}"),
    Command("SCAN", "SCAN 0 COUNT 10", commands=40_000, is_varying=True),
    Command("SCAN MATCH", "SCAN 0 MATCH *7 COUNT 10", commands=40_000, is_varying=True),
    Command("SCAN TYPE", "SCAN 0 TYPE string COUNT 10", commands=40_000, is_varying=True),
    Command("SORT (10)", "SORT {key}", NUMBER_LISTS, commands=30_000),
    Command("SORT (10), a set", "SORT {key}", NUMBER_SETS, commands=30_000),
    Command("SORT (10), a sorted set", "SORT {key}", NUMBER_ZSETS, commands=30_000),
    Command("SORT (10) ALPHA DESC", "SORT {key} ALPHA DESC", NUMBER_LISTS, commands=30_000),
    Command(
        "SORT (10) BY LIMIT 3", "SORT {key} BY w:* LIMIT 0 3", WEIGHED, keys=10_000, commands=30_000
    ),
    Command(
        "SORT (10) BY GET, hashes",
        "SORT {key} BY h:*->f GET # GET h:*->g",
        WEIGHED,
        keys=10_000,
        commands=30_000,
    ),
    Command("SORT (10) STORE", "SORT {key} STORE d", NUMBER_LISTS, commands=30_000),
    Command("SORT_RO (10)", "SORT_RO {key}", NUMBER_LISTS, commands=30_000),
    Command("SWAPDB", "SWAPDB 0 1"),
    Command("TOUCH", "TOUCH {key}"),
    Command("TTL", "TTL {key}", DEADLINES),
    Command("TTL, without", "TTL {key}"),
    Command("TYPE", "TYPE {key}"),
    Command("UNLINK", "UNLINK {each}"),
)

LIST_COMMANDS = (
    Command("BLMOVE", "BLMOVE {key} {key} LEFT RIGHT 1", LISTS, is_rebuilt=True),
    Command("BLMPOP", "BLMPOP 1 1 {each} LEFT", LISTS, commands=40_000),
    Command("BLPOP", "BLPOP {each} 1", LISTS),
    Command("BRPOP", "BRPOP {each} 1", LISTS),
    Command("BRPOPLPUSH", "BRPOPLPUSH {key} {key} 1", LISTS, is_rebuilt=True),
    Command("LINDEX", "LINDEX {key} 5", LISTS),
    Command("LINSERT", "LINSERT {key} BEFORE element:05 {value}", LISTS, is_rebuilt=True),
    Command("LLEN", "LLEN {key}", LISTS),
    Command("LMOVE", "LMOVE {key} {key} LEFT RIGHT", LISTS, is_rebuilt=True),
    Command("LMOVE, another", "LMOVE {each} {fresh} LEFT RIGHT", LISTS),
    Command("LMPOP", "LMPOP 1 {each} LEFT", LISTS),
    Command("LMPOP (3)", "LMPOP 1 {each} RIGHT COUNT 3", LISTS),
    Command("LPOP", "LPOP {each}", LISTS),
    Command("LPOP (3)", "LPOP {each} 3", LISTS),
    Command("LPOS", "LPOS {key} element:07", LISTS),
    Command("LPUSH, new key", "LPUSH {fresh} {value}", NOTHING),
    Command("LPUSH", "LPUSH {key} {value}", LISTS, is_rebuilt=True),
    Command("LPUSHX", "LPUSHX {key} {value}", LISTS, is_rebuilt=True),
    Command("LRANGE", "LRANGE {key} 0 -1", LISTS),
    Command("LREM", "LREM {each} 0 element:05", LISTS),
    Command("LSET", "LSET {key} 5 {value}", LISTS),
    Command("LTRIM", "LTRIM {each} 1 -2", LISTS),
    Command("RPOP", "RPOP {each}", LISTS),
    Command("RPOP (3)", "RPOP {each} 3", LISTS),
    Command("RPOPLPUSH", "RPOPLPUSH {key} {key}", LISTS, is_rebuilt=True),
    Command("RPUSH, new key", "RPUSH {fresh} {value}", NOTHING),
    Command("RPUSH (10), new key", "RPUSH {fresh}" + " {value}" * 10, NOTHING, commands=30_000),
    Command("RPUSHX", "RPUSHX {key} {value}", LISTS, is_rebuilt=True),
)

HASH_COMMANDS = (
    Command("HDEL", "HDEL {each} field:0004", HASHES),
    Command("HEXISTS", "HEXISTS {key} field:0007", HASHES),
    Command("HEXPIRE", "HEXPIRE {key} {seconds} FIELDS 1 field:0003", HASHES, is_rebuilt=True),
    Command("HEXPIRE GT", "HEXPIRE {key} {seconds} GT FIELDS 1 field:0003", TIMED_HASHES),
    Command("HEXPIREAT", "HEXPIREAT {key} 33177117420 FIELDS 1 field:0003", TIMED_HASHES),
    Command("HEXPIRETIME", "HEXPIRETIME {key} FIELDS 1 field:0003", TIMED_HASHES),
    Command("HGET, missing", "HGET {key} {value}", HASHES),
    Command("HGETDEL", "HGETDEL {each} FIELDS 1 field:0003", HASHES),
    Command("HGETEX", "HGETEX {key} FIELDS 1 field:0003", HASHES),
    Command("HGETEX EX", "HGETEX {key} EX {seconds} FIELDS 1 field:0003", TIMED_HASHES),
    Command("HGETEX PERSIST", "HGETEX {each} PERSIST FIELDS 1 field:0003", TIMED_HASHES),
    Command("HINCRBY", "HINCRBY {key} count 7", COUNTS),
    Command("HINCRBYFLOAT", "HINCRBYFLOAT {key} count 0.5", COUNTS),
    Command("HKEYS", "HKEYS {key}", HASHES),
    Command("HLEN", "HLEN {key}", HASHES),
    Command("HMGET (3)", "HMGET {key} field:0001 field:0009 {value}", HASHES),
    Command("HMSET (10), new key", f"HMSET {{fresh}} {FIELDS}", NOTHING, commands=30_000),
    Command("HPERSIST", "HPERSIST {each} FIELDS 1 field:0003", TIMED_HASHES),
    Command("HPEXPIRE", "HPEXPIRE {key} 10000000 FIELDS 1 field:0003", TIMED_HASHES),
    Command("HPEXPIREAT", "HPEXPIREAT {key} 33177117420000 FIELDS 1 field:0003", TIMED_HASHES),
    Command("HPEXPIRETIME", "HPEXPIRETIME {key} FIELDS 1 field:0003", TIMED_HASHES),
    Command("HPTTL", "HPTTL {key} FIELDS 1 field:0003", TIMED_HASHES),
    Command("HRANDFIELD", "HRANDFIELD {key}", HASHES),
    Command("HRANDFIELD (3)", "HRANDFIELD {key} 3 WITHVALUES", HASHES),
    Command("HRANDFIELD (3), repeating", "HRANDFIELD {key} -3", HASHES),
    Command("HSCAN", "HSCAN {key} 0", HASHES),
    Command("HSCAN NOVALUES", "HSCAN {key} 0 NOVALUES", HASHES),
    Command("HSET, new key", "HSET {fresh} field:0000 {value}", NOTHING),
    Command("HSET (10), new key", f"HSET {{fresh}} {FIELDS}", NOTHING, commands=30_000),
    Command("HSET, there", "HSET {key} field:0005 {value}", HASHES),
    Command("HSETEX", "HSETEX {key} FIELDS 1 field:0003 {value}", HASHES),
    Command("HSETEX EX", "HSETEX {key} EX {seconds} FIELDS 1 field:0003 {value}", TIMED_HASHES),
    Command("HSETNX, new", "HSETNX {fresh} field:0003 {value}", NOTHING),
    Command("HSETNX, there", "HSETNX {key} field:0003 {value}", HASHES),
    Command("HSTRLEN", "HSTRLEN {key} field:0003", HASHES),
    Command("HTTL", "HTTL {key} FIELDS 1 field:0003", TIMED_HASHES),
    Command("HVALS", "HVALS {key}", HASHES),
)

SET_COMMANDS = (
    Command("SADD, new key", "SADD {fresh} {value}", NOTHING),
    Command("SADD (10), new key", f"SADD {{fresh}} {TEN}", NOTHING, commands=30_000),
    Command("SADD, there", "SADD {key} member:005", SETS),
    Command("SCARD", "SCARD {key}", SETS),
    Command("SDIFF", "SDIFF {key} other", TWO_SETS),
    Command("SDIFFSTORE", "SDIFFSTORE d {key} other", TWO_SETS),
    Command("SINTER", "SINTER {key} other", TWO_SETS),
    Command("SINTERCARD", "SINTERCARD 2 {key} other", TWO_SETS),
    Command("SINTERSTORE", "SINTERSTORE d {key} other", TWO_SETS),
    Command("SISMEMBER", "SISMEMBER {key} member:007", SETS),
    Command("SISMEMBER, missing", "SISMEMBER {key} {value}", SETS),
    Command("SMEMBERS", "SMEMBERS {key}", SETS),
    Command("SMISMEMBER (3)", "SMISMEMBER {key} member:001 member:009 {value}", SETS),
    Command("SMOVE", "SMOVE {each} other member:004", TWO_SETS),
    Command("SPOP (3)", "SPOP {each} 3", SETS),
    Command("SPOP (10)", "SPOP {each} 10", SETS),
    Command("SRANDMEMBER", "SRANDMEMBER {key}", SETS),
    Command("SRANDMEMBER (3)", "SRANDMEMBER {key} 3", SETS),
    Command("SRANDMEMBER (3), repeating", "SRANDMEMBER {key} -3", SETS),
    Command("SREM", "SREM {each} member:004", SETS),
    Command("SSCAN", "SSCAN {key} 0", SETS),
    Command("SUNION", "SUNION {key} other", TWO_SETS),
    Command("SUNIONSTORE", "SUNIONSTORE d {key} other", TWO_SETS),
)

ZSET_COMMANDS = (
    Command("BZMPOP", "BZMPOP 1 1 {each} MIN", ZSETS),
    Command("BZPOPMAX", "BZPOPMAX {each} 1", ZSETS),
    Command("BZPOPMIN", "BZPOPMIN {each} 1", ZSETS),
    Command("ZADD, new key", "ZADD {fresh} 1 {value}", NOTHING),
    Command("ZADD (10), new key", f"ZADD {{fresh}} {SCORED}", NOTHING, commands=30_000),
    Command("ZADD, there", "ZADD {key} {number} member:005", ZSETS, is_rebuilt=True),
    Command("ZCARD", "ZCARD {key}", ZSETS),
    Command("ZCOUNT", "ZCOUNT {key} 2 7", ZSETS),
    Command("ZDIFF", "ZDIFF 2 {key} other", TWO_ZSETS),
    Command("ZDIFFSTORE", "ZDIFFSTORE d 2 {key} other", TWO_ZSETS),
    Command("ZINCRBY", "ZINCRBY {key} 1.5 member:004", ZSETS, is_rebuilt=True),
    Command("ZINTER", "ZINTER 2 {key} other", TWO_ZSETS),
    Command("ZINTERCARD", "ZINTERCARD 2 {key} other", TWO_ZSETS),
    Command("ZINTERSTORE", "ZINTERSTORE d 2 {key} other", TWO_ZSETS),
    Command("ZLEXCOUNT", "ZLEXCOUNT {key} - +", ZSETS),
    Command("ZMPOP", "ZMPOP 1 {each} MIN", ZSETS),
    Command("ZMPOP (3)", "ZMPOP 1 {each} MAX COUNT 3", ZSETS),
    Command("ZMSCORE (3)", "ZMSCORE {key} member:001 member:009 {value}", ZSETS),
    Command("ZPOPMAX", "ZPOPMAX {each}", ZSETS),
    Command("ZPOPMIN (3)", "ZPOPMIN {each} 3", ZSETS),
    Command("ZRANDMEMBER", "ZRANDMEMBER {key}", ZSETS),
    Command("ZRANDMEMBER (3)", "ZRANDMEMBER {key} 3", ZSETS),
    Command("ZRANGE, by name", "ZRANGE {key} - + BYLEX", ZSETS),
    Command("ZRANGE, by score", "ZRANGE {key} 2 7 BYSCORE", ZSETS),
    Command("ZRANGE, with scores", "ZRANGE {key} 0 9 WITHSCORES", ZSETS),
    Command("ZRANGEBYLEX", "ZRANGEBYLEX {key} - +", ZSETS),
    Command("ZRANGEBYSCORE", "ZRANGEBYSCORE {key} 2 7", ZSETS),
    Command("ZRANGESTORE", "ZRANGESTORE d {key} 0 9", ZSETS),
    Command("ZRANK", "ZRANK {key} member:007", ZSETS),
    Command("ZREM", "ZREM {each} member:004", ZSETS),
    Command("ZREMRANGEBYLEX", "ZREMRANGEBYLEX {each} [member:002 [member:004", ZSETS),
    Command("ZREMRANGEBYRANK", "ZREMRANGEBYRANK {each} 2 4", ZSETS),
    Command("ZREMRANGEBYSCORE", "ZREMRANGEBYSCORE {each} 2 4", ZSETS),
    Command("ZREVRANGE", "ZREVRANGE {key} 0 9", ZSETS),
    Command("ZREVRANGEBYLEX", "ZREVRANGEBYLEX {key} + -", ZSETS),
    Command("ZREVRANGEBYSCORE", "ZREVRANGEBYSCORE {key} 7 2", ZSETS),
    Command("ZREVRANK", "ZREVRANK {key} member:007", ZSETS),
    Command("ZSCAN", "ZSCAN {key} 0", ZSETS),
    Command("ZSCORE", "ZSCORE {key} member:007", ZSETS),
    Command("ZUNION", "ZUNION 2 {key} other", TWO_ZSETS),
    Command("ZUNIONSTORE", "ZUNIONSTORE d 2 {key} other", TWO_ZSETS),
)

CONNECTION_COMMANDS = (
    Command("CLIENT ID", "CLIENT ID", NOTHING),
    Command("ECHO", "ECHO {value}", NOTHING),
    Command("PING", "PING", NOTHING),
    Command("SELECT", "SELECT 0", NOTHING),
    Command("TIME", "TIME", NOTHING),
)

ENTRIES = tuple(f"XADD {{each}} {n}-1 name xxxxxxxxxx value xxxxxxxxxx" for n in range(1, 11))
GROUP = (*ENTRIES, "XGROUP CREATE {each} g 0", "XGROUP CREATECONSUMER {each} g c")
PENDING = (*GROUP, "XREADGROUP GROUP g c STREAMS {each} >")

STREAM_COMMANDS = (
    Command("XACK", "XACK {each} g 1-1 2-1", PENDING, keys=20_000, commands=20_000),
    Command("XACKDEL", "XACKDEL {each} g IDS 2 1-1 2-1", PENDING, keys=20_000, commands=20_000),
    Command("XADD, many", "XADD {key} * name {value}", ENTRIES, 20_000, is_rebuilt=True),
    Command("XADD, new", "XADD {fresh} * name {value} value {value}", NOTHING),
    Command("XADD MAXLEN ~", "XADD {key} MAXLEN ~ 10 * name {value}", ENTRIES, is_rebuilt=True),
    Command("XAUTOCLAIM", "XAUTOCLAIM {key} g d 0 0", PENDING, keys=20_000, commands=40_000),
    Command("XCLAIM", "XCLAIM {key} g d 0 1-1 2-1", PENDING, keys=20_000, commands=40_000),
    Command("XDEL", "XDEL {each} 1-1 2-1", ENTRIES, keys=20_000, commands=20_000),
    Command("XDELEX", "XDELEX {each} IDS 2 1-1 2-1", ENTRIES, keys=20_000, commands=20_000),
    Command("XGROUP CREATE", "XGROUP CREATE {each} g 0", ENTRIES, 20_000, 20_000),
    Command("XGROUP CREATECONSUMER", "XGROUP CREATECONSUMER {each} g d", GROUP, 20_000, 20_000),
    Command("XGROUP DELCONSUMER", "XGROUP DELCONSUMER {each} g c", PENDING, 20_000, 20_000),
    Command("XGROUP DESTROY", "XGROUP DESTROY {each} g", PENDING, 20_000, 20_000),
    Command("XGROUP SETID", "XGROUP SETID {key} g 5-1", GROUP, keys=20_000),
    Command("XINFO CONSUMERS", "XINFO CONSUMERS {key} g", PENDING, keys=20_000, is_varying=True),
    Command("XINFO GROUPS", "XINFO GROUPS {key}", PENDING, keys=20_000),
    Command("XINFO STREAM", "XINFO STREAM {key}", ENTRIES, keys=20_000),
    Command("XINFO STREAM FULL", "XINFO STREAM {key} FULL", PENDING, 20_000, 40_000),
    Command("XLEN", "XLEN {key}", ENTRIES, keys=20_000),
    Command("XPENDING", "XPENDING {key} g", PENDING, keys=20_000),
    Command("XPENDING, range", "XPENDING {key} g - + 10", PENDING, keys=20_000),
    Command("XRANGE (10)", "XRANGE {key} - +", ENTRIES, keys=20_000),
    Command("XREAD", "XREAD BLOCK 1000 STREAMS {key} 9-1", ENTRIES, keys=20_000),
    Command("XREAD (10)", "XREAD COUNT 10 STREAMS {key} 0", ENTRIES, keys=20_000),
    Command(
        "XREADGROUP", "XREADGROUP GROUP g c COUNT 1 BLOCK 9 STREAMS {each} >", GROUP, 20_000, 20_000
    ),
    Command("XREADGROUP (10)", "XREADGROUP GROUP g c STREAMS {each} >", GROUP, 20_000, 20_000),
    Command("XREADGROUP, history", "XREADGROUP GROUP g c STREAMS {key} 0", PENDING, 20_000, 40_000),
    Command("XREVRANGE (10)", "XREVRANGE {key} + -", ENTRIES, keys=20_000),
    Command("XSETID", "XSETID {key} 10-1", ENTRIES, keys=20_000),
    Command("XTRIM", "XTRIM {each} MAXLEN 5", ENTRIES, keys=20_000, commands=20_000),
)

FAMILIES = {
    "Strings": STRING_COMMANDS,
    "Bitmaps": BITMAP_COMMANDS,
    "HyperLogLogs": HYPERLOGLOG_COMMANDS,
    "Geo": GEO_COMMANDS,
    "Bloom filters": BLOOM_COMMANDS,
    "Keys": KEY_COMMANDS,
    "Lists": LIST_COMMANDS,
    "Hashes": HASH_COMMANDS,
    "Sets": SET_COMMANDS,
    "Sorted sets": ZSET_COMMANDS,
    "Streams": STREAM_COMMANDS,
    "Connection": CONNECTION_COMMANDS,
}
