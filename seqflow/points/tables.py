"""Numbers from a delimited text file, with the line of every fault.

The separator is a tab if the first record holds one, else a comma, else white space. Blank
lines and lines that begin with ``#`` are skipped; the first other line is a header if one of
the wanted columns, named or numbered, holds no number there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..files import read_text, replacing

Column = int | str
"""A column by its name in the header, or by its place, counted from 0."""

MISSING = frozenset({"", "na", "nan", "null", "none", "-"})


@dataclass(frozen=True)
class Table:
    """Numbers of the wanted columns.

    Attributes:
        numbers: float64 ``(N, columns)``.
        lines: the line of each row in its file, counted from 1.
        num_skipped: rows left out for a missing value.
    """

    numbers: Tensor
    lines: tuple[int, ...]
    num_skipped: int = 0


def read_table(path: str | Path, columns: Sequence[Column]) -> Table:
    r"""Read the given columns; rows with a missing value are counted and left out.

    Args:
        path: CSV or TSV, plain or gzipped.
        columns: names (whatever their case) or places.

    Raises:
        ValueError: names file and line of a record that is too short or holds no number, an
            unknown column, or a file without a record.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> path = Path(folder.name) / "points.csv"
        >>> _ = path.write_text("# two places\nlat,lon\n10,20\n,30\n")
        >>> read_table(path, ["lon", "lat"])
        Table(numbers=tensor([[20., 10.]], dtype=torch.float64), lines=(3,), num_skipped=1)
        >>> folder.cleanup()
    """
    records = [
        (number, line)
        for number, line in enumerate(read_text(path).split("\n"), 1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not records:
        raise ValueError(f"{path}: expected rows of numbers, got none")
    separator = next((one for one in ("\t", ",") if one in records[0][1]), None)
    header = _split(records[0][1], separator)
    places = _find(columns, header, where=f"{path}, line {records[0][0]}")
    if not all(place < len(header) and _is_number(header[place]) for place in places):
        records = records[1:]
    rows, lines = [], []
    for number, line in records:
        row = _row(_split(line, separator), places, where=f"{path}, line {number}")
        if not any(map(math.isnan, row)):
            rows.append(row)
            lines.append(number)
    if not rows:
        raise ValueError(f"{path}: expected rows of numbers below the header, got none")
    numbers = torch.tensor(rows, dtype=torch.float64)
    return Table(numbers, tuple(lines), len(records) - len(rows))


def write_table(path: str | Path, names: Sequence[str], numbers: Tensor) -> None:
    """Write a CSV file with a header, whole or not at all."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write(format_table(names, numbers))


def format_table(names: Sequence[str], numbers: Tensor) -> str:
    r"""The text of a CSV file: a header, and a line a row with nine digits.

    Example:
        >>> format_table(["a", "b"], torch.tensor([[1.5, 2.0]]))
        'a,b\n1.5,2\n'
    """
    lines = [",".join(names)]
    lines += [",".join(f"{value:.9g}" for value in row) for row in numbers.double().tolist()]
    return "\n".join(lines) + "\n"


def unique_rows(numbers: Tensor) -> Tensor:
    """Positions of the first of each set of equal rows, in order, ``(distinct,)``.

    Example:
        >>> unique_rows(torch.tensor([[2.0], [1.0], [2.0]]))
        tensor([0, 1])
    """
    _, first = np.unique(numbers.numpy(), axis=0, return_index=True)
    return torch.from_numpy(np.sort(first))


def _split(line: str, separator: str | None) -> list[str]:
    return [word.strip().strip('"') for word in line.split(separator)]


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _find(columns: Sequence[Column], header: list[str], *, where: str) -> list[int]:
    """Places of the columns; names are looked up in the header."""
    names = [name.lower() for name in header]
    places = []
    for column in columns:
        if isinstance(column, str) and column.lower() not in names:
            raise ValueError(
                f"{where}: no column {column!r}; there are {', '.join(header)}. Name others "
                "with data.columns, or give their places, counted from 0"
            )
        places.append(names.index(column.lower()) if isinstance(column, str) else column)
    return places


def _row(words: list[str], places: list[int], *, where: str) -> list[float]:
    if max(places) >= len(words):
        raise ValueError(f"{where}: expected at least {max(places) + 1} columns, got {len(words)}")
    row = []
    for place in places:
        word = words[place]
        missing = word.lower() in MISSING
        if not missing and not (_is_number(word) and math.isfinite(float(word))):
            raise ValueError(
                f"{where}: expected a number in column {place}, got {word!r}; mend or delete "
                "the line"
            )
        row.append(math.nan if missing else float(word))
    return row
