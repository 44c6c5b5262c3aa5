r"""Which noise goes with which chain.

============================  ==========================================================
:class:`AlignedNoise`         drawn, and turned by the motion g that brings it nearest
:class:`TransportedNoise`     the same, permuted among the chains of one length in a batch
:class:`StoredNoise`          that which a batch of pairs brings along
============================  ==========================================================

Chains have no orientation, so the noise of a chain may be turned as one likes: the law of
x_0 up to rigid motions stays that of the prior, and an equivariant network asks for no more. With

    g = argmin_R sum_l |R x_0,l - x_1,l|^2    (Kabsch 1976)

paths are shorter, since none of them has to turn the chain as a whole. g moves the frames as well
as the places, x_0 <- g x_0 and q_0 <- g q_0: turning the places alone would leave the prior
of whatever frames say of neighbours. Transport takes of all permutations s that of least cost

    sum_b sum_l |g x_0,l - x_1,l|^2 / std^2 + |Log((g q_0,l)* q_1,l)|^2

within each length (Tong et al. 2024, with the cost of the product space after alignment). It
does something only where a batch has several chains of one length.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from geometry import SO3
from geometry.quaternions import quaternion_multiply, quaternion_rotate
from geometry.rotation_conversions import matrix_to_quaternion
from seqflow.couplings import least_cost_permutation
from seqflow.objectives import Batch
from seqflow.process import Process
from seqflow.product_process import Parts

from .flow import PREVIOUS, PRIOR_STD, ROTATION, TRANSLATION
from .pairs import NOISE_ROTATION, NOISE_TRANSLATION
from .superposition import kabsch


class _Frames(NamedTuple):
    """CA ``(..., L, 3)`` and unit quaternions ``(..., L, 4)``."""

    x: Tensor
    q: Tensor


@dataclass(frozen=True)
class AlignedNoise:
    """Noise turned onto its chain."""

    @torch.no_grad()
    def __call__(
        self, process: Process[Any], batch: Batch, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """x_0 of the batch."""
        x_0 = _draw(process, batch, generator)
        noise, chains = _Frames(x_0[TRANSLATION], x_0[ROTATION]), _chains(batch)
        turned = _turn(noise, _alignment(noise, chains, batch["mask"]))
        return {**x_0, TRANSLATION: turned.x, ROTATION: turned.q}


@dataclass(frozen=True)
class TransportedNoise:
    """Noise turned onto the chains, of all chains of its length the one that suits it.

    Attributes:
        std: of translations at t = 0, in Angstrom: weighs places against frames.
    """

    std: float = PRIOR_STD

    @torch.no_grad()
    def __call__(
        self, process: Process[Any], batch: Batch, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """x_0 of the batch."""
        x_0, mask = _draw(process, batch, generator), batch["mask"]
        noise, chains = _Frames(x_0[TRANSLATION], x_0[ROTATION]), _chains(batch)
        # Noise first: (n, 1, L, ...) against (1, n, L, ...).
        rows = _Frames(*(a.unsqueeze(1) for a in noise))
        g = _alignment(rows, _Frames(*(a.unsqueeze(0) for a in chains)), mask.unsqueeze(0))
        cost = self._cost(_turn(rows, g), chains, mask)
        same = (mask.unsqueeze(1) == mask.unsqueeze(0)).all(-1)
        # What is not of one length costs more than everything else together.
        chosen = least_cost_permutation(torch.where(same, cost, 1 + cost.sum()))
        matched = _Frames(*(a[chosen] for a in noise))
        turned = _turn(matched, g[chosen, torch.arange(len(chosen), device=g.device)])
        return {**x_0, TRANSLATION: turned.x, ROTATION: turned.q}

    def _cost(self, noise: _Frames, chains: _Frames, mask: Tensor) -> Tensor:
        """The sum of this module's head of every pair, ``(n, n)``."""
        far = ((noise.x - chains.x) / self.std).square().sum(-1)
        turned = SO3().dist(noise.q, chains.q).square()
        return ((far + turned) * mask).sum(-1)


@dataclass(frozen=True)
class StoredNoise:
    """The noise that a batch of pairs brings along; for real chains the process draws."""

    def __call__(
        self, process: Process[Any], batch: Batch, generator: torch.Generator
    ) -> dict[str, Tensor] | None:
        """x_0 of the batch, or None."""
        del process, generator
        if NOISE_ROTATION not in batch:
            return None
        noise = batch[NOISE_ROTATION]
        return {
            TRANSLATION: batch[NOISE_TRANSLATION],
            ROTATION: noise,
            PREVIOUS: torch.zeros_like(noise),
        }


def _draw(process: Process[Any], batch: Batch, generator: torch.Generator) -> Parts:
    x = batch[TRANSLATION]
    drawn: Parts = process.sample_prior(
        x.shape[:2], generator=generator, dtype=x.dtype, device=x.device
    )
    return drawn


def _chains(batch: Batch) -> _Frames:
    return _Frames(batch[TRANSLATION], batch[ROTATION])


def _alignment(noise: _Frames, chains: _Frames, mask: Tensor) -> Tensor:
    """g as unit quaternions ``(...)``: both are centred, so there is no translation."""
    return matrix_to_quaternion(kabsch(noise.x, chains.x, mask).rotation)


def _turn(frames: _Frames, g: Tensor) -> _Frames:
    g = g.unsqueeze(-2)
    return _Frames(quaternion_rotate(g, frames.x), quaternion_multiply(g, frames.q))
