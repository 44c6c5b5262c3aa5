r"""Symmetric positive definite matrices with the affine-invariant metric.

<u, v>_x = tr(x^-1 u x^-1 v), which every congruence x -> G x G^T leaves unchanged (Pennec,
Fillard and Ayache, 2006). With the Cholesky factor x = L L^T and W = L^-1 y L^-T::

    exp_x(u)        = L exp(L^-1 u L^-T) L^T
    log_x(y)        = L log(W) L^T,                  dist = |log W|_F
    x_t             = L W^t L^T,                     u_t = L (W^t log W) L^T
    transp(x, y, v) = E v E^T,                       E = L W^(1/2) L^-1

By the invariance L may be any factor of x; Cholesky's costs no eigenvalues and has a gradient
everywhere, so each method diagonalises one matrix. Near pairs are diagonalised as
W - I = L^-1 (y - x) L^-T, which keeps the digits of y - x; far ones as W, which keeps those of
small eigenvalues.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from . import spd_small
from .jacobi import pays
from .lengths import expand, root
from .positive_definite import PositiveDefinite, gaussian
from .symmetric import (
    Spectrum,
    apply,
    exp_slopes,
    log_slopes,
    power_slopes,
    spectrum,
    symmetric,
)


def _factor(x: Tensor) -> Tensor:
    """L with L L^T = x, without waiting for the device."""
    lower: Tensor = torch.linalg.cholesky_ex(x).L
    return lower


def _whiten(factor: Tensor, u: Tensor) -> Tensor:
    """L^-1 u L^-T of a symmetric u."""
    half = torch.linalg.solve_triangular(factor, u, upper=False)
    return symmetric(torch.linalg.solve_triangular(factor, half.mT, upper=False))


def _colour(factor: Tensor, w: Tensor) -> Tensor:
    """L w L^T of a symmetric w."""
    return symmetric(factor @ w @ factor.mT)


def _relative(factor: Tensor, x: Tensor, y: Tensor) -> tuple[Spectrum, Tensor]:
    """The spectrum of W = L^-1 y L^-T (its values unused) and log of its eigenvalues."""
    difference = _whiten(factor, y - x)
    near = difference.detach().square().sum((-2, -1)) < 0.25
    s = spectrum(torch.where(expand(near, 2), difference, _whiten(factor, y)))
    near = near.unsqueeze(-1)
    tiny = torch.finfo(x.dtype).tiny
    far_values = torch.where(near, 1.0, s.values).clamp_min(tiny)
    return s, torch.where(near, torch.where(near, s.values, 0.0).log1p(), far_values.log())


@dataclass(frozen=True, repr=False)
class SPD(PositiveDefinite):
    """Symmetric positive definite n x n matrices, affine-invariant metric.

    First derivatives are exact, also at equal eigenvalues; second ones raise.

    Raises:
        ValueError: ``n`` is not a positive integer.

    Example:
        >>> M = SPD(2)
        >>> x, y = torch.eye(2), torch.diag(torch.tensor([1.0, 4.0]))
        >>> M.geodesic(x, y, torch.tensor(0.5))
        tensor([[1., 0.],
                [0., 2.]])
        >>> M.dist(x, y)  # log 4
        tensor(1.3863)
    """

    def expmap(self, x: Tensor, u: Tensor) -> Tensor:
        """L exp(L^-1 u L^-T) L^T."""
        factor = _factor(x)
        s = spectrum(_whiten(factor, u))
        return _colour(factor, apply(s, s.values.exp(), exp_slopes(s.values)))

    def logmap(self, x: Tensor, y: Tensor) -> Tensor:
        """L log(W) L^T."""
        factor = _factor(x)
        s, log_w = _relative(factor, x, y)
        return _colour(factor, apply(s, log_w, log_slopes(log_w)))

    def dist(self, x: Tensor, y: Tensor) -> Tensor:
        """|log W|_F, batch shape."""
        s, log_w = _relative(_factor(x), x, y)
        # Only the diagonal of the shift moves eigenvalues, to first order.
        moved = log_w + (-log_w).exp() * s.shift.diagonal(dim1=-2, dim2=-1)
        return root(moved.square().sum(-1))

    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """tr(x^-1 u x^-1 v)."""
        factor = _factor(x)
        return (_whiten(factor, u) * _whiten(factor, v)).sum((-2, -1))

    def transp(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """E v E^T with E = L W^(1/2) L^-1."""
        factor = _factor(x)
        s, log_w = _relative(factor, x, y)
        half = torch.full(log_w.shape[:-1], 0.5, dtype=x.dtype, device=x.device)
        sqrt_w = apply(s, (log_w / 2).exp(), power_slopes(log_w, half)[0])
        return _colour(factor @ sqrt_w, _whiten(factor, v))

    def interpolant(self, x0: Tensor, x1: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """x_t = L W^t L^T and u_t = L (W^t log W) L^T, from one diagonalisation.

        Args:
            x0: (..., n, n).
            x1: (..., n, n).
            t: (...).

        Returns:
            x_t and u_t, (..., n, n).
        """
        batch = torch.broadcast_shapes(x0.shape[:-2], x1.shape[:-2], t.shape)
        if pays(self.n, math.prod(batch)):
            return spd_small.geodesic(x0, x1, t)
        factor = _factor(x0)
        s, log_w = _relative(factor, x0, x1)
        power, velocity = power_slopes(log_w, t)
        w_t = (expand(t, 1) * log_w).exp()
        x_t = _colour(factor, apply(s, w_t, power))
        return x_t, _colour(factor, apply(s, w_t * log_w, velocity))

    def random_normal(
        self, x: Tensor, std: Tensor | float, generator: torch.Generator | None = None
    ) -> Tensor:
        """exp_x(L S L^T), S a symmetric Gaussian isotropic for tr(S S)."""
        return self.expmap(x, _colour(_factor(x), gaussian(x, std, generator)))
