"""Redis parameters that are another face of ours: `dir` and `dbfilename` are one path here."""

from __future__ import annotations

from pathlib import Path, PurePath

from spineldb import errors
from spineldb.config.kinds import Refused
from spineldb.config.parameter import Assignments, Change, Parameter, Values, View
from spineldb.config.parameters.cache import Cache
from spineldb.config.parameters.cluster import Replication
from spineldb.config.parameters.data import Persistence
from spineldb.config.parameters.server import OutputBuffer
from spineldb.config.special_kinds import file_name

_CLASSES = {
    "normal": OutputBuffer.normal,
    "slave": OutputBuffer.replica,
    "replica": OutputBuffer.replica,
    "pubsub": OutputBuffer.pubsub,
}


def _read_output_limits(values: Values) -> str:
    return " ".join(
        f"{name} {parameter.kind.format(values.value(parameter))}"
        for name, parameter in _CLASSES.items()
        if name != "replica"
    )


def _write_output_limits(_: Values, text: str) -> Assignments:
    words = text.split(" ") if text else []
    if len(words) % 4:
        raise Refused(errors.BAD_LIMIT_COUNT)
    assignments: Assignments = []
    for i in range(0, len(words), 4):
        parameter = _CLASSES.get(words[i].lower())
        if parameter is None:
            raise Refused(errors.BAD_LIMIT_CLASS)
        limit = parameter.kind.parse(" ".join(words[i + 1 : i + 4]))
        assignments.append((parameter, limit))
    return assignments


def _read_directory(values: Values) -> str:
    return str(Path(values.value(Persistence.spldb_path)).parent.absolute())


def _write_directory(values: Values, text: str) -> Assignments:
    """Move every path that lies in the data directory along with it."""
    if not Path(text).is_dir():
        raise Refused("Not a directory" if Path(text).exists() else "No such file or directory")
    old = PurePath(values.value(Persistence.spldb_path)).parent
    assignments: Assignments = []
    for parameter in (Persistence.spldb_path, Persistence.aof_path, Cache.on_disk_path):
        path = PurePath(values.value(parameter))
        if path.is_relative_to(old) and path != old:
            assignments.append((parameter, str(PurePath(text) / path.relative_to(old))))
    return assignments


def _file_view(name: str, parameter: Parameter[str], change: Change) -> View:
    def read(values: Values) -> str:
        return PurePath(values.value(parameter)).name

    def write(values: Values, text: str) -> Assignments:
        reason = file_name(text, name)
        if reason:
            raise Refused(reason)
        return [(parameter, str(PurePath(values.value(parameter)).parent / text))]

    return View((name,), read, write, (parameter,), change)


def _read_primary(values: Values) -> str:
    if values.value(Replication.role) != "replica":
        return ""
    return f"{values.value(Replication.primary_host)} {values.value(Replication.primary_port)}"


def _write_primary(_: Values, text: str) -> Assignments:
    words = text.split(" ")
    if len(words) != 2:
        raise Refused(errors.WRONG_COUNT)
    host, port = words
    if (host.lower(), port.lower()) == ("no", "one"):
        return [(Replication.role, "primary")]
    if not port.isdecimal() or int(port) > 65535:
        raise Refused(errors.BAD_PRIMARY_PORT)
    return [
        (Replication.role, "replica"),
        (Replication.primary_host, host),
        (Replication.primary_port, int(port)),
    ]


VIEWS: tuple[View, ...] = (
    View(
        ("client-output-buffer-limit",),
        _read_output_limits,
        _write_output_limits,
        (OutputBuffer.normal, OutputBuffer.replica, OutputBuffer.pubsub),
        several_words=True,
    ),
    View(
        ("dir",),
        _read_directory,
        _write_directory,
        (Persistence.spldb_path, Persistence.aof_path, Cache.on_disk_path),
        Change.PROTECTED,
    ),
    _file_view("dbfilename", Persistence.spldb_path, Change.PROTECTED),
    _file_view("appendfilename", Persistence.aof_path, Change.START),
    View(
        ("replicaof", "slaveof"),
        _read_primary,
        _write_primary,
        (Replication.role, Replication.primary_host, Replication.primary_port),
        Change.START,
        several_words=True,
    ),
)
