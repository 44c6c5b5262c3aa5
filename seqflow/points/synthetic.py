r"""Small data sets that the project makes itself: to try a command, to test.

``python -m seqflow.points.synthetic moons --out moons.csv`` writes two interlocking crescents
on the globe, ``torsions`` two clusters of a pair of angles, each a few hundred points.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

import torch
from torch import Tensor

from ..files import check_writable
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


SETS = {
    "moons": (moons, ("latitude", "longitude")),
    "torsions": (torsions, ("angle_1", "angle_2")),
}


def main() -> None:
    """Write one of the sets."""
    parser = argparse.ArgumentParser(
        prog="python -m seqflow.points.synthetic", description="Make a small data set."
    )
    parser.add_argument("name", choices=sorted(SETS))
    parser.add_argument("--num", type=int, default=1000, help="points (default: 1000)")
    parser.add_argument("--seed", type=int, default=0, help="(default: 0)")
    parser.add_argument("--out", type=Path, required=True, help="CSV file to write")
    options = parser.parse_args()
    check_writable(options.out)
    make, names = SETS[options.name]
    write_table(options.out, names, make(options.num, torch.Generator().manual_seed(options.seed)))
    print(f"wrote {options.num} points to {options.out}", file=sys.stderr)  # noqa: T201  # message


if __name__ == "__main__":
    main()
