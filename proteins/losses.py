r"""How good predicted frames are.

With s(t) = 1 - min(t, 0.9), the mask m and S residues that are there, one number a chain::

    translation   1/S sum_i m_i rho(|0.1 (y_i - x_i)/s|^2) / 3
    rotation      1/S sum_i m_i |e_i/s|^2 / 3
    atoms         1/S sum_i m_i sum_{a = N, CA, C} |0.1 (a_i - b_i)/s|^2 / 3
    distances     mean over pairs of these atoms of (0.1 (|a - a'| - |b - b'|)/s)^2
    links         1/n sum over peptide bonds and four atom pairs each of the same

rho(r) = 2 D^2 (sqrt(1 + r/D^2) - 1) is r for small errors and grows like their length for large
ones, so that the worst predictions keep a gradient (the published min(5, .) takes it away). A
rotation r_i for q_i at the state p_i has one of two errors e_i::

    log_error        Log(p_i* q_i) - Log(p_i* r_i)     of two velocities; jumps at half a turn
    geodesic_error   Log(q_i* r_i)                     to the target; smooth unless half a turn off

All of them are the same for q and -q, and finite with finite gradients everywhere. The last
three terms count from t > ``late`` on: structure is settled early, geometry late. ``links`` is
the part of ``distances`` that decides whether a chain is a chain; there are so few that in the
mean over all pairs nothing is left of it. Predicted atoms a are those of ideal residues, true
ones b as they were measured: with ideal residues on real frames 1.4% of the peptide bonds are
off by more than 0.1 Angstrom, and a network would learn that.
Source: Yim et al. 2023, arXiv:2310.05297, section 3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from geometry import SO3
from geometry.lengths import dot, length

from .flow import remaining_noise
from .frames import frames_to_backbone
from .measurement import masked_mean

NANOMETRE = 0.1  # Angstrom in nanometres

RotationError = Callable[[Tensor, Tensor, Tensor], Tensor]
"""State p, target q, prediction r, each ``(..., 4)``, to an error ``(..., 3)`` in radians."""


class Frames(NamedTuple):
    """Frames of a batch of chains.

    Attributes:
        rotation: unit quaternions ``(B, L, 4)``.
        translation: CA in Angstrom ``(B, L, 3)``.
    """

    rotation: Tensor
    translation: Tensor


class Target(NamedTuple):
    """What is to be predicted.

    Attributes:
        rotation: unit quaternions ``(B, L, 4)``.
        translation: CA in Angstrom ``(B, L, 3)``.
        atoms: N, CA and C as they were measured, in Angstrom ``(B, L, 3, 3)``.
    """

    rotation: Tensor
    translation: Tensor
    atoms: Tensor


class Residues(NamedTuple):
    """Which residues and bonds there are.

    Attributes:
        mask: bool ``(B, L)``.
        linked: residue i is linked to i + 1, bool ``(B, L)``.
    """

    mask: Tensor
    linked: Tensor


def log_error(p: Tensor, q: Tensor, r: Tensor) -> Tensor:
    """Log(p* q) - Log(p* r), the difference of the velocities at p."""
    return SO3().logmap(p, q) - SO3().logmap(p, r)


def geodesic_error(p: Tensor, q: Tensor, r: Tensor) -> Tensor:
    """Log(q* r), of the length of the angle between target and prediction."""
    del p
    return SO3().logmap(q, r)


@dataclass(frozen=True)
class BackboneLoss:
    """A weighted sum of the terms of this module's head.

    Attributes:
        translation: weight.
        rotation: weight.
        atoms: weight.
        distances: weight.
        links: weight.
        late: the last three count after this time.
        huber: D, in nanometres over s; errors well beyond count by their length.
        rotation_error: ``log_error`` or ``geodesic_error``.
    """

    translation: float = 1.0
    rotation: float = 1.0
    atoms: float = 1.0
    distances: float = 1.0
    links: float = 1.0
    late: float = 0.25
    huber: float = 2.0
    rotation_error: RotationError = geodesic_error

    def __call__(
        self, prediction: Frames, target: Target, state: Frames, residues: Residues, t: Tensor
    ) -> Tensor:
        """The sum, ``(B,)``."""
        terms = self.terms(prediction, target, state, residues, t)
        return sum((getattr(self, name) * term for name, term in terms.items()), 0 * t)

    def terms(
        self, prediction: Frames, target: Target, state: Frames, residues: Residues, t: Tensor
    ) -> dict[str, Tensor]:
        """Every term unweighted, ``(B,)`` each; those of late times zero before them."""
        s, mask = remaining_noise(t), residues.mask
        error = self.rotation_error(state.rotation, target.rotation, prediction.rotation)
        a, b = frames_to_backbone(*prediction), target.atoms
        scale = NANOMETRE / s
        late = (t > self.late).to(t.dtype)
        return {
            "translation": translation_loss(
                prediction.translation, target.translation, mask, scale, self.huber
            ),
            "rotation": masked_mean(dot(error, error), mask) / s.square() / 3,
            "atoms": late * atom_loss(a, b, mask, scale),
            "distances": late * distance_loss(a, b, mask, scale),
            "links": late * link_loss(a, b, residues.linked, scale),
        }


def translation_loss(y: Tensor, x: Tensor, mask: Tensor, scale: Tensor, huber: float) -> Tensor:
    """rho of the errors of CA ``(B, L, 3)``, ``(B,)``; ``scale`` (B,) makes them of order one."""
    error = scale[:, None, None] * (y - x)
    robust = 2 * huber**2 * ((1 + dot(error, error) / huber**2).sqrt() - 1)
    return masked_mean(robust, mask) / 3


def atom_loss(a: Tensor, b: Tensor, mask: Tensor, scale: Tensor) -> Tensor:
    """Squared errors of N, CA and C, ``(B, L, 3, 3)`` to ``(B,)``."""
    error = (a - b).flatten(-2)
    return masked_mean(dot(error, error), mask) * scale.square() / 3


def distance_loss(a: Tensor, b: Tensor, mask: Tensor, scale: Tensor) -> Tensor:
    """Squared errors of the distances of all pairs of atoms, ``(B, L, 3, 3)`` to ``(B,)``.

    Masked by a product with zero, so what coordinates padding has must be finite.
    """
    (n, m), weight = a.shape[1:3], mask.to(a)
    pairs = weight.unsqueeze(-1) * weight.unsqueeze(-2)
    error = _distances(a.flatten(1, 2)) - _distances(b.flatten(1, 2))
    by_residue = error.square().unflatten(-1, (n, m)).unflatten(-3, (n, m)).sum((-1, -3))
    total: Tensor = (pairs * by_residue).sum((-1, -2))
    atoms = m * weight.sum(-1)
    return total * scale.square() / (atoms * (atoms - 1)).clamp_min(1)


def link_loss(a: Tensor, b: Tensor, linked: Tensor, scale: Tensor) -> Tensor:
    """Squared errors of C-N, CA-N, C-CA and CA-CA across the peptide bonds, ``(B,)``."""
    pairs = ((2, 0), (1, 0), (2, 1), (1, 1))
    errors = [(_across(a, i, j) - _across(b, i, j)).square() for i, j in pairs]
    return masked_mean(torch.stack(errors, -1).sum(-1), linked[:, :-1]) * scale.square()


def _distances(x: Tensor) -> Tensor:
    """Of all pairs, ``(B, n, 3)`` to ``(B, n, n)``, with gradient zero at zero."""
    # Not by |x|^2 + |y|^2 - 2 <x, y>, whose rounding is of the size of a bond.
    return torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist")


def _across(x: Tensor, i: int, j: int) -> Tensor:
    """Distance of atom i of each residue to atom j of the next, ``(B, L - 1)``."""
    v = x[:, 1:, j] - x[:, :-1, i]
    return length(dot(v, v))
