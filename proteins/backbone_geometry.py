"""Bond lengths and angles of a backbone, in Angstrom and radians.

The ideal values are those of Engh and Huber (2001, International Tables for Crystallography F,
18.3): refined structures scatter about them by 0.02 Angstrom and 2 degrees, so a tenth of an
Angstrom tells a chemical bond from a drawing of one. The distance of neighbouring CA follows
from them: 3.80 Angstrom across a trans peptide bond, 2.95 across a cis one (some 5% of the
bonds before proline, 0.03% of others).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from .atom_masks import CA, C, N, O, links, read_atoms
from .measurement import Measurement, measure


class BondLengths(NamedTuple):
    """Lengths in Angstrom: within residues ``(..., L)``, to the next residue ``(..., L-1)``."""

    n_ca: Measurement
    ca_c: Measurement
    c_o: Measurement
    c_n: Measurement
    ca_ca: Measurement
    """No bond: the distance of CA to the next CA."""


class BondAngles(NamedTuple):
    """Angles in radians: at CA ``(..., L)``, at C and at the next N ``(..., L-1)``."""

    n_ca_c: Measurement
    ca_c_n: Measurement
    c_n_ca: Measurement


IDEAL_LENGTHS = {"n_ca": 1.458, "ca_c": 1.525, "c_n": 1.329, "c_o": 1.231, "ca_ca": 3.80}
"""Engh and Huber, in Angstrom; ``ca_ca`` for trans peptide bonds."""

IDEAL_ANGLES = {
    "n_ca_c": math.radians(111.0),
    "ca_c_n": math.radians(117.2),
    "c_n_ca": math.radians(121.7),
    "ca_c_o": math.radians(120.1),
}
"""Engh and Huber, in radians."""


def angle(a: Tensor, b: Tensor, c: Tensor) -> Measurement:
    """Angle at b of points ``(..., 3)``: atan2(|u x v|, u . v), radians in [0, π].

    Undefined where b coincides with a or c. Gradients are finite, and zero at 0 and π.

    Example:
        >>> x, y, _ = torch.eye(3)
        >>> angle(x, 0 * x, y).value * 180 / torch.pi
        tensor(90.)
    """
    u, v = a - b, c - b
    square = torch.linalg.cross(u, v).square().sum(-1)
    sine = torch.where(square > 0, torch.where(square > 0, square, 1.0).sqrt(), 0.0)
    cosine = (u * v).sum(-1)
    defined = sine.square() + cosine.square() > 0
    return measure(torch.atan2(sine, torch.where(defined, cosine, 1.0)), defined)


def bond_lengths(
    coords: Tensor, mask: Tensor | None = None, linked: Tensor | None = None
) -> BondLengths:
    """Lengths of N-CA, CA-C, C=O, C-N and the distance of neighbouring CA.

    Arguments and errors as in `torsions.backbone_torsions`.

    Example:
        >>> bond_lengths(torch.zeros(1, 4, 3)).ca_ca.value
        tensor([])
    """
    (x, present), link = read_atoms(coords, mask), links(coords, linked)

    def inside(a: int, b: int) -> Measurement:
        return measure(_norm(x[..., b, :] - x[..., a, :]), present[..., a] & present[..., b])

    def across(a: int, b: int) -> Measurement:
        both = present[..., :-1, a] & present[..., 1:, b]
        return measure(_norm(x[..., 1:, b, :] - x[..., :-1, a, :]), both & link)

    return BondLengths(inside(N, CA), inside(CA, C), inside(C, O), across(C, N), across(CA, CA))


def bond_angles(
    coords: Tensor, mask: Tensor | None = None, linked: Tensor | None = None
) -> BondAngles:
    """Angles N-CA-C, CA-C-N and C-N-CA.

    Arguments and errors as in `torsions.backbone_torsions`.
    """
    (x, present), link = read_atoms(coords, mask), links(coords, linked)
    n, ca, c = (x[..., k, :] for k in (N, CA, C))
    has_n, has_ca, has_c = (present[..., k] for k in (N, CA, C))
    at_ca = angle(n, ca, c)
    at_c = angle(ca[..., :-1, :], c[..., :-1, :], n[..., 1:, :])
    at_n = angle(c[..., :-1, :], n[..., 1:, :], ca[..., 1:, :])
    before, after = link & has_c[..., :-1], link & has_n[..., 1:]
    return BondAngles(
        measure(at_ca.value, at_ca.defined & has_n & has_ca & has_c),
        measure(at_c.value, at_c.defined & after & (has_ca & has_c)[..., :-1]),
        measure(at_n.value, at_n.defined & before & (has_n & has_ca)[..., 1:]),
    )


def _norm(u: Tensor) -> Tensor:
    """Length of ``(..., 3)``, with gradient zero at zero."""
    square = (u * u).sum(-1)
    return torch.where(square > 0, torch.where(square > 0, square, 1.0).sqrt(), 0.0)
