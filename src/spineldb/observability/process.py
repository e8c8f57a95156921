"""What the operating system says of this process and this machine.

Figures that a system does not offer are 0: they are for people to read.
"""

from __future__ import annotations

import os
import platform
import resource
from functools import cache
from pathlib import Path

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def resident_bytes() -> int:
    """Return the bytes of memory that the process has in RAM."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    except OSError:  # no procfs: the largest so far is the best there is
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if platform.system() == "Darwin" else peak * 1024
    return int(pages) * PAGE_BYTES


@cache
def system_bytes() -> int:
    """Return the bytes of memory of the machine."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * PAGE_BYTES
    except (OSError, ValueError):
        return 0


def cpu_seconds() -> dict[str, float]:
    """Return the CPU time used so far, by the names of INFO cpu."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    which = getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF)
    thread = resource.getrusage(which)
    return {
        "used_cpu_sys": own.ru_stime,
        "used_cpu_user": own.ru_utime,
        "used_cpu_sys_children": children.ru_stime,
        "used_cpu_user_children": children.ru_utime,
        "used_cpu_sys_main_thread": thread.ru_stime,
        "used_cpu_user_main_thread": thread.ru_utime,
    }


def human(size: float) -> str:
    """Write a number of bytes as INFO does: `704.45K`."""
    for unit in ("B", "K", "M", "G", "T"):
        if size < 1024 or unit == "T":
            return f"{int(size)}B" if unit == "B" else f"{size:.2f}{unit}"
        size /= 1024
    raise AssertionError
