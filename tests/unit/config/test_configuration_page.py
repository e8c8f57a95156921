"""The manual's page on configuration is what the table of parameters says."""

from __future__ import annotations

import re
import runpy
import tomllib
from pathlib import Path

from spineldb.config.loading import load

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "manual" / "configuration.md").read_text(encoding="utf-8")


def test_the_reference_is_current() -> None:
    assert runpy.run_path(str(DOCS / "generate_parameters.py"))["page"]() == PAGE


def test_the_example_loads(tmp_path: Path) -> None:
    example = re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert example is not None
    tomllib.loads(example[1])
    (tmp_path / "config.toml").write_text(example[1])
    settings, warnings = load(str(tmp_path / "config.toml"))
    assert settings.limits.proto_max_bulk_len == 64 << 20
    assert all("percentage" in warning for warning in warnings)
