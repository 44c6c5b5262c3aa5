r"""Surfaces that the project makes itself: mazes from drawings, and a bent ring.

A drawing has ``#`` for a wall and anything else for the floor, a line a row, the first one on
top. The floor becomes a planar mesh of squares of side 1, each cut into triangles; what is not
floor is not there, so no flow on the mesh can enter a wall.
"""

from __future__ import annotations

import math
import random

import torch
from torch import Tensor

Surface = tuple[Tensor, Tensor]
"""Vertices float64 ``(V, 3)`` and faces int64 ``(F, 3)``."""


def carve(rows: int, columns: int, seed: int) -> str:
    """The drawing of a maze of rooms in rows and columns with one way between any two.

    A random spanning tree of the grid of rooms, by a walk that turns back in dead ends.

    Raises:
        ValueError: no rooms.

    Example:
        >>> print(carve(2, 2, 0))
        #####
        #...#
        ###.#
        #...#
        #####
    """
    if min(rows, columns) < 1:
        raise ValueError(f"expected at least one row and column of rooms, got {rows}, {columns}")
    numbers = random.Random(seed)
    floor = {(0, 0)}
    way = [(0, 0)]
    while way:
        i, j = way[-1]
        around = [(i + 2, j), (i - 2, j), (i, j + 2), (i, j - 2)]
        fresh = [
            (a, b)
            for a, b in around
            if 0 <= a < 2 * rows and 0 <= b < 2 * columns and (a, b) not in floor
        ]
        if not fresh:
            way.pop()
            continue
        a, b = numbers.choice(fresh)
        floor |= {(a, b), ((a + i) // 2, (b + j) // 2)}
        way.append((a, b))
    lines = [
        "".join(".#"[(i, j) not in floor] for j in range(-1, 2 * columns))
        for i in range(-1, 2 * rows)
    ]
    return "\n".join(lines)


def read_drawing(drawing: str) -> Tensor:
    r"""Lower left corners ``(cells, 2)`` of the squares of floor, x to the right and y up.

    Raises:
        ValueError: no floor.

    Example:
        >>> read_drawing("#.\n..")
        tensor([[1., 1.],
                [0., 0.],
                [1., 0.]], dtype=torch.float64)
    """
    lines = drawing.splitlines()
    cells = [
        (float(j), float(len(lines) - 1 - i))
        for i, line in enumerate(lines)
        for j, mark in enumerate(line)
        if mark != "#"
    ]
    if not cells:
        raise ValueError("expected a drawing with floor, got walls (#) alone")
    return torch.tensor(cells, dtype=torch.float64)


def maze(drawing: str, pieces: int = 4) -> Surface:
    """The floor of a drawing, each square cut into 2 pieces^2 triangles.

    Example:
        >>> [part.shape for part in maze("..", pieces=1)]
        [torch.Size([6, 3]), torch.Size([4, 3])]
    """
    corner, faces = _sheet(pieces, pieces)
    # Whole numbers, so that squares side by side share their vertices exactly.
    places = (read_drawing(drawing) * pieces).long().unsqueeze(1) + corner
    faces = faces + len(corner) * torch.arange(len(places)).reshape(-1, 1, 1)
    vertices, number = places.reshape(-1, 2).unique(dim=0, return_inverse=True)
    flat = torch.cat([vertices.double() / pieces, torch.zeros(len(vertices), 1).double()], 1)
    return flat, number[faces.reshape(-1, 3)]


def ring(around: int = 48, across: int = 24) -> Surface:
    """A ring thicker on one side, bent up and down: without a symmetry that mixes its tones.

    Example:
        >>> [part.shape for part in ring(6, 4)]
        [torch.Size([24, 3]), torch.Size([48, 3])]
    """
    corner, faces = _sheet(around, across)
    u, v = (corner.double() * (2 * math.pi / torch.tensor([around, across]))).unbind(-1)
    width = 0.4 + 0.12 * u.cos()
    out = 1 + width * v.cos()
    height = width * v.sin() + 0.25 * (2 * u + 0.5).sin()
    vertices = torch.stack([out * u.cos(), out * u.sin(), height], -1)
    number = (corner[:, 0] % around) * across + corner[:, 1] % across
    kept = (corner < torch.tensor([around, across])).all(-1)
    return vertices[kept], number[faces]


def format_off(surface: Surface) -> str:
    """The text of an OFF file."""
    vertices, faces = surface
    lines = ["OFF", f"{len(vertices)} {len(faces)} 0"]
    lines += [" ".join(f"{value:.9g}" for value in row) for row in vertices.tolist()]
    lines += [" ".join(map(str, [3, *row])) for row in faces.tolist()]
    return "\n".join(lines) + "\n"


def _sheet(rows: int, columns: int) -> tuple[Tensor, Tensor]:
    """A grid of squares: places int64 ``((rows + 1)(columns + 1), 2)`` and their triangles."""
    places = torch.cartesian_prod(torch.arange(rows + 1), torch.arange(columns + 1))
    i, j = torch.cartesian_prod(torch.arange(rows), torch.arange(columns)).unbind(-1)
    a = i * (columns + 1) + j
    b, c, d = a + columns + 1, a + columns + 2, a + 1
    return places, torch.cat([torch.stack([a, b, c], -1), torch.stack([a, c, d], -1)])
