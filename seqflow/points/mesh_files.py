"""Triangulated surfaces from OFF and OBJ files."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from geometry.mesh import Mesh

from ..files import read_text


def read_mesh(path: str | Path) -> tuple[Tensor, Tensor]:
    r"""Vertices float64 ``(V, 3)`` and faces int64 ``(F, 3)``; the format is told by its content.

    Raises:
        ValueError: names file and line of what is no triangle, or no number.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> path = Path(folder.name) / "one.off"
        >>> _ = path.write_text("OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n")
        >>> read_mesh(path)[1]
        tensor([[0, 1, 2]])
        >>> folder.cleanup()
    """
    words = read_text(path).split(maxsplit=1)
    if words and words[0].upper() == "OFF":
        return _read_off(path)
    mesh = Mesh.from_obj(path)
    return mesh.vertices, mesh.faces


def _read_off(path: str | Path) -> tuple[Tensor, Tensor]:
    """The counts, then a vertex a line, then a face a line."""
    lines = [
        (number, line.partition("#")[0].split())
        for number, line in enumerate(read_text(path).split("\n"), 1)
    ]
    lines = [(number, words) for number, words in lines if words]
    first = lines[0][1][1:]  # some writers put the counts behind the magic word
    lines = [(lines[0][0], first), *lines[1:]] if first else lines[1:]
    counts = [int(value) for value in _numbers(path, lines[:1], 2)[0]]
    body = lines[1:]
    if len(body) < sum(counts):
        raise ValueError(
            f"{path}: expected {counts[0]} vertices and {counts[1]} faces, got {len(body)} "
            "lines; the file is cut short"
        )
    vertices = _numbers(path, body[: counts[0]], 3)
    faces = body[counts[0] : sum(counts)]
    for number, words in faces:
        if words[0] != "3":
            raise ValueError(
                f"{path}, line {number}: expected a triangle, got {words[0]} corners; "
                "triangulate the mesh"
            )
    corners = [[int(value) for value in row[1:]] for row in _numbers(path, faces, 4)]
    return torch.tensor(vertices, dtype=torch.float64), torch.tensor(corners)


def _numbers(
    path: str | Path, lines: list[tuple[int, list[str]]], count: int
) -> list[list[float]]:
    """The first ``count`` words of each line as numbers."""
    rows = []
    for number, words in lines:
        try:
            row = [float(word) for word in words[:count]]
        except ValueError:
            row = []
        if len(row) < count:
            raise ValueError(
                f"{path}, line {number}: expected {count} numbers, got {' '.join(words)!r}"
            )
        rows.append(row)
    return rows
