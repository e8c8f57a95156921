"""Record how a real Redis matches globs, reads floats, and words errors.

    python tests/reference/record_texts.py REDIS_PORT tests/reference/redis-8.2-texts.json

`globs`: a list of texts, and per pattern the numbers of those that match. `floats`: per text what
it is as a score and what INCRBYFLOAT makes of it. `sums`: what INCRBYFLOAT answers to two numbers.
`errors`: requests and their error replies, on a dataset of a string `s` and a list `l`. Everything
stands as Latin-1. The server is emptied.
"""

from __future__ import annotations

import json
import random
import socket
import sys
from pathlib import Path
from typing import Any

import redis

ALPHABET = ["a", "b", "c", "*", "?", "[", "]", "^", "-", "\\", "\xff", "\x80", "B", "*"]
PLAIN = ["a", "b", "c", "B", "-", "]", "\xff", "\x80", "*", "\\", "[", "^"]
FLOATS = [
    "1", "1e3", "inf", "+inf", "-Infinity", "iNfInItY", "infin", "0x1p3", "0x10", "0x1.8", "0x",
    "0x.8p1", "0xp1", "0x1p", "nan", "-nan", "nan(1)", "1_0", " 1", "1 ", "\t1", "\x0b1", "1\0", "",
    "+5", "010", ".5", "5.", ".", "+", "-.5", "+.5e1", "--1", "1e", "1e+5", "1E5", "1e400",
    "-1e400", "1e-400", "5e-324", "2e-324", "1e-4951", "1e4932", "1e5000", "1d", "1f", "1,5",
    "0.1.2", "0b1",
    "1.7976931348623159e308", "1e99999999999999999999", "0e99999999999999999999", "0.1",
    "17179869184", "12345678901234567890", "1e300", "1e-10", "1e-6", "1e-7", "1.5e-7",
    "123456.789e-5", "1e21", "1e22", "4611686018427387904", "9223372036854775808", "0.00001234",
    "1234567890.123456789",
]  # fmt: skip
ERRORS = """\
foo a b|GET|SET a|SET a b foo|SET a b EX 0|SET a b EX x|SET a b EX 99999999999999999|SETEX a 0 b
PSETEX a -1 b|SET a b NX XX|INCR s|INCRBY s x|INCR l|INCRBYFLOAT s 1|INCRBYFLOAT n inf
DECRBY n -9223372036854775808|INCRBY big 1|SETRANGE s -1 x|SETRANGE s 536870912 x|SETBIT s -1 1
SETBIT s 1 2|GETBIT s x|BITOP foo d a|BITOP not d a b|BITOP diff d a|BITPOS s 2|BITCOUNT s 0
BITFIELD s get u64 0|BITFIELD s get u8 -1|BITFIELD s overflow foo|BITFIELD_RO s set u8 0 1
LCS s s len idx|LCS l s|MSET a|RENAME nokey x|COPY s s|COPY s t db 99|MOVE s 99|SELECT 99|SELECT x
SWAPDB x 0|SWAPDB 0 x|EXPIRE s 10 foo|EXPIRE s 10 nx xx|EXPIRE s 10 gt lt|EXPIRE s x
EXPIRE s 9223372036854775807|SCAN x|SCAN 0 count 0|OBJECT freq s|OBJECT foo s|FLUSHALL foo
CLIENT foo|CLIENT kill foo|CLIENT kill id 0|CLIENT kill type foo|CLIENT kill maxage x
CLIENT kill user nobody|CLIENT list id x|CLIENT list type foo|CLIENT setinfo foo bar
CLIENT pause x|CLIENT pause -1|CLIENT pause 1 foo|CLIENT unblock 1 foo|HELLO 4|HELLO x|HELLO 3 foo
AUTH x|AUTH a b|COMMAND getkeys foo|COMMAND getkeys get|COMMAND getkeys ping
COMMAND getkeys zunion x a|CONFIG set foo 1|CONFIG set maxmemory x|CONFIG set timeout x
CONFIG set timeout -1|CONFIG rewrite
CONFIG set appendfsync foo|CONFIG set protected-mode maybe|CONFIG set databases 5|CONFIG set dir /x
CONFIG set timeout 1 timeout 2|CONFIG set notify-keyspace-events Q|DEBUG foo|DEBUG protocol foo
DEBUG reload foo|LATENCY graph foo|SLOWLOG get -2|SHUTDOWN abort|MODULE load x|BLPOP l -1|BLPOP l x
BLPOP l inf|LPOP l -1|MSETNX a b c"""


def bytes_of(text: str) -> bytes:
    """Turn a text of the recording into bytes."""
    return text.encode("latin-1")


def answer(wire: socket.socket, *words: str | bytes) -> str:
    """Send a request; return its reply, or its error behind a `-` as it stands on the wire."""
    raw = [word.encode("latin-1") if isinstance(word, str) else word for word in words]
    wire.sendall(b"*%d\r\n" % len(raw) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in raw))
    stream = wire.makefile("rb")
    line = stream.readline().decode("latin-1").removesuffix("\r\n")
    if line.startswith("$") and line != "$-1":
        return stream.read(int(line[1:]) + 2).decode("latin-1").removesuffix("\r\n")
    return line


def globs(server: redis.Redis, rng: random.Random) -> dict[str, Any]:
    """Record which keys SCAN finds for random patterns."""
    texts = sorted({"".join(rng.choices(PLAIN, k=rng.randint(1, 6))) for _ in range(70)})
    server.flushall()
    for text in texts:
        server.set(bytes_of(text), b"")
    patterns: dict[str, list[int]] = {}
    while len(patterns) < 1200:
        pattern = "".join(rng.choices(ALPHABET, k=rng.randint(2, 8)))
        found = server.execute_command("SCAN", 0, "MATCH", bytes_of(pattern), "COUNT", 100000)[1]
        patterns[pattern] = sorted(texts.index(one.decode("latin-1")) for one in found)
    return {"texts": texts, "patterns": patterns}


def floats(wire: socket.socket) -> dict[str, list[str]]:
    """Record texts as scores and as increments of nothing."""
    found: dict[str, list[str]] = {}
    for text in FLOATS:
        answer(wire, "FLUSHALL")
        added = answer(wire, "ZADD", "z", bytes_of(text), "m")
        score = added if added.startswith("-") else answer(wire, "ZSCORE", "z", "m")
        found[text] = [score, answer(wire, "INCRBYFLOAT", "f", bytes_of(text))]
    return found


def sums(wire: socket.socket, rng: random.Random) -> list[list[str]]:
    """Record sums of INCRBYFLOAT."""
    found = [["10.50", "0.1"], ["3.0", "0"], ["3", "1e300"], ["0.1", "0.2"], ["inf", "-inf"]]
    found += [
        ["1e4932", "1e4932"],
        ["-0.1", "0.1"],
        ["-0", "0"],
        ["1e-17", "4e-18"],
        ["5e-18", "0"],
    ]
    for _ in range(150):
        found.append(
            [
                f"{rng.uniform(-1000, 1000):.{rng.randint(0, 20)}f}e{rng.randint(-20, 20)}",
                str(rng.randint(-(10**18), 10**18) / 10 ** rng.randint(0, 18)),
            ]
        )
    for pair in found:
        answer(wire, "SET", "f", pair[0])
        pair.append(answer(wire, "INCRBYFLOAT", "f", pair[1]))
    return found


def errors(wire: socket.socket) -> dict[str, str]:
    """Record error replies."""
    answer(wire, "FLUSHALL")
    answer(wire, "MSET", "s", "abc", "n", "1", "big", str(2**63 - 1))
    answer(wire, "RPUSH", "l", "a")
    lines = ERRORS.replace("\n", "|").split("|")
    return {line: answer(wire, *line.split(" ")) for line in lines}


def main() -> None:
    """Write the recording."""
    port, target = sys.argv[1:]
    server = redis.Redis(port=int(port), protocol=2)
    wire = socket.create_connection(("127.0.0.1", int(port)))
    rng = random.Random(82)
    recording = {
        "read_from": f"Redis {server.info()['redis_version']}",
        "globs": globs(server, rng),
        "floats": floats(wire),
        "sums": sums(wire, rng),
        "errors": errors(wire),
    }
    lines = [f"{json.dumps(name)}: {json.dumps(part)}" for name, part in recording.items()]
    Path(target).write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
