"""Fill the settings: defaults, then the file, then the environment, then flags.

Whatever is wrong is gathered rather than raised at once, so that one run shows everything there is
to mend, each with its place and the value found (secrets masked). A file is TOML or a redis.conf,
told apart by its name or, failing that, by its content.
"""

from __future__ import annotations

import functools
import glob
import re
import sys
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from spineldb import errors
from spineldb.config import validation
from spineldb.config.kinds import Refused
from spineldb.config.nearest import nearest
from spineldb.config.parameter import Parameter, View
from spineldb.config.parameters import (
    BY_NAME,
    OBSOLETE,
    PARAMETERS,
    SECTIONS,
    Acl,
    Security,
    Server,
)
from spineldb.config.redis_conf import directives
from spineldb.config.settings import Settings, Source
from spineldb.config.toml_text import Layout, is_table

DEFAULT_FILE = "config.toml"
STANDARD_INPUT = "-"

MOVED = {"password": "security.password", "security.acl_file": "acl_file"}
"""Keys that the original's documents showed in the wrong place, where it ignored them."""

_IGNORED_VARIABLES = frozenset({
    "SPINELDB_LOG", "SPINELDB_VERSION",
    "SPINELDB_VARIANT", "SPINELDB_SOAK", "SPINELDB_REDIS8", "SPINELDB_VALKEY9", "SPINELDB_REDIS7",
})  # fmt: skip
_BY_PATH = {parameter.path: parameter for parameter in PARAMETERS}
_TABLES = {section.table for section in SECTIONS}
_MAX_INCLUDES = 16


class Override(NamedTuple):
    """A setting from the command line: where it was said, a name, and words."""

    label: str
    name: str
    words: tuple[str, ...]
    is_toml: bool = False  # --set: a dotted path, and a value by the file's rules


class LoadError(Exception):
    """A configuration that cannot be used; the text lists everything wrong with it."""

    def __init__(self, file: str | None, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        lines = "\n".join(f"  {problem}" for problem in problems)
        origin = f' from "{file}"' if file is not None else ""
        super().__init__(f"Failed to load configuration{origin}:\n{lines}")


class Loaded(NamedTuple):
    """Settings, and what to tell the operator about them."""

    settings: Settings
    warnings: list[str]


def load(
    file: str | None = None,
    overrides: Iterable[Override] = (),
    environment: Mapping[str, str] | None = None,
) -> Loaded:
    """Return the settings that file, environment and flags give, or raise `LoadError`.

    Without a `file`, `config.toml` in the working directory is read if there is one.
    """
    loader = _Loader()
    loader.read_file(file)
    loader.read_environment(environment or {})
    loader.read_overrides(overrides)
    loader.validate()
    if loader.problems:
        raise LoadError(loader.settings.file or file, loader.problems)
    return Loaded(loader.settings, loader.warnings)


class _Loader:
    def __init__(self) -> None:
        self.settings = Settings()
        self.problems: list[str] = []
        self.warnings: list[str] = []
        self._positions: Callable[[str], str] = lambda _: ""
        self._save_given = False

    # Files.

    def read_file(self, file: str | None) -> None:
        if file is None and not Path(DEFAULT_FILE).exists():
            self.warnings.append(f"no {DEFAULT_FILE} here: running on the embedded defaults")
            return
        name = file or DEFAULT_FILE
        try:
            content = _read(name)
        except OSError as error:
            self.problems.append(f"Failed to read config file at '{name}': {error.strerror}")
            return
        if name != STANDARD_INPUT:
            self.settings.file = str(Path(name).absolute())
        if is_toml(name, content):
            self._read_toml(name, content)
        else:
            self._read_redis_conf(name, content)

    def _read_toml(self, name: str, content: bytes) -> None:
        try:
            text = content.decode("utf-8-sig")
            data = tomllib.loads(text)
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            self.problems.append(f"{name}:{line}: not UTF-8")
            return
        except tomllib.TOMLDecodeError as error:
            self.problems.append(f"{name}:{_syntax_error(str(error))}")
            return

        layout = functools.cache(Layout)  # scanned only if there is something to point at

        def position(path: str) -> str:
            line, column = layout(text).position(tuple(path.split(".")))
            return f"{name}:{line}:{column}: "

        self._positions = position
        strict = data.get("strict_config") is not False
        if "tls" in data:  # the original's defaults where the table exists
            self.settings.tls.__dict__.update(cert_path="spineldb.crt", key_path="spineldb.key")
        self._read_table(data, "", strict)

    def _read_table(self, data: Mapping[str, Any], table: str, strict: bool) -> None:
        for key, raw in data.items():
            path = f"{table}.{key}" if table else key
            if path in MOVED:
                self.warnings.append(
                    f"{self._positions(path)}{path} is deprecated: it belongs at {MOVED[path]}"
                )
            parameter = _BY_PATH.get(MOVED.get(path, path))
            if parameter is not None:
                self._decode(parameter, raw, Source.FILE, self._positions(path))
            elif is_table(raw) and path in _TABLES:
                self._read_table(raw, path, strict)
            else:
                complaint = f"{self._positions(path)}unknown key '{path}'{_suggestion(path)}"
                (self.problems if strict else self.warnings).append(complaint)

    def _decode(self, parameter: Parameter[Any], raw: Any, source: Source, where: str) -> None:
        self._take(parameter, where, raw, lambda: parameter.kind.decode(raw), source)

    def _take(
        self,
        parameter: Parameter[Any],
        where: str,
        shown: object,
        read: Callable[[], object],
        source: Source,
    ) -> None:
        """Store what `read` returns, or note why it refuses."""
        try:
            self.settings.assign(parameter, read(), source)
        except Refused as refusal:
            value = "***" if parameter.secret else _show(shown)
            reason = str(refusal)
            if reason.startswith("cannot be"):
                self.problems.append(f"{where}{parameter.path} {reason}")
            elif reason.startswith(("expected", "argument")):
                self.problems.append(f"{where}{parameter.path}: {reason}, not {value}")
            else:
                self.problems.append(f"{where}{parameter.path}: {reason}")

    def _read_redis_conf(self, name: str, content: bytes, depth: int = 0) -> None:
        if depth > _MAX_INCLUDES:
            self.problems.append(f"{name}: too many includes within includes")
            return
        for line, words in directives(content):
            where = f"{name}:{line}: "
            if not words:
                self.problems.append(f"{where}{errors.UNBALANCED}")
            elif words[0].lower() == "include":
                self._include(where, words[1:], depth)
            else:
                self._directive(where, words[0].lower(), words[1:])

    def _include(self, where: str, words: tuple[str, ...], depth: int) -> None:
        if len(words) != 1:
            self.problems.append(f"{where}include: {errors.WRONG_COUNT}")
            return
        for name in sorted(glob.glob(words[0])) or [words[0]]:  # noqa: PTH207 - may be absolute
            try:
                content = Path(name).read_bytes()
            except OSError as error:
                self.problems.append(f"{where}include: {name}: {error.strerror}")
                continue
            self._read_redis_conf(name, content, depth + 1)

    def _directive(self, where: str, name: str, words: tuple[str, ...]) -> None:
        match name:
            case "rename-command":
                self._rename(where, words)
            case "user":
                user = {"name": words[0] if words else "", "rules": list(words[1:])}
                self.settings.assign(Acl.users, (*self.settings.acl.users, user), Source.FILE)
            case "loadmodule":
                self.warnings.append(f"{where}loadmodule is ignored: there are no modules to load")
            case "save" if self._save_given and words != ("",):
                text = " ".join((self.settings.text("save"), *words)).strip()
                self._apply(where, name, (text,), Source.FILE)
            case _:
                self._save_given = self._save_given or name == "save"
                self._apply(where, name, words, Source.FILE)

    def _rename(self, where: str, words: tuple[str, ...]) -> None:
        if len(words) != 2:
            self.problems.append(f"{where}rename-command: {errors.WRONG_COUNT}")
            return
        names = dict(self.settings.security.rename_commands)
        names[words[0]] = words[1]
        self.settings.assign(Security.rename_commands, names, Source.FILE)

    def _apply(self, where: str, name: str, words: tuple[str, ...], source: Source) -> None:
        """Apply a directive of redis.conf, or a flag in its style."""
        entry = BY_NAME.get(name)
        if entry is None:
            if name in OBSOLETE:
                self.warnings.append(f"{where}{name} is obsolete and ignored")
            else:
                self.problems.append(f"{where}unknown directive '{name}'{_suggestion(name)}")
            return
        several = entry.several_words if isinstance(entry, View) else entry.kind.several_words
        if not words or (len(words) > 1 and not several):
            self.problems.append(f"{where}{name}: {errors.WRONG_COUNT}")
            return
        text = " ".join(words)
        try:
            self.settings.change(name, text, source)
        except Refused as refusal:
            shown = "***" if entry.secret else _show(text)
            self.problems.append(f"{where}{name}: {refusal}, not {shown}")

    # Environment and flags.

    def read_environment(self, environment: Mapping[str, str]) -> None:
        for variable in sorted(environment):
            if not variable.startswith("SPINELDB_") or variable in _IGNORED_VARIABLES:
                continue
            value = environment[variable]
            path = variable.removeprefix("SPINELDB_").lower().replace("__", ".")
            parameter = _BY_PATH.get(path) or _BY_PATH.get(path.replace("_", "-"))
            if parameter is None:
                self.warnings.append(f"environment: {variable} names no setting{_suggestion(path)}")
            elif re.match(r"(tcp|udp)://", value) and parameter is Server.port:
                self.warnings.append(f"environment: {variable} is a container link, and ignored")
            else:
                self._from_text(parameter, value, Source.ENVIRONMENT, f"{variable}: ")
        if "SPINELDB_LOG" in environment:
            level = environment["SPINELDB_LOG"]
            self._from_text(Server.log_level, level, Source.ENVIRONMENT, "SPINELDB_LOG: ")

    def _from_text(self, parameter: Parameter[Any], text: str, source: Source, where: str) -> None:
        self._take(parameter, where, text, lambda: parameter.kind.from_text(text), source)

    def read_overrides(self, overrides: Iterable[Override]) -> None:
        for override in overrides:
            where = f"{override.label}: "
            if not override.is_toml:
                self._apply(where, override.name.lower(), override.words, Source.FLAG)
                continue
            path = MOVED.get(override.name, override.name)
            parameter = _BY_PATH.get(path)
            if parameter is None:
                self.problems.append(f"{where}unknown key '{path}'{_suggestion(path)}")
            else:
                self._from_text(parameter, override.words[0], Source.FLAG, where)

    def validate(self) -> None:
        if self.problems:
            return  # they would only follow from what is known already
        for parameter, text in validation.problems(self.settings):
            self.problems.append(f"{self._where(parameter)}{text}")
        for parameter, text in validation.warnings(self.settings):
            self.warnings.append(f"{self._where(parameter)}{text}")

    def _where(self, parameter: Parameter[Any]) -> str:
        source = self.settings.source(parameter)
        return self._positions(parameter.path) if source is Source.FILE else ""


def _read(name: str) -> bytes:
    if name == STANDARD_INPUT:
        return sys.stdin.buffer.read()
    return Path(name).read_bytes()


def is_toml(name: str, content: bytes) -> bool:
    """Whether a file is TOML rather than a redis.conf: by its name, else by its first real line."""
    if name.endswith((".toml", ".conf")):
        return name.endswith(".toml")
    for raw in content.splitlines():
        line = raw.strip()
        if line and not line.startswith(b"#"):
            return line.startswith(b"[") or re.match(rb"[\w.\"'-]+\s*=", line) is not None
    return True


def _syntax_error(text: str) -> str:
    found = re.search(r"(.*) \(at line (\d+), column (\d+)\)", text)
    return f"{found[2]}:{found[3]}: {found[1]}" if found else f" {text}"


def _show(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


def _suggestion(name: str) -> str:
    """Return ` (did you mean ...?)` for a name that is close to one we know."""
    entry = BY_NAME.get(name.replace("_", "-")) or BY_NAME.get(name)
    if isinstance(entry, Parameter):
        return f" (did you mean '{entry.path}'?)"
    table, _, key = name.rpartition(".")
    names = [path for path in _BY_PATH if path.rpartition(".")[0] == table]
    meant = nearest(name, names) or nearest(name, [*_BY_PATH, *BY_NAME, *_TABLES - {""}])
    homes = [path for path in _BY_PATH if path.rpartition(".")[2] == key]
    meant = meant or (homes[0] if len(homes) == 1 else None)
    return f" (did you mean '{meant}'?)" if meant else ""
