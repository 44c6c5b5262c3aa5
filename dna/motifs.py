"""Binding motifs as count matrices, and the score that counts as a hit.

A motif of width W is a table of counts; with pseudo-counts sqrt(n)/4 a base (n sequences, as in
JASPAR) and background q it gives log-odds in bits, ``S[b, j] = log2(p[b, j] / q[b])``, and a
window scores ``sum_j S[b_j, j]`` (Stormo 2000, Bioinformatics 16(1)). A hit is a score that a
window of independent background bases reaches with probability at most 1e-4; the distribution
of that score is the convolution of its columns, done here on a grid of 1/1000 bit (Staden 1989,
CABIOS 5(2)). Files are read and matrices built by Biopython.

``dna/matrices`` holds matrices learnt by this project (see ``benchmarks/learn_motifs.py``);
JASPAR's own can be had through the optional package pyjaspar.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from Bio import motifs
from Bio.motifs import jaspar
from torch import Tensor

from seqflow.files import read_text, replacing

from .sequences import ALPHABET

# Biopython is not annotated.
_motifs: Any = motifs
_jaspar: Any = jaspar

MATRICES = Path(__file__).parent / "matrices"
FALSE_POSITIVE_RATE = 1e-4
"""How often a background window, on one strand at one position, is taken for a hit."""

GRID_STEP = 1e-3
UNIFORM = (0.25, 0.25, 0.25, 0.25)


@dataclass(frozen=True)
class Motif:
    """A count matrix, float64 ``(4, W)``, rows in the order A, C, G, T."""

    name: str
    counts: Tensor
    identifier: str = ""

    @property
    def width(self) -> int:
        """W, the number of positions."""
        return self.counts.shape[1]

    def log_odds(self, background: tuple[float, ...] = UNIFORM) -> Tensor:
        """Score of each base at each position in bits, float64 ``(4, W)``."""
        motif = _to_bio(self)
        motif.pseudocounts = _jaspar.calculate_pseudocounts(motif)
        motif.background = dict(zip(ALPHABET, background, strict=True))
        pssm = motif.pssm
        return torch.tensor([pssm[base] for base in ALPHABET], dtype=torch.float64)

    def threshold(
        self,
        false_positive_rate: float = FALSE_POSITIVE_RATE,
        background: tuple[float, ...] = UNIFORM,
    ) -> float:
        """The lowest score in bits that background reaches with at most this probability.

        Exact but for the rounding to the grid, which may let in what is W steps lower. Raises
        ``ValueError`` if even the best window is likelier, as for a motif that is too short.
        """
        scores = (self.log_odds(background) / GRID_STEP).round().long()
        lowest = scores.amin(0)
        distribution = _distribution(scores - lowest, background)
        # P(score >= s), summed from the small end.
        tail = distribution.flip(0).cumsum(0).flip(0)
        rare = ((tail <= false_positive_rate) & (distribution > 0)).nonzero()
        if rare.numel() == 0:
            raise ValueError(
                f"expected a false positive rate of at least {float(tail[-1]):.2g}, the chance of "
                f"the best window of motif {self.name} (width {self.width}), "
                f"got {false_positive_rate:g}"
            )
        # Half a step a column lower, so that no window is lost to the rounding of its score.
        return float(rare[0] + lowest.sum() - self.width / 2) * GRID_STEP


def load_motif(name: str) -> Motif:
    """A motif of this package; raises ``ValueError`` that lists them for another name.

    Example:
        >>> load_motif("CTCF").width
        19
    """
    known = {path.stem: path for path in sorted(MATRICES.glob("*.jaspar"))}
    if name not in known:
        raise ValueError(f"unknown motif {name!r}; there are {', '.join(known)}")
    return read_motifs(known[name])[0]


def find_motifs(word: str) -> list[Motif]:
    """The motifs that a word means: a bundled name, ``jaspar:NAME``, or a JASPAR-format file.

    Raises ``ValueError`` as `load_motif`, `fetch_jaspar` and `read_motifs` do.
    """
    if word.startswith("jaspar:"):
        found = [fetch_jaspar(word.removeprefix("jaspar:"))]
    elif Path(word).is_file():
        found = read_motifs(word)
    else:
        return [load_motif(word)]
    # With the identifier, so that nobody takes it for the bundled motif of the same name.
    return [replace(motif, name=f"{motif.name} {motif.identifier}".strip()) for motif in found]


def read_motifs(path: str | Path) -> list[Motif]:
    """The motifs of a JASPAR-format file; lines that start with ``#`` are comments.

    Raises ``ValueError`` that names the file if it holds no matrix or a malformed one.
    """
    lines = read_text(path).splitlines()
    text = "\n".join(line for line in lines if line.strip() and not line.startswith("#"))
    if not text.startswith(">"):
        raise ValueError(f"{path}: expected a JASPAR matrix that starts with '>identifier name'")
    try:
        found = [_from_bio(motif) for motif in _motifs.parse(StringIO(text), "jaspar")]
    except Exception as error:  # Biopython 1.88 raises it bare for rows of unequal length
        raise ValueError(f"{path}: expected four rows of counts a matrix: {error}") from None
    if len(found) != text.count(">"):
        raise ValueError(f"{path}: expected four rows of counts for each of the matrices")
    for motif in found:
        sums = motif.counts.sum(0)
        if not bool((motif.counts >= 0).all() & (sums > 0).all()):
            raise ValueError(f"{path}: motif {motif.name}: expected counts, no column all 0")
    return found


def write_motif(path: str | Path, motif: Motif, *, comment: str = "") -> None:
    """Write one matrix in JASPAR format below its comment, whole or not at all."""
    head = "".join(f"# {line}\n" for line in comment.splitlines())
    with replacing(path) as temporary:
        temporary.write_text(head + str(_motifs.write([_to_bio(motif)], "jaspar")))


def fetch_jaspar(name: str, *, release: str | None = None) -> Motif:
    """A motif of JASPAR by identifier (MA0139.1) or name, through pyjaspar, offline.

    Raises ``ValueError`` if pyjaspar is missing, nothing has that name, or several
    matrices have it (which).
    """
    try:
        from pyjaspar import jaspardb
    except ImportError:
        raise ValueError("JASPAR needs pyjaspar; pip install 'seqflow[jaspar]'") from None
    database = jaspardb() if release is None else jaspardb(release=release)
    motif = database.fetch_motif_by_id(name)
    if motif is not None:
        return _from_bio(motif)
    found = database.fetch_motifs_by_name(name)
    if len(found) != 1:
        names = ", ".join(each.matrix_id for each in found) or "none"
        raise ValueError(f"expected one JASPAR motif of name {name!r}, there are: {names}")
    return _from_bio(found[0])


def _distribution(scores: Tensor, background: tuple[float, ...]) -> Tensor:
    """Probability of each total of integer column scores ``(4, W)``, none negative."""
    total = torch.zeros(int(scores.amax(0).sum()) + 1, dtype=torch.float64)
    total[0] = 1.0
    for column in scores.T.tolist():
        following = torch.zeros_like(total)
        for shift, probability in zip(column, background, strict=True):
            following[shift:] += probability * total[: total.shape[0] - shift]
        total = following
    return total


def _to_bio(motif: Motif) -> Any:
    counts = dict(zip(ALPHABET, motif.counts.tolist(), strict=True))
    return _jaspar.Motif(
        motif.identifier or motif.name, motif.name, alphabet=ALPHABET, counts=counts
    )


def _from_bio(motif: Any) -> Motif:
    counts = torch.tensor([list(motif.counts[base]) for base in ALPHABET], dtype=torch.float64)
    return Motif(name=motif.name, counts=counts, identifier=motif.matrix_id)
