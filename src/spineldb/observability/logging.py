"""Log events, not sentences: a few fixed words and named facts, in text or JSON.

    log = get_log(__name__)
    log.info("listening", addr="127.0.0.1:7878")

    2025-01-31T12:00:00.123Z INFO server listening addr=127.0.0.1:7878

Events travel through the standard library's loggers below `spineldb`, so that a program which
embeds us sees them wherever it sends its own. Formats, levels and files are set by `configure`,
which only the programs call; importing this module changes nothing.

The words of an event are fixed and what varies is in the fields: that is what JSON readers search
for, and what the limit on repeated lines counts by. Secrets and values never belong in a field.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any, TextIO

TRACE = 5
VERBOSE = 15

LEVELS = {
    "trace": TRACE, "debug": logging.DEBUG, "verbose": VERBOSE, "info": logging.INFO,
    "notice": logging.INFO, "warn": logging.WARNING, "warning": logging.WARNING,
    "error": logging.ERROR, "nothing": logging.CRITICAL, "off": logging.CRITICAL,
}  # fmt: skip
"""The level below which each name hides lines, in our words and in Redis's; none hides CRITICAL."""

ROOT = "spineldb"

_NAMES = {
    TRACE: "TRACE", logging.DEBUG: "DEBUG", VERBOSE: "VERBOSE", logging.INFO: "INFO",
    logging.WARNING: "WARN", logging.ERROR: "ERROR", logging.CRITICAL: "CRITICAL",
}  # fmt: skip
_COLORS = {"TRACE": 90, "DEBUG": 36, "VERBOSE": 36, "INFO": 32, "WARN": 33, "ERROR": 31,
           "CRITICAL": 41}  # fmt: skip


class Event:
    """What happened: fixed words, and fields. A foreign formatter prints it in our text form."""

    __slots__ = ("fields", "words")

    def __init__(self, words: str, fields: dict[str, object]) -> None:
        self.words = words
        self.fields = fields

    def __str__(self) -> str:
        return " ".join([self.words, *(f"{k}={_value(v)}" for k, v in self.fields.items())])


class Log:
    """The log of one module."""

    __slots__ = ("_logger",)

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def enabled(self, level: int) -> bool:
        """Whether a line of this level would be written, for facts that are costly to gather."""
        return self._logger.isEnabledFor(level)

    def log(self, level: int, words: str, /, **fields: object) -> None:
        """Log an event at a level given by number."""
        if self._logger.isEnabledFor(level):
            self._logger.log(level, Event(words, fields), stacklevel=3)

    def trace(self, words: str, /, **fields: object) -> None:
        """Log what only somebody hunting a fault wants to see."""
        self.log(TRACE, words, **fields)

    def debug(self, words: str, /, **fields: object) -> None:
        """Log what helps to understand one request or peer."""
        self.log(logging.DEBUG, words, **fields)

    def verbose(self, words: str, /, **fields: object) -> None:
        """Log what is ordinary and frequent, like connections."""
        self.log(VERBOSE, words, **fields)

    def info(self, words: str, /, **fields: object) -> None:
        """Log what an operator wants to have in the file."""
        self.log(logging.INFO, words, **fields)

    def warning(self, words: str, /, **fields: object) -> None:
        """Log what works but probably should be otherwise."""
        self.log(logging.WARNING, words, **fields)

    def error(self, words: str, /, **fields: object) -> None:
        """Log what failed."""
        self.log(logging.ERROR, words, **fields)

    def critical(self, words: str, /, **fields: object) -> None:
        """Log what endangers the data or the service; no log level hides it."""
        self.log(logging.CRITICAL, words, **fields)

    def exception(
        self, words: str, /, *, raised: BaseException | None = None, **fields: object
    ) -> None:
        """Log what failed, with the traceback of `raised` or of the exception being handled."""
        if self._logger.isEnabledFor(logging.ERROR):
            event = Event(words, fields)
            self._logger.error(event, exc_info=raised or sys.exception(), stacklevel=2)


def get_log(module: str) -> Log:
    """Return the log of a module, given its `__name__`."""
    return Log(logging.getLogger(module))


class Output:
    """Where the lines of this process go: what `configure` set up, and may be changed of it."""

    def __init__(self, handler: _Handler) -> None:
        self._handler = handler
        self._modules: list[logging.Logger] = []

    def set_level(self, levels: str) -> None:
        """Apply a level, or a filter such as `info,replication=debug`.

        Modules are named as below `spineldb`; the original's spelling `spineldb::core` works.
        """
        for logger in self._modules:
            logger.setLevel(logging.NOTSET)
        self._modules.clear()
        default = logging.INFO
        for directive in levels.lower().split(","):
            module, _, name = directive.strip().rpartition("=")
            level = LEVELS[name.strip()]
            if not module:
                default = level
                continue
            path = module.strip().replace("::", ".").removeprefix(f"{ROOT}.")
            logger = logging.getLogger(f"{ROOT}.{path}")
            logger.setLevel(level)
            self._modules.append(logger)
        logging.getLogger(ROOT).setLevel(default)
        logging.getLogger().setLevel(max(default, logging.WARNING))  # libraries: only complaints

    @property
    def descriptor(self) -> int:
        """The descriptor of the log file, -1 without one."""
        return self._handler.descriptor

    def reopen(self) -> None:
        """Open the log file anew, after it was moved away; without one do nothing."""
        self._handler.reopen()

    def close(self) -> None:
        """Undo `configure`."""
        logging.getLogger().removeHandler(self._handler)
        self._handler.close()


def configure(
    levels: str = "info",
    *,
    form: str = "text",
    file: str = "",
    color: str = "auto",
    stream: TextIO | None = None,
) -> Output:
    """Send this process's log to a file, or to standard output; return what controls it.

    `form` is text or json, `color` auto, always or never. Raises `OSError` if the file cannot be
    opened.
    """
    for number, name in _NAMES.items():
        logging.addLevelName(number, name)
    handler = _Handler(file, stream or sys.stdout)
    handler.addFilter(RepeatLimit())
    if form == "json":
        handler.setFormatter(JsonFormatter())
    else:
        handler.setFormatter(TextFormatter(colored=_colored(color, handler)))
    logging.getLogger().addHandler(handler)
    output = Output(handler)
    output.set_level(levels)
    return output


def _colored(color: str, handler: _Handler) -> bool:
    if color != "auto":
        return color == "always"
    return handler.is_terminal() and not os.environ.get("NO_COLOR")


class _Handler(logging.Handler):
    """Writes lines to a file that can be reopened, or to a stream; never fails its caller."""

    def __init__(self, file: str, stream: TextIO) -> None:
        super().__init__()
        self._path = Path(file).absolute() if file else None
        self._stream = stream if self._path is None else self._open(self._path)

    @staticmethod
    def _open(path: Path) -> TextIO:
        return path.open("a", encoding="utf-8", errors="backslashreplace")

    def is_terminal(self) -> bool:
        return self._stream.isatty()

    @property
    def descriptor(self) -> int:
        return -1 if self._path is None else self._stream.fileno()

    def reopen(self) -> None:
        if self._path is not None:
            stream = self._open(self._path)  # before the old one goes: a failure changes nothing
            self._stream.close()
            self._stream = stream

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._stream.write(self.format(record) + "\n")
            self._stream.flush()
        except (OSError, ValueError):  # a full disk or a closed pipe must not stop the server
            pass

    def close(self) -> None:
        if self._path is not None:
            self._stream.close()
        super().close()


class RepeatLimit(logging.Filter):
    """Lets through `burst` lines of the same event per `period`, and counts the others.

    The first line of the next period says how many were `suppressed`. CRITICAL is never held back.
    """

    def __init__(self, burst: int = 20, period: float = 10.0) -> None:
        super().__init__()
        self._burst = burst
        self._period = period
        self._seen: dict[tuple[str, int, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether to write a line; a line that follows suppressed ones gets a field."""
        if record.levelno >= logging.CRITICAL:
            return True
        words = record.msg.words if isinstance(record.msg, Event) else str(record.msg)
        key = (record.name, record.levelno, words)
        since, count = self._seen.get(key, (record.created, 0))
        if not 0 <= record.created - since < self._period:
            if count > self._burst:
                _add_field(record, "suppressed", count - self._burst)
            since, count = record.created, 0
        self._seen[key] = (since, count + 1)
        if len(self._seen) > 1000:
            self._forget(record.created)
        return count < self._burst

    def _forget(self, now: float) -> None:
        self._seen = {
            key: state for key, state in self._seen.items() if now - state[0] < self._period
        }


def _add_field(record: logging.LogRecord, name: str, value: object) -> None:
    if isinstance(record.msg, Event):
        record.msg = Event(record.msg.words, {**record.msg.fields, name: value})
    else:
        record.msg = f"{record.msg} {name}={value}"


class TextFormatter(logging.Formatter):
    """One line per event; a traceback follows on lines of its own."""

    def __init__(self, *, colored: bool = False) -> None:
        super().__init__()
        self._colored = colored

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        level = _NAMES.get(record.levelno, record.levelname)
        if self._colored:
            level = f"\x1b[{_COLORS.get(level, 0)}m{level}\x1b[0m"
        line = f"{_timestamp(record.created)} {level} {_module(record)} {_printable(record)}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time, level, module, event, then the fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        content: dict[str, Any] = {
            "time": _timestamp(record.created),
            "level": _NAMES.get(record.levelno, record.levelname),
            "module": _module(record),
        }
        if isinstance(record.msg, Event):
            content["event"] = record.msg.words
            content |= {
                name if name not in content else f"{name}_": value
                for name, value in record.msg.fields.items()
            }
        else:
            content["event"] = record.getMessage()
        if record.exc_info:
            content["exception"] = self.formatException(record.exc_info)
        return json.dumps(content, default=_json_value)


def _timestamp(created: float) -> str:
    milliseconds = int(created * 1000)
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(milliseconds // 1000))
    return f"{seconds}.{milliseconds % 1000:03d}Z"


def _module(record: logging.LogRecord) -> str:
    return record.name.removeprefix(f"{ROOT}.")


def _printable(record: logging.LogRecord) -> str:
    """Return the message on one line: what a peer sent must not begin a line of ours."""
    if isinstance(record.msg, Event):
        return str(record.msg)
    text = record.getMessage()
    return text if text.isprintable() else _escape(text)


def _value(value: object) -> str:
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
    if text and text.isprintable() and not set(text) & set(' "='):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{_escape(escaped)}"'


def _escape(text: str) -> str:
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def _json_value(value: object) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
