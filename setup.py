"""Build the compiled modules: every .pyx below src/, one extension each.

SPINELDB_VARIANT chooses how: `release`; `debug`, which checks bounds, divisions and None, and
traces the lines of what runs with the interpreter lock (numbers may wrap around there as well:
hashes must); `sanitize`, with AddressSanitizer and UBSan. The last two go into build directories of
their own (see the Makefile).
"""

from __future__ import annotations

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

VARIANT = os.environ.get("SPINELDB_VARIANT", "release")
DEBUG = VARIANT == "debug"

# Entries are packed and unaligned on purpose, and read by memcpy: no alignment checks are off.
# Python's own flags have signed numbers wrap around, which hides their overflows: not here.
SANITIZERS = ["-fsanitize=address,undefined", "-fno-omit-frame-pointer", "-fno-wrapv"]
OPTIONS: dict[str, tuple[list[str], list[str], list[tuple[str, str | None]]]] = {
    "release": (["-O3"], [], []),
    "debug": (["-O1", "-g"], [], [("SPINELDB_DEBUG", "1"), ("CYTHON_TRACE", "1")]),
    "sanitize": (["-O1", "-g", *SANITIZERS], SANITIZERS, [("SPINELDB_SANITIZE", "1")]),
}
compile_args, link_args, macros = OPTIONS[VARIANT]
compile_args += ["-fno-strict-aliasing", "-Wno-unreachable-code", "-Wno-unused-function"]

directives = {
    "language_level": 3,
    "boundscheck": DEBUG,
    "wraparound": False,
    "initializedcheck": DEBUG,
    "nonecheck": DEBUG,
    "cdivision": not DEBUG,
    "linetrace": DEBUG,
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

setup(
    ext_modules=cythonize(
        extensions,
        include_path=["src"],
        build_dir=f"build/{VARIANT}/cython",
        compiler_directives=directives,
        nthreads=os.cpu_count() or 1,
        quiet=True,
    ),
)
