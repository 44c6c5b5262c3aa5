"""Which of the four backbone atoms are there, and which residues are joined.

Every measure of a backbone takes plain tensors:

    coords   (..., L, 4, 3)   N, CA, C, O of each residue, in Angstrom
    mask     bool (..., L) residues, or (..., L, 4) atoms that are there; all, if not given
    linked   bool (..., L)    residue i has its bond to i+1; all but the last, if not given

An atom with a coordinate that is not finite counts as absent. `read_atoms` turns the first two
into finite coordinates and one mask of atoms; nothing downstream sees a NaN, in values or in
gradients.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

N, CA, C, O = range(4)
"""Place of each atom in a residue."""


class Atoms(NamedTuple):
    """Finite coordinates ``(..., L, 4, 3)`` and which of them mean something ``(..., L, 4)``."""

    coords: Tensor
    present: Tensor


def read_atoms(coords: Tensor, mask: Tensor | None = None) -> Atoms:
    """Coordinates with absent atoms at the origin, and the mask of atoms.

    Raises:
        ValueError: for a shape other than ``(..., L, 4, 3)``, a dtype that is not floating, or
            a mask that fits neither residues nor atoms.

    Example:
        >>> atoms = read_atoms(torch.full((2, 4, 3), torch.nan), torch.tensor([True, False]))
        >>> atoms.present.any(), atoms.coords.abs().max()
        (tensor(False), tensor(0.))
    """
    if coords.ndim < 3 or coords.shape[-2:] != (4, 3):
        raise ValueError(
            f"expected backbone coordinates (..., L, 4, 3), got shape {tuple(coords.shape)}"
        )
    if not coords.is_floating_point():
        raise ValueError(f"expected floating-point coordinates, got {coords.dtype}")
    present = coords.isfinite().all(-1)
    if mask is not None:
        present = present & _per_atom(mask, coords)
    return Atoms(torch.where(present[..., None], coords, torch.zeros_like(coords)), present)


def _per_atom(mask: Tensor, coords: Tensor) -> Tensor:
    """A mask of residues or atoms as one of atoms, ``(..., L, 4)`` or broadcast to it."""
    residues, atoms = coords.shape[:-2], coords.shape[:-1]
    if mask.dtype != torch.bool:
        raise ValueError(f"expected a mask of dtype bool, got {mask.dtype}")
    if mask.shape == atoms:
        return mask
    if mask.shape == residues:
        return mask[..., None].expand(atoms)
    raise ValueError(
        f"expected a mask of residues {tuple(residues)} or of atoms {tuple(atoms)}, "
        f"got shape {tuple(mask.shape)}"
    )


def links(coords: Tensor, linked: Tensor | None = None) -> Tensor:
    """Which residues are linked to the next, bool ``(..., L-1)``, from ``(..., L)``.

    Raises:
        ValueError: for another shape or dtype.
    """
    shape = coords.shape[:-2]
    if linked is None:
        linked = torch.ones(shape, dtype=torch.bool, device=coords.device)
    if linked.shape != shape or linked.dtype != torch.bool:
        raise ValueError(
            f"expected linked as bool {tuple(shape)}, an entry a residue, "
            f"got {linked.dtype} {tuple(linked.shape)}"
        )
    return linked[..., :-1]


def ca_trace(coords: Tensor, mask: Tensor | None = None) -> Atoms:
    """The CA atoms: coordinates ``(..., L, 3)`` and mask ``(..., L)``."""
    atoms = read_atoms(coords, mask)
    return Atoms(atoms.coords[..., CA, :], atoms.present[..., CA])
