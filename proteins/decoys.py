"""Chains that are wrong in one known way, to test whatever claims to judge backbones.

    class            what is wrong                      what is left right
    frame noise      local geometry                     the fold
    mirror image     handedness                         everything else
    shuffled         the order of the (φ, ψ) pairs      local geometry, Ramachandran
    hinged           (φ, ψ) of one residue in eight     local geometry, the rest
    ideal helix      there is only one, as long         local geometry, hydrogen bonds
                     as the chain
    random walk      it is a CA trace without atoms     distances of neighbouring CA

Every function takes complete backbones ``(..., L, 4, 3)`` in Angstrom and returns such; the
draws are the caller's generator's.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from geometry import quaternion_rotate, rotation_vector_to_quaternion

from .atom_masks import CA
from .backbone_geometry import IDEAL_LENGTHS
from .chain_builder import build_backbone, ideal_coordinates, internal_coordinates

HELIX_PHI, HELIX_PSI = math.radians(-62.0), math.radians(-42.0)
"""An α helix, as proteins have them."""


def frame_noise(
    coords: Tensor, translation: float, angle: float, *, generator: torch.Generator | None = None
) -> Tensor:
    """Move every residue by itself, as a rigid body about its CA.

    Args:
        coords: ``(..., L, 4, 3)``.
        translation: standard deviation of each coordinate, in Angstrom.
        angle: standard deviation of the angle of turn, in radians; its axis is uniform.
        generator: where the noise comes from.

    Example:
        >>> frame_noise(torch.ones(5, 4, 3), 0.0, 0.5).unique()
        tensor([1.])
    """
    residues = coords.shape[:-2]
    axis = torch.nn.functional.normalize(_normal((*residues, 3), coords, generator), dim=-1)
    turn = angle * _normal((*residues, 1), coords, generator)
    q = rotation_vector_to_quaternion(turn * axis)[..., None, :]
    shift = translation * _normal((*residues, 1, 3), coords, generator)
    centre = coords[..., CA : CA + 1, :]
    return centre + quaternion_rotate(q, coords - centre) + shift


def mirror_image(coords: Tensor) -> Tensor:
    """The reflection in the y-z plane: every amino acid of the wrong hand.

    Example:
        >>> mirror_image(torch.ones(1, 4, 3))[0, 0]
        tensor([-1.,  1.,  1.])
    """
    return coords * coords.new_tensor([-1.0, 1.0, 1.0])


def shuffled_torsions(coords: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """The same (φ, ψ) pairs in another order, all lengths, angles and ω where they were.

    The ends, which have only one of the two, keep their places.
    """
    parts = internal_coordinates(coords)
    rank = torch.rand(parts.phi.shape, generator=generator, dtype=torch.float64)
    rank = rank.to(coords.device)
    rank[..., 0], rank[..., -1] = -1, 2  # below and above what is drawn
    order = rank.argsort(-1)
    phi, psi = parts.phi.gather(-1, order), parts.psi.gather(-1, order)
    return build_backbone(parts._replace(phi=phi, psi=psi))


def hinged(coords: Tensor, every: int = 8, *, generator: torch.Generator | None = None) -> Tensor:
    """Uniform φ and ψ at one residue in ``every``, each stretch's own, the rest as it was.

    Raises:
        ValueError: for ``every`` below one.
    """
    if every < 1:
        raise ValueError(f"expected a hinge every 1 residue or more, got {every}")
    parts = internal_coordinates(coords)
    place = torch.arange(parts.phi.shape[-1], device=coords.device)
    is_hinge = place % every == every // 2
    drawn = torch.rand((2, *parts.phi.shape), generator=generator, dtype=coords.dtype)
    turns = (2 * drawn - 1).to(coords.device) * math.pi
    phi = torch.where(is_hinge, turns[0], parts.phi)
    psi = torch.where(is_hinge, turns[1], parts.psi)
    return build_backbone(parts._replace(phi=phi, psi=psi))


def ideal_helix(length: int, *, dtype: torch.dtype = torch.float32) -> Tensor:
    """One straight α helix ``(L, 4, 3)``."""
    angles = torch.tensor([HELIX_PHI, HELIX_PSI], dtype=dtype)
    return build_backbone(ideal_coordinates(*angles[:, None].expand(2, length)))


def random_walk(
    length: int,
    *,
    generator: torch.Generator | None = None,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """A freely jointed chain of CA atoms, 3.8 Angstrom apart; N, C and O are NaN: absent."""
    step = torch.randn(length, 3, generator=generator, dtype=dtype)
    trace = (IDEAL_LENGTHS["ca_ca"] * torch.nn.functional.normalize(step, dim=-1)).cumsum(0)
    coords = torch.full((length, 4, 3), torch.nan, dtype=dtype)
    coords[:, CA] = trace
    return coords


def _normal(shape: tuple[int, ...], like: Tensor, generator: torch.Generator | None) -> Tensor:
    return torch.randn(shape, generator=generator, dtype=like.dtype).to(like.device)
