"""Read sizes and durations, in the two grammars they come in.

Files speak generously (`"1.5gb"`, `"1h30m"`, always 1024-based); CONFIG SET, redis.conf and
redis-server's flags speak Redis's own tongue, where `1k` is 1000 and `1kb` is 1024.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

KB, MB, GB = 1 << 10, 1 << 20, 1 << 30

_REDIS_UNITS = {
    "": 1, "b": 1, "k": 1000, "kb": KB, "m": 10**6, "mb": MB, "g": 10**9, "gb": GB,
}  # fmt: skip
_FILE_UNITS = {
    "": 1, "b": 1, "k": KB, "kb": KB, "m": MB, "mb": MB, "g": GB, "gb": GB,
    "t": 1 << 40, "tb": 1 << 40,
}  # fmt: skip
_MICROSECONDS = {"us": 1, "ms": 1000, "s": 10**6, "m": 60 * 10**6, "h": 3600 * 10**6,
                 "d": 86400 * 10**6}  # fmt: skip

_REDIS_SIZE = re.compile(r"(\d*)([a-z]*)\Z", re.ASCII | re.IGNORECASE)
_FILE_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*\Z", re.ASCII | re.IGNORECASE)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(us|ms|s|m|h|d)\s*", re.ASCII | re.IGNORECASE)


def redis_size(text: str) -> int | None:
    """Return the bytes `text` says as Redis reads it, or None; no digits are zero, as there."""
    match = _REDIS_SIZE.match(text)
    unit = _REDIS_UNITS.get(match[2].lower()) if match else None
    if match is None or unit is None:
        return None
    return int(match[1] or "0") * unit


def file_size(text: str) -> int | None:
    """Return the bytes `text` says as our files spell sizes, or None."""
    match = _FILE_SIZE.match(text)
    unit = _FILE_UNITS.get(match[2].lower()) if match else None
    if match is None or unit is None:
        return None
    return int(float(match[1]) * unit) if "." in match[1] else int(match[1]) * unit


def duration(text: str, unit: str) -> int | None:
    """Return how many `unit`s (us, ms, s) a text like `1h30m` lasts; None if not a whole one."""
    position, total = 0, 0.0
    text = text.strip()
    while position < len(text):
        match = _DURATION.match(text, position)
        if match is None:
            return None
        total += float(match[1]) * _MICROSECONDS[match[2].lower()]
        position = match.end()
    count, rest = divmod(total, _MICROSECONDS[unit])
    return int(count) if text and not rest else None


def available_memory() -> int:
    """Return the bytes this process may use: its control group's limit, or all there are."""
    return group_memory_limit() or os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def group_memory_limit() -> int | None:
    """Return the memory limit of this process's control group, if it has one."""
    for name in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(name).read_text(encoding="ascii").strip()
        except OSError:
            continue
        if text.isdigit() and int(text) < 2**62:  # cgroup v1 says "no limit" by a number near 2^63
            return int(text)
    return None
