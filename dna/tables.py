"""CSV and TSV files of sequences with named columns.

The first line names the columns. It is split at tabs if it has any, else at commas. Every other
row is a record; its name is its line in the file (``line 2`` is the first), unless a column
holds one. The rule for letters is in `dna.sequences`, that for groups in `dna.records`.
"""

from __future__ import annotations

import csv
from io import StringIO
from pathlib import Path

from seqflow.files import read_text

from .records import Records, make_records


def read_table(
    path: str | Path,
    *,
    sequence: str = "sequence",
    label: str | None = None,
    name: str | None = None,
    group: str | None = None,
) -> Records:
    """The records of a CSV or TSV file, plain or gzipped, from the columns named.

    Raises ``ValueError`` that names the file, and the line where there is one: no rows, an
    unknown column (which exist), a row with too few or too many cells, an empty cell, ragged
    lengths, letters that are not DNA.
    """
    header, rows, lines = _parse(path)
    columns = {
        what: _column(path, header, rows, lines, column)
        for what, column in (
            ("sequence", sequence),
            ("label", label),
            ("name", name),
            ("group", group),
        )
        if column is not None
    }
    return make_records(
        columns["sequence"],
        columns.get("name") or [f"line {line}" for line in lines],
        columns.get("label"),
        columns.get("group"),
        where=lambda i: f"{path}: line {lines[i]}",
    )


def _parse(path: str | Path) -> tuple[list[str], list[list[str]], list[int]]:
    """The header, the other rows and their line numbers; blank lines are left out."""
    text = read_text(path)
    if not text.strip():
        raise ValueError(f"{path}: expected a table with a header line, got an empty file")
    delimiter = "\t" if "\t" in text.lstrip().split("\n", 1)[0] else ","
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows, lines = [], []
    try:
        for row in reader:
            if row:
                rows.append([cell.strip() for cell in row])
                lines.append(reader.line_num)
    except csv.Error as error:
        raise ValueError(f"{path}: line {reader.line_num}: {error}") from None
    if len(rows) < 2:
        raise ValueError(f"{path}: expected rows below the header, got none")
    for row, line in zip(rows, lines, strict=True):
        if len(row) != len(rows[0]):
            raise ValueError(
                f"{path}: line {line}: expected {len(rows[0])} cells as in the header, "
                f"got {len(row)}"
            )
    return rows[0], rows[1:], lines[1:]


def _column(
    path: str | Path, header: list[str], rows: list[list[str]], lines: list[int], name: str
) -> list[str]:
    if name not in header:
        raise ValueError(f"{path}: no column {name!r}; there are {', '.join(header)}")
    index = header.index(name)
    cells = [row[index] for row in rows]
    for cell, line in zip(cells, lines, strict=True):
        if not cell:
            raise ValueError(f"{path}: line {line}: expected a value in column {name!r}, got none")
    return cells
