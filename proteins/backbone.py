"""The backbone of one protein or several: atoms N, CA, C, O of every residue, in Angstrom.

Absent atoms have the coordinate 0 and a False in ``atom_mask``, so that arithmetic stays finite.
Two residues in a row are *linked* if they are of one chain and the peptide bond is seen
(C-N below 2 Angstrom; 1.33 is its length); where one of the two atoms is absent, if their numbers
follow each other. The rest are gaps. A jump of the numbers alone is none: many schemes of
numbering leave numbers out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from geometry.lengths import dot

from .oxygen import place_oxygen
from .residues import decode_sequence, encode_sequence, residue_name

ATOMS = ("N", "CA", "C", "O")
MAX_PEPTIDE_BOND = 2.0


@dataclass(frozen=True, eq=False)
class Backbone:
    """N, CA, C, O of L residues.

    Attributes:
        coordinates: float32 ``(L, 4, 3)`` in Angstrom, in the order of ``ATOMS``.
        atom_mask: atoms that are there, bool ``(L, 4)``.
        residue_index: numbers of the residues as in the file, int64 ``(L,)``.
        insertion_codes: a letter or nothing, behind the number.
        residue_types: positions in ``residues.ALPHABET``, int64 ``(L,)``.
        chain_index: positions in ``chain_ids``, int64 ``(L,)``.
        chain_ids: names of the chains.
        name: what it is called.

    Raises:
        ValueError: if the shapes do not agree.
    """

    coordinates: Tensor
    atom_mask: Tensor
    residue_index: Tensor
    insertion_codes: tuple[str, ...]
    residue_types: Tensor
    chain_index: Tensor
    chain_ids: tuple[str, ...]
    name: str = ""

    def __post_init__(self) -> None:
        shape = tuple(self.coordinates.shape)
        if len(shape) != 3 or shape[1:] != (4, 3):
            raise ValueError(f"expected coordinates (L, 4, 3) of N, CA, C, O, got shape {shape}")
        if tuple(self.atom_mask.shape) != shape[:2] or self.atom_mask.dtype != torch.bool:
            raise ValueError(
                f"expected atom_mask as bool {shape[:2]}, got {self.atom_mask.dtype} "
                f"{tuple(self.atom_mask.shape)}"
            )
        for what in ("residue_index", "insertion_codes", "residue_types", "chain_index"):
            if len(getattr(self, what)) != shape[0]:
                raise ValueError(
                    f"expected {what} of {shape[0]} residues, got {len(getattr(self, what))}"
                )

    @classmethod
    def from_coordinates(
        cls,
        coordinates: Tensor,
        *,
        mask: Tensor | None = None,
        sequence: str | None = None,
        chain_id: str = "A",
        name: str = "",
    ) -> Self:
        """One chain, numbered from 1, of bare coordinates.

        Args:
            coordinates: ``(L, 4, 3)``, or ``(L, 3, 3)`` without O, which is then placed.
            mask: residues that are there, bool ``(L,)``; by default all.
            sequence: one letter a residue; by default glycine, the residue that has the
                atoms of a backbone and no other.
            chain_id: name of the chain.
            name: what it is called.

        Raises:
            ValueError: for another shape or a sequence of another length.

        Example:
            >>> Backbone.from_coordinates(torch.zeros(3, 3, 3), name="dot").sequence
            'GGG'
        """
        size = len(coordinates)
        if coordinates.ndim == 3 and coordinates.shape[1:] == (3, 3):
            oxygen = place_oxygen(coordinates)
            coordinates = torch.cat((coordinates, oxygen.unsqueeze(1)), 1)
        if mask is None:
            mask = torch.ones(size, dtype=torch.bool, device=coordinates.device)
        return cls(
            coordinates=torch.where(mask[:, None, None], coordinates, 0.0).float(),
            atom_mask=mask[:, None].expand(size, 4).clone(),
            residue_index=torch.arange(1, size + 1),
            insertion_codes=("",) * size,
            residue_types=encode_sequence("G" * size if sequence is None else sequence),
            chain_index=torch.zeros(size, dtype=torch.int64),
            chain_ids=(chain_id,),
            name=name,
        )

    def __len__(self) -> int:
        return self.coordinates.shape[0]

    def __repr__(self) -> str:
        chains = ",".join(self.chain_ids)
        return f"Backbone({self.name!r}, {len(self)} residues, chains {chains or 'none'})"

    @property
    def mask(self) -> Tensor:
        """Residues with N, CA and C, which have a frame: bool ``(L,)``."""
        return self.atom_mask[:, :3].all(-1)

    @property
    def sequence(self) -> str:
        """One-letter codes of all residues, chain after chain."""
        return decode_sequence(self.residue_types)

    def label(self, i: int) -> str:
        """Residue i as people call it, such as ``GLY 45B``."""
        kind, number = int(self.residue_types[i]), int(self.residue_index[i])
        return f"{residue_name(kind)} {number}{self.insertion_codes[i]}"

    def linked(self) -> Tensor:
        """Whether residue i is linked to i + 1, bool ``(L,)``; False for the last."""
        bond = self.coordinates[1:, 0] - self.coordinates[:-1, 2]
        seen = self.atom_mask[1:, 0] & self.atom_mask[:-1, 2]
        close = dot(bond, bond) < MAX_PEPTIDE_BOND**2
        jump = self.residue_index.diff()
        follows = (jump == 0) | (jump == 1)  # 0 where insertion codes count on
        same_chain = self.chain_index.diff() == 0
        linked = same_chain & torch.where(seen, close, follows.to(close.device))
        return torch.cat((linked, linked.new_zeros(min(len(self), 1))))

    def positions(self) -> Tensor:
        """Places along the chains, int64 ``(L,)``: 0, 1, ... with jumps at gaps only.

        A gap counts as many residues as its numbers say, at least one.
        """
        if not len(self):
            return self.residue_index
        step = torch.where(self.linked()[:-1].cpu(), 1, self.residue_index.diff().clamp_min(1))
        return torch.cat((step.new_zeros(1), step.cumsum(0)))

    def with_oxygen(self) -> Backbone:
        """With O placed, by the rule of ``oxygen``, wherever only O is absent."""
        has_next = self.linked() & self.atom_mask[:, 0].roll(-1)
        placed = place_oxygen(self.coordinates, has_next)
        wanted = self.mask & ~self.atom_mask[:, 3]
        coordinates, atom_mask = self.coordinates.clone(), self.atom_mask.clone()
        coordinates[:, 3] = torch.where(wanted[:, None], placed, coordinates[:, 3])
        atom_mask[:, 3] |= wanted
        return replace(self, coordinates=coordinates, atom_mask=atom_mask)

    def select(self, index: Tensor) -> Backbone:
        """The residues at ``index``: int64 positions, or a bool mask ``(L,)``."""
        if index.dtype == torch.bool:
            index = index.nonzero().squeeze(-1)
        return replace(
            self,
            coordinates=self.coordinates[index],
            atom_mask=self.atom_mask[index],
            residue_index=self.residue_index[index],
            insertion_codes=tuple(self.insertion_codes[i] for i in index.tolist()),
            residue_types=self.residue_types[index],
            chain_index=self.chain_index[index],
        )


def centre(coordinates: Tensor, mask: Tensor) -> Tensor:
    """Move the mean CA of every backbone to the origin; absent residues become 0.

    Shapes ``(..., L, A, 3), (..., L) -> (..., L, A, 3)`` with CA at position 1 of A; without
    any residue nothing moves.

    Example:
        >>> x = torch.arange(12.0).reshape(1, 4, 3)
        >>> centre(x, torch.tensor([True]))[0, 1]
        tensor([0., 0., 0.])
    """
    weight = mask.to(coordinates.dtype)[..., None]
    count = weight.sum(-2).clamp_min(1)
    mean = (torch.where(mask[..., None], coordinates[..., 1, :], 0.0)).sum(-2) / count
    return torch.where(mask[..., None, None], coordinates - mean[..., None, None, :], 0.0)
