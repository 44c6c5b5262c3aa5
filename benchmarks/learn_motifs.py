"""Learn the matrices in ``dna/matrices`` from ChIP-seq peaks and a published consensus.

    python benchmarks/learn_motifs.py CTCF.fa.gz PU1.fa.gz [--out dna/matrices]

Only the chromosomes on which the evaluation oracle is trained are used, so that neither the
generator's sequences nor the test's shape the matrices that judge them. Where pyjaspar is
installed, each matrix is compared with JASPAR's.
"""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path

import torch

from dna.fasta import read_fasta
from dna.motif_learning import consensus_motif, refine
from dna.motif_scan import hit_rate
from dna.motifs import MATRICES, Motif, fetch_jaspar, write_motif

CHROMOSOMES = ("chr3", "chr5", "chr7", "chr9", "chr11", "chr13")
# The published cores (CTCF: after Kim et al. 2007, Cell 128(6); PU.1: the ETS core GGAA with its
# A-rich flank, after Pham et al. 2013, Nucleic Acids Res. 41(13)), between N that the data fill.
SEEDS = {"CTCF": "NNNCCASYAGRKGGCRSNN", "PU1": "NNAAAGAGGAAGTGNN"}
JASPAR = {"CTCF": "MA0139.1", "PU1": "MA0080.7"}


def correlation(motif: Motif, other: Motif) -> float:
    """Best Pearson correlation of base frequencies over shifts and strands, full overlap."""
    a, b = (each.counts / each.counts.sum(0) for each in (motif, other))
    if a.shape[1] < b.shape[1]:
        a, b = b, a
    width = b.shape[1]
    windows = [a[:, i : i + width] for i in range(a.shape[1] - width + 1)]
    pairs = [torch.stack([w.flatten(), s.flatten()]) for w in windows for s in (b, b.flip(0, 1))]
    return max(float(torch.corrcoef(pair)[0, 1]) for pair in pairs)


def main() -> None:
    """Learn, write and report the two matrices."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ctcf", type=Path)
    parser.add_argument("pu1", type=Path)
    parser.add_argument("--out", type=Path, default=MATRICES)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    records = {"CTCF": read_fasta(arguments.ctcf), "PU1": read_fasta(arguments.pu1)}
    for name, seed in SEEDS.items():
        tokens = records[name].in_groups(CHROMOSOMES).tokens
        motif = refine(consensus_motif(name, seed), tokens)
        comment = (
            f"Learnt by seqflow (benchmarks/learn_motifs.py) from {len(tokens)} human ChIP-seq "
            f"peaks of 100 bp\non {', '.join(CHROMOSOMES)}:\n"
            f"consensus {seed}, then 3 rounds of alignment on both strands."
        )
        write_motif(arguments.out / f"{name}.jaspar", motif, comment=comment)
        rates = ", ".join(f"{k} {hit_rate(r.tokens, motif):.4f}" for k, r in records.items())
        print(f"{name}: {int(motif.counts[:, 0].sum())} sites; hit rate {rates}")
        if find_spec("pyjaspar"):
            print(
                f"  with {JASPAR[name]}: r = {correlation(motif, fetch_jaspar(JASPAR[name])):.3f}"
            )


if __name__ == "__main__":
    main()
