"""The arguments of the `spineldb` program, read into what to do and which settings they override.

Its own flags come first in the usage text; besides, every name that CONFIG knows is a flag with
redis-server's manners: `--maxmemory 100mb --save "" --bind 0.0.0.0 ::1`. Nothing is started, read
or printed here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import NamedTuple

from spineldb.config.loading import STANDARD_INPUT, Override
from spineldb.config.nearest import nearest
from spineldb.config.parameters import BY_NAME

USAGE = """\
usage: spineldb [FILE] [options]
       spineldb SUBCOMMAND ...

  FILE, --config PATH   configuration: TOML, or a redis.conf; - reads standard input
                        (without one, config.toml in the working directory if it exists)
  --host ADDRESS        address to listen on
  --port N              TCP port
  --log-level LEVEL     trace, debug, info, warn, error; or a filter: info,replication=debug
  --set KEY=VALUE       any setting by its path in the file, like limits.proto_max_bulk_len=1gb
  --NAME VALUE ...      any setting by its name in Redis, like --maxmemory 100mb or --save ""
  --check-config        report what is wrong with the configuration, and exit
  --warden PATH         run the failover monitor instead
  --version             print the version, and exit
  --help                print this, and exit

Every setting can also come from the environment: SPINELDB_LIMITS__PROTO_MAX_BULK_LEN=1gb.
Flags override the environment, which overrides the file.
"""


class Action(Enum):
    """What the program is asked to do."""

    SERVE = "serve"
    CHECK = "check the configuration"
    HELP = "print the usage"
    VERSION = "print the version"
    WARDEN = "run the failover monitor"
    SUBCOMMAND = "run a subcommand"


class UsageError(Exception):
    """Arguments that make no sense; the program prints the text on stderr and exits `status`."""

    def __init__(self, text: str, status: int = 2) -> None:
        super().__init__(text)
        self.status = status


class Arguments(NamedTuple):
    """What the command line said."""

    action: Action = Action.SERVE
    config: str | None = None
    overrides: tuple[Override, ...] = ()
    subcommand: str = ""
    rest: tuple[str, ...] = ()  # of a subcommand, or the path after --warden


def parse(arguments: Sequence[str], subcommands: Sequence[str] = ()) -> Arguments:
    """Read the arguments that follow the program's name; raise `UsageError`."""
    if "--version" in arguments:
        return Arguments(Action.VERSION)
    if "--help" in arguments or "-h" in arguments[:1]:
        return Arguments(Action.HELP)
    if arguments[:1] == ["--warden"]:
        if len(arguments) != 2:
            raise UsageError("usage: spineldb --warden PATH", status=1)
        return Arguments(Action.WARDEN, rest=(arguments[1],))
    first = arguments[0] if arguments else "--"
    if first in subcommands:
        return Arguments(Action.SUBCOMMAND, subcommand=first, rest=tuple(arguments[1:]))
    if first.startswith("--"):
        return _Reader(arguments).read(None)
    if first == STANDARD_INPUT or first.endswith((".conf", ".toml")):
        return _Reader(arguments[1:]).read(first)
    meant = nearest(first, subcommands)
    hint = f", did you mean '{meant}'?" if meant else ""
    raise UsageError(f"unknown subcommand '{first}'{hint}")


class _Reader:
    """Walks over flags; each takes the words that follow it."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self.arguments = arguments
        self.position = 0
        self.action = Action.SERVE
        self.config: str | None = None
        self.overrides: list[Override] = []

    def read(self, config: str | None) -> Arguments:
        self.config = config
        own: dict[str, Callable[[str, list[str]], None]] = {
            "--config": self._config,
            "--check-config": self._check,
            "--log-level": self._log_level,
            "--port": self._port,
            "--set": self._set,
            "--warden": self._warden,
        }
        while self.position < len(self.arguments):
            flag, words = self._next()
            own.get(flag, self._parameter)(flag, words)
        return Arguments(self.action, self.config, tuple(self.overrides))

    def _next(self) -> tuple[str, list[str]]:
        """Return the next flag and its words: up to the next flag, or what follows its `=`."""
        flag = self.arguments[self.position]
        if not flag.startswith("--") or flag == "--":
            raise UsageError(f"unexpected argument '{flag}'")
        end = self.position + 1
        while end < len(self.arguments) and not self.arguments[end].startswith("--"):
            end += 1
        words = list(self.arguments[self.position + 1 : end])
        self.position = end
        flag, equals, value = flag.partition("=")
        return flag, [value, *words] if equals else words

    def _one(self, flag: str, words: list[str], what: str) -> str:
        if not words:
            raise UsageError(f"{flag} requires {what}")
        if len(words) > 1:
            raise UsageError(f"unexpected argument '{words[1]}'")
        return words[0]

    def _config(self, flag: str, words: list[str]) -> None:
        self.config = self._one(flag, words, "a path")

    def _check(self, _: str, words: list[str]) -> None:
        if words:
            raise UsageError(f"unexpected argument '{words[0]}'")
        self.action = Action.CHECK

    def _log_level(self, flag: str, words: list[str]) -> None:
        level = self._one(flag, words, "a level")
        self.overrides.append(Override(flag, "loglevel", (level,)))

    def _port(self, flag: str, words: list[str]) -> None:
        if not words:
            raise UsageError("--port flag requires a value", status=1)
        port = self._one(flag, words, "a number")
        if not (port.isascii() and port.isdecimal() and int(port) <= 65535):
            raise UsageError(f"Invalid port number: {port}", status=1)
        self.overrides.append(Override(flag, "port", (str(int(port)),)))

    def _set(self, flag: str, words: list[str]) -> None:
        setting = self._one(flag, words, "key=value")
        path, equals, value = setting.partition("=")
        if not equals:
            raise UsageError(f"{flag} requires key=value, not '{setting}'")
        label = f"{flag} {path.strip()}"
        self.overrides.append(Override(label, path.strip(), (value.strip(),), is_toml=True))

    def _warden(self, _: str, __: list[str]) -> None:
        raise UsageError("usage: spineldb --warden PATH", status=1)

    def _parameter(self, flag: str, words: list[str]) -> None:
        name = flag.removeprefix("--").lower()
        entry = BY_NAME.get(name)
        if entry is None or not entry.listed:
            meant = nearest(name, BY_NAME)
            hint = f", did you mean --{meant}?" if meant else ""
            raise UsageError(f"unknown flag '{flag}'{hint}")
        self.overrides.append(Override(flag, name, tuple(words)))
