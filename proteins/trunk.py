r"""What all trunks share: who is there, what a residue knows of itself, and how a frame is moved.

A trunk takes a state (see ``flow``) and says where every frame ends. Nothing but invariants may
enter and nothing but local vectors may leave; then a rigid motion of the state moves the answer
along, exactly. With u and w of each residue, in its own frame, and s(t) = 1 - min(t, 0.9)::

    x_i <- x_i + s(t) R_i u_i,    q_i <- q_i Exp(s(t) w_i)

s(t) makes u and w of one size at all times. Points that residues send each other go from one
frame to another by ``to_global`` and ``to_local``. The answer has the centre of the state.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from geometry import SO3
from geometry.quaternions import quaternion_conjugate, quaternion_rotate
from seqflow.process import Condition
from seqflow.product_process import Parts

from .flow import PREVIOUS, PRIOR_STD, ROTATION, TRANSLATION

REACH = 32
"""Farther apart along the chain, relative positions look the same."""

EXCLUDED = -1e4
"""A logit that no residue has, finite so that an empty chain is finite too."""

NUM_OWN_FEATURES = 4
_FREQUENCIES = 16
_LONGEST = 256.0


def residues(x: Tensor, condition: Condition) -> tuple[Tensor, Tensor]:
    """Mask, bool, and positions, int64, ``(B, L)`` each: all, and 0, 1, ..., of no condition."""
    if condition is None:
        mask = torch.ones_like(x[..., 0], dtype=torch.bool)
        return mask, torch.arange(x.shape[1], device=x.device).expand(len(x), -1)
    return condition["mask"], condition["positions"]  # type: ignore[index]  # a mapping


def first_position(mask: Tensor, positions: Tensor) -> Tensor:
    """Of the residues that are there, ``(B, 1)``."""
    return torch.where(mask, positions, positions.amax(-1, keepdim=True)).amin(-1, True)


def relative_index(apart: Tensor) -> Tensor:
    """Differences of positions as rows of a table of 2 REACH + 1."""
    return apart.clamp(-REACH, REACH) + REACH


class ChainPlaces(nn.Module):
    """Sines and cosines of the places from either end, ``(B, L, 64)``."""

    frequencies: Tensor
    channels = 4 * _FREQUENCIES

    def __init__(self) -> None:
        super().__init__()
        steps = torch.arange(_FREQUENCIES) / (_FREQUENCIES - 1)
        self.register_buffer("frequencies", math.pi * _LONGEST**-steps, persistent=False)

    def forward(self, positions: Tensor, mask: Tensor) -> Tensor:
        """Of positions ``(B, L)``, among those of the residues that are there."""
        first = first_position(mask, positions)
        last = torch.where(mask, positions, first).amax(-1, keepdim=True)
        places = torch.stack((positions - first, last - positions), -1)
        phase = (places.unsqueeze(-1) * self.frequencies).flatten(-2)
        return torch.cat((phase.sin(), phase.cos()), -1)


def own_features(x_t: Parts, s: Tensor) -> Tensor:
    """Where this residue was predicted to go, in its own frame, and whether it was."""
    known = x_t[PREVIOUS][..., 3:]
    way = x_t[PREVIOUS][..., :3] - known * x_t[TRANSLATION]
    way = quaternion_rotate(quaternion_conjugate(x_t[ROTATION]), way)
    return torch.cat((way / (PRIOR_STD * s), known), -1)


def to_global(q: Tensor, x: Tensor, points: Tensor) -> Tensor:
    """T_i p: points ``(B, L, n, 3)`` of the frames q ``(B, L, 4)``, x ``(B, L, 3)``."""
    return quaternion_rotate(q.unsqueeze(-2), points) + x.unsqueeze(-2)


def to_local(q: Tensor, x: Tensor, points: Tensor) -> Tensor:
    """T_i^-1 p, the inverse of :func:`to_global`."""
    return quaternion_rotate(quaternion_conjugate(q).unsqueeze(-2), points - x.unsqueeze(-2))


def move(q: Tensor, x: Tensor, u: Tensor, w: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
    """The frames after one motion of this module's head; x in Angstrom, u in nanometres."""
    return SO3().expmap(q, s * w), x + PRIOR_STD * s * quaternion_rotate(q, u)


def ends(x_t: Parts, q: Tensor, x: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """Frames as the state that a trunk answers with, with the centre that ``x_t`` has.

    Residues that are not there keep their frames, and are not remembered.
    """
    present = mask.unsqueeze(-1).to(x)
    x = x_t[TRANSLATION] + centred(x - x_t[TRANSLATION], present)
    q = torch.where(mask.unsqueeze(-1), SO3().projx(q), x_t[ROTATION])
    return {TRANSLATION: x, ROTATION: q, PREVIOUS: torch.cat((present * x, present), -1)}


def centred(x: Tensor, present: Tensor) -> Tensor:
    """``x`` (B, L, 3) less its mean over the residues that are there, zero elsewhere."""
    x = x * present
    mean = x.sum(-2, keepdim=True) / present.sum(-2, keepdim=True).clamp_min(1)
    return x - present * mean
