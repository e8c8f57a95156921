"""Describe where the figures come from: the machine, the tools, the servers."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from bench.servers import SUBJECT, Program, Server


@dataclass(frozen=True, slots=True)
class Identity:
    """What a server says about itself: a title such as `Redis 8.2.3`, and how it was built."""

    title: str
    details: str


def identify(program: Program) -> Identity:
    """Start a program and ask it."""
    with Server(program) as server:
        return identity_of({**server.info("server"), **server.info("memory")})


def identity_of(info: dict[str, str]) -> Identity:
    """Read an identity from the fields of INFO."""
    kinds = {"spineldb_version": "SpinelDB", "valkey_version": "Valkey", "redis_version": "Redis"}
    title = next((f"{kind} {info[key]}" for key, kind in kinds.items() if key in info), "unknown")
    details: list[str] = []
    if allocator := info.get("mem_allocator"):
        note = " (as its wheel is built)" if "Valkey" in title and allocator == "libc" else ""
        details.append(f"allocator {allocator}{note}")
    if info.get("gcc_version", "0.0.0") != "0.0.0":
        details.append(f"gcc {info['gcc_version']}")
    if events := info.get("multiplexing_api"):
        details.append(events)
    return Identity(title, ", ".join(details))


def describe(identities: dict[str, Identity]) -> list[tuple[str, str]]:
    """Return what the report says about the machine and the servers, as pairs."""
    servers = [
        (("Subject" if name == SUBJECT else "Peer"), f"{identity.title}: {identity.details}")
        for name, identity in identities.items()
    ]
    return [
        ("Processor", f"{processor()}, {os.cpu_count()} cores seen"),
        ("Memory", f"{memory_gib():.1f} GiB"),
        ("Kernel", f"{platform.system()} {platform.release()} {platform.machine()}"),
        ("Transparent huge pages", huge_pages()),
        ("Python", f"{platform.python_implementation()} {platform.python_version()}"),
        ("Compilers", f"{first_line([os.environ.get('CC', 'cc'), '--version'])}; {cython()}"),
        ("Source", source()),
        *servers,
    ]


def processor() -> str:
    """Return the processor's name."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = (line.split(":", 1) for line in cpuinfo.read_text().splitlines() if ":" in line)
        fields = {name.strip(): value.strip() for name, value in lines}
        family = f"family {fields.get('cpu family', '?')}, model {fields.get('model', '?')}"
        return f"{fields.get('model name', platform.machine())} ({family})"
    if sys.platform == "darwin":
        return first_line(["sysctl", "-n", "machdep.cpu.brand_string"])
    return platform.processor() or platform.machine()


def memory_gib() -> float:
    """Return the size of the machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)


def huge_pages() -> str:
    """Return the kernel's setting for transparent huge pages."""
    setting = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    if not setting.exists():
        return "not there"
    return setting.read_text().partition("[")[2].partition("]")[0]


def cython() -> str:
    """Return Cython's version."""
    try:
        return f"Cython {metadata.version('Cython')}"
    except metadata.PackageNotFoundError:
        return "no Cython"


def source() -> str:
    """Return the commit that was measured."""
    commit = first_line(["git", "rev-parse", "--short", "HEAD"])
    changed = first_line(["git", "status", "--porcelain", "--untracked-files=no", "--", "src"])
    return f"commit {commit}{', with changes' if changed else ''}"


def first_line(command: Sequence[str]) -> str:
    """Return the first line a command prints, or nothing if it cannot run."""
    if not shutil.which(command[0]):
        return ""
    printed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return printed.partition("\n")[0]
