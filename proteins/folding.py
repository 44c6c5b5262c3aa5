"""An external folding program as a judge: does a designed sequence fold back into its backbone?

Sequences are designed for every backbone and written to a FASTA file; a command of the user's
turns it into one structure a record; the backbones and the structures are superposed. A command is
words with two places to fill, such as ``esm-fold -i {fasta} -o {out}``:

    {fasta}    a file with the records NAME-0, NAME-1, ... of every backbone
    {out}      a folder in which it leaves NAME-0.pdb, ... (or .cif, .ent, gzipped); words behind
               the name and a further ``_`` are allowed

It is run once, for all of them, and without a shell. Of the designs of a backbone the one with the
least ``fold_ca_rmsd`` counts, the root mean square over CA. ``fold_ca_mean_dist``, the mean, is
what much of the field calls RMSD; it is smaller. ``fold_tm`` is the TM-score.
"""

from __future__ import annotations

import shlex
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from .backbone import Backbone
from .inverse_folding import InverseFolding
from .structure import read_backbone
from .structure_files import find_structures
from .superposition import ca_mean_distance, ca_rmsd
from .tm_score import tm_score

DESIGNS = 8
"""Sequences for every backbone, as is published."""

PLACES = ("{fasta}", "{out}")


class FoldCommand:
    """A folding program, given by the words that run it; see this module's head.

    Args:
        command: with ``{fasta}`` and ``{out}`` in it.

    Raises:
        ValueError: if it has not both.

    Example:
        >>> FoldCommand("esm-fold -i {fasta} -o {out}").words("a.fasta", "folder")
        ['esm-fold', '-i', 'a.fasta', '-o', 'folder']
    """

    def __init__(self, command: str) -> None:
        self.command = command
        try:
            self.template = shlex.split(command)
        except ValueError as error:
            raise ValueError(f"cannot read the folding command {command!r}: {error}") from None
        if missing := [place for place in PLACES if place not in command]:
            raise ValueError(
                f"expected a folding command with {' and '.join(missing)}, such as "
                f"'esm-fold -i {{fasta}} -o {{out}}', got {command!r}"
            )

    def words(self, fasta: str, out: str) -> list[str]:
        """The command with its places filled."""
        return [one.replace("{fasta}", fasta).replace("{out}", out) for one in self.template]

    def fold(self, sequences: Mapping[str, str]) -> dict[str, Backbone]:
        """Structures of sequences, by name.

        Raises:
            ValueError: if the command cannot be run, fails, or leaves a structure out.
        """
        with tempfile.TemporaryDirectory() as folder:
            fasta, out = Path(folder) / "designs.fasta", Path(folder) / "structures"
            out.mkdir()
            records = (f">{name}\n{letters}\n" for name, letters in sequences.items())
            fasta.write_text("".join(records), encoding="utf-8")
            self._run(self.words(str(fasta), str(out)))
            files, _ = find_structures([out])
            return {name: self._read(name, files) for name in sequences}

    def _run(self, words: list[str]) -> None:
        try:
            done = subprocess.run(words, capture_output=True, text=True, check=False)
        except OSError as error:
            raise ValueError(f"cannot run {words[0]!r}: {error.strerror or error}") from None
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines()
            raise ValueError(
                f"the folding command ended with exit code {done.returncode}: "
                f"{said[-1] if said else 'it said nothing'}"
            )

    def _read(self, name: str, files: Sequence[Path]) -> Backbone:
        for file in files:
            if file.name.startswith((f"{name}.", f"{name}_")):
                return read_backbone(file)
        got = ", ".join(sorted(file.name for file in files)[:3]) or "nothing"
        raise ValueError(
            f"expected the folding command to leave {name}.pdb in {{out}}, got {got}; "
            f"it was: {self.command}"
        )


def refolding_measures(
    fold: FoldCommand,
    designer: InverseFolding,
    chains: Sequence[Backbone],
    *,
    designs: int = DESIGNS,
    seed: int = 0,
) -> list[dict[str, float]]:
    """``fold_ca_rmsd``, ``fold_ca_mean_dist`` (Angstrom) and ``fold_tm`` of every chain.

    Raises:
        ValueError: for no design, and as `FoldCommand.fold` does.
    """
    if designs < 1:
        raise ValueError(f"expected a number of designs of at least 1, got {designs}")
    names = [[f"chain{i}-{k}" for k in range(designs)] for i in range(len(chains))]
    sequences: dict[str, str] = {}
    for one, own in zip(chains, names, strict=True):
        sequences |= dict(zip(own, designer.design(one, designs, seed), strict=True))
    folded = fold.fold(sequences)
    return [
        min((_compare(one, folded[name]) for name in own), key=lambda row: row["fold_ca_rmsd"])
        for one, own in zip(chains, names, strict=True)
    ]


def _compare(one: Backbone, folded: Backbone) -> dict[str, float]:
    if len(one) != len(folded):
        raise ValueError(
            f"expected a structure of {len(one)} residues for {one.name}, got {len(folded)}"
        )
    both = one.mask & folded.mask
    x, y = (each.coordinates[both, 1] for each in (one, folded))
    return {
        "fold_ca_rmsd": float(ca_rmsd(x, y)),
        "fold_ca_mean_dist": float(ca_mean_distance(x, y)),
        "fold_tm": float(tm_score(x, y)),
    }
