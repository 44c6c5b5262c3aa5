"""``seqflow bench``: lists and runs the scripts in a source checkout's ``benchmarks/``."""

from __future__ import annotations

import argparse
import ast
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
_DESCRIPTION = "List the benchmarks of a source checkout or, given a name, run one."
_EPILOG = """\
examples:
  seqflow bench                         list them
  seqflow bench step --help             the options of one
  seqflow bench step                    run it
"""


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Set up ``seqflow bench [NAME [ARGUMENT ...]]``."""
    parser.description, parser.epilog = _DESCRIPTION, _EPILOG
    parser.add_argument("name", nargs="?", metavar="NAME", help="the benchmark to run")
    parser.add_argument(
        "arguments", nargs=argparse.REMAINDER, metavar="ARGUMENT", help="passed on to it"
    )
    parser.set_defaults(handler=_handle)


def scripts() -> dict[str, Path]:
    """The benchmarks by name; ``ValueError`` outside a source checkout."""
    folder = CHECKOUT / "benchmarks"
    if not folder.is_dir() or not (CHECKOUT / "pyproject.toml").is_file():
        raise ValueError(
            "benchmarks are in the source only, and this seqflow is not run from a checkout; "
            "clone the repository and install it with: make install"
        )
    return {path.stem: path for path in sorted(folder.glob("[!_]*.py"))}


def _handle(options: argparse.Namespace) -> None:
    found = scripts()
    if options.name is None:
        for name, path in found.items():
            sys.stdout.write(f"{name:<20} {_summary(path)}\n")
        return
    if options.name not in found:
        raise ValueError(f"expected one of the benchmarks {list(found)}, got {options.name!r}")
    # A process of its own: timings must not depend on what the command has imported.
    command = [sys.executable, str(found[options.name]), *options.arguments]
    raise SystemExit(subprocess.run(command, check=False).returncode)


def _summary(path: Path) -> str:
    """The first line of a script's docstring, without running it."""
    return (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0]
