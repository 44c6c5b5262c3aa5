r"""Correctors: renewing some of what is settled, without changing any marginal.

A step of a mixture path from s to t, for a datum x_1 held fixed, may do three things to a
token: leave it, put x_1 there, or draw fresh noise. The marginal kappa x_1 + (1 - kappa) p_0 is
met at both ends if and only if, with sigma the probability of fresh noise,

    P(stay) = w = (1 - kappa_t - sigma)/(1 - kappa_s),   P(x_1) = kappa_t - kappa_s w.

sigma = 0 is the plain step. Adding to the rates a part c_t that leaves the marginals alone
(x_1 at c kappa'/(1 - kappa), noise at c kappa'/kappa; Gat et al. 2024) makes the last event of the
interval decide, so that this too is exact::

    sigma = (1 - kappa_t) (1 - exp(-I)),   I = int_s^t c kappa'/(kappa (1 - kappa)) du

Three choices of c, or of sigma, follow. They keep the marginals for steps of any size, since
0 <= sigma <= 1 - kappa_t. (With masks sigma counts at shown tokens only, and may reach
(1 - kappa_t)/kappa_s.) What they buy is a second chance for a network's early mistakes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

_NODES, _WEIGHTS = (part.tolist() for part in np.polynomial.legendre.leggauss(8))


class Corrector(Protocol):
    """How often a settled token is renewed."""

    def sigma(self, survival_s: Tensor, survival_t: Tensor, largest: Tensor) -> Tensor:
        """The probability of fresh noise over a step, at most ``largest``, ``(batch,)``.

        Args:
            survival_s: 1 - kappa at the start of the step, ``(batch,)``.
            survival_t: 1 - kappa at its end, ``(batch,)``.
            largest: the greatest sigma that keeps the marginals, ``(batch,)``.
        """
        ...


@dataclass(frozen=True)
class DivergenceFree:
    """The corrector c_t = c kappa^a (1 - kappa)^b, the same forth and back.

    Attributes:
        strength: c, not negative.
        a: at least 1, for noise at rate c kappa'/kappa may not explode at t = 0.
        b: at least 1.

    Raises:
        ValueError: if one of them is smaller.

    Example:
        >>> half = torch.tensor(0.5)
        >>> DivergenceFree(2.0).sigma(half, half / 2, half / 2)
        tensor(0.0984)
    """

    strength: float
    a: float = 1.0
    b: float = 1.0

    def __post_init__(self) -> None:
        if not (self.strength >= 0 and self.a >= 1 and self.b >= 1):
            raise ValueError(f"expected strength >= 0, a >= 1 and b >= 1, got {self}")

    def sigma(self, survival_s: Tensor, survival_t: Tensor, largest: Tensor) -> Tensor:
        """(1 - kappa_t)(1 - e^-I), I = c int kappa^(a-1) (1 - kappa)^(b-1) d kappa.

        By Gauss-Legendre quadrature with 8 nodes, exact for polynomials up to degree 15; its
        error, for other powers, changes I and no marginal.
        """
        del largest
        middle, half = (survival_s + survival_t) / 2, (survival_s - survival_t) / 2
        total = torch.zeros_like(half)
        for node, weight in zip(_NODES, _WEIGHTS, strict=True):
            q = middle + node * half
            total = total + weight * (1 - q) ** (self.a - 1) * q ** (self.b - 1)
        return -survival_t * torch.expm1(-self.strength * half * total)


@dataclass(frozen=True)
class DetailedBalance:
    """The noise eta of Campbell et al. 2024 (Multiflow): c_t = eta kappa_t.

    A settled token is renewed at the constant rate eta per unit of kappa, and as many come back:
    for masks and kappa = t, unmasking at (1 + eta t)/(1 - t) and masking at eta. Their uniform
    rate eta to each single other token is eta/K here, where eta counts all K together.

    Attributes:
        eta: not negative.

    Raises:
        ValueError: for a negative eta.
    """

    eta: float

    def __post_init__(self) -> None:
        if not self.eta >= 0:
            raise ValueError(f"expected eta of at least 0, got {self.eta}")

    def sigma(self, survival_s: Tensor, survival_t: Tensor, largest: Tensor) -> Tensor:
        """(1 - kappa_t)(1 - ((1 - kappa_t)/(1 - kappa_s))^eta)."""
        del largest
        tiny = torch.finfo(survival_t.dtype).tiny
        ratio = survival_t.clamp_min(tiny).log() - survival_s.clamp_min(tiny).log()
        return -survival_t * torch.expm1(self.eta * ratio)


@dataclass(frozen=True)
class Remasking:
    """A fixed share of the largest possible renewal: sigma = eta sigma_max.

    With eta = 1 and without masks every token is decided anew at every step. For masks, where
    sigma_max = min(1, (1 - kappa_t)/kappa_s), this is the rescaled schedule of Wang et al. 2025
    (ReMDM).

    Attributes:
        eta: in [0, 1].

    Raises:
        ValueError: for an eta outside.
    """

    eta: float

    def __post_init__(self) -> None:
        if not 0 <= self.eta <= 1:
            raise ValueError(f"expected eta in [0, 1], got {self.eta}")

    def sigma(self, survival_s: Tensor, survival_t: Tensor, largest: Tensor) -> Tensor:
        """eta sigma_max."""
        del survival_s, survival_t
        return self.eta * largest
