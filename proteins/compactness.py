"""How a chain fills space: radius of gyration, clashes and contacts of its CA atoms.

The radius of gyration Rg = sqrt(mean |x_i - mean x|^2) of a globular protein of L residues
follows Rg = 2.2 L^0.38 Angstrom (Skolnick et al. 1997, J. Mol. Biol. 265(2)): a chain that is
spread out or crushed shows in the ratio. Two CA atoms three or more residues apart are never
nearer than 3 Angstrom in real structures (a clash), and neighbours in space, far along
the chain, are what a fold is made of (a contact: nearer than 8 Angstrom, six or more apart).
No two backbone atoms two or more residues apart are nearer than 2.4 Angstrom: hydrogen bonds
hold N and O at 2.9, and carbons stay farther off.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .atom_masks import Atoms, ca_trace, read_atoms

CLASH_DISTANCE, CLASH_SEPARATION = 3.0, 3
ATOM_CLASH_DISTANCE, ATOM_CLASH_SEPARATION = 2.4, 2
CONTACT_DISTANCE, CONTACT_SEPARATION = 8.0, 6
GLOBULAR_FACTOR, GLOBULAR_EXPONENT = 2.2, 0.38


def radius_of_gyration(coords: Tensor, mask: Tensor | None = None) -> Tensor:
    """Root mean square distance of CA atoms to their mean, in Angstrom, ``(...)``.

    Zero, with gradient zero, for one residue or none.

    Raises:
        ValueError: as `atom_masks.read_atoms` does.

    Example:
        >>> radius_of_gyration(torch.zeros(1, 4, 3))
        tensor(0.)
    """
    x, present = ca_trace(coords, mask)
    weight = present.to(x.dtype) / present.sum(-1, keepdim=True).clamp_min(1)
    centre = (weight[..., None] * x).sum(-2, keepdim=True)
    square = (weight * (x - centre).square().sum(-1)).sum(-1)
    return torch.where(square > 0, torch.where(square > 0, square, 1.0).sqrt(), 0.0)


def gyration_ratio(coords: Tensor, mask: Tensor | None = None) -> Tensor:
    """Radius of gyration over that of a globular chain, Rg / (2.2 L^0.38), ``(...)``."""
    _, present = ca_trace(coords, mask)
    length = present.sum(-1).clamp_min(1).to(coords.dtype)
    return radius_of_gyration(coords, mask) / (GLOBULAR_FACTOR * length**GLOBULAR_EXPONENT)


def ca_distances(coords: Tensor, mask: Tensor | None = None) -> Tensor:
    """Distances of CA atoms in Angstrom, ``(..., L, L)``; zero where one is absent.

    Example:
        >>> ca_distances(torch.tensor([[[0.0, 0.0, 3.0]] * 4, [[0.0, 4.0, 0.0]] * 4]))
        tensor([[0., 5.],
                [5., 0.]])
    """
    return _distances(ca_trace(coords, mask))


def ca_clashes(coords: Tensor, mask: Tensor | None = None) -> Tensor:
    """Pairs of CA nearer than 3 Angstrom and three or more residues apart, int64 ``(...)``.

    Neighbours are counted by their place in the tensor.
    """
    return _num_close(ca_trace(coords, mask), CLASH_DISTANCE, CLASH_SEPARATION)


def backbone_clashes(coords: Tensor, mask: Tensor | None = None) -> Tensor:
    """Pairs of N, CA, C, O nearer than 2.4 Angstrom in residues two or more apart, ``(...)``."""
    atoms = read_atoms(coords, mask)
    every = Atoms(atoms.coords.flatten(-3, -2), atoms.present.flatten(-2))
    return _num_close(every, ATOM_CLASH_DISTANCE, ATOM_CLASH_SEPARATION, a_residue=4)


def contacts_per_residue(coords: Tensor, mask: Tensor | None = None) -> Tensor:
    """Pairs of CA within 8 Angstrom, six or more residues apart, over L; ``(...)``."""
    trace = ca_trace(coords, mask)
    num = _num_close(trace, CONTACT_DISTANCE, CONTACT_SEPARATION)
    return num.to(coords.dtype) / trace.present.sum(-1).clamp_min(1)


def _distances(points: Atoms) -> Tensor:
    x, present = points
    # The product form would lose half of the digits of short distances.
    distances = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist")
    return torch.where(_pairs(present), distances, torch.zeros_like(distances))


def _num_close(points: Atoms, distance: float, separation: int, a_residue: int = 1) -> Tensor:
    """Pairs this near in residues this far apart along the chain, of points ``(..., n, 3)``."""
    place = torch.arange(points.coords.shape[-2], device=points.coords.device) // a_residue
    apart = place - place[:, None] >= separation
    close = (_distances(points) < distance) & _pairs(points.present) & apart
    return close.sum((-2, -1))


def _pairs(present: Tensor) -> Tensor:
    return present[..., :, None] & present[..., None, :]
