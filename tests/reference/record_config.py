"""Record how a real Redis answers CONFIG SET, for every parameter and telling values of it.

    python tests/reference/record_config.py REDIS_SERVER tests/reference/redis-8.2-config.json

The recording has three parts. `set`: per parameter, `[value, error or null, value printed after]`.
`file`: the same for the parameters that only a file or a flag can set, as `[value, error or null]`.
`pairs`: whole CONFIG SET requests with several pairs. The tests replay all of it on our table.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import redis

INTEGERS = [
    "", "abc", "0", "1", "-1", "-2", "5", "10", "64", "65", "100", "101", "1000", "1001",
    "65535", "65536", "2147483647", "2147483648", "4294967296", "9223372036854775807",
    "9223372036854775808", "-9223372036854775808", "18446744073709551616", "010", "+5", " 5",
    "5 ", "5kb", "1.5", "0x10",
]  # fmt: skip
MEMORY = [
    "", "abc", "0", "1", "-1", "100", "1000000", "1048576", "1k", "1kb", "1K", "1Kb", "3m", "3MB",
    "2g", "2gb", "5b", "5B", "1t", "1tb", "1.5gb", "10%", "50%", "100%", "101%", "-5%", "%", "k",
    "2147483648", "4294967296", "9223372036854775807", "18446744073709551615",
    "18446744073709551616", " 5mb", "5 mb", "010", "+5",
]  # fmt: skip
BOOLS = ["", "yes", "no", "YES", "No", "1", "0", "true", "maybe"]
STRINGS = ["", "abc", "a b", "ÄÖ", "with\nnewline", "a/b"]
SPECIAL = {
    "save": [
        "", "900 1", "900 1 300 10", "900", "a b", "0 1", "-1 1", "900 -1", "900 0", "900  1",
        " 900 1", "900 1 ", "1.5 1", "900 1 300", "99999999999 1", "900 99999999999",
        "300 10 900 1", "900 1 900 2", "010 1", '""', "+5 1",
    ],
    "client-output-buffer-limit": [
        "", "normal 0 0 0", "normal 1 2", "foo 1 2 3", "master 1 2 3", "slave 1mb 512k 60",
        "replica 256mb 64mb 60", "pubsub 32mb 8mb 60 normal 1 1 1", "normal x 0 0",
        "normal 0 x 0", "normal 0 0 x", "normal 0 0 -1", "normal -1 0 0", "NORMAL 5 5 5",
        "normal 10% 0 0", "normal 0 0 1.5", "normal 1 2 3 normal 4 5 6", "normal 0 0 1s",
        "normal 0 0 99999999999",
    ],
    "notify-keyspace-events": [
        "", "KEA", "AKE", "KEx", "Kg$lshzxetdmn", "KEAm", "KEAn", "Elgx", "q", "KEA q", "oc", "K",
        "A", "g$lshzxetd", "KEg$lshzxetdoc", "KEAoc", "E$ln",
    ],
    "oom-score-adj-values": [
        "", "0 200 800", "1 2", "1 2 3", "3 2 1", "1 2 5000", "a b c", "-2000 0 2000",
        "-2001 0 0", "0 0 0", "0 0 0 0", "1.5 2 3",
    ],
    "latency-tracking-info-percentiles": [
        "", "50 99 99.9", "50 101", "-1", "0", "100", "abc", "50 abc", "99.99999", "50 50",
        "1e1", "nan", "0.001 12.3456789", "50  99",
    ],
    "shutdown-on-sigint": ["", "default", "save", "nosave", "now", "force", "save now",
        "save nosave", "foo", "nosave force now", "SAVE", "default save", "now now",
        "default now", "save  now", "force save"],
    "cluster-announce-hostname": ["", "abc", "a.b-c.d1", "a_b", "a b", "x" * 255, "x" * 256],
    "cluster-announce-human-nodename": ["", "abc", "a.b-c.d1", "a_b", "a b", "ÄÖ"],
    "proc-title-template": ["", "abc", "{title}", "{foo}", "{title} {config-file} {port}",
        "{title} {unixsocket}", "{tls-port} {server-mode}", "{"],
    "locale-collate": ["", "C", "POSIX", "no_SUCH"],
    "bind": ["300.1.2.3"],
    "port": ["", "abc", "-1", "65536", "0"],
    "tls-port": [],
    "maxclients": ["", "abc", "0", "-1", "100", "4294967296", "1kb"],
    "tls-cert-file": [""],
    "tls-key-file": [""],
    "replica-announce-ip": ["", "10.0.0.1"],
    "cluster-announce-ip": ["", "10.0.0.1", "x" * 45, "x" * 46, "::1"],
    "activedefrag": ["no", "maybe"],
    "jemalloc-bg-thread": BOOLS,
    "appendonly": ["", "no", "maybe", "yes"],
    "requirepass": ["", "abc", "a b", "x" * 600],
    "hz": INTEGERS,
    "tls-cluster": ["no", "maybe"],  # yes without a certificate ends the server
    "tls-replication": ["no", "maybe"],
}  # fmt: skip
SPECIAL["shutdown-on-sigterm"] = SPECIAL["shutdown-on-sigint"]
FILE_VALUES = [
    "", "abc", "0", "1", "-1", "16", "65536", "2147483648", "yes", "no", "a/b", "1mb", "10%",
]  # fmt: skip
FATAL = {"tls-port"}  # 8.2.3 crashes when CONFIG SET of it gets nonsense
PAIRS = [
    ["maxmemory", "1mb", "maxmemory", "2mb"],
    ["maxmemory", "1mb", "MAXMEMORY", "2mb"],
    ["lua-time-limit", "1", "busy-reply-threshold", "2"],
    ["replica-priority", "5", "slave-priority", "6"],
    ["maxmemory", "1mb", "nosuch", "2"],
    ["maxmemory", "1mb", "maxmemory-samples", "0"],
    ["maxmemory-samples", "0", "maxmemory", "x"],
    ["maxmemory", "1mb", "daemonize", "yes"],
    ["maxmemory", "1mb", "dir", "/"],
    ["nosuch", "1", "daemonize", "yes"],
    ["daemonize", "yes", "nosuch", "1"],
    ["maxmemory", "x", "maxmemory", "y"],
    ["maxmemory-samples", "7", "timeout", "3"],
    ["daemonize", "yes", "daemonize", "yes"],
    ["maxmemory-samples", "900", "daemonize", "no"],
]


class Server:
    """A real server in a temporary folder, reached by a unix socket."""

    def __init__(self, program: str, folder: str) -> None:
        socket = f"{folder}/socket"
        options = ["--port", "0", "--unixsocket", socket, "--save", "", "--dir", folder]
        self.process = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
        self.client = redis.Redis(unix_socket_path=socket, protocol=2)
        self.client.response_callbacks.clear()
        for _ in range(100):
            try:
                self.client.execute_command("PING")
            except redis.ConnectionError:
                time.sleep(0.05)
            else:
                return
        raise SystemExit("the server does not answer")

    def set(self, *arguments: str) -> str | None:
        """Send CONFIG SET; return the error text, or None."""
        try:
            self.client.execute_command("CONFIG", "SET", *arguments)
        except redis.ConnectionError:
            raise SystemExit(f"the server died of {arguments}") from None
        except redis.ResponseError as error:
            return re.sub("^ERR ", "", str(error))
        return None

    def get(self, name: str) -> str:
        """Return what CONFIG GET prints."""
        return self.client.execute_command("CONFIG GET", name)[1].decode()


def reason(error: str | None) -> str | None:
    return error and re.sub(r"^CONFIG SET failed \(possibly.*?'\) - ", "", error)


def values_for(name: str, error: str | None) -> list[str]:
    """Choose the values that tell most about a parameter, by the error that nonsense raised."""
    error = error or ""
    if "can't set" in error:
        return []
    if name in SPECIAL:
        return SPECIAL[name]
    if "one of the following" in error:
        names = error.partition(": ")[2].split(", ")
        return ["", *names, names[0].upper(), f"{names[0]} {names[-1]}"]
    kinds = {"memory": MEMORY, "integer": INTEGERS, "'yes' or 'no'": BOOLS}
    return next((values for word, values in kinds.items() if word in error), STRINGS)


def record_sets(server: Server, names: list[str]) -> dict[str, list[list[str | None]]]:
    recording = {}
    for name in names:
        default = server.get(name)
        entries: list[list[str | None]] = []
        error = None
        if name not in FATAL:
            error = reason(server.set(name, "nonsense~"))
            entries.append(["nonsense~", error, None if error else server.get(name)])
        for value in [default, *values_for(name, error)]:
            failure = reason(server.set(name, value))
            entries.append([value, failure, None if failure else server.get(name)])
        server.set(name, default)
        recording[name] = entries
    return recording


def record_files(program: str, names: list[str]) -> dict[str, list[list[str | None]]]:
    recording = {}
    for name in names:
        entries: list[list[str | None]] = []
        for value in FILE_VALUES:
            lines = f'{name} "{value}"\nhz nonsense\n'
            result = subprocess.run(
                [program, "-"], input=lines, capture_output=True, text=True, check=False
            )
            output = result.stderr or result.stdout
            found = re.search(r"at line (\d+)\n>>> .*\n(.*)\n", output)
            if found is None:
                raise SystemExit(f"no error read for {name} {value!r}: {output}")
            where, message = found.groups()
            entries.append([value, message if where == "1" else None])
        recording[name] = entries
    return recording


def main(program: str, target: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        server = Server(program, folder)
        try:
            flat = server.client.execute_command("CONFIG GET", "*")
            names = sorted(name.decode() for name in flat[::2])
            recording = record_sets(server, names)
            pairs = []
            for pair in PAIRS:
                error = server.set(*pair)
                pairs.append([pair, error, [server.get(n) for n in pair[::2] if n != "nosuch"]])
                for name in ("maxmemory", "timeout"):
                    server.set(name, "0")
                server.set("maxmemory-samples", "5")
        finally:
            server.process.terminate()
            server.process.wait()
    fixed = [name for name, entries in recording.items() if "immutable" in (entries[0][1] or "")]
    files = record_files(program, fixed)
    lines = [
        f"{json.dumps(name)}: {json.dumps(e, ensure_ascii=False)}" for name, e in recording.items()
    ]
    file_lines = [f"{json.dumps(name)}: {json.dumps(e)}" for name, e in files.items()]
    pair_lines = [json.dumps(pair) for pair in pairs]
    Path(target).write_text(
        '{"read_from": "Redis 8.2.3",\n"set": {\n' + ",\n".join(lines) + '\n},\n"file": {\n'
        + ",\n".join(file_lines) + '\n},\n"pairs": [\n' + ",\n".join(pair_lines) + "\n]}\n"
    )  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
