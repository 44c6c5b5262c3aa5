"""Amino acids: one-letter codes, their numbers, and the names that files give them.

A residue type is a position in ``ALPHABET``: the twenty amino acids in alphabetical order of
their letters, then X for everything else. A modified residue counts as what it was made from
(MSE, selenomethionine, is M), by the table of the PDB's chemical components in Biopython.
"""

from __future__ import annotations

import torch
from Bio.Data.PDBData import protein_letters_1to3, protein_letters_3to1_extended
from torch import Tensor

ALPHABET = "ACDEFGHIKLMNPQRSTVWYX"
UNKNOWN = ALPHABET.index("X")
STANDARD: frozenset[str] = frozenset(name.upper() for name in protein_letters_1to3.values())

_NAMES = [protein_letters_1to3[letter].upper() for letter in ALPHABET[:UNKNOWN]] + ["UNK"]
_TYPES: dict[str, int] = {"UNK": UNKNOWN} | {
    name.strip().upper(): ALPHABET.index(letter)
    for name, letter in protein_letters_3to1_extended.items()
}


def is_amino_acid(name: str) -> bool:
    """Whether a residue of this name is an amino acid, modified ones and UNK included.

    Example:
        >>> [is_amino_acid(name) for name in ("GLY", "MSE", "DA", "HOH")]
        [True, True, False, False]
    """
    return name in _TYPES


def residue_type(name: str) -> int:
    """The type of a residue of this name; that of X if it is none of the twenty.

    Example:
        >>> [ALPHABET[residue_type(name)] for name in ("GLY", "MSE", "UNK")]
        ['G', 'M', 'X']
    """
    return _TYPES.get(name, UNKNOWN)


def residue_name(kind: int) -> str:
    """The three-letter name of a type.

    Example:
        >>> residue_name(0), residue_name(UNKNOWN)
        ('ALA', 'UNK')
    """
    return _NAMES[kind]


def encode_sequence(sequence: str) -> Tensor:
    """The types of one-letter codes, int64 ``(L,)``; other letters than the twenty are X.

    Example:
        >>> encode_sequence("ACX-")
        tensor([ 0,  1, 20, 20])
    """
    found = [ALPHABET.find(letter) for letter in sequence.upper()]
    return torch.tensor([kind if kind >= 0 else UNKNOWN for kind in found], dtype=torch.int64)


def decode_sequence(types: Tensor) -> str:
    """One-letter codes of types ``(L,)``.

    Example:
        >>> decode_sequence(torch.tensor([0, 1, 20]))
        'ACX'
    """
    return "".join(ALPHABET[kind] for kind in types.tolist())
