r"""How the sampler steps from s to s', given p_k = p(x_1 = k | x_t) frozen over the step.

======================  ==============================================  ==========================
:class:`DrawnEnd`       the bridge to e_k of a token k ~ p              noise v_1 ds (1-s')/(1-s)
:class:`MeanDrift`      by sum_k p_k log_x(e_k)                         noise v_1 ds (1-s')/(1-s)
:class:`GeodesicWalk`   by sum_k p_k log_x(e_k)                         noise v_1 ds
======================  ==============================================  ==========================

ds = s' - s, and of the logarithm the share ds/(1 - s). The first draws from the mixture of
bridges that the posterior is about: for a token alone its steps are exact up to curvature, however
few, and it needs no pass over the alphabet but that of drawing. The second solves the mean drift
with an exponential integrator. The third is the geodesic random walk of Jo and Hwang, an Euler
step. A step that reaches t = 1 lands on the vertex of a token k ~ p.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from ..categorical import probabilities, sample_tokens
from .angles import angle_ratio
from .strides import between, stride


class Move(Protocol):
    """A way to step."""

    def __call__(
        self,
        x_t: Tensor,
        logits: Tensor,
        times: tuple[Tensor, Tensor],
        variance: float,
        generator: torch.Generator | None,
    ) -> Tensor:
        """The next state.

        Args:
            x_t: ``(batch, length, K + 1)``.
            logits: of p, ``(batch, length, K)``.
            times: angles of s and s', ``(batch, 1)`` each.
            variance: v_1.
            generator: source of the draws.
        """
        ...


@dataclass(frozen=True)
class DrawnEnd:
    """Draws k ~ p and walks the bridge to e_k."""

    def __call__(
        self,
        x_t: Tensor,
        logits: Tensor,
        times: tuple[Tensor, Tensor],
        variance: float,
        generator: torch.Generator | None,
    ) -> Tensor:
        """The next state, ``(batch, length, K + 1)``."""
        tokens = sample_tokens(logits, generator=generator).unsqueeze(-1)
        share, std = (each.unsqueeze(-1) for each in stride(variance, *times))
        f = angle_ratio(0.5 - 0.5 * x_t.gather(-1, tokens))
        w = _noise(x_t, std, generator).scatter_add_(-1, tokens, share * f)
        return _shoot(x_t, w, tokens, share)


@dataclass(frozen=True)
class MeanDrift:
    """Walks along the mean of all logarithms, with the noise of a bridge."""

    def __call__(
        self,
        x_t: Tensor,
        logits: Tensor,
        times: tuple[Tensor, Tensor],
        variance: float,
        generator: torch.Generator | None,
    ) -> Tensor:
        """The next state, ``(batch, length, K + 1)``."""
        share, std = stride(variance, *times)
        return _drift(x_t, logits, share, std, generator)


@dataclass(frozen=True)
class GeodesicWalk:
    """Walks along the mean of all logarithms, with the noise of an Euler step."""

    def __call__(
        self,
        x_t: Tensor,
        logits: Tensor,
        times: tuple[Tensor, Tensor],
        variance: float,
        generator: torch.Generator | None,
    ) -> Tensor:
        """The next state, ``(batch, length, K + 1)``."""
        share, _ = stride(variance, *times)
        std = (variance * between(*times)).clamp_min(0).sqrt()
        return _drift(x_t, logits, share, std, generator)


def _drift(
    x_t: Tensor, logits: Tensor, share: Tensor, std: Tensor, generator: torch.Generator | None
) -> Tensor:
    share, std = share.unsqueeze(-1), std.unsqueeze(-1)
    ends = sample_tokens(logits, generator=generator).unsqueeze(-1)
    pull = share * probabilities(logits) * angle_ratio(0.5 - 0.5 * x_t[..., :-1])
    w = _noise(x_t, std, generator) + F.pad(pull, (0, 1))
    return _shoot(x_t, w, ends, share)


def _noise(x_t: Tensor, std: Tensor, generator: torch.Generator | None) -> Tensor:
    return torch.empty_like(x_t).normal_(generator=generator).mul_(std)


def _shoot(x: Tensor, w: Tensor, ends: Tensor, share: Tensor) -> Tensor:
    """exp_x of the tangent part of ``w``, scaled to length 1; e_k where the share is 1."""
    v = torch.addcmul(w, x, -(x * w).sum(-1, keepdim=True))
    tiny = torch.finfo(x.dtype).tiny
    N = v.square().sum(-1, keepdim=True).clamp_min(tiny).sqrt()
    moved = (N.cos() * x).addcmul_(N.sin() / N, v)
    going = (share < 1).to(x.dtype)
    moved = moved * (going * moved.square().sum(-1, keepdim=True).rsqrt())
    # Zero by now where it arrives.
    return moved.scatter_add_(-1, ends, (1 - going).expand(ends.shape))
