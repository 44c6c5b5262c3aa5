r"""Symmetric positive definite matrices, flat in their logarithms.

The matrix logarithm maps the cone one to one onto the symmetric matrices; pulling their
Frobenius metric back gives the log-Euclidean metric (Arsigny, Fillard, Pennec and Ayache,
2007), invariant under rotations, scalings and inversion, with X = log x and Y = log y::

    dist(x, y) = |Y - X|_F            <u, v>_x        = tr(Dlog_x[u] Dlog_x[v])
    log_x(y)   = Dexp_X[Y - X]        exp_x(u)        = exp(X + Dlog_x[u])
    x_t        = exp(X + t(Y - X))    transp(x, y, v) = Dexp_Y[Dlog_x[v]]
    u_t        = Dexp_{log x_t}[Y - X]

Dexp_A[H] is the upper right block of exp [[A, H], [0, A]] (Najfeld and Havel, 1995), which is
smooth in both. Dlog_x[u] is V with Dexp_X[V] = u; its dependence on x is that equation's.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .lengths import expand, root
from .positive_definite import PositiveDefinite, gaussian
from .symmetric import Spectrum, apply, log_slopes, spectrum, symmetric


def _exp(a: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    """exp(A) and Dexp_A[H], (..., n, n) each."""
    a, h = torch.broadcast_tensors(a, h)
    n = a.shape[-1]
    block = torch.cat([torch.cat([a, h], -1), torch.cat([torch.zeros_like(a), a], -1)], -2)
    both = torch.linalg.matrix_exp(block)
    return symmetric(both[..., :n, :n]), symmetric(both[..., :n, n:])


def _log(x: Tensor) -> tuple[Tensor, Spectrum, Tensor]:
    """log(x), the spectrum it came from and the divided differences of log."""
    s = spectrum(x)
    log_values = s.values.clamp_min(torch.finfo(x.dtype).tiny).log()
    slopes = log_slopes(log_values)
    return apply(s, log_values, slopes), s, slopes


def _log_pair(x: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """log(x) and Dlog_x[u], (..., n, n) each."""
    log_x, s, slopes = _log(x)

    def derivative(w: Tensor) -> Tensor:
        return symmetric(s.vectors @ (slopes * (s.vectors.mT @ w @ s.vectors)) @ s.vectors.mT)

    # A zero whose gradient is that of Dexp_{log x}[V] at fixed V.
    image = _exp(log_x, derivative(u).detach())[1]
    return log_x, derivative(u - (image - image.detach()))


@dataclass(frozen=True, repr=False)
class SPDLogEuclidean(PositiveDefinite):
    """Symmetric positive definite n x n matrices, log-Euclidean metric.

    First derivatives are exact, also at equal eigenvalues.

    Raises:
        ValueError: ``n`` is not a positive integer.

    Example:
        >>> M = SPDLogEuclidean(2)
        >>> x, y = torch.eye(2), torch.diag(torch.tensor([1.0, 4.0]))
        >>> M.dist(x, y)  # log 4
        tensor(1.3863)
    """

    def expmap(self, x: Tensor, u: Tensor) -> Tensor:
        """exp(log x + Dlog_x[u])."""
        log_x, v = _log_pair(x, u)
        return symmetric(torch.linalg.matrix_exp(log_x + v))

    def logmap(self, x: Tensor, y: Tensor) -> Tensor:
        """Dexp_{log x}[log y - log x]."""
        log_x = _log(x)[0]
        return _exp(log_x, _log(y)[0] - log_x)[1]

    def dist(self, x: Tensor, y: Tensor) -> Tensor:
        """|log y - log x|_F, batch shape."""
        return root((_log(y)[0] - _log(x)[0]).square().sum((-2, -1)))

    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """tr(Dlog_x[u] Dlog_x[v])."""
        return (_log_pair(x, u)[1] * _log_pair(x, v)[1]).sum((-2, -1))

    def transp(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """Dexp_{log y}[Dlog_x[v]]."""
        return _exp(_log(y)[0], _log_pair(x, v)[1])[1]

    def interpolant(self, x0: Tensor, x1: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """x_t = exp(X_t) and u_t = Dexp_{X_t}[X_1 - X_0], X_t = X_0 + t (X_1 - X_0).

        Args:
            x0: (..., n, n).
            x1: (..., n, n).
            t: (...).

        Returns:
            x_t and u_t, (..., n, n).
        """
        log_0, log_1 = _log(x0)[0], _log(x1)[0]
        step = log_1 - log_0
        return _exp(log_0 + expand(t, 2) * step, step)

    def random_normal(
        self, x: Tensor, std: Tensor | float, generator: torch.Generator | None = None
    ) -> Tensor:
        """exp(log x + S), S a symmetric Gaussian isotropic for tr(S S)."""
        return symmetric(torch.linalg.matrix_exp(_log(x)[0] + gaussian(x, std, generator)))
