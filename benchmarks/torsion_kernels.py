"""Kernel densities of protein torsions, to compare with ``seqflow points evaluate``.

    python benchmarks/torsion_kernels.py runs/torsions

The folder is the one that ``protein_torsions.py`` wrote. Split by seed 0; at most 20,000 centres,
3,000 validation and 5,000 test points, the first of each part.
"""

import argparse
from pathlib import Path

import torch

from seqflow.points.datasets import read_points, split_points
from seqflow.points.kernels import one_width, scale_mixture
from seqflow.points.spaces import TorusSpace

CLASSES = ("general", "glycine", "proline", "pre_proline")


def main() -> None:
    """Print a row a class: test NLL of one width and of the scale mixture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    torch.set_num_threads(1)
    space = TorusSpace(dim=2)
    for name in CLASSES:
        split = split_points(read_points(folder / f"{name}.csv", space, ["phi", "psi"]).points, 0)
        train, validation, test = split.train[:20000], split.validation[:3000], split.test[:5000]
        laws = [fit(space.manifold(), train, validation) for fit in (one_width, scale_mixture)]
        values = [-float(law.log_prob(test).mean()) for law in laws]
        print(f"| {name} | {values[0]:.3f} | {values[1]:.3f} |", flush=True)


if __name__ == "__main__":
    main()
