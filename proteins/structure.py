"""PDB and mmCIF files to backbones, one a chain.

What belongs to a chain: amino acids of ATOM records; modified amino acids (MSE and others that the
PDB knows); other HETATM residues with N, CA and C if they are linked to a neighbour, as is a
standard amino acid in HETATM records, which otherwise is a ligand. Waters, ligands and nucleic
acids are left out. Residues of which an atom is absent stay, masked. Chains and numbers are those
of the authors, also in mmCIF. Nothing is guessed: what cannot be read is refused with a reason.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from .backbone import MAX_PEPTIDE_BOND, Backbone
from .conformers import Conformer, best_conformer
from .parsing import parse_model
from .reading import Reading, Refusal, RefusedError
from .residues import STANDARD, is_amino_acid, residue_type

_SUFFIXES = {".gz", ".pdb", ".ent", ".cif", ".mmcif"}


def read_structure(path: str | Path, *, model: int = 1) -> Reading:
    """All protein chains of a PDB or mmCIF file, plain or gzipped.

    Args:
        path: the file; its format is seen from its content.
        model: which model, counted from 1, where there are several (NMR).

    Returns:
        The chains, in the order of the file, and what was refused. A file that cannot be read
        at all is one refusal.

    Raises:
        OSError: if the file cannot be opened.
    """
    try:
        found, remarks = parse_model(path, model)
    except RefusedError as error:
        return Reading((), (error.refusal,))
    stem = structure_name(path)
    chains: list[Backbone] = []
    refused: list[Refusal] = []
    for chain in found:
        try:
            backbone = _backbone(chain, str(path), stem)
        except RefusedError as error:
            refused.append(error.refusal)
        else:
            chains += [backbone] if len(backbone) else []
    if not chains and not refused:
        reason = "expected a protein chain, got waters and ligands only"
        refused.append(Refusal(str(path), "", "", reason))
    return Reading(tuple(chains), tuple(refused), remarks)


def read_backbone(path: str | Path, chain: str | None = None, *, model: int = 1) -> Backbone:
    """One chain of a file: the one named, or the first.

    Raises:
        ValueError: if there is none; says which there are, or why none was read.
        OSError: if the file cannot be opened.
    """
    reading = read_structure(path, model=model)
    for one in reading.chains:
        if chain is None or one.chain_ids[0] == chain:
            return one
    wanted = [one for one in reading.refused if chain in (None, one.chain) or not one.chain]
    if wanted:
        raise RefusedError(wanted[0])
    names = ", ".join(one.chain_ids[0] for one in reading.chains) or "none"
    raise ValueError(f"{path}: no protein chain {chain!r}; there are {names}")


def structure_name(path: str | Path) -> str:
    """The name of a file without the suffixes that structures have.

    Example:
        >>> structure_name("pdb/1aki.pdb.gz"), structure_name("a.b/model.1.cif")
        ('1aki', 'model.1')
    """
    path = Path(path)
    while path.suffix.lower() in _SUFFIXES and path.stem:
        path = path.with_suffix("")
    return path.name


class _Residue(NamedTuple):
    """A candidate for the chain."""

    name: str
    number: int
    insertion: str
    hetero: bool
    atoms: Conformer


def _backbone(chain: Any, source: str, stem: str) -> Backbone:
    """The protein of one chain; without residues if it holds only waters and ligands.

    Raises ``RefusedError`` for a polymer that is no protein, or has no complete residue.
    """
    name = chain.id.strip()
    residues = [_residue(one) for one in chain if not one.id[0].startswith("W")]
    kept = _protein(residues)
    polymer = [one.name for one in residues if not one.hetero]
    if not kept and polymer:
        names = ", ".join([*dict.fromkeys(polymer)][:6])
        reason = f"expected amino acids, got {len(polymer)} residues {names}"
        raise RefusedError(Refusal(source, name, "", reason))
    if kept and not any(one.atoms.is_complete for one in kept):
        first = f"{kept[0].name} {kept[0].number}{kept[0].insertion}"
        reason = f"expected N, CA and C, but none of the {len(kept)} residues has all three"
        raise RefusedError(Refusal(source, name, first, reason))
    size = len(kept)
    return Backbone(
        coordinates=torch.from_numpy(_stack([one.atoms.coordinates for one in kept], (4, 3))),
        atom_mask=torch.from_numpy(_stack([one.atoms.present for one in kept], (4,))).bool(),
        residue_index=torch.tensor([one.number for one in kept], dtype=torch.int64),
        insertion_codes=tuple(one.insertion for one in kept),
        residue_types=torch.tensor([residue_type(one.name) for one in kept], dtype=torch.int64),
        chain_index=torch.zeros(size, dtype=torch.int64),
        chain_ids=(name,),
        name=f"{stem}:{name}" if name else stem,
    )


def _residue(residue: Any) -> _Residue:
    kind, number, insertion = residue.id
    atoms = best_conformer(residue)
    return _Residue(atoms.name, number, insertion.strip(), kind.strip() != "", atoms)


def _protein(residues: list[_Residue]) -> list[_Residue]:
    """The residues that belong to the protein, by the rule at the head of this file."""
    plausible = [one for one in residues if is_amino_acid(one.name) or one.atoms.is_complete]
    links = [_are_linked(*pair) for pair in pairwise(plausible)]
    beside = zip([False, *links], [*links, False], strict=True) if plausible else ()
    return [
        one
        for one, (before, after) in zip(plausible, beside, strict=True)
        if _belongs_by_itself(one) or before or after
    ]


def _belongs_by_itself(one: _Residue) -> bool:
    return not one.hetero or (is_amino_acid(one.name) and one.name not in STANDARD)


def _are_linked(one: _Residue, other: _Residue) -> bool:
    if not (one.atoms.present[2] and other.atoms.present[0]):
        return False
    bond = other.atoms.coordinates[0] - one.atoms.coordinates[2]
    return float(np.linalg.norm(bond)) < MAX_PEPTIDE_BOND


def _stack(rows: list[Any], shape: tuple[int, ...]) -> Any:
    return np.stack(rows) if rows else np.zeros((0, *shape), np.float32)
