"""Scripts of Lua: which are known, what their first line asks for, and how they are run."""

from __future__ import annotations
