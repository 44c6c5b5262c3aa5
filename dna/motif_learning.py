"""A count matrix from sequences and a consensus, by iterated alignment.

Each round takes the best window of every sequence, on either strand, keeps those that are hits
at the false positive rate, and counts their bases: expectation-maximisation with hard
assignments (after Lawrence and Reilly 1990, Proteins 7(1)). A published consensus in IUPAC
letters starts it; its N become informative if the sequences agree there.
"""

from __future__ import annotations

import torch
from Bio.Data.IUPACData import ambiguous_dna_values
from torch import Tensor

from .composition import base_counts
from .motif_scan import aligned_hits
from .motifs import FALSE_POSITIVE_RATE, Motif
from .sequences import ALPHABET

SEED_COUNT = 100.0
"""How many sequences the consensus counts for: its pseudo-counts are 2.5 a base."""


def consensus_motif(name: str, consensus: str) -> Motif:
    """A matrix in which the bases that each IUPAC letter allows share 100 counts.

    Raises ``ValueError`` for another letter, with its position from 1.

    Example:
        >>> consensus_motif("demo", "AN").counts
        tensor([[100.,  25.],
                [  0.,  25.],
                [  0.,  25.],
                [  0.,  25.]], dtype=torch.float64)
    """
    columns = []
    for i, letter in enumerate(consensus.upper()):
        bases = ambiguous_dna_values.get(letter)
        if bases is None:
            raise ValueError(
                f"consensus of {name}, position {i + 1}: expected an IUPAC letter, got {letter!r}"
            )
        columns.append([SEED_COUNT / len(bases) * (base in bases) for base in ALPHABET])
    return Motif(name, torch.tensor(columns, dtype=torch.float64).T.contiguous())


def refine(
    motif: Motif,
    tokens: Tensor,
    *,
    rounds: int = 3,
    false_positive_rate: float = FALSE_POSITIVE_RATE,
) -> Motif:
    """The matrix of the best hits in ``tokens`` ``(N, L)`` after ``rounds`` of alignment.

    Raises ``ValueError`` if no sequence has a hit.
    """
    for _ in range(rounds):
        windows = aligned_hits(tokens, motif, false_positive_rate=false_positive_rate)
        if windows.shape[0] == 0:
            raise ValueError(f"expected sequences with motif {motif.name}, found no hit")
        motif = Motif(motif.name, base_counts(windows), motif.identifier)
    return motif
