"""Dihedral angles: φ, ψ and ω of a backbone.

For points a, b, c, d with b1 = b - a, b2 = c - b, b3 = d - c and normals n1 = b1 x b2,
n2 = b2 x b3, the dihedral angle about b -> c is

    atan2( |b2| b1 . n2,  n1 . n2 )                in (-π, π], zero for cis,

which is exact at every angle, where acos loses half of the digits at 0 and π. The angles of
residue i (IUPAC-IUB 1970):

    φ_i   C(i-1)  N(i)  CA(i)  C(i)          undefined for the first residue
    ψ_i   N(i)    CA(i) C(i)   N(i+1)        undefined for the last
    ω_i   CA(i)   C(i)  N(i+1) CA(i+1)       undefined for the last; near π, or 0 if cis

Nothing is defined where atoms coincide or three of them are in line.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .atom_masks import CA, C, N, links, read_atoms
from .measurement import Measurement, measure


class Torsions(NamedTuple):
    """Angles in radians, each a measurement ``(..., L)``."""

    phi: Measurement
    psi: Measurement
    omega: Measurement


def dihedral(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Measurement:
    """Dihedral angle about b -> c of points ``(..., 3)``, in radians, ``(...)``.

    Values and gradients are finite everywhere; undefined if three neighbours are in line.

    Example:
        >>> x, y, z = torch.eye(3)
        >>> dihedral(x, 0 * x, z, y + z).value * 180 / torch.pi
        tensor(90.)
    """
    b1, b2, b3 = b - a, c - b, d - c
    n1, n2 = torch.linalg.cross(b1, b2), torch.linalg.cross(b2, b3)
    s1, s2, s3 = ((u * u).sum(-1) for u in (b1, b2, b3))
    length = torch.where(s2 > 0, s2, 1.0).sqrt()
    sine, cosine = length * (b1 * n2).sum(-1), (n1 * n2).sum(-1)
    # Normals that are nothing but rounding have no direction.
    floor = torch.finfo(a.dtype).eps ** 2 * (s1 * s2.square() * s3)
    defined = sine.square() + cosine.square() > floor.detach()
    # The inactive branch gets (0, 1): atan2(0, 0) has no derivative.
    sine, cosine = torch.where(defined, sine, 0.0), torch.where(defined, cosine, 1.0)
    return measure(torch.atan2(sine, cosine), defined)


def backbone_torsions(
    coords: Tensor, mask: Tensor | None = None, linked: Tensor | None = None
) -> Torsions:
    """φ, ψ and ω in radians of backbones ``(..., L, 4, 3)``.

    Args:
        coords: N, CA, C, O in Angstrom; O is not used.
        mask: residues ``(..., L)`` or atoms ``(..., L, 4)`` that are there.
        linked: residues linked to the next, ``(..., L)``, as `Backbone.linked` says.

    Raises:
        ValueError: as `atom_masks.read_atoms` and `atom_masks.links` do.
    """
    atoms = read_atoms(coords, mask)
    link = links(coords, linked)
    n, ca, c = (atoms.coords[..., k, :] for k in (N, CA, C))
    has_n, has_ca, has_c = (atoms.present[..., k] for k in (N, CA, C))
    inside = has_n & has_ca & has_c
    phi = _where(
        dihedral(c[..., :-1, :], n[..., 1:, :], ca[..., 1:, :], c[..., 1:, :]),
        link & has_c[..., :-1] & inside[..., 1:],
    )
    psi = _where(
        dihedral(n[..., :-1, :], ca[..., :-1, :], c[..., :-1, :], n[..., 1:, :]),
        link & inside[..., :-1] & has_n[..., 1:],
    )
    omega = _where(
        dihedral(ca[..., :-1, :], c[..., :-1, :], n[..., 1:, :], ca[..., 1:, :]),
        link & (has_ca & has_c)[..., :-1] & (has_n & has_ca)[..., 1:],
    )
    length = coords.shape[-3]
    before, after = (min(length, 1), 0), (0, min(length, 1))
    return Torsions(_pad(phi, before), _pad(psi, after), _pad(omega, after))


def _where(angle: Measurement, defined: Tensor) -> Measurement:
    return measure(angle.value, angle.defined & defined)


def _pad(angle: Measurement, widths: tuple[int, int]) -> Measurement:
    """Add undefined residues, so that there is one entry a residue."""
    pad = torch.nn.functional.pad
    return Measurement(pad(angle.value, widths), pad(angle.defined, widths, value=False))
