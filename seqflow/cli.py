"""The ``seqflow`` command: finds the front ends, runs one verb and answers for its end.

A front end announces itself in its package's metadata; no code here knows one::

    [project.entry-points."seqflow.commands"]
    dna = "dna.cli:add_commands"            # the name is the word after ``seqflow``

**Contract** of the function behind the entry point::

    def add_commands(parser: argparse.ArgumentParser) -> None

It gets the parser of ``seqflow dna`` and gives it a description and verbs::

    verbs = parser.add_subparsers(metavar="VERB", required=True)
    sample = verbs.add_parser("sample", help="draw sequences", epilog=EXAMPLES)
    sample.add_argument("--out", type=Path, required=True, help="FASTA file to write")
    sample.set_defaults(handler=run_sample)  # Callable[[argparse.Namespace], None]

* The module imports argparse and what is as cheap; a handler imports what it needs when
  it runs. The module is loaded only when its name is on the command line.
* A handler writes results to files or stdout, progress and messages to stderr.
* It returns when done, and raises ``ValueError`` or ``OSError`` when the user's input is
  at fault, with a message that says what was expected, what came, and the mend.
* Verbs inherit the parser's manners: epilogs keep their line breaks, options are never
  abbreviated, a wrong one is a single line on stderr.

====  =======================================================================
exit  meaning
====  =======================================================================
0     done
1     anything else: a bug, with its traceback; a missing package, with its mend
2     the user's input is at fault; one line on stderr says how
130   interrupted by Ctrl-C
141   the reader of our output went away (``seqflow ... | head``)
====  =======================================================================
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint
from typing import Any, NoReturn

from . import bench, doctor
from .extras import how_to_install

ENTRY_POINTS = "seqflow.commands"

_DESCRIPTION = "Generative models of sequences and proteins."
_EPILOG = """\
examples:
  seqflow dna --help                    the verbs of one domain
  seqflow dna sample --help             the options of one verb, with examples
  seqflow doctor                        what is installed here, and what is missing

Results go to --out or to stdout, progress and messages to stderr.
Exit codes: 0 done, 2 your input is at fault (one line says how), 1 anything else.
"""
_USER_FAULTS = (
    ValueError,
    FileExistsError,
    FileNotFoundError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
)
_TOOLS: dict[str, tuple[str, Callable[[argparse.ArgumentParser], None]]] = {
    "bench": ("list or run the benchmarks of a source checkout", bench.add_commands),
    "doctor": ("say what is installed here, and what is missing", doctor.add_commands),
}


class _Parser(argparse.ArgumentParser):
    """A parser that reports in one line; its subparsers are of the same class."""

    def __init__(self, **options: Any) -> None:
        manners: dict[str, Any] = {
            "allow_abbrev": False,
            "formatter_class": argparse.RawDescriptionHelpFormatter,
        }
        super().__init__(**(manners | options))

    def error(self, message: str) -> NoReturn:
        words = message.removeprefix("unrecognized arguments: ").split()
        if any("=" in word and not word.startswith("-") for word in words):
            # argparse gives a list of words to the place where it began, and no more behind.
            message += "; words key=value stand together, before the options"
        raise ValueError(f"{message} (see {self.prog} --help)")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``argv`` (by default the process's) and return the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    # Understood anywhere on the line, also behind a verb.
    with_traceback = "--traceback" in arguments
    try:
        _run([word for word in arguments if word != "--traceback"])
    except KeyboardInterrupt:
        _say("interrupted")
        return 130
    except BrokenPipeError:
        # Python flushes stdout once more on exit; let that go nowhere instead of failing.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        return _report(error, with_traceback=with_traceback)
    return 0


def _run(arguments: Sequence[str]) -> None:
    """Parse and do; all output has left when this ends, so a reader gone away is met here."""
    try:
        options = _parser(arguments).parse_args(arguments)
        options.handler(options)
    except SystemExit:  # --help, --version
        sys.stdout.flush()
        raise
    sys.stdout.flush()


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """The parser of this command line: every command by name, only the chosen one in full."""
    parser = _Parser(prog="seqflow", description=_DESCRIPTION, epilog=_EPILOG)
    version = importlib.metadata.version("seqflow")
    parser.add_argument("--version", action="version", version=f"seqflow {version}")
    parser.add_argument(
        "--traceback", action="store_true", help="show where an error in one line came from"
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    # Options before the command take no value, so the first plain word is the command.
    chosen = next((word for word in arguments if not word.startswith("-")), None)
    for name, entry_point in sorted(front_ends().items()):
        domain = commands.add_parser(name, help=f"see seqflow {name} --help")
        if name == chosen:
            entry_point.load()(domain)
    for name, (summary, add_commands) in _TOOLS.items():
        add_commands(commands.add_parser(name, help=summary))
    return parser


def front_ends() -> dict[str, EntryPoint]:
    """The installed front ends by name, none of them loaded."""
    return {point.name: point for point in importlib.metadata.entry_points(group=ENTRY_POINTS)}


def _report(error: Exception, *, with_traceback: bool) -> int:
    """Say on stderr what went wrong; return the exit code."""
    users_fault = isinstance(error, _USER_FAULTS) or (
        # Other failures of a named file: a read-only disk, a name too long.
        isinstance(error, OSError) and error.filename is not None
    )
    install = how_to_install(error.name) if isinstance(error, ModuleNotFoundError) else None
    if with_traceback or not (users_fault or install):
        traceback.print_exception(error)
    if users_fault or install:
        message = f"{_one_line(error)}{f'; {install}' if install else ''}"
        _say(f"error: {message}")
    return 2 if users_fault else 1


def _say(message: str) -> None:
    sys.stderr.write(f"seqflow: {message}\n")


def _one_line(error: Exception) -> str:
    """The message of ``error`` without line breaks; a file's name comes before its fault."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__
