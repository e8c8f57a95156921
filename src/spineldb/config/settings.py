"""The settings in force: every parameter's value, where it came from, and who wants to know.

Code reads attributes: `settings.max_clients`, `settings.limits.proto_max_bulk_len`; their types are
those of the declarations in `parameters`. CONFIG goes through `get` and `set`, which speak bytes.
A part of the server that must act on a change subscribes, and may refuse by raising `Refused`:
then everything is as it was before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from typing import Any, TypeVar

from spineldb import errors
from spineldb.config.kinds import Refused, Share
from spineldb.config.parameter import Assignments, Change, Parameter, Section, View
from spineldb.config.parameters import (
    BY_NAME,
    ENTRIES,
    Accepted,
    Acl,
    Cache,
    Cluster,
    Debug,
    Encoding,
    Json,
    Latency,
    Limits,
    Metrics,
    Persistence,
    Replication,
    Safety,
    Security,
    Server,
    Slowlog,
    Tls,
)
from spineldb.config.patterns import is_pattern, matches

T = TypeVar("T")


class Source(Enum):
    """Where a value came from; a later one overrides an earlier one."""

    DEFAULT = "default"
    FILE = "file"
    ENVIRONMENT = "environment"
    FLAG = "flag"
    RUNTIME = "runtime"  # CONFIG SET, REPLICAOF: what CONFIG REWRITE writes


class Settings(Server):
    """Every parameter's value. The sections are attributes, as the file's tables are."""

    def __init__(self) -> None:
        super().__init__()
        self.security = Security()
        self.acl = Acl()
        self.limits = Limits()
        self.persistence = Persistence()
        self.replication = Replication()
        self.cluster = Cluster()
        self.tls = Tls()
        self.safety = Safety()
        self.encoding = Encoding()
        self.cache = Cache()
        self.metrics = Metrics()
        self.slowlog = Slowlog()
        self.latency = Latency()
        self.json = Json()
        self.debug = Debug()
        self.redis = Accepted()
        self.file: str | None = None
        """The file these settings came from, which CONFIG REWRITE edits."""
        sections: tuple[Section, ...] = (
            self, self.security, self.acl, self.limits, self.limits.output_buffer,
            self.persistence, self.replication, self.cluster, self.tls, self.safety,
            self.encoding, self.cache, self.metrics, self.slowlog, self.latency, self.json,
            self.debug, self.redis,
        )  # fmt: skip
        self._sections = {section.table: vars(section) for section in sections}
        self._sources: dict[Parameter[Any], Source] = {}
        self._subscribers: dict[Parameter[Any], list[Callable[[], None]]] = {}

    # Reading.

    def value(self, parameter: Parameter[T]) -> T:
        """Return the current value of a parameter."""
        table, _, key = parameter.path.rpartition(".")
        current: T = self._sections[table][key]
        return current

    def text(self, name: str) -> str:
        """Return what CONFIG GET prints for a name."""
        return self._print(BY_NAME[name.lower()])

    def source(self, parameter: Parameter[Any]) -> Source:
        """Return where a parameter's value came from."""
        return self._sources.get(parameter, Source.DEFAULT)

    def client_memory_limit(self) -> int:
        """Return the bytes all clients' buffers may take, or 0; a share is one of `maxmemory`."""
        limit = self.limits.maxmemory_clients
        return limit if limit >= 0 else self.maxmemory * -limit // 100

    def get(self, patterns: Iterable[bytes]) -> dict[bytes, bytes]:
        """Return the parameters that fit any pattern, for CONFIG GET; each once.

        A parameter answers to its Redis names, and to its TOML path where no Redis name fits.
        A name without wildcards is returned as it was typed.
        """
        found: dict[bytes, tuple[bytes, bytes]] = {}
        for pattern in patterns:
            if not is_pattern(pattern):
                entry = BY_NAME.get(_text(pattern).lower())
                if entry is not None and entry.listed:
                    found.setdefault(pattern.lower(), (pattern, _bytes(self._print(entry))))
                continue
            for entry in ENTRIES:
                for name in _fitting(entry, pattern) if entry.listed else ():
                    found.setdefault(name, (name, _bytes(self._print(entry))))
        return dict(found.values())

    def hides(self, name: bytes) -> bool:
        """Whether a parameter's value must not be shown in SLOWLOG, MONITOR and logs."""
        entry = BY_NAME.get(_text(name).lower())
        return entry is not None and entry.secret

    def _print(self, entry: Parameter[Any] | View) -> str:
        if isinstance(entry, View):
            return entry.read(self)
        return entry.kind.format(self.value(entry))

    # Changing.

    def set(self, pairs: Sequence[tuple[bytes, bytes]], *, local: bool = False) -> None:
        """Set several parameters or none; raise `ConfigUnknown` or `ConfigRejected`.

        `local` says that the client is on this machine, which `enable-protected-configs local`
        asks for.
        """
        entries = self._check_names(pairs, local)
        before: Assignments = []
        named: dict[Parameter[Any], bytes] = {}
        for (name, raw_value), entry in zip(pairs, entries, strict=True):
            try:
                assignments = self.parse(entry, _text(raw_value))
            except Refused as refusal:
                self._restore(before)
                raise errors.ConfigRejected(name, str(refusal)) from None
            for parameter, value in assignments:
                if self._differs(parameter, value):
                    before.append((parameter, self.value(parameter)))
                    named.setdefault(parameter, name)
                self.assign(parameter, value)
        self._notify(before, named)
        for parameter in named:
            self._sources[parameter] = Source.RUNTIME

    def change(self, name: str, text: str, source: Source = Source.RUNTIME) -> None:
        """Set one parameter of any kind, immutable or not, without asking the subscribers.

        For the loader, and for commands whose effect is kept as configuration, like REPLICAOF.
        Raises `Refused`, or `KeyError` for an unknown name.
        """
        for parameter, value in self.parse(BY_NAME[name.lower()], text):
            self.assign(parameter, value, source)

    def parse(self, entry: Parameter[Any] | View, text: str) -> Assignments:
        """Return what setting an entry to a text, as Redis reads it, would assign."""
        if isinstance(entry, View):
            return entry.write(self, text)
        return [(entry, entry.kind.parse(text))]

    def assign(self, parameter: Parameter[T], value: T, source: Source | None = None) -> None:
        """Store a value; its source stays what it was unless given."""
        table, _, key = parameter.path.rpartition(".")
        self._sections[table][key] = value
        if source is not None:
            self._sources[parameter] = source

    def subscribe(self, callback: Callable[[], None], *names: str) -> None:
        """Call back, once per CONFIG SET, when any of the named parameters has changed.

        The new values stand in the settings by then. A callback that cannot apply them raises
        `Refused`; the old values are restored and callbacks that had run are called again.
        """
        for name in names:
            entry = BY_NAME[name]
            for parameter in entry.targets if isinstance(entry, View) else (entry,):
                self._subscribers.setdefault(parameter, []).append(callback)

    def changed(self) -> dict[Parameter[Any], Any]:
        """Return what was changed at run time: the work of CONFIG REWRITE."""
        return {
            parameter: self.value(parameter)
            for parameter, source in self._sources.items()
            if source is Source.RUNTIME
        }

    def everything(self) -> dict[Parameter[Any], Any]:
        """Return every parameter that stands in a file, with its value."""
        return {
            entry: self.value(entry)
            for entry in ENTRIES
            if isinstance(entry, Parameter) and entry.listed
        }

    def _differs(self, parameter: Parameter[Any], value: object) -> bool:
        """Whether setting this value says anything new, if only to a later CONFIG REWRITE."""
        if self.source(parameter) in {Source.ENVIRONMENT, Source.FLAG} or isinstance(value, Share):
            return True
        return bool(value != self.value(parameter))

    def _check_names(
        self, pairs: Sequence[tuple[bytes, bytes]], local: bool
    ) -> list[Parameter[Any] | View]:
        """Look the names up, in order, and refuse what may not be set at all."""
        entries: list[Parameter[Any] | View] = []
        seen: set[bytes] = set()
        for name, _ in pairs:
            entry = BY_NAME.get(_text(name).lower())
            if entry is None or not entry.listed:
                raise errors.ConfigUnknown(name)
            if not self._may_change(entry):
                raise errors.ConfigRejected(name, errors.IMMUTABLE)
            if entry.change is Change.PROTECTED and not self._may_change_protected(local):
                raise errors.ConfigRejected(name, errors.PROTECTED)
            if name.lower() in seen:
                raise errors.ConfigRejected(name, errors.DUPLICATE)
            seen.add(name.lower())
            entries.append(entry)
        return entries

    def _may_change(self, entry: Parameter[Any] | View) -> bool:
        if entry.change is Change.APPLIED:
            return entry in self._subscribers
        return entry.change is not Change.START

    def _may_change_protected(self, local: bool) -> bool:
        allowed = self.debug.enable_protected_configs
        return allowed == "yes" or (allowed == "local" and local)

    def _notify(self, before: Assignments, named: dict[Parameter[Any], bytes]) -> None:
        """Tell subscribers, each once; on a refusal put everything back and raise."""
        called: list[Callable[[], None]] = []
        for parameter in dict.fromkeys(parameter for parameter, _ in before):
            for callback in self._subscribers.get(parameter, ()):
                if callback in called:
                    continue
                try:
                    callback()
                except Refused as refusal:
                    self._restore(before)
                    for earlier in called:
                        earlier()
                    raise errors.ConfigRejected(named[parameter], str(refusal)) from None
                called.append(callback)

    def _restore(self, before: Assignments) -> None:
        for parameter, value in reversed(before):
            self.assign(parameter, value)


def _fitting(entry: Parameter[Any] | View, pattern: bytes) -> list[bytes]:
    names = [name.encode() for name in entry.names if matches(pattern, name.encode())]
    if not names and isinstance(entry, Parameter) and matches(pattern, entry.path.encode()):
        return [entry.path.encode()]
    return names


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
