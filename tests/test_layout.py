"""The house's rules, read off the source: see CONTRIBUTING.md."""

import ast
import importlib.metadata
import sys
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

from seqflow.extras import how_to_install

ROOT = Path(__file__).parents[1]
# What each package may import of ours besides itself. Front ends never import each other.
MAY_IMPORT = {
    "geometry": set(),
    "seqflow": {"geometry"},
    "dna": {"seqflow", "geometry"},
    "proteins": {"seqflow", "geometry"},
    "language": {"seqflow", "geometry"},
}
NAMELESS = {"utils", "util", "helpers", "helper", "common", "misc"}
MAX_LINES = 400


class Import(NamedTuple):
    """One imported module, or one name imported from a module."""

    module: str
    name: str | None
    """The name after ``from module import``; ``None`` for a plain ``import module``."""
    line: int
    where: str
    """``top``, ``type`` (under TYPE_CHECKING) or ``function``."""
    relative: bool

    @property
    def package(self):
        return self.module.partition(".")[0]


def imports(source, module, is_package=False):
    """All imports in ``source``, the text of ``module``, with relative ones made absolute."""
    return list(_walk(ast.parse(source), module, is_package, "top"))


def _walk(node, module, is_package, where):
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(alias.name, None, child.lineno, where, relative=False)
        elif isinstance(child, ast.ImportFrom):
            target = _absolute(child, module, is_package)
            for alias in child.names:
                yield Import(target, alias.name, child.lineno, where, relative=child.level > 0)
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            yield from _walk(ast.Module(child.body, []), module, is_package, "type")
            yield from _walk(ast.Module(child.orelse, []), module, is_package, where)
        else:
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _walk(child, module, is_package, "function" if inside else where)


def _absolute(node, module, is_package):
    if not node.level:
        return node.module
    parts = module.split(".")
    parts = parts[: len(parts) - node.level + is_package]
    return ".".join([*parts, node.module] if node.module else parts)


def read_modules():
    """The source files by module name; a package goes by its own name."""
    found = {}
    for package in MAY_IMPORT:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def read_imports(modules):
    """What each module imports; a package's stub counts as the package."""
    found = {}
    for module, path in modules.items():
        is_package = path.stem == "__init__"
        found[module] = imports(path.read_text(), module, is_package)
        if path.with_suffix(".pyi").exists():
            found[module] += imports(path.with_suffix(".pyi").read_text(), module, is_package)
    return found


MODULES = read_modules()
IMPORTS = read_imports(MODULES)


def provider(one, table):
    """The module that provides an import: a package's contents page points at its rooms."""
    if one.name is not None and f"{one.module}.{one.name}" in table:
        return f"{one.module}.{one.name}"
    for entry in table.get(one.module, ()):
        if entry.name is not None and entry.name == one.name and entry.module != one.module:
            return provider(entry, table)
    return one.module


def edges(table, packages):
    """``{importer: {imported: where}}`` between our modules.

    A contents page is no importer here: its rooms may import each other past it, and
    whoever imports a name from it is counted as importing the room.
    """
    graph = {}
    for module, ones in table.items():
        ones = () if module in packages else ones
        ours = [(provider(one, table), one.where) for one in ones]
        graph[module] = {name: where for name, where in ours if name in table}
    return graph


def circle(graph):
    """The first circle of imports found, as text, or nothing."""
    try:
        TopologicalSorter({name: set(to) for name, to in graph.items()}).prepare()
    except CycleError as error:
        ring = list(reversed(error.args[1]))  # from the importer to the imported
        steps = [f"{b} ({graph[a][b]})" for a, b in pairwise(ring)]
        return " -> ".join([ring[0], *steps])
    return ""


def offences(rule):
    """The lines that break ``rule(module, import)``, as a reader would look them up."""
    return [
        f"{MODULES[module].relative_to(ROOT)}:{one.line} imports {one.module} {one.name or ''}"
        for module, ones in IMPORTS.items()
        for one in ones
        if rule(module, one)
    ]


def is_within(module, package):
    return module == package or module.startswith(f"{package}.")


def test_the_reader_of_imports_tells_them_apart():
    source = """
import torch.nn as nn
from typing import TYPE_CHECKING
from . import state
from .networks import mlp
from ..geometry import Sphere
if TYPE_CHECKING:
    from geometry import Torus
else:
    import numpy
class A:
    import os
    def f(self):
        if True:
            from seqflow.process import Process
"""
    found = [(one.module, one.name, one.where) for one in imports(source, "seqflow.a.b")]
    assert found == [
        ("torch.nn", None, "top"),
        ("typing", "TYPE_CHECKING", "top"),
        ("seqflow.a", "state", "top"),
        ("seqflow.a.networks", "mlp", "top"),
        ("seqflow.geometry", "Sphere", "top"),
        ("geometry", "Torus", "type"),
        ("numpy", None, "top"),
        ("os", None, "top"),
        ("seqflow.process", "Process", "function"),
    ]
    assert imports("from . import x", "seqflow", True)[0].module == "seqflow"
    assert imports("from .b import x", "seqflow.a", True)[0].module == "seqflow.a.b"


def test_the_finder_of_circles_finds_one():
    table = {
        "p": imports("from .a import A as A", "p", True),
        "p.a": imports("def f():\n    from . import b", "p.a"),
        "p.b": imports("from p import A", "p.b"),  # through the contents page
    }
    graph = edges(table, packages={"p"})
    assert circle(graph) in {
        "p.a -> p.b (function) -> p.a (top)",
        "p.b -> p.a (top) -> p.b (function)",
    }
    graph["p.b"].clear()
    assert circle(graph) == ""


def test_the_modules_were_found():
    assert {"seqflow.process", "dna.cli", "geometry", "proteins", "language"} <= set(MODULES)


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_go_down(package):
    forbidden = set(MAY_IMPORT) - MAY_IMPORT[package] - {package}
    assert not offences(lambda m, one: is_within(m, package) and one.package in forbidden)


def test_nothing_imports_the_generic_front_end():
    """``seqflow.points`` is the top of its package: it imports the rest, never the reverse."""
    points = "seqflow.points"

    def rule(module, one):
        reached = {one.module, f"{one.module}.{one.name}", provider(one, IMPORTS)}
        return not is_within(module, points) and any(is_within(to, points) for to in reached)

    assert not offences(rule)


def test_imports_run_in_no_circle():
    """Counts imports for types and in functions too: a circle there is one all the same."""
    packages = {name for name, path in MODULES.items() if path.stem == "__init__"}
    assert circle(edges(IMPORTS, packages)) == ""


def test_imports_are_relative_inside_a_package_and_absolute_across():
    def rule(module, one):
        return one.relative != is_within(one.module, module.partition(".")[0])

    assert not offences(rule)


def test_geomstats_stays_in_its_adapter():
    rooms = ("geometry.geomstats_adapter", "geometry.distributions")

    def rule(module, one):
        return one.package == "geomstats" and not any(is_within(module, room) for room in rooms)

    assert not offences(rule)


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_import_names_are_ours_alone(package):
    owners = importlib.metadata.packages_distributions().get(package, [])
    assert set(owners) == {"seqflow"}


def test_third_parties_are_declared():
    """What we import directly is required directly, not brought along by chance."""
    known = {*sys.stdlib_module_names, *MAY_IMPORT}
    assert not offences(lambda m, one: one.package not in known and not how_to_install(one.module))


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_packages_are_typed(package):
    assert (ROOT / package / "py.typed").is_file()


def test_every_folder_of_source_is_a_package():
    """Without its ``__init__.py`` a folder would be left out of the wheel."""
    folders = {path.parent for path in MODULES.values()}
    assert not [folder for folder in folders if not (folder / "__init__.py").exists()]


def test_files_are_named_after_what_they_hold():
    folders = [ROOT / name for name in (*MAY_IMPORT, "tests", "benchmarks")]
    files = [path for folder in folders for path in folder.rglob("*.py")]
    assert not [path for path in files if NAMELESS & {path.stem, path.parent.name}]


def test_modules_are_short():
    lengths = {name: len(path.read_text().splitlines()) for name, path in MODULES.items()}
    assert not {name: length for name, length in lengths.items() if length > MAX_LINES}


def test_tests_are_no_package():
    assert not list((ROOT / "tests").rglob("__init__.py"))
