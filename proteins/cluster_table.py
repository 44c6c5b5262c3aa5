"""A table that says which chains are alike: CSV or TSV with the columns ``name`` and ``cluster``.

``name`` is a chain (``1aki:A``) or a file without suffix (``1aki``) for all of its chains. Other
columns are left alone. Programs such as MMseqs2 or CD-HIT make such clusters from sequences.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from io import StringIO
from pathlib import Path

from seqflow.files import read_text


def read_clusters(path: str | Path) -> dict[str, str]:
    """Cluster by name.

    Raises:
        ValueError: names the file, and the line where there is one: a missing column, an empty
            cell, a name with two clusters.
        OSError: if it cannot be opened.
    """
    text = read_text(path).lstrip()
    delimiter = "\t" if "\t" in text.split("\n", 1)[0] else ","
    reader = csv.DictReader(StringIO(text, newline=""), delimiter=delimiter)
    found: dict[str, str] = {}
    columns = reader.fieldnames or ()
    for column in ("name", "cluster"):
        if column not in columns:
            there = ", ".join(columns) or "none"
            raise ValueError(f"{path}: no column {column!r} in its first line; there are {there}")
    for row in reader:
        name, cluster = (row["name"] or "").strip(), (row["cluster"] or "").strip()
        if not name or not cluster:
            raise ValueError(f"{path}: line {reader.line_num}: expected a name and a cluster")
        if found.setdefault(name, cluster) != cluster:
            raise ValueError(
                f"{path}: line {reader.line_num}: {name!r} is in the clusters "
                f"{found[name]!r} and {cluster!r}; it can be in one"
            )
    return found


def cluster_of(name: str, table: Mapping[str, str]) -> str | None:
    """The cluster of a chain ``file:chain``, by its own name or that of its file.

    Example:
        >>> cluster_of("1aki:A", {"1aki": "lysozyme"})
        'lysozyme'
    """
    return table.get(name, table.get(name.rpartition(":")[0]))
