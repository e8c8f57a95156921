"""What all tests share: which of them are skipped where."""

from __future__ import annotations

import pytest
from hypothesis import settings

from tests.support.rounds import SOAK

# How long an example takes says more of the machine than of the code: sanitizers, other workers.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave the long form of a test to `make soak`."""
    if SOAK:
        return
    skip = pytest.mark.skip(reason="the long form: make soak")
    for item in items:
        if "soak" in item.keywords:
            item.add_marker(skip)
