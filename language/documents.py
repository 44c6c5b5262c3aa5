"""Documents read from files: one a file, one a line, or as an index table says.

An index is a table (tabs, or commas) whose columns ``start`` and ``chars`` say where in the one
text file each document begins and how long it is, in characters; ``file`` or ``name`` names it,
and any other column may be what the corpus is split by. What cannot be read is refused, with
the reason, and the rest is used.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import NamedTuple

from seqflow.files import read_text

SUFFIXES = (".txt", ".txt.gz")


class Document(NamedTuple):
    """A text.

    Attributes:
        name: for people.
        group: documents of one group stay in one part of a split.
        text: the text itself.
    """

    name: str
    group: str
    text: str


class Documents(NamedTuple):
    """What was read.

    Attributes:
        found: the documents.
        refused: a line about each that could not be read: where, and why.
    """

    found: list[Document]
    refused: list[str]


def read_files(paths: Sequence[Path], *, by_line: bool = False) -> Documents:
    """Documents of plain or gzipped text files, each a group of its own; folders are searched.

    Args:
        paths: files, or folders of files that end in ``.txt`` or ``.txt.gz``.
        by_line: whether each line that is not blank is a document, rather than each file.
    """
    found, refused = [], []
    for path in _files(paths):
        try:
            text = read_text(path)
        except (ValueError, OSError) as error:
            refused.append(_reason(path, error))
            continue
        if not text.strip():
            refused.append(f"{path}: expected a text, got an empty file")
        elif by_line:
            lines = enumerate(text.split("\n"), 1)
            named = [(f"{path.name}:{number}", line) for number, line in lines if line.strip()]
            found += [Document(name, name, line) for name, line in named]
        else:
            found.append(Document(path.name, path.name, text))
    return Documents(found, refused)


def read_indexed(path: Path, index: Path, *, group: str | None = None) -> Documents:
    """Documents of one text file, as a table says.

    Args:
        path: the text, plain or gzipped.
        index: the table.
        group: column of what to split by; each document is a group of its own if None.

    Raises:
        ValueError: for a file that cannot be read, or a column that is not there.
    """
    text = read_text(path)
    rows = _read_table(index, [column for column in ("start", "chars", group) if column])
    found, refused = [], []
    for line, row in enumerate(rows, 2):
        name = row.get("file") or row.get("name") or f"line {line}"
        try:
            start, size = int(row["start"]), int(row["chars"])
            if not 0 <= start < start + size <= len(text):
                raise ValueError(f"start {start} and chars {size} lie outside of {path.name}")
            if group and not row[group]:
                raise ValueError(f"expected a value in column {group!r}, got none")
        except (ValueError, TypeError) as error:
            refused.append(f"{index}: line {line}: {error}")
            continue
        found.append(Document(name, row[group] if group else name, text[start : start + size]))
    return Documents(found, refused)


def _read_table(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    content = read_text(path)
    delimiter = "\t" if "\t" in content.split("\n", 1)[0] else ","
    reader = csv.DictReader(StringIO(content, newline=""), delimiter=delimiter)
    for column in columns:
        if column not in (reader.fieldnames or ()):
            there = ", ".join(reader.fieldnames or ()) or "none"
            raise ValueError(f"{path}: no column {column!r}; there are {there}")
    return list(reader)


def _files(paths: Sequence[Path]) -> list[Path]:
    files = []
    for path in paths:
        inside = sorted(path.iterdir()) if path.is_dir() else [path]
        files += [each for each in inside if each == path or each.name.endswith(SUFFIXES)]
    return files


def _reason(path: Path, error: Exception) -> str:
    """One line that names the file."""
    if isinstance(error, OSError):
        return f"{path}: {error.strerror}"
    return str(error)
