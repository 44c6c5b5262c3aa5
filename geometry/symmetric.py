r"""Functions of symmetric matrices whose gradients survive equal eigenvalues.

With A = U diag(a) U^T, f(A) = U diag(f(a)) U^T has the derivative (Daleckii and Krein, 1965;
Bhatia, Matrix Analysis, V.3)::

    Df(A)[E] = U (F o U^T E U) U^T,   F_ij = (f(a_i) - f(a_j))/(a_i - a_j),   F_ii = f'(a_i)

which is smooth where eigenvalues meet, although the gradients of U and a alone are not (that of
``torch.linalg.eigh`` divides by a_i - a_j). So U and a are taken as constants here, and the
dependence on A enters to first order through S = U^T (A - A.detach()) U, a zero matrix that
carries the gradient::

    f(A) = U (diag f(a) + F o S) U^T

Values are exact, and so are first derivatives in either mode, under ``vmap`` and ``compile``.
Second derivatives with respect to A are not represented: differentiating a gradient again
raises in ``torch.autograd``, rather than answer with zero (``compile`` and nested ``torch.func``
transforms do not notice). The divided differences below are written in half sums
and half differences of a (or of log a), so that none of them cancels.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class Spectrum(NamedTuple):
    """A symmetric matrix, diagonalised.

    Attributes:
        values: eigenvalues, constants, ``(..., n)``, ascending.
        vectors: eigenvectors in the columns, constants, ``(..., n, n)``.
        shift: zeros that carry the gradient, in the basis of eigenvectors, ``(..., n, n)``.
    """

    values: Tensor
    vectors: Tensor
    shift: Tensor


class _Once(torch.autograd.Function):
    """The identity, once differentiable."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        pass

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor) -> Tensor:
        return tangent.clone()


def symmetric(a: Tensor) -> Tensor:
    """(A + A^T)/2."""
    return (a + a.mT) / 2


def differentiable_once(x: Tensor) -> Tensor:
    """``x``, whose gradients cannot be differentiated."""
    if torch.compiler.is_compiling():  # torch 2.13 does not trace a custom jvp
        return x
    y: Tensor = _Once.apply(x)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return y


def spectrum(a: Tensor) -> Spectrum:
    """Diagonalise symmetric matrices ``(..., n, n)``."""
    fixed = a.detach()
    values, vectors = torch.linalg.eigh(fixed)
    change = differentiable_once(a) - fixed
    return Spectrum(values, vectors, vectors.mT @ change @ vectors)


def apply(s: Spectrum, values: Tensor, slopes: Tensor) -> Tensor:
    """f(A) from f(a) ``(..., n)`` and the divided differences F ``(..., n, n)``."""
    return s.vectors @ (torch.diag_embed(values) + slopes * s.shift) @ s.vectors.mT


def halves(a: Tensor) -> tuple[Tensor, Tensor]:
    """(a_i + a_j)/2 and |a_i - a_j|/2, at least 1e-18: ``(..., n)`` to two ``(..., n, n)``."""
    i, j = a.unsqueeze(-1), a.unsqueeze(-2)
    return (i + j) / 2, ((i - j).abs() / 2).clamp_min(1e-18)


def exp_slopes(a: Tensor) -> Tensor:
    """Divided differences of exp at a: e^mean sinh(z)/z, z the half difference."""
    mean, z = halves(a)
    return mean.exp() * (z.sinh() / z)


def log_slopes(log_a: Tensor) -> Tensor:
    """Divided differences of log at a, given log a: e^-mean z/sinh z."""
    mean, z = halves(log_a)
    return (-mean).exp() * (z / z.sinh())


def power_slopes(log_a: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """Divided differences of a^t and of its time derivative a^t log a, given log a.

    Args:
        log_a: logarithms of the eigenvalues, (..., n).
        t: exponent, (...).

    Returns:
        Those of a^t, and their derivatives in t, both (..., n, n).
    """
    return power_slope(log_a.unsqueeze(-1), log_a.unsqueeze(-2), t[..., None, None])


def power_slope(log_a: Tensor, log_b: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """The same for one pair of eigenvalues, in their broadcast shape.

    With a the larger and r = log a - log b: a^(t-1) expm1(-tr)/expm1(-r), in which nothing
    cancels or overflows, and its derivative in t.
    """
    large, r = torch.maximum(log_a, log_b), (log_a - log_b).abs().clamp_min(1e-18)
    fall = (-t * r).expm1()
    scale = ((t - 1) * large).exp() / (-r).expm1()
    return scale * fall, scale * ((large - r) * fall - r)
