"""Build the compiled modules: every .pyx below src/, one extension each.

SPINELDB_DEBUG=1 restores bounds and overflow checks; SPINELDB_SANITIZE=1 builds with
AddressSanitizer and UBSan. Both are meant for their own build directory (see the Makefile).
"""

from __future__ import annotations

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

DEBUG = os.environ.get("SPINELDB_DEBUG") == "1"
SANITIZE = os.environ.get("SPINELDB_SANITIZE") == "1"

compile_args = ["-O3", "-fno-strict-aliasing", "-Wno-unreachable-code", "-Wno-unused-function"]
link_args: list[str] = []
macros: list[tuple[str, str | None]] = []
if DEBUG:
    compile_args = ["-O1", "-g", "-fno-strict-aliasing", "-Wno-unused-function"]
    macros = [("SPINELDB_DEBUG", "1")]
if SANITIZE:
    flags = ["-fsanitize=address,undefined", "-fno-omit-frame-pointer"]
    # Unaligned loads and UBSan's vptr checks: entries are packed on purpose (core/entry.pxd).
    compile_args = ["-O1", "-g", "-fno-strict-aliasing", "-Wno-unused-function", *flags]
    link_args = flags
    macros = [("SPINELDB_SANITIZE", "1")]

directives = {
    "language_level": 3,
    "boundscheck": DEBUG,
    "wraparound": False,
    "initializedcheck": DEBUG,
    "cdivision": not DEBUG,
    "overflowcheck": False,
    "embedsignature": False,
}

extensions = [
    Extension(
        str(path.relative_to("src").with_suffix("")).replace(os.sep, "."),
        [str(path)],
        extra_compile_args=compile_args,
        extra_link_args=link_args,
        define_macros=macros,
        include_dirs=["src"],
    )
    for path in sorted(Path("src").rglob("*.pyx"))
]

variant = "sanitize" if SANITIZE else "debug" if DEBUG else "release"
setup(
    ext_modules=cythonize(
        extensions,
        include_path=["src"],
        build_dir=f"build/{variant}/cython",
        compiler_directives=directives,
        nthreads=os.cpu_count() or 1,
        quiet=True,
    ),
)
