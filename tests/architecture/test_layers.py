"""The map of the packages is true: imports point down, stand at the top, and form no cycle."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent.parent / "src" / "spineldb"

# In dependency order: a line may import only the lines above it, and names that share a line do
# not import each other. A package stands for all its modules; those of `core` and `engine` that
# are named also keep their order, the others may stand anywhere in their package.
MAP = """
    version
    errors
    clock
    config
    observability
    core.slab core.work core.glob core.numbers
    core.hashing core.wheel
    core.resp
    core.transaction
    core.channels
    core.segment
    core.walk
    core.table
    core.root
    core.entry
    core.packed core.chunks core.tree
    core.keyspace
    core.extensions
    core.bloom
    core.strings core.lists core.sets
    core.zsets
    core.effects
    core.hashes core.streams
    core.dispatch
    core.hot_*
    core.lua
    core.connection
    core.reactor
    core
    client
    values
    engine.usage
    engine.keyspecs
    engine.command
    engine.arguments
    engine.reply
    engine.effects
    engine.blocking
    engine.context
    engine.clients engine.tracking
    engine.transactions engine.expiry engine.eviction engine.safety engine.pubsub
    engine
    acl scripting persistence cache
    replication
    cluster
    warden
    http
    commands
    server
    embedded
    cli
"""
LINES = [line.split() for line in MAP.split("\n") if line.strip()]
SIBLINGS = {"commands"}  # packages whose modules do not know each other
COMPILED = re.compile(
    r"^(?P<indent>\s*)from\s+(?P<module>spineldb[\w.]*)\s+c?import\s+(?P<names>.+)"
)


@dataclass(frozen=True)
class Import:
    """One import of one module by another, both without the leading `spineldb.`."""

    importer: str
    imported: str
    at_top: bool
    for_types: bool  # under `if TYPE_CHECKING`: not there when the program runs


def modules() -> dict[str, Path]:
    """Return the sources of every module; a compiled one has several."""
    found: dict[str, Path] = {}
    for path in sorted(SOURCE.rglob("*")):
        if path.suffix in {".py", ".pyx", ".pxd"}:
            parts = path.relative_to(SOURCE).with_suffix("").parts
            name = ".".join(part for part in parts if part != "__init__")
            found[f"{name}{'' if path.suffix == '.py' else path.suffix}"] = path
    return found


MODULES = modules()
NAMES = {name.removesuffix(".pyx").removesuffix(".pxd") for name in MODULES}


def targets(module: str, names: list[str]) -> Iterator[str]:
    """Tell what `from module import names` imports: modules, or something in the module."""
    inner = module.removeprefix("spineldb").removeprefix(".")
    for name in names:
        full = f"{inner}.{name}".removeprefix(".")
        yield full if full in NAMES else inner


def python_imports(name: str, tree: ast.Module) -> Iterator[Import]:
    """Read the imports of a module in Python."""

    def visit(body: list[ast.stmt], *, at_top: bool, for_types: bool) -> Iterator[Import]:
        for node in body:
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("spineldb"):
                for target in targets(str(node.module), [one.name for one in node.names]):
                    yield Import(name, target, at_top, for_types)
            elif isinstance(node, ast.Import):
                for one in node.names:
                    if one.name.startswith("spineldb"):
                        target = one.name.removeprefix("spineldb").removeprefix(".")
                        yield Import(name, target, at_top, for_types)
            elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                yield from visit(node.body, at_top=at_top, for_types=True)
            else:
                inner = [one for one in ast.walk(node) if isinstance(one, ast.stmt)][1:]
                yield from visit(inner, at_top=False, for_types=for_types)

    yield from visit(tree.body, at_top=True, for_types=False)


def compiled_imports(name: str, text: str) -> Iterator[Import]:
    """Read the imports of a compiled module or its header."""
    joined = re.sub(r"\(([^)]*)\)", lambda found: found[1].replace("\n", " "), text)
    for line in joined.split("\n"):
        found = COMPILED.match(line)
        if found is not None:
            names = [word.split(" as ")[0].strip() for word in found["names"].split(",")]
            for target in targets(found["module"], names):
                yield Import(name, target, not found["indent"], for_types=False)


def imports() -> list[Import]:
    """Return every import of one of our modules by another."""
    found: list[Import] = []
    for name, path in MODULES.items():
        module = name.removesuffix(".pyx").removesuffix(".pxd")
        if path.suffix == ".py":
            found += python_imports(module, ast.parse(path.read_text()))
        else:
            found += compiled_imports(module, path.read_text())
    return [one for one in found if one.importer != one.imported and one.imported]


IMPORTS = imports()


def place(module: str) -> tuple[int, str] | None:
    """Return the line of a module and the name by which it stands there."""
    package = module.partition(".")[0]
    for number, line in enumerate(LINES):
        for pattern in line:
            if fnmatch(module, pattern):
                return number, pattern
    for number, line in enumerate(LINES):
        if package in line:
            return number, package
    return None


def is_upward(one: Import) -> bool:
    """Tell whether an import points up or sideways on the map."""
    importer, imported = place(one.importer), place(one.imported)
    if importer is None or imported is None:
        return False
    package = one.importer.partition(".")[0]
    if package == one.imported.partition(".")[0] and package in {importer[1], imported[1]}:
        return False  # an unnamed module stands anywhere in its package
    if importer[1] == imported[1]:
        return False
    return imported[0] >= importer[0]


def test_every_package_is_on_the_map() -> None:
    """A new package needs a place, so that somebody thinks about it."""
    assert sorted(name for name in NAMES if name and place(name) is None) == []


def test_imports_point_down() -> None:
    """What a module is built on stands above it on the map."""
    wrong = [one for one in IMPORTS if not one.for_types and is_upward(one)]
    assert [f"{one.importer} imports {one.imported}" for one in wrong] == []


def test_imports_stand_at_the_top() -> None:
    """No import hides in a function, where nobody sees the dependency."""
    hidden = [one for one in IMPORTS if not one.at_top]
    assert [f"{one.importer} imports {one.imported}" for one in hidden] == []


@pytest.mark.parametrize("package", sorted(SIBLINGS))
def test_families_do_not_know_each_other(package: str) -> None:
    """What two families share belongs to a layer below both."""
    inside = [
        f"{one.importer} imports {one.imported}"
        for one in IMPORTS
        if one.importer.startswith(f"{package}.")
        and one.imported.startswith(f"{package}.")
        and not one.for_types
        and one.importer.split(".")[1] != one.imported.split(".")[1]
    ]
    assert inside == []


def test_no_cycles() -> None:
    """Modules that import each other are one module."""
    graph: dict[str, set[str]] = {}
    for one in IMPORTS:
        is_package = one.importer.startswith(f"{one.imported}.")
        if not one.for_types and not is_package:
            graph.setdefault(one.importer, set()).add(one.imported)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_the_test_sees_an_upward_import() -> None:
    """The rule is alive: a core that knew commands would be found."""
    assert is_upward(Import("core.table", "commands.strings", at_top=True, for_types=False))
    assert is_upward(Import("core.hashing", "core.dispatch", at_top=True, for_types=False))
    assert is_upward(Import("acl", "cache", at_top=True, for_types=False))
    assert not is_upward(Import("engine.gates", "engine.command", at_top=True, for_types=False))
