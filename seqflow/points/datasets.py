"""From a file to training, validation and test points."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from .settings import DataSettings
from .spaces import Space
from .tables import read_table, unique_rows


@dataclass(frozen=True)
class Points:
    """What was read from one file.

    Attributes:
        points: float64 ``(N, *point_shape)``.
        num_rows: rows of the file that hold numbers.
        num_skipped: rows left out for a missing value.
    """

    points: Tensor
    num_rows: int
    num_skipped: int


@dataclass(frozen=True)
class Split:
    """Three disjoint parts of the points, in random order.

    Attributes:
        train: 80 %, and what rounding leaves.
        validation: 10 %, rounded down.
        test: the rest.
    """

    train: Tensor
    validation: Tensor
    test: Tensor


def read_points(
    path: str | Path,
    space: Space,
    columns: list[int | str] | None = None,
    *,
    deduplicate: bool = False,
) -> Points:
    """Read a file's points.

    Args:
        path: CSV or TSV, plain or gzipped.
        space: how to read a row.
        columns: by name or place; the first ones if None.
        deduplicate: whether to keep only the first of rows with equal numbers.

    Raises:
        ValueError: names file and line of a row that is no point.
    """
    wanted = columns or list(range(len(space.names)))
    if len(wanted) != len(space.names):
        raise ValueError(
            f"expected {len(space.names)} columns on a {space.kind} "
            f"({', '.join(space.names)}), got {len(wanted)} in data.columns"
        )
    table = read_table(path, wanted)
    bad, expected = space.fault(table.numbers)
    if bad.any():
        first = int(bad.nonzero()[0])
        row = ", ".join(f"{value:g}" for value in table.numbers[first].tolist())
        raise ValueError(
            f"{path}, line {table.lines[first]}: expected {expected}, got {row}; mend the line, "
            "or choose other columns with data.columns"
        )
    numbers = table.numbers
    if deduplicate:
        numbers = numbers[unique_rows(numbers)]
    return Points(space.to_points(numbers), len(table.numbers), table.num_skipped)


def split_points(points: Tensor, seed: int) -> Split:
    """Cut a random order of the points 80 : 10 : 10; the order belongs to the seed.

    Raises:
        ValueError: fewer than ten points.

    Example:
        >>> [len(part) for part in vars(split_points(torch.zeros(25, 3), 0)).values()]
        [20, 2, 3]
    """
    num = len(points)
    if num < 10:
        raise ValueError(f"expected at least 10 points to split, got {num}")
    order = torch.randperm(num, generator=torch.Generator().manual_seed(seed))
    first, second = num * 8 // 10, num // 10
    train, validation, test = (
        points[rows] for rows in order.tensor_split([first, first + second])
    )
    return Split(train, validation, test)


def read_split(settings: DataSettings) -> tuple[Points, Split]:
    """The points of a configuration and their parts."""
    points = read_points(
        settings.path, settings.space, settings.columns, deduplicate=settings.deduplicate
    )
    return points, split_points(points.points, settings.split_seed)
