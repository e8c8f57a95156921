"""What all tests share: which of them are skipped where."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# How long an example takes says more of the machine than of the code: sanitizers, other workers.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

SOAK = os.environ.get("SPINELDB_SOAK") == "1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave the long form of a test to `make soak`."""
    if SOAK:
        return
    skip = pytest.mark.skip(reason="the long form: make soak")
    for item in items:
        if "soak" in item.keywords:
            item.add_marker(skip)
