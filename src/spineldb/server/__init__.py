"""The composition root: build everything, start it, stop it."""

from __future__ import annotations
