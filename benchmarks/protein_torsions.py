"""Backbone torsions of proteins by class of residue, as tables for ``seqflow points``.

    python benchmarks/protein_torsions.py BACKBONES.npz --out runs/torsions

writes general.csv, glycine.csv, proline.csv and pre_proline.csv with the columns phi, psi in
degrees, one row a residue that has both neighbours. BACKBONES.npz holds ``coords`` (residues,
4, 3), the ``offsets`` of the chains and their ``sequence``. A residue before a proline is
pre-proline unless it is a glycine or a proline itself (Lovell et al. 2003).
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from proteins.torsions import backbone_torsions
from seqflow.points.tables import write_table

CLASSES = ("general", "glycine", "proline", "pre_proline")


def residue_class(residue: str, after: str) -> str:
    """Where a residue counts, given the one behind it."""
    if residue in "GP":
        return "glycine" if residue == "G" else "proline"
    return "pre_proline" if after == "P" else "general"


def read_angles(path: Path) -> dict[str, torch.Tensor]:
    """phi and psi in degrees of each class, ``(N, 2)`` by name."""
    found: dict[str, list[torch.Tensor]] = {name: [] for name in CLASSES}
    with np.load(path) as data:
        offsets, sequences = data["offsets"], data["sequence"]
        coords = torch.from_numpy(data["coords"])
    for first, last, sequence in zip(offsets[:-1], offsets[1:], sequences, strict=True):
        torsions = backbone_torsions(coords[first:last].double())
        defined = torsions.phi.defined & torsions.psi.defined
        angles = torch.stack([torsions.phi.value, torsions.psi.value], -1).rad2deg()
        for i in defined.nonzero().squeeze(1).tolist():
            found[residue_class(sequence[i], sequence[i + 1])].append(angles[i])
    return {name: torch.stack(rows) for name, rows in found.items()}


def main() -> None:
    """Write a table a class."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("backbones", type=Path, help="npz file")
    parser.add_argument("--out", type=Path, default=Path("runs/torsions"), help="folder")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for name, angles in read_angles(options.backbones).items():
        write_table(options.out / f"{name}.csv", ["phi", "psi"], angles)
        print(f"{name}: {len(angles)} residues")


if __name__ == "__main__":
    main()
