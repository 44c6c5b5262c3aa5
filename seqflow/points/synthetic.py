r"""Small data sets that the project makes itself: to try a command, to test.

``python -m seqflow.points.synthetic moons --out moons.csv`` writes two interlocking crescents
on the globe, ``torsions`` two clusters of a pair of angles. ``maze`` puts two heaps of points
into far corners of a maze, ``ring`` points where a tone of a bent ring sounds loudest; both
write the surface beside the table, as maze.off for maze.csv.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

import torch
from torch import Tensor

from geometry.mesh import Mesh

from ..files import check_writable, replacing
from .surfaces import Surface, carve, format_off, maze, read_drawing, ring
from .tables import write_table


def moons(num: int, generator: torch.Generator) -> Tensor:
    """Latitude and longitude in degrees, ``(num, 2)``, of two crescents about (0, 0).

    Example:
        >>> moons(3, torch.Generator().manual_seed(0)).shape
        torch.Size([3, 2])
    """
    angle = math.pi * torch.rand(num, generator=generator, dtype=torch.float64)
    upper = torch.rand(num, generator=generator) < 0.5
    side = torch.where(upper, 1.0, -1.0).double()
    latitude = side * (40 * angle.sin() - 14)
    longitude = 40 * angle.cos() * side + 20 * side
    noise = 3 * torch.randn(num, 2, generator=generator, dtype=torch.float64)
    return torch.stack([latitude, longitude], -1) + noise


def torsions(num: int, generator: torch.Generator) -> Tensor:
    """Two angles in degrees, ``(num, 2)``, of two clusters, one of them across +-180.

    Example:
        >>> torsions(3, torch.Generator().manual_seed(0)).abs().max() <= 180
        tensor(True)
    """
    centres = torch.tensor([[-65.0, -40.0], [-120.0, 170.0]], dtype=torch.float64)
    which = (torch.rand(num, generator=generator) < 0.4).long()
    spread = torch.tensor([[10.0, 12.0], [25.0, 20.0]], dtype=torch.float64)[which]
    noise = spread * torch.randn(num, 2, generator=generator, dtype=torch.float64)
    return torch.remainder(centres[which] + noise + 180, 360) - 180


def maze_heaps(num: int, generator: torch.Generator) -> tuple[Tensor, Surface]:
    """Places ``(num, 3)`` in two far rooms of a maze: 70 % in one, 30 % in the other.

    Example:
        >>> points, _ = maze_heaps(100, torch.Generator().manual_seed(0))
        >>> int((points[:, 0] < 2).sum())
        65
    """
    drawing = carve(4, 5, seed=MAZE_SEED)
    cells = read_drawing(drawing)
    rooms = torch.stack([cells[cells.sum(-1).argmin()], cells[cells.sum(-1).argmax()]])
    which = (torch.rand(num, generator=generator) < 0.3).long()
    spread = 0.22 * torch.randn(num, 2, generator=generator, dtype=torch.float64)
    flat = rooms[which] + (0.5 + spread).clamp(0.01, 0.99)
    return torch.cat([flat, torch.zeros(num, 1).double()], 1), maze(drawing)


def ring_tone(num: int, generator: torch.Generator) -> tuple[Tensor, Surface]:
    """Points ``(num, 3)`` where an eigenfunction of the ring is largest: a quarter of its area.

    Example:
        >>> ring_tone(5, torch.Generator().manual_seed(0))[0].shape
        torch.Size([5, 3])
    """
    surface = ring()
    mesh = Mesh(*surface, num_eigenpairs=TONE)
    x = mesh.random_uniform(8 * num + 64, generator=generator, dtype=torch.float64)
    loud = mesh.eigenfunctions(x)[:, -1].abs()
    return x[loud > loud.quantile(0.75)][:num], surface


SETS = {
    "moons": (moons, ("latitude", "longitude")),
    "torsions": (torsions, ("angle_1", "angle_2")),
}
SURFACES = {"maze": maze_heaps, "ring": ring_tone}
MAZE_SEED, TONE = 3, 9


def main() -> None:
    """Write one of the sets."""
    parser = argparse.ArgumentParser(
        prog="python -m seqflow.points.synthetic", description="Make a small data set."
    )
    names = sorted([*SETS, *SURFACES])
    parser.add_argument("name", choices=names)
    parser.add_argument("--num", type=int, default=1000, help="points (default: 1000)")
    parser.add_argument("--seed", type=int, default=0, help="(default: 0)")
    parser.add_argument("--out", type=Path, required=True, help="CSV file to write")
    options = parser.parse_args()
    check_writable(options.out)
    generator = torch.Generator().manual_seed(options.seed)
    if options.name in SURFACES:
        points, surface = SURFACES[options.name](options.num, generator)
        with replacing(options.out.with_suffix(".off")) as path:
            path.write_text(format_off(surface), encoding="utf-8")
        write_table(options.out, ("x", "y", "z"), points)
    else:
        make, columns = SETS[options.name]
        write_table(options.out, columns, make(options.num, generator))
    print(f"wrote {options.num} points to {options.out}", file=sys.stderr)  # noqa: T201  # message


if __name__ == "__main__":
    main()
