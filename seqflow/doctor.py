"""``seqflow doctor``: what is installed here, what is missing, and how to get it."""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import os
import platform
import sys
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from .extras import requirements

_DESCRIPTION = """\
Say what is installed here and what is missing: the versions of Python, torch and the
optional packages, the devices, the threads, and the bundled models that can be found.
Attach its output to a report of a problem."""


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Set up ``seqflow doctor``."""
    parser.description = _DESCRIPTION
    parser.set_defaults(handler=_handle)


def _handle(options: argparse.Namespace) -> None:
    sys.stdout.write(f"{report()}\n")


def report() -> str:
    """The whole report as text."""
    sections = {
        "here": _here(),
        "devices": _devices(),
        "packages": _packages(),
        "bundled models": _models(),
    }
    return "\n\n".join("\n".join([title, *lines]) for title, lines in sections.items())


def _here() -> Iterator[str]:
    yield _row("seqflow", importlib.metadata.version("seqflow"))
    yield _row("", str(Path(__file__).parent))
    yield _row("python", platform.python_version())
    yield _row("system", platform.platform())


def _devices() -> Iterator[str]:
    """What torch can compute on; the only part that imports it."""
    try:
        import torch
    except Exception as error:  # a broken installation is what a doctor is called for
        yield _row("torch", f"cannot be imported: {error}")
        return
    yield _row("cpu", f"{os.cpu_count()} cores, torch uses {torch.get_num_threads()} threads")
    for index in range(torch.cuda.device_count()):
        yield _row(f"cuda:{index}", torch.cuda.get_device_name(index))
    if not torch.cuda.is_available():
        yield _row("cuda", "none" if torch.version.cuda else "none (torch is built without it)")
    if torch.backends.mps.is_available():
        yield _row("mps", "available")


def _packages() -> Iterator[str]:
    for extra, group in groupby(requirements(), key=lambda one: one.extra):
        yield f"  {f'extra {extra}' if extra else 'always needed'}"
        for one in group:
            yield _row(f"  {one.name}", one.version or f"missing: {one.command}")


def _models() -> Iterator[str]:
    found = False
    for package in _front_end_packages():
        for folder in _bundled(package):
            found = True
            whole = (folder / "model.safetensors").is_file()
            yield _row(f"{package} {folder.name}", "found" if whole else "has no weights")
    if not found:
        yield _row("none", "reinstall seqflow to restore those it ships")


def _front_end_packages() -> Iterable[str]:
    """The packages of the front ends: ``dna`` for ``dna.cli:add_commands``."""
    points = importlib.metadata.entry_points(group="seqflow.commands")
    return sorted({point.module.rpartition(".")[0] for point in points})


def _bundled(package: str) -> Iterator[Path]:
    """The folders of a package's bundled models.

    Found without ``seqflow.checkpoints``, which needs torch: a doctor works without either.
    """
    spec = importlib.util.find_spec(package)
    for location in (spec and spec.submodule_search_locations) or ():
        for config in sorted(Path(location, "bundled").glob("*/config.yaml")):
            yield config.parent


def _row(name: str, value: str) -> str:
    return f"  {name:<22} {value}"
