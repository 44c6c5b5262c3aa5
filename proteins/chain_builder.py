r"""Backbones from torsion angles: bond after bond, all bonds at once.

Let F_b be the frame of bond b, its x axis along the bond. The next bond is reached by turning
about this one by its torsion angle τ_b and bending by the angle θ_b at the atom between them
("natural extension reference frame", Parsons et al. 2005, J. Comput. Chem. 26(10)):

    F_{b+1} = F_b Rx(τ_b) Rz(π - θ_b),        atom_{b+1} = atom_b + l_b F_b e_x.

The frames are the running products of the local rotations. Quaternion multiplication is
associative, so the products of all prefixes take log2(3 L) batched steps (Hillis and Steele
1986, "Data parallel algorithms"), differentiable throughout, with no loop over residues. The
bonds of residue i are N-CA (τ = φ_i), CA-C (ψ_i) and C-N (ω_i); O stands off the C-N bond in
the peptide plane, at ψ_i + π about CA-C.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from geometry import quaternion_multiply, quaternion_rotate

from .atom_masks import C
from .backbone_geometry import IDEAL_ANGLES, IDEAL_LENGTHS, bond_angles, bond_lengths
from .torsions import backbone_torsions


class InternalCoordinates(NamedTuple):
    """What a backbone is made of up to a rigid motion, radians and Angstrom; each ``(..., L)``.

    ``omega``, ``c_n``, ``ca_c_n`` and ``c_n_ca`` of residue i belong to the bond to residue
    i+1; φ of the first residue and what the last has of these change nothing but the last O.
    """

    phi: Tensor
    psi: Tensor
    omega: Tensor
    n_ca: Tensor
    ca_c: Tensor
    c_n: Tensor
    n_ca_c: Tensor
    ca_c_n: Tensor
    c_n_ca: Tensor


def ideal_coordinates(
    phi: Tensor, psi: Tensor, omega: Tensor | None = None
) -> InternalCoordinates:
    """These torsion angles in radians ``(..., L)``, with ideal lengths and angles.

    ω is π (trans) if not given.
    """

    def constant(value: float) -> Tensor:
        return torch.full_like(phi, value)

    return InternalCoordinates(
        phi=phi,
        psi=psi,
        omega=constant(math.pi) if omega is None else omega,
        **{name: constant(IDEAL_LENGTHS[name]) for name in ("n_ca", "ca_c", "c_n")},
        **{name: constant(IDEAL_ANGLES[name]) for name in ("n_ca_c", "ca_c_n", "c_n_ca")},
    )


def internal_coordinates(coords: Tensor) -> InternalCoordinates:
    """Torsions, lengths and angles of complete backbones ``(..., L, 4, 3)``.

    What the ends lack is ideal (lengths, angles, ω) or that of an extended chain (φ, ψ = π).
    """
    torsions = backbone_torsions(coords)
    lengths, angles = bond_lengths(coords), bond_angles(coords)
    pad = torch.nn.functional.pad

    def filled(angle: Tensor, defined: Tensor) -> Tensor:
        return torch.where(defined, angle, math.pi)

    return InternalCoordinates(
        phi=filled(*torsions.phi),
        psi=filled(*torsions.psi),
        omega=filled(*torsions.omega),
        n_ca=lengths.n_ca.value,
        ca_c=lengths.ca_c.value,
        c_n=pad(lengths.c_n.value, (0, 1), value=IDEAL_LENGTHS["c_n"]),
        n_ca_c=angles.n_ca_c.value,
        ca_c_n=pad(angles.ca_c_n.value, (0, 1), value=IDEAL_ANGLES["ca_c_n"]),
        c_n_ca=pad(angles.c_n_ca.value, (0, 1), value=IDEAL_ANGLES["c_n_ca"]),
    )


def build_backbone(parts: InternalCoordinates) -> Tensor:
    """Coordinates ``(..., L, 4, 3)`` in Angstrom; the first N at the origin, its CA on the x axis.

    Inverse of `internal_coordinates` up to a rigid motion and the place of O, which is ideal.

    Raises:
        ValueError: if there is no residue or the parts differ in shape.

    Example:
        >>> turns = torch.full((10,), torch.pi)
        >>> chain = build_backbone(ideal_coordinates(turns, turns))
        >>> chain.shape, (chain[1, 1] - chain[0, 1]).norm()
        (torch.Size([10, 4, 3]), tensor(3.8...))
    """
    shapes = {part.shape for part in parts}
    if len(shapes) != 1 or parts.phi.ndim < 1 or parts.phi.shape[-1] < 1:
        raise ValueError(
            f"expected internal coordinates of one shape (..., L), L >= 1, got {sorted(shapes)}"
        )
    turn = torch.stack([parts.phi, parts.psi, parts.omega], -1).flatten(-2)
    bend = torch.stack([parts.n_ca_c, parts.ca_c_n, parts.c_n_ca], -1).flatten(-2)
    length = torch.stack([parts.n_ca, parts.ca_c, parts.c_n], -1).flatten(-2)
    local = _turn_and_bend(turn, bend)
    frames = _running_product(
        torch.cat([_identity_like(local[..., :1, :]), local[..., :-1, :]], -2)
    )
    bonds = length[..., None] * quaternion_rotate(frames, _x_axis(frames))
    ends = bonds.cumsum(-2)
    starts = torch.cat([torch.zeros_like(ends[..., :1, :]), ends[..., :-1, :]], -2)
    n_ca_c = starts.unflatten(-2, (-1, 3))
    frame = frames.unflatten(-2, (-1, 3))[..., 1, :]
    to_oxygen = _turn_and_bend(
        parts.psi + math.pi, torch.full_like(parts.psi, IDEAL_ANGLES["ca_c_o"])
    )
    towards = quaternion_rotate(quaternion_multiply(frame, to_oxygen), _x_axis(frame))
    oxygen = n_ca_c[..., C, :] + IDEAL_LENGTHS["c_o"] * towards
    return torch.cat([n_ca_c, oxygen[..., None, :]], -2)


def _turn_and_bend(turn: Tensor, angle: Tensor) -> Tensor:
    """Quaternions ``(..., 4)`` of Rx(turn) Rz(π - angle)."""
    zero = torch.zeros_like(turn)
    half = (math.pi - angle) / 2
    about_x = torch.stack([(turn / 2).cos(), (turn / 2).sin(), zero, zero], -1)
    about_z = torch.stack([half.cos(), zero, zero, half.sin()], -1)
    return quaternion_multiply(about_x, about_z)


def _running_product(q: Tensor) -> Tensor:
    """Products q_0, q_0 q_1, q_0 q_1 q_2, ... along the last but one dimension."""
    shift = 1
    while shift < q.shape[-2]:
        later = quaternion_multiply(q[..., :-shift, :], q[..., shift:, :])
        q = torch.cat([q[..., :shift, :], later], -2)
        q = torch.nn.functional.normalize(q, dim=-1)
        shift *= 2
    return q


def _identity_like(q: Tensor) -> Tensor:
    return torch.nn.functional.pad(torch.zeros_like(q[..., 1:]), (1, 0), value=1.0)


def _x_axis(q: Tensor) -> Tensor:
    return torch.nn.functional.pad(torch.zeros_like(q[..., 2:]), (1, 0), value=1.0)
