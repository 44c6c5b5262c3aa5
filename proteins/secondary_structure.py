"""Secondary structure: helix, strand or loop, by hydrogen bonds.

DSSP (Kabsch and Sander 1983, Biopolymers 22(12)) takes C=O of residue i and N-H of residue j for
linked if the electrostatic energy

    E = 27.9 (1/r_ON + 1/r_CH - 1/r_OH - 1/r_CN)  kcal/mol  <  -0.5,

and reads helices from bonds i -> i+3, 4, 5 and strands from ladders of them. The package pydssp
(S. Minami, MIT) does that for batches of complete chains. What is absent is given to it as
atoms that bond nothing: an H at its N and an O at its C have E = 0, and absent residues stand far
away from everything. DSSP does not see handedness: a mirror image has the same bonds.
"""

from __future__ import annotations

import math

import pydssp
import torch
from torch import Tensor

from .atom_masks import CA, C, N, O, links, read_atoms
from .measurement import masked_mean

LOOP, HELIX, STRAND = range(3)
LETTERS = "-HE"
"""The letter of each class, as DSSP's three-state strings have them."""

SHORTEST = 8  # residues that pydssp needs for its windows
CHUNK = 1 << 22  # entries of one chunk's pair tensors
_AWAY, _APART = 1e5, 1e2  # Angstrom: where absent residues stand, and from each other


def secondary_structure(
    coords: Tensor, mask: Tensor | None = None, linked: Tensor | None = None
) -> Tensor:
    """Class of each residue, int64 ``(..., L)``: 0 loop (and absent), 1 helix, 2 strand.

    Arguments and errors as in `torsions.backbone_torsions`; a residue counts as absent unless
    it has N, CA, C and O. Computed on the CPU.

    Example:
        >>> from proteins.chain_builder import build_backbone, ideal_coordinates
        >>> angles = torch.tensor([-57.0, -47.0]).deg2rad()[:, None].expand(2, 12)
        >>> helix = build_backbone(ideal_coordinates(*angles))
        >>> "".join(LETTERS[k] for k in secondary_structure(helix))
        '-HHHHHHHHHH-'
    """
    *batch, length = coords.shape[:-2]
    five = _with_hydrogens(coords, mask, linked).detach().cpu()
    flat = five.reshape(math.prod(batch), length, 5, 3)
    flat = torch.cat([flat, _absent(flat, max(SHORTEST - length, 0), length)], 1)
    size = max(CHUNK // (3 * flat.shape[1] ** 2), 1)
    found = torch.zeros(flat.shape[:2], dtype=torch.int64)
    for part, chains in zip(found.split(size), flat.split(size), strict=True):
        if len(chains):  # pydssp takes no empty batch
            part.copy_(pydssp.assign(chains, out_type="index"))
    classes = found[:, :length].reshape(*batch, length).to(coords.device)
    # A turn spans the residues within it, also an absent one.
    return torch.where(read_atoms(coords, mask).present.all(-1), classes, LOOP)


def structure_fractions(
    coords: Tensor, mask: Tensor | None = None, linked: Tensor | None = None
) -> Tensor:
    """Shares of loop, helix and strand among the residues that are there, ``(..., 3)``.

    Zero where there is none. Arguments and errors as in `secondary_structure`.
    """
    classes = secondary_structure(coords, mask, linked)
    present = read_atoms(coords, mask).present.all(-1)
    one_hot = torch.nn.functional.one_hot(classes, 3).to(coords.dtype)
    return masked_mean(one_hot.transpose(-1, -2), present[..., None, :])


def _with_hydrogens(coords: Tensor, mask: Tensor | None, linked: Tensor | None) -> Tensor:
    """N, CA, C, O, H ``(..., L, 5, 3)``, with absent residues far away.

    H is 1.01 Angstrom from N, opposite to the bisector of its other bonds; where the residue
    before is not joined, H stands on N.
    """
    atoms = read_atoms(coords, mask)
    link = links(coords, linked)
    present = atoms.present.all(-1)
    n, ca, c = (atoms.coords[..., k, :] for k in (N, CA, C))
    unit = torch.nn.functional.normalize
    from_c, from_ca = n[..., 1:, :] - c[..., :-1, :], (n - ca)[..., 1:, :]
    towards = unit(unit(from_c, dim=-1) + unit(from_ca, dim=-1), dim=-1)
    donor = (link & present[..., :-1])[..., None]
    step = torch.where(donor, 1.01 * towards, 0.0)
    step = torch.nn.functional.pad(step, (0, 0, min(n.shape[-2], 1), 0))
    five = torch.cat([atoms.coords, (n + step)[..., None, :]], -2)
    return torch.where(present[..., None, None], five, _absent(five, five.shape[-3], 0))


def _absent(like: Tensor, num: int, first: int) -> Tensor:
    """``num`` residues ``(..., num, 5, 3)`` that bond nothing: H on N, O on C, far away."""
    place = torch.zeros(num, 5, 3, dtype=like.dtype, device=like.device)
    place[..., 0] = _AWAY + _APART * torch.arange(first, first + num, device=like.device)[:, None]
    place[:, (C, O), 1] = 10.0
    return place.expand(*like.shape[:-3], num, 5, 3)
