"""The log: formats, levels, repeated lines, files that move."""

from __future__ import annotations

import io
import json
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from spineldb.config import special_kinds
from spineldb.observability.logging import LEVELS, Output, RepeatLimit, configure, get_log


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def output(stream: io.StringIO) -> Iterator[Output]:
    output = configure(stream=stream)
    yield output
    output.close()


@pytest.mark.usefixtures("output")
def test_a_text_line_has_time_level_module_event_and_fields(stream: io.StringIO) -> None:
    get_log("spineldb.server").info("listening", addr="127.0.0.1:7878", mode="stand alone")
    pattern = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO server listening "
    assert re.fullmatch(pattern + r'addr=127.0.0.1:7878 mode="stand alone"\n', stream.getvalue())


@pytest.mark.usefixtures("output")
def test_a_field_cannot_begin_a_new_line(stream: io.StringIO) -> None:
    get_log("spineldb.server").warning("bad name", name=b"a\r\nx=\x1b[0m")
    logging.getLogger("asyncio").error("first\nsecond")
    assert stream.getvalue().count("\n") == 2
    assert r'name="a\r\nx=\x1b[0m"' in stream.getvalue()


def test_json_lines_hold_the_same(stream: io.StringIO) -> None:
    output = configure("debug", form="json", stream=stream)
    log = get_log("spineldb.replication.primary")
    log.debug("replica connected", addr="10.0.0.1", lag=3, level="field")
    try:
        int("oops")
    except ValueError:
        log.exception("sync failed")
    output.close()
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert first["module"] == "replication.primary"
    assert (first["event"], first["lag"], first["level_"]) == ("replica connected", 3, "field")
    assert "ValueError: invalid literal" in second["exception"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("trace", {"trace", "debug", "verbose", "info", "warning", "error", "critical"}),
        ("debug", {"debug", "verbose", "info", "warning", "error", "critical"}),
        ("verbose", {"verbose", "info", "warning", "error", "critical"}),
        ("notice", {"info", "warning", "error", "critical"}),
        ("info", {"info", "warning", "error", "critical"}),
        ("warn", {"warning", "error", "critical"}),
        ("warning", {"warning", "error", "critical"}),
        ("error", {"error", "critical"}),
        ("nothing", {"critical"}),
    ],
)
def test_each_level_name_hides_what_lies_below(
    name: str, shown: set[str], output: Output, stream: io.StringIO
) -> None:
    output.set_level(name)
    log = get_log("spineldb.engine")
    for method in ("trace", "debug", "verbose", "info", "warning", "error", "critical"):
        getattr(log, method)(f"event-{method}")
    assert set(re.findall(r"event-(\w+)", stream.getvalue())) == shown


def test_modules_have_levels_of_their_own(output: Output, stream: io.StringIO) -> None:
    output.set_level("warn,replication=debug,spineldb::cluster=info")
    get_log("spineldb.replication.primary").debug("one")
    get_log("spineldb.cluster").info("two")
    get_log("spineldb.engine").info("three")
    output.set_level("info")
    get_log("spineldb.replication.primary").debug("four")
    assert re.findall(r"one|two|three|four", stream.getvalue()) == ["one", "two"]


def test_libraries_only_complain(output: Output, stream: io.StringIO) -> None:
    output.set_level("debug")
    logging.getLogger("asyncio").debug("using selector")
    logging.getLogger("asyncio").warning("slow callback %d", 5)
    assert "selector" not in stream.getvalue()
    assert "WARN asyncio slow callback 5" in stream.getvalue()


def test_repeated_events_are_counted_instead_of_written() -> None:
    limit = RepeatLimit(burst=2, period=10)

    def offer(created: float) -> tuple[bool, str]:
        record = logging.LogRecord("spineldb.x", logging.INFO, "", 0, "refused", (), None)
        record.created = created
        return limit.filter(record), record.getMessage()

    assert [offer(at)[0] for at in (0, 1, 2, 3, 9.9)] == [True, True, False, False, False]
    assert offer(10.5) == (True, "refused suppressed=3")
    assert offer(10.6) == (True, "refused")


@pytest.mark.usefixtures("output")
def test_critical_lines_are_never_held_back(stream: io.StringIO) -> None:
    log = get_log("spineldb.engine")
    for _ in range(50):
        log.critical("emergency")
        log.error("trouble")
    assert stream.getvalue().count("emergency") == 50
    assert stream.getvalue().count("trouble") == 20


def test_a_moved_file_is_opened_anew(tmp_path: Path) -> None:
    path = tmp_path / "server.log"
    output = configure(file=str(path))
    log = get_log("spineldb.server")
    log.info("before")
    path.rename(tmp_path / "server.log.1")
    log.info("still the old file")
    output.reopen()
    log.info("after")
    output.close()
    assert len((tmp_path / "server.log.1").read_text().splitlines()) == 2
    assert "after" in path.read_text()
    assert "\x1b" not in path.read_text()


def test_a_failed_write_does_not_fail_the_caller() -> None:
    with Path("/dev/full").open("w") as full:
        output = configure(stream=full)
        get_log("spineldb.server").info("lost")
        output.close()
        os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())  # so that closing it succeeds


def test_importing_configures_nothing() -> None:
    assert not logging.getLogger("spineldb").handlers


def test_every_level_the_configuration_takes_is_known() -> None:
    assert set(LEVELS) == set(special_kinds.LEVELS)
