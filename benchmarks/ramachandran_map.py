"""Make ``proteins/tables/ramachandran.safetensors`` from real chains.

    python benchmarks/ramachandran_map.py FOLDER [--out proteins/tables/ramachandran.safetensors]

FOLDER holds the archives of `protein_chains`. One chain a cluster is used, of 40 to 256 residues,
from the training clusters only (60% of the chains, seed 0). Kernel and levels are explained in
`proteins.ramachandran`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from protein_chains import one_a_cluster, read_parts
from safetensors.torch import save

from proteins.ramachandran import CONCENTRATION, FAVOURED, MAP, estimate_levels, ramachandran_level
from proteins.torsions import backbone_torsions
from seqflow.files import replacing


def main() -> None:
    """Read, estimate, write, and say how much of each part is favoured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=MAP)
    arguments = parser.parse_args()
    split = read_parts(arguments.folder, arguments.seed)
    angles = {}
    for part, chains in split.items():
        pairs = []
        for chain in one_a_cluster(chains):
            phi, psi, _ = backbone_torsions(chain.coords, linked=chain.linked)
            both = phi.defined & psi.defined
            pairs.append(torch.stack([phi.value[both], psi.value[both]]))
        angles[part] = torch.cat(pairs, 1)
    levels = estimate_levels(*angles["train"])
    metadata = {
        "residues": str(angles["train"].shape[1]),
        "chains": str(len(one_a_cluster(split["train"]))),
        "concentration": str(CONCENTRATION),
        "grid": "entry (i, j): phi = 2 pi i / 72 - pi, psi = 2 pi j / 72 - pi",
        "made_by": "benchmarks/ramachandran_map.py, training clusters (60%, seed 0)",
    }
    with replacing(arguments.out) as temporary:
        temporary.write_bytes(save({"levels": levels}, metadata=metadata))
    print(metadata)
    for part, (phi, psi) in angles.items():
        share = (ramachandran_level(phi, psi, levels) <= FAVOURED).float().mean()
        mirrored = (ramachandran_level(-phi, -psi, levels) <= FAVOURED).float().mean()
        print(f"{part}: {len(phi)} residues, favoured {share:.3f}, mirrored {mirrored:.3f}")


if __name__ == "__main__":
    main()
